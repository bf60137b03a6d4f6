"""Tiny random networks of the released classes: in memory as `random_networks` builds the large ones, or as files.

They have the released layouts: the same modules and parameter names, thus the same number of layers, only narrower. The
files have the released formats, with the names that parameters had when they were published.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor

from benchmark.fullscale.random_networks import (
    SCHEDULER,
    TEXT_ENCODER,
    UNET,
    VAE,
    randomly,
    wav2clip,
    write_inception,
)
from benchmark.fullscale.random_networks import clip as random_clip
from benchmark.utils.files import save_atomic
from benchmark.weights.catalog import network

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

    from metrics.encoders.beats import BEATs
    from metrics.scorers.clip import CLIPScorer

__all__ = ["PREFIX", "WRITERS", "beats", "clip", "clip_architecture", "stable_diffusion", "wav2clip", "write"]

PREFIX = "tiny-"
ARCHITECTURES = Path(__file__).with_name("architectures")
WIDTHS = (32, 64, 96, 96)
"""Different where the released ones differ: a block between different widths has a further layer."""
BEATS: dict[str, Any] = {
    "encoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 32,
    "encoder_attention_heads": 4,
    "embed_dim": 16,
    "conv_pos": 16,
    "conv_pos_groups": 4,
    "num_buckets": 32,
    "max_distance": 64,
    "encoder_layerdrop": 0.05,
    "layer_wise_gradient_decay_ratio": 0.6,
}
"""Sizes, and two of the regularisers that the released checkpoint states."""


def stable_diffusion(scheduler: str | None = None) -> StableDiffusionPipeline:
    """Build a Stable Diffusion with the modules of version 1.4, at 64 pixels.

    Args:
        scheduler: As in `benchmark.fullscale.backbone.pipeline`.
    """
    import diffusers
    import transformers

    from benchmark.text_encoder import clip_tokenizer

    narrow = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "projection_dim": 32}
    unet = {**UNET, "sample_size": 8, "block_out_channels": WIDTHS, "cross_attention_dim": 32}
    vae = {**VAE, "sample_size": 64, "block_out_channels": WIDTHS}
    text = transformers.CLIPTextConfig(**{**TEXT_ENCODER, **narrow})
    kind: Any = getattr(diffusers, scheduler or SCHEDULER["_class_name"])
    return diffusers.StableDiffusionPipeline(
        vae=randomly(lambda: diffusers.AutoencoderKL(**vae)),
        text_encoder=randomly(lambda: transformers.CLIPTextModel(text)),
        tokenizer=clip_tokenizer(),
        unet=randomly(lambda: diffusers.UNet2DConditionModel(**unet)),
        scheduler=kind.from_config(SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def clip_architecture(name: str) -> str:
    """Return open_clip's name of a tiny CLIP, which it knows from then on.

    Args:
        name: The suites' name of the CLIP, such as "clip-vit-b-32".
    """
    import open_clip

    open_clip.add_model_config(ARCHITECTURES)
    return PREFIX + name


def clip(name: str, sha256: str, architecture: str, device: str) -> CLIPScorer:
    """Build a tiny CLIP as a scorer; the arguments are those of `random_networks.clip`."""
    return random_clip(name, sha256, architecture, device)


def beats() -> BEATs:
    """Build a tiny BEATs."""
    from metrics.encoders.beats import BEATs, BEATsConfig

    return randomly(lambda: BEATs(BEATsConfig(**BEATS)))


# --------------------------------------------------------------------------------------------------------------- files


def write(folder: Path, say: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Write every tiny network as `<folder>/<network>/<file>`, as `bench fetch` would; those that are there stay.

    Returns:
        The networks' folders.
    """
    from benchmark.weights.locate import absent

    folders = []
    for name, writer in WRITERS.items():
        place = folder / name
        if absent(network(name), place):
            say(f"writing {name}")
            writer(place)
        folders.append(place)
    return folders


def _stable_diffusion(folder: Path) -> None:
    pipeline = stable_diffusion()
    pipeline.save_pretrained(folder)
    as_released(folder, pipeline.tokenizer)


def as_released(folder: Path, tokenizer: Any) -> None:
    """Change a saved pipeline to the form of 2022, which released weights have.

    The autoencoder's attention and the text encoder had other names, the latter also a buffer of positions; the
    tokenizer had its vocabulary in two files and no `tokenizer.json`.

    Args:
        folder: Folder of the saved pipeline.
        tokenizer: Its tokenizer.
    """
    older = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    state = safetensors.torch.load_file(path)
    for new, old in older.items():
        state = {name.replace(new, old): value for name, value in state.items()}
    _save(state, path)
    path = folder / "text_encoder" / "model.safetensors"
    state = safetensors.torch.load_file(path)
    state = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in state.items()}
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    _save(state, path)
    from open_clip.tokenizer import SimpleTokenizer

    merges = "\n".join(" ".join(pair) for pair in SimpleTokenizer().bpe_ranks)
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    special["unk_token"] = "<|endoftext|>"
    place = folder / "tokenizer"
    (place / "tokenizer.json").unlink(missing_ok=True)
    (place / "vocab.json").write_text(json.dumps(tokenizer.get_vocab()), encoding="utf-8")
    (place / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    (place / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")
    config = {**special, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (place / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _clip(name: str) -> Callable[[Path], None]:
    def write_clip(folder: Path) -> None:
        scorer = clip(name, "", clip_architecture(name), "cpu")
        _save(scorer.model.state_dict(), folder / network(PREFIX + name).files[0].name)

    return write_clip


def _beats(folder: Path) -> None:
    from metrics.encoders.beats import BEATsConfig

    config = {**vars(BEATsConfig()), **BEATS}
    _torch_save({"cfg": config, "model": beats().state_dict()}, folder / network(f"{PREFIX}beats").files[0].name)


def _wav2clip(folder: Path) -> None:
    _torch_save(wav2clip().state_dict(), folder / network(f"{PREFIX}wav2clip").files[0].name)


def _save(state: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}
    save_atomic(path, lambda part: safetensors.torch.save_file(contiguous, part, {"format": "pt"}))


def _torch_save(state: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_atomic(path, lambda part: torch.save(state, part))


WRITERS: dict[str, Callable[[Path], None]] = {
    f"{PREFIX}stable-diffusion-v1-4": _stable_diffusion,
    f"{PREFIX}clip-vit-b-32": _clip("clip-vit-b-32"),
    f"{PREFIX}clip-vit-l-14": _clip("clip-vit-l-14"),
    f"{PREFIX}wav2clip": _wav2clip,
    f"{PREFIX}inception": write_inception,
    f"{PREFIX}beats": _beats,
}
"""Name in weights.toml -> function that writes the network's files to a folder."""
