"""What FID knows of the true frames is kept by everything that it depends on: extractor, resizing, frames, order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds
from PIL import Image

from benchmark import scoring
from benchmark.images import save_png
from benchmark.runner import Plan, generate
from benchmark.ui import Silent
from metrics.scorers import inception


class Colours:
    """Mean and spread of a picture's colours; `seen` holds how many pictures each call brought."""

    seen: list[int] = []

    def __init__(self, weights: Path, sha256: str, device: str = "cpu") -> None:
        pass

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.seen.append(len(images))
        pixels = [np.asarray(image, np.float32).reshape(-1, 3) for image in images]
        return np.stack([np.r_[one.mean(0), one.std(0)] for one in pixels])


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    rows = [worlds.row(tmp_path, "test", k) for k in range(3)]
    wide = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    save_png(tmp_path / rows[0][2], wide)
    data = worlds.write_manifest(tmp_path / "three.csv", rows)
    made = Plan.of(
        suite="mini", method=worlds.method_file(tmp_path, worlds.NOISE), data=data, runs=tmp_path / "runs", ui=Silent()
    )
    generate(made)
    monkeypatch.setattr(inception, "InceptionScorer", Colours)
    return made


def computed(plan: Plan, wanted: list[str]) -> tuple[dict[str, Any], dict[str, scoring.Bound]]:
    bound = scoring.bind(plan.suite, plan.on)
    return scoring.score(plan, bound, wanted, scoring.embed(plan, bound, wanted))


def extractions(plan: Plan, patch: pytest.MonkeyPatch, sha256: str = "1" * 64) -> list[int]:
    """Pictures that had to be looked at for FID."""
    patch.setattr(scoring, "_inception", lambda: (Path("weights"), sha256))
    Colours.seen.clear()
    results, _ = computed(plan, ["fid"])
    assert results["fid"].value is not None and results["fid"].value > 0
    return list(Colours.seen)


def test_a_record_says_how_features_were_taken(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_inception", lambda: (Path("weights"), "1" * 64))
    results, scorers = computed(plan, ["fid", "fd.clip"])
    fid = scoring.metric_value(results["fid"], scorers["fid"])
    assert fid.n == 3 and fid.scorers == {"features.inception": "1" * 64}
    assert fid.details["batch_size"] == 1 and "299 x 299" in fid.details["resize"]
    assert scoring.metric_value(results["fd.clip"], scorers["fd.clip"]).details == {}


def test_true_frames_are_looked_at_once(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert extractions(plan, monkeypatch) == [3, 3]
    assert extractions(plan, monkeypatch) == []
    assert extractions(plan, monkeypatch, sha256="2" * 64) == [3, 3]
    # Another rule makes other frames; the generated pictures are the same.
    spec = plan.suite.backbone.model_copy(update={"resize": "stretch"})
    object.__setattr__(plan, "suite", plan.suite.model_copy(update={"backbone": spec}))
    assert extractions(plan, monkeypatch) == [3]
    clips = plan.test
    replaced: Any = type(clips)(clips.name, clips.clips[::-1], clips.labels, "reversed")
    plan.__dict__["test"] = replaced
    assert extractions(plan, monkeypatch) == [3, 3]
