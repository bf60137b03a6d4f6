"""The suite vggsound-tiny: the whole path of the suites at full scale, from files on a server to a record."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mirror
import numpy as np
import pytest
import worlds
from PIL import Image
from torch import nn

from benchmark.fullscale import random_networks, tiny_networks
from benchmark.fullscale.networks import ARCHITECTURES
from benchmark.registries import DATASETS
from benchmark.suite import load_suite
from benchmark.weights import locate

ROOT = Path(__file__).resolve().parents[2]
SUITE = ("--suite", "vggsound-tiny")
RUN = ("run", *SUITE, "--method", "audiotoken")


def names(build: Callable[[], nn.Module]) -> dict[str, int]:
    """The names of a network's parameters, with the number of their dimensions."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        return {name: value.ndim for name, value in build().state_dict().items()}


def test_tiny_networks_have_the_parameters_of_the_released_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from metrics.encoders.beats import BEATs, BEATsConfig

    tiny = tiny_networks.stable_diffusion()
    released: dict[str, Callable[[], nn.Module]] = {
        "unet": lambda: UNet2DConditionModel(**random_networks.UNET),
        "vae": lambda: AutoencoderKL(**random_networks.VAE),
        "text_encoder": lambda: CLIPTextModel(CLIPTextConfig(**random_networks.TEXT_ENCODER)),
    }
    for part, build in released.items():
        network = getattr(tiny, part)
        assert names(lambda network=network: network) == names(build), part
    for name, architecture in ARCHITECTURES.items():
        small = tiny_networks.clip_architecture(name)
        models = [
            names(lambda one=one: open_clip.CLIP(**open_clip.get_model_config(one))) for one in (small, architecture)
        ]
        assert models[0] == models[1], name
    assert names(tiny_networks.beats) == names(lambda: BEATs(BEATsConfig()))


def test_the_suite_differs_from_its_big_sister_in_size_alone() -> None:
    tiny, big = load_suite("vggsound-tiny"), load_suite("vggsound")
    assert (tiny.metrics, tiny.headline, tiny.scorers) == (big.metrics, big.headline, big.scorers)
    assert tiny.weights.keys() == big.weights.keys() and tiny.encoders.keys() == big.encoders.keys()
    assert locate.entry(tiny, "wav2clip-encoder").name == "tiny-wav2clip"
    assert locate.entry(big, "beats").name == "beats" and locate.entry(tiny, "imagebind").name == "imagebind"
    sizes = {"source", "train", "test"}
    assert tiny.data.model_dump(exclude=sizes) == big.data.model_dump(exclude=sizes)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "benchmark", *map(str, arguments)]


