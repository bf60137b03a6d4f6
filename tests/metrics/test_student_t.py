"""The tail of Student's t distribution against scipy and against what is known of it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.special

from metrics.student_t import two_sided


@pytest.mark.parametrize("freedom", [0.1, 0.5, 1.0, 1.7, 2.0, 2.0875, 3.3, 4.0, 7.5, 12.0, 30.0, 60.0, 99.0])
def test_it_agrees_with_scipy(freedom):
    t = np.concatenate([10.0 ** np.linspace(-6, 3, 60), [0.3, 1.0, 2.0, math.sqrt(freedom)]])
    ours = [two_sided(value, freedom) for value in t]
    np.testing.assert_allclose(ours, 2 * scipy.special.stdtr(freedom, -t), rtol=1e-10)  # scipy errs by 3e-11


def test_many_degrees_of_freedom_cost_a_digit_or_two():
    for freedom in (1e3, 1e4, 1e6):
        assert two_sided(2.0, freedom) == pytest.approx(2 * scipy.special.stdtr(freedom, -2.0), rel=1e-8)
    assert two_sided(1.959963984540054, 1e6) == pytest.approx(0.05, rel=1e-5)


def test_closed_forms():
    for t in (1e-3, 0.2, 1.0, 5.0, 300.0):
        assert two_sided(t, 1.0) == pytest.approx(1 - 2 / math.pi * math.atan(t), rel=1e-11)
        assert two_sided(t, 2.0) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-9)


@pytest.mark.parametrize("freedom", [0.3, 2.5, 40.0])
def test_ends_sides_and_order(freedom):
    assert two_sided(0.0, freedom) == 1.0
    assert two_sided(math.inf, freedom) == two_sided(-math.inf, freedom) == 0.0
    assert 0.0 <= two_sided(1e200, freedom) < 1e-50
    assert two_sided(1e-200, freedom) == 1.0
    assert two_sided(-1.7, freedom) == two_sided(1.7, freedom)
    tails = [two_sided(t, freedom) for t in np.linspace(0, 20, 200)]
    assert all(before > after for before, after in itertools.pairwise(tails))
    assert math.isnan(two_sided(math.nan, freedom))
