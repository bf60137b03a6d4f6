"""The verbs that make a run: run, its steps fit, generate and score, and imagine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import output
from benchmark.cli.board import board_text, records_of
from benchmark.cli.exit_codes import say
from benchmark.cli.options import (
    AsJson,
    Device,
    DryRunOptions,
    Format,
    MethodName,
    RunOptions,
    Runs,
    Seed,
    Set,
    SuiteName,
    TrainingOptions,
    check_metrics,
    refuse,
    requests,
    settings_of,
)
from benchmark.cli.report import after_run
from benchmark.utils.errors import UserError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_line, print_table

if TYPE_CHECKING:
    from benchmark.records.record import RunRecord
    from benchmark.runs.request import RunRequest
    from benchmark.runs.run import Run


def run(
    options: RunOptions,
    training: TrainingOptions,
    dry: DryRunOptions,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="End with the site that `bench report` makes.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Fit, generate and score a method, and show it on the board. What is done already is used again."""
    if dry.dry_run:
        refuse("is for a run that is kept, and a dry run keeps nothing", "runs")
        _dry_run(options, training, dry, as_json)
        return
    if dry.dry_clips or dry.dry_steps:
        raise UserError("--dry-clips and --dry-steps are for --dry-run: add it, or leave them out")

    from benchmark.runs import steps

    ui = Console()
    with output.stdout_is_for_results():
        jobs = _jobs(requests(options, training), ui)
        records = [steps.run(job) for job in jobs]
        page = after_run(jobs, ui) if report else None
    _report(jobs, records, as_json, ui, page)


def fit(options: RunOptions, training: TrainingOptions, as_json: AsJson = False) -> None:
    """The first step of run, alone: fit the method on the training clips. Prints the fit's folder."""
    from benchmark.runs import steps

    ui = Console()
    with output.stdout_is_for_results():
        folders = [steps.fit(job) for job in _jobs(requests(options, training), ui)]
    if as_json:
        output.print_json(
            [{"method": options.method, "fit": None if folder is None else str(folder)} for folder in folders]
        )
        return
    for folder in folders:
        if folder is None:
            ui.say(f"{options.method} has nothing to fit")
        else:
            print_line(folder)


def generate(options: RunOptions, as_json: AsJson = False) -> None:
    """The second step of run, alone: make the pictures of the test clips. Prints their folder."""
    from benchmark.runs import steps

    with output.stdout_is_for_results():
        jobs = _jobs(requests(options), Console())
        folders = [steps.generate(job) for job in jobs]
    if as_json:
        output.print_json([{"method": options.method, "images": str(folder)} for folder in folders])
    else:
        for folder in folders:
            print_line(folder)
    failed = {str(job.plan.folder.path): len(job.plan.failures) for job in jobs if job.plan.failures}
    for place, count in failed.items():
        say(f"{count} clips have no image in {place}; the same command tries again")
    if failed:
        raise typer.Exit(1)


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(RunOptions):
    """A run, where no folder names it."""

    method: Annotated[
        str | None, typer.Option("--method", "-m", metavar="NAME", help="A method. `bench list methods`.")
    ] = None  # type: ignore[assignment]  # a folder may stand in its place


@dataclass(frozen=True, kw_only=True)
class ExternalOptions:
    """What pictures made elsewhere are."""

    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call pictures made elsewhere. \\[default: the folder]")
    ] = None
    sees: Annotated[
        list[str] | None,
        typer.Option(metavar="WHAT", help="What they were made from: audio, label, frame, ...; repeatable."),
    ] = None


