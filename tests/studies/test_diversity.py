"""Several images a clip: the first is the run's, and shares are what they are said to be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import worlds

from benchmark.runs.request import RunRequest
from benchmark.studies import diversity
from benchmark.studies.diversity import due_to_clip
from benchmark.utils.progress import Silent


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def test_images_of_a_finished_run_are_compared(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = worlds.finished(base, "sd-text")
    monkeypatch.setenv("BENCH_RUNS", str(base / "runs"))
    given = [str(folder), "--images", "3", "--limit", "12", "-o", str(tmp_path), "--device", "cpu"]
    plot = tmp_path / "diversity.svg"
    assert diversity.main([*given, "--json", "--plot", str(plot)], Silent()) == 0
    assert ">between clips of a class<" in plot.read_text()
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["clips"], found["images"], found["extractor"], found["method"]) == (12, 3, "clip", "sd-text")
    assert 1 < found["vendi"]["low"] <= found["vendi"]["value"] <= found["vendi"]["high"] <= 3
    assert 0 < found["within"]["value"] < 2 and 0 < found["between"]["value"] < 2 and found["true_frames"] > 0
    share = found["due_to_clip"]
    expected = 100 * (1 - found["within"]["value"] / found["between"]["value"])
    assert share["value"] == pytest.approx(expected) and share["low"] < share["value"] < share["high"]
    (images,) = tmp_path.glob("sd-text-*/images")
    drawn = {path.name: path.read_bytes() for path in images.iterdir()}
    run = {path.name: path.read_bytes() for path in (folder / "images").iterdir()}
    assert len(drawn) == 36 and all(drawn[name] == run[name] for name in run), "the first is that of the run"
    assert len(set(drawn.values())) == 36

    def never(*_: object) -> None:
        raise AssertionError("an image was drawn again")

    monkeypatch.setattr("benchmark.runs.steps.make_images", never)
    assert diversity.main(given, Silent()) == 0
    assert f"{found['vendi']['value']:.2f}" in capsys.readouterr().out


def test_the_share_is_that_of_the_clip() -> None:
    rng = np.random.default_rng(0)
    between = rng.uniform(0.3, 0.5, 200)
    assert due_to_clip(between, between).value == pytest.approx(0, abs=1e-9)
    assert due_to_clip(np.zeros(200), between).value == pytest.approx(100)
    some = due_to_clip(between / 4 + rng.normal(0, 0.01, 200), between)
    assert some.low < 75 < some.high and some.high - some.low < 2
    lost = due_to_clip(np.array([np.nan, 0.1, 0.2]), np.array([0.4, np.nan, 0.4]))
    assert lost.value == pytest.approx(50) and lost.low is None, "one clip has both"
    assert due_to_clip(None, between).value is None and due_to_clip(np.zeros(3), np.zeros(3)).value is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["reference"], "draws the same image whatever the noise"),
        (["audiotoken", "--seed", "77"], "bench fit --method audiotoken --seed 77"),
        (["audiotoken", "--images", "1"], "--images 1: give 2 or more"),
        (["nothing"], "nothing"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    given: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*given, "--runs", str(tmp_path), "--device", "cpu", "-o", str(tmp_path / "out")]
    assert diversity.main(given, Silent()) == 2
    found = capsys.readouterr().err
    assert words in found and found.count("\n") == 1


def test_a_method_that_is_named_has_its_shipped_fit(tmp_path: Path) -> None:
    request = RunRequest(method="audiotoken", limit=4, runs=tmp_path, device="cpu")
    assert diversity.run_of("audiotoken", request, Silent()).plan.limit == 4
