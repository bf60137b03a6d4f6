"""Every promise is checked: a method that breaks one fails that check and no other, and ours keep all."""

from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import worlds
from pydantic import Field

from benchmark import registries
from benchmark.clips import ClipSet
from benchmark.method import Conditioning, ConditioningMethod, FitReport, Method, MethodCard, MethodSettings
from benchmark.method_tools import trial
from benchmark.method_tools import validate as validation
from benchmark.method_tools.import_cost import ImportCost, import_cost
from benchmark.method_tools.trial import quick_suite
from benchmark.method_tools.validate import CHECKS, Check, validate
from benchmark.registries import find_method
from benchmark.suite import load_suite
from benchmark.utils.errors import RunError, UserError

CARD = MethodCard(name="good", summary="for tests", sees=("audio",), licence="none", training_data="none")
NAMES = [name for name, _, _ in CHECKS]


@pytest.fixture(autouse=True)
def quick_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import of this module, with pytest and torch, is measured for no test."""
    monkeypatch.setattr(validation, "import_cost", lambda module: ImportCost(0.1, ()))


class Backbone:
    """A stand-in that costs nothing: an image of the conditioning's mean and of the seed's noise."""

    def encode_prompts(self, prompts: Sequence[str]) -> torch.Tensor:
        return torch.zeros(len(prompts), 5, 3)

    @property
    def negative(self) -> torch.Tensor:
        return self.encode_prompts([""])

    def sample(self, embeds: torch.Tensor, seeds: Sequence[int]) -> list[np.ndarray]:
        if not bool(torch.isfinite(embeds).all()):
            raise RunError("the backbone gave an image with NaN")
        return [noise(seed, float(row.mean())) for row, seed in zip(embeds, seeds, strict=True)]


def noise(seed: int, level: float) -> np.ndarray:
    shift = 90 * np.sin(40 * np.nan_to_num(level, posinf=0))
    return (np.random.default_rng(seed).integers(0, 56, (6, 6, 3)) + 100 + shift).astype(np.uint8)


def loudness(wave: np.ndarray) -> float:
    return float(np.abs(wave).mean() * 100)


class Good(Method):
    """Keeps every promise; the bad ones below each break one."""

    card: ClassVar[MethodCard] = CARD

    def level(self, clip: Any) -> float:
        return loudness(self.run.suite.sound(clip))

    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        return [noise(seed, self.level(clip)) for clip, seed in zip(clips, seeds, strict=True)]


class Fitted(Good):
    """Fits the mean loudness, in steps that it could continue from."""

    fits = True

    def fit(self, train: ClipSet) -> FitReport:
        state = self.run.folder / "state.txt"
        done, total = map(float, state.read_text().split()) if state.exists() else (0, 0.0)
        with self.run.ui.task("fitting", len(train), "clips") as advance:
            for place in range(int(done), len(train)):
                total += self.level(train[place])
                state.write_text(f"{place + 1} {total!r}")
                advance(1)
        (self.run.folder / "fit.txt").write_text(repr(total))
        return FitReport(1, 1)

    def load(self) -> None:
        self.mean = float((self.run.folder / "fit.txt").read_text())

    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        return [noise(seed, self.level(clip) + self.mean) for clip, seed in zip(clips, seeds, strict=True)]


class Conditions(ConditioningMethod):
    card = CARD

    def condition(self, clips: Sequence[Any]) -> Conditioning:
        return Conditioning(torch.tensor([[[loudness(clip.waveform())] * 3] * 5 for clip in clips]))


def failed(method: type[Method], name: str | None = None) -> list[Check]:
    checks = validate(method, name, Backbone())  # type: ignore[arg-type]
    assert [check.name for check in checks] == NAMES
    assert all(check.reason and "\n" not in check.reason for check in checks)
    return [check for check in checks if check.result == "fail"]


@pytest.mark.parametrize("method", [Good, Fitted, Conditions])
def test_a_good_method_keeps_every_promise(method: type[Method]) -> None:
    checks = validate(method, "good", Backbone())  # type: ignore[arg-type]
    skipped = [check.name for check in checks if check.result == "skip"]
    assert [check.name for check in checks if check.result == "fail"] == []
    without_fit = [] if method.fits else ["fit", "resume"]
    assert skipped == [*without_fit[:1], *([] if method is Conditions else ["conditioning"]), *without_fit[1:]]


# ------------------------------------------------------------------------------------------------------------ the bad


class NeedsSetting(Good):
    class Settings(MethodSettings):
        number: int
        """A number."""


class BareSetting(Good):
    class Settings(MethodSettings):
        number: int = 3


class OtherSettings(Good):
    class Settings(MethodSettings):
        steps: int = Field(100, ge=50)
        """Steps."""

    def level(self, clip: Any) -> float:
        assert self.settings.model_dump() == {"steps": 100}
        return super().level(clip)


class NoLicence(Good):
    card = CARD.model_copy(update={"licence": " "})


class Unsure(Good):
    card = CARD.model_copy(update={"sees": ("unknown",)})


class WrongCard(Good):
    card = MethodCard(name="good", summary="for tests", sees=("ears",), licence="none")


class NoCard(Method):
    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        return []


class NeverFitted(Fitted):
    fits = False


class NoReport(Fitted):
    def fit(self, train: ClipSet) -> Any:
        super().fit(train)


class KeepsFitToItself(Fitted):
    def fit(self, train: ClipSet) -> FitReport:
        return FitReport(1, 1)


class LoadFails(Fitted):
    def load(self) -> None:
        raise OSError("no such network")


class StartsTwice(Fitted):
    def fit(self, train: ClipSet) -> FitReport:
        state = self.run.folder / "state.txt"
        if state.exists():
            done, total = state.read_text().split()
            state.write_text(f"{int(done) - 1} {total}")
        return super().fit(train)


class NoHash(Good):
    def encoders(self) -> Any:
        return {"network": None}


class TooFew(Good):
    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        return super().generate(clips, seeds)[:-1]


class Crashes(Good):
    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        raise ZeroDivisionError("division\nby zero")


def conditions(change: Any) -> type[Method]:
    """A method that gives `change(prompt_embeds)` where a Conditioning is expected."""

    class Changed(Conditions):
        def condition(self, clips: Sequence[Any]) -> Any:
            return change(super().condition(clips).prompt_embeds)

    return Changed


def with_nan(embeds: torch.Tensor) -> Conditioning:
    embeds[1, 1, 1] = float("nan")
    return Conditioning(embeds)


class NoCondition(ConditioningMethod):
    card = CARD


class NoRun(Good):
    def setup(self, run: Any) -> None:
        self.context = run


class Moody(Good):
    def level(self, clip: Any) -> float:
        return super().level(clip) + os.urandom(1)[0]


class DiffersByInstance(Good):
    def __init__(self, settings: MethodSettings) -> None:
        super().__init__(settings)
        self.weight = torch.rand(1).item()

    def level(self, clip: Any) -> float:
        return super().level(clip) * self.weight


class Deaf(Good):
    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        return super().generate(clips, [0] * len(clips))


class SecretlyRandom(Good):
    random = False


class Counts(Good):
    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        return [np.roll(p, 50 * place) for place, p in enumerate(super().generate(clips, seeds))]


class Averages(Good):
    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        mean = sum(self.level(clip) for clip in clips) / len(clips)
        return [noise(seed, mean) for seed in seeds]


class Anchors(Good):
    """Relates every clip to the first of the call, so the order matters too."""

    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        first = self.level(clips[0])
        return [noise(seed, self.level(clip) - first) for clip, seed in zip(clips, seeds, strict=True)]


class Accumulates(Good):
    """Each clip's image depends on those before it in the call."""

    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        levels = np.cumsum([self.level(clip) for clip in clips])
        return [noise(seed, level) for level, seed in zip(levels, seeds, strict=True)]


