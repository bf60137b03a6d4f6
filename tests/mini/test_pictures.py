from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise, product

import numpy as np
import pytest

from benchmark.mini.pictures import draw
from benchmark.mini.world import COLOURS, LABELS, LIGHTS, THING_OF, Value

ENDS: dict[str, tuple[Value, ...]] = {
    "size": (0.0, 0.5, 1.0),
    "amount": (0.0, 0.5, 1.0),
    "count": (1, 2, 3),
    "colour": COLOURS,
    "light": LIGHTS,
}


def paint(label: str, attributes: Mapping[str, Value], seed: int = 0) -> np.ndarray:
    return draw(label, attributes, np.random.default_rng(seed))


def middle(label: str) -> dict[str, Value]:
    return {attribute.name: ENDS[attribute.name][1] for attribute in THING_OF[label].attributes}


@pytest.mark.parametrize("label", LABELS)
def test_every_thing_draws_at_its_extremes(label: str) -> None:
    first, second = (attribute.name for attribute in THING_OF[label].attributes)
    for one, other in product(ENDS[first], ENDS[second]):
        picture = paint(label, {first: one, second: other})
        assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
        assert picture.std() > 10


@pytest.mark.parametrize("label", LABELS)
def test_a_picture_is_a_function_of_its_arguments(label: str) -> None:
    assert np.array_equal(paint(label, middle(label)), paint(label, middle(label)))
    assert not np.array_equal(paint(label, middle(label), 0), paint(label, middle(label), 1))


@pytest.mark.parametrize("label", LABELS)
def test_every_attribute_is_seen(label: str) -> None:
    for attribute in THING_OF[label].attributes:
        steps = [paint(label, {**middle(label), attribute.name: value}) for value in ENDS[attribute.name]]
        for one, other in pairwise(steps):
            changed = np.abs(one.astype(int) - other).max(axis=2) > 24
            assert changed.mean() > 0.01, attribute.name


@pytest.mark.parametrize("label", [label for label in LABELS if "colour" in middle(label)])
def test_the_colour_is_that_of_the_thing(label: str) -> None:
    red, yellow, blue = (paint(label, {**middle(label), "colour": colour}).astype(int) for colour in COLOURS)

    def share(picture: np.ndarray, name: str) -> float:
        r, g, b = np.moveaxis(picture, 2, 0)
        vivid = {"red": r - np.maximum(g, b), "yellow": np.minimum(r, g) - b, "blue": b - np.maximum(r, g)}[name]
        return float((vivid > 70).mean())

    for picture, name in ((red, "red"), (yellow, "yellow"), (blue, "blue")):
        others = [other for other in (red, yellow, blue) if other is not picture]
        assert share(picture, name) > 0.01 + max(share(other, name) for other in others)


def test_more_rain_covers_more_of_the_sky() -> None:
    dry = paint("raining", {"amount": 0.0, "light": "night"}).astype(int)
    changed = [
        (np.abs(paint("raining", {"amount": amount, "light": "night"}) - dry).max(axis=2) > 24).mean()
        for amount in (0.2, 0.5, 1.0)
    ]
    assert changed[0] < changed[1] < changed[2]


def test_size_of_the_picture() -> None:
    assert draw("thunder", {"count": 2, "colour": "red"}, np.random.default_rng(0), size=32).shape == (32, 32, 3)


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(ValueError, match="lute"):
        paint("lute", {"size": 0.5, "colour": "red"})
