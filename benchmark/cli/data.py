"""The verbs about files: fetch, prepare, export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson, Data, Device, Limit, SuiteName
from benchmark.dataset import SplitName
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, print_table


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NETWORK]", help="Only these; without any, all that the suite cannot do without."),
    ] = None,
    suite: SuiteName = "mini",
    as_json: AsJson = False,
) -> None:
    """Download the released weights of a suite; continues where it was stopped. Prints where they are."""
    from benchmark.doctor import required
    from benchmark.suite import load_suite
    from benchmark.weights import download

    with output.stdout_is_for_results():
        rows = download.fetch(required(load_suite(suite), names), Console())
    if as_json:
        output.print_json(rows)
        return
    for row in rows:
        print_line(row["path"])


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How a data set is prepared."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where it is written. \\[default: where suites look: BENCH_DATA, else the user's data folder]",
        ),
    ] = None
    list_: Annotated[
        Path | None, typer.Option("--list", metavar="CSV", help="The data set's list of clips: vggsound.csv.")
    ] = None
    vggsounder: Annotated[
        Path | None, typer.Option(metavar="CSV", help="VGGSounder's labels, with what is seen and heard.")
    ] = None
    frame: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="Training frame: middle or clip-best. \\[default: as the suite says]"),
    ] = None
    suite: SuiteName = "vggsound"
    device: Device = "auto"
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Processes. \\[default: all cores]")] = None


def prepare(
    options: PrepareOptions,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="vggsound.")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder that holds the videos, at any depth.")],
    as_json: AsJson = False,
) -> None:
    """Make a data set of your videos: sounds, frames and labels as shards. Continues where it was stopped."""
    from benchmark.data.prepare.command import HEADER, Preparation, coverage, prepare_dataset

    asked = Preparation(
        dataset=dataset,
        root=root,
        output=options.output,
        listed=options.list_,
        vggsounder=options.vggsounder,
        frame=options.frame,
        suite=options.suite,
        device=options.device,
        jobs=options.jobs,
    )
    with output.stdout_is_for_results():
        folder, summary = prepare_dataset(asked, Console())
    if as_json:
        output.print_json({"folder": str(folder), **summary})
        return
    print_table(HEADER, coverage(summary), right=(1, 2, 3, 4))
    print_line(folder)


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Which clips are written, and with what beside them."""

    suite: SuiteName = "mini"
    split: Annotated[SplitName, typer.Option(metavar="NAME", help="train, validation or test.")] = SplitName.test
    data: Data = None
    limit: Limit = None
    labels: Annotated[bool, typer.Option("--labels", metavar="", help="Also each clip's label, as a column.")] = False
    frames: Annotated[
        bool, typer.Option("--frames", metavar="", help="Also each clip's true frame, below frames/.")
    ] = False


def export(
    options: ExportOptions,
    output_: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder.")],
    as_json: AsJson = False,
) -> None:
    """Write a suite's clips as <clip id>.wav and manifest.csv, for pictures made elsewhere. Prints the manifest."""
    from benchmark.data.export import export as write

    with output.stdout_is_for_results():
        manifest = write(
            output_,
            suite=options.suite,
            split=options.split.value,
            data=options.data,
            limit=options.limit,
            labels=options.labels,
            frames=options.frames,
            ui=Console(),
        )
    output.print_json({"manifest": str(manifest)}) if as_json else print_line(manifest)
