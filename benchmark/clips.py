"""The clip, the item of every suite (a sound, the frame that belongs to it, its labels), and ordered sets of clips."""

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
# Longer names, with a suffix and that of the temporary file they are first written to, do not fit a file system's 255.
MAX_ID_BYTES = 220


def bad_id(clip_id: str) -> str | None:  # noqa: PLR0911  # one return a reason
    """Why `clip_id` cannot be a file name on every system, as the end of a sentence "id ... <why>"; None if it can."""
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
    """Equal for ids that name the same file on some system: case and Unicode composition do not count."""
    return unicodedata.normalize("NFC", clip_id.casefold())


@dataclass(frozen=True, eq=False)
class Clip:
    """One item: its id (the name of its files), sound, reference frame, labels and split.

    `audio` is a file or a waveform (samples,) or (samples, channels) at 16 kHz; `image` a file, an array
    (height, width, 3), or None where there is no frame. The first label is the headline. `attributes` are what a
    generated world knows of the clip. `visible` are the labels that annotators saw in the clip, perhaps none; None if
    nobody looked. Clips are equal only if they are the same object: they may hold arrays.
    Raises UserError for an id that cannot be a file name, and for missing or empty labels.
    """

    id: str
    audio: Path | np.ndarray = field(repr=False)
    image: Path | np.ndarray | None = field(repr=False)
    labels: tuple[str, ...]
    split: str
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    visible: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if why := bad_id(self.id):
            raise UserError(f"clip id {self.id!r} {why}: ids become file names, choose another")
        if not self.labels or not all(self.labels):
            raise UserError(f"clip {self.id!r} has labels {self.labels!r}: give at least one, none empty")

    @property
    def label(self) -> str:
        """The headline label."""
        return self.labels[0]

    def waveform(self, rate: int = RATE) -> np.ndarray:
        """The sound: float32, (samples,), at `rate`. Raises as `benchmark.media.audio.load_audio`."""
        return load_audio(self.audio, rate)

    def picture(self) -> Image.Image:
        """The reference frame, RGB. Raises as `media.images.load_image`, and UserError where there is none."""
        if self.image is None:
            raise UserError(f"clip {self.id!r} has no reference picture: give it one, or leave out what needs one")
        return load_image(self.image)


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Ordered clips and the ordered set of labels that they are told apart by.

    `identity` (sha256 hex) covers the label set and every clip's id, labels, sound, picture and visible labels; it is
    worked out from the content (reading every file once) unless the maker, who may know it more cheaply, gives one.
    Sets are equal if their identities are. Raises UserError for ids that collide (case does not count) and for labels
    outside `labels`.
    """

    name: str
    clips: tuple[Clip, ...] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    identity: str = ""

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
        """The clips' ids, in order."""
        return tuple(clip.id for clip in self.clips)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Each id's position."""
        return {clip_id: position for position, clip_id in enumerate(self.ids)}

    @cached_property
    def classes(self) -> np.ndarray:
        """Each clip's class: the position of its headline label in `labels`. int64, (clips,)."""
        return np.array([self._positions[clip.label] for clip in self.clips], dtype=np.int64)

    @cached_property
    def visible(self) -> tuple[frozenset[int], ...] | None:
        """Each clip's visible labels as positions in `labels`, none where nobody looked; None if nobody did at any."""
        if all(clip.visible is None for clip in self.clips):
            return None
        return tuple(frozenset(self._positions[label] for label in clip.visible or ()) for clip in self.clips)

    def limit(self, n: int) -> ClipSet:
        """The first `n` clips in class-round-robin order: every class's first clip, then every class's second, ...

        Within a round, classes come in the order of their first clips. The label set stays whole. All clips are taken
        where there are no more than `n`. Raises UserError for n < 1.
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
    """The identity of a set, where `contents` are the hashes of each clip's sound and picture."""
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
