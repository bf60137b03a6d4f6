"""`bench validate`: check what every method promises on a few clips, with the networks of `mini`.

Each check is one promise. It passes, fails, or is skipped because it does not apply or rests on one that failed, and
gives the reason in one line. All files are written to a temporary folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from benchmark.clips import Clip, bad_id
from benchmark.media.audio import MIN_SECONDS
from benchmark.media.images import load_image
from benchmark.method import Conditioning, ConditioningMethod, FitReport, Method, MethodCard, MethodSettings
from benchmark.method_tools.import_cost import import_cost
from benchmark.method_tools.trial import (
    ALL,
    SEEDS,
    TEST,
    Broken,
    Counting,
    Skipped,
    Trial,
    generators_put_back,
    was_interrupted,
)
from benchmark.mini.data import make_sound
from benchmark.registries import name_of_another
from benchmark.runs.method_calls import MethodError, calling
from benchmark.utils.device import arithmetic
from benchmark.utils.errors import BenchError
from benchmark.utils.files import canonical_json, sha256_of
from benchmark.utils.progress import clock

if TYPE_CHECKING:
    from benchmark.backbone import Backbone

Result = Literal["pass", "fail", "skip"]

SAME = 0.25
"""Mean absolute difference of two images, in grey levels, that may still be rounding: a batch of another size is summed
in another order. The networks of `mini` stay below 0.001."""

OTHERS = tuple(2000 + place for place in ALL)
"""Other seeds than `SEEDS`."""

SLOW_IMPORT = 3.0
"""Seconds of importing a method's module above which the check "speed" remarks on it."""

SLOW_CLIP = 1.0
"""Seconds a clip in `condition` or `generate` above which the check "speed" remarks on it."""


@dataclass(frozen=True)
class Check:
    """One promise: its name, whether it is kept, and the reason."""

    name: str
    result: Result
    reason: str


@arithmetic()
def validate(method: type[Method], name: str | None = None, backbone: Backbone | None = None) -> list[Check]:
    """Check a method against the contract.

    Whatever the method raises, `sys.exit` included, is a failed check with a reason. Only Ctrl-C ends validation.

    Args:
        method: The class.
        name: Name that the registry found it by; None for a class that was not found by name.
        backbone: The backbone of `quick_suite`; None to load it.

    Returns:
        Each promise once, in the order of `CHECKS`.
    """
    checks: list[Check] = []
    blamed: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-validate-") as folder, generators_put_back():
        trial = Trial(method, name, backbone, Path(folder))
        for check, function, needs in CHECKS:
            # the checks that failed, not those that were skipped because of them
            if causes := list(dict.fromkeys(cause for need in needs for cause in blamed.get(need, ()))):
                blamed[check] = causes
                checks.append(Check(check, "skip", f"rests on: {', '.join(causes)}"))
                continue
            result: Result = "pass"
            try:
                reason = function(trial)
            except Skipped as skipped:
                result, reason = "skip", str(skipped)
            except BaseException as error:
                if type(error) is KeyboardInterrupt:
                    raise
                result, reason = "fail", _line(error)
            if result == "fail":
                blamed[check] = [check]
            checks.append(Check(check, result, reason))
    return checks


def _line(error: BaseException) -> str:
    """Return the error in one line; what was written for people stands without the name of its class."""
    text = str(error) if isinstance(error, (Broken, BenchError)) else f"{type(error).__name__}: {error}"
    return " ".join(text.split()).removesuffix(":")


def _differing(some: Sequence[np.ndarray], others: Sequence[np.ndarray], tolerance: float = 0.0) -> int:
    """Count the images that differ from their partner by more than rounding."""
    return sum(
        one.shape != other.shape or float(np.abs(one.astype(float) - other).mean()) > tolerance
        for one, other in zip(some, others, strict=True)
    )


def _settings(trial: Trial) -> str:
    settings = trial.method.Settings
    if not (isinstance(settings, type) and issubclass(settings, MethodSettings)):
        raise Broken("Settings is not a subclass of benchmark.MethodSettings")
    fields = settings.model_fields
    if required := [name for name, field in fields.items() if field.is_required()]:
        raise Broken(f"without a default: {', '.join(required)}; give each one, None for the suite's budget")
    if bare := [name for name, field in fields.items() if not field.description]:
        raise Broken(f"without a description: {', '.join(bare)}; put a docstring below the field")
    canonical_json(settings().model_dump(mode="json"))
    return ", ".join(fields) if fields else "none"


