"""Audio scorers: Wav2CLIP embeds audio into CLIP's space, BEATs with a head classifies it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from metrics.encoders.beats import BEATs
from metrics.encoders.wav2clip import Wav2CLIP
from metrics.scorers.base import AudioScorer


class Wav2CLIPScorer(AudioScorer):
    """Wav2CLIP as an embedding, one clip at a time: with "batch" standardisation, neighbours would matter.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        model: The network; it is put in eval mode and frozen.
        device: Device to run on.
    """

    def __init__(self, name: str, sha256: str, model: Wav2CLIP, device: str = "cpu") -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self.model = model.to(device).eval().requires_grad_(False)

    @torch.inference_mode()
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 embeddings (n, d) of mono waveforms at 16 kHz, not normalised."""
        rows = [self.model(torch.from_numpy(wave)[None].to(self.device)).float().cpu() for wave in waveforms]
        return torch.cat(rows).numpy()


class AudioClassifier(AudioScorer):
    """BEATs with a classification head over `labels`.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        model: The network; it is put in eval mode and frozen.
        labels: Class names, in the order of the head.
        device: Device to run on.
    """

    def __init__(self, name: str, sha256: str, model: BEATs, labels: Sequence[str], device: str = "cpu") -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self.model = model.to(device).eval().requires_grad_(False)
        self.labels = tuple(labels)

    @torch.inference_mode()
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 class logits (n, labels) of mono waveforms at 16 kHz, one clip at a time."""
        rows = [self.model.logits(torch.from_numpy(wave)[None].to(self.device)).float().cpu() for wave in waveforms]
        return torch.cat(rows).numpy()
