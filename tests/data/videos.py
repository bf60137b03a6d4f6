"""Small videos made by hand: their colour tells the second, their sound the clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE, FPS = 16_000, 10
A, B, C, D = "aaaaaaaaaaa", "_b-b_b-b_-0", "ccc_0000034", "-ddddddddd_"
"""Ids of videos, as untidy as YouTube's."""


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    """(samples,) float32 at 16 kHz."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def rising(second: float) -> tuple[int, int, int]:
    """Red that grows by 20 a second, on a fixed green."""
    return round(20 + 20 * second), 90, 40


def video(
    path: Path,
    seconds: float = 1.0,
    sound: np.ndarray | None = None,
    size: tuple[int, int] = (64, 48),
    colour: Callable[[float], tuple[int, int, int]] = rising,
    frames: bool = True,
) -> Path:
    """Write an mp4 with its index in front (so that it opens even when cut off); `sound` None: no audio stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        if frames:
            pictures = container.add_stream("mpeg4", rate=FPS, options={"g": "5", "qscale": "1"})
            pictures.width, pictures.height = size
            pictures.pix_fmt = "yuv420p"
        if sound is not None:
            track = container.add_stream("aac", rate=RATE, layout="mono")
        if frames:
            for k in range(round(seconds * FPS)):
                pixels = np.full((size[1], size[0], 3), colour(k / FPS), np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = k, Fraction(1, FPS)
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode(None))
        if sound is not None:
            block = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = RATE, 0, Fraction(1, RATE)
            container.mux(track.encode(block))
            container.mux(track.encode(None))
    return path


def write_list(path: Path, rows: Iterable[tuple[str, int, str, str]]) -> Path:
    """The list as VGGSound publishes it: id, start, label, split, without a header."""
    path.write_text("".join(f'{video},{start},"{label}",{split}\n' for video, start, label, split in rows))
    return path
