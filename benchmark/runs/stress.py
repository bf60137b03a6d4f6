"""A method under stress: one run of each variation of the test clips, and what its images show.

The fit is made once, or is there already; every run is an ordinary one and is used again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.records.store import StoredRecord
from benchmark.runs import scoring, steps
from benchmark.runs.embeddings import Embeddings
from benchmark.runs.plan import Plan
from benchmark.runs.run import Run
from benchmark.runs.variations import Variation
from benchmark.utils import distributed
from benchmark.utils.errors import BenchError, UserError
from metrics.entropy import ClassEntropy, class_entropy
from metrics.statistics import bootstrap_interval, mean, per_clip

if TYPE_CHECKING:
    from benchmark.runs.request import RunRequest
    from benchmark.utils.progress import UI

NOISE = ("snr=20", "snr=10", "snr=5", "snr=0", "snr=-5")
DEFAULT = (*NOISE, "mix=6", "mix=0", "cut=0.5", "reversed", "silence", "white")
"""Variations that every suite can have; `default_variations` adds to them."""

SHOWN = ("own", "other", "both", "neither")
"""What an image of a mixture can show: one source, the other, both as its two nearest classes, none of them."""

Nearest = Mapping[tuple[str, int], tuple[int, ...]]


@dataclass(frozen=True)
class Share:
    """A share of the images in percent, with its 95 % interval over clips."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class Stressed:
    """What became of one variation."""

    variation: Variation | None
    """None for the clips as they are."""
    suite: str
    """Name of the derived suite, on whose board the run is."""
    folder: Path
    """Folder of the run."""
    stored: StoredRecord | None
    """Its record; None where the run failed."""
    failed: str | None = None
    """Why it failed, in one line."""
    labels: tuple[str, ...] = ()
    """The classes."""
    drawn: ClassEntropy | None = None
    """Entropy of the classes that `aic` finds in the images."""
    sources: Mapping[str, Share] | None = None
    """For two sources: the share of the images that show each of `SHOWN`."""
    sources_before: Mapping[str, Share] | None = None
    """The same of the images of the unchanged clips: what the other source owes to chance."""

    @property
    def name(self) -> str:
        """The variation's name."""
        return "as it is" if self.variation is None else self.variation.name

    @property
    def complete(self) -> bool:
        """Whether every clip was drawn and scored."""
        return self.stored is not None and self.stored.record.status == "complete"


def default_variations(plan: Plan, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the variations of a stress test that names none: speech where no class speaks, clean where it can be."""
    speaks = any("speech" in label or "speaking" in label for label in labels)
    more = [] if speaks else ["speech"]
    first = ["clean"] if "clean" in plan.test_data.own_variations else []
    return (*first, *DEFAULT, *more)


def stress(request: RunRequest, names: Sequence[str] | None, ui: UI) -> list[Stressed]:
    """Run a method on the test clips as they are and on each variation of them.

    A variation with which the method fails does not lose the others.

    Args:
        request: The run on the unchanged clips.
        names: Names of variations; None for `default_variations`.
        ui: Progress and warnings.

    Returns:
        The unchanged clips first, then the variations in their order.

    Raises:
        UserError: All plans are checked before any work is done.
        BenchError: The run on the unchanged clips failed.
    """
    plain = Run(Plan.of(request, ui), ui)
    names = default_variations(plain.plan, plain.labels) if names is None else names
    variations = list({one.name: one for one in map(Variation.parse, names)}.values())
    if others := [one.name for one in variations if one.other_clips]:
        raise UserError([f"{one} is other clips and no stress: `bench run --variation {one}`" for one in others])
    plans = [Plan.of(replace(request, variation=one.name), ui) for one in variations]
    first, before = _stressed(plain)
    done = [first]
    for plan in plans:
        # One at a time: a backbone of full size fits into a device's memory once.
        job = Run(plan, ui)
        ui.say(f"{plan.suite.name}: {'' if plan.variation is None else plan.variation.about}")
        try:
            done.append(_stressed(job, before)[0])
        except BenchError as error:
            if distributed.world() > 1:  # the other processes are somewhere else by now
                raise
            why = " ".join(str(error).split())
            ui.warn(f"{plan.suite.name}: {why}; the other variations are not affected")
            done.append(Stressed(plan.variation, plan.suite.name, plan.folder.path, None, why))
    return done


def _stressed(job: Run, before: Nearest | None = None) -> tuple[Stressed, Nearest]:
    plan = job.plan
    record = steps.run(job)
    nearest = _nearest(job)
    first = [classes[0] for classes in nearest.values()]
    mixed = plan.variation is not None and plan.variation.kind == "mix" and before is not None
    return Stressed(
        plan.variation,
        plan.suite.name,
        plan.folder.path,
        StoredRecord(record, plan.folder.record_path, "runs"),
        labels=job.test.labels,
        drawn=class_entropy(first, len(job.test.labels)) if first else None,
        sources=_sources(job, nearest) if mixed else None,
        sources_before=_sources(job, before) if mixed and before is not None else None,
    ), nearest


def _nearest(job: Run) -> Nearest:
    """The two classes that are nearest to each image, of embeddings that scoring left in the cache."""
    plan = job.plan
    paths = plan.folder.image_paths(job.test.ids, plan.images_per_clip)
    images = {key: path for key, path in paths.items() if key[0] not in plan.failures}
    task = scoring.ScoreJob(suite=plan.suite, clips=job.test, images=images, device=plan.device, ui=job.ui)
    store = Embeddings(plan.suite, plan.device, job.ui)
    return scoring.nearest_classes(task, scoring.bind(plan.suite), store, min(2, len(job.test.labels)))


def _sources(job: Run, nearest: Nearest) -> dict[str, Share]:
    """The share of the images that show each of `SHOWN`, where `job` says which two sources a clip has."""
    place = {label: index for index, label in enumerate(job.heard.labels)}
    pair = {clip.id: (place[clip.label], place[clip.attributes["other"]]) for clip in job.heard}
    found = [(clip, _shown(classes, *pair[clip])) for (clip, _), classes in nearest.items() if clip in pair]
    owners = np.array([job.heard.index[clip] for clip, _ in found], dtype=np.int64)
    shares = {}
    for what in SHOWN:
        scores = per_clip([100.0 * (shown == what) for _, shown in found], owners, len(job.heard))
        low, high = bootstrap_interval(scores) or (None, None)
        shares[what] = Share(mean(scores), low, high)
    return shares


def _shown(classes: Sequence[int], own: int, other: int) -> str:
    if {own, other} == {*classes}:
        return "both"
    return {own: "own", other: "other"}.get(classes[0], "neither")
