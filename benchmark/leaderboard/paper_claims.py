"""The paper's table on a suite: published beside measured, and a verdict on each of its claims (`results/claims.toml`).

Published values and measured ones come from other data and other networks: what can be compared is their order. A claim
that one method is above another is judged by `benchmark.leaderboard.significance` (over clips where there are scores
per clip), and all p values of the list are adjusted for their number after Holm.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import model_validator

from benchmark.leaderboard import tables as sheets
from benchmark.leaderboard.board import ARROWS, Board, Cell, Column, Row
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.literature import (
    Literature,
    Published,
    PublishedColumn,
    PublishedTable,
    load_literature,
    load_published,
)
from benchmark.leaderboard.significance import LEVEL, Contrast, compare
from benchmark.leaderboard.tables import DASH, Sheet
from benchmark.records.store import StoredRecord
from benchmark.utils.text import csv_cell, json_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from benchmark.suite import Suite

FILE = "claims.toml"
Outcome = Literal["held", "not held", "not significant", "not measured"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Claim(Published):
    """One claim: `better` is better than `worse` on `metric`; or the reason why it is not measured."""

    id: str
    """Name to refer to it by."""
    text: str
    """The claim in words."""
    better: str | None = None
    """Method that it puts ahead."""
    worse: str | None = None
    """Method that it puts behind."""
    metric: str | None = None
    """The paper's name of the measure."""
    reason: str | None = None
    """Why nothing here can judge it."""

    @model_validator(mode="after")
    def _check(self) -> Claim:
        compared = [self.better, self.worse, self.metric]
        if (all(compared) == bool(self.reason)) or (self.reason and any(compared)):
            raise ValueError(f"claim {self.id!r} needs either better, worse and metric, or a reason")
        return self


class Claims(Published):
    """What a paper claims."""

    paper: str
    """Which paper."""
    table: str
    """The id of its table among the published numbers."""
    metrics: dict[str, str]
    """The paper's measures, and the metric ids that they are judged on."""
    claims: tuple[Claim, ...]

    @model_validator(mode="after")
    def _check(self) -> Claims:
        names = [claim.id for claim in self.claims]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two claims are called {twice!r}: give one of them another id")
        if stray := next((c for c in self.claims if c.metric and c.metric not in self.metrics), None):
            raise ValueError(f"claim {stray.id!r} is about {stray.metric!r}: give that measure a metric in [metrics]")
        return self


@dataclass(frozen=True)
class Entry:
    """One number of the paper's table and what was measured in its place.

    `crossed` are the published rows that stand on its other side here; `same_order` is None where there is nothing to
    compare.
    """

    measure: PublishedColumn
    method: str
    here: str | None
    published: Decimal | None
    column: Column
    cell: Cell
    published_std: Decimal | None = None
    crossed: tuple[str, ...] = ()
    same_order: bool | None = None

    @property
    def shown_order(self) -> str:
        """Whether the order is the published one, and which rows stand on the other side."""
        if self.same_order is None:
            return DASH
        return "yes" if self.same_order else f"no: {', '.join(self.crossed)}"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim. `p_holm` is the p value adjusted for the number of claims; None where there is none."""

    claim: Claim
    outcome: Outcome
    metric: str | None = None
    column: Column | None = None
    contrast: Contrast | None = None
    p_holm: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Paper:
    """The paper's table and claims on a suite, and what a reader has to know beside each."""

    board: Board
    claims: Claims
    table: PublishedTable
    entries: tuple[Entry, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]
    claim_notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Which table, published and measured on what."""
        return f"{self.table.title}: published on {self.table.data}, measured on {self.board.title}"


def load_claims(path: Path | None = None) -> Claims:
    """The claims in `path`, by default those that ship. Raises UserError, a line a problem."""
    return load_published(Claims, FILE, path)


def build_paper(
    records: Iterable[StoredRecord],
    suite: Suite,
    *,
    name: str | None = None,
    fingerprint: str | None = None,
    claims: Claims | None = None,
    literature: Literature | None = None,
) -> Paper:
    """Judge the claims by `records`. `name` is a derived suite's, `fingerprint` the protocol, as for `build_board`."""
    claims, literature = claims or load_claims(), literature or load_literature()
    table = literature.table(claims.table)
    metrics = dict(claims.metrics)
    frechet = next((metric for metric in suite.headline if metric.startswith("fd.")), "fid")
    metrics = {measure: frechet if metric == "fid" else metric for measure, metric in metrics.items()}
    board = build_board(records, list(metrics.values()), suite=name or suite.name, fingerprint=fingerprint)
    rows = {row.here or row.method: _row(board, row.here) for row in table.rows}
    rows |= {m: _row(board, m) for claim in claims.claims for m in (claim.better, claim.worse) if m}
    columns = {column.id: column for column in board.columns}
    entries = [
        entry
        for measure in table.columns
        if measure.published in metrics
        for entry in _entries(measure, columns[metrics[measure.published]], table, rows, board)
    ]
    entries += _of_people(literature, metrics, rows, board)
    verdicts = _adjusted([_verdict(claim, metrics, columns, rows, board) for claim in claims.claims])
    notes = _notes(board, table, metrics, rows)
    return Paper(board, claims, table, tuple(entries), verdicts, tuple(notes), tuple(_claim_notes(verdicts)))


