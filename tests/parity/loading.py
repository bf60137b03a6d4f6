"""Parity fixtures: numbers of the official implementations, found by folder prefix.

Each fixture is a folder with `fixture.json` and `arrays.npz`; `fixtures/README.md` says how they were made. The
environment variable `PARITY_DIR` names a folder with more of them, of the same format (other seeds, shapes, case
names), which needs no change here. Tests run over every folder with their prefix:

    @pytest.mark.parametrize("folder", folders("f_wav2clip"))
    def test_embedding(folder): meta, arrays = load(folder)
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.mark.structures import ParameterSet

OWN = Path(__file__).parent / "fixtures"


def paths(prefix: str) -> list[Path]:
    """All fixture folders whose name begins with `prefix`, the repository's own first; the same fixture once."""
    roots = [OWN, *([Path(more)] if (more := os.environ.get("PARITY_DIR")) else [])]
    found = {}
    for root in roots:
        for file in sorted(root.glob(f"{prefix}*/fixture.json")):
            found.setdefault(file.read_bytes(), file.parent)
    return list(found.values())


def folders(prefix: str) -> list[ParameterSet]:
    """`paths(prefix)` for `pytest.mark.parametrize`."""
    return [pytest.param(path, id=path.name) for path in paths(prefix)]


def cases(prefix: str, key: str = "cases") -> list[ParameterSet]:
    """`(folder, case name)` for every entry of `fixture.json`'s object `key`: `parametrize("folder, case", ...)`."""
    return [pytest.param(path, case, id=f"{path.name}-{case}") for path in paths(prefix) for case in load(path)[0][key]]


def load(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`(meta, arrays)`: the parsed `fixture.json` and the arrays by name, both the caller's own to change."""
    meta = json.loads((folder / "fixture.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz") as stored:
        return meta, {name: stored[name] for name in stored.files}


def build(table: Iterable[Mapping[str, Any]], seed: int) -> dict[str, np.ndarray]:
    """Weights by the fixtures' recipe: every parameter follows from its name, shape, rule and `seed`, in float32.

    `table` is a fixture's `parameters` list. Rows with the rule `as_built` (buffers, scalars, windows) are left out:
    keep what the constructor made. `tied` rows share the array of the name that they are tied to.
    """
    out: dict[str, np.ndarray] = {}
    for row in table:
        name, shape, rule = row["name"], tuple(row["shape"]), row["rule"]
        if rule == "as_built":
            continue
        if rule == "tied":
            out[name] = out[row["tied_to"]]
            continue
        normal = np.random.RandomState(zlib.crc32(name.encode()) ^ seed).standard_normal(shape)
        out[name] = np.asarray(_SCALE[rule](normal, shape), dtype=np.float32)
    return out


_SCALE = {
    "fan_in": lambda normal, shape: normal / np.sqrt(np.prod(shape[1:])),
    "bias": lambda normal, shape: 0.02 * normal,
    "running_mean": lambda normal, shape: 0.02 * normal,
    "norm": lambda normal, shape: 1.0 + 0.02 * normal,
    "running_var": lambda normal, shape: 1.0 + 0.1 * np.abs(normal),
}
