"""The verbs that make a run: run, its steps fit, generate and score, and imagine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import output
from benchmark.cli.dry_run import DryRunOptions, dry_run
from benchmark.cli.exit_codes import say
from benchmark.cli.options import (
    AsJson,
    Device,
    MethodName,
    RunOptions,
    Runs,
    Seed,
    Set,
    SuiteName,
    TrainingOptions,
    TrustMethod,
    check_metrics,
    refuse,
    requests,
    settings_of,
)
from benchmark.cli.report import after_run
from benchmark.cli.several import carry_out, plan_all, tell
from benchmark.utils.errors import UserError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_line

if TYPE_CHECKING:
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
        refuse("is for a run that is kept, and a dry run keeps nothing", "runs", "variation")
        dry_run(options, training, dry, as_json)
        return
    if dry.dry_clips or dry.dry_steps:
        raise UserError("--dry-clips and --dry-steps are for --dry-run: add it, or leave them out")

    from benchmark.runs import steps

    ui = Console()
    with output.stdout_is_for_results():
        jobs = plan_all(requests(options, training), ui)
        records = carry_out(jobs, steps.run)
        page = after_run([job for job, record in zip(jobs, records, strict=True) if record], ui) if report else None
    tell(jobs, records, as_json, ui, page)


def fit(options: RunOptions, training: TrainingOptions, as_json: AsJson = False) -> None:
    """The first step of run, alone: fit the method on the training clips. Prints the fit's folder."""
    from benchmark.runs import steps

    ui = Console()
    with output.stdout_is_for_results():
        folders = [steps.fit(job) for job in plan_all(requests(options, training), ui)]
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
        jobs = plan_all(requests(options), Console())
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
    trust_method: TrustMethod = False,
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
        refuse("is nothing that pictures made elsewhere have (tell them apart by --name)", "seed", "seeds", "set_")
    elif folder is not None:
        settled = ("suite", "data", "variation", "limit", "seed", "seeds", "set_", "runs", "skip_bad")
        refuse("is settled by the run that the folder holds", *settled)

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
            jobs = plan_all(requests(options), ui)
        records = carry_out(jobs, lambda job: steps.score(job, metric or None))
    tell(jobs, records, as_json, ui)


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


def _stored(folder: Path, device: str, ui: UI, trust_method: bool) -> Run:
    from benchmark.runs.plan import Plan
    from benchmark.runs.run import Run

    return Run(Plan.from_folder(folder, ui, device, trust_method=trust_method), ui)
