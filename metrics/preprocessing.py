"""Preprocessing that belongs to a network's weights: pixels of images, rates of sounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclass(frozen=True)
class Preprocessing:
    """open_clip's preprocessing: resize (bicubic, antialiased), centre crop, scale to [0, 1] and normalise.

    Args:
        size: Length of the image's shortest side after resizing, and side of the crop, in pixels.
        mean: Mean of each RGB channel, subtracted.
        std: Standard deviation of each RGB channel, divided by.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def transform(self) -> Callable[[Image], torch.Tensor]:
        """Return the transform from a PIL image to a tensor (3, size, size)."""
        import open_clip

        made: Callable[[Image], torch.Tensor] = open_clip.image_transform(
            self.size, is_train=False, mean=self.mean, std=self.std, interpolation="bicubic", resize_mode="shortest"
        )
        return made

    def crop(self, image: Image) -> np.ndarray:
        """Return an RGB image resized and cropped as `transform` does, in uint8 (size, size, 3).

        It needs no torch, so that processes which decode can do it, and is a quarter of what `transform` returns.
        """
        from PIL import Image as Pillow

        short = min(image.size)
        width, height = (int(self.size * side / short) for side in image.size)
        if image.size != (width, height):
            image = image.resize((width, height), Pillow.Resampling.BICUBIC)
        left, top = (round((side - self.size) / 2) for side in image.size)
        return np.array(image.crop((left, top, left + self.size, top + self.size)))

    def normalise(self, crop: np.ndarray) -> torch.Tensor:
        """Return what `transform` returns for the image of which `crop` is the crop: float32 (3, size, size)."""
        import torch

        scaled = torch.from_numpy(crop).permute(2, 0, 1).contiguous().float().div(255)
        mean, std = (torch.tensor(row, dtype=torch.float32)[:, None, None] for row in (self.mean, self.std))
        return scaled.sub_(mean).div_(std)


def at_rate(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Return a mono waveform at another sampling rate, as float32.

    A polyphase filter (`scipy.signal.resample_poly`) keeps all that lies below both Nyquist frequencies; what was never
    recorded above the old one stays silent.

    Args:
        wave: (n,) samples.
        rate: Their rate, in Hz.
        wanted: The rate to return, in Hz.
    """
    from math import gcd

    from scipy.signal import resample_poly

    shared = gcd(rate, wanted)
    found = wave if rate == wanted else resample_poly(wave, wanted // shared, rate // shared)
    return np.ascontiguousarray(found, dtype=np.float32)
