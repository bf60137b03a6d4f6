"""AudioToken as a method of the benchmark, and what it shares with other ways to one token of the text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from benchmark import parallel
from benchmark.method import Conditioning, ConditioningMethod, FitReport, MethodCard, MethodSettings, RunContext

if TYPE_CHECKING:
    from PIL.Image import Image

    from audiotoken.embedder import Embedder
    from audiotoken.features import Sense
    from audiotoken.material import Material
    from benchmark.clips import Clip, ClipSet

SAMPLES = 4
"""Training clips whose pictures are drawn while training, where that was asked for."""


class TokenSettings(MethodSettings):
    """Values left at None are the suite's training budget. The paper: learning rate 1e-5 x batch x accumulation."""

    steps: int | None = Field(None, ge=1)
    """Optimiser steps."""
    batch_size: int | None = Field(None, ge=1)
    """Clips a step."""
    learning_rate: float | None = Field(None, gt=0, le=1e6)
    """AdamW's rate, not multiplied by anything."""
    weight_decay: float = Field(0.01, ge=0)
    """AdamW's decay."""
    schedule: Literal["constant", "cosine"] | None = None
    """Course of the learning rate; constant in the paper."""
    timesteps: Literal["uniform", "importance"] | None = None
    """Draw of the noise levels: uniform as in the paper, or with less variance where the token's gradient is large."""
    warmup_steps: int | None = Field(None, ge=0)
    """Steps of linear warm-up."""
    micro_batch: int | None = Field(None, ge=1)
    """Clips that a process takes through the U-Net at once; the step's gradient is accumulated. None: all of them."""
    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """Of the text encoder and the U-Net while training: autocast (float16 with a scaled loss). None: float32."""
    gradient_checkpointing: bool | None = None
    """The U-Net's activations are computed again in the backward pass: less memory, more time."""
    compile: bool | None = None
    """The U-Net is compiled (torch.compile) for training."""
    lambda_a: float = Field(0.01, ge=0)
    """Weight of mean |e_audio|."""
    lambda_b: float = Field(0.0, ge=0)
    """Weight of the squared 2-norm of e_audio."""


class AudioTokenSettings(TokenSettings):
    """The settings of every trained token, and AudioToken's own."""

    lambda_c: float = Field(0.0, ge=0)
    """Weight of the classification loss (CL)."""
    cl_reduction: Literal["batch", "sample"] = "batch"
    """Cosine of CL averaged over the batch before it is squared, as released, or squared for each sample."""
    official_dropout: bool = False
    """Dropout of the unary potential stays on at inference, as in the released code."""


class TokenMethod(ConditioningMethod):
    """A frozen network's features of a clip -> a trained embedder -> one token in the frozen text encoder's prompt.

    A subclass names its `network`, one of the suite's encoders, and may say otherwise what is perceived of a clip.
    """

    Settings: ClassVar[type[MethodSettings]] = TokenSettings
    network: ClassVar[str]
    fits = True
    shares_fit = True
    settings: TokenSettings

    def setup(self, run: RunContext) -> None:
        from audiotoken.features import encoder_of

        super().setup(run)
        self.listener = self.listens(encoder_of(run.suite, self.network, run.device))

    def listens(self, encoder: Any) -> Sense:
        """How a test clip is perceived."""
        from audiotoken.features import Listener

        return Listener(encoder, self.run.suite, self.run.device)

    def studies(self) -> Sense:
        """How a training clip is perceived."""
        return self.listener

    def hidden_size(self) -> int | None:
        """Width of the embedder's hidden layer; None: that of its input."""
        return None

    @property
    def official_dropout(self) -> bool:
        """Whether the embedder's dropout stays on at inference."""
        return False

    @property
    def _file(self) -> Path:
        return self.run.folder / "embedder.safetensors"

    @property
    def _checkpoint(self) -> Path:
        return self.run.folder / "training.pt"

    def fit(self, train: ClipSet) -> FitReport:
        import torch

        from audiotoken.checkpoint import save_embedder
        from audiotoken.embedder import Embedder
        from audiotoken.training import train as train_embedder
        from benchmark.tracking import Watch

        run, material, settings = self.run, self.material(train), self.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            embedder = Embedder(
                material.width,
                run.backbone.token_width,
                hidden_size=self.hidden_size(),
                official_dropout=self.official_dropout,
            )
        embedder.to(run.device)
        plain = settings.model_dump(mode="json", exclude_none=True)
        with Watch(run, self.card.name, plain, partial(self.draw, embedder, train.limit(SAMPLES))) as watch:
            figures = train_embedder(
                embedder, run.backbone, material, settings, run.seed, self._checkpoint, run.ui, watch
            )  # fmt: skip
        assert settings.steps is not None
        metadata = {
            "method": self.fit_identity()[0],
            "suite": run.suite.base,
            "seed": str(run.seed),
            "steps": str(settings.steps),
        }
        if self.official_dropout:
            metadata["official_dropout"] = "true"
        if parallel.is_first():
            save_embedder(self._file, embedder, metadata)
        return FitReport(settings.steps, sum(p.numel() for p in embedder.parameters()), figures)

    def material(self, train: ClipSet) -> Material:
        """What the embedder is trained on: streamed, where the clips lie in shards and the suite says how much of each
        is heard in training; else computed once."""
        from audiotoken.features import Features, latents_of
        from audiotoken.material import Stored, Streamed
        from benchmark.datasets.vggsound import ShardClip

        run, seconds = self.run, self.run.suite.data.train_seconds
        if seconds is not None and isinstance(train[0], ShardClip):
            return Streamed(self.studies(), run.backbone, train, seconds, run.seed)
        features = Features(self.studies(), train, run.suite.encoders[self.network], run.cache, run.ui)
        return Stored(features, *latents_of(run.backbone, train, run.ui), run.seed)

    def draw(self, embedder: Embedder, clips: ClipSet) -> list[Image]:
        """Pictures of `clips` with the `embedder` as it is, for those who watch its training."""
        from benchmark.runner import image_seed

        generation = self.run.suite.generation
        training, self.embedder = embedder.training, embedder.eval()
        pictures = self.generate(
            list(clips), [image_seed(generation.seed, self.run.seed, clip.id, 0) for clip in clips]
        )
        embedder.train(training)
        return pictures

    def load(self) -> None:
        from audiotoken.checkpoint import load_embedder

        self.embedder = load_embedder(self._file, official_dropout=self.official_dropout).to(self.run.device)
        # only now: a full disk may keep the harness from noting that the fit is done, and then it is asked for again
        self._checkpoint.unlink(missing_ok=True)

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        import torch

        with torch.no_grad():
            # row by row: a matrix product of another height may round otherwise
            tokens = torch.cat([self.embedder(self.listener([clip])) for clip in clips])
            return Conditioning(self.run.backbone.inject(tokens))


