"""AudioToken as a method of the benchmark: BEATs features -> embedder -> one token of the frozen text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from benchmark.method import Conditioning, ConditioningMethod, FitReport, MethodCard, MethodSettings, RunContext

if TYPE_CHECKING:
    from benchmark.clips import Clip, ClipSet


class AudioTokenSettings(MethodSettings):
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
    lambda_a: float = Field(0.01, ge=0)
    """Weight of mean |e_audio|."""
    lambda_b: float = Field(0.0, ge=0)
    """Weight of the squared 2-norm of e_audio."""
    lambda_c: float = Field(0.0, ge=0)
    """Weight of the classification loss (CL)."""
    cl_reduction: Literal["batch", "sample"] = "batch"
    """Cosine of CL averaged over the batch before it is squared, as released, or squared for each sample."""
    official_dropout: bool = False
    """Dropout of the unary potential stays on at inference, as in the released code."""


class AudioToken(ConditioningMethod):
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
    fits = True
    settings: AudioTokenSettings

    def setup(self, run: RunContext) -> None:
        from audiotoken.features import Listener
        from benchmark.suite import ENCODERS

        super().setup(run)
        self.listener = Listener(ENCODERS.get(f"{run.suite.base}/beats")(run.suite, run.device), run.suite, run.device)

    def encoders(self) -> dict[str, str]:
        return {"beats": self.run.suite.encoders["beats"]}

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
        from audiotoken.features import Features, latents_of
        from audiotoken.training import Material
        from audiotoken.training import train as train_embedder

        run = self.run
        features = Features(self.listener, train, run.suite.encoders["beats"], run.cache, run.ui)
        mean, deviation = latents_of(run.backbone, train, run.ui)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            embedder = Embedder(
                features.width, run.backbone.token_width, official_dropout=self.settings.official_dropout
            )
        embedder.to(run.device)
        material = Material(features, mean, deviation, self._label_embeddings(train))
        figures = train_embedder(embedder, run.backbone, material, self.settings, run.seed, self._checkpoint, run.ui)
        assert self.settings.steps is not None
        metadata = {
            "method": self.fit_identity()[0],
            "suite": run.suite.base,
            "seed": str(run.seed),
            "steps": str(self.settings.steps),
        }
        save_embedder(self._file, embedder, metadata)
        return FitReport(self.settings.steps, sum(p.numel() for p in embedder.parameters()), figures)

    def _label_embeddings(self, train: ClipSet) -> Any:
        if not self.settings.lambda_c:
            return None
        from benchmark.text import label_embedding

        table = label_embedding(self.run.backbone.tokenizer, self.run.backbone.text_encoder, train.labels)
        return table[train.classes]

    def load(self) -> None:
        from audiotoken.checkpoint import load_embedder

        self.embedder = load_embedder(self._file, official_dropout=self.settings.official_dropout).to(self.run.device)
        # only now: a full disk may keep the harness from noting that the fit is done, and then it is asked for again
        self._checkpoint.unlink(missing_ok=True)

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        import torch

        with torch.no_grad():
            # row by row: a matrix product of another height may round otherwise
            tokens = torch.cat([self.embedder(self.listener([clip])) for clip in clips])
            return Conditioning(self.run.backbone.inject(tokens))


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