def _card(trial: Trial) -> str:
    card = getattr(trial.method, "card", None)
    if not isinstance(card, MethodCard):
        raise Broken("there is none: give the class a `card = MethodCard(...)`")
    if card.problems:
        raise Broken("; ".join(card.problems))
    if why := bad_id(card.name):
        raise Broken(f"its name {card.name!r} {why}")
    if trial.name not in (None, card.name):
        raise Broken(f"it says {card.name!r}, but the method was found as {trial.name!r}")
    if why := name_of_another(trial.name or trial.method, trial.method):
        raise Broken(why)
    if empty := [name for name in ("summary", "licence", "training_data") if not getattr(card, name).strip()]:
        raise Broken(f"empty: {', '.join(empty)}")
    if "unknown" in card.sees:
        raise Broken("sees 'unknown': say what the method reads to make the image of a test clip")
    return f"{card.name!r} sees {', '.join(card.sees) or 'nothing'}"


def _fit(trial: Trial) -> str:
    if not trial.method.fits:
        if trial.method.fit is not Method.fit:
            raise Broken("it has a fit(), which is never called: set `fits = True`")
        raise Skipped("it is not fitted")
    ui = Counting()
    report = trial.fit("fit", ui)
    if not isinstance(report, FitReport):
        raise Broken(f"fit() returned {_a(report)}, not a FitReport(steps, trainable_parameters)")
    if report.steps < 0 or report.trainable_parameters < 0:
        raise Broken(f"the report has {report.steps} steps, {report.trainable_parameters} parameters")
    canonical_json(report.figures)
    if not any((trial.folder / "fit").iterdir()):
        raise Broken("fit() wrote nothing to run.folder, so another process has nothing to load")
    trial.fitted = trial.folder / "fit"
    trial.progress = ui.count
    trial.ready(trial.test)
    files = ", ".join(sorted(path.name for path in trial.fitted.iterdir()))
    return f"{report.steps} steps, {report.trainable_parameters} parameters; a new instance loads {files}"


def _conditioning(trial: Trial) -> str:
    if not issubclass(trial.method, ConditioningMethod):
        raise Skipped("it owns its generator")
    given, _ = trial.condition()
    if isinstance(given, torch.Tensor):
        raise Broken("condition() returned a bare tensor: wrap it, `return Conditioning(prompt_embeds)`")
    if not isinstance(given, Conditioning):
        raise Broken(f"condition() returned {_a(given)}: end it with `return Conditioning(prompt_embeds)`")
    embeds: Any = given.prompt_embeds
    if not isinstance(embeds, torch.Tensor):
        raise Broken(f"prompt_embeds is {_a(embeds)}, not a torch.Tensor")
    example = trial.backbone.encode_prompts(["x"])
    wanted, shape = (TEST, *example.shape[1:]), tuple(embeds.shape)
    if len(shape) != 3:
        raise Broken(
            f"prompt_embeds has shape {shape}, not (clips, positions, width), here {wanted}; "
            "self.run.backbone.inject(tokens) makes such of one token a clip"
        )
    if shape[0] != TEST:
        raise Broken(f"prompt_embeds has {shape[0]} rows for {TEST} clips: give one a clip, in the order of `clips`")
    made: Any = trial.made.method
    # A method may have another length, where it says what guidance leads away from at that length.
    length = made.run.backbone.negative.shape[1]
    if shape[1] != length:
        raise Broken(f"prompt_embeds has {shape[1]} positions a clip: the backbone's negative prompt has {length}")
    if shape[2] != wanted[2]:
        raise Broken(f"prompt_embeds has width {shape[2]}: the backbone's cross-attention takes {wanted[2]}")
    if embeds.dtype != example.dtype:
        raise Broken(f"prompt_embeds is {_dtype(embeds)}, the backbone takes {_dtype(example)}: convert it with .to()")
    finite = torch.isfinite(embeds).flatten(1).all(1).tolist()
    if bad := [clip for clip, good in zip(trial.test.ids, finite, strict=True) if not good]:
        raise Broken(f"prompt_embeds holds NaN or infinite values for {len(bad)} of {TEST} clips, first {bad[0]!r}")
    return f"prompt_embeds {shape}, finite"


