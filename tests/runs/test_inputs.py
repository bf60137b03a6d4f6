"""What comes from others (a run's folder, a manifest, a notebook) runs no code, and changes nothing in silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import worlds
from worlds import GREY, bench, method_file, write_manifest

from audiotoken.method import AudioToken
from benchmark.records.record import RunRecord
from benchmark.runs import steps
from benchmark.runs.imagine import imagine_images
from benchmark.runs.plan import Plan
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds and pictures of four clips."""
    folder = tmp_path_factory.mktemp("clips")
    for index in range(4):
        worlds.row(folder, "test", index)
    return folder


def manifest(folder: Path, path: Path, labels: list[str], train: list[int] | None = None) -> Path:
    """The clips with labels of one's own; some of them occur in the training split too."""
    rows = [worlds.row(folder, "test", k) for k in range(len(labels))]
    cells = [
        [row[0], str(folder / row[1]), str(folder / row[2]), label, "test"]
        for row, label in zip(rows, labels, strict=True)
    ]
    again = [
        [f"again-{k}", cells[k][1], str(folder / worlds.row(folder, "test", 3)[2]), labels[k], "train"]
        for k in train or []
    ]
    return write_manifest(path, [*cells, *again])


# ------------------------------------------------------------------------------------------------- folders from others


def the_run(runs: Path) -> Path:
    (path,) = runs.glob("*/*/seed*/plan.json")
    return path.parent


def test_a_folder_from_somebody_runs_no_file_that_it_names(folder: Path, tmp_path: Path) -> None:
    small = manifest(folder, tmp_path / "m.csv", ["dog", "cat", "bell", "rain"])
    method = method_file(tmp_path, GREY)
    assert bench("generate", "--method", method, "--data", small, runs=tmp_path / "runs").code == 0
    sent = tmp_path / "sent" / the_run(tmp_path / "runs").relative_to(tmp_path / "runs")
    shutil.copytree(the_run(tmp_path / "runs"), sent)
    mark = tmp_path / "executed"
    hostile = tmp_path / "hostile.py"
    hostile.write_text(f"open({str(mark)!r}, 'w')\n" + (tmp_path / "plain.py").read_text())
    plan = json.loads((sent / "plan.json").read_text())
    (sent / "plan.json").write_text(json.dumps(plan | {"method": f"{hostile}:Plain"}))

    result = bench("score", sent)
    assert result.code == 2 and len(result.err.splitlines()) == 1 and result.out == ""
    assert str(hostile) in result.err and "--trust-method" in result.err
    assert bench("show", sent).code == 0 and bench("table", "--data", small, runs=tmp_path / "sent").code == 0
    with pytest.raises(UserError, match="--trust-method"):
        Plan.from_folder(sent, Silent())
    assert not mark.exists()
    with pytest.raises(UserError, match="was made by other code"):
        Plan.from_folder(sent, Silent(), trust_method=True)
    assert mark.exists(), "who trusts it lets it run"


def test_trust_is_for_the_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for arguments in (["--method", "sd-text"], [str(tmp_path / "pictures")]):
        result = bench("score", *arguments, "--trust-method")
        assert result.code == 2 and "--trust-method is for the folder of a run" in result.err


# --------------------------------------------------------------------------------------------------- manifests' remarks


def test_what_is_doubtful_of_the_clips_stands_in_the_record(folder: Path, tmp_path: Path) -> None:
    labels = ["Dog", "dog", "Glo\u0308ckchen", "Gl\u00f6ckchen"]
    small = manifest(folder, tmp_path / "m.csv", labels, train=[0])
    result = bench("run", "--method", "sd-text", "--data", small, "--json", runs=tmp_path / "runs")
    assert result.code == 0, result.err
    ids = [worlds.row(folder, "test", k)[0] for k in range(4)]
    expected = [
        f"the same sound is scored and in another split: {ids[0]!r} = 'again-0' (train)",
        f"the same picture is scored and in another split: {ids[3]!r} = 'again-0' (train)",
        "labels that the text encoder cannot tell apart: 'Dog' = 'dog'",
        f"labels that the text encoder cannot tell apart: {labels[2]!r} = {labels[3]!r}",
    ]
    assert [line for line in result.json["warnings"] if "the same" in line or "labels" in line] == expected
    for line in expected:
        assert result.err.count(line) == 1
    assert bench("score", the_run(tmp_path / "runs"), "--json").json["warnings"] == result.json["warnings"]


def test_labels_that_are_equal_after_truncation_are_named_before_fitting(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: object) -> None:
        raise UserError("the fit begins")

    monkeypatch.setattr(AudioToken, "fit", fit)
    long = "the sound of " * 40
    labels = [long + "dog", long + "cat", "bell", "rain"]
    small = manifest(folder, tmp_path / "m.csv", labels, train=[2])
    ui = Silent()
    job = Run.of(RunRequest(method="audiotoken", data=small, runs=tmp_path / "runs"), ui)
    with pytest.raises(UserError, match="the fit begins"):
        steps.fit(job)
    assert [line for line in ui.warnings if "tell apart" in line] == [
        f"labels that the text encoder cannot tell apart: {labels[0]!r} = {labels[1]!r}"
    ]


# ------------------------------------------------------------------------------------------------- a notebook's torch


@pytest.fixture
def double() -> object:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


SMALL = {"steps": 2, "batch_size": 2}


def everything(folder: Path, base: Path) -> tuple[RunRecord, dict[str, bytes], list[bytes]]:
    """A fit, its images and its scores, and the picture of a sound."""
    small = manifest(folder, base / "m.csv", ["dog", "cat", "bell", "rain"], train=[0, 1])
    request = RunRequest(method="audiotoken", data=small, settings=SMALL, runs=base / "runs")
    job = Run.of(request, Silent())
    record = steps.run(job)
    (made,) = imagine_images([folder / worlds.row(folder, "test", 0)[1]], request, Silent())
    return record, dict(worlds.pictures(job.plan.folder.path)), [image.tobytes() for image in made]


def test_the_default_type_of_tensors_changes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "one"))
    single = everything(folder, tmp_path / "single")
    request.getfixturevalue("double")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "other"))
    double = everything(folder, tmp_path / "double")
    assert torch.get_default_dtype() is torch.float64, "the notebook keeps its setting"
    assert double[0].metrics == single[0].metrics
    assert double[1:] == single[1:]
