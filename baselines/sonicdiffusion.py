"""`sonicdiffusion`: audio tokens that added layers of gated cross-attention in the frozen U-Net read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from audiotoken.method import TokenMethod
from audiotoken.settings import TokenSettings
from baselines.imagebind import ENCODER, ImageBind
from benchmark import Conditioning, MethodCard, RunContext

if TYPE_CHECKING:
    import torch
    from torch import nn

    from audiotoken.features import Sense
    from audiotoken.training_data import TrainingData
    from baselines.audio_projector import AudioProjector
    from benchmark import Clip, ClipSet


class SonicDiffusionSettings(TokenSettings):
    """Settings of SonicDiffusion: those of a training, without a penalty on tokens, which the method has not."""

    lambda_a: float = Field(0.0, ge=0)
    """Weight of the mean absolute value of the audio tokens."""
    tokens: int = Field(1, ge=1, le=1)
    """Nothing to choose: the projector's audio tokens are as many as the published one's."""


class SonicDiffusion(TokenMethod):
    """Embedding of the audio -> projector -> audio tokens -> gated cross-attention, beside an empty prompt.

    Source: Biner et al. 2024 (2405.00878), and BurakCanBiner/SonicDiffusion@36be618.
    """

    card: ClassVar[MethodCard] = MethodCard(
        name="sonicdiffusion",
        summary="77 audio tokens from ImageBind's embedding, read by gated cross-attention added to the frozen U-Net",
        sees=("audio",),
        paper="SonicDiffusion, Biner et al. 2024, arXiv 2405.00878; BurakCanBiner/SonicDiffusion@36be618",
        licence=ImageBind.card.licence,
        training_data="projector and gated attention: the suite's training split (sound, frame, and the label's prompt "
        "in half of the steps)",
        weights="the suite's ImageBind encoder",
        notes="Written from the public code: projector, added layers and guidance are followed exactly. Decided here: "
        "ImageBind in the place of CLAP, which no suite has (both give one embedding, of width 1,024 when released); "
        "labels' prompts as captions; the suite's budget and sampler. The script of its training is not public: the "
        "loss and the draw of captions follow an older one in the repository, and nothing is trained before. The "
        "released weights belong to CLAP. Draws with added layers in the U-Net, most others with the suite's as it is.",
    )
    Settings: ClassVar[type[TokenSettings]] = SonicDiffusionSettings
    network = ENCODER
    embedder: AudioProjector
    fit_files = ("audio_projector.safetensors", "gated_attention.safetensors")

    def setup(self, run: RunContext) -> None:
        """Load the frozen encoder, and give the backbone a U-Net of its own."""
        from audiotoken.lora import with_own_unet

        # Other methods generate with the same backbone.
        super().setup(replace(run, backbone=with_own_unet(run.backbone)))

    def listens(self, encoder: Any) -> Sense:
        """Return the embedding of the audio, of length 1."""
        from baselines.embeddings import UnitSoundEmbedding

        return UnitSoundEmbedding(encoder, self.run.suite, self.run.device)

    def _add_layers(self) -> None:
        from baselines.gated_attention import add_gated_attention

        backbone = self.run.backbone
        add_gated_attention(backbone.unet, backbone.encode_prompts([""]).shape[1])

    def untrained(self, width: int) -> nn.Module:
        """Return the projector at its start, and add the layers to the U-Net at theirs."""
        from baselines.audio_projector import AudioProjector

        self._add_layers()
        return AudioProjector(width, self.run.backbone.token_width)

    def trained(self, embedder: nn.Module) -> int:
        """Return the number of trained parameters: the projector's that have an effect, and the added layers'."""
        from baselines.gated_attention import gated_parameters

        parameters = *embedder.parameters(), *gated_parameters(self.run.backbone.unet).values()
        return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)

    def training_data(self, train: ClipSet) -> TrainingData:
        """Return the training data, with labels' prompts as captions."""
        from baselines.captioned import Captioned

        backbone = self.run.backbone
        captions = backbone.encode_prompts([backbone.prompt(label) for label in train.labels])
        return Captioned(
            super().training_data(train), backbone.encode_prompts([""]), captions, train.classes, self.run.seed
        )

    def save(self, embedder: nn.Module, metadata: dict[str, str]) -> None:
        """Write projector and added layers, each in a file with the names of the released ones."""
        import safetensors.torch

        from baselines.gated_attention import gated_parameters
        from benchmark.utils.files import save_atomic

        parts = dict(embedder.named_parameters()), gated_parameters(self.run.backbone.unet)
        for name, part in zip(self.fit_files, parts, strict=True):
            tensors = {key: value.detach().cpu().contiguous() for key, value in part.items()}
            save_atomic(self.run.folder / name, partial(safetensors.torch.save_file, tensors))

    def load(self) -> None:
        """Load projector and added layers from the run's folder.

        Raises:
            UserError: A file cannot be read, or does not fit the suite's networks.
        """
        import torch

        from baselines.audio_projector import AudioProjector, load_projector
        from baselines.gated_attention import gated_parameters, load_gated_attention

        run = self.run
        # Values at the start are replaced, and must not cost the caller's random state anything.
        with torch.random.fork_rng(devices=[]):
            projector = AudioProjector(self._heard, run.backbone.token_width)
            if not gated_parameters(run.backbone.unet):
                self._add_layers()
        load_projector(run.folder / self.fit_files[0], projector)
        load_gated_attention(run.folder / self.fit_files[1], run.backbone.unet)
        self.embedder = projector.eval().to(run.device)
        self.forget_checkpoint()

    def _conditioning(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the empty prompt with the audio tokens of embeddings (B, 1, width) behind it."""
        import torch

        empty = self.run.backbone.encode_prompts([""])
        with torch.no_grad():
            tokens = self.embedder(embeddings).unflatten(1, (-1, empty.shape[-1]))
        return torch.cat([empty.expand(len(tokens), -1, -1), tokens], dim=1)

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Return an empty prompt with each clip's audio tokens behind it.

        From then on guidance leads away from the tokens of an embedding of zeros, as in the official code.
        """
        import torch

        backbone = self.run.backbone
        silent = self._conditioning(torch.zeros(1, 1, self.embedder.audio_width, device=self.run.device))
        text = backbone.encode_prompts([self.run.suite.generation.negative_prompt])
        backbone.negative = torch.cat([text, silent[:, text.shape[1] :]], dim=1)
        if backbone.cast_for_sampling:
            return Conditioning(self._conditioning(self.listener.together(clips)))
        # Row by row: the rounding of a matrix product may depend on its height.
        return Conditioning(torch.cat([self._conditioning(self.listener([clip])) for clip in clips]))
