"""Encoders that put sounds, pictures and words into one space, as methods use them: one interface for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metrics.encoders.imagebind import IMAGE_MEAN, IMAGE_STD, ImageBind
from metrics.encoders.wav2clip import Wav2CLIP
from metrics.preprocessing import Preprocessing
from metrics.scorers.clip import CLIPScorer

if TYPE_CHECKING:
    from PIL.Image import Image


class JointEncoder(Protocol):
    """Sounds, pictures and words as unit vectors whose cosines compare them, and a sound's features over time.

    `width` is that of the embeddings, `feature_width` that of the features. A row depends on no other row of its call,
    not even by rounding. Results lie on the encoder's device, without gradients.
    """

    width: int
    feature_width: int

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, samples), 16 kHz in [-1, 1] -> (B, width). Raises ValueError for too short ones."""

    def embed_images(self, images: Sequence[Image]) -> Tensor:
        """Pictures of any size -> (B, width); the preprocessing is the encoder's own."""

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (B, width)."""

    def extract_features(self, waveforms: Tensor) -> Tensor:
        """The network's last features over time, before pooling (B, T, feature_width): what stands in BEATs' place.

        Unlike embeddings these may differ in rounding with the number of waveforms. Raises ValueError as `embed_audio`.
        """


class Wav2CLIPEncoder(nn.Module):
    """Sounds by Wav2CLIP; pictures and words by the CLIP from whose image tower it was distilled.

    Features: the last convolution's map averaged over the frequency bins. Raises ValueError for a Wav2CLIP that
    standardises over the whole call, under which no row would be its own.
    """

    def __init__(self, wav2clip: Wav2CLIP, clip: CLIPScorer) -> None:
        super().__init__()
        if wav2clip.standardise != "clip":
            raise ValueError(f"Wav2CLIP standardises by {wav2clip.standardise!r}: an encoder of methods needs 'clip'")
        self.wav2clip = wav2clip.eval().requires_grad_(False)
        self.clip = clip
        last = wav2clip.audio_transform.sequential[-1]
        assert isinstance(last, nn.Linear)
        self.width = last.out_features
        self.feature_width = 8 * wav2clip.audio_encoder.conv1.out_channels

    @torch.no_grad()
    def embed_audio(self, waveforms: Tensor) -> Tensor:
        return _unit([self.wav2clip(wave[None]) for wave in waveforms.to(_device(self))], self.width)

    @torch.no_grad()
    def embed_images(self, images: Sequence[Image]) -> Tensor:
        rows = [torch.from_numpy(self.clip.embed_images(images)).to(_device(self))] if images else []
        return _unit(rows, self.width)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        rows = [torch.from_numpy(self.clip.embed_texts(texts)).to(_device(self))] if texts else []
        return _unit(rows, self.width)

    @torch.no_grad()
    def extract_features(self, waveforms: Tensor) -> Tensor:
        return self.wav2clip.extract_features(waveforms.to(_device(self)))


class ImageBindEncoder(nn.Module):
    """Sounds, pictures and words by ImageBind: each by its own tower of `model`.

    `tokenize` maps texts to ids (n, context); by default CLIP's own, padded with id 0, which the published model takes.
    Pictures get a short side of the model's size (bicubic), a centre crop, CLIP's mean and deviation, and are embedded
    in batches of `batch_size`, padded to that size. Features: the patches out of the audio trunk averaged over the
    mel bins, the three clips one after another.
    """

    def __init__(
        self, model: ImageBind, tokenize: Callable[[Sequence[str]], Tensor] | None = None, batch_size: int = 16
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.tokenize = tokenize or _clip_tokenizer(model.config.context)
        self.transform = Preprocessing(model.config.image_size, IMAGE_MEAN, IMAGE_STD).transform()
        self.batch_size = batch_size
        self.width = model.config.embed_dim
        self.feature_width = model.config.audio.width

    @torch.no_grad()
    def embed_audio(self, waveforms: Tensor) -> Tensor:
        return _unit([self.model.encode_audio(wave[None]) for wave in waveforms.to(_device(self))], self.width)

    @torch.no_grad()
    def embed_images(self, images: Sequence[Image]) -> Tensor:
        rows = []
        for start in range(0, len(images), self.batch_size):
            batch = torch.stack([self.transform(image) for image in images[start : start + self.batch_size]])
            padded = torch.cat([batch, batch[:1].expand(self.batch_size - len(batch), -1, -1, -1)])
            rows.append(self.model.encode_images(padded.to(_device(self)))[: len(batch)])
        return _unit(rows, self.width)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return _unit([self.model.encode_texts(self.tokenize([text]).to(_device(self))) for text in texts], self.width)

    @torch.no_grad()
    def extract_features(self, waveforms: Tensor) -> Tensor:
        return self.model.extract_features(waveforms.to(_device(self)))


def _unit(rows: Sequence[Tensor], width: int) -> Tensor:
    return F.normalize(torch.cat(list(rows)).float(), dim=-1) if rows else torch.empty(0, width)


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _clip_tokenizer(context: int) -> Callable[[Sequence[str]], Tensor]:
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer(context_length=context)
    return lambda texts: tokenizer(list(texts))
