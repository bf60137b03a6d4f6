"""Build a leaderboard from records and nothing else.

A row is a method with its settings, over all seeds it was run with. Only equal suite fingerprints and equal metric
definitions (version and scorers) stand in one board; what does not fit is named in the notes. Limited, incomplete and
failed runs are shown, never ranked. Per-clip scores, where they lie beside the records, give the intervals over clips
and say whose distance from the best of a column may be chance.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmark.leaderboard import people
from benchmark.leaderboard.board import TIED, Board, Cell, Column, Fit, Row
from benchmark.leaderboard.clip_scores import ClipScores, Contradiction, clip_scores, mean_over_runs, side_by_side
from benchmark.leaderboard.selection import chosen
from benchmark.leaderboard.significance import Way, judge_all
from benchmark.records.provenance import same_surroundings
from benchmark.records.record import MetricValue, RunRecord, identity_of
from benchmark.records.store import StoredRecord
from benchmark.records.tolerances import tolerances
from benchmark.suite import load_suite, suite_names
from benchmark.utils.collector import no_collection
from benchmark.utils.errors import UserError
from benchmark.utils.files import canonical_json
from benchmark.utils.text import visible
from metrics import definitions
from metrics.novelty import COPY
from metrics.statistics import bootstrap_intervals


@no_collection()
def build_board(
    records: Iterable[StoredRecord],
    metrics: Sequence[str],
    *,
    suite: str,
    fingerprint: str | None = None,
    titles: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    methods: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> Board:
    """Make the board of `suite` out of `records`, in whatever order they come.

    `metrics` are the ids of the columns; rows are sorted by the first, in its direction. `fingerprint` is the protocol
    that the board is of; by default the one that most records followed. `titles` are headings in place of ids, `notes`
    are put before the board's own. Records of other suites are left out. Per-clip scores are read from the files beside
    the records; without them everything else still stands.

    `methods` are the only rows, by method or label: rank, best and significance are among these alone. What makes
    numbers comparable (definitions, intervals) is still decided by all records, so that no value moves. `names` are
    what rows are called instead, by method or label.

    Raises:
        UserError: No row is called so, or two would be called the same.
    """
    own = sorted((r for r in records if r.record.suite.name == suite), key=lambda r: (r.where, str(r.path)))
    fingerprint = fingerprint or _most_common(r.record.suite.fingerprint for r in own)
    same = [r for r in own if r.record.suite.fingerprint == fingerprint]
    remarks = list(notes)
    scores, damaged, refused = _clip_scores(same, metrics)
    same = [r for r in same if r.path not in refused]
    same, metrics, said = people.join(same, metrics, scores)
    remarks += said
    bindings = {metric: _binding(same, metric) for metric in metrics}
    kept, differing, reproduced = _without_duplicates(same, bindings)

    groups: dict[tuple[str, str, int, str, str], list[StoredRecord]] = defaultdict(list)
    for stored in kept:
        record = stored.record
        limit = -1 if record.limit is None else record.limit
        name, settings, source = record.method.name, canonical_json(record.method.settings), record.method.source or ""
        groups[name, settings, limit, _standing(record, metrics), source].append(stored)
    rows = [_row(group, key[3], bindings, differing, scores) for key, group in sorted(groups.items())]
    rows = chosen(_with_intervals(_with_variants(rows)), methods, names or {})

    titles = titles or {}
    columns = tuple(_column(metric, titles.get(metric, metric), kept, bindings[metric]) for metric in metrics)
    rows, tested = _tested(_ranked(rows, columns), columns)
    legend = _reasons(rows, columns) + tested + _copied(rows) + _aside(rows) + _related(rows, columns, kept, suite)
    spoken_of = {row.method for row in rows} if methods else {one.record.method.name for one in own}
    about = [one for one in own if one.record.method.name in spoken_of]
    remarks += _other_protocols(about, fingerprint)
    beside = (differing, reproduced, damaged, refused)
    remarks += [line for lines in beside for one in about if (line := lines.get(one.path))]
    return Board(
        suite=suite,
        version=same[-1].record.suite.version if same else None,
        fingerprint=fingerprint,
        columns=columns,
        rows=tuple(rows),
        remarks=tuple(map(_one_line, remarks)),
        legend=tuple(map(_one_line, legend)),
    )


_Binding = tuple[int, str]  # version of a metric's definition, and its scorers' hashes as canonical JSON


def _bound(value: MetricValue) -> _Binding:
    return value.version, _as_text(tuple(value.scorers.items()))


@lru_cache
def _as_text(scorers: tuple[tuple[str, str], ...]) -> str:
    return canonical_json(dict(scorers))


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
) -> tuple[list[StoredRecord], dict[Path, str], dict[Path, str]]:
    """Each run once: complete before incomplete, then the most values that fit the board, then packaged before runs.

    Also, by the path of the record that was kept, a line for each of which another copy holds different numbers, and
    one for each of which a copy was made in other surroundings and lies within the tolerances.
    """
    by_run: dict[str, list[StoredRecord]] = defaultdict(list)
    for stored in records:
        r = stored.record
        # Computed, not read: a copied or edited record must not count twice.
        run = identity_of(r)
        by_run[run].append(stored)

    def preference(stored: StoredRecord) -> tuple[bool, int, bool, str, str]:
        record = stored.record
        fitting = sum(
            (value := record.metrics.get(metric)) is not None and _bound(value) == bound and value.value is not None
            for metric, bound in bindings.items()
        )
        complete = record.status == "complete" and not record.clips.failed
        return complete, fitting, stored.where == "packaged", record.provenance.date, str(stored.path)

    kept, differing, reproduced = [], {}, {}
    for copies in by_run.values():
        best = max(copies, key=preference)
        kept.append(best)
        for other in copies:
            apart = {} if other is best else _differences(best.record, other.record, bindings)
            if not apart:
                continue
            alike = _same_surroundings(best.record, other.record)
            allowed = {metric: tolerances().of("reproduced", metric).value for metric in apart}
            beyond = next((metric for metric in apart if alike or abs(apart[metric]) > allowed[metric]), None)
            if beyond is None:
                said = [f"{metric} {value:+.2g} of {allowed[metric]:g}" for metric, value in apart.items()]
                reproduced[best.path] = (
                    f"{_name(best.record)} ({best.where}) was reproduced ({other.where}) in other surroundings within "
                    f"the tolerances: {', '.join(said)}."
                )
                continue
            ours, theirs = best.record.metrics[beyond].value, other.record.metrics[beyond].value
            differing[best.path] = (
                f"* {_name(best.record)} has copies with other results: {beyond} is {ours:.6g} in the one shown "
                f"({best.where}) and {theirs:.6g} in {other.path.parent.name}/{other.path.name} ({other.where})."
            )
    kept.sort(key=lambda k: (-1 if k.record.seed is None else k.record.seed, k.where, str(k.path)))
    return kept, dict(sorted(differing.items())), reproduced


def _differences(one: RunRecord, other: RunRecord, metrics: Iterable[str]) -> dict[str, float]:
    """Return by how much the values of `other` lie above those of `one`, where they are not equal."""
    found = {}
    for metric in metrics:
        a, b = one.metrics.get(metric), other.metrics.get(metric)
        if a is None or b is None or a.value is None or b.value is None or _bound(a) != _bound(b):
            continue
        if not math.isclose(a.value, b.value, rel_tol=1e-6, abs_tol=1e-9):
            found[metric] = b.value - a.value
    return found


def _same_surroundings(one: RunRecord, other: RunRecord) -> bool:
    """Whether every step of both is known to have been made in the same surroundings, so that bits have to be equal."""
    if not (one.provenance.generate and other.provenance.generate):
        return False
    made = [entry for run in (one, other) for entries in run.provenance.steps.values() for entry in entries]
    return all(same_surroundings(made[0], entry) for entry in made[1:])


def _standing(record: RunRecord, metrics: Sequence[str]) -> str:
    """Empty for a run that may be ranked, else why it may not."""
    failed = record.clips.failed or any(record.metrics[m].failed for m in metrics if m in record.metrics)
    why = [record.status] if record.status != "complete" else ["failed clips"] if failed else []
    return ", ".join(why if record.limit is None else [*why, f"limit {record.limit}"])


NOVELTY = "novelty"
"""Beginning of the ids of metrics that tell copies of training frames."""

READERS = 3
"""Threads that read scores."""

_Scores = dict[str, ClipScores]  # by metric


def _clip_scores(
    records: Sequence[StoredRecord], metrics: Sequence[str]
) -> tuple[dict[Path, _Scores], dict[Path, str], dict[Path, str]]:
    """Read the scores beside the records.

    Returns:
        By the record's path: per-clip scores; a line for each file that cannot be read; and a line for each record
        whose values are not those of its scores.
    """

    def read(stored: StoredRecord) -> _Scores | UserError | None:
        try:
            return clip_scores(stored, metrics)
        except UserError as error:
            return error

    # Half of the time is spent outside Python, decoding.
    with ThreadPoolExecutor(READERS) as readers:
        found = list(zip(records, readers.map(read, records), strict=True))
    scores = {stored.path: one for stored, one in found if isinstance(one, dict)}
    faults = [(stored, one) for stored, one in found if isinstance(one, UserError)]
    refused = {
        stored.path: f"Left out, {_name(stored.record)} ({stored.where}): {one.problems[0]}."
        for stored, one in faults
        if isinstance(one, Contradiction)
    }
    damaged = {
        stored.path: f"Per-clip scores left out: {one.problems[0]}."
        for stored, one in faults
        if not isinstance(one, Contradiction)
    }
    return scores, damaged, refused


def _row(
    group: Sequence[StoredRecord],
    standing: str,
    bindings: Mapping[str, _Binding | None],
    differing: Mapping[Path, str],
    scores: Mapping[Path, _Scores],
) -> Row:
    record = group[0].record
    having = {metric: people.asked_about(group, metric) for metric in bindings}
    cells = {metric: _cell(metric, [one.record for one in having[metric]], bound) for metric, bound in bindings.items()}
    means = {
        metric: mean_over_runs([scores.get(one.path) for one in having[metric]], metric)
        for metric, cell in cells.items()
        if cell.value is not None
    }
    first = next(iter(bindings), "")
    of_runs = [scores.get(one.path, {}).get(first) for one in having.get(first, ())]
    sees, attack = set(record.method.card.get("sees", ())), bool(record.method.card.get("attack"))
    return Row(
        method=record.method.name,
        variant="",
        settings=record.method.settings,
        source=record.method.source,
        where=" + ".join(sorted({stored.where for stored in group})),
        seeds=tuple(sorted({r.record.seed for r in group if r.record.seed is not None})),
        limit=record.limit,
        status=record.status,
        clips=min(stored.record.clips.total for stored in group),
        cells=cells,
        fit=Fit.of([stored.record.cost for stored in group]),
        competes=not attack and (not sees or ("audio" in sees and not sees & {"label", "frame"})),
        attack=attack,
        copies=any(_copies(stored.record) for stored in group),
        unranked=standing or None,
        differs=any(stored.path in differing for stored in group),
        scores={metric: mean for metric, mean in means.items() if mean is not None},
        # Of ratings the clips are not the only sample.
        runs=() if first == people.METRIC or None in of_runs else tuple(one for one in of_runs if one is not None),
    )


def _copies(record: RunRecord) -> bool:
    """Whether a record's novelty is that of copies of training frames, by whatever features it was measured."""
    found = [value for name, value in record.metrics.items() if name.partition(".")[0] == NOVELTY]
    return any(one.value is not None and (one.value if one.high is None else one.high) < COPY for one in found)


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
            shown = "other scorers"
            if bound and bound[0] != value.version:
                shown = f"the board shows version {bound[0]}"
            elif bound and json.loads(bound[1]).get("labels") != value.scorers.get("labels"):
                shown = "other labels"
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
    places = [
        (i, metric)
        for i, row in enumerate(rows)
        for metric in row.scores
        # Of ratings the clips are not the only sample: the mean of the runs' intervals stays.
        if row.cells[metric].std is not None and metric != people.METRIC
    ]
    if not places:
        return list(rows)
    table = side_by_side([rows[i].scores[metric] for i, metric in places])
    cells = [dict(row.cells) for row in rows]
    for (i, metric), interval in zip(places, bootstrap_intervals(table), strict=True):
        low, high = interval or (None, None)
        cells[i][metric] = replace(cells[i][metric], low=low, high=high)
    return [replace(row, cells=own) for row, own in zip(rows, cells, strict=True)]


