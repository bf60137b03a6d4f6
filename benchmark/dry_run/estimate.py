"""Estimate of a run's time and memory on this device from a miniature of it: `bench run --dry-run`.

The run's own functions work on a few clips with few steps, in temporary folders. The full-scale suites get networks of
the real shapes with random parameters, and synthetic videos, so that nothing has to be downloaded. Nothing is kept.
"""

from __future__ import annotations

import contextlib
import gc
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from benchmark.dry_run.trace import Parts, Trace
from benchmark.fullscale.random_networks import write_inception
from benchmark.records.provenance import collect
from benchmark.records.store import Store
from benchmark.registries import DATASETS
from benchmark.runs import steps as run_steps
from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.suite import load_suite
from benchmark.utils import distributed
from benchmark.utils.device import arithmetic, peak_memory
from benchmark.utils.env import environment
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.progress import UI, Advance, clock, rate
from benchmark.weights import locate, stand_ins
from metrics.definitions import INCEPTION
from metrics.scorers.base import ImageScorer

if TYPE_CHECKING:
    from benchmark.backbone import Backbone

CLIPS, STEPS = 2, 2

MAKING, REST = "making networks", "rest"
UNET, TEXT, ENCODER, DECODER = "U-Net", "text encoder", "VAE encoder", "VAE decoder"
SEEN = ("pictures", "true frames")
"""Units of the tasks that give images to scorers."""
INCEPTION_CLASS = "FeatureExtractorInceptionV3"


@dataclass(frozen=True)
class Part:
    """Part of the full run that is repeated."""

    what: str
    """Name of the part."""
    unit: str
    """Plural of the unit that is counted."""
    seconds: float
    """Seconds per unit."""
    count: int
    """Number of units in the full run."""

    @property
    def estimate(self) -> float:
        """Seconds of this part in the full run."""
        return self.seconds * self.count


