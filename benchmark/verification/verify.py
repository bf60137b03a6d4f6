"""`bench verify`: what a record claims against itself, its suite and a new scoring of its stored images."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.records.provenance import collect, same_surroundings
from benchmark.runs import learning, scoring
from benchmark.utils.device import arithmetic, find_device
from benchmark.utils.env import cache_dir, environment
from benchmark.utils.errors import BenchError
from benchmark.verification import consistency, protocol
from benchmark.verification.bundle import BundleError, is_bundle, opened
from benchmark.verification.evidence import Evidence, gather
from benchmark.verification.findings import Finding, Report
from benchmark.verification.rescoring import Files, image_files, rescore
from benchmark.verification.rules import examine
from benchmark.weights.locate import resolve

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a verification works with."""

    data: Path | None = None
    """The manifest of the clips, for a run on a user's own."""
    images: Path | None = None
    """The folder of the images, if it is not beside the record."""
    device: str = "auto"
    """Where the networks run."""
    cached: bool = True
    """Whether embeddings and the world's clips are taken from the cache."""


def verify(path: Path, ui: UI, means: Means | None = None) -> Report:
    """Check a record, or the folder of a run, against itself, its suite and, where the images are there, a new scoring.

    Nothing that the folder names is imported: neither the method nor the fit is needed. Values are compared to the bit
    where this machine is the one of the record, otherwise within the tolerances.

    Args:
        path: The record's file, or the run's folder.
        ui: Progress.
        means: What to work with.

    Raises:
        UserError: There is no record, or an argument is wrong.
    """
    means = means or Means()
    report = Report(str(path))
    device = find_device(means.device)
    evidence = gather(path, report, means.images)
    if evidence is None:
        return report
    with _cache(means.cached):
        found = protocol.find(evidence, means.data, report, ui)
        suite = protocol.base_of(evidence.record) if found is None else found.suite
        consistency.check(evidence, suite, report)
        _plan(evidence, report)
        files = image_files(evidence, found, report)
        if found is None:
            report.unchecked.append("scores: without its suite and clips nothing can be scored")
            return report
        _weights(evidence, found.suite, report)
        if not files or found.clips is None:
            return report
        try:
            with arithmetic(found.suite.threads):
                report.exact = same_surroundings(evidence.record.provenance.score[-1], collect(device=device))
                rescore(evidence, _job(evidence, found, files, device, ui), report)
        except BenchError as error:
            report.unchecked += [f"images: they cannot be scored here: {line}" for line in str(error).splitlines()]
    return report


def _job(evidence: Evidence, found: protocol.Protocol, files: Files, device: str, ui: UI) -> scoring.ScoreJob:
    base, clips = protocol.base_of(evidence.record), found.clips
    assert base is not None and clips is not None
    return scoring.ScoreJob(
        found.suite,
        clips,
        files,
        device,
        ui,
        train=partial(learning.suite_train, resolve(base), ui),
        known=partial(learning.known_clips, found.source, found.suite, ui),
        learnt=partial(learning.learnt_clips, found.source, found.suite, resolve(base), ui),
    )


def verify_all(path: Path, ui: UI, means: Means | None = None) -> dict[str, Report]:
    """Check a record, a run's folder, or all runs of a bundle; a bundle that breaks a rule is not looked at further.

    Args:
        path: Where it is.
        ui: Progress.
        means: What to work with.

    Returns:
        The reports, by the run's name in the bundle.

    Raises:
        UserError: There is nothing to check, or an argument is wrong.
    """
    if not is_bundle(path):
        return {path.name: verify(path, ui, means)}
    try:
        with opened(path) as bundle:
            for result in examine(bundle):
                if result.problems:
                    return {path.name: _refused(path, result.rule, result.problems)}
            reports = {run: verify(bundle.run(run), ui, means) for run in bundle.manifest().runs}
    except BundleError as error:
        return {path.name: _refused(path, "container", error.problems)}
    for run, report in reports.items():
        report.target = f"{path}: {run}"
    return reports


def _refused(path: Path, rule: str, problems: Sequence[str]) -> Report:
    report = Report(str(path))
    report.findings += [Finding(path.name, f"rule {rule!r}", f"is broken: {line}") for line in problems]
    return report


@contextlib.contextmanager
def _cache(used: bool) -> Iterator[None]:
    if used:
        yield
        return
    weights = os.environ.get("BENCH_WEIGHTS") or cache_dir() / "weights"
    with (
        tempfile.TemporaryDirectory(prefix="bench-verify-") as folder,
        environment({"BENCH_CACHE": folder, "BENCH_WEIGHTS": weights}),
    ):
        yield


def _plan(evidence: Evidence, report: Report) -> None:
    """Compare with what the run's folder was asked for."""
    record, plan, file = evidence.record, evidence.plan, evidence.path.name
    if not plan:
        return
    if isinstance(plan.get("method"), str) and ".py:" not in plan["method"]:
        report.compare(file, "method.name", record.method.name, plan["method"], "plan.json asks for")
    if record.seed is not None:
        report.compare(file, "seed", record.seed, plan.get("seed"), "plan.json asks for")
    report.compare(file, "limit", record.limit, plan.get("limit"), "plan.json asks for")


def _weights(evidence: Evidence, suite: Suite, report: Report) -> None:
    """Compare the hashes of the networks with those of the suite and of its encoders."""
    found, file = evidence.record.weights, evidence.path.name
    said = "the suite has"
    for name, sha256 in suite.weights.items():
        report.compare(file, f"weights.{name}", found.get(name), sha256, said)
    for name, sha256 in found.items():
        if name in suite.weights:
            continue
        if name in suite.encoders:
            report.compare(file, f"weights.{name}", sha256, suite.encoders[name], said)
        elif evidence.written is None:
            report.unchecked.append(f"weights.{name}: it is the method's own")
