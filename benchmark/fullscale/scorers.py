"""The scorers of the full-scale suites: OpenAI's CLIP through open_clip, and the released Wav2CLIP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmark import weights
from benchmark.errors import RunError

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from metrics.scorers.audio import Wav2CLIPScorer
    from metrics.scorers.clip import CLIPScorer

# OpenAI's models were trained with the quick GELU; without that word open_clip builds another activation.
ARCHITECTURES = {"clip-vit-b-32": "ViT-B-32-quickgelu", "clip-vit-l-14": "ViT-L-14-quickgelu"}


def _clip(name: str) -> Callable[[Suite, str], CLIPScorer]:
    def load(suite: Suite, device: str) -> CLIPScorer:
        from benchmark.fullscale import random_networks
        from metrics.scorers.clip import load_openai_clip

        sha256, architecture = suite.weights[name], ARCHITECTURES[name]

        def released() -> CLIPScorer:
            path = weights.checked(suite, name) / weights.network(name).files[0].name
            try:
                return load_openai_clip(name, sha256, architecture, path, device)
            except ValueError as error:
                raise RunError(str(error)) from error

        scorer: CLIPScorer = weights.load(
            name, released, lambda: random_networks.clip(name, sha256, architecture, device)
        )
        return scorer

    return load


clip_vit_b_32 = _clip("clip-vit-b-32")
clip_vit_l_14 = _clip("clip-vit-l-14")


def wav2clip(suite: Suite, device: str) -> Wav2CLIPScorer:
    """Wav2CLIP, one clip at a time."""
    from benchmark.fullscale.encoders import released_wav2clip
    from metrics.scorers.audio import Wav2CLIPScorer

    return Wav2CLIPScorer("wav2clip", suite.weights["wav2clip"], released_wav2clip(suite), device)
