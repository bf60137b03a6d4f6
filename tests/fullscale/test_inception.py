"""FID is torch-fidelity's: our features and distance equal its own, whatever the pictures' sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.media.images import load_image
from metrics.compute import MetricInputs, compute
from metrics.scorers import inception
from metrics.scorers.inception import InceptionScorer

SIZES = [(256, 256), (512, 512), (200, 320)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random parameters of the true architecture, in the file that torch-fidelity released."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(torch, "load", lambda *arguments, **options: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        state = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], "none").state_dict()
    path = tmp_path_factory.mktemp("inception") / inception.WEIGHTS
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def scorer(weights: Path) -> InceptionScorer:
    return InceptionScorer(weights, "0" * 64)


def pictures(folder: Path, seed: int) -> list[Path]:
    rng = np.random.default_rng(seed)
    paths = []
    for number, size in enumerate(SIZES):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        paths.append(folder / f"{seed}-{number}.png")
        coarse.resize(size, Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def test_features_and_distance_are_torch_fidelitys_own(weights: Path, scorer: InceptionScorer, tmp_path: Path) -> None:
    from torch_fidelity.datasets import ImagesPathDataset
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    direct = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))
    own, theirs = [], []
    for seed in (1, 2):
        paths = pictures(tmp_path, seed)
        own.append(scorer.embed_images([load_image(path) for path in paths]))
        with torch.no_grad():
            theirs.append(torch.cat([direct(one[None])[0] for one in ImagesPathDataset([*map(str, paths)])]))
    for ours, direct_rows in zip(own, theirs, strict=True):
        assert ours.shape == (len(SIZES), 2048) and ours.dtype == np.float32 and np.ptp(ours, axis=0).max() > 0
        np.testing.assert_array_equal(ours, direct_rows.numpy())
    np.testing.assert_array_equal(scorer.embed_images([load_image(paths[2])]), own[1][2:])
    # The distance of 2048 columns takes torch-fidelity ten seconds.
    some = slice(0, 128)
    expected = fid_statistics_to_metric(*(fid_features_to_statistics(rows[:, some]) for rows in theirs), verbose=False)
    inputs = MetricInputs(
        image_features={"inception": own[0][:, some]}, reference_features={"inception": own[1][:, some]}
    )
    value = compute(["fid"], inputs, resamples=0)["fid"].value
    # It takes the root of a singular product, which costs it digits.
    assert value == pytest.approx(expected["frechet_inception_distance"], rel=1e-3) and value > 0


def test_other_weights_are_refused_with_the_list(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    state["something.else"] = state.pop("fc.bias")
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="not torch-fidelity's Inception-v3.*fc.bias.*something.else"):
        InceptionScorer(tmp_path / "other.pth", "0" * 64)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"fc.bias": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError):
        InceptionScorer(tmp_path / "evil.pth", "0" * 64)
    assert not (tmp_path / "ran").exists()


def test_one_place_decides_where_the_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring finds them where `bench fetch` puts them and `bench doctor` looks for them."""
    from benchmark.runs.embeddings import find_inception
    from benchmark.suite import load_suite
    from benchmark.weights import catalog, locate

    one = catalog.network("inception")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_WEIGHTS", raising=False)
    assert find_inception(load_suite("vggsound")) is None
    places = [locate.target(one), tmp_path / "own", tmp_path / "own" / "inception"]
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "own"))
    assert locate.target(one) == places[-1]
    for number, place in enumerate(places):  # from the last to the first
        place.mkdir(parents=True)
        (place / one.files[0].name).write_bytes(bytes([number]))
        found = find_inception(load_suite("vggsound"))
        assert found is not None and found[0] == place / inception.WEIGHTS == locate.located(one) / one.files[0].name
        assert found[1] == locate.hash_at(one, place)
