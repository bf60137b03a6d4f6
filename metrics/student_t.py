"""The tail of Student's t distribution, without the time that importing scipy takes.

The regularised incomplete beta function by its continued fraction, evaluated after Lentz (Press et al., Numerical
Recipes, 6.4). With fewer than a hundred degrees of freedom twelve digits are right.
"""

from __future__ import annotations

import math

_NOT_ZERO = 1e-300
_CONVERGED = 1e-15


def two_sided(t: float, freedom: float) -> float:
    """Return the probability that Student's t with `freedom` > 0 degrees of freedom lies at least as far from 0 as `t`.

    >>> two_sided(0.0, 3.0)
    1.0
    >>> round(two_sided(1.0, 1.0), 12)
    0.5
    """
    if math.isinf(t):
        return 0.0
    whole = freedom + t * t
    return _beta_ratio(freedom / 2, 0.5, freedom / whole, t * t / whole)


def _beta_ratio(a: float, b: float, x: float, rest: float) -> float:
    """Return I_x(a, b); `rest` is 1 - x, which a subtraction would round."""
    if x == 0.0 or rest == 0.0:
        return 0.0 if x == 0.0 else 1.0
    if x > (a + 1) / (a + b + 2):
        # Above the mean the fraction converges slowly.
        return 1.0 - _beta_ratio(b, a, rest, x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    return math.exp(log_front) / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    above, below = 1.0, 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1))
    value = below
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            above, below = _nonzero(1.0 + part / above), 1.0 / _nonzero(1.0 + part * below)
            value *= above * below
        if abs(above * below - 1.0) < _CONVERGED:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _NOT_ZERO else _NOT_ZERO
