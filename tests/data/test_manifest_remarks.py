"""What a manifest's owner should know of the clips: contents that occur twice, sounds that cancel out, no files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import write_manifest

from benchmark.data.manifest import Manifest, load_manifest
from benchmark.media.audio import write_wav
from benchmark.media.images import save_png
from benchmark.utils.errors import UserError

NAMES = "abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in NAMES:
        write_wav(tmp_path / f"{name}.wav", rng.uniform(-0.5, 0.5, 4_000).astype(np.float32))
        save_png(tmp_path / f"{name}.png", rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    write_wav(tmp_path / "silent.wav", np.zeros(4_000, np.float32))
    return tmp_path


def loaded(folder: Path, rows: Sequence[tuple[str, str, str, str]], **options: bool) -> Manifest:
    """A manifest of rows (id, sound, picture, split)."""
    cells = [(name, f"{sound}.wav", f"{picture}.png", "dog", split) for name, sound, picture, split in rows]
    return load_manifest(write_manifest(folder / "m.csv", cells), **options)


def test_ordinary_clips_have_no_remark(folder: Path) -> None:
    rows = [("a", "a", "a", "test"), ("b", "b", "b", "test"), ("c", "c", "c", "train"), ("d", "c", "c", "validation")]
    assert loaded(folder, rows).remarks == ()
    silent = [("a", "silent", "a", "test"), ("b", "silent", "b", "train")]
    assert loaded(folder, silent).remarks == (), "silence has a remark of its own"


def test_what_is_fitted_on_and_scored_is_named(folder: Path) -> None:
    soundfile.write(folder / "flac.wav", *soundfile.read(folder / "a.wav", dtype="int16"), format="FLAC")
    rows = [
        ("one", "a", "a", "test"),
        ("two", "b", "b", "test"),
        ("three", "c", "c", "test"),
        ("four", "flac", "d", "train"),  # other bytes, the same sound
        ("five", "e", "b", "validation"),
        ("six", "c", "f", "test"),
    ]
    made = loaded(folder, rows)
    assert list(made.remarks) == [
        "the same sound is scored and in another split: 'one' = 'four' (train)",
        "the same sound is scored more than once: 'three' = 'six'",
        "the same picture is scored and in another split: 'two' = 'five' (validation)",
    ]


def test_channels_that_cancel_out_are_named(folder: Path) -> None:
    sound = soundfile.read(folder / "a.wav")[0]
    soundfile.write(folder / "opposite.wav", np.stack([sound, -sound], axis=1), 16_000)
    made = loaded(folder, [("one", "opposite", "a", "test"), ("two", "b", "b", "test")])
    assert len(made.remarks) == 1
    assert made.remarks[0].startswith("clip 'one': audio 'opposite.wav' mixes down to silence")


def test_a_damaged_float_is_a_problem_of_its_row(folder: Path) -> None:
    sound = soundfile.read(folder / "a.wav")[0]
    sound[100] = 3e38
    soundfile.write(folder / "loud.wav", sound, 16_000, subtype="FLOAT")
    rows = [("one", "loud", "a", "test"), ("two", "b", "b", "test")]
    with pytest.raises(UserError, match=r"m\.csv:2: audio 'loud\.wav' holds a sample of 3e\+38"):
        loaded(folder, rows)
    assert loaded(folder, rows, skip_bad=True).test.ids == ("two",)


def test_pipes_and_devices_are_problems_of_their_rows(folder: Path) -> None:
    os.mkfifo(folder / "pipe.wav")
    (folder / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(UserError) as caught:
        loaded(folder, [("one", "pipe", "zero", "test"), ("two", "b", "b", "test")])
    assert [line.partition(":2: ")[2].partition(",")[0] for line in caught.value.problems] == [
        "audio 'pipe.wav' is a pipe",
        "image 'zero.png' is a device",
    ]
    os.mkfifo(folder / "pipe.csv")
    for path in (folder / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(UserError, match="cannot be opened"):
            load_manifest(path)


CELLS = st.sampled_from(["a", "a.wav", "a.png", "b.wav", "dog", "test", "train", "", '"', ",", "/dev/zero", "..", "\0"])


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(st.one_of(CELLS, st.text(max_size=8)), max_size=6), max_size=5),
    raw=st.one_of(st.none(), st.binary(max_size=40)),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_bytes_give_a_manifest_or_lines(folder: Path, rows: list[list[str]], raw: bytes | None, end: str) -> None:
    text = end.join(["id,audio,image,label,split", *map(",".join, rows)])
    (folder / "m.csv").write_bytes(text.encode("utf-8", "surrogatepass") + (raw or b""))
    problems = ["none"]
    try:
        assert len(load_manifest(folder / "m.csv", skip_bad=True).test) >= 1
    except UserError as error:
        problems = error.problems
    assert problems and all(len(line.splitlines()) == 1 for line in problems), problems
