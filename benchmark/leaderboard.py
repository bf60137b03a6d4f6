"""The board: derived from records and nothing else.

A row is a method with its settings, over all seeds it was run with. Only equal suite fingerprints and equal metric
definitions (version and scorers) stand in one board; what does not fit is named in the notes. Limited, incomplete and
failed runs are shown, never ranked. Per-clip scores, where they lie beside the records, give the intervals over clips
and say whose distance from the best of a column may be chance.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmark.comparison import Sample, Way, clip_scores, compare_all, mean_over_runs
from benchmark.errors import UserError
from benchmark.files import canonical_json, digest
from benchmark.record import Cost, MetricValue, RunRecord, run_identity
from benchmark.report import sheet as sheets
from benchmark.report.sheet import DASH, Sheet
from benchmark.store import StoredRecord

if TYPE_CHECKING:
    from pandas import DataFrame, Series  # type: ignore[import-untyped, unused-ignore]  # no stubs
    from rich.console import RenderableType

TIED = "†"
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

    `std` is the sample standard deviation over two or more seeds; `low` and `high` are the 95 % interval over clips:
    of each clip's mean over seeds, or the mean of the runs' intervals (which is never too narrow) where there are no
    scores per clip. `n` and `failed` are those of one run (the fewest and the most, if runs differ). `p_best` is the p
    value of the difference from the best of the column; `tied` says that it is not significant.
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
    p_best: float | None = None
    tied: bool = False

    @property
    def mark(self) -> str:
        return TIED if self.tied else ""

    def spread(self, column: Column) -> str:
        """``± std`` over seeds and ``[low, high]`` over clips, what there is of them."""
        parts = [] if self.std is None else [f"± {column.show(self.std)}"]
        if self.low is not None and self.high is not None:
            parts.append(f"[{column.show(self.low)}, {column.show(self.high)}]")
        return " ".join(parts)

    def show(self, column: Column) -> str:
        return f"{column.show(self.value)}{self.mark} {self.spread(column)}".rstrip()


@dataclass(frozen=True)
class Fit:
    """What fitting a row cost: steps, seconds (mean over runs), trained parameters; None where not recorded."""

    steps: int | None = None
    seconds: float | None = None
    parameters: int | None = None

    @classmethod
    def of(cls, costs: Sequence[Cost]) -> Fit:
        steps = [cost.fit_steps for cost in costs if cost.fit_steps is not None]
        seconds = [cost.fit_seconds for cost in costs if cost.fit_seconds is not None]
        parameters = [cost.trainable_parameters for cost in costs if cost.trainable_parameters is not None]
        # One row has one setting: its runs differ in time alone.
        return cls(
            max(steps, default=None), statistics.fmean(seconds) if seconds else None, max(parameters, default=None)
        )

    def show(self) -> str:
        """
        >>> Fit(600, 439.66, 169_891).show()
        '600 steps, 7.3 min, 0.17 M'
        """
        parts = [] if self.steps is None else [f"{self.steps} steps"]
        if self.seconds is not None:
            size, unit = next(
                ((size, unit) for size, unit in ((3600, "h"), (60, "min")) if self.seconds >= size), (1, "s")
            )
            parts.append(f"{self.seconds / size:.1f} {unit}")
        if self.parameters is not None:
            parts.append(f"{self.parameters / 1e6:.3g} M" if self.parameters >= 1e4 else str(self.parameters))
        return ", ".join(parts) or DASH


@dataclass(frozen=True)
class Row:
    """A method with its settings.

    `unranked` says why it may have no rank, `variant` names what tells its settings from those of its sibling rows, and
    `differs` says that another copy of one of its runs holds other numbers (the notes say which). `competes` is false
    for what brackets the others: a method that is told the answer, or is not given the clip's sound. `scores` holds, by
    metric, each clip's mean score over the runs.
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
    fit: Fit = Fit()
    competes: bool = True
    rank: int | None = None
    unranked: str | None = None
    differs: bool = False
    scores: Mapping[str, Series] = field(default_factory=dict, compare=False, repr=False)

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

    def sample(self, metric: str) -> Sample | None:
        """The metric as it enters a comparison; None where the row has no value."""
        cell = self.cells[metric]
        if cell.value is None:
            return None
        runs = tuple(value for value in cell.by_seed.values() if value is not None) or (cell.value,)
        interval = None if cell.low is None or cell.high is None else (cell.low, cell.high)
        return Sample(runs, interval, self.scores.get(metric))


