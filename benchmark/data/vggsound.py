"""VGGSound (Chen et al., ICASSP 2020, arXiv 2004.14368) as `bench prepare vggsound` writes it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmark.clips import ClipSet, clips_identity
from benchmark.data.shards import ShardClip, Stream
from benchmark.dataset import DataSet, DataState, Sample, Split, StreamPlace
from benchmark.suite import load_suite, suite_names
from benchmark.utils.env import needing_home
from benchmark.utils.errors import UserError
from benchmark.utils.files import digest, sha256_of

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

FORMAT = 1


def data_dir() -> Path:
    """Return the folder of prepared data sets, which has a subfolder for each of them.

    It is BENCH_DATA, else the user's data folder.
    """
    from platformdirs import user_data_dir

    with needing_home("BENCH_DATA"):
        return Path(os.environ.get("BENCH_DATA") or user_data_dir("audio2image-bench", appauthor=False)).expanduser()


def how(name: str) -> str:
    """Return how prepared data of that name come about."""
    return f"run `bench prepare {name} VIDEOS --list vggsound.csv`, or set BENCH_DATA to the folder that contains it"


class VGGSound(DataSet):
    """VGGSound as `bench prepare vggsound` writes it: complete, or with the clips that could be obtained.

    Args:
        name: Name of the folder below `data_dir()`, which is also that of the data set.
    """

    def __init__(self, name: str = "vggsound") -> None:
        self.name = name

    @property
    def folder(self) -> Path:
        """Where the prepared data are."""
        return data_dir() / self.name

    def clips(self, suite: Suite, split: Split, cache: Path, ui: UI) -> ClipSet:
        """Return the prepared clips of a split, in order of their ids, with the labels of the whole list as label set.

        `suite.data.labels` says whose labels count: "vggsound" stands for the single label of the list, "vggsounder"
        for VGGSounder's labels, which follow the headline; those that its annotators saw are in `Clip.visible`. The
        headline remains VGGSound's label unless VGGSounder removed it from the clip: then it is the first label that is
        both seen and heard, else the first one. A clip without VGGSounder annotations keeps its label, and its
        `visible` is None.

        Raises:
            UserError: The data are missing, unfinished, damaged or not as the suite requires. The message says how to
                fix it.
        """
        prepared = Prepared.read(self.folder)
        if problems := prepared.unfit(suite, split):
            raise UserError(problems)
        found = prepared.clips(split, annotated=suite.data.labels == "vggsounder")
        expected = getattr(suite.data, split)
        if not found and expected:
            raise UserError(f"{prepared.folder} contains no {split} clip: {how(self.name)}")
        if len(found) != expected:  # never within a run, whose suite is restricted to the clips present
            ui.warn(
                f"{len(found):,} of {expected:,} {split} clips are present: "
                "results are comparable only with results on the same clips"
            )
        known = tuple(prepared.facts["labels"])
        contents = ((clip.content, None) for clip in found)
        return ClipSet(f"{self.name} {split}", found, known, clips_identity(found, known, contents))

    def labels_identity(self, suite: Suite) -> str | None:
        """Return the hash of the test clips' labels by VGGSounder; None for a suite that asks for none."""
        if suite.data.labels != "vggsounder":
            return None
        clips = Prepared.read(self.folder).clips("test", annotated=True)
        # What is scored and nothing else: the first label, all of them, those that are seen.
        return digest([[c.id, c.label, sorted(c.labels), c.visible and sorted(c.visible)] for c in clips])

    def present(self, suite: Suite, split: Split) -> list[str] | None:
        """Return the ids of the prepared clips of a split; None if the data are missing or damaged."""
        try:
            return Prepared.read(self.folder).ids(split)
        except UserError:
            return None

    def state(self, suite: Suite) -> DataState:
        """Return what is prepared, and whether it is as the suite requires."""
        folder = self.folder
        try:
            prepared = Prepared.read(folder)
        except UserError as error:
            done, begun = ((folder / name).exists() for name in ("dataset.json", "plan.json"))
            state: Literal["wrong", "unfinished", "missing"] = "wrong" if done else "unfinished" if begun else "missing"
            return DataState(state, str(folder), problems=tuple(error.problems))
        train, test = (prepared.ids(split) for split in ("train", "test"))
        problems = list(dict.fromkeys(line for split in ("train", "test") for line in prepared.unfit(suite, split)))
        if not test:
            problems.append(f"{folder} contains no test clip: the videos or the list belong to other splits")
        whole = len(test) == suite.data.test and len(train) == suite.data.train
        return DataState(
            state="wrong" if problems else "there" if whole else "incomplete",
            folder=str(folder),
            train=len(train),
            train_of=suite.data.train,
            test=len(test),
            test_of=suite.data.test,
            board=(suite.with_clips("test", test) if test else suite).name,
            labels="vggsound" if prepared.facts["vggsounder"] is None else "vggsound, vggsounder",
            train_frame=prepared.facts["train_frame"],
            test_frame=prepared.facts["test_frame"],
            problems=tuple(problems),
        )

    def stream(self, clips: ClipSet, suite: Suite, place: StreamPlace) -> Iterator[Sample] | None:
        """Return a stream from the shards; None for a suite without `train_seconds`, or for clips from elsewhere."""
        if suite.data.train_seconds is None or not all(isinstance(clip, ShardClip) for clip in clips):
            return None
        return iter(Stream(clips, suite, place, decoders=decoders(os.cpu_count() or 1, place.world)))

    def synthesize(self, suite: Suite, clips: int, folder: Path) -> int | None:
        """Write synthetic videos, and prepare them below `folder` as the suite requires."""
        from benchmark.data.prepare.clip_lists import EXPECTED
        from benchmark.data.synthetic_videos import prepare_synthetic

        prepare_synthetic(suite, clips, folder / "videos", folder / self.name)
        return EXPECTED["classes"] if self.name == "vggsound" else None


