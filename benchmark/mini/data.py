"""The world's clips as arrays: made from seeds in parallel, kept in the cache as making them again loses nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmark.mini import pictures, sounds, world
from benchmark.mini.world import PICTURE_SIZE, SAMPLE_RATE, SECONDS, Value
from benchmark.utils.env import environment
from benchmark.utils.files import save_rows
from benchmark.utils.processes import process_pool

CHUNK = 64
PARALLEL_FROM = 512
"""Fewer clips than this are made in this process: starting others would take longer."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Set to 1 for the processes that make clips: there is one for each core, and more threads would fight."""


@dataclass(frozen=True)
class WorldClips:
    """The first `count` clips of a split; sounds and pictures are made, or read from the cache, when asked for."""

    split: str
    count: int
    cache_dir: Path
    progress: Callable[[str, int, int], None] | None = None

    def __len__(self) -> int:
        return self.count

    @cached_property
    def attributes(self) -> list[dict[str, Value]]:
        """Of each clip its two attributes."""
        return [attributes_of(self.split, index) for index in range(self.count)]

    @cached_property
    def classes(self) -> np.ndarray:
        """(n,) int: index of each clip's label in `world.LABELS`."""
        return np.arange(self.count) % len(world.LABELS)

    @cached_property
    def sounds(self) -> np.ndarray:
        """(n, samples) int16, 16 kHz: divide by 32768. A memory map."""
        return self._array("sounds")

    @cached_property
    def pictures(self) -> np.ndarray:
        """(n, 64, 64, 3) uint8. A memory map."""
        return self._array("pictures")

    def label(self, index: int) -> str:
        return world.LABELS[int(self.classes[index])]

    def _array(self, kind: str) -> np.ndarray:
        path = self.cache_dir / "world" / f"{kind}-{world_digest(kind)[:16]}" / f"{self.split}-{self.count}.npy"
        if not path.exists():
            shape, dtype = _SHAPES[kind]
            save_rows(path, (self.count, *shape), dtype, self._told(kind))
        array: np.ndarray = np.load(path, mmap_mode="r")
        return array

    def _told(self, kind: str) -> Iterator[np.ndarray]:
        done = 0
        for chunk in _chunks(kind, self.split, self.count):
            yield chunk
            done += len(chunk)
            if self.progress is not None:
                self.progress(kind, done, self.count)


def attributes_of(split: str, index: int) -> dict[str, Value]:
    """The two attributes of clip `index` of `split`."""
    return world.sample_attributes(world.label_of(index), world.seeds_of(split, index)[0])


def make_sound(split: str, index: int) -> np.ndarray:
    """The sound of clip `index` of `split`: int16 (samples,), a pure function of both."""
    wave = sounds.synthesize(world.label_of(index), attributes_of(split, index), world.seeds_of(split, index)[1])
    return np.rint(wave * 32768.0).clip(-32768, 32767).astype(np.int16)


def make_picture(split: str, index: int) -> np.ndarray:
    """The picture of clip `index` of `split`: uint8 (64, 64, 3), a pure function of both."""
    return pictures.draw(world.label_of(index), attributes_of(split, index), world.seeds_of(split, index)[2])


_MAKERS = {"sounds": make_sound, "pictures": make_picture}
_SHAPES: dict[str, tuple[tuple[int, ...], type]] = {
    "sounds": ((int(SAMPLE_RATE * SECONDS),), np.int16),
    "pictures": ((PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8),
}


def clip_id(split: str, index: int) -> str:
    """The id of a clip, which is also the name of its pictures' files."""
    return f"mini-{split}-{index:05d}"


@cache
def world_digest(kind: str) -> str:
    """Hash of all that decides a clip's `kind` ("sounds" or "pictures"): the source, and the libraries under it."""
    text = hashlib.sha256()
    for module in (world, sounds if kind == "sounds" else pictures):
        text.update(Path(str(module.__file__)).read_bytes())
    libraries = ("numpy", "scipy") if kind == "sounds" else ("numpy", "pillow")
    text.update(" ".join(version(library) for library in libraries).encode())
    return text.hexdigest()


def _make_chunk(kind: str, split: str, start: int, stop: int) -> np.ndarray:
    return np.stack([_MAKERS[kind](split, index) for index in range(start, stop)])


def _chunks(kind: str, split: str, count: int) -> Iterator[np.ndarray]:
    starts = range(0, count, CHUNK)
    jobs = ([kind] * len(starts), [split] * len(starts), starts, [min(start + CHUNK, count) for start in starts])
    if count < PARALLEL_FROM or (os.cpu_count() or 1) == 1:
        yield from map(_make_chunk, *jobs)
        return
    with process_pool(os.cpu_count() or 1) as pool:
        with environment(dict.fromkeys(THREADS, 1)):
            made = pool.map(_make_chunk, *jobs)
        yield from made
