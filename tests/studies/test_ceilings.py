"""What can be said to the backbone: each way of telling it, in the run's own batches and seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.mini.captions import ORDER, blend
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.studies import ceilings
from benchmark.studies.ceilings import Inversion, conditionings, invert
from benchmark.utils.progress import Silent


def pixels(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Run:
    runs = tmp_path_factory.mktemp("runs")
    return Run.of(RunRequest(suite="mini", method="sd-text", limit=3, runs=runs), Silent())


def test_the_command_draws_scores_and_prints(job: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = pixels(steps.generate(job))
    given = ["--limit", "3", "--kind", "label", "--kind", "words", "--runs", str(tmp_path / "runs"), "--json"]
    assert ceilings.main([*given, "-o", str(tmp_path / "told")], Silent()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clips"] == 3 and list(found["ceilings"]) == ["label", "words"]
    assert all(0 <= row["ais"] <= 100 for row in found["ceilings"].values())
    label, words = pixels(tmp_path / "told" / "label"), pixels(tmp_path / "told" / "words")
    assert all(np.array_equal(label[name], run[name]) for name in run), "the label alone is what sd-text says"
    assert all(not np.array_equal(words[name], run[name]) for name in run)


def test_what_is_told_is_compared_with_clean_sounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--runs", str(tmp_path / "runs"), "-o", str(tmp_path / "told"), "--json"]
    found = {}
    for kind, limit, more in (("frames", 52, []), ("frames", 52, ["--clean"]), ("label", 3, ["--clean"])):
        assert ceilings.main([*asked, "--kind", kind, "--limit", str(limit), *more], Silent()) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["clips"] == limit and told["clean"] == bool(more)
        found[kind, told["clean"]] = told["ceilings"][kind]
    scenes, clean = found["frames", False], found["frames", True]
    assert scenes["iis"] == clean["iis"] == 100, "frames are compared with frames as before"
    assert scenes["ais.winrate.sameclass"] < clean["ais.winrate.sameclass"], "and with sounds that are easier to hear"
    assert found["label", True]["iis"] > 50


def test_a_fused_word_is_the_sum_of_what_it_says(job: Run) -> None:
    backbone, clip = job.backbone, job.test[0]
    table = backbone.text_encoder.get_input_embeddings().weight

    def mean(word: str) -> torch.Tensor:
        return table[backbone.tokenizer(word, add_special_tokens=False).input_ids].mean(0)

    named = [name for name in ORDER if name in clip.attributes]
    said = [(clip.label, 1.0), *(pair for name in named for pair in blend(name, clip.attributes[name]))]
    assert len(said) > 2
    expected = backbone.inject(torch.stack([sum((share * mean(word) for word, share in said), torch.zeros(128))]))
    assert torch.allclose(conditionings(backbone, Inversion())["fused"]([clip]), expected, atol=1e-5)


def test_inversion_fits_each_frame_alone(job: Run) -> None:
    backbone, clips = job.backbone, job.test[:2]
    tokens = invert(backbone, clips, Inversion(steps=3))
    start = ceilings.label_embedding(backbone.tokenizer, backbone.text_encoder, [clip.label for clip in clips])
    moved = (tokens - start).abs().amax(1)
    assert bool((moved > 0).all()) and bool((moved < 3 * 3e-2 + 1e-6).all()), "three steps of Adam at 3e-2"
    assert torch.equal(tokens, invert(backbone, clips, Inversion(steps=3)))


def test_inversion_lowers_the_loss(job: Run) -> None:
    backbone, clips = job.backbone, job.test[:3]

    def loss(tokens: torch.Tensor) -> float:
        frames = np.stack([np.asarray(clip.picture()) for clip in clips])
        mean, _ = backbone.encode_pictures(frames)
        total = 0.0
        for seed in range(8):
            generator = torch.Generator().manual_seed(10_000 + seed)
            noise = torch.randn(mean.shape, generator=generator)
            times = torch.full((len(clips),), 120 * seed + 50)
            target = backbone.noise_schedule.get_velocity(mean, noise, times)
            with torch.no_grad():
                noisy = backbone.noise_schedule.add_noise(mean, noise, times)
                out = backbone.unet(noisy, times, backbone.inject(tokens)).sample
            total += float((out - target).square().mean())
        return total

    start = ceilings.label_embedding(backbone.tokenizer, backbone.text_encoder, [clip.label for clip in clips])
    assert loss(invert(backbone, clips, Inversion(steps=20))) < loss(start)
