"""GlueGen's networks: a translator between two spaces of tokens, and a discriminator that tells them apart.

Followed: salesforce/GlueGen@4159352, classes `Translator_w_head_v0` and `Discriminator` of `sound-gluenet/model.py`, by
which it is trained; `Translator_w_head` of its inference is the same. Parameters have the names of the released file
(`gluenet_sound2img_audioclip_us8k.ckpt`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

WIDER, BLOCKS_BEFORE, BLOCKS_AFTER = 4, 3, 2
REVERSED = 0.1
"""Factor of the discriminator's gradient, which is reversed on its way to the translator."""


def _normed(given: int, made: int) -> nn.Sequential:
    """Return three linear layers with a layer norm behind each."""
    hidden = given * WIDER
    return nn.Sequential(
        nn.Linear(given, hidden),
        nn.LayerNorm(hidden),
        nn.GELU(),
        nn.Linear(hidden, hidden),
        nn.LayerNorm(hidden),
        nn.GELU(),
        nn.Linear(hidden, made),
        nn.LayerNorm(made),
    )


def _plain(given: int, made: int) -> list[nn.Module]:
    """Return three linear layers without norms."""
    hidden = given * WIDER
    return [nn.Linear(given, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, made)]


class _Block(nn.Module):
    """Layers along the width, then along the tokens, each with a skip connection."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.net_tok, self.net_sen = _normed(tokens, tokens), _normed(width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = (self.net_sen(x) + x).mT
        return (self.net_tok(x) + x).mT


class _Change(nn.Module):
    """Layers along the width, then along the tokens, which may change the number of both."""

    def __init__(self, tokens: tuple[int, int], widths: tuple[int, int], normed: bool) -> None:
        super().__init__()
        self.net_tok = _normed(*tokens) if normed else nn.Sequential(*_plain(*tokens))
        self.net_sen = _normed(*widths) if normed else nn.Sequential(*_plain(*widths), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.net_tok(self.net_sen(x).mT)
        return changed.mT


class Translator(nn.Module):
    """Maps tokens (B, n, w) of one space to tokens (B, m, v) of another.

    Args:
        tokens: Numbers of tokens, (n, m).
        widths: Their widths, (w, v).
    """

    def __init__(self, tokens: tuple[int, int], widths: tuple[int, int]) -> None:
        super().__init__()
        (given, made), (width, new) = tokens, widths
        self.in_blocks = nn.ModuleList(_Block(given, width) for _ in range(BLOCKS_BEFORE))
        self.trans = _Change(tokens, widths, normed=True)
        self.out_blocks = nn.ModuleList(_Block(made, new) for _ in range(BLOCKS_AFTER))
        self.tail_1 = _Change((made, made), (new, new), normed=False)
        self.tail_2 = _Change((made, made), (new, new), normed=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the translation."""
        for block in self.in_blocks:
            x = nn.functional.gelu(block(x) + x)
        x = self.trans(x)
        for block in self.out_blocks:
            x = nn.functional.gelu(block(x) + x)
        translated: Tensor = self.tail_2(self.tail_1(x) + x)
        return translated


class _Reverse(torch.autograd.Function):
    """Identity whose gradient is multiplied by -`REVERSED` (Ganin and Lempitsky 2015, 1409.7495)."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return -REVERSED * gradients[0]


class Discriminator(nn.Module):
    """Tells which of two spaces a token is from, behind a reversal of its gradient: (N, width) -> log p (N, 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = width // 4
        self.net = nn.Sequential(
            nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 2), nn.LogSoftmax(dim=1)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return log probabilities of text and audio."""
        judged: Tensor = self.net(_Reverse.apply(tokens))
        return judged
