"""Lists of clips and their labels, read from CSV: VGGSound's list and VGGSounder's annotations."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmark.utils.errors import UserError
from benchmark.utils.files import digest, read_ordinary, sha256_of

SPLITS = ("train", "validation", "test")
MODALITIES = ("A", "V", "AV")
EXPECTED = {"test clips": 15_446, "test video ids": 14_851, "classes": 309}
"""Counts of the published list (hche11/VGGSound data/test.csv)."""

MOST_LINES = 20
"""Number of problems that are spelled out; the others are counted."""

# YouTube's ids have 11 characters, underscores and hyphens among them, so only their length tells where they end.
_SECONDS = re.compile(r"([\w-]{11})_(\d{6})", re.ASCII)
_MILLISECONDS = re.compile(r"([\w-]{11})_(\d+)_(\d+)", re.ASCII)
_ID = re.compile(r"[\w-]{11}", re.ASCII)
_FLAG = {"true": True, "1": True, "false": False, "0": False, "": False}

_CLIP = ("video_id", "youtube_id", "ytid", "id", "video", "clip", "file", "filename")
_START = ("start", "start_seconds", "start_sec", "start seconds", "start_time", "time")
_LABEL = ("label", "class")
_SPLIT = ("split", "set")


def clip_key(video: str, start: int) -> str:
    """Return a clip's name, as in VGGSound: the video's id and the second at which the clip starts, in six digits.

    Example:
        >>> clip_key("-_gaZzFfzDQ", 517)
        '-_gaZzFfzDQ_000517'
    """
    return f"{video}_{start:06d}"


def key_of(name: str) -> str | None:
    """Return the clip that a file's name denotes; None if it denotes none.

    Args:
        name: The name without suffix: the video's id and the start in seconds, or start and end in milliseconds.

    Example:
        >>> key_of("3YOH4c9HXpo_000290"), key_of("-_gaZzFfzDQ_517000_527000"), key_of("3YOH4c9HXpo")
        ('3YOH4c9HXpo_000290', '-_gaZzFfzDQ_000517', None)
    """
    if _SECONDS.fullmatch(name):
        return name
    if (found := _MILLISECONDS.fullmatch(name)) and int(found[2]) % 1000 == 0:
        return clip_key(found[1], int(found[2]) // 1000)
    return None


def is_video_id(name: str) -> bool:
    """Return whether `name` is a video's id, without the start of a clip."""
    return _ID.fullmatch(name) is not None


@dataclass(frozen=True)
class Row:
    """A listed clip."""

    key: str
    """Name of the clip, as `clip_key` returns it."""
    label: str
    """Its label."""
    split: str
    """Its split."""

    @property
    def video(self) -> str:
        """Id of the video; other clips of the same video may have other labels."""
        return self.key[:-7]


@dataclass(frozen=True, eq=False)
class ClipList:
    """The clips of a list."""

    path: Path
    """The file."""
    sha256: str
    """sha256 (hex) of the file's bytes."""
    rows: tuple[Row, ...]
    """The clips, sorted by key."""

    @cached_property
    def identity(self) -> str:
        """sha256 (hex) of the sorted clips with labels and splits, which is equal for files with equal contents."""
        return digest([[row.key, row.label, row.split] for row in self.rows])

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels, sorted."""
        return tuple(sorted({row.label for row in self.rows}))

    def counts(self) -> dict[str, int]:
        """Return the counts of this list that `EXPECTED` states for the published one."""
        test = [row for row in self.rows if row.split == "test"]
        return {
            "test clips": len(test),
            "test video ids": len({row.video for row in test}),
            "classes": len(self.labels),
        }

    def differences(self) -> list[str]:
        """Return a line for each count in which this list differs from the published one."""
        return [
            f"{self.path.name} has {found:,} {what}, the published list {EXPECTED[what]:,}: "
            "results are comparable only with results from the same list"
            for what, found in self.counts().items()
            if found != EXPECTED[what]
        ]


@dataclass(frozen=True, eq=False)
class Annotation:
    """VGGSounder's annotation of a clip."""

    labels: list[str] = field(default_factory=list)
    """All labels, in the file's order."""
    visible: list[str] = field(default_factory=list)
    """The labels that are seen."""
    audible: list[str] = field(default_factory=list)
    """The labels that are heard."""
    flags: dict[str, bool] = field(default_factory=dict)
    """Whether there is background music, a static image or a voice-over."""