@dataclass(frozen=True)
class Report:
    """Measurements of a dry run, scaled to the full run. Times are in seconds, memory in bytes."""

    suite: str
    method: str
    settings: dict[str, Any]
    device: str
    device_name: str
    threads: int | None
    clips: int
    """Clips of each split in the dry run."""
    steps: int
    """Training steps, and sampling steps, in the dry run."""
    training_batch: int | None
    """Clips per measured training step; None for a method without a batch."""
    parts: tuple[Part, ...]
    """Parts of the full run."""
    step: dict[str, float]
    """Seconds of a training step by network, at the full run's batch size."""
    image: dict[str, float]
    """Seconds of an image by network, at the full run's sampling steps."""
    peak_memory: dict[str, int]
    """Peak memory by phase: an accelerator's during the phase, on a CPU the process's until its end."""
    notes: tuple[str, ...]
    """Remarks on what the estimate leaves out."""

    @property
    def estimate(self) -> float:
        """Seconds of the full run."""
        return sum(part.estimate for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        parts = [{**asdict(part), "estimate": part.estimate} for part in self.parts]
        return {**asdict(self), "parts": parts, "estimate": self.estimate}


@arithmetic()
def estimate(request: RunRequest, ui: UI, clips: int | None = None, steps: int = STEPS) -> Report:
    """Execute a miniature of a run, and scale its times to the full run.

    Args:
        request: The run. Its trackers and samples are checked as in a real run, and then left out.
        ui: Progress and remarks.
        clips: Clips of each split. For a full-scale suite on a CPU it defaults to `CLIPS`, and a training step has a
            single clip. Otherwise it defaults to the sampling batch size, and batches are those of the real run, so
            that they take as much memory.
        steps: Training steps, and sampling steps.

    Returns:
        The report.

    Raises:
        UserError: As `Plan.of`, or this is one of several processes.
        RunError: As the run itself.
    """
    if distributed.world() > 1:
        raise UserError("--dry-run measures a single process: start it without accelerate")
    here = _prepared_here(request)
    with tempfile.TemporaryDirectory(prefix="bench-dry-run-") as name, stand_ins.random_weights():
        folder = Path(name)
        # the data that are prepared here decide nothing: a handful of them would make the full run look small
        own = {**_places(folder), "BENCH_WEIGHTS": folder / "weights", "BENCH_DATA": folder / "data"}
        with environment(own):
            full = Plan.of(request, ui)
            base = full.base
            released = base.published is not None
            slow = released and full.device == "cpu"
            clips = clips or (CLIPS if slow else base.generation.batch_size)
            if released:
                ui.say(f"making {clips} videos of each split")
                write_inception(folder / "weights" / locate.entry(base, INCEPTION).name)
            labels = DATASETS.get(base.data.source).synthesize(base, clips, folder / "data")
            whole = _Whole.of(full, labels)
        batch = 1 if slow else None
        if full.device != "cpu":
            ui.say("warming up: the first execution on an accelerator takes longer and is not counted")
            with environment(own | _places(folder / "first")):
                _Small.run(full, clips, steps, batch, ui)
        with environment(own | _places(folder / "counted")):
            report = _report(whole, _Small.run(full, clips, steps, batch, ui))
    return replace(report, notes=(*report.notes, *here))


def _prepared_here(request: RunRequest) -> list[str]:
    """Return a remark on prepared data that are not the whole suite's, which the estimate is of."""
    suite = load_suite(request.suite)
    state = DATASETS.get(suite.data.source).state(suite)
    if request.data is not None or state is None or state.state in ("there", "missing"):
        return []
    if state.state == "incomplete":
        return [
            f"the estimate is of the whole suite; {state.test:,} of {state.test_of:,} test clips and {state.train:,} "
            f"of {state.train_of:,} training clips are prepared in {state.folder}, and a run now would use those"
        ]
    return [f"the estimate is of the whole suite; the data in {state.folder} could not be used: {state.problems[0]}"]


def _places(folder: Path) -> dict[str, Path]:
    """Return environment variables with which a run starts from an empty cache and without earlier runs."""
    return {"BENCH_CACHE": folder / "cache", "BENCH_RUNS": folder / "runs"}


class _Lap(NamedTuple):
    """Work that was reported by one call of `advance`."""

    done: int
    """Number of units."""
    parts: Parts
    """Seconds by part."""
    rows: dict[str, int]
    """Number of images that each network was given."""


@dataclass
class _Task:
    """Piece of work as the run reported it."""

    phase: str
    what: str
    unit: str
    laps: list[_Lap] = field(default_factory=list)

    @property
    def done(self) -> int:
        return sum(lap.done for lap in self.laps)

    def parts(self, first: int = 0) -> Parts:
        """Return the seconds of a unit by part.

        The construction of networks is left out, as it happens once per run.

        Args:
            first: Number of laps to skip at the start.
        """
        laps = self.laps[first:] or self.laps
        done = sum(lap.done for lap in laps)
        names = dict.fromkeys(name for lap in laps for name in lap.parts if name != MAKING)
        return {name: sum(lap.parts.get(name, 0.0) for lap in laps) / done for name in names}

    def rows(self, name: str) -> int:
        """Return the number of images that network `name` was given, including those that only fill up a batch."""
        return sum(lap.rows.get(name, 0) for lap in self.laps)


class _DeviceTrace(Trace):
    """Trace that waits for the device to finish its work before it reads the clock."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def enter(self, name: str | None) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)
        elif self.device == "mps":
            torch.mps.synchronize()
        super().enter(name)


class _Watch:
    """UI that times the work reported to it, and maker of random networks whose calls are timed."""

    def __init__(self, ui: UI, device: str, clips: int) -> None:
        self.ui, self.device, self.clips = ui, device, clips
        self.trace = _DeviceTrace(device)
        self.phase = ""
        self.tasks: list[_Task] = []
        self.made: list[str] = []
        self.memory: dict[str, int] = {}
        self.hooks = contextlib.ExitStack()
        # Weak references, as the memory of networks that the run releases is measured.
        self._names: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
        self._rows: dict[str, int] = {}
        self._depth = 0

    def say(self, line: str) -> None:
        self.ui.say(line)

    def warn(self, line: str) -> None:
        self.ui.warn(line)

    @contextlib.contextmanager
    def task(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        task = _Task(self.phase, what, unit)
        self.tasks.append(task)
        with self.ui.task(what, total, unit) as show:
            self.trace.lap(REST)

            def advance(done: int) -> None:
                parts = self.trace.lap(REST)
                if done:
                    task.laps.append(_Lap(done, parts, self._rows))
                    self._rows = {}
                    show(done)

            yield advance

    def make(self, name: str, build: Callable[[], Any]) -> Any:
        """Build a network and time its calls (a `benchmark.weights.stand_ins.Maker`)."""
        self.ui.say(f"making {name} with random weights")
        self.trace.enter(MAKING)
        network = build()
        self.trace.enter(REST)
        self.made.append(name)
        if isinstance(network, ImageScorer) and self.device == "cpu":
            # Scorers fill batches up to their size, which would only take time here.
            network.batch_size = self.clips
        model = getattr(network, "model", network)
        if isinstance(model, nn.Module):
            self.hooks.enter_context(self.trace.watch(model, name, REST))
            self._names.update(dict.fromkeys(model.modules(), name))
        return network

    def backbone(self, backbone: Backbone) -> None:
        """Time the calls of the backbone's networks."""
        vae = backbone.vae
        networks = {UNET: backbone.unet, TEXT: backbone.text_encoder, ENCODER: vae.encoder, DECODER: vae.decoder}
        for name, module in networks.items():
            self.hooks.enter_context(self.trace.watch(module, name, REST))

    @contextlib.contextmanager
    def every_network(self) -> Iterator[None]:
        """Time the calls of all modules within the block, named or not; the outermost module of a call counts."""
        own = threading.get_ident()

        def before(module: nn.Module, given: tuple[Any, ...]) -> None:
            # Threads that prepare images ahead of the device call modules too: a resize, a crop.
            if threading.get_ident() != own:
                return
            if self._depth == 0:
                # A module without parameters, such as a resize, is not a network.
                name = self._names.get(module, type(module).__name__ if _weighs(module) else REST)
                if given and isinstance(given[0], Tensor) and given[0].ndim == 4:
                    self._rows[name] = self._rows.get(name, 0) + len(given[0])
                self.trace.enter(name)
            self._depth += 1

        def after(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            if threading.get_ident() != own:
                return
            self._depth -= 1
            if self._depth == 0:
                self.trace.enter(REST)

        hooks = [register_module_forward_pre_hook(before), register_module_forward_hook(after, always_call=True)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextlib.contextmanager
    def measuring(self, phase: str) -> Iterator[None]:
        """Attribute the block to `phase`, and record its peak memory.

        Raises:
            RunError: The device has too little memory.
        """
        self.phase = phase
        self.hooks.close()
        gc.collect()
        accelerated = self.device.startswith("cuda")
        if accelerated:
            torch.cuda.reset_peak_memory_stats(self.device)
        try:
            yield
        except torch.OutOfMemoryError as error:
            advice = {
                "fit": "--set micro_batch=12GB and --set gradient_checkpointing=true need less",
                "generate": "even one image at a time needs more: use a larger device",
            }
            raise RunError(
                f"{self.device} has too little memory to {phase}: {advice.get(phase, 'use a larger device')}"
            ) from error
        self.memory[phase] = peak_memory(self.device)


def _weighs(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


@dataclass(frozen=True)
class _Whole:
    """Sizes of the full run."""

    plan: Plan
    train: int
    test: int
    labels: int | None
    """Number of labels; None if the dry run has all of them."""

    @classmethod
    def of(cls, plan: Plan, labels: int | None) -> _Whole:
        return cls(
            plan,
            train=plan.fit_suite.data.train,
            test=plan.clip_count,
            labels=len(plan.manifest.test.labels) if plan.manifest else labels,
        )


@dataclass(frozen=True)
class _Small:
    """Executed miniature of a run."""

    plan: Plan
    clips: int
    steps: int
    watch: _Watch
    labels: int
    evaluations: float
    """Ratio of the U-Net's passes for an image of the full run to those of the dry run."""

    @classmethod
    def run(cls, full: Plan, clips: int, steps: int, batch: int | None, ui: UI) -> _Small:
        """Execute the miniature of a run; `batch` is the number of clips per training step, None for the run's own."""
        watch, base = _Watch(ui, full.device, clips), full.base
        suite = base.model_copy(
            update={
                "data": base.data.model_copy(update={"train": clips, "validation": 0, "test": clips}),
                "generation": base.generation.model_copy(update={"steps": steps, "images_per_clip": 1}),
            }
        )
        fewer = {"steps": steps} | ({"batch_size": batch} if batch else {})
        known = type(full.settings).model_fields
        settings = full.settings.model_copy(update={key: value for key, value in fewer.items() if key in known})
        request = replace(full.request, limit=None, data=None, trackers=(), samples_every=None, used=None, runs=None)
        plan = replace(
            full,
            request=request,
            suite=suite,
            base=suite,
            fit_suite=suite,
            settings=settings,
            store=Store(),
            manifest=None,
        )
        job = Run(plan, watch)
        with watch.hooks, stand_ins.random_weights(watch.make):
            # Clips are made now, so that their making belongs to no phase.
            for split in (job.test, *([job.train] if plan.method.fits and settings.trains else [])):
                ui.say(f"{len(split)} clips of {split.name}")
            with watch.measuring("fit"):
                backbone = job.backbone
                # Hooks would break up a compiled network.
                if not getattr(settings, "compile", None):
                    watch.backbone(backbone)
                run_steps.fit(job)
            with watch.measuring("generate"):
                watch.backbone(backbone)
                run_steps.generate(job)
            with watch.measuring("score"), watch.every_network():
                run_steps.score(job)
        scheduler = backbone.pipeline.scheduler
        wanted, made = (_timesteps(scheduler, number) for number in (base.generation.steps, steps))
        return cls(plan, clips, steps, watch, len(job.test.labels), wanted / made)


def _timesteps(scheduler: Any, steps: int) -> int:
    """Return the number of U-Net evaluations: some schedulers make more of them than they have steps."""
    scheduler.set_timesteps(steps)
    return len(scheduler.timesteps)


def _report(whole: _Whole, small: _Small) -> Report:
    full, watch = whole.plan, small.watch
    asked, given = full.settings.model_dump(mode="json"), small.plan.settings.model_dump()
    pictures = whole.test * full.suite.generation.images_per_clip
    parts: list[Part] = []
    step: Parts = {}
    image: Parts = {}
    batch = given.get("batch_size")
    for task in watch.tasks:
        if not task.laps:
            continue
        if task.phase == "fit" and task.unit == "steps":
            larger = asked["batch_size"] / batch if batch else 1.0
            # The first step includes start-up.
            step = {name: larger * seconds for name, seconds in task.parts(first=1).items()}
            parts.append(Part(task.what, "steps", sum(step.values()), asked.get("steps", task.done)))
        elif task.phase == "fit":
            parts.append(Part(task.what, task.unit, sum(task.parts().values()), whole.train))
        elif task.phase == "generate" and task.unit == "images":
            image = task.parts()
            if UNET in image:
                image[UNET] *= small.evaluations
            parts.append(Part(task.what, task.unit, sum(image.values()), pictures))
    parts += _scoring(whole, small, pictures)
    machine = collect(device=full.device)
    return Report(
        suite=full.suite.name,
        method=full.name,
        settings=asked,
        device=full.device,
        device_name=machine.device_name or machine.cpu,
        threads=machine.threads,
        clips=small.clips,
        steps=small.steps,
        training_batch=batch if step else None,
        parts=tuple(parts),
        step=step,
        image=image,
        peak_memory=watch.memory,
        notes=tuple(_notes(full, small, batch if step else None, asked.get("batch_size"))),
    )


def _scoring(whole: _Whole, small: _Small, pictures: int) -> Iterator[Part]:
    """Yield a part for each network that scores, and one for reading its input."""
    tasks = [task for task in small.watch.tasks if task.phase == "score" and task.laps]
    larger = {
        "pictures": pictures / small.clips,
        "true frames": whole.test / small.clips,
        "sounds": whole.test / small.clips,
        "texts": (whole.labels or small.labels) / small.labels,
    }

    def count(some: Sequence[_Task]) -> int:
        return round(sum(task.done * larger.get(task.unit, 1.0) for task in some))

    seen = [task for task in tasks if task.unit in SEEN]
    for name in dict.fromkeys(name for task in seen for name in task.parts() if name != REST):
        some = [task for task in seen if name in task.parts()]
        # Batches are full in the full run, and the first task may have waited for start-up: hence the minimum.
        each = min(task.done * task.parts()[name] / (task.rows(name) or task.done) for task in some)
        yield Part(
            f"scoring: pictures with {INCEPTION if name == INCEPTION_CLASS else name}", "pictures", each, count(some)
        )
    if seen:
        # The first task includes the reading of weights.
        yield Part("scoring: reading pictures", "pictures", min(task.parts()[REST] for task in seen), count(seen))
    for unit in dict.fromkeys(task.unit for task in tasks if task not in seen):
        some = [task for task in tasks if task.unit == unit]
        spent = sum(task.done * seconds for task in some for name, seconds in task.parts().items() if name != REST)
        yield Part(f"scoring: {unit}", unit, spent / sum(task.done for task in some), count(some))


def _notes(full: Plan, small: _Small, batch: int | None, asked: int | None) -> Iterator[str]:
    if small.watch.made:
        yield f"random weights of the real shapes: {', '.join(dict.fromkeys(small.watch.made))}"
    if batch is not None and batch != asked:
        yield (
            f"the time of a step of {asked} clips is extrapolated from one of {batch}; larger batches need more memory "
            "than is shown"
        )
    if small.clips < (size := full.suite.generation.batch_size):
        yield (
            f"the run samples {size} images together, the dry run {small.clips}: --dry-clips {size} shows the memory "
            "that this needs"
        )
    if full.request.trackers:
        yield f"a dry run shows nothing in {' or '.join(full.request.trackers)}"
    if full.request.samples_every:
        yield f"left out: images drawn every {full.request.samples_every} training steps (--samples-every)"
    if full.method.fits:
        yield from full.settings.needs(full.fit_suite, full.device)
    yield "left out: start-up and reading of weights, preparation of the data, arithmetic of the metrics"


HEADER = ["part", "each", "count", "total"]


def table(report: Report) -> list[list[str]]:
    """Return a row for each part, with the columns of `HEADER`, and one for the whole run."""
    rows = [
        [part.what, _short(part.seconds), f"{part.count:,} {part.unit}", _long(part.estimate)] for part in report.parts
    ]
    return [*rows, ["the whole run", "", "", _long(report.estimate)]]


def remarks(report: Report) -> list[str]:
    """Return the lines below the table: how the time of a step and of an image is spent, memory, notes."""
    lines = []
    for what, parts in (("a step", report.step), ("an image", report.image)):
        if whole := sum(parts.values()):
            shares = sorted(parts.items(), key=lambda part: -part[1])
            shown = ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in shares)
            lines.append(f"{what:<9} {_short(whole)}: {shown}")
    memory = ", ".join(f"{phase} {size / 1e9:.1f} GB" for phase, size in report.peak_memory.items())
    lines.append(f"memory    {memory}")
    threads = f", threads: {report.threads}" if report.device == "cpu" else ""
    lines.append(f"device    {report.device}, {report.device_name}{threads}")
    return lines + [f"note: {note}" for note in report.notes]


def _short(seconds: float) -> str:
    """Return a duration that may be short.

    Example:
        >>> _short(0.0123), _short(75)
        ('12.3 ms', '1:15')
    """
    return clock(seconds) if seconds >= 1 else f"{rate(1e3 * seconds)} ms"


def _long(seconds: float) -> str:
    """Return a duration that may be long.

    Example:
        >>> _long(75), _long(200_000)
        ('1:15', '2.3 days')
    """
    return clock(seconds) if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
