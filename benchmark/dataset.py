"""Interface of data sets: clips by split, their state on this machine, and a stream of training examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from benchmark.clips import ClipSet
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

Split = Literal["train", "validation", "test"]


class SplitName(StrEnum):
    """The splits as an enumeration, for the command line."""

    train = "train"
    validation = "validation"
    test = "test"


class Sample(NamedTuple):
    """One training example of a stream."""

    position: int
    """Position of the clip in its set."""
    sound: np.ndarray
    """Waveform: float32 (samples,), mono, in [-1, 1]."""
    frame: np.ndarray | None
    """Frame: uint8 (height, width, 3), resized by the suite's rule; None in a stream without frames."""


class StreamPlace(NamedTuple):
    """Position of a process in an endless, shuffled stream of training examples."""

    seed: int
    """Seed of the order and of the windows."""
    position: int = 0
    """Number of examples that this process was given already."""
    rank: int = 0
    """Number of this process: it gets every `world`-th example."""
    world: int = 1
    """Number of processes."""


@dataclass(frozen=True)
class DataState:
    """State of a suite's clips that are prepared from the user's own files."""

    state: Literal["there", "incomplete", "missing", "unfinished", "wrong"]
    """One of "there", "incomplete" (some clips are missing), "missing", "unfinished", and "wrong" (damaged, or prepared
    otherwise than the suite requires). The suite can be run in the first two states only."""
    folder: str
    """Folder of the prepared data."""
    train: int = 0
    """Number of training clips that are present."""
    train_of: int = 0
    """Number of training clips that the suite lists."""
    test: int = 0
    """Number of test clips that are present."""
    test_of: int = 0
    """Number of test clips that the suite lists."""
    board: str = ""
    """Name of the suite to which a run on these test clips belongs."""
    labels: str = ""
    """Sources of the labels: "vggsound", or "vggsound, vggsounder"."""
    train_frame: str = ""
    """Rule by which training frames were taken."""
    test_frame: str = ""
    """Rule by which test frames were taken."""
    problems: tuple[str, ...] = ()
    """Problems and how to fix them, one line each."""

    def lines(self) -> list[str]:
        """Return the state as readable lines."""
        if not self.board:
            return [f"{self.state}: {problem}" for problem in self.problems]
        return [
            f"{self.state}: {self.test:,} of {self.test_of:,} test clips, {self.train:,} of {self.train_of:,} training "
            f"clips in {self.folder}; runs belong to suite {self.board}",
            f"labels of {self.labels}; frames: {self.train_frame} (training), {self.test_frame} (test)",
            *self.problems,
        ]


def raw_words(attributes: Mapping[str, Any]) -> list[str]:
    """Return names and values of a clip's attributes as they are, in their order.

    >>> raw_words({"tilt": -0.21349, "colour": "red"})
    ['tilt -0.213', 'colour red']
    """
    shown = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in attributes.items()}
    return [f"{name} {value}" for name, value in shown.items()]


class DataSet(ABC):
    """Source of clips.

    A suite names it in `data.source`, and `benchmark.registries.DATASETS` finds it by that name. A subclass must
    implement `clips`. The default methods describe a data set that is always complete, needs no preparation and cannot
    be streamed.
    """

    own_variations: ClassVar[frozenset[str]] = frozenset()
    """Kinds of variations of the test clips that only the data set itself can make, and makes in `vary`: "clean",
    "fresh", "clips"."""

    @abstractmethod
    def clips(self, suite: Suite, split: Split, cache: Path, ui: UI) -> ClipSet:
        """Return the clips of a split, in their order, with the whole label set.

        Args:
            suite: The protocol; `suite.data` states the number of clips, the source of their labels and their frames.
            split: "train", "validation" or "test".
            cache: Folder for results that can be recomputed.
            ui: Progress and warnings.

        Raises:
            UserError: The data are missing, unfinished, damaged or not as the suite requires. The message says how to
                fix it.
        """

    def labels(self, suite: Suite, cache: Path, ui: UI) -> tuple[str, ...]:
        """Return the whole label set, that of `clips`; worth overriding where it is known without the clips.

        Args:
            suite: The protocol.
            cache: Folder for results that can be recomputed.
            ui: Progress and warnings.

        Raises:
            UserError: As `clips`.
        """
        return self.clips(suite, "test", cache, ui).labels

    def labels_identity(self, suite: Suite) -> str | None:
        """Return the sha256 of labels that come from elsewhere in versions of their own, which a suite cannot know.

        Scores by other labels do not stand in one column. None, the default: the suite says which labels count.

        Args:
            suite: The protocol.

        Raises:
            UserError: As `clips`.
        """
        return None

    def vary(self, suite: Suite, kind: str, value: float | None, cache: Path, ui: UI) -> ClipSet:
        """Return the test clips in one of `own_variations`, with the whole label set.

        Args:
            suite: The protocol; `suite.data.test` is the number of clips.
            kind: "clean": the same clips with nothing but their main sound. "fresh": clips of the same kind and number
                that nobody has seen, with ids of their own. "clips": another number of clips, with the suite's
                own first.
            value: The seed of fresh clips, where equal seeds give equal clips, or the number of clips.
            cache: Folder for results that can be recomputed.
            ui: Progress and warnings.

        Raises:
            NotImplementedError: The kind is none of `own_variations`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no variation {kind!r}: see own_variations")

    def in_words(self, attributes: Mapping[str, Any]) -> list[str]:
        """Return what a reader is told of a clip, a phrase each; by default names and values as they are.

        Args:
            attributes: `Clip.attributes` of one of its clips.
        """
        return raw_words(attributes)

    def present(self, suite: Suite, split: Split) -> list[str] | None:
        """Return the ids of the clips of a split that are on this machine.

        Returns:
            The ids; None if the data set is always complete, or cannot be used.
        """
        return None

    def state(self, suite: Suite) -> DataState | None:
        """Return the state of the suite's clips on this machine; None for a data set that needs no preparation."""
        return None

    def stream(self, clips: ClipSet, suite: Suite, place: StreamPlace) -> Iterator[Sample] | None:
        """Return an endless stream of training examples.

        Every clip occurs once per epoch, with a window of `suite.data.train_seconds` at a random start.

        Args:
            clips: The clips to stream.
            suite: The protocol.
            place: Seed, position and process to start from.

        Returns:
            The stream; None if the clips cannot be streamed.
        """
        return None

    def synthesize(self, suite: Suite, clips: int, folder: Path) -> int | None:
        """Write synthetic data in this data set's format, for a dry run.

        Args:
            suite: The protocol, which the data must fit.
            clips: Number of training clips, and of test clips.
            folder: Folder to write to.

        Returns:
            The number of classes of the real data; None if the real clips cost nothing and nothing was written.
        """
        return None