class SingleIsSpecial(Good):
    """The classic `squeeze()`: a batch of one takes another path."""

    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        levels = np.array([self.level(clip) for clip in clips]).squeeze()
        return [noise(seed, float(levels[i]) if levels.ndim else 0.0) for i, seed in enumerate(seeds)]


class Standardises(Conditions):
    """By the batch's deviation, which a batch of one has not: NaN."""

    def condition(self, clips: Sequence[Any]) -> Conditioning:
        apart = (embeds := super().condition(clips).prompt_embeds) - embeds.mean(0)
        return Conditioning(apart / (apart.square().sum(0) / (len(clips) - 1)).sqrt())


class BatchNorm(Conditions):
    """A network that was left in training mode."""

    def setup(self, run: Any) -> None:
        super().setup(run)
        self.norm = torch.nn.BatchNorm1d(5)

    def condition(self, clips: Sequence[Any]) -> Conditioning:
        with torch.no_grad():
            return Conditioning(self.norm(super().condition(clips).prompt_embeds))


class ReadsLabel(Good):
    def level(self, clip: Any) -> float:
        return super().level(clip) + len(clip.label)


class ReadsFrame(Good):
    def level(self, clip: Any) -> float:
        try:
            return super().level(clip) + float(np.asarray(clip.picture()).mean())
        except AttributeError:
            return 0.0


