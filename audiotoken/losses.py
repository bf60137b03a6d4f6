"""What the embedder is trained on: noise prediction, and small penalties on the token itself."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from audiotoken.embedder import wide
from benchmark.utils.errors import UserError, unknown

ClReduction = Literal["batch", "sample"]


class Losses(NamedTuple):
    """The terms of one batch, unweighted scalars in float32 (or better), and their weighted sum."""

    total: Tensor
    """ldm + lambda_a l1 + lambda_b l2 (+ lambda_c cl): the one to call `backward` on."""
    ldm: Tensor
    """Mean squared error of the U-Net's prediction."""
    l1: Tensor
    """Mean absolute element of the token."""
    l2: Tensor
    """Mean over the batch of the token's squared length."""
    cl: Tensor | None
    """Distance from the label's words, 0 to 4; None where no label embedding was given."""


class Penalties(NamedTuple):
    """The terms of `Losses` that look at the tokens alone, and their weighted sum."""

    total: Tensor
    """lambda_a l1 + lambda_b l2 (+ lambda_c cl)."""
    l1: Tensor
    l2: Tensor
    cl: Tensor | None


def ldm_target(scheduler: Any, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """What the U-Net should predict for `noise` added to `latents` at `timesteps`.

    The noise itself for `prediction_type` "epsilon"; sqrt(abar) noise - sqrt(1 - abar) latents for "v_prediction", with
    abar the scheduler's cumulative alphas. `latents` and `noise` are (B, ...) of one shape, `timesteps` (B,) integers.

    Any diffusers scheduler with `alphas_cumprod` serves, also one without a velocity method (DPM-Solver).
    Raises UserError for another prediction type.
    """
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        # In float32, and rounded once: abar near 1 has too few digits in half precision.
        abar = scheduler.alphas_cumprod.to(latents.device)[timesteps.to(latents.device)]
        abar = abar.reshape(-1, *[1] * (latents.ndim - 1))
        return (abar.sqrt() * noise - (1 - abar).sqrt() * latents).to(noise.dtype)
    raise unknown("prediction type", kind, ["epsilon", "v_prediction"])


def denoising_errors(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each item's prediction: (B, ...) of one shape -> (B,), float32 or better.

    Raises ValueError for shapes that do not fit, which broadcasting would hide.
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
    """The paper's regularisers of the token; see `audio_token_loss`, whose arguments these are."""
    if cl_reduction not in ("batch", "sample"):
        raise unknown("cl_reduction", cl_reduction, ["batch", "sample"])
    token = wide(token)
    l1 = token.abs().mean()
    l2 = token.square().sum(dim=-1).mean()
    total = lambda_a * l1 + lambda_b * l2
    if label_embeddings is None:
        return Penalties(total, l1, l2, None)
    if label_embeddings.shape != token.shape:
        raise ValueError(f"label embeddings have shape {tuple(label_embeddings.shape)}, tokens {tuple(token.shape)}")
    distance = 1 - F.cosine_similarity(token, wide(label_embeddings), dim=-1)
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

    `prediction` and `target` are (B, ...) of one shape, `token` (B, D) is the embedder's output, `label_embeddings`
    (B, D) are rows of `benchmark.text_encoder.label_embedding`; leaving them out switches the classification loss off,
    the default of the released code. With one item a batch the two reductions are the same.
    Raises ValueError for shapes that do not fit, which broadcasting would hide, and UserError for another reduction.
    """
    ldm = denoising_errors(prediction, target).mean()
    penalties = token_penalties(token, label_embeddings, lambda_a, lambda_b, lambda_c, cl_reduction)
    return Losses(ldm + penalties.total, ldm, *penalties[1:])


def scaled_learning_rate(base: float, batch_size: int, accumulation_steps: int, processes: int) -> float:
    """Learning rate as released: `base` times the number of items that an optimizer step sees.

    >>> scaled_learning_rate(1e-5, batch_size=4, accumulation_steps=4, processes=1)
    0.00016
    """
    if min(batch_size, accumulation_steps, processes) < 1:
        raise UserError(
            f"batch size {batch_size}, accumulation steps {accumulation_steps}, processes {processes}: "
            "each must be 1 or more"
        )
    return base * batch_size * accumulation_steps * processes