def _row(board: Board, method: str | None) -> Row | None:
    """The method's ranked row; of several settings the packaged one, then the one with the most seeds."""
    rows = [row for row in board.rows if row.method == method and not row.unranked]
    return max(rows, key=lambda row: ("packaged" in row.where, len(row.seeds), row.label), default=None)


def _absent(board: Board, method: str | None) -> str:
    return f"no complete record of {method} on {board.suite}" if method else "no method here stands for it"


def _entries(
    measure: PublishedColumn, column: Column, table: PublishedTable, rows: Mapping[str, Row | None], board: Board
) -> list[Entry]:
    entries = []
    for published in table.rows:
        row = rows[published.here or published.method]
        cell = row.cells[column.id] if row else Cell(None, _absent(board, published.here))
        value, std = published.values.get(measure.id), published.std.get(measure.id)
        entries.append(Entry(measure, published.method, published.here, value, column, cell, std))
    return [_ordered(entry, entries) for entry in entries]


def _of_people(
    literature: Literature, metrics: Mapping[str, str], rows: Mapping[str, Row | None], board: Board
) -> list[Entry]:
    """What people thought, published beside measured, where somebody was asked; it stands in tables of its own."""
    people = {column.id: column for column in board.filled if column.id in metrics.values()}
    return [
        entry
        for table in literature.tables
        for measure in table.columns
        if table.id.endswith("-human") and measure.id in people
        for entry in _entries(
            measure,
            people[measure.id],
            table,
            {row.here or row.method: rows.get(row.here or "") for row in table.rows},
            board,
        )
    ]


def _ordered(entry: Entry, entries: Sequence[Entry]) -> Entry:
    published, measured = entry.published, entry.cell.value
    if published is None or measured is None:
        return entry
    apart = [
        (other.method, float(published - other.published) * (measured - other.cell.value))
        for other in entries
        if other is not entry and other.published is not None and other.cell.value is not None
    ]
    if not apart:
        return entry
    crossed = tuple(method for method, product in apart if product < 0)
    return replace(entry, crossed=crossed, same_order=not crossed)


def _verdict(
    claim: Claim,
    metrics: Mapping[str, str],
    columns: Mapping[str, Column],
    rows: Mapping[str, Row | None],
    board: Board,
) -> Verdict:
    """The verdict before the p values are adjusted for their number."""
    if claim.better is None or claim.worse is None or claim.metric is None:
        return Verdict(claim, "not measured", reason=claim.reason)
    metric = metrics[claim.metric]
    column = columns[metric]
    samples, missing = [], []
    for method in (claim.better, claim.worse):
        row = rows[method]
        sample = row.sample(metric) if row else None
        if row is None:
            missing.append(_absent(board, method))
        elif sample is None:
            missing.append(f"no value of {metric} for {method}: {row.cells[metric].reason}")
        else:
            samples.append(sample)
    if missing:
        return Verdict(claim, "not measured", metric, column, reason="; ".join(missing))
    contrast = compare(*samples)
    if contrast is None:
        reason = f"{metric} has no scores per clip, no second seed and no interval"
        return Verdict(claim, "not measured", metric, column, reason=reason)
    return Verdict(claim, _outcome(contrast, column, contrast.significant), metric, column, contrast)


