"""AudioToken as a method of the benchmark, and what it shares with other ways to one token of the text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from audiotoken.given import Given, GivenEmbedder, GivenLora
from benchmark import parallel
from benchmark.errors import UserError
from benchmark.method import Conditioning, ConditioningMethod, FitReport, MethodCard, MethodSettings, RunContext

if TYPE_CHECKING:
    from typing import Self

    from PIL.Image import Image

    from audiotoken.embedder import Embedder
    from audiotoken.features import Sense
    from audiotoken.material import Material
    from benchmark.clips import Clip, ClipSet

SAMPLES = 4
"""Training clips whose pictures are drawn while training, where that was asked for."""
UNTRAINED = {"embedder", "lora", "official_dropout"}
"""Settings that mean something where nothing is trained."""


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
    max_grad_norm: float | None = Field(None, gt=0, le=1e6)
    """A step's gradient whose 2-norm is larger is scaled down to this one; None, as in the paper: taken as it is."""
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
    """The settings of every trained token, and AudioToken's own.

    With `embedder` nothing is trained: settings of a training are refused beside it, and none is written down.
    """

    embedder: GivenEmbedder = None
    """Take this embedder instead of training one: a file (as released, or a fit's), a fit's folder, or `published`."""

    lambda_c: float = Field(0.0, ge=0)
    """Weight of the classification loss (CL)."""
    cl_reduction: Literal["batch", "sample"] = "batch"
    """Cosine of CL averaged over the batch before it is squared, as released, or squared for each sample."""
    official_dropout: bool = False
    """Dropout of the unary potential stays on at inference, as in the released code."""

    @property
    def trains(self) -> bool:
        return self.embedder is None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        if not self.trains and (refused := sorted(given - UNTRAINED)):
            raise UserError(
                f"with embedder nothing is trained: leave out {', '.join(refused)}, or leave out embedder to train one"
            )
        return self

    @model_serializer(mode="wrap")
    def _stated(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # of a training that did not happen, no record says anything
        stated: dict[str, Any] = write(self)
        return stated if self.trains else {name: value for name, value in stated.items() if name in UNTRAINED}


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

        self.embedder = load_embedder(self._file, official_dropout=self.official_dropout)
        self._check(self.embedder, self._file, f"delete {self.run.folder}, and the same command makes it again")
        self.embedder.to(self.run.device)
        # only now: a full disk may keep the harness from noting that the fit is done, and then it is asked for again
        self._checkpoint.unlink(missing_ok=True)

    @property
    def _heard(self) -> int:
        """Width of what the embedder gets of a test clip."""
        import numpy as np

        from benchmark.clips import Clip

        silence = Clip("silence", np.zeros(self.run.suite.samples, np.float32), None, ("none",), "test")
        return self.listener([silence]).shape[-1]

    def _check(self, embedder: Embedder, name: Path | str, advice: str) -> None:
        """Raise UserError, a line for each side on which `embedder` (from `name`) does not fit the suite's networks."""
        heard, read = self._heard, self.run.backbone.token_width
        problems = []
        if embedder.input_size != heard:
            problems.append(f"takes features of width {embedder.input_size}, the suite's {self.network} gives {heard}")
        if embedder.output_size != read:
            problems.append(f"gives tokens of width {embedder.output_size}, the suite's text encoder reads {read}")
        if problems:
            raise UserError([f"{name} {problem}: {advice}" for problem in problems])

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

    @property
    def _taken(self) -> dict[str, Given]:
        """Files that the settings name instead of a training, by what they are."""
        return {} if self.settings.embedder is None else {"embedder": self.settings.embedder}

    def encoders(self) -> dict[str, str]:
        """sha256 by name of the networks that it brings, those included that were not trained here."""
        if not self._taken:
            return super().encoders()
        from audiotoken.checkpoint import read_metadata

        names = read_metadata(self._file)
        return super().encoders() | {f"{part} ({names[part]})": file.sha256 for part, file in self._taken.items()}

    def fit(self, train: ClipSet) -> FitReport:
        return super().fit(train) if self.settings.embedder is None else self._take(self.settings.embedder)

    def _take(self, given: Given) -> FitReport:
        """The fit where the embedder is given: it is put where a trained one would be, in the same form."""
        from audiotoken.checkpoint import load_embedder, save_embedder
        from audiotoken.embedder import Embedder

        run = self.run
        embedder = given.load(load_embedder, lambda: Embedder(self._heard, run.backbone.token_width))
        self._check(embedder, f"embedder={given.path}", "take one that was trained on networks like the suite's")
        if parallel.is_first():
            metadata = {"method": self.fit_identity()[0], "suite": run.suite.base, "seed": str(run.seed), "steps": "0"}
            if self.official_dropout:
                metadata["official_dropout"] = "true"
            save_embedder(self._file, embedder, metadata | {part: file.name for part, file in self._taken.items()})
        remarks = [f"nothing was trained: {part} is {file.name}, {file.sha256}" for part, file in self._taken.items()]
        return FitReport(0, 0, remarks=tuple(remarks))

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
    lora: GivenLora = None
    """With `embedder`, take this LoRA of the U-Net: a file (released, or a fit's), a fit's folder, or `published`."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.embedder is None) != (self.lora is None):
            there, gone = ("embedder", "lora") if self.lora is None else ("lora", "embedder")
            raise UserError(f"{there} is given without {gone}: they were trained together, give both or neither")
        return self


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
    def _taken(self) -> dict[str, Given]:
        return super()._taken | ({} if self.settings.lora is None else {"lora": self.settings.lora})

    @property
    def _lora_file(self) -> Path:
        from audiotoken.lora import FILE

        return self.run.folder / FILE

    def fit(self, train: ClipSet) -> FitReport:
        from audiotoken.lora import add_lora, load_lora_into, lora_layers, save_lora

        unet, given = self.run.backbone.unet, self.settings.lora
        if given is None:
            add_lora(unet, self.settings.lora_rank, self.run.seed)
        else:
            given.load(
                lambda path: load_lora_into(path, unet), lambda: add_lora(unet, self.settings.lora_rank, self.run.seed)
            )
        report = super().fit(train)
        if parallel.is_first():
            save_lora(self._lora_file, unet)
        if given is not None:
            return report
        count = sum(down.numel() + up.numel() for down, up in lora_layers(unet).values())
        return replace(report, trainable_parameters=report.trainable_parameters + count)

    def load(self) -> None:
        from audiotoken.lora import load_lora_into

        load_lora_into(self._lora_file, self.run.backbone.unet)
        super().load()