class ReadsAttributes(Good):
    def level(self, clip: Any) -> float:
        return super().level(clip) + len(clip.attributes)


class ReadsLabelList(Good):
    def level(self, clip: Any) -> float:
        return super().level(clip) + len(self.run.test.labels)


class ReadsNeighbour(Good):
    def level(self, clip: Any) -> float:
        return super().level(self.run.test[0])


class LooksAtAll(Good):
    def setup(self, run: Any) -> None:
        super().setup(run)
        self.labels = {clip.id: clip.labels for clip in run.test}


class KnowsIds(Good):
    def level(self, clip: Any) -> float:
        return super().level(clip) + sum(map(ord, clip.id))


class NoSilence(Good):
    def level(self, clip: Any) -> float:
        level = super().level(clip)
        if not level:
            raise ValueError("cannot normalise")
        return level


class NoShort(Good):
    def level(self, clip: Any) -> float:
        return loudness(np.lib.stride_tricks.sliding_window_view(clip.waveform(), 1024)[:, 0])


class Global(Good):
    def level(self, clip: Any) -> float:
        torch.rand(1)
        return super().level(clip)


class GlobalNumpy(Good):
    def level(self, clip: Any) -> float:
        np.random.seed(0)
        return super().level(clip)


class GlobalFit(Fitted):
    def fit(self, train: ClipSet) -> FitReport:
        random.random()
        return super().fit(train)


class ChangesSound(Good):
    def level(self, clip: Any) -> float:
        level = super().level(clip)
        if isinstance(clip.audio, np.ndarray):
            clip.audio[...] = 0
        return level


class ChangesFile(Good):
    def level(self, clip: Any) -> float:
        level = super().level(clip)
        if isinstance(clip.audio, Path):
            clip.audio.write_bytes(clip.audio.read_bytes() + b"\0")
        return level


@pytest.mark.parametrize(
    ("method", "check", "words"),
    [
        (NeedsSetting, "settings", "number"),
        (BareSetting, "settings", "number"),
        (NoLicence, "card", "licence"),
        (Unsure, "card", "'unknown'"),
        (WrongCard, "card", "training_data: field required"),
        (NoCard, "card", "MethodCard"),
        (NeverFitted, "fit", "fits = True"),
        (NoReport, "fit", "fit() returned None, not a FitReport"),
        (KeepsFitToItself, "fit", "run.folder"),
        (LoadFails, "fit", "no such network"),
        (StartsTwice, "resume", "interrupted"),
        (NoHash, "images", "name to sha256"),
        (TooFew, "images", "2 images for 3 clips"),
        (Crashes, "images", "ZeroDivisionError: division by zero"),
        (NoCondition, "conditioning", "it has no condition()"),
        (conditions(lambda e: None), "conditioning", "condition() returned None"),
        (conditions(lambda e: e), "conditioning", "a bare tensor: wrap it"),
        (conditions(lambda e: (e, e)), "conditioning", "condition() returned a tuple"),
        (conditions(lambda e: Conditioning(e.numpy())), "conditioning", "a numpy.ndarray, not a torch.Tensor"),
        (conditions(lambda e: Conditioning(e[:, 0])), "conditioning", "shape (3, 3), not (clips, positions, width)"),
        (conditions(lambda e: Conditioning(e[:2])), "conditioning", "2 rows for 3 clips"),
        (conditions(lambda e: Conditioning(e[:, :4])), "conditioning", "4 positions a clip"),
        (conditions(lambda e: Conditioning(e[..., :2])), "conditioning", "width 2"),
        (conditions(lambda e: Conditioning(e.double())), "conditioning", "float64, the backbone takes float32"),
        (conditions(with_nan), "conditioning", "1 of 3 clips, first 'validation-01'"),
        (NoRun, "images", "super().setup(run)"),
        (Moody, "determinism", "generated again"),
        (DiffersByInstance, "determinism", "new instance"),
        (Deaf, "seeds", "random = False"),
        (SecretlyRandom, "seeds", "random is False"),
        (Counts, "order", "another order"),
        (Averages, "batch", "neighbours"),
        (Anchors, "batch", "neighbours"),
        (Accumulates, "batch", "neighbours"),
        (SingleIsSpecial, "batch", "neighbours"),
        (Standardises, "batch", "neighbours"),
        (BatchNorm, "batch", "neighbours"),
        (ReadsLabel, "sees", "clip.label"),
        (ReadsFrame, "sees", "clip.picture"),
        (ReadsAttributes, "sees", "clip.attributes"),
        (ReadsLabelList, "sees", "clips.labels"),
        (ReadsNeighbour, "sees", "other clips"),
        (LooksAtAll, "sees", "clip.labels"),
        (KnowsIds, "sees", "the clip's id"),
        (NoSilence, "untidy sounds", "ValueError: cannot normalise"),
        (NoShort, "untidy sounds", "0.05 s"),
        (Global, "global state", "torch in generate"),
        (GlobalNumpy, "global state", "numpy.random in generate"),
        (GlobalFit, "global state", "random in fit"),
        (ChangesSound, "clips", "clip.audio in generate"),
        (ChangesFile, "clips", ".wav"),
    ],
)
def test_a_broken_promise_is_the_only_one_that_fails(method: type[Method], check: str, words: str) -> None:
    (found,) = failed(method)
    assert found.name == check and words in found.reason


