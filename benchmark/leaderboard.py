"""The board: derived from records and nothing else.

A row is a method with its settings, over all seeds it was run with. Only equal suite fingerprints and equal metric
definitions (version and scorers) stand in one board; what does not fit is named in the notes. Limited, incomplete and
failed runs are shown, never ranked.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmark.files import canonical_json, digest
from benchmark.record import MetricValue, RunRecord, run_identity
from benchmark.store import StoredRecord

if TYPE_CHECKING:
    from rich.console import RenderableType

DASH = "–"
ARROWS = {"up": "↑", "down": "↓", None: ""}
Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Column:
    """One metric of the board; direction, unit and version are None while no record has the metric."""

    id: str
    title: str
    direction: Direction | None = None
    unit: str | None = None
    version: int | None = None
    chance: float | None = None
    digits: int = 1

    @property
    def header(self) -> str:
        return f"{self.title} {ARROWS[self.direction]}".rstrip()

    def show(self, value: float | None) -> str:
        return DASH if value is None else f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class Cell:
    """One metric of one row: the mean over seeds, or the reason why there is none.

    `std` is the sample standard deviation over two or more seeds; `low` and `high` are the 95 % interval over clips of
    a single run. `n` and `failed` are those of one run (the fewest and the most, if runs differ).
    """

    value: float | None
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    std: float | None = None
    n: int = 0
    failed: int = 0
    by_seed: Mapping[str, float | None] = field(default_factory=dict)
    best: bool = False

    def spread(self, column: Column) -> str:
        """``± std`` over seeds, or ``[low, high]`` of a single run, or nothing."""
        if self.std is not None:
            return f"± {column.show(self.std)}"
        if self.low is not None and self.high is not None:
            return f"[{column.show(self.low)}, {column.show(self.high)}]"
        return ""

    def show(self, column: Column) -> str:
        return f"{column.show(self.value)} {self.spread(column)}".rstrip()


@dataclass(frozen=True)
class Row:
    """A method with its settings.

    `unranked` says why it may have no rank, `variant` names what tells its settings from those of its sibling rows, and
    `differs` says that another copy of one of its runs holds other numbers (the notes say which).
    """

    method: str
    variant: str
    settings: Mapping[str, Any]
    where: str
    seeds: tuple[int, ...]
    limit: int | None
    status: str
    clips: int
    cells: Mapping[str, Cell]
    rank: int | None = None
    unranked: str | None = None
    differs: bool = False

    @property
    def label(self) -> str:
        extra = ", ".join(part for part in (self.variant, self.unranked or "") if part)
        return f"{self.method} ({extra})" if extra else self.method

    @property
    def shown_seeds(self) -> str:
        return str(len(self.seeds)) if self.seeds else "fixed"

    @property
    def shown_where(self) -> str:
        return f"{self.where} *" if self.differs else self.where


@dataclass(frozen=True)
class Board:
    """Rows in order (ranked first), columns in the order asked for, and what a reader has to know beside them."""

    suite: str
    version: int | str | None
    fingerprint: str | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def empty(self) -> str | None:
        """The line to show in place of a table without rows; None if there are rows."""
        if self.rows:
            return None
        how = f"bench run --suite {self.suite} --method NAME"
        return f"Nothing to show yet for suite {self.suite!r}: `{how}` makes a row."

    @property
    def has_chance(self) -> bool:
        return any(column.chance is not None for column in self.columns)

    @property
    def title(self) -> str:
        version = "" if self.version is None else f" {self.version}"
        return f"{self.suite}{version}" + (f" ({self.fingerprint[:8]})" if self.fingerprint else "")


def build_board(
    records: Iterable[StoredRecord],
    metrics: Sequence[str],
    *,
    suite: str,
    fingerprint: str | None = None,
    titles: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Board:
    """Make the board of `suite` out of `records`, in whatever order they come.

    `metrics` are the ids of the columns; rows are sorted by the first, in its direction. `fingerprint` is the protocol
    that the board is of; by default the one that most records followed. `titles` are headings in place of ids, `notes`
    are put before the board's own. Records of other suites are left out.
    """
    own = sorted((r for r in records if r.record.suite.name == suite), key=lambda r: (r.where, str(r.path)))
    fingerprint = fingerprint or _most_common(r.record.suite.fingerprint for r in own)
    same = [r for r in own if r.record.suite.fingerprint == fingerprint]
    remarks = list(notes) + _other_protocols(own, fingerprint)
    bindings = {metric: _binding(same, metric) for metric in metrics}
    kept, differing = _without_duplicates(same, bindings)
    remarks += differing.values()

    groups: dict[tuple[str, str, int, str], list[StoredRecord]] = defaultdict(list)
    for stored in kept:
        record = stored.record
        limit = -1 if record.limit is None else record.limit
        key = record.method.name, canonical_json(record.method.settings), limit, _standing(record, metrics)
        groups[key].append(stored)
    rows = [_row(group, key[3], bindings, differing) for key, group in sorted(groups.items())]
    rows = _with_variants(rows)

    titles = titles or {}
    columns = tuple(_column(metric, titles.get(metric, metric), kept, rows, bindings[metric]) for metric in metrics)
    rows = _ranked(rows, columns)
    remarks += _reasons(rows, columns)
    if any(cell.std is not None for row in rows for cell in row.cells.values()):
        remarks.append("± is the standard deviation over seeds.")
    if any(cell.low is not None for row in rows for cell in row.cells.values()):
        remarks.append("[low, high] is the 95 % interval over the clips of a single run.")
    return Board(
        suite=suite,
        version=same[-1].record.suite.version if same else None,
        fingerprint=fingerprint,
        columns=columns,
        rows=tuple(rows),
        notes=tuple(_one_line(remark) for remark in remarks),
    )


_Binding = tuple[int, str]  # version of a metric's definition, and its scorers' hashes as canonical JSON


def _bound(value: MetricValue) -> _Binding:
    return value.version, canonical_json(value.scorers)


def _binding(records: Sequence[StoredRecord], metric: str) -> _Binding | None:
    """The definition that the board shows: the newest version, with the scorers that most records of it used."""
    values = [v for r in records if (v := r.record.metrics.get(metric)) is not None and v.value is not None]
    if not values:
        return None
    newest = max(value.version for value in values)
    return newest, _most_common(_bound(v)[1] for v in values if v.version == newest) or ""


def _most_common(values: Iterable[str]) -> str | None:
    # Ties are broken by the text, so that the order of the records plays no part.
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value)) if counts else None


def _name(record: RunRecord) -> str:
    name = record.method.name
    if record.seed is not None:
        name += f" seed {record.seed}"
    return f"{name} limit {record.limit}" if record.limit is not None else name


def _other_protocols(records: Sequence[StoredRecord], fingerprint: str | None) -> list[str]:
    others: dict[str, list[str]] = defaultdict(list)
    for stored in records:
        if stored.record.suite.fingerprint != fingerprint:
            others[stored.record.suite.fingerprint].append(f"{_name(stored.record)} ({stored.where})")
    return [
        f"Not comparable, made under another protocol of this suite ({other[:8]}): {', '.join(sorted(names))}."
        for other, names in sorted(others.items())
    ]


def _without_duplicates(
    records: Sequence[StoredRecord], bindings: Mapping[str, _Binding | None]
) -> tuple[list[StoredRecord], dict[Path, str]]:
    """Each run once: complete before incomplete, then the most values that fit the board, then packaged before runs.

    Also a line for each record that was kept although another copy holds different numbers, by its path.
    """
    by_run: dict[str, list[StoredRecord]] = defaultdict(list)
    for stored in records:
        r = stored.record
        # Computed, not read: a copied or edited record must not count twice.
        run = run_identity(r.suite.fingerprint, r.method.name, r.method.settings, r.seed, r.limit)
        by_run[run].append(stored)

    def preference(stored: StoredRecord) -> tuple[bool, int, bool, str, str]:
        record = stored.record
        fitting = sum(
            (value := record.metrics.get(metric)) is not None and _bound(value) == bound and value.value is not None
            for metric, bound in bindings.items()
        )
        complete = record.status == "complete" and not record.clips.failed
        return complete, fitting, stored.where == "packaged", record.provenance.date, str(stored.path)

    kept, differing = [], {}
    for copies in by_run.values():
        best = max(copies, key=preference)
        kept.append(best)
        for other in copies:
            if other is not best and (metric := _difference(best.record, other.record, bindings)):
                ours, theirs = best.record.metrics[metric].value, other.record.metrics[metric].value
                differing[best.path] = (
                    f"* {_name(best.record)} has copies with other results: {metric} is {ours:.6g} in the one shown "
                    f"({best.where}) and {theirs:.6g} in {other.path.parent.name}/{other.path.name} ({other.where})."
                )
    kept.sort(key=lambda k: (-1 if k.record.seed is None else k.record.seed, k.where, str(k.path)))
    return kept, dict(sorted(differing.items()))


def _difference(one: RunRecord, other: RunRecord, metrics: Iterable[str]) -> str | None:
    for metric in metrics:
        a, b = one.metrics.get(metric), other.metrics.get(metric)
        if a is None or b is None or a.value is None or b.value is None or _bound(a) != _bound(b):
            continue
        if not math.isclose(a.value, b.value, rel_tol=1e-6, abs_tol=1e-9):
            return metric
    return None


def _standing(record: RunRecord, metrics: Sequence[str]) -> str:
    """Empty for a run that may be ranked, else why it may not."""
    failed = record.clips.failed or any(record.metrics[m].failed for m in metrics if m in record.metrics)
    why = [record.status] if record.status != "complete" else ["failed clips"] if failed else []
    return ", ".join(why if record.limit is None else [*why, f"limit {record.limit}"])


def _row(
    group: Sequence[StoredRecord],
    standing: str,
    bindings: Mapping[str, _Binding | None],
    differing: Mapping[Path, str],
) -> Row:
    record = group[0].record
    return Row(
        method=record.method.name,
        variant="",
        settings=record.method.settings,
        where=" + ".join(sorted({stored.where for stored in group})),
        seeds=tuple(sorted({r.record.seed for r in group if r.record.seed is not None})),
        limit=record.limit,
        status=record.status,
        clips=min(stored.record.clips.total for stored in group),
        cells={metric: _cell(metric, [stored.record for stored in group], bound) for metric, bound in bindings.items()},
        unranked=standing or None,
        differs=any(stored.path in differing for stored in group),
    )


def _cell(metric: str, records: Sequence[RunRecord], bound: _Binding | None) -> Cell:
    """The mean over runs; a run without a comparable value leaves no mean, as it would be of another population."""
    found: list[MetricValue] = []
    by_seed: dict[str, float | None] = {}
    reasons: dict[int | None, str] = {}
    for record in records:
        value = record.metrics.get(metric)
        if value is None:
            reason = "not in the record"
        elif value.value is None:
            reason = value.reason or "no reason given"
        elif bound is None or _bound(value) != bound:
            shown = f"the board shows version {bound[0]}" if bound and bound[0] != value.version else "other scorers"
            reason = f"not comparable: made with version {value.version} of the metric, {shown}"
        else:
            reason = ""
            found.append(value)
        if record.seed is not None:
            by_seed[str(record.seed)] = None if value is None or reason else value.value
        if reason:
            reasons[record.seed] = reason
    n = min((value.n for value in found), default=0)
    failed = max((v.failed for r in records if (v := r.metrics.get(metric))), default=0)
    if reasons:
        texts = sorted(set(reasons.values()))
        if len(reasons) < len(records) or len(texts) > 1:
            texts = [f"seed {seed}: {reason}" for seed, reason in reasons.items()]
        return Cell(None, "; ".join(texts), n=n, failed=failed, by_seed=by_seed)
    values = [value.value for value in found if value.value is not None]
    single = found[0] if len(found) == 1 else None
    return Cell(
        math.fsum(values) / len(values),
        low=single.low if single else None,
        high=single.high if single else None,
        std=statistics.stdev(values) if len(values) > 1 else None,
        n=n,
        failed=failed,
        by_seed=by_seed,
    )


def _with_variants(rows: Sequence[Row]) -> list[Row]:
    """Name, in rows of one method with different settings, the settings that differ."""
    by_method: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_method[row.method].append(row.settings)
    named = []
    for row in rows:
        siblings = by_method[row.method]
        keys = sorted({key for settings in siblings for key in settings})
        differ = [key for key in keys if len({digest(s.get(key)) for s in siblings}) > 1]
        variant = ", ".join(f"{key}={_plain(row.settings[key])}" for key in differ if key in row.settings)
        named.append(replace(row, variant=variant))
    return named


def _column(
    metric: str, title: str, records: Sequence[StoredRecord], rows: Sequence[Row], bound: _Binding | None
) -> Column:
    values = [v for stored in records if (v := stored.record.metrics.get(metric)) is not None]
    if not values:
        return Column(metric, title)
    fitting = [v for v in values if v.value is not None and _bound(v) == bound] or values
    # A limited run may know another chance level; it speaks for the column only if no other does.
    full = [
        v
        for stored in records
        if stored.record.limit is None and (v := stored.record.metrics.get(metric)) is not None and v in fitting
    ]
    chances = {value.chance for value in (full or fitting)}
    unit = fitting[0].unit
    shown = [abs(cell.value) for row in rows if (cell := row.cells[metric]).value is not None]
    largest = max(shown, default=0.0)
    return Column(
        metric,
        title,
        direction=fitting[0].direction,
        unit=unit,
        version=bound[0] if bound else fitting[0].version,
        chance=chances.pop() if len(chances) == 1 else None,
        digits=1 if unit in ("%", "percent") or largest >= 100 else 2 if largest >= 10 else 3,
    )


def _ranked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Mark the best of each column, number the rows by the first column, and put them in order."""
    best: dict[str, float] = {}
    for column in columns:
        values = [v for row in rows if not row.unranked and (v := row.cells[column.id].value) is not None]
        if len(values) > 1:
            best[column.id] = max(values) if column.direction == "up" else min(values)
    marked = [
        replace(
            row,
            cells={
                key: replace(cell, best=not row.unranked and key in best and cell.value == best[key])
                for key, cell in row.cells.items()
            },
        )
        for row in rows
    ]
    if not columns:
        return sorted(marked, key=lambda row: (bool(row.unranked), row.label))
    first = columns[0]

    def badness(row: Row) -> float:
        value = row.cells[first.id].value
        return math.inf if value is None else -value if first.direction == "up" else value

    ranked = [row for row in marked if not row.unranked]
    values = [badness(row) for row in ranked]
    numbered = [
        replace(row, rank=None if badness(row) == math.inf else 1 + sum(v < badness(row) for v in values))
        for row in ranked
    ]
    return [
        *sorted(numbered, key=lambda row: (badness(row), row.label)),
        *sorted((row for row in marked if row.unranked), key=lambda row: (badness(row), row.label)),
    ]


