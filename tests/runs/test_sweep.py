"""Several values of a setting are several runs, unless the setting takes the text as one value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BeforeValidator, Field, field_validator
from worlds import bench, things

from benchmark.method import Method, MethodSettings
from benchmark.runs.sweep import grid
from benchmark.utils.errors import UserError


def split(value: Any) -> Any:
    return [float(part) for part in value.split(",")] if isinstance(value, str) else value


class Settings(MethodSettings):
    weight: float = Field(0.0, ge=0)
    kind: Literal["a", "b"] = "a"
    on: bool = False
    steps: int | None = None
    prompt: str = "a photo"
    layers: Annotated[list[float], BeforeValidator(split)] = []
    rates: tuple[float, ...] = ()

    @field_validator("rates", mode="before")
    @classmethod
    def _rates(cls, value: Any) -> Any:
        return split(value)


class Swept(Method):
    Settings = Settings


def test_numbers_choices_and_switches_are_several_values():
    assert grid(Swept, {"weight": "0.01, 0.1"}) == [{"weight": "0.01"}, {"weight": "0.1"}]
    assert [one["kind"] for one in grid(Swept, {"kind": "a,b"})] == ["a", "b"]
    assert [one["on"] for one in grid(Swept, {"on": "true,false"})] == ["true", "false"]
    assert [one["steps"] for one in grid(Swept, {"steps": "none,5"})] == ["none", "5"]


def test_texts_and_lists_keep_their_commas():
    for given in ({"prompt": "a dog, a cat"}, {"layers": "1,2"}, {"rates": "0.1,0.2"}):
        assert grid(Swept, given) == [given]


def test_all_combinations_in_order():
    found = grid(Swept, {"weight": "1,2", "prompt": "x,y", "steps": "3,4"})
    assert [(one["weight"], one["prompt"], one["steps"]) for one in found] == [
        ("1", "x,y", "3"),
        ("1", "x,y", "4"),
        ("2", "x,y", "3"),
        ("2", "x,y", "4"),
    ]


def test_bad_values_are_left_for_the_plan_and_gaps_are_refused():
    assert grid(Swept, {"weight": "-1,2"}) == [{"weight": "-1"}, {"weight": "2"}]
    assert grid(Swept, {"weihgt": "1,2"}) == [{"weihgt": "1,2"}], "refused by its name, once"
    assert grid(Swept, {"weight": "1,1"}) == [{"weight": "1"}]
    with pytest.raises(UserError, match=r"--set weight=1,,2: a value between the commas is missing"):
        grid(Swept, {"weight": "1,,2"})
    with pytest.raises(UserError, match="unknown method"):
        grid("nobody", {"weight": "1,2"})


def test_nothing_is_looked_up_without_a_comma():
    assert grid("nobody", {"weight": "1"}) == [{"weight": "1"}] and grid("nobody", {}) == [{}]


METHOD = '''
from PIL import Image
from pydantic import Field
from benchmark.method import Method, MethodCard, MethodSettings


class Level(MethodSettings):
    """Settings."""

    level: int = Field(100, ge=0, le=255)
    """Grey level."""


class Grey(Method):
    """Costs nothing: a grey picture."""

    card = MethodCard(name="grey", summary="for tests", sees=("audio",), licence="none", training_data="none")
    Settings = Level

    def setup(self, run):
        super().setup(run)
        if self.settings.level == 13:
            raise ValueError("bad luck")

    def generate(self, clips, seeds):
        return [Image.new("RGB", (64, 64), (self.settings.level,) * 3) for clip in clips]
'''


def test_a_sweep_is_made_and_summarised(tmp_path, tmp_path_factory):
    (tmp_path / "grey.py").write_text(METHOD)
    asked = ["run", "--method", f"{tmp_path / 'grey.py'}:Grey", "--data", things(tmp_path_factory.getbasetemp())]
    asked += ["--set", "level=50,13"]
    first = bench(*asked, runs=tmp_path / "runs")
    assert first.code == 1 and "bad luck" in first.err and "1 of 2 runs failed" in first.err, first.err
    lines = [line.split() for line in first.out.partition("2 runs of grey")[2].splitlines() if str(tmp_path) in line]
    assert [line[:3] for line in lines] == [["50", "0", "complete"], ["13", "0", "failed"]]
    (row,) = bench("table", "--data", asked[4], "--json", runs=tmp_path / "runs").json
    assert row["settings"]["level"] == 50, "a failure is no row"