# ------------------------------------------------------------------------------------------------- whatever is raised


class Stop(KeyboardInterrupt):
    """Not Ctrl-C, though it looks like it."""


RAISED = {
    "ValueError": ValueError("cannot"),
    "SystemExit": SystemExit(0),
    "Stop": Stop("enough"),
    "StopIteration": StopIteration(),
    "GeneratorExit": GeneratorExit(),
}

STEPS = {"setup": "fit", "fit": "fit", "load": "fit", "condition": "conditioning", "generate": "images"}
"""A method's function, and the check that fails where it raises."""


def test_a_skipped_check_names_the_one_that_failed() -> None:
    checks = {check.name: check for check in validate(LoadFails, None, Backbone())}  # type: ignore[arg-type]
    assert {checks[name].reason for name in NAMES[3:]} == {"rests on: fit"}
    assert {checks[name].result for name in NAMES[3:]} == {"skip"}


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("step", STEPS)
def test_whatever_is_raised_fails_a_check_with_its_place(step: str, kind: str) -> None:
    def raises(*arguments: Any) -> Any:
        raise RAISED[kind]

    base = Conditions if step == "condition" else Fitted
    (found,) = failed(type("Raises", (base,), {step: raises}))
    assert found.name == STEPS[step]
    assert f"failed in {step}()" in found.reason and kind in found.reason
    place = re.search(r"\((\S+):(\d+)\)", found.reason)
    assert place is not None and Path(place[1]) == Path(__file__)
    assert "raise RAISED[kind]" in Path(__file__).read_text().splitlines()[int(place[2]) - 1]


def test_the_place_is_in_the_methods_own_file() -> None:
    """Not in the library that it calls."""

    class Misuses(Conditions):
        def condition(self, clips: Sequence[Any]) -> Conditioning:
            return Conditioning(torch.stack([torch.zeros(2), torch.zeros(3)]))

    (found,) = failed(Misuses)
    assert Path(__file__).name + ":" in found.reason and "RuntimeError: stack expects" in found.reason


def test_a_message_for_people_stands_alone() -> None:
    class Asks(Good):
        def setup(self, run: Any) -> None:
            raise UserError("give --set file=PATH")

    (found,) = failed(Asks)
    assert found.reason == "give --set file=PATH"


def test_ctrl_c_ends_validation() -> None:
    class Interrupted(Good):
        def level(self, clip: Any) -> float:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failed(Interrupted)


# --------------------------------------------------------------------------------------------------------------- speed


