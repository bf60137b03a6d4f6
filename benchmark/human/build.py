"""Making a study of finished runs: its sheets, its media under names that say nothing, and what raters get."""

from __future__ import annotations

import datetime
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.clips import Clip, ClipSet
from benchmark.human import label_studio
from benchmark.human.design import assign
from benchmark.human.study import ANSWERS, KEY, Item, Question, Study, StudyRun, Trial
from benchmark.media.audio import write_wav
from benchmark.media.images import load_image, save_png
from benchmark.records.images import images_path, read_images
from benchmark.records.record import RunRecord
from benchmark.records.store import RunFolder
from benchmark.runs.external_method import external_method
from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.suite import Suite
from benchmark.utils.errors import UserError, listed
from benchmark.utils.files import sha256_of, write_atomic
from benchmark.utils.progress import UI

PAGE = Path(__file__).parent / "page"
Form = Literal["page", "label-studio"]
CLIPS, TRIALS = 60, 40
"""Clips and ratings a rater, where nothing else is asked for and there are as many."""

CONSENT = (
    "You are asked to listen to short sounds and to judge computer-made pictures. It takes about {minutes} minutes.\n"
    "Taking part is voluntary: you may stop at any time, without a reason and without a disadvantage.\n"
    "Recorded are your answers, how long each took, when you began, and the number of your sheet, with two random "
    "numbers that tell one sheet and one browser from another; no name and no address. They stay in your browser until "
    "you save them to a file and hand that file over yourself.\n"
    "The answers are used for research, and may be published without any connection to you. Questions: {contact}."
)


@dataclass(frozen=True, kw_only=True)
class Plans:
    """How large a study is, and what raters read."""

    question: Question = "relevance"
    clips: int | None = None
    """Clips to rate; None for 60, or all if there are fewer."""
    raters: int = 12
    """Number of sheets."""
    trials: int | None = None
    """Ratings a rater; None for 40, or one a clip if there are fewer."""
    checks: int = 2
    """Attention checks a rater."""
    seed: int | None = None
    """Where chance begins; None for a number that nobody knows beforehand."""
    consent: str | None = None
    """Text to agree to, in paragraphs; None for the one above."""
    contact: str = "the person who gave you this page"
    """Whom raters can ask."""


@dataclass(frozen=True)
class _Source:
    """A run that is rated."""

    path: Path
    record: RunRecord
    images: Mapping[str, Path]
    """The first image of each clip that has one."""


def build(folders: Sequence[Path], out: Path, plans: Plans, ui: UI, form: Form = "page") -> Study:
    """Make a study of the images of runs.

    Args:
        folders: The runs, of the same clips.
        out: Where it is written: `key.json`, and below `page/` (or `label-studio/`) what raters get.
        plans: How large it is.
        ui: Progress and warnings.
        form: Pages for a browser, or tasks for Label Studio.

    Returns:
        The study.

    Raises:
        UserError: Runs that cannot be rated together, a size that is impossible, or a study that is there already.
    """
    if (out / KEY).exists():
        raise UserError(f"{out} holds a study already: choose another folder with -o, so that its key is not lost")
    sources = _sources(folders, plans.question)
    first = next(iter(sources.values()))
    common = set.intersection(*(set(source.images) for source in sources.values()))
    suite, clips = _clips(first, ui)
    rated = [clip for clip in clips if clip.id in common]
    if not rated:
        raise UserError(f"no clip has an image in all of {', '.join(map(str, folders))}: name runs of the same clips")
    seed = secrets.randbits(48) if plans.seed is None else plans.seed
    rng = np.random.default_rng(seed)
    count = min(CLIPS, len(rated)) if plans.clips is None else plans.clips
    if count > len(rated):
        raise UserError(f"--clips {count}: only {len(rated)} clips have an image in every run")
    # A simple random sample: what holds for it holds for the suite's clips.
    chosen = [rated[place] for place in sorted(rng.choice(len(rated), count, replace=False))]
    study = _study(sources, [clip.id for clip in chosen], plans, seed, rng)
    place = out / form
    names = _media(study, sources, chosen, suite, place / "media", rng, ui)
    if form == "page":
        _write_page(study, names, place, plans)
    else:
        label_studio.write(study, names, place)
    study.save(out)  # last: what has a key is whole
    return study


def _sources(folders: Sequence[Path], question: Question) -> dict[str, _Source]:
    """The runs by the names that the study gives them."""
    problems, found = [], []
    for folder in dict.fromkeys(path.resolve() for path in folders):
        try:
            run = RunFolder(folder)
            record = run.record()
            if damaged := run.damaged("generate") | run.damaged("score"):
                name, why = next(iter(damaged.items()))
                raise UserError(f"{folder / name} {why}: start the same `bench run` again")
            found.append(_Source(folder, record, _images(run)))
        except UserError as error:
            problems += error.problems
    if len(protocols := {source.record.suite.fingerprint for source in found}) > 1:
        problems.append(f"the runs are of {len(protocols)} suites or sets of clips: name runs of one")
    if not problems and question == "pair" and len(found) < 2:
        problems.append("--question pair compares methods: name at least two runs")
    if problems:
        raise UserError(problems)
    methods = [source.record.method.name for source in found]
    named = [
        name if methods.count(name) == 1 else f"{name} {source.path.name}"
        for name, source in zip(methods, found, strict=True)
    ]
    return dict(zip(named, found, strict=True))


