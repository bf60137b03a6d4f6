"""Train AudioToken's embedder with the latent-diffusion loss through a frozen text encoder and a frozen U-Net."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from audiotoken.checkpoint import resume, save_state
from audiotoken.embedder import Rows
from audiotoken.losses import denoising_errors, ldm_target, token_penalties
from audiotoken.timesteps import Timesteps
from audiotoken.training_settings import CARDS, gigabytes, peak_estimate
from benchmark.utils import distributed
from benchmark.utils.errors import RunError
from benchmark.utils.precision import Fetched, casts, sent

if TYPE_CHECKING:
    from audiotoken.training_data import Batch, TrainingData
    from audiotoken.training_settings import TrainingSettings
    from benchmark import Backbone
    from benchmark.runs.tracking import Watch
    from benchmark.utils.progress import UI

SAVE_SECONDS = 20.0
NARROW = ("bfloat16", "float16")

Draw = tuple[Callable[..., Tensor], tuple[int, ...]]
"""A random function of torch, and the shape of a row of its values."""


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Return the learning rate of a step, counted from 0.

    After `warmup_steps` linear steps it is constant, as in the paper, or follows a cosine to zero.
    """
    warmup = settings.warmup_steps
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.schedule != "cosine":
        return settings.learning_rate
    done = (step - warmup) / max(1, settings.steps - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def train(
    embedder: nn.Module,
    backbone: Backbone,
    material: TrainingData,
    settings: TrainingSettings,
    seed: int,
    checkpoint: Path,
    ui: UI,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train an embedder in place, continuing from `checkpoint` where it exists.

    Parameters of the U-Net that require gradients (a LoRA) are trained too. All randomness of a step (clips, timesteps,
    noise, dropout) comes from generators seeded with (seed, step) and is drawn for the whole batch. So an interrupted
    training ends with the same bits as an uninterrupted one, and several processes, each with its share of every batch,
    take the same steps as one, except for rounding.

    Args:
        embedder: Network to train: (features, rows) -> tokens (B, D), or several tokens in a row, (B, n D), where the
            batches have prompts that they follow.
        backbone: Backbone with the frozen text encoder and U-Net.
        material: Training data.
        settings: Training settings.
        seed: Seed of all randomness.
        checkpoint: File of the training state; it holds the last state at the end.
        ui: Progress and messages.
        watch: Tracker that is called after each step.

    Returns:
        Running means of the last losses by name, rounded to 6 decimals.

    Raises:
        RunError: The loss or the embedder is no longer finite (the last finite state is kept), the batch cannot be
            split evenly over the processes, or the device has too little memory.
    """
    run = Training(embedder, backbone, material, settings, seed)
    first = resume(checkpoint, run.load_state_dict, settings.steps, ui)
    embedder.train()
    saved = time.perf_counter()
    with ui.task("training the embedder", settings.steps, "steps") as advance, run.prepared_unet():
        advance(first)
        for step in range(first, settings.steps):
            with enough_memory(settings, material.device):
                run.step(step)
            advance(1)
            if watch is not None:
                watch.after(step + 1, partial(run.figures, step))
            if distributed.is_first() and time.perf_counter() - saved > SAVE_SECONDS:
                save_state(checkpoint, run.state_dict(step + 1))
                saved = time.perf_counter()
    run.read_losses()
    if not all(bool(parameter.isfinite().all()) for parameter in run.parameters):
        raise RunError(f"the embedder is not finite after step {settings.steps}: lower --set learning_rate")
    if first < settings.steps and distributed.is_first():
        save_state(checkpoint, run.state_dict(settings.steps))
    embedder.eval()
    return {name: round(value, 6) for name, value in run.running.items()}


@contextlib.contextmanager
def enough_memory(settings: TrainingSettings, device: str) -> Iterator[None]:
    """Name the setting that takes less memory, where a step in this block has too little.

    Raises:
        RunError: A CUDA device has too little memory.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        whole = torch.cuda.get_device_properties(device).total_memory
        raise RunError(too_little_memory(device, whole, settings)) from error


def too_little_memory(device: str, whole: int, settings: TrainingSettings) -> str:
    """Return the line for a device whose memory of `whole` bytes is too little for a training with these settings."""
    clips = min(settings.micro_batch, settings.batch_size)
    fitting = [name for name, most in CARDS.items() if most < clips and gigabytes(name) <= 1.1 * whole / 1e9]
    if fitting:
        fewer = replace(settings, micro_batch=CARDS[fitting[-1]])
        advice = f"--set micro_batch={fitting[-1]} ({fewer.micro_batch} clips, {peak_estimate(fewer) / 1e9:.1f} GB)"
    elif clips > 1:
        advice = f"--set micro_batch={clips // 2}, below the preset {next(iter(CARDS))}"
    else:
        advice = "--set gradient_checkpointing=true, or a larger device: no preset takes less"
    return f"{device} has too little memory ({whole / 1e9:.1f} GB) for {clips} clips in {settings.precision}: {advice}"


class ForeseenRows(Rows):
    """Rows whose next random values may be drawn before they are asked for, while the device is at work.

    They are those that would be drawn on demand, in whatever order they are asked for.
    """

    def __init__(self, *_: Any) -> None:
        self.asked: list[Draw] = []
        self._ready: list[tuple[Draw, Tensor, Tensor]] = []

    def draw(self, function: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """Return the values of the rows taken, drawn before or now."""
        wanted = function, tuple(shape)
        self.asked.append(wanted)
        if self._ready:
            foreseen, state, values = self._ready.pop(0)
            if foreseen == wanted:
                return values
            self.generator.set_state(state)
            self._ready.clear()
        return super().draw(*wanted)

    def foresee(self, draws: Sequence[Draw], device: str) -> None:
        """Draw the values that will probably be asked for next, and start copying them to the device."""
        for one in draws:
            state = self.generator.get_state()
            self._ready.append((one, state, sent(super().draw(*one), device)))


@dataclass(frozen=True)
class _Inputs:
    """What a step takes besides the parameters."""

    rows: ForeseenRows
    batch: Batch
    noisy: Tensor
    target: Tensor
    times: Tensor
    """(b,) timesteps on the device."""
    weights: Tensor
    """(b,) weights of the errors on the device."""
    all_times: Tensor
    """(B,) timesteps of the step's clips in all processes, on the CPU."""
    all_weights: Tensor
    """(B,) their weights, on the CPU."""


class Training:
    """Training state and training step; the arguments are those of `train`."""

    def __init__(
        self, embedder: nn.Module, backbone: Backbone, material: TrainingData, settings: TrainingSettings, seed: int
    ) -> None:
        if settings.batch_size % distributed.world():
            raise RunError(
                f"{settings.batch_size} clips a step cannot be shared out among {distributed.world()} processes: "
                "start a number of processes that divides it, or --set batch_size"
            )
        self.embedder, self.backbone, self.material, self.settings, self.seed = (
            embedder,
            backbone,
            material,
            settings,
            seed,
        )
        self.lora = {name: one for name, one in backbone.unet.named_parameters() if one.requires_grad}
        self.parameters = [*embedder.parameters(), *self.lora.values()]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=1.0, betas=(0.9, 0.999), weight_decay=settings.weight_decay
        )
        self.schedule = backbone.noise_schedule
        self.timesteps = Timesteps(settings.timesteps, self.schedule.config.num_train_timesteps)
        self.kind = torch.device(material.device).type
        # Only float16 has so small a range of exponents that small gradients vanish.
        self.scaler = torch.amp.GradScaler(self.kind, enabled=settings.precision == "float16")
        self.running = {"loss": 0.0, "ldm": 0.0}
        self.unet = backbone.unet
        self.narrow = getattr(torch, settings.precision) if settings.precision in NARROW else None
        self.cast = self.narrow is not None and casts(material.device)
        # What importance draws depends on the gradients of the step before.
        self.looks_ahead = self.cast and not self.timesteps.learns
        self._coming: tuple[int, _Inputs] | None = None
        self._unread: tuple[int, Fetched] | None = None
        self._draws: list[Draw] = []

    @contextlib.contextmanager
    def prepared_unet(self) -> Iterator[None]:
        """Compile the U-Net, or enable its gradient checkpointing, as the settings say."""
        unet = self.backbone.unet
        if self.settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        if self.settings.compile:
            self.unet = torch.compile(unet)
        try:
            yield
        finally:
            self.unet = unet
            if self.settings.gradient_checkpointing:
                unet.disable_gradient_checkpointing()
            if self.cast:
                # After a step without memory there may be none for this: whoever samples does it anyway.
                with contextlib.suppress(torch.OutOfMemoryError):
                    self.backbone.single_precision()

    def step(self, step: int) -> None:
        """Take one step of the optimiser."""
        settings, device = self.settings, self.material.device
        count = settings.batch_size
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        coming, self._coming = self._coming, None
        inputs = coming[1] if coming is not None and coming[0] == step else self._inputs(step)
        inputs.rows.asked.clear()
        tokens = self.embedder(inputs.batch.features, inputs.rows)
        self._draws = list(inputs.rows.asked)
        if self.cast:
            assert self.narrow is not None
            self.backbone.hold_unet(self.narrow)

        # The graph is cut at the tokens: the U-Net may run in pieces, while the embedder's backward pass runs once.
        leaf = tokens.detach().requires_grad_()
        self.optimizer.zero_grad(set_to_none=True)
        ldm = torch.zeros((), device=device)
        for piece in self._pieces(len(tokens)):
            prompts = None if inputs.batch.prompts is None else inputs.batch.prompts[piece]
            predicted = self._predicted(inputs.noisy[piece], inputs.times[piece], leaf[piece], prompts)
            errors = denoising_errors(predicted, inputs.target[piece]) * inputs.weights[piece]
            share = errors.sum() / count
            ldm += share.detach()
            self._backward(share)
        labels = inputs.batch.label_embeddings
        penalties = token_penalties(
            distributed.gather_rows(leaf),
            None if labels is None else distributed.gather_rows(labels),
            settings.lambda_a,
            settings.lambda_b,
            settings.lambda_c,
            settings.cl_reduction,
        )
        self._backward(penalties.total)
        assert leaf.grad is not None
        tokens.backward(leaf.grad)
        gradients = [one.grad for one in self.parameters if one.grad is not None]
        distributed.sum_over_processes(gradients)
        if self.timesteps.learns:
            sizes = distributed.gather_rows(leaf.grad.flatten(1).norm(dim=1).cpu() / self.scaler.get_scale())
            if bool(sizes.isfinite().all()):
                self.timesteps.learn(inputs.all_times, count * sizes / inputs.all_weights)
        if math.isfinite(settings.max_grad_norm):
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, settings.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.looks_ahead:
            self._coming = step + 1, self._inputs(step + 1)
        distributed.sum_over_processes([ldm])
        fetched = Fetched(torch.stack([ldm + penalties.total.detach(), ldm]))
        # Those of the step before, which the device has done or is about to do, while this one waits its turn. Several
        # processes have to fail together, so none of them is ahead.
        self.read_losses()
        self._unread = step, fetched
        if distributed.world() > 1:
            self.read_losses()

    def _inputs(self, step: int) -> _Inputs:
        """Return what a step takes besides the parameters; it depends on the seed and the step alone."""
        device, count = self.material.device, self.settings.batch_size
        batch = self.material.batch(step, count)
        rows = ForeseenRows(
            torch.Generator().manual_seed((self.seed + 1) * 1_000_000_007 + step),
            count,
            slice(distributed.rank(), None, distributed.world()),
        )
        mean, deviation = batch.latent_mean, batch.latent_deviation
        place = str(mean.device)
        latents = mean + deviation * sent(rows.draw(torch.randn, mean.shape[1:]), place)
        noise = sent(rows.draw(torch.randn, mean.shape[1:]), place)
        all_times, all_weights = self.timesteps.draw(count, rows.generator)
        times, weights = all_times[rows.taken], all_weights[rows.taken]
        there = sent(times, place)
        noisy = self.schedule.add_noise(latents, noise, there).to(device)
        target = ldm_target(self.schedule, latents, noise, there).to(device)
        if self.looks_ahead:
            rows.foresee(self._draws, device)
        on_device = sent(times, device), sent(weights, device)
        return _Inputs(rows, batch, noisy, target, *on_device, all_times, all_weights)

    def _predicted(self, noisy: Tensor, times: Tensor, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """Return the U-Net's prediction for noisy latents under the prompts with these tokens."""
        if not self.cast:
            with self._precision():
                return self._denoise(noisy, times, self._conditioning(tokens, prompts))
        assert self.narrow is not None
        with self._precision():
            conditioning = self._conditioning(tokens, prompts, self.narrow)
        return self._denoise(noisy.to(self.narrow), times, conditioning.to(self.narrow)).float()

    def _conditioning(self, tokens: Tensor, prompts: Tensor | None, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the suite's prompt with the token, or tokens, in it, or `prompts` with the tokens behind them."""
        if prompts is None:
            return self.backbone.inject(tokens, dtype)
        return torch.cat([prompts, tokens.unflatten(1, (-1, prompts.shape[-1]))], dim=1)

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        name = self.settings.precision
        return torch.autocast(self.kind, getattr(torch, name)) if name in NARROW else contextlib.nullcontext()

    def _pieces(self, count: int) -> list[slice]:
        """Return the slices of clips that pass through the U-Net together."""
        most = self.settings.micro_batch
        return [slice(start, start + most) for start in range(0, count, most)]

    def _denoise(self, noisy: Tensor, times: Tensor, prompts: Tensor) -> Tensor:
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        if not self.settings.compile:
            return self.unet(noisy, times, prompts).sample
        try:
            return self.unet(noisy, times, prompts).sample
        except torch._dynamo.exc.TorchDynamoException as error:
            raise RunError(
                f"the U-Net cannot be compiled ({str(error).splitlines()[0]}): leave out --set compile=true"
            ) from error

    def _backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()

    def read_losses(self) -> None:
        """Bring the running means of the losses up to the last step taken.

        Raises:
            RunError: The loss is not finite, in all processes.
        """
        if self._unread is None:
            return
        (step, fetched), self._unread = self._unread, None
        values = dict(zip(("loss", "ldm"), fetched.read(), strict=True))
        if not math.isfinite(values["loss"]):
            raise RunError(f"the loss is {values['loss']} at step {step}: lower --set learning_rate")
        weight = max(0.02, 1 / (step + 1))
        for name, value in values.items():
            self.running[name] += weight * (value - self.running[name])

    def figures(self, step: int) -> dict[str, float]:
        """Return the values of the last step that trackers log."""
        self.read_losses()
        return {**self.running, "learning_rate": learning_rate(self.settings, step)}

    def state_dict(self, done: int) -> dict[str, Any]:
        """Return everything that the steps from number `done` on depend on."""
        self.read_losses()
        state = {
            "embedder": self.embedder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "timesteps": self.timesteps.state_dict(),
            "step": done,
            "running": dict(self.running),
        }
        if self.lora:
            state["lora"] = self.lora
        if self.scaler.is_enabled():
            state["scaler"] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> int:
        """Restore a state of `state_dict`; return the step to continue with."""
        self.embedder.load_state_dict(state["embedder"])
        with torch.no_grad():
            for name, one in self.lora.items():
                one.copy_(state["lora"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.timesteps.load_state_dict(state["timesteps"])
        self.running, self._unread = state["running"], None
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        return int(state["step"])
