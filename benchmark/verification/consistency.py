"""What a record, its scores per clip and the hashes of its images say of each other; no image, no network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.records.images import images_path, reference
from benchmark.records.record import MetricValue, RunRecord, identity_of, scores_path
from benchmark.runs.to_record import facts_of
from benchmark.verification.evidence import Evidence
from benchmark.verification.findings import Report, shown
from metrics import definitions
from metrics.statistics import bootstrap_intervals, mean

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, unused-ignore]  # no stubs

    from benchmark.suite import Suite

CLOSE = {"rel_tol": 1e-9, "abs_tol": 1e-9}
"""Where the same sum may be formed by another version of numpy."""


def check(evidence: Evidence, suite: Suite | None, report: Report) -> None:
    """Add to `report` everything in which the files contradict each other, their suite or the metrics' definitions.

    Args:
        evidence: The files.
        suite: The record's protocol, or the suite that it is derived from; None if it is not known here.
        report: Takes what is found.
    """
    record, file = evidence.record, evidence.path.name
    if evidence.written is None:
        report.unchecked.append(
            "provenance, cost, card, warnings and silent clips: nothing beside the record repeats them"
        )
    else:
        report.compare(file, "", facts_of(record), evidence.written, "when it was scored it was")
    if record.identity != identity_of(record):
        message = "is not that of the suite, method, settings, seed and limit: one of them was changed, or this"
        report.add(file, "identity", message)
    _clips(record, file, report)
    for name, value in record.metrics.items():
        _definition(name, value, record, file, report)
    if suite is not None:
        for name in suite.metrics:
            if name not in record.metrics:
                report.add(file, f"metrics.{name}", f"is missing, and suite {suite.name} lists it")
    _hashes(evidence, report)
    if evidence.scores is None:
        report.unchecked.append(f"values, intervals and classes: there is no {scores_path(evidence.path).name}")
    else:
        _scores(evidence, evidence.scores, None if suite is None else suite.generation.seed, report)


def _clips(record: RunRecord, file: str, report: Report) -> None:
    clips = record.clips
    if clips.failures:
        report.compare(file, "clips.failed", clips.failed, len(clips.failures), "the list of failures has")
    if clips.failed > clips.total:
        report.add(file, "clips.failed", f"is {clips.failed} of {clips.total} clips")
    if clips.silent > clips.total:
        report.add(file, "clips.silent", f"is {clips.silent} of {clips.total} clips")
    for name, value in record.metrics.items():
        report.compare(file, f"metrics.{name}.failed", value.failed, clips.failed, "the record's failed clips are")
    failed = clips.failed or any(value.failed for value in record.metrics.values())
    report.compare(file, "status", record.status, "incomplete" if failed else "complete", "its clips and metrics make")


def _definition(name: str, value: MetricValue, record: RunRecord, file: str, report: Report) -> None:
    where = f"metrics.{name}"
    try:
        metric = definitions.get(name)
    except ValueError as error:
        report.add(file, where, f"is no metric: {error}")
        return
    said = f"the definition of {name} says"
    report.compare(file, f"{where}.unit", value.unit, metric.unit, said)
    report.compare(file, f"{where}.direction", value.direction, metric.direction, said)
    report.compare(file, f"{where}.version", value.version, metric.version, said)
    low, high = metric.bounds
    for part in ("value", "low", "high"):
        number = getattr(value, part)
        if number is None:
            continue
        if (low is not None and number < low - 1e-9) or (high is not None and number > high + 1e-9):
            report.add(file, f"{where}.{part}", f"is {number:.6g}, outside {low} to {high} {metric.unit}")
    labels = {label for classes in record.per_class.values() for label in classes}
    # what guessing gets is counted from the clips themselves, and rescoring compares it
    counted = metric.variant == "visible" or metric.family == "hears"
    if labels and not counted:
        chance = metric.chance_level(len(labels))
        if not _close(value.chance, chance):
            report.add(
                file, f"{where}.chance", f"is {shown(value.chance)}; {said} {shown(chance)} of {len(labels)} classes"
            )


def _hashes(evidence: Evidence, report: Report) -> None:
    record, name = evidence.record, images_path(evidence.path).name
    if evidence.hashes is None:
        if record.images is not None:
            report.add(name, "", f"is missing: the record names {record.images.count} images")
        else:
            report.unchecked.append("which images were scored: the record has no hashes of them")
        return
    if record.images is None:
        report.add(evidence.path.name, "images", f"is missing, and {name} lists {len(evidence.hashes)}")
        return
    listed = reference(evidence.hashes)
    report.compare(evidence.path.name, "images.count", record.images.count, listed.count, f"{name} lists")
    report.compare(
        evidence.path.name, "images.sha256", record.images.sha256, listed.sha256, f"{name} was changed, or this; it has"
    )


def _scores(evidence: Evidence, scores: DataFrame, seed: int | None, report: Report) -> None:
    record, file, name = evidence.record, scores_path(evidence.path).name, evidence.path.name
    columns = _lists(scores, record, (name, file), report)
    known = [column for column in columns if column in record.metrics]
    table = scores[known]
    if any(kind.kind != "f" for kind in table.dtypes):
        wrong = [column for column in known if table[column].dtype.kind != "f"]
        report.add(file, wrong[0], "is no column of numbers")
        return
    values = table.to_numpy(dtype=np.float64)
    if np.isinf(values).any():
        report.add(file, "", "has scores that are not finite")
        return
    intervals = bootstrap_intervals(values, seed=seed or 0) if len(known) else []
    labels = scores["label"].astype(str).to_numpy()
    for column, own, interval in zip(known, values.T, intervals, strict=True):
        value, where = record.metrics[column], f"metrics.{column}"
        low, high = interval or (None, None)
        scored = int(np.count_nonzero(~np.isnan(own)))
        said = f"{file} gives"
        parts: dict[str, Any] = {"value": mean(own) if scored else None, "low": low, "high": high, "n": scored}
        if seed is None:
            del parts["low"], parts["high"]
        for part, expected in parts.items():
            found = getattr(value, part)
            if not _close(found, expected):
                report.add(name, f"{where}.{part}", f"is {shown(found)}; {said} {shown(expected)}")
        _classes(record.per_class.get(column), labels, own, column, (name, file), report)
    for metric in record.per_class:
        if metric in record.metrics and metric not in known:
            report.add(file, metric, "is missing, and the record has a mean of it by class")
        elif metric not in record.metrics:
            report.add(name, f"per_class.{metric}", "is of no metric of the record")


def _lists(scores: DataFrame, record: RunRecord, files: tuple[str, str], report: Report) -> list[str]:
    """Compare the rows and the columns with the record; the columns that hold scores."""
    name, file = files
    ids = [str(one) for one in scores["clip"]]
    if len(set(ids)) < len(ids):
        repeated = next(one for place, one in enumerate(ids) if one in ids[:place])
        report.add(file, "clip", f"{shown(repeated)} has several rows")
    if len(ids) != record.clips.total:
        report.add(name, "clips.total", f"is {record.clips.total}; {file} has {len(ids)} rows")
    columns = [str(one) for one in scores.columns if one not in ("clip", "label")]
    for column in columns:
        if column not in record.metrics:
            report.add(file, column, "is a column of which the record knows no metric")
    return columns


def _classes(
    found: dict[str, float | None] | None,
    labels: Any,
    scores: Any,
    metric: str,
    files: tuple[str, str],
    report: Report,
) -> None:
    where = f"per_class.{metric}"
    if found is None:
        if not np.isnan(scores).all():
            report.add(files[0], where, f"is missing, and {files[1]} has scores by label")
        return
    for label in dict.fromkeys([*found, *labels]):
        own = scores[(labels == label) & ~np.isnan(scores)]
        expected = mean(own) if len(own) else None
        if label not in found:
            report.add(files[0], f"{where}.{label}", f"is missing; {files[1]} gives {shown(expected)}")
        elif not _close(found[label], expected):
            report.add(files[0], f"{where}.{label}", f"is {shown(found[label])}; {files[1]} gives {shown(expected)}")


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, **CLOSE)
