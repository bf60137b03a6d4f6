"""Suites: everything that a number depends on, frozen and versioned, as data (`suites/*.toml`)."""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark.audio import fit_length
from benchmark.errors import UserError, unknown
from benchmark.files import digest
from benchmark.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from benchmark.backbone import Backbone
    from benchmark.clips import Clip, ClipSet
    from benchmark.datasets.manifest import Manifest
    from benchmark.ui import UI
    from metrics.scorers.base import Scorer

    Clips = Callable[["Suite", str, Path, UI], ClipSet]

FOLDER = Path(__file__).parent / "suites"

DATASETS: Registry[Clips] = Registry("data set", "bench.datasets")
"""name -> function(suite, split, cache folder, ui) giving the split's ClipSet."""

BACKBONES: Registry[Callable[[Suite, str], Backbone]] = Registry("backbone", "bench.backbones")
"""name -> function(suite, device) giving the suite's frozen pipeline."""

SCORERS: Registry[Callable[[Suite, str], Scorer]] = Registry("scorer", "bench.scorers")
"""name -> function(suite, device) giving the scorer with its weights; names are `<suite or family>/<network>`."""

ENCODERS: Registry[Callable[[Suite, str], Any]] = Registry("audio encoder", "bench.encoders")
"""`<suite>/<network>` -> function(suite, device) giving a frozen audio encoder for methods that want one."""

PRESENT: Registry[Callable[[Suite, str], Sequence[str] | None]] = Registry("data set's list of clips", "bench.present")
"""Name of a data set that may be incomplete -> function(suite, split) giving the ids of the clips that are there; None
where the data cannot be used, of which the data set's own function says why."""

DATASETS.register("mini", "benchmark.mini.dataset:clips")
DATASETS.register("vggsound", "benchmark.datasets.vggsound:clips")
PRESENT.register("vggsound", "benchmark.datasets.vggsound:present")
BACKBONES.register("mini", "benchmark.mini.dataset:backbone")
ENCODERS.register("mini/beats", "benchmark.mini.dataset:beats")
ENCODERS.register("mini/wav2clip-encoder", "benchmark.mini.dataset:wav2clip_encoder")
ENCODERS.register("mini/imagebind", "benchmark.mini.dataset:imagebind")
for _name in ("clip", "wav2clip", "classifier"):
    SCORERS.register(f"mini/{_name}", f"benchmark.mini.dataset:{_name}")

BACKBONES.register("stable-diffusion-v1-4", "benchmark.fullscale.backbone:backbone")
for _name in ("clip-vit-b-32", "clip-vit-l-14", "wav2clip"):
    _target = f"benchmark.fullscale.scorers:{_name.replace('-', '_')}"
    SCORERS.register(f"vggsound/{_name}", _target, aliases=[f"vggsound-paper/{_name}"])
for _name, _object in (("beats", "beats"), ("wav2clip-encoder", "wav2clip"), ("imagebind", "imagebind")):
    _target = f"benchmark.fullscale.encoders:{_object}"
    ENCODERS.register(f"vggsound/{_name}", _target, aliases=[f"vggsound-paper/{_name}"])


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Data(_Frozen):
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


class BackboneSpec(_Frozen):
    """Which frozen text-to-image pipeline."""

    source: str
    """Name of the backbone."""
    resolution: int
    """Width and height of a picture in pixels."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Precision of sampling."""
    resize: str
    """Rule by which frames become `resolution` x `resolution` (`benchmark.images.RESIZE_MODES`)."""


class Generation(_Frozen):
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


class Roles(_Frozen):
    """Which scorer fills which role of the metrics (`metrics.catalog.MetricInputs`)."""

    image_audio_space: str
    audio: str
    image: str
    audio_label: str | None = None
    features: tuple[str, ...] = ()


class Budget(_Frozen):
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


class Suite(_Frozen):
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
    """`weights` as the suite's file names them, where that is by an address and `weights` holds the hash of what lies
    on this machine. The fingerprint takes these, so that it is the same everywhere."""

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
        return fit_length(clip.waveform(self.data.rate), self.samples, self.data.length)

    def with_manifest(self, manifest: Manifest) -> Suite:
        """The derived suite `<suite>+<file stem>`: its clips and labels, this suite's backbone and scorers."""
        data = self.data.model_copy(
            update={
                "source": "manifest",
                "revision": manifest.identity[:12],
                "manifest": manifest.identity,
                "train": len(manifest.train or ()),
                "validation": len(manifest.validation or ()),
                "test": len(manifest.test),
            }
        )
        return self.model_copy(
            update={"name": f"{self.name}+{manifest.name}", "title": f"{manifest.name} on {self.name}", "data": data}
        )

    def as_present(self, split: Literal["train", "test"]) -> Suite:
        """This suite with the clips of `split` that are on this machine: itself unless some of them are not."""
        if self.data.source not in PRESENT:
            return self
        ids = PRESENT.get(self.data.source)(self, split)
        return self.with_clips(split, ids) if ids else self

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
    """The suite called `name`; none of its weights need be there.

    Raises UserError with the nearest names for an unknown one.
    """
    if name not in suite_names():
        raise unknown("suite", name, suite_names())
    try:
        suite = Suite.model_validate(_read(name))
    except ValidationError as error:
        raise UserError(
            [f"suites/{name}.toml: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        ) from error
    if not any("://" in value for value in (suite.weights | suite.encoders).values()):
        return suite
    from benchmark.weights import in_use

    return suite.model_copy(
        update={
            "weights": in_use(suite.weights), "encoders": in_use(suite.encoders), "published": suite.weights,
        }
    )  # fmt: skip


def _read(name: str) -> dict[str, Any]:
    """A suite's file; one that `extends` another says only what differs."""
    with open(FOLDER / f"{name}.toml", "rb") as file:
        own = tomllib.load(file)
    parent = own.pop("extends", None)
    return own if parent is None else _over(_read(parent), own)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above`, tables entry by entry."""
    both = below | above
    tables = {key for key in below.keys() & above.keys() if isinstance(below[key], dict)}
    return both | {key: _over(below[key], above[key]) for key in tables}