def killed_at_the_first_picture(runs: Path) -> None:
    """Start a run in `runs` and kill it as soon as a picture is there."""
    with subprocess.Popen(
        command(*RUN, "--no-report"),
        env={**os.environ, "BENCH_RUNS": str(runs), "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 300
        while not list(runs.rglob("images/*.png")):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, np.float64)


def of_the_record(record: dict[str, Any]) -> dict[str, float | None]:
    return {name: value["value"] for name, value in record["metrics"].items()}


SEEN = """
import os
if "RANK" in os.environ:
    with open({file!r}, "a") as file:
        file.write(os.environ["RANK"] + " of " + os.environ["WORLD_SIZE"] + chr(10))
"""
"""What every process of a job leaves behind when it starts."""


def slurm(folder: Path, processes: int) -> dict[str, str]:
    """The environment of a job on one node, with srun and scontrol replaced by programs of ours."""
    programs = {"scontrol": "echo 127.0.0.1", "srun": 'shift; SLURM_NODEID=0 exec "$@"'}
    folder.mkdir()
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/bash\n{line}\n")
        (folder / name).chmod(stat.S_IRWXU)
    (folder / "accelerate").write_text(
        f'#!/bin/bash\nexec {sys.executable} -m accelerate.commands.accelerate_cli "$@"\n'
    )
    (folder / "accelerate").chmod(stat.S_IRWXU)
    (folder / "sitecustomize.py").write_text(SEEN.format(file=str(folder / "seen")))
    job = {"SLURM_JOB_NODELIST": "node", "SLURM_JOB_ID": str(os.getpid()), "SLURM_NNODES": "1"}
    return {
        **os.environ,
        **job,
        "SLURM_GPUS_ON_NODE": str(processes),
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "PLACE": str(folder),
        "OMP_NUM_THREADS": "1",
    }


def test_the_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor, fetch, prepare, training, LoRA, images, scores, two processes, kill and resume, verify."""
    for name in ("TORCH_HOME", "BENCH_WEIGHTS", "BENCH_DATA"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    made = worlds.bench("tiny", tmp_path / "made", "--json").json
    assert len(list(Path(made["videos"]).glob("*.mp4"))) == 10

    # what is missing, fetched from a server of our own
    result = worlds.bench("doctor", *SUITE)
    assert result.code == 1 and "`bench tiny DIR` writes it" in result.out
    assert worlds.bench("fetch", *SUITE).code == 1, "there is no server yet"
    with mirror.serving(Path(made["weights"])) as (address, _):
        monkeypatch.setenv("BENCH_MIRROR", address)
        result = worlds.bench("fetch", *SUITE, "--json")
        monkeypatch.delenv("BENCH_MIRROR")
    assert result.code == 0, result.err
    assert {row["state"] for row in result.json} == {"fetched"} and len(result.json) == 6
    shutil.rmtree(made["weights"])
    assert "no prepared VGGSound" in worlds.bench(*RUN).err

    lists = ("--list", made["list"], "--vggsounder", made["vggsounder"])
    result = worlds.bench("prepare", "vggsound-tiny", made["videos"], *lists, "--jobs", 1)
    assert result.code == 0, result.err
    report = worlds.bench("doctor", *SUITE, "--json")
    assert report.code == 0 and report.json["clips"]["state"] == "there", report.err
    assert report.json["clips"]["train_frame"] == "clip-best"

    # training, images and scores
    runs = tmp_path / "runs"
    result = worlds.bench(*RUN, "--json", runs=runs)
    assert result.code == 0, result.err
    record = result.json
    assert record["status"] == "complete" and record["cost"]["fit_steps"] == 6
    values = of_the_record(record)
    assert all(values[name] is not None for name in load_suite("vggsound-tiny").headline), values
    assert record["metrics"]["fid"]["n"] == 5
    labels = DATASETS.get("vggsound-tiny").labels_identity(load_suite("vggsound-tiny"))
    assert record["metrics"]["aic"]["scorers"]["labels"] == labels and labels is not None
    assert "labels" not in record["metrics"]["ais"]["scorers"]
    lora = worlds.bench(*RUN[:-1], "audiotoken-lora", "--set", "steps=2", "--json", runs=runs)
    assert lora.code == 0, lora.err
    assert lora.json["cost"]["trainable_parameters"] > record["cost"]["trainable_parameters"]

    # killed, and continued to the same bits
    (folder,) = (runs / "vggsound-tiny" / "audiotoken").glob("seed0*")
    killed_at_the_first_picture(tmp_path / "killed")
    (part,) = (tmp_path / "killed" / "vggsound-tiny" / "audiotoken").glob("seed0*")
    assert not (part / "record.json").exists()
    result = worlds.bench(*RUN, "--json", runs=tmp_path / "killed")
    assert result.code == 0, result.err
    assert of_the_record(result.json) == values and worlds.pictures(part) == worlds.pictures(folder)

    # two processes, started by the script of the cluster
    script = ROOT / "docs" / "examples" / "slurm.sh"
    environment = slurm(tmp_path / "slurm", 2) | {"BENCH_RUNS": str(tmp_path / "two")}
    done = subprocess.run([script, *RUN[1:]], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (two,) = (tmp_path / "two" / "vggsound-tiny" / "audiotoken").glob("seed0*")
    shared = json.loads((two / "record.json").read_text())
    assert shared["status"] == "complete" and shared["identity"] == record["identity"]
    assert set((tmp_path / "slurm" / "seen").read_text().splitlines()) == {"0 of 2", "1 of 2"}
    for one, other in zip(sorted(two.glob("images/*.png")), sorted(folder.glob("images/*.png")), strict=True):
        # the sums of a training step are rounded otherwise
        assert np.abs(pixels(one) - pixels(other)).mean() < 3, one.name

    result = worlds.bench("verify", folder)
    assert result.code == 0, result.err + result.out
