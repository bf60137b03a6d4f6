"""Resources shared by the stages of pretraining: finished weights, the cached world, batches as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmark.mini import networks
from benchmark.mini.data import WorldClips
from benchmark.text_encoder import tokenize
from benchmark.utils.errors import UserError

POOL = 24_576
SOUND_POOL = 12_288
HELD_OUT = 624


class Workshop:
    """Folders and tokenizer of a pretraining.

    Args:
        weights: Folder of the exported weights; the tokenizer is written there if it is missing.
        work: Folder of the checkpoints.
        cache: Folder of the cached world.
        say: Receives lines on the progress.
        device: Where the networks are trained. Draws are the CPU's on every device.
    """

    def __init__(
        self, weights: Path, work: Path, cache: Path, say: Callable[[str], None], device: str | torch.device = "cpu"
    ) -> None:
        self.weights, self.work, self.cache, self.say = weights, work, cache, say
        self.device = torch.device(device)
        if not (weights / "tokenizer" / "vocab.json").exists():
            networks.write_tokenizer(weights / "tokenizer")
        self.tokenizer = networks.tokenizer(weights / "tokenizer")

    def clips(self, split: str, count: int) -> WorldClips:
        """Return the first `count` clips of a split of the world."""

        def tell(kind: str, done: int, total: int) -> None:
            if done % 2048 == 0:
                self.say(f"world: {done} of {total} {kind} of {split}")

        return WorldClips(split, count, self.cache, tell)

    def pixels(self, batch: np.ndarray) -> torch.Tensor:
        """Convert frames, uint8 (B, H, W, 3), to float (B, 3, H, W) in [-1, 1]."""
        return torch.from_numpy(np.array(batch)).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1.0

    def waves(self, batch: np.ndarray) -> torch.Tensor:
        """Convert sounds, int16 (B, samples), to float in [-1, 1)."""
        return torch.from_numpy(np.asarray(batch, dtype=np.float32)).to(self.device) / 32768.0

    def uniform(self, *shape: int, generator: torch.Generator) -> torch.Tensor:
        """Draw on the CPU from the uniform distribution over [0, 1), so that every device gets the same."""
        return torch.rand(shape, generator=generator).to(self.device)

    def normal(self, *shape: int, generator: torch.Generator) -> torch.Tensor:
        """Draw on the CPU from the standard normal distribution, so that every device gets the same."""
        return torch.randn(shape, generator=generator).to(self.device)

    def graphed(self, module: nn.Module, *examples: torch.Tensor) -> Callable[..., Any]:
        """Return a function with the forward and backward pass of a module in training.

        On a GPU both are captured as CUDA graphs, since networks of this size spend their time in launches of kernels.

        Args:
            module: The module, which is moved to the device. It returns a tensor or a tuple of them.
            examples: Arguments of the shapes, types and gradients of all that come.
        """
        module.train().to(self.device)
        if self.device.type != "cuda":
            return module
        made: Callable[..., Any] = torch.cuda.make_graphed_callables(module, examples)
        return made

    def bf16(self) -> torch.autocast:
        """Return the context in which a CPU computes in bfloat16, where it has instructions for that.

        Where it has none, bfloat16 is emulated and many times slower than single precision. On a GPU networks of this
        size spend their time in the launches of kernels, which further conversions would only add to.
        """
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.autocast("cpu", torch.bfloat16, enabled=native and self.device.type == "cpu")

    def token_ids(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the token ids of texts, padded: (B, CONTEXT)."""
        return tokenize(self.tokenizer, texts).to(self.device)

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
        return networks.load_into(module, path, name).to(self.device)

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
