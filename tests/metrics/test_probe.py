"""Probes: what a classifier of true frames reads off images, with its own accuracy as ceiling."""

from __future__ import annotations

import numpy as np
import pytest

from metrics import compute
from metrics.compute import MetricInputs
from metrics.definitions import get
from metrics.probe import PENALTY, Probe
from metrics.similarity import unit

NAMES = ("ada", "bo", "cleo")
RNG = np.random.default_rng(0)
CENTRES = RNG.standard_normal((3, 12))


def frames(targets: np.ndarray, spread: float = 0.2, seed: int = 1) -> np.ndarray:
    return CENTRES[targets] + spread * np.random.default_rng(seed).standard_normal((len(targets), 12))


def probe(wanted: np.ndarray, spread: float = 0.2) -> Probe:
    targets = np.arange(60) % 3
    return Probe(names=NAMES, features=frames(targets, spread), targets=targets, wanted=wanted)


def test_it_reads_what_it_learnt() -> None:
    targets = np.arange(30) % 3
    assert np.array_equal(probe(targets).read(frames(targets, seed=2)), targets)


def test_the_solution_is_the_minimum_of_the_stated_loss() -> None:
    """Compared with plain gradient descent on the definition."""
    targets = np.arange(60) % 3
    rows = unit(frames(targets, 0.8), "rows")
    one = Probe(names=NAMES, features=rows, targets=targets, wanted=targets)
    mean, deviation, weights, bias = one._fitted
    rows = (rows - mean) / deviation

    def loss(w: np.ndarray, b: np.ndarray) -> float:
        logits = rows @ w + b
        logits -= logits.max(1, keepdims=True)
        chosen = logits[np.arange(60), targets] - np.log(np.exp(logits).sum(1))
        return float(-chosen.mean() + PENALTY * (w**2).sum())

    found = loss(weights, bias)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert loss(weights + 0.05 * rng.standard_normal(weights.shape), bias + 0.05 * rng.standard_normal(3)) > found


def test_chance_ceiling_and_clips_that_are_not_asked_about() -> None:
    wanted = np.array([0, 1, 2, 0, 1, 2, -1, -1])
    true = np.where(wanted < 0, 0, wanted)
    shown = true.copy()
    shown[[0, 1]] = 2  # two of six are wrong
    one = probe(wanted)
    inputs = MetricInputs(
        image=frames(shown, 0.05, 3),
        reference=frames(true, 0.05, 4),
        probes={"voice.identity": one},
        classes=np.array([5, 5, 5, 5, 5, 5, 1, 1]),
    )
    result = compute.compute(["voice.identity", "voice.cue"], inputs, resamples=200)
    identity = result["voice.identity"]
    assert identity.value == pytest.approx(100 * 4 / 6) and identity.n == 6 and identity.failed == 0
    assert identity.chance == pytest.approx(100 / 3), "that of the classes there are, not of the definition"
    assert identity.details == {"ceiling": 100.0} and identity.per_class == {5: pytest.approx(100 * 4 / 6)}
    assert np.isnan(identity.per_clip[6:]).all() and set(identity.per_clip[:6]) == {0.0, 100.0}
    assert identity.low < identity.value < identity.high
    assert result["voice.cue"].value is None and result["voice.cue"].reason


def test_pictures_of_nothing_get_chance() -> None:
    wanted = np.arange(3000) % 3
    noise = np.random.default_rng(5).standard_normal((3000, 12))
    scores = probe(wanted, 1.0).score(noise, np.arange(3000))
    assert np.mean(scores) == pytest.approx(100 / 3, abs=4)


def test_several_images_of_a_clip_and_any_order() -> None:
    one = probe(np.array([0, 1]))
    owner = np.array([1, 0, 1, 0])
    images = frames(np.array([1, 0, 2, 0]), 0.05, 6)
    assert one.score(images, owner).tolist() == [100.0, 100.0, 0.0, 100.0]
    inputs = MetricInputs(image=images, owner=owner, clip_ids=["a", "b"], probes={"voice.identity": one})
    result = compute.compute(["voice.identity"], inputs, resamples=0)["voice.identity"]
    assert result.per_clip.tolist() == [100.0, 50.0] and result.details == {}


def test_nobody_is_asked_about() -> None:
    inputs = MetricInputs(image=frames(np.array([0, 1])), probes={"voice.cue": probe(np.array([-1, -1]))})
    result = compute.compute(["voice.cue"], inputs)["voice.cue"]
    assert result.value is None and "asked about" in result.reason


def test_what_does_not_fit_is_named() -> None:
    targets = np.arange(6) % 2
    with pytest.raises(ValueError, match="no frame of 'cleo'"):
        Probe(names=NAMES, features=frames(targets), targets=targets, wanted=targets)
    with pytest.raises(ValueError, match="-1 to 2"):
        probe(np.array([3]))
    with pytest.raises(ValueError, match="targets"):
        Probe(names=NAMES, features=frames(np.arange(6) % 3), targets=np.array([0, 1, 7]), wanted=targets)
    with pytest.raises(ValueError, match=r"about 3 clips of 2"):
        MetricInputs(image=frames(np.array([0, 1])), probes={"voice.cue": probe(np.array([0, 1, 2]))})


def test_definitions() -> None:
    identity, cue = get("voice.identity"), get("voice.cue")
    assert (identity.unit, identity.direction, identity.bounds) == ("%", "up", (0.0, 100.0))
    assert identity.chance_level(None) == 12.5 and cue.chance_level(None) == pytest.approx(100 / 3)
