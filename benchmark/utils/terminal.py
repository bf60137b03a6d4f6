"""Tables and texts for stdout: as wide as the terminal, or as COLUMNS says; without folding in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from benchmark.utils.text import visible

WIDE = 10_000
LEAST = 40


def wide() -> int | None:
    """The width to print in: a terminal's own (None); in a pipe that of COLUMNS, and without it no edge to fold at."""
    if sys.stdout.isatty():
        return None
    asked = os.environ.get("COLUMNS", "")
    return max(int(asked), LEAST) if asked.isdecimal() and asked.isascii() else WIDE


def rendered(*things: Any, plain: bool = False, width: int | None = None) -> str:
    """Rich's rendering as text, `width` columns wide: for stdout, with colours if that is a terminal; or `plain`.

    Without a width it is as wide as the terminal, and a plain text, which is for a file, is not folded.
    """
    from rich.console import Console as Terminal

    terminal = Terminal(
        highlight=False,
        markup=False,
        emoji=False,
        width=width or (WIDE if plain else wide()),
        force_terminal=False if plain else None,
    )
    with terminal.capture() as captured:
        for thing in things:
            terminal.print(thing)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n") + "\n"


def print_line(line: object) -> None:
    """A line of results on stdout, with nothing in it that steers the terminal."""
    print(visible(str(line), lines=True))


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None, right: Sequence[int] = ()
) -> None:
    """A table on stdout; `right` are the columns that are set to the right. Markup in the texts is shown as it is."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title and Text(visible(title)),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        title_justify="left",
        header_style="bold",
    )
    for place, heading in enumerate(header):
        table.add_column(Text(visible(heading)), justify="right" if place in right else "left", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(Text(visible(text, lines=True)) for text in row))
    sys.stdout.write(rendered(table))
