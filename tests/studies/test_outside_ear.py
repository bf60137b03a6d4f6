"""The outside ear: its front end, what counts as right, and what YAMNet makes of the sounds where it lies here.

`OUTSIDE_EAR` names the folder of `yamnet_spectra_in.tflite`; else it is looked for where `bench fetch yamnet` puts it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchmark.mini.world import LABELS
from benchmark.studies import outside_ear
from benchmark.studies.outside_ear import AUDIOSET, BANDS, FFT, YAMNet, listen, log_mel, main, mel_weights, named, place
from benchmark.utils.errors import RunError
from benchmark.utils.progress import Silent
from benchmark.weights.catalog import network
from benchmark.weights.locate import located


def ear() -> Path | None:
    """The folder of YAMNet, or None."""
    given = os.environ.get("OUTSIDE_EAR")
    if given and (Path(given) / "yamnet_spectra_in.tflite").is_file():
        return Path(given)
    return located(network("yamnet"))


HERE = ear()
needs_ear = pytest.mark.skipif(
    HERE is None, reason="YAMNet is not on this machine: `bench fetch yamnet`, or OUTSIDE_EAR"
)


def test_bands_are_triangles_between_125_and_7500_hz() -> None:
    weights = mel_weights()
    frequencies = np.linspace(0, 8000, FFT // 2 + 1)
    assert weights.shape == (FFT // 2 + 1, BANDS) and weights.min() == 0 and weights.max() <= 1
    heard = frequencies[weights.sum(1) > 0]
    assert heard.min() >= 125 and heard.max() <= 7500
    inside = (frequencies > 300) & (frequencies < 7000)
    np.testing.assert_allclose(weights[inside].sum(1), 1, atol=1e-9)
    centres = weights.argmax(0)
    assert np.all(np.diff(centres) >= 0)


def test_a_tone_is_loudest_in_its_own_band() -> None:
    time = np.arange(40_000) / 16_000
    for hertz in (500, 1000, 4000):
        spectra = log_mel(np.sin(2 * np.pi * hertz * time))
        assert spectra.shape == (1 + (40_000 - 400) // 160, BANDS) and spectra.dtype == np.float32
        band = int(spectra.mean(0).argmax())
        weight = mel_weights()[:, band]
        centre = float((weight * np.linspace(0, 8000, FFT // 2 + 1)).sum() / weight.sum())
        assert centre == pytest.approx(hertz, rel=0.08)
    silence = log_mel(np.zeros(16_000))
    np.testing.assert_allclose(silence, np.log(0.001) + 1.386, atol=1e-5)


def test_every_class_has_classes_of_audioset() -> None:
    assert set(AUDIOSET) == set(LABELS)
    assert all(indices and all(0 <= index < 521 for index in indices) for indices in AUDIOSET.values())
    shared = [index for indices in AUDIOSET.values() for index in indices]
    assert {index for index in shared if shared.count(index) > 1} == {316, 390, 391}, "sirens alone share some"


def test_the_highest_of_the_listed_classes_decides() -> None:
    scores = np.zeros(521)
    scores[132], scores[70], scores[78] = 0.9, 0.5, 0.4  # music is nobody's
    assert named(scores) == ("dog barking",)
    scores[390] = 0.6
    assert set(named(scores)) == {"police car (siren)", "ambulance siren"}


def test_what_is_missing_or_another_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="bench fetch yamnet"):
        place(tmp_path)
    (tmp_path / "yamnet_spectra_in.tflite").write_bytes(b"another")
    with pytest.raises(RunError, match="0a266465c467"):
        place(tmp_path)


@needs_ear
def test_an_outside_ear_names_the_sounds(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ai_edge_litert")
    heard = listen(YAMNet(place(HERE)), 10, ui=Silent())
    assert [one.label for one in heard] == list(LABELS)
    right = {one.label: one.right for one in heard}
    assert np.mean(list(right.values())) >= 80 and min(right.values()) >= 50, right
    for one in heard:
        assert one.clips == 10 and sum(one.mistaken_for.values()) == round(10 - one.right / 10)
    assert main(["--weights", str(HERE), "--clips", "1", "--json"], ui=Silent()) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["classes"]) == len(LABELS) and 0 <= printed["mean"] <= 100


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outside_ear.main(["--weights", str(tmp_path)], ui=Silent()) == 1
    assert "bench fetch yamnet" in capsys.readouterr().err
