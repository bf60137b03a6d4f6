"""The compliance check of a bundle: rules with names, in an order; nothing in the bundle is executed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from benchmark.records.human import ratings_of
from benchmark.records.record import identity_of
from benchmark.utils.errors import UserError
from benchmark.utils.files import sha256_of
from benchmark.verification import consistency
from benchmark.verification.attestations import is_signed
from benchmark.verification.bundle import (
    MANIFEST,
    Bundle,
    BundleError,
    BundleManifest,
    MethodSource,
    opened,
    read_model,
)
from benchmark.verification.evidence import Evidence, gather
from benchmark.verification.findings import Report, shown
from benchmark.verification.protocol import base_of, stated_suite


@dataclass(frozen=True)
class Result:
    """What a rule found."""

    rule: str
    """The rule's name."""
    what: str
    """What it asks for."""
    problems: list[str]
    """How it is broken, a line each; empty if it is kept."""


@dataclass(frozen=True, eq=False)
class _Case:
    """A bundle under examination; its files are read once."""

    bundle: Bundle
    hashed: dict[str, str] = field(default_factory=dict)

    @cached_property
    def manifest(self) -> BundleManifest:
        return self.bundle.manifest()

    @cached_property
    def runs(self) -> dict[str, tuple[Evidence | None, Report]]:
        found = {}
        for name in self.manifest.runs:
            report = Report(name)
            folder = self.bundle.run(name)
            there = f"runs/{name}/record.json" in self.bundle.files
            found[name] = (gather(folder, report) if there else None, report)
        return found

    def evidence(self) -> Iterator[tuple[str, Evidence]]:
        for name, (evidence, _) in self.runs.items():
            if evidence is not None:
                yield name, evidence

    def sha256(self, name: str) -> str | None:
        """The hash of a file; None if it was not unpacked."""
        path = self.bundle.root / name
        if name not in self.hashed and path.is_file():
            self.hashed[name] = sha256_of(path)
        return self.hashed.get(name)


def _manifest(case: _Case) -> Iterator[str]:
    try:
        manifest = case.manifest
    except UserError as error:
        yield from error.problems
        return
    if not manifest.runs:
        yield f"{MANIFEST}: lists no run"
    if len(set(manifest.runs)) < len(manifest.runs):
        yield f"{MANIFEST}: lists a run twice"
    folders = {name.split("/")[1] for name in manifest.files if name.startswith("runs/") and name.count("/") > 1}
    for name in sorted(folders ^ set(manifest.runs)):
        yield f"{MANIFEST}: {shown(name)} is {'not among its runs' if name in folders else 'a run without files'}"


def _files(case: _Case) -> Iterator[str]:
    listed = case.manifest.files
    for name in sorted(case.bundle.files):
        beside = name == MANIFEST or name.startswith("attestations/") or name == f"{MANIFEST}.sig"
        if name not in listed and not beside:
            yield f"{name}: is not listed in {MANIFEST}"
    for name, sha256 in listed.items():
        if name not in case.bundle.files:
            yield f"{shown(name)}: is missing, and {MANIFEST} lists it"
        elif (found := case.sha256(name)) is not None and found != sha256:
            yield f"{name}: has sha256 {found[:12]}..., {MANIFEST} says {sha256[:12]}..."


def _layout(case: _Case) -> Iterator[str]:
    for run in case.manifest.runs:
        for name in ("record.json", "scores.parquet", "images.json", "method.json"):
            if f"runs/{run}/{name}" not in case.bundle.files:
                yield f"runs/{run}/{name}: is missing"
    known = {"record.json", "scores.parquet", "images.json", "method.json", "human.json"}
    for path in sorted(case.bundle.files):
        parts = path.split("/")
        if parts[0] != "runs":
            continue
        image = len(parts) == 4 and parts[2] == "images" and parts[3].endswith(".png")
        source = len(parts) == 4 and parts[2] == "method" and parts[3].endswith(".py")
        if not (image or source or (len(parts) == 3 and parts[2] in known)):
            yield f"{path}: has no place in a bundle"


def _record(case: _Case) -> Iterator[str]:
    for name, (_, report) in case.runs.items():
        for finding in report.findings:
            yield f"runs/{name}/{finding.line}"


def _complete(case: _Case) -> Iterator[str]:
    for name, one in case.evidence():
        record = one.record
        if record.status != "complete" or record.clips.failed:
            yield f"runs/{name}: is {record.status}, {record.clips.failed} clips failed"
        if record.limit is not None:
            yield f"runs/{name}: only {record.limit} clips were used"


def _suite(case: _Case) -> Iterator[str]:
    for name, one in case.evidence():
        suite = one.record.suite
        base = base_of(one.record)
        if base is None:
            yield f"runs/{name}: suite {shown(suite.name)} is not known to this version"
        elif suite.name == base.name and suite.fingerprint != (here := base.fingerprint()):
            yield f"runs/{name}: was made under {suite.name} {suite.fingerprint[:8]}; here it is {here[:8]}"


def _consistent(case: _Case) -> Iterator[str]:
    for name, one in case.evidence():
        suite, record = base_of(one.record), one.record
        try:
            ratings_of(record, one.path)
        except UserError as error:
            yield f"runs/{name}/human.json: {error.problems[0].partition(': ')[2]}"
        report = Report(name)
        consistency.check(one, suite, report)
        for finding in report.findings:
            yield f"runs/{name}/{finding.line}"
        known = stated_suite(one) if record.limit is None else None
        if known is not None and record.clips.total != known.data.test:
            yield f"runs/{name}/record.json: clips.total is {record.clips.total}; the suite has {known.data.test}"


