"""`copycat`: the frame of the training clip that sounds nearest. It generates nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image
from pydantic import Field
from safetensors.numpy import load_file, save_file

from baselines.attacks.mfcc import mfcc_statistics
from benchmark import FitReport, Method, MethodCard, MethodSettings
from benchmark.media.images import resize
from benchmark.utils.errors import UserError
from benchmark.utils.files import save_atomic

if TYPE_CHECKING:
    from benchmark import Clip, ClipSet

LARGEST_MEMORY = 8 << 30


class CopycatSettings(MethodSettings):
    """What is remembered."""

    memory: int | None = Field(None, ge=1)
    """Number of training clips that are remembered, the first of the split; None: all."""


class Copycat(Method):
    """Nearest neighbour of the test sound among the training sounds, by MFCC statistics; its frame is the image."""

    card: ClassVar[MethodCard] = MethodCard(
        name="copycat",
        summary="the frame of the training clip that sounds nearest (MFCC, Euclidean distance)",
        sees=("audio",),
        licence="Apache-2.0",
        training_data="the suite's training split (sound and frame; no labels), kept as it is",
        attack="copies training frames: sharp, of the right class, and nothing is generated",
    )
    Settings = CopycatSettings
    settings: CopycatSettings
    fits = True
    fit_files = ("memory.safetensors",)
    random = False

    def fit(self, train: ClipSet) -> FitReport:
        """Keep the sounds' statistics and the frames of the training clips.

        Raises:
            UserError: There are no training clips, or their frames would take more than 8 GB.
        """
        suite, side = self.run.suite, self.run.suite.backbone.resolution
        clips = [clip for clip in train if clip.image is not None][: self.settings.memory]
        if not clips:
            raise UserError("copycat needs training clips with frames: the data set has none")
        size = len(clips) * side * side * 3
        if size > LARGEST_MEMORY:
            most = LARGEST_MEMORY // (side * side * 3)
            raise UserError(f"copycat would keep {size / 1e9:.0f} GB of frames: --set memory={most} keeps 8 GB")
        heard, frames = [], np.empty((len(clips), side, side, 3), np.uint8)
        with self.run.ui.task("remembering the training clips", len(clips), "clips") as advance:
            for place, clip in enumerate(clips):
                heard.append(mfcc_statistics(suite.sound(clip)))
                frames[place] = np.asarray(resize(clip.picture(), side, suite.backbone.resize))
                advance(1)
        known = np.stack(heard)
        tensors = {
            "known": known,
            "mean": known.mean(axis=0),
            "deviation": np.maximum(known.std(axis=0), 1e-6),
            "frames": frames,
        }
        save_atomic(self.run.folder / self.fit_files[0], lambda path: save_file(tensors, path))
        return FitReport(0, 0, figures={"clips": len(clips)})

    def load(self) -> None:
        """Read what was remembered."""
        found = load_file(self.run.folder / self.fit_files[0])
        self.mean, self.deviation, self.frames = found["mean"], found["deviation"], found["frames"]
        self.known = (found["known"] - self.mean) / self.deviation

    def nearest(self, clip: Clip) -> int:
        """Return the place of the training clip that sounds nearest; the first of several that are equally near."""
        heard = (mfcc_statistics(self.run.suite.sound(clip)) - self.mean) / self.deviation
        return int(np.square(self.known - heard).sum(axis=1).argmin())

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image.Image]:
        """Return the nearest training clip's frame of each clip."""
        return [Image.fromarray(self.frames[self.nearest(clip)]) for clip in clips]
