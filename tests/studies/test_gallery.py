"""The documentation's figures, on run folders that are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.media.audio import load_audio
from benchmark.media.images import load_image, save_png
from benchmark.mini.data import clip_id, make_picture, make_sound
from benchmark.mini.world import LABELS, facts_of
from benchmark.records.store import Store
from benchmark.studies import gallery


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two methods whose pictures are of one colour: red = the clip's number, green = the method."""
    root = tmp_path_factory.mktemp("runs")
    for green, method, seed in ((0, "reference", None), (200, "audiotoken", 0)):
        for index in range(0, 624, 26):
            colour = Image.new("RGB", (64, 64), (index % 256, green, index // 256))
            save_png(Store(root).run("mini", method, seed).images / f"{clip_id('test', index)}.png", colour)
        for index in range(1, 10):
            colour = Image.new("RGB", (64, 64), (index, green, 0))
            save_png(Store(root).run("mini", method, seed).images / f"{clip_id('test', index)}.png", colour)
    return root


def pixels(path: Path) -> np.ndarray:
    return np.asarray(load_image(path))


def test_the_world_has_a_row_a_class():
    made = np.asarray(gallery.world_sheet(columns=2))
    step = gallery.CELL + gallery.GAP
    for row, label in enumerate(LABELS):
        for column, index in enumerate(gallery.indices(label, 2)):
            top, left = gallery.GAP + row * step, gallery.TITLE_WIDTH + column * step
            cell = made[top : top + gallery.CELL : 2, left : left + gallery.CELL : 2]
            assert np.array_equal(cell, make_picture("validation", index))
        assert (made[gallery.GAP + row * step :][: gallery.CELL, : gallery.TITLE_WIDTH] < 128).any(), "no class name"


def test_sounds_are_the_clips_and_say_their_attributes(tmp_path):
    written = gallery.write_sounds(tmp_path)
    assert len(written) == 9
    assert written[0].name.startswith("church-bell-ringing.size-")
    assert np.array_equal(np.rint(load_audio(written[0]) * 32768), make_sound("validation", 0))


def test_methods_are_rows_of_the_same_clips(runs, tmp_path):
    out = tmp_path / "gallery.png"
    assert gallery.main(["--runs", str(runs), "--methods", "reference,audiotoken", "--out", str(out)]) == 0
    made = pixels(out)
    middles = gallery.TITLE_WIDTH + gallery.CELL // 2 + np.arange(10) * (gallery.CELL + gallery.GAP)
    lower = made[-(gallery.GAP * 2 + gallery.CELL // 2)]
    upper = made[-(gallery.GAP * 3 + gallery.CELL * 3 // 2)]
    assert lower[middles].tolist() == [[index, 200, 0] for index in range(10)]
    assert upper[middles].tolist() == [[index, 0, 0] for index in range(10)]


def test_the_overview_has_the_sounds_above_the_images_of_the_same_clips(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "OVERVIEW", {"reference": "frame", "audiotoken": "image"})
    out = tmp_path / "overview.png"
    assert gallery.main(["--runs", str(runs), "--overview", str(out)]) == 0
    made = pixels(out)
    middles = gallery.TITLE_WIDTH + gallery.CELL // 2 + np.arange(6) * (gallery.CELL + gallery.GAP)
    upper, lower = (made[-(gallery.GAP * k + gallery.CELL * (k - 1) - gallery.CELL // 2)] for k in (3, 2))
    assert lower[middles].tolist() == [[index, 200, 0] for index in range(6)]
    assert upper[middles].tolist() == [[index, 0, 0] for index in range(6)]


def test_a_waveform_is_as_high_as_the_sound_is_loud():
    sound = np.concatenate([np.zeros(8000), 0.1 * np.sin(np.arange(8000))]).astype(np.float32)
    made = np.asarray(gallery.waveform(sound)).astype(int)
    blue = (made[..., 0] < 128).sum(axis=0)
    assert blue[: gallery.CELL // 2 - 1].max() <= 2 and blue[gallery.CELL // 2 + 1 :].min() > 0.8 * gallery.CELL
    assert gallery.waveform(np.zeros(100, np.float32)).size == (gallery.CELL, gallery.CELL), "silence"


def test_sizes_grow_from_left_to_right(runs, tmp_path):
    out = tmp_path / "attributes.png"
    assert gallery.main(["--runs", str(runs), "--classes", LABELS[0], "--attributes", str(out)]) == 0
    made = pixels(out)
    middles = gallery.TITLE_WIDTH + gallery.CELL // 2 + np.arange(10) * (gallery.CELL + gallery.GAP)
    shown = made[-(gallery.GAP * 2 + gallery.CELL // 2)][middles].astype(int)
    assert (shown[:, 1] == 200).all()
    sizes = [facts_of("test", int(red + 256 * blue)).heard["size"] for red, _, blue in shown]
    every = [facts_of("test", index).heard["size"] for index in range(0, 624, 26)]
    assert sizes == sorted(sizes) and (sizes[0], sizes[-1]) == (min(every), max(every))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "x.png", "--methods", "sd-text"], "bench run --method sd-text"),
        (["--out", "x.png", "--methods", "audiotokn"], "did you mean 'audiotoken'"),
        (["--attributes", "x.png", "--classes", "thunder"], "'thunder' has no size"),
    ],
)
def test_wrong_use_is_one_line(arguments, said, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert gallery.main([*arguments, "--runs", str(runs)]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
