"""PE-AV, Perception Encoder Audio-Video (Vyas et al. 2025, 2512.19687): videos, sounds and texts in one space."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from metrics.preprocessing import at_rate
from metrics.scorers.base import AudioScorer
from metrics.scorers.tower import ImageTower
from metrics.tensor_files import check_finite, one_line

if TYPE_CHECKING:
    from PIL.Image import Image


class PEAVScorer(ImageTower, AudioScorer):
    """PE-AV: an image is a video of one frame; a sound is heard alone, at the network's own rate.

    Its training compares embeddings by their dot product; metrics take the cosine, as of every judge.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        model: `transformers.PeAudioVideoModel`; it is put in eval mode and frozen.
        frames: Map from an image to pixels (3, height, width), the released preprocessing.
        features: `transformers.PeAudioFeatureExtractor` of the released preprocessing.
        device: Device to run on.
    """

    def __init__(
        self,
        name: str,
        sha256: str,
        model: Any,
        frames: Callable[[Image], Tensor],
        features: Any,
        device: str = "cpu",
    ) -> None:
        super().__init__(name, sha256, model, _of_frames, frames, device)
        self.sounds = features

    @torch.inference_mode()
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 embeddings (n, d) of mono waveforms at 16 kHz in the space of the images, one at a time."""
        audio: Any = self.model.audio_model
        rows = []
        for wave in waveforms:
            sound = at_rate(wave, self.rate, self.sounds.sampling_rate)
            heard = self.sounds(sound, sampling_rate=self.sounds.sampling_rate, return_tensors="pt")
            # A sound alone is not padded to another's length, so nothing has to be masked.
            pooled = audio.audio_encoder(input_values=heard["input_values"].to(self.device)).pooler_output
            rows.append(audio.audio_head(pooled).float().cpu())
        return torch.cat(rows).numpy()


def load_pe_av(folder: Path, sha256: str, device: str = "cpu") -> PEAVScorer:
    """Load PE-AV as a scorer, with the preprocessing that lies beside its weights.

    Args:
        folder: Folder of `config.json`, `processor_config.json` and `model.safetensors` as `transformers` writes them;
            nothing is downloaded.
        sha256: Hash of weights and preprocessing.
        device: Device to run on.

    Raises:
        ValueError: The files are damaged, or not those of a PE-AV.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import PeAudioFeatureExtractor, PeAudioVideoConfig, PeAudioVideoModel, PeVideoVideoProcessor

    local: dict[str, Any] = {"local_files_only": True}
    try:
        videos = PeVideoVideoProcessor.from_pretrained(str(folder), **local)
        features = PeAudioFeatureExtractor.from_pretrained(str(folder), **local)
        state = load_file(folder / "model.safetensors")
        # Not `from_pretrained`: it fails on a buffer of timm's rotary embedding that the class declares as tied. A
        # module that is imported meanwhile prints, where a command's results go.
        with contextlib.redirect_stdout(sys.stderr):
            model = PeAudioVideoModel(PeAudioVideoConfig.from_pretrained(str(folder), **local)).float()
        missing, unexpected = model.load_state_dict(state, strict=False)
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{folder} holds no PE-AV: {one_line(error)}") from error
    # A tied parameter has several names, of which the file has one.
    named = model.state_dict(keep_vars=True)
    read = {id(named[name]) for name in state.keys() & named.keys()}
    wrong = sorted([*unexpected, *(name for name in missing if id(named[name]) not in read)])
    if wrong:
        raise ValueError(f"{folder} holds no PE-AV: missing or unexpected parameters: {', '.join(wrong[:3])}")
    check_finite(state, folder / "model.safetensors")

    def frames(image: Image) -> Tensor:
        video = np.array(image.convert("RGB"))[None]
        pixels: Tensor = videos(videos=[video], return_tensors="pt")["pixel_values_videos"][0, 0]
        return pixels

    return PEAVScorer("pe-av", sha256, model, frames, features, device)


def _of_frames(model: Any, images: Tensor) -> Tensor:
    pooled = model.video_model.video_encoder(pixel_values_videos=images[:, None]).pooler_output
    features: Tensor = model.video_model.video_head(pooled)
    return features
