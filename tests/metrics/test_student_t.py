"""The tail of Student's t, against scipy."""

from __future__ import annotations

import math

import pytest
from scipy.special import stdtr

from metrics.statistics import Welch
from metrics.student_t import two_sided


@pytest.mark.parametrize("freedom", [1.0, 1.37, 2.0, 3.5, 4.0, 11.2, 99.0])
@pytest.mark.parametrize("t", [0.0, 1e-6, 0.03, 0.7, 1.0, 2.776, 12.7, 400.0, 1e6])
def test_it_is_scipys_to_ten_digits(freedom: float, t: float):
    expected = 2 * float(stdtr(freedom, -t))
    assert two_sided(t, freedom) == pytest.approx(expected, rel=1e-10, abs=1e-300)
    assert two_sided(-t, freedom) == two_sided(t, freedom)


def test_an_infinite_statistic_leaves_no_chance():
    assert two_sided(math.inf, 3.0) == 0.0


@pytest.mark.parametrize("away", [0.0, 1e-9, 1e-7, 1e-3])
def test_a_level_close_to_the_p_value_is_decided_by_scipys(away: float):
    welch = Welch.of([1.0, 2.0, 3.0], [2.5, 3.5, 5.5])
    assert welch is not None
    assert welch.reaches(welch.p_value + away)
    assert welch.reaches(welch.p_value - away) == (away == 0.0)