def _outcome(contrast: Contrast, column: Column, significant: bool) -> Outcome:
    if not significant:
        return "not significant"
    return "held" if (contrast.difference > 0) == (column.direction == "up") else "not held"


def _adjusted(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    from metrics.statistics import holm

    tested = {i: v.contrast.p_value for i, v in enumerate(verdicts) if v.contrast and v.contrast.p_value is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    result = []
    for i, verdict in enumerate(verdicts):
        if i in adjusted and verdict.contrast and verdict.column:
            outcome = _outcome(verdict.contrast, verdict.column, adjusted[i] <= LEVEL)
            verdict = replace(verdict, outcome=outcome, p_holm=adjusted[i])
        result.append(verdict)
    return tuple(result)


def _notes(
    board: Board, table: PublishedTable, metrics: Mapping[str, str], rows: Mapping[str, Row | None]
) -> list[str]:
    notes = [f"Published: {table.source} ({table.hand}-hand).", *table.notes]
    notes.append("Published and measured values come from other data and networks: only their order can be compared.")
    if (judged := metrics.get("FID")) not in (None, "fid"):
        notes.append(f"FID is judged by {judged}, the Fréchet headline of {board.suite}, which is no FID.")
    notes.append("± is the standard deviation over seeds, [low, high] the 95 % interval over clips.")
    notes.append("Same order: whether the row stands here on the same side of each other row; if not, of which not.")
    notes += board.remarks
    for method, row in rows.items():
        if row and sum(other.method == method and not other.unranked for other in board.rows) > 1:
            notes.append(f"{method} has rows of several settings; used: {row.label}.")
    return notes


def _claim_notes(verdicts: Sequence[Verdict]) -> list[str]:
    counts = Counter(verdict.outcome for verdict in verdicts)
    notes = [f"Of {len(verdicts)} claims: {', '.join(f'{counts[outcome]} {outcome}' for outcome in OUTCOMES)}."]
    notes.append(
        "Difference: what the claim puts ahead minus what it puts behind, with its 95 % interval. From clips: paired "
        "permutation test, each clip averaged over seeds; from seeds and clips: Welch's t test over runs, with the "
        "variance that their intervals over clips state, where there are no scores per clip; from seeds: the same "
        "without intervals; from intervals: whether the two 95 % intervals are disjoint, where a side has a single run."
    )
    notes.append(
        "Held, not held: two-sided 5 %, p adjusted for the number of tests (Holm). A test over clips takes the seeds "
        "as they are: it does not ask what other seeds would give."
    )
    by_reason: dict[str, list[str]] = {}
    for number, verdict in enumerate(verdicts, start=1):
        if verdict.reason:
            by_reason.setdefault(verdict.reason, []).append(str(number))
    return notes + [f"Not measured, claim {', '.join(numbers)}: {reason}." for reason, numbers in by_reason.items()]


# ---------------------------------------------------------------------------------------------------------- formats


def as_sheets(paper: Paper) -> tuple[Sheet, Sheet]:
    """The table, a line a published number, and the claims."""
    lines: list[tuple[str, ...]] = []
    rules = set()
    for _, group in groupby(paper.entries, key=lambda entry: entry.measure.id):
        rules.add(len(lines))
        for place, entry in enumerate(group):
            judged = "" if entry.column.id == entry.measure.published.lower() else f"by {entry.column.id}"
            label = (f"{entry.measure.published} {ARROWS[entry.measure.direction]}", judged, *[""] * place)[place]
            published = DASH if entry.published is None else str(entry.published)
            published += "" if entry.published_std is None else f" ± {entry.published_std}"
            # The board's marks are about the best of its column, not about claims.
            measured = replace(entry.cell, against_best=None).show(entry.column)
            lines.append((label, entry.method, published, measured, entry.shown_order))
    table = Sheet(
        title=paper.title,
        header=("", "Method", "Published", "Measured", "Same order?"),
        rows=tuple(lines),
        left=frozenset({0, 1}),
        prose=frozenset({4}),
        rules=frozenset(rules - {0}),
        notes=paper.notes,
        names=2,
        name=f"paper-{paper.board.suite}",
    )
    claims = Sheet(
        title=f"Claims of {paper.claims.paper}, on {paper.board.title}",
        header=("Claim", "Verdict", "Difference", "p (Holm)", "From"),
        rows=tuple(
            (f"{number}. {verdict.claim.text}", verdict.outcome, *_shown(verdict))
            for number, verdict in enumerate(paper.verdicts, start=1)
        ),
        left=frozenset({1, 4}),
        prose=frozenset({0}),
        bold=frozenset((i, 1) for i, verdict in enumerate(paper.verdicts) if verdict.outcome in ("held", "not held")),
        dim=frozenset(i for i, verdict in enumerate(paper.verdicts) if verdict.outcome == "not measured"),
        notes=paper.claim_notes,
        name=f"claims-{paper.board.suite}",
    )
    return table, claims


def _shown(verdict: Verdict) -> tuple[str, str, str]:
    contrast, column = verdict.contrast, verdict.column
    if contrast is None or column is None:
        return DASH, DASH, DASH
    interval = "" if contrast.low is None else f" [{column.show(contrast.low)}, {column.show(contrast.high)}]"
    source = contrast.way if contrast.way == "intervals" else f"{contrast.n} {contrast.way}"
    return f"{column.show(contrast.difference)}{interval}", _p(verdict.p_holm), source


def _p(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:.4f}" if value >= 1e-4 else "<0.0001"


def to_rich(paper: Paper, width: int | None = None) -> RenderableType:
    """For a terminal of `width` columns (default: the one it runs in)."""
    from rich.console import Group

    table, claims = as_sheets(paper)
    return Group(sheets.rich_table(table, width), "", sheets.rich_table(claims, width))


def render(paper: Paper, format_: str) -> str:
    """As "md", "csv", "latex", "html" or "json"."""
    if format_ == "json":
        return json_text(as_object(paper))
    if format_ == "csv":
        return _csv(paper)
    pages = as_sheets(paper)
    if format_ == "html":
        sub = f"published beside measured on {paper.board.title}, and a verdict on each claim"
        return sheets.page("paper.html", title=paper.claims.paper, sub=sub, sheets=pages)
    return "\n".join(sheets.markdown(page) if format_ == "md" else sheets.latex(page) for page in pages)


def as_object(paper: Paper) -> dict[str, Any]:
    """Plain values: `table` has one object a published number, `claims` one a claim."""
    return {
        "paper": paper.claims.paper,
        "suite": paper.board.suite,
        "suite_version": paper.board.version,
        "fingerprint": paper.board.fingerprint,
        "table": [
            {
                "measure": entry.measure.published,
                "metric": entry.column.id,
                "published_as": entry.method,
                "method": entry.here,
                "published": None if entry.published is None else float(entry.published),
                "measured": entry.cell.value,
                "reason": entry.cell.reason,
                "low": entry.cell.low,
                "high": entry.cell.high,
                "std": entry.cell.std,
                "seeds": dict(entry.cell.by_seed),
                "n": entry.cell.n,
                "same_order": entry.same_order,
                "crossed": list(entry.crossed),
            }
            for entry in paper.entries
        ],
        "claims": [
            {
                "id": verdict.claim.id,
                "text": verdict.claim.text,
                "verdict": verdict.outcome,
                "reason": verdict.reason,
                "better": verdict.claim.better,
                "worse": verdict.claim.worse,
                "metric": verdict.metric,
                "difference": c.difference if (c := verdict.contrast) else None,
                "low": c.low if c else None,
                "high": c.high if c else None,
                "p": c.p_value if c else None,
                "p_holm": verdict.p_holm,
                "from": c.way if c else None,
                "n": c.n if c else None,
            }
            for verdict in paper.verdicts
        ],
        "notes": [*paper.notes, *paper.claim_notes],
    }


def _csv(paper: Paper) -> str:
    """The claims as a table of their own, after an empty line."""
    out = io.StringIO()
    plain = as_object(paper)
    for part in ("table", "claims"):
        out.write("\n" if part == "claims" else "")
        rows = [{**row, **({"seeds": len(row["seeds"])} if part == "table" else {})} for row in plain[part]]
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        rows = [{**row, **({"crossed": ", ".join(row["crossed"])} if "crossed" in row else {})} for row in rows]
        writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return out.getvalue()
