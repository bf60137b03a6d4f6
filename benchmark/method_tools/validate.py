"""`bench validate`: what every method promises, tried out on a few clips with the networks of `mini`.

Each check is one promise. It passes, fails, or is skipped because it does not apply or rests on one that failed, and
says why in a line. Everything happens in a temporary folder.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import ValidationError

from benchmark.clips import Clip, ClipSet, bad_id
from benchmark.media.audio import MIN_SECONDS, write_wav
from benchmark.media.images import load_image, save_png
from benchmark.method import ConditioningMethod, FitReport, Method, MethodCard, MethodSettings, RunContext
from benchmark.mini.data import make_picture, make_sound
from benchmark.mini.world import LABELS, label_of
from benchmark.registries import BACKBONES
from benchmark.runs.plan import with_budget
from benchmark.runs.steps import make_images
from benchmark.suite import Suite, load_suite
from benchmark.utils.files import canonical_json, sha256_of
from benchmark.utils.progress import Advance, Silent

if TYPE_CHECKING:
    from benchmark.backbone import Backbone

Result = Literal["pass", "fail", "skip"]

TRAIN, TEST = 8, 3
"""Clips that are fitted on and drawn."""

QUICK = {"steps": 2, "batch_size": 4}
"""What the settings of these names are while validating, where a method has them."""

SAME = 0.25
"""Mean |difference| of two pictures, in grey levels, that may still be rounding: other batches are summed in other
orders. The networks of `mini` stay below 0.001."""


@dataclass(frozen=True)
class Check:
    """One promise: its name, whether it is kept, and why one thinks so."""

    name: str
    result: Result
    reason: str


def quick_suite() -> Suite:
    """`mini` with two sampling steps and next to no training: what validation runs on."""
    mini = load_suite("mini")
    generation = mini.generation.model_copy(update={"steps": 2})
    return mini.model_copy(update={"generation": generation, "budget": mini.budget.model_copy(update=QUICK)})


def validate(method: type[Method], name: str | None = None, backbone: Backbone | None = None) -> list[Check]:
    """Check `method` against the contract of `benchmark.method`, each promise once, in the order of `CHECKS`.

    `name` is the one it was found by in the registry, if it was. `backbone` (of `quick_suite`) is made unless given.
    """
    checks: list[Check] = []
    kept: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="bench-validate-") as folder, _generators_put_back():
        trial = _Trial(method, name, backbone, Path(folder))
        for check, function, needs in CHECKS:
            if missing := [need for need in needs if need not in kept]:
                checks.append(Check(check, "skip", f"rests on: {', '.join(missing)}"))
                continue
            result: Result = "pass"
            try:
                reason = function(trial)
            except _Skipped as skipped:
                result, reason = "skip", str(skipped)
            except _Broken as broken:
                result, reason = "fail", str(broken)
            except Exception as error:
                result, reason = "fail", _line(error)
            if result != "fail":
                kept.add(check)
            checks.append(Check(check, result, reason))
    return checks


class _Broken(Exception):
    """A promise is not kept."""


class _Skipped(Exception):
    """A promise that the method need not make."""


class _Interrupted(BaseException):
    """What an interrupted fit is stopped with: not an Exception, as Ctrl-C is none."""


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


# --------------------------------------------------------------------------------------------------- what is watched


@dataclass
class _Watch:
    """What was looked at while it was on, by kind: the words for it."""

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


class _Counting(Silent):
    """Counts the progress that a fit reports, and interrupts it at the `stop`-th time."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__()
        self.count, self.stop = 0, stop

    @contextlib.contextmanager
    def task(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        def advance(done: int) -> None:
            self.count += 1
            if self.count == self.stop:
                raise _Interrupted

        yield advance


def _generators() -> dict[str, Any]:
    """State of the generators that all of a process shares."""
    numbers: Any = np.random.get_state(legacy=False)
    return {
        "random": random.getstate(),
        "numpy.random": (numbers["state"]["key"].tobytes(), numbers["state"]["pos"], numbers["gauss"]),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }


@contextlib.contextmanager
def _generators_put_back() -> Iterator[None]:
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
    """Sound and frame of a clip of the world."""
    return make_sound(split, index), make_picture(split, index)


@dataclass(frozen=True)
class _Made:
    """A method that was set up, and the clips that it was set up with."""

    method: Method
    clips: ClipSet


class _Trial:
    """One method, the clips that it is tried on, and what was found out so far."""

    def __init__(self, method: type[Method], name: str | None, backbone: Backbone | None, folder: Path) -> None:
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
        self.fitted: Path | None = None
        self.train = self._clip_set("train", TRAIN)
        self.test = self._clip_set("validation", TEST)

    @cached_property
    def backbone(self) -> Backbone:
        return BACKBONES.get(self.suite.backbone.source)(self.suite, "cpu")

    @cached_property
    def settings(self) -> MethodSettings:
        fields = self.method.Settings.model_fields
        try:
            made = self.method.Settings.model_validate({key: value for key, value in QUICK.items() if key in fields})
        except ValidationError:
            made = self.method.Settings()
        return with_budget(made, self.suite)

    def _clip_set(self, split: str, count: int) -> ClipSet:
        """Clips of the world: every other one as arrays, the rest as files."""
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
            clips.append(self._watched(Clip(name, audio, image, (label_of(index),), "test", {"size": index})))
        return self._set(clips)

    def _watched(self, clip: Clip) -> Clip:
        for what, content in (("audio", clip.audio), ("image", clip.image)):
            if isinstance(content, np.ndarray):
                self.originals.append((f"clip.{what}", content, content.copy()))
            elif content is not None:
                self.files[content] = sha256_of(content)
        return _WatchedClip(clip.id, clip.audio, clip.image, clip.labels, clip.split, clip.attributes, watch=self.watch)

    def _set(self, clips: Sequence[Clip]) -> ClipSet:
        return _WatchedSet("validation", tuple(clips), LABELS, watch=self.watch)

    def make(self, clips: ClipSet, folder: Path | None = None, ui: Silent | None = None, cache: str = "cache") -> _Made:
        """A new method, set up to look at `clips`."""
        made = self.method(self.settings)
        place = folder or self.fitted or self.folder / "run"
        place.mkdir(parents=True, exist_ok=True)
        made.setup(RunContext(self.suite, self.backbone, clips, 0, place, self.folder / cache, "cpu", ui or Silent()))
        return _Made(made, clips)

    def ready(self, clips: ClipSet, folder: Path | None = None) -> _Made:
        """The same with its fit read, as before generating."""
        made = self.make(clips, folder)
        if self.method.fits:
            made.method.load()
        return made

    def fit(self, place: str, ui: Silent) -> FitReport:
        """Fit in `place`, as the harness does."""
        made = self.make(self.train, self.folder / place, ui, cache=f"cache of {place}")
        with self._undisturbed("fit"):
            return made.method.fit(self.train)

    @contextlib.contextmanager
    def _undisturbed(self, step: str) -> Iterator[None]:
        """Note what `step` does to the process's generators and to the clips; each time they start elsewhere."""
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

    def draw(self, made: _Made, places: Sequence[int], seeds: Sequence[int]) -> list[np.ndarray]:
        """Pictures of the clips at `places`: uint8 (height, width, 3)."""
        clips = [made.clips[place] for place in places]
        with self._undisturbed("generate"):
            return make_images(made.method, clips, seeds)

    @cached_property
    def made(self) -> _Made:
        return self.ready(self.test)

    @cached_property
    def pictures(self) -> list[np.ndarray]:
        """All test clips drawn together: what the other drawings are compared with."""
        return self.draw(self.made, ALL, SEEDS)

    @cached_property
    def singly(self) -> list[np.ndarray]:
        """Each test clip drawn in a call of its own, while it is watched what is looked at."""
        self.watch.on = True
        try:
            made = self.ready(self.test)
            pictures = []
            for place in ALL:
                self.watch.own = self.test.ids[place]
                pictures += self.draw(made, [place], [SEEDS[place]])
        finally:
            self.watch.on, self.watch.own = False, None
        return pictures

    def exchanged(self, what: Sequence[str]) -> ClipSet:
        """The test clips with the same sounds, and the given parts of the next clip."""
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
        return self._set(clips)


ALL = tuple(range(TEST))
SEEDS = tuple(1000 + place for place in ALL)
OTHERS = tuple(2000 + place for place in ALL)


def _differing(some: Sequence[np.ndarray], others: Sequence[np.ndarray], tolerance: float = 0.0) -> int:
    """How many pictures differ from their partner by more than rounding."""
    return sum(
        one.shape != other.shape or float(np.abs(one.astype(float) - other).mean()) > tolerance
        for one, other in zip(some, others, strict=True)
    )


# -------------------------------------------------------------------------------------------------------- the checks


def _settings(trial: _Trial) -> str:
    settings = trial.method.Settings
    if not issubclass(settings, MethodSettings):
        raise _Broken("Settings is not a subclass of benchmark.method.MethodSettings")
    fields = settings.model_fields
    if required := [name for name, field in fields.items() if field.is_required()]:
        raise _Broken(f"without a default: {', '.join(required)}; give each one, None for the suite's budget")
    if bare := [name for name, field in fields.items() if not field.description]:
        raise _Broken(f"without a description: {', '.join(bare)}; put a docstring below the field")
    canonical_json(settings().model_dump(mode="json"))
    return ", ".join(fields) if fields else "none"


def _card(trial: _Trial) -> str:
    card = getattr(trial.method, "card", None)
    if not isinstance(card, MethodCard):
        raise _Broken("there is none: give the class a `card = MethodCard(...)`")
    if why := bad_id(card.name):
        raise _Broken(f"its name {card.name!r} {why}")
    if trial.name not in (None, card.name):
        raise _Broken(f"it says {card.name!r}, but the method was found as {trial.name!r}")
    if empty := [name for name in ("summary", "licence", "training_data") if not getattr(card, name).strip()]:
        raise _Broken(f"empty: {', '.join(empty)}")
    if "unknown" in card.sees:
        raise _Broken("sees 'unknown': say what it looks at to draw a test clip")
    return f"{card.name!r} sees {', '.join(card.sees) or 'nothing'}"


def _fit(trial: _Trial) -> str:
    if not trial.method.fits:
        if trial.method.fit is not Method.fit:
            raise _Broken("it has a fit(), which is never called: set `fits = True`")
        raise _Skipped("it is not fitted")
    ui = _Counting()
    report = trial.fit("fit", ui)
    if not isinstance(report, FitReport):
        raise _Broken(f"fit() gave a {type(report).__name__}, not a FitReport")
    if report.steps < 0 or report.trainable_parameters < 0:
        raise _Broken(f"the report has {report.steps} steps, {report.trainable_parameters} parameters")
    canonical_json(report.figures)
    if not any((trial.folder / "fit").iterdir()):
        raise _Broken("fit() wrote nothing to run.folder, so another process has nothing to load")
    trial.fitted = trial.folder / "fit"
    trial.progress = ui.count
    trial.ready(trial.test)
    files = ", ".join(sorted(path.name for path in trial.fitted.iterdir()))
    return f"{report.steps} steps, {report.trainable_parameters} parameters; a new instance loads {files}"


def _pictures(trial: _Trial) -> str:
    pictures = trial.pictures
    sizes = sorted({f"{picture.shape[1]} x {picture.shape[0]}" for picture in pictures})
    for picture in pictures:
        load_image(picture)
    method = trial.made.method
    if not isinstance(method, ConditioningMethod):
        return f"{len(pictures)} of {', '.join(sizes)}"
    embeds = method.condition([trial.test[place] for place in ALL]).prompt_embeds
    wanted = (TEST, *trial.backbone.encode_prompts(["x"]).shape[1:])
    if not isinstance(embeds, torch.Tensor) or not embeds.is_floating_point():
        raise _Broken(f"prompt_embeds is no tensor of floats but {getattr(embeds, 'dtype', type(embeds).__name__)}")
    if tuple(embeds.shape) != wanted:
        raise _Broken(f"prompt_embeds of {TEST} clips has shape {tuple(embeds.shape)}, not {wanted}")
    if not bool(torch.isfinite(embeds).all()):
        raise _Broken("prompt_embeds holds NaN or infinite values")
    return f"{len(pictures)} of {', '.join(sizes)} from prompt_embeds {tuple(embeds.shape)}"


def _determinism(trial: _Trial) -> str:
    if count := _differing(trial.pictures, trial.draw(trial.made, ALL, SEEDS)):
        raise _Broken(f"drawn again, {count} of {TEST} pictures differ: take all randomness from `seeds`")
    if count := _differing(trial.pictures, trial.draw(trial.ready(trial.test), ALL, SEEDS)):
        raise _Broken(f"drawn by a new instance, {count} of {TEST} pictures differ: seed what setup() and load() draw")
    return "same clips and seeds, same pictures"


def _resume(trial: _Trial) -> str:
    if not trial.method.fits:
        raise _Skipped("it is not fitted")
    stop = trial.progress // 2 + 1 if trial.progress else None
    with contextlib.suppress(_Interrupted):
        trial.fit("interrupted", _Counting(stop))
    trial.fit("interrupted", _Counting())
    again = trial.draw(trial.ready(trial.test, trial.folder / "interrupted"), ALL, SEEDS)
    what = "was interrupted and continued" if stop else "was started again (it reports no progress with run.ui.task)"
    if count := _differing(trial.pictures, again):
        raise _Broken(f"after a fit that {what}, {count} of {TEST} pictures differ from those of one that was not")
    return f"a fit that {what} gives the same pictures"


def _seeds(trial: _Trial) -> str:
    differ = _differing(trial.pictures, trial.draw(trial.made, ALL, OTHERS))
    if trial.method.random and not differ:
        raise _Broken("other seeds give the same pictures: use `seeds`, or set `random = False`")
    if not trial.method.random and differ:
        raise _Broken("random is False, but other seeds give other pictures")
    return "other seeds, other pictures" if trial.method.random else "pictures depend on no seed, as it says"


def _order(trial: _Trial) -> str:
    turned = trial.draw(trial.made, ALL[::-1], SEEDS[::-1])[::-1]
    if count := _differing(trial.pictures, turned, SAME):
        raise _Broken(f"in another order, {count} of {TEST} pictures differ")
    return "pictures do not depend on the order of the clips"


def _batch(trial: _Trial) -> str:
    if count := _differing(trial.pictures, trial.singly, SAME):
        raise _Broken(f"drawn one at a time, {count} of {TEST} pictures differ: a picture must not know its neighbours")
    return "pictures do not depend on what is drawn together"


def _sees(trial: _Trial) -> str:
    sees = trial.method.card.sees
    allowed = {*sees, *(["label list"] if "label" in sees else [])}
    trial.singly  # noqa: B018  # fills the watch
    seen = trial.watch.seen
    if undeclared := [kind for kind in seen if kind not in allowed]:
        read = ", ".join(f"the {kind} ({seen[kind]})" for kind in undeclared)
        raise _Broken(f"to draw a clip it reads {read}, which its card does not declare")
    if "other clips" not in sees:
        hidden = ["id", *(kind for kind in ("label", "frame", "attributes") if kind not in sees)]
        if _depends(trial, hidden):
            on = [kind for kind in hidden if _depends(trial, [kind])] or hidden
            raise _Broken(f"pictures change with the clip's {', '.join(on)}, which its card does not declare")
    return f"read: {', '.join(sorted(seen)) or 'nothing'}; declared: {', '.join(sees) or 'nothing'}"


def _depends(trial: _Trial, what: Sequence[str]) -> bool:
    made = trial.ready(trial.exchanged(what))
    return bool(_differing(trial.pictures, trial.draw(made, ALL, SEEDS), SAME))


def _untidy(trial: _Trial) -> str:
    first = trial.test[0]
    sounds = {
        "a silent sound": np.zeros(trial.suite.samples, np.int16),
        f"a sound of {MIN_SECONDS} s": make_sound("validation", 0)[: round(MIN_SECONDS * trial.suite.data.rate)],
    }
    clips = [
        trial._watched(Clip(f"untidy-{place}", sound, first.image, first.labels, "test"))
        for place, sound in enumerate(sounds.values())
    ]
    made = trial.ready(trial._set(clips))
    for place, what in enumerate(sounds):
        try:
            trial.draw(made, [place], [SEEDS[place]])
        except Exception as error:
            raise _Broken(f"{what} ends in {_line(error)}") from error
    return f"{' and '.join(sounds)} give pictures"


def _global_state(trial: _Trial) -> str:
    if trial.touched:
        raise _Broken(f"the process's generators were used: {', '.join(sorted(trial.touched))}; use one of your own")
    return "no global random generator was used"


def _clips(trial: _Trial) -> str:
    files = {f"the file {path.name}" for path, sha in trial.files.items() if sha256_of(path) != sha}
    if changed := trial.changed | files:
        raise _Broken(f"changed in place: {', '.join(sorted(changed))}; work on a copy")
    return "clips are as they were"


CHECKS: tuple[tuple[str, Callable[[_Trial], str], tuple[str, ...]], ...] = (
    ("settings", _settings, ()),
    ("card", _card, ()),
    ("fit", _fit, ("settings", "card")),
    ("pictures", _pictures, ("settings", "card", "fit")),
    ("determinism", _determinism, ("pictures",)),
    ("resume", _resume, ("pictures", "determinism")),
    ("seeds", _seeds, ("pictures", "determinism")),
    ("order", _order, ("pictures", "determinism")),
    ("batch", _batch, ("pictures", "determinism", "order")),
    ("sees", _sees, ("pictures", "determinism")),
    ("untidy sounds", _untidy, ("pictures",)),
    ("global state", _global_state, ("pictures",)),
    ("clips", _clips, ("pictures",)),
)
"""Name, function and what it rests on, of every check."""
