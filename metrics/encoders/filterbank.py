"""Log-mel filterbank energies as Kaldi computes them: the audio front end of BEATs and of ImageBind."""

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
    """Number of filterbank frames of a waveform, `1 + (samples - 400) // 160`; 0 when it is shorter than one frame."""
    return 1 + (samples - FRAME) // HOP if samples >= FRAME else 0


# Windows and filters are computed in the precision of the waveform, not in float64 and rounded: quiet bins beside loud
# ones hold the rounding of the window, and a deep encoder carries it on (differences of 1e-3 in BEATs features).
@lru_cache(maxsize=16)
@torch.inference_mode(False)
def analysis_window(kind: Window = "povey", dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
    """The symmetric analysis window of one 400-sample frame.

    `hann` is the Hann window, `povey` the same raised to 0.85 (it does not reach zero as abruptly at its ends).
    Raises ValueError for another kind. The tensor is cached: do not write to it.
    """
    if kind not in ("povey", "hann"):
        raise ValueError(f"unknown filterbank window {kind!r}: use 'povey' or 'hann'")
    hann = torch.hann_window(FRAME, periodic=False, dtype=dtype)
    return (hann if kind == "hann" else hann.pow(0.85)).to(device)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def mel_banks(bins: int = BINS, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
    """Triangular mel filters (bins, 257): the weight of every bin of the 512-point spectrum in every filter.

    The triangles are equally wide on the scale `1127 ln(1 + f / 700)` between 20 and 8000 Hz, linear on that scale
    and of height 1. With 128 filters the fourth lies between two spectrum bins and is empty. The tensor is cached:
    do not write to it.
    """
    mel = _mel(torch.arange(FFT // 2 + 1, dtype=dtype) * (SAMPLE_RATE / FFT))
    low, high = (float(_mel(torch.tensor(edge, dtype=torch.float64))) for edge in (LOW_HZ, HIGH_HZ))
    step = (high - low) / (bins + 1)
    index = torch.arange(bins, dtype=dtype)[:, None]
    left, centre, right = (low + (index + offset) * step for offset in range(3))
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0).to(device)


def log_mel_filterbank(waveform: Tensor, window: Window = "povey", bins: int = BINS) -> Tensor:
    """Kaldi-compatible log-mel energies of 16 kHz mono waveforms.

    Frames of 400 samples every 160, none reaching past an edge; each frame loses its mean, is pre-emphasised
    (`x[t] - 0.97 x[t-1]`, the first sample being its own predecessor), windowed and turned into a 512-point power
    spectrum, which the mel filters sum. The result is the natural logarithm, floored at `ln 2**-23`. No dither.

    `waveform`: (..., samples), in whatever scale the caller's normalisation expects.
    Returns (..., `1 + (samples - 400) // 160`, bins), in float64 for a float64 waveform, else in float32, computed
    in that precision even inside autocast. Raises ValueError for fewer than 400 samples.

    Source: kaldi feat/feature-fbank, with the settings of microsoft/unilm BEATs and facebookresearch/ImageBind.
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
