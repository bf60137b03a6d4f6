"""What lies in the user's folder: the files of each clip, found by either style of name."""

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
    """The media files below a root, relative to it.

    `videos` and `sounds` are by clip (`prepare.lists.clip_key`); of several files for one clip the first path in order
    counts and the others are in `doubles`. `id_only` are named by a video's id alone, so nobody can tell which clip of
    the video they are; `strange` have other names; `archives` and `unfinished` downloads are not read.
    """

    root: Path
    videos: dict[str, str] = field(default_factory=dict)
    sounds: dict[str, str] = field(default_factory=dict)
    doubles: list[str] = field(default_factory=list)
    id_only: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)


def find_files(root: Path, skip: Path | None = None) -> Files:
    """Look through `root`, links followed, leaving out `skip`. Raises UserError where no clip can be found there."""
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
    """Every file below `root` that is not hidden, as a relative path with slashes."""
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen or (skip is not None and real == os.path.realpath(skip)):
            folders.clear()  # a link that leads back up would never end
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
        (list(found.sounds.values()), "sounds are there without their videos: the frames are needed too"),
    ):
        if files:
            lines.append(f"{len(files):,} {what} (such as {files[0]!r})")
    return lines
