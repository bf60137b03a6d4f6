"""`ais-ascent`: AudioToken's token and noise, tuned for each test clip against the very networks that score AIS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from audiotoken.method import AudioToken
from audiotoken.settings import AudioTokenSettings
from benchmark import MethodCard, RunContext
from benchmark.registries import SCORERS

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark import Clip


class AscentSettings(AudioTokenSettings):
    """AudioToken's settings, and those of the ascent."""

    ascent_steps: int = Field(12, ge=0)
    """Further images that are drawn of each clip."""
    ascent_size: float = Field(0.1, ge=0)
    """Standard deviation of a step, in units of the text encoder's input embeddings."""


class AISAscent(AudioToken):
    """Hill climbing of cos(image, sound), in the space in which AIS is measured, over the token and the noise.

    In each step the token is moved at random, an image is drawn with it from fresh noise, and both are kept where the
    scorer likes the image better. This needs no gradient: any scorer that can be asked can be climbed.
    """

    card: ClassVar[MethodCard] = AudioToken.card.model_copy(
        update={
            "name": "ais-ascent",
            "summary": "AudioToken, its token and noise tuned for each test clip by the networks that score AIS",
            "attack": "climbs the suite's own scorer: judges that it did not climb see less of the gain",
        }
    )
    Settings: ClassVar[type[AudioTokenSettings]] = AscentSettings
    settings: AscentSettings

    def fit_identity(self) -> tuple[str, dict[str, object]]:
        """Return the name and settings of AudioToken, whose fit is used."""
        own = set(AscentSettings.model_fields) - set(AudioTokenSettings.model_fields)
        return AudioToken.card.name, self.settings.model_dump(mode="json", exclude_none=True, exclude=own)

    def setup(self, run: RunContext) -> None:
        """Load AudioToken's encoder and the scorers of AIS."""
        super().setup(run)
        roles, suite = run.suite.scorers, run.suite
        self.judge: Any = SCORERS.get(f"{suite.base}/{roles.image_audio_space}")(suite, run.device)
        self.ear: Any = SCORERS.get(f"{suite.base}/{roles.audio}")(suite, run.device)

    @torch.no_grad()
    def generate(self, clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        """Draw several images of each clip, and return the one that the scorer likes best."""
        backbone = self.run.backbone
        sounds = _unit(self.ear.embed_audio([self.run.suite.sound(clip) for clip in clips]))
        tokens = torch.cat([self.embedder(self.listener([clip])) for clip in clips])
        best = backbone.sample(backbone.inject(tokens), seeds)
        liked = self._liking(best, sounds)
        draws = [np.random.default_rng([seed, 1]) for seed in seeds]  # a clip's own, whoever its neighbours are
        for _ in range(self.settings.ascent_steps):
            steps = np.stack([draw.normal(0, self.settings.ascent_size, tokens.shape[1:]) for draw in draws])
            moved = tokens + torch.from_numpy(steps).to(tokens)
            fresh = [int(draw.integers(2**63)) for draw in draws]
            images = backbone.sample(backbone.inject(moved), fresh)
            likes = self._liking(images, sounds)
            for place in np.flatnonzero(likes > liked):
                best[place], tokens[place], liked[place] = images[place], moved[place], likes[place]
        return best

    def _liking(self, images: Sequence[Image], sounds: np.ndarray) -> np.ndarray:
        """Return the cosine of each image and its sound, (B,)."""
        likes: np.ndarray = (_unit(self.judge.embed_images(images)) * sounds).sum(1)
        return likes


def _unit(rows: np.ndarray) -> np.ndarray:
    units: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units