@dataclass(frozen=True)
class Board:
    """Rows in order (ranked first), columns in the order asked for, and what a reader has to know beside them.

    `remarks` are about the records that it was made from, `legend` about how to read it.
    """

    suite: str
    version: int | str | None
    fingerprint: str | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]
    legend: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        return self.remarks + self.legend

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
    def has_fit(self) -> bool:
        return any(row.fit != Fit() for row in self.rows)

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
    are put before the board's own. Records of other suites are left out. Per-clip scores are read from the files beside
    the records; without them everything else still stands.
    """
    own = sorted((r for r in records if r.record.suite.name == suite), key=lambda r: (r.where, str(r.path)))
    fingerprint = fingerprint or _most_common(r.record.suite.fingerprint for r in own)
    same = [r for r in own if r.record.suite.fingerprint == fingerprint]
    remarks = list(notes) + _other_protocols(own, fingerprint)
    bindings = {metric: _binding(same, metric) for metric in metrics}
    kept, differing = _without_duplicates(same, bindings)
    remarks += differing.values()

    scores, damaged = _clip_scores(kept)
    groups: dict[tuple[str, str, int, str], list[StoredRecord]] = defaultdict(list)
    for stored in kept:
        record = stored.record
        limit = -1 if record.limit is None else record.limit
        key = record.method.name, canonical_json(record.method.settings), limit, _standing(record, metrics)
        groups[key].append(stored)
    rows = [_row(group, key[3], bindings, differing, scores) for key, group in sorted(groups.items())]
    rows = _with_intervals(_with_variants(rows))

    titles = titles or {}
    columns = tuple(_column(metric, titles.get(metric, metric), kept, rows, bindings[metric]) for metric in metrics)
    rows, tested = _tested(_ranked(rows, columns), columns)
    legend = _reasons(rows, columns) + tested + _legend(rows, columns)
    return Board(
        suite=suite,
        version=same[-1].record.suite.version if same else None,
        fingerprint=fingerprint,
        columns=columns,
        rows=tuple(rows),
        remarks=tuple(map(_one_line, remarks + damaged)),
        legend=tuple(map(_one_line, legend)),
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


def _clip_scores(records: Sequence[StoredRecord]) -> tuple[dict[Path, DataFrame], list[str]]:
    """Per-clip scores by the record's path, and a line for each file that had to be left out."""
    scores, damaged = {}, []
    for stored in records:
        try:
            if (found := clip_scores(stored)) is not None:
                scores[stored.path] = found
        except UserError as error:
            damaged.append(f"Per-clip scores left out: {error.problems[0]}.")
    return scores, damaged


