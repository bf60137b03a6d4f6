"""What an encoder into a joint space of sounds, pictures and words can do in front of the suite's backbone."""

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
    """Hidden width of AudioToken's embedder on the suite, which every adapter here has too."""
    from audiotoken.features import encoder_of
    from metrics.encoders.beats import AUDIOTOKEN_LAYERS

    width: int = encoder_of(run.suite, "beats", "cpu").config.encoder_embed_dim
    return len(AUDIOTOKEN_LAYERS) * width


class FramesOnly(TokenMethod):
    """An adapter of the form of AudioToken's embedder, fitted on picture embeddings and fed with sound embeddings.

    The idea of unCLIP (Ramesh et al. 2022, arXiv 2204.06125) through a text-to-image backbone: whatever lies near a
    picture in the joint space stands for it. No sound is used in fitting.
    """

    def listens(self, encoder: Any) -> Sense:
        from baselines.embeddings import SoundEmbedding

        return SoundEmbedding(encoder, self.run.suite, self.run.device)

    def studies(self) -> Sense:
        from baselines.embeddings import FrameEmbedding

        return FrameEmbedding(self.listener.encoder, self.run.suite, self.run.device)

    def hidden_size(self) -> int:
        return audiotoken_hidden_size(self.run)


class Trained(AudioToken):
    """AudioToken with another network in the place of BEATs; the embedder keeps its hidden width."""

    def hidden_size(self) -> int:
        return audiotoken_hidden_size(self.run)


class Retrieval(ConditioningMethod):
    """The prompt, of the label list's, whose embedding is nearest (by cosine) to that of the sound; nothing is fitted.

    What is compared with the sound are the prompts that would be drawn, the suite's template around each label.
    """

    network: ClassVar[str]

    def setup(self, run: RunContext) -> None:
        from audiotoken.features import encoder_of
        from baselines.embeddings import SoundEmbedding

        super().setup(run)
        self.listener = SoundEmbedding(encoder_of(run.suite, self.network, run.device), run.suite, run.device)
        self.prompts = [run.backbone.prompt(label) for label in run.test.labels]
        self.texts: Tensor = self.listener.encoder.embed_texts(self.prompts)

    def choose(self, clips: Sequence[Clip]) -> list[str]:
        """The nearest prompt of each clip; the first of several that are equally near."""
        nearest = [(self.texts @ self.listener([clip])[0, 0]).argmax() for clip in clips]
        return [self.prompts[int(position)] for position in nearest]

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        return Conditioning(self.run.backbone.encode_prompts(self.choose(clips)))
