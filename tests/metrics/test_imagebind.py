"""ImageBind beyond its audio fixtures, and the encoders that methods use: towers, loading, independence, features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from metrics.encoders.imagebind import ImageBind, ImageBindConfig, Tower, clip_ranges, load_imagebind, resample
from metrics.encoders.joint import ImageBindEncoder, JointEncoder, Wav2CLIPEncoder
from metrics.encoders.wav2clip import Wav2CLIP
from metrics.preprocessing import Preprocessing
from metrics.scorers.clip import CLIPScorer

SMALL = ImageBindConfig(
    embed_dim=12,
    vision=Tower(16, 2, 2),
    text=Tower(16, 2, 2),
    audio=Tower(16, 2, 2),
    image_size=32,
    image_patch=8,
    vocabulary=300,
    context=10,
)
PICTURES = [Image.fromarray(np.full((40, 56, 3), shade, np.uint8)) for shade in (20, 200, 90)]
TEXTS = ["bell", "a dog barks", "rain"]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def model(config: ImageBindConfig = SMALL) -> Any:
    """An ImageBind of small sizes."""
    return ImageBind(config).eval().requires_grad_(False)


def noise(clips: int = 3, samples: int = 40_000) -> Tensor:
    return 0.1 * torch.randn(clips, samples)


def tokenize(texts: Sequence[str]) -> Tensor:
    """Bytes between a start (298) and an end (299), padded with 0."""
    ids = torch.zeros(len(texts), SMALL.context, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        coded = [*[298, *text.encode()][: SMALL.context - 1], 299]
        row[: len(coded)] = torch.tensor(coded)
    return ids


class Towers(nn.Module):
    """What a CLIP scorer asks of a CLIP."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.read = nn.Linear(3 * 32 * 32, 16), nn.EmbeddingBag(300, 16)

    def encode_image(self, pictures: Tensor) -> Tensor:
        return self.see(pictures.flatten(1))

    def encode_text(self, ids: Tensor) -> Tensor:
        return self.read(ids)


def encoders() -> list[JointEncoder]:
    half = (0.5, 0.5, 0.5)
    towers: Any = Towers()
    clip = CLIPScorer("clip", "0", towers, Preprocessing(32, half, half), tokenize)
    return [
        Wav2CLIPEncoder(Wav2CLIP(width=4, embed_dim=16), clip),
        ImageBindEncoder(model(), tokenize, batch_size=2),
    ]


each_encoder = pytest.mark.parametrize("which", [0, 1], ids=["wav2clip", "imagebind"])


# ---------------------------------------------------------------------------------------------------- the network


def test_published_sizes() -> None:
    """Counts and shapes of `imagebind_huge`'s vision (CLIP's ViT-H) and text, from the architecture in the paper."""
    with torch.device("meta"):
        state = ImageBind().state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["modality_preprocessors.vision.rgbt_stem.proj.1.weight"] == (1280, 3, 2, 14, 14)
    assert shapes["modality_preprocessors.vision.pos_embedding_helper.pos_embed"] == (1, 257, 1280)
    assert shapes["modality_preprocessors.vision.cls_token"] == (1, 1, 1280)
    assert shapes["modality_preprocessors.text.token_embedding.weight"] == (49408, 1024)
    assert shapes["modality_preprocessors.text.pos_embed"] == (1, 77, 1024)
    assert shapes["modality_preprocessors.text.mask"] == (77, 77)
    assert shapes["modality_trunks.vision.pre_transformer_layer.0.weight"] == (1280,)
    assert shapes["modality_trunks.vision.blocks.31.attn.in_proj_weight"] == (3840, 1280)
    assert shapes["modality_trunks.text.blocks.23.mlp.fc1.weight"] == (4096, 1024)
    assert shapes["modality_heads.vision.2.weight"] == (1024, 1280)
    assert shapes["modality_heads.text.proj.0.weight"] == (1024,)
    assert shapes["modality_heads.text.proj.1.weight"] == (1024, 1024)
    assert shapes["modality_postprocessors.text.1.log_logit_scale"] == ()
    blocks = {name.split(".")[1]: name.split(".")[3] for name in shapes if ".blocks." in name}
    assert blocks == {"vision": "31", "text": "23", "audio": "11"}
    assert all(".bias_k" not in name for name in shapes if ".audio." not in name)
    assert sum(".vision." in name for name in shapes) == 3 + 2 + 32 * 12 + 3
    assert sum(".text." in name for name in shapes) == 3 + 24 * 12 + 3 + 1


