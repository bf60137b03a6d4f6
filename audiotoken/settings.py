"""Settings of methods that train a token, or a few, as changed with `--set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from audiotoken.pretrained import GivenEmbedder, GivenLora
from audiotoken.training_settings import CARDS, TrainingSettings, presets
from benchmark import MethodSettings
from benchmark.utils.device import device_type
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from typing import Self

    from benchmark.suite import Budget, Suite


UNTRAINED = {"embedder", "lora", "official_dropout"}
"""Settings that apply where nothing is trained."""


LATENT_BYTES = 4 * 2 * 2
"""Bytes of the mean and the standard deviation of a latent's four channels in half precision."""


class TokenSettings(MethodSettings):
    """Settings of a trained token. Values of None are taken from the suite's training budget.

    The paper's learning rate is 1e-5 x batch size x accumulation steps.
    """

    steps: int | None = Field(None, ge=1)
    """Number of optimiser steps."""
    batch_size: int | None = Field(None, ge=1)
    """Clips per step."""
    learning_rate: float | None = Field(None, gt=0, le=1e6)
    """Learning rate of AdamW, not multiplied by anything."""
    weight_decay: float = Field(0.01, ge=0)
    """Weight decay of AdamW."""
    schedule: Literal["constant", "cosine"] | None = None
    """Schedule of the learning rate; constant in the paper."""
    timesteps: Literal["uniform", "importance"] | None = None
    """Draw of the noise levels: uniform as in the paper, or with less variance where the token's gradient is large."""
    warmup_steps: int | None = Field(None, ge=0)
    """Steps of linear warm-up."""
    max_grad_norm: float | None = Field(None, gt=0, le=1e6)
    """Largest 2-norm of a step's gradient; larger ones are scaled down to it. None does not clip, as in the paper."""
    micro_batch: int | None = Field(None, ge=1)
    """Clips per process and pass of a frozen network, on which memory depends: a number, or 12GB, 16GB or 24GB for what
    fits such a card with Stable Diffusion 1. A step's gradient is accumulated over passes. None takes all at once."""
    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """Precision of the frozen networks in training (float16 with a scaled loss). None is float32; on CUDA, for a suite
    that samples in half precision, it is bfloat16 where the card has it, else float16. TF32 is never used."""
    gradient_checkpointing: bool | None = None
    """Recompute the U-Net's activations in the backward pass: less memory, more time."""
    compile: bool | None = None
    """Compile the U-Net (torch.compile) for training, and on CUDA for sampling where that is in half precision. Whether
    it pays depends on the card: `python -m benchmark.studies.gpu` measures it."""
    lambda_a: float = Field(0.01, ge=0)
    """Weight of mean |e_audio|."""
    lambda_b: float = Field(0.0, ge=0)
    """Weight of the squared 2-norm of e_audio."""
    tokens: int = Field(1, ge=1)
    """Number of tokens, which take as many consecutive places in the prompt; 1 in the paper."""

    @model_serializer(mode="wrap")
    def _stated(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # One token is the method itself: what was made before there could be several keeps its identity.
        stated: dict[str, Any] = write(self)
        return {name: value for name, value in stated.items() if name != "tokens" or value != 1}

    @field_validator("micro_batch", mode="before")
    @classmethod
    def _of_a_card(cls, given: Any) -> Any:
        return CARDS.get(given, given) if isinstance(given, str) else given

    def chosen(self, suite: Suite, device: str) -> dict[str, Any]:
        """Return the precision where the device decides it, and how CUDA devices hold frozen networks in it."""
        if not self.trains or device_type(device) != "cuda":
            return {}
        from benchmark.utils.precision import fast_precision

        named = self.precision or suite.budget.precision
        open_ = named is None and suite.backbone.dtype != "float32"
        precision = fast_precision(device) if open_ else named
        return {"precision": precision, "frozen": "cast"} if precision not in (None, "float32") else {}

    def needs(self, suite: Suite, device: str) -> tuple[str, ...]:
        """Return lines on the memory of a training on a suite with Stable Diffusion 1, and on disk space."""
        if not self.trains or suite.backbone.dtype == "float32":
            return ()
        named = self.chosen(suite, device).get("precision", suite.backbone.dtype)
        kept = suite.data.train * (suite.backbone.resolution // 8) ** 2 * LATENT_BYTES
        return (
            presets(self.resolved(suite.budget, named)),
            f"on CUDA, latents of the training frames are kept in the cache ({kept / 1e9:.1f} GB) where twice that is "
            "free: then the autoencoder's part of a step falls away after the first epoch",
        )

    def resolved(self, budget: Budget | None = None, precision: str | None = None) -> TrainingSettings:
        """Return the training settings, with values of None replaced by those of the suite's `budget`.

        Args:
            budget: The suite's training budget.
            precision: Precision where neither the settings nor the budget name one.

        Raises:
            UserError: Steps, batch size or learning rate are neither set nor in the budget.
        """
        merged: dict[str, Any] = {} if precision is None else {"precision": precision}
        merged |= {} if budget is None else budget.model_dump(exclude_none=True)
        merged |= self.model_dump(exclude_none=True)
        values = {name: merged[name] for name in TrainingSettings.__dataclass_fields__ if merged.get(name) is not None}
        if missing := [name for name in ("steps", "batch_size", "learning_rate") if name not in values]:
            raise UserError(f"neither set nor in a budget: {', '.join(missing)}: give --set {missing[0]}=...")
        return TrainingSettings(**{"micro_batch": values["batch_size"], **values})


class AudioTokenSettings(TokenSettings):
    """Settings of AudioToken: those of every trained token, and its own.

    With `embedder` nothing is trained: training settings are refused beside it, and none is stored.
    """

    embedder: GivenEmbedder = None
    """Use this embedder instead of training one: a file (released, or a fit's), a fit's folder, or `published`."""

    lambda_c: float = Field(0.0, ge=0)
    """Weight of the classification loss (CL)."""
    cl_reduction: Literal["batch", "sample"] = "batch"
    """Reduction of CL: "batch" (as released) squares the mean cosine distance, "sample" averages the squared ones."""
    official_dropout: bool = False
    """Keep the dropout of the unary potential on at inference, as in the released code."""

    @property
    def trains(self) -> bool:
        """Whether an embedder is trained, rather than given."""
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
        # A record must not list training settings where nothing was trained.
        stated = super()._stated(write)
        return stated if self.trains else {name: value for name, value in stated.items() if name in UNTRAINED}


class AudioTokenCLSettings(AudioTokenSettings):
    """Settings of AudioToken with the classification loss on."""

    lambda_c: float = Field(0.01, ge=0)
    """Weight of the classification loss (CL)."""


class AudioTokenLoraSettings(AudioTokenSettings):
    """Settings of AudioToken and of the LoRA."""

    lora_rank: int = Field(4, ge=1)
    """Rank of the LoRA; 4 as released."""
    lora: GivenLora = None
    """With `embedder`, use this LoRA of the U-Net: a file (released, or a fit's), a fit's folder, or `published`."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.embedder is None) != (self.lora is None):
            there, gone = ("embedder", "lora") if self.lora is None else ("lora", "embedder")
            raise UserError(f"{there} is given without {gone}: they were trained together, give both or neither")
        return self
