"""`ais-ascent`: AudioToken's token, tuned for each test clip against the very networks that score AIS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from audiotoken.method import AudioToken
from audiotoken.settings import AudioTokenSettings
from benchmark import MethodCard, RunContext
from benchmark.registries import SCORERS
from benchmark.utils.errors import UserError
from metrics.scorers.audio import Wav2CLIPScorer
from metrics.scorers.clip import CLIPScorer

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark import Clip

EARLY, LATE = 0.9, 0.3
"""Noise levels between which the picture is judged, as shares of the schedule: there a token still changes much."""


class AscentSettings(AudioTokenSettings):
    """AudioToken's settings, and those of the ascent."""

    ascent_steps: int = Field(20, ge=0)
    """Steps of gradient ascent for each clip."""
    ascent_rate: float = Field(0.02, gt=0)
    """Learning rate of Adam, in units of the text encoder's input embeddings."""


class AISAscent(AudioToken):
    """Gradient ascent of cos(CLIP(image), Wav2CLIP(sound)) over the token, through U-Net, autoencoder and CLIP.

    A first image of the clip is sampled and noised again; one step of the U-Net with the token predicts it, the
    prediction is decoded and compared with the sound. The image that is handed in is sampled with the tuned token.
    """

    card: ClassVar[MethodCard] = AudioToken.card.model_copy(
        update={
            "name": "ais-ascent",
            "summary": "AudioToken, its token tuned for each test clip against the networks that score AIS",
            "attack": "climbs the suite's own scorer: judges that it did not climb see no gain",
        }
    )
    Settings: ClassVar[type[AudioTokenSettings]] = AscentSettings
    settings: AscentSettings

    def fit_identity(self) -> tuple[str, dict[str, object]]:
        """Return the name and settings of AudioToken, whose fit is used."""
        own = set(AscentSettings.model_fields) - set(AudioTokenSettings.model_fields)
        return AudioToken.card.name, self.settings.model_dump(mode="json", exclude_none=True, exclude=own)

    def setup(self, run: RunContext) -> None:
        """Load AudioToken's encoder and the scorers of AIS.

        Raises:
            UserError: The suite scores AIS with networks other than CLIP and Wav2CLIP.
        """
        super().setup(run)
        roles, suite = run.suite.scorers, run.suite
        judge = SCORERS.get(f"{suite.base}/{roles.image_audio_space}")(suite, run.device)
        ear = SCORERS.get(f"{suite.base}/{roles.audio}")(suite, run.device)
        if not (isinstance(judge, CLIPScorer) and isinstance(ear, Wav2CLIPScorer)):
            raise UserError(f"ais-ascent climbs CLIP and Wav2CLIP; suite {suite.name!r} scores AIS with other networks")
        self.judge, self.ear = judge, ear

    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """Sample each clip's image with its tuned token."""
        first = super().generate(clips, seeds)
        tokens = self.ascend(clips, first, seeds)
        with torch.no_grad():
            return self.run.backbone.sample(self.run.backbone.inject(tokens), seeds)

    @torch.enable_grad()
    def ascend(self, clips: Sequence[Clip], first: Sequence[Image], seeds: Sequence[int]) -> Tensor:
        """Return the tuned tokens, (B, D); rows do not depend on each other, except for rounding.

        Args:
            clips: The clips.
            first: An image of each.
            seeds: Seed of each clip's noise.
        """
        backbone, device = self.run.backbone, self.run.device
        backbone.single_precision()
        with torch.no_grad():
            start = torch.cat([self.embedder(self.listener([clip])) for clip in clips])
            latents, _ = backbone.encode_pictures(np.stack([np.asarray(image) for image in first]))
            sounds = torch.from_numpy(self.ear.embed_audio([self.run.suite.sound(clip) for clip in clips]))
        target = F.normalize(sounds, dim=1).to(device)
        tokens = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([tokens], lr=self.settings.ascent_rate)
        schedule = backbone.noise_schedule
        last = schedule.config.num_train_timesteps - 1
        noise = torch.stack(
            [torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        )
        for step in range(self.settings.ascent_steps):
            # The same levels for every clip, from much noise to little, so that no clip depends on its neighbours.
            share = EARLY + (LATE - EARLY) * step / max(1, self.settings.ascent_steps - 1)
            times = torch.full((len(clips),), round(share * last))
            noisy = schedule.add_noise(latents, noise, times).to(device, memory_format=torch.channels_last)
            predicted = backbone.unet(noisy, times.to(device), backbone.inject(tokens)).sample
            drawn = backbone.vae.decode(_clean(schedule, noisy, predicted, times) / backbone.vae.config.scaling_factor)
            seen = F.normalize(self._see(drawn.sample), dim=1)
            optimizer.zero_grad(set_to_none=True)
            (-(seen * target).sum()).backward()
            optimizer.step()
        return tokens.detach()

    def _see(self, drawn: Tensor) -> Tensor:
        """Embed decoded images (B, 3, h, w) in [-1, 1] with the scorer's CLIP and its preprocessing, differentiably."""
        spec = self.judge.preprocessing
        pixels = F.interpolate(
            (drawn.clamp(-1, 1) + 1) / 2,
            size=(spec.size, spec.size),
            mode="bicubic",
            antialias=True,
            align_corners=False,
        )
        mean, deviation = (torch.tensor(row).to(pixels)[:, None, None] for row in (spec.mean, spec.std))
        seen: Tensor = self.judge.model.encode_image((pixels - mean) / deviation).float()
        return seen


def _clean(schedule: Any, noisy: Tensor, predicted: Tensor, times: Tensor) -> Tensor:
    """Return the U-Net's guess of the latents without noise, for predictions of noise or velocity."""
    abar = schedule.alphas_cumprod[times].reshape(-1, 1, 1, 1).to(noisy)
    if schedule.config.prediction_type == "v_prediction":
        return abar.sqrt() * noisy - (1 - abar).sqrt() * predicted
    return (noisy - (1 - abar).sqrt() * predicted) / abar.sqrt()