def score(
    options: ScoreOptions,
    external: ExternalOptions,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="Folder of a run, or of pictures made elsewhere (<clip id>.png, or <clip id>_<k>.png with k from 0); "
            "without it, --method and its kin name a run.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Also this metric, beside the suite's; repeatable. `bench list metrics`."),
    ] = None,
    trust_method: Annotated[
        bool,
        typer.Option("--trust-method", metavar="", help="Execute the Python file that the run's folder names."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The last step of run, alone: score the pictures of a run, or pictures made elsewhere, and write the record."""
    check_metrics(metric)
    if (folder is None) == (options.method is None):
        raise UserError("bench score needs either a folder (of a run, or of pictures) or --method NAME: one of them")
    elsewhere = folder is not None and folder.is_dir() and not (folder / "plan.json").is_file()
    if elsewhere or folder is None:
        refuse("is for the folder of a run", "trust_method")
    if not elsewhere:
        refuse("is for a folder of pictures made elsewhere", "name", "sees")
    if elsewhere:
        refuse("is nothing that pictures made elsewhere have (tell them apart by --name)", "seed", "set_")
    elif folder is not None:
        refuse(
            "is settled by the run that the folder holds", "suite", "data", "limit", "seed", "set_", "runs", "skip_bad"
        )

    from benchmark.runs import steps

    ui = Console()
    with output.stdout_is_for_results():
        if folder is not None and elsewhere:
            from benchmark.runs.external import run_of_images, take_in

            (request,) = requests(options)
            job, found = run_of_images(folder, request, ui, name=external.name, sees=external.sees or ())
            take_in(job, found)
            jobs = [job]
        elif folder is not None:
            jobs = [_stored(folder, options.device, ui, trust_method)]
        else:
            jobs = _jobs(requests(options), ui)
        records = [steps.score(job, metric or None) for job in jobs]
    _report(jobs, records, as_json, ui)


@dataclass(frozen=True, kw_only=True)
class ImagineOptions:
    """Which method draws, and how often."""

    method: MethodName = "audiotoken"
    suite: SuiteName = "mini"
    seed: Seed = 0
    images: Annotated[int, typer.Option("--images", "-n", min=1, metavar="N", help="Pictures of each sound.")] = 1
    device: Device = "auto"
    runs: Runs = None
    set_: Set = None


def imagine(
    options: ImagineOptions,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Sounds: wav, flac, ogg, mp3, or videos.")],
    output_: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", help="A picture for one sound, otherwise a folder.")
    ],
    as_json: AsJson = False,
) -> None:
    """Turn your own sounds into pictures. Prints the files it wrote."""
    settings = settings_of(options.set_)

    from benchmark.runs.imagine import imagine as draw
    from benchmark.runs.request import RunRequest

    request = RunRequest(
        method=options.method,
        suite=options.suite,
        seed=options.seed,
        settings=settings,
        device=options.device,
        runs=options.runs,
    )
    with output.stdout_is_for_results():
        written, refused = draw(files, output_, request, Console(), images=options.images)
    if as_json:
        output.print_json([{"image": str(path)} for path in written])
    else:
        for path in written:
            print_line(path)
    for line in refused:
        say(line)
    if refused:
        raise typer.Exit(1)


def _jobs(asked: Sequence[RunRequest], ui: UI) -> list[Run]:
    """One run a request, all checked before any work starts; a method without randomness has one for all seeds."""
    from benchmark.runs.run import Run

    jobs = [Run.of(request, ui) for request in asked]
    return list({job.plan.folder.path: job for job in jobs}.values())


def _stored(folder: Path, device: str, ui: UI, trust_method: bool) -> Run:
    from benchmark.runs.plan import Plan
    from benchmark.runs.run import Run

    return Run(Plan.from_folder(folder, ui, device, trust_method=trust_method), ui)


def _dry_run(options: RunOptions, training: TrainingOptions, dry: DryRunOptions, as_json: bool) -> None:
    if len(options.seed or []) > 1:
        raise UserError("--dry-run is of one run: give --seed once")
    (request,) = requests(options, training)

    from benchmark.dry_run import estimate

    with output.stdout_is_for_results():
        report = estimate.estimate(request, Console(), clips=dry.dry_clips, steps=dry.dry_steps or estimate.STEPS)
    if as_json:
        output.print_json(report.to_dict())
        return
    title = f"dry run of {report.method} on {report.suite}"
    print_table(estimate.HEADER, estimate.table(report), title=title, right=(1, 2, 3))
    for line in estimate.remarks(report):
        print_line(line)


def _report(jobs: Sequence[Run], records: Sequence[RunRecord], as_json: bool, ui: UI, page: Path | None = None) -> None:
    """Print what the runs gave, and the `page` that shows it; exit 1 if one is not complete."""
    if as_json:
        plain = [json.loads(record.to_json()) for record in records]
        output.print_json(plain[0] if len(plain) == 1 else plain)
    else:
        for job, record in zip(jobs, records, strict=True):
            output.print_record(record)
            print_line(f"pictures  {job.plan.folder.images}\nrecord    {job.plan.folder.record_path}\n")

        from benchmark.leaderboard.build import build_board

        suite, plan = records[0].suite, jobs[0].plan
        own = records_of(plan.store, suite.name, ui)
        board = build_board(own, plan.suite.headline, suite=suite.name, fingerprint=suite.fingerprint)
        sys.stdout.write(board_text(board, Format.text))
        if page:
            print_line(f"\nreport    {page}")
    for job, record in zip(jobs, records, strict=True):
        if record.status != "complete":
            failed = f", {record.clips.failed} of {record.clips.total} clips failed" if record.clips.failed else ""
            say(f"the run is {record.status}{failed}: see {job.plan.folder.record_path}; the same command tries again")
    if any(record.status != "complete" for record in records):
        raise typer.Exit(1)
