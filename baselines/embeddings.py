"""A clip as one vector in a joint space of sounds, pictures and words, in the form of features of one time step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import PIL.Image
import torch
from torch import Tensor

from audiotoken.features import Listener, Sense

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark import Clip
    from benchmark.dataset import Sample


def one_step(embeddings: Tensor) -> Tensor:
    """Embeddings (B, width) of unit length as features (B, 1, width) of mean square 1.

    That is the scale of BEATs' layers, which end in a layer norm, so that adapters learn at AudioToken's rate.
    """
    return embeddings.unsqueeze(1) * math.sqrt(embeddings.shape[-1])


class FrameEmbedding(Sense):
    """The frame's embedding: (B, 1, width). The encoder gets the frame as it is, and prepares it in its own way."""

    task = "looking at the training frames"

    @property
    def preparation(self) -> list[Any]:
        return ["frame embedding"]

    def together(self, clips: Sequence[Clip]) -> Tensor:
        return self.see([clip.picture() for clip in clips])

    def of_samples(self, samples: Sequence[Sample]) -> Tensor:
        frames = [sample.frame for sample in samples if sample.frame is not None]
        return self.see([PIL.Image.fromarray(frame) for frame in frames])

    @torch.inference_mode()
    def see(self, frames: list[Image]) -> Tensor:
        """Pictures -> (B, 1, width)."""
        return one_step(self.encoder.embed_images(frames))


class SoundEmbedding(Listener):
    """The sound's embedding: (B, 1, width)."""

    @property
    def preparation(self) -> list[Any]:
        return ["sound embedding", *super().preparation]

    @torch.inference_mode()
    def hear(self, waves: Tensor) -> Tensor:
        return one_step(self.encoder.embed_audio(waves))
