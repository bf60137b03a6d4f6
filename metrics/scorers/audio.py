"""Audio scorers: Wav2CLIP embeds audio into CLIP's space, BEATs with a head classifies it.

On a CPU they get one clip at a time, on a CUDA device `TOGETHER` clips of equal length (`metrics.scorers.batches`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from metrics.encoders.beats import BEATs
from metrics.encoders.wav2clip import Wav2CLIP
from metrics.scorers.base import AudioScorer
from metrics.scorers.batches import rows_of, together

TOGETHER = 8
"""Clips of a batch on a CUDA device."""


class Wav2CLIPScorer(AudioScorer):
    """Wav2CLIP as an embedding.

    A clip is alone in its call if the model standardises over the call, as neighbours would matter then.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        model: The network; it is put in eval mode and frozen.
        device: Device to run on.
    """

    def __init__(self, name: str, sha256: str, model: Wav2CLIP, device: str = "cpu") -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self.model = model.to(device).eval().requires_grad_(False)
        self.batch_size = together(device, TOGETHER) if model.standardise == "clip" else 1

    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 embeddings (n, d) of mono waveforms at 16 kHz, not normalised."""
        return rows_of(self.model, [torch.from_numpy(wave) for wave in waveforms], self.batch_size, self.device)


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
        self.batch_size = together(device, TOGETHER)

    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 class logits (n, labels) of mono waveforms at 16 kHz."""
        return rows_of(self.model.logits, [torch.from_numpy(wave) for wave in waveforms], self.batch_size, self.device)
