"""Suites: everything that a number depends on, frozen and versioned, as data (`suites/*.toml`)."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from benchmark.media.audio import fit_length
from benchmark.utils.env import PACKAGE
from benchmark.utils.errors import UserError, unknown
from benchmark.utils.files import digest
from benchmark.utils.models import FrozenModel
from benchmark.utils.toml import read_toml, validated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from benchmark.clips import Clip

FOLDER = PACKAGE / "suites"


class Data(FrozenModel):
    """Which clips."""

    source: str
    """Name of the data set."""
    revision: str
    """Which edition of it: clips of equal ids are equal clips."""
    train: int
    """Clips of the training split."""
    validation: int
    """Clips of the validation split."""
    test: int
    """Clips that are scored."""
    rate: int
    """Samples a second."""
    seconds: float
    """Length of the sound that methods and scorers get."""
    length: Literal["repeat", "pad"]
    """How a shorter sound is brought to that length; a longer one is cut."""
    manifest: str | None = None
    """Identity of a user's manifest: its rows and its files' hashes."""
    labels: Literal["vggsound", "vggsounder"] | None = None
    """Whose annotation gives the labels, where a data set has several."""
    train_seconds: float | None = None
    """Length of the window that training hears, at a random start; None for the sound as everybody gets it."""
    train_frame: Literal["middle", "clip-best"] | None = None
    """Which frame of a training video is its picture: the middle one, or that which CLIP finds nearest to the label."""
    test_frame: Literal["middle", "clip-best"] | None = None
    """The same for the true frames that generated pictures are compared with."""
    test_clips: str | None = None
    """Identity of the test clips that are there (of their ids), where those are not all."""
    train_clips: str | None = None
    """The same of the training clips, in the suite that a method is fitted on: it changes the fit, not the board."""


class BackboneSpec(FrozenModel):
    """Which frozen text-to-image pipeline."""

    source: str
    """Name of the backbone."""
    resolution: int
    """Width and height of a picture in pixels."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Precision of sampling."""
    resize: str
    """Rule by which frames become `resolution` x `resolution` (`benchmark.media.images.RESIZE_MODES`)."""


class Generation(FrozenModel):
    """How a picture is sampled."""

    scheduler: str | None = None
    """Class of diffusers that samples, with the configuration that came with the backbone; None for the backbone's."""
    steps: int
    """Sampling steps."""
    guidance: float
    """Scale of classifier-free guidance."""
    negative_prompt: str
    """Prompt of the unconditional branch."""
    prompt: str
    """Template; {} is the label or the audio token's placeholder."""
    images_per_clip: int = 1
    """Pictures of each clip."""
    seed: int
    """The suite's part of every picture's seed."""
    batch_size: int
    """Clips that are sampled together."""


class Roles(FrozenModel):
    """Which scorer fills which role of the metrics (`metrics.compute.MetricInputs`)."""

    image_audio_space: str
    audio: str
    image: str
    audio_label: str | None = None
    features: tuple[str, ...] = ()


class Budget(FrozenModel):
    """What fitting may spend unless a method's settings say otherwise: equal for all methods."""

    steps: int
    """Optimiser steps."""
    batch_size: int
    """Clips a step."""
    learning_rate: float
    """Rate of the optimiser, not multiplied by anything."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Course of the rate over the steps."""
    warmup_steps: int = 0
    """Steps over which the rate rises from zero first."""
    max_grad_norm: float | None = None
    """2-norm to which a step's longer gradient is scaled down; None: it is taken as it is."""
    timesteps: Literal["uniform", "importance"] = "uniform"
    """Draw of the noise levels that a denoising loss is taken at."""
    micro_batch: int | None = None
    """Clips that go through the backbone at once while training; gradients are accumulated. None: all of a step's."""
    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """Of the backbone while training; None: float32."""
    gradient_checkpointing: bool | None = None
    """Whether the backbone's activations are computed again in the backward pass, which saves memory."""


