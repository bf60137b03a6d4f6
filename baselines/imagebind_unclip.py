"""ImageBind's sound embedding as the image embedding of Stable unCLIP: a method with a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import PIL.Image
from pydantic import Field

from benchmark import Method, MethodCard, MethodSettings, RunContext
from benchmark.media.images import resize
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.files import digest, sha256_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from benchmark import Clip

ENCODER = "imagebind"


class UnclipSettings(MethodSettings):
    """The defaults are those of the pipeline and of Zeqiang-Lai/Anything2Image@240a74e."""

    weights: str = "stabilityai/stable-diffusion-2-1-unclip"
    """Stable unCLIP over ViT-H embeddings, in the format of diffusers: a folder, or a repository of the hub."""
    revision: str | None = None
    """Commit, tag or branch of that repository."""
    sampling_steps: int = Field(20, ge=1)
    """Sampling steps."""
    guidance: float = Field(10.0, ge=0)
    """Scale of classifier-free guidance."""
    noise_level: int = Field(0, ge=0, lt=1000)
    """Noise that is added to the embedding, in steps of the pipeline's own schedule."""
    embedding_norm: float = Field(20.0, gt=0)
    """Length that the embedding is given: 20 is the temperature of ImageBind's sounds, which public code leaves on."""


class ImageBindUnclip(Method):
    """The public stand-in for ImageBind's own demonstration, whose generator was not released. Nothing is fitted."""

    card: ClassVar[MethodCard] = MethodCard(
        name="imagebind-unclip",
        summary="ImageBind's sound embedding as the image embedding of Stable unCLIP (own generator)",
        sees=("audio",),
        paper="ImageBind, Girdhar et al., CVPR 2023, arXiv 2305.05665; wired as in sail-sg/BindDiffusion and "
        "Zeqiang-Lai/Anything2Image",
        licence="Apache-2.0; the released weights of ImageBind are CC BY-NC-SA 4.0: not for commercial use; "
        "those of Stable unCLIP are CreativeML Open RAIL++-M",
        training_data="nothing is fitted; released ImageBind: sound and frames of AudioSet, on top of CLIP's pictures "
        "and texts; Stable unCLIP: LAION-5B",
        weights="the suite's ImageBind; Stable unCLIP 2.1 (setting `weights`)",
        notes="Another generator than the suite's backbone: a difference to other rows is not the conditioning's "
        "alone. Perhaps what the row 'ImageBind' of arXiv 2305.13050, table 1, was made with; that is not known.",
    )
    Settings = UnclipSettings
    settings: UnclipSettings

    def setup(self, run: RunContext) -> None:
        from audiotoken.features import Listener, encoder_of

        super().setup(run)
        self.listener = Listener(encoder_of(run.suite, ENCODER, run.device), run.suite, run.device)
        self.folder, self.pipeline = self._open(self.listener.encoder.width)

    def encoders(self) -> dict[str, str]:
        files = {str(path.relative_to(self.folder)): sha256_of(path) for path in self.folder.rglob("*.safetensors")}
        return {ENCODER: self.run.suite.encoders[ENCODER], "stable-unclip": digest(files)}

    def _open(self, width: int) -> tuple[Path, Any]:
        """Stable unCLIP's folder and the pipeline from it. Raises UserError without one that takes `width` numbers."""
        import torch
        from diffusers import StableUnCLIPImg2ImgPipeline
        from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
        from safetensors import SafetensorError

        source, revision = self.settings.weights, self.settings.revision
        try:
            # the few bytes that tell the width come before the gigabytes
            normaliser = StableUnCLIPImageNormalizer.load_config(
                source, subfolder="image_normalizer", revision=revision
            )
            if normaliser["embedding_dim"] != width:
                raise UserError(
                    f"suite {self.run.suite.base!r}: its ImageBind gives {width} numbers, the Stable unCLIP "
                    f"{source!r} takes {normaliser['embedding_dim']}: choose another suite, or --set weights=FOLDER"
                )
            folder = Path(source)
            if not folder.is_dir():
                folder = Path(StableUnCLIPImg2ImgPipeline.download(source, revision=revision, use_safetensors=True))
            pipeline = StableUnCLIPImg2ImgPipeline.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            # of a repository that cannot be reached, the libraries say that a file is missing in it
            reached = Path(source).is_dir()
            why = str(error).strip().partition("\n")[0] if reached else "no such folder, and not to be had from the hub"
            raise UserError(
                f"no Stable unCLIP at {source!r} ({why}): give --set weights=FOLDER, a pipeline in diffusers' format"
            ) from error
        pipeline.set_progress_bar_config(disable=True)
        on_cpu = self.run.device == "cpu"
        dtype = torch.float32 if on_cpu else getattr(torch, self.run.suite.backbone.dtype)
        return folder, pipeline.to(self.run.device, dtype)

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        return [self._draw(clip, seed) for clip, seed in zip(clips, seeds, strict=True)]

    def _draw(self, clip: Clip, seed: int) -> Image:
        """One picture at the pipeline's own size, brought to the suite's."""
        import torch

        given, spec = self.settings, self.run.suite.backbone
        heard: Tensor = self.listener.encoder.embed_audio(self.listener.waves([clip]))
        pixels: Tensor = self.pipeline(
            prompt="",
            image_embeds=(given.embedding_norm * heard).to(self.pipeline.unet.dtype),
            num_inference_steps=given.sampling_steps,
            guidance_scale=given.guidance,
            noise_level=given.noise_level,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="pt",
        ).images[0]
        if not bool(torch.isfinite(pixels).all()):
            raise RunError(
                f"Stable unCLIP gave clip {clip.id!r} NaN or infinite values: try another precision or device"
            )
        levels = (pixels.float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        return resize(PIL.Image.fromarray(levels), spec.resolution, spec.resize)
