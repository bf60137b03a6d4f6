"""What a data set is to the harness: clips by split, which of them are on this machine, and a stream for training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from benchmark.clips import ClipSet
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

Split = Literal["train", "validation", "test"]


class SplitName(StrEnum):
    """The splits, for a command line."""

    train = "train"
    validation = "validation"
    test = "test"


class Sample(NamedTuple):
    """One training example of a stream."""

    position: int
    """The clip's position in its set."""
    sound: np.ndarray
    """Waveform: float32 (samples,), mono, in [-1, 1]."""
    frame: np.ndarray | None
    """uint8 (height, width, 3), resized as the suite says; None where it was not asked for."""


class StreamPlace(NamedTuple):
    """Where in an endless, shuffled stream of training examples a process is."""

    seed: int
    """Seed of the order and of the windows."""
    position: int = 0
    """Examples that this process was given already."""
    rank: int = 0
    """Number of this process: it gets every `world`-th example."""
    world: int = 1
    """Number of processes."""


@dataclass(frozen=True)
class DataState:
    """The clips of a suite that are prepared from the user's own files.

    `state` is "there", "incomplete" (some clips are missing), "missing", "unfinished", or "wrong" (damaged, or prepared
    otherwise than the suite wants). The suite can be run with the first two only.
    """

    state: Literal["there", "incomplete", "missing", "unfinished", "wrong"]
    folder: str
    train: int = 0
    """Training clips that are there."""
    train_of: int = 0
    """Training clips that the suite lists."""
    test: int = 0
    """Test clips that are there."""
    test_of: int = 0
    """Test clips that the suite lists."""
    board: str = ""
    """The suite that a run on these test clips belongs to."""
    labels: str = ""
    """Whose labels are there: "vggsound", or "vggsound, vggsounder"."""
    train_frame: str = ""
    """Rule by which training frames were taken."""
    test_frame: str = ""
    """Rule by which test frames were taken."""
    problems: tuple[str, ...] = ()
    """What to do about it, one line each."""

    def lines(self) -> list[str]:
        """Return the state as lines for people."""
        if not self.board:
            return [f"{self.state}: {problem}" for problem in self.problems]
        return [
            f"{self.state}: {self.test:,} of {self.test_of:,} test clips, {self.train:,} of {self.train_of:,} training "
            f"clips in {self.folder}; runs are of suite {self.board}",
            f"labels of {self.labels}; frames: {self.train_frame} (training), {self.test_frame} (test)",
            *self.problems,
        ]


class DataSet(ABC):
    """A source of clips. A suite names it in `data.source`; `benchmark.registries.DATASETS` finds it by that name.

    A subclass has to implement `clips`. The other methods describe a data set that is always whole, needs no
    preparation and does not stream.
    """

    @abstractmethod
    def clips(self, suite: Suite, split: Split, cache: Path, ui: UI) -> ClipSet:
        """Return the clips of a split, in their order, with the whole label set.

        Args:
            suite: The protocol; `suite.data` says how many clips, whose labels and which frames.
            split: "train", "validation" or "test".
            cache: Folder for what can be computed again.
            ui: Progress and warnings.

        Raises:
            UserError: The data are missing, unfinished, damaged or not as the suite wants, with the way out.
        """

    def present(self, suite: Suite, split: Split) -> list[str] | None:
        """Return the ids of the clips of a split that are here; None where all are, or the data cannot be used."""
        return None

    def state(self, suite: Suite) -> DataState | None:
        """Return what is here of the suite's clips; None for a data set that needs no preparation."""
        return None

    def stream(self, clips: ClipSet, suite: Suite, place: StreamPlace) -> Iterator[Sample] | None:
        """Return an endless stream of training examples from `clips`, from `place` on; None where there is none.

        Every clip comes once an epoch, with a window of `suite.data.train_seconds` at a random start.
        """
        return None

    def synthesize(self, suite: Suite, clips: int, folder: Path) -> int | None:
        """Write synthetic data in this data set's format to `folder`, for a dry run, with `clips` clips of each split.

        Returns:
            The number of classes of the real data; None where the real clips cost nothing and nothing was written.
        """
        return None
