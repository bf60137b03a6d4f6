"""Ladders of damage: which image each clip gets when a share of the clips is damaged, and what a metric makes of it.

A rung damages the clips of the rung before it and more, so that values along a ladder compare. A metric with a score a
clip is tested by a permutation test over the clips, paired with the undamaged images; a distance between sets by its
difference over the same random halves of the clips. The p values of a ladder are adjusted after Holm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from metrics.definitions import get
from metrics.statistics import half_sample_interval, holm

SHARES = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Shares of the clips that the rungs damage."""
LEVEL = 0.05
SAME = 1e-9
"""Values closer than this share of the larger one are equal."""

Order = NDArray[np.intp]


@dataclass(frozen=True)
class Rung:
    """The value of a metric where a share of the clips is damaged."""

    share: float
    value: float
    p_value: float
    """Of the difference from no damage, two-sided, adjusted for the number of rungs."""


@dataclass(frozen=True)
class Ladder:
    """What a metric makes of more and more of one damage."""

    damage: str
    metric: str
    undamaged: float
    rungs: tuple[Rung, ...]

    @property
    def _losses(self) -> list[float]:
        sign = -1.0 if get(self.metric).direction == "up" else 1.0
        values = [sign * one for one in (self.undamaged, *(rung.value for rung in self.rungs))]
        near = SAME * max(1.0, *map(abs, values))
        return [0.0 if abs(value - values[0]) <= near else value - values[0] for value in values]

    @property
    def blind(self) -> bool:
        """Whether no damage moves the value at all."""
        return not any(self._losses)

    @property
    def monotone(self) -> bool:
        """Whether no rung is better than the one before it."""
        return all(after >= before for before, after in pairwise(self._losses))

    @property
    def smallest(self) -> float | None:
        """The smallest damage that the clips show to be worse than none; None if they show none."""
        worse = zip(self.rungs, self._losses[1:], strict=True)
        return next((rung.share for rung, loss in worse if loss > 0 and rung.p_value <= LEVEL), None)

    @property
    def rewarded(self) -> bool:
        """Whether the whole damage is better than none, beyond chance."""
        return self._losses[-1] < 0 and self.rungs[-1].p_value <= LEVEL


def steps(clips: int) -> list[int]:
    """Return the number of damaged clips of each rung: at least two, which can exchange their images."""
    return sorted({max(2, round(share * clips)) for share in SHARES}) if clips > 1 else []


def in_turn(classes: NDArray[np.intp], rng: np.random.Generator, together: int = 1) -> Order:
    """Return the clips in a random order that takes `together` clips of a class, then of the next class, and so on."""
    shuffled = rng.permutation(len(classes))
    of_class: dict[int, list[int]] = defaultdict(list)
    for clip in shuffled:
        of_class[int(classes[clip])].append(int(clip))
    parts = [[some[at : at + together] for at in range(0, len(some), together)] for some in of_class.values()]
    return np.array(
        [clip for turn in zip_longest(*parts, fillvalue=[]) for part in turn for clip in part], dtype=np.intp
    )


def swapped(classes: NDArray[np.intp], chosen: Order, within: bool) -> Order:
    """Return whose image each clip gets when the chosen clips pass theirs on.

    Args:
        classes: (M,) class of each clip.
        chosen: The clips that exchange images.
        within: To a clip of the same class; else to one of another class, if at most half of them are of one class. A
            clip that finds no partner keeps its image.

    Returns:
        (M,) clip whose image each clip gets; every image is used once.
    """
    source = np.arange(len(classes))
    ordered = chosen[np.argsort(classes[chosen], kind="stable")]
    if not within:
        largest = int(np.unique(classes[chosen], return_counts=True)[1].max())
        source[ordered] = np.roll(ordered, largest) if 2 * largest <= len(ordered) else ordered
        return source
    for one in np.unique(classes[chosen]):
        own = ordered[classes[ordered] == one]
        source[own] = np.roll(own, 1)
    return source


def replaced(chosen: Order, kept: Order, replacement: Order) -> Order:
    """Return the image of each clip where the chosen clips get their replacement: (M,) of `kept` and `replacement`."""
    rows = kept.copy()
    rows[chosen] = replacement[chosen]
    return rows


def p_of_halves(difference: Callable[[Order], float], clips: int, whole: float) -> float:
    """Return the two-sided p value of a difference of two distances between sets; 1 for too few clips.

    Args:
        difference: Of the distances of half of the clips, from their sorted indices.
        clips: Number of clips.
        whole: The difference over all clips.
    """
    if (found := half_sample_interval(difference, clips, whole)) is None:
        return 1.0
    deviation = (found[1] - found[0]) / (2 * NormalDist().inv_cdf(0.975))
    if deviation == 0.0:
        return float(whole == 0.0)
    return 2 * NormalDist().cdf(-abs(whole) / deviation)


def ladder(
    damage: str, metric: str, shares: Sequence[float], values: Sequence[float], p_values: Sequence[float]
) -> Ladder:
    """Return a ladder from the values of no damage and of each share, and the unadjusted p values of the shares."""
    rungs = zip(shares, values[1:], holm(p_values), strict=True)
    return Ladder(damage, metric, values[0], tuple(Rung(*one) for one in rungs))
