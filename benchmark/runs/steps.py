"""The steps of a run: fit -> generate -> score. Each can be repeated alone and continues where it was interrupted."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from benchmark.media.images import ImageError, load_image, save_png, to_uint8
from benchmark.records.images import hash_images, images_path, reference, write_images
from benchmark.records.provenance import collect
from benchmark.records.record import RunRecord, write_scores
from benchmark.records.store import Folder, RunFolder
from benchmark.runs import damage, preflight, scoring
from benchmark.runs.method_calls import MethodError, calling
from benchmark.runs.picture_writer import PictureWriter
from benchmark.runs.plan import SCORE_VERSION
from benchmark.runs.run import Run
from benchmark.runs.seeds import image_seed
from benchmark.runs.to_record import facts_of, to_record
from benchmark.utils import distributed
from benchmark.utils.device import arithmetic, peak_memory
from benchmark.utils.errors import BenchError, RunError, UserError
from benchmark.utils.files import digest
from benchmark.utils.progress import UI

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from benchmark.clips import Clip
    from benchmark.method import Method
    from benchmark.runs.plan import Plan

P = ParamSpec("P")
R = TypeVar("R")


def prescribed(step: Callable[Concatenate[Run, P], R]) -> Callable[Concatenate[Run, P], R]:
    """Return a function of a run that computes with the precision and the threads of the run's suite."""

    @functools.wraps(step)
    def computed(job: Run, /, *args: P.args, **named: P.kwargs) -> R:
        with arithmetic(job.plan.suite.threads):
            return step(job, *args, **named)

    return computed


def run(job: Run) -> RunRecord:
    """Fit, generate and score, each only as far as it is not done yet."""
    preflight.check(job, ("generate", "score"))
    generate(job)
    return score(job)


@prescribed
def fit(job: Run) -> Path | None:
    """Fit the method on the training split, unless that is done; return the fit's folder (None: nothing to fit)."""
    plan = job.plan
    folder, identity = plan.fit_folder, plan.fit_identity
    if folder is None or identity is None:
        return None
    with _held(folder, job.ui):
        if distributed.agree(distributed.is_first() and folder.step_done("fit", identity)):
            if distributed.is_first():
                _add_checksums(folder, "fit", identity, damage.fit_files(plan), job.ui)
            return folder.path
        preflight.check(job, ("fit",))
        for line in job.remarks:
            job.ui.warn(line)
        if distributed.is_first():
            found = folder.resume("fit", identity)
            damage.say(folder, found or folder.marker_damage("fit", damage.fit_files(plan)), job.ui)
            if found is None:
                folder.begin("fit", identity)
            folder.note("fit", collect(device=plan.device))
        if distributed.is_first() or plan.method.shares_fit:
            began = time.perf_counter()
            resumed = any(path.name not in (".lock", "steps") for path in folder.path.iterdir())
            method = job.make(job.train, to_fit=True)
            with calling(plan.method, "fit()"):
                report = method.fit(job.train)
            if distributed.is_first():
                folder.mark_done(
                    "fit",
                    identity,
                    {
                        "steps": report.steps,
                        "trainable_parameters": report.trainable_parameters,
                        "figures": report.figures,
                        "remarks": list(report.remarks),
                        "seconds": None if resumed else round(time.perf_counter() - began, 2),
                        "peak_memory_bytes": peak_memory(plan.device),
                    },
                    damage.fit_files(plan),
                )
        distributed.wait()
    return folder.path


def _add_checksums(folder: Folder, step: str, identity: str, files: Sequence[Path], ui: UI) -> None:
    """Give a step that a former version finished the checksums of what is there now."""
    if folder.is_former(step) and not folder.read_only:
        folder.mark_done(step, identity, folder.payload(step), files)
        ui.say(f"{folder.path}: step {step} is of a former version, without checksums; it is checked from now on")


