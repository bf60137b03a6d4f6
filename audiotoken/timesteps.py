"""Timesteps of training: drawn uniformly as in the paper, or more often where the token's gradient is large."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Kind = Literal["uniform", "importance"]

BINS = 20
UNIFORM_SHARE = 0.2
MEMORY = 0.98


class Timesteps:
    """Sampler of timesteps 0 .. `count` - 1 with weights; the weighted loss estimates the mean over all timesteps.

    "uniform" draws independently and uniformly; all weights are 1.

    "importance" has the same expectation with less variance. A timestep is drawn with the probability

        p = 0.8 q + 0.2 uniform,   q ~ root mean square of ||d loss / d e_audio|| at that noise level,

    which is the draw of least variance for a gradient of that size, mixed with a uniform one so that no weight,
    `1/(count*p)`, exceeds 5. The sizes are measured during training, in `BINS` equal bins with a memory of some 50
    steps (for a frozen U-Net they differ by a factor of 20 between low and high noise). Within a batch draws are
    stratified.

    Source: importance sampling of timesteps, Nichol and Dhariwal 2021 (2102.09672, section 3.3), there by the size of
    the loss.

    Args:
        kind: "uniform" or "importance".
        count: Number of timesteps.
    """

    def __init__(self, kind: Kind, count: int) -> None:
        self.kind, self.count = kind, count
        self.squares, self.seen = torch.zeros(BINS, dtype=torch.float64), torch.zeros(BINS, dtype=torch.float64)

    @property
    def learns(self) -> bool:
        """Whether `learn` needs the sizes of gradients."""
        return self.kind == "importance"

    def probabilities(self) -> Tensor:
        """Return the probability of each bin, (BINS,) float64."""
        known = self.seen > 0
        if self.kind == "uniform" or not known.any():
            return torch.full((BINS,), 1 / BINS, dtype=torch.float64)
        size = (self.squares / self.seen).sqrt()
        size[~known] = size[known].mean()
        if not size.any():
            size[:] = 1.0
        return (1 - UNIFORM_SHARE) * size / size.sum() + UNIFORM_SHARE / BINS

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the timesteps of a batch.

        Args:
            batch: Number of timesteps.
            generator: Generator of the draws.

        Returns:
            Timesteps (batch,), int64, and weights (batch,), float32.
        """
        if self.kind == "uniform":
            return torch.randint(self.count, (batch,), generator=generator), torch.ones(batch)
        probability = self.probabilities()
        upper = probability.cumsum(0)
        order = torch.randperm(batch, generator=generator)
        place = ((order + torch.rand(batch, generator=generator, dtype=torch.float64)) / batch) * upper[-1]
        bins = torch.searchsorted(upper, place, right=True).clamp(max=BINS - 1)
        chosen = probability[bins]
        within = (place - (upper[bins] - chosen)) / chosen
        times = ((bins + within) * (self.count / BINS)).long().clamp(0, self.count - 1)
        return times, (1 / (BINS * chosen)).float()

    def learn(self, times: Tensor, sizes: Tensor) -> None:
        """Update the sizes of gradients.

        Args:
            times: (batch,) timesteps.
            sizes: (batch,) norms of the unweighted loss's gradient at these timesteps.
        """
        bins = (times * BINS // self.count).cpu()
        self.squares *= MEMORY
        self.seen *= MEMORY
        self.squares.index_add_(0, bins, sizes.detach().cpu().double().square())
        self.seen.index_add_(0, bins, torch.ones(len(bins), dtype=torch.float64))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state that an interrupted training needs to continue."""
        return {"squares": self.squares, "seen": self.seen}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a state of `state_dict`."""
        self.squares, self.seen = state["squares"], state["seen"]
