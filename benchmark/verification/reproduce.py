"""`bench reproduce`: a run made again from nothing in a folder of its own, and what is equal then."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.records.images import read_images
from benchmark.records.provenance import same_surroundings
from benchmark.records.tolerances import tolerances
from benchmark.registries import METHODS
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.errors import UserError
from benchmark.verification.bundle import is_bundle, opened
from benchmark.verification.evidence import Evidence, gather
from benchmark.verification.findings import MISSING, Report, differences, shown
from benchmark.verification.protocol import own_manifest, parts_of
from benchmark.verification.rules import examine

if TYPE_CHECKING:
    from benchmark.records.provenance import Provenance
    from benchmark.records.record import RunRecord
    from benchmark.utils.progress import UI


@dataclass(frozen=True, kw_only=True)
class Again:
    """How a run is made again."""

    data: Path | None = None
    """The manifest of the clips, for a run on a user's own."""
    method: str | None = None
    """`path/to/file.py:Class` of a method that no installed package announces: its code is executed."""
    device: str = "auto"
    """Where the networks run."""
    runs: Path | None = None
    """Where the new run is kept; None: nowhere."""


@dataclass
class Reproduction:
    """What became of a run that was made again."""

    report: Report
    """What lies further apart than the tolerances allow."""
    images: int = 0
    """Images in all; 0 if the record does not name them."""
    equal_images: int = 0
    """Images that are equal to the bit."""
    farthest: dict[str, float] = field(default_factory=dict)
    """Largest difference of a value, by metric, of those that differ."""
    surroundings: list[str] = field(default_factory=list)
    """What differs between the machines and programs, a line each."""

    @property
    def reproduced(self) -> bool:
        """Whether everything is equal, or within the tolerances."""
        return self.report.holds

    @property
    def to_the_bit(self) -> bool:
        """Whether all images and values are equal to the bit."""
        return self.reproduced and not self.farthest and self.images == self.equal_images

    @property
    def verdict(self) -> str:
        """The result in one line."""
        made = f"{self.equal_images} of {self.images} images equal" if self.images else "images not compared"
        if not self.reproduced:
            return f"not reproduced ({made})"
        if self.to_the_bit:
            return f"reproduced to the bit ({made})"
        if not self.farthest:
            return f"reproduced: all values equal ({made})"
        metric, most = max(self.farthest.items(), key=lambda item: item[1])
        return f"reproduced within {most:.3g} ({metric}; {made})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            **self.report.to_dict(),
            "reproduced": self.reproduced,
            "to_the_bit": self.to_the_bit,
            "verdict": self.verdict,
            "images": self.images,
            "equal_images": self.equal_images,
            "farthest": self.farthest,
            "surroundings": self.surroundings,
        }


def reproduce_all(path: Path, ui: UI, again: Again) -> dict[str, Reproduction]:
    """Make a record's run again, or all runs of a bundle that keeps the rules.

    Args:
        path: A record, a run's folder, or a bundle.
        ui: Progress.
        again: How it is made.

    Raises:
        UserError: The record is unreadable, the bundle breaks a rule, or the method is not here.
        RunError: The new run failed.
    """
    if not is_bundle(path):
        return {path.name: reproduce(path, ui, again)}
    with opened(path, images=False) as bundle:
        for result in examine(bundle):
            if result.problems:
                raise UserError([f"{path} breaks the rule {result.rule!r}: {line}" for line in result.problems])
        return {run: reproduce(bundle.run(run), ui, again) for run in bundle.manifest().runs}


def reproduce(path: Path, ui: UI, again: Again) -> Reproduction:
    """Make a record's run again, and compare. Raises as `reproduce_all`."""
    report = Report(str(path))
    evidence = gather(path, report)
    if evidence is None or report.findings:
        raise UserError([finding.line for finding in report.findings])
    request = _request(evidence, again)
    with _folder(again.runs) as runs:
        job = Run.of(RunRequest(**request, runs=runs), ui)
        here, wanted = job.plan.suite.fingerprint(), evidence.record.suite.fingerprint
        if here != wanted:
            raise UserError(f"{path} was made under another protocol ({wanted[:8]}) than is here ({here[:8]})")
        if job.plan.source != evidence.record.method.source:
            raise UserError(
                f"{path}: {shown(job.plan.method_name)} is other code than the record's: "
                "a method is its code, so that would be another run"
            )
        if job.plan.identity != evidence.record.identity:
            raise UserError(f"{path}: what it asks for is another run here: its settings or its identity were changed")
        record = steps.run(job)
        ours, theirs = record.provenance.score[-1], evidence.record.provenance
        found = Reproduction(report, surroundings=_surroundings(theirs.score[-1], ours))
        report.exact = all(same_surroundings(made, ours) for step in theirs.steps.values() for made in step)
        report.rescored = True
        _compare_images(evidence, job.plan.folder.path / "images.json", found)
        _compare_values(evidence.record, record, found)
        _compare_scores(evidence, job.plan.folder.scores_path, found)
    return found


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """A fresh folder for the run, so that nothing that was made before is used again."""
    if kept is not None:
        if kept.exists() and any(kept.iterdir()):
            raise UserError(f"--output {kept} is not empty: a run that is made again starts from nothing")
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="bench-reproduce-") as folder:
        yield Path(folder)


