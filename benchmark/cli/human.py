"""The verbs about people's judgement: human build, human import."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson, Runs
from benchmark.utils.errors import UserError
from benchmark.utils.files import read_ordinary
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, print_table

if TYPE_CHECKING:
    from benchmark.human.build import Plans
    from benchmark.human.results import Results
    from benchmark.human.statistics import Estimate

DASH = "–"


class Asked(StrEnum):
    """What raters are asked."""

    relevance = "relevance"
    pair = "pair"


class Form(StrEnum):
    """What raters get."""

    page = "page"
    label_studio = "label-studio"


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What is asked, how large the study is, and what raters agree to."""

    question: Annotated[
        Asked, typer.Option(metavar="KIND", help="relevance: 1 to 5 for a picture; pair: which of two.")
    ] = Asked.relevance
    clips: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Clips, drawn at random. \\[default: 60, or all]")
    ] = None
    raters: Annotated[int, typer.Option(min=1, metavar="N", help="People, each with a sheet of their own.")] = 12
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Ratings a person. \\[default: 40, or one a clip]")
    ] = None
    checks: Annotated[int, typer.Option(min=0, max=20, metavar="N", help="Attention checks a person.")] = 2
    contact: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Whom raters can ask, named in the consent text.")
    ] = None
    consent: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your consent text, in place of the one that comes with it.")
    ] = None
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="K", help="Seed of all chance. \\[default: drawn, and kept in the key]")
    ] = None


def build(
    options: StudyOptions,
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of finished runs of the same clips.")],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the study is written.")] = Path(
        "study"
    ),
    form: Annotated[
        Form, typer.Option("--format", metavar="FORMAT", help="page: for any browser; label-studio: tasks to import.")
    ] = Form.page,
    as_json: AsJson = False,
) -> None:
    """Make a blinded rating study of the images of runs: pages that work from a folder, without a server."""
    if options.contact is not None and options.consent is not None:
        raise UserError("--contact is for the text of this program: name whom to ask in --consent, and leave it out")

    from benchmark.human.build import build as make

    with output.stdout_is_for_results():
        study = make(runs, out, _plans(options), Console(), form.value)
    place = out / form.value
    start = place / ("index.html" if form is Form.page else "tasks.json")
    if as_json:
        facts = {"study": study.id, "key": str(out / "key.json"), "start": str(start), "sheets": len(study.sheets)}
        output.print_json({**facts, "items": len(study.items), "clips": len(study.clips), "seed": study.seed})
        return
    print_line(start)
    say = Console().say
    rated = sum(trial.expects is None for sheet in study.sheets for trial in sheet) / len(study.items)
    say(f"{len(study.clips)} clips x {len(study.runs)} runs, {len(study.items)} items, {rated:.1f} answers each")
    if form is Form.page:
        say(f"give the folder {place} to {len(study.sheets)} people, and each a number from 1 to {len(study.sheets)}")
    say(f"keep {out / 'key.json'} to yourself: it says which picture is whose")


def _plans(options: StudyOptions) -> Plans:
    from benchmark.human.build import Plans

    given = {
        "contact": options.contact,
        "consent": None if options.consent is None else _text(options.consent),
    }
    return Plans(
        question=options.question.value,
        clips=options.clips,
        raters=options.raters,
        trials=options.trials,
        checks=options.checks,
        seed=options.seed,
        **{name: text for name, text in given.items() if text is not None},
    )


def _text(path: Path) -> str:
    try:
        text = read_ordinary(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({getattr(error, 'strerror', None) or error})") from error
    if not text.strip():
        raise UserError(f"{path}: is empty: write what raters agree to")
    return text


def import_(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The folder that `bench human build` wrote.")],
    answers: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="What raters saved, or folders of it; or Label Studio's JSON.")
    ],
    runs: Runs = None,
    failed_checks: Annotated[
        int, typer.Option(min=0, metavar="N", help="Attention checks that a person may fail and still count.")
    ] = 0,
    score: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Score that helps with few ratings. \\[default: the suite's first headline]"),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", metavar="", help="Go on without files that cannot be used.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", metavar="", help="Put them in the place of another study's ratings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the answers of a study, evaluate them, and put them beside the records for the boards."""
    from benchmark.human import results
    from benchmark.human.ratings import collect
    from benchmark.human.study import Study
    from benchmark.records.store import Store
    from benchmark.utils.files import write_atomic
    from benchmark.utils.text import json_text

    key = Study.load(study)
    collected = collect(key, answers, failed_checks=failed_checks, skip_bad=skip_bad)
    records, problems = results.locate(key, Store(runs))
    found = results.evaluate(key, collected, records, score)
    file = (study if study.is_dir() else study.parent) / "results.json"
    write_atomic(file, json_text(found.to_dict()))
    written = results.attach(found, records, replace=replace)
    for problem in problems:
        Console().warn(f"not beside its record: {problem}")
    if as_json:
        output.print_json(found.to_dict())
        return
    _print(found)
    say = Console().say
    say(f"written to {file}" + (f", and beside {len(written)} records for `bench table`" if written else ""))


def _print(found: Results) -> None:
    if found.opinions:
        rows = [
            [
                one.name,
                f"{one.estimate.value:.2f}",
                DASH if one.deviation is None else f"{one.deviation:.2f}",
                _interval(one.estimate),
                str(one.ratings),
                str(len(one.clips)),
                DASH if one.powered is None else f"{one.powered.estimate.value:.2f} {_interval(one.powered.estimate)}",
                DASH if one.powered is None or one.powered.narrowed is None else f"{100 * one.powered.narrowed:.0f} %",
                one.published or DASH,
            ]
            for one in sorted(found.opinions, key=lambda one: -one.estimate.value)
        ]
        head = ["run", "mean", "deviation", "95 % interval", "ratings", "clips", "with scores", "narrower", "paper"]
        print_table(head, rows, title=f"Relevance, 1 to 5, study {found.study.short}", right=range(1, 9))
    if found.preferences:
        shares = [
            [*one.runs, f"{one.share.value:.1f}", _interval(one.share, 1), str(one.judgements)]
            for one in found.preferences
        ]
        head = ["run", "against", "preferred, %", "95 % interval", "answers"]
        print_table(head, shares, title=f"Preference, study {found.study.short}", right=range(2, 5))
    if found.strengths:
        print_table(
            ["run", "Bradley-Terry"],
            [[name, f"{value:+.2f}"] for name, value in sorted(found.strengths.items(), key=lambda one: -one[1])],
            right=(1,),
        )
    agreement = DASH if found.alpha is None else f"{found.alpha:.2f}"
    print_line(f"\n{found.raters} raters, Krippendorff's alpha (ordinal) {agreement}")
    used = next((one for one in found.opinions if one.powered), None)
    if used is not None and used.powered is not None:
        print_line(
            f"with scores: prediction-powered, with {used.score} of {used.powered.others} clips that nobody rated"
        )
    for rater, why in found.excluded.items():
        print_line(f"left out, {rater}: {why}")
    for remark in found.remarks:
        print_line(remark)


def _interval(found: Estimate, digits: int = 2) -> str:
    return DASH if found.low is None or found.high is None else f"[{found.low:.{digits}f}, {found.high:.{digits}f}]"
