"""GlueGen's training: a translator from audio to the text encoder's hidden states, without the U-Net.

Followed: salesforce/GlueGen@4159352, `sound-gluenet/train_gluenet_sound_text.py`: its three losses and their weights.
Steps, batch size and the optimiser with its rates are the suite's budget, as of all methods that train.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiotoken.checkpoint import resume, save_state
from audiotoken.training import SAVE_SECONDS, learning_rate
from audiotoken.training_data import batch_positions
from baselines.translator import Discriminator, Translator
from benchmark.utils import distributed
from benchmark.utils.errors import RunError

if TYPE_CHECKING:
    import numpy as np

    from audiotoken.features import Features
    from audiotoken.training_settings import TrainingSettings
    from benchmark.runs.tracking import Watch
    from benchmark.utils.progress import UI

AUDIO_TOKENS = 16
"""Tokens that an embedding of the audio is cut into."""
ADVERSARIAL, DISTILLED, RECONSTRUCTED = 0.1, 10_000.0, 10_000.0
"""Weights of the losses."""


class AlignmentLosses(NamedTuple):
    """Weighted losses of a batch, whose sum is minimised."""

    adversarial: Tensor
    distilled: Tensor
    reconstructed: Tensor


class Networks(nn.Module):
    """The translator, and what is trained with it and not needed afterwards.

    Args:
        audio_width: Width of the audio's embedding, a multiple of `AUDIO_TOKENS`.
        text: Length and width of an encoded prompt, (L, D).
    """

    def __init__(self, audio_width: int, text: tuple[int, int]) -> None:
        super().__init__()
        self.translator = new_translator(audio_width, text)
        self.back = Translator((text[0], AUDIO_TOKENS), (text[1], audio_width // AUDIO_TOKENS))
        self.discriminator = Discriminator(text[1])

    def losses(self, audio: Tensor, text: Tensor, norm: Tensor) -> AlignmentLosses:
        """Return the losses of a batch.

        Args:
            audio: (B, `AUDIO_TOKENS`, w) audio tokens.
            text: (B, L, D) hidden states of the clips' prompts.
            norm: (L, 1) typical length of a hidden state at each position.
        """
        target = text / (norm / 2)
        translated = self.translator(audio)
        heard = self.discriminator(translated.flatten(0, 1))
        read = self.discriminator(target.flatten(0, 1))
        judged = -read[:, 0].mean() - heard[:, 1].mean()
        errors = F.mse_loss(translated, target, reduction="none") * position_weights(text)
        return AlignmentLosses(
            ADVERSARIAL * judged,
            DISTILLED * errors.mean(),
            RECONSTRUCTED * F.mse_loss(self.back(translated), audio),
        )


def new_translator(audio_width: int, text: tuple[int, int]) -> Translator:
    """Return the translator from embeddings of `audio_width` to encoded prompts of (length, width) `text`."""
    return Translator((AUDIO_TOKENS, text[0]), (audio_width // AUDIO_TOKENS, text[1]))


def audio_tokens(embeddings: Tensor) -> Tensor:
    """Cut embeddings (B, 1, width) into tokens (B, `AUDIO_TOKENS`, width / `AUDIO_TOKENS`)."""
    return embeddings.flatten(1).unflatten(1, (AUDIO_TOKENS, -1))


def position_weights(text: Tensor) -> Tensor:
    """Return the weight of each position of a prompt, (1, L, 1), of mean about 1.

    It is the mean distance of the batch's mean hidden state from that of the last position, which is padding. The last
    one itself gets the mean of the two before it.

    Args:
        text: (B, L, D) hidden states of prompts.
    """
    mean = text.mean(0)
    weights = (mean - mean[-1]).abs().mean(1)
    weights = weights / weights.mean()
    weights = torch.cat([weights[:-1], weights[-3:-1].mean(0, keepdim=True)])
    return weights[None, :, None]


@dataclass(frozen=True)
class Pairs:
    """Training pairs of audio and text."""

    features: Features
    """Embeddings (B, 1, width) of clips by position."""
    texts: Tensor
    """(C, L, D) hidden states of the labels' prompts."""
    classes: np.ndarray
    """Index of each clip's label."""

    @property
    def norm(self) -> Tensor:
        """(L, 1) mean length of a prompt's hidden state at each position, over the clips."""
        lengths = self.texts.double().norm(dim=-1)
        return lengths[torch.from_numpy(self.classes).to(lengths.device)].mean(0)[:, None].float()


