"""One method on a few clips of the world: fitted, generated with, and watched, for the checks of `validate`."""

from __future__ import annotations

import contextlib
import inspect
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import ValidationError

from benchmark.clips import Clip, ClipSet
from benchmark.media.audio import write_wav
from benchmark.media.images import save_png
from benchmark.method import FitReport, Method, MethodSettings, RunContext
from benchmark.mini.data import make_picture, make_sound
from benchmark.mini.world import LABELS, label_of
from benchmark.registries import BACKBONES
from benchmark.runs.method_calls import calling
from benchmark.runs.plan import with_budget
from benchmark.runs.steps import make_images
from benchmark.suite import Suite, load_suite
from benchmark.utils.files import sha256_of
from benchmark.utils.progress import Advance, Silent

if TYPE_CHECKING:
    from benchmark.backbone import Backbone

TRAIN, TEST = 8, 3
"""Number of clips that are fitted on, and that images are made of."""

ALL = tuple(range(TEST))
"""Places of the test clips in their set."""
SEEDS = tuple(1000 + place for place in ALL)
"""A seed for each."""

QUICK = {"steps": 2, "batch_size": 4}
"""Values of the settings of these names during validation, where a method has them."""


def quick_suite() -> Suite:
    """Return the suite that validation runs on: `mini` with two sampling steps and next to no training."""
    mini = load_suite("mini")
    generation = mini.generation.model_copy(update={"steps": 2})
    return mini.model_copy(update={"generation": generation, "budget": mini.budget.model_copy(update=QUICK)})


class Broken(Exception):
    """A promise is not kept."""


class Skipped(Exception):
    """A promise that the method need not make."""


class _Interrupted(BaseException):
    """Stops a fit in the middle. Like KeyboardInterrupt it is not an Exception."""


# --------------------------------------------------------------------------------------------------- what is watched


@dataclass
class _Watch:
    """What a method read while `on`: for each kind of thing, the words for it."""

    on: bool = False
    own: str | None = None
    seen: dict[str, str] = field(default_factory=dict)

    def note(self, kind: str, what: str, clip: str | None = None) -> None:
        if self.on:
            other = clip is not None and self.own is not None and clip != self.own
            self.seen.setdefault("other clips" if other else kind, what)


_KINDS = {
    "audio": "audio",
    "waveform": "audio",
    "label": "label",
    "labels": "label",
    "visible": "label",
    "image": "frame",
    "picture": "frame",
    "attributes": "attributes",
}


@dataclass(frozen=True, eq=False)
class _WatchedClip(Clip):
    watch: _Watch = field(default_factory=_Watch, repr=False)

    def __getattribute__(self, name: str) -> Any:
        if name in _KINDS:
            read = super().__getattribute__
            read("watch").note(_KINDS[name], f"clip.{name}", read("id"))
        return super().__getattribute__(name)


@dataclass(frozen=True, eq=False)
class _WatchedSet(ClipSet):
    watch: _Watch = field(default_factory=_Watch, repr=False)

    def __getattribute__(self, name: str) -> Any:
        if name == "labels":
            super().__getattribute__("watch").note("label list", "clips.labels")
        return super().__getattribute__(name)


