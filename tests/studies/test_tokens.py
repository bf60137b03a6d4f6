"""The curve over numbers of tokens: from records, and of runs that are used again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import worlds
from boards import scored

from benchmark.leaderboard.build import build_board
from benchmark.runs.request import RunRequest
from benchmark.studies import tokens
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

RNG = np.random.default_rng(0)
SCORES = RNG.normal(50, 8, 120).clip(0, 100)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def made(folder: Path) -> list:
    def one(count: int, seed: int, gain: float | np.ndarray):
        settings = {"tokens": count} if count > 1 else {}
        cost = {"trainable_parameters": 100 * count, "fit_seconds": 10.0 * count}
        place = folder / f"{count}-{seed}"
        return scored(place, "audiotoken", {"ais": SCORES + gain}, seed=seed, settings=settings, cost=cost)

    swings = np.where(np.arange(120) % 2, 3.0, -3.0)
    return [one(4, 0, 5.0), one(1, 0, -1.0), one(1, 1, 1.0), one(4, 1, 7.0), one(2, 0, swings)]


def test_the_command_prints_the_curve_and_writes_table_and_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def measure(requests: list[RunRequest], metrics: list[str], ui: object) -> object:
        asked.extend((one.settings["tokens"], one.seed, one.settings.get("steps")) for one in requests)
        return build_board(made(tmp_path), ["ais"], suite="mini")

    monkeypatch.setattr(tokens, "measure", measure)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- tokens audiotoken -->\n<!-- /tokens audiotoken -->\nafter\n")
    given = ["--k", "1", "2", "4", "4", "--seeds", "0", "1", "--steps", "9", "--json", "-o", str(tmp_path / "out")]
    assert tokens.main([*given, "--write", str(page)], Silent()) == 0
    assert asked == [(count, seed, 9) for count in (1, 2, 4) for seed in (0, 1)]
    found = json.loads(capsys.readouterr().out)["tokens"]
    assert [one["tokens"] for one in found] == [1, 2, 4] and found[2]["seeds"] == [0, 1]
    assert [one["parameters"] for one in found] == [100, 200, 400] and found[2]["fit_seconds"] == 40.0
    one, two, four = (row["values"]["ais"] for row in found)
    assert four["value"] - one["value"] == pytest.approx(6.0) and four["low"] < four["value"] < four["high"]
    assert four["differs"] and not one["differs"] and not two["differs"] and one["std"] == pytest.approx(2**0.5)
    written = json.loads((tmp_path / "out" / "tokens.json").read_text())
    assert written["tokens"] == found and written["method"] == "audiotoken"
    assert (tmp_path / "out" / "tokens.png").read_bytes().startswith(b"\x89PNG")
    lines = page.read_text().splitlines()
    assert lines[0] == "before" and lines[-1] == "after" and lines[4].startswith("| 1 | ") and "\\*" in lines[6]


def test_runs_are_made_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = RunRequest(
        method="audiotoken",
        data=worlds.things(base),
        settings={"steps": "2", "batch_size": "4"},
        runs=base / "runs",
        device="cpu",
    )
    board = tokens.measure(tokens.requests_of(request, [1, 2], [0]), ["aic"], Silent())
    found = tokens.curve(board)
    assert [one.tokens for one in found] == [1, 2] and found[0].parameters < found[1].parameters

    def never(*_: object) -> None:
        raise AssertionError("a finished run was made again")

    monkeypatch.setattr("audiotoken.training.train", never)
    monkeypatch.setattr("benchmark.runs.steps.make_images", never)
    again = tokens.curve(tokens.measure(tokens.requests_of(request, [1, 2], [0]), ["aic"], Silent()))
    assert again == found


def test_a_method_without_a_token_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="'sd-text' trains no token"):
        tokens.requests_of(RunRequest(method="sd-text"), [1], [0])
    assert tokens.main(["--method", "sd-text"], Silent()) == 2
    assert "try audiotoken" in capsys.readouterr().err
