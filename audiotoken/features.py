"""Inputs of training that frozen networks compute once: features of the audio and latents of the frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import benchmark.media
from benchmark.media.images import resize
from benchmark.registries import ENCODERS
from benchmark.utils import distributed, sealed
from benchmark.utils.device import device_type
from benchmark.utils.errors import UserError
from benchmark.utils.files import digest, write_rows
from benchmark.utils.precision import sent
from benchmark.utils.sources import class_hash, code_hash
from metrics import network_sources

if TYPE_CHECKING:
    from benchmark import Backbone, Clip, ClipSet
    from benchmark.dataset import Sample
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

FEATURES_VERSION = 1
LATENTS_VERSION = 1
LIBRARIES = ("av", "numpy", "open-clip-torch", "pillow", "soundfile", "soxr", "torch", "torchaudio", "transformers")
"""Packages whose version may change a feature."""
HEARD_TOGETHER = 8
"""Number of training clips per pass of the encoder."""
STORED_BYTES = 2 * 2**30
"""Largest size of stored features; those of larger training sets are computed again whenever a clip is used."""


def encoder_of(suite: Suite, network: str, device: str) -> Any:
    """Return a frozen encoder of the suite.

    Args:
        suite: The suite.
        network: Name of the encoder in the suite.
        device: Device to load it to.

    Raises:
        UserError: The suite has no encoder of that name.
    """
    name = f"{suite.base}/{network}"
    if name not in ENCODERS or network not in suite.encoders:
        known = ", ".join(sorted(suite.encoders)) or "none"
        raise UserError(f"suite {suite.base!r} has no encoder {network!r} (it has: {known}): choose another suite")
    return ENCODERS.get(name)(suite, device)


class Sense(ABC):
    """Features of a clip over time, computed by a frozen network: the input of the embedder.

    A call encodes one clip at a time, so that a test clip's token does not depend on its neighbours, not even by
    rounding. `together` is faster and serves the training clips.

    Args:
        encoder: The frozen network.
        suite: Suite whose preparation of audio and frames applies.
        device: Device of the features.
    """

    task: ClassVar[str]
    """Title of the progress bar while training clips are encoded."""

    def __init__(self, encoder: Any, suite: Suite, device: str) -> None:
        self.encoder, self.suite, self.device = encoder, suite, device

    @property
    @abstractmethod
    def preparation(self) -> list[Any]:
        """Plain values that features depend on besides the network's weights and the clips."""

    @property
    def precision(self) -> str:
        """Type of the network's parameters; empty for a network without any."""
        parameters = self.encoder.parameters() if hasattr(self.encoder, "parameters") else ()
        return next((str(one.dtype) for one in parameters), "")

    @torch.inference_mode()
    def __call__(self, clips: Sequence[Clip]) -> Tensor:
        """Return features (B, T, width) of clips in single precision, encoding one at a time."""
        return torch.cat([self.together([clip]) for clip in clips])

    @abstractmethod
    def together(self, clips: Sequence[Clip]) -> Tensor:
        """Return features (B, T, width) of clips from one pass of the network."""

    @abstractmethod
    def of_samples(self, samples: Sequence[Sample]) -> Tensor:
        """Return features (B, T, width) of examples from a training stream."""


class Listener(Sense):
    """Features of the audio over time, by the encoder's `extract_features` (waveforms (B, samples) -> (B, T, width)).

    With BEATs these are AudioToken's features: the outputs of layers 4, 8 and 12, joined along the channels.
    """

    task = "encoding the training audio"

    @property
    def preparation(self) -> list[Any]:
        """Length of the audio in samples, and the rule for clips of another length."""
        return [self.suite.samples, self.suite.data.length]

    def waves(self, clips: Sequence[Clip]) -> Tensor:
        """Return the audio of clips as the suite prepares it: (B, samples)."""
        return torch.from_numpy(np.stack([self.suite.sound(clip) for clip in clips])).to(self.device)

    def together(self, clips: Sequence[Clip]) -> Tensor:
        """Return features (B, T, width) of the clips' audio from one pass of the network."""
        return self.hear(self.waves(clips))

    def of_samples(self, samples: Sequence[Sample]) -> Tensor:
        """Return features (B, T, width) of the audio of examples from a training stream."""
        return self.hear(sent(torch.from_numpy(np.stack([sample.sound for sample in samples])), self.device))

    @torch.inference_mode()
    def hear(self, waves: Tensor) -> Tensor:
        """Return features (B, T, width) of waveforms (B, samples)."""
        features: Tensor = self.encoder.extract_features(waves)
        return features.float()


