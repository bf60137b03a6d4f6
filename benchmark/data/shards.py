"""Clips that are stored in tar shards: read one by one, or streamed in shuffled order for training."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import IO, TYPE_CHECKING

import numpy as np

from benchmark.clips import Clip, ClipSet
from benchmark.dataset import Sample, StreamPlace
from benchmark.media.audio import RATE, fit_length, load_audio
from benchmark.media.images import resize
from benchmark.utils.ahead import ahead, begun_in
from benchmark.utils.errors import RunError
from benchmark.utils.files import digest

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.suite import Suite


AHEAD = 4
"""Examples that are decoded ahead by each decoder."""


@dataclass(frozen=True, eq=False)
class ShardClip(Clip):
    """Clip whose sound and frame are stored in a shard: `audio` and `image` are the shard, which is read on demand."""

    samples: int = 0
    """Number of samples of the sound."""
    sound_at: int = 0
    """Offset of the samples in the shard, in bytes."""
    frame_at: int = 0
    """Offset of the frame's JPEG in the shard, in bytes."""
    frame_bytes: int = 0
    """Size of the frame's JPEG, in bytes."""
    content: str = ""
    """Hash of sound (as wav) and frame as stored."""

    def waveform(self, rate: int = RATE, seconds: float | None = None) -> np.ndarray:
        """Read the sound from the shard: float32, (samples,), at `rate`; it is short, so `seconds` change nothing.

        Raises:
            RunError: The shard is damaged or missing.
        """
        with self._open() as shard:
            return load_audio(np.frombuffer(self.read(shard)[0], "<i2"), rate)

    def picture(self) -> Image:
        """Read the reference frame, RGB, from the shard.

        Raises:
            RunError: The shard is damaged or missing.
        """
        with self._open() as shard:
            return self.decode(self.read(shard)[1])

    def read(self, shard: IO[bytes]) -> tuple[bytes, bytes]:
        """Return the samples, 16 bits each, and the frame's JPEG from the opened shard.

        Both are read and hashed for either, since `content`, by which clips are told apart, is the hash of both.

        Raises:
            RunError: The shard is damaged, or holds another clip there.
        """
        # The samples end their wav, and files begin at whole blocks: what lies before the samples is the wav's header.
        header = self.sound_at % BLOCKSIZE
        wav = self._read(shard, self.sound_at - header, header + 2 * self.samples)
        jpeg = self._read(shard, self.frame_at, self.frame_bytes)
        if digest([hashlib.sha256(data).hexdigest() for data in (wav, jpeg)]) != self.content:
            raise RunError(self._damaged())
        return wav[header:], jpeg

    def decode(self, jpeg: bytes) -> Image:
        """Decode the JPEG that `read` returned.

        Raises:
            RunError: The JPEG is damaged.
        """
        from PIL import Image

        try:
            with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
                return image.convert("RGB")
        except Exception as error:  # Pillow raises nearly anything on damaged data
            raise RunError(self._damaged()) from error

    @property
    def shard(self) -> Path:
        """The shard's file."""
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


