from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from benchmark.studies.seeds_and_clips import CASES, FRECHET, found_share, found_share_of_distances
from metrics import statistics
from metrics.statistics import (
    Welch,
    bootstrap_interval,
    bootstrap_intervals,
    half_sample_interval,
    holm,
    paired_permutation_test,
    per_clip,
    sign_flip_p_values,
    unpaired_permutation_test,
    welch_test,
)


def test_images_of_a_clip_are_one_unit():
    scores, owner = np.array([1.0, 0.0, 1.0, np.nan, np.nan]), np.array([0, 0, 2, 2, 3])
    np.testing.assert_array_equal(per_clip(scores, owner, 4), [0.5, np.nan, 1.0, np.nan])


def test_mean_does_not_depend_on_order():
    values = np.random.default_rng(0).random(999) * 10.0 ** np.random.default_rng(1).integers(-8, 8, 999)
    assert statistics.mean(values) == statistics.mean(values[::-1]) == statistics.mean(np.append(np.nan, values))
    assert math.isnan(statistics.mean([np.nan]))


def test_interval_is_seeded_and_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=300)
    low, high = bootstrap_interval(values, seed=1)
    assert (low, high) == bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    other = scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=0)
    width = high - low
    assert low == pytest.approx(other.confidence_interval.low, abs=0.1 * width)
    assert high == pytest.approx(other.confidence_interval.high, abs=0.1 * width)
    assert low < values.mean() < high


def test_interval_covers():
    """Over many data sets a 90 % interval holds the true mean in about 90 %."""
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(400):
        low, high = bootstrap_interval(rng.normal(size=60), level=0.9, resamples=400, seed=trial)
        held += low <= 0 <= high
    assert 0.84 < held / 400 < 0.95


def test_interval_of_one_value_or_none():
    assert bootstrap_interval([0.1] * 7) == (0.1, 0.1)
    assert bootstrap_interval([3.0]) is None
    assert bootstrap_interval([np.nan, 3.0]) is None
    assert bootstrap_interval([1.0, 2.0], resamples=0) is None
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap_interval([1.0, 2.0], level=95)


def test_half_samples_scatter_like_the_statistic():
    """For a mean the half-sample deviation must be the standard error."""
    values = np.random.default_rng(0).normal(size=200)
    value = values.mean()
    low, high = half_sample_interval(lambda half: values[half].mean(), 200, value, resamples=2000)
    error = values.std(ddof=1) / math.sqrt(200)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.06)
    assert (low + high) / 2 == pytest.approx(value)
    assert half_sample_interval(lambda half: 0.0, 3, 0.0) is None
    again = half_sample_interval(lambda half: values[half].mean(), 200, value, seed=3)
    assert again == half_sample_interval(lambda half: values[half].mean(), 200, value, seed=3)


def test_small_permutation_tests_are_exact():
    a, b = np.array([3.0, 4.0, 1.5, 2.5, 6.0]), np.array([1.0, 4.5, 1.0, 1.0, 2.0])
    result = paired_permutation_test(a, b)
    other = scipy.stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert result.p_value == pytest.approx(other.pvalue)
    assert result.difference == pytest.approx(np.mean(a - b)) and result.n == 5


def test_permutation_test_is_seeded_and_symmetric():
    rng = np.random.default_rng(0)
    a = rng.normal(size=80)
    b = a + rng.normal(size=80) + 0.2
    there, back = paired_permutation_test(a, b, seed=1), paired_permutation_test(b, a, seed=1)
    assert there == paired_permutation_test(a, b, seed=1)
    assert there.p_value == back.p_value and there.difference == -back.difference
    assert there.p_value == pytest.approx(scipy.stats.ttest_rel(a, b).pvalue, abs=0.02)
    assert there.low < there.difference < there.high


def test_no_difference_and_a_clear_one():
    a = np.random.default_rng(0).random(40)
    assert paired_permutation_test(a, a).p_value == 1.0
    assert paired_permutation_test(a + 1, a).p_value == pytest.approx(1 / 10_000)


