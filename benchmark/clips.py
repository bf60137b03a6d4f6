"""Clips, the items of every suite (a sound, its true frame, its labels), and ordered sets of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from benchmark.media.audio import RATE, audio_digest, load_audio
from benchmark.media.images import load_image, pixel_digest
from benchmark.utils.errors import UserError
from benchmark.utils.files import digest, sha256_of

MAX_ID_CHARACTERS = 128
# With the suffixes of the file and of its temporary copy, longer names would exceed the 255 bytes of a file system.
MAX_ID_BYTES = 220


def bad_id(clip_id: str) -> str | None:  # noqa: PLR0911  # one return a reason
    """Return why `clip_id` cannot be a file name on every system, as the end of a sentence; None if it can."""
    if not clip_id:
        return "is empty"
    if "/" in clip_id or "\\" in clip_id:
        return "holds a slash"
    if clip_id.startswith("."):
        return "starts with a dot"
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in clip_id):
        return "holds a control character"
    if found := re.search(r'[:*?"<>|]', clip_id):
        return f"holds {found[0]!r}, which some systems do not allow in a file's name"
    if len(clip_id) > MAX_ID_CHARACTERS or len(clip_id.encode()) > MAX_ID_BYTES:
        return f"is too long (at most {MAX_ID_CHARACTERS} characters, {MAX_ID_BYTES} bytes)"
    return None


def id_key(clip_id: str) -> str:
    """Return a key that is equal for ids that name the same file on some system.

    Case and Unicode composition do not count.
    """
    return unicodedata.normalize("NFC", clip_id.casefold())


@dataclass(frozen=True, eq=False)
class Clip:
    """Item of a suite: a sound, its reference frame and its labels.

    Clips are equal only if they are the same object, as they may contain arrays.

    Raises:
        UserError: The id cannot be a file name, or labels are missing or empty.
    """

    id: str
    """Id, which is the name of the clip's files."""
    audio: Path | np.ndarray = field(repr=False)
    """Sound: a file, or a waveform (samples,) or (samples, channels) at 16 kHz."""
    image: Path | np.ndarray | None = field(repr=False)
    """Reference frame: a file, an array (height, width, 3), or None if there is no frame."""
    labels: tuple[str, ...]
    """Labels; the first one is the headline."""
    split: str
    """Name of the split."""
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Further facts that a data set knows of the clip."""
    visible: tuple[str, ...] | None = None
    """Labels that annotators saw in the clip, possibly none; None if nobody annotated it."""

    def __post_init__(self) -> None:
        if why := bad_id(self.id):
            raise UserError(f"clip id {self.id!r} {why}: ids become file names, choose another")
        if not self.labels or not all(self.labels):
            raise UserError(f"clip {self.id!r} has labels {self.labels!r}: give at least one, none empty")

    @property
    def label(self) -> str:
        """Headline label."""
        return self.labels[0]

    def waveform(self, rate: int = RATE, seconds: float | None = None) -> np.ndarray:
        """Load the sound: float32, (samples,), mono, at `rate`.

        Args:
            rate: Sample rate of the result, in Hz.
            seconds: How much is needed at least, so that the rest of a long file need not be read; None for all.

        Raises:
            AudioError: As `benchmark.media.audio.load_audio`.
        """
        return load_audio(self.audio, rate, seconds=seconds)

    def picture(self) -> Image.Image:
        """Load the reference frame, in mode RGB.

        Raises:
            UserError: The clip has no frame.
            ImageError: As `benchmark.media.images.load_image`.
        """
        if self.image is None:
            raise UserError(f"clip {self.id!r} has no reference frame: give it one, or leave out what needs one")
        return load_image(self.image)


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Ordered set of clips with the ordered set of labels that classify them.

    Sets are equal if their identities are.

    Raises:
        UserError: Ids collide (case does not count), labels are missing from `labels`, or a label occurs in it twice.
    """

    name: str
    """Name for people."""
    clips: tuple[Clip, ...] = field(repr=False)
    """The clips, in order."""
    labels: tuple[str, ...] = field(repr=False)
    """The label set; a label's position is its class."""
    identity: str = ""
    """sha256 (hex) of the label set and of every clip's id, labels, sound, frame and visible labels. If it is not
    given, it is computed from the contents, which reads every file once."""

    def __post_init__(self) -> None:
        first: dict[str, str] = {}
        problems = []
        for clip in self.clips:
            key = id_key(clip.id)
            if key in first:
                problems.append(f"clip id {clip.id!r} collides with {first[key]!r}: each clip needs its own file name")
            first[key] = clip.id
            problems += [
                f"clip {clip.id!r} has label {label!r}, which is not in the label set of {self.name!r}: add it there"
                for label in (*clip.labels, *(clip.visible or ()))
                if label not in self._positions
            ]
        if len(self._positions) < len(self.labels):
            problems.append(f"the label set of {self.name!r} names a label twice: name each once")
        if problems:
            raise UserError(problems)
        if not self.identity:
            contents = ((_sound_content(clip.audio), _picture_content(clip.image)) for clip in self.clips)
            object.__setattr__(self, "identity", clips_identity(self.clips, self.labels, contents))

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    @overload
    def __getitem__(self, position: int) -> Clip: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Clip, ...]: ...
    def __getitem__(self, position: int | slice) -> Clip | tuple[Clip, ...]:
        return self.clips[position]

    def __eq__(self, other: object) -> bool:
        return self.identity == other.identity if isinstance(other, ClipSet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.identity)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the clips, in order."""
        return tuple(clip.id for clip in self.clips)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each id."""
        return {clip_id: position for position, clip_id in enumerate(self.ids)}

    @cached_property
    def classes(self) -> np.ndarray:
        """Class of each clip, the position of its headline label in `labels`: int64, (clips,)."""
        return np.array([self._positions[clip.label] for clip in self.clips], dtype=np.int64)

    @cached_property
    def visible(self) -> tuple[frozenset[int], ...] | None:
        """Visible labels of each clip as positions in `labels`, empty for clips without annotation.

        None if no clip is annotated.
        """
        if all(clip.visible is None for clip in self.clips):
            return None
        return tuple(frozenset(self._positions[label] for label in clip.visible or ()) for clip in self.clips)

    def limit(self, n: int) -> ClipSet:
        """Return the first `n` clips in class-round-robin order: every class's first clip, then every second one, ...

        Within a round, classes come in the order of their first clips. The label set stays whole. All clips are taken
        if there are no more than `n`.

        Raises:
            UserError: `n` is less than 1.
        """
        if n < 1:
            raise UserError(f"limit {n} leaves no clip: give 1 or more")
        seen: dict[int, int] = {}
        rounds = []
        for class_index in self.classes.tolist():
            rounds.append(seen.get(class_index, 0))
            seen[class_index] = rounds[-1] + 1
        order = {class_index: place for place, class_index in enumerate(seen)}
        chosen = sorted(range(len(self)), key=lambda i: (rounds[i], order[int(self.classes[i])]))[:n]
        if chosen == list(range(len(self))):
            return self
        clips = tuple(self.clips[i] for i in chosen)
        identity = digest({"of": self.identity, "ids": [clip.id for clip in clips]})
        return ClipSet(self.name, clips, self.labels, identity)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {label: position for position, label in enumerate(self.labels)}


def clips_identity(
    clips: Sequence[Clip], labels: Sequence[str], contents: Iterable[tuple[str | None, str | None]]
) -> str:
    """Return the identity of a set of clips.

    Args:
        clips: The clips, in order.
        labels: The label set.
        contents: Hashes of the sound and of the frame of each clip.
    """
    rows = [
        [clip.id, list(clip.labels), *content, *([] if clip.visible is None else [list(clip.visible)])]
        for clip, content in zip(clips, contents, strict=True)
    ]
    return digest({"labels": list(labels), "clips": rows})


def _sound_content(sound: Path | np.ndarray) -> str:
    return audio_digest(sound) if isinstance(sound, np.ndarray) else sha256_of(sound)


def _picture_content(picture: Path | np.ndarray | None) -> str | None:
    if picture is None:
        return None
    return pixel_digest(picture) if isinstance(picture, np.ndarray) else sha256_of(picture)
