"""Networks of the full-scale suites with random parameters: real shapes, no files, built in seconds.

Time and memory depend on shapes alone, so `bench run --dry-run` uses these networks to estimate a run before anything
is downloaded. Sizes are those of the released configurations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import StableDiffusionPipeline

    from metrics.encoders.beats import BEATs
    from metrics.encoders.imagebind import ImageBind
    from metrics.encoders.wav2clip import Wav2CLIP
    from metrics.scorers.clip import CLIPScorer

Module = TypeVar("Module", bound=nn.Module)

# CompVis/stable-diffusion-v1-4@133a221b: config.json of each part, as far as it differs from the classes' defaults.
UNET: dict[str, Any] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,  # which diffusers reads as the number of heads
}
VAE: dict[str, Any] = {
    "sample_size": 512,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
TEXT_ENCODER: dict[str, Any] = {
    "vocab_size": 49_408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
}
SCHEDULER: dict[str, Any] = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
}

# Number of random numbers that all parameters are cut from, as drawing a billion takes minutes on a CPU. It divides no
# width, so that rows differ.
DRAWN = 1_000_003


def randomly(build: Callable[[], Module]) -> Module:
    """Build a network on the CPU with cheap random parameters instead of its initialisation, frozen and in eval mode.

    Matrices and kernels get a standard deviation of 1 / sqrt(inputs), scales 1 and biases 0, so that activations stay
    of order 1. Equal calls give equal parameters, and the global random state is not touched.

    Args:
        build: Constructor of the network; its parameters are allocated on the meta device.
    """
    from accelerate import init_empty_weights

    with torch.random.fork_rng(devices=[]), init_empty_weights(include_buffers=False):
        model = build()
    drawn = torch.randn(DRAWN, generator=torch.Generator().manual_seed(0))
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(_values(name, parameter.shape, drawn), requires_grad=False))
    return model.eval()


def _values(name: str, shape: torch.Size, drawn: Tensor) -> Tensor:
    if len(shape) < 2:
        return torch.full(shape, float(name == "weight"))
    count = shape.numel()
    scaled = drawn[:count] * (shape[0] / count) ** 0.5
    values = torch.empty(count)
    for part in values.split(DRAWN):
        part.copy_(scaled[: len(part)])
    return values.view(shape)


def stable_diffusion(scheduler: str | None = None) -> StableDiffusionPipeline:
    """Build Stable Diffusion 1.4 in single precision with CLIP's own tokenizer.

    Args:
        scheduler: As in `benchmark.fullscale.backbone.pipeline`.
    """
    import diffusers
    import transformers

    from benchmark.text_encoder import clip_tokenizer

    kind: Any = getattr(diffusers, scheduler or SCHEDULER["_class_name"])
    return diffusers.StableDiffusionPipeline(
        vae=randomly(lambda: diffusers.AutoencoderKL(**VAE)),
        text_encoder=randomly(lambda: transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT_ENCODER))),
        tokenizer=clip_tokenizer(),
        unet=randomly(lambda: diffusers.UNet2DConditionModel(**UNET)),
        scheduler=kind.from_config(SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def clip(name: str, sha256: str, architecture: str, device: str) -> CLIPScorer:
    """Build one of OpenAI's CLIP models, with OpenAI's preprocessing and tokenizer.

    Args:
        name: Name of the scorer.
        sha256: Hash that the scorer states for its weights.
        architecture: open_clip's name of the architecture.
        device: Device of the scorer.
    """
    import open_clip

    from metrics.preprocessing import Preprocessing
    from metrics.scorers.clip import CLIPScorer

    config: dict[str, Any] = open_clip.get_model_config(architecture)
    tokenizer = open_clip.get_tokenizer(architecture)
    preprocessing = Preprocessing(
        config["vision_cfg"]["image_size"], open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    )
    model = randomly(lambda: open_clip.CLIP(**config))
    return CLIPScorer(name, sha256, model, preprocessing, lambda texts: tokenizer(list(texts)), device)


def beats() -> BEATs:
    """Build BEATs with the shapes of the checkpoint that AudioToken uses."""
    from metrics.encoders import beats

    return randomly(lambda: beats.BEATs(beats.BEATsConfig()))


def wav2clip() -> Wav2CLIP:
    """Build Wav2CLIP with the published shapes."""
    from metrics.encoders.wav2clip import Wav2CLIP

    return randomly(Wav2CLIP)


def imagebind() -> ImageBind:
    """Build ImageBind with the shapes of the published `imagebind_huge`."""
    from metrics.encoders import imagebind

    return randomly(imagebind.ImageBind)


def write_inception(folder: Path) -> None:
    """Write torch-fidelity's Inception-v3 as a file in its released form to `folder`, as it only loads from files."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from metrics.scorers.inception import WEIGHTS

    class Unread(FeatureExtractorInceptionV3):  # type: ignore[misc]  # torch-fidelity is untyped
        def load_state_dict(self, *arguments: Any, **options: Any) -> None:
            pass

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / WEIGHTS
    torch.save({}, path)
    torch.save(randomly(lambda: Unread("inception-v3-compat", ["2048"], str(path))).state_dict(), path)
