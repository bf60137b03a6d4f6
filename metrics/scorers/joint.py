"""An encoder of methods, into one space of audio and images, as a judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from metrics.encoders.joint import JointEncoder
from metrics.scorers.base import AudioScorer, ImageScorer

if TYPE_CHECKING:
    from PIL.Image import Image


class JointScorer(ImageScorer, AudioScorer):
    """A joint encoder, whose rows depend on their own item only, behind the interfaces of scorers.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        encoder: The encoder.
    """

    def __init__(self, name: str, sha256: str, encoder: JointEncoder) -> None:
        self.name, self.sha256, self.encoder = name, sha256, encoder

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        """Return unit float32 embeddings (n, d) of images of any size."""
        return self.encoder.embed_images(images).float().cpu().numpy()

    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return unit float32 embeddings (n, d) of mono waveforms at 16 kHz, one at a time."""
        rows = [self.encoder.embed_audio(torch.from_numpy(wave)[None]) for wave in waveforms]
        return torch.cat(rows).float().cpu().numpy()
