"""Frames that differ in one thing: what changes is what is said to change."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.mini import world
from benchmark.mini.data import make_picture
from benchmark.mini.world import SPEAKERS, SPEECH
from benchmark.studies import true_frames
from benchmark.studies.true_frames import CHANGES, SKIES, changed, frame, guessed, heard, moved, nuisances

RNG = np.random.default_rng(0)
FACTS = [world.facts_of("test", index) for index in range(104)]


def test_a_frame_of_the_same_facts_is_another_picture_and_always_the_same() -> None:
    first, again, other = frame("test", 3), frame("test", 3), frame("test", 3, 1)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first, make_picture("test", 3))


def test_a_step_moves_one_attribute_to_a_neighbouring_word() -> None:
    met = set()
    for facts in FACTS:
        for name in heard(facts) if facts.label != SPEECH else ():
            seen = moved(facts, name, RNG)
            met.add(name)
            assert [key for key in seen if seen[key] != facts.seen[key]] == [name]
            words = [world.describe(name, one) for one in (facts.seen[name], seen[name])]
            assert words[0] != words[1]
            scale = {"size": world.SIZE_WORDS, "amount": world.AMOUNT_WORDS, "count": world.COUNT_WORDS}
            if name in scale or name == "light":
                places = [scale.get(name, world.LIGHTS).index(word) for word in words]
                assert abs(places[0] - places[1]) == 1
    assert met == {"size", "count", "amount", "colour", "light"}


def test_another_speaker_has_the_same_cue_and_another_cue_the_same_look() -> None:
    people = [facts for facts in FACTS if facts.label == SPEECH]
    known = [facts for facts in people if facts.heard["speaker"]]
    assert known and len(known) < len(people)
    looks = [(cue, look.hair, look.shirt) for cue, look in SPEAKERS.values()]
    for facts in known:
        seen = moved(facts, "speaker", RNG)
        assert seen["cue"] == facts.seen["cue"] and seen != facts.seen
        assert (seen["cue"], seen["hair"], seen["shirt"]) in looks
    for facts in people:
        assert ("speaker" in heard(facts)) == bool(facts.heard["speaker"])
        seen = moved(facts, "cue", RNG)
        assert seen["cue"] != facts.seen["cue"] and ("beard" in seen) == (seen["cue"] == "man")
        assert all(seen[name] == facts.seen[name] for name in ("hair", "glasses", "skin", "shirt"))
        assert (seen["cue"], seen["hair"]) != ("child", "silver"), "no child of the world has silver hair"


def test_a_guess_changes_at_most_the_attribute_and_is_sometimes_right() -> None:
    facts = next(one for one in FACTS if "count" in one.heard)
    guesses = [guessed(facts, "count", RNG) for _ in range(60)]
    assert {one["count"] for one in guesses} == {1, 2, 3}
    assert all({**one, "count": 0} == {**facts.seen, "count": 0} for one in guesses)


def test_changes_are_of_the_size_that_is_said() -> None:
    pixels = frame("test", 0)
    made = {kind: changed(pixels, kind, "church bell ringing", nuisances("test", 0, 9)) for kind in CHANGES}
    for kind, one in made.items():
        assert one is not None and one.dtype == np.uint8 and one.shape == pixels.shape
        assert not np.array_equal(one, pixels), kind
    inner = pixels[16:48, 16:48].astype(int)
    shifts = [(y, x) for y in (-4, 0, 4) for x in (-4, 0, 4) if x or y]
    assert any(np.array_equal(made["place"][16 - y : 48 - y, 16 - x : 48 - x], inner) for y, x in shifts)
    ratio = made["light"].sum() / pixels.sum()
    assert ratio == pytest.approx(0.8, abs=0.01) or 1 < ratio <= 1.2
    assert np.std(made["noise"][..., :] - pixels.astype(float)) == pytest.approx(12, abs=4)


def test_another_background_has_another_hue_and_leaves_the_thing_alone() -> None:
    pixels = frame("test", 0)
    one = changed(pixels, "background", "church bell ringing", nuisances("test", 0, 9))
    assert one is not None
    behind = (one != pixels).any(axis=2)
    assert behind[0].mean() > 0.9, "the upper edge is background"
    assert 0.1 < behind.mean() < 0.95
    assert np.abs(one.max(axis=2).astype(int) - pixels.max(axis=2)).max() <= 1, "of the same brightness"
    assert all(changed(pixels, "background", label, RNG) is None for label in SKIES)


def test_a_perfect_memory_recalls_the_clip_with_the_nearest_attributes() -> None:
    facts = world.facts_of("test", 0)
    others = {number: world.facts_of("train", number) for number in range(104)}
    best = true_frames.nearest_training_clip(0, others)
    assert others[best].label == facts.label
    assert true_frames.nearest_training_clip(0, {**others, 999: facts}) == 999
