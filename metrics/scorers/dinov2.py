"""DINOv2 (Oquab et al. 2023, 2304.07193): features of images that no label and no text had a part in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from metrics.preprocessing import Preprocessing
from metrics.scorers.tower import ImageTower
from metrics.tensor_files import check_finite, one_line, printable

PREPROCESSING = Preprocessing(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Resolution, mean and deviation of the released preprocessor, which also cuts an eighth off the sides."""


def load_dinov2(folder: Path, sha256: str, device: str = "cpu") -> ImageTower:
    """Load DINOv2 as a scorer: the class token after the last layer norm.

    Args:
        folder: Folder of `config.json` and `model.safetensors` as `transformers` writes them; nothing is downloaded.
        sha256: Hash of weights and preprocessing.
        device: Device to run on.

    Raises:
        ValueError: The files are damaged, or not those of a DINOv2.
    """
    from safetensors import SafetensorError
    from transformers import Dinov2Model

    try:
        model, found = Dinov2Model.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype="float32", output_loading_info=True
        )
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError) as error:
        raise ValueError(f"{folder} holds no DINOv2: {one_line(error)}") from error
    if wrong := sorted({*found["missing_keys"], *found["unexpected_keys"]}):
        raise ValueError(
            f"{folder} holds no DINOv2: missing or unexpected parameters: {printable(', '.join(wrong[:3]))}"
        )
    check_finite(model.state_dict(), folder / "model.safetensors")
    return ImageTower("dinov2", sha256, model, _features, PREPROCESSING.transform(), device)


def _features(model: Any, images: Tensor) -> Tensor:
    features: Tensor = model(pixel_values=images).pooler_output
    return features
