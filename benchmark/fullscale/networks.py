"""Released networks of the full-scale suites: audio encoders of methods, and scorers.

The scorers are OpenAI's CLIP, through open_clip, and Wav2CLIP. All networks are frozen. A dry run gets random ones of
the same shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.utils.errors import RunError
from benchmark.weights import locate, stand_ins

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from metrics.encoders.joint import ImageBindEncoder, Wav2CLIPEncoder
    from metrics.encoders.wav2clip import Wav2CLIP
    from metrics.scorers.audio import Wav2CLIPScorer
    from metrics.scorers.clip import CLIPScorer

# OpenAI's models were trained with the quick GELU; under the plain names open_clip builds another activation.
ARCHITECTURES = {"clip-vit-b-32": "ViT-B-32-quickgelu", "clip-vit-l-14": "ViT-L-14-quickgelu"}


def in_memory(suite: Suite) -> Any:
    """Return the module that builds the suite's networks at random: `random_networks`, or `tiny_networks`."""
    from benchmark.fullscale import random_networks, tiny_networks

    return tiny_networks if suite.variant == "tiny" else random_networks


def _architecture(suite: Suite, name: str) -> str:
    if suite.variant != "tiny":
        return ARCHITECTURES[name]
    from benchmark.fullscale.tiny_networks import clip_architecture

    return clip_architecture(name)


def _clip(name: str) -> Callable[[Suite, str], CLIPScorer]:
    def load(suite: Suite, device: str) -> CLIPScorer:
        from metrics.scorers.clip import load_openai_clip

        sha256, architecture = suite.weights[name], _architecture(suite, name)

        def released() -> CLIPScorer:
            path = locate.checked(suite, name) / locate.entry(suite, name).files[0].name
            try:
                return load_openai_clip(name, sha256, architecture, path, device)
            except ValueError as error:
                raise RunError(str(error)) from error

        scorer: CLIPScorer = stand_ins.load(
            name, released, lambda: in_memory(suite).clip(name, sha256, architecture, device)
        )
        return scorer

    return load


clip_vit_b_32 = _clip("clip-vit-b-32")
clip_vit_l_14 = _clip("clip-vit-l-14")


def wav2clip_scorer(suite: Suite, device: str) -> Wav2CLIPScorer:
    """Load Wav2CLIP as a scorer, which embeds one clip at a time."""
    from metrics.scorers.audio import Wav2CLIPScorer

    return Wav2CLIPScorer("wav2clip", suite.weights["wav2clip"], released_wav2clip(suite), device)


def _frozen(suite: Suite, name: str, load: Callable[[Path], Any], random: Callable[[], Any]) -> Any:
    def released() -> Any:
        path = locate.checked(suite, name) / locate.entry(suite, name).files[0].name
        try:
            return load(path)
        except ValueError as error:
            raise RunError(str(error)) from error

    return stand_ins.load(name, released, random).requires_grad_(False)


def beats(suite: Suite, device: str) -> Any:
    """Load BEATs, the audio encoder of AudioToken."""
    from metrics.encoders.beats import load_beats

    return _frozen(suite, "beats", load_beats, in_memory(suite).beats).to(device)


def released_wav2clip(suite: Suite) -> Wav2CLIP:
    """Load Wav2CLIP on the CPU; each clip is standardised by itself."""
    from metrics.encoders.wav2clip import load_wav2clip

    model: Wav2CLIP = _frozen(suite, "wav2clip", load_wav2clip, in_memory(suite).wav2clip)
    return model


def wav2clip_encoder(suite: Suite, device: str) -> Wav2CLIPEncoder:
    """Load Wav2CLIP and the CLIP that it was distilled from: the files with which AIS is measured, as in the paper."""
    from metrics.encoders.joint import Wav2CLIPEncoder

    return Wav2CLIPEncoder(released_wav2clip(suite), clip_vit_b_32(suite, device)).to(device)


def imagebind(suite: Suite, device: str) -> ImageBindEncoder:
    """Load ImageBind (CC BY-NC-SA 4.0: no commercial use)."""
    from benchmark.fullscale import random_networks
    from metrics.encoders.imagebind import load_imagebind
    from metrics.encoders.joint import ImageBindEncoder

    return ImageBindEncoder(_frozen(suite, "imagebind", load_imagebind, random_networks.imagebind)).to(device)