@pytest.fixture
def slow_module(tmp_path: Path) -> Iterator[type[Method]]:
    """A method whose file imports a module that takes a moment."""
    (tmp_path / "heavy_of_a_test.py").write_text("import time\ntime.sleep(0.6)\nprint('loaded')\n")
    path = worlds.method_file(tmp_path, worlds.NOISE, more="\nimport heavy_of_a_test\n")
    before = list(sys.path)
    yield find_method(path)
    sys.path[:] = before
    sys.modules.pop("heavy_of_a_test", None)


def test_the_import_of_a_module_is_measured_in_a_fresh_process(slow_module: type[Method]) -> None:
    cost = import_cost(slow_module.__module__)
    assert cost is not None and 0.6 <= cost.seconds < 30
    assert cost.packages[0][0] == "heavy_of_a_test" and cost.packages[0][1] >= 0.6
    assert import_cost("__main__") is None and import_cost("no.such.module") is None


def test_what_is_slow_is_said_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def said(method: type[Method]) -> str:
        (speed,) = [check for check in validate(method, None, Backbone()) if check.name == "speed"]  # type: ignore[arg-type]
        assert speed.result == "pass"
        return speed.reason

    quick = said(Conditions)
    assert quick.startswith("import 0.1 s; condition() ") and "slow" not in quick
    monkeypatch.setattr(validation, "import_cost", lambda module: ImportCost(7.2, (("torch", 6.5), ("json", 0.001))))
    monkeypatch.setattr(validation, "SLOW_CLIP", 0.0)
    slow = said(Conditions)
    assert (
        "slow import, 7.2 s (torch 6.5 s)" in slow
        and "slow condition()" in slow
        and f"{load_suite('mini').data.test} clips of mini" in slow
    )
    monkeypatch.setattr(validation, "import_cost", lambda module: None)
    assert "import not measured" in (reason := said(Good)) and "slow generate()" in reason


def test_what_a_card_declares_may_be_used() -> None:
    for method, sees in (
        (ReadsLabel, ("audio", "label")),
        (ReadsFrame, ("audio", "frame")),
        (ReadsLabelList, ("audio", "label list")),
        (ReadsLabelList, ("audio", "label")),
        (ReadsNeighbour, ("audio", "other clips")),
    ):
        card = CARD.model_copy(update={"sees": sees})
        assert failed(type("Declared", (method,), {"card": card})) == [], method


def test_a_method_is_found_by_its_cards_name() -> None:
    (found,) = failed(Good, "better")
    assert found.name == "card" and "'better'" in found.reason and "'good'" in found.reason


def test_settings_that_cannot_be_made_quick_stay_as_they_are() -> None:
    assert failed(OtherSettings) == []


def test_validation_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    states = random.getstate(), np.random.get_state()[2], torch.get_rng_state()
    failed(Fitted)
    assert random.getstate() == states[0] and np.random.get_state()[2] == states[1]
    assert torch.equal(torch.get_rng_state(), states[2]) and not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------ the real


@pytest.fixture(scope="module")
def backbone() -> Any:
    return registries.BACKBONES.get("mini")(quick_suite(), "cpu")


@pytest.mark.parametrize("name", ["reference", "sd-text", "shuffled"])
def test_the_methods_of_this_project_keep_every_promise(name: str, backbone: Any) -> None:
    """`shuffled` stands for `audiotoken` too, whose fit and conditioning it is, with other clips to look at."""
    from benchmark.registries import METHODS

    checks = validate(METHODS.get(name), name, backbone)
    assert [check for check in checks if check.result == "fail"] == []


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(get=lambda name: lambda suite, device: Backbone())
    monkeypatch.setattr(trial, "BACKBONES", stand_in)
    good = worlds.bench("validate", worlds.method_file(tmp_path, worlds.NOISE), "--json")
    assert good.code == 0 and [row["check"] for row in good.json] == NAMES
    assert {row["result"] for row in good.json} == {"pass", "skip"} and all(row["reason"] for row in good.json)
    bad = worlds.bench("validate", worlds.method_file(tmp_path, worlds.GREY, name="grey"))
    assert bad.code == 1 and "seeds" in bad.out and "random = False" in bad.out
    taken = worlds.bench("validate", worlds.method_file(tmp_path, worlds.NOISE, name="sd-text"))
    assert taken.code == 1 and "is the name of" in taken.out, "`bench run` refuses it, too"
    unknown = worlds.bench("validate", "audiotokn")
    assert unknown.code == 2 and unknown.out == "" and "'audiotoken'" in unknown.err
