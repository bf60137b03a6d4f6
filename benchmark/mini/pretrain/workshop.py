"""Resources shared by the stages of pretraining: finished weights, the cached world, batches as tensors."""

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
HELD_OUT = 624


def pixels(batch: np.ndarray) -> torch.Tensor:
    """Convert frames, uint8 (B, H, W, 3), to float (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(batch)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def waves(batch: np.ndarray) -> torch.Tensor:
    """Convert sounds, int16 (B, samples), to float in [-1, 1)."""
    return torch.from_numpy(np.asarray(batch, dtype=np.float32)) / 32768.0


def bf16() -> torch.autocast:
    """Return the context in which the CPU computes in bfloat16, where it has instructions for that.

    Where it has none, bfloat16 is emulated and many times slower than single precision.
    """
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=native)


class Workshop:
    """Folders and tokenizer of a pretraining.

    Args:
        weights: Folder of the exported weights; the tokenizer is written there if it is missing.
        work: Folder of the checkpoints.
        cache: Folder of the cached world.
        say: Receives lines on the progress.
    """

    def __init__(self, weights: Path, work: Path, cache: Path, say: Callable[[str], None]) -> None:
        self.weights, self.work, self.cache, self.say = weights, work, cache, say
        if not (weights / "tokenizer" / "vocab.json").exists():
            networks.write_tokenizer(weights / "tokenizer")
        self.tokenizer = networks.tokenizer(weights / "tokenizer")

    def clips(self, split: str, count: int) -> WorldClips:
        """Return the first `count` clips of a split of the world."""

        def tell(kind: str, done: int, total: int) -> None:
            if done % 2048 == 0:
                self.say(f"world: {done} of {total} {kind} of {split}")

        return WorldClips(split, count, self.cache, tell)

    def token_ids(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the token ids of texts, padded: (B, CONTEXT)."""
        encoded = self.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
        return encoded.input_ids

    def module(self, stage: str, name: str, module: nn.Module) -> nn.Module:
        """Load a network that a stage exported, frozen and in eval mode.

        Args:
            stage: The stage.
            name: Name of the network in its file.
            module: Network of the same architecture, which is filled and returned.

        Raises:
            UserError: The stage has not exported its weights yet.
        """
        path = self.weights / f"{stage}.safetensors"
        if not path.is_file():
            raise UserError(f"{path} is missing: make it with `bench mini pretrain {stage}` first")
        return networks.load_into(module, path, name)

    def continue_from(self, draft: str, modules: nn.ModuleDict) -> None:
        """Fill networks with the weights that the first course of their training ended with, to be trained on.

        Raises:
            UserError: The first course is not finished.
        """
        path = self.work / f"{draft}.safetensors"
        if not path.is_file():
            raise UserError(
                f"{self.work} contains no finished {draft}: make it with `bench mini pretrain {draft}` first"
            )
        for name, module in modules.items():
            networks.load_into(module, path, name).requires_grad_(True)