class Features:
    """Features of a training set by position: stored in half precision, or streamed where they exceed `STORED_BYTES`.

    Args:
        sense: Source of the features.
        clips: The training clips.
        weights: Hash of the network's weights.
        cache: Folder for stored features, which later fits use again.
        ui: Progress and messages.
    """

    def __init__(self, sense: Sense, clips: ClipSet, weights: str, cache: Path, ui: UI) -> None:
        self.sense, self.clips, self.device = sense, clips, sense.device
        first = sense(clips[:1])[0]
        self.width = first.shape[-1]
        self.stored: np.ndarray | None = None
        if len(clips) * first.numel() * 2 > STORED_BYTES:
            ui.say(
                f"features of {len(clips)} clips exceed {STORED_BYTES / 2**30:.0f} GB: they are streamed, not stored"
            )
            return
        key = features_key(sense, clips.identity, weights)
        path = cache / "features" / f"{key[:32]}.npy"
        shape = len(clips), *first.shape

        def rows() -> Iterator[np.ndarray]:
            with ui.task(sense.task, len(clips), "clips") as advance:
                for start in range(0, len(clips), HEARD_TOGETHER):
                    some = clips[start : start + HEARD_TOGETHER]
                    yield sense.together(some).cpu().numpy()
                    advance(len(some))

        # What is not there is made by the first process, before the others look for it.
        if not distributed.is_first():
            distributed.wait()
        self.stored = sealed.array(
            path, [key, list(shape)], lambda part: write_rows(part, shape, np.float16, rows()), ui.warn
        )
        if distributed.is_first():
            distributed.wait()

    def __call__(self, positions: Sequence[int]) -> Tensor:
        """Return features (B, T, width) of the clips at `positions`."""
        if self.stored is None:
            # A clone, because autograd refuses tensors created in inference mode.
            return self.sense.together([self.clips[position] for position in positions]).clone()
        return torch.from_numpy(self.stored[np.asarray(positions)].astype(np.float32)).to(self.device)


def features_key(sense: Sense, clips: str, weights: str) -> str:
    """Return the hash of all that stored features depend on.

    Args:
        sense: Source of the features: its preparation, precision, device and code, and the code and libraries below.
        clips: Identity of the clips.
        weights: Hash of the network's weights.
    """
    suite = sense.suite
    setup = [ENCODERS.code(f"{suite.base}/{name}") for name, sha256 in suite.encoders.items() if sha256 == weights]
    senses = [class_hash(kind) for kind in type(sense).__mro__ if issubclass(kind, Sense)]
    decoding = sorted(Path(benchmark.media.__path__[0]).glob("*.py"))
    code = [setup, senses, code_hash([*network_sources(), *decoding], LIBRARIES)]
    numerics = [device_type(sense.device), sense.precision, HEARD_TOGETHER]
    return digest([FEATURES_VERSION, weights, suite.files, clips, code, numerics, sense.preparation])


def latents_key(backbone: Backbone, clips: str, passes: Sequence[object]) -> str:
    """Return the hash of all that stored latents of the clips' frames depend on.

    Args:
        backbone: Backbone whose VAE encodes the frames.
        clips: Identity of the clips.
        passes: Precision of the VAE and number of frames per pass.
    """
    suite, source = backbone.suite, backbone.suite.backbone
    weights = suite.weights.get(source.source, source.source)
    frames = [source.resolution, source.resize, suite.data.train_frame]
    decoding = sorted(Path(benchmark.media.__path__[0]).glob("*.py"))
    code = code_hash(decoding, ("diffusers", "numpy", "pillow", "torch"))
    return digest([LATENTS_VERSION, weights, clips, frames, code, device_type(backbone.device), *passes])


def latents_of(
    backbone: Backbone, clips: ClipSet, ui: UI, batch_size: int = 36, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the scaled latents of the clips' frames, (n, 4, h, w) each.

    Several processes share the work.

    Args:
        backbone: Backbone whose VAE encodes the frames.
        clips: The training clips.
        ui: Progress.
        batch_size: Number of frames per pass of the VAE.
        dtype: Precision of the VAE.

    Returns:
        The latents, float32 on the CPU.
    """
    spec = backbone.suite.backbone
    encoded = []
    with ui.task("encoding the training frames (VAE)", len(clips), "frames") as advance:
        for start in distributed.mine(range(0, len(clips), batch_size)):
            some = clips[start : start + batch_size]
            frames = [np.asarray(resize(clip.picture(), spec.resolution, spec.resize)) for clip in some]
            mean, deviation = backbone.encode_pictures(np.stack(frames), dtype)
            encoded.append((mean.cpu(), deviation.cpu()))
            advance(len(some) * distributed.world())
    means, deviations = zip(*distributed.gather(encoded), strict=True)
    return torch.cat(means), torch.cat(deviations)
