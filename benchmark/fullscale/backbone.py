"""Backbone of a suite from Stable Diffusion weights in diffusers layout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.utils.errors import RunError
from benchmark.weights import locate, stand_ins
from metrics.tensor_files import check_finite

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

    from benchmark.backbone import Backbone
    from benchmark.suite import Suite

# Buffer that CLIP's text encoder stored until transformers 4.31.
LEFT_OVER = "position_ids"


def backbone(suite: Suite, device: str) -> Backbone:
    """Load the pipeline whose weights `suite.backbone.source` names, with the suite's scheduler.

    Raises:
        RunError: The weights are not on this machine, or do not fit the networks that their configuration describes.
    """
    from benchmark.backbone import Backbone
    from benchmark.fullscale.networks import in_memory

    name, scheduler = suite.backbone.source, suite.generation.scheduler
    made = stand_ins.load(
        name,
        lambda: pipeline(locate.checked(suite, name), scheduler),
        lambda: in_memory(suite).stable_diffusion(scheduler),
    )
    return Backbone(made, suite, device)


def pipeline(root: Path, scheduler: str | None = None) -> StableDiffusionPipeline:
    """Load a folder in diffusers layout as a pipeline in single precision, without its safety checker.

    The checker would replace some images by black ones, which would be scored.

    Args:
        root: The folder.
        scheduler: Scheduler class of diffusers, which reads the configuration that came with the weights; None for the
            class that came with them.

    Raises:
        RunError: Parameters are missing, surplus, of another shape (a line for each) or not finite, or the networks do
            not fit each other.
    """
    import diffusers
    import torch
    import transformers

    def load(kind: Any, part: str) -> Any:
        try:
            model, report = kind.from_pretrained(
                root / part,
                torch_dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise RunError(f"{root / part} cannot be loaded: {' '.join(str(error).split())}") from error
        if problems := _problems(report):
            raise RunError("\n".join(f"{root / part}: {problem}" for problem in problems))
        try:
            check_finite(model.state_dict(), root / part)
        except ValueError as error:
            raise RunError(str(error)) from error
        return model

    config = root / "scheduler" / "scheduler_config.json"
    kind = getattr(diffusers, scheduler or json.loads(config.read_text(encoding="utf-8"))["_class_name"])
    vae, text_encoder = load(diffusers.AutoencoderKL, "vae"), load(transformers.CLIPTextModel, "text_encoder")
    unet = load(diffusers.UNet2DConditionModel, "unet")
    if problems := list(_misfits(unet.config, vae.config, text_encoder.config)):
        raise RunError("\n".join(f"{root}: {problem}: take all parts of one repository" for problem in problems))
    return diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=transformers.CLIPTokenizer.from_pretrained(root / "tokenizer", local_files_only=True),
        unet=unet,
        scheduler=kind.from_pretrained(root / "scheduler", local_files_only=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _misfits(unet: Any, vae: Any, text_encoder: Any) -> Iterator[str]:
    """Yield a line for each respect in which the configurations of the three networks do not fit each other."""
    widths = unet.cross_attention_dim
    if set(widths if isinstance(widths, list | tuple) else [widths]) != {text_encoder.hidden_size}:
        yield f"the U-Net attends to width {widths}, the text encoder gives {text_encoder.hidden_size}"
    if unet.in_channels != vae.latent_channels:
        yield f"the U-Net takes {unet.in_channels} channels, the autoencoder's latents have {vae.latent_channels}"


def _problems(report: Mapping[str, Iterable[Any]]) -> list[str]:
    problems = [f"parameter {name} is missing" for name in sorted(report["missing_keys"])]
    problems += [
        f"parameter {name} is surplus" for name in sorted(report["unexpected_keys"]) if not name.endswith(LEFT_OVER)
    ]
    return problems + [f"parameter {one} has another shape" for one in map(str, report["mismatched_keys"])]