class Counting(Silent):
    """Counts how often a fit reports progress."""

    def __init__(self, stop: int | None = None) -> None:
        """Interrupt the fit at its `stop`-th report; never with None."""
        super().__init__()
        self.count, self.stop = 0, stop

    @contextlib.contextmanager
    def task(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        """Yield the function that counts."""

        def advance(done: int) -> None:
            self.count += 1
            if self.count == self.stop:
                raise _Interrupted

        yield advance


def was_interrupted(error: BaseException | None) -> bool:
    """Whether `_Interrupted` is behind an error, however deep."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, _Interrupted):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _generators() -> dict[str, Any]:
    """Return the state of the random generators that the whole process shares."""
    numbers: Any = np.random.get_state(legacy=False)
    return {
        "random": random.getstate(),
        "numpy.random": (numbers["state"]["key"].tobytes(), numbers["state"]["pos"], numbers["gauss"]),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }


@contextlib.contextmanager
def generators_put_back() -> Iterator[None]:
    """Restore the shared random generators at the end."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


# --------------------------------------------------------------------------------------------------------- the trial


@cache
def _content(split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sound and frame of a clip of the world."""
    return make_sound(split, index), make_picture(split, index)


@dataclass(frozen=True)
class _Made:
    """A method after `setup`, and the clips that it was set up with."""

    method: Method
    clips: ClipSet


class Trial:
    """One method, the clips that it is tried on, and what was found out so far."""

    def __init__(self, method: type[Method], name: str | None, backbone: Backbone | None, folder: Path) -> None:
        """Prepare the clips; files go to `folder`. The other parameters are those of `validate`."""
        self.method, self.name, self.folder = method, name, folder
        self.suite = quick_suite()
        if backbone is not None:
            self.backbone = backbone
        self.watch = _Watch()
        self.originals: list[tuple[str, np.ndarray, np.ndarray]] = []
        self.files: dict[Path, str] = {}
        self.changed: set[str] = set()
        self.touched: set[str] = set()
        self.calls = self.progress = 0
        self.fastest = float("inf")
        """Seconds an image of the fastest `generate` so far: the first one may still load something."""
        self.fitted: Path | None = None
        self.train = self._clip_set("train", TRAIN)
        self.test = self._clip_set("validation", TEST)

    @cached_property
    def backbone(self) -> Backbone:
        """The backbone of `quick_suite`."""
        return BACKBONES.get(self.suite.backbone.source)(self.suite, "cpu")

    @cached_property
    def settings(self) -> MethodSettings:
        """The method's defaults, with those of `QUICK` where it has them and accepts them."""
        fields = self.method.Settings.model_fields
        try:
            made = self.method.Settings.model_validate({key: value for key, value in QUICK.items() if key in fields})
        except ValidationError:
            made = self.method.Settings()
        return with_budget(made, self.suite)

    def _clip_set(self, split: str, count: int) -> ClipSet:
        """Return clips of the world: every other one as arrays, the rest as files."""
        clips = []
        for index in range(count):
            name = f"{split}-{index:02d}"
            sound, frame = _content(split, index)
            audio: Path | np.ndarray = sound.copy()
            image: Path | np.ndarray = frame.copy()
            if index % 2:
                audio, image = self.folder / f"{name}.wav", self.folder / f"{name}.png"
                write_wav(audio, sound / np.float32(32768))
                save_png(image, frame)
            clips.append(self.watched(Clip(name, audio, image, (label_of(index),), "test", {"size": index})))
        return self.clip_set(clips)

    def watched(self, clip: Clip) -> Clip:
        """Return the clip as one that notes what is read of it; its contents are remembered as they are now."""
        for what, content in (("audio", clip.audio), ("image", clip.image)):
            if isinstance(content, np.ndarray):
                self.originals.append((f"clip.{what}", content, content.copy()))
            elif content is not None:
                self.files[content] = sha256_of(content)
        return _WatchedClip(clip.id, clip.audio, clip.image, clip.labels, clip.split, clip.attributes, watch=self.watch)

    def clip_set(self, clips: Sequence[Clip]) -> ClipSet:
        """Return the clips as a set that notes whether its label set is read."""
        return _WatchedSet("validation", tuple(clips), LABELS, watch=self.watch)

    def make(self, clips: ClipSet, folder: Path | None = None, ui: Silent | None = None, cache: str = "cache") -> _Made:
        """Return a new instance of the method, set up with `clips`."""
        if inspect.isabstract(self.method):
            missing = sorted(getattr(self.method, "__abstractmethods__", ()))
            raise Broken(f"it has no {' and no '.join(f'{name}()' for name in missing)}: write it")
        place = folder or self.fitted or self.folder / "run"
        place.mkdir(parents=True, exist_ok=True)
        run = RunContext(self.suite, self.backbone, clips, 0, place, self.folder / cache, "cpu", ui or Silent())
        with calling(self.method, "setup()"):
            made = self.method(self.settings)
            made.setup(run)
        if getattr(made, "run", None) is None:
            raise Broken("after setup() there is no self.run: call super().setup(run) in it")
        return _Made(made, clips)

    def ready(self, clips: ClipSet, folder: Path | None = None) -> _Made:
        """Return a new instance that has also loaded its fit, as before generating."""
        made = self.make(clips, folder)
        if self.method.fits:
            with calling(self.method, "load()"):
                made.method.load()
        return made

    def fit(self, place: str, ui: Silent) -> FitReport:
        """Fit in the folder `place`, as the harness does."""
        made = self.make(self.train, self.folder / place, ui, cache=f"cache of {place}")
        with self._undisturbed("fit"), calling(self.method, "fit()"):
            return made.method.fit(self.train)

    @contextlib.contextmanager
    def _undisturbed(self, step: str) -> Iterator[None]:
        """Note what `step` does to the shared generators and to the clips; each call starts at another seed."""
        self.calls += 1
        random.seed(self.calls)
        np.random.seed(self.calls)
        torch.default_generator.manual_seed(self.calls)
        before = _generators()
        try:
            yield
        finally:
            after = _generators()
            self.touched |= {f"{name} in {step}" for name in before if before[name] != after[name]}
            for what, array, original in self.originals:
                if not np.array_equal(array, original, equal_nan=array.dtype.kind == "f"):
                    self.changed.add(f"{what} in {step}")
                    array[...] = original

    def condition(self) -> tuple[Any, float]:
        """Call `condition` for all test clips; return what it gave, and the seconds a clip."""
        method: Any = self.made.method
        clips = [self.made.clips[place] for place in ALL]
        with self._undisturbed("condition"), calling(self.method, "condition()"):
            began = time.perf_counter()
            given = method.condition(clips)
        return given, (time.perf_counter() - began) / TEST

    def draw(self, made: _Made, places: Sequence[int], seeds: Sequence[int]) -> list[np.ndarray]:
        """Return images of the clips at `places`: uint8 (height, width, 3)."""
        clips = [made.clips[place] for place in places]
        began = time.perf_counter()
        with self._undisturbed("generate"):
            images = make_images(made.method, clips, seeds)
        self.fastest = min(self.fastest, (time.perf_counter() - began) / len(clips))
        return images

    @cached_property
    def made(self) -> _Made:
        """The instance that most images come from."""
        return self.ready(self.test)

    @cached_property
    def images(self) -> list[np.ndarray]:
        """Images of all test clips from one call: what the others are compared with."""
        return self.draw(self.made, ALL, SEEDS)

    @cached_property
    def turned(self) -> list[np.ndarray]:
        """The same with the clips in the opposite order; the images are in the usual one."""
        return self.draw(self.made, ALL[::-1], SEEDS[::-1])[::-1]

    @cached_property
    def singly(self) -> list[np.ndarray]:
        """Images of the test clips, each from a call of its own, during which it is watched what is read."""
        self.watch.on = True
        try:
            made = self.ready(self.test)
            images = []
            for place in ALL:
                self.watch.own = self.test.ids[place]
                images += self.draw(made, [place], [SEEDS[place]])
        finally:
            self.watch.on, self.watch.own = False, None
        return images

    def exchanged(self, what: Sequence[str]) -> ClipSet:
        """Return the test clips with their own sounds and the given parts of the next clip."""
        clips = []
        for place, clip in enumerate(self.test):
            other = self.test[(place + 1) % TEST]
            clips.append(
                replace(
                    clip,
                    id=f"another-{place}" if "id" in what else clip.id,
                    labels=other.labels if "label" in what else clip.labels,
                    image=other.image if "frame" in what else clip.image,
                    attributes=other.attributes if "attributes" in what else clip.attributes,
                )
            )
        return self.clip_set(clips)
