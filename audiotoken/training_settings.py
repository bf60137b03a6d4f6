"""Complete settings of a training, and an estimate of the memory that it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from audiotoken.losses import ClReduction

CARDS = {"12GB": 4, "16GB": 8, "24GB": 16}
"""Clips at once (`micro_batch`) that fit a card of that memory with Stable Diffusion 1 in half precision.

`peak_estimate` leaves a quarter of each card for what nobody counts: the context, the allocator's slack, workspaces.
"""

FIXED = {"half": 3.0e9, "float32": 5.3e9}
"""Bytes that a training takes with Stable Diffusion 1 whatever the batch: the networks' parameters, and workspaces."""
A_CLIP = {("half", False): 0.95e9, ("half", True): 0.45e9, ("float32", False): 1.9e9, ("float32", True): 0.9e9}
"""Bytes for each clip at once, by precision and gradient checkpointing.

0.74 GB of them are what the U-Net's layers save for the backward pass in half precision without checkpointing, counted
on shapes (frozen products save nothing), and 0.15 GB with it. The rest is an allowance for the pass itself.
"""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Complete training settings; `TokenSettings` documents them."""

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    schedule: Literal["constant", "cosine"] = "constant"
    timesteps: Literal["uniform", "importance"] = "uniform"
    warmup_steps: int = 0
    max_grad_norm: float = math.inf
    micro_batch: int
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    gradient_checkpointing: bool = False
    compile: bool = False
    lambda_a: float = 0.01
    lambda_b: float = 0.0
    lambda_c: float = 0.0
    cl_reduction: ClReduction = "batch"


def gigabytes(card: str) -> float:
    """Return the memory of a card of `CARDS`, in gigabytes."""
    return float(card.removesuffix("GB"))


def presets(settings: TrainingSettings) -> str:
    """Return what fits which card, and what `settings` take, by estimate and in one line."""

    def taken(clips: int) -> str:
        return f"{clips} clips at once, {peak_estimate(replace(settings, micro_batch=clips)) / 1e9:.1f} GB"

    cards = [f"--set micro_batch={card} ({taken(clips)})" for card, clips in CARDS.items()]
    checkpointing = ", with gradient checkpointing" if settings.gradient_checkpointing else ""
    own = taken(min(settings.micro_batch, settings.batch_size))
    return f"device memory of training in {settings.precision}{checkpointing}, by estimate: {own}; {', '.join(cards)}"


def peak_estimate(settings: TrainingSettings) -> float:
    """Return an estimate of the bytes at the peak of a training with Stable Diffusion 1 at 512 pixels on a CUDA device.

    Counted, not measured: `python -m benchmark.studies.gpu` and a dry run on a device measure it.
    """
    width = "float32" if settings.precision == "float32" else "half"
    clips = min(settings.micro_batch, settings.batch_size)
    return FIXED[width] + clips * A_CLIP[width, settings.gradient_checkpointing]
