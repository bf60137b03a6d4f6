"""The run that keeps nothing: its options, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.options import RunOptions, TrainingOptions, requests
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, print_table


@dataclass(frozen=True, kw_only=True)
class DryRunOptions:
    """Whether a run is only tried out, and how small."""

    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            metavar="",
            help="Keep nothing: make the run in small, with random weights where the suite's are released ones, and "
            "print what the whole would take on this device.",
        ),
    ] = False
    dry_clips: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Clips of a dry run. \\[default: 2 at full scale on a CPU, else what the suite samples at a time]",
        ),
    ] = None
    dry_steps: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Training and sampling steps of a dry run. \\[default: 2]"),
    ] = None


def dry_run(options: RunOptions, training: TrainingOptions, dry: DryRunOptions, as_json: bool) -> None:
    """Make a run in small, and print what the whole would take."""
    request, *more = requests(options, training)
    if more:
        raise UserError("--dry-run is of one run: give one seed, and one value a setting")

    from benchmark.dry_run import estimate

    with output.stdout_is_for_results():
        found = estimate.estimate(request, Console(), clips=dry.dry_clips, steps=dry.dry_steps or estimate.STEPS)
    if as_json:
        output.print_json(found.to_dict())
        return
    title = f"dry run of {found.method} on {found.suite}"
    print_table(estimate.HEADER, estimate.table(found), title=title, right=(1, 2, 3))
    for line in estimate.remarks(found):
        print_line(line)
