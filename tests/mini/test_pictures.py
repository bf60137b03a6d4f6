"""The pictures: every thing is drawn, every attribute is seen, faces show who speaks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise, product

import numpy as np
import pytest

from benchmark.mini.pictures.draw import draw
from benchmark.mini.world import (
    COLOURS,
    CUES,
    HAIRS,
    LABELS,
    LIGHTS,
    SHIRTS,
    SKINS,
    SPEAKERS,
    SPEECH,
    THING_OF,
    Value,
    facts_of,
)

ENDS: dict[str, tuple[Value, ...]] = {
    "size": (0.0, 0.5, 1.0),
    "amount": (0.0, 0.5, 1.0),
    "count": (1, 2, 3),
    "colour": COLOURS,
    "light": LIGHTS,
}
THINGS = [label for label in LABELS if label != SPEECH]
FACE: dict[str, Value] = {"cue": "man", "hair": "brunette", "beard": 0, "glasses": 0, "skin": "tan", "shirt": "red"}


def paint(label: str, seen: Mapping[str, Value], seed: int = 0) -> np.ndarray:
    return draw(label, seen, np.random.default_rng(seed))


def middle(label: str) -> dict[str, Value]:
    return {attribute.name: ENDS[attribute.name][1] for attribute in THING_OF[label].attributes}


@pytest.mark.parametrize("label", THINGS)
def test_every_thing_draws_at_its_extremes(label: str) -> None:
    first, second = (attribute.name for attribute in THING_OF[label].attributes)
    for one, other in product(ENDS[first], ENDS[second]):
        picture = paint(label, {first: one, second: other})
        assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
        assert picture.std() > 10


@pytest.mark.parametrize("label", THINGS)
def test_a_picture_is_a_function_of_its_arguments(label: str) -> None:
    assert np.array_equal(paint(label, middle(label)), paint(label, middle(label)))
    assert not np.array_equal(paint(label, middle(label), 0), paint(label, middle(label), 1))


@pytest.mark.parametrize("label", THINGS)
def test_every_attribute_is_seen(label: str) -> None:
    for attribute in THING_OF[label].attributes:
        steps = [paint(label, {**middle(label), attribute.name: value}) for value in ENDS[attribute.name]]
        for one, other in pairwise(steps):
            changed = np.abs(one.astype(int) - other).max(axis=2) > 24
            assert changed.mean() > 0.01, attribute.name


@pytest.mark.parametrize("label", [label for label in THINGS if "colour" in middle(label)])
def test_the_colour_is_that_of_the_thing(label: str) -> None:
    red, yellow, blue = (paint(label, {**middle(label), "colour": colour}).astype(int) for colour in COLOURS)

    def share(picture: np.ndarray, name: str) -> float:
        r, g, b = np.moveaxis(picture, 2, 0)
        vivid = {"red": r - np.maximum(g, b), "yellow": np.minimum(r, g) - b, "blue": b - np.maximum(r, g)}[name]
        return float((vivid > 70).mean())

    for picture, name in ((red, "red"), (yellow, "yellow"), (blue, "blue")):
        others = [other for other in (red, yellow, blue) if other is not picture]
        assert share(picture, name) > 0.01 + max(share(other, name) for other in others)


@pytest.mark.parametrize(("label", "light"), [("raining", "night"), ("stream burbling", "day")])
def test_a_larger_amount_covers_more(label: str, light: str) -> None:
    least = paint(label, {"amount": 0.0, "light": light}).astype(int)
    changed = [
        (np.abs(paint(label, {"amount": amount, "light": light}) - least).max(axis=2) > 24).mean()
        for amount in (0.2, 0.5, 1.0)
    ]
    assert changed[0] < changed[1] < changed[2]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cue", CUES),
        ("hair", HAIRS),
        ("beard", (0, 1)),
        ("glasses", (0, 1)),
        ("skin", SKINS),
        ("shirt", SHIRTS),
    ],
)
def test_every_part_of_a_look_is_seen(name: str, values: tuple[Value, ...]) -> None:
    faces = [paint(SPEECH, {**FACE, name: value}).astype(int) for value in values]
    for one, other in pairwise(faces):
        assert (np.abs(one - other).max(axis=2) > 24).mean() > 0.01


def test_known_speakers_differ_and_strangers_are_none_of_them() -> None:
    assert len(set(SPEAKERS.values())) == len(SPEAKERS) == 8
    assert {cue for cue, _ in SPEAKERS.values()} == set(CUES)
    looks = {}
    for index in range(12, 2600, 26):
        facts = facts_of("test", index)
        assert facts.label == SPEECH and facts.heard["speaker"] in SPEAKERS
        looks.setdefault(facts.heard["speaker"], set()).add(tuple(facts.seen.items()))
    assert set(looks) == set(SPEAKERS) and all(len(seen) == 1 for seen in looks.values())
    known = {look for seen in looks.values() for look in seen}
    strangers = [facts_of("test", index) for index in range(25, 5200, 26)]
    assert all(facts.heard["speaker"] == "" and tuple(facts.seen.items()) not in known for facts in strangers)
    assert len({tuple(facts.seen.items()) for facts in strangers}) > 80


def test_size_of_the_picture() -> None:
    assert draw("thunder", {"count": 2, "colour": "red"}, np.random.default_rng(0), size=32).shape == (32, 32, 3)


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(ValueError, match="lute"):
        paint("lute", {"size": 0.5, "colour": "red"})
