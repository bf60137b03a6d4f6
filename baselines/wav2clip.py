"""`wav2clip`: an adapter fitted on CLIP's embeddings of frames and applied to Wav2CLIP's embeddings of audio."""

from __future__ import annotations

from typing import ClassVar

from baselines.joint import FramesOnly
from benchmark import MethodCard

ENCODER = "wav2clip-encoder"


class Wav2CLIP(FramesOnly):
    """Adapter fitted on CLIP's embeddings of frames and applied to Wav2CLIP's embeddings of audio."""

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
