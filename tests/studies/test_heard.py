"""Heard share from records: rows of the label, of words and of methods, each with the clips that it was scored on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from boards import scored

from benchmark.studies import heard
from benchmark.utils.progress import Silent

METRIC = "iis.winrate.sameclass"
RNG = np.random.default_rng(0)
CLIPS = 200
LABEL, WORDS = RNG.normal(50, 8, CLIPS), RNG.normal(80, 8, CLIPS)


def made(folder: Path, method: str, scores: np.ndarray, **changes: object) -> Path:
    one = scored(folder, method, {METRIC: np.clip(scores, 0, 100)}, **changes)
    one.record.save(one.path)
    return one.path.parent


def shares(folders: list[Path], capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    assert heard.main([*map(str, folders), "--metric", METRIC, "--json"], Silent()) == 0
    return {one["method"]: one for one in json.loads(capsys.readouterr().out)}


def test_methods_lie_between_the_label_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ears = np.where(RNG.random(CLIPS) < 0.4, WORDS, LABEL)
    runs = [made(tmp_path, "sd-text", LABEL + shift, seed=seed) for seed, shift in ((0, -2.0), (1, 2.0))]
    runs += [made(tmp_path, "ceiling-words", WORDS), made(tmp_path, "deaf", LABEL), made(tmp_path, "ears", ears)]
    found = shares(runs, capsys)
    assert set(found) == {"deaf", "ears"}
    assert found["deaf"]["share"]["value"] == pytest.approx(0, abs=1e-6), "sd-text is the mean of its seeds"
    share = found["ears"]["share"]
    assert share["low"] < 40 < share["high"] and share["n"] == CLIPS
    plot = tmp_path / "heard.svg"
    assert heard.main([*map(str, runs), "--metric", METRIC, "--plot", str(plot)], Silent()) == 0
    assert all(f">{word}<" in plot.read_text() for word in (METRIC, "deaf", "ears"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    low, value, high = (f"{share[name]:.0f}" for name in ("low", "value", "high"))
    assert ["ears", value, f"[{low},", f"{high}]"] in lines


def test_rows_are_compared_on_their_own_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [made(tmp_path, "sd-text", LABEL), made(tmp_path, "ceiling-words", WORDS)]
    runs += [made(tmp_path, "few", WORDS[:36], limit=36), made(tmp_path, "all", WORDS)]
    found = {name.split(" ")[0]: one for name, one in shares(runs, capsys).items()}
    assert found["few"]["share"] is None and found["few"]["reason"].startswith("sd-text on 36 clips has no score")
    assert found["all"]["share"]["value"] == pytest.approx(100)


def test_what_is_missing_is_named_with_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(made(tmp_path, "sd-text", LABEL)), str(made(tmp_path, "ears", WORDS))]
    assert heard.main([*runs, "--metric", METRIC], Silent()) == 2
    assert "ceilings --kind words` makes it" in capsys.readouterr().err
    assert heard.main([*runs, "--metric", "iiis"], Silent()) == 2
    assert "unknown metric 'iiis'" in capsys.readouterr().err
