"""How different are the images of one sound, and how much of what differs within a class is due to the sound?

    python -m benchmark.studies.diversity audiotoken sd-text
    python -m benchmark.studies.diversity runs/mini/audiotoken/seed0 --images 8 --limit 72 --json

Several images of each clip are drawn with a finished fit, each from noise of its own; the first is that of a run. The
name of a method stands for its fit of `--seed` with the default settings; the folder of a run for that run's. Columns,
of features of one network, scaled to unit length:

- *within*: mean of 1 - cosine over the pairs of a clip's images: what the noise alone changes,
- *between*: the same between images of different clips of a class, and of their true frames,
- *due to the clip*: 100 (between - within) / between, the intraclass correlation: 0 for a method that hears no more
  than the class, 100 for one whose images do not depend on the noise,
- *Vendi*: the effective number of different images among those of a clip (Friedman and Dieng 2023, 2210.02410).

Intervals are at 95 %, from draws of clips. The images are kept in `DIR`, and drawn only once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.leaderboard.dots import Dot
from benchmark.media.images import save_png
from benchmark.records.store import RunFolder
from benchmark.registries import METHODS
from benchmark.runs import scoring, steps
from benchmark.runs.external_method import ExternalImages
from benchmark.runs.method_calls import calling
from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.runs.seeds import image_seed
from benchmark.runs.shipped import fit_at_hand, shipped_fit
from benchmark.studies import figures
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_table
from metrics.statistics import mean, resampled_means

if TYPE_CHECKING:
    from metrics.similarity import Array

DRAWS = 2000


@dataclass(frozen=True)
class Value:
    """A mean over clips with its 95 % interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Diversity:
    """What several images of each clip say of a method."""

    method: str
    """Its name, with settings that are not the default ones."""
    seed: int | None
    clips: int
    images: int
    """Images of a clip."""
    extractor: str
    within: Value
    between: Value
    true_frames: float | None
    """Spread of the true frames of different clips of a class."""
    due_to_clip: Value
    """Share of the spread between clips that is not there within a clip, in percent."""
    vendi: Value


def run_of(name: str, given: RunRequest, ui: UI, *, trust_method: bool = False) -> Run:
    """Return the run of a folder or of a method's name, on as many clips as asked for, whose fit is finished.

    Args:
        name: The folder of a run, or the name of a method.
        given: The suite and seed of a method that is named, the number of clips, the device, and where runs live.
        ui: Progress and warnings.
        trust_method: Whether a Python file that a folder names as its method may be executed.

    Raises:
        UserError: There is no such run, its images do not follow from noise, or its fit is not there.
    """
    # A method's name first: a checkout has folders that are called like its methods.
    if name not in METHODS and Path(name).is_dir():
        made = Plan.from_folder(Path(name), ui, given.device, trust_method=trust_method)
        if issubclass(made.method, ExternalImages):
            raise UserError(
                f"{name}: its images were made elsewhere; where a clip has several, `bench score {name} --metric "
                "vendi.clip --metric spread.clip` compares them"
            )
        plan = Plan.of(replace(made.request, limit=given.limit), ui)
    else:
        plan = Plan.of(replace(given, method=name), ui)
    if not (plan.method.random and plan.method.draws):
        raise UserError(f"method {plan.name!r} draws the same image whatever the noise: name another one")
    fitted, identity = plan.fit_folder, plan.fit_identity
    finished = fitted is None or identity is None or fitted.step_done("fit", identity)
    if fitted is not None and not finished and shipped_fit(plan) is None:
        raise UserError(
            f"{name}: its fit is not finished in {fitted.path}: `bench fit --method {plan.name} --seed {plan.seed}`, "
            "on the same --device and with the same --set, makes it"
        )
    return Run(plan, ui)


@steps.prescribed
def draw(job: Run, images: int, out: Path) -> dict[tuple[str, int], Path]:
    """Draw several images of each test clip, those that are not in `out` yet; return their files by clip and number."""
    plan, clips = job.plan, job.heard
    # A folder of what they depend on, so that images of another fit are never taken for them.
    place = RunFolder(out / f"{plan.name}-{plan.generate_identity[:12]}")
    paths = place.image_paths(clips.ids, images)
    batch, generation = plan.suite.generation.batch_size, plan.suite.generation
    with job.ui.task(f"drawing {images} images a clip with {plan.name}", len(paths), "images") as advance:
        method = None
        for number in range(images):
            for start in range(0, len(clips), batch):
                some = clips[start : start + batch]
                targets = [paths[clip.id, number] for clip in some]
                if not all(target.is_file() for target in targets):
                    if method is None:
                        method = job.make(clips, fitted=fit_at_hand(job))
                        if method.fits:
                            with calling(plan.method, "load()"):
                                method.load()
                    seeds = [image_seed(generation.seed, plan.seed or 0, clip.id, number) for clip in some]
                    for target, image in zip(targets, steps.make_images(method, some, seeds), strict=True):
                        save_png(target, image)
                advance(len(some))
    return paths


