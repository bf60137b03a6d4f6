"""`wav2clip-retrieval`: the prompt of the label nearest to Wav2CLIP's embedding of the audio."""

from __future__ import annotations

from typing import ClassVar

from baselines.joint import Retrieval
from baselines.wav2clip import ENCODER, Wav2CLIP
from benchmark import MethodCard


class Wav2CLIPRetrieval(Retrieval):
    """Prompt of the label nearest to Wav2CLIP's embedding of the audio."""

    card: ClassVar[MethodCard] = Wav2CLIP.card.model_copy(
        update={
            "name": "wav2clip-retrieval",
            "summary": "prompt of the label that is nearest to Wav2CLIP's sound embedding",
            "sees": ("audio", "label list"),
            "paper": "Wav2CLIP, Wu et al., ICASSP 2022, arXiv 2110.11499 (zero-shot classification)",
            "training_data": "nothing is fitted; released Wav2CLIP: sound and frames of VGGSound",
        }
    )
    network = ENCODER
