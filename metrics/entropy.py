"""Entropy of classes: how many kinds of things a set of images shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.similarity import indices


@dataclass(frozen=True)
class ClassEntropy:
    """Shannon entropy of the shares of classes, in bits, with its 95 % interval."""

    bits: float
    low: float
    high: float
    most: float
    """The entropy of equal shares of all classes, log2 of their number."""
    counts: tuple[int, ...]
    """Number of images of each class."""

    @property
    def effective(self) -> float:
        """Number of equally frequent classes of the same entropy."""
        return 2.0**self.bits


def class_entropy(classes: ArrayLike, number: int, *, resamples: int = 2000, seed: int = 0) -> ClassEntropy:
    """Return the entropy of the classes of some images: 0 where all are of one class, log2(number) at equal shares.

    It is that of the observed shares, which lies below the truth by about (classes that occur - 1) / (2 N ln 2) bits.
    The interval is the basic bootstrap's, 2 H minus the quantiles of draws, which corrects for that.

    Args:
        classes: (N,) int, the class of each image.
        number: Number of classes.
        resamples: Number of draws.
        seed: Seed of the draws.

    Raises:
        ValueError: There is no image, or a class lies outside `number`.

    Example:
        >>> class_entropy([0, 1, 1, 0], 4).bits
        1.0
    """
    found = np.asarray(classes)
    if not len(found):
        raise ValueError("no image has a class, so there is nothing to take the entropy of")
    counts = np.bincount(indices(found, "classes", len(found), number), minlength=number)
    bits = float(_bits(counts[None] / len(found))[0])
    drawn = _bits(np.random.default_rng(seed).multinomial(len(found), counts / len(found), resamples) / len(found))
    low, high = np.quantile(2 * bits - drawn, [0.025, 0.975]).clip(0.0, math.log2(number))
    return ClassEntropy(bits, min(float(low), bits), max(float(high), bits), math.log2(number), tuple(counts.tolist()))


def _bits(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropies of the rows of (M, C) shares."""
    logs = np.log2(shares, where=shares > 0, out=np.zeros_like(shares))
    return np.abs((shares * logs).sum(axis=1))
