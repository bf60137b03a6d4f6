"""Published numbers (`results/literature.toml`): shown beside measured rows, never among them, never ranked.

Groups publish different formulas under one name. So every number carries the id of its definition, a table holds one
data set and one definition a column, and whatever does not fit is refused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import model_validator

from benchmark.leaderboard.tables import DASH, Sheet, latex, markdown, rich_table
from benchmark.records.store import packaged_results
from benchmark.utils.errors import UserError, unknown
from benchmark.utils.models import FrozenModel
from benchmark.utils.text import csv_cell, json_text
from benchmark.utils.toml import read_toml, validated

if TYPE_CHECKING:
    from rich.console import RenderableType

    from benchmark.leaderboard.board import Board

FILE = "literature.toml"
FAMILIES = ("ais", "iis", "aic", "fid", "kid")


class Published(FrozenModel):
    """Base of what is read from the files of published facts."""


class PublishedColumn(Published):
    """One metric of a table, in one definition."""

    id: str
    """A metric of this project, `ais?` if it is not known which of the family, `other:NAME` for one we do not have."""
    published: str
    """The name that the source gives it."""
    direction: Literal["up", "down"]
    """Which way is better."""
    variant: str
    """What is known of formula, network and data, and what is not."""

    @property
    def header(self) -> str:
        """The published name, this project's id where it is another, and which way is better."""
        known = "" if self.id.startswith("other:") or self.id == self.published else f" = {self.id}"
        return f"{self.published}{known} {'↑' if self.direction == 'up' else '↓'}"

    @model_validator(mode="after")
    def _check(self) -> PublishedColumn:
        if self.id.startswith("other:") or self.id.removesuffix("?") in FAMILIES:
            return self
        from metrics import definitions

        definitions.get(self.id)
        return self


class PublishedRow(Published):
    """One method's numbers, by the columns' ids."""

    method: str
    """Its name in the source."""
    here: str | None = None
    """The method of this project that stands for it."""
    values: dict[str, Decimal]
    """The numbers with the digits that were printed."""
    std: dict[str, Decimal] = {}
    """What the source puts after ±, as far as it does."""
    data: str | None = None
    """Its data set, if given: must be the table's."""
    protocol: str | None = None
    """Its protocol, if given: must be the table's."""
    hand: Literal["first", "second"] | None = None
    """As the table's, unless given."""
    notes: str | None = None
    """What else bears on it."""

    def show(self, column: str) -> str:
        """Return a number with the digits that were printed; a dash for none."""
        spread = f" ± {self.std[column]}" if column in self.std else ""
        return f"{self.values[column]}{spread}" if column in self.values else DASH


class PublishedTable(Published):
    """A published table, or the part of one that is of a single data set and protocol."""

    id: str
    """Name to refer to it by."""
    title: str
    """Whose it is."""
    data: str
    """Data set."""
    protocol: str
    """How the numbers were made, as far as that is known."""
    source: str
    """Where they were read."""
    hand: Literal["first", "second"]
    """Read in the authors' own text (first), or in an account of it (second)."""
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]
    notes: tuple[str, ...] = ()
    """What a reader has to know."""

    @model_validator(mode="after")
    def _check(self) -> PublishedTable:
        for field in ("id", "published"):
            names = [getattr(column, field) for column in self.columns]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(
                    f"table {self.id!r} has two columns {twice!r}: one definition each, give the other a table"
                )
        known = [column.id for column in self.columns]
        for row in self.rows:
            for given, own, what in ((row.data, self.data, "data"), (row.protocol, self.protocol, "protocol")):
                if given not in (None, own):
                    raise ValueError(
                        f"table {self.id!r} mixes {what}: row {row.method!r} is of {given!r}, the table of {own!r}; "
                        "give it a table of its own"
                    )
            if stray := next((name for name in [*row.values, *row.std] if name not in known), None):
                raise ValueError(
                    f"table {self.id!r} mixes metrics: row {row.method!r} gives {stray!r}, the table holds "
                    f"{', '.join(known)}; give it a table of its own"
                )
        return self

    def sheet(self, only: Sequence[str] | None = None) -> Sheet:
        """The table with its sources, restricted to the ids in `only`."""
        columns = [column for column in self.columns if only is None or column.id in only]
        rows = [row for row in self.rows if any(column.id in row.values for column in columns)]
        aside: dict[str, list[str]] = {}
        for row in rows:
            hand = f"{row.hand}-hand" if row.hand not in (None, self.hand) else None
            if remark := ", ".join(part for part in (hand, row.notes) if part):
                aside.setdefault(remark, []).append(row.method)
        return Sheet(
            title=f"Published, not measured here: {self.title}; data: {self.data}",
            header=("Method", *(column.header for column in columns)),
            rows=tuple((row.method, *(row.show(column.id) for column in columns)) for row in rows),
            notes=(
                f"Source: {self.source} ({self.hand}-hand). Protocol: {self.protocol}.",
                *(f"{column.published}: {column.variant}." for column in columns),
                *self.notes,
                *(f"{', '.join(methods)}: {remark}." for remark, methods in aside.items()),
            ),
            name=f"literature-{self.id}",
        )


