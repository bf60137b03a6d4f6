"""ImageBind in front of Stable unCLIP: the true classes of the pipeline, tiny and random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import worlds
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableUnCLIPImg2ImgPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from baselines.imagebind_unclip import ImageBindUnclip, UnclipSettings
from benchmark.clips import ClipSet
from benchmark.data.manifest import load_manifest
from benchmark.method import RunContext
from benchmark.mini import networks
from benchmark.mini.wiring import WEIGHTS
from benchmark.registries import METHODS
from benchmark.suite import load_suite
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.progress import Silent
from benchmark.utils.registry import Registry

WIDTH, SIDE = 12, 16


class Ears:
    """Stands for ImageBind: embeddings of unit length that depend on the sound."""

    width = WIDTH

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        return F.normalize(waveforms[:, : 1200 * WIDTH].unflatten(1, (WIDTH, 1200)).square().mean(2), dim=-1)


@pytest.fixture(autouse=True)
def encoders(monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    known: Registry[Any] = Registry("audio encoder")
    known.register("mini/imagebind", lambda suite, device: Ears())
    monkeypatch.setattr("audiotoken.features.ENCODERS", known)
    return known


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a Stable unCLIP that takes `WIDTH` numbers and draws `SIDE` x `SIDE` pixels."""
    torch.manual_seed(0)
    tokenizer = networks.tokenizer(WEIGHTS / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=networks.CONTEXT,
        eos_token_id=len(tokenizer) - 1,
    )
    vision = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
        projection_dim=WIDTH,
    )
    unet = UNet2DConditionModel(
        sample_size=SIDE // 2,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 8),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=4,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=2 * WIDTH,
    )
    vae = AutoencoderKL(
        block_out_channels=(4, 4),
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIDE,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    folder = tmp_path_factory.mktemp("unclip")
    StableUnCLIPImg2ImgPipeline(
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 8}, crop_size=8),
        image_encoder=CLIPVisionModelWithProjection(vision),
        image_normalizer=StableUnCLIPImageNormalizer(WIDTH),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=tokenizer,
        text_encoder=CLIPTextModel(text),
        unet=unet,
        scheduler=DDIMScheduler(beta_schedule="scaled_linear"),
        vae=vae,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    return load_manifest(worlds.things(tmp_path_factory.getbasetemp())).test.limit(3)


def unclip(clips: ClipSet, **settings: Any) -> ImageBindUnclip:
    mini = load_suite("mini")
    suite = mini.model_copy(update={"name": "mini+things", "encoders": {"imagebind": "0" * 64}})
    method = ImageBindUnclip(UnclipSettings(**{"sampling_steps": 2, **settings}))
    none: Any = None
    method.setup(RunContext(suite, none, clips, 0, Path(), Path(), "cpu", Silent()))
    return method


def test_pictures_of_sounds(weights: Path, clips: ClipSet) -> None:
    assert METHODS.get("imagebind-unclip") is ImageBindUnclip and not ImageBindUnclip.fits
    assert ImageBindUnclip.card.sees == ("audio",) and "not for commercial use" in ImageBindUnclip.card.licence
    method = unclip(clips, weights=str(weights))
    pictures = [np.asarray(picture) for picture in method.generate(clips[:], [1, 2, 3])]
    assert [picture.shape for picture in pictures] == [(64, 64, 3)] * 3
    # each is its own clip's and seed's, whatever its neighbours
    assert np.array_equal(np.asarray(method.generate(clips[2:], [3])[0]), pictures[2])
    assert not np.array_equal(np.asarray(method.generate(clips[2:], [4])[0]), pictures[2])
    assert not np.array_equal(np.asarray(method.generate(clips[1:2], [3])[0]), pictures[2])


def test_settings_reach_the_pipeline(weights: Path, clips: ClipSet, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def call(self: Any, **given: Any) -> Any:
        seen.update(given)
        raise RunError("enough")

    monkeypatch.setattr(StableUnCLIPImg2ImgPipeline, "__call__", call)
    method = unclip(clips, weights=str(weights), embedding_norm=5, noise_level=7, guidance=3, sampling_steps=4)
    with pytest.raises(RunError, match="enough"):
        method.generate(clips[:1], [9])
    assert (seen["noise_level"], seen["guidance_scale"], seen["num_inference_steps"]) == (7, 3, 4)
    assert seen["prompt"] == "" and "image" not in seen and seen["generator"].initial_seed() == 9
    heard = Ears().embed_audio(torch.from_numpy(load_suite("mini").sound(clips[0]))[None])
    torch.testing.assert_close(seen["image_embeds"], 5 * heard)


def test_a_picture_that_is_not_finite_is_no_picture(weights: Path, clips: ClipSet) -> None:
    method = unclip(clips, weights=str(weights))
    with torch.no_grad():
        method.pipeline.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(RunError, match=f"'{clips[0].id}' NaN"):
        method.generate(clips[:1], [0])


def test_its_networks_are_told_apart_by_their_contents(weights: Path, clips: ClipSet) -> None:
    brought = unclip(clips, weights=str(weights)).encoders()
    assert set(brought) == {"imagebind", "stable-unclip"} and len(brought["stable-unclip"]) == 64
    assert brought == unclip(clips, weights=str(weights), guidance=2).encoders()
    StableUnCLIPImageNormalizer(WIDTH).save_pretrained(weights / "image_normalizer")
    (weights / "more.safetensors").write_bytes(b"x")
    assert unclip(clips, weights=str(weights)).encoders() != brought
    (weights / "more.safetensors").unlink()


def test_what_is_missing_is_one_line(
    weights: Path, clips: ClipSet, tmp_path: Path, encoders: Registry[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def problem(**settings: Any) -> str:
        with pytest.raises(UserError) as caught:
            unclip(clips, **settings)
        assert len(caught.value.problems) == 1 and "\n" not in str(caught.value)
        return str(caught.value)

    # the environment's HF_HUB_OFFLINE was set after the library had read it
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "no Stable unCLIP at 'nowhere/at-all'" in (line := problem(weights="nowhere/at-all"))
    assert "--set weights=FOLDER" in line
    assert str(tmp_path) in problem(weights=str(tmp_path))
    StableUnCLIPImageNormalizer(WIDTH + 1).save_pretrained(tmp_path / "image_normalizer")
    line = problem(weights=str(tmp_path))
    assert "'mini': its ImageBind gives 12 numbers" in line and "takes 13" in line
    StableUnCLIPImageNormalizer(WIDTH).save_pretrained(tmp_path / "image_normalizer")
    assert "no Stable unCLIP" in problem(weights=str(tmp_path))  # and nothing else is there
    monkeypatch.setattr("audiotoken.features.ENCODERS", Registry("audio encoder"))
    assert "'mini' has no encoder 'imagebind'" in problem(weights=str(weights))