def align(
    networks: Networks,
    pairs: Pairs,
    settings: TrainingSettings,
    seed: int,
    checkpoint: Path,
    ui: UI,
    watch: Watch,
) -> dict[str, float]:
    """Train in place, continuing from `checkpoint` where it exists, to the same bits as without an interruption.

    Nothing of a step is random but the order of the clips, which follows from the seed. Several processes take the same
    steps side by side.

    Args:
        networks: Networks to train.
        pairs: Training pairs.
        settings: The budget.
        seed: Seed of the clips' order.
        checkpoint: File of the training state.
        ui: Progress and messages.
        watch: Tracker that is called after each step.

    Returns:
        Running means of the losses by name, rounded to 6 decimals.

    Raises:
        RunError: The loss is no longer finite.
    """
    run = _Alignment(networks, pairs, settings, seed)
    first = resume(checkpoint, run.load_state_dict, settings.steps, ui)
    networks.train()
    saved = time.perf_counter()
    with ui.task("training the translator", settings.steps, "steps") as advance:
        advance(first)
        for step in range(first, settings.steps):
            run.step(step)
            advance(1)
            watch.after(step + 1, lambda: run.running)
            if distributed.is_first() and time.perf_counter() - saved > SAVE_SECONDS:
                save_state(checkpoint, run.state_dict(step + 1))
                saved = time.perf_counter()
    networks.eval()
    return {name: round(value, 6) for name, value in run.running.items()}


class _Alignment:
    """State of a training and its step; the arguments are those of `align`."""

    def __init__(self, networks: Networks, pairs: Pairs, settings: TrainingSettings, seed: int) -> None:
        self.networks, self.pairs, self.settings, self.seed = networks, pairs, settings, seed
        self.norm = pairs.norm
        self.optimizer = torch.optim.AdamW(networks.parameters(), lr=1.0, weight_decay=settings.weight_decay)
        self.running = dict.fromkeys(("loss", *AlignmentLosses._fields), 0.0)

    def step(self, step: int) -> None:
        """Take one step of the optimiser."""
        settings, pairs = self.settings, self.pairs
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        positions = batch_positions(len(pairs.classes), settings.batch_size, step, self.seed)
        texts = pairs.texts[torch.from_numpy(pairs.classes[positions]).to(pairs.texts.device)]
        losses = self.networks.losses(audio_tokens(pairs.features(positions)), texts, self.norm)
        total = torch.stack(losses).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        if math.isfinite(settings.max_grad_norm):
            torch.nn.utils.clip_grad_norm_(self.networks.parameters(), settings.max_grad_norm)
        self.optimizer.step()
        values = {"loss": float(total.detach())}
        values |= {name: float(value.detach()) for name, value in losses._asdict().items()}
        if not math.isfinite(values["loss"]):
            raise RunError(f"the loss is {values['loss']} at step {step}: lower --set learning_rate")
        weight = max(0.02, 1 / (step + 1))
        for name, value in values.items():
            self.running[name] += weight * (value - self.running[name])

    def state_dict(self, done: int) -> dict[str, Any]:
        """Return everything that the steps from number `done` on depend on."""
        return {
            "networks": self.networks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "running": self.running,
            "step": done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> int:
        """Restore a state of `state_dict`; return the step to continue with."""
        self.networks.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.running = state["running"]
        return int(state["step"])
