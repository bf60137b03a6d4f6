"""Profile of the suite `mini` on this machine: `python -m benchmark.studies.profile`.

Everything is measured in one process, and alternatives are measured in turns: machines differ, and one machine differs
from hour to hour, so ratios are more reliable than seconds. Networks, training and sampling are the project's own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmark.dry_run.trace import Parts, Trace, median, total
from benchmark.method import RunContext, make_settings
from benchmark.mini.data import make_picture, make_sound
from benchmark.records.record import RunRecord
from benchmark.records.store import Store
from benchmark.registries import BACKBONES, DATASETS, ENCODERS, SCORERS, find_method
from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.seeds import image_seed
from benchmark.studies.pages import fill
from benchmark.suite import load_suite
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.files import write_atomic
from benchmark.utils.progress import Advance, Silent, quiet_libraries, rate
from metrics.scorers.base import AudioScorer, ImageScorer

if TYPE_CHECKING:
    from benchmark.backbone import Backbone

SUITE, METHOD, DEVICE = "mini", "audiotoken", "cpu"


class Size(NamedTuple):
    """Extent of the measurements."""

    clips: int = 72
    """Clips of the training split."""
    scored: int = 64
    """Images, and sounds, that a scorer gets."""
    steps: int = 7
    """Training steps per turn; the first one is not counted."""
    rounds: int = 3
    """Turns of alternatives that are compared, and repetitions of everything else."""
    width: int = 1024
    """Rows and columns of the matrices of `product_rates`."""


class Figure(NamedTuple):
    """Line of the report."""

    section: str
    """Title of the table."""
    what: str
    """What is measured."""
    value: float | str
    """Its value."""
    unit: str = ""
    """Unit of a number: "x" for a ratio, "%" for a share."""


def timed(call: Callable[[], object], repeats: int) -> float:
    """Return the median seconds of a call, after a first one that is not counted."""
    trace = Trace()
    laps = []
    for _ in range(repeats + 1):
        trace.lap("call")
        call()
        laps.append(trace.lap())
    return total(laps[1:])


def product_rates(width: int = 1024) -> dict[str, float]:
    """Measure the GFLOP/s of a product of square matrices and of a convolution.

    The convolution has 3 x 3 kernels, 128 channels and 16 x 16 pixels.

    Args:
        width: Rows and columns of the matrices; the convolution's batch is a sixteenth of it.
    """
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        matrix = torch.randn(width, width).to(dtype)
        rates[f"torch.mm, {name}"] = 2 * width**3 / timed(partial(torch.mm, matrix, matrix), 5) / 1e9
        images = torch.randn(width // 16, 128, 16, 16).to(dtype).contiguous(memory_format=torch.channels_last)
        kernel = torch.randn(128, 128, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
        convolve = partial(nn.functional.conv2d, images, kernel, padding=1)
        rates[f"conv2d 3x3 channels_last, {name}"] = 2 * len(images) * 16**2 * 9 * 128**2 / timed(convolve, 5) / 1e9
    return rates


def unet_flops(backbone: Backbone) -> tuple[int, int]:
    """Count the U-Net's floating-point operations for one latent: forward, and backward to its conditioning.

    The operations of matrix products and convolutions are counted; an addition and a multiplication are two. Attention
    is computed as separate products: in some versions of torch (2.11) the counter does not see a CPU's fused attention.
    The weights are frozen, so their gradients are neither computed nor counted.
    """
    config = backbone.unet.config
    noisy = torch.randn(1, config.in_channels, config.sample_size, config.sample_size)
    hidden = backbone.inject(torch.randn(1, backbone.token_width)).detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            predicted = backbone.unet(noisy, torch.zeros(1, dtype=torch.long), hidden).sample
        with FlopCounterMode(display=False) as backward:
            torch.autograd.grad(predicted.sum(), hidden)
    return forward.get_total_flops(), backward.get_total_flops()


BATCH, TEXT, FORWARD, LOSS = "batch, noise, embedder", "text encoder, forward", "U-Net, forward", "loss"
BACKWARD, REST = "U-Net, backward", "backward of text encoder and embedder, optimiser"
UNET, DECODER, AROUND = "U-Net", "VAE decoder", "guidance, scheduler, the rest"


@contextlib.contextmanager
def watched_training(backbone: Backbone, trace: Trace) -> Iterator[None]:
    """Divide the training steps within the block into parts.

    The U-Net's backward pass ends when the gradient of its conditioning is complete.
    """

    def mark(unet: nn.Module, given: Sequence[Any], made: Any) -> None:
        made.sample.register_hook(lambda _: trace.enter(BACKWARD))
        given[2].register_hook(lambda _: trace.enter(REST))

    with trace.watch(backbone.text_encoder, TEXT, LOSS), trace.watch(backbone.unet, FORWARD, LOSS):
        hook = backbone.unet.register_forward_hook(mark)
        try:
            yield
        finally:
            hook.remove()


class Laps(Silent):
    """UI that takes a lap of a trace at every reported training step.

    Attributes:
        laps: Seconds by part of each step.
    """

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace
        self.laps: list[Parts] = []

    @contextlib.contextmanager
    def task(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        """Yield a function that takes a lap for each step; for other units, one that does nothing."""

        def advance(done: int) -> None:
            lap = self.trace.lap(BATCH)
            if done:
                self.laps.append(lap)

        yield advance if unit == "steps" else lambda done: None


class Profile:
    """Measurements of the suite's parts on its first training clips.

    Args:
        folder: Folder for temporary files.
        size: Extent of the measurements.
        say: Receives remarks on the progress.
    """

    def __init__(self, folder: Path, size: Size, say: Callable[[str], None]) -> None:
        self.folder, self.size, self.say = folder, size, say
        self.suite = load_suite(SUITE)
        few = self.suite.model_copy(update={"data": self.suite.data.model_copy(update={"train": size.clips})})
        say("making clips")
        self.clips = DATASETS.get(few.data.source).clips(few, "train", folder, Silent())
        self.backbone = BACKBONES.get(few.backbone.source)(few, DEVICE)
        self.fits = 0
        self.cost: Parts = {}
        self.load = os.getloadavg()[0]
        self.products: list[Parts] = []
        self.flops = unet_flops(self.backbone)

    def figures(self) -> list[Figure]:
        """Measure everything, and return the lines of the report."""
        measured = [*self.training(), *self.sampling(), *self.preparing(), *self.scoring(), *self.whole_run()]
        return [*self.machine(), *measured]

    def machine(self) -> Iterator[Figure]:
        """Yield facts of the machine, and its rates while the rest was measured."""
        facts = {
            "cores, threads": f"{os.cpu_count()}, {torch.get_num_threads()}",
            "instructions": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
            "torch": torch.__version__,
            "load of the machine before": f"{self.load:.1f}",
        }
        section = "The machine"
        yield from (Figure(section, what, value) for what, value in facts.items())
        yield from (Figure(section, what, rate, "GFLOP/s") for what, rate in median(self.products).items())

    def fit(self, dtype: torch.dtype) -> tuple[Any, list[Parts]]:
        """Fit a new method for a few steps, under autocast unless `dtype` is float32.

        Returns:
            The method, and the seconds by part of each step but the first.
        """
        self.say(f"training in {dtype}")
        self.fits += 1
        folder = self.folder / f"fit{self.fits}"
        folder.mkdir()
        found, budget = find_method(METHOD), self.suite.budget.model_dump() | {"steps": self.size.steps}
        method = found(make_settings(found, {name: str(value) for name, value in budget.items()}))
        ui = Laps(Trace())
        method.setup(RunContext(self.suite, self.backbone, self.clips, 0, folder, self.folder, DEVICE, ui))
        # A cache of rounded weights would keep the embedder's weights of the first step.
        lowered = torch.autocast(DEVICE, dtype, enabled=dtype != torch.float32, cache_enabled=False)
        with lowered, watched_training(self.backbone, ui.trace):
            method.fit(self.clips)
        method.load()
        return method, ui.laps[1:]

    def training(self) -> Iterator[Figure]:
        """Measure the training step of the audio token."""
        single: list[Parts] = []
        lowered: list[Parts] = []
        for _ in range(self.size.rounds):
            self.products.append(product_rates(self.size.width))
            self.method, laps = self.fit(torch.float32)
            single += laps
            lowered += self.fit(torch.bfloat16)[1]
        parts, seconds = median(single), total(single)
        batch = self.suite.budget.batch_size
        heard = [self.clips[place % len(self.clips)] for place in range(batch)]
        listening = timed(partial(self.method.listener, heard), self.size.rounds)
        unet = parts[FORWARD] + parts[BACKWARD]
        section = f"Training step of the audio token, {batch} clips, float32"
        yield Figure(section, "time", seconds, "s")
        yield from shares(section, parts)
        yield Figure(section, "U-Net in all", 100 * unet / sum(parts.values()), "%")
        forward, backward = self.flops
        yield Figure(section, "U-Net, forward, a clip", forward / 1e9, "GFLOP")
        yield Figure(section, "U-Net, backward to its conditioning, a clip", backward / 1e9, "GFLOP")
        yield from self.against(section, batch * (forward + backward) / unet, "float32")
        yield Figure(section, "time under bfloat16 autocast : float32", total(lowered) / seconds, "x")
        yield Figure(section, "time with BEATs in the loop : with stored features", 1 + listening / seconds, "x")
        self.cost["step"] = seconds

    def sampling(self) -> Iterator[Figure]:
        """Measure the sampling of one batch of the suite."""
        generation, own = self.suite.generation, self.suite.backbone.dtype
        clips = self.clips[: generation.batch_size]
        embeds = self.method.condition(clips).prompt_embeds
        seeds = [image_seed(generation.seed, 0, clip.id, 0) for clip in clips]
        trace = Trace()

        def sampled(dtype: str, memory_format: torch.memory_format) -> Parts:
            self.say(f"sampling in {dtype}, {memory_format}")
            self._arrange(dtype, memory_format)
            trace.lap(AROUND)
            self.backbone.sample(embeds, seeds)
            return trace.lap()

        variants = {
            "float32": ("float32", torch.channels_last),
            "bfloat16": ("bfloat16", torch.channels_last),
            "contiguous": ("float32", torch.contiguous_format),
        }
        laps: dict[str, list[Parts]] = {name: [] for name in variants}
        unet, decoder = self.backbone.unet, self.backbone.vae.decoder
        with trace.watch(unet, UNET, AROUND), trace.watch(decoder, DECODER, AROUND):
            self.backbone.sample(embeds, seeds)
            for _ in range(self.size.rounds):
                self.products.append(product_rates(self.size.width))
                for name, variant in variants.items():
                    laps[name].append(sampled(*variant))
        self._arrange(own, torch.channels_last)
        seconds = {name: total(some) for name, some in laps.items()}
        section = f"Sampling of {len(clips)} pictures, {generation.steps} steps with guidance, {own}"
        self.cost["drawn"] = seconds[own] / len(clips)
        yield Figure(section, "time", seconds[own], "s")
        yield from shares(section, median(laps[own]))
        # At every step the U-Net is evaluated with an image's prompt and with the negative one.
        flops = 2 * generation.steps * len(clips) * self.flops[0]
        for dtype in ("float32", "bfloat16"):
            yield from self.against(section, flops / median(laps[dtype])[UNET], dtype)
        yield Figure(section, "time under bfloat16 autocast : float32", seconds["bfloat16"] / seconds["float32"], "x")
        yield Figure(section, "time without channels_last : with it", seconds["contiguous"] / seconds["float32"], "x")

    def _arrange(self, dtype: str, memory_format: torch.memory_format) -> None:
        self.backbone.dtype = getattr(torch, dtype)
        for network in (self.backbone.unet, self.backbone.vae):
            network.to(memory_format=memory_format)

    def against(self, section: str, rate: float, dtype: str) -> Iterator[Figure]:
        """Yield the U-Net's arithmetic rate, and its share of the machine's rates in the same turns."""
        products = median(self.products[-self.size.rounds :])
        yield Figure(section, f"U-Net's arithmetic rate, {dtype}", rate / 1e9, "GFLOP/s")
        for product in ("torch.mm", "conv2d 3x3 channels_last"):
            share = rate / 1e9 / products[f"{product}, {dtype}"]
            yield Figure(section, f"U-Net's rate : {product}, {dtype}", 100 * share, "%")

    def preparing(self) -> Iterator[Figure]:
        """Measure the work that is done once per clip."""
        self.say("world, features, latents")
        few = range(min(36, len(self.clips)))
        encoder = ENCODERS.get(f"{SUITE}/beats")(self.suite, DEVICE)
        waves = torch.stack([torch.from_numpy(self.suite.sound(self.clips[i])) for i in few])
        frames = np.stack([np.asarray(self.clips[i].picture()) for i in few])

        @torch.inference_mode()
        def listen(batch: int) -> None:
            for some in waves.split(batch):
                encoder.extract_features(some)

        calls: dict[str, Callable[[], object]] = {
            "its sound": lambda: [make_sound("train", i) for i in few],
            "its picture": lambda: [make_picture("train", i) for i in few],
            "its BEATs features, one clip at a time": partial(listen, 1),
            "its BEATs features, 8 clips at a time": partial(listen, 8),
            "its frame's latents": lambda: self.backbone.encode_pictures(frames),
        }
        for what, call in calls.items():
            self.cost[what] = timed(call, self.size.rounds) / len(few)
            yield Figure("Once a clip", what, 1e3 * self.cost[what], "ms")

    def scoring(self) -> Iterator[Figure]:
        """Measure each scorer by itself."""
        count = min(self.size.scored, len(self.clips))
        pictures = [clip.picture() for clip in self.clips[:count]]
        sounds = [self.suite.sound(clip) for clip in self.clips[:count]]
        section = f"Scoring of {count} pictures or sounds"
        roles = self.suite.scorers
        # Generated images and true frames are both scored, sounds once.
        self.cost["scored"] = 0.0
        for name in dict.fromkeys(filter(None, (roles.image_audio_space, roles.audio, roles.image, roles.audio_label))):
            self.say(f"scoring with {name}")
            scorer = SCORERS.get(f"{SUITE}/{name}")(self.suite, DEVICE)
            if isinstance(scorer, ImageScorer):
                seconds = timed(partial(scorer.embed_images, pictures), self.size.rounds)
                self.cost["scored"] += 2 * seconds / count
                yield Figure(section, f"{name}, pictures", seconds, "s")
            if isinstance(scorer, AudioScorer):
                seconds = timed(partial(scorer.embed_audio, sounds), self.size.rounds)
                self.cost["scored"] += seconds / count
                yield Figure(section, f"{name}, sounds", seconds, "s")

    def whole_run(self) -> Iterator[Figure]:
        """Extrapolate the figures to a run of the whole suite from an empty cache, without start-up."""
        data, cost = self.suite.data, self.cost
        clips = data.train + data.test
        alone, together = (cost[f"its BEATs features, {n}"] for n in ("one clip at a time", "8 clips at a time"))
        made = cost["its sound"] + cost["its picture"]
        parts = {
            f"making {clips} clips, on all cores": clips * made / (os.cpu_count() or 1),
            f"BEATs features of {data.train} clips": data.train * together,
            f"latents of {data.train} frames": data.train * cost["its frame's latents"],
            f"{self.suite.budget.steps} training steps": self.suite.budget.steps * cost["step"],
            f"{data.test} pictures, listening included": data.test * (cost["drawn"] + alone),
            "embeddings for the scores": data.test * cost["scored"],
        }
        section = f"A whole run of {METHOD}, reckoned from these figures"
        yield from (Figure(section, what, seconds, "s") for what, seconds in parts.items())
        yield Figure(section, "in all", sum(parts.values()), "s")


def shares(section: str, parts: Parts) -> Iterator[Figure]:
    """Yield the share of each part in the total."""
    whole = sum(parts.values())
    yield from (Figure(section, name, 100 * seconds / whole, "%") for name, seconds in parts.items())


def to_markdown(figures: Sequence[Figure]) -> str:
    """Return Markdown with one table per section."""
    lines = []
    for section, rows in groupby(figures, key=lambda figure: figure.section):
        lines += ["", f"**{section}**", "", "| | |", "|---|---|", *(f"| {row.what} | {_shown(row)} |" for row in rows)]
    return "\n".join(lines[1:])


def _shown(figure: Figure) -> str:
    if isinstance(figure.value, str):
        return figure.value
    match figure.unit:
        case "%":
            return f"{figure.value:.1f} %"
        case "x":
            return f"{figure.value:.2f}"
        case unit:
            return f"{rate(figure.value)} {unit}"


def curve(runs: Path) -> str:
    """Return a table of the scores over the number of training steps.

    It is made from the runs of `METHOD` that differ from a default run in the number of steps only. Seeds are averaged.

    Args:
        runs: Folder of the runs.

    Raises:
        UserError: The folder contains no suitable run.
    """
    plan = Plan.of(RunRequest(suite=SUITE, method=METHOD), Silent())
    suite, free = plan.suite, {"steps"}
    default = plan.settings.model_dump(mode="json", exclude=free, exclude_none=True)
    by_steps: dict[int, list[RunRecord]] = defaultdict(list)
    for stored in Store(runs).records(SUITE).records:
        record = stored.record
        # Records leave out settings that were not set.
        rest = {key: value for key, value in record.method.settings.items() if key not in free and value is not None}
        same = record.suite.fingerprint == suite.fingerprint() and record.limit is None
        if same and record.method.name == METHOD and rest == default:
            by_steps[record.method.settings["steps"]].append(record)
    if not by_steps:
        raise UserError(
            f"{runs} contains no run of {METHOD}: make one with `bench run --method {METHOD} --set steps=100`"
        )
    lines = [f"| {' | '.join(['steps', 'seeds', *suite.headline])} |", "|---|---|" + "---|" * len(suite.headline)]
    for steps, records in sorted(by_steps.items()):
        cells = [str(steps), str(len(records))]
        for name in suite.headline:
            values = [record.metrics[name].value for record in records if name in record.metrics]
            known = [value for value in values if value is not None]
            cells.append(f"{statistics.fmean(known):.1f}" if len(known) == len(records) else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or make the curve from runs, and print or write the result; return the exit code, 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.profile", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into a page instead of printing it")
    parser.add_argument(
        "--curve", type=Path, metavar="RUNS", help="instead of measuring, print scores over steps from these runs"
    )
    given = parser.parse_args(arguments)
    quiet_libraries()
    try:
        if given.curve:
            name, text = "curve", curve(given.curve)
        else:
            name, text = "profile", _measure(given.json)
        if given.write:
            fill(given.write, name, text)
        else:
            print(text)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _measure(target: Path | None) -> str:
    began = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - began:5.0f} s  {line}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        figures = Profile(Path(folder), Size(), say).figures()
    if target:
        write_atomic(target, json.dumps([figure._asdict() for figure in figures], indent=2) + "\n")
    return to_markdown(figures)


if __name__ == "__main__":
    sys.exit(main())