def _images(case: _Case) -> Iterator[str]:
    for name, one in case.evidence():
        start = f"runs/{name}/images/"
        there = {path.removeprefix(start) for path in case.bundle.files if path.startswith(start)}
        if one.hashes is None:
            continue
        if not there:
            if "pictures" in one.record.method.settings:
                yield f"runs/{name}: pictures made elsewhere go with the bundle, as nothing can make them again"
            continue
        for image in sorted(there ^ set(one.hashes)):
            yield f"{start}{image}: is {'not in images.json' if image in there else 'missing'}"
        for image in sorted(there & set(one.hashes)):
            if (found := case.sha256(start + image)) is not None and found != one.hashes[image]:
                yield f"{start}{image}: has sha256 {found[:12]}..., images.json says {one.hashes[image][:12]}..."


def _method(case: _Case) -> Iterator[str]:
    for name, one in case.evidence():
        place = f"runs/{name}/method.json"
        try:
            source = read_model(MethodSource, case.bundle.root / place, place)
        except UserError as error:
            yield from error.problems
            continue
        record = one.record.method
        if source.name != record.name:
            yield f"{place}: names the method {shown(source.name)}; the record {shown(record.name)}"
        if not record.card.get("sees"):
            yield f"runs/{name}: the method's card does not say what it sees"
        if source.kind == "package" and not (source.package and source.version):
            yield f"{place}: names no package and version"
        if (source.kind == "elsewhere") != ("pictures" in record.settings):
            yield f"{place}: says {source.kind!r}, and the record's settings say otherwise"
        if source.kind == "file":
            yield from _source_file(case, f"runs/{name}/method", source)


def _source_file(case: _Case, folder: str, source: MethodSource) -> Iterator[str]:
    path = f"{folder}/{source.file}"
    if source.file is None or path not in case.bundle.files:
        yield f"{folder}: the method's file {shown(source.file)} is missing"
        return
    if case.sha256(path) != source.sha256:
        yield f"{path}: is not the file that method.json names"
    # read as text: a parser, as much as an interpreter, can be made to fail by what it reads
    text = (case.bundle.root / path).read_text(encoding="utf-8", errors="replace")
    if not re.search(rf"^class {re.escape(source.target or '')}\b", text, re.MULTILINE):
        yield f"{path}: has no class {shown(source.target)}"


def _provenance(case: _Case) -> Iterator[str]:
    for name, one in case.evidence():
        made = one.record.provenance
        if made.commit is None or made.dirty is None:
            if any(step.package_version is None for steps in made.steps.values() for step in steps):
                yield f"runs/{name}: neither a commit nor a version says which code made it"
        elif made.dirty:
            yield f"runs/{name}: was made from a tree with uncommitted changes"
        try:
            datetime.strptime(made.date, "%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            yield f"runs/{name}: its date is {shown(made.date)}"


def _once(case: _Case) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name, one in case.evidence():
        run = identity_of(one.record)
        if run in seen:
            yield f"runs/{name}: claims the same run as runs/{seen[run]}"
        seen.setdefault(run, name)


RULES: dict[str, tuple[str, Callable[[_Case], Iterator[str]]]] = {
    "manifest": (f"{MANIFEST} can be read and lists the runs", _manifest),
    "files": ("every file is listed with its sha256, and nothing else is there", _files),
    "layout": ("each run has its record, scores, list of images and method, and nothing unknown", _layout),
    "record": ("each record and what lies beside it can be read", _record),
    "complete": ("each run is complete, on all clips", _complete),
    "suite": ("each run followed a suite of this version", _suite),
    "consistent": (
        "record, scores, images' hashes, metrics and ratings do not contradict each other",
        _consistent,
    ),
    "images": ("images that are included are those that were scored", _images),
    "method": ("the method's source is there, or its package and version, and its card says what it sees", _method),
    "provenance": ("the code is known, without uncommitted changes", _provenance),
    "once": ("no run is claimed twice", _once),
}
"""The rules in their order, by name. `container` comes before them: it decides whether the bundle is opened."""

CONTAINER = ("container", "no path leads out of it, no links or special files, sizes within bounds")


SIGNATURE = ("signature", "the manifest is signed by its submitter")


def check_bundle(path: Path, images: bool = True, allowed: Path | None = None) -> Iterator[Result]:
    """Yield what each rule found, in order.

    Later rules say nothing of what earlier ones could not read.

    Args:
        path: The bundle, a folder or a zip.
        images: Whether the images of a zip are unpacked and compared.
        allowed: A file of allowed signers, by one of whom the bundle must be signed; None asks for no signature.

    Raises:
        UserError: There is nothing at `path`.
    """
    try:
        with opened(path, images) as bundle:
            yield Result(*CONTAINER, [])
            yield from examine(bundle)
            if allowed is not None:
                yield _signature(bundle, allowed)
    except BundleError as error:
        yield Result(*CONTAINER, error.problems)


def _signature(bundle: Bundle, allowed: Path) -> Result:
    try:
        by = bundle.manifest().by
    except UserError as error:
        return Result(*SIGNATURE, error.problems)
    good = is_signed(bundle.root / MANIFEST, by, allowed)
    return Result(*SIGNATURE, [] if good else [f"{MANIFEST} has no good signature of {by}"])


def examine(bundle: Bundle) -> Iterator[Result]:
    """Yield what each rule found in a bundle that is open."""
    case = _Case(bundle)
    for name, (what, rule) in RULES.items():
        problems = list(rule(case))
        yield Result(name, what, problems)
        if problems and name in ("manifest", "layout"):
            return
