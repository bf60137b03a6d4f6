"""Losses of the embedder: noise prediction, and small penalties on the token."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from audiotoken.embedder import wide
from benchmark.utils.errors import UserError, unknown

ClReduction = Literal["batch", "sample"]


class Losses(NamedTuple):
    """Terms of one batch, unweighted scalars in float32 (or better), and their weighted sum."""

    total: Tensor
    """ldm + lambda_a l1 + lambda_b l2 (+ lambda_c cl): the term to call `backward` on."""
    ldm: Tensor
    """Mean squared error of the U-Net's prediction."""
    l1: Tensor
    """Mean absolute element of the token."""
    l2: Tensor
    """Mean over the batch (and the tokens of a clip) of the token's squared length."""
    cl: Tensor | None
    """Distance from the label's word embeddings, 0 to 4; None without label embeddings."""


class Penalties(NamedTuple):
    """Terms of `Losses` that depend on the tokens alone, and their weighted sum."""

    total: Tensor
    """lambda_a l1 + lambda_b l2 (+ lambda_c cl)."""
    l1: Tensor
    l2: Tensor
    cl: Tensor | None


def ldm_target(scheduler: Any, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Return the target of the U-Net's prediction.

    The noise itself for `prediction_type` "epsilon"; sqrt(abar) noise - sqrt(1 - abar) latents for "v_prediction", with
    abar the scheduler's cumulative alphas.

    Args:
        scheduler: Any diffusers scheduler with `alphas_cumprod`, also one without a velocity method (DPM-Solver).
        latents: (B, ...) latents.
        noise: (B, ...) noise that is added to them, of the same shape.
        timesteps: (B,) int, timesteps at which it is added.

    Returns:
        (B, ...) target, of the type of `noise`.

    Raises:
        UserError: The scheduler has another prediction type.
    """
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        # In float32 and rounded once, because abar near 1 has too few digits in half precision.
        abar = scheduler.alphas_cumprod.to(latents.device)[timesteps.to(latents.device)]
        abar = abar.reshape(-1, *[1] * (latents.ndim - 1))
        return (abar.sqrt() * noise - (1 - abar).sqrt() * latents).to(noise.dtype)
    raise unknown("prediction type", kind, ["epsilon", "v_prediction"])


def denoising_errors(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of each item's prediction.

    Args:
        prediction: (B, ...) prediction of the U-Net.
        target: (B, ...) target, of the same shape.

    Returns:
        (B,) errors, float32 or better.

    Raises:
        ValueError: Shapes differ, which broadcasting would hide.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction has shape {tuple(prediction.shape)}, its target {tuple(target.shape)}")
    return (wide(prediction) - wide(target)).square().flatten(1).mean(1)


def token_penalties(
    token: Tensor,
    label_embeddings: Tensor | None = None,
    lambda_a: float = 0.01,
    lambda_b: float = 0.0,
    lambda_c: float = 0.01,
    cl_reduction: ClReduction = "batch",
) -> Penalties:
    """Return the paper's regularisers of the token; see `audio_token_loss` for the formulas.

    Of several tokens a clip, l1 and l2 are means over them, and cl compares their mean with the label's embedding,
    which is itself the mean over the label's words.

    Args:
        token: (B, D) or (B, K, D) output of the embedder.
        label_embeddings: (B, D) embeddings of the labels; None switches the classification loss off.
        lambda_a: Weight of l1.
        lambda_b: Weight of l2.
        lambda_c: Weight of cl.
        cl_reduction: Order of averaging and squaring in cl, "batch" or "sample".

    Raises:
        ValueError: Shapes differ, which broadcasting would hide.
        UserError: `cl_reduction` is unknown.
    """
    if cl_reduction not in ("batch", "sample"):
        raise unknown("cl_reduction", cl_reduction, ["batch", "sample"])
    token = wide(token)
    l1 = token.abs().mean()
    l2 = token.square().sum(dim=-1).mean()
    total = lambda_a * l1 + lambda_b * l2
    if label_embeddings is None:
        return Penalties(total, l1, l2, None)
    said = token.mean(dim=1) if token.ndim == 3 else token
    if label_embeddings.shape != said.shape:
        raise ValueError(f"label embeddings have shape {tuple(label_embeddings.shape)}, tokens {tuple(token.shape)}")
    distance = 1 - F.cosine_similarity(said, wide(label_embeddings), dim=-1)
    cl = distance.mean().square() if cl_reduction == "batch" else distance.square().mean()
    return Penalties(total + lambda_c * cl, l1, l2, cl)


def audio_token_loss(
    prediction: Tensor,
    target: Tensor,
    token: Tensor,
    label_embeddings: Tensor | None = None,
    lambda_a: float = 0.01,
    lambda_b: float = 0.0,
    lambda_c: float = 0.01,
    cl_reduction: ClReduction = "batch",
) -> Losses:
    """AudioToken's loss (paper, section 3; guyyariv/AudioToken@ab7d280, train.py).

        ldm = mean (prediction - target)^2         l1 = mean |token|         l2 = mean over the batch of ||token||^2
        cl  = (1 - mean over the batch of c)^2     with `cl_reduction` "batch", as released
        cl  = mean over the batch of (1 - c)^2     with "sample"
        c   = cos(token, label embedding), per item

    With one item per batch the two reductions are the same.

    Args:
        prediction: (B, ...) prediction of the U-Net.
        target: (B, ...) target, of the same shape; see `ldm_target`.
        token: (B, D) or (B, K, D) output of the embedder; see `token_penalties` for several tokens a clip.
        label_embeddings: (B, D) rows of `benchmark.text_encoder.label_embedding`; None switches the classification loss
            off, the default of the released code.
        lambda_a: Weight of l1.
        lambda_b: Weight of l2.
        lambda_c: Weight of cl.
        cl_reduction: "batch" or "sample".

    Raises:
        ValueError: Shapes differ, which broadcasting would hide.
        UserError: `cl_reduction` is unknown.
    """
    ldm = denoising_errors(prediction, target).mean()
    penalties = token_penalties(token, label_embeddings, lambda_a, lambda_b, lambda_c, cl_reduction)
    return Losses(ldm + penalties.total, ldm, *penalties[1:])


def scaled_learning_rate(base: float, batch_size: int, accumulation_steps: int, processes: int) -> float:
    """Scale the learning rate as released: `base` times the number of items per optimiser step.

    Args:
        base: Learning rate for one item per step.
        batch_size: Items per pass of a process.
        accumulation_steps: Passes per step.
        processes: Number of processes.

    Raises:
        UserError: A count is below 1.

    Example:
        >>> scaled_learning_rate(1e-5, batch_size=4, accumulation_steps=4, processes=1)
        0.00016
    """
    if min(batch_size, accumulation_steps, processes) < 1:
        raise UserError(
            f"batch size {batch_size}, accumulation steps {accumulation_steps}, processes {processes}: "
            "each must be 1 or more"
        )
    return base * batch_size * accumulation_steps * processes
