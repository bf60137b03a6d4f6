"""The world's splits as a data set of the harness."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmark.clips import Clip, ClipSet
from benchmark.dataset import DataSet, Split
from benchmark.mini.data import WorldClips, clip_id, metadata_of, world_digest
from benchmark.mini.world import LABELS
from benchmark.utils.files import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmark.suite import Suite
    from benchmark.utils.progress import UI


class MiniData(DataSet):
    """The generated world, which is always complete and needs no preparation."""

    def clips(self, suite: Suite, split: Split, cache: Path, ui: UI) -> ClipSet:
        """Return the first clips of the world's split; the suite states their number.

        A clip's `attributes` are its metadata: what can be heard and seen of it, what sounds behind it and how loud.
        """
        count: int = getattr(suite.data, split)
        with ExitStack() as stack:
            advance: dict[str, Callable[[int], None]] = {}
            reached: dict[str, int] = {}

            def progress(kind: str, done: int, total: int) -> None:
                if kind not in advance:
                    advance[kind] = stack.enter_context(ui.task(f"making {kind} of {split}", total, "clips"))
                advance[kind](done - reached.get(kind, 0))
                reached[kind] = done

            made = WorldClips(split, count, cache, progress, ui.warn)
            listed = tuple(
                Clip(
                    clip_id(split, i), made.sounds[i], made.pictures[i], (made.label(i),), split, metadata_of(split, i)
                )
                for i in range(count)
            )
        identity = digest({"world": [world_digest("sounds"), world_digest("pictures")], "split": split, "count": count})
        return ClipSet(f"mini {split}", listed, LABELS, identity)

    def labels(self, suite: Suite, cache: Path, ui: UI) -> tuple[str, ...]:
        """Return the names of the classes."""
        return LABELS
