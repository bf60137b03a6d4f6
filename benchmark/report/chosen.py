"""The class that `aic` found in each image of a run, from the embeddings that scoring left in the cache.

No network is loaded for it unless that is asked for: where the cache has lost them, the report says how to get them.
"""

from __future__ import annotations

from typing import Any

from benchmark.clips import ClipSet
from benchmark.records.store import StoredRecord
from benchmark.report.sources import ShownRun
from benchmark.runs import scoring
from benchmark.runs.embeddings import Embeddings
from benchmark.suite import Suite
from benchmark.utils.errors import BenchError
from benchmark.utils.progress import UI, Silent
from benchmark.weights.locate import resolve


class _NotKept(Exception):
    """An embedding is not in the cache."""


class _OnlyKept(Embeddings):
    """Embeddings that are in the cache."""

    def scorer(self, name: str) -> Any:
        """Load nothing."""
        raise _NotKept


def chosen(run: ShownRun, suite: Suite, clips: ClipSet, ui: UI, embed: bool = False) -> list[int] | None:
    """Return the class found in each clip's first image, -1 for a clip without one; None if it is not kept.

    Args:
        run: A run with images.
        suite: The protocol that it follows, or the one that this is derived from.
        clips: The test clips of the board.
        ui: Progress of the embedding.
        embed: Embed images again that are not kept, with the suite's image scorer.
    """
    record = run.stored.record
    scored = clips if record.limit is None else clips.limit(record.limit)
    per_clip = _images_per_clip(run.stored, suite)
    keys = [(clip, number) for clip in scored.ids for number in range(per_clip)]
    images = {key: path for key in keys if (path := run.image(*key)) is not None}
    device = record.provenance.score[-1].device or "cpu"
    job = scoring.ScoreJob(
        suite=resolve(suite), clips=scored, images=images, device=device, ui=ui if embed else Silent()
    )
    kind = Embeddings if embed else _OnlyKept
    try:
        found = scoring.chosen_classes(job, scoring.bind(job.suite), kind(job.suite, device, job.ui))
    except (_NotKept, BenchError, KeyError):
        return None
    return [found.get((clip, 0), -1) for clip in clips.ids]


def _images_per_clip(stored: StoredRecord, suite: Suite) -> int:
    # Images made elsewhere say in their settings how many a clip has.
    own = stored.record.method.settings.get("images_per_clip")
    return own if isinstance(own, int) and own > 0 else suite.generation.images_per_clip
