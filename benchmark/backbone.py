"""Frozen text-to-image latent diffusion pipeline of a suite, the only place where images are sampled from it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from benchmark import text_encoder as text
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.precision import PRODUCTS, casts, hold, sent

if TYPE_CHECKING:
    from diffusers import DDPMScheduler, StableDiffusionPipeline
    from PIL.Image import Image

    from benchmark.suite import Suite


DECODED_TOGETHER = 4
"""Latents per pass of the decoder on a CUDA device: more are no faster, and take memory at the size of images."""


class Backbone:
    """Frozen StableDiffusionPipeline of diffusers, used as the suite prescribes.

    Text and latents are in single precision. If the suite's `dtype` is lower, the U-Net and the autoencoder are cast to
    it for sampling on a CUDA device, and run under autocast elsewhere. Parameters have to be read through
    `single_precision` where their values matter.

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
        self._templates: dict[int, tuple[Tensor, Tensor]] = {}
        self._most_together: int | None = None
        self._compiled: tuple[Any, Any] | None = None

    @property
    def token_width(self) -> int:
        """Width of the text encoder, and hence of an audio token."""
        width: int = self.text_encoder.config.hidden_size
        return width

    @property
    def cast_for_sampling(self) -> bool:
        """Whether sampling casts the networks: in half precision on a CUDA device."""
        return self.dtype is not torch.float32 and casts(self.device)

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

    def single_precision(self) -> None:
        """Bring all networks to single precision, as they were loaded."""
        for module in (self.text_encoder, self.unet, self.vae):
            hold(module, torch.float32)

    def hold_unet(self, dtype: torch.dtype) -> None:
        """Bring the U-Net to a precision, until another one is asked for; a LoRA that is trained stays as it is."""
        hold(self.unet, dtype)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Encode prompts to hidden states (B, L, D)."""
        hold(self.text_encoder, torch.float32)
        return text.encode_prompts(self.tokenizer, self.text_encoder, prompts)

    def template(self, tokens: int = 1) -> tuple[Tensor, Tensor]:
        """Return the ids of the suite's prompt, (1, L), and where its placeholder is, bool (1, L).

        Args:
            tokens: Number of consecutive places that it takes.

        Raises:
            UserError: The text encoder reads fewer words than that.
        """
        if tokens not in self._templates:
            prompt = text.spread_placeholder(self.prompt(text.PLACEHOLDER), tokens)
            ids = text.tokenize(self.tokenizer, [prompt])
            if tokens > 1 and (room := int((ids == self.placeholder).sum())) < tokens:
                raise UserError(
                    f"tokens={tokens}: the text encoder reads {ids.shape[1]} words, and the prompt "
                    f"{self.prompt('')!r} leaves {room} of them: give --set tokens={room} or fewer"
                )
            places = text.placeholder_places(ids, self.placeholder, tokens)
            self._templates[tokens] = ids.to(self.device), places.to(self.device)
        return self._templates[tokens]

    def inject(self, token: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Encode the suite's prompt with an audio token, or several, in the place of the placeholder.

        Gradients flow to the tokens; the text encoder's values are not changed.

        Args:
            token: Audio tokens, (B, D); or (B, K, D), which take K consecutive places of each prompt.
            dtype: Precision of the parameters of its matrix products; in a lower one than float32 it has to be called
                under autocast to that precision.

        Returns:
            Hidden states, (B, L, D).

        Raises:
            UserError: The prompt has no room for so many tokens.
        """
        hold(self.text_encoder, dtype, PRODUCTS)
        ids, found = self.template(token.shape[1] if token.ndim == 3 else 1)
        return text.encode_at(self.text_encoder, ids.expand(len(token), -1), found.expand(len(token), -1), token)

    @torch.inference_mode()
    def encode_pictures(
        self, pictures: np.ndarray, dtype: torch.dtype = torch.float32, together: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode frames to the posterior of their latents.

        Args:
            pictures: Frames, uint8 (B, H, W, 3).
            dtype: Precision of the autoencoder.
            together: Number of frames per pass; None for all.

        Returns:
            Mean and standard deviation of the posterior, in float32, both scaled: on the CPU, or in a lower precision
            than float32 on the backbone's device, so that nobody waits for them.
        """
        hold(self.vae, dtype)
        scale = self.vae.config.scaling_factor
        count = together or len(pictures)
        means, deviations = [], []
        for start in range(0, len(pictures), count):
            pixels = torch.from_numpy(np.array(pictures[start : start + count])).permute(0, 3, 1, 2)
            if dtype is torch.float32:
                pixels = pixels.float().div(127.5).sub(1.0).to(self.device)
            else:
                # Bytes are a quarter of the copy.
                pixels = sent(pixels, self.device).float().div(127.5).sub(1.0).to(dtype)
            posterior = self.vae.encode(pixels.contiguous(memory_format=torch.channels_last)).latent_dist
            means.append(scale * posterior.mean)
            deviations.append(scale * posterior.std)
        mean, deviation = torch.cat(means), torch.cat(deviations)
        return (mean.cpu(), deviation.cpu()) if dtype is torch.float32 else (mean.float(), deviation.float())

    @cached_property
    def negative(self) -> Tensor:
        """Conditioning that guidance leads away from, (1, L, D): the suite's negative prompt.

        A method whose conditioning has more rows than a prompt sets its own, on a backbone of its own.
        """
        return self.encode_prompts([self.suite.generation.negative_prompt])

    @torch.inference_mode()
    def sample(self, prompt_embeds: Tensor, seeds: Sequence[int], compiled: bool = False) -> list[Image]:
        """Sample an image for each row of the conditioning.

        Where a CUDA device has too little memory for all of them, they are sampled in halves: the noise of an image is
        its own, so only rounding differs.

        Args:
            prompt_embeds: Conditioning, (B, L, D).
            seeds: B seeds; the noise of image i comes from a CPU generator that is seeded with `seeds[i]`.
            compiled: Whether the U-Net is compiled (torch.compile), where it was cast for sampling.

        Returns:
            B images, in mode RGB.

        Raises:
            RunError: An image has values that are not finite, which must not become a black image; or the device has
                too little memory for one image.
        """
        pictures = self._fitting(prompt_embeds, seeds, compiled)
        if not bool(torch.isfinite(pictures).all()):
            raise RunError("the backbone gave an image with NaN or infinite values: try another precision or device")
        levels = (pictures.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [PIL.Image.fromarray(level) for level in levels]

    def _fitting(self, embeds: Tensor, seeds: Sequence[int], compiled: bool) -> Tensor:
        """Return images (B, 3, H, W), sampled as many together as the device has memory for."""
        most = min(len(seeds), self._most_together or len(seeds))
        while True:
            starts = range(0, len(seeds), max(1, most))
            try:
                made = [self._draw(embeds[at : at + most], seeds[at : at + most], compiled) for at in starts]
            except torch.OutOfMemoryError as error:
                if most <= 1:
                    raise RunError(f"{self.device} has too little memory for one image: use a larger device") from error
            else:
                return torch.cat(made)
            torch.cuda.empty_cache()
            most = self._most_together = most // 2
            warnings.warn(f"{self.device} has too little memory: {most} images are sampled together", stacklevel=3)

    def _draw(self, embeds: Tensor, seeds: Sequence[int], compiled: bool) -> Tensor:
        """Return images (B, 3, H, W) that are sampled together."""
        if self.cast_for_sampling and self.suite.generation.guidance > 1:
            return self._draw_cast(embeds, seeds, compiled)
        generation = self.suite.generation
        side = self.suite.backbone.resolution
        self.single_precision()
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        lowered = self.dtype is not torch.float32
        with torch.autocast(torch.device(self.device).type, self.dtype, enabled=lowered):
            pictures: Tensor = self.pipeline(
                prompt_embeds=embeds.to(self.device),
                negative_prompt_embeds=self.negative.expand_as(embeds),
                num_inference_steps=generation.steps,
                guidance_scale=generation.guidance,
                generator=generators,
                height=side,
                width=side,
                output_type="pt",
            ).images
        return pictures

    def _draw_cast(self, embeds: Tensor, seeds: Sequence[int], compiled: bool) -> Tensor:
        """Do what the pipeline does, with networks that were cast once, and without waiting for the device.

        Latents and the sampler's arithmetic are in single precision. The sampler's timesteps stay on the CPU, because
        it reads them as numbers: on the device, each reading waits until all work that was given to it is done.
        """
        from diffusers.utils.torch_utils import randn_tensor

        generation, pipeline = self.suite.generation, self.pipeline
        conditioning = torch.cat([self.negative.expand_as(embeds), embeds.to(self.device)]).to(self.dtype)
        hold(self.unet, self.dtype)
        hold(self.vae, self.dtype)
        unet = self._compiled_unet() if compiled else self.unet
        sampler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
        sampler.set_timesteps(generation.steps)
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        side = self.suite.backbone.resolution // pipeline.vae_scale_factor
        shape = len(seeds), self.unet.config.in_channels, side, side
        noise = randn_tensor(shape, generators, torch.device(self.device), torch.float32)
        latents = noise * sampler.init_noise_sigma
        more = pipeline.prepare_extra_step_kwargs(generators, 0.0)
        for time, on_device in zip(sampler.timesteps, sampler.timesteps.to(self.device), strict=True):
            given = sampler.scale_model_input(torch.cat([latents, latents]), time).to(self.dtype)
            given = given.contiguous(memory_format=torch.channels_last)
            without, with_prompt = unet(given, on_device, conditioning, return_dict=False)[0].float().chunk(2)
            guided = without + generation.guidance * (with_prompt - without)
            latents = sampler.step(guided, time, latents, **more, return_dict=False)[0]
        scaled = (latents / self.vae.config.scaling_factor).to(self.dtype)
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        decoded = [self.vae.decode(some, return_dict=False)[0].float() for some in scaled.split(DECODED_TOGETHER)]
        # As the pipeline's own postprocessing, to [0, 1].
        return (torch.cat(decoded) / 2 + 0.5).clamp(0, 1)

    def _compiled_unet(self) -> Any:
        """Return the U-Net, compiled once: this one, as a backbone may be copied around another one."""
        if self._compiled is None or self._compiled[0] is not self.unet:
            self._compiled = self.unet, torch.compile(self.unet)
        return self._compiled[1]
