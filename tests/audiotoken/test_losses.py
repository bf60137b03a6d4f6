from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from audiotoken.losses import audio_token_loss, ldm_target, scaled_learning_rate
from benchmark.utils.errors import UserError

TOKEN = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
LABELS = torch.tensor([[1.0, 0.0], [0.0, 5.0]])
ZERO = torch.zeros(2, 4)


def test_terms_by_hand() -> None:
    losses = audio_token_loss(ZERO + 3, ZERO + 1, TOKEN, LABELS, lambda_a=0.1, lambda_b=0.2, lambda_c=0.3)
    assert losses.cl is not None
    assert losses.ldm.item() == pytest.approx(4)
    assert losses.l1.item() == pytest.approx((3 + 4 + 0 + 2) / 4)
    assert losses.l2.item() == pytest.approx((25 + 4) / 2)
    # The cosines are 0.6 and -1: their mean is taken before the square.
    assert losses.cl.item() == pytest.approx((1 - (0.6 - 1) / 2) ** 2)
    assert losses.total.item() == pytest.approx(4 + 0.1 * 2.25 + 0.2 * 14.5 + 0.3 * 1.44)


def test_the_square_of_each_sample_is_another_number() -> None:
    losses = audio_token_loss(ZERO, ZERO, TOKEN, LABELS, cl_reduction="sample")
    assert losses.cl is not None
    assert losses.cl.item() == pytest.approx((0.4**2 + 2**2) / 2)
    one, other = (
        audio_token_loss(ZERO[:1], ZERO[:1], TOKEN[:1], LABELS[:1], cl_reduction=kind).cl
        for kind in ("batch", "sample")
    )
    torch.testing.assert_close(one, other)


def test_without_labels_there_is_no_classification_loss() -> None:
    losses = audio_token_loss(ZERO, ZERO, TOKEN)
    assert losses.cl is None
    assert losses.total.item() == pytest.approx(0.01 * 2.25)


def test_half_precision_is_computed_in_float32() -> None:
    losses = audio_token_loss(ZERO.half() + 300, ZERO.half(), TOKEN.half(), LABELS)
    assert losses.ldm.item() == 90_000
    assert all(term is not None and term.dtype == torch.float32 for term in losses)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="its target"):
        audio_token_loss(ZERO, ZERO[:1], TOKEN)
    with pytest.raises(ValueError, match="label embeddings"):
        audio_token_loss(ZERO, ZERO, TOKEN, LABELS[:1])
    with pytest.raises(UserError, match="'sum'"):
        audio_token_loss(ZERO, ZERO, TOKEN, LABELS, cl_reduction="sum")  # type: ignore[arg-type]


SCHEDULERS = [DDPMScheduler, DDIMScheduler, DPMSolverMultistepScheduler]
LATENTS, NOISE = torch.randn(2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
TIMESTEPS = torch.tensor([3, 500, 999])


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_epsilon_target_is_the_noise(kind: Any) -> None:
    assert ldm_target(kind(prediction_type="epsilon"), LATENTS, NOISE, TIMESTEPS) is NOISE


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_velocity_target(kind: Any) -> None:
    target = ldm_target(kind(prediction_type="v_prediction"), LATENTS, NOISE, TIMESTEPS)
    torch.testing.assert_close(target, DDPMScheduler().get_velocity(LATENTS, NOISE, TIMESTEPS), atol=1e-5, rtol=1e-5)


def test_velocity_leads_back_to_the_latents() -> None:
    scheduler = DDPMScheduler(prediction_type="v_prediction")
    noisy = scheduler.add_noise(LATENTS, NOISE, TIMESTEPS)
    abar = scheduler.alphas_cumprod[TIMESTEPS].reshape(-1, 1, 1, 1)
    velocity = ldm_target(scheduler, LATENTS, NOISE, TIMESTEPS)
    torch.testing.assert_close(abar.sqrt() * noisy - (1 - abar).sqrt() * velocity, LATENTS, atol=1e-5, rtol=1e-5)


def test_velocity_keeps_the_type_of_the_noise() -> None:
    scheduler = DDPMScheduler(prediction_type="v_prediction")
    half = ldm_target(scheduler, LATENTS.bfloat16(), NOISE.bfloat16(), TIMESTEPS)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), ldm_target(scheduler, LATENTS, NOISE, TIMESTEPS), atol=0.03, rtol=0.03)


def test_other_prediction_types_are_refused() -> None:
    with pytest.raises(UserError, match="'sample'"):
        ldm_target(DDPMScheduler(prediction_type="sample"), LATENTS, NOISE, TIMESTEPS)


def test_scaled_learning_rate() -> None:
    assert scaled_learning_rate(1e-5, 4, 4, 1) == pytest.approx(1.6e-4)
    assert scaled_learning_rate(1e-5, 2, 3, 5) == pytest.approx(3e-4)
    with pytest.raises(UserError, match="processes 0"):
        scaled_learning_rate(1e-5, 4, 4, 0)
