"""Pictures of what words say of a clip: the run's own, but for the prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.studies import oracle_prompt
from benchmark.utils.progress import Silent


def pixels(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.iterdir())}


def test_the_attributes_in_the_prompt_are_all_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    job = Run.of(RunRequest(suite="mini", method="sd-text", limit=3, runs=tmp_path / "runs"), Silent())
    run = pixels(steps.generate(job))
    assert oracle_prompt.main(["--limit", "3", "-o", str(tmp_path / "told")], Silent()) == 0
    told = pixels(tmp_path / "told")
    assert set(told) == {f"{clip.id}.png" for clip in job.test} and told.keys() == run.keys()
    assert all(told[name].shape == run[name].shape and not np.array_equal(told[name], run[name]) for name in run)

    monkeypatch.setattr(oracle_prompt, "statement", lambda label, attributes: label)
    oracle_prompt.draw_told(job, tmp_path / "label")
    label = pixels(tmp_path / "label")
    assert all(np.array_equal(label[name], run[name]) for name in run)