def decoders(cores: int, processes: int) -> int:
    """Return the threads that decode frames for a training: up to 8, where the training's own two leave cores free.

    Example:
        >>> decoders(16, 1), decoders(16, 4), decoders(2, 1)
        (8, 2, 0)
    """
    return min(8, max(0, cores // processes - 2))


DATA = VGGSound()
TINY = VGGSound("vggsound-tiny")
"""The synthetic videos of `bench tiny`, beside real ones."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Folder that `bench prepare` has finished."""

    folder: Path
    """The folder."""
    facts: dict[str, Any]
    """Contents of dataset.json."""
    index: dict[str, list[Any]]
    """The index by column, in the order of its rows."""

    @classmethod
    def read(cls, folder: Path) -> Prepared:
        """Read a folder, and check that all its shards are present and complete.

        Raises:
            UserError: The data are missing, unfinished or damaged, or of another format. The message says how to fix
                it.
        """
        path = folder / "dataset.json"
        if not path.exists():
            if (folder / "plan.json").exists():
                raise UserError(f"{folder} is not finished: run the same `bench prepare vggsound` again, it continues")
            raise UserError(f"{folder} contains no prepared VGGSound: {how(folder.name)}")
        try:
            facts = json.loads(path.read_bytes())
            stamp = (path.stat().st_mtime_ns, facts["format"], facts["index"], tuple(facts["shards"].items()))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            raise UserError(f"{path} cannot be read: run the same `bench prepare vggsound` again") from None
        if facts["format"] != FORMAT:
            raise UserError(f"{folder} has format {facts['format']}, this version reads {FORMAT}: prepare it again")
        return cls(folder, facts, _index(folder, stamp))

    def unfit(self, suite: Suite, split: str) -> list[str]:
        """Return a line for each respect in which the data of `split` are not as the suite requires.

        The number of clips does not matter here.
        """
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
                f"{self.folder} contains the {self.facts[rule]} frame of {split} clips, suite {suite.name!r} requires "
                f"{wanted}: prepare it with --frame {wanted} into another folder{self._other_suite(suite, rule)}"
            )
        return problems

    def _other_suite(self, suite: Suite, rule: str) -> str:
        """Name the first suite that differs from `suite` in its frames, and takes these; empty if there is none."""
        own, taken = {"train_frame": None, "test_frame": None}, self.facts[rule]
        wanted = suite.data.model_copy(update=own)
        for other in map(load_suite, suite_names()):
            if getattr(other.data, rule) == taken and other.data.model_copy(update=own) == wanted:
                return f", or use --suite {other.name}, which takes {taken} frames"
        return ""

    def ids(self, split: str) -> list[str]:
        """Return the ids of the clips of a split, sorted."""
        return sorted(clip for clip, one in zip(self.index["clip"], self.index["split"], strict=True) if one == split)

    def clips(self, split: str, annotated: bool = False) -> tuple[ShardClip, ...]:
        """Return the clips of a split in order of their ids, if `annotated` with VGGSounder's labels."""
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
            row["clip"],
            shard,
            shard,
            labels,
            row["split"],
            attributes,
            tuple(row["visible"]) if known else None,
            row["samples"],
            row["sound_at"],
            row["frame_at"],
            row["frame_bytes"],
            row["content"],
        )


def _headline_first(
    label: str, labels: Sequence[str], visible: Sequence[str], audible: Sequence[str]
) -> tuple[str, ...]:
    both = [one for one in labels if one in visible and one in audible]
    first = label if label in labels else (both or list(labels))[0]
    return first, *(one for one in labels if one != first)


@lru_cache(maxsize=2)
def _index(folder: Path, stamp: tuple[Any, ...]) -> dict[str, list[Any]]:
    """Return the index by column; it is kept in memory, as both splits of a run are read from it."""
    from pyarrow import parquet

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
