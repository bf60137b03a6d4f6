"""Log-mel filterbank energies as computed by Kaldi: the audio front end of BEATs and ImageBind."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Window = Literal["povey", "hann"]

SAMPLE_RATE = 16_000
FRAME = 400
HOP = 160
FFT = 512
BINS = 128
LOW_HZ = 20.0
HIGH_HZ = 8_000.0
PREEMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps


def frame_count(samples: int) -> int:
    """Return the number of filterbank frames, `1 + (samples - 400) // 160`; 0 for less than one frame."""
    return 1 + (samples - FRAME) // HOP if samples >= FRAME else 0


# Windows and filters are computed in the precision of the waveform, not in float64 and rounded: quiet bins beside loud
# ones contain the rounding of the window, and a deep encoder propagates it (differences of 1e-3 in BEATs features).
@lru_cache(maxsize=16)
@torch.inference_mode(False)
def analysis_window(kind: Window = "povey", dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
    """Return the symmetric analysis window of a frame of 400 samples.

    The tensor is cached: do not write to it.

    Args:
        kind: "hann" for the Hann window, "povey" for its power 0.85, which reaches zero less abruptly at its ends.
        dtype: Type of the tensor, and precision of the computation.
        device: Device of the tensor.

    Raises:
        ValueError: `kind` is unknown.
    """
    if kind not in ("povey", "hann"):
        raise ValueError(f"unknown filterbank window {kind!r}: use 'povey' or 'hann'")
    hann = torch.hann_window(FRAME, periodic=False, dtype=dtype)
    return (hann if kind == "hann" else hann.pow(0.85)).to(device)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def mel_banks(bins: int = BINS, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
    """Return triangular mel filters (bins, 257): the weight of each bin of the 512-point spectrum in each filter.

    The triangles have height 1, are linear and equally wide on the scale `1127 ln(1 + f / 700)`, and lie between 20 and
    8000 Hz. With 128 filters the fourth lies between two spectrum bins and is empty. The tensor is cached: do not write
    to it.

    Args:
        bins: Number of filters.
        dtype: Type of the tensor, and precision of the computation.
        device: Device of the tensor.
    """
    mel = _mel(torch.arange(FFT // 2 + 1, dtype=dtype) * (SAMPLE_RATE / FFT))
    low, high = (float(_mel(torch.tensor(edge, dtype=torch.float64))) for edge in (LOW_HZ, HIGH_HZ))
    step = (high - low) / (bins + 1)
    index = torch.arange(bins, dtype=dtype)[:, None]
    left, centre, right = (low + (index + offset) * step for offset in range(3))
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0).to(device)


def log_mel_filterbank(waveform: Tensor, window: Window = "povey", bins: int = BINS) -> Tensor:
    """Compute Kaldi-compatible log-mel energies of 16 kHz mono waveforms.

    Frames have 400 samples, start every 160 samples and do not reach past an edge. Each frame has its mean removed, is
    pre-emphasised (`x[t] - 0.97 x[t-1]`, the first sample being its own predecessor), windowed and transformed to a
    512-point power spectrum, which the mel filters sum. The result is the natural logarithm, floored at `ln 2**-23`.
    There is no dither.

    Source: kaldi feat/feature-fbank, with the settings of microsoft/unilm BEATs and facebookresearch/ImageBind.

    Args:
        waveform: (..., samples), on the scale that the caller's normalisation expects.
        window: Window of a frame; see `analysis_window`.
        bins: Number of mel filters.

    Returns:
        (..., `1 + (samples - 400) // 160`, bins), float64 for a float64 waveform and float32 otherwise, computed in
        that precision even under autocast.

    Raises:
        ValueError: The waveform has fewer than 400 samples.

    Example:
        >>> log_mel_filterbank(torch.zeros(2, 16_000)).shape
        torch.Size([2, 98, 128])
    """
    samples = waveform.shape[-1]
    if samples < FRAME:
        raise ValueError(
            f"the waveform has {samples} samples, but one filterbank frame needs {FRAME} (25 ms at 16 kHz): "
            "pad or repeat it first"
        )
    dtype = torch.float64 if waveform.dtype == torch.float64 else torch.float32
    device = str(waveform.device)
    with torch.autocast(waveform.device.type, enabled=False):
        frames = waveform.to(dtype).unfold(-1, FRAME, HOP)
        frames = frames - frames.mean(-1, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = (frames - PREEMPHASIS * previous) * analysis_window(window, dtype, device)
        power = torch.fft.rfft(F.pad(frames, (0, FFT - FRAME))).abs().square()
        return (power @ mel_banks(bins, dtype, device).T).clamp(min=FLOOR).log()


def _mel(hertz: Tensor) -> Tensor:
    return 1127 * torch.log(1 + hertz / 700)
