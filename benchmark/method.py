"""Interface of methods: from audio to conditioning of the suite's backbone, or from audio to images."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ValidationError

from benchmark.utils.errors import UserError
from benchmark.utils.models import FrozenModel

if TYPE_CHECKING:
    import numpy as np
    import torch
    from diffusers import DiffusionPipeline
    from PIL.Image import Image

    from benchmark.backbone import Backbone
    from benchmark.clips import Clip, ClipSet
    from benchmark.dataset import DataSet
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

Sight = Literal["audio", "label", "label list", "frame", "other clips", "unknown"]


class _CardFields(FrozenModel):
    """The fields of a card, checked."""

    name: str
    """Name by which it is found and that tables show."""
    summary: str
    """What conditions the image, in one sentence."""
    sees: tuple[Sight, ...]
    """What it may use to generate the image of a test clip."""
    paper: str | None = None
    """Publication that describes it."""
    licence: str
    """Licence of its code, and of weights that come with it."""
    training_data: str
    """Data that it and its networks were trained on."""
    weights: str | None = None
    """Its networks, besides the suite's backbone."""
    notes: str | None = None
    """Anything else that affects its results."""
    attack: str | None = None
    """What it exploits, if it was made to win a metric without hearing: such a row is marked and never ranked."""


class MethodCard(_CardFields):
    """Facts that a reader of the table must know about a method.

    A card with wrong values can be made, so that it does not make the other classes of a file unusable; `problems`
    says what is wrong, and the method is refused when it is asked for.
    """

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError:
            object.__setattr__(self, "__dict__", dict(values))
            object.__setattr__(self, "__pydantic_fields_set__", set(values))
            object.__setattr__(self, "__pydantic_extra__", None)
            object.__setattr__(self, "__pydantic_private__", None)

    @property
    def problems(self) -> list[str]:
        """What is wrong with the card, a line a field."""
        try:
            _CardFields.model_validate(dict(self.__dict__))
        except ValidationError as error:
            return [_card_problem(one) for one in error.errors()]
        return []


def _card_problem(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    value = "" if error["type"] == "missing" else f", not {error['input']!r}"
    return f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}{value}"


class MethodSettings(FrozenModel):
    """Base class of a method's settings: plain values with defaults, each with a docstring.

    None stands for the value of the suite's training budget, or for a setting that is not set. It enters no identity,
    so a setting that is added later with this default leaves older results valid.
    """

    @property
    def trains(self) -> bool:
        """Whether a fit with these settings uses the training clips; False if it takes trained weights.

        Without training, a fit gets an empty set of clips and does not depend on which of them are present.
        """
        return True

    def chosen(self, suite: Suite, device: str) -> dict[str, Any]:
        """Return what the device decides where the settings leave it open, by name; a fit depends on it, too.

        Args:
            suite: The protocol that the method is fitted on.
            device: Device of the fit.
        """
        return {}

    def needs(self, suite: Suite, device: str) -> tuple[str, ...]:
        """Return lines for a dry run on memory and disk space that a fit needs, and on settings that need less.

        Args:
            suite: The protocol that the method is fitted on.
            device: Device of the fit.
        """
        return ()


@dataclass(frozen=True)
class RunContext:
    """Context of a run: everything that a method works with."""

    suite: Suite
    """The protocol."""
    backbone: Backbone
    """The suite's frozen pipeline."""
    test: ClipSet
    """Clips to look at: the test clips of the run, but the training clips while the method is fitted."""
    seed: int
    """Seed of the run."""
    folder: Path
    """The method's own folder: for the result of a fit, and for files that let an interrupted fit continue."""
    cache: Path
    """Folder for results that can be recomputed."""
    device: str
    """Device to run on."""
    ui: UI
    """Progress and warnings."""
    trackers: tuple[str, ...] = ()
    """Trackers to which a training reports its losses (`benchmark.runs.tracking.TRACKERS`)."""
    samples_every: int | None = None
    """Training steps between sample images of the same few clips; None: no sample images."""
    data: DataSet | None = None
    """Data set of the training clips, which may stream them (`DataSet.stream`)."""


@dataclass(frozen=True)
class FitReport:
    """Cost and results of a fit, for the record."""

    steps: int
    """Number of optimiser steps."""
    trainable_parameters: int
    """Number of trained parameters."""
    figures: dict[str, Any] = field(default_factory=dict)
    """Further plain values, such as losses."""
    remarks: tuple[str, ...] = ()
    """Remarks for the reader of every record that is based on the fit, one line each."""


@dataclass(frozen=True)
class Conditioning:
    """Conditioning of the backbone's cross-attention."""

    prompt_embeds: torch.Tensor
    """Hidden states, (B, L, D), one row per clip."""