def _images(run: RunFolder) -> dict[str, Path]:
    """The first image of each clip. Raises UserError if there are none, or one is not the image that was scored."""
    there = {path.name: path for path in run.images.glob("*.png")} if run.images.is_dir() else {}
    if not there:
        raise UserError(f"{run.path}: has no images: name the folder of a finished run")
    listing = images_path(run.record_path)
    hashes = read_images(listing) if listing.is_file() else {}
    changed = [name for name, path in sorted(there.items()) if name in hashes and sha256_of(path) != hashes[name]]
    if changed:
        lines = [f"{run.images / name}: is not the image that was scored: run it again" for name in changed]
        raise UserError(listed(lines, 3))
    return {path.stem: path for path in there.values()}


def _clips(source: _Source, ui: UI) -> tuple[Suite, ClipSet]:
    """The clips of a run. Nobody's code is needed for them: pictures are rated as they are."""
    request, _ = RunRequest.load(source.path)
    plan = Plan.of(replace(request, method=external_method("nobody", ()), settings={}), ui)
    if plan.suite.fingerprint() != source.record.suite.fingerprint:
        raise UserError(f"{source.path}: its clips are not those that are here now: bring the same data back")
    return plan.suite, Run(plan, ui).test


def _study(
    sources: Mapping[str, _Source], clips: Sequence[str], plans: Plans, seed: int, rng: np.random.Generator
) -> Study:
    conditions = list(combinations(sources, 2)) if plans.question == "pair" else [(name,) for name in sources]
    trials = min(TRIALS, len(clips)) if plans.trials is None else plans.trials
    sheets = assign(len(clips), len(conditions), plans.raters, trials, rng, plans.checks)
    pairs = [(clip, condition) for clip in range(len(clips)) for condition in range(len(conditions))]
    # Numbered in random order: neither number nor place says anything.
    numbers = dict(zip(pairs, map(int, rng.permutation(len(pairs))), strict=True))
    names = {pair: f"x{number:05d}" for pair, number in numbers.items()}
    answers = ANSWERS[plans.question]
    return Study(
        question=plans.question,
        suite=next(iter(sources.values())).record.suite.name,
        fingerprint=next(iter(sources.values())).record.suite.fingerprint,
        seed=seed,
        made=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        runs={
            name: StudyRun(
                path=str(source.path),
                identity=source.record.identity,
                images=None if source.record.images is None else source.record.images.sha256,
                method=source.record.method.name,
                seed=source.record.seed,
            )
            for name, source in sources.items()
        },
        clips=tuple(clips),
        items={
            name: Item(clip=clips[clip], runs=conditions[condition])
            for name, (clip, condition) in sorted((name, pair) for pair, name in names.items())
        },
        sheets=tuple(
            tuple(
                Trial(
                    item=names[place.clip, place.condition],
                    swapped=place.swapped and plans.question == "pair",
                    expects=None if place.expects is None else answers[place.expects % len(answers)],
                )
                for place in sheet
            )
            for sheet in sheets
        ),
    )


Names = Mapping[tuple[str, str], str]
"""The name of a medium in the study by (clip, run); that of the sound by (clip, "")."""


def _media(
    study: Study,
    sources: Mapping[str, _Source],
    clips: Sequence[Clip],
    suite: Suite,
    place: Path,
    rng: np.random.Generator,
    ui: UI,
) -> Names:
    """Write sounds as methods hear them, and pictures without anything but pixels; return what each is called."""
    if place.exists():
        shutil.rmtree(place)  # of a call that was stopped: a finished one has a key
    place.mkdir(parents=True)
    keys = [(clip.id, name) for clip in clips for name in sources]
    names = {key: f"p{number:05d}.png" for key, number in zip(keys, map(int, rng.permutation(len(keys))), strict=True)}
    numbers = map(int, rng.permutation(len(clips)))
    names |= {(clip.id, ""): f"s{number:05d}.wav" for clip, number in zip(clips, numbers, strict=True)}
    with ui.task("copying sounds and images", len(clips), "clips") as advance:
        for clip in clips:
            write_wav(place / names[clip.id, ""], suite.sound(clip), suite.data.rate)
            for name, source in sources.items():
                save_png(place / names[clip.id, name], load_image(source.images[clip.id]))
            advance(1)
    return names


def _write_page(study: Study, names: Names, place: Path, plans: Plans) -> None:
    def shown(trial: Trial) -> dict[str, Any]:
        item = study.items[trial.item]
        runs = item.runs[::-1] if trial.swapped else item.runs
        return {
            "item": trial.item,
            "sound": names[item.clip, ""],
            "images": [names[item.clip, run] for run in runs],
            **({} if trial.expects is None else {"ask": trial.expects}),
        }

    longest = max(map(len, study.sheets))
    text = CONSENT.format(minutes=max(2, round(longest * 10 / 60)), contact=plans.contact)
    data = {
        "study": study.id,
        "question": study.question,
        "consent": [line for line in (plans.consent or text).splitlines() if line.strip()],
        "sheets": [[shown(trial) for trial in sheet] for sheet in study.sheets],
    }
    for source in sorted(path for path in PAGE.iterdir() if path.is_file()):
        write_atomic(place / source.name, source.read_bytes())
    # A script, not JSON: a page that was opened as a file may read no other file. ASCII, so that it is text in any
    # encoding, and no "</": nothing in it can end a script.
    write_atomic(place / "study.js", f"const STUDY = {json.dumps(data).replace('</', '<' + chr(92) + '/')};\n")
