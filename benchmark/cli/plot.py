"""The verb that draws a board: plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.board import board_of
from benchmark.cli.layout import Methods, Names, names_of
from benchmark.cli.options import Runs, SuiteName, check_metrics
from benchmark.utils.errors import UserError
from benchmark.utils.terminal import print_line


def plot(
    metrics: Annotated[
        list[str] | None,
        typer.Argument(metavar="METRIC", help="A panel each; the first one ranks. \\[default: the suite's headline]"),
    ] = None,
    suite: SuiteName = "mini",
    runs: Runs = None,
    method: Methods = None,
    name: Names = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A .png, .svg or .pdf. \\[default: SUITE-METRIC.svg, here]"
        ),
    ] = None,
) -> None:
    """A figure of metrics by method: values, 95 % intervals, and chance. Prints the file it wrote."""
    check_metrics(metrics)
    names = names_of(name)
    path = output or Path("-".join([suite, *(metrics or ["headline"])]).replace("/", "-") + ".svg")

    from benchmark.leaderboard import plots
    from benchmark.utils.files import write_atomic

    kind = plots.kind_of(path, "--output")
    board = board_of(suite, metrics, runs, method or (), names)
    if not board.filled:
        raise UserError(board.empty or f"no row has a value to draw: {' '.join(board.notes)}")
    write_atomic(path, plots.draw(board, kind))
    print_line(path)