class AudioToken(TokenMethod):
    """Yariv et al., Interspeech 2023, arXiv 2305.13050."""

    card: ClassVar[MethodCard] = MethodCard(
        name="audiotoken",
        summary="BEATs features, a trained embedder, one token in the frozen text encoder",
        sees=("audio",),
        paper="AudioToken, Yariv et al., Interspeech 2023, arXiv 2305.13050",
        licence="Apache-2.0; the released code and weights are MIT",
        training_data="the suite's training split (sound and frame; no labels)",
        weights="the suite's BEATs",
    )
    Settings = AudioTokenSettings
    network = "beats"
    settings: AudioTokenSettings

    @property
    def official_dropout(self) -> bool:
        return self.settings.official_dropout

    def material(self, train: ClipSet) -> Material:
        material = super().material(train)
        if self.settings.lambda_c:
            from benchmark.text import label_embedding

            table = label_embedding(self.run.backbone.tokenizer, self.run.backbone.text_encoder, train.labels)
            material.label_embeddings = table[train.classes]
            material.lambda_c, material.cl_reduction = self.settings.lambda_c, self.settings.cl_reduction
        return material


class AudioTokenCLSettings(AudioTokenSettings):
    """AudioToken's settings with the classification loss on."""

    lambda_c: float = Field(0.01, ge=0)
    """Weight of the classification loss (CL)."""


class AudioTokenCL(AudioToken):
    """AudioToken with the classification loss (paper, section 2.2)."""

    card: ClassVar[MethodCard] = AudioToken.card.model_copy(
        update={
            "name": "audiotoken-cl",
            "summary": "AudioToken whose token is drawn towards the label's word embeddings (classification loss)",
            "training_data": "the suite's training split (sound, frame and label)",
        }
    )
    Settings = AudioTokenCLSettings


class AudioTokenLoraSettings(AudioTokenSettings):
    """AudioToken's settings, and the LoRA's."""

    lora_rank: int = Field(4, ge=1)
    """Rank of the LoRA; 4 as released."""


class AudioTokenLora(AudioToken):
    """AudioToken with a LoRA of the U-Net's attention, trained with the embedder (released code, `--lora`)."""

    card: ClassVar[MethodCard] = AudioToken.card.model_copy(
        update={
            "name": "audiotoken-lora",
            "summary": "AudioToken with a LoRA of the U-Net's attention, trained with the embedder",
            "paper": "guyyariv/AudioToken, --lora (May 2023); not in the paper",
            "notes": "draws with a changed U-Net, the others with the suite's as it is",
        }
    )
    Settings: ClassVar[type[AudioTokenSettings]] = AudioTokenLoraSettings
    settings: AudioTokenLoraSettings

    def setup(self, run: RunContext) -> None:
        from audiotoken.lora import with_own_unet

        # others draw with the same backbone
        super().setup(replace(run, backbone=with_own_unet(run.backbone)))

    @property
    def _lora_file(self) -> Path:
        from audiotoken.lora import FILE

        return self.run.folder / FILE

    def fit(self, train: ClipSet) -> FitReport:
        from audiotoken.lora import add_lora, lora_layers, save_lora

        unet = self.run.backbone.unet
        add_lora(unet, self.settings.lora_rank, self.run.seed)
        report = super().fit(train)
        if parallel.is_first():
            save_lora(self._lora_file, unet)
        count = sum(down.numel() + up.numel() for down, up in lora_layers(unet).values())
        return replace(report, trainable_parameters=report.trainable_parameters + count)

    def load(self) -> None:
        from audiotoken.lora import load_lora_into

        load_lora_into(self._lora_file, self.run.backbone.unet)
        super().load()
