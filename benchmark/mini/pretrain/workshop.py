"""What the stages of pretraining share: the weights made so far, the cached world, batches as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark.mini import networks
from benchmark.mini.data import WorldClips
from benchmark.utils.errors import UserError

POOL = 24_576
SOUND_POOL = 12_288
HELD_OUT = 576


def pixels(batch: np.ndarray) -> torch.Tensor:
    """uint8 (B, H, W, 3) -> float (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(batch)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def waves(batch: np.ndarray) -> torch.Tensor:
    """int16 (B, samples) -> float in [-1, 1)."""
    return torch.from_numpy(np.asarray(batch, dtype=np.float32)) / 32768.0


def bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


class Workshop:
    """Where pretraining happens: the weights made so far, the checkpoints of what is under way, the cached world."""

    def __init__(self, weights: Path, work: Path, cache: Path, say: Callable[[str], None]) -> None:
        self.weights, self.work, self.cache, self.say = weights, work, cache, say
        if not (weights / "tokenizer" / "vocab.json").exists():
            networks.write_tokenizer(weights / "tokenizer")
        self.tokenizer = networks.tokenizer(weights / "tokenizer")

    def clips(self, split: str, count: int) -> WorldClips:
        def tell(kind: str, done: int, total: int) -> None:
            if done % 2048 == 0:
                self.say(f"world: {done} of {total} {kind} of {split}")

        return WorldClips(split, count, self.cache, tell)

    def token_ids(self, texts: Sequence[str]) -> torch.Tensor:
        encoded = self.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
        return encoded.input_ids

    def module(self, stage: str, name: str, module: nn.Module) -> nn.Module:
        """Fill `module` with what `stage` exported under `name`; frozen, in eval mode."""
        path = self.weights / f"{stage}.safetensors"
        if not path.is_file():
            raise UserError(f"{path} is needed and not there: make it with `bench mini pretrain {stage}` first")
        return networks.load_into(module, path, name)
