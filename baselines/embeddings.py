"""Embeddings of a clip in a joint space of audio, images and texts, as features of one time step."""

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
    """Return embeddings of unit length as features (B, 1, width) of mean square 1.

    This is the scale of BEATs' layers, which end in a layer norm, so that adapters train at AudioToken's learning rate.

    Args:
        embeddings: (B, width) of unit length.

    Example:
        >>> one_step(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[[2., 0., 0., 0.]]])
    """
    return embeddings.unsqueeze(1) * math.sqrt(embeddings.shape[-1])


class FrameEmbedding(Sense):
    """Embedding of a clip's frame, (B, 1, width), with the encoder's own preprocessing."""

    task = "encoding the training frames"

    @property
    def preparation(self) -> list[Any]:
        """Constant that distinguishes these features from others of the same network."""
        return ["frame embedding"]

    def together(self, clips: Sequence[Clip]) -> Tensor:
        """Return the embeddings (B, 1, width) of the clips' frames."""
        return self.see([clip.picture() for clip in clips])

    def of_samples(self, samples: Sequence[Sample]) -> Tensor:
        """Return the embeddings (B, 1, width) of the frames of examples from a training stream."""
        frames = [sample.frame for sample in samples if sample.frame is not None]
        return self.see([PIL.Image.fromarray(frame) for frame in frames])

    @torch.inference_mode()
    def see(self, frames: list[Image]) -> Tensor:
        """Return the embeddings (B, 1, width) of images of any size."""
        return one_step(self.encoder.embed_images(frames))


class SoundEmbedding(Listener):
    """Embedding of a clip's audio, (B, 1, width)."""

    @property
    def preparation(self) -> list[Any]:
        """Length of the audio and rule for other lengths, marked as those of an embedding."""
        return ["sound embedding", *super().preparation]

    @torch.inference_mode()
    def hear(self, waves: Tensor) -> Tensor:
        """Return the embeddings (B, 1, width) of waveforms (B, samples)."""
        return one_step(self.encoder.embed_audio(waves))


class UnitSoundEmbedding(SoundEmbedding):
    """Embedding of a clip's audio as it is, (B, 1, width) of length 1."""

    @property
    def preparation(self) -> list[Any]:
        """That of an embedding, marked as one of length 1."""
        return ["length 1", *super().preparation]

    @torch.inference_mode()
    def hear(self, waves: Tensor) -> Tensor:
        """Return the embeddings (B, 1, width) of waveforms (B, samples)."""
        embeddings: Tensor = self.encoder.embed_audio(waves)
        return embeddings.unsqueeze(1).float()
