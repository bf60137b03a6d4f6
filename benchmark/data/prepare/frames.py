"""Which of a training clip's frames shows its label best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.suite import Suite

PROMPT = "a photo of {}"


class Chooser(Protocol):
    """Picks frames. `identity` stands for all that its choice depends on."""

    identity: str

    def __call__(self, frames: Sequence[Sequence[Image]], labels: Sequence[str]) -> list[int]:
        """For each clip, which of its frames to take: `labels[i]` belongs to `frames[i]`."""
        ...


class ClipBest:
    """The frame whose CLIP embedding has the highest cosine with that of "a photo of {label}"; of equals the first.

    `scorer` embeds pictures and texts (`metrics.scorers.base.ImageScorer` and `TextScorer` in one).
    """

    def __init__(self, scorer: Any) -> None:
        self.scorer = scorer
        self.identity = f"clip-best {scorer.sha256} {PROMPT}"
        self._texts: dict[str, np.ndarray] = {}

    def __call__(self, frames: Sequence[Sequence[Image]], labels: Sequence[str]) -> list[int]:
        rows = _unit(self.scorer.embed_images([frame for clip in frames for frame in clip]))
        best, start = [], 0
        for clip, label in zip(frames, labels, strict=True):
            if label not in self._texts:
                self._texts[label] = _unit(self.scorer.embed_texts([PROMPT.format(label)]))[0]
            best.append(int(np.argmax(rows[start : start + len(clip)] @ self._texts[label])))
            start += len(clip)
        return best


def clip_best(suite: Suite, device: str) -> ClipBest:
    """The chooser with the CLIP that the suite judges content (AIC) with."""
    from benchmark.registries import SCORERS

    return ClipBest(SCORERS.get(f"{suite.base}/{suite.scorers.image}")(suite, device))


def _unit(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
