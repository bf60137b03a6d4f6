"""Mel-frequency cepstral coefficients, summarised over a clip: an ear without a network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct

from metrics.encoders.filterbank import log_mel_filterbank

COEFFICIENTS = 20


def mfcc_statistics(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return mean and standard deviation of the coefficients over time, and of their differences: (4 x 20,).

    The coefficients are the first of an orthonormal DCT-II of Kaldi's log-mel energies (Davis and Mermelstein 1980).

    Args:
        wave: Mono waveform (samples,), 16 kHz, in [-1, 1].
    """
    energies = log_mel_filterbank(torch.from_numpy(np.array(wave, dtype=np.float32))[None])[0].double().numpy()
    coefficients = dct(energies, type=2, norm="ortho", axis=1)[:, :COEFFICIENTS]
    steps = np.diff(coefficients, axis=0)
    return np.concatenate([coefficients.mean(0), coefficients.std(0), steps.mean(0), steps.std(0)])
