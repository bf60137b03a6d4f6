"""The verbs about files: fetch, prepare, export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import AsJson, Data, Device, Limit, SuiteName
from benchmark.dataset import SplitName
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, print_table


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NETWORK]", help="Only these; without any, all that the suite cannot do without."),
    ] = None,
    suite: SuiteName = "mini",
    list_: Annotated[
        bool,
        typer.Option(
            "--list", metavar="", help="Download nothing: print each file's size, sha256, addresses and where it goes."
        ),
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Fill a folder for a machine without network: BENCH_WEIGHTS there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download the released weights of a suite; continues where it was stopped. Prints where they are."""
    from benchmark.doctor import released, required
    from benchmark.suite import load_suite
    from benchmark.weights import download, listing, locate, remarks

    asked = load_suite(suite)
    if to is not None and to.exists() and not to.is_dir():
        raise UserError(f"--to {to} is a file: name a folder")
    with output.stdout_is_for_results():
        wanted = required(asked, names)
        if list_:
            # the optional ones too: what a person may want is decided with the list in hand
            files = listing.files(wanted if names else released(asked), to)
        else:
            if to is None and locate.folder().exists():
                for line in remarks.on_folder(wanted):
                    Console().warn(line)
            rows = download.fetch(wanted, Console(), to)
            if to is not None:
                Console().say(f"{listing.write_sums(to)} has the hashes of all files: `sha256sum --check` reads it")
    if as_json:
        output.print_json([one.to_dict() for one in files] if list_ else rows)
        return
    for line in listing.text(files) if list_ else [row["path"] for row in rows]:
        print_line(line)


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
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite", "-s", metavar="NAME", help="For which suite. \\[default: the one of the data set's name]"
        ),
    ] = None
    device: Device = "auto"
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Processes. \\[default: all cores]")] = None


def prepare(
    options: PrepareOptions,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="vggsound, or vggsound-tiny.")],
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
