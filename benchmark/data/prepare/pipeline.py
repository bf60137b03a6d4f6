"""Preparation of a folder of VGGSound's videos as shards that can be streamed: `bench prepare vggsound ROOT`.

The output folder contains:

    plan.json                 the request; another list or rule needs another folder
    shards/<split>-<n>.tar    <clip>.wav, <clip>.jpg and <clip>.json of each clip (WebDataset's format)
    shards/<split>-<n>.json   rows of the shard, and the identity of its sources: finished shards are reused
    index.parquet             a row per clip: labels, shard, offsets in the shard
    summary.json              coverage of the list, and every file that was left out, with the reason
    dataset.json              identity, counts, shards; written last: without it the folder is not finished
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmark.data.prepare.clip_lists import SPLITS, Annotation, ClipList, Row, read_list, read_vggsounder
from benchmark.data.prepare.extract import CLIP_SECONDS, QUALITY, SHORT_SIDE, Extracted, Job, ended, extract_clip
from benchmark.data.prepare.frames import Chooser
from benchmark.data.prepare.media_files import Files, find_files
from benchmark.data.prepare.tar_writer import writing
from benchmark.data.prepare.workers import in_order
from benchmark.media.audio import RATE
from benchmark.utils.ahead import ahead, begun_in
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.files import digest, save_atomic, sha256_of, write_atomic
from benchmark.utils.progress import clock, rate

if TYPE_CHECKING:
    from benchmark.utils.progress import UI, Advance

FORMAT = 1
"""Version of the stored data: raised with any change of their form or of how they are made."""
TEST_FRAME = "middle"
"""Rule for clips that are not trained on: no network may influence the frames that images are compared with."""
CHOSEN_TOGETHER = 8
"""Clips whose frames are judged in one pass: with eight candidates each, a full batch of the CLIP scorer."""
PACE_CLIPS = 64
"""Clips by which the time of all is estimated, after as many that saw the processes start."""


class Layout(NamedTuple):
    """How many frames and clips are handled together."""

    candidates: int = 8
    """Number of frames of a training clip that the chooser sees."""
    shard_clips: int = 512
    """Number of listed clips per shard."""


DEFAULT_LAYOUT = Layout()


@dataclass(frozen=True)
class _Shard:
    """A shard to write."""

    name: str
    rows: tuple[Row, ...]
    """The listed clips whose files were found."""
    jobs: tuple[Job, ...]
    """How to extract each of them."""
    identity: str
    """Hash of the plan, the clips and their files."""


@dataclass(frozen=True, eq=False)
class _Work:
    """A request, read and checked."""

    out: Path
    listed: ClipList
    files: Files
    annotations: dict[str, Annotation] | None
    vggsounder: Path | None
    choose: Chooser | None
    layout: Layout

    @property
    def train_frame(self) -> str:
        """Rule for the frames of training clips, as suites name it."""
        return "clip-best" if self.choose else TEST_FRAME

    @cached_property
    def plan(self) -> dict[str, Any]:
        """Everything that all shards depend on, apart from the files."""
        return {
            "format": FORMAT,
            "list": self.listed.identity,
            "train_frame": self.train_frame,
            "chooser": self.choose.identity if self.choose else None,
            "candidates": self.layout.candidates if self.choose else 1,
            "shard_clips": self.layout.shard_clips,
            "audio": f"wav, 16 bits, {RATE} Hz, {CLIP_SECONDS:g} s",
            "image": f"jpeg, short side {SHORT_SIDE}, quality {QUALITY}",
        }

    @cached_property
    def shards(self) -> list[_Shard]:
        """The shards. The whole list is divided, so that a file that is added later changes its own shard only."""
        shards = []
        for split in SPLITS:
            rows = [row for row in self.listed.rows if row.split == split]
            if split == "train":  # each shard is a sample of the whole, so that a small buffer shuffles well
                rows.sort(key=lambda row: digest(row.key))
            for number, start in enumerate(range(0, len(rows), self.layout.shard_clips)):
                listed = rows[start : start + self.layout.shard_clips]
                some = tuple(row for row in listed if row.key in self.files.videos)
                jobs = tuple(self._job(row) for row in some)
                if jobs:
                    made_from = [[asdict(row), *self._stamps(row)] for row in some]
                    identity = digest([self.plan, made_from])
                    shards.append(_Shard(f"{split}-{number:06d}", some, jobs, identity))
        return shards

    def _job(self, row: Row) -> Job:
        sound = self.files.sounds.get(row.key)
        frames = self.layout.candidates if self.choose and row.split == "train" else 1
        root = self.files.root
        look = self.choose.look if self.choose and frames > 1 else None
        return Job(row.key, root / self.files.videos[row.key], None if sound is None else root / sound, frames, look)

    def _stamps(self, row: Row) -> list[list[Any]]:
        """Return the clip's files with their sizes and modification times."""
        names = [self.files.videos[row.key], self.files.sounds.get(row.key)]
        stats = [(name, (self.files.root / name).stat()) for name in names if name is not None]
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def prepare(
    root: Path,
    out: Path,
    list_path: Path,
    *,
    vggsounder: Path | None = None,
    choose: Callable[[], Chooser] | None = None,
    workers: int | None = None,
    layout: Layout = DEFAULT_LAYOUT,
    ui: UI,
) -> dict[str, Any]:
    """Extract every listed clip that is found below a folder into shards.

    The sound is mixed down to 16 kHz. The frame is the middle one of the clip; with `choose`, that of a training clip
    is chosen among several candidates. A clip whose files are corrupt or silent is left out, with the reason in the
    summary. An interrupted call is continued by an equal one: finished shards are kept, and those whose files changed
    are made again. The processes decode, and prepare candidates for the chooser, which judges those of some clips while
    the next ones are extracted. How long all will take is said as soon as it can be known.

    Args:
        root: Folder that contains the videos, at any depth.
        out: Folder to write to.
        list_path: The clip list.
        vggsounder: VGGSounder's annotations; they may change without new shards.
        choose: Creates the chooser of training frames, after everything else was checked; None for middle frames.
        workers: Number of processes; None for one per core, 0 for none: a file that hangs then hangs this one.
        layout: Numbers of candidate frames and of clips per shard.
        ui: Progress and warnings.

    Returns:
        The contents of summary.json.

    Raises:
        UserError: The folder or the list cannot be used, `out` contains data prepared otherwise, or the disk has too
            little free space.
        RunError: No clip could be used.
    """
    work = _checked(Path(root), Path(out), Path(list_path), vggsounder, choose, layout, ui)
    from benchmark.records.store import Folder

    with Folder(work.out).lock(ui.say):
        _same_plan(work)
        for left in (work.out / "shards").glob(".*.part"):  # a killed process could not remove them
            left.unlink()
        todo = [shard for shard in work.shards if not _done(work.out, shard)]
        if todo:
            _check_room(work.out, sum(len(shard.jobs) for shard in todo))
            for name in ("dataset.json", "index.parquet"):  # from here on they would describe outdated shards
                (work.out / name).unlink(missing_ok=True)
        total = sum(len(shard.jobs) for shard in work.shards)
        made = sum(len(shard.jobs) for shard in todo)
        if made < total:
            ui.say(f"{total - made:,} of {total:,} clips are prepared already")
        with ui.task("preparing", total, "clips") as advance:
            advance(total - made)
            paced = _paced(advance, made, ui)
            jobs = (job for shard in todo for job in shard.jobs)
            results = in_order(extract_clip, jobs, os.cpu_count() or 1 if workers is None else workers, ended)
            for shard in todo:
                _write_shard(work, shard, results, paced)
        return _finish(work, ui)


