from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from metrics import frechet, similarity
from metrics.frechet import frechet_distance, frechet_distance_from_statistics, kernel_distance, manifold


def sets(n: int, m: int, d: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)), rng.normal(size=(m, d)) + 0.3


@pytest.mark.parametrize(("n", "m", "d"), [(80, 60, 8), (8, 60, 20), (60, 8, 20), (7, 9, 40), (2, 2, 3), (30, 30, 1)])
def test_both_sides_of_the_trick_equal_the_matrix_square_root(n, m, d):
    x, y = sets(n, m, d)
    s1, s2 = np.cov(x, rowvar=False).reshape(d, d), np.cov(y, rowvar=False).reshape(d, d)
    root = scipy.linalg.sqrtm(scipy.linalg.sqrtm(s1) @ s2 @ scipy.linalg.sqrtm(s1))
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)
    from_statistics = frechet_distance_from_statistics(x.mean(0), s1, y.mean(0), s2)
    assert from_statistics == pytest.approx(frechet_distance(x, y), rel=1e-7)


@pytest.mark.parametrize(("n", "m", "d"), [(40, 30, 6), (5, 9, 30), (40, 9, 20)])
def test_frechet_is_symmetric_and_zero_for_equal_sets(n, m, d):
    x, y = sets(n, m, d)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-12)
    assert frechet_distance(x, x) == 0.0
    assert frechet_distance(x, np.random.default_rng(0).permutation(x)) == 0.0
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(y, x), rel=1e-12)


def test_a_shift_costs_its_square():
    x, _ = sets(50, 2, 5)
    assert frechet_distance(x, x + 2.0) == pytest.approx(5 * 4.0, rel=1e-12)
    collapsed = np.ones((4, 5))
    assert frechet_distance(collapsed, collapsed + 1) == pytest.approx(5.0)
    assert frechet_distance(collapsed, x) == pytest.approx(
        np.sum((x.mean(0) - 1) ** 2) + np.trace(np.cov(x, rowvar=False))
    )


def test_kernel_distance_equals_the_double_sum(monkeypatch):
    x, y = sets(13, 9, 5)

    def k(a, b):
        return (a @ b / 5 + 1) ** 3

    xx = np.mean([k(x[i], x[j]) for i in range(13) for j in range(13) if i != j])
    yy = np.mean([k(y[i], y[j]) for i in range(9) for j in range(9) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-10)
    monkeypatch.setattr(frechet, "blocks", lambda rows, columns: similarity.blocks(rows, columns, 300))
    assert kernel_distance(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-10)


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(0)
    values = [kernel_distance(rng.normal(size=(20, 4)), rng.normal(size=(20, 4))) for _ in range(300)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)
    assert min(values) < 0


@pytest.mark.parametrize("k", [1, 5])
def test_manifold_of_equal_sets_is_perfect(k):
    x, _ = sets(60, 2, 6)
    for term in manifold(x, np.random.default_rng(0).permutation(x), k=k):
        assert term.mean() == pytest.approx(1.0)


def test_manifold_equals_the_definition(monkeypatch):
    x, y = sets(40, 30, 4)
    monkeypatch.setattr(frechet, "blocks", lambda rows, columns: similarity.blocks(rows, columns, 8 * columns * 3))
    terms = manifold(x, y, k=3)
    xx, yy = (np.linalg.norm(z[:, None] - z, axis=2) for z in (x, y))
    xy = np.linalg.norm(x[:, None] - y, axis=2)
    radius_x, radius_y = np.sort(xx, axis=1)[:, 3], np.sort(yy, axis=1)[:, 3]
    inside = xy < radius_x[:, None]
    np.testing.assert_array_equal(terms.precision, inside.any(axis=0))
    np.testing.assert_array_equal(terms.recall, (xy < radius_y).any(axis=1))
    np.testing.assert_allclose(terms.density, inside.sum(axis=0) / 3)
    np.testing.assert_array_equal(terms.coverage, inside.any(axis=1))


def test_large_sets_are_made_triangular_in_pieces(monkeypatch):
    x, y = sets(200, 150, 7)
    whole = frechet_distance(x, y)
    for rows in (1, 16, 149, 150):
        monkeypatch.setattr(frechet, "ROWS", rows)
        assert frechet_distance(x, y) == pytest.approx(whole, rel=1e-12)


def test_the_documented_examples():
    """The numbers of docs/metrics.md, on features of width one."""

    def column(*values: float) -> np.ndarray:
        return np.array(values)[:, None]

    assert frechet_distance(column(0, 2), column(0, 4)) == pytest.approx(3.0)
    assert kernel_distance(column(0, 1), column(1, 2)) == pytest.approx(9.5)
    terms = manifold(real=column(0, 1, 3), generated=column(0.5, 9), k=1)
    assert [round(float(term.mean()), 4) for term in terms] == [0.5, 1.0, 1.0, 0.6667]


def test_manifold_tells_collapse_from_noise():
    x, _ = sets(100, 2, 4)
    collapsed = manifold(x, np.repeat(x[:1], 50, axis=0))
    assert collapsed.precision.mean() == 1.0 and collapsed.recall.mean() == 0.0 and collapsed.coverage.mean() < 0.2
    far = manifold(x, x + 1e3)
    assert all(term.mean() == 0.0 for term in far)


@pytest.mark.parametrize("function", [frechet_distance, kernel_distance, manifold])
def test_bad_sets_are_named(function):
    x, y = sets(20, 20, 3)
    with pytest.raises(ValueError, match="at least"):
        function(x[:1], y)
    with pytest.raises(ValueError, match="widths 3 and 2"):
        function(x, y[:, :2])
    with pytest.raises(ValueError, match="features2: row 5 is not finite"):
        function(x, np.where(np.arange(20)[:, None] == 5, np.nan, y))


def test_what_is_no_covariance_is_refused():
    mean, eye = np.zeros(3), np.eye(3)
    with pytest.raises(ValueError, match="negative eigenvalue"):
        frechet_distance_from_statistics(mean, -eye, mean, eye)
    with pytest.raises(ValueError, match="symmetric"):
        frechet_distance_from_statistics(mean, np.triu(np.ones((3, 3))), mean, eye)
    with pytest.raises(ValueError, match="do not fit"):
        frechet_distance_from_statistics(mean[:2], eye, mean, eye)
    assert frechet_distance_from_statistics(mean, eye, mean, eye) == 0.0


def test_float32_features_are_widened_first():
    x, y = (z.astype(np.float32) for z in sets(30, 30, 4))
    assert frechet_distance(x, y) == frechet_distance(x.astype(np.float64), y.astype(np.float64))
