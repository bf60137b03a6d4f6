"""Scorers that listen: Wav2CLIP as an embedding in CLIP's space, BEATs with a head as a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from metrics.encoders.beats import BEATs
from metrics.encoders.wav2clip import Wav2CLIP
from metrics.scorers.base import AudioScorer


class Wav2CLIPScorer(AudioScorer):
    """Wav2CLIP, one clip at a time: its spectrogram is standardised over the call, so neighbours would matter."""

    def __init__(self, name: str, sha256: str, model: Wav2CLIP, device: str = "cpu") -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self.model = model.to(device).eval().requires_grad_(False)

    @torch.inference_mode()
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        rows = [self.model(torch.from_numpy(wave)[None].to(self.device)).float().cpu() for wave in waveforms]
        return torch.cat(rows).numpy()


class AudioClassifier(AudioScorer):
    """BEATs with a classification head over `labels`; `embed_audio` gives logits (n, labels), one clip at a time."""

    def __init__(self, name: str, sha256: str, model: BEATs, labels: Sequence[str], device: str = "cpu") -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self.model = model.to(device).eval().requires_grad_(False)
        self.labels = tuple(labels)

    @torch.inference_mode()
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        rows = [self.model.logits(torch.from_numpy(wave)[None].to(self.device)).float().cpu() for wave in waveforms]
        return torch.cat(rows).numpy()
