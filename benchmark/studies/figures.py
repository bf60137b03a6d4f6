"""The option `--plot FILE` of studies: what was found, as a figure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.leaderboard.dots import Dot, draw_dots
from benchmark.leaderboard.plots import kind_of
from benchmark.utils.errors import UserError
from benchmark.utils.files import write_atomic


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a study's command line the option `--plot FILE`; another ending is refused before any work is done."""
    parser.add_argument("--plot", type=_file, metavar="FILE", help="write a figure to this .png, .svg or .pdf")


def _file(text: str) -> Path:
    try:
        kind_of(Path(text), "--plot")
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


def write(path: Path | None, panels: Mapping[str, Sequence[Dot]], line: float | None = None) -> None:
    """Write the figure to what `--plot` named, if it was given; a line on stderr where there is nothing to draw.

    Args:
        path: The file.
        panels: The answers by the title of their panel.
        line: Value at which each panel has a dashed line.
    """
    if path is None:
        return
    if not any(dot.value is not None for dots in panels.values() for dot in dots):
        print(f"--plot {path}: no value was found to draw", file=sys.stderr)
        return
    write_atomic(path, draw_dots(panels, kind_of(path, "--plot"), line))
