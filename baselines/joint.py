"""Bases of methods that use an encoder into a joint space of audio, images and texts with the suite's backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from audiotoken.method import AudioToken, TokenMethod
from benchmark import Conditioning, ConditioningMethod, RunContext

if TYPE_CHECKING:
    from torch import Tensor

    from audiotoken.features import Sense
    from benchmark import Clip


def audiotoken_hidden_size(run: RunContext) -> int:
    """Return the hidden width of AudioToken's embedder on the suite, which all adapters here share."""
    from audiotoken.features import encoder_of
    from metrics.encoders.beats import AUDIOTOKEN_LAYERS

    width: int = encoder_of(run.suite, "beats", "cpu").config.encoder_embed_dim
    return len(AUDIOTOKEN_LAYERS) * width


class FramesOnly(TokenMethod):
    """Adapter like AudioToken's embedder, fitted on embeddings of frames and applied to embeddings of audio.

    This is the idea of unCLIP (Ramesh et al. 2022, arXiv 2204.06125) with a text-to-image backbone: anything near an
    image in the joint space may stand for it. No audio is used in fitting.
    """

    def listens(self, encoder: Any) -> Sense:
        """Return the embedding of the audio, by which test clips are encoded."""
        from baselines.embeddings import SoundEmbedding

        return SoundEmbedding(encoder, self.run.suite, self.run.device)

    def studies(self) -> Sense:
        """Return the embedding of the frame, by which training clips are encoded."""
        from baselines.embeddings import FrameEmbedding

        return FrameEmbedding(self.listener.encoder, self.run.suite, self.run.device)

    def hidden_size(self) -> int:
        """Return the hidden width of AudioToken's embedder."""
        return audiotoken_hidden_size(self.run)


class Trained(AudioToken):
    """AudioToken with another network in place of BEATs; the embedder keeps its hidden width."""

    def hidden_size(self) -> int:
        """Return the hidden width of AudioToken's embedder."""
        return audiotoken_hidden_size(self.run)


class Retrieval(ConditioningMethod):
    """Prompt of the label whose embedding is nearest (by cosine) to that of the audio, without fitting.

    Audio is compared with the prompts that images are generated from: the suite's template around each label.
    """

    network: ClassVar[str]

    def setup(self, run: RunContext) -> None:
        """Load the encoder, and embed the prompts of all labels."""
        from audiotoken.features import encoder_of
        from baselines.embeddings import SoundEmbedding

        super().setup(run)
        self.listener = SoundEmbedding(encoder_of(run.suite, self.network, run.device), run.suite, run.device)
        self.prompts = [run.backbone.prompt(label) for label in run.test.labels]
        self.texts: Tensor = self.listener.encoder.embed_texts(self.prompts)

    def choose(self, clips: Sequence[Clip]) -> list[str]:
        """Return the nearest prompt of each clip; the first of several that are equally near."""
        nearest = [(self.texts @ self.listener([clip])[0, 0]).argmax() for clip in clips]
        return [self.prompts[int(position)] for position in nearest]

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Return the conditioning of each clip's nearest prompt."""
        return Conditioning(self.run.backbone.encode_prompts(self.choose(clips)))
