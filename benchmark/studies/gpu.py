"""Speed and memory at full scale on a CUDA device: `python -m benchmark.studies.gpu -o FILE`, in under eight minutes.

Networks have the shapes of Stable Diffusion 1.4, BEATs and the scorers, with random parameters that are made on the
device: nothing is downloaded, and only times and memory mean something. AudioToken's training step and the suite's
sampler are the project's own. Beside them stand, at equal shapes, precision and batch, the step of diffusers' example
`textual_inversion.py` and the loop of its `StableDiffusionPipeline`.

Each part stands alone: what fails in it, or takes longer than its time, is noted, and the others go on. FILE is written
after each part. `--device cpu --tiny` goes through all of it with tiny networks, in seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.backbone import Backbone
from benchmark.fullscale import random_networks
from benchmark.text_encoder import PLACEHOLDER
from benchmark.utils.device import arithmetic
from benchmark.utils.env import PACKAGE
from benchmark.utils.errors import one_line_of
from benchmark.utils.files import write_atomic
from benchmark.utils.precision import fast_precision, hold

SECONDS = 460.0
"""Time of the whole study: no part starts that would probably end later."""
OWN, THEIRS, WITHOUT = "own", "diffusers", "without the store of latents"
EAGER, COMPILED = "compile=false", "compile=true"
SERIAL, AHEAD = "one thread", "threads ahead"
ROW = 4
"""Training steps that are timed in one piece: the processor may be a step ahead of the device, as in a training."""
WORDS = 77
PLACEHOLDER_ID = 49_408
MARKS = "<!-- gpu -->", "<!-- /gpu -->"

TINY: dict[str, dict[str, Any]] = {
    "UNET": {
        "sample_size": 8,
        "block_out_channels": (8, 8),
        "layers_per_block": 1,
        "cross_attention_dim": 16,
        "norm_num_groups": 4,
        "attention_head_dim": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    },
    "VAE": {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4, "sample_size": 64, "layers_per_block": 1},
    "TEXT_ENCODER": {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "projection_dim": 16,
    },
    "BEATS": {
        "embed_dim": 16,
        "encoder_layers": 12,
        "encoder_embed_dim": 16,
        "encoder_ffn_embed_dim": 16,
        "encoder_attention_heads": 2,
        "conv_pos": 8,
        "conv_pos_groups": 2,
    },
}


class Figure(NamedTuple):
    """Line of the table."""

    part: str
    """Part of the study."""
    what: str
    """What is measured."""
    value: float
    """Its value."""
    unit: str
    """Its unit: "x" for a ratio, "%" for a share."""


@dataclass(frozen=True)
class Size:
    """Extent of the study."""

    batch: int = 16
    """Clips of a training step, as in the suite's budget."""
    micro: tuple[int, ...] = (4, 16)
    """Clips at once that training steps are compared with."""
    cards: tuple[int, ...] = (4, 8, 16)
    """Clips at once whose peak memory is measured: the presets of 12, 16 and 24 GB."""
    steps: int = 50
    """Sampling steps."""
    pictures: int = 8
    """Images that are sampled together, as in the suite."""
    seconds: float = 6.0
    """Time for the repetitions of one comparison."""
    matrix: int = 8192
    """Side of the matrices of the card's rate."""
    scored: int = 512
    """Images for a scorer, and sounds."""
    prepared: int = 256
    """Training videos that are prepared."""
    resolution: int = 512
    """Side of an image in pixels."""
    tiny: bool = False
    """Whether networks are tiny, for a test of the study itself."""


SMALL = Size(4, (2, 4), (2, 4), 3, 2, 0.2, 64, 3, 2, 64, True)


