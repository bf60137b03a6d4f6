"""What a scoring is of: images, clips, the protocol, and other clips from whose frames it may learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.clips import ClipSet
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI


@dataclass(frozen=True, eq=False)
class ScoreJob:
    """What is scored: the images of some clips, under a suite's protocol."""

    suite: Suite
    clips: ClipSet
    """All clips that were asked for, in order."""
    images: Mapping[tuple[str, int], Path]
    """The file of every (clip id, image number); a clip without an image failed."""
    device: str
    ui: UI
    train: Callable[[], ClipSet] | None = None
    """Gives the training clips, from whose frames probes learn; None where there are none."""
    known: Callable[[], ClipSet | None] = lambda: None
    """Gives other clips than those scored, whose frames show a judge the classes; None where there are none."""
    learnt: Callable[[], ClipSet | None] = lambda: None
    """Gives the clips that methods are fitted on, whose frames an image may copy; None where there are none."""
    draws: bool = True
    """False where the images are the true frames themselves, so that distances between the two sets say nothing."""
