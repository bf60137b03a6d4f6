"""fit -> generate -> score -> record. Each step can be repeated alone and continues where it was interrupted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import coverage, parallel, scoring
from benchmark.audio import is_silent
from benchmark.errors import RunError, UserError
from benchmark.files import digest, sha256_of, write_atomic
from benchmark.images import ImageError, save_png, to_uint8
from benchmark.method import Method, MethodSettings, RunContext, find_method, make_settings
from benchmark.outside import Pictures, PictureSettings, pictures_method
from benchmark.provenance import collect
from benchmark.record import ClipCounts, Cost, MethodRef, RunRecord, SuiteRef, run_identity, write_scores
from benchmark.store import Folder, RunFolder, Store, cache_dir
from benchmark.suite import BACKBONES, DATASETS, Suite, load_suite
from benchmark.tracking import check_trackers
from benchmark.ui import UI

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from benchmark.backbone import Backbone
    from benchmark.clips import Clip, ClipSet
    from benchmark.datasets.manifest import Manifest

# Raised with any change of a step's numerics: older output is then not reused.
FIT_VERSION = 1
GENERATE_VERSION = 1
SCORE_VERSION = 1

DEVICES = ("auto", "cpu", "cuda", "mps")
MAX_SEED = 2**32 - 1
"""Larger ones would overflow the seeds that training derives from them."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A run that is asked for: suite x method x settings x seed (x limit). `of` makes and checks it."""

    suite: Suite
    name: str
    method: type[Method]
    settings: MethodSettings
    seed: int | None
    limit: int | None
    device: str
    store: Store
    manifest: Manifest | None
    asked: Mapping[str, Any]
    ui: UI
    trackers: tuple[str, ...] = ()
    samples_every: int | None = None
    clips: tuple[str, ...] | None = None
    """Ids of the test clips, where a run was made when other ones were there; None: those that are there."""
    fitted_on: Mapping[str, Any] | None = None
    """The same of its fit (`coverage.fitted_on`)."""

    @classmethod
    def of(
        cls, *, suite: str, method: str | type[Method], data: Path | None = None, seed: int = 0,
        limit: int | None = None, settings: Mapping[str, str] | None = None, device: str = "auto",
        runs: Path | None = None, skip_bad: bool = False, ui: UI, trackers: Sequence[str] = (),
        samples_every: int | None = None,
    ) -> Plan:  # fmt: skip
        """Plan a run. Raises UserError, with all problems at once, before any work is done."""
        check_trackers(trackers)
        settings = settings or {}
        chosen = load_suite(suite)
        found = find_method(method) if isinstance(method, str) else method
        method = method if isinstance(method, str) else found.card.name
        if limit is not None and limit < 1:
            raise UserError(f"--limit {limit}: give at least 1, or leave it out for all clips")
        if not 0 <= seed <= MAX_SEED:
            raise UserError(f"--seed {seed}: give 0 to {MAX_SEED}")
        if device not in DEVICES and not device.startswith("cuda:"):
            raise UserError(f"--device {device!r}: choose one of {', '.join(DEVICES)}, cuda:N")
        made = with_budget(make_settings(found, settings), chosen)
        manifest = None
        if data is not None:
            from benchmark.datasets.manifest import load_manifest

            with ui.task(f"checking {Path(data).name}", 0, "files") as advance:
                reached = 0

                def progress(done: int, total: int) -> None:
                    nonlocal reached
                    advance(done - reached)
                    reached = done

                manifest = load_manifest(Path(data), skip_bad=skip_bad, progress=progress)
            chosen = chosen.with_manifest(manifest)
            for problem in manifest.skipped:
                ui.warn(f"left out: line {problem.line}, {problem.id!r}: {problem.reason}")
        else:
            chosen = chosen.as_present("test")
        file, is_file, inside = method.rpartition(".py:")
        asked: dict[str, Any] = {
            "suite": suite,
            "method": f"{Path(file + '.py').expanduser().resolve()}:{inside}" if is_file else method,
            "data": None if data is None else str(Path(data).resolve()),
            "seed": seed,
            "limit": limit,
            # what a setting made of a text, as a file's hash of its path, holds wherever the plan is read
            "settings": {key: _stated(made, key, text) for key, text in settings.items()},
            "skip_bad": skip_bad,
            "clips": coverage.tested_ids(chosen),
        }
        if issubclass(found, Pictures):
            asked["sees"] = list(found.card.sees)
        return cls(
            suite=chosen, name=found.card.name, method=found, settings=made, seed=seed if found.random else None,
            limit=limit, device=device, store=Store(runs), manifest=manifest, asked=asked, ui=ui,
            trackers=tuple(trackers), samples_every=samples_every,
        )  # fmt: skip

    @classmethod
    def from_folder(cls, path: Path, ui: UI, device: str = "auto") -> Plan:
        """The plan that made the run folder `path`, with the clips of then (`coverage.as_made`).

        Raises UserError if it is none, or some of those clips are gone.
        """
        try:
            stored = json.loads((Path(path) / "plan.json").read_text(encoding="utf-8"))
            names = ("suite", "method", "data", "seed", "limit", "settings", "skip_bad")
            asked = {name: stored[name] for name in names}
            if "sees" in stored:
                asked["method"] = pictures_method(asked["method"], stored["sees"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UserError(
                f"{path} is not a run: it has no readable plan.json; name a folder of `bench run`, or one of pictures"
            ) from error
        root = Path(path).resolve().parents[2]
        data = None if asked["data"] is None else Path(asked["data"])
        return coverage.as_made(cls.of(**{**asked, "data": data}, device=device, runs=root, ui=ui), path, stored)

    @cached_property
    def folder(self) -> RunFolder:
        """Where the run lives."""
        defaults = self.method.Settings().model_dump(mode="json")
        budget = self.suite.budget.model_dump(mode="json")
        changed = {
            key: value
            for key, value in self.settings.model_dump(mode="json").items()
            if value != defaults[key] and not (defaults[key] is None and value == budget.get(key))
        }
        return self.store.run(self.suite.name, self.name, self.seed, limit=self.limit, changed=changed)

    @cached_property
    def identity(self) -> str:
        """`run_identity` of the run."""
        settings = self.settings.model_dump(mode="json")
        return run_identity(self.suite.fingerprint(), self.name, settings, self.seed, self.limit)

    @cached_property
    def on(self) -> str:
        """The device that "auto" stands for. Raises UserError for one that is not there."""
        import torch

        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if self.device == "auto":
            return parallel.own_device(next(device for device in ("cuda", "mps", "cpu") if there[device]))
        if not there[self.device.partition(":")[0]]:
            raise UserError(f"--device {self.device}: there is none on this machine; leave it out, or give cpu")
        return parallel.own_device(self.device)

    @cached_property
    def fit_suite(self) -> Suite:
        """The suite whose training split is fitted on: a manifest's own, or the base suite's where it has none.

        It has the training clips that are there, and all test clips, so that a fit serves however many of them are.
        """
        trains = self.settings.trains
        if trains and self.manifest is not None and self.manifest.train is not None:
            return self.suite
        whole = self.suite if self.suite.name == self.suite.base else load_suite(self.suite.base)
        if self.fitted_on is not None:
            return whole.model_copy(update={"data": whole.data.model_copy(update=self.fitted_on)})
        return whole.as_present("train") if trains else whole

    @cached_property
    def test(self) -> ClipSet:
        """The clips that are scored, in order."""
        if self.clips is not None:
            here = self._split(load_suite(self.suite.base).as_present("test"), "test")
            clips = coverage.only(here, self.clips)
            return clips if self.limit is None else clips.limit(self.limit)
        if self.suite.data.test_clips is not None:
            self.ui.warn(
                f"{self.suite.data.test:,} of {load_suite(self.suite.base).data.test:,} test clips are there: this is "
                f"suite {self.suite.name!r}, with a board of its own, and compares only with runs on the same clips"
            )
        clips = self.manifest.test if self.manifest else self._split(self.suite, "test")
        return clips if self.limit is None else clips.limit(self.limit)

    @property
    def images_per_clip(self) -> int:
        """Pictures of each clip: the suite's number, unless they were made elsewhere."""
        if isinstance(self.settings, PictureSettings):
            return self.settings.images_per_clip
        return self.suite.generation.images_per_clip

    @property
    def generated(self) -> bool:
        """Whether the run's pictures were made, and are all there. Looks at no clip."""
        clips = self.suite.data.test if self.limit is None else min(self.limit, self.suite.data.test)
        there = sum(1 for _ in self.folder.images.glob("*.png"))
        return self.folder.step_done("generate", self.generate_identity) and there >= clips * self.images_per_clip

    @cached_property
    def train(self) -> ClipSet:
        """The clips that methods are fitted on; none where the settings say that nothing is trained."""
        if not self.settings.trains:
            from benchmark.clips import ClipSet

            return ClipSet("no clips", (), ())
        if self.manifest is not None and self.manifest.train is not None:
            return self.manifest.train
        if self.fit_suite.data.train_clips is not None:
            self.ui.warn(
                f"{self.fit_suite.data.train:,} of {load_suite(self.fit_suite.base).data.train:,} training clips are "
                "there: a fit on others is another fit"
            )
        return self._split(self.fit_suite, "train")

    def _split(self, suite: Suite, split: str) -> ClipSet:
        return DATASETS.get(suite.data.source)(suite, split, cache_dir(), self.ui)

    @cached_property
    def backbone(self) -> Backbone:
        return BACKBONES.get(self.suite.backbone.source)(self.suite, self.on)

    @cached_property
    def source(self) -> list[str]:
        """sha256 of the file that `path/to/file.py:Class` names, as what it makes changes with it; else nothing."""
        file, is_file, _ = str(self.asked["method"]).rpartition(".py:")
        return [sha256_of(Path(file + ".py"))] if is_file else []

    @cached_property
    def fit_identity(self) -> str | None:
        """What a fit depends on, hashed; None for a method that is not fitted."""
        if not self.method.fits:
            return None
        name, settings = self.method(self.settings).fit_identity()
        suite = self.fit_suite
        encoders = {key: sha256 for key, sha256 in suite.encoders.items() if key == self.method.network}
        device = self.on.partition(":")[0]
        return digest([FIT_VERSION, suite.fingerprint(), encoders, name, settings, self.seed, device, *self.source])

    @cached_property
    def fit_folder(self) -> Folder | None:
        if self.fit_identity is None:
            return None
        name, _ = self.method(self.settings).fit_identity()
        return self.store.fit(self.fit_suite.name, name, self.fit_identity)

    @cached_property
    def generate_identity(self) -> str:
        return digest([GENERATE_VERSION, self.identity, self.fit_identity, self.on.partition(":")[0], *self.source])

    def make(self, clips: ClipSet) -> Method:
        """The method, set up to look at `clips`."""
        method = self.method(self.settings)
        folder = self.fit_folder.path if self.fit_folder else self.folder.path
        method.setup(
            RunContext(
                self.suite, self.backbone, clips, self.seed or 0, folder, cache_dir(), self.on, self.ui,
                self.trackers, self.samples_every,
            )  # fmt: skip
        )
        return method


def _stated(settings: MethodSettings, key: str, text: str) -> str:
    """What `key` was set to, as `--set` takes it: in the setting's own words where those are text."""
    stated = settings.model_dump(mode="json").get(key)
    return stated if isinstance(stated, str) else text


def with_budget(settings: MethodSettings, suite: Suite) -> MethodSettings:
    """`settings` with what the suite's training budget says for those that are None."""
    budget = suite.budget.model_dump()
    return settings.model_copy(
        update={key: budget[key] for key, value in settings.model_dump().items() if value is None and key in budget}
    )


def image_seed(suite_seed: int, run_seed: int, clip_id: str, image: int) -> int:
    """The seed of one picture's noise: the first 63 bits of sha256("suite seed/run seed/clip id/image")."""
    text = f"{suite_seed}/{run_seed}/{clip_id}/{image}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def peak_memory() -> int:
    """Highest memory use of this process so far, or of its accelerator, in bytes."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    import resource

    kilobytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes


def fit(plan: Plan) -> Path | None:
    """Fit the method on the training split, unless that is done; returns the fit's folder (None: nothing to fit)."""
    folder, identity = plan.fit_folder, plan.fit_identity
    if folder is None or identity is None:
        return None
    with _held(folder, plan.ui):
        if parallel.agree(folder.step_done("fit", identity)):
            return folder.path
        if parallel.is_first():
            for aside in folder.begin("fit", identity):
                plan.ui.warn(f"an older fit was kept as {aside.name}")
        if parallel.is_first() or plan.method.shares_fit:
            context = plan if plan.fit_suite is plan.suite else replace(plan, suite=plan.fit_suite)
            began = time.perf_counter()
            resumed = any(path.name not in (".lock", "steps") for path in folder.path.iterdir())
            report = context.make(plan.train).fit(plan.train)
            if parallel.is_first():
                folder.mark_done(
                    "fit",
                    identity,
                    {
                        "steps": report.steps,
                        "trainable_parameters": report.trainable_parameters,
                        "figures": report.figures,
                        "remarks": list(report.remarks),
                        "seconds": None if resumed else round(time.perf_counter() - began, 2),
                        "peak_memory_bytes": peak_memory(),
                    },
                )
        parallel.wait()
    return folder.path


@contextlib.contextmanager
def _held(folder: Folder, ui: UI) -> Iterator[None]:
    """The folder's lock, which of several processes the first one holds for all."""
    if parallel.is_first():
        with folder.lock(ui.say):
            parallel.wait()
            yield
    else:
        parallel.wait()
        yield


def generate(plan: Plan) -> Path:
    """Make a picture of every test clip (and fit first, if need be); returns the folder of pictures."""
    folder, identity = plan.folder, plan.generate_identity
    with _held(folder, plan.ui):
        if parallel.agree(plan.generated):
            return folder.images
        fit(plan)
        # where only some pictures of a finished step were lost, those are made again beside the others
        if parallel.is_first():
            if not folder.step_done("generate", identity):
                for aside in folder.begin("generate", identity, ["images"]):
                    plan.ui.warn(f"older pictures were kept as {aside.name}")
            asked = {**plan.asked, "fitted_on": coverage.fitted_on(plan)}
            write_atomic(folder.path / "plan.json", json.dumps(asked, indent=2) + "\n")
        parallel.wait()
        generation = plan.suite.generation
        test = plan.test
        paths = folder.image_paths(test.ids, generation.images_per_clip)
        method = plan.make(test)
        if method.fits:
            method.load()
        made, seconds = 0, 0.0
        batches = [
            (image, start) for image in range(generation.images_per_clip)
            for start in range(0, len(test), generation.batch_size)
        ]  # fmt: skip
        with plan.ui.task(f"generating with {plan.name}", len(paths), "images") as advance:
            for image, start in parallel.mine(batches):
                clips = test[start : start + generation.batch_size]
                targets = [paths[clip.id, image] for clip in clips]
                # a batch is made whole or not at all: a resumed run meets the same arithmetic
                if not all(target.exists() for target in targets):
                    began = time.perf_counter()
                    seeds = [image_seed(generation.seed, plan.seed or 0, clip.id, image) for clip in clips]
                    pictures = make_pictures(method, clips, seeds)
                    seconds += time.perf_counter() - began
                    made += len(clips)
                    for target, picture in zip(targets, pictures, strict=True):
                        save_png(target, picture)
                advance(len(clips) * parallel.world())
        effort = parallel.collect((made, seconds, peak_memory()))
        if parallel.is_first():
            made, seconds = sum(done for done, _, _ in effort), max(spent for _, spent, _ in effort)
            folder.mark_done(
                "generate",
                identity,
                {
                    "seconds": round(seconds, 2) if made == len(paths) else None,
                    "images_per_second": round(made / seconds, 3) if made else None,
                    "peak_memory_bytes": max(memory for _, _, memory in effort),
                    "encoders": method.encoders(),
                },
            )
        parallel.wait()
    return folder.images


def make_pictures(method: Method, clips: Sequence[Clip], seeds: Sequence[int]) -> list[np.ndarray]:
    """The method's pictures, uint8 (height, width, 3). Raises RunError unless every clip has got one."""
    name = method.card.name
    pictures = method.generate(clips, seeds)
    if len(pictures) != len(clips):
        raise RunError(f"method {name!r} gave {len(pictures)} pictures for {len(clips)} clips: it must give one each")
    made = []
    for clip, picture in zip(clips, pictures, strict=True):
        try:
            made.append(to_uint8(picture))
        except (ImageError, AttributeError) as error:
            raise RunError(f"method {name!r} gave no picture for clip {clip.id!r}: {error}") from error
    return made


def draw(
    plan: Plan, pictures: Callable[[Sequence[Clip], Sequence[int]], Sequence[Image | np.ndarray]], out: Path
) -> None:
    """Write `out/<clip id>.png` of the plan's test clips with `pictures(clips, seeds)`, in the run's batches and seeds.

    For pictures that no method makes; `bench score DIR` scores them.
    """
    generation = plan.suite.generation
    with plan.ui.task(f"drawing to {out}", len(plan.test), "images") as advance:
        for start in range(0, len(plan.test), generation.batch_size):
            clips = plan.test[start : start + generation.batch_size]
            seeds = [image_seed(generation.seed, plan.seed or 0, clip.id, 0) for clip in clips]
            for clip, picture in zip(clips, pictures(clips, seeds), strict=True):
                save_png(out / f"{clip.id}.png", picture)
            advance(len(clips))


def score(plan: Plan, metrics: Sequence[str] | None = None) -> RunRecord:
    """Score the run's pictures and write its record; `metrics` are added to the suite's, and stay in the record.

    Raises RunError where pictures are missing: `generate` makes them.
    """
    folder = plan.folder
    with _held(folder, plan.ui):
        wanted = [*plan.suite.metrics, *sorted({*(metrics or ()), *_measured(plan)} - {*plan.suite.metrics})]
        if not plan.generated:
            raise RunError(
                f"{folder.path} has no finished pictures of this run: `bench generate` (or `bench run`) makes them"
            )
        bound = scoring.bind(plan.suite, plan.on)
        identity = digest([SCORE_VERSION, plan.generate_identity, scoring.identity(wanted, bound)])
        done = folder.step_done("score", identity) and folder.record_path.is_file() and folder.scores_path.is_file()
        if not parallel.agree(done):
            if parallel.is_first():
                folder.begin("score", identity)
            inputs = scoring.embed(plan, bound, wanted)
            if parallel.is_first():
                results, hashes = scoring.score(plan, bound, wanted, inputs)
                write_scores(folder.scores_path, scoring.per_clip_table(plan, results))
                _record(plan, results, hashes).save(folder.record_path)
                folder.mark_done("score", identity)
            parallel.wait()
        return folder.record()


def _measured(plan: Plan) -> list[str]:
    """What the run's record holds so far: a metric that was asked for once is not dropped by scoring again."""
    try:
        record = plan.folder.record()
    except UserError:
        return []
    return list(record.metrics) if record.identity == plan.identity else []


def run(plan: Plan) -> RunRecord:
    """Fit, generate and score, each only as far as it is not done yet."""
    generate(plan)
    return score(plan)


def _record(plan: Plan, results: Mapping[str, Any], scorers: Mapping[str, dict[str, str]]) -> RunRecord:
    fitted = plan.fit_folder.payload("fit") if plan.fit_folder else {}
    generated = plan.folder.payload("generate")
    test, manifest = plan.test, plan.manifest
    silent = [clip.id for clip in test if is_silent(clip.waveform(plan.suite.data.rate))]
    problems: dict[int, str] = {}  # by line: a row may have several
    for p in manifest.skipped if manifest else ():
        problems[p.line] = f"{problems[p.line]}; {p.reason}" if p.line in problems else f"{p.id}: {p.reason}"
    skipped = [f"line {line}: {reasons}" for line, reasons in problems.items()]
    warnings = []
    if silent:
        warnings.append(
            f"silent clips (all samples zero), scored like any other: {len(silent)} ({', '.join(silent)})"
        )
    if skipped:
        warnings.append(f"rows of the manifest that were left out (--skip-bad): {len(skipped)}")
    if plan.method.fits and plan.fit_suite.data.train_clips is not None:
        warnings.append(f"fitted on the {plan.fit_suite.data.train} training clips that were there, not on all of them")
    warnings += fitted.get("remarks", [])
    for line in warnings:
        plan.ui.warn(line)
    memory = [peak_memory(), generated.get("peak_memory_bytes") or 0, fitted.get("peak_memory_bytes") or 0]
    return RunRecord(
        status="complete" if not any(result.failed for result in results.values()) else "incomplete",
        suite=SuiteRef(name=plan.suite.name, version=plan.suite.version, fingerprint=plan.suite.fingerprint()),
        method=MethodRef(
            name=plan.name,
            card=plan.method.card.model_dump(mode="json"),
            settings=plan.settings.model_dump(mode="json", exclude_none=True),
        ),
        seed=plan.seed,
        limit=plan.limit,
        metrics={name: scoring.metric_value(result, scorers[name]) for name, result in results.items()},
        per_class={
            name: {label: result.per_class.get(index) for index, label in enumerate(test.labels)}
            for name, result in results.items()
            if result.per_class
        },
        clips=ClipCounts(total=len(test), failed=0, silent=len(silent), skipped=skipped),
        cost=Cost(
            fit_seconds=fitted.get("seconds"),
            fit_steps=fitted.get("steps"),
            generate_seconds=generated.get("seconds"),
            images_per_second=generated.get("images_per_second"),
            trainable_parameters=fitted.get("trainable_parameters"),
            peak_memory_bytes=max(memory),
        ),
        provenance=collect(device=plan.on),
        weights={**plan.suite.weights, **generated.get("encoders", {})},
        identity=plan.identity,
        warnings=warnings,
    )
