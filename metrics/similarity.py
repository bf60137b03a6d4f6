"""Similarity between generated images and their clips, from embeddings: the definitions of AIS and IIS.

One family of formulas serves both: AIS compares images with audio (Wav2CLIP beside CLIP ViT-B/32), IIS with the true
frames (CLIP ViT-L/14). Published numbers under these names come from formulas that cannot be compared, so each formula
has its own function here.

All functions return one float64 score per image, rates as fractions. NaN means that an image has no score because there
is nothing to compare it with, such as in a class of one clip; it never stands for a number.

Embeddings are scaled to unit length in float64. Cosines closer than `TIE` are equal: the tolerance lies far below the
resolution of float32 embeddings and far above the rounding of a product, so that ties do not depend on how a matrix
product was split into blocks, on the order of the clips or on the number of threads. Memory grows with N + M, not with
N * M.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

TIE = 1e-12
# Below the resolution of float32 embeddings a spread is rounding, and dividing by it would invent a score.
SPREAD = 1e-7
BLOCK_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class Family:
    """All scores that follow from one pass over the similarities, (N,) each; the functions of these names define them.

    `z` is defined by `zscore`.
    """

    winrate: Array
    winrate_inclusive: Array
    winrate_crossclass: Array
    winrate_sameclass: Array
    cosine: Array
    z: Array
    arccos: Array


def winrate(images: ArrayLike, counterparts: ArrayLike, owner: ArrayLike) -> Array:
    """Share of the *other* clips' counterparts that are less similar to the image than its own, ties half.

        score_i = mean over j != owner_i of [cos(x_i, c_j) < cos(x_i, c_own)] + [equal] / 2

    Chance is 1/2, also for a generator that draws one image whatever the audio. This is the definition of AIS and IIS
    in the tables.

    Args:
        images: (N, d) embeddings of the generated images; a clip may own several.
        counterparts: (M, d) embedding of each clip's audio (AIS) or true frame (IIS), in the same space.
        owner: (N,) int, the clip of each image: an index into `counterparts`.

    Returns:
        (N,) scores from 0 to 1; NaN for a single clip.

    Raises:
        ValueError: As `family`.

    Example:
        >>> images = [[0.8, 0.6], [0.0, 1.0], [0.6, 0.8]]
        >>> audio = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
        >>> winrate(images, audio, owner=[0, 1, 2])
        array([0.5, 1. , 1. ])
    """
    return family(images, counterparts, owner).winrate


def winrate_inclusive(
    images: ArrayLike, counterparts: ArrayLike, owner: ArrayLike, pool: ArrayLike | None = None
) -> Array:
    """Share of a pool that is strictly less similar to the image than its own counterpart; a tie is a loss.

    Chance is slightly below 1/2, and 0 for a generator that ties with everything.

    Source: BurakCanBiner/SonicDiffusion@36be618 evaluation.py; also the formula of FlowBind and MUNI.

    Args:
        images: (N, d) embeddings of the generated images; a clip may own several.
        counterparts: (M, d) embedding of each clip's audio or true frame, in the same space.
        owner: (N,) int, the clip of each image: an index into `counterparts`.
        pool: (K, d) embeddings to compare with, used as stored: rows are not scaled. By default all clips'
            counterparts, the own one included; it ties with itself, so the score is at most (M - 1) / M.

    Returns:
        (N,) scores from 0 to 1; NaN for an empty pool.

    Raises:
        ValueError: As `family`, and for a pool of another width.
    """
    if pool is None:
        return family(images, counterparts, owner).winrate_inclusive
    x, own, index = _checked(images, counterparts, owner)
    others = matrix(pool, "pool")
    if not len(others):
        return np.full(len(x), np.nan)
    if others.shape[1] != x.shape[1]:
        raise ValueError(f"pool: width {others.shape[1]}, images have {x.shape[1]}; both must come from one space")
    scale = max(1.0, float(np.linalg.norm(others, axis=1).max()))
    pair = np.einsum("nd,nd->n", x, own[index])
    wins = np.empty(len(x))
    for rows in blocks(len(x), len(others)):
        wins[rows] = np.count_nonzero(x[rows] @ others.T < pair[rows, None] - TIE * scale, axis=1)
    return wins / len(others)


def winrate_crossclass(images: ArrayLike, counterparts: ArrayLike, owner: ArrayLike, classes: ArrayLike) -> Array:
    """`winrate` against the clips of other classes only, ties half.

    This is the exact expectation of comparing with one clip of another class, drawn at random. Chance is 1/2. The score
    saturates as soon as the class is right.

    Source of the pool: Seagle27/GenAIProject@1c42101 evaluation.py (there one random draw, averaged over 20, ties
    lost).

    Args:
        images: (N, d) embeddings of the generated images; a clip may own several.
        counterparts: (M, d) embedding of each clip's audio or true frame, in the same space.
        owner: (N,) int, the clip of each image: an index into `counterparts`.
        classes: (M,) int, the class of each clip.

    Returns:
        (N,) scores from 0 to 1; NaN where all clips are of one class.

    Raises:
        ValueError: As `family`.
    """
    return family(images, counterparts, owner, classes).winrate_crossclass


def winrate_sameclass(images: ArrayLike, counterparts: ArrayLike, owner: ArrayLike, classes: ArrayLike) -> Array:
    """`winrate` against the other clips of the same class, ties half: whether more than the class was recognised.

    Chance is 1/2, which is also the score of an image made from the class name alone.

    Args:
        images: (N, d) embeddings of the generated images; a clip may own several.
        counterparts: (M, d) embedding of each clip's audio or true frame, in the same space.
        owner: (N,) int, the clip of each image: an index into `counterparts`.
        classes: (M,) int, the class of each clip.

    Returns:
        (N,) scores from 0 to 1; NaN for a class of one clip.

    Raises:
        ValueError: As `family`.
    """
    return family(images, counterparts, owner, classes).winrate_sameclass


def cosine(images: ArrayLike, counterparts: ArrayLike, owner: ArrayLike) -> Array:
    """Cosine between the image and its own counterpart.

    Its scale is that of the pair of encoders, so there is no chance level.

    Args:
        images: (N, d) embeddings of the generated images; a clip may own several.
        counterparts: (M, d) embedding of each clip's audio or true frame, in the same space.
        owner: (N,) int, the clip of each image: an index into `counterparts`.

    Returns:
        (N,) scores from -1 to 1.

    Raises:
        ValueError: As `family`.
    """
    return family(images, counterparts, owner).cosine


def zscore(images: ArrayLike, counterparts: ArrayLike, owner: ArrayLike) -> Array:
    """The pair's cosine in standard deviations from those of all *other clips'* images with the same counterpart.

        score_i = (cos(x_i, c_own) - mean_k cos(x_k, c_own)) / std_k cos(x_k, c_own),   k: images of other clips

    Here the image varies and the counterpart is fixed. The standard deviation is that of the population; chance is 0.

    Source: alxzzhou/MACS@433b1ad evaluation/ais.py.

    Args:
        images: (N, d) embeddings of the generated images; a clip may own several.
        counterparts: (M, d) embedding of each clip's audio or true frame, in the same space.
        owner: (N,) int, the clip of each image: an index into `counterparts`.

    Returns:
        (N,) scores, unbounded; NaN where the other images are fewer than two or all equally similar.

    Raises:
        ValueError: As `family`.
    """
    return family(images, counterparts, owner).z


def arccos(images: ArrayLike, counterparts: ArrayLike, owner: ArrayLike) -> Array:
    """The pair's cosine minus the mean cosine with the other clips' counterparts, through arccos.

        score_i = 1 - arccos(clip(cos(x_i, c_own) - mean_{j != own} cos(x_i, c_j), -1, 1)) / pi

    Chance is 1/2.

    Source: AlfredoBaione/Music_to_figurative_art@11583d7 AIS_complete.py, which takes the arccos of the mean difference
    (for differences below 0.3 the two agree to 0.2 of a point in 100).

    Args:
        images: (N, d) embeddings of the generated images; a clip may own several.
        counterparts: (M, d) embedding of each clip's audio or true frame, in the same space.
        owner: (N,) int, the clip of each image: an index into `counterparts`.

    Returns:
        (N,) scores from 0 to 1; NaN for a single clip.

    Raises:
        ValueError: As `family`.
    """
    return family(images, counterparts, owner).arccos


def family(
    images: ArrayLike,
    counterparts: ArrayLike,
    owner: ArrayLike,
    classes: ArrayLike | None = None,
    *,
    block_bytes: int = BLOCK_BYTES,
) -> Family:
    """Compute all scores in one pass over blocks of the (N, M) cosines.

    Args:
        images: (N, d) embeddings of the generated images; a clip may own several.
        counterparts: (M, d) embedding of each clip's audio (AIS) or true frame (IIS), in the same space.
        owner: (N,) int, the clip of each image: an index into `counterparts`.
        classes: (M,) int, the class of each clip; by default all clips are of one class.
        block_bytes: Most bytes of a block of cosines. Scores do not depend on it.

    Raises:
        ValueError: An embedding has length zero or is not finite, shapes do not fit together, or an owner lies outside
            the clips.
    """
    x, c, index = _checked(images, counterparts, owner)
    clips = len(c)
    labels = np.zeros(clips, dtype=np.intp) if classes is None else indices(classes, "classes", clips)

    # Clips of a class lie side by side, so that one segmented sum gives the comparisons within every class.
    order = np.argsort(labels, kind="stable")
    _, starts, group, sizes = np.unique(labels[order], return_index=True, return_inverse=True, return_counts=True)
    c, column = c[order], np.argsort(order)[index]

    balance, within, wins = np.empty(len(x)), np.empty(len(x)), np.empty(len(x))
    pair, others = np.empty(len(x)), np.empty(len(x))
    shift, total, squares = np.zeros(clips), np.zeros(clips), np.zeros(clips)
    for rows in blocks(len(x), clips, block_bytes):
        similarity = x[rows] @ c.T
        line, own = np.arange(len(similarity)), column[rows]
        pair[rows] = similarity[line, own]
        beaten = similarity < pair[rows, None] - TIE
        sign = beaten.view(np.int8) - (similarity > pair[rows, None] + TIE).view(np.int8)
        segments = np.add.reduceat(sign, starts, axis=1, dtype=np.int64)
        balance[rows] = segments.sum(axis=1)
        within[rows] = segments[line, group[own]]
        wins[rows] = np.count_nonzero(beaten, axis=1)
        others[rows] = similarity.sum(axis=1) - pair[rows]
        if rows.start == 0:
            shift = similarity[0].copy()
        similarity -= shift
        similarity[line, own] = 0.0
        total += similarity.sum(axis=0)
        squares += np.einsum("nm,nm->m", similarity, similarity)

    peers = (sizes[group] - 1)[column]
    with np.errstate(invalid="ignore", divide="ignore"):
        rivals = len(x) - np.bincount(column, minlength=clips)
        mean = total / rivals
        deviation = np.sqrt(np.maximum(squares / rivals - mean**2, 0.0))
        deviation[deviation < SPREAD] = np.nan
        margin = pair - others / np.float64(clips - 1)
        return Family(
            winrate=_share(balance, np.full(len(x), clips - 1)),
            winrate_inclusive=wins / clips,
            winrate_crossclass=_share(balance - within, clips - 1 - peers),
            winrate_sameclass=_share(within, peers),
            cosine=pair,
            z=(pair - (shift + mean)[column]) / deviation[column],
            arccos=1.0 - np.arccos(np.clip(margin, -1.0, 1.0)) / np.pi,
        )


def _share(balance: Array, pool: NDArray[np.intp]) -> Array:
    """Return wins plus half the ties as a share of the pool, from wins minus losses; NaN for an empty pool."""
    return np.where(pool > 0, (pool + balance) / (2.0 * np.maximum(pool, 1)), np.nan)


def blocks(rows: int, columns: int, block_bytes: int = BLOCK_BYTES) -> list[slice]:
    """Return slices over `rows`, at least one row each, whose float64 blocks of `columns` columns fit `block_bytes`."""
    step = max(1, block_bytes // (8 * max(1, columns)))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def matrix(values: ArrayLike, name: str) -> Array:
    """Return `values` as a finite (n, d) float64 matrix.

    Args:
        values: Rows of numbers.
        name: What the values are, for the error message.

    Raises:
        ValueError: `values` is not a matrix, or a row is not finite; the message gives the first such row.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"{name}: expected a matrix of one row each, got shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise ValueError(f"{name}: row {bad[0]} is not finite ({len(bad)} such rows); embed those items again")
    return array


