"""Fréchet, kernel and manifold metrics between a set of generated images and a set of real ones, from features.

Functions take feature matrices (n, d), one row per image, and convert them to float64 before anything is computed.
Which network computed the features is part of a result's name: FID is only ever the Fréchet distance of Inception-v3
features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from metrics.similarity import Array, blocks, matrix

ROWS = 4096
"""Minimum number of rows that are factorised together; smaller sets are one block."""


def frechet_distance(features1: ArrayLike, features2: ArrayLike) -> float:
    """Fréchet distance between Gaussians fitted to two feature sets; 0 for equal sets, and lower is closer.

        |mu1 - mu2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)),   S with n - 1 in the denominator

    The last trace is the sum of the singular values of A1 A2^T, where S = A^T A and A is the centred features (n < d)
    or their triangular factor. So the matrix has the smaller of n and d as its side, no square root is taken of a
    rounded eigenvalue, and singular covariances are as exact as others. The value depends on n: with few samples, sets
    appear further apart.

    Source: Heusel et al. 2017 (1706.08500); values as torch-fidelity's, without its rounding.

    Args:
        features1: (n1, d) features of one set, at least two rows.
        features2: (n2, d) features of the other set, at least two rows.

    Raises:
        ValueError: Too few rows, different widths, or values that are not finite.

    Example:
        >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
        9.0
    """
    x, y = _pair(features1, features2, at_least=2)
    mean1, mean2 = x.mean(axis=0), y.mean(axis=0)
    root1, root2 = _triangular(x, mean1), _triangular(y, mean2)
    return _distance(mean1, root1, mean2, root2)


def frechet_distance_from_statistics(mean1: ArrayLike, cov1: ArrayLike, mean2: ArrayLike, cov2: ArrayLike) -> float:
    """`frechet_distance` from means and covariances, for a reference set of which only these are published.

    Slightly less exact than from features where a covariance is singular (about 1e-6).

    Args:
        mean1: (d,) mean of one set.
        cov1: (d, d) covariance of one set.
        mean2: (d,) mean of the other set.
        cov2: (d, d) covariance of the other set.

    Raises:
        ValueError: Shapes do not fit, values are not finite, or a matrix is not a covariance (not symmetric, or with a
            clearly negative eigenvalue).
    """
    m1, m2 = np.asarray(mean1, dtype=np.float64), np.asarray(mean2, dtype=np.float64)
    roots = [_root(matrix(cov, name), name) for cov, name in ((cov1, "cov1"), (cov2, "cov2"))]
    if not m1.shape == m2.shape == roots[0].shape[1:] == roots[1].shape[1:]:
        raise ValueError(f"means {m1.shape}, {m2.shape} and covariances of side {[len(r) for r in roots]} do not fit")
    if not (np.isfinite(m1).all() and np.isfinite(m2).all()):
        raise ValueError("mean1, mean2: values that are not finite")
    return _distance(m1, roots[0], m2, roots[1])


def kernel_distance(features1: ArrayLike, features2: ArrayLike) -> float:
    """Kernel distance (KID): unbiased squared maximum mean discrepancy under the kernel k(x, y) = (x.y/d + 1)^3.

        mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

    Computed over all pairs, in blocks, instead of over random subsets: the same expectation without drawing. On average
    the value does not depend on n; it can be slightly negative for sets from one distribution.

    Source: Binkowski et al. 2018 (1801.01401).

    Args:
        features1: (n1, d) features of one set, at least two rows.
        features2: (n2, d) features of the other set, at least two rows.

    Raises:
        ValueError: Too few rows, different widths, or values that are not finite.
    """
    x, y = _pair(features1, features2, at_least=2)
    within = [(_kernel_sum(z, z) - _kernel_diagonal(z).sum()) / (len(z) * (len(z) - 1)) for z in (x, y)]
    return float(within[0] + within[1] - 2.0 * _kernel_sum(x, y) / (len(x) * len(y)))


class Manifold(NamedTuple):
    """Per-sample terms of the four manifold metrics; each metric is the mean of its array.

    Attributes:
        precision: (n_generated,) 1 where the image lies in the neighbourhood of a real one.
        recall: (n_real,) 1 where the real image lies in the neighbourhood of a generated one.
        density: (n_generated,) number of real neighbourhoods that contain the image, divided by k.
        coverage: (n_real,) 1 where the neighbourhood of the real image contains a generated one.
    """

    precision: Array
    recall: Array
    density: Array
    coverage: Array


def manifold(real: ArrayLike, generated: ArrayLike, k: int = 5) -> Manifold:
    """Improved precision and recall, density and coverage of generated features against real ones.

    A neighbourhood is the open ball around an image that ends at its k-th nearest neighbour in its own set (Euclidean).
    Precision measures how many generated images look real, recall how many real ones could have been generated; density
    and coverage measure the same, less sensitive to outliers. For equal sets all four are 1. Distances are computed in
    blocks.

    Source: Kynkaanniemi et al. 2019 (1904.06991) for precision and recall; Naeem et al. 2020 (2002.09797) for density
    and coverage.

    Args:
        real: (n_real, d) features of real images, more than `k` rows.
        generated: (n_generated, d) features of generated images, more than `k` rows.
        k: Rank of the neighbour that ends a neighbourhood, 1 or more.

    Raises:
        ValueError: `k` is below 1, there are too few rows, widths differ, or values are not finite.
    """
    if k < 1:
        raise ValueError(f"k is {k}; the number of neighbours starts at 1")
    x, y = _pair(real, generated, at_least=k + 1)
    centre = x.mean(axis=0)
    x, y = x - centre, y - centre
    # A sample on the edge of a ball is outside: rounding of the squared distances must not include it.
    rounding = 1e-12 * float(max(np.einsum("nd,nd->n", x, x).max(), np.einsum("nd,nd->n", y, y).max()))
    edge_x, edge_y = _radius(x, k) - rounding, _radius(y, k) - rounding
    held = np.zeros(len(y))
    recall, coverage = np.zeros(len(x)), np.zeros(len(x))
    for rows in blocks(len(x), len(y)):
        distance = _squared_distance(x[rows], y)
        inside = distance < edge_x[rows, None]
        held += np.count_nonzero(inside, axis=0)
        coverage[rows] = inside.any(axis=1)
        recall[rows] = (distance < edge_y).any(axis=1)
    return Manifold(precision=(held > 0).astype(float), recall=recall, density=held / k, coverage=coverage)


def kernel_matrices(features1: ArrayLike, features2: ArrayLike) -> tuple[Array, Array, Array]:
    """Return kernel values within and between two small sets, for resampling.

    Args:
        features1: (n1, d) features of one set.
        features2: (n2, d) features of the other set.

    Returns:
        Matrices (n1, n1) and (n2, n2) within the sets, with zeros on their diagonals, and (n1, n2) between them.

    Raises:
        ValueError: As `kernel_distance`.
    """
    x, y = _pair(features1, features2, at_least=2)
    within = [_kernel(z, z) for z in (x, y)]
    for gram in within:
        np.fill_diagonal(gram, 0.0)
    return within[0], within[1], _kernel(x, y)


def _pair(features1: ArrayLike, features2: ArrayLike, at_least: int) -> tuple[Array, Array]:
    x, y = matrix(features1, "features1"), matrix(features2, "features2")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features have widths {x.shape[1]} and {y.shape[1]}; both must come from one network")
    if min(len(x), len(y)) < at_least:
        raise ValueError(f"sets of {len(x)} and {len(y)} samples; at least {at_least} each are needed")
    return x, y


def _triangular(x: Array, mean: Array) -> Array:
    """Return A with A^T A = covariance of `x` and at most min(n, d) rows."""
    step = max(ROWS, 2 * x.shape[1])
    root = np.empty((0, x.shape[1]))
    for start in range(0, len(x), step):
        # The factor of the previous rows replaces them, so that no copy of all rows is needed.
        rows: Array = x[start : start + step] - mean
        rows /= np.sqrt(len(x) - 1)
        root = np.concatenate([root, rows]) if len(root) else rows
        if len(root) > x.shape[1]:
            root = np.asarray(np.linalg.qr(root, mode="r"))
    return root


def _root(cov: Array, name: str) -> Array:
    if cov.shape[0] != cov.shape[1] or not np.allclose(cov, cov.T, rtol=1e-6, atol=1e-9 * np.abs(cov).max(initial=0.0)):
        raise ValueError(f"{name}: a covariance is a symmetric square matrix, got shape {cov.shape}")
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    floor = len(values) * np.finfo(np.float64).eps * np.abs(values).max(initial=0.0)
    if values.min(initial=0.0) < -1e-6 * np.abs(values).max(initial=0.0):
        raise ValueError(f"{name}: has the negative eigenvalue {values.min():.3g}, so it is no covariance")
    # An eigenvalue below rounding is a zero; its square root would not be negligible.
    root: Array = np.sqrt(np.where(values > floor, values, 0.0))[:, None] * vectors.T
    return root


def _distance(mean1: Array, root1: Array, mean2: Array, root2: Array) -> float:
    cross = np.linalg.svd(root1 @ root2.T, compute_uv=False).sum()
    spread = np.vdot(root1, root1) + np.vdot(root2, root2)
    shift = np.vdot(mean1 - mean2, mean1 - mean2)
    value = float(shift + spread - 2.0 * cross)
    # Below the rounding of its own terms the distance is zero; it is never negative.
    return value if value > 1e-14 * len(mean1) * (spread + shift) else 0.0


def _kernel(x: Array, y: Array) -> Array:
    gram: Array = x @ y.T
    gram /= x.shape[1]
    gram += 1.0
    return gram * gram * gram


def _kernel_sum(x: Array, y: Array) -> float:
    return float(sum(_kernel(x[rows], y).sum() for rows in blocks(len(x), len(y))))


def _kernel_diagonal(x: Array) -> Array:
    diagonal: Array = (np.einsum("nd,nd->n", x, x) / x.shape[1] + 1.0) ** 3
    return diagonal


def _squared_distance(x: Array, y: Array) -> Array:
    distance: Array = np.einsum("nd,nd->n", x, x)[:, None] + np.einsum("nd,nd->n", y, y)
    distance -= 2.0 * (x @ y.T)
    return np.maximum(distance, 0.0, out=distance)


def _radius(x: Array, k: int) -> Array:
    """Return the squared distance of each row to its k-th nearest other row."""
    radius = np.empty(len(x))
    for rows in blocks(len(x), len(x)):
        distance = _squared_distance(x[rows], x)
        distance[np.arange(len(distance)), np.arange(rows.start, rows.stop)] = np.inf
        radius[rows] = np.partition(distance, k - 1, axis=1)[:, k - 1]
    return radius
