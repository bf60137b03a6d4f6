"""What is said of a frame: in words, as tags, and blended into one vector."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmark.mini import captions, world
from benchmark.mini.captions import blend, sample_caption, statement, tags_of
from benchmark.mini.world import LABELS, SLOTS, SPEECH, Value, facts_of, label_of


def test_captions_say_what_is_true() -> None:
    rng = np.random.default_rng(0)
    seen: dict[str, Value] = {"size": 0.9, "count": 2}
    said = Counter()
    for _ in range(300):
        text, named = sample_caption("dog barking", seen, rng)
        assert "dog barking" in text and named.items() <= seen.items()
        assert ("huge" in text, "two" in text) == ("size" in named, "count" in named)
        said[len(named)] += 1
    assert min(said[0], said[1], said[2]) > 50


def test_a_face_is_named_in_part_or_whole() -> None:
    facts = facts_of("test", SLOTS.index(SPEECH))
    said = Counter()
    for seed in range(300):
        text, named = sample_caption(facts.label, facts.seen, np.random.default_rng(seed))
        assert named.items() <= facts.seen.items() and SPEECH in text
        said[len(named)] += 1
    assert set(said) == set(range(len(facts.seen) + 1)) and said[0] > 70 and said[len(facts.seen)] > 90


def test_a_name_is_never_said() -> None:
    for index in range(SLOTS.index(SPEECH), 1300, len(SLOTS)):
        facts = facts_of("pretrain", index)
        assert not {*world.SPEAKERS} & {*statement(facts.label, facts.seen).split()}


def test_tags() -> None:
    assert tags_of("dog barking", {"size": 0.9, "count": 2}) == ["dog barking", "size: huge", "count: two"]
    assert tags_of(SPEECH, {"cue": "man", "speaker": ""}) == [SPEECH, "cue: man"]
    every = captions.all_tags()
    assert len(set(every)) == len(every) and every[: len(LABELS)] == list(LABELS)
    for index in range(104):
        assert set(tags_of(label_of(index), facts_of("test", index).heard)) <= set(every)


def test_blend_has_no_steps() -> None:
    assert blend("count", 3) == [("three", 1.0)] and blend("colour", "red") == [("red", 1.0)]
    assert blend("size", 0.0) == blend("size", 0.1) == [("tiny", 1.0)] and blend("size", 1.0) == [("huge", 1.0)]
    for name, words in (("size", world.SIZE_WORDS), ("amount", world.AMOUNT_WORDS)):
        place = {word: number for number, word in enumerate(words)}
        means = []
        for value in np.linspace(0, 1, 41):
            mixed = blend(name, float(value))
            assert sum(weight for _, weight in mixed) == pytest.approx(1) and all(weight > 0 for _, weight in mixed)
            means.append(sum(place[word] * weight for word, weight in mixed))
        assert means == sorted(means) and means[0] == 0 and means[-1] == len(words) - 1
        assert max(np.diff(means)) < 0.2
