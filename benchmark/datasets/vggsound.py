"""VGGSound (Chen et al., ICASSP 2020, arXiv 2004.14368) as `bench prepare vggsound` left it: clips and streams."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.audio import RATE, fit_length, load_audio
from benchmark.clips import Clip, ClipSet, clips_identity
from benchmark.errors import RunError, UserError
from benchmark.files import sha256_of
from benchmark.images import resize

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.suite import Suite
    from benchmark.ui import UI

HOW = "make it with `bench prepare vggsound VIDEOS --list vggsound.csv`, or set BENCH_DATA to the folder that holds it"
FORMAT = 1


def data_dir() -> Path:
    """Folder of prepared data sets, each in a folder of its name: BENCH_DATA, else the user's data folder."""
    from platformdirs import user_data_dir

    return Path(os.environ.get("BENCH_DATA") or user_data_dir("audio2image-bench", appauthor=False)).expanduser()


def clips(suite: Suite, split: str, cache: Path, ui: UI) -> ClipSet:
    """The prepared clips of a split, in order of their ids, with the labels of the whole list as label set.

    `suite.data.labels` says which labels count: "vggsound", the one label of the list, or "vggsounder", whose labels
    follow the headline, with those that annotators saw in `Clip.visible`. The headline stays VGGSound's label unless
    VGGSounder took it from the clip: then it is the first one that is seen and heard, else the first one. A clip that
    VGGSounder does not know keeps its label, and `visible` is None.

    Raises UserError, saying how to make it, where the data are missing, unfinished, damaged or not as the suite wants.
    """
    prepared = Prepared.read(data_dir() / "vggsound")
    if problems := prepared.unfit(suite, split):
        raise UserError(problems)
    found = prepared.clips(split, annotated=suite.data.labels == "vggsounder")
    expected = getattr(suite.data, split)
    if not found and expected:
        raise UserError(f"{prepared.folder} holds no {split} clip: {HOW}")
    if len(found) != expected:  # a run's suite has the clips that are there
        ui.warn(
            f"{len(found):,} of {expected:,} {split} clips are there: "
            "numbers compare only with numbers of the same clips"
        )
    known = tuple(prepared.facts["labels"])
    contents = ((clip.content, None) for clip in found)
    return ClipSet(f"vggsound {split}", found, known, clips_identity(found, known, contents))


def present(suite: Suite, split: str) -> list[str] | None:
    """Ids of the prepared clips of a split; None where `clips` would raise for missing or damaged data."""
    try:
        return Prepared.read(data_dir() / "vggsound").ids(split)
    except UserError:
        return None


@dataclass(frozen=True, eq=False)
class ShardClip(Clip):
    """A clip whose sound and frame lie in a shard: `audio` and `image` are the shard, read where they are asked for."""

    samples: int = 0
    sound_at: int = 0
    frame_at: int = 0
    frame_bytes: int = 0
    content: str = ""
    """Hash of sound and frame as stored."""

    def waveform(self, rate: int = RATE) -> np.ndarray:
        with self._open() as shard:
            return load_audio(np.frombuffer(self.read_sound(shard), "<i2"), rate)

    def picture(self) -> Image:
        with self._open() as shard:
            return self.decode(self.read_frame(shard))

    def read_sound(self, shard: IO[bytes]) -> bytes:
        """The samples, 16 bits each. Raises RunError."""
        return self._read(shard, self.sound_at, 2 * self.samples)

    def read_frame(self, shard: IO[bytes]) -> bytes:
        """The frame's JPEG. Raises RunError."""
        return self._read(shard, self.frame_at, self.frame_bytes)

    def decode(self, jpeg: bytes) -> Image:
        """The picture of what `read_frame` gave. Raises RunError."""
        from PIL import Image

        try:
            with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
                return image.convert("RGB")
        except Exception as error:  # on damaged data Pillow raises nearly anything
            raise RunError(self._damaged()) from error

    @property
    def shard(self) -> Path:
        """The file that holds it."""
        assert isinstance(self.audio, Path)
        return self.audio

    def _open(self) -> IO[bytes]:
        try:
            return open(self.shard, "rb")
        except OSError as error:
            raise RunError(self._damaged()) from error

    def _read(self, shard: IO[bytes], start: int, count: int) -> bytes:
        shard.seek(start)
        if len(data := shard.read(count)) < count:
            raise RunError(self._damaged())
        return data

    def _damaged(self) -> str:
        return f"{self.audio} is damaged (clip {self.id}): delete it and run the same `bench prepare vggsound` again"


