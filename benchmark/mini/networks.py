"""Networks of the suite `mini`: the real classes of diffusers, transformers, open_clip and this project, small.

docs/mini.md gives the reasons for their sizes. The functions here build architectures; `benchmark.mini.pretrain` trains
them, and the folder `benchmark/mini/weights` contains the weights that it wrote.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmark.mini.world import PICTURE_SIZE
from benchmark.utils.files import save_atomic

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel
    from open_clip import CLIP
    from torch import nn
    from transformers import CLIPTextModel, CLIPTokenizer

    from metrics.encoders.beats import BEATs
    from metrics.encoders.imagebind import ImageBind
    from metrics.encoders.wav2clip import Wav2CLIP

Module = TypeVar("Module", bound="nn.Module")

MERGES = 3_500
"""Number of CLIP's 48,894 byte-pair merges that the small tokenizer keeps."""

CONTEXT = 32
"""Number of tokens of a prompt, start and end included; longer prompts are cut, as CLIP cuts them at 77."""

TEXT_WIDTH = 128
LATENT_CHANNELS = 4
LATENT_SIZE = PICTURE_SIZE // 4
CLIP_DIM = 128

PREDICTION_TYPE = "v_prediction"


def write_tokenizer(folder: Path) -> None:
    """Write the small tokenizer's `vocab.json` and `merges.txt` to a folder.

    They contain CLIP's bytes and its first `MERGES` merges, from open_clip's list.
    """
    import open_clip
    from open_clip.tokenizer import bytes_to_unicode

    source = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(source.read_bytes()).decode().split("\n")[1 : MERGES + 1]
    units = list(bytes_to_unicode().values())
    tokens = units + [unit + "</w>" for unit in units] + ["".join(merge.split()) for merge in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")


def tokenizer(folder: Path) -> CLIPTokenizer:
    """Load the small CLIP tokenizer, which turns a prompt of any language into at most `CONTEXT` ids."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(str(folder), model_max_length=CONTEXT)


def text_encoder(vocabulary: int) -> CLIPTextModel:
    """Build CLIP's text model: 4 layers of width 128."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            hidden_act="quick_gelu",
            projection_dim=TEXT_WIDTH,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def vae() -> AutoencoderKL:
    """Build the autoencoder between images of 64x64x3 in [-1, 1] and latents of 16x16x4."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT_CHANNELS,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=PICTURE_SIZE,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


def unet() -> UNet2DConditionModel:
    """Build the U-Net: convolutions at 16x16, convolutions and attention (heads of 32 channels) at 8x8 and 4x4."""
    from diffusers import UNet2DConditionModel

    channels = (64, 128, 128)
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        # diffusers reads this argument as the number of heads of each block.
        attention_head_dim=tuple(c // 32 for c in channels),
        norm_num_groups=16,
    )


SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": PREDICTION_TYPE,
}
"""Stable Diffusion's noise schedule, with velocity prediction as in Stable Diffusion 2."""


def scheduler() -> DPMSolverMultistepScheduler:
    """Build the sampler: DPM-Solver++ (2M) over `SCHEDULE`."""
    from diffusers import DPMSolverMultistepScheduler

    # steps_offset has no effect on trailing timesteps, but the pipeline warns of any value except Stable Diffusion's.
    return DPMSolverMultistepScheduler(**SCHEDULE, timestep_spacing="trailing", steps_offset=1)


def clip(vocabulary: int) -> CLIP:
    """Build open_clip's CLIP: a ViT (patch 8, width 128, 5 layers) and a text tower of width 128, 3 layers."""
    import open_clip

    return open_clip.CLIP(
        embed_dim=CLIP_DIM,
        vision_cfg={
            "image_size": PICTURE_SIZE,
            "patch_size": 8,
            "width": 128,
            "layers": 5,
            "head_width": 32,
        },
        text_cfg={
            "context_length": CONTEXT,
            "vocab_size": vocabulary,
            "width": 128,
            "heads": 4,
            "layers": 3,
            "eos_id": vocabulary - 1,
        },
    )


def beats(classes: int) -> BEATs:
    """Build AudioToken's audio encoder: BEATs with all its 12 layers, width 96."""
    from metrics.encoders.beats import BEATs, BEATsConfig

    return BEATs(
        BEATsConfig(
            encoder_layers=12,
            encoder_embed_dim=96,
            encoder_ffn_embed_dim=256,
            encoder_attention_heads=4,
            embed_dim=64,
            predictor_class=classes,
            finetuned_model=True,
        )
    )


def classifier(classes: int) -> BEATs:
    """Build the audio classifier of the scores: a shallower BEATs with its own weights and a head over the labels."""
    from metrics.encoders.beats import BEATs, BEATsConfig

    return BEATs(
        BEATsConfig(
            encoder_layers=4,
            encoder_embed_dim=64,
            encoder_ffn_embed_dim=192,
            encoder_attention_heads=4,
            embed_dim=64,
            predictor_class=classes,
            finetuned_model=True,
        )
    )


def wav2clip() -> Wav2CLIP:
    """Build Wav2CLIP into the small CLIP's space: a ResNet-18 of an eighth of the width."""
    from metrics.encoders.wav2clip import Wav2CLIP

    return Wav2CLIP(width=16, embed_dim=CLIP_DIM)


def imagebind(vocabulary: int) -> ImageBind:
    """Build ImageBind: image patches of 8 pixels, audio patches as published, and towers other than the scorer's."""
    from metrics.encoders.imagebind import ImageBind, ImageBindConfig, Tower

    return ImageBind(
        ImageBindConfig(
            embed_dim=CLIP_DIM,
            vision=Tower(128, 4, 4),
            text=Tower(96, 3, 3),
            audio=Tower(96, 4, 3),
            image_size=PICTURE_SIZE,
            image_patch=8,
            vocabulary=vocabulary,
            context=CONTEXT,
        )
    )


def export(modules: nn.ModuleDict, path: Path) -> None:
    """Write modules as one half-precision safetensors file; parameter names are prefixed by the module's name."""
    import torch
    from safetensors.torch import save_file

    tensors = {
        name: (tensor.half() if torch.is_floating_point(tensor) else tensor).contiguous().clone()
        for name, tensor in modules.state_dict().items()
    }
    save_atomic(path, lambda temporary: save_file(tensors, temporary))


def load_into(module: Module, path: Path, name: str) -> Module:
    """Load the tensors under a name strictly into a module, in single precision, and freeze it in eval mode.

    Args:
        module: The module to load into.
        path: File that `export` wrote.
        name: Name of the module in the file.

    Returns:
        `module` itself.
    """
    from safetensors import safe_open

    prefix = f"{name}."
    with safe_open(path, framework="pt") as file:
        keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118  # the file is no mapping
        stored = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    # The module's parameters are in single precision already: they are filled one by one, without a copy of all.
    module.load_state_dict(stored, strict=True)
    module.eval().requires_grad_(False)
    return module


def scaling_factor(weights: Path) -> float:
    """Return the factor that scales latents to a standard deviation of 1, from the autoencoder's report."""
    report = json.loads((weights / "vae.json").read_text())
    return round(1.0 / float(report["held_out"]["latent_std"]), 4)
