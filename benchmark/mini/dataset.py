"""The world's splits as a data set of the harness."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.clips import Clip, ClipSet
from benchmark.dataset import DataSet, Split
from benchmark.mini.words import words_of
from benchmark.mini.world import LABELS, SLOTS, label_of
from benchmark.utils import sealed
from benchmark.utils.files import digest, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    import numpy as np

    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

FAR = len(SLOTS) * 100_000
"""Clips between the worlds of neighbouring seeds. The test split is endless and its classes take turns, so that what
starts at a multiple of this is as balanced as its beginning, which the suite takes."""


class MiniData(DataSet):
    """The generated world, which is always complete and needs no preparation."""

    own_variations = frozenset({"clean", "fresh", "clips"})

    def clips(self, suite: Suite, split: Split, cache: Path, ui: UI) -> ClipSet:
        """Return the first clips of the world's split; the suite states their number.

        A clip's `attributes` are its metadata: what can be heard and seen of it, what sounds behind it and how loud.
        """
        # Not at the top: scipy.signal, which makes sounds, takes a third of the time of a run that is finished already.
        from benchmark.mini.data import WorldClips, clip_id, metadata_of, world_digest

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

    def in_words(self, attributes: Mapping[str, Any]) -> list[str]:
        """Return what can be heard and seen of a clip, and its scene."""
        return words_of(attributes)

    def vary(self, suite: Suite, kind: str, value: float | None, cache: Path, ui: UI) -> ClipSet:
        """Return the test clips without their scenes, as many from elsewhere in the world, or more of them."""
        if kind not in self.own_variations:
            return super().vary(suite, kind, value, cache, ui)
        from benchmark.mini.data import WorldClips, clip_id, make_picture, make_sound, metadata_of, world_digest

        if kind == "clips":
            data = suite.data.model_copy(update={"test": int(value or 0)})
            return self.clips(suite.model_copy(update={"data": data}), "test", cache, ui)
        count = suite.data.test
        if kind == "clean":
            plain = self.clips(suite, "test", cache, ui)
            clean = WorldClips("test", count, cache, warn=ui.warn).clean
            clips = tuple(replace(clip, audio=sound) for clip, sound in zip(plain, clean, strict=True))
            return ClipSet(f"{plain.name}, clean", clips, LABELS, digest([plain.identity, world_digest("clean")]))
        seed = int(value or 0)
        first = (seed + 1) * FAR
        sounds = _made("sounds", make_sound, range(first, first + count), cache, ui)
        frames = _made("pictures", make_picture, range(first, first + count), cache, ui)
        split = f"fresh{seed}"
        clips = tuple(
            Clip(clip_id(split, i), sounds[i], frames[i], (label_of(first + i),), split, metadata_of("test", first + i))
            for i in range(count)
        )
        worlds = [world_digest("sounds"), world_digest("pictures")]
        return ClipSet(f"mini {split}", clips, LABELS, digest({"world": worlds, "first": first, "count": count}))


def _made(kind: str, make: Callable[[str, int], np.ndarray], places: range, cache: Path, ui: UI) -> np.ndarray:
    """The sounds or frames of the test split at some places, from the cache or made: (places, ...)."""
    from benchmark.mini.data import world_digest

    one = make("test", places.start)
    shape = len(places), *one.shape

    def rows() -> Iterator[np.ndarray]:
        with ui.task(f"making fresh {kind}", len(places), "clips") as advance:
            for place in places:
                yield make("test", place)[None]
                advance(1)

    path = cache / "world" / f"{kind}-{world_digest(kind)[:16]}" / f"test-{places.start}-{len(places)}.npy"
    key = [world_digest(kind), "test", places.start, list(shape), one.dtype.str]
    return sealed.array(path, key, lambda part: write_rows(part, shape, one.dtype, rows()), ui.warn)
