"""AIS, IIS and AIC equal the SonicDiffusion evaluation's numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from loading import cases, load

from metrics import content, similarity


def tolerance(meta: dict, case: str) -> float:
    """The stated tolerance of a case: exact ties are compared exactly, continuous cosines may flip one comparison."""
    return 1e-9 if meta["cases"][case]["config"].get("grid") else 1e-4


@pytest.mark.parametrize(("folder", "case"), cases("h_metrics"))
def test_ais(folder: Path, case: str) -> None:
    meta, arrays = load(folder)
    scores = similarity.winrate_inclusive(
        arrays[f"{case}/images_b32"],
        arrays[f"{case}/audio_b32"],
        arrays[f"{case}/image_audio_index"],
        pool=arrays[f"{case}/random_audio"],
    )
    assert scores.mean() == pytest.approx(meta["cases"][case]["expected"]["AIS"], rel=0, abs=tolerance(meta, case))


@pytest.mark.parametrize(("folder", "case"), cases("h_metrics"))
def test_iis(folder: Path, case: str) -> None:
    meta, arrays = load(folder)
    scores = similarity.winrate_inclusive(
        arrays[f"{case}/images_l14"],
        arrays[f"{case}/reference_l14"],
        arrays[f"{case}/image_audio_index"],
        pool=arrays[f"{case}/random_images"],
    )
    assert scores.mean() == pytest.approx(meta["cases"][case]["expected"]["IIS"], rel=0, abs=tolerance(meta, case))


@pytest.mark.parametrize(("folder", "case"), cases("h_metrics"))
def test_aic(folder: Path, case: str) -> None:
    meta, arrays = load(folder)
    labels = arrays[f"{case}/audio_class"][arrays[f"{case}/image_audio_index"]]
    scores = content.aic(arrays[f"{case}/images_l14"], arrays[f"{case}/text_l14"], labels)
    assert scores.mean() == pytest.approx(meta["cases"][case]["expected"]["AIC"], rel=0, abs=tolerance(meta, case))