class Literature(Published):
    """All published numbers."""

    tables: tuple[PublishedTable, ...]
    missing: tuple[str, ...] = ()
    """What is not in it, and why."""

    @model_validator(mode="after")
    def _check(self) -> Literature:
        names = [table.id for table in self.tables]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two tables are called {twice!r}: give one of them another id")
        return self

    def table(self, name: str) -> PublishedTable:
        """Return the table called `name`. Raises UserError with the nearest names for an unknown one."""
        for table in self.tables:
            if table.id == name:
                return table
        raise unknown("published table", name, [table.id for table in self.tables])

    def sheets(self, only: Sequence[str] | None = None) -> list[Sheet]:
        """The tables that hold one of the metric ids in `only`, with no other columns; all without it.

        Only equal ids are equal definitions: an `ais` that was asked for is no `ais.cosine`. Where nothing is left, a
        table without rows says what there is instead.
        """
        tables = [
            table.sheet(only) for table in self.tables if only is None or any(c.id in only for c in table.columns)
        ]
        known = dict.fromkeys(column.id for table in self.tables for column in table.columns)
        notes = list(self.missing) if only is None else []
        for metric in [metric for metric in only or () if metric not in known]:
            kin = [name for name in known if _family(name) == _family(metric)]
            others = f"; there are {', '.join(kin)}, which are other definitions" if kin else ""
            notes.append(f"No published number is of {metric}{others}.")
        if notes:
            tables.append(Sheet("Published, but not here", (), (), notes=tuple(notes), name="literature-missing"))
        return tables


def _family(metric: str) -> str:
    return metric.partition(".")[0].removesuffix("?")


def load_literature(path: Path | None = None) -> Literature:
    """The published numbers in `path`, by default those that ship. Raises UserError, a line a problem."""
    return load_published(Literature, FILE, path)


T = TypeVar("T", bound=Published)


def load_published(model: type[T], name: str, path: Path | None = None) -> T:
    """A file of published facts: `path`, or `name` among the results that ship (in the checkout or the wheel alike)."""
    file = path
    if file is None:
        if (folder := packaged_results()) is None:
            raise UserError(f"results/{name} is not in this installation: install audio2image-bench again")
        file = folder / name
    # As decimals, so that a number keeps the digits that were printed.
    return validated(model, read_toml(file, parse_float=Decimal), file)


def to_csv(literature: Literature, only: Sequence[str] | None = None) -> str:
    """One published number a line."""
    out = io.StringIO()
    head = ["table", "data", "method", "published_as", "metric", "value", "std", "hand", "source", "protocol"]
    writer = csv.DictWriter(out, head, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in as_objects(literature, only))
    return out.getvalue()


def as_objects(literature: Literature, only: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One object a published number."""
    return [
        {
            "table": table.id,
            "data": table.data,
            "method": row.method,
            "published_as": column.published,
            "metric": column.id,
            "variant": column.variant,
            "direction": column.direction,
            "value": float(row.values[column.id]),
            "std": float(row.std[column.id]) if column.id in row.std else None,
            "hand": row.hand or table.hand,
            "source": table.source,
            "protocol": table.protocol,
            "notes": [*table.notes, *([row.notes] if row.notes else [])],
        }
        for table in literature.tables
        for row in table.rows
        for column in table.columns
        if column.id in row.values and (only is None or column.id in only)
    ]


def beside(board: Board, literature: Literature, only: Sequence[str] | None, format_: str) -> str:
    """The board in a format ("md", "csv", "latex", "html", "json"), and below it, apart from it, the published numbers.

    In CSV they are a table of their own after an empty line; in JSON the two are `measured` and `literature`.
    """
    from benchmark.leaderboard import formats

    sheets = literature.sheets(only)
    if format_ == "html":
        return formats.to_html(board, sheets)
    if format_ == "json":
        return json_text({"measured": board.to_dicts(), "literature": as_objects(literature, only)})
    measured = formats.RENDERERS[format_](board)
    if format_ == "csv":
        return f"{measured}\n{to_csv(literature, only)}"
    return "\n".join([measured, *((markdown if format_ == "md" else latex)(sheet) for sheet in sheets)])


def beside_rich(board: Board, literature: Literature, only: Sequence[str] | None, width: int | None) -> RenderableType:
    """The same for a terminal of `width` columns (default: the one it runs in)."""
    from rich.console import Group

    from benchmark.leaderboard import formats

    blocks = [rich_table(sheet, width) for sheet in literature.sheets(only)]
    return Group(formats.to_rich(board, width), *(part for block in blocks for part in ("", block)))
