"""What FID knows of the true frames is kept by everything that it depends on: extractor, resizing, frames, order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds
from PIL import Image

from benchmark.media.images import save_png
from benchmark.runs import embeddings, scoring
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.runs.steps import generate
from benchmark.utils.progress import Silent
from metrics.scorers import inception
from metrics.scorers.base import ImageScorer


class Colours(ImageScorer):
    """Mean and spread of a picture's colours; `seen` holds how many pictures each call brought."""

    seen: list[int] = []

    def __init__(self, weights: Path, sha256: str, device: str = "cpu") -> None:
        pass

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.seen.append(len(images))
        pixels = [np.asarray(image, np.float32).reshape(-1, 3) for image in images]
        return np.stack([np.r_[one.mean(0), one.std(0)] for one in pixels])


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    rows = [worlds.row(tmp_path, "test", k) for k in range(3)]
    wide = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    save_png(tmp_path / rows[0][2], wide)
    data = worlds.write_manifest(tmp_path / "three.csv", rows)
    made = Run.of(
        RunRequest(suite="mini", method=worlds.method_file(tmp_path, worlds.NOISE), data=data, runs=tmp_path / "runs"),
        Silent(),
    )
    generate(made)
    monkeypatch.setattr(inception, "InceptionScorer", Colours)
    return made


def computed(job: Run, wanted: list[str]) -> tuple[dict[str, Any], dict[str, scoring.Bound]]:
    plan = job.plan
    images = plan.folder.image_paths(job.test.ids)
    task = scoring.ScoreJob(plan.suite, job.test, images, plan.device, Silent())
    scores = scoring.score(task, wanted, scoring.bind(plan.suite))
    return scores.results, scores.scorers


def inception_is(patch: pytest.MonkeyPatch, sha256: str) -> None:
    for module in (scoring, embeddings):
        patch.setattr(module, "find_inception", lambda suite: (Path("weights"), sha256))


def extractions(job: Run, patch: pytest.MonkeyPatch, sha256: str = "1" * 64) -> list[int]:
    """Pictures that had to be looked at for FID."""
    inception_is(patch, sha256)
    Colours.seen.clear()
    results, _ = computed(job, ["fid"])
    assert results["fid"].value is not None and results["fid"].value > 0
    return list(Colours.seen)


def test_a_record_says_how_features_were_taken(job: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    inception_is(monkeypatch, "1" * 64)
    results, scorers = computed(job, ["fid", "fd.clip"])
    fid = scoring.metric_value(results["fid"], scorers["fid"])
    assert fid.n == 3 and fid.scorers == {"features.inception": "1" * 64}
    assert fid.details["batch_size"] == 1 and "299 x 299" in fid.details["resize"]
    assert scoring.metric_value(results["fd.clip"], scorers["fd.clip"]).details == {}


def test_true_frames_are_looked_at_once(job: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert extractions(job, monkeypatch) == [3, 3]
    assert extractions(job, monkeypatch) == []
    assert extractions(job, monkeypatch, sha256="2" * 64) == [3, 3]
    # Another rule makes other frames; the generated pictures are the same.
    spec = job.plan.suite.backbone.model_copy(update={"resize": "stretch"})
    object.__setattr__(job.plan, "suite", job.plan.suite.model_copy(update={"backbone": spec}))
    assert extractions(job, monkeypatch) == [3]
    clips = job.test
    replaced: Any = type(clips)(clips.name, clips.clips[::-1], clips.labels, "reversed")
    job.__dict__["test"] = replaced
    assert extractions(job, monkeypatch) == [3, 3]