def _a(given: Any) -> str:
    """Return the words for an object of the wrong type."""
    kind = type(given)
    if given is None:
        return "None"
    return f"a {kind.__name__}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__name__}"


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _images(trial: Trial) -> str:
    images = trial.images
    for image in images:
        load_image(image)
    with calling(trial.method, "encoders()"):
        brought: Any = trial.made.method.encoders()
    if not isinstance(brought, dict) or not all(isinstance(text, str) for pair in brought.items() for text in pair):
        raise Broken(f"encoders() returned {_a(brought)}, not a dict of texts, name to sha256")
    sizes = sorted({f"{image.shape[1]} x {image.shape[0]}" for image in images})
    return f"{len(images)} of {', '.join(sizes)}; networks: {', '.join(brought) or 'none of its own'}"


def _determinism(trial: Trial) -> str:
    if count := _differing(trial.images, trial.draw(trial.made, ALL, SEEDS)):
        raise Broken(f"generated again, {count} of {TEST} images differ: take all randomness from `seeds`")
    if count := _differing(trial.images, trial.draw(trial.ready(trial.test), ALL, SEEDS)):
        raise Broken(f"generated by a new instance, {count} of {TEST} images differ: seed setup() and load()")
    return "same clips and seeds, same images"


def _resume(trial: Trial) -> str:
    if not trial.method.fits:
        raise Skipped("it is not fitted")
    stop = trial.progress // 2 + 1 if trial.progress else None
    try:
        trial.fit("interrupted", Counting(stop))
    except MethodError as error:
        if not was_interrupted(error):
            raise
    trial.fit("interrupted", Counting())
    again = trial.draw(trial.ready(trial.test, trial.folder / "interrupted"), ALL, SEEDS)
    what = "was interrupted and continued" if stop else "was started again (it reports no progress with run.ui.task)"
    if count := _differing(trial.images, again):
        raise Broken(f"after a fit that {what}, {count} of {TEST} images differ from those of one that was not")
    return f"a fit that {what} gives the same images"


def _seeds(trial: Trial) -> str:
    differ = _differing(trial.images, trial.draw(trial.made, ALL, OTHERS))
    if trial.method.random and not differ:
        raise Broken("other seeds give the same images: use `seeds`, or set `random = False`")
    if not trial.method.random and differ:
        raise Broken("random is False, but other seeds give other images")
    return "other seeds, other images" if trial.method.random else "images depend on no seed, as it says"


def _batch(trial: Trial) -> str:
    """Give a clip other neighbours, at the same place in the call: what the place does is the next check's."""
    promise = (
        "an image must not depend on its neighbours in the call (no mean, maximum or normalisation over the batch)"
    )
    try:
        fewer, singly = trial.draw(trial.made, ALL[:-1], SEEDS[:-1]), trial.singly
    except BenchError as error:
        raise Broken(f"without its neighbours a clip ends in: {_line(error)}; {promise}") from error
    middle = TEST // 2
    company = _differing([*trial.images[:-1], trial.images[middle]], [*fewer, trial.turned[middle]], SAME)
    alone = _differing(trial.images, singly, SAME)
    # What differs alone and in another order, but not in other company, depends on the place: the next check says so.
    if company or (alone and not _differing(trial.images, trial.turned, SAME)):
        how = f"generated one at a time, {alone} of {TEST} images differ" if alone else "other neighbours, other images"
        raise Broken(f"{how}: {promise}")
    return "images do not depend on their neighbours in the call"


def _order(trial: Trial) -> str:
    if count := _differing(trial.images, trial.turned, SAME):
        raise Broken(f"in another order, {count} of {TEST} images differ: a clip's place in the call must not matter")
    return "images do not depend on the order of the clips"


