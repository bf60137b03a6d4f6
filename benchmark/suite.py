"""Suites: everything that a result depends on, frozen and versioned, as data (`suites/*.toml`)."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

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
    """Clips of a suite."""

    source: str
    """Name of the data set."""
    revision: str
    """Edition of the data set, within which clips with equal ids are equal."""
    train: int
    """Number of training clips."""
    validation: int
    """Number of validation clips."""
    test: int
    """Number of test clips, which are scored."""
    rate: int
    """Sample rate in Hz."""
    seconds: float
    """Length in seconds of the sound that methods and scorers get."""
    length: Literal["repeat", "pad"]
    """How a shorter sound is extended to that length; a longer one is cut."""
    manifest: str | None = None
    """Identity of a user's manifest: hash of its rows and of its files."""
    labels: Literal["vggsound", "vggsounder"] | None = None
    """Source of the labels, for a data set that has several."""
    train_seconds: float | None = None
    """Length in seconds of the training window, at a random start; None for the sound that scorers get."""
    train_frame: Literal["middle", "clip-best"] | None = None
    """Rule for the frames of training videos: the middle frame, or the one that CLIP finds nearest to the label."""
    test_frame: Literal["middle", "clip-best"] | None = None
    """The same rule for the true frames, which generated images are compared with."""
    test_clips: str | None = None
    """Hash of the ids of the test clips that are present, if some are missing."""
    train_clips: str | None = None
    """Hash of the ids of the training clips that are present, if some are missing. It is set only in the suite that a
    method is fitted on: it changes the fit, not the board."""
    variation: str | None = None
    """Identity of the change that the test clips went through (`benchmark.runs.variations`). It is never set in the
    suite that a method is fitted on."""


class BackboneSpec(FrozenModel):
    """Frozen text-to-image pipeline of a suite."""

    source: str
    """Name of the backbone."""
    resolution: int
    """Width and height of an image in pixels."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Precision of sampling."""
    resize: str
    """Rule by which frames become `resolution` x `resolution` (`benchmark.media.images.RESIZE_MODES`)."""


class Generation(FrozenModel):
    """Sampling of an image."""

    scheduler: str | None = None
    """Scheduler class of diffusers, configured as the backbone's scheduler; None for the backbone's own class."""
    steps: int
    """Number of sampling steps."""
    guidance: float
    """Scale of classifier-free guidance."""
    negative_prompt: str
    """Prompt of the unconditional branch."""
    prompt: str
    """Template of the prompt; {} stands for the label or for the audio token's placeholder."""
    images_per_clip: int = 1
    """Number of images per clip."""
    seed: int
    """The suite's part of the seed of every image."""
    batch_size: int
    """Number of clips that are sampled together."""


class Roles(FrozenModel):
    """Scorers that fill the roles of the metrics (`metrics.compute.MetricInputs`)."""

    image_audio_space: str
    """Scorer of the generated images in the space of `audio` (AIS)."""
    audio: str
    """Scorer of the sounds."""
    image: str
    """Scorer of the generated images and the true frames (IIS, AIC)."""
    audio_label: str | None = None
    """Audio classifier."""
    features: tuple[str, ...] = ()
    """Extractors of the features of `fd.*`."""


class ProbeSpec(FrozenModel):
    """A question about images that a classifier answers which learns from the training clips' true frames."""

    attribute: str
    """Key of the clips' metadata whose value is asked for."""
    without: str | None = None
    """Key of the clips' metadata that has to be empty, where the question is about such clips only."""

    def answer(self, metadata: Mapping[str, Any]) -> str | None:
        """Return the right answer for a clip, or None if the question is not about it."""
        value = metadata.get(self.attribute)
        if value in (None, "") or (self.without is not None and metadata.get(self.without) not in (None, "")):
            return None
        return str(value)


class Budget(FrozenModel):
    """Training budget of all methods, unless a method's settings say otherwise."""

    steps: int
    """Number of optimiser steps."""
    batch_size: int
    """Clips per step."""
    learning_rate: float
    """Learning rate of the optimiser, which is not multiplied by anything."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Course of the learning rate over the steps."""
    warmup_steps: int = 0
    """Steps over which the learning rate first rises from zero."""
    max_grad_norm: float | None = None
    """2-norm to which a longer gradient of a step is scaled down; None: no limit."""
    timesteps: Literal["uniform", "importance"] = "uniform"
    """Distribution of the noise levels of a denoising loss."""
    micro_batch: int | None = None
    """Clips that go through the backbone together in training; gradients are accumulated. None: all of a step."""
    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """Precision of the backbone in training; None: float32; where a suite samples in half precision on CUDA, the
    half precision that the card is made for."""
    gradient_checkpointing: bool | None = None
    """Whether the backbone's activations are recomputed in the backward pass, which saves memory."""


