"""What a difference needs to be found, against simulated experiments."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from metrics.power import Design, design
from metrics.statistics import sign_flip_p_values

TRUE = Design(clips=100.0, seeds=(0.4, 0.9), rest=50.0)


def experiment(
    rng: np.random.Generator, clips: int, seeds: int, difference: float = 0.0, shared_noise: float = 0.0
) -> tuple:
    """Scores of two methods whose difference has the variances of `TRUE`; what clips have in common cancels out."""
    common = rng.normal(0, 30, (clips, 1)) + shared_noise * rng.normal(size=(clips, seeds))
    own = rng.normal(0, math.sqrt(TRUE.clips / 2), (2, clips, 1))
    a, b = (
        common
        + own[k]
        + rng.normal(0, math.sqrt(TRUE.seeds[k]), (1, seeds))
        + rng.normal(0, math.sqrt(TRUE.rest / 2), (clips, seeds))
        for k in range(2)
    )
    return a + difference, b


def test_variances_are_estimated_without_bias() -> None:
    rng = np.random.default_rng(0)
    found = [design(*experiment(rng, 150, 4)) for _ in range(300)]
    assert np.mean([one.clips for one in found]) == pytest.approx(TRUE.clips, rel=0.03)
    assert np.mean([one.rest for one in found]) == pytest.approx(TRUE.rest, rel=0.02)
    # what would be below 0 is 0, so slightly more on average
    assert np.mean([one.seeds for one in found], axis=0) == pytest.approx(TRUE.seeds, rel=0.2)


def test_noise_that_runs_of_one_seed_share_cancels_out() -> None:
    rng = np.random.default_rng(4)
    made = [experiment(rng, 150, 4, shared_noise=12.0) for _ in range(300)]
    found = [design(a, b, same_seeds=True) for a, b in made]
    assert np.mean([one.clips for one in found]) == pytest.approx(TRUE.clips, rel=0.03)
    assert np.mean([one.rest for one in found]) == pytest.approx(TRUE.rest, rel=0.02)
    assert all(len(one.seeds) == 1 for one in found)
    assert np.mean([one.seeds[0] for one in found]) == pytest.approx(sum(TRUE.seeds), rel=0.2)
    apart = [design(a, b) for a, b in made]
    assert np.mean([one.rest for one in apart]) > 5 * TRUE.rest, "taken for noise of either"


def test_clips_in_common_cancel_out_and_missing_ones_are_left_out() -> None:
    a, b = experiment(np.random.default_rng(1), 40, 3)
    shifted = design(a + np.arange(40)[:, None], b + np.arange(40)[:, None])
    assert (shifted.clips, shifted.rest) == pytest.approx((design(a, b).clips, design(a, b).rest))
    holes = a.copy()
    holes[5, 1] = np.nan
    assert design(holes, b) == design(np.delete(a, 5, axis=0), np.delete(b, 5, axis=0))


def test_a_single_run_knows_nothing_about_seeds_unless_it_is_fixed() -> None:
    a, b = experiment(np.random.default_rng(1), 40, 3)
    unknown = design(a[:, :1], b)
    assert unknown.seeds is None and unknown.power(50.0, 40, 3) == 0.0 and unknown.detectable(40, 3) is None
    assert unknown.power(50.0, 40, 3, other_seeds=False) > 0.99
    fixed = design(a[:, :1], b, fixed=(True, False))
    assert fixed.seeds == design(a, b).seeds[1:] and design(a[:, :1], b[:, :1], fixed=(True, True)).seeds == ()
    together = np.var(a[:, 0] - b.mean(axis=1), ddof=1)
    assert unknown.clips == pytest.approx(together - unknown.rest / 3)


def test_planned_clips_have_the_promised_power_in_the_test_over_clips() -> None:
    clips = TRUE.clips_for(4.0, 3, other_seeds=False)
    rng = np.random.default_rng(2)
    differences = []
    for _ in range(500):
        a, b = (one - one.mean(axis=0) for one in experiment(rng, clips, 3))
        # runs as they are: their means are what they are, and only the clips are drawn
        noise = rng.normal(0, math.sqrt((TRUE.clips + TRUE.rest / 3) / clips))
        differences.append((a - b).mean(axis=1) + 4.0 + noise)
    found = np.mean(sign_flip_p_values(np.array(differences).T, resamples=999) <= 0.05)
    assert found == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("same_seeds", [False, True])
def test_planned_clips_and_seeds_have_the_promised_power_where_both_are_samples(same_seeds: bool) -> None:
    seeds = 4
    truth = replace(TRUE, seeds=(sum(TRUE.seeds),)) if same_seeds else TRUE
    clips = truth.clips_for(2.5, seeds)
    rng = np.random.default_rng(3)
    found, wrong = [], []
    for difference, into in ((2.5, found), (0.0, wrong)):
        for _ in range(500):
            a, b = experiment(rng, clips, seeds, difference)
            own = design(a, b, same_seeds=same_seeds)
            parts = [
                (own.clips / clips, clips - 1),
                *((one / seeds, seeds - 1) for one in own.seeds),
                (own.rest / clips / seeds, len(own.seeds) * (clips - 1) * (seeds - 1)),
            ]
            variance = sum(part for part, _ in parts)
            freedom = variance**2 / sum(part**2 / f for part, f in parts)
            into.append(2 * scipy.stats.t.sf(abs(a.mean() - b.mean()) / math.sqrt(variance), freedom) <= 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.07) and np.mean(wrong) <= 0.075


def test_the_plan_is_the_least_that_is_enough() -> None:
    clips = TRUE.clips_for(2.5, 5)
    assert TRUE.power(2.5, clips, 5) >= 0.8 > TRUE.power(2.5, clips - 1, 5)
    seeds = TRUE.seeds_for(1.5, 400)
    assert TRUE.power(1.5, 400, seeds) >= 0.8 > TRUE.power(1.5, 400, seeds - 1)
    assert TRUE.power(TRUE.detectable(400, 3), 400, 3) == pytest.approx(0.8, abs=1e-4)
    assert TRUE.clips_for(2.5, 10) < clips and TRUE.clips_for(2.5, 5, other_seeds=False) < clips


def test_what_no_number_of_clips_or_seeds_can_find() -> None:
    assert TRUE.clips_for(0.5, 2) is None, "two seeds of each scatter by more than that"
    assert TRUE.clips_for(9.0, 1) is None and TRUE.clips_for(9.0, 1, other_seeds=False) is not None
    assert TRUE.seeds_for(0.5, 100) is None, "these clips scatter by more than that"
    nothing = Design(0.0, (), 0.0)
    assert nothing.clips_for(0.1, 1) == 2 and nothing.detectable(2, 1) == 0.0
    assert Design(1.0, (0.0,), 0.0).clips_for(9.0, 1) is None, "a single seed says nothing about others"


@pytest.mark.parametrize("truth", [TRUE, Design(4.0, (1.0,), 900.0), Design(0.0, (20.0, 0.0), 1.0)])
def test_more_seeds_and_clips_find_smaller_differences(truth: Design) -> None:
    for other_seeds in (False, True):
        found = [[truth.detectable(m, s, other_seeds=other_seeds) for s in (2, 3, 5, 10, 20)] for m in (50, 500)]
        assert (np.diff(found, axis=1) < 0).all()
        # more clips leave the test with the freedom of few seeds, where these scatter most
        assert other_seeds or (np.diff(found, axis=0) < 0).all()
    clips = truth.clips_for(9.0, 5)
    powers = [truth.power(9.0, m, 5) for m in range(clips, 50 * clips, clips)]
    assert min(powers) >= 0.8, "all above are enough, too"


def test_power_is_that_of_a_paired_t_test_where_only_clips_are_random() -> None:
    only = Design(25.0, None, 0.0)
    away, least = 1.5 / math.sqrt(25 / 60), scipy.stats.t.isf(0.025, 59)
    expected = scipy.stats.nct.sf(least, 59, away) + scipy.stats.nct.cdf(-least, 59, away)
    assert only.power(1.5, 60, 1, other_seeds=False) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), "same clips"),
        (np.zeros(3), np.zeros((3, 2)), "same clips"),
        (np.zeros((1, 2)), np.zeros((1, 2)), "at least two"),
    ],
)
def test_scores_that_do_not_fit_are_refused(a: np.ndarray, b: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        design(a, b)
    with pytest.raises(ValueError, match="the same seeds make as many"):
        design(np.zeros((3, 2)), np.zeros((3, 3)), same_seeds=True)
