"""What the page shows, without a page: methods' images of a sound, their attention, the nearest training clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmark.media.images import pixel_digest, resize
from benchmark.runs.embeddings import Embeddings, Job
from benchmark.runs.imagine import draw, plan_run, read_sounds
from benchmark.runs.shipped import fit_at_hand
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from benchmark.clips import Clip, ClipSet
    from benchmark.runs.request import RunRequest
    from benchmark.runs.run import Run
    from benchmark.utils.progress import UI, Advance

TOGETHER = 64
"""Images that the scorer gets at once."""


@dataclass(frozen=True)
class Near:
    """The training clip whose true frame looks most like an image."""

    id: str
    """Its id."""
    label: str
    """Its label."""
    frame: Image.Image
    """Its frame, at the suite's resolution."""
    sound: np.ndarray
    """Its sound as methods get it: float32 (samples,)."""
    similarity: float
    """Cosine of the two in the suite's space of images; 1 for a copy."""


@dataclass(frozen=True)
class Drawn:
    """What one method made of the sound."""

    method: str
    """Name of the method."""
    image: Image.Image
    """The image."""
    attention: np.ndarray | None
    """Weights (T,) of equal moments of `Answer.sound`, of sum 1; None for a method without."""
    near: Near | None
    """The nearest training clip; None if it was not asked for."""


@dataclass(frozen=True)
class Answer:
    """What is shown of one sound."""

    sound: np.ndarray
    """What was heard of it: float32 (samples,), as long as the suite says."""
    rate: int
    """Its sample rate in Hz."""
    drawn: list[Drawn]
    """What each method made of it, in the order asked for."""
    remarks: list[str]
    """What a reader should know, a line each."""


class Studio:
    """Methods that are ready to draw, with their fits.

    Args:
        requests: A run for each method, all of one suite.
        ui: Progress and warnings.
        nearest: Whether the nearest training clips are looked for.

    Raises:
        UserError: No method is given, one is unknown or given twice, or one needs more than a sound.
    """

    def __init__(self, requests: Sequence[RunRequest], ui: UI, *, nearest: bool = True) -> None:
        if not requests:
            raise UserError("no method was given: name one with --method")
        self._ui = _Remarks(ui)
        self._one_at_a_time = Lock()
        self.nearest = nearest
        self.runs: dict[str, Run] = {}
        for request in requests:
            run = plan_run(request, self._ui)
            if run.plan.name in self.runs:
                raise UserError(f"--method {run.plan.name} is given more than once: give it once")
            self.runs[run.plan.name] = run

    def prepare(self) -> None:
        """Make what is missing before the first sound: fits, and the embeddings of the training frames."""
        _ = self._fits
        if self.nearest:
            _ = self._frames

    def answer(self, file: Path, methods: Sequence[str], number: int = 0) -> Answer:
        """Draw a sound with some of the methods.

        Args:
            file: Any sound or video file.
            methods: Names of methods that the studio has, at least one.
            number: Which of the images of this sound, counted from 0: those of `bench imagine --images`.

        Raises:
            UserError: The file cannot be used, a method is not there, no method is given, or the number is negative.
        """
        if strange := [name for name in methods if name not in self.runs]:
            raise UserError(f"method {strange[0]!r} is not on this page: it has {', '.join(self.runs)}")
        if not methods:
            raise UserError("choose at least one method")
        if number < 0:
            raise UserError(f"picture {number}: count from 0")
        with self._one_at_a_time:
            self._ui.remarks.clear()
            waves, refused = read_sounds([file], self.runs[methods[0]])
            if refused:
                raise UserError(refused)
            drawn = [self._draw(self.runs[name], waves, file, number) for name in methods]
            data = self.runs[methods[0]].plan.suite
            return Answer(data.fit_sound(waves[0]), data.data.rate, drawn, list(dict.fromkeys(self._ui.remarks)))

    @cached_property
    def _fits(self) -> dict[str, Path | None]:
        return {name: fit_at_hand(run) for name, run in self.runs.items()}

    def _draw(self, run: Run, waves: Mapping[int, np.ndarray], file: Path, number: int) -> Drawn:
        made: list[np.ndarray] = []
        method, clips = draw(
            run, self._fits[run.plan.name], waves, [file], [number], lambda _, __, image: made.append(image)
        )
        weights, image = method.attention(clips[:]), Image.fromarray(made[0])
        near = self._nearest_to(image) if self.nearest else None
        return Drawn(run.plan.name, image, None if weights is None else np.asarray(weights)[0], near)

    @cached_property
    def _train(self) -> ClipSet:
        """The suite's training clips: what all methods here learn from, and choose from where they retrieve."""
        return next(iter(self.runs.values())).suite_train()

    @cached_property
    def _scorer(self) -> Embeddings:
        plan = next(iter(self.runs.values())).plan
        return Embeddings(plan.suite, plan.device, self._ui)

    @property
    def _job(self) -> Job:
        suite = self._scorer.suite
        name = suite.scorers.image
        return Job(name, suite.weights[name], lambda network, some: network.embed_images(some), TOGETHER)

    @cached_property
    def _frames(self) -> tuple[np.ndarray, list[int]]:
        """Directions (n, d) of the training frames that can be read, and their positions."""
        found = self._scorer.of("training frames", self._train.clips, self._frame, pixel_digest, {"image": self._job})
        return _directions(found.rows["image"]), found.read

    def _frame(self, clip: Clip) -> Image.Image:
        spec = self._scorer.suite.backbone
        return resize(clip.picture(), spec.resolution, spec.resize)

    def _nearest_to(self, image: Image.Image) -> Near:
        rows, read = self._frames
        own = _directions(self._job.embed(self._scorer.scorer(self._job.scorer), [image]))[0]
        similarities = rows @ own
        best = int(similarities.argmax())
        clip, suite = self._train[read[best]], self._scorer.suite
        return Near(clip.id, clip.label, self._frame(clip), suite.sound(clip), float(similarities[best]))


def _directions(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True).clip(1e-12)


class _Remarks:
    """UI that passes everything on, and keeps the warnings for the page."""

    def __init__(self, ui: UI) -> None:
        self._ui = ui
        self.remarks: list[str] = []

    def task(self, what: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """Show a piece of work."""
        return self._ui.task(what, total, unit)

    def say(self, line: str) -> None:
        """Show a remark."""
        self._ui.say(line)

    def warn(self, line: str) -> None:
        """Show a warning, and keep it."""
        self.remarks.append(line)
        self._ui.warn(line)
