"""Clips of a data set that are on this machine, and the suites that consist of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from benchmark.registries import DATASETS
from benchmark.utils.files import digest

if TYPE_CHECKING:
    from benchmark.clips import ClipSet
    from benchmark.suite import Suite


def as_present(suite: Suite, split: Literal["train", "test"]) -> Suite:
    """Return the suite restricted to the clips of `split` that are on this machine: itself if none are missing."""
    ids = present_ids(suite, split)
    return suite.with_clips(split, ids) if ids else suite


def present_ids(suite: Suite, split: Literal["train", "test"]) -> list[str] | None:
    """Return the ids of the clips of `split` that are on this machine.

    Returns:
        The ids; None if the data set is complete, cannot be used, or is not registered.
    """
    return DATASETS.get(suite.data.source).present(suite, split) if suite.data.source in DATASETS else None


def only(clips: ClipSet, ids: Sequence[str]) -> ClipSet:
    """Return the clips with the given ids, in the order of `clips` and with the whole label set."""
    from benchmark.clips import ClipSet

    wanted = set(ids)
    identity = digest({"of": clips.identity, "ids": sorted(ids)})
    return ClipSet(clips.name, tuple(clip for clip in clips if clip.id in wanted), clips.labels, identity)
