"""Encoders of audio, images and texts into one embedding space, behind the interface that methods use."""

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
    """Encoder of audio, images and texts into one space of unit vectors, compared by cosine.

    It also returns features of audio over time.

    A row depends on no other row of its call, not even by rounding. Results are on the encoder's device, without
    gradients.
    """

    width: int
    """Width of the embeddings."""
    feature_width: int
    """Width of the features."""

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        """Return unit embeddings (B, width) of waveforms.

        Args:
            waveforms: (B, samples) at 16 kHz, in [-1, 1].

        Raises:
            ValueError: The waveforms are too short.
        """

    def embed_images(self, images: Sequence[Image]) -> Tensor:
        """Return unit embeddings (B, width) of images of any size, with the encoder's own preprocessing."""

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit embeddings (B, width) of texts."""

    def extract_features(self, waveforms: Tensor) -> Tensor:
        """Return the network's last features over time, before pooling, as an alternative to those of BEATs.

        Unlike embeddings, these may differ in rounding with the number of waveforms.

        Args:
            waveforms: (B, samples) at 16 kHz, in [-1, 1].

        Returns:
            (B, T, feature_width) features.

        Raises:
            ValueError: As `embed_audio`.
        """


class Wav2CLIPEncoder(nn.Module):
    """Wav2CLIP for audio, and the CLIP whose image tower it was distilled from for images and texts.

    Features are the last convolution's output averaged over the frequency bins.

    Args:
        wav2clip: The audio encoder, which standardises each clip by itself.
        clip: The image and text encoder.

    Raises:
        ValueError: `wav2clip` standardises over the whole call, so that rows would depend on each other.
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
        """Return unit embeddings (B, width) of waveforms (B, samples) by Wav2CLIP."""
        return _unit([self.wav2clip(wave[None]) for wave in waveforms.to(_device(self))], self.width)

    @torch.no_grad()
    def embed_images(self, images: Sequence[Image]) -> Tensor:
        """Return unit embeddings (B, width) of images by CLIP."""
        rows = [torch.from_numpy(self.clip.embed_images(images)).to(_device(self))] if images else []
        return _unit(rows, self.width)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit embeddings (B, width) of texts by CLIP."""
        rows = [torch.from_numpy(self.clip.embed_texts(texts)).to(_device(self))] if texts else []
        return _unit(rows, self.width)

    @torch.no_grad()
    def extract_features(self, waveforms: Tensor) -> Tensor:
        """Return the last convolution's output (B, T, feature_width), averaged over the frequency bins."""
        return self.wav2clip.extract_features(waveforms.to(_device(self)))


class ImageBindEncoder(nn.Module):
    """ImageBind for audio, images and texts, each encoded by its own tower.

    Images are resized so that the short side has the model's size (bicubic), cropped to the centre, normalised with
    CLIP's mean and standard deviation, and encoded in batches padded to `batch_size`. Features are the audio trunk's
    patches averaged over the mel bins, the three clips one after another.

    Args:
        model: The network.
        tokenize: Map from texts to ids (n, context); by default CLIP's own tokenizer, padded with id 0, as the
            published model expects.
        batch_size: Number of images per batch.
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
        """Return unit embeddings (B, width) of waveforms (B, samples) by the audio tower."""
        return _unit([self.model.encode_audio(wave[None]) for wave in waveforms.to(_device(self))], self.width)

    @torch.no_grad()
    def embed_images(self, images: Sequence[Image]) -> Tensor:
        """Return unit embeddings (B, width) of images by the image tower."""
        rows = []
        for start in range(0, len(images), self.batch_size):
            batch = torch.stack([self.transform(image) for image in images[start : start + self.batch_size]])
            padded = torch.cat([batch, batch[:1].expand(self.batch_size - len(batch), -1, -1, -1)])
            rows.append(self.model.encode_images(padded.to(_device(self)))[: len(batch)])
        return _unit(rows, self.width)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit embeddings (B, width) of texts by the text tower."""
        return _unit([self.model.encode_texts(self.tokenize([text]).to(_device(self))) for text in texts], self.width)

    @torch.no_grad()
    def extract_features(self, waveforms: Tensor) -> Tensor:
        """Return the audio trunk's patches (B, T, feature_width), averaged over the mel bins."""
        return self.model.extract_features(waveforms.to(_device(self)))


def _unit(rows: Sequence[Tensor], width: int) -> Tensor:
    return F.normalize(torch.cat(list(rows)).float(), dim=-1) if rows else torch.empty(0, width)


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _clip_tokenizer(context: int) -> Callable[[Sequence[str]], Tensor]:
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer(context_length=context)
    return lambda texts: tokenizer(list(texts))
