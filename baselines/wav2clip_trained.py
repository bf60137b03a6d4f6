"""`wav2clip-trained`: AudioToken with Wav2CLIP in place of BEATs."""

from __future__ import annotations

from typing import ClassVar

from baselines.joint import Trained
from baselines.wav2clip import ENCODER, Wav2CLIP
from benchmark import MethodCard


class Wav2CLIPTrained(Trained):
    """AudioToken with Wav2CLIP's features in place of those of BEATs."""

    card: ClassVar[MethodCard] = Wav2CLIP.card.model_copy(
        update={
            "name": "wav2clip-trained",
            "summary": "AudioToken with Wav2CLIP's features over time in the place of BEATs'",
            "paper": "AudioToken, arXiv 2305.13050, with the encoder of Wav2CLIP, arXiv 2110.11499",
            "training_data": "embedder: the suite's training split (sound and frame; no labels); "
            "released Wav2CLIP: sound and frames of VGGSound",
            "weights": "the suite's Wav2CLIP encoder",
        }
    )
    network = ENCODER
