"""Zero-shot content metrics: whether a classifier recognises the clip's class in the generated image (the AIC family).

The predicted class of an image is the text with the largest cosine, the first of equals; cosines closer than
`similarity.TIE` are equal.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.similarity import TIE, Array, blocks, indices, unit


def top1(images: ArrayLike, texts: ArrayLike) -> NDArray[np.intp]:
    """Return the predicted class of each image.

    Args:
        images: (N, d) embeddings of the generated images (CLIP ViT-L/14).
        texts: (C, d) embeddings of the class names in the same space: bare labels for `aic`, "a photo of {label}" for
            `aic.prompted`.

    Returns:
        (N,) int, index of a class.

    Raises:
        ValueError: Widths differ, there is no class, or an embedding is not finite or of length zero.
    """
    return top(images, texts, 1)[:, 0]


def top(images: ArrayLike, texts: ArrayLike, k: int) -> NDArray[np.intp]:
    """Return the `k` classes that are nearest to each image, the nearest first.

    Args:
        images: (N, d) embeddings of the generated images.
        texts: (C, d) embeddings of the class names.
        k: Number of classes, from 1 to C.

    Returns:
        (N, k) int, indices of classes; of equals the first comes first.

    Raises:
        ValueError: As `top1`, and for a `k` outside 1 to C.
    """
    x, t = _checked(images, texts)
    if not 1 <= k <= len(t):
        raise ValueError(f"k is {k}, but there are {len(t)} classes; use 1 to {len(t)}")
    best = np.empty((len(x), k), dtype=np.intp)
    for rows in blocks(len(x), len(t)):
        similarity = x[rows] @ t.T
        for place in range(k):
            nearest = (similarity >= similarity.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
            best[rows, place] = nearest
            similarity[np.arange(len(nearest)), nearest] = -np.inf
    return best


def rank(images: ArrayLike, texts: ArrayLike, labels: ArrayLike) -> NDArray[np.intp]:
    """Return how many class texts precede the true one in order of cosine; an equal text before it counts.

    Args:
        images: (N, d) embeddings of the generated images.
        texts: (C, d) embeddings of the class names.
        labels: (N,) int, the class of each image's clip.

    Returns:
        (N,) int, 0 where the true class is predicted.

    Raises:
        ValueError: As `top1`, and for a label outside the classes.
    """
    x, t = _checked(images, texts)
    true = indices(labels, "labels", len(x), len(t))
    before = np.empty(len(x), dtype=np.intp)
    for rows in blocks(len(x), len(t)):
        similarity = x[rows] @ t.T
        own = np.take_along_axis(similarity, true[rows, None], axis=1)
        earlier = np.arange(len(t)) < true[rows, None]
        before[rows] = np.count_nonzero(similarity > own + TIE, axis=1)
        before[rows] += np.count_nonzero(earlier & (np.abs(similarity - own) <= TIE), axis=1)
    return before


def aic(images: ArrayLike, texts: ArrayLike, labels: ArrayLike) -> Array:
    """Return 1 where the predicted class is the clip's label, else 0: audio-image content, chance 1/C.

    With the audio classifier's top classes as `labels` it is `aic.audio`: the agreement of image and audio, which needs
    no annotation.

    Source: BurakCanBiner/SonicDiffusion@36be618 evaluation.py, for bare labels and for taking the first of equals.

    Args:
        images: (N, d) embeddings of the generated images.
        texts: (C, d) embeddings of the class names.
        labels: (N,) int, the class of each image's clip.

    Returns:
        (N,) float64 scores, 0 or 1.

    Raises:
        ValueError: As `rank`.

    Example:
        >>> aic(images=[[1.0, 0.1], [0.2, 1.0]], texts=[[1.0, 0.0], [0.0, 1.0]], labels=[0, 0])
        array([1., 0.])
    """
    return np.where(rank(images, texts, labels) == 0, 1.0, 0.0)


def aic_top_k(images: ArrayLike, texts: ArrayLike, labels: ArrayLike, k: int) -> Array:
    """Return 1 where the clip's label is among the `k` nearest class texts, else 0: chance k/C.

    Args:
        images: (N, d) embeddings of the generated images.
        texts: (C, d) embeddings of the class names.
        labels: (N,) int, the class of each image's clip.
        k: Number of nearest texts that count, from 1 to C.

    Returns:
        (N,) float64 scores, 0 or 1.

    Raises:
        ValueError: As `rank`, and for a `k` outside 1 to C.
    """
    classes = len(np.asarray(texts))
    if not 1 <= k <= classes:
        raise ValueError(f"k is {k}, but there are {classes} classes; use 1 to {classes}")
    return np.where(rank(images, texts, labels) < k, 1.0, 0.0)


def aic_visible(images: ArrayLike, texts: ArrayLike, visible: Sequence[Collection[int]]) -> Array:
    """Return 1 where the predicted class is one that annotators saw in the clip, else 0; NaN where they saw none.

    Source of the annotation: VGGSounder (Bizilizi/VGGSounder).

    Args:
        images: (N, d) embeddings of the generated images.
        texts: (C, d) embeddings of the class names.
        visible: N collections of indices of visible classes, one per image.

    Returns:
        (N,) float64 scores, 0, 1 or NaN.

    Raises:
        ValueError: As `top1`, and for another number of collections than of images.
    """
    best = top1(images, texts)
    if len(visible) != len(best):
        raise ValueError(f"visible: expected {len(best)} sets, one per image, got {len(visible)}")
    return np.array([float(int(one) in seen) if len(seen) else np.nan for one, seen in zip(best, visible, strict=True)])


def _checked(images: ArrayLike, texts: ArrayLike) -> tuple[Array, Array]:
    x, t = unit(images, "images"), unit(texts, "texts")
    if not len(t):
        raise ValueError("texts: no class to choose from")
    if x.shape[1] != t.shape[1]:
        raise ValueError(f"images have width {x.shape[1]}, texts {t.shape[1]}; both must come from one space")
    return x, t
