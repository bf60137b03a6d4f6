"""The embedder: features of a sound over time -> one vector that a text encoder reads as a word.

The only thing that AudioToken trains (paper, section 3). Parameters have the names of the released weights
(guyyariv/AudioToken@ab7d280, `output/embedder_learned_embeds.bin`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Rows(NamedTuple):
    """Some rows of a batch: what is drawn for them is drawn for the whole batch, so that it does not depend on who
    else works on the rest."""

    generator: torch.Generator
    of: int
    """Rows of the batch."""
    taken: slice
    """Those that are here."""

    def draw(self, function: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """`function((of, *shape), generator=...)` of the rows that are here: (rows, *shape)."""
        return function((self.of, *shape), generator=self.generator, device=self.generator.device)[self.taken]


Generators = torch.Generator | Sequence[torch.Generator] | Rows


class Potentials(NamedTuple):
    """What the embedder computes on its way to the token; T is time, D the token's size."""

    hidden: Tensor
    """(B, T, D): the projected frames that the token is a weighted sum of."""
    unary: Tensor
    """(B, T): how much a frame matters by itself."""
    self_potential: Tensor
    """(B, T) in [-1, 1]: how much a frame agrees with the whole clip."""
    attention: Tensor
    """(B, T): weights of the frames, non-negative, summing to 1 over time."""


class Dropout(nn.Module):
    """Dropout that can stay active in eval mode and can draw from given generators.

    With one generator a row (its device may differ from the input's) a row's mask does not depend on the other rows;
    with `Rows`, on whether the others are here.
    """

    def __init__(self, p: float, always: bool) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout is a probability from 0 to below 1, not {p!r}")
        self.p = p
        self.always = always

    def forward(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        if self.p == 0 or not (self.training or self.always):
            return x
        if generator is None:
            return F.dropout(x, self.p, training=True)
        if isinstance(generator, torch.Generator):
            draw = torch.rand(x.shape, generator=generator, device=generator.device)
        elif isinstance(generator, Rows):
            draw = generator.draw(torch.rand, x.shape[1:])
        else:
            if len(generator) != len(x):
                raise ValueError(f"{len(generator)} generators for a batch of {len(x)}: give one, or one a row")
            draw = torch.stack([torch.rand(x.shape[1:], generator=one, device=one.device) for one in generator])
        return x * (draw.to(x.device) >= self.p) / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}, always={self.always}"


class Embedder(nn.Module):
    """Two linear layers and attentive pooling over time: features (B, T, input_size) -> token (B, output_size).

        hidden = fc2(GELU(fc1(features)))
        unary(i) = w . dropout(ReLU(U hidden(i)))
        self(i) = mean over j of cos(X hidden(i), Y hidden(j))
        attention = softmax over i of (a unary(i) + b self(i))
        token = sum over i of attention(i) hidden(i)

    `input_size` is the audio encoder's width (2304 for BEATs: 3 layers of 768), `output_size` the text encoder's (768
    for Stable Diffusion 1, 1024 for 2), `hidden_size` that of the layer between them (`input_size` unless given, as in
    the paper). T may differ from call to call; with T = 1 there is nothing to pool, and the token is `hidden`. The
    pooling is computed in float32 or better, and the token has that type, also under autocast.

    `dropout` acts on the unary branch while training. The released code leaves it on in eval mode too, so that the
    same sound gives another token each time; `official_dropout=True` does the same.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        hidden_size: int | None = None,
        dropout: float = 0.5,
        official_dropout: bool = False,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.output_size = output_size
        self.hidden_size = input_size if hidden_size is None else hidden_size
        self.fc1 = nn.Linear(input_size, self.hidden_size)
        self.fc2 = nn.Linear(self.hidden_size, output_size)
        self.fga = _Attention(output_size, Dropout(dropout, always=official_dropout))

    def forward(self, features: Tensor, generator: Generators | None = None) -> Tensor:
        """Token (B, output_size) of `features` (B, T, input_size).

        `generator` (one, one a row, or `Rows`) draws the dropout's mask where dropout is active.
        Raises ValueError for features of another shape or without a frame.
        """
        hidden, _, _, attention = self.potentials(features, generator)
        # Not a matrix product: autocast would round the sum to half precision.
        return (attention.unsqueeze(-1) * hidden).sum(dim=1)

    def potentials(self, features: Tensor, generator: Generators | None = None) -> Potentials:
        """The intermediate values of `forward`, with the same arguments."""
        if features.ndim != 3 or features.shape[1] == 0 or features.shape[2] != self.input_size:
            raise ValueError(
                f"features have shape {tuple(features.shape)}, "
                f"the embedder takes (batch, time of 1 or more, {self.input_size})"
            )
        hidden = self.fc2(F.gelu(self.fc1(features)))
        unary, self_potential, mixed = self.fga(hidden, generator)
        return Potentials(wide(hidden), unary, self_potential, mixed.softmax(dim=1))


class _Attention(nn.Module):
    """Factor-graph attention with one modality: a unary and a self potential, mixed by two weights.

    The lists of one and the kernel-1 convolutions are there for the names and shapes of the released parameters.
    """

    def __init__(self, size: int, dropout: Dropout) -> None:
        super().__init__()
        self.un_models = nn.ModuleList([_Unary(size, dropout)])
        self.pp_models = nn.ModuleList([_SelfPotential(size)])
        self.reduce_potentials = nn.ModuleList([nn.Conv1d(2, 1, 1, bias=False)])

    def forward(self, hidden: Tensor, generator: Generators | None) -> tuple[Tensor, Tensor, Tensor]:
        unary = self.un_models[0](hidden, generator)
        self_potential = self.pp_models[0](hidden)
        a, b = self.get_parameter("reduce_potentials.0.weight").flatten().to(unary.dtype)
        return unary, self_potential, a * unary + b * self_potential


class _Unary(nn.Module):
    def __init__(self, size: int, dropout: Dropout) -> None:
        super().__init__()
        self.embed = nn.Conv1d(size, size, 1)
        self.feature_reduce = nn.Conv1d(size, 1, 1)
        self.dropout = dropout

    def forward(self, hidden: Tensor, generator: Generators | None) -> Tensor:
        kept = self.dropout(F.relu(_pointwise(self.embed, hidden)), generator)
        return wide(_pointwise(self.feature_reduce, kept)).squeeze(-1)


class _SelfPotential(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.embed_X = nn.Conv1d(size, size, 1)
        self.embed_Y = nn.Conv1d(size, size, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        x = F.normalize(wide(_pointwise(self.embed_X, hidden)), dim=-1)
        y = F.normalize(wide(_pointwise(self.embed_Y, hidden)), dim=-1)
        # The mean of dot products is the dot product with the mean: no T x T matrix.
        return (x * y.mean(dim=1, keepdim=True)).sum(dim=-1)


def _pointwise(convolution: nn.Conv1d, x: Tensor) -> Tensor:
    """A kernel-1 convolution of (B, T, channels), channels last, as the linear map that it is."""
    return F.linear(x, convolution.weight.squeeze(-1), convolution.bias)


def wide(x: Tensor) -> Tensor:
    """`x` in float32, or as it is where that is more precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
