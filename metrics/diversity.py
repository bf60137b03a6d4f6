"""Diversity: how different the images of one clip are from each other, and those of different clips of a class.

All formulas take cosines of features, so their lengths do not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.similarity import Array, indices, unit


def vendi(features: ArrayLike) -> float:
    """Return the Vendi score of a set of images: the effective number of different ones, from 1 to n.

        exp(- sum over i of l_i log l_i),   l the eigenvalues of K / n,   K_ij = cos(x_i, x_j)

    Equal images have 1, and n images at right angles to each other n.

    Source: Friedman and Dieng 2023 (2210.02410), order 1.

    Args:
        features: (n, d) features of the images.

    Raises:
        ValueError: There is no image, or a row is not finite or of length zero.

    Example:
        >>> vendi([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
        1.8898815748423097
    """
    x = unit(features, "features")
    if not len(x):
        raise ValueError("no image: the score is of one or more")
    # X X' and X' X have the same eigenvalues besides zero.
    kernel = x @ x.T if len(x) <= x.shape[1] else x.T @ x
    shares = np.linalg.eigvalsh(kernel / len(x))
    shares = shares[shares > 0]
    return float(np.clip(np.exp(-np.sum(shares * np.log(shares))), 1.0, len(x)))


def vendi_of_clips(features: ArrayLike, owner: ArrayLike, clips: int) -> Array:
    """Return the Vendi score of each clip's images, (clips,); NaN for a clip with fewer than two.

    Args:
        features: (N, d) features of the images.
        owner: (N,) int, the clip of each image.
        clips: Number of clips.

    Raises:
        ValueError: As `vendi`, and for an `owner` of another length or outside the clips.
    """
    x = unit(features, "features")
    return np.array([vendi(x[rows]) if len(rows) > 1 else np.nan for rows in _by_clip(x, owner, clips)])


def spread_within(features: ArrayLike, owner: ArrayLike, clips: int) -> Array:
    """Return the mean of 1 - cosine over the pairs of each clip's images, (clips,); NaN for a clip with fewer than two.

    Args:
        features: (N, d) features of the images.
        owner: (N,) int, the clip of each image.
        clips: Number of clips.

    Raises:
        ValueError: A row is not finite or of length zero, or `owner` has another length or points outside the clips.

    Example:
        >>> spread_within([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], owner=[0, 0, 1], clips=2)
        array([ 1., nan])
    """
    x = unit(features, "features")
    scores = np.full(clips, np.nan)
    for clip, rows in enumerate(_by_clip(x, owner, clips)):
        if (count := len(rows)) > 1:
            cosines = np.square(x[rows].sum(axis=0)).sum() - count
            scores[clip] = np.clip(1.0 - cosines / (count * (count - 1)), 0.0, 2.0)
    return scores


def spread_between(features: ArrayLike, owner: ArrayLike, classes: ArrayLike) -> Array:
    """Return the mean of 1 - cosine between each clip's images and those of the other clips of its class.

    Every other clip has the same weight, however many images it has.

    Args:
        features: (N, d) features of the images; of true frames, N = M.
        owner: (N,) int, the clip of each image.
        classes: (M,) int, the class of each clip.

    Returns:
        (M,) means; NaN for a clip without an image, or without another clip of its class that has one.

    Raises:
        ValueError: A row is not finite or of length zero, or `owner` has another length or points outside the clips.

    Example:
        >>> spread_between([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], owner=[0, 1, 2], classes=[0, 0, 1])
        array([ 1.,  1., nan])
    """
    x, label = unit(features, "features"), np.asarray(classes)
    rows = _by_clip(x, owner, len(label))
    means = np.array([x[some].mean(axis=0) if len(some) else np.full(x.shape[1], np.nan) for some in rows])
    scores = np.full(len(label), np.nan)
    for one in np.unique(label):
        members = np.array([clip for clip in np.flatnonzero(label == one) if len(rows[clip])], dtype=np.intp)
        if len(members) > 1:
            own = means[members]
            others = (own.sum(axis=0) - own) / (len(members) - 1)
            scores[members] = np.clip(1.0 - (own * others).sum(axis=1), 0.0, 2.0)
    return scores


def _by_clip(features: Array, owner: ArrayLike, clips: int) -> list[NDArray[np.intp]]:
    """Return the rows of each clip's images."""
    index = indices(owner, "owner", len(features), clips)
    order = np.argsort(index, kind="stable")
    return np.split(order, np.searchsorted(index[order], np.arange(1, clips)))
