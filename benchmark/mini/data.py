"""The world's clips as arrays, generated from seeds in parallel and cached."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmark.mini import pictures, sounds, world
from benchmark.mini.world import PICTURE_SIZE, SAMPLE_RATE, SECONDS, Value
from benchmark.utils import sealed
from benchmark.utils.env import environment
from benchmark.utils.files import write_rows
from benchmark.utils.processes import process_pool
from benchmark.utils.progress import Console

CHUNK = 64
PARALLEL_FROM = 512
"""Number of clips from which several processes generate them; below it, starting processes would take longer."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Set to 1 for the processes that generate clips: there is one per core, and more threads would compete."""


@dataclass(frozen=True)
class WorldClips:
    """The first clips of a split; sounds and frames are generated, or read from the cache, on first use."""

    split: str
    """Name of the split."""
    count: int
    """Number of clips."""
    cache_dir: Path
    """Folder of the cache."""
    progress: Callable[[str, int, int], None] | None = None
    """Called with (kind, clips done, clips in total) while clips are generated."""
    warn: Callable[[str], None] = Console().warn
    """Called with a line about a damaged file of the cache."""

    def __len__(self) -> int:
        return self.count

    @cached_property
    def attributes(self) -> list[dict[str, Value]]:
        """The two attributes of each clip."""
        return [attributes_of(self.split, index) for index in range(self.count)]

    @cached_property
    def classes(self) -> np.ndarray:
        """Index of each clip's label in `world.LABELS`: int, (n,)."""
        return np.arange(self.count) % len(world.LABELS)

    @cached_property
    def sounds(self) -> np.ndarray:
        """Sounds as a memory map: int16, (n, samples), 16 kHz; full scale is 32768."""
        return self._array("sounds")

    @cached_property
    def pictures(self) -> np.ndarray:
        """Frames as a memory map: uint8, (n, 64, 64, 3)."""
        return self._array("pictures")

    def label(self, index: int) -> str:
        """Return the label of a clip."""
        return world.LABELS[int(self.classes[index])]

    def _array(self, kind: str) -> np.ndarray:
        path = self.cache_dir / "world" / f"{kind}-{world_digest(kind)[:16]}" / f"{self.split}-{self.count}.npy"
        row, dtype = _SHAPES[kind]
        shape = self.count, *row
        key = [world_digest(kind), self.split, list(shape), np.dtype(dtype).str]
        return sealed.array(path, key, lambda part: write_rows(part, shape, dtype, self._told(kind)), self.warn)

    def _told(self, kind: str) -> Iterator[np.ndarray]:
        done = 0
        for chunk in _chunks(kind, self.split, self.count):
            yield chunk
            done += len(chunk)
            if self.progress is not None:
                self.progress(kind, done, self.count)


def attributes_of(split: str, index: int) -> dict[str, Value]:
    """Return the two attributes of clip `index` of `split`."""
    return world.sample_attributes(world.label_of(index), world.seeds_of(split, index)[0])


def make_sound(split: str, index: int) -> np.ndarray:
    """Return the sound of clip `index` of `split`, a pure function of both: int16, (samples,)."""
    wave = sounds.synthesize(world.label_of(index), attributes_of(split, index), world.seeds_of(split, index)[1])
    return np.rint(wave * 32768.0).clip(-32768, 32767).astype(np.int16)


def make_picture(split: str, index: int) -> np.ndarray:
    """Return the frame of clip `index` of `split`, a pure function of both: uint8, (64, 64, 3)."""
    return pictures.draw(world.label_of(index), attributes_of(split, index), world.seeds_of(split, index)[2])


_MAKERS = {"sounds": make_sound, "pictures": make_picture}
_SHAPES: dict[str, tuple[tuple[int, ...], type]] = {
    "sounds": ((int(SAMPLE_RATE * SECONDS),), np.int16),
    "pictures": ((PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8),
}


def clip_id(split: str, index: int) -> str:
    """Return the id of a clip, which is also the name of its images' files."""
    return f"mini-{split}-{index:05d}"


@cache
def world_digest(kind: str) -> str:
    """Return the hash of everything that determines the clips' sounds or pictures: source code and library versions.

    Args:
        kind: "sounds" or "pictures".
    """
    text = hashlib.sha256()
    for module in (world, sounds if kind == "sounds" else pictures):
        text.update(Path(str(module.__file__)).read_bytes())
    for made_by in (attributes_of, _MAKERS[kind], _make_chunk):
        text.update(inspect.getsource(made_by).encode())
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