def _row(
    group: Sequence[StoredRecord],
    standing: str,
    bindings: Mapping[str, _Binding | None],
    differing: Mapping[Path, str],
    scores: Mapping[Path, DataFrame],
) -> Row:
    record = group[0].record
    cells = {metric: _cell(metric, [stored.record for stored in group], bound) for metric, bound in bindings.items()}
    frames = [scores.get(stored.path) for stored in group]
    means = {metric: mean_over_runs(frames, metric) for metric, cell in cells.items() if cell.value is not None}
    sees = set(record.method.card.get("sees", ()))
    return Row(
        method=record.method.name,
        variant="",
        settings=record.method.settings,
        where=" + ".join(sorted({stored.where for stored in group})),
        seeds=tuple(sorted({r.record.seed for r in group if r.record.seed is not None})),
        limit=record.limit,
        status=record.status,
        clips=min(stored.record.clips.total for stored in group),
        cells=cells,
        fit=Fit.of([stored.record.cost for stored in group]),
        competes=not sees or ("audio" in sees and not sees & {"label", "frame"}),
        unranked=standing or None,
        differs=any(stored.path in differing for stored in group),
        scores={metric: mean for metric, mean in means.items() if mean is not None},
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
    lows, highs = [v.low for v in found if v.low is not None], [v.high for v in found if v.high is not None]
    known = len(lows) == len(highs) == len(found)
    return Cell(
        math.fsum(values) / len(values),
        low=math.fsum(lows) / len(lows) if known else None,
        high=math.fsum(highs) / len(highs) if known else None,
        std=statistics.stdev(values) if len(values) > 1 else None,
        n=n,
        failed=failed,
        by_seed=by_seed,
    )


def _with_intervals(rows: Sequence[Row]) -> list[Row]:
    """Of several runs that have scores per clip: the interval of the clips' means over the runs."""
    places = [(i, metric) for i, row in enumerate(rows) for metric in row.scores if row.cells[metric].std is not None]
    if not places:
        return list(rows)
    import pandas as pd

    from metrics.statistics import bootstrap_intervals

    table = pd.concat([rows[i].scores[metric] for i, metric in places], axis=1).to_numpy()
    cells = [dict(row.cells) for row in rows]
    for (i, metric), interval in zip(places, bootstrap_intervals(table), strict=True):
        low, high = interval or (None, None)
        cells[i][metric] = replace(cells[i][metric], low=low, high=high)
    return [replace(row, cells=own) for row, own in zip(rows, cells, strict=True)]


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
        values = [v for row in rows if _in_the_running(row) and (v := row.cells[column.id].value) is not None]
        if len(values) > 1:
            best[column.id] = max(values) if column.direction == "up" else min(values)
    marked = [
        replace(
            row,
            cells={
                key: replace(cell, best=_in_the_running(row) and key in best and cell.value == best[key])
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


def _in_the_running(row: Row) -> bool:
    return row.competes and not row.unranked


_WAYS: dict[Way, str] = {
    "clips": "by a paired permutation test over the same clips, seeds averaged per clip",
    "seeds": "by Welch's t test over seeds",
    "intervals": "where the 95 % intervals overlap",
}


def _tested(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[list[Row], list[str]]:
    """Compare every ranked value with the best of its column; the rows with their marks, and what the marks mean."""
    places, pairs, untested = [], [], []
    for column in columns:
        best = next((row for row in rows if row.cells[column.id].best), None)
        for i, row in enumerate(rows):
            if best is None or row.unranked or row.cells[column.id].best:
                continue
            theirs, ours = best.sample(column.id), row.sample(column.id)
            if theirs is not None and ours is not None:
                places.append((i, column))
                pairs.append((ours, theirs))
    cells = [dict(row.cells) for row in rows]
    ways: dict[Way, list[str]] = defaultdict(list)
    for (i, column), judged in zip(places, compare_all(pairs), strict=True):
        if judged is None:
            untested.append(f"{column.title} of {rows[i].label}")
            continue
        way, p_value, significant = judged
        cells[i][column.id] = replace(cells[i][column.id], p_best=p_value, tied=not significant)
        if column.title not in ways[way]:
            ways[way].append(column.title)
    notes = []
    if ways:
        how = "; ".join(f"{', '.join(ways[way])} {text}" for way, text in _WAYS.items() if way in ways)
        notes.append(f"{TIED} not significantly different from the best of its column (bold), two-sided 5 %: {how}.")
    if untested:
        notes.append(
            f"Not tested against the best: {', '.join(untested)} (no scores per clip, no second seed, no interval)."
        )
    return [replace(row, cells=own) for row, own in zip(rows, cells, strict=True)], notes


def _legend(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    notes = []
    aside = dict.fromkeys(row.method for row in rows if not row.competes)
    if aside and any(cell.best for row in rows for cell in row.cells.values()):
        notes.append(f"Bold is the best of those that hear the clip but not its label or frame: not {_or(aside)}.")
    if any(cell.std is not None for row in rows for cell in row.cells.values()):
        notes.append("± is the standard deviation over seeds.")
    if any(cell.low is not None for row in rows for cell in row.cells.values()):
        several = {c.title: c.id for c in columns if any(row.cells[c.id].std is not None for row in rows)}
        scored = [title for title, metric in several.items() if any(metric in row.scores for row in rows)]
        others = [title for title in several if title not in scored]
        text = "[low, high] is the 95 % interval over clips"
        text += ", each clip averaged over seeds" if scored else ""
        notes.append(text + (f"; of {', '.join(others)}, the mean of the runs' intervals." if others else "."))
    if any(row.fit != Fit() for row in rows):
        notes.append(
            "Fit: optimiser steps, wall-clock time (mean over seeds, on the record's machine), trained parameters."
        )
    return notes


def _or(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


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
    """A setting's value as it is typed; of a file's hash enough to tell it from others."""
    if isinstance(value, str):
        return value[:12] if re.fullmatch("[0-9a-f]{64}", value) else value
    return json.dumps(value, ensure_ascii=False)


def _one_line(text: str) -> str:
    return re.sub(r"\.\.$", ".", " ".join(text.split()))


# ---------------------------------------------------------------------------------------------------------- formats

FIXED = ("#", "Method")


def _tail(board: Board) -> tuple[str, ...]:
    return (*(["Fit"] if board.has_fit else []), "Seeds", "Clips", "Where")


def as_sheet(board: Board, title: str | None = None) -> Sheet:
    """The board as a plain table: rows, then the chance levels if there are any."""
    tail = _tail(board)
    header = (*FIXED, *(column.header for column in board.columns), *tail)
    lines = []
    for row in board.rows:
        cells = [row.cells[column.id].show(column) for column in board.columns]
        fit = [row.fit.show()] if board.has_fit else []
        rank = DASH if row.rank is None else str(row.rank)
        lines.append((rank, row.label, *cells, *fit, row.shown_seeds, str(row.clips), row.shown_where))
    if board.has_chance:
        chances = ["" if c.chance is None else c.show(c.chance) for c in board.columns]
        lines.append(("", "chance", *chances, *[""] * len(tail)))
    foot = {len(board.rows)} if board.has_chance else set()
    return Sheet(
        title=title or board.title,
        header=header,
        rows=tuple(lines),
        left=frozenset({1, len(header) - 1}),
        bold=frozenset(
            (i, len(FIXED) + j)
            for i, row in enumerate(board.rows)
            for j, column in enumerate(board.columns)
            if row.cells[column.id].best
        ),
        dim=frozenset({i for i, row in enumerate(board.rows) if row.unranked} | foot),
        rules=frozenset(foot),
        notes=board.notes,
        names=len(FIXED),
        name=board.suite,
    )


def to_markdown(board: Board) -> str:
    """A GitHub table with aligned pipes, then the notes as a list."""
    if board.empty:
        notes = sheets.markdown_notes(board.notes)
        return f"{board.empty}\n" + (f"\n{notes}" if notes else "")
    return sheets.markdown(as_sheet(board), titled=False)


def to_csv(board: Board) -> str:
    """Raw numbers, one row a line; empty where there is no number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["rank", "method", "settings", "suite", "suite_version", "fingerprint", "where", "seeds", "limit"]
    head += ["status", "unranked", "clips", "fit_steps", "fit_seconds", "trainable_parameters"]
    parts = ("", "_low", "_high", "_std", "_n", "_p_best")
    writer.writerow([*head, *(column.id + part for column in board.columns for part in parts)])
    for row in board.rows:
        seeds = " ".join(map(str, row.seeds))
        line: list[Any] = [
            row.rank, row.method, canonical_json(dict(row.settings)), board.suite, board.version, board.fingerprint,
            row.where, seeds, row.limit, row.status, row.unranked, row.clips,
            row.fit.steps, row.fit.seconds, row.fit.parameters,
        ]  # fmt: skip
        for column in board.columns:
            cell = row.cells[column.id]
            line += [cell.value, cell.low, cell.high, cell.std, cell.n, cell.p_best]
        writer.writerow(line)
    return out.getvalue()


def to_latex(board: Board) -> str:
    """A `table` float for the booktabs package; the notes stand below it in small type."""
    if board.empty:
        return f"% {board.empty}\n"
    return sheets.latex(as_sheet(board, title=f"Suite {board.title}."))


def to_html(board: Board, beside: Sequence[Sheet] = ()) -> str:
    """One self-contained page (no network): sortable columns, intervals drawn, light and dark; other tables below."""
    return sheets.page("board.html", board=board, scales=_scales(board), sheets=beside)


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
    return json.dumps(as_objects(board), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_objects(board: Board) -> list[dict[str, Any]]:
    """The rows as plain values."""
    return [
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
            "fit_steps": row.fit.steps,
            "fit_seconds": row.fit.seconds,
            "trainable_parameters": row.fit.parameters,
            "differs": row.differs,
            "metrics": {column.id: _cell_json(row.cells[column.id], column) for column in board.columns},
        }
        for row in board.rows
    ]


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
        "p_best": cell.p_best,
        "tied": cell.tied,
    }


def to_rich(board: Board, width: int | None = None) -> RenderableType:
    """The board for a terminal of `width` columns (default: the one it runs in)."""
    from rich.console import Group
    from rich.text import Text

    if board.empty:
        return Group(Text(board.empty), *(Text(note, style="dim") for note in board.notes))
    return sheets.rich_table(as_sheet(board), width)


RENDERERS: dict[str, Callable[[Board], str]] = {
    "md": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
    "html": to_html,
    "json": to_json,
}
