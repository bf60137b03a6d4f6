"""Pictures from the test clips' frames: of a method that was fitted on frames, and of nothing else that differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import worlds
from PIL import Image

from baselines.studies.modality_gap import draw_from_frames, main
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.progress import Silent

SETTINGS = {"steps": "1", "batch_size": "2"}


def test_the_frame_takes_the_place_of_the_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    things = worlds.things(tmp_path)
    job = Run.of(
        RunRequest(suite="mini", method="wav2clip", data=things, limit=2, settings=SETTINGS, runs=tmp_path / "runs"),
        Silent(),
    )
    from_sounds = steps.generate(job)
    draw_from_frames(job, tmp_path / "frames")
    drawn = sorted((tmp_path / "frames").iterdir())
    assert [path.name for path in drawn] == sorted(f"{clip.id}.png" for clip in job.test)
    for path in drawn:
        one, other = (np.asarray(Image.open(folder / path.name)) for folder in (path.parent, from_sounds))
        assert one.shape == other.shape and not np.array_equal(one, other)

    # with sounds it draws what the run drew: so nothing but the input differs
    monkeypatch.setattr("baselines.joint.FramesOnly.studies", lambda self: self.listener)
    draw_from_frames(job, tmp_path / "sounds")
    for path in (tmp_path / "sounds").iterdir():
        assert np.array_equal(*(np.asarray(Image.open(folder / path.name)) for folder in (path.parent, from_sounds)))


def test_only_for_what_learns_from_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--method", "audiotoken", "-o", str(tmp_path / "out")]) == 2
    assert "'audiotoken' is not fitted on frames alone: choose wav2clip or imagebind" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
