"""What a method is to the harness: audio -> conditioning of the suite's backbone, or audio -> pictures."""

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
    import torch
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
    """The name it is found by and that tables show."""
    summary: str
    """One sentence: what conditions the picture."""
    sees: tuple[Sight, ...]
    """What it may look at to make a test clip's picture."""
    paper: str | None = None
    """Where it is described."""
    licence: str
    """Licence of the code, and of weights that come with it."""
    training_data: str
    """What it, and the networks that it brings, were trained on."""
    weights: str | None = None
    """Networks that it brings, besides the suite's backbone."""
    notes: str | None = None
    """What else bears on its numbers."""


class MethodCard(_CardFields):
    """What a reader of the table must know of a method.

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
    """Base of a method's settings: plain values with defaults, each with a docstring.

    A value of None is the suite's training budget's, or stands for not being set: it enters no identity, so a setting
    that is added later with this default leaves older results valid.
    """

    @property
    def trains(self) -> bool:
        """Whether a fit with these settings looks at the training clips; False where it takes what is trained already.

        Such a fit gets an empty set of clips, and does not depend on which of them are there.
        """
        return True


@dataclass(frozen=True)
class RunContext:
    """What a method works with. `folder` is its own place for files that let an interrupted fit continue."""

    suite: Suite
    backbone: Backbone
    test: ClipSet
    seed: int
    folder: Path
    cache: Path
    device: str
    ui: UI
    trackers: tuple[str, ...] = ()
    """Where a training shows its losses (`benchmark.runs.tracking.TRACKERS`)."""
    samples_every: int | None = None
    """Steps of a training between pictures of the same few clips; None: it draws none."""
    data: DataSet | None = None
    """The data set of the training clips, which may stream them (`DataSet.stream`)."""


@dataclass(frozen=True)
class FitReport:
    """What fitting cost, for the record. `figures` are plain values, losses for one."""

    steps: int
    trainable_parameters: int
    figures: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    """What the reader of every record that rests on the fit should know, one line each."""


@dataclass(frozen=True)
class Conditioning:
    """What the backbone's cross-attention sees: `prompt_embeds` (B, L, D), one row a clip."""

    prompt_embeds: torch.Tensor


class Method(ABC):
    """A method that owns its generator. Made with its settings; `setup` is called before anything else.

    A method with `fits` is fitted once for each (suite, settings, seed); the result lies in `RunContext.folder` under
    names of the method's own choice and is reused by every run with the same `fit_identity`.
    """

    card: ClassVar[MethodCard]
    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    fits: ClassVar[bool] = False
    shares_fit: ClassVar[bool] = False
    """True: each of several processes calls `fit`, and they share the work (`benchmark.utils.distributed`)."""
    network: ClassVar[str | None] = None
    """The one of the suite's encoders that it uses, and that a fit of it depends on."""
    random: ClassVar[bool] = True
    """False: the pictures depend on no seed, and there is one record instead of one a seed."""
    draws: ClassVar[bool] = True
    """False: the pictures are the reference frames themselves, so distances between the two sets say nothing."""

    def __init__(self, settings: MethodSettings) -> None:
        self.settings = settings

    def fit_identity(self) -> tuple[str, dict[str, Any]]:
        """Name and settings that a fit depends on: two methods with equal ones share a fit."""
        return self.card.name, self.settings.model_dump(mode="json", exclude_none=True)

    def encoders(self) -> dict[str, str]:
        """sha256 by name of the networks that it brings; known once it is set up."""
        return {} if self.network is None else {self.network: self.run.suite.encoders[self.network]}

    def setup(self, run: RunContext) -> None:
        """Keep what is needed of `run`. Called once, before `fit` or `load`."""
        self.run = run

    def fit(self, train: ClipSet) -> FitReport:
        """Fit on `train` and write the result to `run.folder`; an interrupted fit continues where it was."""
        raise TypeError(f"method {self.card.name!r} says that it fits, but has no fit()")

    def load(self) -> None:  # noqa: B027  # nothing to load is the usual case for a method without fitting
        """Read what `fit` wrote to `run.folder`. Called before `generate` when `fits`."""

    @abstractmethod
    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """One RGB picture a clip; all randomness of picture i comes from `seeds[i]`.

        A picture depends on its own clip and seed alone, not on its neighbours in the call.
        """


class ConditioningMethod(Method):
    """The usual case: gives the suite's backbone something to attend to, and shares its sampler and noise."""

    @abstractmethod
    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Conditioning of `clips`; row i depends on clip i alone."""

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """Sample the suite's backbone with the conditioning of `clips`."""
        return self.run.backbone.sample(self.condition(clips).prompt_embeds, seeds)


def make_settings(method: type[Method], given: Mapping[str, Any]) -> MethodSettings:
    """Return a method's settings with the values in `given`: typed ones, or texts as `--set` takes them.

    Raises:
        UserError: A line for each bad key or value, with what is allowed.
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