def test_attention_is_torchs() -> None:
    made = model()
    for tower, tokens in (("audio", torch.randn(2, 7, 16)), ("vision", torch.randn(2, 5, 16))):
        ours = made.modality_trunks[tower].blocks[0].attn
        theirs = nn.MultiheadAttention(16, 2, batch_first=True, add_bias_kv=tower == "audio").eval()
        theirs.load_state_dict(ours.state_dict())
        expected = theirs(tokens, tokens, tokens, need_weights=False)[0]
        torch.testing.assert_close(ours(tokens, None), expected, atol=1e-6, rtol=1e-5)


def test_lengths_of_embeddings() -> None:
    made = model()
    torch.testing.assert_close(made.encode_images(torch.randn(2, 3, 32, 32)).norm(dim=1), torch.ones(2))
    torch.testing.assert_close(made.encode_texts(tokenize(TEXTS)).norm(dim=1), torch.full((3,), 1 / 0.07))
    torch.testing.assert_close(made.encode_clips(made.preprocess(noise(2))[:, 0]).norm(dim=1), torch.full((2,), 20.0))
    assert (made.encode_audio(noise(2)).norm(dim=1) <= 20 + 1e-4).all()


def test_a_temperature_is_at_most_100() -> None:
    made = model()
    made.modality_postprocessors["text"][1].log_logit_scale.fill_(9.0)
    torch.testing.assert_close(made.encode_texts(tokenize(TEXTS)).norm(dim=1), torch.full((3,), 100.0))


def test_a_text_ends_where_its_largest_id_stands() -> None:
    made, ids = model(), tokenize(TEXTS)
    changed = ids.clone()
    changed[0, 7:] = 5  # behind the end of "bell"
    assert torch.equal(made.encode_texts(changed), made.encode_texts(ids))
    changed[0, 2] += 1  # inside it
    assert not torch.allclose(made.encode_texts(changed)[0], made.encode_texts(ids)[0], atol=1e-3)


def test_a_picture_is_a_film_of_two_equal_frames() -> None:
    made, pictures = model(), torch.randn(2, 3, 32, 32)
    weight = made.modality_preprocessors["vision"].rgbt_stem.proj[1].weight
    expected = nn.functional.conv2d(pictures, weight.sum(2), stride=8).flatten(2).mT
    ours = made.modality_preprocessors["vision"].rgbt_stem(pictures)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_silence_and_offset_do_not_matter_to_what_is_finite() -> None:
    made = model()
    assert made.encode_audio(torch.zeros(1, 40_000)).isfinite().all()
    assert made.preprocess(torch.full((1, 400), 0.5)).isfinite().all()


def test_waveforms_are_not_changed() -> None:
    waves = noise() + 0.1
    before = waves.clone()
    model().encode_audio(waves)
    assert torch.equal(waves, before)


@pytest.mark.parametrize("samples", [1, 400, 31_999, 32_000, 32_001, 37_920, 48_003, 160_000, 160_001])
def test_clips_lie_within_the_sound(samples: int) -> None:
    ranges = clip_ranges(samples)
    assert [end - start for start, end in ranges] == [32_000] * 3
    spare = max(0, samples - 32_000)
    for (start, _), exact in zip(ranges, (0, spare / 2, spare), strict=True):
        assert exact - 1.5 < start <= exact