def unit(values: ArrayLike, name: str) -> Array:
    """Return `values` as a float64 matrix with rows scaled to unit length.

    Args:
        values: Rows of numbers.
        name: What the values are, for the error message.

    Raises:
        ValueError: As `matrix`, and for a row of length zero.
    """
    array = matrix(values, name)
    # Dividing by the largest entry first keeps the squares of very small and very large rows within range.
    largest = np.abs(array).max(axis=1, keepdims=True, initial=0.0)
    if len(zero := np.flatnonzero(largest == 0.0)):
        raise ValueError(f"{name}: row {zero[0]} has length zero ({len(zero)} such rows); embed those items again")
    scaled: Array = array / largest
    scaled /= np.sqrt(np.einsum("nd,nd->n", scaled, scaled))[:, None]
    return scaled


def indices(values: ArrayLike, name: str, length: int, below: int | None = None) -> NDArray[np.intp]:
    """Return `values` as an array of `length` integers.

    Args:
        values: The integers.
        name: What they are, for the error message.
        length: How many there must be.
        below: Upper bound of the values, exclusive; the lower bound is then 0. None leaves them unbounded.

    Raises:
        ValueError: `values` are not `length` integers, or one lies outside the range.
    """
    array = np.asarray(values)
    if array.shape != (length,) or not (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        raise ValueError(f"{name}: expected {length} integers, got {array.dtype} of shape {array.shape}")
    if below is not None and len(bad := np.flatnonzero((array < 0) | (array >= below))):
        raise ValueError(f"{name}: entry {bad[0]} is {array[bad[0]]}, expected 0 to {below - 1}")
    return array.astype(np.intp)


def _checked(images: ArrayLike, counterparts: ArrayLike, owner: ArrayLike) -> tuple[Array, Array, NDArray[np.intp]]:
    x, c = unit(images, "images"), unit(counterparts, "counterparts")
    if x.shape[1] != c.shape[1]:
        raise ValueError(f"images have width {x.shape[1]}, counterparts {c.shape[1]}; both must come from one space")
    return x, c, indices(owner, "owner", len(x), len(c))