def test_permutation_test_is_at_level_under_no_difference():
    rng = np.random.default_rng(0)
    p = [paired_permutation_test(*rng.normal(size=(2, 30)), resamples=199, seed=i).p_value for i in range(300)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09


def test_clips_without_a_score_are_left_out():
    a, b = np.array([1.0, np.nan, 3.0, 5.0]), np.array([0.0, 1.0, np.nan, 1.0])
    assert paired_permutation_test(a, b).n == 2
    with pytest.raises(ValueError, match="no clip has a score from both"):
        paired_permutation_test([np.nan], [1.0])
    with pytest.raises(ValueError, match="one per clip"):
        paired_permutation_test([1.0, 2.0], [1.0])


def test_unpaired_test_agrees_with_scipy_and_is_seeded():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.4, 1, size=60), rng.normal(0, 2, size=45)
    found = unpaired_permutation_test(a, b, seed=1)
    assert found == unpaired_permutation_test(a, b, seed=1) and found.n == 45
    assert found.difference == pytest.approx(a.mean() - b.mean())
    expected = scipy.stats.permutation_test(
        (a, b), lambda x, y: np.mean(x) - np.mean(y), permutation_type="independent", n_resamples=4999, rng=0
    )
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)
    welch = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high), abs=0.1)
    back = unpaired_permutation_test(b, a, seed=1)
    assert back.difference == -found.difference and back.p_value == pytest.approx(found.p_value, abs=0.02)


def test_unpaired_test_of_equal_scores_and_of_clear_differences():
    same = unpaired_permutation_test(np.full(20, 5.0), np.full(30, 5.0))
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    apart = unpaired_permutation_test(np.full(20, 100.0), np.zeros(30), resamples=999)
    assert (apart.difference, apart.low, apart.high) == (100, 100, 100) and apart.p_value == pytest.approx(1 / 1000)
    few = unpaired_permutation_test([1.0, np.nan], [2.0, 3.0])
    assert few.low is None and few.n == 1
    with pytest.raises(ValueError, match="0 and 1 clips have a score"):
        unpaired_permutation_test([np.nan], [1.0])


