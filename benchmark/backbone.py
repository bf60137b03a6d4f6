"""The frozen text-to-image latent diffusion pipeline of a suite, and the only way pictures are sampled from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from benchmark import text_encoder as text
from benchmark.utils.errors import RunError

if TYPE_CHECKING:
    from diffusers import DDPMScheduler, StableDiffusionPipeline
    from PIL.Image import Image

    from benchmark.suite import Suite


class Backbone:
    """diffusers' StableDiffusionPipeline with everything in it frozen, and the suite's way of using it.

    Text and latents are in single precision; with a lower `dtype` of the suite the U-Net and the autoencoder compute
    under autocast while sampling.
    """

    def __init__(self, pipeline: StableDiffusionPipeline, suite: Suite, device: str) -> None:
        self.suite, self.device = suite, device
        self.pipeline = pipeline.to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        self.tokenizer: Any = pipeline.tokenizer
        self.text_encoder: Any = pipeline.text_encoder
        self.unet: Any = pipeline.unet
        self.vae: Any = pipeline.vae
        for module in (self.text_encoder, self.unet, self.vae):
            module.requires_grad_(False).eval()
        # convolutions of a CPU, and of tensor cores, are faster over channels-last memory
        self.unet.to(memory_format=torch.channels_last)
        self.vae.to(memory_format=torch.channels_last)
        self.placeholder = text.placeholder_id(self.tokenizer)
        self.dtype: torch.dtype = getattr(torch, suite.backbone.dtype)

    @property
    def token_width(self) -> int:
        """Width of the text encoder, which is that of an audio token."""
        width: int = self.text_encoder.config.hidden_size
        return width

    @cached_property
    def noise_schedule(self) -> DDPMScheduler:
        """The forward process, for training: `add_noise`, `alphas_cumprod`, `config`.

        Not the sampler itself: a DPM-Solver adds noise by its own list of timesteps, the few of the last sampling.
        """
        from diffusers import DDPMScheduler

        schedule: DDPMScheduler = DDPMScheduler.from_config(self.pipeline.scheduler.config)
        return schedule

    def prompt(self, name: str) -> str:
        """The suite's template around a label or a placeholder."""
        return self.suite.generation.prompt.format(name)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> hidden states (B, L, D)."""
        return text.encode_prompts(self.tokenizer, self.text_encoder, prompts)

    @cached_property
    def _template_ids(self) -> Tensor:
        return text.tokenize(self.tokenizer, [self.prompt(text.PLACEHOLDER)]).to(self.device)

    def inject(self, token: Tensor) -> Tensor:
        """Audio tokens (B, D) in the placeholder's position of the suite's template -> hidden states (B, L, D).

        Gradients flow to the tokens; the text encoder stays as it is.
        """
        return text.encode_with_token(
            self.text_encoder, self._template_ids.expand(len(token), -1), token, self.placeholder
        )

    @torch.inference_mode()
    def encode_pictures(self, pictures: np.ndarray) -> tuple[Tensor, Tensor]:
        """uint8 (B, H, W, 3) -> mean and standard deviation of the latents' posterior, scaled, on the CPU."""
        pixels = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1.0)
        posterior = self.vae.encode(pixels.to(self.device).contiguous(memory_format=torch.channels_last)).latent_dist
        scale = self.vae.config.scaling_factor
        return (scale * posterior.mean).cpu(), (scale * posterior.std).cpu()

    @cached_property
    def _negative(self) -> Tensor:
        return self.encode_prompts([self.suite.generation.negative_prompt])

    @torch.inference_mode()
    def sample(self, prompt_embeds: Tensor, seeds: Sequence[int]) -> list[Image]:
        """Conditioning (B, L, D) -> B pictures; picture i's noise is a CPU generator's seeded with `seeds[i]`.

        Raises RunError if a picture is not finite: it must not become a black square.
        """
        generation = self.suite.generation
        side = self.suite.backbone.resolution
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        lowered = self.dtype is not torch.float32
        with torch.autocast(torch.device(self.device).type, self.dtype, enabled=lowered):
            pictures: Tensor = self.pipeline(
                prompt_embeds=prompt_embeds.to(self.device),
                negative_prompt_embeds=self._negative.expand_as(prompt_embeds),
                num_inference_steps=generation.steps,
                guidance_scale=generation.guidance,
                generator=generators,
                height=side,
                width=side,
                output_type="pt",
            ).images
        if not bool(torch.isfinite(pictures).all()):
            raise RunError("the backbone gave a picture with NaN or infinite values: try another precision or device")
        levels = (pictures.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [PIL.Image.fromarray(level) for level in levels]