@dataclass
class Report:
    """Everything that was measured."""

    device: str
    """Name of the device."""
    facts: dict[str, Any]
    """Versions, memory, precision."""
    figures: list[Figure] = field(default_factory=list)
    """The measurements."""
    failures: dict[str, str] = field(default_factory=dict)
    """Parts that failed or were left out, and why."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time of each part."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "figures": [one._asdict() for one in self.figures]}


class Part(NamedTuple):
    """Part of the study."""

    name: str
    measure: Callable[[], Iterator[Figure]]
    seconds: float
    """Time after which it is stopped."""


class _Tokenizer:
    """Tokenizer of fixed ids: their values change no time."""

    model_max_length = WORDS

    def add_tokens(self, _: object) -> int:
        return 1

    def convert_tokens_to_ids(self, _: object) -> int:
        return PLACEHOLDER_ID

    def __call__(self, prompts: Sequence[str], **_: object) -> SimpleNamespace:
        ids = torch.zeros(len(prompts), WORDS, dtype=torch.long)
        ids[:, -1] = PLACEHOLDER_ID - 1
        for row, prompt in zip(ids, prompts, strict=True):
            if PLACEHOLDER in prompt:
                row[4] = PLACEHOLDER_ID
        return SimpleNamespace(input_ids=ids)


class _Silent:
    """UI that shows nothing."""

    def say(self, line: str) -> None:
        pass

    warn = say

    @contextlib.contextmanager
    def task(self, what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        yield lambda done: None


class Study:
    """Networks on the device, and the parts that measure them.

    Args:
        device: Device to measure.
        size: Extent of the study.
        say: Receives a line of progress.
    """

    def __init__(self, device: str, size: Size, say: Callable[[str], None]) -> None:
        self.device, self.size, self.say = device, size, say
        self.cuda = torch.device(device).type == "cuda"
        self.precision = fast_precision(device)
        self.dtype: torch.dtype = getattr(torch, self.precision)
        self.rate: float | None = None
        self.operations: tuple[float, float] | None = None
        name = torch.cuda.get_device_name(device) if self.cuda else platform.processor() or platform.machine()
        self.report = Report(name, self._facts())
        self._backbone: Backbone | None = None
        self._beats: Any = None

    def _facts(self) -> dict[str, Any]:
        versions = {}
        for library in ("torch", "diffusers", "transformers", "numpy"):
            with contextlib.suppress(ImportError):
                versions[library] = importlib.import_module(library).__version__
        memory = torch.cuda.get_device_properties(self.device).total_memory if self.cuda else None
        return {
            "versions": versions,
            "python": platform.python_version(),
            "memory_bytes": memory,
            "training_precision": self.precision,
            "sampling_precision": self.protocol.backbone.dtype,
            "processors": os.cpu_count(),
            "size": asdict(self.size),
        }

    @property
    def parts(self) -> list[Part]:
        """The parts, those first on which others are based or of which most is expected."""
        return [
            Part("matrix products", self.matrix_products, 20),
            Part("operations", self.count_operations, 30),
            Part("training", self.training, 80),
            Part("sampling", self.sampling, 70),
            Part("busy", self.busy, 40),
            Part("memory", self.memory, 40),
            Part("scorers", self.scorers, 140),
            Part("prepare", self.prepare, 60),
            Part("sampling, compiled", self.sampling_compiled, 170),
            Part("training, compiled", self.training_compiled, 240),
        ]

    def run(self, save: Callable[[Report], None], seconds: float = SECONDS, only: Sequence[str] = ()) -> Report:
        """Measure the parts within `seconds`.

        Args:
            save: Receives the report after each part.
            seconds: Time of the whole study.
            only: Names of the parts; by default all.
        """
        start = time.perf_counter()
        for part in self.parts:
            if only and part.name not in only:
                continue
            left = seconds - (time.perf_counter() - start)
            began = time.perf_counter()
            if left < 5:
                self.report.failures[part.name] = "left out: no time was left"
                save(self.report)
                continue
            self.say(f"[{time.perf_counter() - start:5.0f} s] {part.name}")
            try:
                with _limited(left if self.size.tiny else min(part.seconds, left)):
                    for figure in part.measure():
                        self.report.figures.append(figure)
                        self.say(f"    {figure.what}: {shown(figure)}")
            except Exception as error:  # another part may well succeed
                self.report.failures[part.name] = one_line_of(error)
                self.say(f"    FAILED: {self.report.failures[part.name]}")
            self.report.seconds[part.name] = round(time.perf_counter() - began, 1)
            self._release()
            save(self.report)
        return self.report

    # ------------------------------------------------------------------------------------------------- networks

    @property
    def protocol(self) -> Any:
        """What the suite `vggsound` says of backbone and sampling, read from its file without the whole package."""
        with open(PACKAGE / "suites" / "vggsound.toml", "rb") as file:
            suite = tomllib.load(file)
        backbone = SimpleNamespace(**{**suite["backbone"], "resolution": self.size.resolution})
        if not self.cuda:
            backbone.dtype = self.precision
        generation = SimpleNamespace(**{**suite["generation"], "steps": self.size.steps})
        return SimpleNamespace(backbone=backbone, generation=generation, data=SimpleNamespace(**suite["data"]))

    def config(self, name: str) -> dict[str, Any]:
        """Return the configuration of a network: the released one, or the tiny one."""
        released: dict[str, Any] = getattr(random_networks, name)
        return {**released, **(TINY[name] if self.size.tiny else {})}

    def made(self, build: Callable[[], nn.Module]) -> Any:
        """Build a network on the device, frozen and in eval mode, with the random start of its own class."""
        with torch.device(self.device):
            return build().eval().requires_grad_(False)

    @property
    def backbone(self) -> Backbone:
        """Stable Diffusion as the suite samples from it."""
        if self._backbone is None:
            import diffusers
            import transformers

            began, suite = time.perf_counter(), self.protocol
            config = transformers.CLIPTextConfig(**self.config("TEXT_ENCODER"))
            pipeline = diffusers.StableDiffusionPipeline(
                vae=self.made(lambda: diffusers.AutoencoderKL(**self.config("VAE"))),
                text_encoder=self.made(lambda: transformers.CLIPTextModel(config)),
                tokenizer=_Tokenizer(),
                unet=self.made(lambda: diffusers.UNet2DConditionModel(**self.config("UNET"))),
                scheduler=getattr(diffusers, suite.generation.scheduler).from_config(random_networks.SCHEDULER),
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
            self._backbone = Backbone(pipeline, suite, self.device)
            self.say(f"    made Stable Diffusion in {time.perf_counter() - began:.0f} s")
        return self._backbone

    @property
    def beats(self) -> Any:
        """BEATs, the audio encoder of AudioToken."""
        if self._beats is None:
            from metrics.encoders.beats import BEATs, BEATsConfig

            given = TINY["BEATS"] if self.size.tiny else {}
            self._beats = self.made(lambda: BEATs(BEATsConfig(**given)))
        return self._beats

    def _release(self) -> None:
        """Bring networks back to single precision, and free what is not used."""
        if self._backbone is not None:
            self._backbone.single_precision()
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()

    # ---------------------------------------------------------------------------------------------------- clocks

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def timed(self, call: Callable[[], object]) -> float:
        """Return the seconds of a call, the device's work included."""
        self.wait()
        began = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - began

    def compared(self, calls: dict[str, Callable[[], object]], row: int = 1) -> dict[str, float]:
        """Return the median seconds of calls that are repeated in turns, after one of each that is not counted.

        Args:
            calls: The calls by name.
            row: Calls that are timed in one piece, without waiting for the device in between.
        """
        for call in calls.values():
            self.timed(call)
        found: dict[str, list[float]] = {name: [] for name in calls}
        began = time.perf_counter()
        while not found[next(iter(calls))] or time.perf_counter() - began < self.size.seconds * len(calls) / 2:
            for name, call in calls.items():
                found[name].append(self.timed(in_a_row(call, row)) / row)
        return {name: statistics.median(times) for name, times in found.items()}

    @contextlib.contextmanager
    def within(self, module: nn.Module) -> Iterator[Callable[[], float]]:
        """Give a function that returns the seconds that the device spent in calls of `module` within the block.

        On CUDA by events before and after each call, which are read at the end: nothing waits in between.
        """
        marks: list[Any] = []

        def mark(*_: object) -> None:
            if self.cuda:
                event = torch.cuda.Event(enable_timing=True)
                event.record()
                marks.append(event)
            else:
                marks.append(time.perf_counter())

        def spent() -> float:
            self.wait()
            pairs = zip(marks[::2], marks[1::2], strict=True)
            return sum(one.elapsed_time(other) / 1e3 if self.cuda else other - one for one, other in pairs)

        hooks = [module.register_forward_pre_hook(mark), module.register_forward_hook(mark)]
        try:
            yield spent
        finally:
            for hook in hooks:
                hook.remove()

    # ----------------------------------------------------------------------------------------------------- parts

    def matrix_products(self) -> Iterator[Figure]:
        """Measure the card's rate: the median of products of large random matrices, in the precisions that are used."""
        side = self.size.matrix
        for dtype in dict.fromkeys((self.dtype, self.backbone_dtype)):
            one, other = (torch.randn(side, side, device=self.device).to(dtype) for _ in range(2))
            for _ in range(3):
                one @ other
            seconds = statistics.median(self.timed(partial(torch.matmul, one, other)) for _ in range(10))
            rate = 2 * side**3 / seconds / 1e12
            self.rate = self.rate or rate
            yield Figure("matrix products", f"{side} x {side}, {_name(dtype)}", rate, "TFLOP/s")

    @property
    def backbone_dtype(self) -> torch.dtype:
        """Precision of sampling."""
        dtype: torch.dtype = getattr(torch, self.protocol.backbone.dtype)
        return dtype

    def count_operations(self) -> Iterator[Figure]:
        """Count the U-Net's operations for one latent on shapes alone."""
        import diffusers

        from benchmark.studies.flops import operations, shapes_of

        config = self.config("UNET")
        unet = shapes_of(lambda: diffusers.UNet2DConditionModel(**config))
        side = self.size.resolution // 8
        with torch.device("meta"):
            latent, moment = torch.zeros(1, 4, side, side), torch.zeros(1, dtype=torch.long)
            hidden = torch.zeros(1, WORDS, config["cross_attention_dim"]).requires_grad_()
        forward, predicted = operations(lambda: unet(latent, moment, hidden).sample)
        backward, _ = operations(lambda: torch.autograd.grad(predicted.sum(), hidden))
        self.operations = forward, backward
        yield Figure("operations", "U-Net, forward, one latent", forward / 1e9, "GFLOP")
        yield Figure("operations", "U-Net, backward to its conditioning", backward / 1e9, "GFLOP")

    def training(self) -> Iterator[Figure]:
        """Compare a training step, with and without stored latents, with that of diffusers' textual inversion."""
        batch = self.size.batch
        for micro in self.size.micro:
            with contextlib.ExitStack() as stack:
                kept = stack.enter_context(self.own_step(micro, stored=True))
                fresh = stack.enter_context(self.own_step(micro, stored=False))
                times = self.compared({OWN: kept, WITHOUT: fresh}, ROW)
                with self.within(self.backbone.unet) as spent:
                    whole = self.timed(in_a_row(kept, ROW))
                    unet = spent()
            self._release()
            with self.textual_inversion(micro) as theirs:
                times |= self.compared({THEIRS: theirs}, ROW)
            self._release()
            at = f"{batch} clips, {micro} at once"
            yield Figure("training", f"own step, latents stored, {at}", 1 / times[OWN], "steps/s")
            yield Figure("training", f"own step, latents encoded, {at}", 1 / times[WITHOUT], "steps/s")
            yield Figure("training", f"textual_inversion of diffusers, {at}", 1 / times[THEIRS], "steps/s")
            yield Figure("training", f"own, latents stored : diffusers, {at}", times[THEIRS] / times[OWN], "x")
            yield Figure("training", f"own, latents encoded : diffusers, {at}", times[THEIRS] / times[WITHOUT], "x")
            yield Figure("training", f"U-Net's forward passes, share of the step, {at}", 100 * unet / whole, "%")
            if self.operations and self.rate:
                rate = batch * sum(self.operations) / times[OWN] / 1e12
                yield Figure("training", f"U-Net's operations over the whole step, {at}", rate, "TFLOP/s")
                yield Figure("training", f"their share of the matrix rate, {at}", 100 * rate / self.rate, "%")

    @contextlib.contextmanager
    def own_step(self, micro: int, stored: bool, compiled: bool = False) -> Iterator[Callable[[], None]]:
        """Give AudioToken's training step over streamed clips: sounds through BEATs, latents stored or encoded."""
        # The method stands on the other side of the rule of imports.
        embedder, features, latents, settings, training, data = (
            importlib.import_module(f"audiotoken.{name}")
            for name in ("embedder", "features", "latents", "training_settings", "training", "training_data")
        )
        from benchmark.dataset import Sample

        suite, backbone, clips = self.protocol, self.backbone, self.size.batch
        rng = np.random.default_rng(0)
        samples = round(suite.data.rate * suite.data.train_seconds)
        frame = rng.integers(256, size=(self.size.resolution, self.size.resolution, 3), dtype=np.uint8)
        given = [Sample(place, rng.normal(0, 0.1, samples).astype(np.float32), frame) for place in range(clips)]

        class Ear(features.Listener):  # type: ignore[misc,name-defined]
            def together(self, clips: object) -> Tensor:
                return self.of_samples(given[:1])

        def stream(_: object) -> Iterator[Sample]:
            while True:
                yield from given

        with tempfile.TemporaryDirectory() as folder:
            side = self.size.resolution // backbone.pipeline.vae_scale_factor
            shape = backbone.unet.config.in_channels, side, side
            store = latents.LatentStore(Path(folder), clips, shape) if stored else None
            material = data.Streamed(
                Ear(self.beats, suite, self.device), backbone, [None], stream, 0, data.Passes(micro, self.dtype, store)
            )
            torch.manual_seed(0)
            network = embedder.Embedder(material.width, backbone.token_width).to(self.device).train()
            asked = settings.TrainingSettings(
                steps=10**9,
                batch_size=clips,
                learning_rate=1.6e-4,
                micro_batch=micro,
                precision=self.precision,
                compile=compiled,
            )
            run = training.Training(network, backbone, material, asked, 0)
            done = iter(range(10**9))
            try:
                with run.prepared_unet():
                    yield lambda: run.step(next(done))
            finally:
                material.close()
                if store is not None:
                    store.close()

    @contextlib.contextmanager
    def textual_inversion(self, micro: int) -> Iterator[Callable[[], None]]:
        """Give the step of diffusers' `examples/textual_inversion/textual_inversion.py` with accumulated gradients.

        As there: U-Net and autoencoder in the lower precision; the text encoder in float32 under autocast, of which the
        whole table of embeddings gets gradients, is stepped by AdamW, and is put back but for the new row; the loss is
        read after every pass. Images lie on the device already, which leaves its data loader out.
        """
        import diffusers

        backbone, config = self.backbone, random_networks.SCHEDULER
        schedule = diffusers.DDPMScheduler.from_config(config)
        unet, vae, text = backbone.unet, backbone.vae, backbone.text_encoder
        for module in (unet, vae):
            hold(module, self.dtype)
            module.to(memory_format=torch.contiguous_format)
        hold(text, torch.float32)
        table = text.get_input_embeddings().weight.requires_grad_(True)
        original = table.detach().clone()
        optimizer = torch.optim.AdamW([table], lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)
        scaler = torch.amp.GradScaler(torch.device(self.device).type, enabled=self.dtype is torch.float16)
        side = self.size.resolution
        pixels = torch.rand(micro, 3, side, side, device=self.device) * 2 - 1
        ids = torch.zeros(micro, WORDS, dtype=torch.long, device=self.device)
        passes = self.size.batch // micro
        untouched = torch.ones(len(table), dtype=torch.bool, device=self.device)
        untouched[-1] = False

        def step() -> None:
            for number in range(passes):
                latents = vae.encode(pixels.to(dtype=self.dtype)).latent_dist.sample().detach()
                latents = latents * vae.config.scaling_factor
                noise = torch.randn_like(latents)
                times = torch.randint(0, schedule.config.num_train_timesteps, (micro,), device=latents.device).long()
                noisy = schedule.add_noise(latents, noise, times)
                lowered = self.dtype is not torch.float32
                with torch.autocast(torch.device(self.device).type, self.dtype, enabled=lowered):
                    hidden = text(ids)[0]
                predicted = unet(noisy, times, hidden.to(dtype=self.dtype)).sample
                loss = F.mse_loss(predicted.float(), noise.float(), reduction="mean")
                scaler.scale(loss / passes).backward()
                if number == passes - 1:
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
                with torch.no_grad():
                    table[untouched] = original[untouched]
                loss.detach().item()

        try:
            yield step
        finally:
            table.requires_grad_(False).grad = None
            table.data.copy_(original)
            for module in (unet, vae):
                module.to(memory_format=torch.channels_last)

    @property
    def together(self) -> str:
        """What a sampling run is."""
        return f"{self.size.pictures} together, {self.size.steps} steps"

    def conditioning(self) -> tuple[Tensor, list[int]]:
        """Return the conditioning and seeds of one batch of the suite."""
        with torch.no_grad():
            tokens = torch.randn(self.size.pictures, self.backbone.token_width, device=self.device) / 10
            return self.backbone.inject(tokens), list(range(self.size.pictures))

    def sampling(self) -> Iterator[Figure]:
        """Compare the suite's sampler with the loop of `StableDiffusionPipeline`, and with itself under autocast."""
        backbone, pictures = self.backbone, self.size.pictures
        embeds, seeds = self.conditioning()
        own = self.compared({OWN: lambda: backbone.sample(embeds, seeds)})[OWN]
        with self.within(backbone.unet) as spent:
            whole = self.timed(lambda: backbone.sample(embeds, seeds))
            unet = spent()
        at = self.together
        yield Figure("sampling", f"own sampler, {at}", pictures / own, "images/s")
        yield Figure("sampling", "U-Net's share of a sampling run", 100 * unet / whole, "%")
        if self.operations and self.rate:
            # PNDM evaluates the U-Net once more than it has steps, each time for both branches of the guidance.
            rate = 2 * pictures * (self.size.steps + 1) * self.operations[0] / unet / 1e12
            yield Figure("sampling", "U-Net's rate", rate, "TFLOP/s")
            yield Figure("sampling", "its share of the matrix rate", 100 * rate / self.rate, "%")
        with self.pipeline_loop(embeds, seeds) as loop:
            theirs = self.compared({THEIRS: loop})[THEIRS]
        yield Figure("sampling", f"StableDiffusionPipeline of diffusers, {at}", pictures / theirs, "images/s")
        yield Figure("sampling", "own : diffusers", theirs / own, "x")

    @contextlib.contextmanager
    def pipeline_loop(self, embeds: Tensor, seeds: Sequence[int]) -> Iterator[Callable[[], object]]:
        """Give a call of `StableDiffusionPipeline` as its users have it: all in half precision, layouts as loaded."""
        backbone, dtype = self.backbone, self.backbone_dtype
        generation, side = self.protocol.generation, self.size.resolution
        modules = (backbone.unet, backbone.vae, backbone.text_encoder)
        for module in modules:
            hold(module, dtype)
            module.to(memory_format=torch.contiguous_format)
        given = embeds.to(dtype)
        try:
            yield (
                lambda: (
                    backbone.pipeline(
                        prompt_embeds=given,
                        negative_prompt_embeds=torch.zeros_like(given),
                        num_inference_steps=generation.steps,
                        guidance_scale=generation.guidance,
                        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
                        height=side,
                        width=side,
                    ).images
                )
            )
        finally:
            for module in modules:
                module.to(memory_format=torch.channels_last)

    def sampling_compiled(self) -> Iterator[Figure]:
        """Measure the sampler with a compiled U-Net, and how long compiling takes."""
        if not self.cuda:
            raise NotImplementedError("sampling is compiled on CUDA devices alone")
        check_compiler()
        backbone, pictures, part = self.backbone, self.size.pictures, "sampling, compiled"
        embeds, seeds = self.conditioning()
        first = self.timed(lambda: backbone.sample(embeds, seeds, compiled=True))
        yield Figure(part, "first batch, compiling included", first, "s")
        times = self.compared(
            {kind: partial(backbone.sample, embeds, seeds, compiled=kind == COMPILED) for kind in (EAGER, COMPILED)}
        )
        for kind, seconds in times.items():
            yield Figure(part, f"own sampler, {kind}, {self.together}", pictures / seconds, "images/s")
        yield Figure(part, f"{COMPILED} : {EAGER}", times[EAGER] / times[COMPILED], "x")
        yield Figure(part, "compiling, once a process", first - times[COMPILED], "s")

    def training_compiled(self) -> Iterator[Figure]:
        """Measure the training step with a compiled U-Net, and how long compiling takes."""
        if not self.cuda:
            raise NotImplementedError("only the times of CUDA devices are of interest")
        check_compiler()
        micro, part = self.size.micro[-1], "training, compiled"
        times: dict[str, float] = {}
        at = f"latents stored, {self.size.batch} clips, {micro} at once"
        for kind in (EAGER, COMPILED):
            with self.own_step(micro, stored=True, compiled=kind == COMPILED) as step:
                first = self.timed(step)
                times |= self.compared({kind: step}, ROW)
            yield Figure(part, f"own step, {kind}, {at}", 1 / times[kind], "steps/s")
        yield Figure(part, f"{COMPILED} : {EAGER}", times[EAGER] / times[COMPILED], "x")
        yield Figure(part, "compiling, once a process", first - times[COMPILED], "s")

    def busy(self) -> Iterator[Figure]:
        """Measure the share of time that the device computes.

        The union of the intervals of its kernels and copies, as torch.profiler records them on the device, over the
        time of as many calls without the profiler, which would slow the processor down.
        """
        if not self.cuda:
            raise NotImplementedError("torch.profiler records intervals of CUDA devices alone")
        embeds, seeds = self.conditioning()
        with self.own_step(self.size.micro[-1], stored=True) as step:
            yield Figure("busy", f"training, {self.size.micro[-1]} at once", 100 * self._busy(step, ROW), "%")
        yield Figure("busy", "sampling", 100 * self._busy(lambda: self.backbone.sample(embeds, seeds), 1), "%")

    def _busy(self, call: Callable[[], object], count: int) -> float:
        for _ in range(2):
            call()
        several = in_a_row(call, count)
        plain = min(self.timed(several) for _ in range(2))
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
            several()
            self.wait()
        spans = [
            (event.time_range.start, event.time_range.end)
            for event in profiler.events() or []
            if event.device_type.name == "CUDA" and not getattr(event, "is_user_annotation", False)
        ]
        return union(spans) / 1e6 / plain

    def memory(self) -> Iterator[Figure]:
        """Measure the peak memory of training at the presets' numbers of clips at once, and of sampling."""
        if not self.cuda:
            raise NotImplementedError("only CUDA devices count their memory")
        settings = importlib.import_module("audiotoken.training_settings")
        for micro in self.size.cards:
            torch.cuda.reset_peak_memory_stats(self.device)
            with self.own_step(micro, stored=False) as step:
                step()
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(self.device)
                step()
                self.wait()
            asked = settings.TrainingSettings(
                steps=1, batch_size=self.size.batch, learning_rate=1.0, micro_batch=micro, precision=self.precision
            )
            peak = torch.cuda.max_memory_allocated(self.device)
            yield Figure("memory", f"training, {micro} clips at once: peak", peak / 1e9, "GB")
            guess = settings.peak_estimate(asked)
            yield Figure("memory", f"training, {micro} clips at once: estimate", guess / 1e9, "GB")
            self._release()
        embeds, seeds = self.conditioning()
        self.backbone.sample(embeds, seeds)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        self.backbone.sample(embeds, seeds)
        peak = torch.cuda.max_memory_allocated(self.device)
        yield Figure("memory", f"sampling, {self.size.pictures} images together: peak", peak / 1e9, "GB")

    def scorers(self) -> Iterator[Figure]:
        """Compare scorers as scoring uses them, from PNG files or sounds to rows, with one thread that does it all."""
        from PIL import Image

        from benchmark.media.audio import audio_digest
        from benchmark.media.images import load_image, pixel_digest
        from benchmark.runs.embeddings import Job

        rng, count, side = np.random.default_rng(0), self.size.scored, self.size.resolution
        problems = []
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{number}.png" for number in range(count)]
            for path in paths:
                coarse = Image.fromarray(rng.integers(256, size=(16, 16, 3), dtype=np.uint8))
                coarse.resize((side, side)).save(path)
            samples = round(self.protocol.data.rate * self.protocol.data.seconds)
            waves = [rng.normal(0, 0.1, samples).astype(np.float32) for _ in range(count)]
            seen: tuple[Any, ...] = paths, load_image, pixel_digest, lambda scorer, one: scorer.prepare(one)
            heard: tuple[Any, ...] = waves, lambda wave: wave, audio_digest, lambda scorer, one: one
            for name, load in self._scorers().items():
                try:
                    scorer = load()
                    if sees := hasattr(scorer, "embed_prepared"):
                        job = Job(name, "", lambda network, some: network.embed_prepared(some), 64, seen[3])
                    else:
                        job = Job(name, "", lambda network, some: network.embed_audio(some), 8, heard[3])
                    yield from self._scored(name, scorer, job, *(seen if sees else heard)[:3])
                except TimeoutError:
                    raise
                except Exception as error:  # another scorer may well succeed
                    problems.append(f"{name}: {one_line_of(error)}")
        if problems:
            raise RuntimeError("; ".join(problems))

    def _scored(
        self, name: str, scorer: Any, job: Any, items: Sequence[Any], load: Any, content: Any
    ) -> Iterator[Figure]:
        """Embed items one thread after the other and ahead of the device, each time with an empty cache."""
        from benchmark.runs.embeddings import Embeddings
        from benchmark.utils.env import environment
        from metrics.scorers.batches import TOLERANCE
        from metrics.scorers.clip import CLIPScorer

        suite: Any = SimpleNamespace(base="vggsound", files={})
        own, unit = scorer.batch_size, "sounds/s" if job.batch == 8 else "images/s"

        def embedded(threads: int | None, batch: int, some: Sequence[Any]) -> np.ndarray:
            scorer.batch_size = batch
            with tempfile.TemporaryDirectory() as folder, environment({"BENCH_CACHE": Path(folder)}):
                store = Embeddings(suite, self.device, _Silent(), {name: scorer}, threads)
                return store.of(name, some, load, content, {name: job}).rows[name]

        before = own if isinstance(scorer, CLIPScorer) else 1
        embedded(0, before, items[:1])
        embedded(None, own, items[: job.batch])
        rows, seconds = {}, {}
        few = items[: max(1, len(items) // 4)]
        seconds[SERIAL] = self.timed(lambda: rows.update({SERIAL: embedded(0, before, few)})) / len(few)
        seconds[AHEAD] = self.timed(lambda: rows.update({AHEAD: embedded(None, own, items)})) / len(items)
        again = embedded(None, own, items)
        yield Figure("scorers", f"{name}, {SERIAL}, {before} at once", 1 / seconds[SERIAL], unit)
        yield Figure("scorers", f"{name}, {AHEAD}, {own} at once", 1 / seconds[AHEAD], unit)
        yield Figure(
            "scorers", f"{name}: rows equal to the bit in a second run", 100 * equal_rows(rows[AHEAD], again), "%"
        )
        moved = largest_move(rows[SERIAL], rows[AHEAD][: len(few)])
        yield Figure("scorers", f"{name}: largest move of a row, {before} to {own} at once", 1e6 * moved, "ppm")
        if moved > TOLERANCE:
            raise RuntimeError(f"a row moves by {moved:.1e} of its length, more than the tolerance {TOLERANCE:.0e}")

    def prepare(self) -> Iterator[Figure]:
        """Measure `bench prepare` on synthetic videos, where CLIP ViT-L/14 chooses training frames on the device.

        All are links to one video of 4 frames a second: a real one has several times as many to decode.
        """
        from benchmark.data.prepare import pipeline
        from benchmark.data.prepare.clip_lists import clip_key
        from benchmark.data.prepare.frames import ClipBest
        from benchmark.data.synthetic_videos import write_video, write_videos
        from benchmark.utils.progress import Silent

        chooser = ClipBest(self._scorers()["CLIP ViT-L/14"]())
        with tempfile.TemporaryDirectory() as name:
            folder, count = Path(name), self.size.prepared
            write_video(folder / "one.mp4", 0)
            (folder / "videos").mkdir()
            for number in range(2 * count):
                os.link(folder / "one.mp4", folder / "videos" / f"{clip_key(f'made{number:07d}', 0)}.mp4")
            listed, _ = write_videos(folder / "videos", folder, ["dog barking"] * count)
            seconds: dict[str, float] = {}
            workers = 0 if self.size.tiny else os.cpu_count() or 1
            for what, choose in (("middle frames", None), ("clip-best", lambda: chooser)):
                call = partial(
                    pipeline.prepare,
                    folder / "videos",
                    folder / what,
                    listed,
                    choose=choose,
                    workers=workers,
                    ui=Silent(),
                )
                seconds[what] = self.timed(call)
                # A training clip and a test clip of each name; only the former's frames are judged.
                at = f"bench prepare, {what}, {workers} processes, their start included"
                yield Figure("prepare", at, 2 * count / seconds[what], "clips/s")

    def _scorers(self) -> dict[str, Callable[[], Any]]:
        def clip(architecture: str) -> Any:
            import open_clip

            from metrics.preprocessing import Preprocessing
            from metrics.scorers.clip import CLIPScorer

            config = open_clip.get_model_config(architecture)
            if self.size.tiny:
                config["vision_cfg"] |= {"layers": 1, "width": 64}
                config["text_cfg"] |= {"layers": 1, "width": 64, "heads": 1}
            model = self.made(lambda: open_clip.CLIP(**config))
            size = config["vision_cfg"]["image_size"]
            preparation = Preprocessing(size, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
            return CLIPScorer(
                architecture, "", model, preparation, lambda texts: torch.zeros(1, WORDS, dtype=torch.long), self.device
            )

        def inception() -> Any:
            from metrics.scorers.inception import WEIGHTS, InceptionScorer

            with tempfile.TemporaryDirectory() as folder:
                random_networks.write_inception(Path(folder))
                return InceptionScorer(Path(folder) / WEIGHTS, "", self.device)

        def wav2clip() -> Any:
            from metrics.encoders.wav2clip import Wav2CLIP
            from metrics.scorers.audio import Wav2CLIPScorer

            return Wav2CLIPScorer("wav2clip", "", self.made(lambda: Wav2CLIP(4 if self.size.tiny else 64)), self.device)

        def classifier() -> Any:
            from metrics.encoders.beats import BEATs, BEATsConfig
            from metrics.scorers.audio import AudioClassifier

            given = {**(TINY["BEATS"] if self.size.tiny else {}), "finetuned_model": True, "predictor_class": 309}
            return AudioClassifier(
                "beats", "", self.made(lambda: BEATs(BEATsConfig(**given))), ["a"] * 309, self.device
            )

        clips = {
            "CLIP ViT-B/32": lambda: clip("ViT-B-32-quickgelu"),
            "CLIP ViT-L/14": lambda: clip("ViT-L-14-quickgelu"),
        }
        clips |= {"Wav2CLIP": wav2clip, "BEATs, classifier": classifier}
        # Inception-v3 comes in one size, which takes long to make.
        return clips if self.size.tiny else {**clips, "Inception-v3, features of FID": inception}


def in_a_row(call: Callable[[], object], count: int) -> Callable[[], None]:
    """Return a function that makes a call `count` times."""

    def several() -> None:
        for _ in range(count):
            call()

    return several


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after `seconds`, where the system can."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_compiler() -> None:
    """Check what torch.compile needs on a CUDA device: Triton, and a C compiler with Python's headers for it.

    Raises:
        RuntimeError: Something is missing; the message names it.
    """
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("gcc", "clang", "cc")), None)
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    missing = {
        "a C compiler (gcc or clang, or its path in CC)": compiler is None or shutil.which(compiler) is None,
        f"Python's headers ({header}; python3-dev)": not header.exists(),
        "triton": importlib.util.find_spec("triton") is None,
    }
    if lacking := [what for what, absent in missing.items() if absent]:
        raise RuntimeError(f"torch.compile needs {', '.join(lacking)}")


def union(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union of intervals.

    Example:
        >>> union([(0, 2), (5, 6), (1, 3)])
        4.0
    """
    whole, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        whole += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return whole


def equal_rows(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of rows that are equal to the bit."""
    return float(np.mean([a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True)]))


def largest_move(before: np.ndarray, after: np.ndarray) -> float:
    """Return the largest distance between rows of two tables over the length of the former.

    Example:
        >>> largest_move(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[3.0, 4.5], [1.0, 0.0]]))
        0.1
    """
    wide = before.astype(np.float64)
    return float(np.max(np.linalg.norm(after - wide, axis=1) / np.linalg.norm(wide, axis=1)))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def shown(figure: Figure) -> str:
    """Return a figure's value with its unit."""
    digits = 2 if figure.unit == "x" or abs(figure.value) < 10 else 1
    return f"{figure.value:,.{digits}f} {figure.unit}"


def table(report: Report) -> str:
    """Return the report as Markdown: device and versions, figures, and what is missing."""
    facts = report.facts
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    precisions = f"training in {facts['training_precision']}, sampling in {facts['sampling_precision']}"
    memory = "" if facts["memory_bytes"] is None else f", {facts['memory_bytes'] / 1e9:.0f} GB"
    lines = [
        f"{report.device}{memory}; {versions}; {precisions}, without TF32.",
        "",
        "| part | what | |",
        "|---|---|---|",
        *(f"| {figure.part} | {figure.what} | {shown(figure)} |" for figure in report.figures),
    ]
    missing = [f"- {part}: {why}" for part, why in report.failures.items()]
    return "\n".join([*lines, *(["", "Missing:", "", *missing] if missing else [])])


def put(page: Path, report: Report) -> None:
    """Replace what stands between the marks of a page by the report's table."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, found, after = rest.partition(MARKS[1])
    if not found:
        raise SystemExit(f"{page} has no marks {MARKS[0]} ... {MARKS[1]}: write to docs/performance.md")
    write_atomic(page, f"{before}{MARKS[0]}\n{table(report)}\n{MARKS[1]}{after}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.gpu")
    parser.add_argument("--device", default="cuda", help="device to measure (default: cuda)")
    parser.add_argument("--tiny", action="store_true", help="tiny networks: tries the study itself")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time of the whole study")
    parser.add_argument("-o", "--output", type=Path, help="file for the figures (JSON), written after each part")
    parser.add_argument("--write", type=Path, help="page into which the table is put, such as docs/performance.md")
    parser.add_argument("--part", action="append", default=[], help="measure this part alone (repeatable)")
    asked = parser.parse_args(arguments)
    if torch.device(asked.device).type == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device {asked.device}: there is no CUDA device; --device cpu --tiny tries the study without")

    def save(report: Report) -> None:
        if asked.output is not None:
            write_atomic(asked.output, json.dumps(report.to_dict(), indent=2) + "\n")

    size = SMALL if asked.tiny else Size()
    study = Study(asked.device, size, lambda line: print(line, file=sys.stderr, flush=True))
    # Tiny products are slower on several threads of a busy processor.
    with arithmetic(1 if asked.tiny else None):
        report = study.run(save, asked.seconds, asked.part)
    print(table(report))
    if asked.write is not None:
        put(asked.write, report)
    return 0 if report.figures else 1


if __name__ == "__main__":
    sys.exit(main())
