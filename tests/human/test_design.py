from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.human.design import assign
from benchmark.utils.errors import UserError


@st.composite
def sizes(draw):
    clips, conditions = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    trials = draw(st.integers(1, clips))
    least = -(-clips * conditions // trials)
    return clips, conditions, draw(st.integers(least, 3 * least)), trials


@settings(max_examples=60, deadline=None)
@given(sizes(), st.integers(0, 99), st.integers(0, 4))
def test_every_pair_is_rated_as_often_and_no_clip_twice_on_a_sheet(size, seed, checks):
    clips, conditions, sheets, trials = size
    made = assign(clips, conditions, sheets, trials, np.random.default_rng(seed), checks)
    often = Counter({(c, m): 0 for c in range(clips) for m in range(conditions)})
    for sheet in made:
        rated = [place for place in sheet if place.expects is None]
        assert len(rated) == trials and len(sheet) == trials + checks
        assert len({place.clip for place in rated}) == trials
        often.update((place.clip, place.condition) for place in rated)
        assert abs(2 * sum(place.swapped for place in rated) - trials) <= 1, "sides are not balanced"
        assert sheet[0].expects is None, "a check comes first"
    assert max(often.values()) - min(often.values()) <= 1
    assert len(often) == clips * conditions


def test_a_sheet_has_as_many_of_each_method():
    for sheet in assign(30, 5, 20, 30, np.random.default_rng(0)):
        assert set(Counter(place.condition for place in sheet).values()) == {6}


def test_chance_decides_the_order_and_the_seed_decides_chance():
    first, again, other = (assign(20, 3, 6, 20, np.random.default_rng(seed), 2) for seed in (1, 1, 2))
    assert first == again != other
    orders = {tuple(place.condition for place in sheet) for sheet in first}
    assert len(orders) == len(first), "methods follow each other in a pattern"


def test_what_cannot_be_is_refused_with_the_way_out():
    with pytest.raises(UserError, match=r"--trials 9 is more than the 8 clips.*at most 8"):
        assign(8, 2, 4, 9, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"2 raters of 4 ratings leave some of the 16 images unrated.*--raters 4"):
        assign(8, 2, 2, 4, np.random.default_rng(0))
