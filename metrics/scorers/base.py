"""What a scorer is: an encoder, the hash of its weights, and the preprocessing that travels with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image


class Scorer(ABC):
    """`name` is what tables and records call it; `sha256` identifies weights and preprocessing together."""

    name: str
    sha256: str


class ImageScorer(Scorer):
    """Embeds pictures."""

    batch_size: int = 64

    @abstractmethod
    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        """RGB pictures of any size -> float32 (n, d), not normalised. A picture's row does not depend on the others."""


class TextScorer(Scorer):
    """Embeds texts into the space of an image scorer."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts -> float32 (n, d), not normalised."""


class AudioScorer(Scorer):
    """Embeds sounds; `rate` is the sampling rate it expects."""

    rate: int = 16_000

    @abstractmethod
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Mono float32 waveforms in [-1, 1] at `rate` -> float32 (n, d). A clip's row does not depend on the others."""
