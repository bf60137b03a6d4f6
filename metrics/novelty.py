"""Novelty: whether generated images lie as far from the training frames as unseen true frames do, or are copies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.similarity import TIE, Array, blocks, unit

COPY = 5.0
"""A row is one of copies if its novelty, or the upper end of its interval, lies below this percentage."""


class Novelty(NamedTuple):
    """How far images and true frames are from the training frames.

    Attributes:
        share: (N,) share of the true frames that lie nearer to a training frame than the image does, ties half.
        images: (N,) distance of each image to the nearest training frame, 1 - cosine.
        frames: (R,) the same of each true frame.
    """

    share: Array
    images: Array
    frames: Array


def novelty(images: ArrayLike, frames: ArrayLike, training: ArrayLike) -> Novelty:
    """Compare the distances of images to the nearest training frame with those of unseen true frames.

        d(z) = min over training frames t of (1 - cos(z, t))
        share_i = mean over true frames y of [d(y) < d(x_i)] + [equal] / 2

    The mean share is the Mann-Whitney statistic: 1/2 where images are as near to the training frames as unseen frames
    are, and for the unseen frames themselves. Copies have 0. More than 1/2 is no merit: noise has 1.

    Source: Meehan et al. 2020 (2004.05675), without their partition of the space into cells.

    Args:
        images: (N, d) features of the generated images.
        frames: (R, d) features of true frames that nobody was trained on.
        training: (T, d) features of the training frames.

    Raises:
        ValueError: Widths differ, a set of frames is empty, or a row is not finite or of length zero.

    Example:
        >>> novelty(images=[[1, 0], [1, 1]], frames=[[4, 1], [1, 4]], training=[[1, 0], [0, 1]]).share
        array([0., 1.])
    """
    x, y, known = unit(images, "images"), unit(frames, "frames"), unit(training, "training")
    if not len(y) or not len(known):
        raise ValueError(f"{len(y)} true frames and {len(known)} training frames: at least one each is needed")
    if not x.shape[1] == y.shape[1] == known.shape[1]:
        raise ValueError(f"widths {x.shape[1]}, {y.shape[1]} and {known.shape[1]}; all must come from one network")
    ours, theirs = _distance(x, known), _distance(y, known)
    ordered = np.sort(theirs)
    below = np.searchsorted(ordered, ours - TIE, side="left")
    up_to = np.searchsorted(ordered, ours + TIE, side="right")
    return Novelty((below + up_to) / (2.0 * len(y)), ours, theirs)


def _distance(rows: Array, known: Array) -> Array:
    """Return the distance of each row to the nearest of `known`, all of unit length."""
    nearest = np.empty(len(rows))
    for some in blocks(len(rows), len(known)):
        nearest[some] = (rows[some] @ known.T).max(axis=1)
    return 1.0 - nearest