def _drop_undecodable(folder: RunFolder, ui: UI) -> None:
    """Remove the images of a former version that cannot be decoded; nothing else is known of them."""
    if folder.is_former("generate") and not folder.read_only:
        for path in folder.images.glob("*.png"):
            try:
                load_image(path)
            except ImageError as error:
                ui.warn(f"{error.problems[0].rpartition(':')[0]}: made anew")
                path.unlink()


def _mend_fit(job: Run) -> None:
    """Fit again where the fit of finished images is damaged, if it is there and ours to write."""
    folder, identity = job.plan.fit_folder, job.plan.fit_identity
    if folder is None or identity is None:
        return
    bad = damage.of_step(folder, "fit", damage.fit_files(job.plan)) if distributed.is_first() else {}
    if bad and not os.access(folder.path, os.W_OK):
        name, why = next(iter(bad.items()))
        job.ui.warn(f"{folder.path / name} {why}; the images that were made with it are as they were")
        bad = {}
    if distributed.agree(bool(bad)):
        fit(job)


@contextlib.contextmanager
def _held(folder: Folder, ui: UI) -> Iterator[None]:
    """The folder's lock, which of several processes the first one holds for all."""
    if distributed.is_first():
        with folder.lock(ui.say):
            distributed.wait()
            yield
    else:
        distributed.wait()
        yield


@prescribed
def generate(job: Run) -> Path:
    """Make the images of every test clip (and fit first, if need be); return their folder.

    A clip whose image the method cannot make is noted with the reason, and tried again by the next call.

    Raises:
        MethodError: Not a single image could be made.
    """
    plan = job.plan
    folder, identity = plan.folder, plan.generate_identity
    with _held(folder, job.ui):
        if distributed.is_first():
            _drop_undecodable(folder, job.ui)
        if distributed.agree(distributed.is_first() and plan.generated):
            if distributed.is_first():
                _add_checksums(folder, "generate", identity, sorted(folder.images.glob("*.png")), job.ui)
                damage.mend_plan(plan, job.ui)
            _mend_fit(job)
            return folder.images
        preflight.check(job, ("generate",))
        fit(job)
        test = job.heard
        paths = folder.image_paths(test.ids, plan.suite.generation.images_per_clip)
        if distributed.is_first():
            # where only some images are missing or damaged, those are made again beside the others
            found = folder.resume("generate", identity, paths.values())
            damage.say(folder, found or folder.marker_damage("generate", folder.images.glob("*.png")), job.ui)
            if found is None:
                for aside in folder.begin("generate", identity, ["images"]):
                    job.ui.warn(f"older images were kept as {aside.name}")
            folder.note("generate", collect(device=plan.device))
            plan.save()
        distributed.wait()
        for line in job.remarks:
            job.ui.warn(line)
        method = job.make(test)
        if method.fits:
            with calling(plan.method, "load()"):
                method.load()
        made, seconds, failures = _make_all(job, method)
        effort = distributed.collect((made, seconds, peak_memory(plan.device), failures))
        if distributed.is_first():
            made, seconds = sum(one[0] for one in effort), max(one[1] for one in effort)
            failures = {clip: reason for one in effort for clip, reason in one[3].items()}
            failures = {clip: failures[clip] for clip in test.ids if clip in failures}
            if failures:
                first, reason = next(iter(failures.items()))
                job.ui.warn(f"{len(failures)} of {len(test)} clips have no image; the first is {first!r}: {reason}")
            with calling(plan.method, "encoders()"):
                encoders = method.encoders()
            facts = {
                "seconds": round(seconds, 2) if made == len(test) * plan.images_per_clip else None,
                "images_per_second": round(made / seconds, 3) if made else None,
                "peak_memory_bytes": max(one[2] for one in effort),
                "encoders": encoders,
            }
            fitted = plan.fit_folder and plan.fit_folder.path.relative_to(plan.store.root).as_posix()
            more = {"failures": failures, "remarks": job.remarks, "fit": fitted}
            payload = facts | {key: value for key, value in more.items() if value}
            folder.mark_done("generate", identity, payload, [path for path in paths.values() if path.exists()])
        distributed.wait()
    return folder.images


