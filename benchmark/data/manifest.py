"""Manifests of a user's own clips: CSV with the columns id, audio, image, label, split, checked before any work."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.clips import Clip, ClipSet, bad_id, clips_identity, id_key
from benchmark.dataset import DataSet, Split
from benchmark.media.audio import AudioError, audio_digest, is_silent, read_audio
from benchmark.media.images import ImageError, load_image, pixel_digest
from benchmark.utils.errors import UserError, listed
from benchmark.utils.files import digest, read_ordinary, sha256_of

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

COLUMNS = ("id", "audio", "image", "label", "split")
SPLITS = ("train", "validation", "test")
CHECKED_SECONDS = 60.0
"""How much of a sound is decoded at least, which is more than any suite hears of it."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Problem:
    """A problem of one row."""

    line: int
    """Line of the file on which the row starts."""
    id: str
    """The row's id."""
    reason: str
    """What is wrong, and how to fix it."""


@dataclass(frozen=True, eq=False)
class Manifest(DataSet):
    """The clips of a manifest by split.

    The splits share one label set: labels in order of first appearance in the test rows, then in the others.
    """

    name: str
    """Name of the file, without its suffix."""
    path: Path
    """The file."""
    train: ClipSet | None
    """Clips that methods fit on; None if the manifest has no such rows."""
    validation: ClipSet | None
    """Clips that are checked like the others and free for a method's use; None if the manifest has no such rows."""
    test: ClipSet
    """Clips that are scored."""
    skipped: list[Problem]
    """Problems of the rows that were left out."""
    silent: tuple[str, ...]
    """Ids of the clips whose sound is all zero."""
    identity: str
    """sha256 (hex) of the rows kept and of the bytes of their files; paths do not count."""
    remarks: tuple[str, ...] = ()
    """What the owner should know of the clips, a line each: contents that occur twice, channels that cancel out."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of clips by split."""
        return {split: len(getattr(self, split) or ()) for split in SPLITS}

    def clips(self, suite: Suite, split: Split, cache: Path, ui: UI) -> ClipSet:
        """Return the clips of a split, whatever the suite says.

        Raises:
            UserError: The manifest has no row of this split.
        """
        found: ClipSet | None = getattr(self, split)
        if found is None:
            raise UserError(f"{self.path} has no row of split {split!r}")
        return found


@dataclass(frozen=True)
class _Row:
    line: int
    values: Mapping[str, str]
    excess: int

    def __getitem__(self, column: str) -> str:
        return self.values[column]


@dataclass(frozen=True)
class _Checked:
    """Result of decoding a file: the reason why it cannot be used, or the hashes of its bytes and of what is in it."""

    reason: str = ""
    sha256: str = ""
    content: str = ""
    silent: bool = False
    remark: str | None = None


def load_manifest(path: Path, *, skip_bad: bool = False, progress: Progress | None = None) -> Manifest:
    """Read and check a manifest.

    The file is UTF-8 CSV (a byte order mark and quoting are understood) with a header that names at least the columns
    id, audio, image, label and split, in any order; other columns are ignored. Paths are relative to the manifest's
    folder. Every sound and frame is decoded once, in one thread per core; of a long sound only the first minutes are.

    Args:
        path: The CSV file.
        skip_bad: Leave out the rows with problems and return these in `skipped`, instead of raising them. Problems of
            the whole file (not readable, not CSV, missing columns, no test row left) are raised in any case.
        progress: Called with (files checked, files in total), from the calling thread.

    Raises:
        UserError: The manifest has problems. The message lists all of them, a line each, such as
            "manifest.csv:17: audio 'x.ogg' does not exist: ...".
    """
    path = Path(path)
    rows = _read_rows(path)
    files = _check_files(path.parent, rows, progress)
    problems = list(_problems(rows, files))
    lines = [f"{path.name}:{problem.line}: {problem.reason}" for problem in problems]
    no_test = f"{path.name}: no row has split 'test', and only those are scored: mark at least one"
    if not any(row["split"] == "test" for row in rows):
        raise UserError([*lines, no_test])
    if problems and not skip_bad:
        raise UserError(lines)
    bad = {problem.line for problem in problems}
    rows = [row for row in rows if row.line not in bad]
    if not any(row["split"] == "test" for row in rows):
        raise UserError([*lines, f"{path.name}: every row with split 'test' has a problem: correct at least one"])

    by_split = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    ordered = [row for split in ("test", "train", "validation") for row in by_split[split]]
    labels = tuple(dict.fromkeys(row["label"] for row in ordered))
    sets = {split: _clip_set(path, labels, by_split[split], files) for split in SPLITS if by_split[split]}
    return Manifest(
        name=path.stem,
        path=path,
        train=sets.get("train"),
        validation=sets.get("validation"),
        test=sets["test"],
        skipped=problems,
        silent=tuple(row["id"] for row in rows if files["audio", row["audio"]].silent),
        identity=digest({split: clips.identity for split, clips in sets.items()}),
        remarks=tuple(_remarks(ordered, files)),
    )


