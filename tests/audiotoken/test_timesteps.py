"""Timesteps: the same expectation as uniform draws, less variance, nothing forgotten between two runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audiotoken.timesteps import UNIFORM_SHARE, Timesteps

COUNT = 1000


def size(times: torch.Tensor) -> torch.Tensor:
    """A gradient's norm that grows 20 times from low to high noise, as measured on the mini suite."""
    return 1 + 19 * (times.double() / COUNT) ** 6


def taught(count: int = COUNT, steps: int = 200) -> Timesteps:
    timesteps = Timesteps("importance", count)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        times, _ = timesteps.draw(32, generator)
        timesteps.learn(times, size(times * COUNT // count))
    return timesteps


def test_uniform_draws_are_plain_ones() -> None:
    times, weights = Timesteps("uniform", COUNT).draw(64, torch.Generator().manual_seed(3))
    assert times.equal(torch.randint(COUNT, (64,), generator=torch.Generator().manual_seed(3)))
    assert weights.equal(torch.ones(64)) and not Timesteps("uniform", COUNT).learns


@pytest.mark.parametrize("count", [1000, 997, 50])
def test_every_timestep_keeps_its_share(count: int) -> None:
    timesteps, generator = taught(count), torch.Generator().manual_seed(1)
    drawn = [timesteps.draw(4096, generator) for _ in range(50)]
    times, weights = torch.cat([t for t, _ in drawn]), torch.cat([w for _, w in drawn])
    assert times.min() == 0 and times.max() == count - 1
    share = np.bincount(times.numpy() * 10 // count, weights=weights.numpy(), minlength=10) / len(times)
    expected = np.bincount(np.arange(count) * 10 // count, minlength=10) / count
    np.testing.assert_allclose(share, expected, rtol=0.03)
    assert float(weights.mean()) == pytest.approx(1, abs=0.01)
    assert float(weights.max()) <= 1 / UNIFORM_SHARE + 1e-6


def test_importance_has_the_mean_of_uniform_draws_and_less_variance() -> None:
    generator, means = torch.Generator().manual_seed(2), {}
    for name, timesteps in (("uniform", Timesteps("uniform", COUNT)), ("importance", taught())):
        draws = [timesteps.draw(32, generator) for _ in range(3000)]
        means[name] = np.array([float((w * size(t)).mean()) for t, w in draws])
    truth = float(size(torch.arange(COUNT)).mean())
    for values in means.values():
        assert values.mean() == pytest.approx(truth, rel=0.02)
    assert means["importance"].std() < 0.35 * means["uniform"].std()


def test_without_a_gradient_draws_stay_uniform() -> None:
    timesteps = Timesteps("importance", COUNT)
    assert timesteps.probabilities().allclose(torch.tensor(0.05, dtype=torch.float64))
    times, _ = timesteps.draw(32, torch.Generator().manual_seed(0))
    timesteps.learn(times, torch.zeros(32))
    assert timesteps.probabilities().allclose(torch.tensor(0.05, dtype=torch.float64))


def test_state_goes_on_where_it_was() -> None:
    one, other = taught(), Timesteps("importance", COUNT)
    other.load_state_dict(one.state_dict())
    for mine, theirs in zip(
        one.draw(32, torch.Generator().manual_seed(5)), other.draw(32, torch.Generator().manual_seed(5)), strict=True
    ):
        assert mine.equal(theirs)
