"""A method under stress, whose ear is known: it recognises the test clips and draws the frame of the one it hears."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import worlds
from worlds import bench, method_file, things

from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.runs.stress import DEFAULT, _shown, default_variations
from benchmark.utils.progress import Silent

EAR = f"""
import numpy as np
from benchmark.mini.data import make_picture, make_sound
if not hasattr(type(self), "known"):
    type(self).known = [(make_sound("test", k) / 32768.0, make_picture("test", k)) for k in {worlds.TEST}]
drawn = []
for clip in clips:
    heard = self.run.suite.sound(clip)
    if DEAF and not heard.any():
        raise ValueError("there is nothing to hear")
    likeness = [abs(heard @ own) / np.linalg.norm(own) for own, _ in self.known]
    drawn.append(self.known[int(np.argmax(likeness))][1])
return drawn
"""


def asked(*names: str) -> list[str]:
    return [part for name in names for part in ("--variation", name)]


def test_what_the_images_show_follows_what_is_heard(tmp_path: Path) -> None:
    method = method_file(tmp_path, EAR.replace("DEAF", "False"))
    figure = tmp_path / "stress.svg"
    names = ("snr=20", "mix=20", "mix=-20", "silence")
    command = ("stress", method, "--data", things(tmp_path), *asked(*names, "snr=20.0"), "-o", figure, "--json")
    result = bench(*command, runs=tmp_path)
    assert result.code == 0, result.err
    rows = {row["variation"]: row for row in result.json}
    assert [*rows] == [None, *names], "equal names are one"
    assert {row["suite"] for row in rows.values()} == {"mini+things", *(f"mini+things+{name}" for name in names)}
    plain, silence = rows[None], rows["silence"]
    assert plain["metrics"]["iis"]["value"] == 100 == rows["snr=20"]["metrics"]["iis"]["value"]
    assert plain["drawn"]["bits"] > 2 and plain["sources"] is None
    # Without a sound it is always the same picture, which beats the others by chance alone.
    assert silence["drawn"]["bits"] == silence["drawn"]["high"] == 0 and silence["silences"]
    assert silence["metrics"]["iis"]["value"] == 50 and silence["metrics"]["iis"]["differs"]
    assert sum(silence["drawn"]["classes"].values()) == len(worlds.TEST)
    for name, own in (("mix=20", True), ("mix=-20", False)):
        sources, before = rows[name]["sources"], rows[name]["sources_before"]
        assert sum(share["value"] for share in sources.values()) == pytest.approx(100)
        loud, soft = ("own", "other") if own else ("other", "own")
        assert sources[loud]["value"] + sources["both"]["value"] > 80 > 20 > sources[soft]["value"]
        assert before["own"]["value"] + before["both"]["value"] > 80
    texts = {"".join(node.itertext()).strip() for node in ElementTree.parse(figure).iter()}
    assert {"as it is", *names} <= texts

    printed = bench(*command[:-3], runs=tmp_path)
    assert printed.code == 0, printed.err
    for words in ("plain under stress on mini+things", "What is drawn", "Two sources", "the clip alone", "nothing"):
        assert words in printed.out, words
    board = bench("table", "--suite", "mini+things+mix=-20", "--json", runs=tmp_path)
    assert [row["method"] for row in board.json] == ["plain"]


def test_a_variation_that_fails_does_not_lose_the_others(tmp_path: Path) -> None:
    method = method_file(tmp_path, EAR.replace("DEAF", "True"), "strict")
    result = bench(
        "stress", method, "--data", things(tmp_path), "--limit", 6, *asked("silence", "reversed"), "--json",
        runs=tmp_path,
    )  # fmt: skip
    assert result.code == 1
    rows = {row["variation"]: row for row in result.json}
    assert rows["silence"]["status"] == "failed" and "there is nothing to hear" in rows["silence"]["failed"]
    assert rows["silence"]["drawn"] is None and rows["silence"]["metrics"] == {}
    assert rows["reversed"]["status"] == "complete" and rows["reversed"]["metrics"]["iis"]["value"] is not None
    assert "silence: " in result.err and "the same command tries again" in result.err


def test_wrong_use_is_found_before_any_work(tmp_path: Path) -> None:
    wrong = bench("stress", "reference", "--data", things(tmp_path), *asked("snr=0", "loud"), runs=tmp_path / "runs")
    assert wrong.code == 2 and "unknown variation 'loud'" in wrong.err
    figure = bench("stress", "reference", "-o", tmp_path / "stress.jpg", runs=tmp_path / "runs")
    assert figure.code == 2 and "is a .png, .svg or .pdf file" in figure.err
    assert not (tmp_path / "runs").exists()


def test_the_default_speaks_to_methods_without_speech(tmp_path: Path) -> None:
    plans = {
        name: Run(Plan.of(RunRequest(method="reference", data=data, runs=tmp_path), Silent()), Silent())
        for name, data in (("mini", None), ("things", things(tmp_path)))
    }
    chosen = {name: default_variations(run.plan, run.labels) for name, run in plans.items()}
    assert chosen == {"mini": ("clean", *DEFAULT), "things": (*DEFAULT, "speech")}


def test_one_both_or_none_of_two_sources() -> None:
    cases = {(1, 2): "both", (2, 1): "both", (1, 3): "own", (2, 3): "other", (3, 1): "neither", (0, 3): "neither"}
    assert {classes: _shown(classes, own=1, other=2) for classes in cases} == cases
