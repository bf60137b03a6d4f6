"""SonicDiffusion's audio projector: one embedding of the audio -> a row of audio tokens.

Followed: BurakCanBiner/SonicDiffusion@36be618, class `Adapter` of `ldm/modules/encoders/audio_projector_res.py`, as its
`app.py` sets it up (77 tokens, 4 layers). Parameters have the names of the released files (`audio_projector_*.pth`).
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from baselines.files import load_exactly
from benchmark.utils.errors import UserError

TOKENS, LAYERS, HEADS, HEAD_WIDTH, KERNEL = 77, 4, 8, 40, 17


class SelfAttention(nn.Module):
    """Attention of audio tokens among themselves without an output layer: (B, N, width) -> (B, N, heads x their width).

    Args:
        width: Width of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = HEADS * HEAD_WIDTH
        self.to_q_adapter = nn.Linear(width, inner, bias=False)
        self.to_k_adapter = nn.Linear(width, inner, bias=False)
        self.to_v_adapter = nn.Linear(width, inner, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the attention's heads beside each other."""
        parts = (self.to_q_adapter(tokens), self.to_k_adapter(tokens), self.to_v_adapter(tokens))
        query, key, value = (part.unflatten(-1, (HEADS, HEAD_WIDTH)).transpose(1, 2) for part in parts)
        return nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class AudioProjector(nn.Module):
    """Convolutions along the embedding that give `tokens` rows, then self-attention and a linear layer.

    The embedding, a sequence of `audio_width` numbers, is resampled to `width` numbers by the last two convolutions: up
    by the numerator and down by the denominator of `width / audio_width`. With CLAP's 1,024 and Stable Diffusion's 768
    that is 3 and 4, the official strides with the official padding; other widths are a generalisation.

    In the official code each of the `LAYERS` layers of attention reads the convolutions' output and not that of the
    layer before, so that the last one alone has an effect. So it is here: the others exist, in order that released
    files load, and are not trained.

    Args:
        audio_width: Width of the audio's embedding.
        width: Width of an audio token, that of the text encoder.
        tokens: Number of audio tokens.

    Raises:
        UserError: The two widths have no ratio that the convolutions could resample by.
    """

    def __init__(self, audio_width: int, width: int, tokens: int = TOKENS) -> None:
        super().__init__()
        self.audio_width = audio_width
        ratio = Fraction(width, audio_width)
        up, down = ratio.numerator, ratio.denominator
        if max(up, down) > KERNEL:
            raise UserError(
                f"embeddings of width {audio_width} cannot become tokens of width {width} by convolutions of "
                f"{KERNEL} taps (ratio {up}/{down}): choose an encoder whose width has a simpler ratio to it"
            )
        middle, upwards, downwards = KERNEL // 2, (KERNEL - up + 1) // 2, (KERNEL - down + 1) // 2
        self.audio_emb_projection = nn.Sequential(
            nn.Conv1d(1, tokens, KERNEL, padding=middle),
            nn.GELU(),
            nn.Conv1d(tokens, tokens, KERNEL, padding=middle),
            nn.GELU(),
            nn.LayerNorm([tokens, audio_width]),
            nn.Conv1d(tokens, tokens, KERNEL, padding=middle),
            nn.GELU(),
            nn.LayerNorm([tokens, audio_width]),
            nn.ConvTranspose1d(
                tokens, tokens, KERNEL, stride=up, padding=upwards, output_padding=up + 2 * upwards - KERNEL
            ),
            nn.GELU(),
            nn.LayerNorm([tokens, up * audio_width]),
            nn.GELU(),
            nn.Conv1d(tokens, tokens, KERNEL, stride=down, padding=downwards),
        )
        inner = HEADS * HEAD_WIDTH
        self.cross_attention = nn.ModuleList(SelfAttention(width) for _ in range(LAYERS))
        self.between_attention = nn.ModuleList(
            nn.Sequential(nn.Linear(inner, inner), nn.GELU(), nn.Linear(inner, width)) for _ in range(LAYERS)
        )
        self.to_out_adapter = nn.Sequential(nn.Linear(width, width))
        for unused in (*self.cross_attention[:-1], *self.between_attention[:-1]):
            unused.requires_grad_(False)

    def forward(self, embeddings: Tensor, rows: Any = None) -> Tensor:
        """Return the audio tokens of each clip in a row.

        Args:
            embeddings: (B, 1, audio_width) embeddings of length 1, or zeros for no audio.
            rows: Unused, as nothing is random.

        Returns:
            (B, tokens * width).
        """
        projected = self.audio_emb_projection(embeddings)
        mixed = self.between_attention[-1](self.cross_attention[-1](projected)) + projected
        tokens: Tensor = self.to_out_adapter(mixed)
        return tokens.flatten(1)


def load_projector(path: Path, projector: AudioProjector) -> None:
    """Load the parameters of a projector from safetensors, or from a released `audio_projector_*.pth`.

    Raises:
        UserError: The file cannot be read, or parameters are missing, unexpected, wrongly shaped or not finite.
    """
    load_exactly(path, dict(projector.named_parameters()))
