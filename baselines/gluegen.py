"""`gluegen`: embedding of the audio, translated to the hidden states of a prompt."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from audiotoken.method import SAMPLES
from audiotoken.settings import TokenSettings
from baselines.imagebind import ENCODER, ImageBind
from benchmark import Conditioning, ConditioningMethod, FitReport, MethodCard, MethodSettings, RunContext
from benchmark.utils import distributed
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from baselines.translator import Translator
    from benchmark import Clip, ClipSet


class GlueGenSettings(MethodSettings):
    """Settings of the training. Values of None are taken from the suite's training budget."""

    steps: int | None = Field(None, ge=1)
    """Number of optimiser steps."""
    batch_size: int | None = Field(None, ge=2)
    """Clips per step."""
    learning_rate: float | None = Field(None, gt=0, le=1e6)
    """Learning rate of AdamW."""
    weight_decay: float = Field(0.01, ge=0)
    """Weight decay of AdamW."""
    schedule: Literal["constant", "cosine"] | None = None
    """Schedule of the learning rate."""
    warmup_steps: int | None = Field(None, ge=0)
    """Steps of linear warm-up."""
    max_grad_norm: float | None = Field(None, gt=0, le=1e6)
    """Largest 2-norm of a step's gradient; larger ones are scaled down to it. None does not clip."""


class GlueGen(ConditioningMethod):
    """Embedding of the audio -> translator -> hidden states of a whole prompt, which the frozen U-Net reads.

    Source: Qin et al. 2023 (2303.10056), and salesforce/GlueGen@4159352.
    """

    card: ClassVar[MethodCard] = MethodCard(
        name="gluegen",
        summary="ImageBind's embedding of the audio, translated to the text encoder's states of the label's prompt",
        sees=("audio",),
        paper="GlueGen, Qin et al., ICCV 2023, arXiv 2303.10056; salesforce/GlueGen@4159352",
        licence=ImageBind.card.licence,
        training_data="translator: sounds and labels of the suite's training split (no frames)",
        weights="the suite's ImageBind encoder",
        notes="Written from the public code: translators, discriminator, the three losses and their weights are "
        "followed exactly. Decided here: ImageBind in the place of AudioCLIP, which no suite has (both give one "
        "embedding of length 1, of width 1,024 when released); the suite's prompt with the label as the only text of a "
        "clip, where the official code has synonyms and six templates for UrbanSound8K; typical lengths of hidden "
        "states, measured on the training clips' prompts, where it has 77 constants; the suite's budget. The released "
        "weights belong to AudioCLIP. It learns which prompt a sound's label has, and can tell no more than the class.",
    )
    Settings: ClassVar[type[MethodSettings]] = GlueGenSettings
    settings: GlueGenSettings
    fits = True
    fit_files = ("translator.safetensors", "text_norm.safetensors")
    shares_fit = True
    network = ENCODER

    def setup(self, run: RunContext) -> None:
        """Load the frozen encoder.

        Raises:
            UserError: The suite lacks it, or its embeddings cannot be cut into tokens.
        """
        import numpy as np

        from audiotoken.features import encoder_of
        from baselines.alignment import AUDIO_TOKENS
        from baselines.embeddings import UnitSoundEmbedding
        from benchmark import Clip

        super().setup(run)
        self.listener = UnitSoundEmbedding(encoder_of(run.suite, ENCODER, run.device), run.suite, run.device)
        silence = Clip("silence", np.zeros(run.suite.samples, np.float32), None, ("none",), "test")
        self.audio_width: int = self.listener([silence]).shape[-1]
        if self.audio_width % AUDIO_TOKENS:
            raise UserError(
                f"embeddings of width {self.audio_width} cannot be cut into {AUDIO_TOKENS} tokens: "
                "choose a suite whose ImageBind has a multiple of it"
            )

    @property
    def _text(self) -> tuple[int, int]:
        """Length and width of an encoded prompt."""
        length, width = self.run.backbone.encode_prompts([""]).shape[1:]
        return length, width

    @property
    def _checkpoint(self) -> Path:
        return self.run.folder / "training.pt"

    def fit(self, train: ClipSet) -> FitReport:
        """Train the translator on `train` and write it to the run's folder."""
        import torch

        from audiotoken.features import Features
        from baselines.alignment import Networks, Pairs, align
        from benchmark.runs.tracking import Watch

        run, backbone = self.run, self.run.backbone
        plain = self.settings.model_dump(mode="json", exclude_none=True)
        settings = TokenSettings(**plain).resolved(run.suite.budget)
        features = Features(self.listener, train, run.suite.encoders[ENCODER], run.cache, run.ui)
        texts = backbone.encode_prompts([backbone.prompt(label) for label in train.labels])
        pairs = Pairs(features, texts, train.classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            networks = Networks(self.audio_width, self._text)
        networks.to(run.device)
        draw = partial(self.draw, networks.translator, pairs.norm, train.limit(SAMPLES))
        with Watch(run, self.card.name, plain, draw) as watch:
            figures = align(networks, pairs, settings, run.seed, self._checkpoint, run.ui, watch)
        if distributed.is_first():
            self._save(self.fit_files[0], networks.translator.state_dict())
            self._save(self.fit_files[1], {"norm": pairs.norm})
        return FitReport(settings.steps, sum(one.numel() for one in networks.parameters()), figures)

    def _save(self, name: str, tensors: dict[str, Tensor]) -> None:
        import safetensors.torch

        from benchmark.utils.files import save_atomic

        there = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        save_atomic(self.run.folder / name, partial(safetensors.torch.save_file, there))

    def draw(self, translator: Translator, norm: Tensor, clips: ClipSet) -> list[Image]:
        """Generate images of `clips` with the current `translator`, to be logged during training."""
        from benchmark.runs.seeds import image_seed

        self.translator, self.norm = translator, norm
        seed = self.run.suite.generation.seed
        return self.generate(list(clips), [image_seed(seed, self.run.seed, clip.id, 0) for clip in clips])

    def load(self) -> None:
        """Load the translator from the run's folder.

        Raises:
            UserError: A file cannot be read, or does not fit the suite's networks.
        """
        import torch

        from baselines.alignment import new_translator
        from baselines.files import load_exactly

        # Values at the start are replaced, and must not cost the caller's random state anything.
        with torch.random.fork_rng(devices=[]):
            translator = new_translator(self.audio_width, self._text)
        load_exactly(self.run.folder / self.fit_files[0], translator.state_dict())
        norm = torch.empty(self._text[0], 1)
        load_exactly(self.run.folder / self.fit_files[1], {"norm": norm})
        self.translator, self.norm = translator.eval().to(self.run.device), norm.to(self.run.device)
        # Not at the end of `fit`, which may have to be repeated; the fit may be a colleague's, whose folder is theirs.
        with contextlib.suppress(OSError):
            self._checkpoint.unlink()

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Return the translation of each clip's embedding, in the place of an encoded prompt."""
        import torch

        from baselines.alignment import audio_tokens

        with torch.no_grad():
            # Row by row: the rounding of a matrix product may depend on its height.
            rows = [self.translator(audio_tokens(self.listener([clip]))) * (self.norm / 2) for clip in clips]
        return Conditioning(torch.cat(rows))
