"""The package's own test."""

from __future__ import annotations

import numpy as np
import pytest
from bench_pitch_words import pitch

RATE = 16_000


def tone(frequency: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)


def test_pitch_is_in_octaves() -> None:
    assert pitch(tone(50), RATE) == pytest.approx(0, abs=1e-6)
    assert pitch(tone(400), RATE) - pitch(tone(200), RATE) == pytest.approx(
        pitch(tone(200), RATE) - pitch(tone(100), RATE)
    )
    assert 0 < pitch(tone(100), RATE) < pitch(tone(4000), RATE) < 1


def test_silence_is_low() -> None:
    assert pitch(np.zeros(800, np.float32), RATE) == 0