def _read_rows(path: Path) -> list[_Row]:
    try:
        text = read_ordinary(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"manifest {str(path)!r} does not exist: correct the path") from None
    except IsADirectoryError:
        raise UserError(f"manifest {str(path)!r} is a folder: give the CSV file in it") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path.name}:{line}: is not UTF-8 text: save the manifest as CSV in UTF-8") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"manifest {str(path)!r} cannot be opened ({why}): correct the path or permissions") from None

    records = list(_records(path, text))
    if not records:
        raise UserError(f"{path.name}: is empty: begin it with the header {','.join(COLUMNS)}")
    (line, first), *body = records
    header = [name.strip() for name in first]
    found = ", ".join(map(repr, header))
    wrong = [f"column {name!r} is missing (found: {found})" for name in COLUMNS if name not in header]
    wrong += [f"column {name!r} appears twice" for name in COLUMNS if header.count(name) > 1]
    if wrong:
        advice = f"the header must name {','.join(COLUMNS)} once each, separated by commas"
        raise UserError([f"{path.name}:{line}: {what}: {advice}" for what in wrong])
    if not body:
        raise UserError(f"{path.name}: has a header and no rows: add one row per clip")
    rows = []
    for line, cells in body:
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        rows.append(_Row(line, dict.fromkeys(COLUMNS, "") | values, max(0, len(cells) - len(header))))
    return rows


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the line on which it starts: quoted values may contain line breaks."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path.name}:{start}: is not valid CSV ({error}): correct the quotes") from None


def _problems(rows: Sequence[_Row], files: Mapping[tuple[str, str], _Checked]) -> Iterator[Problem]:
    first: dict[str, tuple[int, str]] = {}
    for row in rows:
        for reason in _row_reasons(row, first, files):
            yield Problem(row.line, row["id"], reason)


def _row_reasons(
    row: _Row, first: dict[str, tuple[int, str]], files: Mapping[tuple[str, str], _Checked]
) -> Iterator[str]:
    if row.excess:
        yield f"the row has {row.excess} more values than the header has columns: quote values that contain commas"
        return
    if why := bad_id(row["id"]):
        yield f"id {row['id']!r} {why}: ids become file names, choose another"
    else:
        line, other = first.setdefault(id_key(row["id"]), (row.line, row["id"]))
        if line != row.line:
            same = "" if other == row["id"] else f" as {other!r}, which is the same name on some file systems"
            yield f"id {row['id']!r} is already on line {line}{same}: choose another or remove the row"
    for column in ("audio", "image"):
        if not row[column]:
            yield f"{column} is missing: give the path of a file or remove the row"
        elif reason := files[column, row[column]].reason:
            yield reason
    if not row["label"]:
        yield "label is missing: name what can be heard or remove the row"
    if row["split"] not in SPLITS:
        yield f"split {row['split']!r} is unknown: use train, validation or test"


