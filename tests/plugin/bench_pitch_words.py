"""A sound's pitch, said in words: between the prompts of a low and of a high thing, as far as the sound is high."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from benchmark import Conditioning, ConditioningMethod, MethodCard, MethodSettings

if TYPE_CHECKING:
    from benchmark.clips import Clip


class PitchWordsSettings(MethodSettings):
    """The two ends."""

    low: str = "thunder"
    """What a sound of 50 Hz is drawn as."""
    high: str = "bird chirping"
    """What a sound of half the sampling rate is drawn as."""


class PitchWords(ConditioningMethod):
    """No training: the spectrum's centroid on a logarithmic scale mixes two prompts."""

    card: ClassVar[MethodCard] = MethodCard(
        name="pitch-words",
        summary="two prompts, mixed by the sound's pitch",
        sees=("audio",),
        licence="Apache-2.0",
        training_data="none beyond the backbone's own",
    )
    Settings = PitchWordsSettings
    settings: PitchWordsSettings

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        import torch

        suite, backbone = self.run.suite, self.run.backbone
        low, high = backbone.encode_prompts([backbone.prompt(word) for word in (self.settings.low, self.settings.high)])
        height = [pitch(suite.sound(clip), suite.data.rate) for clip in clips]
        mix = torch.tensor(height, dtype=low.dtype, device=low.device)[:, None, None]
        return Conditioning(torch.lerp(low[None], high[None], mix))


def pitch(wave: np.ndarray, rate: int) -> float:
    """Height of the spectrum's centroid between 50 Hz (0) and half the rate (1), in octaves; 0 for silence."""
    power = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    if not power.any():
        return 0.0
    centroid = float(power @ np.fft.rfftfreq(len(wave), 1 / rate) / power.sum())
    return float(np.clip(np.log(max(centroid, 1e-9) / 50) / np.log(rate / 100), 0, 1))
