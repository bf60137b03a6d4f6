"""Inception-v3 for FID: torch-fidelity's network and weights, never another's."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from metrics.scorers.base import ImageScorer
from metrics.scorers.batches import rows_of, together
from metrics.tensor_files import check_finite, one_line, read_tensors

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""File of torch-fidelity's release v0.2.0; other ports of Inception-v3 give other distances."""

TOGETHER = 32
"""Images of a batch on a CUDA device, where launching the network's layers takes longer than a single image."""


def details(device: str) -> dict[str, Any]:
    """Return the settings that features depend on besides images and weights; a record has them beside the values."""
    return {
        "extractor": "torch-fidelity inception-v3-compat, layer 2048",
        "resize": "bilinear as in TensorFlow 1 (no antialiasing), to 299 x 299 whatever the aspect ratio",
        "batch_size": together(device, TOGETHER),
        "precision": "float32",
    }


class InceptionScorer(ImageScorer):
    """The 2048 features of torch-fidelity's Inception-v3, which resizes uint8 images itself (bilinear, 299 px).

    Images are embedded in single precision, one at a time on a CPU, and on a CUDA device in batches of images of equal
    size (`metrics.scorers.batches`): they may differ in size, and none depends on its neighbours.

    Args:
        weights: torch-fidelity's file.
        sha256: Hash of weights and preprocessing.
        device: Device to run on.

    Raises:
        ValueError: The file is damaged, or its parameters are not those of this network; the message lists them.
    """

    def __init__(self, weights: Path, sha256: str, device: str = "cpu") -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.name, self.sha256, self.device = "inception", sha256, device
        try:
            self.model = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=_tensors_only(weights)
            )
        except (RuntimeError, EOFError, AttributeError) as error:
            raise ValueError(f"{weights} is not torch-fidelity's Inception-v3: {one_line(error)}") from error
        self.model.to(device).eval()
        self.batch_size = together(device, TOGETHER)

    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        """Return float32 features (n, 2048) of RGB images of any size."""
        return self.embed_prepared([self.prepare(image) for image in images])

    def prepare(self, image: Image) -> torch.Tensor:
        """Return the pixels of an image: uint8 (3, height, width)."""
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)

    def embed_prepared(self, prepared: Sequence[torch.Tensor]) -> np.ndarray:
        """Return the features of images of which each went through `prepare`, as `embed_images` does."""
        return rows_of(lambda pixels: self.model(pixels)[0], prepared, self.batch_size, self.device)


def _tensors_only(path: Path) -> io.BytesIO:
    """Return the tensors of a PyTorch file as a new file: torch-fidelity unpickles whatever a file holds."""
    state = read_tensors(path, "torch-fidelity's Inception-v3")
    if isinstance(state, dict):
        check_finite(state, path)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return buffer