class Suite(FrozenModel):
    """A frozen protocol."""

    name: str
    """Name; a manifest's is `<suite>+<file stem>`, that of incomplete test clips `<suite>+<clips>of<all clips>`."""
    version: int
    """Raised by anything that changes the fingerprint."""
    title: str
    """One line."""
    headline: tuple[str, ...]
    """Metrics of the table."""
    metrics: tuple[str, ...]
    """Metrics of a record."""
    data: Data
    backbone: BackboneSpec
    generation: Generation
    scorers: Roles
    weights: dict[str, str]
    """sha256 of each file of the protocol's networks."""
    encoders: dict[str, str] = {}
    """sha256 of each file of the audio encoders that methods bring; outside the fingerprint."""
    budget: Budget
    """Outside the fingerprint: what a method used stands among its settings."""
    published: dict[str, str] | None = None
    """Set by `benchmark.weights.locate.resolve`: `weights` as the suite's file names them, where that is by an address
    and `weights` holds the hash of what lies on this machine. The fingerprint takes these, so that it is the same
    everywhere."""

    def fingerprint(self) -> str:
        """sha256 of the resolved protocol: name, version, data, backbone, generation, scorers, weights.

        A field that is None is left out, so that a field added later changes no suite that does without it.
        """
        outside = {"title", "headline", "metrics", "encoders", "budget"}
        protocol = self.model_dump(mode="json", exclude=outside, exclude_none=True)
        if self.published is not None:
            protocol["weights"] = protocol.pop("published")
        return digest(protocol)

    @property
    def base(self) -> str:
        """Name of the suite whose backbone and scorers these are."""
        return self.name.partition("+")[0]

    @cached_property
    def samples(self) -> int:
        """Samples of a sound."""
        return round(self.data.rate * self.data.seconds)

    def sound(self, clip: Clip) -> np.ndarray:
        """The clip's sound as methods and scorers get it: float32 (samples,), mono at the suite's rate."""
        return self.fit_sound(clip.waveform(self.data.rate))

    def fit_sound(self, wave: np.ndarray) -> np.ndarray:
        """Bring a waveform at the suite's rate to the suite's length: (samples,)."""
        return fit_length(wave, self.samples, self.data.length)

    def with_manifest(self, name: str, identity: str, counts: Mapping[str, int]) -> Suite:
        """Return the derived suite `<suite>+<name>`: a manifest's clips and labels, this suite's backbone and scorers.

        Args:
            name: The manifest's name, shown only.
            identity: The hash of its rows and files, which decides the fingerprint.
            counts: Its clips by split.
        """
        found = {"source": "manifest", "revision": identity[:12], "manifest": identity}
        data = self.data.model_copy(update={**found, **counts})
        return self.model_copy(update={"name": f"{self.name}+{name}", "title": f"{name} on {self.name}", "data": data})

    def with_clips(self, split: Literal["train", "test"], ids: Sequence[str]) -> Suite:
        """The suite whose `split` has only the clips `ids`: itself where those are as many as it has.

        Fewer test clips are another board, `<suite>+<clips>of<all clips>`. Fewer training clips leave the name, and so
        the board, as they are.
        """
        count: int = getattr(self.data, split)
        if len(ids) == count:
            return self
        found = {split: len(ids), f"{split}_clips": digest(sorted(ids))}
        smaller = self.model_copy(update={"data": self.data.model_copy(update=found)})
        if split == "train":
            return smaller
        name, title = f"{self.name}+{len(ids)}of{count}", f"{self.title}; {len(ids):,} of {count:,} test clips"
        return smaller.model_copy(update={"name": name, "title": title})


def suite_names() -> list[str]:
    """Names of the suites that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """Return the suite called `name`, as its file says; no weights are looked for (`benchmark.weights.locate.resolve`).

    Raises:
        UserError: The name is unknown (with the nearest names), or the file is broken (with line and value).
    """
    base, derived, part = name.partition("+")
    if derived and base in suite_names():
        of_some = re.fullmatch(r"\d+of\d+", part)
        how = "where only some clips are prepared, that suite is used" if of_some else "add --data FILE.csv"
        raise UserError(f"suite {name!r} is derived from {base!r} and cannot be asked for: use --suite {base}; {how}")
    if name not in suite_names():
        raise unknown("suite", name, suite_names())
    return validated(Suite, _read(name), FOLDER / f"{name}.toml")


def _read(name: str) -> dict[str, Any]:
    """A suite's file; one that `extends` another says only what differs."""
    own = read_toml(FOLDER / f"{name}.toml")
    parent = own.pop("extends", None)
    return own if parent is None else _over(_read(parent), own)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above`, tables entry by entry."""
    both = below | above
    tables = {key for key in below.keys() & above.keys() if isinstance(below[key], dict)}
    return both | {key: _over(below[key], above[key]) for key in tables}
