"""Seconds of a large board: reading, building and writing it, in a fresh process.

    python -m benchmark.studies.board_speed --records 1000

The records are synthetic: the packaged ones under other names, seeds and settings, with their numbers moved by noise.
One half are methods of three seeds each, the other half settings of one method; each has its scores per clip, whose
means are its values. They lie in a temporary folder of runs, as `bench run` would leave them; `--keep` names another.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.records.record import (
    SCORE_COLUMNS,
    UNITS,
    MetricValue,
    RunRecord,
    read_scores,
    run_identity,
    write_scores,
)
from benchmark.records.store import Store, StoredRecord, packaged_records
from benchmark.utils.errors import BenchError, UserError

SUITE = "mini"
SEEDS = 3
STAGES = ("reading", "building", "writing")


def make_runs(count: int, root: Path) -> list[Path]:
    """Write `count` synthetic records with their per-clip scores below `root`, and return their files.

    Raises:
        UserError: No record is packaged that they could be made from.
    """
    # Records of methods that are ranked: others would make a board with less to test.
    packaged = [
        one
        for one in packaged_records(SUITE).records
        if one.path.with_suffix(".parquet").is_file()
        and "audio" in one.record.method.card.get("sees", ())
        and not one.record.method.card.get("attack")
    ]
    if not packaged:
        raise UserError(f"no record of {SUITE} is packaged: start it from a checkout")
    written = []
    for number in range(count):
        method, seed, settings = asked(number, count)
        path = Store(root).run(SUITE, method, seed, changed=settings).record_path
        # the seeds of a method, and the sweep, each have one source: only settings that are equal make a row
        source = packaged[number // SEEDS % len(packaged) if not settings else 0]
        _write(source, path, method, seed, settings, np.random.default_rng(number))
        written.append(path)
    return written


def asked(number: int, count: int) -> tuple[str, int, dict[str, Any]]:
    """Return method, seed and settings of a run: first methods of `SEEDS` seeds, then settings of one method."""
    half = count // 2
    if number < half:
        return f"method-{number // SEEDS}", number % SEEDS, {}
    return "swept", 0, {"rate": 1 / (1 + number - half), "steps": 100 + (number - half) % 7}


def _write(
    source: StoredRecord, path: Path, method: str, seed: int, settings: dict[str, Any], rng: np.random.Generator
) -> None:
    record, scores = source.record, read_scores(source.path.with_suffix(".parquet"))
    values = dict(record.metrics)
    for name in [name for name in scores.columns if name not in SCORE_COLUMNS]:
        moved = scores[name] + rng.normal(0, 0.1) + rng.normal(0, 0.1, len(scores))
        scores[name] = moved.clip(*UNITS[values[name].unit])
        values[name] = _moved(values[name], float(scores[name].mean()))
    for name in values.keys() - set(scores.columns):
        if (value := values[name].value) is not None:
            values[name] = _moved(values[name], value * rng.uniform(0.9, 1.1))
    settings = {**record.method.settings, **settings}
    identity = run_identity(record.suite.fingerprint, method, settings, seed, None)
    named = record.method.model_copy(update={"name": method, "settings": settings})
    RunRecord.model_validate(
        {**dict(record), "method": named, "metrics": values, "seed": seed, "identity": identity}
    ).save(path)
    write_scores(path.with_name("scores.parquet"), scores)


def _moved(metric: MetricValue, value: float) -> MetricValue:
    """The metric with another value and its interval moved along."""
    if metric.value is None:
        return metric
    low, high = UNITS[metric.unit]
    value = min(max(value, low), high)
    by = value - metric.value
    ends = {
        end: None if (place := getattr(metric, end)) is None else min(max(place + by, low), high)
        for end in ("low", "high")
    }
    return metric.model_copy(update={"value": value, **ends})


def stages(root: Path) -> dict[str, float]:
    """Number of records and rows, and seconds of each stage in this process, in which nothing was imported for it."""
    marks = [time.perf_counter()]
    store = Store(root)
    records = [*packaged_records(SUITE).records, *store.records(SUITE).records]
    marks.append(time.perf_counter())

    from benchmark.leaderboard.build import build_board
    from benchmark.suite import load_suite

    suite = load_suite(SUITE)
    board = build_board(records, suite.headline, suite=SUITE, fingerprint=suite.fingerprint())
    marks.append(time.perf_counter())

    from benchmark.leaderboard.formats import to_markdown

    to_markdown(board)
    marks.append(time.perf_counter())
    seconds = [after - before for before, after in pairwise(marks)]
    return {"records": len(records), "rows": len(board.rows), **dict(zip(STAGES, seconds, strict=True))}


def measure(root: Path, rounds: int) -> dict[str, float]:
    """`stages` of fresh processes and the seconds of a whole `bench table`, medians over `rounds`."""
    found: list[dict[str, float]] = []
    for _ in range(rounds):
        inside = _run("benchmark.studies.board_speed", "--stages", str(root))
        began = time.perf_counter()
        _run("benchmark", "table", "--suite", SUITE, "--format", "md", "--runs", str(root))
        found.append({**json.loads(inside), "in all": time.perf_counter() - began})
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def _run(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def to_markdown(figures: Sequence[dict[str, float]]) -> str:
    """A line a board: counts, then seconds."""
    lines = ["| records | rows | " + " | ".join([*STAGES, "`bench table` in all"]) + " |", "|" + "---|" * 6]
    for one in figures:
        seconds = [f"{one[key]:.2f} s" for key in (*STAGES, "in all")]
        lines.append(f"| {one['records']:.0f} | {one['rows']:.0f} | {' | '.join(seconds)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of seconds: the packaged records alone, then with the synthetic ones; the exit code."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.board_speed", description=about)
    parser.add_argument("--records", type=int, default=1000, help="synthetic records (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="processes that the median is of (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder of runs to write the records to, and keep")
    parser.add_argument("--stages", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.stages:
        print(json.dumps(stages(given.stages)))
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            runs = given.keep or Path(folder) / "runs"
            make_runs(given.records, runs)
            print(to_markdown([measure(root, given.rounds) for root in (Path(folder) / "none", runs)]))
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