def test_resampling_keeps_a_tone() -> None:
    for rate in (8_000, 22_050, 44_100, 48_000):
        tone = (2 * math.pi * 1000 * torch.arange(rate) / rate).sin()
        ours = resample(torch.stack([tone, -tone]), rate)
        expected = (2 * math.pi * 1000 * torch.arange(16_000) / 16_000).sin()
        assert ours.shape == (2, 16_000)
        torch.testing.assert_close(ours[0, 200:-200], expected[200:-200], atol=5e-3, rtol=0)
        assert torch.equal(ours[0], -ours[1])
    with pytest.raises(ValueError, match="rate of 0"):
        resample(tone, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embed_dim": 0}, "embed_dim=0"),
        ({"audio": Tower(16, 2, 3)}, "audio=Tower"),
        ({"image_patch": 7}, "multiple of 7 pixels"),
        ({"audio_patch": 129}, "audio_patch=129"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_inputs_of_other_shapes_are_refused() -> None:
    made = model()
    with pytest.raises(ValueError, match="399 samples"):
        made.encode_audio(noise(1, 399))
    with pytest.raises(ValueError, match="batch, samples"):
        made.preprocess(noise()[0])
    with pytest.raises(ValueError, match=r"\(3, 32, 32\), not \(3, 64, 64\)"):
        made.encode_images(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"\(batch, 10\), not \(1, 11\)"):
        made.encode_texts(torch.zeros(1, 11, dtype=torch.long))
    with pytest.raises(ValueError, match=r"\(1, 128, 204\), not \(1, 128, 198\)"):
        made.encode_clips(torch.zeros(1, 1, 128, 198))


# ------------------------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_load(tmp_path: Path, suffix: str) -> None:
    made, path = model(), tmp_path / f"imagebind{suffix}"
    others = {f"modality_{part}.{name}.0.x" for part in ("trunks", "heads") for name in ("depth", "thermal", "imu")}
    state = made.state_dict() | {name: torch.zeros(2) for name in others}
    save = save_file if suffix == ".safetensors" else torch.save
    save({name: value.contiguous() for name, value in state.items()}, path)
    loaded = load_imagebind(path, SMALL)
    assert not loaded.training
    waves = noise(1)
    assert torch.equal(loaded.encode_audio(waves), made.encode_audio(waves))
    assert torch.equal(loaded.encode_texts(tokenize(TEXTS)), made.encode_texts(tokenize(TEXTS)))


def test_load_lists_what_does_not_fit(tmp_path: Path) -> None:
    state, path = dict(model().state_dict()), tmp_path / "imagebind.pth"
    del state["modality_trunks.text.blocks.1.norm_1.bias"]
    state["modality_heads.audio.surplus"] = torch.zeros(1)
    state["modality_heads.vision.2.weight"] = torch.zeros(9, 9)
    torch.save(state, path)
    with pytest.raises(ValueError, match="blocks.1.norm_1.bias.*heads.audio.surplus.*heads.vision.2.weight"):
        load_imagebind(path, SMALL)


def test_load_refuses_other_files(tmp_path: Path) -> None:
    for suffix in (".pth", ".safetensors"):
        path = tmp_path / f"other{suffix}"
        with pytest.raises(FileNotFoundError):
            load_imagebind(path, SMALL)
        path.write_bytes(b"not a checkpoint")
        with pytest.raises(ValueError, match="is not an ImageBind checkpoint"):
            load_imagebind(path, SMALL)
    for content in ([1], {"modality": 1}, {1: torch.zeros(1)}, {"model": Path("run/me")}):
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(ValueError, match="is not an ImageBind checkpoint"):
            load_imagebind(tmp_path / "other.pth", SMALL)


# ------------------------------------------------------------------------------------- what methods are given


@each_encoder
def test_embeddings_are_of_unit_length_in_one_space(which: int) -> None:
    encoder = encoders()[which]
    for rows in (encoder.embed_audio(noise()), encoder.embed_images(PICTURES), encoder.embed_texts(TEXTS)):
        assert rows.shape == (3, encoder.width) and not rows.requires_grad
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))


