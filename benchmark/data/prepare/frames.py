"""Choice of the frame of a training clip that shows its label best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.suite import Suite

PROMPT = "a photo of {}"


class Chooser(Protocol):
    """Function that chooses one of several frames of each clip."""

    identity: str
    """Text that covers everything that the choice depends on."""

    @property
    def look(self) -> Callable[[Image], np.ndarray]:
        """Function that gives what is to be known of a frame: it is pickled, and called in the decoding processes."""
        ...

    def __call__(self, seen: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> list[int]:
        """Return the index of the chosen frame of each clip; `labels[i]` belongs to `seen[i]`."""
        ...


class ClipBest:
    """Chooser of the frame whose CLIP embedding has the highest cosine similarity with "a photo of {label}".

    The first of several equal frames is chosen.

    Args:
        scorer: A `metrics.scorers.clip.CLIPScorer`.
    """

    def __init__(self, scorer: Any) -> None:
        self.scorer = scorer
        self.look = scorer.preprocessing.crop
        self.identity = f"clip-best {scorer.sha256} {PROMPT}"
        self._texts: dict[str, np.ndarray] = {}

    def __call__(self, seen: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> list[int]:
        """Return the index of the frame of each clip that fits its label best."""
        normalise = self.scorer.preprocessing.normalise
        rows = _unit(self.scorer.embed_prepared([normalise(crop) for clip in seen for crop in clip]))
        best, start = [], 0
        for clip, label in zip(seen, labels, strict=True):
            if label not in self._texts:
                self._texts[label] = _unit(self.scorer.embed_texts([PROMPT.format(label)]))[0]
            best.append(int(np.argmax(rows[start : start + len(clip)] @ self._texts[label])))
            start += len(clip)
        return best


def clip_best(suite: Suite, device: str) -> ClipBest:
    """Return a chooser with the CLIP by which the suite judges content (AIC)."""
    from benchmark.registries import SCORERS

    return ClipBest(SCORERS.get(f"{suite.base}/{suite.scorers.image}")(suite, device))


def _unit(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