def _with_variants(rows: Sequence[Row]) -> list[Row]:
    """Name, in rows of one method with different settings or code, what differs."""
    by_method: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_method[row.method].append(_told_apart_by(row))
    differ = {}
    for method, siblings in by_method.items():
        keys = sorted({key for settings in siblings for key in settings})
        differ[method] = [key for key in keys if len({canonical_json(s.get(key)) for s in siblings}) > 1]
    named = []
    for row in rows:
        own = _told_apart_by(row)
        keys = [key for key in differ[row.method] if key in own]
        named.append(replace(row, variant=", ".join(f"{key}={_plain(own[key])}" for key in keys)))
    return named


def _told_apart_by(row: Row) -> Mapping[str, Any]:
    return row.settings if row.source is None else {**row.settings, "code sha256": row.source}


def _column(metric: str, title: str, records: Sequence[StoredRecord], bound: _Binding | None) -> Column:
    having = [stored.record for stored in records if metric in stored.record.metrics]
    if not having:
        return Column(metric, title)
    fitting = [r for r in having if (v := r.metrics[metric]).value is not None and _bound(v) == bound] or having
    # A limited run may know another chance level; it speaks for the column only if no other does.
    full = [record for record in fitting if record.limit is None]
    chances = {record.metrics[metric].chance for record in full or fitting}
    first = fitting[0].metrics[metric]
    return Column(
        metric,
        title,
        direction=first.direction,
        unit=first.unit,
        version=bound[0] if bound else first.version,
        chance=chances.pop() if len(chances) == 1 else None,
    )


