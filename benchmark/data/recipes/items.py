"""What a recipe makes of a data set's folder: a list of clips, each with its files, label and split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark.utils.errors import UserError

VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".flv")
SOUNDS = (".wav", ".flac", ".m4a", ".mp3", ".ogg")
IMAGES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Item:
    """A clip of a data set."""

    id: str
    """Id in the manifest."""
    label: str
    """Its label."""
    split: str
    """One of train, validation and test."""
    sound: Path
    """File of its sound, which may be a video."""
    video: Path | None = None
    """File of its frames; None for a clip without a video."""
    images: tuple[Path, ...] = ()
    """Images that stand for frames."""
    start: float = 0.0
    """Start of the clip in its files, in seconds."""
    seconds: float = 10.0
    """Longest length of the clip, in seconds."""


@dataclass(frozen=True)
class Recipe:
    """How a data set becomes a manifest."""

    name: str
    """Name on the command line."""
    title: str
    """Name of the data set, and the paper that it is from."""
    layout: str
    """What its folder contains, for people."""
    splits: str
    """Where the splits come from."""
    clips: Callable[[Path], list[Item]]
    """Returns the clips of a folder, in the order of the manifest."""
    version: int = 1
    """Raised with any change of the clips, their order, labels or splits."""


def files(root: Path, suffixes: Iterable[str]) -> list[Path]:
    """Return the files below a folder with one of the suffixes, sorted by their path."""
    wanted = tuple(suffixes)
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in wanted and path.is_file())


def share(key: str) -> float:
    """Return a number from 0 to 1 that depends on a text alone, to divide clips where nobody published how.

    Example:
        >>> round(share("video_00001"), 3)
        0.844
    """
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def first_by_hash(keys: Iterable[str], count: int) -> set[str]:
    """Return `count` of the keys: the same ones whatever other keys come later before them by name."""
    return set(sorted(keys, key=share)[:count])


def safe(text: str) -> str:
    """Return a text as a part of an id: what file systems refuse becomes `_`."""
    return "".join(character if character.isalnum() or character in "-_." else "_" for character in text)


def spoken(name: str) -> str:
    """Return the name of a folder as a label: without `_`, in lower case."""
    return " ".join(name.replace("_", " ").split()).lower()


def windows(length: float, seconds: float = 10.0, whole: float = 30.0) -> Iterator[float]:
    """Yield the starts of a recording's clips: one of a short one, else one every `seconds` without the rest."""
    if length <= whole:
        yield 0.0
        return
    for number in range(int(length // seconds)):
        yield number * seconds


def nothing(root: Path, layout: str) -> UserError:
    """Return the error for a folder in which a recipe found no clip."""
    return UserError(f"{root} contains no clip of this data set: it should contain {layout}")
