"""Training AudioToken's embedder: the latent-diffusion loss through a frozen text encoder and a frozen U-Net."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from audiotoken.checkpoint import load_state, save_state
from audiotoken.embedder import Embedder
from audiotoken.features import Features
from audiotoken.losses import ClReduction, audio_token_loss, ldm_target
from audiotoken.timesteps import Timesteps
from benchmark.errors import RunError

if TYPE_CHECKING:
    from audiotoken.method import TokenSettings
    from benchmark.backbone import Backbone
    from benchmark.ui import UI

SAVE_SECONDS = 20.0


@dataclass(frozen=True)
class Material:
    """What is trained on, all frozen: features by position, latents (n, 4, h, w).

    For the classification loss (CL): label embeddings (n, D), its weight, and how it is reduced.
    """

    features: Features
    latent_mean: Tensor
    latent_deviation: Tensor
    label_embeddings: Tensor | None = None
    lambda_c: float = 0.0
    cl_reduction: ClReduction = "batch"


def batch_positions(count: int, batch_size: int, step: int, seed: int) -> list[int]:
    """The clips of a step: every clip once an epoch, in an order that depends on the seed and the epoch alone."""
    positions = []
    for place in range(step * batch_size, (step + 1) * batch_size):
        epoch, offset = divmod(place, count)
        positions.append(int(_order(count, epoch, seed)[offset]))
    return positions


_orders: dict[tuple[int, int, int], Tensor] = {}


def _order(count: int, epoch: int, seed: int) -> Tensor:
    key = (count, epoch, seed)
    if key not in _orders:
        _orders.clear()
        _orders[key] = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
    return _orders[key]


def learning_rate(settings: TokenSettings, step: int) -> float:
    """Constant as in the paper, or with a cosine to zero after `warmup_steps` linear steps."""
    assert settings.learning_rate is not None and settings.steps is not None
    warmup = settings.warmup_steps or 0
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.schedule != "cosine":
        return settings.learning_rate
    done = (step - warmup) / max(1, settings.steps - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def train(
    embedder: Embedder, backbone: Backbone, material: Material, settings: TokenSettings, seed: int,
    checkpoint: Path, ui: UI,
) -> dict[str, Any]:  # fmt: skip
    """Train `embedder` in place to `settings.steps`, from `checkpoint` where there is one; returns the last losses.

    All randomness of a step (clips, timesteps, noise, dropout) comes from generators seeded with (seed, step), so a
    training that was interrupted ends in the same bits as one that was not. The last state stays in `checkpoint`.
    Raises RunError if the loss or the embedder stops being finite; the last finite state is kept.
    """
    assert settings.steps is not None and settings.batch_size is not None
    optimizer = torch.optim.AdamW(embedder.parameters(), lr=1.0, betas=(0.9, 0.999), weight_decay=settings.weight_decay)
    schedule = backbone.noise_schedule
    timesteps = Timesteps(settings.timesteps or "uniform", schedule.config.num_train_timesteps)
    first, running = 0, {"loss": 0.0, "ldm": 0.0}
    if checkpoint.exists():
        state = load_state(checkpoint)
        embedder.load_state_dict(state["embedder"])
        optimizer.load_state_dict(state["optimizer"])
        timesteps.load_state_dict(state["timesteps"])
        first, running = state["step"], state["running"]
        ui.say(f"continuing at step {first} of {settings.steps}")
    device = material.features.device
    embedder.train()
    saved = time.perf_counter()
    with ui.task("training the embedder", settings.steps, "steps") as advance:
        advance(first)
        for step in range(first, settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, step)
            generator = torch.Generator().manual_seed((seed + 1) * 1_000_000_007 + step)
            positions = batch_positions(len(material.latent_mean), settings.batch_size, step, seed)
            mean, deviation = material.latent_mean[positions], material.latent_deviation[positions]
            latents = mean + deviation * torch.randn(mean.shape, generator=generator)
            noise = torch.randn(mean.shape, generator=generator)
            times, weights = timesteps.draw(len(positions), generator)
            noisy = schedule.add_noise(latents, noise, times).to(device)
            token = embedder(material.features(positions), generator)
            if timesteps.learns:
                token.retain_grad()
            predicted = backbone.unet(
                noisy.contiguous(memory_format=torch.channels_last), times.to(device), backbone.inject(token)
            ).sample
            losses = audio_token_loss(
                predicted,
                ldm_target(schedule, latents, noise, times).to(device),
                token,
                None if material.label_embeddings is None else material.label_embeddings[positions],
                settings.lambda_a,
                settings.lambda_b,
                material.lambda_c,
                material.cl_reduction,
                weights.to(device),
            )
            loss = float(losses.total.detach())
            if not math.isfinite(loss):
                raise RunError(f"the loss is {loss} at step {step}: lower --set learning_rate")
            optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            if timesteps.learns:
                assert token.grad is not None
                timesteps.learn(times, len(times) * token.grad.norm(dim=1).cpu() / weights)
            optimizer.step()
            weight = max(0.02, 1 / (step + 1))
            running["loss"] += weight * (loss - running["loss"])
            running["ldm"] += weight * (float(losses.ldm.detach()) - running["ldm"])
            advance(1)
            if time.perf_counter() - saved > SAVE_SECONDS:
                _save(checkpoint, embedder, optimizer, timesteps, step + 1, running)
                saved = time.perf_counter()
    if not all(bool(parameter.isfinite().all()) for parameter in embedder.parameters()):
        raise RunError(f"the embedder is not finite after step {settings.steps}: lower --set learning_rate")
    if first < settings.steps:
        _save(checkpoint, embedder, optimizer, timesteps, settings.steps, running)
    embedder.eval()
    return {name: round(value, 6) for name, value in running.items()}


def _save(
    path: Path, embedder: Embedder, optimizer: torch.optim.Optimizer, timesteps: Timesteps, step: int,
    running: dict[str, float],
) -> None:  # fmt: skip
    save_state(
        path,
        {
            "embedder": embedder.state_dict(),
            "optimizer": optimizer.state_dict(),
            "timesteps": timesteps.state_dict(),
            "step": step,
            "running": dict(running),
        },
    )