def read_list(path: Path) -> ClipList:
    """Read a clip list: CSV with video id, start in seconds, label and split.

    The file may be VGGSound's own `vggsound.csv` (those four columns, no header), its `test.csv`
    (`<id>_<start>.mp4`, label), or any file whose header names the columns. Without a split column all clips are test
    clips. A list without starts cannot be used, as clips of one video may have different labels.

    Raises:
        UserError: The file cannot be read or has bad rows; the message lists all problems.
    """
    path = Path(path)
    records = list(_records(path))
    if not records:
        raise UserError(f"list {path.name!r} is empty: give VGGSound's vggsound.csv (video id, start, label, split)")
    columns, body = _columns(path, records)
    problems: list[str] = []
    rows: dict[str, tuple[int, Row]] = {}
    for line, cells in body:
        try:
            row = _row(columns, cells)
        except ValueError as error:
            problems.append(f"{path.name}:{line}: {error}")
            continue
        first, known = rows.setdefault(row.key, (line, row))
        if known != row:
            problems.append(
                f"{path.name}:{line}: clip {row.key} is {row.label!r} ({row.split}) here and {known.label!r} "
                f"({known.split}) on line {first}: keep one of them"
            )
    refuse(problems)
    listed = tuple(sorted((row for _, row in rows.values()), key=lambda row: row.key))
    return ClipList(path, sha256_of(path), listed)


def read_vggsounder(path: Path, labels: Sequence[str]) -> tuple[dict[str, Annotation], list[str]]:
    """Read VGGSounder's annotations.

    The file is CSV with the columns video_id (`<id>_<start>`), label and modality (A: heard, V: seen, AV: both), one
    row per label, and optionally the flags background_music, static_image and voice_over.

    Args:
        path: The file.
        labels: Labels of the clip list. Others are left out, as nothing is scored against them.

    Returns:
        The annotations by clip, and remarks on labels that were left out.

    Raises:
        UserError: The file cannot be read, lacks a column or has bad rows; the message lists all problems.
    """
    path = Path(path)
    records = list(_records(path))
    header = [cell.strip().lower() for cell in records[0][1]] if records else []
    if missing := [name for name in ("video_id", "label", "modality") if name not in header]:
        raise UserError(
            f"{path.name}: column {missing[0]!r} is missing: give VGGSounder's vggsounder.csv, whose header is "
            "video_id,label,modality,..."
        )
    known, strange = set(labels), dict[str, int]()
    found: dict[str, Annotation] = {}
    problems = []
    for line, cells in records[1:]:
        values = dict.fromkeys(header, "") | dict(zip(header, (cell.strip() for cell in cells), strict=False))
        key, label, modality = key_of(values["video_id"]), values["label"], values["modality"].upper()
        if key is None:
            problems.append(
                f"{path.name}:{line}: video_id {values['video_id']!r} names no clip: write it as <id>_<start, 6 digits>"
            )
        if modality not in MODALITIES:
            problems.append(f"{path.name}:{line}: modality {values['modality']!r} is unknown: use A, V or AV")
        if label not in known:
            strange[label] = strange.get(label, 0) + 1
            continue
        if key is None or modality not in MODALITIES:
            continue
        clip = found.setdefault(key, Annotation())
        for kind, listed in (("", clip.labels), ("V", clip.visible), ("A", clip.audible)):
            if kind in modality and label not in listed:
                listed.append(label)
        for flag in ("background_music", "static_image", "voice_over"):
            if flag in header:
                clip.flags[flag] = clip.flags.get(flag, False) or _FLAG.get(values[flag].lower(), False)
    refuse(problems)
    remarks = [
        f"{path.name}: label {label!r} ({rows} rows) is not in the clip list and was left out"
        for label, rows in sorted(strange.items())
    ]
    return found, remarks