def _reasons(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    notes = []
    for column in columns:
        by_reason: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if reason := row.cells[column.id].reason:
                by_reason[reason].append(row.label)
        notes += [f"No {column.title} for {', '.join(labels)}: {reason}." for reason, labels in by_reason.items()]
    return notes


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _one_line(text: str) -> str:
    return re.sub(r"\.\.$", ".", " ".join(text.split()))


# ---------------------------------------------------------------------------------------------------------- formats

FIXED = ("#", "Method")
TAIL = ("Seeds", "Clips", "Where")


def _grid(board: Board) -> list[list[str]]:
    """The table as plain text: header, rows, and a foot with the chance levels if there are any."""
    grid = [[*FIXED, *(column.header for column in board.columns), *TAIL]]
    for row in board.rows:
        cells = [row.cells[column.id].show(column) for column in board.columns]
        rank = DASH if row.rank is None else str(row.rank)
        grid.append([rank, row.label, *cells, row.shown_seeds, str(row.clips), row.shown_where])
    if board.has_chance:
        chances = ["" if c.chance is None else c.show(c.chance) for c in board.columns]
        grid.append(["", "chance", *chances, "", "", ""])
    return grid


def _is_best(board: Board, line: int, place: int) -> bool:
    """Whether a cell of `_grid` is the best of its column."""
    if not (1 <= line <= len(board.rows) and len(FIXED) <= place < len(FIXED) + len(board.columns)):
        return False
    return board.rows[line - 1].cells[board.columns[place - len(FIXED)].id].best


def to_markdown(board: Board) -> str:
    """A GitHub table with aligned pipes, then the notes as a list."""
    from rich.cells import cell_len

    notes = "".join(f"- {_escape_markdown(note)}\n" for note in board.notes)
    if board.empty:
        return f"{board.empty}\n" + (f"\n{notes}" if notes else "")
    grid = [[_escape_markdown(text) for text in line] for line in _grid(board)]
    grid = [[f"**{t}**" if _is_best(board, i, j) else t for j, t in enumerate(line)] for i, line in enumerate(grid)]
    widths = [max(3, *(cell_len(line[j]) for line in grid)) for j in range(len(grid[0]))]
    left = {1, len(widths) - 1}

    def pad(text: str, j: int) -> str:
        space = " " * (widths[j] - cell_len(text))
        return text + space if j in left else space + text

    lines = ["| " + " | ".join(pad(text, j) for j, text in enumerate(line)) + " |" for line in grid]
    rule = "|" + "|".join(f":{'-' * (w + 1)}" if j in left else f"{'-' * (w + 1)}:" for j, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n" + (f"\n{notes}" if notes else "")


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*<>|]|(?<!\w)_|_(?!\w)|\](?=\())", r"\\\1", text)


