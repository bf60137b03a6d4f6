"""Novelty: by its definition, at its ends, and where it must not move."""

from __future__ import annotations

import numpy as np
import pytest

from metrics import similarity
from metrics.compute import MetricInputs, compute
from metrics.definitions import get
from metrics.novelty import novelty

RNG = np.random.default_rng(0)


def brute(images: np.ndarray, frames: np.ndarray, training: np.ndarray) -> list[float]:
    def distance(row: np.ndarray) -> float:
        return min(1 - row @ one / np.linalg.norm(row) / np.linalg.norm(one) for one in training)

    true = [distance(row) for row in frames]
    shares = []
    for row in images:
        own = distance(row)
        wins = [1.0 if one < own - 1e-12 else 0.5 if one <= own + 1e-12 else 0.0 for one in true]
        shares.append(sum(wins) / len(wins))
    return shares


def test_it_is_its_definition() -> None:
    images, frames, training = (RNG.normal(size=(n, 5)) for n in (12, 9, 20))
    images[3] = frames[2] * 7.0
    images[4] = training[5] * 0.1
    found = novelty(images, frames, training)
    assert found.share == pytest.approx(brute(images, frames, training))
    assert found.share[4] == 0.0 and found.images[4] == pytest.approx(0.0, abs=1e-12)


def test_blocks_do_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    images, frames, training = (RNG.normal(size=(n, 5)) for n in (12, 9, 20))
    whole = novelty(images, frames, training)
    monkeypatch.setattr("metrics.novelty.blocks", lambda rows, columns: similarity.blocks(rows, columns, 8 * 3 * 20))
    assert np.array_equal(novelty(images, frames, training).share, whole.share)


def test_the_page_has_the_right_example() -> None:
    angle = np.deg2rad(14)
    frames = [[np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    found = novelty([[1, 0], [1, 1]], frames, [[1, 0], [0, 1]])
    assert found.share.tolist() == [0.0, 1.0]
    assert found.frames == pytest.approx([0.03, 0.03], abs=0.001) and found.images[1] == pytest.approx(0.29, abs=0.01)


def given(images: np.ndarray, frames: np.ndarray, training: np.ndarray) -> MetricInputs:
    return MetricInputs(
        image_features={"clip": images}, reference_features={"clip": frames}, training_features={"clip": training}
    )


def test_truth_has_50_copies_0_and_noise_100() -> None:
    centres = RNG.normal(size=(4, 8)) * 5
    training, frames, unseen = (centres[np.arange(n) % 4] + RNG.normal(size=(n, 8)) for n in (200, 80, 80))
    values = {
        "truth": frames,
        "others": unseen,
        "copies": training[:80],
        "nearly": training[:80] + 1e-4 * RNG.normal(size=(80, 8)),
        "noise": -centres[np.arange(80) % 4] + RNG.normal(size=(80, 8)),
    }
    found = {
        name: compute(["novelty.clip"], given(rows, frames, training))["novelty.clip"] for name, rows in values.items()
    }
    assert found["truth"].value == 50.0
    low, high = found["others"].low, found["others"].high
    assert low is not None and high is not None and low < 50 < high
    assert found["copies"].value == 0.0 and found["nearly"].value == 0.0
    assert found["noise"].value is not None and found["noise"].value > 95
    assert found["copies"].details["distance"] == pytest.approx(0.0, abs=1e-12)
    assert found["copies"].details["distance_of_true_frames"] > 0.001
    assert found["copies"].per_clip is not None and len(found["copies"].per_clip) == 80


def test_without_training_frames_there_is_a_reason() -> None:
    rows = RNG.normal(size=(8, 4))
    inputs = MetricInputs(image_features={"clip": rows}, reference_features={"clip": rows})
    assert compute(["novelty.clip"], inputs)["novelty.clip"].reason == "no training_features of clip given"
    empty = given(rows, rows, np.empty((0, 4)))
    assert "0 training frames" in (compute(["novelty.clip"], empty)["novelty.clip"].reason or "")


def test_its_name_says_the_extractor() -> None:
    assert get("novelty.clip").needs == ("image_features.clip", "reference_features.clip", "training_features.clip")
    assert get("novelty").extractor == "inception" and get("novelty").same_as == "novelty.inception"
    assert get("novelty.clip").warns and not get("ais").warns