def _checked(
    root: Path,
    out: Path,
    list_path: Path,
    vggsounder: Path | None,
    choose: Callable[[], Chooser] | None,
    layout: Layout,
    ui: UI,
) -> _Work:
    problems: list[str] = []
    listed, files, annotations, remarks = None, None, None, list[str]()
    if min(layout) < 1:
        problems.append(
            f"{layout.candidates} candidate frames, {layout.shard_clips} clips per shard: give 1 or more of each"
        )
    try:
        listed = read_list(list_path)
        if vggsounder is not None:
            annotations, remarks = read_vggsounder(vggsounder, listed.labels)
    except UserError as error:
        problems += error.problems
    try:
        files = find_files(root, skip=out)
    except UserError as error:
        problems += error.problems
    if out.exists() and not out.is_dir():
        problems.append(f"{str(out)!r} is a file: give -o a folder")
    elif not os.access(_existing(out), os.W_OK):
        problems.append(f"{str(out)!r} cannot be written to: give -o another folder, or change its permissions")
    if problems:
        raise UserError(problems)
    assert listed is not None and files is not None
    if not any(row.key in files.videos for row in listed.rows):
        example = next(iter(files.videos.values()))
        raise UserError(
            f"none of the {len(files.videos):,} videos below {str(root)!r} (such as {example!r}) is in the list "
            f"{list_path.name!r} of {len(listed.rows):,} clips: give the list that belongs to them"
        )
    for line in [*listed.differences(), *remarks]:
        ui.warn(line)
    for line in _not_used(files):
        ui.warn(line)
    chooser = None if choose is None else choose()
    return _Work(out, listed, files, annotations, vggsounder, chooser, layout)