def to_csv(board: Board) -> str:
    """Raw numbers, one row a line; empty where there is no number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["rank", "method", "settings", "suite", "suite_version", "fingerprint", "where", "seeds", "limit"]
    head += ["status", "unranked", "clips"]
    parts = ("", "_low", "_high", "_std", "_n")
    writer.writerow([*head, *(column.id + part for column in board.columns for part in parts)])
    for row in board.rows:
        seeds = " ".join(map(str, row.seeds))
        line: list[Any] = [
            row.rank, row.method, canonical_json(dict(row.settings)), board.suite, board.version, board.fingerprint,
            row.where, seeds, row.limit, row.status, row.unranked, row.clips,
        ]  # fmt: skip
        for column in board.columns:
            cell = row.cells[column.id]
            line += [cell.value, cell.low, cell.high, cell.std, cell.n]
        writer.writerow(line)
    return out.getvalue()


def to_latex(board: Board) -> str:
    """A `table` float for the booktabs package; the notes stand below it in small type."""
    if board.empty:
        return f"% {board.empty}\n"
    grid = [[_escape_latex(text) for text in line] for line in _grid(board)]
    for i, line in enumerate(grid):
        grid[i] = [rf"\textbf{{{text}}}" if _is_best(board, i, j) else text for j, text in enumerate(line)]
    head, *rows = (" & ".join(line) + r" \\" for line in grid)
    if board.has_chance:
        rows.insert(-1, r"\midrule")
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{Suite {_escape_latex(board.title)}.}}",
        rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]', '-', board.suite)}}}",
        rf"\begin{{tabular}}{{rl{'r' * len(board.columns)}rrl}}",
        *[r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"],
    ]
    if board.notes:
        notes = "\\\\\n".join(map(_escape_latex, board.notes))
        lines.append(rf"\par\smallskip{{\footnotesize\raggedright {notes}\par}}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "–": "--", "[": "{[}", "]": "{]}",
}  # fmt: skip


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def to_html(board: Board) -> str:
    """One self-contained page (no network): sortable columns, intervals drawn, light and dark."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("board.html").render(board=board, scales=_scales(board), DASH=DASH) + "\n"


