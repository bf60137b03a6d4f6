"""The world: every clip is the one it has always been, and no split knows another's.

`golden_world.json` was made by `python tests/mini/test_world.py`: some figures of the first clips. They move only
with WORLD_VERSION.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.mini import data, world
from benchmark.mini.data import WorldClips, clip_id, make_picture, make_sound
from benchmark.mini.world import GROUPS, LABELS, SLOTS, SPEECH, SPLITS, THINGS, describe, facts_of, label_of, seeds_of

GOLDEN = Path(__file__).parent / "golden_world.json"


def figures(index: int) -> dict[str, Any]:
    """Of clip `index` of split "validation": its label, attributes, mean colour, loudness and brightness."""
    picture = make_picture("validation", index).reshape(-1, 3).astype(np.float64)
    sound = make_sound("validation", index) / 32768.0
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / world.SAMPLE_RATE)
    return {
        "label": label_of(index),
        "attributes": {**facts_of("validation", index).heard, **facts_of("validation", index).seen},
        "mean_colour": picture.mean(axis=0).round(2).tolist(),
        "rms": round(float(np.sqrt(np.mean(sound**2))), 6),
        "centroid_hz": round(float((frequencies * power).sum() / power.sum()), 2),
    }


def make_golden() -> None:
    """Write `golden_world.json` anew: after a change of the world that WORLD_VERSION tells of."""
    content = {"world_version": world.WORLD_VERSION, "clips": [figures(index) for index in range(len(SLOTS))]}
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def test_the_golden_figures_are_of_this_version() -> None:
    assert golden()["world_version"] == world.WORLD_VERSION, "after a change of the world, make them anew"
    assert [clip["label"] for clip in golden()["clips"]] == list(SLOTS)


@pytest.mark.parametrize("index", range(len(SLOTS)), ids=[f"{k}-{label}" for k, label in enumerate(SLOTS)])
def test_a_clip_is_what_it_always_was(index: int) -> None:
    expected, found = golden()["clips"][index], figures(index)
    assert (found["label"], found["attributes"]) == (expected["label"], expected["attributes"])
    np.testing.assert_allclose(found["mean_colour"], expected["mean_colour"], rtol=0, atol=1.5)
    assert found["rms"] == pytest.approx(expected["rms"], rel=0.01)
    assert found["centroid_hz"] == pytest.approx(expected["centroid_hz"], rel=0.01)


def test_classes_come_in_turn() -> None:
    clips = WorldClips("test", 60, Path("unused"))
    assert [clips.label(k) for k in range(60)] == [SLOTS[k % 26] for k in range(60)]
    assert [LABELS[c] for c in clips.classes] == [SLOTS[k % 26] for k in range(60)] and len(clips) == 60
    assert len(set(LABELS)) == len(LABELS) >= 24 and Counter(SLOTS)[SPEECH] == 2
    assert clip_id("test", 7) == "mini-test-00007"


def test_groups_that_are_easy_to_confuse() -> None:
    grouped = [label for group in GROUPS.values() for label in group]
    assert len(GROUPS) >= 5 and len(set(grouped)) == len(grouped) and set(grouped) < set(LABELS)


def test_each_class_has_two_attributes_and_says_how_they_are_heard() -> None:
    for thing in THINGS:
        names = [attribute.name for attribute in thing.attributes]
        assert len(set(names)) == 2 and all(attribute.heard for attribute in thing.attributes)


@pytest.mark.parametrize("label", [label for label in LABELS if label != SPEECH])
def test_attributes_are_uniform(label: str) -> None:
    drawn = [facts_of("pretrain", 26 * k + SLOTS.index(label)).heard for k in range(300)]
    for name in drawn[0]:
        words = Counter(describe(name, values[name]) for values in drawn)
        kinds = {"size": 5, "amount": 3, "count": 3, "colour": 3, "light": 3}[name]
        assert len(words) == kinds and max(words.values()) < 2.2 * min(words.values())


def test_no_two_splits_share_a_seed_or_a_clip() -> None:
    assert len(set(SPLITS.values())) == len(SPLITS)
    states, contents = set(), set()
    for split in SPLITS:
        for index in range(0, 180, 9):
            states |= {json.dumps(rng.bit_generator.state["state"]) for rng in seeds_of(split, index)}
        for index in (0, 7):
            contents |= {make_sound(split, index).tobytes(), make_picture(split, index).tobytes()}
    assert len(states) == len(SPLITS) * 20 * 4 and len(contents) == len(SPLITS) * 2 * 2


def test_a_clip_is_a_function_of_split_and_index() -> None:
    for index in (3, 12, 25):
        assert np.array_equal(make_sound("test", index), make_sound("test", index))
        assert np.array_equal(make_picture("test", index), make_picture("test", index))
        assert facts_of("test", index) == facts_of("test", index)
    sound, picture = make_sound("test", 3), make_picture("test", 3)
    assert (sound.dtype, sound.shape) == (np.int16, (40_000,))
    assert (picture.dtype, picture.shape) == (np.uint8, (64, 64, 3))


def test_clips_are_kept_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    clips = WorldClips("validation", 4, tmp_path, lambda *one: told.append(one))
    assert np.array_equal(clips.sounds[2], make_sound("validation", 2))
    assert np.array_equal(clips.clean[2], make_sound("validation", 2, clean=True))
    assert np.array_equal(clips.pictures[3], make_picture("validation", 3))
    assert told == [("sounds", 4, 4), ("clean", 4, 4), ("pictures", 4, 4)]
    monkeypatch.setattr(data, "_MAKERS", {})
    again = WorldClips("validation", 4, tmp_path)
    assert np.array_equal(again.sounds, clips.sounds) and np.array_equal(again.pictures, clips.pictures)


def test_another_world_is_another_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data.world_digest("sounds") != data.world_digest("pictures") and len(data.world_digest("sounds")) == 64
    before = data.world_digest("sounds")
    data.world_digest.cache_clear()
    monkeypatch.setattr(data, "version", lambda name: "0.0")
    try:
        assert data.world_digest("sounds") != before
    finally:
        data.world_digest.cache_clear()


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    said: list[str] = []
    pictures = np.array(WorldClips("validation", 2, tmp_path, warn=said.append).pictures)
    (path,) = tmp_path.rglob("*.npy")
    whole = path.read_bytes()
    for damaged in (b"", whole[:5000], whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]):
        path.write_bytes(damaged)
        assert np.array_equal(WorldClips("validation", 2, tmp_path, warn=said.append).pictures, pictures)
        assert len(said) == 1 and str(path) in said.pop() and path.read_bytes() == whole
    WorldClips("test", 2, tmp_path, warn=said.append).pictures  # noqa: B018  # made by being read
    path.with_name("test-2.npy").replace(path)
    assert np.array_equal(WorldClips("validation", 2, tmp_path, warn=said.append).pictures, pictures)
    assert "is the file of something else" in said.pop() and not said


MAKE = """
import sys
from pathlib import Path
from benchmark.mini import data
data.PARALLEL_FROM = 1
data.WorldClips("validation", 100_000, Path(sys.argv[1])).pictures
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for processes in /proc")
def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_text(MAKE)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}
    )
    try:
        workers = until(lambda: len(children := _children(parent.pid)) >= 2 and _grown(tmp_path) and children)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def until(condition: Any, seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _grown(folder: Path) -> bool:
    return any(path.stat().st_size > 1_000_000 for path in folder.rglob("*.part"))


def test_many_clips_are_made_in_parallel_and_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PARALLEL_FROM", 1)
    monkeypatch.setattr(data, "CHUNK", 5)
    clips = WorldClips("validation", 12, tmp_path)
    assert all(np.array_equal(clips.pictures[k], make_picture("validation", k)) for k in range(12))


if __name__ == "__main__":
    make_golden()
