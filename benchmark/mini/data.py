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

from benchmark.mini import world
from benchmark.mini.pictures.draw import draw
from benchmark.mini.sounds.scene import Scene, recorded, sample_scene
from benchmark.mini.sounds.things import sound_of
from benchmark.mini.world import LABELS, PICTURE_SIZE, SAMPLE_RATE, SECONDS, THING_OF, Facts, Value
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
    def facts(self) -> list[Facts]:
        """What each clip is about."""
        return [world.facts_of(self.split, index) for index in range(self.count)]

    @cached_property
    def classes(self) -> np.ndarray:
        """Index of each clip's label in `world.LABELS`: int, (n,)."""
        return np.array([LABELS.index(world.label_of(index)) for index in range(self.count)])

    @cached_property
    def sounds(self) -> np.ndarray:
        """Sounds as a memory map: int16, (n, samples), 16 kHz; full scale is 32768."""
        return self._array("sounds")

    @cached_property
    def clean(self) -> np.ndarray:
        """The same clips without their scenes, as `sounds`."""
        return self._array("clean")

    @cached_property
    def pictures(self) -> np.ndarray:
        """Frames as a memory map: uint8, (n, 64, 64, 3)."""
        return self._array("pictures")

    def label(self, index: int) -> str:
        """Return the label of a clip."""
        return world.label_of(index)

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


def scene_of(split: str, index: int) -> Scene:
    """Return what surrounds the foreground of clip `index` of `split`."""
    return _scene(world.label_of(index), world.seeds_of(split, index)[3])


def _scene(label: str, rng: np.random.Generator) -> Scene:
    return sample_scene(label, tuple(other for other in LABELS if other != label), rng)


def metadata_of(split: str, index: int) -> dict[str, Value]:
    """Return the metadata of a clip: its audible attributes, what else is seen, and the scene with its levels."""
    facts = world.facts_of(split, index)
    return {**facts.heard, **facts.seen, **scene_of(split, index).facts()}


def make_sound(split: str, index: int, clean: bool = False) -> np.ndarray:
    """Return the sound of clip `index` of `split`, a pure function of both: int16, (samples,).

    Args:
        split: Name of the split.
        index: Number of the clip.
        clean: The same foreground at the same level without its scene.
    """
    facts = world.facts_of(split, index)
    _, sound, _, around = world.seeds_of(split, index)
    scene = _scene(facts.label, around)
    second = None
    if scene.second and not clean:
        if scene.second == world.SPEECH:
            heard: dict[str, Value] = {"cue": world.CUES[int(around.integers(len(world.CUES)))], "speaker": ""}
        else:
            heard = {a.name: world.sample_value(a.name, around) for a in THING_OF[scene.second].attributes}
        second = sound_of(scene.second, heard, around)
    wave = recorded(scene, sound_of(facts.label, facts.heard, sound), second, around, clean)
    return np.rint(wave * 32768.0).clip(-32768, 32767).astype(np.int16)


def make_clean(split: str, index: int) -> np.ndarray:
    """Return the sound of a clip without its scene."""
    return make_sound(split, index, clean=True)


def make_picture(split: str, index: int) -> np.ndarray:
    """Return the frame of clip `index` of `split`, a pure function of both: uint8, (64, 64, 3)."""
    facts = world.facts_of(split, index)
    return draw(facts.label, facts.seen, world.seeds_of(split, index)[2])


_SOUND = (int(SAMPLE_RATE * SECONDS),)
_MAKERS = {"sounds": make_sound, "clean": make_clean, "pictures": make_picture}
_SHAPES: dict[str, tuple[tuple[int, ...], type]] = {
    "sounds": (_SOUND, np.int16),
    "clean": (_SOUND, np.int16),
    "pictures": ((PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8),
}


def clip_id(split: str, index: int) -> str:
    """Return the id of a clip, which is also the name of its images' files."""
    return f"mini-{split}-{index:05d}"


@cache
def world_digest(kind: str) -> str:
    """Return the hash of everything that determines the clips' sounds or pictures: source code and library versions.

    Args:
        kind: "sounds", "clean" or "pictures".
    """
    home = Path(world.__file__).parent
    text = hashlib.sha256(Path(world.__file__).read_bytes())
    for path in sorted((home / ("pictures" if kind == "pictures" else "sounds")).glob("*.py")):
        text.update(path.read_bytes())
    for made_by in (_scene, make_sound, make_clean, make_picture, _make_chunk):
        text.update(inspect.getsource(made_by).encode())
    libraries = ("numpy", "pillow") if kind == "pictures" else ("numpy", "scipy")
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
