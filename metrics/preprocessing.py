"""Image preprocessing that travels with the weights it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Preprocessing:
    """Shortest side to `size` (bicubic, antialiased), centre crop, [0, 1], minus `mean`, over `std`: open_clip's."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def transform(self) -> Callable[[Image], torch.Tensor]:
        import open_clip

        made: Callable[[Image], torch.Tensor] = open_clip.image_transform(
            self.size, is_train=False, mean=self.mean, std=self.std, interpolation="bicubic", resize_mode="shortest"
        )
        return made
