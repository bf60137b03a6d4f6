"""A run's model as others get it: a folder that loads by its own card in a process that knows nothing of the run."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import worlds
from huggingface_hub import ModelCard
from PIL import Image
from processes import Ended, python
from safetensors import safe_open
from worlds import bench

from benchmark.records.record import RunRecord

FAST = {"steps": 2, "batch_size": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def pushed(base: Path) -> tuple[Path, Path]:
    """The folder of a run, and the model that was made of it."""
    run, _ = worlds.finished(base, "audiotoken-lora", **FAST)
    result = bench("push", run, "--to", base / "my-audiotoken-lora", "--json")
    assert result.code == 0, result.err
    return run, Path(result.json["folder"])


def examples(folder: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)


def execute(code: str, folder: Path, home: Path, *, check: bool = True) -> Ended:
    """Run an example beside the folder, as a person would: a process of its own with a sound, and no cache."""
    cache = Path(os.environ["HF_HOME"])
    shutil.rmtree(cache, ignore_errors=True)
    empty = f"from huggingface_hub.constants import HF_HOME\nassert HF_HOME == {str(cache)!r}\n"
    environment = {"BENCH_RUNS": str(home / "none")}
    done = python("-c", empty + code, place=home, environment=environment, cwd=folder.parent)
    assert not check or done.code == 0, done.err
    return done


def test_the_cards_examples_load_it_in_a_fresh_process(pushed: tuple[Path, Path], tmp_path: Path) -> None:
    run, folder = pushed
    images = []
    assert len(examples(folder)) == 2
    for number, code in enumerate(examples(folder)):
        place = tmp_path / str(number)
        place.mkdir()
        (place / folder.name).symlink_to(folder, target_is_directory=True)
        shutil.copy(next(run.parents[3].glob("things/audio/test-*.wav")), place / "sound.wav")
        seeded = code.replace('pipeline("sound.wav")', 'pipeline("sound.wav", generator=G().manual_seed(5))')
        assert seeded != code, "the example does not draw a sound"
        execute(f"from torch import Generator as G\n{seeded}", place / folder.name, tmp_path)
        images.append(np.asarray(Image.open(place / "image.png")))
    assert images[0].shape == (64, 64, 3) and images[0].std() > 5
    assert np.array_equal(*images), "both ways give the same image"


def test_nothing_but_the_one_small_file_can_be_executed(pushed: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = pushed
    assert [path.name for path in folder.rglob("*.py")] == ["pipeline.py"]
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".json", ".md", ".py", ".safetensors"}
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, "numpy") as file:
            assert list(file.keys())
    code = examples(folder)[0].replace(", trust_remote_code=True", "")
    done = execute(code, folder, tmp_path, check=False)
    assert done.code and "contains custom code in pipeline.py" in done.err
    assert "trust_remote_code=True` lets diffusers execute" in (folder / "README.md").read_text()


def test_a_lora_that_is_not_loaded_draws_nothing(pushed: tuple[Path, Path], tmp_path: Path) -> None:
    run, folder = pushed
    code = examples(folder)[0]
    assert "load_lora_weights" in code and (folder / "pytorch_lora_weights.safetensors").exists()
    shutil.copy(next(run.parents[3].glob("things/audio/test-*.wav")), folder.parent / "sound.wav")
    done = execute(code.replace("pipeline.load_lora_weights(folder)\n", ""), folder, tmp_path, check=False)
    assert done.code and "the LoRA of this pipeline is not loaded: call load_lora_weights" in done.err


def test_the_card_has_the_records_numbers(pushed: tuple[Path, Path]) -> None:
    run, folder = pushed
    record = RunRecord.load(run / "record.json")
    data = ModelCard.load(folder / "README.md").data
    found = {one.metric_type: one for one in data.eval_results}
    assert {name: one.metric_value for name, one in found.items()} == {
        name: metric.value for name, metric in record.metrics.items() if metric.value is not None
    }
    assert {one.dataset_revision for one in found.values()} == {record.suite.fingerprint}
    assert found["ais"].metric_args["version"] == record.metrics["ais"].version
    # whoever shares what was learned from clips of their own says under which licence
    assert (data.license, data.library_name) == ("other", "diffusers")
    assert "to be stated by whoever shares it" in (folder / "README.md").read_text()
    text = (folder / "README.md").read_text()
    assert f"| `ais` | ↑ % | {record.metrics['ais'].value:.4g} |" in text
    assert all(heading in text for heading in ("## Use", "## Training data", "## Results", "## Limits", "## Licence"))
    assert "{{" not in text and "{%" not in text and str(run) not in text
    for name, metric in record.metrics.items():
        if metric.value is None:
            assert f"No {name}: " in text
    assert json.loads((folder / "record.json").read_text()) == json.loads((run / "record.json").read_text())


def test_what_cannot_be_shared_is_refused_in_one_line(base: Path, pushed: tuple[Path, Path], tmp_path: Path) -> None:
    def refusal(run: Path, to: Path) -> str:
        before = set(to.parent.iterdir())
        result = bench("push", run, "--to", to)
        said = [line for line in result.err.splitlines() if not line.startswith("checking ")]
        assert result.code == 2 and len(said) == 1, result.err
        assert set(to.parent.iterdir()) == before, "something was left behind"
        return result.err

    run, _ = pushed
    assert "record.json: cannot be read" in refusal(tmp_path / "nowhere", tmp_path / "model")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("kept")
    assert "exists and is not empty" in refusal(run, tmp_path / "full")
    assert "cannot name a model" in refusal(run, tmp_path / "mein Modell")

    other, _ = worlds.finished(base, "sd-text")
    assert "is no pipeline of diffusers: `bench submit" in refusal(other, tmp_path / "model")

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    record = RunRecord.load(run / "record.json")
    record.model_copy(update={"status": "incomplete"}).save(copy / "record.json")
    assert "is incomplete: the same `bench run` command continues it" in refusal(copy, tmp_path / "model")


def test_a_fit_that_is_gone_or_damaged_is_named(base: Path, pushed: tuple[Path, Path], tmp_path: Path) -> None:
    run, _ = pushed
    runs = tmp_path / "runs"
    shutil.copytree(base / "runs", runs)
    (fit,) = (path.parent for path in runs.rglob("embedder.safetensors"))
    with open(fit / "embedder.safetensors", "r+b") as file:
        file.seek(-3, 2)
        file.write(b"\xff\xff\xff")
    result = bench("push", runs / run.relative_to(base / "runs"), "--to", tmp_path / "model", runs=runs)
    assert result.code == 2 and "is damaged: the same `bench run` makes it again" in result.err
    assert not (tmp_path / "model").exists()
