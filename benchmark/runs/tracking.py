"""What can be watched while something trains: losses in trackers (by way of accelerate), pictures of the same clips."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from benchmark.utils import distributed
from benchmark.utils.errors import UserError, unknown
from benchmark.utils.files import read_ordinary

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.method import RunContext

TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb"}
"""Tracker -> the package it needs."""
LOG_EVERY = 10
FIRST_LOOK = 60.0
"""Seconds of training after which the first pictures are shown, unless their steps were asked for; the next ones after
twice the time, and so on."""


def check_trackers(names: Sequence[str]) -> None:
    """Raise UserError, a line for each tracker that is unknown or not installed."""
    problems = []
    for name in names:
        if name not in TRACKERS:
            problems.append(str(unknown("tracker", name, list(TRACKERS))))
        elif importlib.util.find_spec(TRACKERS[name]) is None:
            problems.append(f"--track {name}: it is not installed; pip install {TRACKERS[name]}")
    if problems:
        raise UserError(problems)


class Watch:
    """Used as a context while a method trains; `after` each step. Other processes than the first are blind.

    Losses go to the trackers of `run.trackers` every 10 steps. Every `run.samples_every` steps `draw` makes pictures of
    the same clips, which are put side by side into `<run.folder>/samples/step-<n>.png`, and into the trackers. Without
    that number they are made after one minute of training, two, four, and so on, so that a person sees it learn. Losses
    are also noted in the folder itself, for `read_curve`.
    """

    def __init__(
        self, run: RunContext, name: str, settings: Mapping[str, Any], draw: Callable[[], Sequence[Image]]
    ) -> None:
        self.run, self.name, self.settings, self.draw = run, name, settings, draw
        self.trackers: list[Any] = []
        self.began, self.next_look = time.monotonic(), FIRST_LOOK

    def __enter__(self) -> Watch:
        if distributed.is_first():
            _curve_path(self.run.folder).parent.mkdir(parents=True, exist_ok=True)
        if self.run.trackers and distributed.is_first():
            from accelerate import PartialState
            from accelerate.tracking import LOGGER_TYPE_TO_CLASS

            PartialState(cpu=self.run.device == "cpu")  # which accelerate's trackers ask whether they are the first
            for kind in self.run.trackers:
                made = LOGGER_TYPE_TO_CLASS[kind]
                folder = {"logging_dir": self.run.folder / "logs"} if made.requires_logging_directory else {}
                tracker = made(f"{self.name}-seed{self.run.seed}", **folder)
                tracker.start()
                tracker.store_init_configuration(dict(self.settings))
                self.trackers.append(tracker)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker in self.trackers:
            tracker.finish()

    def after(self, step: int, figures: Callable[[], Mapping[str, float]]) -> None:
        """Show the figures of the step that made `step` steps in all; they are asked for only where it is time to.

        Raises:
            RunError: As `figures`; before pictures are made.
        """
        if not distributed.is_first():
            return
        if step % LOG_EVERY == 0:
            found = dict(figures())
            with open(_curve_path(self.run.folder), "a", encoding="utf-8") as file:
                file.write(json.dumps([step, found]) + "\n")
            for tracker in self.trackers:
                tracker.log(found, step=step)
        if self.run.samples_every:
            if step % self.run.samples_every == 0:
                figures()  # a loss that is no number is said before anything is drawn with what it left
                self._show(step)
        elif (seconds := time.monotonic() - self.began) >= self.next_look:
            figures()
            self._show(step)
            self.run.ui.say(f"what it draws after {seconds:.0f} s, {step} steps: {self._sheet(step)}")
            while self.next_look <= seconds:
                self.next_look *= 2

    def _show(self, step: int) -> None:
        import numpy as np

        from benchmark.media.images import save_png

        pictures = np.stack([np.asarray(picture) for picture in self.draw()])
        save_png(self._sheet(step), np.concatenate(list(pictures), axis=1))
        for tracker in self.trackers:
            more = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            tracker.log_images({"samples": pictures}, step=step, **more)

    def _sheet(self, step: int) -> Path:
        return self.run.folder / "samples" / f"step-{step:06d}.png"


def _curve_path(folder: Path) -> Path:
    # Beside the markers, which are no output of the step: a curve is no reason to fit again.
    return folder / "steps" / "fit.curve"


def read_curve(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """Return (step, figures) of a fit's folder in order; nothing of a fit that noted none.

    Of steps that an interrupted training took twice the last ones count, and a line that is not whole counts for
    nothing.
    """
    try:
        lines = read_ordinary(_curve_path(folder)).decode("utf-8").splitlines()
    except (OSError, ValueError):
        return []
    found: dict[int, dict[str, float]] = {}
    for line in lines:
        try:
            step, figures = json.loads(line)
            found[int(step)] = {str(key): float(value) for key, value in figures.items()}
        except (ValueError, TypeError, AttributeError):
            continue
    return sorted(found.items())
