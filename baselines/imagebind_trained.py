"""`imagebind-trained`: AudioToken with ImageBind in place of BEATs."""

from __future__ import annotations

from typing import ClassVar

from baselines.imagebind import ENCODER, ImageBind
from baselines.joint import Trained
from benchmark import MethodCard


class ImageBindTrained(Trained):
    """AudioToken with ImageBind's features in place of those of BEATs."""

    card: ClassVar[MethodCard] = ImageBind.card.model_copy(
        update={
            "name": "imagebind-trained",
            "summary": "AudioToken with the features over time of ImageBind's audio tower in the place of BEATs'",
            "paper": "AudioToken, arXiv 2305.13050, with the encoder of ImageBind, arXiv 2305.05665",
            "training_data": "embedder: the suite's training split (sound and frame; no labels); "
            "released ImageBind: sound and frames of AudioSet, on top of CLIP's pictures and texts",
            "notes": None,
        }
    )
    network = ENCODER
