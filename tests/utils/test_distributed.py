"""Two processes as `accelerate launch` starts them, over gloo on the CPU, against one: gradients, pictures, record."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import worlds
from PIL import Image
from processes import Ended, Program

from benchmark.cli import app
from benchmark.utils import distributed
from benchmark.utils.errors import UserError

ASKED = ("--method", "audiotoken-cl", "--set", "steps=3", "--set", "batch_size=6", "--set", "micro_batch=2")


ROOT = Path(__file__).parents[2]
# What a process finds of itself: the names that torch and accelerate read, and what the benchmark makes of them.
WHOAMI = """
import os, sys
from benchmark.utils import distributed
names = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
found = {name: os.environ.get(name) for name in (*names, *(name for name in os.environ if name.startswith("ACCEL")))}
with open(f"rank-{distributed.rank()}-of-{distributed.world()}", "x") as file:
    file.write(repr(found))
"""


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The environment of each process that `accelerate launch` starts."""
    folder = tmp_path_factory.mktemp("launched")
    (folder / "whoami.py").write_text(WHOAMI)
    # "multi_gpu" is its word for several processes of one machine: without it, and without a GPU, it starts one
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    plain = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*launcher, *plain, "whoami.py"], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = [ast.literal_eval((folder / f"rank-{rank}-of-2").read_text()) for rank in range(2)]
    assert [(one["WORLD_SIZE"], one["RANK"], one["LOCAL_RANK"]) for one in found] == [("2", "0", "0"), ("2", "1", "1")]
    return found


def both(launched: list[dict[str, str]], place: Path, *arguments: object) -> list[Ended]:
    """`bench ARGUMENTS` in two processes with the environment that `accelerate launch` gave."""
    with socket.socket() as free:  # the launcher's own port may be taken by now
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank, variables in enumerate(launched):
        (place / f"rank-{rank}").mkdir(parents=True)
        given = {**variables, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**given, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        program = ("-m", "benchmark", *arguments)
        processes.append(Program(*program, place=place / f"rank-{rank}", environment=environment, cwd=ROOT))
    return [process.end() for process in processes]


def test_one_process_shares_with_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert (distributed.world(), distributed.rank(), distributed.is_first()) == (1, 0, True)
    rows = torch.ones(2, 3, requires_grad=True)
    distributed.sum_over_processes([rows])
    distributed.wait()
    assert distributed.gather_rows(rows) is rows and distributed.agree(7) == 7 and distributed.collect(7) == [7]
    assert list(distributed.mine("abc")) == distributed.gather("abc") == ["a", "b", "c"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert list(distributed.mine("abcde")) == ["b", "d"] and not distributed.is_first()
    assert distributed.own_device("cuda") == "cuda:1" and distributed.own_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE='x' is no whole number from 1"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE='0' is no whole number from 1"),
        ({"WORLD_SIZE": "²"}, "WORLD_SIZE='²' is no whole number from 1"),
        ({"WORLD_SIZE": "9" * 5000}, "is no whole number from 1"),
        ({"WORLD_SIZE": "2", "RANK": "-1"}, "RANK='-1' is no whole number from 0"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK=2 is no process of 2"),
    ],
)
def test_numbers_of_processes_that_are_none_are_refused_by_name(monkeypatch, capsys, variables, words):
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=re.escape(words)):
        distributed.rank()
    assert app.main(["list", "suites"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1 and err.startswith("bench: ")


def test_two_processes_do_what_one_does(
    launched: list[dict[str, str]], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = worlds.things(tmp_path_factory.getbasetemp())
    made: dict[str, tuple[dict[str, Any], dict[str, torch.Tensor], dict[str, np.ndarray]]] = {}
    for name in ("one", "two"):
        given = ("run", *ASKED, "--data", data, "--runs", tmp_path / name, "--json")
        if name == "one":
            result = worlds.bench(*given)
            assert result.code == 0, result.err
            out = result.out
        else:
            processes = both(launched, tmp_path / "said", *given)
            assert [process.code for process in processes] == [0, 0], [process.err for process in processes]
            talking = [process.err.count("training the embedder: 3 steps") for process in processes]
            assert talking == [1, 0], "one of them talks"
            out = "".join(process.out for process in processes)
        (fit,) = (tmp_path / name).rglob("embedder.safetensors")
        pictures = {path.name: np.asarray(Image.open(path)) for path in (tmp_path / name).rglob("images/*.png")}
        made[name] = json.loads(out), safetensors.torch.load_file(fit), pictures
    (record, weights, pictures), (record2, weights2, pictures2) = made["one"], made["two"]
    # three steps of AdamW move a parameter by some 8e-5, whatever the size of its gradient: its direction is the same
    for key, value in weights.items():
        torch.testing.assert_close(weights2[key], value, rtol=0, atol=2e-6)
    assert pictures.keys() == pictures2.keys() and len(pictures) == 12
    for key, picture in pictures.items():
        assert np.abs(picture.astype(int) - pictures2[key]).max() <= 2
    assert record["identity"] == record2["identity"] and record2["status"] == "complete"
    for key, value in record["metrics"].items():
        if value["value"] is None:
            assert record2["metrics"][key]["reason"] == value["reason"]
        else:
            assert record2["metrics"][key]["value"] == pytest.approx(value["value"], rel=0.02, abs=0.5), key


def test_clips_that_cannot_be_shared_out_are_refused(
    launched: list[dict[str, str]], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = worlds.things(tmp_path_factory.getbasetemp())
    few = ("--set", "steps=1", "--set", "batch_size=3")
    asked = ("fit", "--method", "audiotoken", *few, "--data", data, "--runs", tmp_path / "runs")
    processes = both(launched, tmp_path / "said", *asked)
    assert all(process.code for process in processes)
    said = "".join(process.err for process in processes)
    assert "3 clips a step cannot be shared out among 2 processes" in said