def _make_all(job: Run, method: Method) -> tuple[int, float, dict[str, str]]:
    """This process's share of the images; how many were made, in how many seconds, and which clips failed and why."""
    plan, test = job.plan, job.heard
    generation = plan.suite.generation
    paths = plan.folder.image_paths(test.ids, generation.images_per_clip)
    batches = [
        (image, start)
        for image in range(generation.images_per_clip)
        for start in range(0, len(test), generation.batch_size)
    ]
    made, seconds, failures = 0, 0.0, dict[str, str]()
    with (
        job.ui.task(f"generating with {plan.name}", len(paths), "images") as advance,
        PictureWriter(lambda written: plan.folder.note_files("generate", written)) as writer,
    ):
        for image, start in distributed.mine(batches):
            clips = test[start : start + generation.batch_size]
            targets = [paths[clip.id, image] for clip in clips]
            there = [target for target in targets if target.exists()]
            # a batch is made whole or not at all: a resumed run meets the same arithmetic
            if len(there) < len(targets):
                began = time.perf_counter()
                seeds = [image_seed(generation.seed, plan.seed or 0, clip.id, image) for clip in clips]
                images, failed = _make_batch(method, clips, seeds)
                seconds += time.perf_counter() - began
                if not images and not made and not any(path.exists() for path in paths.values()):
                    raise next(iter(failed.values()))
                made += len(images)
                failures |= {clip: _line(error) for clip, error in failed.items()}
                made_now = zip(clips, targets, strict=True)
                new = {target: images[clip.id] for clip, target in made_now if clip.id in images}
                writer.put(new, [target for target in there if target not in new])
            advance(len(clips) * distributed.world())
    return made, seconds, failures


def _make_batch(
    method: Method, clips: Sequence[Clip], seeds: Sequence[int]
) -> tuple[dict[str, np.ndarray], dict[str, BenchError]]:
    """The images of a batch by clip id; where that fails, each clip alone, and the error of each that fails again."""
    try:
        return dict(zip((clip.id for clip in clips), make_images(method, clips, seeds), strict=True)), {}
    except BenchError as error:
        together = error
    if len(clips) == 1:
        return {}, {clips[0].id: together}
    images: dict[str, np.ndarray] = {}
    failed: dict[str, BenchError] = {}
    for clip, seed in zip(clips, seeds, strict=True):
        try:
            (images[clip.id],) = make_images(method, [clip], [seed])
        except BenchError as error:
            failed[clip.id] = error
    return (images, failed) if images else ({}, dict.fromkeys(failed, together))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def make_images(method: Method, clips: Sequence[Clip], seeds: Sequence[int]) -> list[np.ndarray]:
    """Return the method's images, uint8 (height, width, 3), one a clip.

    Raises:
        MethodError: The method failed, or gave something else than an image for each clip.
    """
    name = method.card.name
    with calling(type(method), "generate()"):
        images = method.generate(clips, seeds)
    try:
        count = len(images)
    except TypeError:
        raise MethodError(
            f"method {name!r} gave a {type(images).__name__} for {len(clips)} clips, not a list"
        ) from None
    if count != len(clips):
        raise MethodError(f"method {name!r} gave {count} images for {len(clips)} clips: it must give one each")
    made = []
    for clip, image in zip(clips, images, strict=True):
        try:
            made.append(to_uint8(image))
        except (ImageError, AttributeError) as error:
            raise MethodError(f"method {name!r} gave no image for clip {clip.id!r}: {error}") from error
    return made


