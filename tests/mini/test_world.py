"""The world of version 3: a clip is a function of (split, index), and no split knows another's."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmark.mini import data
from benchmark.mini.data import WorldClips, clip_id, make_picture, make_sound
from benchmark.mini.world import GROUPS, LABELS, SLOTS, SPEECH, SPLITS, THINGS, describe, facts_of, seeds_of


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


def test_many_clips_are_made_in_parallel_and_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PARALLEL_FROM", 1)
    monkeypatch.setattr(data, "CHUNK", 5)
    clips = WorldClips("validation", 12, tmp_path)
    assert all(np.array_equal(clips.pictures[k], make_picture("validation", k)) for k in range(12))
