"""The option `--plot FILE` of studies: what was found, as a figure."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.leaderboard.dots import Dot, draw_dots
from benchmark.leaderboard.plots import kind_of
from benchmark.utils.errors import UserError
from benchmark.utils.files import write_atomic


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a study's command line the option `--plot FILE`."""
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a figure to this .png, .svg or .pdf")


def write(path: Path | None, panels: Mapping[str, Sequence[Dot]], line: float | None = None) -> None:
    """Write the figure to what `--plot` named, if it was given.

    Args:
        path: The file.
        panels: The answers by the title of their panel.
        line: Value at which each panel has a dashed line.

    Raises:
        UserError: The file's name has another ending, or there is nothing to draw.
    """
    if path is None:
        return
    kind = kind_of(path, "--plot")
    if not any(dot.value is not None for dots in panels.values() for dot in dots):
        raise UserError(f"--plot {path}: no value was found to draw")
    write_atomic(path, draw_dots(panels, kind, line))
