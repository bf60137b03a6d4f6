"""VGGSound (Chen et al., ICASSP 2020, arXiv 2004.14368) as `bench prepare vggsound` left it."""

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
from benchmark.utils.errors import UserError
from benchmark.utils.files import sha256_of

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

HOW = "make it with `bench prepare vggsound VIDEOS --list vggsound.csv`, or set BENCH_DATA to the folder that holds it"
FORMAT = 1


def data_dir() -> Path:
    """Folder of prepared data sets, each in a folder of its name: BENCH_DATA, else the user's data folder."""
    from platformdirs import user_data_dir

    return Path(os.environ.get("BENCH_DATA") or user_data_dir("audio2image-bench", appauthor=False)).expanduser()


class VGGSound(DataSet):
    """VGGSound as `bench prepare vggsound` left it, whole or with the clips that could be had."""

    def clips(self, suite: Suite, split: Split, cache: Path, ui: UI) -> ClipSet:
        """The prepared clips of a split, in order of their ids, with the labels of the whole list as label set.

        `suite.data.labels` says which labels count: "vggsound", the one label of the list, or "vggsounder", whose
        labels follow the headline, with those that annotators saw in `Clip.visible`. The headline stays VGGSound's
        label unless VGGSounder took it from the clip: then it is the first one that is seen and heard, else the first
        one. A clip that VGGSounder does not know keeps its label, and `visible` is None.

        Raises:
            UserError: The data are missing, unfinished, damaged or not as the suite wants, with the way out.
        """
        prepared = Prepared.read(data_dir() / "vggsound")
        if problems := prepared.unfit(suite, split):
            raise UserError(problems)
        found = prepared.clips(split, annotated=suite.data.labels == "vggsounder")
        expected = getattr(suite.data, split)
        if not found and expected:
            raise UserError(f"{prepared.folder} holds no {split} clip: {HOW}")
        if len(found) != expected:  # a run's suite has the clips that are there
            ui.warn(
                f"{len(found):,} of {expected:,} {split} clips are there: "
                "numbers compare only with numbers of the same clips"
            )
        known = tuple(prepared.facts["labels"])
        contents = ((clip.content, None) for clip in found)
        return ClipSet(f"vggsound {split}", found, known, clips_identity(found, known, contents))

    def present(self, suite: Suite, split: Split) -> list[str] | None:
        """Return the ids of the prepared clips of a split; None for missing or damaged data."""
        try:
            return Prepared.read(data_dir() / "vggsound").ids(split)
        except UserError:
            return None

    def state(self, suite: Suite) -> DataState:
        """Return what is prepared, and whether it is as the suite wants."""
        folder = data_dir() / "vggsound"
        try:
            prepared = Prepared.read(folder)
        except UserError as error:
            done, begun = ((folder / name).exists() for name in ("dataset.json", "plan.json"))
            state: Literal["wrong", "unfinished", "missing"] = "wrong" if done else "unfinished" if begun else "missing"
            return DataState(state, str(folder), problems=tuple(error.problems))
        train, test = (prepared.ids(split) for split in ("train", "test"))
        problems = list(dict.fromkeys(line for split in ("train", "test") for line in prepared.unfit(suite, split)))
        if not test:
            problems.append(f"{folder} holds no test clip: the videos or the list are of other splits")
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
        """Return a stream from the shards, where the suite says how much of each clip is heard in training."""
        if suite.data.train_seconds is None or not all(isinstance(clip, ShardClip) for clip in clips):
            return None
        return iter(Stream(clips, suite, place))

    def synthesize(self, suite: Suite, clips: int, folder: Path) -> int:
        """Write synthetic videos, and prepare them in `folder`/vggsound as the suite wants."""
        from benchmark.data.made_up_videos import prepare_made_up
        from benchmark.data.prepare.clip_lists import EXPECTED

        prepare_made_up(suite, clips, folder / "videos", folder / "vggsound")
        return EXPECTED["classes"]


DATA = VGGSound()


@dataclass(frozen=True, eq=False)
class Prepared:
    """A folder that `bench prepare` finished: what dataset.json says, and the index by columns."""

    folder: Path
    facts: dict[str, Any]
    index: dict[str, list[Any]]

    @classmethod
    def read(cls, folder: Path) -> Prepared:
        """Read and check it (all shards are there whole). Raises UserError with the way out."""
        path = folder / "dataset.json"
        if not path.exists():
            if (folder / "plan.json").exists():
                raise UserError(f"{folder} is not finished: run the same `bench prepare vggsound` again, it continues")
            raise UserError(f"{folder} holds no prepared VGGSound: {HOW}")
        try:
            facts = json.loads(path.read_bytes())
            stamp = (path.stat().st_mtime_ns, facts["format"], facts["index"], tuple(facts["shards"].items()))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            raise UserError(f"{path} cannot be read: run the same `bench prepare vggsound` again") from None
        if facts["format"] != FORMAT:
            raise UserError(f"{folder} has format {facts['format']}, this version reads {FORMAT}: prepare it again")
        return cls(folder, facts, _index(folder, stamp))

    def unfit(self, suite: Suite, split: str) -> list[str]:
        """A line for each thing in which the data of `split` are not as the suite wants them, however many they are."""
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
                f"{self.folder} holds the {self.facts[rule]} frame of {split} clips, suite {suite.name!r} wants "
                f"{wanted}: prepare it with --frame {wanted} into another folder"
            )
        return problems

    def ids(self, split: str) -> list[str]:
        """Ids of the clips of a split, sorted."""
        return sorted(clip for clip, one in zip(self.index["clip"], self.index["split"], strict=True) if one == split)

    def clips(self, split: str, annotated: bool = False) -> tuple[ShardClip, ...]:
        """The clips of a split by id; `annotated`: with VGGSounder's labels."""
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
    """The index by columns; kept in memory, as both splits of a run are read from it."""
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
