"""The Fréchet distance equals a computation with 60 digits, from features and from means and covariances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from loading import cases, load

from metrics.frechet import frechet_distance, frechet_distance_from_statistics


@pytest.mark.parametrize(("folder", "case"), cases("i_frechet"))
def test_from_features(folder: Path, case: str) -> None:
    meta, arrays = load(folder)
    expected = meta["cases"][case]
    value = frechet_distance(arrays[f"{case}/features1"], arrays[f"{case}/features2"])
    assert value == pytest.approx(expected["expected"], rel=0, abs=expected["tolerance_abs"])


@pytest.mark.parametrize(("folder", "case"), cases("i_frechet"))
def test_from_statistics(folder: Path, case: str) -> None:
    meta, arrays = load(folder)
    expected = meta["cases"][case]
    x, y = (arrays[f"{case}/features{i}"].astype(np.float64) for i in (1, 2))
    value = frechet_distance_from_statistics(
        x.mean(axis=0), np.cov(x, rowvar=False), y.mean(axis=0), np.cov(y, rowvar=False)
    )
    assert value == pytest.approx(expected["expected"], rel=0, abs=expected["tolerance_abs"])