def _sees(trial: Trial) -> str:
    sees = trial.method.card.sees
    allowed = {*sees, *(["label list"] if "label" in sees else [])}
    trial.singly  # noqa: B018  # fills the watch
    seen = trial.watch.seen
    if undeclared := [kind for kind in seen if kind not in allowed]:
        read = ", ".join(f"the {kind} ({seen[kind]})" for kind in undeclared)
        raise Broken(f"for the image of a clip it reads {read}, which its card does not declare")
    if "other clips" not in sees:
        hidden = ["id", *(kind for kind in ("label", "frame", "attributes") if kind not in sees)]
        if _depends(trial, hidden):
            on = [kind for kind in hidden if _depends(trial, [kind])] or hidden
            raise Broken(f"images change with the clip's {', '.join(on)}, which its card does not declare")
    return f"read: {', '.join(sorted(seen)) or 'nothing'}; declared: {', '.join(sees) or 'nothing'}"


def _depends(trial: Trial, what: Sequence[str]) -> bool:
    made = trial.ready(trial.exchanged(what))
    return bool(_differing(trial.images, trial.draw(made, ALL, SEEDS), SAME))


def _untidy(trial: Trial) -> str:
    first = trial.test[0]
    sounds = {
        "a silent sound": np.zeros(trial.suite.samples, np.int16),
        f"a sound of {MIN_SECONDS} s": make_sound("validation", 0)[: round(MIN_SECONDS * trial.suite.data.rate)],
    }
    clips = [
        trial.watched(Clip(f"untidy-{place}", sound, first.image, first.labels, "test"))
        for place, sound in enumerate(sounds.values())
    ]
    made = trial.ready(trial.clip_set(clips))
    for place, what in enumerate(sounds):
        try:
            trial.draw(made, [place], [SEEDS[place]])
        except Exception as error:
            raise Broken(f"{what} ends in: {_line(error)}") from error
    return f"{' and '.join(sounds)} give images"


def _global_state(trial: Trial) -> str:
    if trial.touched:
        used = ", ".join(sorted(trial.touched))
        raise Broken(f"random generators that the whole process shares were used: {used}; make one of your own")
    return "no global random generator was used"


def _clips(trial: Trial) -> str:
    files = {f"the file {path.name}" for path, sha in trial.files.items() if sha256_of(path) != sha}
    if changed := trial.changed | files:
        raise Broken(f"changed in place: {', '.join(sorted(changed))}; work on a copy")
    return "clips are as they were"


def _speed(trial: Trial) -> str:
    """Measures and never fails: what is slow is the author's to judge."""
    cost = import_cost(trial.method.__module__)
    said = ["import not measured (another process cannot repeat it)"]
    if cost is not None:
        said = [f"import {clock(cost.seconds)}"]
        if cost.seconds > SLOW_IMPORT:
            heavy = ", ".join(f"{package} {clock(seconds)}" for package, seconds in cost.packages[:3] if seconds > 0.5)
            where = f" ({heavy})" if heavy else ""
            said = [
                f"slow import, {clock(cost.seconds)}{where}: `bench list methods` waits for it; import heavy packages, "
                "and load weights, inside the functions that use them"
            ]
    step, seconds = "generate()", trial.fastest
    if issubclass(trial.method, ConditioningMethod):
        step, seconds = "condition()", trial.condition()[1]
    if seconds > SLOW_CLIP:
        clips = trial.suite.data.test
        whole = f"{clock(seconds * clips)} for the {clips} clips of mini"
        said.append(f"slow {step}, {clock(seconds)} a clip on this machine: {whole}")
    else:
        said.append(f"{step} {seconds:.2g} s a clip")
    return "; ".join(said)


CHECKS: tuple[tuple[str, Callable[[Trial], str], tuple[str, ...]], ...] = (
    ("settings", _settings, ()),
    ("card", _card, ()),
    ("fit", _fit, ("settings", "card")),
    ("conditioning", _conditioning, ("fit",)),
    ("images", _images, ("conditioning",)),
    ("determinism", _determinism, ("images",)),
    ("resume", _resume, ("determinism",)),
    ("seeds", _seeds, ("determinism",)),
    ("batch", _batch, ("determinism",)),
    ("order", _order, ("batch",)),
    ("sees", _sees, ("batch",)),
    ("untidy sounds", _untidy, ("batch",)),
    ("global state", _global_state, ("images",)),
    ("clips", _clips, ("images",)),
    ("speed", _speed, ("images",)),
)
"""Every check: its name, its function, and the checks that it rests on; what those rest on counts too."""