def _scales(board: Board) -> dict[str, Callable[[float], float]]:
    """By metric: the function that places a value between 0 and 100 within its column."""
    scales: dict[str, Callable[[float], float]] = {}
    for column in board.columns:
        cells = [row.cells[column.id] for row in board.rows]
        points = [v for cell in cells for v in (cell.value, cell.low, cell.high) if v is not None]
        points += [] if column.chance is None else [column.chance]
        if column.unit in ("%", "percent"):
            points += [0.0, 100.0]
        low, high = min(points, default=0.0), max(points, default=1.0)
        width = (high - low) or 1.0
        scales[column.id] = partial(_place, low, width)
    return scales


def _place(low: float, width: float, value: float) -> float:
    return 100 * (value - low) / width


def to_json(board: Board) -> str:
    """A list of objects, one a row; `method` is a string and `metrics` an object by metric id."""
    rows = [
        {
            "rank": row.rank,
            "method": row.method,
            "settings": dict(row.settings),
            "suite": board.suite,
            "suite_version": board.version,
            "fingerprint": board.fingerprint,
            "where": row.where,
            "seeds": list(row.seeds),
            "limit": row.limit,
            "status": row.status,
            "unranked": row.unranked,
            "clips": row.clips,
            "differs": row.differs,
            "metrics": {column.id: _cell_json(row.cells[column.id], column) for column in board.columns},
        }
        for row in board.rows
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _cell_json(cell: Cell, column: Column) -> dict[str, Any]:
    return {
        "value": cell.value,
        "reason": cell.reason,
        "low": cell.low,
        "high": cell.high,
        "std": cell.std,
        "seeds": dict(cell.by_seed),
        "n": cell.n,
        "failed": cell.failed,
        "unit": column.unit,
        "direction": column.direction,
        "chance": column.chance,
        "version": column.version,
        "best": cell.best,
    }


def to_rich(board: Board, width: int | None = None) -> RenderableType:
    """The board for a terminal of `width` columns (default: the one it runs in)."""
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    notes = [Text(note, style="dim") for note in board.notes]
    if board.empty:
        return Group(Text(board.empty), *notes)
    grid = _grid(board)
    looks: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False, "title_justify": "left"}
    table = Table(title=board.title, header_style="bold", **looks)
    columns = list(zip(*grid, strict=True))
    # Where the lines are too long, the numbers are folded at their spaces before names are cut.
    natural = sum(2 + max(map(cell_len, column)) for column in columns)
    narrow = natural > (width or shutil.get_terminal_size().columns)
    for j, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if j in (1, len(columns) - 1) else "right"
        fold = narrow and len(FIXED) <= j < len(FIXED) + len(board.columns)
        widest = max(cell_len(word) for text in column for word in text.split()) if fold else None
        table.add_column(Text(column[0]), justify=justify, max_width=widest, overflow="fold")
    for i, line in enumerate(grid[1:], start=1):
        foot = i > len(board.rows)
        dim = foot or bool(board.rows[i - 1].unranked)
        cells = [Text(t, style="bold green" if _is_best(board, i, j) else "") for j, t in enumerate(line)]
        table.add_row(*cells, style="dim" if dim else None, end_section=i == len(board.rows))
    return Group(table, *notes)


RENDERERS: dict[str, Callable[[Board], str]] = {
    "md": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
    "html": to_html,
    "json": to_json,
}
