"""Scoring stored images again, and comparing everything that comes out with a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.fullscale.judges import why_missing
from benchmark.media.images import ImageError, load_image, pixel_digest, resize
from benchmark.records.images import hash_images, images_path
from benchmark.records.record import scores_path
from benchmark.records.store import RunFolder
from benchmark.records.tolerances import tolerances
from benchmark.runs import scoring
from benchmark.utils.files import digest
from benchmark.verification.evidence import MAX_IMAGE, Evidence
from benchmark.verification.findings import Report, shown
from benchmark.verification.protocol import Protocol, images_per_clip
from benchmark.weights.locate import checked
from metrics.definitions import INCEPTION, get

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, unused-ignore]  # no stubs

    from benchmark.records.record import RunRecord
    from benchmark.suite import Suite

Files = dict[tuple[str, int], Path]
"""The file of every (clip id, image number)."""


def image_files(evidence: Evidence, protocol: Protocol | None, report: Report) -> Files:
    """Compare the image files with their list and with the clips, and return those of the clips.

    Args:
        evidence: The record, and what lies beside it.
        protocol: The suite and clips; None if they are not known, and then nothing is returned.
        report: Takes what is found.
    """
    folder = evidence.images
    if folder is None:
        report.unchecked.append("images: they are not beside the record; --images DIR names their folder")
        return {}
    there = _hashed(folder, report)
    _compare_with_list(evidence, there, report)
    if protocol is None or protocol.clips is None:
        return {}
    per_clip = images_per_clip(evidence.record, protocol.suite)
    paths = RunFolder(folder.parent).image_paths(protocol.clips.ids, per_clip)
    clip_of = {path.name: clip for (clip, _), path in paths.items()}
    failed, listing, hashes = evidence.record.clips.failures, images_path(evidence.path).name, evidence.hashes
    for name, clip in clip_of.items():
        if name not in there and clip not in failed:
            report.add(f"images/{name}", "", "is missing, and the record does not say that it failed")
        if hashes is not None and name in there and name not in hashes and clip not in failed:
            report.add(listing, name, "is missing, and there is such an image")
    for name in there:
        if name not in clip_of:
            report.add(f"images/{name}", "", "is of no test clip of this run")
    for name in hashes or ():
        if name not in clip_of:
            report.add(listing, name, "is of no test clip of this run")
    return {key: folder / path.name for key, path in paths.items() if path.name in there}


def _hashed(folder: Path, report: Report) -> dict[str, str]:
    found = [path for path in folder.iterdir() if path.suffix == ".png" and path.is_file()]
    for path in found:
        if path.stat().st_size > MAX_IMAGE:
            report.add(f"images/{path.name}", "", f"has over {MAX_IMAGE >> 20} MiB, and is not read")
    return hash_images(path for path in found if path.stat().st_size <= MAX_IMAGE)


def _compare_with_list(evidence: Evidence, there: Mapping[str, str], report: Report) -> None:
    listing = images_path(evidence.path).name
    for name, sha256 in (evidence.hashes or {}).items():
        if name not in there:
            report.add(f"images/{name}", "", f"is missing, and {listing} lists it")
        elif there[name] != sha256:
            report.add(f"images/{name}", "", f"has sha256 {there[name][:12]}...; {listing} says {sha256[:12]}...")


def rescore(evidence: Evidence, job: scoring.ScoreJob, report: Report) -> None:
    """Score the images of `job` as the record did, and compare everything that comes out.

    Args:
        evidence: The record, and what lies beside it.
        job: All image files that are there.
        report: Takes what differs.

    Raises:
        RunError: A network is missing, or nothing can be scored.
    """
    record, clips = evidence.record, job.clips
    wanted, bound = _scorers(record, job.suite, report)
    job = _as_recorded(job, record, evidence.path.name, report)
    scores = scoring.score(job, wanted, bound)
    report.rescored = True
    with_image = {clip for clip, _ in job.images}
    _counts(evidence, scores, [clip for clip in clips.ids if clip not in with_image], len(clips), report)
    fresh = {name: scoring.metric_value(result, scores.scorers[name]) for name, result in scores.results.items()}
    file = evidence.path.name
    for name, value in fresh.items():
        _values(report, file, f"metrics.{name}", record.metrics[name].model_dump(), value.model_dump(), name)
    classes = scores.per_class(clips.labels)
    for name in dict.fromkeys([*classes, *(one for one in record.per_class if one in fresh)]):
        found, again = dict(record.per_class.get(name, {})), dict(classes.get(name, {}))
        _values(report, file, f"per_class.{name}", found, again, name)
    if evidence.scores is None:
        report.add(scores_path(evidence.path).name, "", "is missing")
    elif _lists(evidence.scores, scores.per_clip, scores_path(evidence.path).name, report):
        _scores(evidence.scores, scores.per_clip, scores_path(evidence.path).name, report)
    if "pictures" in record.method.settings:
        pixels = digest([[*key, pixel_digest(load_image(path))] for key, path in sorted(job.images.items())])
        stated = record.method.settings["pictures"]
        report.compare(file, "method.settings.pictures", stated, pixels[:16], "the images' pixels give")


def _scorers(record: RunRecord, suite: Suite, report: Report) -> tuple[list[str], scoring.Bound]:
    """The record's metrics that can be computed here, and the scorers to compute them with."""
    if suite.published is not None:
        roles = [one for one in suite.scorers.model_dump().values() if isinstance(one, str)]
        for name in dict.fromkeys([*roles, *suite.scorers.features]):
            checked(suite, name)
    wanted = [name for name in record.metrics if known(name)]
    bound = scoring.bind(suite, wanted)
    for judge in scoring.judges_of(suite, wanted):
        asked = [name for name in wanted if get(name).extractor == judge]
        if f"features.{judge}" not in bound and any(record.metrics[name].value is not None for name in asked):
            report.unchecked.append(f"{', '.join(asked)}: {why_missing(suite, judge)}")
            wanted = [name for name in wanted if name not in asked]
    with_inception = [name for name in wanted if get(name).extractor == INCEPTION]
    if all(record.metrics[name].reason == scoring.NO_INCEPTION for name in with_inception):
        bound.pop(f"features.{INCEPTION}", None)  # what was not there then may be here now
    elif f"features.{INCEPTION}" not in bound and not all(
        record.metrics[name].value is None for name in with_inception
    ):
        report.unchecked.append(f"{', '.join(with_inception)}: {scoring.NO_INCEPTION}")
        wanted = [name for name in wanted if name not in with_inception]
    return wanted, bound


