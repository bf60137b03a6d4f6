"""`imagebind-unclip`: ImageBind's embedding of the audio as the image embedding of Stable unCLIP, its own generator."""

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
    """Settings of the generator; the defaults are those of the pipeline and of Zeqiang-Lai/Anything2Image@240a74e."""

    weights: str = "stabilityai/stable-diffusion-2-1-unclip"
    """Stable unCLIP over ViT-H embeddings, in diffusers' format: a folder, or a repository of the hub."""
    revision: str | None = None
    """Commit, tag or branch of the repository."""
    sampling_steps: int = Field(20, ge=1)
    """Number of sampling steps."""
    guidance: float = Field(10.0, ge=0)
    """Scale of classifier-free guidance."""
    noise_level: int = Field(0, ge=0, lt=1000)
    """Noise that is added to the embedding, in steps of the pipeline's own schedule."""
    embedding_norm: float = Field(20.0, gt=0)
    """Length that the embedding is scaled to; 20 is the temperature of ImageBind's audio, which public code keeps."""


class ImageBindUnclip(Method):
    """Stable unCLIP conditioned on ImageBind's embedding of the audio, without fitting.

    It is the public stand-in for ImageBind's own demonstration, whose generator was not released.
    """

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
        """Load ImageBind and Stable unCLIP.

        Raises:
            UserError: One of them is missing, or their embeddings differ in width.
        """
        from audiotoken.features import Listener, encoder_of

        super().setup(run)
        self.listener = Listener(encoder_of(run.suite, ENCODER, run.device), run.suite, run.device)
        self.folder, self.pipeline = self._open(self.listener.encoder.width)

    def encoders(self) -> dict[str, str]:
        """Return sha256 by name of ImageBind and of Stable unCLIP's weights."""
        files = {str(path.relative_to(self.folder)): sha256_of(path) for path in self.folder.rglob("*.safetensors")}
        return {ENCODER: self.run.suite.encoders[ENCODER], "stable-unclip": digest(files)}

    def _open(self, width: int) -> tuple[Path, Any]:
        """Return Stable unCLIP's folder and its pipeline. Raises UserError if none takes embeddings of `width`."""
        import torch
        from diffusers import StableUnCLIPImg2ImgPipeline
        from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
        from safetensors import SafetensorError

        source, revision = self.settings.weights, self.settings.revision
        try:
            # The width is checked first: it takes a few bytes, the weights gigabytes.
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
            # For a repository that cannot be reached, the libraries report that a file is missing in it.
            reached = Path(source).is_dir()
            why = str(error).strip().partition("\n")[0] if reached else "no such folder, and not available from the hub"
            raise UserError(
                f"no Stable unCLIP at {source!r} ({why}): give --set weights=FOLDER, a pipeline in diffusers' format"
            ) from error
        pipeline.set_progress_bar_config(disable=True)
        on_cpu = self.run.device == "cpu"
        dtype = torch.float32 if on_cpu else getattr(torch, self.run.suite.backbone.dtype)
        return folder, pipeline.to(self.run.device, dtype)

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """Generate one image per clip, each from its own clip and seed alone."""
        return [self._draw(clip, seed) for clip, seed in zip(clips, seeds, strict=True)]

    def _draw(self, clip: Clip, seed: int) -> Image:
        """Generate one image at the pipeline's own size and resize it to the suite's."""
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
