"""`bench run --dry-run`: the whole run in small, with networks of the true shapes, which are tiny here."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import releases
import torch
import worlds
from torch import nn

from benchmark.data.synthetic_videos import prepare_synthetic
from benchmark.dry_run import estimate
from benchmark.fullscale import random_networks
from benchmark.runs.request import RunRequest
from benchmark.studies import gpu
from benchmark.suite import load_suite
from benchmark.utils.progress import Silent
from metrics.encoders import beats


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The suites at 64 pixels, random networks that are tiny, and folders that nothing may be written to."""
    releases.use(tmp_path / "none", tmp_path / "suites", monkeypatch)
    releases.clip_architectures(tmp_path / "architectures")
    for name in ("UNET", "VAE", "TEXT_ENCODER"):
        monkeypatch.setattr(random_networks, name, {**getattr(random_networks, name), **gpu.TINY[name]})
    monkeypatch.setattr(beats, "BEATsConfig", partial(beats.BEATsConfig, **releases.TINY_BEATS))
    for name in ("cache", "data", "runs"):
        monkeypatch.setenv(f"BENCH_{name.upper()}", str(tmp_path / "own" / name))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own"


def rehearsed(*arguments: object) -> dict[str, Any]:
    result = worlds.bench("run", "--dry-run", "--device", "cpu", *arguments, "--json")
    assert result.code == 0, result.err
    found: dict[str, Any] = result.json
    return found


def part(report: dict[str, Any], what: str) -> dict[str, Any]:
    (found,) = [one for one in report["parts"] if one["what"] == what]
    return found  # type: ignore[no-any-return]


