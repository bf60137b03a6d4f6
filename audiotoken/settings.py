"""Settings of the methods that train one token: what can be changed with `--set`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from audiotoken.pretrained import GivenEmbedder, GivenLora
from benchmark import MethodSettings
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from typing import Self

    from audiotoken.losses import ClReduction
    from benchmark.suite import Budget


UNTRAINED = {"embedder", "lora", "official_dropout"}
"""Settings that mean something where nothing is trained."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What a training is made with; nothing is left open. `TokenSettings` says what each means."""

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    schedule: Literal["constant", "cosine"] = "constant"
    timesteps: Literal["uniform", "importance"] = "uniform"
    warmup_steps: int = 0
    max_grad_norm: float = math.inf
    micro_batch: int
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    gradient_checkpointing: bool = False
    compile: bool = False
    lambda_a: float = 0.01
    lambda_b: float = 0.0
    lambda_c: float = 0.0
    cl_reduction: ClReduction = "batch"


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

    def resolved(self, budget: Budget | None = None) -> TrainingSettings:
        """Return the settings of a training, with the suite's `budget` in the place of those that are None.

        Raises:
            UserError: Steps, batch size or learning rate are neither set nor in a budget.
        """
        merged = ({} if budget is None else budget.model_dump()) | self.model_dump(exclude_none=True)
        values = {name: merged[name] for name in TrainingSettings.__dataclass_fields__ if merged.get(name) is not None}
        if missing := [name for name in ("steps", "batch_size", "learning_rate") if name not in values]:
            raise UserError(f"not set, and no budget says it: {', '.join(missing)}: give --set {missing[0]}=...")
        return TrainingSettings(**{"micro_batch": values["batch_size"], **values})


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


class AudioTokenCLSettings(AudioTokenSettings):
    """AudioToken's settings with the classification loss on."""

    lambda_c: float = Field(0.01, ge=0)
    """Weight of the classification loss (CL)."""


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
