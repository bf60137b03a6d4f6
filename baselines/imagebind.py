"""ImageBind, which binds sound to CLIP's space of pictures, in front of the suite's backbone."""

from __future__ import annotations

from typing import ClassVar

from baselines.joint import FramesOnly, Retrieval, Trained
from benchmark.method import MethodCard

ENCODER = "imagebind"


class ImageBind(FramesOnly):
    """Fitted on ImageBind's embeddings of frames, fed with those of sounds."""

    card: ClassVar[MethodCard] = MethodCard(
        name="imagebind",
        summary="ImageBind's sound embedding through an adapter that was fitted on its embeddings of frames",
        sees=("audio",),
        paper="ImageBind, Girdhar et al., CVPR 2023, arXiv 2305.05665; row 'ImageBind' of arXiv 2305.13050, table 1",
        licence="Apache-2.0; the released weights of ImageBind are CC BY-NC-SA 4.0: not for commercial use",
        training_data="adapter: frames of the suite's training split (no sound, no label); "
        "released ImageBind: sound and frames of AudioSet, on top of CLIP's pictures and texts",
        weights="the suite's ImageBind",
        notes="The generator behind the paper's row is not known; imagebind-unclip is the likely one.",
    )
    network = ENCODER


class ImageBindRetrieval(Retrieval):
    """The nearest label's prompt."""

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


class ImageBindTrained(Trained):
    """AudioToken that hears with ImageBind."""

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