def known(metric: str) -> bool:
    """Return whether a metric is defined."""
    try:
        get(metric)
    except ValueError:
        return False
    return True


def _as_recorded(job: scoring.ScoreJob, record: RunRecord, file: str, report: Report) -> scoring.ScoreJob:
    """The job with the images that the record scored: of a clip that failed none, unless it has its only one."""
    if images_per_clip(record, job.suite) > 1:
        job = replace(
            job, images={key: path for key, path in job.images.items() if key[0] not in record.clips.failures}
        )
    if not any(value.reason == scoring.SAME_FRAMES for value in record.metrics.values()):
        return job
    if not _are_frames(job):
        report.add(file, "metrics", f"say that {scoring.SAME_FRAMES}, and they are not")
        return job
    return replace(job, draws=False)


def _are_frames(job: scoring.ScoreJob) -> bool:
    """Whether every image is its clip's true frame, pixel by pixel."""
    spec, clips = job.suite.backbone, {clip.id: clip for clip in job.clips}
    try:
        return all(
            pixel_digest(load_image(path)) == pixel_digest(resize(clips[clip].picture(), spec.resolution, spec.resize))
            for (clip, _), path in job.images.items()
        )
    except ImageError:
        return False


def _counts(evidence: Evidence, scores: scoring.Scores, lost: Sequence[str], total: int, report: Report) -> None:
    counts, file, again = evidence.record.clips, evidence.path.name, "scored again there are"
    failed = {*lost, *scores.failures}
    report.compare(file, "clips.total", counts.total, total, "the suite has")
    report.compare(file, "clips.failed", counts.failed, len(failed), again)
    report.compare(file, "clips.silent", counts.silent, len(scores.silent), again)
    for clip in counts.failures:
        if clip not in failed:
            report.add(file, f"clips.failures.{clip}", "is said to have failed, and can be scored")


def _values(
    report: Report, file: str, where: str, found: Mapping[str, Any], again: Mapping[str, Any], metric: str
) -> None:
    """Compare a metric's fields: numbers within the tolerance, unless bits must be equal."""
    if not report.exact:
        most = tolerances().of("rescored", metric).value
        again = {key: found[key] if _within(found.get(key), value, most) else value for key, value in again.items()}
    report.compare(file, where, dict(found), dict(again), "scored again it is")


def _within(a: Any, b: Any, most: float) -> bool:
    return isinstance(a, float) and isinstance(b, float) and abs(a - b) <= most


def _lists(found: DataFrame, again: DataFrame, file: str, report: Report) -> bool:
    """Compare the list of clips, their labels and the columns; whether the scores can be compared clip by clip."""
    ids, expected = [str(one) for one in found["clip"]], [str(one) for one in again["clip"]]
    here, wanted = set(ids), set(expected)
    for clip in expected:
        if clip not in here:
            report.add(file, f"clip {shown(clip)}", "is missing")
    for clip in ids:
        if clip not in wanted:
            report.add(file, f"clip {shown(clip)}", "is no test clip of this run")
    if len(ids) != len(here):
        report.add(file, "clip", "has a clip in several rows")
        return False
    if here == wanted and ids != expected:
        report.add(file, "clip", "is in another order than the clips of the suite")
    labels = dict(zip(expected, again["label"], strict=True))
    for clip, label in zip(ids, found["label"], strict=True):
        if clip in labels and label != labels[clip]:
            report.add(file, f"label of {shown(clip)}", f"is {shown(label)}; the clip's is {shown(labels[clip])}")
    for column in again.columns:
        if column not in found.columns:
            report.add(file, str(column), "is missing")
        elif column not in ("clip", "label") and found[column].dtype.kind != "f":
            report.add(file, str(column), "is no column of numbers")
            return False
    return True


def _scores(found: DataFrame, again: DataFrame, file: str, report: Report) -> None:
    """Compare the scores of the clips that both have."""
    ours, theirs = found.set_index(found["clip"].astype(str)), again.set_index("clip")
    both = [clip for clip in theirs.index if clip in ours.index]
    ours, theirs = ours.loc[both], theirs.loc[both]
    for column in theirs.columns:
        if column == "label" or column not in ours.columns:
            continue
        a, b = ours[column].to_numpy(np.float64), theirs[column].to_numpy(np.float64)
        differ = ~((a == b) | (np.isnan(a) & np.isnan(b)))
        if not report.exact:
            allowed = tolerances().of("rescored", str(column))
            with np.errstate(invalid="ignore"):
                differ &= ~(np.abs(a - b) <= allowed.clip)
            if np.count_nonzero(differ) <= allowed.clips * len(both):
                continue
        for place in np.flatnonzero(differ):
            report.add(file, f"{column} of {shown(both[place])}", f"is {a[place]:.9g}; scored again {b[place]:.9g}")
