"""The audio encoders that methods listen with at full scale, from their released files, frozen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import weights
from benchmark.errors import RunError

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from metrics.encoders.joint import ImageBindEncoder, Wav2CLIPEncoder
    from metrics.encoders.wav2clip import Wav2CLIP


def _frozen(suite: Suite, name: str, load: Callable[[Path], Any], random: Callable[[], Any]) -> Any:
    def released() -> Any:
        path = weights.checked(suite, name) / weights.network(name).files[0].name
        try:
            return load(path)
        except ValueError as error:
            raise RunError(str(error)) from error

    return weights.load(name, released, random).requires_grad_(False)


def beats(suite: Suite, device: str) -> Any:
    """The BEATs that AudioToken listens with."""
    from benchmark.fullscale import random_networks
    from metrics.encoders.beats import load_beats

    return _frozen(suite, "beats", load_beats, random_networks.beats).to(device)


def released_wav2clip(suite: Suite) -> Wav2CLIP:
    """Wav2CLIP on the CPU, each clip standardised by itself."""
    from benchmark.fullscale import random_networks
    from metrics.encoders.wav2clip import load_wav2clip

    model: Wav2CLIP = _frozen(suite, "wav2clip", load_wav2clip, random_networks.wav2clip)
    return model


def wav2clip(suite: Suite, device: str) -> Wav2CLIPEncoder:
    """Wav2CLIP beside the CLIP that it was distilled from: the files that AIS is measured with, as in the paper."""
    from benchmark.fullscale.scorers import clip_vit_b_32
    from metrics.encoders.joint import Wav2CLIPEncoder

    return Wav2CLIPEncoder(released_wav2clip(suite), clip_vit_b_32(suite, device)).to(device)


def imagebind(suite: Suite, device: str) -> ImageBindEncoder:
    """ImageBind (CC BY-NC-SA 4.0: for no commercial use)."""
    from benchmark.fullscale import random_networks
    from metrics.encoders.imagebind import load_imagebind
    from metrics.encoders.joint import ImageBindEncoder

    return ImageBindEncoder(_frozen(suite, "imagebind", load_imagebind, random_networks.imagebind)).to(device)