def _check_files(folder: Path, rows: Sequence[_Row], progress: Progress | None) -> dict[tuple[str, str], _Checked]:
    """Check each (column, value) that names a file; a file that several rows name is decoded once."""
    tasks = list(dict.fromkeys((column, row[column]) for row in rows for column in ("audio", "image") if row[column]))
    checked = {}
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        results = pool.map(lambda task: _check_file(folder, *task), tasks)
        for done, (task, result) in enumerate(zip(tasks, results, strict=True), start=1):
            checked[task] = result
            if progress is not None:
                progress(done, len(tasks))
    finally:
        # An interrupt must not wait for the thousands of files that may still be queued.
        pool.shutdown(cancel_futures=True)
    return checked


def _foreign(value: str) -> str | None:
    """The way out for a value that is no path of this system; None for one that may be."""
    if value.startswith("~"):
        return "'~' is not expanded: write the whole path, or one relative to the manifest"
    if re.match(r"(?i)file://", value):
        return "is a file:// address: write the path alone"
    if re.match(r"(?i)[a-z][a-z0-9+.-]*://", value):
        return "is an address, and nothing is downloaded: get the file first and give its path"
    if os.sep != "\\" and (re.match(r"[A-Za-z]:[\\/]", value) or "\\" in value):
        return "is a Windows path: write it with '/', relative to the manifest"
    return None


def _check_file(folder: Path, column: str, value: str) -> _Checked:
    file = folder / value
    silent, remark = False, None
    try:
        if column == "audio":
            sound = read_audio(file, seconds=CHECKED_SECONDS)
            silent, remark, content = is_silent(sound.waveform), sound.remark, audio_digest(sound.waveform)
        else:
            content = pixel_digest(load_image(file))
    except (AudioError, ImageError) as error:
        if not file.exists() and (hint := _foreign(value)):
            return _Checked(reason=f"{column} {value!r} does not exist: {hint}")
        return _Checked(reason=f"{column} {value!r} {error.reason}: {error.fix} or remove the row")
    return _Checked(sha256=sha256_of(file), content=content, silent=silent, remark=remark)


def _remarks(rows: Sequence[_Row], files: Mapping[tuple[str, str], _Checked]) -> Iterator[str]:
    """Yield what casts doubt on the clips; `rows` begin with those of split "test"."""
    for row in rows:
        if remark := files["audio", row["audio"]].remark:
            yield f"clip {row['id']!r}: audio {row['audio']!r} {remark}"
    for column, what in (("audio", "sound"), ("image", "picture")):
        sharing: dict[str, list[_Row]] = {}
        for row in rows:
            if not files[column, row[column]].silent:  # silence is remarked on in any case
                sharing.setdefault(files[column, row[column]].content, []).append(row)
        tests = [(rows, sum(row["split"] == "test" for row in rows)) for rows in sharing.values()]
        leaks = [_names(rows) for rows, scored in tests if 0 < scored < len(rows)]
        twice = [_names(rows) for rows, scored in tests if scored == len(rows) > 1]
        if leaks:
            yield f"the same {what} is scored and in another split: {'; '.join(listed(leaks, 20))}"
        if twice:
            yield f"the same {what} is scored more than once: {'; '.join(listed(twice, 20))}"


def _names(rows: Sequence[_Row]) -> str:
    """Return the clips by name, with a split that is not "test"."""
    shown = [repr(row["id"]) + ("" if row["split"] == "test" else f" ({row['split']})") for row in rows]
    return " = ".join(listed(shown, 20))


def _clip_set(
    path: Path, labels: tuple[str, ...], rows: Sequence[_Row], files: Mapping[tuple[str, str], _Checked]
) -> ClipSet:
    clips = tuple(
        Clip(row["id"], path.parent / row["audio"], path.parent / row["image"], (row["label"],), row["split"])
        for row in rows
    )
    contents = [(files["audio", row["audio"]].sha256, files["image", row["image"]].sha256) for row in rows]
    return ClipSet(path.stem, clips, labels, clips_identity(clips, labels, contents))
