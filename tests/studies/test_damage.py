"""Ladders: who gets whose image, and when a damage counts as shown."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.studies.damage import in_turn, ladder, p_of_halves, replaced, steps, swapped

CLASSES = np.repeat(np.arange(6), 5)


def test_rungs_are_nested_and_take_the_classes_in_turn() -> None:
    order = in_turn(CLASSES, np.random.default_rng(0))
    assert sorted(order) == list(range(30))
    assert all(len({*CLASSES[order[at : at + 6]].tolist()}) == 6 for at in range(0, 30, 6))
    pairs = in_turn(CLASSES, np.random.default_rng(0), together=2)
    assert all(CLASSES[pairs[at]] == CLASSES[pairs[at + 1]] for at in range(0, 24, 2)), "two of a class"
    assert steps(30) == [2, 3, 8, 15, 30] and steps(1) == []


@pytest.mark.parametrize("count", [2, 3, 8, 15, 30])
def test_swapping_uses_every_image_once(count: int) -> None:
    across = in_turn(CLASSES, np.random.default_rng(1))[:count]
    source = swapped(CLASSES, across, within=False)
    assert sorted(source) == list(range(30))
    assert all(CLASSES[clip] != CLASSES[source[clip]] for clip in across)
    assert all(source[clip] == clip for clip in range(30) if clip not in across)
    chosen = in_turn(CLASSES, np.random.default_rng(1), together=2)[:count]
    source = swapped(CLASSES, chosen, within=True)
    assert sorted(source) == list(range(30)) and (CLASSES[source] == CLASSES).all()
    assert (source != np.arange(30)).sum() >= count - 1, "one may find no partner"


def test_who_is_not_chosen_keeps_the_image() -> None:
    rows = replaced(np.array([1, 3]), np.arange(4), np.arange(4) + 10)
    assert rows.tolist() == [0, 11, 2, 13]


def test_a_damage_is_shown_from_the_first_rung_that_is_surely_worse() -> None:
    one = ladder("d", "ais", [0.1, 0.5, 1.0], [90, 89, 70, 50], [0.4, 0.001, 0.001])
    assert (one.smallest, one.monotone, one.blind, one.rewarded) == (0.5, True, False, False)
    assert [rung.p_value for rung in one.rungs] == [0.4, 0.003, 0.003], "after Holm"
    worse = ladder("d", "fd.clip", [0.5, 1.0], [3.0, 9.0, 8.0], [0.001, 0.001])
    assert (worse.smallest, worse.monotone) == (0.5, False), "a larger distance is worse"
    better = ladder("d", "ais", [0.5, 1.0], [80, 85, 90], [0.001, 0.001])
    assert better.rewarded and better.smallest is None and not better.monotone
    blind = ladder("d", "kid.clip", [0.5, 1.0], [0.25, 0.25 + 1e-15, 0.25], [1.0, 1.0])
    assert blind.blind and blind.smallest is None and blind.monotone and not blind.rewarded


def test_halves_tell_a_sure_difference_from_none() -> None:
    noise = np.random.default_rng(0).normal(size=400)

    def mean(values: np.ndarray):
        return lambda half: float(values[half].mean())

    assert p_of_halves(mean(noise + 1), 400, float((noise + 1).mean())) < 1e-6
    assert p_of_halves(mean(noise - noise.mean()), 400, 0.0) == 1.0
    assert p_of_halves(mean(np.zeros(400)), 400, 0.0) == 1.0
    assert p_of_halves(mean(noise), 2, 0.1) == 1.0, "too few clips"
