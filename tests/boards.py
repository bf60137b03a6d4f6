"""Made-up records for tests of what is derived from records. Their numbers are results of nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.records.record import RunRecord, run_identity, write_scores
from benchmark.records.store import StoredRecord

Scores = Mapping[str, Sequence[float] | np.ndarray]


def metric(value: float | None, direction: str = "up", **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"value": value, "n": 100, "unit": "%", "direction": direction, "version": 1}
    if direction == "up":
        base["chance"] = 50.0
    else:
        base["unit"] = "distance"
    if value is None:
        base["reason"] = "weights are missing"
    elif direction == "up":
        base |= {"low": max(value - 2, 0.0), "high": min(value + 2, 100.0)}
    return {**base, **changes}


MADE = {
    "package_version": None,
    "commit": None,
    "dirty": None,
    "origin": None,
    "python": "3.12.0",
    "platform": "Linux",
    "cpu": "x",
    "packages": {},
    "device": "cpu",
    "device_name": None,
    "threads": 1,
    "date": "2024-01-01T00:00:00Z",
}


def stored(
    method: str,
    ais: float | dict[str, Any] | None,
    fid: float | dict[str, Any] | None = 80.0,
    seed: int | None = 0,
    *,
    where: str = "runs",
    fingerprint: str = "f" * 64,
    settings: dict[str, Any] | None = None,
    sees: Sequence[str] = (),
    **changes: Any,
) -> StoredRecord:
    """A record with the metrics `ais` and `fid`, of a file that does not exist."""
    metrics = {
        "ais": ais if isinstance(ais, dict) else metric(ais),
        "fid": fid if isinstance(fid, dict) else metric(fid, "down"),
    }
    data: dict[str, Any] = {
        "status": "complete",
        "suite": {"name": "mini", "version": 1, "fingerprint": fingerprint},
        "method": {"name": method, "card": {"sees": list(sees)} if sees else {}, "settings": settings or {}},
        "seed": seed,
        "limit": None,
        "metrics": metrics,
        "clips": {"total": 100},
        "provenance": {"score": [MADE]},
    }
    data |= changes
    who = data["method"]
    identity = run_identity(fingerprint, who["name"], who["settings"], data["seed"], data["limit"], who.get("source"))
    record = RunRecord.model_validate({"identity": identity, **data})
    name = f"{method}-{seed}-{record.limit}-{record.status}-{len(settings or {})}-{fingerprint[:2]}"
    return StoredRecord(record, Path(where) / "mini" / name / "record.json", where)  # type: ignore[arg-type]


def scored(
    folder: Path,
    method: str,
    scores: Scores,
    seed: int | None = 0,
    distances: Mapping[str, dict[str, Any]] | None = None,
    **changes: Any,
) -> StoredRecord:
    """A record whose metrics are the means of per-clip `scores`, which lie beside it; and metrics of whole sets."""
    import pandas as pd

    values = {name: metric(float(np.mean(column)), n=len(column)) for name, column in scores.items()}
    made = stored(method, 0.0, 0.0, seed, metrics={**values, **(distances or {})}, **changes)
    made = replace(made, path=folder / "runs" / made.path)
    count = len(next(iter(scores.values())))
    clips = [f"clip-{k:05d}" for k in range(count)]
    table = pd.DataFrame({"clip": clips, "label": ["bell"] * count, **scores})
    # The order of the rows says nothing; the clip's id does.
    write_scores(made.path.with_name("scores.parquet"), table.sample(frac=1, random_state=seed or 0))
    return made
