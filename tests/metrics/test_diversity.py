"""Diversity: against the formulas written out, at their ends, and as metrics of runs with several images a clip."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from metrics.compute import MetricInputs, compute
from metrics.definitions import get
from metrics.diversity import spread_between, spread_within, vendi, vendi_of_clips

RNG = np.random.default_rng(0)


def direct(rows: np.ndarray) -> float:
    """The definition with the kernel of all pairs, its eigenvalues from the general solver."""
    kernel = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in rows] for a in rows])
    values = np.linalg.eigvals(kernel / len(rows)).real
    return math.exp(-sum(v * math.log(v) for v in values if v > 1e-14))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(("count", "width"), [(1, 5), (4, 9), (9, 4), (20, 20)])
def test_vendi_is_its_definition(count: int, width: int) -> None:
    rows = RNG.normal(size=(count, width)) * RNG.uniform(0.1, 50, size=(count, 1))
    assert vendi(rows) == pytest.approx(direct(rows), rel=1e-9)
    assert vendi(rows[RNG.permutation(count)]) == pytest.approx(vendi(rows), rel=1e-12)
    assert 1 <= vendi(rows) <= count


def test_vendi_counts_what_differs() -> None:
    one = RNG.normal(size=7)
    assert vendi(np.tile(one, (6, 1))) == pytest.approx(1.0, abs=1e-9)
    assert vendi(np.diag([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(5.0, abs=1e-9)
    twice = np.repeat(np.eye(3), 2, axis=0)
    assert vendi(twice) == pytest.approx(3.0, abs=1e-9), "copies do not count"
    # Shares 1/3 and 2/3, by hand.
    assert vendi([[1, 0], [0, 1], [0, 2]]) == pytest.approx(3 / 2 ** (2 / 3), rel=1e-12)
    with pytest.raises(ValueError, match="no image"):
        vendi(np.empty((0, 3)))


def test_scores_of_clips_are_those_of_their_own_images_in_any_order() -> None:
    owner = np.array([2, 0, 2, 1, 0, 2])
    rows = RNG.normal(size=(6, 5))
    found = vendi_of_clips(rows, owner, 4)
    assert found[0] == pytest.approx(direct(rows[owner == 0])) and found[2] == pytest.approx(direct(rows[owner == 2]))
    spread = spread_within(rows, owner, 4)
    for clip in (0, 2):
        pairs = [distance(a, b) for a, b in combinations(rows[owner == clip], 2)]
        assert spread[clip] == pytest.approx(np.mean(pairs), rel=1e-12)
    assert np.isnan(found[[1, 3]]).all() and np.isnan(spread[[1, 3]]).all(), "one image, and none"
    order = RNG.permutation(6)
    assert vendi_of_clips(rows[order], owner[order], 4) == pytest.approx(found, nan_ok=True)
    assert spread_within(rows[order], owner[order], 4) == pytest.approx(spread, nan_ok=True)


def test_between_is_the_mean_over_other_clips_of_the_class() -> None:
    classes = np.array([0, 0, 0, 1, 1, 2, 0])
    owner = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5])  # clip 6 has no image
    rows = RNG.normal(size=(9, 4))
    found = spread_between(rows, owner, classes)
    for clip in range(5):
        others = [other for other in range(6) if other != clip and classes[other] == classes[clip]]
        of_others = [
            np.mean([distance(a, b) for a in rows[owner == clip] for b in rows[owner == other]]) for other in others
        ]
        assert found[clip] == pytest.approx(np.mean(of_others), rel=1e-12)
    assert np.isnan(found[5:]).all(), "alone in its class, and without an image"


def given(rows: np.ndarray, owner: np.ndarray, classes: np.ndarray) -> MetricInputs:
    frames = RNG.normal(size=(len(classes), rows.shape[1]))
    return MetricInputs(
        image_features={"clip": rows}, reference_features={"clip": frames}, owner=owner, classes=classes
    )


def test_a_method_that_hears_no_more_than_the_class_has_the_same_spread_within_and_between() -> None:
    classes, images = np.arange(240) % 4, 4
    owner = np.arange(240).repeat(images)
    centre, own = 3 * np.eye(16)[classes], RNG.normal(size=(240, 16))
    noise = RNG.normal(size=(len(owner), 16)) / 2
    metrics = ["vendi.clip", "spread.clip", "between.clip"]
    deaf = compute(metrics, given(centre[owner] + noise, owner, classes), resamples=200)
    ears = compute(metrics, given((centre + own)[owner] + noise, owner, classes), resamples=200)
    same = compute(metrics, given((centre + own)[owner], owner, classes), resamples=200)
    assert deaf["spread.clip"].value == pytest.approx(deaf["between.clip"].value, rel=0.05)
    assert ears["spread.clip"].value < 0.5 * ears["between.clip"].value
    assert same["spread.clip"].value == pytest.approx(0, abs=1e-12) and same["vendi.clip"].value == pytest.approx(1)
    for result in (*deaf.values(), *ears.values()):
        assert result.low < result.value < result.high and result.n == 240 and set(result.per_class) == {0, 1, 2, 3}
    assert 0 < deaf["between.clip"].details["of_true_frames"] < 2


def test_with_one_image_a_clip_there_is_a_reason() -> None:
    found = compute(
        ["vendi.clip", "spread.clip", "between.clip"], given(RNG.normal(size=(8, 3)), np.arange(8), np.arange(8) % 2)
    )
    for name in ("vendi.clip", "spread.clip"):
        assert found[name].value is None and "no clip has two images" in found[name].reason
    assert found["between.clip"].value is not None


def test_names() -> None:
    assert get("vendi.clip").needs == ("image_features.clip",)
    assert get("between.clip").needs == ("image_features.clip", "classes")
    assert get("spread").same_as == "spread.inception"
    assert all(get(f"{name}.clip").warns for name in ("vendi", "spread", "between")), "more is not better by itself"
