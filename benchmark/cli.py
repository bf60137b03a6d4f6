"""The command `bench`: thin verbs over the functions of this package.

Results go to stdout, everything else to stderr. Whatever takes time to import is imported by the verb that needs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark import facts, parallel, printing
from benchmark.errors import UserError
from benchmark.explain import explain, say
from benchmark.ui import UI, Console, clock, quiet_libraries

if TYPE_CHECKING:
    from benchmark.leaderboard import Board
    from benchmark.record import RunRecord
    from benchmark.runner import Plan

app = typer.Typer(
    name="bench",
    help="A benchmark of audio-to-image generation. Try: bench run --method audiotoken",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
mini_app = typer.Typer()
app.add_typer(mini_app, name="mini")

MethodName = Annotated[
    str,
    typer.Option("--method", "-m", metavar="NAME", help="A method, or path/to/file.py:Class. `bench list methods`."),
]
SuiteName = Annotated[str, typer.Option("--suite", "-s", metavar="NAME", help="A suite. `bench list suites`.")]
Data = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="A manifest of your own clips: columns id, audio, image, label, split."),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N test clips; never ranked.")]
Seed = Annotated[int, typer.Option(min=0, metavar="K", help="Seed of the run.")]
Seeds = Annotated[
    list[int] | None,
    typer.Option("--seed", min=0, metavar="K", help="Seed of the run; several times: one run each. \\[default: 0]"),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, mps; auto takes the best there is.")]
Runs = Annotated[
    Path | None,
    typer.Option(envvar="BENCH_RUNS", metavar="DIR", help="Where runs live. \\[default: ./runs]", show_default=False),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the method; repeatable. `bench show NAME`."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Go on without the manifest's bad rows.")]
Track = Annotated[
    list[str] | None,
    typer.Option("--track", metavar="NAME", help="Show losses in tensorboard or wandb while fitting; repeatable."),
]
SamplesEvery = Annotated[
    int | None,
    typer.Option(min=1, metavar="STEPS", help="Draw pictures of the same few training clips every so many steps."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to stdout.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", metavar="ID", help="Also this metric, beside the suite's; repeatable. `bench list metrics`."
    ),
]
# Read by `main` from the command line; declared where it may stand, so that help shows it.
Debug = Annotated[bool, typer.Option("--debug", help="On an error show the traceback; let libraries speak.")]


class Format(StrEnum):
    """How a board is written."""

    text = "text"
    md = "md"
    csv = "csv"
    latex = "latex"
    html = "html"
    json = "json"


SUFFIXES = {
    ".txt": Format.text, ".md": Format.md, ".csv": Format.csv, ".tex": Format.latex, ".html": Format.html,
    ".json": Format.json,
}  # fmt: skip


FormatName = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help="text, md, csv, latex, html or json. \\[default: by FILE's suffix, else text]",
    ),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")]


class Split(StrEnum):
    """Which clips are exported."""

    train = "train"
    validation = "validation"
    test = "test"


class Kind(StrEnum):
    """What can be listed."""

    suites = "suites"
    methods = "methods"
    metrics = "metrics"
    scorers = "scorers"


# ------------------------------------------------------------------------------------------------------------- verbs


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    debug: Debug = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import benchmark

        print(benchmark.__version__)
        raise typer.Exit()
    _help_alone(context)


def _help_alone(context: typer.Context) -> None:
    """Without a verb: the help, as wrong use."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command()