def test_a_whole_run_of_the_suite_without_any_file(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = small.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = dict(os.environ)
    report = rehearsed("--suite", "vggsound", "--method", "audiotoken")
    # of the full run
    counts = {one["what"]: (one["count"], one["unit"]) for one in report["parts"]}
    assert counts["training the embedder"] == (30_000, "steps")
    assert counts["generating with audiotoken"] == (15_446, "images")
    for network in ("clip-vit-b-32", "clip-vit-l-14", "inception"):
        assert counts[f"scoring: pictures with {network}"] == (2 * 15_446, "pictures")
    assert counts["scoring: sounds"] == (15_446, "sounds")
    assert counts["scoring: texts"] == (2 * 309, "texts")
    assert all(one["seconds"] > 0 for one in report["parts"])
    assert report["estimate"] == pytest.approx(sum(one["seconds"] * one["count"] for one in report["parts"]))
    # where the time of a step and of a picture goes, without a gap
    assert {"U-Net", "text encoder", "VAE encoder", "beats", "rest"} <= report["step"].keys()
    assert sum(report["step"].values()) == pytest.approx(part(report, "training the embedder")["seconds"])
    assert {"U-Net", "VAE decoder", "beats"} <= report["image"].keys()
    assert sum(report["image"].values()) == pytest.approx(part(report, "generating with audiotoken")["seconds"])
    assert (report["clips"], report["steps"], report["training_batch"]) == (2, 2, 1)
    assert report["peak_memory"].keys() == {"fit", "generate", "score"} and min(report["peak_memory"].values()) > 1e8
    assert any("stable-diffusion-v1-4, beats, clip-vit-b-32, clip-vit-l-14, wav2clip" in n for n in report["notes"])
    assert any("16 clips is extrapolated from one of 1" in note for note in report["notes"])
    # nothing is left, and nothing was written where a run writes
    assert not list(temporary.iterdir()) and not small.exists() and not (small.parent / "runs").exists()
    assert dict(os.environ) == before


def test_data_that_are_prepared_here_do_not_make_the_run_look_small(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "half"
    prepare_synthetic(load_suite("vggsound"), 2, tmp_path / "videos", data / "vggsound")
    monkeypatch.setenv("BENCH_DATA", str(data))
    report = rehearsed("--suite", "vggsound", "--method", "sd-text")
    assert part(report, "generating with sd-text")["count"] == 15_446
    assert any("2 of 15,446 test clips and 2 of 183,730 training clips are prepared" in n for n in report["notes"])
    (data / "vggsound" / "dataset.json").unlink()
    report = rehearsed("--suite", "vggsound", "--method", "sd-text", "--limit", "9")
    assert part(report, "generating with sd-text")["count"] == 9
    assert any("could not be used" in note and "is not finished" in note for note in report["notes"])


def test_with_an_embedder_there_is_no_training_and_trackers_stay_empty(small: Path, tmp_path: Path) -> None:
    asked = ("--suite", "vggsound", "--method", "audiotoken", "--set", "embedder=published")
    report = rehearsed(*asked, "--track", "tensorboard", "--samples-every", "500")
    assert {one["what"] for one in report["parts"] if not one["what"].startswith("scoring")} == {
        "generating with audiotoken"
    }
    assert report["step"] == {} and report["training_batch"] is None
    assert any("random weights" in note and "audiotoken-embedder" in note for note in report["notes"])
    assert "a dry run shows nothing in tensorboard" in report["notes"]
    assert any("every 500 training steps" in note for note in report["notes"])
    assert not small.exists() and not list(tmp_path.rglob("logs"))
    wrong = worlds.bench("run", "--dry-run", *asked, "--track", "tensorbord")
    assert wrong.code == 2 and len(wrong.err.splitlines()) == 1 and "did you mean 'tensorboard'" in wrong.err


SLOW = """
import time
time.sleep(0.1 * len(clips))
return [Image.new('RGB', (64, 64), (90, 120, 150)) for clip in clips]
"""


def test_times_are_those_of_one_and_counts_those_that_were_asked_for(tmp_path: Path) -> None:
    method = worlds.method_file(tmp_path, SLOW)
    arguments = ["run", "--dry-run", "--dry-clips", "3", "--dry-steps", "1", "--limit", "50", "--method", method]
    result = worlds.bench(*arguments, "--device", "cpu", "--json", runs=tmp_path / "runs")
    assert result.code == 0, result.err
    report = result.json
    images = part(report, "generating with plain")
    assert images["count"] == 50 and 0.1 <= images["seconds"] < 1
    assert images["estimate"] == pytest.approx(50 * images["seconds"])
    assert report["clips"] == 3 and report["step"] == {} and report["training_batch"] is None
    # the suite's own networks, and all of its labels
    assert not any("random weights" in note for note in report["notes"])
    assert part(report, "scoring: reading pictures")["count"] == 2 * 50
    assert not (tmp_path / "runs").exists()


def test_it_is_printed_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def made(request: RunRequest, ui: Any, **given: Any) -> estimate.Report:
        asked.update(given, settings=request.settings)
        return estimate.Report(
            suite="vggsound",
            method="audiotoken",
            settings={"steps": 100},
            device="cpu",
            device_name="a CPU",
            threads=2,
            clips=2,
            steps=2,
            training_batch=1,
            parts=(
                estimate.Part("training", "steps", 1.5, 100),
                estimate.Part("drawing", "images", 0.02, 5000),
                estimate.Part("hearing", "sounds", 86_400.0, 3),
            ),
            step={"rest": 0.5, "U-Net": 1.0},
            image={},
            peak_memory={"fit": 12_340_000_000},
            notes=("scaled",),
        )

    monkeypatch.setattr(estimate, "estimate", made)
    result = worlds.bench("run", "--dry-run", "--method", "audiotoken", "--set", "steps=100", "--dry-steps", "4")
    assert result.code == 0, result.err
    assert asked["settings"] == {"steps": "100"} and (asked["clips"], asked["steps"]) == (None, 4)
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines[0] == "dry run of audiotoken on vggsound"
    assert "training 1.5 s 100 steps 2:30" in lines and "drawing 20 ms 5,000 images 1:40" in lines
    assert "hearing 24:00:00 3 sounds 3.0 days" in lines and "the whole run 3.0 days" in lines
    assert "a step 1.5 s: U-Net 67 %, rest 33 %" in lines and not any(line.startswith("an image") for line in lines)
    assert "memory fit 12.3 GB" in lines and "device cpu, a CPU, threads: 2" in lines and "note: scaled" in lines


def test_pictures_that_only_fill_a_batch_up_are_counted() -> None:
    watch = estimate._Watch(Silent(), "cpu", 2)
    network = nn.Sequential(nn.Conv2d(3, 1, 2), nn.Flatten())
    with watch.measuring("score"), watch.every_network(), watch.task("scoring: pictures", 2, "pictures") as advance:
        network(torch.zeros(64, 3, 4, 4))
        nn.Flatten()(torch.zeros(5, 3, 4, 4))  # no network
        advance(2)
    (task,) = watch.tasks
    assert task.done == 2 and task.rows("Sequential") == 64
    assert task.parts().keys() == {"Sequential", "rest"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--dry-clips", "3"], "--dry-clips and --dry-steps are for --dry-run"),
        (["--dry-run", "--seed", "0", "--seed", "1"], "--dry-run is of one run: give one seed"),
        (["--dry-run", "--dry-clips", "0"], "--dry-clips"),
        (["--dry-run", "--set", "steps=0"], "setting steps='0'"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], line: str) -> None:
    result = worlds.bench("run", "--method", "audiotoken", *arguments)
    assert result.code == 2 and line in result.err and "Traceback" not in result.err and not result.out


def test_too_little_memory_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(plan: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(estimate.run_steps, "fit", full)
    method = worlds.method_file(tmp_path, worlds.GREY)
    result = worlds.bench("run", "--dry-run", "--method", method, "--device", "cpu")
    assert result.code == 1 and "too little memory to fit: --set micro_batch" in result.err


def test_shapes_are_those_of_the_released_networks() -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        networks: dict[str, nn.Module] = {
            "unet": UNet2DConditionModel(**random_networks.UNET),
            "vae": AutoencoderKL(**random_networks.VAE),
            "text encoder": CLIPTextModel(CLIPTextConfig(**random_networks.TEXT_ENCODER)),
        }
    sizes = {name: sum(one.numel() for one in network.parameters()) for name, network in networks.items()}
    # of the files of CompVis/stable-diffusion-v1-4
    assert sizes == {"unet": 859_520_964, "vae": 83_653_863, "text encoder": 123_060_480}


def test_random_parameters_are_cheap_and_keep_activations_in_bounds() -> None:
    from metrics.encoders.wav2clip import Wav2CLIP

    state = torch.get_rng_state()
    made = random_networks.randomly(Wav2CLIP)
    assert torch.equal(torch.get_rng_state(), state)
    assert not made.training and not any(one.requires_grad or one.is_meta for one in made.parameters())
    # what is worked out, and no parameter, is as it has to be
    torch.testing.assert_close(made.audio_encoder.spectrogram.window, torch.hann_window(512))
    with torch.no_grad():
        heard = made(torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0)))
    assert 1e-3 < float(heard.std()) < 1e3
    again = random_networks.randomly(Wav2CLIP)
    for one, other in zip(made.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    rows = made.audio_transform.sequential[0].weight
    assert float(rows.std()) == pytest.approx(rows.shape[1] ** -0.5, rel=0.05)
    assert float(torch.corrcoef(rows[:64]).triu(1).abs().max()) < 0.5
