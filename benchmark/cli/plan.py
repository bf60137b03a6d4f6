"""The verb about runs that are still to be made: plan."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from benchmark.cli import output
from benchmark.cli.board import which_board
from benchmark.cli.options import BoardOptions, Format, check_metrics
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Console


def plan(
    options: BoardOptions,
    detect: Annotated[
        float, typer.Option("--detect", metavar="X", help="The difference to be found, in the metric's unit.")
    ],
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="ID", help="In this metric. \\[default: the suite's first]")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", metavar="NAME", help="Between these two rows: give it twice. \\[default: the two best]"
        ),
    ] = None,
) -> None:
    """How many clips and seeds a difference between two methods needs, from the records at hand."""
    check_metrics([metric] if metric else None)
    if not (math.isfinite(detect) and detect > 0):
        raise UserError(f"--detect {detect:g}: give a difference above 0, in the metric's unit")
    how = options.chosen_format

    from benchmark.leaderboard import power, tables
    from benchmark.leaderboard.build import build_board
    from benchmark.records.store import Store

    which = which_board(options.suite, None, Store(options.runs), Console())
    columns = [metric or which.base.headline[0]]
    board = build_board(which.records, columns, suite=which.name, fingerprint=which.fingerprint)
    made = power.make_plan(board, detect, method or ())
    if how is Format.text:
        output.write_folded(lambda width: tables.rich_table(made.sheet(), width), options)
    else:
        output.write(power.RENDERERS[how](made), options.output)