def run(
    method: MethodName,
    suite: SuiteName = "mini",
    data: Data = None,
    limit: Limit = None,
    seed: Seeds = None,
    device: Device = "auto",
    runs: Runs = None,
    set_: Set = None,
    skip_bad: SkipBad = False,
    track: Track = None,
    samples_every: SamplesEvery = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Keep nothing: make the run in small, with random weights where the suite's are released ones, and "
            "print what the whole would take on this device.",
        ),
    ] = False,
    dry_clips: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Clips of a dry run. \\[default: 2 at full scale on a CPU, else what the suite samples at a time]",
        ),
    ] = None,
    dry_steps: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Training and sampling steps of a dry run. \\[default: 2]"),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fit, generate and score a method, and show it on the board. What is done already is used again."""
    if dry_run:
        _rehearse(
            method, suite, data, limit, seed, device, set_, skip_bad, dry_clips, dry_steps, track, samples_every,
            as_json,
        )  # fmt: skip
        return
    if dry_clips or dry_steps:
        raise UserError("--dry-clips and --dry-steps are for --dry-run: add it, or leave them out")

    from benchmark import runner

    ui = Console()
    records: list[RunRecord] = []
    with _stdout_is_for_results():
        plans = _plans(method, suite, data, limit, seed, device, runs, set_, skip_bad, ui, track, samples_every)
        for plan in plans:
            records.append(runner.run(plan))
    _report(plans, records, as_json, ui)


