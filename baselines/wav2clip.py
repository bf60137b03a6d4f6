"""Wav2CLIP, distilled from CLIP's pictures into sound, in front of the suite's backbone."""

from __future__ import annotations

from typing import ClassVar

from baselines.joint import FramesOnly, Retrieval, Trained
from benchmark.method import MethodCard

ENCODER = "wav2clip-encoder"


class Wav2CLIP(FramesOnly):
    """Fitted on CLIP's embeddings of frames, fed with Wav2CLIP's of sounds."""

    card: ClassVar[MethodCard] = MethodCard(
        name="wav2clip",
        summary="Wav2CLIP's sound embedding through an adapter that was fitted on CLIP's embeddings of frames",
        sees=("audio",),
        paper="Wav2CLIP, Wu et al., ICASSP 2022, arXiv 2110.11499; row 'Wav2Clip' of arXiv 2305.13050, table 1",
        licence="Apache-2.0; the released weights of Wav2CLIP and CLIP are MIT",
        training_data="adapter: frames of the suite's training split (no sound, no label); "
        "released Wav2CLIP: sound and frames of VGGSound",
        weights="the suite's Wav2CLIP encoder and the CLIP that it was distilled from",
        notes="The generator behind the paper's row is not known. Where a suite has the released weights, AIS is "
        "computed with the network that this method hears with; mini has two trainings of it.",
    )
    network = ENCODER


class Wav2CLIPRetrieval(Retrieval):
    """The nearest label's prompt."""

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


class Wav2CLIPTrained(Trained):
    """AudioToken that hears with Wav2CLIP."""

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