def refuse(problems: Sequence[str]) -> None:
    """Raise the problems, if there are any.

    Raises:
        UserError: The first `MOST_LINES` problems, and the number of the others.
    """
    if problems:
        more = len(problems) - MOST_LINES
        raise UserError([*problems[:MOST_LINES], *([f"and {more:,} more problems like these"] if more > 0 else [])])


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each line of the file that is neither blank nor a comment, with its number."""
    try:
        text = read_ordinary(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"list {str(path)!r} does not exist: correct the path") from None
    except UnicodeDecodeError:
        raise UserError(f"list {str(path)!r} is not text in UTF-8: give a CSV file") from None
    except OSError as error:
        raise UserError(f"list {str(path)!r} cannot be read ({error.strerror}): correct the path") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) and not cells[0].startswith("#"):
                yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(f"{path.name}:{reader.line_num}: is not valid CSV ({error}): correct it") from None


def _columns(path: Path, records: list[tuple[int, list[str]]]) -> tuple[Mapping[str, int], list[tuple[int, list[str]]]]:
    """Return the column of clip, start, label and split, and the records without the header."""
    first = [cell.strip().lower() for cell in records[0][1]]
    names = {"clip": _CLIP, "start": _START, "label": _LABEL, "split": _SPLIT}
    columns = {
        what: next(first.index(name) for name in known if name in first)
        for what, known in names.items()
        if set(known) & set(first)
    }
    body = records[1:]
    if "label" not in columns:  # VGGSound's own files have no header
        if len(first) not in (2, 4):
            raise UserError(
                f"{path.name} has {len(first)} columns and no header: give video id, start, label, split, "
                "or <id>_<start>.mp4, label"
            )
        columns = {"clip": 0, "start": 1, "label": 2, "split": 3} if len(first) == 4 else {"clip": 0, "label": 1}
        body = records
    if not body:
        raise UserError(f"{path.name} has a header and no rows: give VGGSound's vggsound.csv")
    if "clip" not in columns:
        raise UserError(f"{path.name} has no column for the clip: name one video_id")
    if "start" not in columns and not any(_clip_part(cells[columns["clip"]])[1] for _, cells in body if cells):
        raise UserError(
            f"{path.name} gives only video ids and no starts, but clips of one video may have different labels: "
            "give a list with the start in seconds, such as VGGSound's vggsound.csv"
        )
    return columns, body


def _clip_part(text: str) -> tuple[str, bool]:
    """Return the text without folder and suffix, and whether it names a clip with its start."""
    name = re.sub(r"\.[A-Za-z0-9]{2,4}$", "", text.strip().rpartition("/")[2])
    key = key_of(name)
    return (key or name), key is not None


def _row(columns: Mapping[str, int], cells: list[str]) -> Row:
    """Return the clip of a line.

    Raises:
        ValueError: The line is wrong; the message says why.
    """
    if len(cells) <= max(columns.values()):
        raise ValueError(f"the row has {len(cells)} values, {max(columns.values()) + 1} are needed: complete it")
    values = {what: cells[place].strip() for what, place in columns.items()}
    name, complete = _clip_part(values["clip"])
    if not complete:
        if not is_video_id(name):
            raise ValueError(f"{values['clip']!r} is not a video id (11 letters, digits, _ or -): correct it")
        start = values.get("start", "")
        if not re.fullmatch(r"\d{1,6}(\.0*)?", start):
            raise ValueError(f"start {start!r} of {name} is not a whole number of seconds: correct it")
        name = clip_key(name, int(start.partition(".")[0]))
    split = values.get("split", "test").lower()
    if split not in SPLITS:
        raise ValueError(f"split {values['split']!r} of {name} is unknown: use {', '.join(SPLITS)}")
    if not values["label"]:
        raise ValueError(f"{name} has no label: give one or remove the row")
    return Row(name, values["label"], split)
