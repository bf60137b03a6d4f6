"""The clean clips of `mini` as a manifest: what is written is what the world makes without its scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.data.manifest import load_manifest
from benchmark.mini.data import make_picture, make_sound
from benchmark.mini.world import label_of
from benchmark.studies.clean import main
from benchmark.utils.progress import Silent


def test_the_manifest_holds_the_clean_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "clean"
    assert main(["--train", "27", "--test", "3", "-o", str(folder)], Silent()) == 0
    assert capsys.readouterr().out == f"{folder / 'manifest.csv'}\n"
    data = load_manifest(folder / "manifest.csv")
    assert data.train is not None and len(data.train) == 27 and len(data.test) == 3
    noisy = 0
    for index, clip in enumerate(data.test):
        sound = make_sound("test", index, clean=True) / 32768.0
        np.testing.assert_array_equal(clip.waveform(), sound.astype(np.float32))
        noisy += not np.array_equal(make_sound("test", index) / 32768.0, sound)
        np.testing.assert_array_equal(np.asarray(clip.picture()), make_picture("test", index))
        assert clip.label == label_of(index)
    assert noisy, "a scene changes the sound"


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--train", "1", "--test", "1", "-o", str(tmp_path)], Silent()) == 2
    assert "is not empty" in capsys.readouterr().err
