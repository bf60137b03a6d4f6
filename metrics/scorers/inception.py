"""Inception-v3 for FID: torch-fidelity's network and weights, never another's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from metrics.scorers.base import ImageScorer

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""The file of torch-fidelity's release v0.2.0; other ports of Inception-v3 give other distances."""


def find_weights() -> Path | None:
    """Where torch-fidelity keeps its Inception-v3 weights on this machine, or None if they are not there."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    return path if path.is_file() else None


class InceptionScorer(ImageScorer):
    """The 2048 features of torch-fidelity's Inception-v3, which resizes uint8 pictures itself (bilinear, 299 px)."""

    batch_size = 32

    def __init__(self, weights: Path, sha256: str, device: str = "cpu") -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.name, self.sha256, self.device = "inception", sha256, device
        self.model = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )
        self.model.to(device).eval()

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image]) -> np.ndarray:
        rows = []
        for image in images:  # pictures may differ in size
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None]
            rows.append(self.model(pixels.to(self.device))[0].float().cpu())
        return torch.cat(rows).numpy()