@app.command()
def fit(
    method: MethodName,
    suite: SuiteName = "mini",
    data: Data = None,
    seed: Seeds = None,
    device: Device = "auto",
    runs: Runs = None,
    set_: Set = None,
    skip_bad: SkipBad = False,
    track: Track = None,
    samples_every: SamplesEvery = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """The first step of run, alone: fit the method on the training clips. Prints the fit's folder."""
    from benchmark import runner

    ui = Console()
    with _stdout_is_for_results():
        plans = _plans(method, suite, data, None, seed, device, runs, set_, skip_bad, ui, track, samples_every)
        folders = [runner.fit(plan) for plan in plans]
    if as_json:
        printing.print_json([{"method": method, "fit": None if folder is None else str(folder)} for folder in folders])
        return
    for folder in folders:
        if folder is None:
            ui.say(f"{method} has nothing to fit")
        else:
            print(folder)


@app.command()
def generate(
    method: MethodName,
    suite: SuiteName = "mini",
    data: Data = None,
    limit: Limit = None,
    seed: Seeds = None,
    device: Device = "auto",
    runs: Runs = None,
    set_: Set = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """The second step of run, alone: make the pictures of the test clips. Prints their folder."""
    from benchmark import runner

    with _stdout_is_for_results():
        plans = _plans(method, suite, data, limit, seed, device, runs, set_, skip_bad, Console())
        folders = [runner.generate(plan) for plan in plans]
    if as_json:
        printing.print_json([{"method": method, "images": str(folder)} for folder in folders])
        return
    for folder in folders:
        print(folder)


@app.command()
def score(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="Folder of a run, or of pictures made elsewhere (<clip id>.png, or <clip id>_<k>.png with k from 0); "
            "without it, --method and its kin name a run.",
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-m", metavar="NAME", help="A method. `bench list methods`.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call pictures made elsewhere. \\[default: the folder]")
    ] = None,
    sees: Annotated[
        list[str] | None,
        typer.Option(metavar="WHAT", help="What they were made from: audio, label, frame, ...; repeatable."),
    ] = None,
    suite: SuiteName = "mini",
    data: Data = None,
    limit: Limit = None,
    seed: Seeds = None,
    device: Device = "auto",
    runs: Runs = None,
    set_: Set = None,
    skip_bad: SkipBad = False,
    metric: Metrics = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """The last step of run, alone: score the pictures of a run, or pictures made elsewhere, and write the record."""
    _check_metrics(metric)
    if (folder is None) == (method is None):
        raise UserError("bench score needs either a folder (of a run, or of pictures) or --method NAME: one of them")
    elsewhere = folder is not None and folder.is_dir() and not (folder / "plan.json").is_file()
    if (name or sees) and not elsewhere:
        raise UserError("--name and --sees are for a folder of pictures made elsewhere: leave them out for a run")
    if elsewhere and (seed or set_):
        raise UserError("pictures made elsewhere have neither --seed nor --set: tell them apart by --name")

    from benchmark import runner

    ui = Console()
    with _stdout_is_for_results():
        if folder is not None and elsewhere:
            from benchmark.outside import plan_pictures, take_in

            plan, found = plan_pictures(
                folder, suite=suite, data=data, name=name, sees=sees or (), limit=limit, device=device, runs=runs,
                skip_bad=skip_bad, ui=ui,
            )  # fmt: skip
            take_in(plan, found)
            plans = [plan]
        elif folder is not None:
            plans = [runner.Plan.from_folder(folder, ui, device)]
        else:
            assert method is not None
            plans = _plans(method, suite, data, limit, seed, device, runs, set_, skip_bad, ui)
        records = [runner.score(plan, metric or None) for plan in plans]
    _report(plans, records, as_json, ui)


@app.command()
def table(
    suite: SuiteName = "mini",
    data: Annotated[Path | None, typer.Option(metavar="CSV", help="The board of this manifest's clips.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="ID", help="A column; repeatable. The first one ranks.")
    ] = None,
    all_metrics: Annotated[bool, typer.Option("--all-metrics", help="A column for every metric of the suite.")] = False,
    literature: Annotated[
        bool, typer.Option("--literature", help="Published numbers below it; with --metric, those of that very metric.")
    ] = False,
    runs: Runs = None,
    format_: FormatName = None,
    output: Output = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """The board of a suite: the packaged records and your own runs."""
    _check_metrics(metric)
    how = _format(format_, output, as_json)

    from benchmark.store import Store
    from benchmark.suite import load_suite

    base, derived = suite.partition("+")[0], "+" in suite
    protocol = load_suite(base)
    if data is not None:
        if derived:
            raise UserError(f"--suite {suite} names a manifest already: leave --data out")
        suite, derived = f"{base}+{data.stem}", True
    columns = metric or (protocol.metrics if all_metrics else protocol.headline)
    fingerprint = None if derived else protocol.fingerprint()
    board = _board(Store(runs), suite, columns, fingerprint, Console())
    if not board.rows:
        for name in Store(runs).suites():
            if name.startswith(f"{suite}+"):
                say(f"on other clips, or not all of them, there is `bench table --suite {name}`")
    if not literature:
        _write(_board_text(board, how, to_file=output is not None), output)
        return
    from benchmark import literature as numbers

    published = numbers.load_literature()
    if how is Format.text:
        both = numbers.beside_rich(board, published, metric, printing.WIDE if output else printing.wide())
        _write(printing.rendered(both, plain=output is not None), output)
    else:
        _write(numbers.beside(board, published, metric, how), output)


@app.command()
def paper(
    suite: SuiteName = "mini",
    runs: Runs = None,
    format_: FormatName = None,
    output: Output = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """The paper's table, published beside measured, and what became of each of its claims."""
    how = _format(format_, output, as_json)

    from benchmark import paper as pages
    from benchmark.store import Store
    from benchmark.suite import load_suite

    protocol = load_suite(suite.partition("+")[0])
    fingerprint = None if "+" in suite else protocol.fingerprint()
    built = pages.build_paper(_records(Store(runs), suite, Console()), protocol, name=suite, fingerprint=fingerprint)
    if how is Format.text:
        shown = pages.to_rich(built, printing.WIDE if output else printing.wide())
        _write(printing.rendered(shown, plain=output is not None), output)
    else:
        _write(pages.render(built, how), output)


@app.command()
def imagine(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Sounds: wav, flac, ogg, mp3, or videos.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", help="A picture for one sound, otherwise a folder.")
    ],
    method: MethodName = "audiotoken",
    suite: SuiteName = "mini",
    seed: Seed = 0,
    images: Annotated[int, typer.Option("--images", "-n", min=1, metavar="N", help="Pictures of each sound.")] = 1,
    device: Device = "auto",
    runs: Runs = None,
    set_: Set = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Turn your own sounds into pictures. Prints the files it wrote."""
    settings = _settings(set_)

    from benchmark.imagine import imagine as imagine_files

    with _stdout_is_for_results():
        written = imagine_files(
            files,
            output,
            method=method,
            suite=suite,
            seed=seed,
            images=images,
            settings=settings,
            device=device,
            runs=runs,
            ui=Console(),
        )
    if as_json:
        printing.print_json([{"image": str(path)} for path in written])
        return
    for path in written:
        print(path)


@app.command("list")
def list_(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="suites, methods, metrics or scorers.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List suites, methods, metrics or scorers."""
    makers = {
        Kind.suites: facts.list_suites, Kind.methods: facts.list_methods, Kind.metrics: facts.list_metrics,
        Kind.scorers: facts.list_scorers,
    }  # fmt: skip
    with _stdout_is_for_results():
        rows = makers[kind]()
    if as_json:
        printing.print_json(rows)
    elif rows:
        shown = [[printing.shown(value) for value in row.values()] for row in rows]
        printing.print_table([key.replace("_", " ") for key in rows[0]], shown)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A suite, a method, a metric, a run's folder or record.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """What a suite, a method or a metric is, or what a run gave."""
    from benchmark.record import RunRecord

    with _stdout_is_for_results():
        found = facts.find(name)
    if isinstance(found, RunRecord):
        printing.print_record(found) if not as_json else sys.stdout.write(found.to_json())
    elif as_json:
        printing.print_json(found)
    else:
        printing.print_facts(found)


@app.command()
def publish(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of complete runs.")],
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of another result.")] = False,
    results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="\\[default: results/ of the checkout]", show_default=False)
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Copy the records of complete runs to results/, to be committed."""
    from benchmark import store

    results = results or _checkout_results()
    written: list[Path] = []
    problems: list[str] = []
    for path in runs:
        try:
            copies = store.publish(store.RunFolder(path), results, replace)
        except UserError as error:
            problems += error.problems
            continue
        written += copies
        if not copies:
            Console().say(f"{path} is published already")
    if as_json:
        printing.print_json([{"file": str(path)} for path in written])
    else:
        for path in written:
            print(path)
    if problems:
        raise UserError(problems)


@app.command()
def doctor(suite: SuiteName = "mini", as_json: AsJson = False, debug: Debug = False) -> None:
    """What a suite needs, and whether it is on this machine; exit 1 if something is missing."""
    from benchmark.doctor import examine
    from benchmark.suite import load_suite

    with _stdout_is_for_results():
        report = examine(load_suite(suite), Console())
    if as_json:
        printing.print_json(report.to_dict())
    else:
        rows = [
            [
                need.name,
                need.state + (" (optional)" if need.optional and need.state == "missing" else ""),
                f"{need.size / 1e9:.2g} GB" if need.size else "–",
                need.licence,
                need.use,
                need.detail,
            ]
            for need in report.needs
        ]
        header = ["network", "state", "size", "licence", "for", "where"]
        printing.print_table(header, rows, title=f"suite {report.suite}")
        print()
        for place, line in enumerate(report.clips.lines() if report.clips else ()):
            print(f"{'' if place else 'clips':<10}{line}")
        print(f"to fetch  {report.to_fetch / 1e9:.2g} GB\nfree      {report.free / 1e9:.0f} GB")
        print(f"device    {report.device}")
        for note in report.notes:
            print(f"note: {note}")
    if not report.complete:
        if report.to_fetch or any(need.state == "wrong" for need in report.needs):
            say(f"suite {suite} is not complete: `bench fetch --suite {suite}` gets what is missing")
        else:
            say(f"suite {suite} has no clips that it can be run on: `bench prepare` makes them")
        raise typer.Exit(1)


@app.command()
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NETWORK]", help="Only these; without any, all that the suite cannot do without."),
    ] = None,
    suite: SuiteName = "mini",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Download the released weights of a suite; continues where it was stopped. Prints where they are."""
    from benchmark import fetch as downloads
    from benchmark.doctor import required
    from benchmark.suite import load_suite

    with _stdout_is_for_results():
        rows = downloads.fetch(required(load_suite(suite), names), Console())
    if as_json:
        printing.print_json(rows)
        return
    for row in rows:
        print(row["path"])


@app.command()
def prepare(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="vggsound.")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder that holds the videos, at any depth.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR",
            help="Where it is written. \\[default: where suites look: BENCH_DATA, else the user's data folder]",
        ),
    ] = None,
    list_: Annotated[
        Path | None, typer.Option("--list", metavar="CSV", help="The data set's list of clips: vggsound.csv.")
    ] = None,
    vggsounder: Annotated[
        Path | None, typer.Option(metavar="CSV", help="VGGSounder's labels, with what is seen and heard.")
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="Training frame: middle or clip-best. \\[default: as the suite says]"),
    ] = None,
    suite: SuiteName = "vggsound",
    device: Device = "auto",
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Processes. \\[default: all cores]")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a data set of your videos: sounds, frames and labels as shards. Continues where it was stopped."""
    from benchmark.datasets.prepare.command import HEADER, coverage, prepare_dataset

    with _stdout_is_for_results():
        folder, summary = prepare_dataset(
            dataset, root, output, list_, vggsounder=vggsounder, frame=frame, suite=suite, device=device, jobs=jobs,
            ui=Console(),
        )  # fmt: skip
    if as_json:
        printing.print_json({"folder": str(folder), **summary})
        return
    printing.print_table(HEADER, coverage(summary), right=(1, 2, 3, 4))
    print(folder)


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder.")],
    suite: SuiteName = "mini",
    split: Annotated[Split, typer.Option(metavar="NAME", help="train, validation or test.")] = Split.test,
    data: Data = None,
    limit: Limit = None,
    labels: Annotated[bool, typer.Option("--labels", help="Also each clip's label, as a column.")] = False,
    frames: Annotated[bool, typer.Option("--frames", help="Also each clip's true frame, below frames/.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a suite's clips as <clip id>.wav and manifest.csv, for pictures made elsewhere. Prints the manifest."""
    from benchmark.export import export as write

    with _stdout_is_for_results():
        manifest = write(
            output, suite=suite, split=split.value, data=data, limit=limit, labels=labels, frames=frames, ui=Console()
        )
    printing.print_json({"manifest": str(manifest)}) if as_json else print(manifest)


@app.command("new-method")
def new_method(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: words joined by '-'.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="A new folder. \\[default: NAME, here]")
    ] = None,
    generator: Annotated[
        bool, typer.Option("--generator", help="It draws pictures itself instead of conditioning the backbone.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a small installable package with a method that works, its card and a test. Prints the files."""
    from benchmark.new_method import new_method as write

    written = write(name, output, generator)
    if as_json:
        printing.print_json([{"file": str(path)} for path in written])
        return
    for path in written:
        print(path)
    Console().say(f"next: pip install -e {written[0].parent}, then bench validate {name}")


@app.command()
def validate(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method, or path/to/file.py:Class.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check in under a minute that a method keeps the contract, with the networks of mini and a few clips."""
    from benchmark.method import find_method

    with _stdout_is_for_results():
        found = find_method(method)
        from benchmark.validate import validate as check

        checks = check(found, None if ".py:" in method else method)
    if as_json:
        printing.print_json([{"check": one.name, "result": one.result, "reason": one.reason} for one in checks])
    else:
        printing.print_table(["check", "result", "reason"], [[one.name, one.result, one.reason] for one in checks])
    if any(one.result == "fail" for one in checks):
        raise typer.Exit(1)


@mini_app.callback(invoke_without_command=True)
def _mini(context: typer.Context) -> None:
    """The workshop of the embedded suite."""
    _help_alone(context)


@mini_app.command()
def pretrain(
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="STAGE", help="Stages to train; without any, all in order.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Shorten every stage to N steps.")] = None,
    weights: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the networks are written, and those needed are read.")
    ] = Path("mini-weights"),
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Checkpoints, to continue from. \\[default: work/ below --weights]"),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make the networks of the mini suite from nothing. Continues where it was stopped."""
    from benchmark.mini.pretrain import pretrain as make
    from benchmark.store import cache_dir

    ui = Console()
    with _stdout_is_for_results():
        reports = make(stages or [], weights, work or weights / "work", cache_dir(), ui.say, steps=steps)
    if as_json:
        printing.print_json(list(reports.values()))
        return
    rows = [
        [
            stage,
            str(r["steps"]),
            clock(r["seconds"]),
            f"{r['bytes'] / 1e6:.2f} MB",
            r["sha256"][:12],
            printing.shown(r["held_out"]),
        ]
        for stage, r in reports.items()
    ]
    printing.print_table(["stage", "steps", "time", "size", "sha256", "held out"], rows)


# ------------------------------------------------------------------------------------------------ asked and answered


def _settings(texts: Sequence[str] | None) -> dict[str, str]:
    """`--set key=value` as a mapping. Raises UserError, a line for each text of another form."""
    pairs = [text.partition("=") for text in texts or ()]
    problems = [
        f"--set {key + equals + value!r}: write it as KEY=VALUE" for key, equals, value in pairs if not (key and equals)
    ]
    keys = [key.strip() for key, _, _ in pairs]
    problems += [
        f"--set {key}=... is given more than once: give it once" for key in dict.fromkeys(keys) if keys.count(key) > 1
    ]
    if problems:
        raise UserError(problems)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _plans(
    method: str, suite: str, data: Path | None, limit: int | None, seeds: Sequence[int] | None, device: str,
    runs: Path | None, settings: Sequence[str] | None, skip_bad: bool, ui: UI, trackers: Sequence[str] | None = None,
    samples_every: int | None = None,
) -> list[Plan]:  # fmt: skip
    """One plan a seed, all checked before any work starts; a method without randomness has one for all seeds."""
    changed = _settings(settings)

    from benchmark.runner import Plan

    plans = [
        Plan.of(
            suite=suite, method=method, data=data, seed=seed, limit=limit, settings=changed, device=device, runs=runs,
            skip_bad=skip_bad, ui=ui, trackers=trackers or (), samples_every=samples_every,
        )
        for seed in dict.fromkeys(seeds or [0])
    ]  # fmt: skip
    return list({plan.folder.path: plan for plan in plans}.values())


def _rehearse(
    method: str, suite: str, data: Path | None, limit: int | None, seeds: Sequence[int] | None, device: str,
    settings: Sequence[str] | None, skip_bad: bool, clips: int | None, steps: int | None,
    trackers: Sequence[str] | None, samples_every: int | None, as_json: bool,
) -> None:  # fmt: skip
    """The body of `run --dry-run`."""
    if len(seeds or []) > 1:
        raise UserError("--dry-run is of one run: give --seed once")
    changed = _settings(settings)

    from benchmark import rehearsal

    with _stdout_is_for_results():
        report = rehearsal.rehearse(
            suite=suite, method=method, data=data, seed=(seeds or [0])[0], limit=limit, settings=changed,
            device=device, skip_bad=skip_bad, clips=clips, steps=steps or rehearsal.STEPS, trackers=trackers or (),
            samples_every=samples_every, ui=Console(),
        )  # fmt: skip
    if as_json:
        printing.print_json(report.to_dict())
        return
    title = f"dry run of {report.method} on {report.suite}"
    printing.print_table(rehearsal.HEADER, rehearsal.table(report), title=title, right=(1, 2, 3))
    for line in rehearsal.remarks(report):
        print(line)


def _check_metrics(ids: Iterable[str] | None) -> None:
    """Raise UserError, a line for each metric id that nobody knows."""
    if not ids:
        return
    from metrics import catalog

    problems = []
    for metric in ids:
        try:
            catalog.get(metric)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise UserError(problems)


def _board(store: Any, suite: str, metrics: Sequence[str], fingerprint: str | None, ui: UI) -> Board:
    """The board of the packaged records and of those in `store`; what cannot be read is warned of."""
    from benchmark.leaderboard import build_board

    return build_board(_records(store, suite, ui), metrics, suite=suite, fingerprint=fingerprint)


def _records(store: Any, suite: str, ui: UI) -> list[Any]:
    """The packaged records of a suite and those in `store`; what cannot be read is warned of."""
    from benchmark.store import packaged_records

    packaged, own = packaged_records(suite), store.records(suite)
    for problem in [*packaged.problems, *own.problems]:
        ui.warn(f"left out of the table: {problem}")
    return [*packaged.records, *own.records]


def _format(format_: Format | None, output: Path | None, as_json: bool) -> Format:
    """The format that was asked for, or that the file's suffix means."""
    if as_json and format_ not in (None, Format.json):
        raise UserError(f"--json and --format {format_} contradict each other: give one of them")
    by_suffix = SUFFIXES.get(output.suffix, Format.text) if output else Format.text
    return Format.json if as_json else format_ or by_suffix


def _write(text: str, output: Path | None) -> None:
    """To stdout, or to a file."""
    if output is None:
        sys.stdout.write(text)
        return
    from benchmark.files import write_atomic

    write_atomic(output, text)
    Console().say(f"written to {output}")


def _board_text(board: Board, format_: Format, to_file: bool = False) -> str:
    from benchmark import leaderboard

    if format_ is Format.text:
        shown = leaderboard.to_rich(board, printing.WIDE if to_file else printing.wide())
        return printing.rendered(shown, plain=to_file)
    return leaderboard.RENDERERS[format_](board)


def _report(plans: Sequence[Plan], records: Sequence[RunRecord], as_json: bool, ui: UI) -> None:
    """Print what the runs gave; exit 1 if one is not complete."""
    if as_json:
        sys.stdout.write(records[0].to_json()) if len(records) == 1 else printing.print_json(
            [json.loads(record.to_json()) for record in records]
        )
    else:
        for plan, record in zip(plans, records, strict=True):
            printing.print_record(record)
            print(f"pictures  {plan.folder.images}\nrecord    {plan.folder.record_path}\n")
        suite = records[0].suite
        board = _board(plans[0].store, suite.name, plans[0].suite.headline, suite.fingerprint, ui)
        sys.stdout.write(_board_text(board, Format.text))
    for plan, record in zip(plans, records, strict=True):
        if record.status != "complete":
            failed = f", {record.clips.failed} of {record.clips.total} clips failed" if record.clips.failed else ""
            say(f"the run is {record.status}{failed}: see {plan.folder.record_path}; the same command tries again")
    if any(record.status != "complete" for record in records):
        raise typer.Exit(1)


def _checkout_results() -> Path:
    top = Path(__file__).resolve().parent.parent
    if not (top / "pyproject.toml").is_file():
        raise UserError(
            "this package is not run from a checkout, so it has no results/ to publish to: give --results DIR"
        )
    return top / "results"


@contextlib.contextmanager
def _stdout_is_for_results() -> Iterator[None]:
    """While work goes on, what a library or a method prints goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 1 failed or incomplete, 2 wrong use, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # An arrow that an old terminal cannot show is no reason to fail.
            stream.reconfigure(errors="replace")
    if not debug:
        quiet_libraries()
    if not parallel.is_first():
        sys.stdout = open(os.devnull, "w")
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="bench", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        if debug and not isinstance(error, SystemExit):
            traceback.print_exc()
        return explain(error)
    if code == 130:
        return explain(KeyboardInterrupt())
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
