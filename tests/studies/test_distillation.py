"""Wav2CLIP distilled on less: what it hears of the world, and that nothing else of a run differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import worlds
from PIL import Image

from benchmark.mini.data import WorldClips
from benchmark.mini.pretrain import scorers
from benchmark.mini.pretrain.loop import Schedule
from benchmark.mini.pretrain.workshop import Workshop
from benchmark.mini.wiring import WEIGHTS
from benchmark.mini.world import GROUPS, LABELS
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.studies.distillation import HEARD, Distillation, by_half, distil, main, measure
from benchmark.utils.progress import Silent

CLIPS = 52


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def few(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    monkeypatch.setattr(scorers, "SOUND_POOL", CLIPS)
    monkeypatch.setattr(scorers, "HELD_OUT", 26)
    monkeypatch.setattr(Distillation, "schedule", Schedule(steps=2, batch=4, rate=1e-3, warmup=1))


def test_each_group_of_classes_that_sound_alike_is_heard_in_part() -> None:
    assert len(HEARD) == 13 and set(HEARD) < set(LABELS)
    assert all(0 < sum(label in HEARD for label in group) < len(group) for group in GROUPS.values())


def test_half_hears_some_classes_and_clean_hears_no_scenes(cache: Path, tmp_path: Path) -> None:
    shop = Workshop(WEIGHTS, tmp_path, cache, lambda _: None)
    half, clean = Distillation(shop, "half"), Distillation(shop, "clean")
    world = WorldClips("pretrain", CLIPS, cache)
    assert {world.label(int(place)) for place in half.pool} == set(HEARD)
    assert half.sounds is half.clips.sounds
    assert clean.pool.tolist() == list(range(CLIPS))
    assert np.array_equal(clean.sounds, world.clean) and not np.array_equal(clean.sounds, world.sounds)


def test_the_encoder_alone_differs_from_a_run(tmp_path: Path) -> None:
    things = worlds.things(tmp_path)
    settings = {"steps": "1", "batch_size": "2"}
    request = RunRequest(
        suite="mini", method="wav2clip", data=things, limit=2, settings=settings, runs=tmp_path / "runs"
    )
    job = Run.of(request, Silent())
    usual = steps.generate(job)
    own, folder = measure("half", job, tmp_path / "own", WEIGHTS / "wav2clip-encoder.safetensors")
    assert own.method.name == "wav2clip-half" and folder.is_dir()
    encoder, figures = distil("half", tmp_path / "encoder", Silent())
    other, _ = measure("half", job, tmp_path / "other", encoder)
    assert 0 <= figures["label_by_sound"] <= 100 and other.status == "complete"
    for path in usual.glob("*.png"):
        pixels = [
            np.asarray(Image.open(place / path.name))
            for place in (usual, tmp_path / "own" / "wav2clip-half", tmp_path / "other" / "wav2clip-half")
        ]
        assert np.array_equal(pixels[0], pixels[1]) and not np.array_equal(pixels[0], pixels[2])
    again, same = distil("half", tmp_path / "encoder", Silent())  # what is trained is not trained again
    assert (again, same) == (encoder, figures)
    other_steps, _ = distil("half", tmp_path / "anew", Silent(), only=1)
    assert other_steps.read_bytes() != encoder.read_bytes()
    distil("half", tmp_path / "anew", Silent())  # the encoder of a trial is not taken for the whole one
    assert (tmp_path / "anew" / encoder.name).read_bytes() == encoder.read_bytes()
    assert by_half(other, "no.such") == {"heard": None, "unheard": None}


def test_a_bad_seed_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--of", "clean", "--seed", "-1", "-o", str(tmp_path / "out")], Silent()) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not (tmp_path / "out").exists()
