"""Tiny networks in the formats that the real ones were released in, and a copy of the suites that is run with them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch

from benchmark import suite
from benchmark.fullscale import networks, tiny_networks
from benchmark.fullscale.random_networks import write_inception
from benchmark.fullscale.tiny_networks import as_released
from benchmark.text_encoder import clip_tokenizer
from benchmark.weights import catalog
from metrics.encoders.beats import BEATs, BEATsConfig
from metrics.encoders.wav2clip import Wav2CLIP

TINY_BEATS = {"encoder_layers": 12, **tiny_networks.BEATS}


def stable_diffusion(root: Path) -> Path:
    """Stable Diffusion's classes and files, with SD 1.4's scheduler and tokenizer."""
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            norm_num_groups=4,
            latent_channels=4,
            sample_size=64,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408,
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                projection_dim=16,
            )
        ),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 8),
            layers_per_block=1,
            cross_attention_dim=16,
            norm_num_groups=4,
            attention_head_dim=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        ),
        scheduler=PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(root)
    as_released(root, tokenizer)
    return root


def openai_clip(path: Path, architecture: str) -> Path:
    """The parameters of open_clip's model of that name, in its file."""
    import open_clip

    torch.manual_seed(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(open_clip.create_model(architecture, pretrained=None).state_dict(), path)
    return path


def beats(path: Path) -> Path:
    """`{"cfg", "model"}`."""
    torch.manual_seed(2)
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {**vars(BEATsConfig()), **TINY_BEATS}
    torch.save({"cfg": config, "model": BEATs(BEATsConfig.from_dict(config)).state_dict()}, path)
    return path


def wav2clip(path: Path) -> Path:
    """The published size; there is only one."""
    torch.manual_seed(3)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(Wav2CLIP().state_dict(), path)
    return path


def clip_architectures(folder: Path) -> dict[str, str]:
    """Small models that open_clip knows by name afterwards, with the widths that Wav2CLIP and the real ones have."""
    import open_clip

    folder.mkdir(parents=True, exist_ok=True)
    names = {}
    for name, width in (("clip-vit-b-32", 512), ("clip-vit-l-14", 768)):
        tower = {"layers": 1, "width": 64}
        config = {
            "embed_dim": width,
            "quick_gelu": True,
            "vision_cfg": {**tower, "image_size": 32, "patch_size": 16},
            "text_cfg": {**tower, "context_length": 77, "vocab_size": 49408, "heads": 2},
        }
        names[name] = f"tiny-{name}"
        (folder / f"tiny-{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return names


def release(root: Path) -> Path:
    """A folder for BENCH_WEIGHTS that holds all of the suite's networks."""
    names = clip_architectures(root / "architectures")
    stable_diffusion(root / "stable-diffusion-v1-4")
    for name, architecture in names.items():
        openai_clip(root / name / "open_clip_model.safetensors", architecture)
    wav2clip(root / "wav2clip" / "Wav2CLIP.pt")
    beats(root / "beats" / "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt")
    write_inception(root / "inception")
    return root


def use(root: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the suites be run with what lies in `root`: no published hashes, 64 pixels, two steps."""
    names = {name: f"tiny-{name}" for name in networks.ARCHITECTURES}
    patch.setattr(networks, "ARCHITECTURES", names)
    patch.setenv("BENCH_WEIGHTS", str(root))
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "weights.toml"
    manifest.write_text(re.sub(r', (sha256|size) = (".*?"|[\d_]+)', "", catalog.MANIFEST.read_text(encoding="utf-8")))
    for path in suite.FOLDER.glob("vggsound*.toml"):
        text = path.read_text(encoding="utf-8").replace("resolution = 512", "resolution = 64")
        text = text.replace("steps = 50 ", "steps = 2 ").replace("seconds = 10.0", "seconds = 1.0")
        for one in catalog.networks().values():
            if one.identity in text and "://" not in one.identity:
                text = text.replace(one.identity, one.sources[0].removesuffix("/{}"))
        (folder / path.name).write_text(text, encoding="utf-8")
    patch.setattr(suite, "FOLDER", folder)
    patch.setattr(catalog, "MANIFEST", manifest)
