"""What a method is to the harness: found, set up, and told what is wrong with its settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import worlds
from pydantic import Field

from audiotoken.method import AudioToken, AudioTokenCL
from baselines.reference import Reference
from baselines.sd_text import SDText
from baselines.shuffled import Shuffled
from benchmark.method import Conditioning, ConditioningMethod, Method, MethodCard, MethodSettings, make_settings
from benchmark.registries import METHODS, find_method
from benchmark.utils.errors import UserError

OURS = {
    "audiotoken": AudioToken,
    "audiotoken-cl": AudioTokenCL,
    "reference": Reference,
    "sd-text": SDText,
    "shuffled": Shuffled,
}


class Settings(MethodSettings):
    number: int = Field(3, ge=1)
    """A number."""
    word: str | None = "x"
    """A word."""
    ratio: float = 0.5
    """A ratio."""
    on: bool = False
    """A switch."""


class Toy(Method):
    card = MethodCard(name="toy", summary="for tests", sees=("audio",), licence="none", training_data="none")
    Settings = Settings

    def generate(self, clips: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        return []


def test_texts_become_values() -> None:
    made: Any = make_settings(Toy, {"number": "7", "word": "None", "ratio": "1e-3", "on": "true"})
    assert (made.number, made.word, made.ratio, made.on) == (7, None, 0.001, True)
    assert make_settings(Toy, {}) == Settings()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nmber": "7"}, ["nmber='7'", "'toy'", "number (default 3)"]),
        ({"number": "0"}, ["number='0'", "greater than or equal to 1"]),
        ({"number": "1.5"}, ["number='1.5'"]),
        ({"number": "none"}, ["number=None"]),
        ({"ratio": "nan"}, ["ratio='nan'", "finite"]),
        ({"ratio": "-inf"}, ["ratio='-inf'", "finite"]),
        ({"on": "perhaps"}, ["on='perhaps'"]),
    ],
)
def test_a_wrong_setting_is_a_line_that_names_it(given: dict[str, str], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        make_settings(Toy, given)
    (line,) = caught.value.problems
    assert all(word in line for word in words), line


def test_all_wrong_settings_are_listed_at_once() -> None:
    with pytest.raises(UserError) as caught:
        make_settings(Toy, {"number": "0", "on": "perhaps", "what": "x"})
    assert len(caught.value.problems) == 3


def test_the_methods_of_this_project() -> None:
    assert {name: METHODS.get(name) for name in OURS} == OURS
    for name, method in OURS.items():
        assert method.card.name == name
        assert set(method.Settings.model_fields) == {
            field for field, value in method.Settings.model_fields.items() if value.description
        }, "a setting without a description"
    assert not Reference.random and not Reference.draws and not Reference.fits
    assert AudioToken.Settings().model_dump()["lambda_c"] == 0 < AudioTokenCL.Settings().model_dump()["lambda_c"]
    assert AudioToken.card.sees == AudioTokenCL.card.sees == ("audio",) and Reference.card.sees == ("frame",)


def test_a_file_names_a_class(tmp_path: Path) -> None:
    path = worlds.method_file(tmp_path, worlds.GREY, name="mine")
    assert find_method(path).card.name == "mine"
    with pytest.raises(UserError, match="does not exist"):
        find_method(str(tmp_path / "nowhere.py:Plain"))
    with pytest.raises(UserError, match="'Plane'"):
        find_method(path.replace("Plain", "Plane"))
    with pytest.raises(UserError, match="is not a subclass"):
        find_method(path.replace("Plain", "Image"))
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(UserError, match="names a file, not the class in it"):
        find_method(str(tmp_path / "pipe.py"))  # its classes are guessed for a hint: nothing is waited for
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(UserError, match="ZeroDivisionError"):
        find_method(f"{tmp_path / 'broken.py'}:Plain")


def test_a_method_that_says_that_it_fits_must_do_so() -> None:
    with pytest.raises(TypeError, match="'toy' says that it fits"):
        Toy(Settings()).fit(None)  # type: ignore[arg-type]
    assert Toy(Settings()).encoders() == {} and Toy(Settings()).load() is None  # type: ignore[func-returns-value]
    assert Toy(Settings(number=9)).fit_identity() == ("toy", {"number": 9, "word": "x", "ratio": 0.5, "on": False})


def test_a_conditioning_method_only_conditions() -> None:
    class Backbone:
        def sample(self, embeds: Any, seeds: Any) -> Any:
            return [f"{embeds}{seed}" for seed in seeds]

    class Run:
        backbone = Backbone()

    class Conditions(ConditioningMethod):
        card = Toy.card

        def condition(self, clips: Sequence[Any]) -> Conditioning:
            return Conditioning("".join(clips))  # type: ignore[arg-type]

    method = Conditions(MethodSettings())
    method.setup(Run())  # type: ignore[arg-type]
    assert method.generate(["a", "b"], [1, 2]) == ["ab1", "ab2"]  # type: ignore[list-item]


@pytest.mark.parametrize("missing", ["Method", "ConditioningMethod"])
def test_what_a_method_must_have(missing: str) -> None:
    with pytest.raises(TypeError, match="abstract"):
        {"Method": Method, "ConditioningMethod": ConditioningMethod}[missing](MethodSettings())  # type: ignore[abstract]