def _not_used(files: Files) -> Iterator[str]:
    """Yield a line for each kind of file that is ignored."""
    for found, what in (
        (
            files.id_only,
            "named by the video's id alone and not used, as clips of one video may have different labels: "
            "add the start to their names",
        ),
        (files.strange, "named in another way and not used: name them <id>_<start second, 6 digits>.mp4"),
        (files.doubles, "duplicates and not used: of several files for one clip the first path counts"),
        (files.archives, "archives, which are not read: unpack them"),
        (files.unfinished, "unfinished downloads and not used: let them finish"),
    ):
        if found:
            yield f"{len(found):,} files are {what} (such as {found[0]!r})"


def _existing(path: Path) -> Path:
    """Return the path itself, or its nearest parent folder that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _same_plan(work: _Work) -> None:
    """Write the plan, or compare it with the stored one.

    Raises:
        UserError: The plans differ, or the folder contains other files.
    """
    path = work.out / "plan.json"
    if path.exists():
        try:
            stored = json.loads(path.read_bytes())
        except ValueError:
            stored = {}
        different = [name for name in work.plan if not isinstance(stored, dict) or stored.get(name) != work.plan[name]]
        if different:
            raise UserError(
                f"{str(work.out)!r} contains data that were prepared otherwise ({', '.join(different)} differ): "
                "give -o another folder, or delete this one"
            )
    elif any(not path.name.startswith(".") for path in work.out.iterdir()):
        raise UserError(f"{str(work.out)!r} contains other files and no plan.json: give -o an empty or a new folder")
    write_atomic(path, json.dumps(work.plan, indent=2) + "\n")


def _check_room(out: Path, clips: int) -> None:
    needed = clips * round(CLIP_SECONDS * RATE * 2)
    free = shutil.disk_usage(out).free
    if free < needed:
        raise UserError(
            f"{clips:,} clips need at least {needed / 1e9:.1f} GB and {str(out)!r} has {free / 1e9:.1f} GB left: "
            "make room, or give -o a folder on another disk"
        )


def _tar(out: Path, name: str) -> Path:
    return out / "shards" / f"{name}.tar"


def _done(out: Path, shard: _Shard) -> bool:
    """Return whether the shard is complete and was made from the same files."""
    stored = _stored(out, shard.name)
    path = _tar(out, shard.name)
    return (
        stored.get("identity") == shard.identity
        # a shard without a usable clip has no file
        and (path.stat().st_size if path.exists() else 0) == stored.get("bytes")
    )


def _stored(out: Path, name: str) -> dict[str, Any]:
    try:
        stored = json.loads((out / "shards" / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _paced(advance: Advance, clips: int, ui: UI) -> Advance:
    """Return `advance`, which now also says once how long `clips` clips take, by the first of them."""
    done, since, told = 0, 0.0, clips < 3 * PACE_CLIPS

    def paced(more: int) -> None:
        nonlocal done, since, told
        advance(more)
        done += more
        if not since and done >= PACE_CLIPS:
            done, since = 0, time.monotonic()
        elif since and done >= PACE_CLIPS and not told:
            told = True
            speed = done / (time.monotonic() - since)
            ui.say(
                f"preparing {clips:,} clips takes about {clock(clips / speed)} "
                f"({rate(speed)} clips/s, measured on {done} of them)"
            )

    return paced


def _write_shard(work: _Work, shard: _Shard, results: Iterator[Extracted], advance: Advance) -> None:
    """Write a shard from the next results, and its rows beside it."""
    rows, problems = [], []
    path = _tar(work.out, shard.name)
    path.with_suffix(".json").unlink(missing_ok=True)
    groups = (shard.rows[start : start + CHOSEN_TOGETHER] for start in range(0, len(shard.rows), CHOSEN_TOGETHER))
    with writing(path) as tar, begun_in(0 if work.choose is None else 1) as begin:
        gathered = ((some, [next(results) for _ in some]) for some in groups)
        begun = ((some, found, begin(_choices, work.choose, _usable(some, found))) for some, found in gathered)
        for some, extracted, choosing in ahead(begun, 0 if work.choose is None else 1):
            problems += [{"clip": one.key, "reason": reason} for one in extracted for reason in one.reasons]
            for (row, one), best in zip(_usable(some, extracted), choosing.result(), strict=True):
                frame = one.frames[best]
                facts = {
                    "video": row.video,
                    "start": int(row.key[-6:]),
                    "label": row.label,
                    "split": row.split,
                    "frame_second": frame.second,
                    "width": frame.width,
                    "height": frame.height,
                }
                files = {"wav": one.wav, "jpg": frame.jpeg, "json": json.dumps(facts).encode()}
                places = tar.add(row.key, files)
                rows.append(
                    {
                        "clip": row.key,
                        "label": row.label,
                        "split": row.split,
                        "shard": shard.name,
                        "samples": one.samples,
                        "sound_at": places["wav"] + len(one.wav) - 2 * one.samples,
                        "frame_at": places["jpg"],
                        "frame_bytes": len(frame.jpeg),
                        "frame_second": frame.second,
                        "width": frame.width,
                        "height": frame.height,
                        "content": digest([_sha256(one.wav), _sha256(frame.jpeg)]),
                    }
                )
            advance(len(some))
    if not rows:
        path.unlink()
    size = path.stat().st_size if rows else 0
    stored = {"identity": shard.identity, "bytes": size, "rows": rows, "problems": problems}
    write_atomic(path.with_suffix(".json"), json.dumps(stored))


def _usable(rows: Sequence[Row], extracted: Sequence[Extracted]) -> list[tuple[Row, Extracted]]:
    return [(row, one) for row, one in zip(rows, extracted, strict=True) if not one.reasons]


def _choices(choose: Chooser | None, clips: Sequence[tuple[Row, Extracted]]) -> list[int]:
    """Return the index of each clip's frame: the only one, or the chosen one."""
    chosen = [0] * len(clips)
    several = [place for place, (_, one) in enumerate(clips) if len(one.frames) > 1]
    if choose is None or not several:
        return chosen
    seen = [clips[place][1].seen for place in several]
    for place, best in zip(several, choose(seen, [clips[place][0].label for place in several]), strict=True):
        chosen[place] = best
    return chosen


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _finish(work: _Work, ui: UI) -> dict[str, Any]:
    """Write index, summary and dataset.json."""
    rows: list[dict[str, Any]] = []
    problems: list[dict[str, str]] = []
    shards: dict[str, int] = {}
    for shard in work.shards:
        stored = _stored(work.out, shard.name)
        rows += stored["rows"]
        problems += stored["problems"]
        if stored["bytes"]:
            shards[shard.name] = stored["bytes"]
    summary = _summary(work, rows, problems)
    write_atomic(work.out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    if problems:
        ui.warn(
            f"{len({one['clip'] for one in problems}):,} clips could not be used, such as {problems[0]['clip']} "
            f"({problems[0]['reason']}): all are listed in {work.out / 'summary.json'}"
        )
    if not rows:
        raise RunError(f"none of the clips could be used: {work.out / 'summary.json'} lists the reasons")
    for row in rows:
        note = None if work.annotations is None else work.annotations.get(row["clip"])
        row["vggsounder"] = note and note.labels
        row["visible"], row["audible"] = note and note.visible, note and note.audible
        row["flags"] = note and sorted(flag for flag, on in note.flags.items() if on)
    _write_index(work.out / "index.parquet", rows)
    contents = [[row["clip"], row["label"], row["split"], row["content"]] for row in rows]
    dataset = {
        "format": FORMAT,
        "identity": digest([work.plan, sorted(contents)]),
        "index": sha256_of(work.out / "index.parquet"),
        "list": summary["list"],
        "labels": work.listed.labels,
        "vggsounder": summary["vggsounder"],
        "train_frame": work.train_frame,
        "test_frame": TEST_FRAME,
        "rate": RATE,
        "splits": {name: {k: v for k, v in one.items() if k != "classes"} for name, one in summary["splits"].items()},
        "shards": shards,
    }
    write_atomic(work.out / "dataset.json", json.dumps(dataset, indent=1, ensure_ascii=False) + "\n")
    return summary


def _write_index(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    texts, strings = pa.string(), pa.list_(pa.string())
    schema = pa.schema(
        [
            ("clip", texts),
            ("label", texts),
            ("split", texts),
            ("shard", texts),
            ("samples", pa.int64()),
            ("sound_at", pa.int64()),
            ("frame_at", pa.int64()),
            ("frame_bytes", pa.int64()),
            ("frame_second", pa.float64()),
            ("width", pa.int64()),
            ("height", pa.int64()),
            ("content", texts),
            ("vggsounder", strings),
            ("visible", strings),
            ("audible", strings),
            ("flags", strings),
        ]
    )
    table = pa.Table.from_pylist(list(rows), schema=schema)
    save_atomic(path, lambda temporary: parquet.write_table(table, temporary))


def _summary(work: _Work, rows: Sequence[dict[str, Any]], problems: list[dict[str, str]]) -> dict[str, Any]:
    """Return the coverage of the list, and the files that were left out."""
    prepared = {row["clip"] for row in rows}
    splits = {}
    for split in SPLITS:
        listed = [row for row in work.listed.rows if row.split == split]
        classes: dict[str, list[int]] = {label: [0, 0] for label in sorted({row.label for row in listed})}
        for row in listed:
            classes[row.label][0] += row.key in prepared
            classes[row.label][1] += 1
        if listed:
            splits[split] = {
                "listed": len(listed),
                "found": sum(row.key in work.files.videos for row in listed),
                "prepared": sum(row.key in prepared for row in listed),
                "classes": classes,
            }
    files, keys = work.files, {row.key for row in work.listed.rows}
    vggsounder = None
    if work.annotations is not None and work.vggsounder is not None:
        notes = {key: asdict(note) for key, note in sorted(work.annotations.items()) if key in keys}
        vggsounder = {
            "file": work.vggsounder.name,
            "sha256": sha256_of(work.vggsounder),
            "identity": digest(notes),
            "clips": len(notes),
            "prepared": len(prepared & notes.keys()),
        }
    return {
        "list": {
            "file": work.listed.path.name,
            "sha256": work.listed.sha256,
            "identity": work.listed.identity,
            "clips": len(work.listed.rows),
            **work.listed.counts(),
            "published": not work.listed.differences(),
        },
        "vggsounder": vggsounder,
        "splits": splits,
        "problems": problems,
        "not_used": {
            "not in the list": sorted(file for key, file in files.videos.items() if key not in keys),
            "sound without a video": sorted(file for key, file in files.sounds.items() if key not in files.videos),
            "several files of a clip": files.doubles,
            "named by the video's id alone": files.id_only,
            "named in another way": files.strange,
            "archives": files.archives,
            "unfinished downloads": files.unfinished,
        },
    }