def _request(evidence: Evidence, again: Again) -> dict[str, Any]:
    record = evidence.record
    name = record.method.name
    if "pictures" in record.method.settings:
        raise UserError(f"{evidence.path}: its pictures were made elsewhere: `bench verify` can score them again")
    if again.method is None and name not in METHODS:
        raise UserError(
            f"{evidence.path}: no installed package has the method {shown(name)}: install it, or name its file with "
            "--method path/to/file.py:Class, whose code is executed then"
        )
    base = record.suite.name.partition("+")[0]
    data = again.data or own_manifest(evidence)
    part, variation = parts_of(record, data)
    if part and "of" not in part and data is None:
        raise UserError(f"{evidence.path}: {shown(record.suite.name)} is a manifest's: give it with --data FILE.csv")
    return {
        "method": again.method or name,
        "suite": base,
        "data": data if part else None,
        "variation": None if variation is None else variation.name,
        "seed": record.seed or 0,
        "limit": record.limit,
        "settings": record.method.settings,
        "device": again.device,
        "skip_bad": bool(record.clips.skipped),
    }


def _surroundings(one: Provenance, other: Provenance) -> list[str]:
    lines = []
    then, now = one.model_dump(mode="json"), other.model_dump(mode="json")
    for place, before, after in differences(then, now):
        if place != "date":
            lines.append(f"{place} was {shown(None if before is MISSING else before)}, is {shown(after)}")
    return lines


def _compare_images(evidence: Evidence, path: Path, found: Reproduction) -> None:
    if evidence.hashes is None:
        found.report.unchecked.append("images: the record does not name them")
        return
    made = read_images(path)
    found.images = len(evidence.hashes)
    found.equal_images = sum(made.get(name) == sha256 for name, sha256 in evidence.hashes.items())
    if found.report.exact:
        for name, sha256 in evidence.hashes.items():
            if made.get(name) != sha256:
                found.report.add(f"images/{name}", "", "is another one, made on the same machine with the same threads")


def _compare_values(then: RunRecord, now: RunRecord, found: Reproduction) -> None:
    for name in dict.fromkeys([*then.metrics, *now.metrics]):
        before, after = then.metrics.get(name), now.metrics.get(name)
        a, b = (None if one is None else one.value for one in (before, after))
        if a is None or b is None:
            if a is not b:
                found.report.add("record.json", f"metrics.{name}", f"was {shown(a)}, made again it is {shown(b)}")
            continue
        if a == b:
            continue
        found.farthest[name] = abs(a - b)
        allowed = 0.0 if found.report.exact else tolerances().of("reproduced", name).value
        if abs(a - b) > allowed:
            message = f"was {a:.9g}, made again it is {b:.9g}: {abs(a - b):.3g} apart, at most {allowed:g} are allowed"
            found.report.add("record.json", f"metrics.{name}", message)


def _compare_scores(evidence: Evidence, path: Path, found: Reproduction) -> None:
    """Where bits must be equal, each clip's score is compared too."""
    if not found.report.exact or evidence.scores is None:
        return
    from benchmark.records.record import read_scores

    made = read_scores(path).set_index("clip")
    then = evidence.scores.set_index("clip")
    for column in made.columns.drop("label"):
        if column not in then.columns or list(then.index) != list(made.index):
            found.report.add("scores.parquet", str(column), "is not there, or of other clips")
            continue
        a, b = then[column].to_numpy(np.float64), made[column].to_numpy(np.float64)
        for place in np.flatnonzero(~((a == b) | (np.isnan(a) & np.isnan(b)))).tolist():
            clip = shown(str(made.index[place]))
            found.report.add("scores.parquet", f"{column} of {clip}", f"was {a[place]:.9g}, is {b[place]:.9g}")
