"""The suite of a record and its test clips, found without anything of the sender's: no plan, no fit, no method."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmark.data.manifest import load_manifest
from benchmark.data.present import as_present, only
from benchmark.registries import DATASETS
from benchmark.runs.variations import Variation
from benchmark.suite import load_suite, suite_names
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import UserError
from benchmark.verification.evidence import Evidence
from benchmark.verification.findings import Report, shown
from benchmark.weights.locate import resolve

if TYPE_CHECKING:
    from benchmark.clips import ClipSet
    from benchmark.dataset import DataSet
    from benchmark.records.record import RunRecord
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI


class Protocol(NamedTuple):
    """What a record was scored under."""

    suite: Suite
    clips: ClipSet | None
    """The test clips, as far as the record's limit; None where there are no images to score."""
    data: DataSet | None = None
    """The data set of the test clips, where that is not the suite's own: a manifest."""

    @property
    def source(self) -> DataSet:
        """The data set of the test clips."""
        return self.data or DATASETS.get(self.suite.data.source)


def base_of(record: RunRecord) -> Suite | None:
    """Return the suite that a record's is, or is derived from; None if no suite of this version is called so."""
    name = record.suite.name.partition("+")[0]
    return load_suite(name) if name in suite_names() else None


def stated_suite(evidence: Evidence) -> Suite | None:
    """Return the suite that a record names, where no clip has to be looked at for it; else None.

    A name may be that of a manifest that is not at hand, so of a derived suite the fingerprint decides.
    """
    record = evidence.record
    base = base_of(record)
    part, variation = parts_of(record, own_manifest(evidence))
    if base is None or part:
        return None
    suite = base if variation is None else variation.of(base)
    return suite if variation is None or record.suite.fingerprint == suite.fingerprint() else None


def find(evidence: Evidence, data: Path | None, report: Report, ui: UI) -> Protocol | None:
    """Return the record's suite and test clips as they are here.

    Args:
        evidence: The record, and what lies beside it.
        data: The manifest of a user's own clips.
        report: Takes what differs, or why there is nothing to return.
        ui: Progress.
    """
    record, file = evidence.record, evidence.path.name
    base = base_of(record)
    part, variation = parts_of(record, data or own_manifest(evidence))
    if base is None:
        report.add(file, "suite.name", f"is {shown(record.suite.name)}: no suite of this version is called so")
        return None
    try:
        found = _find(evidence, resolve(base), part, data, ui)
        found = found if variation is None else _with_variation(found, variation, ui)
    except UserError as error:
        report.unchecked += [f"clips: {line}" for line in error.problems]
        return None
    suite = found.suite
    report.compare(file, "suite.name", record.suite.name, suite.name, "the clips make it")
    report.compare(file, "suite.version", record.suite.version, suite.version, "here it is")
    report.compare(file, "suite.fingerprint", record.suite.fingerprint, suite.fingerprint(), "here the protocol's is")
    if record.suite.version != suite.version:
        report.unchecked.append(f"images: version {suite.version} of {suite.name} is here, and another was used")
        return None
    if record.limit is None or found.clips is None:
        return found
    return found._replace(clips=found.clips.limit(max(1, record.limit)))


def parts_of(record: RunRecord, manifest: Path | None) -> tuple[str, Variation | None]:
    """Return what a record's suite is called behind its base, and the variation at the end of its name.

    Args:
        record: The record.
        manifest: The manifest of its clips, where one is known: it may be called as a variation is.
    """
    part = record.suite.name.partition("+")[2]
    first, _, last = part.rpartition("+")
    if manifest is not None and manifest.stem == part:
        return part, None
    try:
        return first, Variation.parse(last)
    except UserError:
        return part, None


def _with_variation(found: Protocol, variation: Variation, ui: UI) -> Protocol:
    """Return the protocol of changed clips, which are scored as they were unless they are others."""
    suite, clips = variation.of(found.suite), found.clips
    if variation.other_clips:
        variation.check(suite.data.source, found.source)
        clips = None if clips is None else variation.made_by(found.source, suite, ui)
    return found._replace(suite=suite, clips=clips)


def _find(evidence: Evidence, base: Suite, part: str, data: Path | None, ui: UI) -> Protocol:
    if found := re.fullmatch(r"(\d+)of\d+", part):
        ids = _listed_clips(evidence)
        if evidence.images is None:
            return Protocol(base.with_clips("test", ids), None)
        clips = only(_all_clips(as_present(base, "test"), ui), ids)
        if not len(clips) == len(ids) == int(found[1]):
            raise UserError(f"{len(clips)} of the {found[1]} that were used are on this machine")
        return Protocol(base.with_clips("test", ids), clips)
    if not part:
        return Protocol(base, None if evidence.images is None else _all_clips(base, ui))
    source = data or own_manifest(evidence)
    if source is None:
        raise UserError(f"{shown(evidence.record.suite.name)} is a manifest's: give it with --data FILE.csv")
    manifest = load_manifest(source, skip_bad=bool(evidence.record.clips.skipped))
    return Protocol(base.with_manifest(manifest.name, manifest.identity, manifest.counts), manifest.test, manifest)


def images_per_clip(record: RunRecord, suite: Suite) -> int:
    """Return the images of each clip: the suite's number, or what pictures made elsewhere say."""
    stated = record.method.settings.get("images_per_clip") if "pictures" in record.method.settings else None
    return stated if isinstance(stated, int) and 1 <= stated <= 1000 else suite.generation.images_per_clip


def _all_clips(suite: Suite, ui: UI) -> ClipSet:
    return DATASETS.get(suite.data.source).clips(suite, "test", cache_dir(), ui)


def _listed_clips(evidence: Evidence) -> list[str]:
    stated = evidence.plan.get("clips")
    if isinstance(stated, list) and all(isinstance(one, str) for one in stated):
        return stated
    return [] if evidence.scores is None else [str(one) for one in evidence.scores["clip"]]


def own_manifest(evidence: Evidence) -> Path | None:
    """Return the manifest that the run's folder names, if it is a file here: one's own run needs no option."""
    stated = evidence.plan.get("data")
    return Path(stated) if isinstance(stated, str) and "\0" not in stated and Path(stated).is_file() else None