def _ranked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Mark the best of each column, number the rows by the first column, and put them in order."""
    best: dict[str, float] = {}
    for column in columns:
        values = [v for row in rows if _in_the_running(row) and (v := row.cells[column.id].value) is not None]
        if len(values) > 1 and not column.warns:
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

    values = sorted(badness(row) for row in marked if _in_the_running(row))

    def numbered(row: Row) -> Row:
        if badness(row) == math.inf or not _in_the_running(row):
            return row
        return replace(row, rank=1 + bisect_left(values, badness(row)))

    return [
        *sorted((numbered(row) for row in marked if not row.unranked), key=lambda row: (badness(row), row.label)),
        *sorted((row for row in marked if row.unranked), key=lambda row: (badness(row), row.label)),
    ]


def _in_the_running(row: Row) -> bool:
    return row.competes and not row.unranked


_WAYS: dict[Way, str] = {
    "clips": "by a paired permutation test over the same clips, seeds averaged per clip",
    "seeds and clips": "by Welch's t test over seeds and clips",
    "unpaired": "by a permutation test over the clips of either side",
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
    for (i, column), judged in zip(places, judge_all(pairs), strict=True):
        if judged is None:
            untested.append(f"{column.title} of {rows[i].label}")
            continue
        cells[i][column.id] = replace(cells[i][column.id], against_best=judged)
        if column.title not in ways[judged.way]:
            ways[judged.way].append(column.title)
    notes = []
    if ways:
        how = "; ".join(f"{', '.join(ways[way])} {text}" for way, text in _WAYS.items() if way in ways)
        notes.append(f"{TIED} not significantly different from the best of its column (bold), two-sided 5 %: {how}.")
    if untested:
        notes.append(
            f"Not tested against the best: {', '.join(untested)} (no scores per clip, no second seed, no interval)."
        )
    return [replace(row, cells=own) for row, own in zip(rows, cells, strict=True)], notes


def _copied(rows: Sequence[Row]) -> list[str]:
    named = dict.fromkeys(row.shown_name for row in rows if row.copies)
    if not named:
        return []
    return [
        f"Copies of training frames, or nearly: {', '.join(named)} (novelty below {COPY:g} %; true frames have 50)."
    ]


def _aside(rows: Sequence[Row]) -> list[str]:
    if not any(cell.best for row in rows for cell in row.cells.values()):
        return []
    notes = []
    if aside := dict.fromkeys(row.shown_name for row in rows if not row.competes and not row.attack):
        notes.append(
            f"Rank and bold are for those that hear the clip but not its label or frame: not for {_or(aside)}."
        )
    if attacks := dict.fromkeys(row.shown_name for row in rows if row.attack):
        notes.append(f"Attacks, made to win a metric without hearing more, have no rank: {', '.join(attacks)}.")
    return notes


def _related(rows: Sequence[Row], columns: Sequence[Column], records: Sequence[StoredRecord], suite: str) -> list[str]:
    """Say which rows hear with a network that shares weights or a teacher with what scores them."""
    base = suite.partition("+")[0]
    related = load_suite(base).related if base in suite_names() else {}
    if not related:
        return []
    by_method = {one.record.method.name: one.record for one in records}
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in rows:
        record = by_method[row.method]
        scorers = {
            record.weights.get(scorer) for own in related.keys() & record.weights.keys() for scorer in related[own]
        }
        scored = tuple(
            column.title
            for column in columns
            if (value := record.metrics.get(column.id)) is not None and scorers & set(value.scorers.values())
        )
        if scored:
            found[scored].append(row.shown_name)
    return [
        f"The encoder of {_and(names)} shares weights or a teacher with a scorer of {', '.join(scored)}, "
        "which may favour it there."
        for scored, names in found.items()
    ]


def _and(names: Iterable[str]) -> str:
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} and {last}" if most else last


def _or(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def _reasons(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    """Why cells are empty: a line for each reason, with all columns that have it for the same rows."""
    columns_of: dict[str, list[str]] = defaultdict(list)
    for column in columns:
        by_reason: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if reason := row.cells[column.id].reason:
                by_reason[reason].append(row.label)
        if rows and all(row.cells[column.id].value is None for row in rows):
            # Rows that never get a value, such as a distance of the true frames from themselves, say least.
            reason = max(by_reason, key=lambda reason: (len(by_reason[reason]), reason), default="no record has it")
            columns_of[f"No column {{}}, as no row has a value: {reason}{_remedy(column.id)}."].append(column.title)
            continue
        for reason, labels in by_reason.items():
            columns_of[f"No {{}} for {', '.join(labels)}: {reason}."].append(column.title)
    return [line.replace("{}", ", ".join(titles), 1) for line, titles in columns_of.items()]


def _remedy(metric: str) -> str:
    """What fills an empty column, where a command does."""
    try:
        inception = definitions.get(metric).extractor == definitions.INCEPTION
    except ValueError:
        return ""
    return "; `bench fetch inception`, then `bench score RUN` for each run" if inception else ""


def _plain(value: Any) -> str:
    """A setting's value as it is typed; of a file's hash enough to tell it from others."""
    if isinstance(value, str):
        return value[:12] if re.fullmatch("[0-9a-f]{64}", value) else value
    return json.dumps(value, ensure_ascii=False)


def _one_line(text: str) -> str:
    return visible(re.sub(r"\.\.$", ".", " ".join(text.split())))
