"""`imagebind`: an adapter fitted on ImageBind's embeddings of frames and applied to those of audio."""

from __future__ import annotations

from typing import ClassVar

from baselines.joint import FramesOnly
from benchmark import MethodCard

ENCODER = "imagebind"


class ImageBind(FramesOnly):
    """Adapter fitted on ImageBind's embeddings of frames and applied to those of audio."""

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
