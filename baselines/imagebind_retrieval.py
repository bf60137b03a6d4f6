"""`imagebind-retrieval`: the prompt of the label nearest to ImageBind's embedding of the audio."""

from __future__ import annotations

from typing import ClassVar

from baselines.imagebind import ENCODER, ImageBind
from baselines.joint import Retrieval
from benchmark import MethodCard


class ImageBindRetrieval(Retrieval):
    """Prompt of the label nearest to ImageBind's embedding of the audio."""

    card: ClassVar[MethodCard] = ImageBind.card.model_copy(
        update={
            "name": "imagebind-retrieval",
            "summary": "prompt of the label that is nearest to ImageBind's sound embedding",
            "sees": ("audio", "label list"),
            "paper": "ImageBind, Girdhar et al., CVPR 2023, arXiv 2305.05665 (emergent zero-shot classification)",
            "training_data": "nothing is fitted; released ImageBind: sound and frames of AudioSet, "
            "on top of CLIP's pictures and texts",
            "notes": None,
        }
    )
    network = ENCODER
