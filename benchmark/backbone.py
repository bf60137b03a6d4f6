"""Frozen text-to-image latent diffusion pipeline of a suite, the only place where images are sampled from it."""

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
    """Frozen StableDiffusionPipeline of diffusers, used as the suite prescribes.

    Text and latents are in single precision. If the suite's `dtype` is lower, the U-Net and the autoencoder run under
    autocast while sampling.

    Args:
        pipeline: The pipeline, which is moved to `device` and frozen.
        suite: The suite.
        device: Device to run on.

    Attributes:
        placeholder: Id of the placeholder token in the tokenizer.
        dtype: Precision of sampling.
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
        # Convolutions on CPUs and tensor cores are faster in channels-last memory.
        self.unet.to(memory_format=torch.channels_last)
        self.vae.to(memory_format=torch.channels_last)
        self.placeholder = text.placeholder_id(self.tokenizer)
        self.dtype: torch.dtype = getattr(torch, suite.backbone.dtype)

    @property
    def token_width(self) -> int:
        """Width of the text encoder, and hence of an audio token."""
        width: int = self.text_encoder.config.hidden_size
        return width

    @cached_property
    def noise_schedule(self) -> DDPMScheduler:
        """Forward process for training: `add_noise`, `alphas_cumprod`, `config`.

        The sampler itself is unsuitable: a DPM-Solver adds noise by the few timesteps of the last sampling.
        """
        from diffusers import DDPMScheduler

        schedule: DDPMScheduler = DDPMScheduler.from_config(self.pipeline.scheduler.config)
        return schedule

    def prompt(self, name: str) -> str:
        """Return the suite's prompt for a label or a placeholder."""
        return self.suite.generation.prompt.format(name)

    def alike(self, labels: Sequence[str]) -> list[list[str]]:
        """Return the groups of labels whose prompts have the same tokens, in the tokenizer's case, form and length."""
        rows = text.tokenize(self.tokenizer, [self.prompt(label) for label in labels]).tolist()
        groups: dict[tuple[int, ...], list[str]] = {}
        for label, ids in zip(labels, rows, strict=True):
            groups.setdefault(tuple(ids), []).append(label)
        return [group for group in groups.values() if len(group) > 1]

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Encode prompts to hidden states (B, L, D)."""
        return text.encode_prompts(self.tokenizer, self.text_encoder, prompts)

    @cached_property
    def _template_ids(self) -> Tensor:
        return text.tokenize(self.tokenizer, [self.prompt(text.PLACEHOLDER)]).to(self.device)

    def inject(self, token: Tensor) -> Tensor:
        """Encode the suite's prompt with an audio token in the place of the placeholder.

        Gradients flow to the tokens; the text encoder is not changed.

        Args:
            token: Audio tokens, (B, D).

        Returns:
            Hidden states, (B, L, D).
        """
        return text.encode_with_token(
            self.text_encoder, self._template_ids.expand(len(token), -1), token, self.placeholder
        )

    @torch.inference_mode()
    def encode_pictures(self, pictures: np.ndarray) -> tuple[Tensor, Tensor]:
        """Encode frames to the posterior of their latents.

        Args:
            pictures: Frames, uint8 (B, H, W, 3).

        Returns:
            Mean and standard deviation of the posterior, both scaled and on the CPU.
        """
        pixels = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1.0)
        posterior = self.vae.encode(pixels.to(self.device).contiguous(memory_format=torch.channels_last)).latent_dist
        scale = self.vae.config.scaling_factor
        return (scale * posterior.mean).cpu(), (scale * posterior.std).cpu()

    @cached_property
    def _negative(self) -> Tensor:
        return self.encode_prompts([self.suite.generation.negative_prompt])

    @torch.inference_mode()
    def sample(self, prompt_embeds: Tensor, seeds: Sequence[int]) -> list[Image]:
        """Sample an image for each row of the conditioning.

        Args:
            prompt_embeds: Conditioning, (B, L, D).
            seeds: B seeds; the noise of image i comes from a CPU generator that is seeded with `seeds[i]`.

        Returns:
            B images, in mode RGB.

        Raises:
            RunError: An image has values that are not finite, which must not become a black image.
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
            raise RunError("the backbone gave an image with NaN or infinite values: try another precision or device")
        levels = (pictures.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [PIL.Image.fromarray(level) for level in levels]
