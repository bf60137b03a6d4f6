"""Boards of several groups: the records of bundles and results folders beside one's own, each claim once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark.records import human
from benchmark.records.images import SUFFIX
from benchmark.records.record import RunRecord, identity_of
from benchmark.records.store import StoredRecord
from benchmark.utils.errors import UserError
from benchmark.utils.files import absent
from benchmark.verification.attestations import vouched
from benchmark.verification.bundle import Bundle, BundleError, is_bundle, opened
from benchmark.verification.evidence import MAX_RECORD, bounded
from benchmark.verification.findings import plain, shown
from benchmark.verification.rules import examine


class Merged(NamedTuple):
    """Records, and a line for each claim that was left out."""

    records: list[StoredRecord]
    notes: list[str]


def merge(
    own: Sequence[StoredRecord],
    places: Iterable[Path],
    suite: str,
    fingerprint: str | None,
    allowed: Path | None,
    stack: contextlib.ExitStack,
) -> Merged:
    """Add the records of other groups to one's own.

    Args:
        own: One's own records, which come first: nobody else can claim their runs.
        places: Bundles (folders or zips) and results folders, in the order in which their claims count.
        suite: Name of the board's suite; records of others are passed over.
        fingerprint: The board's protocol; None: that of the first record.
        allowed: A file of allowed signers, whose signatures are asked for; None: signatures are not looked at.
        stack: Holds what is unpacked for as long as the records are read.

    Raises:
        UserError: A place does not exist.
    """
    merged = Merged(list(own), [])
    seen = {identity_of(stored.record): f"{stored.where} ({stored.path.name})" for stored in own}
    for place in places:
        found, notes = _of(place, suite, allowed, stack)
        merged.notes.extend(notes)
        if not notes and all(stored.record.suite.name != suite for stored in found):
            fix = "name a bundle, or a folder that `bench publish` wrote to"
            merged.notes.append(f"{plain(place.name)} holds no record of {plain(suite)}: {fix}.")
        for stored in found:
            record = stored.record
            name = plain(f"{record.method.name}, seed {record.seed} of {place.name}")
            if record.suite.name != suite:
                continue
            fingerprint = fingerprint or record.suite.fingerprint
            if record.suite.fingerprint != fingerprint:
                other = shown(record.suite.fingerprint[:8])
                merged.notes.append(f"Left out: {name} was made under another protocol ({other}).")
            elif (run := identity_of(record)) in seen:
                merged.notes.append(f"Left out: {name} claims a run that is there already: {seen[run]}.")
            else:
                seen[run] = f"{stored.where} ({place.name})"
                merged.records.append(stored)
    return merged


def _of(place: Path, suite: str, allowed: Path | None, stack: contextlib.ExitStack) -> Merged:
    if is_bundle(place):
        try:
            bundle = stack.enter_context(opened(place, images=False))
        except BundleError as error:
            return Merged([], [f"Left out: {place.name} breaks the rule 'container': {plain(error.problems[0])}."])
        return _of_bundle(bundle, allowed)
    if not place.is_dir():
        raise UserError(f"--from {place} {absent(place)}: name a bundle, or a folder of results")
    return _of_results(place, suite)


def _of_bundle(bundle: Bundle, allowed: Path | None) -> Merged:
    for result in examine(bundle):
        if result.problems:
            line = plain(result.problems[0])
            return Merged([], [f"Left out: {bundle.source.name} breaks the rule {result.rule!r}: {line}."])
    who, notes = vouched(bundle, allowed)
    paths = {run: bundle.run(run) / "record.json" for run in who}
    records = [StoredRecord(RunRecord.load(path), path, str(who[run])) for run, path in paths.items()]
    return Merged(records, [f"{plain(note)}." for note in notes])


def _of_results(place: Path, suite: str) -> Merged:
    """The records of a folder as `bench publish` writes it, or of one suite's folder in it."""
    merged = Merged([], [])
    folders = [place, *(path for path in place.iterdir() if path.is_dir() and path.name.startswith(suite))]
    for path in sorted(path for folder in folders for path in folder.glob("*-seed*.json")):
        if path.name.endswith((SUFFIX, human.SUFFIX)) or not path.is_file():
            continue
        try:
            bounded(path, MAX_RECORD)
            merged.records.append(StoredRecord(RunRecord.load(path), path, f"self-reported in {plain(place.name)}"))
        except (UserError, RecursionError) as error:
            merged.notes.append(f"Left out: {plain(str(error).splitlines()[0])}.")
    return merged