@steps.prescribed
def measure(job: Run, images: int, out: Path, extractor: str | None = None) -> Diversity:
    """Draw several images of each test clip, and compare them.

    Args:
        job: The run.
        images: Images of each clip.
        out: Folder of the images.
        extractor: The network whose features are compared: one of the suite's, or a judge; by default that of its
            first Fréchet distance.

    Raises:
        UserError: The suite has no such extractor.
    """
    plan = job.plan
    name = extractor or next((m.partition(".")[2] for m in plan.suite.metrics if m.startswith("fd.")), None)
    if name is None:
        raise UserError(f"suite {plan.suite.name!r} binds no Fréchet distance: name a network with --extractor")
    metrics = [f"spread.{name}", f"between.{name}", f"vendi.{name}"]
    scoring.check_judges(plan.suite, metrics)
    task = scoring.ScoreJob(
        suite=plan.suite, clips=job.test, images=draw(job, images, out), device=plan.device, ui=job.ui
    )
    results = scoring.score(task, metrics, scoring.bind(plan.suite, metrics)).results
    within, between, vendi = (results[metric] for metric in metrics)
    values = [Value(one.value, one.low, one.high) for one in (within, between, vendi)]
    changed = ", ".join(f"{key}={value}" for key, value in plan.changed_settings.items())
    return Diversity(
        method=f"{plan.name} ({changed})" if changed else plan.name,
        seed=plan.seed,
        clips=len(job.test),
        images=images,
        extractor=name,
        within=values[0],
        between=values[1],
        true_frames=between.details.get("of_true_frames"),
        due_to_clip=due_to_clip(within.per_clip, between.per_clip),
        vendi=values[2],
    )


def due_to_clip(within: Array | None, between: Array | None) -> Value:
    """Return 100 (between - within) / between of the means over clips, with the interval over draws of clips.

    Args:
        within: (M,) spread within each clip; NaN for none.
        between: (M,) spread between each clip and the others of its class; NaN for none.
    """
    if within is None or between is None:
        return Value(None, None, None)
    both = np.stack([within, between], axis=1)
    both = both[~np.isnan(both).any(axis=1)]
    if not len(both) or not (whole := mean(both[:, 1])) > 0:
        return Value(None, None, None)
    value = 100.0 * (1.0 - mean(both[:, 0]) / whole)
    if len(both) < 2:
        return Value(value, None, None)
    drawn = resampled_means(both, DRAWS, np.random.default_rng(0))
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(100.0 * (1.0 - drawn[:, 0] / drawn[:, 1]), [0.025, 0.975])
    return Value(value, float(low), float(high))


def _shown(value: Value, digits: int) -> str:
    if value.value is None:
        return "–"
    interval = "" if value.low is None else f" [{value.low:.{digits}f}, {value.high:.{digits}f}]"
    return f"{value.value:.{digits}f}{interval}"


def panels(found: Sequence[Diversity]) -> dict[str, list[Dot]]:
    """Return the dots of a figure: a panel a measure."""
    measures = {
        "within a clip": "within",
        "between clips of a class": "between",
        "due to the clip, %": "due_to_clip",
        f"Vendi, 1 to {found[0].images}": "vendi",
    }
    named = [(f"{one.method}, seed {one.seed}", one) for one in found]
    return {
        title: [Dot(name, *astuple(getattr(one, field))) for name, one in named] for title, field in measures.items()
    }


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.diversity", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("run", nargs="+", help="folder of a run whose fit is finished, or name of a method")
    parser.add_argument("--images", type=int, default=4, help="images of a clip, 2 or more (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=72, help="number of test clips (default: %(default)s)")
    parser.add_argument("--suite", default="mini", help="suite of methods that are named (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of methods that are named (default: %(default)s)")
    parser.add_argument("--extractor", help="network whose features are compared (default: of the suite's fd.*)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto (default: %(default)s)")
    parser.add_argument("--runs", type=Path, help="where runs live (default: ./runs)")
    parser.add_argument("--trust-method", action="store_true", help="execute the Python files that the folders name")
    parser.add_argument("-o", "--out", type=Path, default=Path("diversity"), help="folder of the images")
    figures.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    shown = ui or Console()
    request = RunRequest(
        method="audiotoken",
        suite=given.suite,
        seed=given.seed,
        limit=given.limit,
        device=given.device,
        runs=given.runs,
    )
    try:
        if given.images < 2:
            raise UserError(f"--images {given.images}: give 2 or more, one image has nothing to differ from")
        jobs = [run_of(name, request, shown, trust_method=given.trust_method) for name in given.run]
        found = [measure(job, given.images, given.out, given.extractor) for job in jobs]
        figures.write(given.plot, panels(found))
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return 0
    rows = [
        [
            f"{one.method}, seed {one.seed}",
            _shown(one.within, 3),
            _shown(one.between, 3),
            "–" if one.true_frames is None else f"{one.true_frames:.3f}",
            _shown(one.due_to_clip, 0),
            _shown(one.vendi, 2),
        ]
        for one in found
    ]
    header = [
        "method",
        "within",
        "between",
        "between, true frames",
        "due to the clip, %",
        f"Vendi, 1 to {given.images}",
    ]
    title = f"{given.images} images of {found[0].clips} clips, features of {found[0].extractor}; [95 % interval]"
    print_table(header, rows, title=title, right=range(1, len(header)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