class Method(ABC):
    """Base class of methods that own their generator.

    A method is created with its settings, and `setup` is called before anything else. A method with `fits` is fitted
    once for each (suite, settings, seed). The method writes the result to `RunContext.folder`, in files of its own
    choice, and every run with the same `fit_identity` reuses it.

    Args:
        settings: The settings, an instance of the class's `Settings`.
    """

    card: ClassVar[MethodCard]
    """Facts for the reader of the table."""
    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    """Class of the settings."""
    fits: ClassVar[bool] = False
    """Whether the method has to be fitted before it generates."""
    fit_files: ClassVar[tuple[str, ...]] = ()
    """Names of the files in `RunContext.folder` that `load` reads; () for all that `fit` leaves there. They are checked
    before each use, and fitted again where one is gone or is not what `fit` left; the others may change."""
    shares_fit: ClassVar[bool] = False
    """Whether each of several processes calls `fit`, and they share the work (`benchmark.utils.distributed`)."""
    network: ClassVar[str | None] = None
    """Name of the suite's encoder that it uses, on which its fit depends."""
    random: ClassVar[bool] = True
    """Whether the images depend on the seed; otherwise there is one record instead of one per seed."""
    draws: ClassVar[bool] = True
    """Whether it generates images; False if they are the reference frames themselves, so that distances between the
    two sets are meaningless."""

    def __init__(self, settings: MethodSettings) -> None:
        self.settings = settings

    def fit_identity(self) -> tuple[str, dict[str, Any]]:
        """Return the name and the settings that a fit depends on; methods for which both are equal share fits."""
        return self.card.name, self.settings.model_dump(mode="json", exclude_none=True)

    def encoders(self) -> dict[str, str]:
        """Return the sha256 of each network that the method uses, by name; call it after `setup`."""
        return {} if self.network is None else {self.network: self.run.suite.encoders[self.network]}

    def setup(self, run: RunContext) -> None:
        """Receive the context of the run. Called once, before `fit` or `load`."""
        self.run = run

    def fit(self, train: ClipSet) -> FitReport:
        """Fit on the training clips, and write the result to `run.folder`.

        An interrupted fit continues where it was.

        Args:
            train: Training clips; empty if `settings.trains` is False.

        Returns:
            Cost and results of the fit.
        """
        raise TypeError(f"method {self.card.name!r} says that it fits, but has no fit()")

    def load(self) -> None:  # noqa: B027  # nothing to load is the usual case for a method without fitting
        """Read the result of `fit` from `run.folder`. Called before `generate` if the method `fits`."""

    def attention(self, clips: Sequence[Clip]) -> np.ndarray | None:
        """Return how much each moment of the clips counts for their images; call it after `load`.

        Args:
            clips: The clips.

        Returns:
            (B, T) weights, not negative, each row of sum 1; the T moments divide the suite's seconds evenly. None if
            the method has no such weights.
        """
        return None

    def to_pipeline(self) -> DiffusionPipeline | None:
        """Return the fitted method as a pipeline of diffusers, for others; call it after `load`.

        The pipeline is complete, and is called with the path of a sound file. None if the method cannot be shared so.
        """
        return None

    @abstractmethod
    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """Generate an image for each clip.

        An image depends on its own clip and seed alone, not on the other clips of the call.

        Args:
            clips: The clips.
            seeds: A seed per clip; all randomness of image i comes from `seeds[i]`.

        Returns:
            RGB images, one per clip.
        """


class ConditioningMethod(Method):
    """Base class of methods that condition the suite's backbone and share its sampler and noise: the usual case.

    Example:
        A method that is told the label::

            class LabelPrompt(ConditioningMethod):
                card = MethodCard(
                    name="label-prompt",
                    summary="The suite's prompt with the clip's label.",
                    sees=("label",),
                    licence="Apache-2.0",
                    training_data="none",
                )

                def condition(self, clips):
                    prompts = [self.run.backbone.prompt(clip.label) for clip in clips]
                    return Conditioning(self.run.backbone.encode_prompts(prompts))
    """

    @abstractmethod
    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Return the conditioning of clips; row i depends on clip i alone."""

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """Sample images from the suite's backbone with the conditioning of the clips."""
        embeds = self.condition(clips).prompt_embeds
        if getattr(self.settings, "compile", None):
            return self.run.backbone.sample(embeds, seeds, compiled=True)
        return self.run.backbone.sample(embeds, seeds)


def make_settings(method: type[Method], given: Mapping[str, Any]) -> MethodSettings:
    """Create a method's settings.

    Args:
        method: The method.
        given: Values by name: typed ones, or texts as `--set` takes them.

    Raises:
        UserError: Keys or values are wrong: a line for each, with the allowed settings.
    """
    fields = method.Settings.model_fields
    known = ", ".join(f"{name} (default {field.default!r})" for name, field in fields.items()) or "none"
    try:
        return method.Settings.model_validate({key: _plain(value) for key, value in given.items()})
    except ValidationError as error:
        problems = []
        for one in error.errors():
            name = ".".join(map(str, one["loc"]))
            text = f"setting {name}={one['input']!r} of {method.card.name!r}: {one['msg']} "
            near = difflib.get_close_matches(name, fields, n=1) if one["type"] == "extra_forbidden" else []
            hint = f"did you mean {near[0]!r}? " if near else ""
            problems.append(f"{text}({hint}settings: {known})")
        raise UserError(problems) from error


def _plain(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() in ("none", "null") else value
