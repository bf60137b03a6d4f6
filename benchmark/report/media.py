"""What a browser shows of a clip: its sound as FLAC, the outline and the spectrogram of it, its true frame as PNG."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
from PIL import Image

from benchmark.media.images import to_uint8

PEAKS = 240
"""Points of a sound's outline."""
BANDS, COLUMNS = 64, 240
"""Height and width of a spectrogram in pixels."""
LOWEST = 60.0
"""Frequency of a spectrogram's lowest row, in Hz."""
RANGE = 70.0
"""Decibels from the darkest to the brightest."""
QUIET, LOUD = np.array([96.0, 86.0, 232.0]), np.array([244.0, 112.0, 64.0])
"""Colours of the two ends, red, green and blue."""


def flac(wave: np.ndarray, rate: int) -> bytes:
    """Return a waveform (samples,) in [-1, 1] as the bytes of a FLAC file, 16 bits a sample."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(wave, -1.0, 1.0), rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def png(image: Image.Image | np.ndarray) -> bytes:
    """Return an image's RGB pixels as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def peaks(wave: np.ndarray) -> list[int]:
    """Return the largest magnitude in each of `PEAKS` pieces of a waveform, in percent of full scale."""
    pieces = np.array_split(np.abs(wave), PEAKS)
    return [round(100 * min(1.0, float(piece.max()))) if piece.size else 0 for piece in pieces]


def spectrogram(wave: np.ndarray, rate: int) -> bytes:
    """Return a PNG of loudness over time (left to right) and frequency (bottom to top, logarithmic).

    The quieter, the more transparent it is, so that it suits light pages and dark ones.
    """
    size = 1024
    starts = np.linspace(0, max(0, len(wave) - size), COLUMNS).astype(int)
    padded = np.pad(wave.astype(np.float32), (0, max(0, size - len(wave))))
    frames = padded[starts[:, None] + np.arange(size)] * np.hanning(size).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    frequencies = np.geomspace(LOWEST, rate / 2, BANDS + 1)
    edges = np.minimum((frequencies * size / rate).astype(int), power.shape[1] - 1)
    bands = np.stack([power[:, low : max(high, low + 1)].mean(axis=1) for low, high in pairwise(edges)])
    level = 10 * np.log10(bands + 1e-10)
    loud = np.clip(1 + (level - level.max()) / RANGE, 0.0, 1.0) if bands.any() else np.zeros_like(level)
    loud = loud[::-1, :, None]
    colour = QUIET * (1 - loud**2) + LOUD * loud**2
    pixels = np.rint(np.concatenate([colour, 255 * loud], axis=2)).astype(np.uint8)
    buffer = io.BytesIO()
    # A palette of 64 colours halves the file, and nobody sees it.
    Image.fromarray(pixels).quantize(64, method=Image.Quantize.FASTOCTREE).save(buffer, format="PNG")
    return buffer.getvalue()
