"""What is shown while something trains."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import worlds
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmark.runs import tracking
from benchmark.runs.tracking import Watch, check_trackers, read_curve
from benchmark.utils.errors import RunError, UserError


def watch(folder: Path, trackers: tuple[str, ...] = (), every: int | None = None) -> Watch:
    run: Any = SimpleNamespace(
        folder=folder, seed=3, device="cpu", trackers=trackers, samples_every=every, ui=SimpleNamespace()
    )
    shades: Iterator[int] = iter(range(0, 250, 10))

    def draw() -> list[Image.Image]:
        shade = next(shades)
        return [Image.new("RGB", (8, 6), (shade, place, 0)) for place in (0, 200)]

    return Watch(run, "audiotoken", {"steps": 40, "schedule": "cosine"}, draw)


def test_losses_and_pictures_reach_tensorboard(tmp_path: Path) -> None:
    with watch(tmp_path, ("tensorboard",), 20) as watching:
        for step in range(1, 41):
            watching.after(step, partial(dict, loss=1 / step, ldm=0.5))
    events = EventAccumulator(str(tmp_path / "logs" / "audiotoken-seed3")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [
        (step, pytest.approx(1 / step)) for step in (10, 20, 30, 40)
    ]
    assert [event.step for event in events.Images("samples")] == [20, 40]
    sheets = sorted((tmp_path / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == ["step-000020.png", "step-000040.png"]
    sheet = np.asarray(Image.open(sheets[1]))
    assert sheet.shape == (6, 16, 3) and (sheet[0, 0, 1], sheet[0, 15, 1], sheet[0, 0, 0]) == (0, 200, 10)


def test_figures_are_asked_for_where_they_are_noted_alone(tmp_path: Path) -> None:
    asked: list[int] = []

    def figures(step: int) -> dict[str, float]:
        asked.append(step)
        return {"loss": 1.0}

    with watch(tmp_path) as watching:
        for step in range(1, 31):
            watching.after(step, partial(figures, step))
    assert asked == [10, 20, 30]


def test_a_loss_that_is_no_number_is_said_before_pictures_are_made(tmp_path: Path) -> None:
    def figures() -> dict[str, float]:
        raise RunError("the loss is nan at step 6")

    with watch(tmp_path, every=7) as watching, pytest.raises(RunError, match="the loss is nan"):
        watching.after(7, figures)
    assert not (tmp_path / "samples").exists()


def test_nothing_but_the_curve_is_written_in_the_first_minute_unless_asked(tmp_path: Path) -> None:
    with watch(tmp_path) as watching:
        watching.after(10, lambda: {"loss": 1.0})
    assert [path.name for path in tmp_path.rglob("*")] == ["steps", "fit.curve"]


def test_a_curve_is_read_as_it_was_noted_through_interruptions(tmp_path: Path) -> None:
    assert read_curve(tmp_path) == []
    for first, loss in ((1, 3.0), (16, 2.0)):
        with watch(tmp_path) as watching:
            for step in range(first, 31):
                watching.after(step, partial(dict, loss=loss, ldm=0.5))
    with open(tmp_path / "steps" / "fit.curve", "a") as file:
        file.write('[40, {"lo')
    figures = [(10, 3.0), (20, 2.0), (30, 2.0)]
    assert read_curve(tmp_path) == [(step, {"loss": loss, "ldm": 0.5}) for step, loss in figures]


def test_a_long_training_is_looked_at_after_one_minute_two_and_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, *(20.0 * step for step in range(1, 31))])  # 20 s a step
    monkeypatch.setattr(tracking.time, "monotonic", lambda: next(now))
    said: list[str] = []
    with watch(tmp_path) as watching:
        watching.run.ui.say = said.append  # type: ignore[method-assign]
        for step in range(1, 31):
            watching.after(step, lambda: {"loss": 1.0})
    assert [line.partition(": ")[0] for line in said] == [
        f"what it draws after {seconds} s, {seconds // 20} steps" for seconds in (60, 120, 240, 480)
    ]
    assert all(Path(line.partition(": ")[2]).is_file() for line in said)


def test_trackers_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_trackers(["tensorboard"])
    with pytest.raises(UserError, match="tensorbord.*did you mean 'tensorboard'"):
        check_trackers(["tensorbord"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="--track wandb: it is not installed; pip install wandb"):
        check_trackers(["wandb"])
    result = worlds.bench("run", "--method", "audiotoken", "--track", "wandb", runs=tmp_path)
    assert result.code == 2 and len(result.err.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_watching_a_fit_does_not_change_it(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = worlds.things(tmp_path_factory.getbasetemp())
    asked = ("fit", "--method", "audiotoken", "--data", data, "--set", "steps=2", "--set", "batch_size=2")
    made = []
    for name, more in (("plain", ()), ("watched", ("--track", "tensorboard", "--samples-every", "1"))):
        assert worlds.bench(*asked, *more, runs=tmp_path / name).code == 0
        (fit,) = (tmp_path / name).rglob("embedder.safetensors")
        made.append(fit.read_bytes())
    assert made[0] == made[1]
    assert len(list((tmp_path / "watched").rglob("samples/step-*.png"))) == 2