class Stream:
    """Endless stream of training examples: shuffled shards, read in sequence, through a buffer that shuffles again.

    Every clip occurs once per epoch, with a window of `seconds` that starts at one of its samples at random; order and
    windows depend on the seed and the epoch alone. With `world` processes, process `rank` gets every `world`-th example
    of the order that a single process would get.

    Args:
        clips: Clips that are stored in shards.
        suite: The suite, for the size of the frames and the rule for short sounds.
        place: Seed, position and process to start from.
        seconds: Length of the window; defaults to the suite's `train_seconds`.
        frames: Whether the examples include the frames.
        buffer: Size of the buffer: at most this many clips are in memory (0.4 MB each).
        decoders: Threads that decode frames ahead; 0 decodes them when they are taken.

    Attributes:
        position: Number of examples that this process was given. A stream that is created with the position of another
            one continues it exactly.

    Raises:
        ValueError: The clips are not stored in shards, or a value is out of range.
    """

    def __init__(
        self,
        clips: ClipSet,
        suite: Suite,
        place: StreamPlace,
        *,
        seconds: float | None = None,
        frames: bool = True,
        buffer: int = 256,
        decoders: int = 0,
    ) -> None:
        self.clips = tuple(clip for clip in clips if isinstance(clip, ShardClip))
        if not self.clips or len(self.clips) < len(clips):
            raise ValueError(f"{clips.name!r} is not stored in shards: only prepared data can be streamed")
        seconds = suite.data.train_seconds or suite.data.seconds if seconds is None else seconds
        seed, position, rank, world = place
        if buffer < 1 or seconds <= 0 or position < 0 or decoders < 0 or not 0 <= rank < world:
            raise ValueError(
                f"no stream has buffer {buffer}, {seconds} seconds, position {position}, {decoders} decoders, rank "
                f"{rank} of {world}: give buffer >= 1, seconds > 0, position >= 0, decoders >= 0, 0 <= rank < world"
            )
        self.resolution, self.rule = suite.backbone.resolution, suite.backbone.resize
        self.samples, self.length = round(seconds * RATE), suite.data.length
        self.seed, self.frames, self.buffer, self.decoders = seed, frames, buffer, decoders
        self.rank, self.world, self.position = rank, world, position
        shards: dict[Path, list[int]] = {}
        for number in sorted(range(len(clips)), key=lambda number: self.clips[number].sound_at):
            shards.setdefault(self.clips[number].shard, []).append(number)
        self._shards = [shards[path] for path in sorted(shards)]

    def __iter__(self) -> Iterator[Sample]:
        with begun_in(self.decoders) as begin:
            begun = (begin(self._sample, *stored) for stored in self._stored())
            for decoding in ahead(begun, AHEAD * self.decoders):
                self.position += 1
                yield decoding.result()

    def _stored(self) -> Iterator[tuple[int, int, bytes, bytes]]:
        """Yield place, epoch, sound and JPEG of the examples from `position` on."""
        count, position = len(self.clips), self.position
        reader = _Reader(self.frames)
        while True:
            epoch, offset = divmod(position * self.world + self.rank, count)
            arriving, order = buffered_order(self._shards, self.buffer, self.seed, epoch)
            mine = {order[place] for place in range(offset, count, self.world)}
            held: dict[int, tuple[bytes, bytes]] = {}
            entered = 0
            for place in range(offset, count, self.world):
                for clip in arriving[entered : place + self.buffer]:
                    if clip in mine:
                        held[clip] = reader.read(self.clips[clip])
                entered = max(entered, min(count, place + self.buffer))
                position += 1
                yield order[place], epoch, *held.pop(order[place])

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
    """Reader of clips that keeps the last shard open, as consecutive clips share it."""

    def __init__(self, frames: bool) -> None:
        self.frames = frames
        self._path: Path | np.ndarray | None = None
        self._file: IO[bytes] | None = None

    def read(self, clip: ShardClip) -> tuple[bytes, bytes]:
        if self._file is None or clip.audio != self._path:
            if self._file is not None:
                self._file.close()
            self._file, self._path = clip._open(), clip.audio
        sound, jpeg = clip.read(self._file)
        return sound, jpeg if self.frames else b""


def buffered_order(shards: Sequence[Sequence[int]], buffer: int, seed: int, epoch: int) -> tuple[list[int], list[int]]:
    """Return the order in which items enter a shuffle buffer, and the order in which they leave it.

    Items enter shard by shard: the shards are shuffled, and each is read in sequence. Of the `buffer` items in the
    buffer, one drawn at random leaves and the next one takes its place, so the item that leaves as number n is among
    the first n + buffer to enter.

    Args:
        shards: The items of each shard.
        buffer: Size of the buffer.
        seed: Seed of the order.
        epoch: Epoch, which changes the order.

    Returns:
        The items in order of entering, and in order of leaving.
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
