"""Interfaces of scorers: encoders with the hash of their weights and their own preprocessing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image


class Scorer(ABC):
    """Base of all scorers."""

    name: str
    """Name in tables and records."""
    sha256: str
    """Hash that identifies weights and preprocessing together."""


class ImageScorer(Scorer):
    """Scorer that embeds images."""

    batch_size: int = 64
    """Number of images that the network gets at once."""

    @abstractmethod
    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        """Return embeddings of images, where each row depends on its own image only.

        Args:
            images: RGB images of any size.

        Returns:
            float32 (n, d), not normalised.
        """

    def prepare(self, image: Image) -> Any:
        """Return what `embed_prepared` takes for an image: by default the image itself.

        It is called in several threads at once, ahead of the network.
        """
        return image

    def embed_prepared(self, prepared: Sequence[Any]) -> np.ndarray:
        """Return the embeddings of images of which each went through `prepare`, as `embed_images` does."""
        return self.embed_images(prepared)


class TextScorer(Scorer):
    """Scorer that embeds texts into the space of an image scorer."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of texts.

        Args:
            texts: Texts, such as class labels.

        Returns:
            float32 (n, d), not normalised.
        """


class AudioScorer(Scorer):
    """Scorer that embeds audio."""

    batch_size: int = 1
    """Number of clips that the network gets at once."""

    rate: int = 16_000
    """Sampling rate that it expects, in Hz."""

    @abstractmethod
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return embeddings of audio, where each row depends on its own waveform only.

        Args:
            waveforms: Mono float32 waveforms in [-1, 1] at `rate`.

        Returns:
            float32 (n, d).
        """
