"""An image network as a scorer: its preprocessing, and batches in which no image depends on its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from metrics.scorers.base import ImageScorer
from metrics.scorers.batches import rows_of

if TYPE_CHECKING:
    from PIL.Image import Image


class ImageTower(ImageScorer):
    """A network of images in eval mode and single precision, which gets batches padded to `batch_size`.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        model: The network; it is put in eval mode and frozen.
        features: Map from the network and images (n, 3, height, width) to features (n, d).
        transform: Preprocessing that belongs to the weights: an image to a tensor (3, height, width).
        device: Device to run on.
    """

    batch_size = 16

    def __init__(
        self,
        name: str,
        sha256: str,
        model: nn.Module,
        features: Callable[[nn.Module, Tensor], Tensor],
        transform: Callable[[Image], Tensor],
        device: str = "cpu",
    ) -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self.model = model.to(device).eval().requires_grad_(False)
        self.features, self.transform = features, transform

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        """Return float32 features (n, d) of RGB images of any size, not normalised."""
        return self.embed_prepared([self.prepare(image) for image in images])

    def prepare(self, image: Image) -> Tensor:
        """Return an image resized, cropped and normalised: float32 (3, size, size)."""
        return self.transform(image)

    def embed_prepared(self, prepared: Sequence[Tensor]) -> np.ndarray:
        """Return the features of images of which each went through `prepare`, as `embed_images` does."""
        return rows_of(lambda images: self.features(self.model, images), prepared, self.batch_size, self.device)
