"""A published embedder, or a file, instead of a training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import worlds
from worlds import bench, things

from audiotoken.checkpoint import load_embedder, save_embedder
from audiotoken.embedder import Embedder
from audiotoken.method import AudioToken, AudioTokenLora
from audiotoken.settings import AudioTokenSettings
from benchmark.method import make_settings
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.errors import UserError
from benchmark.utils.files import sha256_of
from benchmark.utils.progress import Silent
from benchmark.weights import catalog

HEARD, READ = 288, 128
"""Widths of mini's BEATs, and of its text encoder."""


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `bench fetch` puts weights; empty."""
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "shelf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "shelf"


def released(path: Path, heard: int = HEARD, read: int = READ, seed: int = 0) -> Path:
    """An embedder in the form of the released file."""
    torch.manual_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(Embedder(heard, read).state_dict(), path)
    return path


def job(method: str = "audiotoken", data: Path | None = None, runs: Path | None = None, **settings: object) -> Run:
    texts = {name: str(value) for name, value in settings.items()}
    return Run.of(RunRequest(suite="mini", method=method, data=data, settings=texts, runs=runs, device="cpu"), Silent())


def test_a_fits_embedder_makes_the_pictures_of_the_run_that_trained_it(base: Path, tmp_path: Path) -> None:
    trained, record = worlds.finished(base, "audiotoken", steps=2, batch_size=4)
    by = job(data=things(base), runs=base / "runs", steps=2, batch_size=4).plan.fit_folder
    assert by is not None
    fit = by.path
    file = Path(shutil.copy(fit / "embedder.safetensors", tmp_path / "shared.bin"))
    asked = ("run", "--method", "audiotoken", "--data", things(base), "--set")
    taken = bench(*asked, f"embedder={file}", "--json", runs=tmp_path / "runs")
    assert taken.code == 0, taken.err
    (folder,) = (tmp_path / "runs").glob("mini+things-*/audiotoken/seed0-*")
    assert worlds.pictures(folder) == worlds.pictures(trained)
    assert {name: value["value"] for name, value in taken.json["metrics"].items()} == {
        name: value["value"] for name, value in record["metrics"].items()
    }
    # where it came from, and nothing of a training that did not happen
    sha256 = sha256_of(file)
    assert taken.json["method"]["settings"] == {"embedder": sha256, "official_dropout": False}
    assert taken.json["weights"]["embedder (shared.bin)"] == sha256
    assert f"nothing was trained: embedder is shared.bin, {sha256}" in taken.json["warnings"]
    assert taken.json["cost"]["fit_steps"] == taken.json["cost"]["trainable_parameters"] == 0
    # no training clip was looked at: the fit is the suite's, whatever the manifest has to train on
    assert [path.parent.parent.name for path in (tmp_path / "runs").rglob("embedder.safetensors")] == ["mini"]
    # a fit's folder names its embedder; what is known by its hash needs no file any more
    assert bench(*asked, f"embedder={fit}", "--json", runs=tmp_path / "runs").json == taken.json
    file.unlink()
    for again in (("score", folder, "--json"), (*asked, f"embedder={sha256}", "--json")):
        assert bench(*again, runs=tmp_path / "runs").json == taken.json


def test_another_file_is_another_fit_and_the_same_elsewhere_is_the_same(tmp_path: Path) -> None:
    one = released(tmp_path / "one.bin")
    same = Path(shutil.copy(one, tmp_path / "same.bin"))
    plans = [job(embedder=path).plan for path in (one, same, released(tmp_path / "other.bin", seed=1))]
    assert plans[0].fit_identity == plans[1].fit_identity != plans[2].fit_identity
    assert plans[0].identity == plans[1].identity != plans[2].identity
    assert plans[0].folder.path == plans[1].folder.path != plans[2].folder.path
    assert job("shuffled", embedder=one).plan.fit_identity == plans[0].fit_identity
    assert job().plan.fit_identity not in {one.fit_identity for one in plans}


def test_published_is_what_bench_fetch_put_there(shelf: Path, tmp_path: Path) -> None:
    command = ("fit", "--method", "audiotoken", "--set", "embedder=published", "--json")
    result = bench(*command, runs=tmp_path / "runs")
    assert result.code == 2 and len(result.err.splitlines()) == 1
    assert "`bench fetch audiotoken-embedder` gets it (35 MB)" in result.err and not (tmp_path / "runs").exists()
    file = released(shelf / "audiotoken-embedder" / catalog.network("audiotoken-embedder").files[0].name)
    result = bench(*command, runs=tmp_path / "runs")
    assert result.code == 0, result.err
    fit = Path(result.json[0]["fit"])
    ours, theirs = load_embedder(fit / "embedder.safetensors"), load_embedder(file)
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())
    assert job(embedder="published").plan.settings == job(embedder=file).plan.settings
    assert json.loads((fit / "steps" / "fit.json").read_text())["payload"]["steps"] == 0


@pytest.mark.parametrize(
    ("heard", "read", "words"),
    [
        (2304, READ, ["takes features of width 2304", "beats gives 288"]),
        (HEARD, 768, ["gives tokens of width 768", "text encoder reads 128"]),
    ],
)
def test_an_embedder_of_another_width_is_refused(tmp_path: Path, heard: int, read: int, words: list[str]) -> None:
    file = released(tmp_path / "wide.bin", heard, read)
    result = bench("fit", "--method", "audiotoken", "--set", f"embedder={file}", runs=tmp_path / "runs")
    assert result.code == 2 and len(result.err.splitlines()) == 1
    assert all(word in result.err for word in [*words, str(file)])
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


def test_an_embedder_that_took_a_fits_place_is_found_and_the_fit_made_anew(base: Path, tmp_path: Path) -> None:
    file = released(tmp_path / "mine.bin")
    command = ("--method", "audiotoken", "--set", f"embedder={file}", "--data", things(base))
    fit = bench("fit", *command, "--json", runs=tmp_path / "runs").json[0]["fit"]
    place = Path(fit) / "embedder.safetensors"
    fitted = place.read_bytes()
    save_embedder(place, Embedder(HEARD, 64), {})
    result = bench("generate", *command, runs=tmp_path / "runs")
    assert result.code == 0 and "embedder.safetensors is not what was written: made anew" in result.err
    assert place.read_bytes() == fitted


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": "5", "batch_size": "2"}, "leave out batch_size, steps, or leave out embedder"),
        ({"learning_rate": "1e-3"}, "leave out learning_rate"),
        ({"lambda_a": "0.01"}, "leave out lambda_a"),
    ],
)
def test_what_is_not_trained_has_no_settings_of_a_training(tmp_path: Path, given: dict[str, str], words: str) -> None:
    embedder = str(released(tmp_path / "e.bin"))
    with pytest.raises(UserError, match=words) as caught:
        make_settings(AudioToken, {"embedder": embedder, **given})
    assert len(caught.value.problems) == 1
    assert (
        make_settings(AudioToken, {"embedder": embedder, "official_dropout": "true", "steps": "none"}).trains is False
    )


def test_a_file_that_is_not_there_or_was_changed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"embedder=nowhere.bin: there is no file .* or the word 'published'"):
        make_settings(AudioToken, {"embedder": "nowhere.bin"})
    with pytest.raises(UserError, match="there is no file .*embedder.safetensors"):
        make_settings(AudioToken, {"embedder": str(tmp_path)})
    file = released(tmp_path / "e.bin")
    given: Any = make_settings(AudioToken, {"embedder": str(file)})
    released(file, seed=1)
    with pytest.raises(UserError, match="was changed after the run was planned"):
        given.embedder.load(load_embedder, lambda: None)
    unknown: Any = AudioTokenSettings.model_validate({"embedder": "a" * 64})
    with pytest.raises(UserError, match="--set embedder=PATH"):
        unknown.embedder.load(load_embedder, lambda: None)


def test_what_is_no_embedder_is_listed(tmp_path: Path) -> None:
    torch.save({"fc1.weight": torch.zeros(2, 2)}, tmp_path / "part.bin")
    result = bench("fit", "--method", "audiotoken", "--set", f"embedder={tmp_path / 'part.bin'}", runs=tmp_path / "r")
    assert result.code == 2 and "fc2.weight is missing" in result.err and "internal" not in result.err


# --------------------------------------------------------------------------------------------------------- with LoRA


def test_a_lora_comes_with_the_embedder_it_was_trained_with(base: Path, tmp_path: Path) -> None:
    from audiotoken.lora import FILE

    asked = ("run", "--method", "audiotoken-lora", "--limit", "2", "--data", things(base), "--json", "--set")
    trained = bench(*asked, "steps=2", "--set", "batch_size=2", runs=tmp_path / "trained")
    assert trained.code == 0, trained.err
    (fit,) = [path.parent for path in (tmp_path / "trained").rglob(FILE)]
    taken = bench(*asked, f"embedder={fit}", "--set", f"lora={fit}", runs=tmp_path / "taken")
    assert taken.code == 0, taken.err
    folders = [next((tmp_path / name).rglob("images")).parent for name in ("trained", "taken")]
    assert worlds.pictures(folders[0]) == worlds.pictures(folders[1]) and len(worlds.pictures(folders[1])) == 2
    assert taken.json["weights"][f"lora ({FILE})"] == sha256_of(fit / FILE)
    assert taken.json["cost"]["trainable_parameters"] == taken.json["cost"]["fit_steps"] == 0
    for alone in ("embedder", "lora"):
        with pytest.raises(UserError, match=f"{alone} is given without"):
            make_settings(AudioTokenLora, {alone: str(fit)})
    with pytest.raises(UserError, match="leave out lora_rank"):
        make_settings(AudioTokenLora, {"embedder": str(fit), "lora": str(fit), "lora_rank": "4"})