@dataclass(frozen=True, eq=False)
class Prepared:
    """A folder that `bench prepare` finished: what dataset.json says, and the index by columns."""

    folder: Path
    facts: dict[str, Any]
    index: dict[str, list[Any]]

    @classmethod
    def read(cls, folder: Path) -> Prepared:
        """Read and check it (all shards are there whole). Raises UserError with the way out."""
        path = folder / "dataset.json"
        if not path.exists():
            if (folder / "plan.json").exists():
                raise UserError(f"{folder} is not finished: run the same `bench prepare vggsound` again, it continues")
            raise UserError(f"{folder} holds no prepared VGGSound: {HOW}")
        try:
            facts = json.loads(path.read_bytes())
            stamp = (path.stat().st_mtime_ns, facts["format"], facts["index"], tuple(facts["shards"].items()))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            raise UserError(f"{path} cannot be read: run the same `bench prepare vggsound` again") from None
        if facts["format"] != FORMAT:
            raise UserError(f"{folder} has format {facts['format']}, this version reads {FORMAT}: prepare it again")
        return cls(folder, facts, _index(folder, stamp))

    def unfit(self, suite: Suite, split: str) -> list[str]:
        """A line for each thing in which the data of `split` are not as the suite wants them, however many they are."""
        problems = []
        if suite.data.labels == "vggsounder" and self.facts["vggsounder"] is None:
            problems.append(
                f"{self.folder} was prepared without VGGSounder's labels: run the same `bench prepare vggsound` again "
                "with --vggsounder vggsounder.csv (no video is read again)"
            )
        rule = "train_frame" if split == "train" else "test_frame"
        wanted = getattr(suite.data, rule)
        if wanted is not None and wanted != self.facts[rule]:
            problems.append(
                f"{self.folder} holds the {self.facts[rule]} frame of {split} clips, suite {suite.name!r} wants "
                f"{wanted}: prepare it with --frame {wanted} into another folder"
            )
        return problems

    def ids(self, split: str) -> list[str]:
        """Ids of the clips of a split, sorted."""
        return sorted(clip for clip, one in zip(self.index["clip"], self.index["split"], strict=True) if one == split)

    def clips(self, split: str, annotated: bool = False) -> tuple[ShardClip, ...]:
        """The clips of a split by id; `annotated`: with VGGSounder's labels."""
        column = self.index
        places = [place for place, name in enumerate(column["split"]) if name == split]
        places.sort(key=column["clip"].__getitem__)
        return tuple(self._clip(place, annotated) for place in places)

    def _clip(self, place: int, annotated: bool) -> ShardClip:
        row = {name: values[place] for name, values in self.index.items()}
        shard = self.folder / "shards" / f"{row['shard']}.tar"
        labels: tuple[str, ...] = (row["label"],)
        attributes: dict[str, Any] = {}
        known = annotated and row["vggsounder"] is not None
        if known:
            labels = _headline_first(row["label"], row["vggsounder"], row["visible"], row["audible"])
            attributes = {"audible": row["audible"], "flags": row["flags"]}
        return ShardClip(
            row["clip"], shard, shard, labels, row["split"], attributes, tuple(row["visible"]) if known else None,
            row["samples"], row["sound_at"], row["frame_at"], row["frame_bytes"],
            row["content"],
        )  # fmt: skip


def _headline_first(
    label: str, labels: Sequence[str], visible: Sequence[str], audible: Sequence[str]
) -> tuple[str, ...]:
    both = [one for one in labels if one in visible and one in audible]
    first = label if label in labels else (both or list(labels))[0]
    return first, *(one for one in labels if one != first)


@lru_cache(maxsize=2)
def _index(folder: Path, stamp: tuple[Any, ...]) -> dict[str, list[Any]]:
    """The index by columns; kept in memory, as both splits of a run are read from it."""
    import pyarrow.parquet as parquet

    _, _, sha256, shards = stamp
    again = "run the same `bench prepare vggsound` again"
    problems = []
    for name, size in shards:
        path = folder / "shards" / f"{name}.tar"
        if not path.exists():
            problems.append(f"{path} is missing: {again}")
        elif path.stat().st_size != size:
            problems.append(f"{path} has {path.stat().st_size:,} bytes instead of {size:,}: {again}")
    path = folder / "index.parquet"
    if not path.exists() or sha256_of(path) != sha256:
        problems.append(f"{path} is missing or damaged: {again}")
    if problems:
        raise UserError(problems)
    columns: dict[str, list[Any]] = parquet.read_table(path).to_pydict()
    return columns


class Sample(NamedTuple):
    """One training example: the clip's position in its set, its sound (samples,) float32, and its frame.

    The frame is uint8 (height, width, 3), resized as the suite says; None where it was not asked for.
    """

    position: int
    sound: np.ndarray
    frame: np.ndarray | None


