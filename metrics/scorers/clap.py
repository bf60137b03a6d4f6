"""CLAP (Wu et al. 2023, 2211.06687): hears sounds and reads texts, and sees no images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metrics.preprocessing import at_rate
from metrics.scorers.base import AudioScorer, TextScorer
from metrics.tensor_files import check_finite, one_line


class CLAPScorer(AudioScorer, TextScorer):
    """CLAP in eval mode and single precision, one sound or text at a time.

    Args:
        name: Name in tables and records.
        sha256: Hash of weights and preprocessing.
        model: `transformers.ClapModel`; it is put in eval mode and frozen.
        features: `transformers.ClapFeatureExtractor` of the released preprocessing: sounds to mel spectrograms.
        tokenize: The released tokenizer.
        device: Device to run on.
    """

    def __init__(self, name: str, sha256: str, model: Any, features: Any, tokenize: Any, device: str = "cpu") -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self.model = model.to(device).eval().requires_grad_(False)
        self.features, self.tokenize = features, tokenize

    @torch.inference_mode()
    def embed_audio(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return unit float32 embeddings (n, d) of mono waveforms at 16 kHz.

        A sound longer than the network's window (10 s) is heard in its middle: the released preprocessing would draw a
        place at random.
        """
        rate, longest = self.features.sampling_rate, self.features.nb_max_samples
        rows = []
        for wave in waveforms:
            sound = at_rate(wave, self.rate, rate)
            start = max(0, len(sound) - longest) // 2
            seen = self.features(sound[start : start + longest], sampling_rate=rate, return_tensors="pt")
            embedded = self.model.get_audio_features(
                input_features=seen["input_features"].to(self.device), is_longer=seen["is_longer"].to(self.device)
            )
            rows.append(embedded.pooler_output.float().cpu())
        return torch.cat(rows).numpy()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit float32 embeddings (n, d) of texts in the space of the sounds."""
        rows = []
        for text in texts:
            tokens = self.tokenize([text], return_tensors="pt").to(self.device)
            embedded = self.model.get_text_features(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            )
            rows.append(embedded.pooler_output.float().cpu())
        return torch.cat(rows).numpy()


def load_clap(folder: Path, sha256: str, device: str = "cpu") -> CLAPScorer:
    """Load CLAP as a scorer, with the preprocessing and the tokenizer that lie beside its weights.

    Args:
        folder: Folder of the files as `transformers` writes them; nothing is downloaded. The weights are
            `model.safetensors` or, as their publisher has them, `pytorch_model.bin`, of which tensors are read and
            nothing is executed.
        sha256: Hash of weights and preprocessing.
        device: Device to run on.

    Raises:
        ValueError: The files are damaged, or not those of a CLAP.
    """
    from pickle import UnpicklingError

    from safetensors import SafetensorError
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

    local: dict[str, Any] = {"local_files_only": True}
    try:
        features = ClapFeatureExtractor.from_pretrained(str(folder), **local)
        tokenize = AutoTokenizer.from_pretrained(str(folder), **local)
        model, found = ClapModel.from_pretrained(
            str(folder), weights_only=True, dtype="float32", output_loading_info=True, **local
        )
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{folder} holds no CLAP: {one_line(error)}") from error
    if wrong := sorted({*found["missing_keys"], *found["unexpected_keys"]}):
        raise ValueError(f"{folder} holds no CLAP: missing or unexpected parameters: {', '.join(wrong[:3])}")
    check_finite(model.state_dict(), folder)
    return CLAPScorer("clap", sha256, model, features, tokenize, device)
