"""Options that say what of a board is shown: which rows and columns, under which names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import Format, check_metrics
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Layout

Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        "-m",
        metavar="NAME",
        help="Only this method, or this row; repeatable. Rank, bold and † are among those that are shown.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="METHOD=TEXT", help="Call a method, or a row, by another name; repeatable."),
]


@dataclass(frozen=True, kw_only=True)
class LayoutOptions:
    """What stands in a table."""

    method: Methods = None
    name: Names = None
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="These columns only: metrics, the first of which ranks, and any of rank, ranks, best, fit, seeds, "
            "clips, where; of a suite that can be put in words heard.ais and heard.iis.",
        ),
    ] = None
    no_intervals: Annotated[
        bool, typer.Option("--no-intervals", metavar="", help="Leave out the [low, high] of every value.")
    ] = False
    no_std: Annotated[bool, typer.Option("--no-std", metavar="", help="Leave out the ± over seeds.")] = False
    judges: Annotated[
        bool,
        typer.Option(
            "--judges", metavar="", help="Say below it whether other judges (METRIC@JUDGE in records) rank the same."
        ),
    ] = False
    caption: Annotated[str | None, typer.Option(metavar="TEXT", help="In the place of the table's title.")] = None
    label: Annotated[str | None, typer.Option(metavar="LABEL", help="What LaTeX refers to the table by.")] = None

    def check(self, how: Format) -> None:
        """Raise UserError, a line for each option that means nothing in a format, or cannot be read."""
        given = {
            "--no-intervals": self.no_intervals,
            "--no-std": self.no_std,
            "--caption": self.caption is not None,
        }
        problems = [
            f"{option} is for tables that people read, and {how} holds every number: leave it out"
            for option, is_given in given.items()
            if is_given and how in (Format.csv, Format.json)
        ]
        if self.label is not None and how is not Format.latex:
            problems.append(f"--label is for --format latex, not {how}: leave it out")
        if self.label is not None and not re.fullmatch(r"[A-Za-z0-9:._/+-]+", self.label):
            problems.append(f"--label {self.label!r}: write it with letters, digits and any of : . _ / + -")
        if problems:
            raise UserError(problems)

    def metrics(self) -> list[str] | None:
        """Return the metrics among the columns; None where no columns were asked for.

        Raises:
            UserError: A name is neither a metric nor another column, or none is a metric.
        """
        if self.columns is None:
            return None
        from benchmark.leaderboard.board import EXTRAS
        from benchmark.leaderboard.heard import COLUMNS

        found = [name for name in self._asked() if name not in EXTRAS and name not in COLUMNS]
        check_metrics(found)
        if not found:
            raise UserError(f"--columns {self.columns}: name at least one metric (`bench list metrics`)")
        return found

    def shares(self) -> list[str]:
        """Return the columns of heard shares that were asked for; they stand behind the metrics."""
        from benchmark.leaderboard.heard import COLUMNS

        return [name for name in self._asked() if name in COLUMNS]

    def layout(self) -> Layout:
        """Return the layout that was asked for."""
        from benchmark.leaderboard.board import EXTRAS, USUAL, Layout

        return Layout(
            extras=USUAL if self.columns is None else frozenset({*EXTRAS} & {*self._asked()}),
            intervals=not self.no_intervals,
            deviations=not self.no_std,
            caption=self.caption,
            label=self.label,
        )

    def _asked(self) -> list[str]:
        names = dict.fromkeys(name.strip() for name in (self.columns or "").split(","))
        return [name for name in names if name not in ("", "method")]  # the method is always there


def names_of(texts: Sequence[str] | None) -> Mapping[str, str]:
    """Return `--name METHOD=TEXT` as a mapping; a row's label may hold "=" in its brackets.

    Raises:
        UserError: A line for each text of another form, or that renames what another one does.
    """
    found: dict[str, str] = {}
    problems = []
    for text in texts or ():
        parts = re.fullmatch(r"(.+\)|[^=]+)=(.*\S.*)", text)
        if parts is None:
            problems.append(f"--name {text!r}: write it as METHOD=TEXT")
        elif parts[1].strip() in found:
            problems.append(f"--name {parts[1].strip()}=... is given more than once: give it once")
        else:
            found[parts[1].strip()] = parts[2].strip()
    if problems:
        raise UserError(problems)
    return found