@prescribed
def draw(job: Run, images: Callable[[Sequence[Clip], Sequence[int]], Sequence[Image | np.ndarray]], out: Path) -> None:
    """Write `out/<clip id>.png` of the test clips with `images(clips, seeds)`, in the run's batches and seeds.

    For images that no method makes; `bench score DIR` scores them.
    """
    generation = job.plan.suite.generation
    with job.ui.task(f"drawing to {out}", len(job.heard), "images") as advance:
        for start in range(0, len(job.heard), generation.batch_size):
            clips = job.heard[start : start + generation.batch_size]
            seeds = [image_seed(generation.seed, job.plan.seed or 0, clip.id, 0) for clip in clips]
            for clip, image in zip(clips, images(clips, seeds), strict=True):
                save_png(out / f"{clip.id}.png", image)
            advance(len(clips))


@prescribed
def score(job: Run, metrics: Sequence[str] | None = None) -> RunRecord:
    """Score the run's images and write its record; `metrics` are added to the suite's, and stay in the record.

    Raises:
        RunError: Images are missing that nobody tried to make: `generate` makes them.
    """
    plan = job.plan
    folder = plan.folder
    with _held(folder, job.ui):
        wanted = [*plan.suite.metrics, *sorted({*(metrics or ()), *_measured(plan)} - {*plan.suite.metrics})]
        failures = plan.failures
        if not (plan.generated or failures):
            raise RunError(
                f"{folder.path} has no finished images of this run: `bench generate` (or `bench run`) makes them"
            )
        preflight.check(job, ("score",))
        scoring.check_judges(plan.suite, metrics or ())
        bound = scoring.bind(plan.suite, wanted)
        identity = digest([SCORE_VERSION, plan.generate_identity, scoring.identity(wanted, bound), *sorted(failures)])
        if not distributed.agree(distributed.is_first() and _scored(folder, identity)):
            if distributed.is_first():
                made = [folder.record_path, folder.scores_path, images_path(folder.record_path)]
                damage.say(folder, damage.of_step(folder, "score", made), job.ui)
                folder.begin("score", identity)
                folder.note("score", collect(device=plan.device), continues=False)
            paths = folder.image_paths(job.test.ids, plan.images_per_clip)
            task = scoring.ScoreJob(
                suite=plan.suite,
                clips=job.test,
                images={key: path for key, path in paths.items() if key[0] not in failures},
                device=plan.device,
                ui=job.ui,
                train=job.suite_train,
                known=job.known_frames,
                learnt=job.learnt_frames,
                draws=plan.method.draws,
            )
            embedding = scoring.embed(task, wanted, bound)
            if distributed.is_first():
                scores = scoring.compute_metrics(task, wanted, bound, embedding)
                hashes = hash_images(task.images.values())
                record = to_record(job, scores, reference(hashes))
                write_images(images_path(folder.record_path), hashes)
                write_scores(folder.scores_path, scores.per_clip)
                record.save(folder.record_path)
                if record.status == "complete":
                    made_of = {"images": folder.checksum("generate"), "metrics": wanted, "record": facts_of(record)}
                    folder.mark_done("score", identity, made_of, made)
            distributed.wait()
        elif distributed.is_first():
            _add_checksums(folder, "score", identity, [folder.record_path, folder.scores_path], job.ui)
        return folder.record()


def _scored(folder: RunFolder, identity: str) -> bool:
    """Whether the run was scored, with these very images, and its record is as it was written."""
    there = folder.record_path.is_file() and folder.scores_path.is_file()
    if not (there and folder.step_done("score", identity)):
        return False
    images = folder.payload("score").get("images")
    return images is None or images == folder.checksum("generate")


def _measured(plan: Plan) -> list[str]:
    """What the run's record holds so far: a metric that was asked for once is not dropped by scoring again."""
    if metrics := plan.folder.payload("score").get("metrics"):
        return [name for name in metrics if isinstance(name, str)]
    try:
        record = plan.folder.record()
    except UserError:
        return []
    return list(record.metrics) if record.identity == plan.identity else []