class Stream:
    """Training examples without end: shuffled shards, read in sequence, through a buffer that shuffles again.

    Every clip comes once an epoch, with a window of `seconds` that starts at a random sample of it; order and windows
    depend on `seed` and the epoch alone. With `world` processes, process `rank` gets every `world`-th example of the
    order that one process alone would get. `position` counts the examples that this process was given: a stream made
    with the position of another one continues it exactly. At most `buffer` clips are in memory (0.4 MB each).
    """

    def __init__(
        self, clips: ClipSet, suite: Suite, *, seconds: float, seed: int, frames: bool = True, buffer: int = 256,
        rank: int = 0, world: int = 1, position: int = 0,
    ) -> None:  # fmt: skip
        """Raises ValueError for clips that do not lie in shards, and for values out of range."""
        self.clips = tuple(clip for clip in clips if isinstance(clip, ShardClip))
        if not self.clips or len(self.clips) < len(clips):
            raise ValueError(f"{clips.name!r} has no clips in shards: only prepared data stream")
        if buffer < 1 or seconds <= 0 or position < 0 or not 0 <= rank < world:
            raise ValueError(
                f"no stream has buffer {buffer}, {seconds} seconds, position {position}, rank {rank} of {world}: "
                "give buffer >= 1, seconds > 0, position >= 0, 0 <= rank < world"
            )
        self.resolution, self.rule = suite.backbone.resolution, suite.backbone.resize
        self.samples, self.length = round(seconds * RATE), suite.data.length
        self.seed, self.frames, self.buffer = seed, frames, buffer
        self.rank, self.world, self.position = rank, world, position
        shards: dict[Path, list[int]] = {}
        for place in sorted(range(len(clips)), key=lambda place: self.clips[place].sound_at):
            shards.setdefault(self.clips[place].shard, []).append(place)
        self._shards = [shards[path] for path in sorted(shards)]

    def __iter__(self) -> Iterator[Sample]:
        count = len(self.clips)
        reader = _Reader(self.frames)
        while True:
            epoch, offset = divmod(self.position * self.world + self.rank, count)
            arriving, order = buffered_order(self._shards, self.buffer, self.seed, epoch)
            mine = {order[place] for place in range(offset, count, self.world)}
            held: dict[int, tuple[bytes, bytes]] = {}
            entered = 0
            for place in range(offset, count, self.world):
                for clip in arriving[entered : place + self.buffer]:
                    if clip in mine:
                        held[clip] = reader.read(self.clips[clip])
                entered = max(entered, min(count, place + self.buffer))
                self.position += 1
                yield self._sample(order[place], epoch, *held.pop(order[place]))

    def _sample(self, place: int, epoch: int, sound: bytes, jpeg: bytes) -> Sample:
        pcm = np.frombuffer(sound, "<i2")
        room = pcm.size - self.samples
        start = int(np.random.default_rng([self.seed, epoch, place]).integers(room + 1)) if room > 0 else 0
        window = pcm[start : start + self.samples].astype(np.float32) / np.float32(2**15)
        if room < 0:
            window = fit_length(window, self.samples, self.length)
        frame = None
        if self.frames:
            frame = np.asarray(resize(self.clips[place].decode(jpeg), self.resolution, self.rule))
        return Sample(place, window, frame)


class _Reader:
    """Reads clips whose shards follow each other: the last shard stays open."""

    def __init__(self, frames: bool) -> None:
        self.frames = frames
        self._path: Path | np.ndarray | None = None
        self._file: IO[bytes] | None = None

    def read(self, clip: ShardClip) -> tuple[bytes, bytes]:
        if self._file is None or clip.audio != self._path:
            if self._file is not None:
                self._file.close()
            self._file, self._path = clip._open(), clip.audio
        return clip.read_sound(self._file), clip.read_frame(self._file) if self.frames else b""


def buffered_order(shards: Sequence[Sequence[int]], buffer: int, seed: int, epoch: int) -> tuple[list[int], list[int]]:
    """The items in the order they arrive (shards shuffled, each read in sequence) and in the order they leave.

    The buffer holds `buffer` items; one drawn at random leaves, the next one takes its place. So the item that leaves
    as number n is among the first n + buffer to arrive.
    """
    rng = np.random.default_rng([seed, epoch])
    arriving = [item for place in rng.permutation(len(shards)) for item in shards[place]]
    draws = rng.random(len(arriving))
    held = arriving[:buffer]
    leaving = []
    for number, draw in enumerate(draws.tolist()):
        drawn = int(draw * len(held))
        leaving.append(held[drawn])
        if number + buffer < len(arriving):
            held[drawn] = arriving[number + buffer]
        else:
            held[drawn] = held[-1]
            held.pop()
    return arriving, leaving
