"""Search for the media files of each clip in the user's folder, by either style of name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.data.prepare.clip_lists import is_video_id, key_of
from benchmark.utils.errors import UserError

VIDEO = {".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".flv"}
AUDIO = {".wav", ".flac"}
ARCHIVE = (".tar", ".tar.gz", ".tgz", ".zip", ".7z", ".rar")
UNFINISHED = {".part", ".crdownload", ".aria2", ".download", ".ytdl", ".tmp", ".incomplete"}


@dataclass(frozen=True, eq=False)
class Files:
    """The media files below a folder, as paths relative to it."""

    root: Path
    """The folder."""
    videos: dict[str, str] = field(default_factory=dict)
    """Video of each clip (`benchmark.data.prepare.clip_lists.clip_key`): the first of several paths."""
    sounds: dict[str, str] = field(default_factory=dict)
    """Separate sound file of each clip: the first of several paths."""
    doubles: list[str] = field(default_factory=list)
    """Further files of a clip."""
    id_only: list[str] = field(default_factory=list)
    """Files named by a video's id alone, which leaves open which clip of the video they contain."""
    strange: list[str] = field(default_factory=list)
    """Media files with other names."""
    archives: list[str] = field(default_factory=list)
    """Archives, which are not read."""
    unfinished: list[str] = field(default_factory=list)
    """Unfinished downloads, which are not read."""


def find_files(root: Path, skip: Path | None = None) -> Files:
    """Find the media files below a folder; links are followed.

    Args:
        root: The folder.
        skip: Folder to leave out.

    Raises:
        UserError: The folder does not exist, or contains no video of a clip.
    """
    root = Path(root)
    if not root.exists():
        raise UserError(f"folder {str(root)!r} does not exist: give the folder that holds the videos")
    if not root.is_dir():
        raise UserError(f"{str(root)!r} is a file: give the folder that holds the videos")
    found = Files(root)
    for relative in sorted(_walk(root, skip)):
        name = relative.rpartition("/")[2]
        stem, dot, end = name.rpartition(".")
        suffix = (dot + end).lower()
        if suffix in UNFINISHED:
            found.unfinished.append(relative)
        elif name.lower().endswith(ARCHIVE):
            found.archives.append(relative)
        elif suffix in VIDEO | AUDIO:
            key = key_of(stem)
            if key is None:
                (found.id_only if is_video_id(stem) else found.strange).append(relative)
                continue
            kind = found.videos if suffix in VIDEO else found.sounds
            if kind.setdefault(key, relative) != relative:
                found.doubles.append(relative)
    if not found.videos:
        raise UserError(_nothing(found))
    return found


def _walk(root: Path, skip: Path | None) -> Iterator[str]:
    """Yield every file below `root` that is not hidden, as a relative path with slashes."""
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen or (skip is not None and real == os.path.realpath(skip)):
            folders.clear()  # a link that leads back up would be followed for ever
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        for name in names:
            if not name.startswith("."):
                yield name if relative == "." else f"{relative}/{name}"


def _nothing(found: Files) -> list[str]:
    wanted = "<id>_<start second, 6 digits>.mp4 or <id>_<start>_<end, milliseconds>.mp4"
    lines = [f"no video named {wanted} is below {str(found.root)!r}: give the folder that holds the videos"]
    for files, what in (
        (found.archives, "archives are not read: unpack them first"),
        (found.unfinished, "downloads are not finished: let them end first"),
        (
            found.id_only,
            "files are named by the video's id alone, and clips of one video may have different labels: "
            "add the start to their names",
        ),
        (found.strange, "media files have other names: rename them"),
        (list(found.sounds.values()), "sounds have no video beside them: the frames are needed too"),
    ):
        if files:
            lines.append(f"{len(files):,} {what} (such as {files[0]!r})")
    return lines