@each_encoder
def test_neighbours_do_not_matter(which: int) -> None:
    encoder, waves = encoders()[which], noise() * torch.tensor([[1.0], [0.01], [0.3]])
    # pictures share a batch, in which threads may divide the work otherwise for another place
    close = {"atol": 1e-6, "rtol": 0}
    together = encoder.embed_images(PICTURES)
    torch.testing.assert_close(together, torch.cat([encoder.embed_images([one]) for one in PICTURES]), **close)
    torch.testing.assert_close(encoder.embed_images(PICTURES[::-1]), together.flip(0), **close)
    together = encoder.embed_texts(TEXTS)
    assert torch.equal(together, torch.cat([encoder.embed_texts([one]) for one in TEXTS]))
    together = encoder.embed_audio(waves)
    for k in range(3):
        assert torch.equal(together[k], encoder.embed_audio(waves[k : k + 1])[0])


@each_encoder
def test_nothing_in_gives_nothing_out(which: int) -> None:
    encoder = encoders()[which]
    for rows in (encoder.embed_audio(noise(0)), encoder.embed_images([]), encoder.embed_texts([])):
        assert rows.shape == (0, encoder.width)


@each_encoder
def test_features_are_those_of_the_network_before_pooling(which: int) -> None:
    encoder, waves = encoders()[which], noise()
    features = encoder.extract_features(waves)
    assert features.shape == (3, *((4, 32) if which == 0 else (57, 16))) and not features.requires_grad
    assert features.shape[2] == encoder.feature_width
    torch.testing.assert_close(features[1:2], encoder.extract_features(waves[1:2]), atol=1e-5, rtol=0)
    if isinstance(encoder, Wav2CLIPEncoder):
        torch.testing.assert_close(features.mean(1), encoder.wav2clip.pooled(waves), atol=1e-5, rtol=1e-4)
    else:
        assert isinstance(encoder, ImageBindEncoder)
        tokens = encoder.model.audio_tokens(encoder.model.preprocess(waves)[:, 1])
        expected = tokens[:, 1:].unflatten(1, (12, 19)).mean(1)
        torch.testing.assert_close(features[:, 19:38], expected, atol=1e-5, rtol=1e-4)


def test_features_follow_time() -> None:
    """A click late in the clip moves ImageBind's stem at late steps only."""
    made, quiet = model(), noise(1, 32_000) * 0.01
    click = quiet.clone()
    click[0, 28_000:28_100] += 0.5
    stem = made.modality_preprocessors["audio"].rgbt_stem
    change = (stem(made.preprocess(click)[:, 0]) - stem(made.preprocess(quiet)[:, 0])).abs().sum(-1)
    steps = change.unflatten(1, made.config.audio_grid).sum(1)[0]
    assert int(steps.argmax()) >= 15 and steps[:14].max() < 0.2 * steps.max()


def test_a_wav2clip_that_mixes_its_batch_is_refused() -> None:
    clip: Any = None
    with pytest.raises(ValueError, match="'batch'"):
        Wav2CLIPEncoder(Wav2CLIP(width=4, embed_dim=16, standardise="batch"), clip)


def test_the_published_model_reads_with_clips_tokenizer() -> None:
    config = replace(SMALL, vocabulary=49_408, context=77)
    encoder = ImageBindEncoder(model(config))
    ids = encoder.tokenize(["a photo of a dog"])
    assert ids.shape == (1, 77) and ids[0, :7].tolist() == [49406, 320, 1125, 539, 320, 1929, 49407]
    assert not ids[0, 7:].any() and encoder.embed_texts(["a dog"]).shape == (1, 12)
