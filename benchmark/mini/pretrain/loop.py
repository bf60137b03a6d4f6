"""Training loop of all pretraining stages, which is resumable to the step: an interruption changes no result."""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.utils.files import save_atomic

SAVE_SECONDS = 90.0

Logs = dict[str, torch.Tensor]
"""Further figures of a step; they stay on their device, so that a GPU is not waited for, until a line is written."""


@dataclass(frozen=True)
class Schedule:
    """AdamW with a linear warm-up, a cosine decay to 1 % of the rate, and averaged weights."""

    steps: int
    """Number of steps."""
    batch: int
    """Clips per step."""
    rate: float
    """Highest learning rate."""
    warmup: int = 100
    """Steps of the warm-up."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    ema: float = 0.999
    """Decay of the exponential moving average of the weights; 0: no average, the last weights count."""

    def factor(self, step: int) -> float:
        """Return the factor of the learning rate at a step, in (0, 1]."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Task(ABC):
    """A stage's networks and the loss of one step."""

    modules: nn.ModuleDict
    """Networks that are trained; their averaged weights are exported."""
    schedule: Schedule
    """Course of the training."""
    ships: bool = True
    """Whether the networks are part of the suite; weights that only other stages use stay beside the checkpoints."""

    @abstractmethod
    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, Logs]:
        """Return the loss of a step, and further figures for the log.

        The randomness comes from `generator`, which depends on the step alone. That of dropout comes from torch's
        global generator, whose state is part of the checkpoint.
        """

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Return held-out figures of the current weights, in eval mode and without gradients."""


@dataclass
class Progress:
    """Progress of a training."""

    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Wall-clock seconds so far, interruptions left out."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    """Running mean of the loss, as (step, loss), every 100 steps."""


def average(target: nn.Module, source: nn.Module, decay: float) -> None:
    """Set the parameters of `target` to decay * target + (1 - decay) * source, and copy the buffers."""
    with torch.no_grad():
        mine: list[torch.Tensor] = list(target.parameters())
        theirs: list[torch.Tensor] = list(source.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for buffer, value in zip(target.buffers(), source.buffers(), strict=True):
            buffer.copy_(value)


class _State:
    """All that a checkpoint holds: networks, their averages, optimizer, progress and the state of random draws."""

    def __init__(self, task: Task, checkpoint: Path, device: torch.device | None) -> None:
        self.checkpoint, self.device = checkpoint, device
        self.modules = task.modules.train().to(device)
        self.averaged = copy.deepcopy(self.modules).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            [p for p in self.modules.parameters() if p.requires_grad],
            lr=task.schedule.rate,
            weight_decay=task.schedule.weight_decay,
            betas=(0.9, 0.99),
            fused=True,
        )
        self.progress = Progress()
        self.running: torch.Tensor | None = None

    @property
    def _gpu(self) -> torch.device | None:
        return self.device if self.device is not None and self.device.type == "cuda" else None

    def restore(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
        self.modules.load_state_dict(state["modules"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"][0])
        if self._gpu is not None and len(state["random"]) > 1:
            torch.cuda.set_rng_state(state["random"][1], self._gpu)
        self.progress = Progress(state["step"], state["seconds"], [tuple(row) for row in state["losses"]])

    def loss(self) -> float:
        """Return the running mean of the loss; it stays on its device until then, so that a GPU is not waited for."""
        value = math.nan if self.running is None else float(self.running)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {self.progress.step - 1} or before; "
                f"the last good state is {self.checkpoint}"
            )
        return value

    def save(self) -> None:
        """Write the checkpoint, unless the loss is not finite."""
        if self.running is not None:
            self.loss()
        state: dict[str, Any] = {
            "modules": self.modules.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.progress.step,
            "seconds": self.progress.seconds,
            "losses": [list(row) for row in self.progress.losses],
            "random": [torch.get_rng_state(), *([] if self._gpu is None else [torch.cuda.get_rng_state(self._gpu)])],
        }
        save_atomic(self.checkpoint, lambda path: torch.save(state, path))


def train(
    task: Task,
    checkpoint: Path,
    say: Callable[[str], None],
    *,
    stop_after: int | None = None,
    device: torch.device | None = None,
) -> tuple[nn.ModuleDict, Progress] | None:
    """Train a task to the end of its schedule.

    Args:
        task: The task.
        checkpoint: File that is continued from if it exists, and that is written every `SAVE_SECONDS`.
        say: Receives lines on the progress.
        stop_after: Stop, and save, after this many steps of this call.
        device: Where the networks are trained, and stay; None: where they are.

    Returns:
        The averaged modules and the progress; None if `stop_after` ended the call.

    Raises:
        FloatingPointError: The loss is not finite.
    """
    schedule = task.schedule
    state = _State(task, checkpoint, device)
    if checkpoint.exists():
        state.restore()
        say(f"resuming at step {state.progress.step} of {schedule.steps}")
    modules, averaged, progress = state.modules, state.averaged, state.progress
    began = saved = time.perf_counter()
    before, first = progress.seconds, progress.step
    while progress.step < schedule.steps:
        if stop_after is not None and progress.step - first >= stop_after:
            state.save()
            return None
        step = progress.step
        for group in state.optimizer.param_groups:
            group["lr"] = schedule.rate * schedule.factor(step)
        loss, logs = task.loss(step, torch.Generator().manual_seed(step))
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        state.optimizer.step()
        if schedule.ema:
            # The average has a short memory at first, so that it forgets the initialisation.
            average(averaged, modules, min(schedule.ema, (1 + step) / (10 + step)))
        value = loss.detach()
        state.running = value if state.running is None else 0.98 * state.running + 0.02 * value
        progress.step += 1
        now = time.perf_counter()
        progress.seconds = before + now - began
        if progress.step % 100 == 0 or progress.step == schedule.steps:
            progress.losses.append((progress.step, state.loss()))
            left = (schedule.steps - progress.step) * (now - began) / (progress.step - first)
            details = " ".join(f"{name} {float(number):.4f}" for name, number in logs.items())
            done = f"step {progress.step}/{schedule.steps} loss {progress.losses[-1][1]:.4f}"
            say(f"{done} {details} | {left / 60:.1f} min left")
        if now - saved > SAVE_SECONDS:
            state.save()
            saved = now
    state.save()
    if not schedule.ema:
        averaged.load_state_dict(modules.state_dict())
    task.modules.load_state_dict(averaged.state_dict())
    return averaged.eval(), progress