class Suite(FrozenModel):
    """Frozen protocol."""

    name: str
    """Name. Derived suites are called `<suite>+<file stem>` for a manifest, `<suite>+<clips>of<all clips>` for
    incomplete test clips, and `<suite>+<variation>` for changed ones."""
    version: int
    """Version, raised by anything that changes the fingerprint."""
    title: str
    """Description in one line."""
    headline: tuple[str, ...]
    """Metrics of the table."""
    metrics: tuple[str, ...]
    """Metrics of a record."""
    data: Data
    """Clips."""
    backbone: BackboneSpec
    """Text-to-image pipeline."""
    generation: Generation
    """Sampling of images."""
    scorers: Roles
    """Networks that score."""
    threads: int | None = Field(None, ge=1)
    """CPU threads that torch computes with in every step of a run: the sum of many numbers is rounded by how they are
    shared out. None: as many as torch takes by itself."""
    probes: dict[str, ProbeSpec] | None = None
    """Questions of the metrics that a probe answers, by metric id."""
    weights: dict[str, str]
    """sha256 of each file of the protocol's networks."""
    variant: str | None = None
    """Edition of the networks: their names in weights.toml begin with it and a dash, as far as such ones are listed."""
    encoders: dict[str, str] = {}
    """sha256 of each file of the methods' audio encoders; outside the fingerprint."""
    related: dict[str, tuple[str, ...]] = {}
    """For an audio encoder of methods, the scorers that it shares weights or a teacher with, by their names in
    `weights`; the board names them. Outside the fingerprint."""
    files: dict[str, str] = {}
    """sha256 of further files that the networks are set up with, by name, where `weights` does not list them; outside
    the fingerprint. Another file is refused when it is read."""
    budget: Budget
    """Training budget; outside the fingerprint, as a record's settings state what a method used."""
    published: dict[str, str] | None = None
    """`weights` as the suite's file states them, if it states addresses and `weights` contains the hashes of the files
    on this machine. `benchmark.weights.locate.resolve` sets it. The fingerprint uses it instead of `weights`, so that
    it is the same on every machine."""

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the protocol: name, version, data, backbone, generation, scorers, weights.

        Fields that are None are left out, so that a field added later does not change suites without it.
        """
        outside = {"title", "headline", "metrics", "encoders", "related", "files", "budget"}
        protocol = self.model_dump(mode="json", exclude=outside, exclude_none=True)
        if self.published is not None:
            protocol["weights"] = protocol.pop("published")
        return digest(protocol)

    @property
    def base(self) -> str:
        """Name of the suite that the backbone and the scorers come from."""
        return self.name.partition("+")[0]

    @cached_property
    def samples(self) -> int:
        """Number of samples of a sound."""
        return round(self.data.rate * self.data.seconds)

    def sound(self, clip: Clip) -> np.ndarray:
        """Return a clip's sound as methods and scorers get it: float32, (samples,), mono, at the suite's rate."""
        return self.fit_sound(clip.waveform(self.data.rate, self.data.seconds))

    def fit_sound(self, wave: np.ndarray) -> np.ndarray:
        """Cut or extend a waveform at the suite's rate to the suite's length: (samples,)."""
        return fit_length(wave, self.samples, self.data.length)

    def with_manifest(self, name: str, identity: str, counts: Mapping[str, int]) -> Suite:
        """Return the derived suite `<suite>+<name>`: a manifest's clips and labels, this suite's backbone and scorers.

        Args:
            name: The manifest's name, for display only.
            identity: Hash of its rows and files, which enters the fingerprint.
            counts: Number of its clips by split.
        """
        found = {"source": "manifest", "revision": identity[:12], "manifest": identity}
        data = self.data.model_copy(update={**found, **counts})
        return self.model_copy(update={"name": f"{self.name}+{name}", "title": f"{name} on {self.name}", "data": data})

    def with_clips(self, split: Literal["train", "test"], ids: Sequence[str]) -> Suite:
        """Return the suite restricted to some clips of a split: itself if their number is that of the split.

        Fewer test clips make another board, `<suite>+<clips>of<all clips>`. Fewer training clips do not change the
        name, and hence the board.

        Args:
            split: "train" or "test".
            ids: Ids of the clips.
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

    def with_variation(self, name: str, identity: str, test: int | None = None) -> Suite:
        """Return the derived suite `<suite>+<name>`, whose test clips went through a change.

        Args:
            name: The variation's name.
            identity: The name with the version of its rule, which enters the fingerprint.
            test: Number of its test clips; None for as many as before.
        """
        data = self.data.model_copy(update={"variation": identity, **({} if test is None else {"test": test})})
        return self.model_copy(
            update={"name": f"{self.name}+{name}", "title": f"{self.title}; test clips: {name}", "data": data}
        )


def suite_names() -> list[str]:
    """Return the names of the suites that ship with the package, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """Load a suite from its file. Weights are not looked for (see `benchmark.weights.locate.resolve`).

    Raises:
        UserError: The name is unknown (the message gives the nearest names), or the file is invalid (the message gives
            line and value).
    """
    base, derived, part = name.partition("+")
    if derived and base in suite_names():
        of_some = re.fullmatch(r"\d+of\d+", part)
        how = (
            "where only some clips are prepared, that suite is used"
            if of_some
            else ("add --data FILE.csv for your own clips, or --variation for changed ones")
        )
        raise UserError(f"suite {name!r} is derived from {base!r} and cannot be asked for: use --suite {base}; {how}")
    if name not in suite_names():
        raise unknown("suite", name, suite_names())
    return validated(Suite, _read(name), FOLDER / f"{name}.toml")


def _read(name: str) -> dict[str, Any]:
    """Read a suite's file, merged with the file that it `extends`."""
    own = read_toml(FOLDER / f"{name}.toml")
    parent = own.pop("extends", None)
    return own if parent is None else _over(_read(parent), own)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return `below` updated with the values of `above`, tables entry by entry."""
    both = below | above
    tables = {key for key in below.keys() & above.keys() if isinstance(below[key], dict)}
    return both | {key: _over(below[key], above[key]) for key in tables}
