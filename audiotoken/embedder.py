"""The embedder: maps features of audio over time to one vector, or a few, that a text encoder reads as words.

It is the only part that AudioToken trains (paper, section 3). Parameters have the names of the released weights
(guyyariv/AudioToken@ab7d280, `output/embedder_learned_embeds.bin`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Rows(NamedTuple):
    """Rows of a batch that are processed together.

    Random values are drawn for the whole batch, so that they do not depend on how it is split over processes.
    """

    generator: torch.Generator
    """Generator of the random values."""
    of: int
    """Number of rows of the batch."""
    taken: slice
    """Rows of the batch that are present."""

    def draw(self, function: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """Draw values for the batch and return those of the rows taken.

        Args:
            function: Random function of torch, such as `torch.rand`.
            shape: Shape of a row's values.

        Returns:
            (rows, *shape) values.
        """
        return function((self.of, *shape), generator=self.generator, device=self.generator.device)[self.taken]


Generators = torch.Generator | Sequence[torch.Generator] | Rows


class Potentials(NamedTuple):
    """Intermediate values of the embedder; T is time, D the size of a token, K the number of tokens."""

    hidden: Tensor
    """(B, T, D) or (B, T, K, D) projected features, of which a token is a weighted sum over time."""
    unary: Tensor
    """(B, T) or (B, T, K) importance of each time step by itself."""
    self_potential: Tensor
    """(B, T) or (B, T, K) agreement of each time step with the whole clip, in [-1, 1]."""
    attention: Tensor
    """(B, T) or (B, T, K) weights of the time steps, non-negative, summing to 1 over time."""


class Dropout(nn.Module):
    """Dropout that can stay active in eval mode and can draw from given generators.

    Args:
        p: Probability of dropping a value.
        always: Whether dropout is also active in eval mode.

    Raises:
        ValueError: `p` is not in [0, 1).
    """

    def __init__(self, p: float, always: bool) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout is a probability from 0 to below 1, not {p!r}")
        self.p = p
        self.always = always

    def forward(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        """Apply dropout where it is active.

        Args:
            x: (B, ...) values.
            generator: Generator of the mask: one for the batch; one per row, on any device, so that a row's mask does
                not depend on other rows; or `Rows`, so that it does not depend on which of them are present. By default
                torch's global generator.

        Raises:
            ValueError: The number of generators is not that of rows.
        """
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
        """Return the arguments that the module's repr shows."""
        return f"p={self.p}, always={self.always}"


class Embedder(nn.Module):
    """Two linear layers and attentive pooling over time: features (B, T, input_size) -> token (B, output_size).

        hidden = fc2(GELU(fc1(features)))
        unary(i) = w . dropout(ReLU(U hidden(i)))
        self(i) = mean over j of cos(X hidden(i), Y hidden(j))
        attention = softmax over i of (a unary(i) + b self(i))
        token = sum over i of attention(i) hidden(i)

    T may differ from call to call; with T = 1 there is nothing to pool, and the token is `hidden`. The pooling is
    computed in float32 or better, and the token has that type, also under autocast.

    With `tokens` K > 1, which neither the paper nor the released code has, fc2 gives K vectors of `output_size` a time
    step, and the pooling, whose parameters all of them share, is applied to each: every token has weights over time of
    its own. Only fc2 grows, by (K - 1) (hidden_size + 1) output_size parameters.

    Args:
        input_size: Width of the audio encoder's features (2304 for BEATs: 3 layers of 768).
        output_size: Width of the text encoder (768 for Stable Diffusion 1, 1024 for 2).
        hidden_size: Width of the layer between them; by default `input_size`, as in the paper.
        dropout: Probability of dropout on the unary branch.
        official_dropout: Whether dropout stays on in eval mode, as in the released code, so that the same audio gives
            another token each time.
        tokens: Number of tokens K.

    Raises:
        ValueError: `tokens` is below 1.

    Example:
        >>> Embedder(input_size=12, output_size=6)(torch.zeros(2, 5, 12)).shape
        torch.Size([2, 6])
        >>> Embedder(input_size=12, output_size=6, tokens=4)(torch.zeros(2, 5, 12)).shape
        torch.Size([2, 4, 6])
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        hidden_size: int | None = None,
        dropout: float = 0.5,
        official_dropout: bool = False,
        tokens: int = 1,
    ) -> None:
        super().__init__()
        if tokens < 1:
            raise ValueError(f"an embedder gives 1 token or more, not {tokens}")
        self.tokens = tokens
        self.input_size = input_size
        self.output_size = output_size
        self.hidden_size = input_size if hidden_size is None else hidden_size
        self.fc1 = nn.Linear(input_size, self.hidden_size)
        self.fc2 = nn.Linear(self.hidden_size, tokens * output_size)
        self.fga = _Attention(output_size, Dropout(dropout, always=official_dropout))

    def forward(self, features: Tensor, generator: Generators | None = None) -> Tensor:
        """Return the token of each clip, or its tokens.

        Args:
            features: (B, T, input_size), T at least 1.
            generator: Generator of the dropout's mask where dropout is active: one, one per row, or `Rows`.

        Returns:
            (B, output_size) tokens; (B, K, output_size) where there are K > 1.

        Raises:
            ValueError: Features have another shape, or no time step.
        """
        hidden, _, _, attention = self.potentials(features, generator)
        # Not a matrix product, whose sum autocast would round to half precision.
        return (attention.unsqueeze(-1) * hidden).sum(dim=1)

    def potentials(self, features: Tensor, generator: Generators | None = None) -> Potentials:
        """Return the intermediate values of `forward`, whose arguments it takes.

        Args:
            features: (B, T, input_size), T at least 1.
            generator: As in `forward`.

        Raises:
            ValueError: As `forward`.
        """
        if features.ndim != 3 or features.shape[1] == 0 or features.shape[2] != self.input_size:
            raise ValueError(
                f"features have shape {tuple(features.shape)}, "
                f"the embedder takes (batch, time of 1 or more, {self.input_size})"
            )
        hidden = self.fc2(F.gelu(self.fc1(features)))
        if self.tokens > 1:
            hidden = hidden.unflatten(-1, (self.tokens, self.output_size))
        unary, self_potential, mixed = self.fga(hidden, generator)
        return Potentials(wide(hidden), unary, self_potential, mixed.softmax(dim=1))


class _Attention(nn.Module):
    """Factor-graph attention with one modality: a unary and a self potential, mixed by two weights.

    Lists of one module and kernel-1 convolutions match the names and shapes of the released parameters.
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
    """Apply a kernel-1 convolution to (B, ..., channels), channels last, as the linear map that it is."""
    return F.linear(x, convolution.weight.squeeze(-1), convolution.bias)


def wide(x: Tensor) -> Tensor:
    """Return `x` in float32, or as it is where that is more precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