def test_unpaired_test_is_at_level_under_no_difference():
    rng = np.random.default_rng(0)
    p = [unpaired_permutation_test(*rng.normal(size=(2, 25)), resamples=199, seed=i).p_value for i in range(300)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09


def test_many_columns_at_once_are_as_one_by_one():
    values = np.random.default_rng(0).normal(0.1, 1, size=(90, 4))
    values[::7, 1] = np.nan
    values[:, 2] = 3.0
    for column, interval in zip(values.T, bootstrap_intervals(values), strict=True):
        assert interval == pytest.approx(bootstrap_interval(column))
    assert bootstrap_intervals(np.full((5, 1), np.nan)) == [None]
    p = sign_flip_p_values(values)
    for column in (0, 3):
        assert p[column] == paired_permutation_test(values[:, column], np.zeros(90)).p_value
    # A clip that a column lacks moves nothing: exact tests are the same with and without it.
    few = np.array([[1.0, 2.0], [2.0, np.nan], [-0.5, 1.0], [3.0, 0.5]])
    assert sign_flip_p_values(few)[1] == paired_permutation_test([2.0, 1.0, 0.5], [0.0] * 3).p_value == 0.25


def test_columns_in_blocks_are_as_columns_at_once():
    values = np.random.default_rng(0).normal(0.05, 1, size=(540, 1100))
    values[::9, 5] = np.nan
    p, intervals = sign_flip_p_values(values), bootstrap_intervals(values, resamples=50)
    for place in (0, 5, 539, 540, 1023, 1024, 1099):
        some = values[:, [place]]
        assert sign_flip_p_values(some) == p[place]
        assert bootstrap_intervals(some, resamples=50)[0] == pytest.approx(intervals[place], rel=1e-12)


def test_memory_does_not_grow_with_columns_times_draws():
    import tracemalloc

    values = np.random.default_rng(0).normal(size=(100, 12_000))
    tracemalloc.start()
    bootstrap_intervals(values, resamples=2000)
    sign_flip_p_values(values, resamples=2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # at once: 192 MB of means, and as much of sums
    assert peak < 100e6


def test_memory_does_not_grow_with_clips_times_draws():
    import tracemalloc

    values = np.random.default_rng(0).normal(size=(15_000, 3))
    tracemalloc.start()
    bootstrap_intervals(values, resamples=200)
    sign_flip_p_values(values, resamples=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_welch_agrees_with_scipy():
    a, b = [14.1, 15.0, 14.4], [12.0, 12.9, 11.0, 12.2]
    ours, other = welch_test(a, b), scipy.stats.ttest_ind(a, b, equal_var=False)
    assert ours.p_value == pytest.approx(other.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(other.confidence_interval()))
    assert ours.difference == pytest.approx(other.confidence_interval()[0] / 2 + other.confidence_interval()[1] / 2)
    assert ours.n == 3 and welch_test(b, a).p_value == ours.p_value
    assert welch_test([1.0], b) is None and welch_test([1.0, 1.0], [2.0, 2.0]) is None


def test_welch_knows_without_scipy_on_which_side_of_a_level_it_is():
    rng = np.random.default_rng(0)
    for _ in range(300):
        a, b = rng.normal(0, 1, rng.integers(2, 5)), rng.normal(rng.uniform(0, 4), rng.uniform(0.1, 2), 3)
        welch = Welch.of(a, b)
        for level in (0.01, 0.05, 0.5):
            assert welch.reaches(level) == (welch_test(a, b).p_value <= level)
        # where its own digits do not suffice it takes those of scipy
        assert welch.reaches(welch.p_value) and not welch.reaches(math.nextafter(welch.p_value, 0))
    assert Welch.of([1.0], [1.0, 2.0]) is None and Welch.of([1.0, 1.0], [2.0, 2.0]) is None
    assert Welch.of([1.0, 2.0], [1.0, 2.0]).p_value == 1.0 and not Welch.of([1.0, 2.0], [1.0, 2.0]).reaches(0.05)


def test_welch_adds_the_variance_over_clips():
    a, b = [14.1, 15.0, 14.4], [12.0, 12.9, 11.0, 12.2]
    seeds, both = Welch.of(a, b), Welch.of(a, b, (0.3, 0.4))
    assert both.error**2 == pytest.approx(seeds.error**2 + 0.25) and both.difference == seeds.difference
    parts = [(np.var(a, ddof=1) / 3, 2), (np.var(b, ddof=1) / 4, 3), (0.09, 31), (0.16, 31)]
    expected = both.error**4 / sum(part**2 / freedom for part, freedom in parts)
    assert both.freedom == pytest.approx(expected) and both.freedom > seeds.freedom
    assert Welch.of(a, b, (0.0, 0.0)) == seeds
    tested = welch_test(a, b, over_clips=(0.3, 0.4))
    assert tested.p_value == pytest.approx(2 * scipy.stats.t.sf(both.difference / both.error, both.freedom))
    assert tested.high - tested.low == pytest.approx(2 * both.error * scipy.stats.t.isf(0.025, both.freedom))


def test_with_clips_a_test_over_seeds_finds_nothing_where_there_is_nothing():
    nothing = [case for case in CASES if not case.difference]
    found = {case.name: found_share(case, 1500)[0.05] for case in nothing}
    assert len(found) == 6 and all(both <= 0.07 for _, both in found.values()), found
    (own,) = (found[case.name] for case in nothing if not case.alike)
    assert own[0] > 0.15, "seeds alone say nothing about other clips"


def test_methods_that_take_clips_in_ways_of_their_own_are_not_told_apart_by_their_clips():
    """Fréchet distances that are the same on average; of these clips they are not, in any run."""
    seeds, both = found_share_of_distances(FRECHET[2][1], 40)[0.05]
    assert seeds > 0.5 and both <= 0.075


def test_with_clips_a_test_over_three_seeds_finds_more_at_the_levels_of_a_family_of_tests():
    for case in CASES:
        if (case.difference, case.of_seed) in ((8.0, (0.9, 0.9)), (15.0, (1.2, 4.0))):
            seeds, both = found_share(case, 1500)[0.005]
            assert both > seeds + 0.15, case


def test_holm_orders_and_bounds():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9]) and holm([0.9, 0.9]) == [1.0, 1.0] and holm([]) == []
