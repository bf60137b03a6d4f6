"""Does a zero-shot classifier see the right class in the generated image? The AIC family, from embeddings.

Common arguments
    images  (N, d) embeddings of the generated images (CLIP ViT-L/14)
    texts   (C, d) embeddings of the class names in the same space: bare labels for `aic`, "a photo of {label}" for
            `aic.prompted`
    labels  (N,) int, the class of each image's clip
Scores are one float64 0 or 1 per image, (N,). The class of an image is the text with the largest cosine, the first of
equals (cosines closer than `similarity.TIE` are equal). Raises `ValueError` like `similarity`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.similarity import TIE, Array, blocks, indices, unit


def top1(images: ArrayLike, texts: ArrayLike) -> NDArray[np.intp]:
    """The predicted class of each image, (N,) int."""
    x, t = _checked(images, texts)
    best = np.empty(len(x), dtype=np.intp)
    for rows in blocks(len(x), len(t)):
        similarity = x[rows] @ t.T
        best[rows] = (similarity >= similarity.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
    return best


def rank(images: ArrayLike, texts: ArrayLike, labels: ArrayLike) -> NDArray[np.intp]:
    """How many class texts come before the true one in order of cosine, (N,) int; an equal text before it counts."""
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
    """1 where the predicted class is the clip's label: AIC, chance 1/C.

    Source of bare labels and of the first of equals: BurakCanBiner/SonicDiffusion@36be618 evaluation.py. With the audio
    classifier's classes for `labels` it is `aic.audio`: agreement of picture and sound, no annotation needed.
    """
    return np.where(rank(images, texts, labels) == 0, 1.0, 0.0)


def aic_top_k(images: ArrayLike, texts: ArrayLike, labels: ArrayLike, k: int) -> Array:
    """1 where the clip's label is among the k best class texts, chance k/C. `k` from 1 to C, else `ValueError`."""
    classes = len(np.asarray(texts))
    if not 1 <= k <= classes:
        raise ValueError(f"k is {k}, but there are {classes} classes; use 1 to {classes}")
    return np.where(rank(images, texts, labels) < k, 1.0, 0.0)


def aic_visible(images: ArrayLike, texts: ArrayLike, visible: Sequence[Collection[int]]) -> Array:
    """1 where the predicted class is any of the classes that annotators saw in the clip; NaN where they saw none.

    `visible` has one collection of class indices per image. Source of the annotation: VGGSounder (Bizilizi/VGGSounder).
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
