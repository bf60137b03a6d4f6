"""BEATs: the audio encoder whose features AudioToken maps to a token.

Source: microsoft/unilm BEATs in the copy of guyyariv/AudioToken@ab7d280 (Chen et al., 2023). Parameter names are those
of the published checkpoints, so they load without renaming.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metrics.encoders.filterbank import BINS, FRAME, HOP, log_mel_filterbank
from metrics.tensor_files import check_finite, one_line, printable, read_tensors

AUDIOTOKEN_LAYERS = (4, 8, 12)
FILTERBANK_MEAN = 15.41663
FILTERBANK_STD = 6.55582

_OPTIONAL = {
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "encoder_layerdrop",
    "dropout_input",
    "layer_wise_gradient_decay_ratio",
    "predictor_dropout",
    "predictor_class",
}


@dataclass(frozen=True)
class BEATsConfig:
    """Sizes and regularisers of a BEATs encoder, named as in the `cfg` entry of the published checkpoints.

    The defaults are the model that AudioToken loads (12 layers, width 768, 527 AudioSet classes) with everything that
    acts in training only (dropouts, layerdrop, gradient decay) switched off.

    Args:
        encoder_layers: Number of transformer layers.
        encoder_embed_dim: Width D of the transformer; a multiple of the heads and of `conv_pos_groups`.
        encoder_ffn_embed_dim: Width of the feed-forward layers.
        encoder_attention_heads: Number of attention heads.
        activation_fn: Activation of the feed-forward layers; only "gelu" is supported.
        dropout: Dropout after the positional convolution, attention and feed-forward layers.
        attention_dropout: Dropout of the attention weights.
        activation_dropout: Dropout after the activation of the feed-forward layers.
        encoder_layerdrop: Probability of skipping a layer in training.
        dropout_input: Dropout of the projected patch tokens.
        layer_norm_first: Pre-norm layers; only False is supported.
        conv_bias: Whether the patch embedding has a bias.
        conv_pos: Kernel size of the positional convolution.
        conv_pos_groups: Groups of the positional convolution.
        relative_position_embedding: Relative position bias; only True is supported.
        num_buckets: Rows of the table of relative positions.
        max_distance: Distance in tokens beyond which all positions share a row.
        gru_rel_pos: Gated position bias; only True is supported.
        deep_norm: Whether residual connections are scaled, and layers initialised, as in DeepNorm.
        input_patch_size: Side of a patch of the filterbank, a divisor of the 128 mel bins.
        layer_wise_gradient_decay_ratio: Factor of the gradient, once per layer on its way back.
        embed_dim: Width of the patch embedding.
        finetuned_model: Whether there is a classifier head.
        predictor_dropout: Dropout before the classifier head.
        predictor_class: Number of classes of the head.

    Raises:
        ValueError: Sizes do not fit together, or no published checkpoint uses the architecture.
    """

    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    activation_fn: str = "gelu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    encoder_layerdrop: float = 0.0
    dropout_input: float = 0.0
    layer_norm_first: bool = False
    conv_bias: bool = False
    conv_pos: int = 128
    conv_pos_groups: int = 16
    relative_position_embedding: bool = True
    num_buckets: int = 320
    max_distance: int = 800
    gru_rel_pos: bool = True
    deep_norm: bool = True
    input_patch_size: int = 16
    layer_wise_gradient_decay_ratio: float = 1.0
    embed_dim: int = 512
    finetuned_model: bool = True
    predictor_dropout: float = 0.0
    predictor_class: int = 527

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type == "int" and getattr(self, field.name) < 1:
                raise ValueError(f"BEATs {field.name}={getattr(self, field.name)} must be at least 1")
        for name, only in (
            ("activation_fn", "gelu"),
            ("layer_norm_first", False),
            ("relative_position_embedding", True),
            ("gru_rel_pos", True),
        ):
            if getattr(self, name) != only:
                raise ValueError(f"BEATs {name}={getattr(self, name)!r} is not supported: use {only!r}")
        for size, part in (
            ("encoder_embed_dim", "encoder_attention_heads"),
            ("encoder_embed_dim", "conv_pos_groups"),
        ):
            if getattr(self, size) % getattr(self, part):
                raise ValueError(
                    f"BEATs {size}={getattr(self, size)} must be a multiple of {part}={getattr(self, part)}"
                )
        if BINS % self.input_patch_size:
            raise ValueError(f"BEATs input_patch_size={self.input_patch_size} must divide the {BINS} mel bins")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BEATsConfig:
        """Create the configuration from a checkpoint's `cfg`; fields that act in training only may be missing.

        Args:
            values: The fields by name.

        Raises:
            ValueError: Fields are unknown, or missing although they shape the encoder; the message lists all of them. A
                guess could silently give another model.
        """
        known = {field.name for field in fields(cls)}
        for fault, names in (("unknown", set(values) - known), ("absent", known - set(values) - _OPTIONAL)):
            if names:
                raise ValueError(f"BEATs configuration fields {fault}: {', '.join(sorted(map(printable, names)))}")
        return cls(**values)


@dataclass(frozen=True)
class BEATsOutput:
    """Output of BEATs for B clips of T tokens and width D; token `8 t + m` belongs to time patch t and mel patch m.

    Attributes:
        layers: Outputs (B, T, D) of the requested layers, in the order requested.
        last: Output (B, T, D) of the last layer.
        logits: Mean over tokens of the class logits, (B, classes); None without a classifier head.
        padding_mask: (B, T) bool, true for padding; None when no mask was given.
    """

    layers: tuple[Tensor, ...]
    last: Tensor
    logits: Tensor | None
    padding_mask: Tensor | None

    @property
    def probabilities(self) -> Tensor | None:
        """Class probabilities (B, classes): the sigmoid of the mean logit; None without a classifier head."""
        return None if self.logits is None else self.logits.sigmoid()


class BEATs(nn.Module):
    """BEATs: filterbank, 16 x 16 patches, transformer and, if `finetuned_model`, a classifier head.

    New parameters follow BEATs' own initialisation, so the network can also be trained from scratch.

    Args:
        config: Sizes of the network.
    """

    def __init__(self, config: BEATsConfig) -> None:
        super().__init__()
        self.config = config
        patch = config.input_patch_size
        self.post_extract_proj = (
            nn.Linear(config.embed_dim, config.encoder_embed_dim)
            if config.embed_dim != config.encoder_embed_dim
            else None
        )
        self.patch_embedding = nn.Conv2d(1, config.embed_dim, patch, stride=patch, bias=config.conv_bias)
        self.encoder = TransformerEncoder(config)
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        self.predictor = nn.Linear(config.encoder_embed_dim, config.predictor_class) if config.finetuned_model else None

    def preprocess(self, waveform: Tensor) -> Tensor:
        """Return the normalised filterbank `(x - 15.41663) / (2 * 6.55582)` of waveforms.

        x are the log-mel energies of the waveform on the 16-bit scale.

        Args:
            waveform: (B, samples) at 16 kHz, in [-1, 1].

        Returns:
            (B, frames, 128) float32, or float64 for a float64 waveform.

        Raises:
            ValueError: The waveform has fewer than 400 samples, or another number of dimensions.
        """
        if waveform.ndim != 2:
            raise ValueError(f"BEATs takes waveforms of shape (batch, samples), not {tuple(waveform.shape)}")
        dtype = torch.float64 if waveform.dtype == torch.float64 else torch.float32
        return (log_mel_filterbank(waveform.to(dtype) * 2**15) - FILTERBANK_MEAN) / (2 * FILTERBANK_STD)

    def patch_tokens(self, filterbank: Tensor) -> Tensor:
        """Return the normalised patch tokens of a filterbank, with mel patches varying fastest.

        An incomplete last patch of frames is dropped, so `T = frames // 16 * 8`.

        Args:
            filterbank: (B, frames, 128), as from `preprocess`.

        Returns:
            (B, T, embed_dim) tokens.

        Raises:
            ValueError: There are too few frames for one patch.
        """
        patch = self.config.input_patch_size
        if filterbank.shape[1] < patch:
            raise ValueError(
                f"the clip has {filterbank.shape[1]} filterbank frames, but one BEATs patch needs {patch} "
                f"({FRAME + HOP * (patch - 1)} samples at 16 kHz): pad or repeat it first"
            )
        grid = self.patch_embedding(filterbank.unsqueeze(1).to(self.patch_embedding.weight.dtype))
        return self.layer_norm(grid.flatten(2).transpose(1, 2))

    def encoder_input(self, patch_tokens: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the input of the first layer: patch tokens projected, with positions added, normalised.

        Args:
            patch_tokens: (B, T, embed_dim), as from `patch_tokens`.
            padding_mask: (B, T) bool. Padded tokens are set to 0 before the positional convolution can spread them.

        Returns:
            (B, T, D) tokens.
        """
        tokens = patch_tokens if self.post_extract_proj is None else self.post_extract_proj(patch_tokens)
        tokens = F.dropout(tokens, self.config.dropout_input, self.training)
        return self.encoder.embed(tokens, padding_mask)

    def forward(
        self,
        waveform: Tensor | None = None,
        padding_mask: Tensor | None = None,
        from_filterbank: Tensor | None = None,
        layers: Sequence[int] = (),
    ) -> BEATsOutput:
        """Encode waveforms, or the filterbank that `preprocess` computed from them.

        Without padding, clips of a batch do not influence each other.

        Args:
            waveform: (B, samples) at 16 kHz, in [-1, 1].
            padding_mask: Bool, true for padding: (B, samples), or (B, frames) with `from_filterbank`. It is reduced to
                tokens by splitting it into equal runs, as in the reference, so it is not aligned with the time patches.
            from_filterbank: (B, frames, 128), in place of `waveform`.
            layers: Layers whose outputs to return, counted from 1.

        Raises:
            ValueError: The model has no such layer, a clip is too short or is padding throughout, or not exactly one of
                `waveform` and `from_filterbank` is given.
        """
        absent = [layer for layer in layers if not 1 <= layer <= self.config.encoder_layers]
        if absent:
            raise ValueError(f"BEATs has no layers {absent}: this model has 1 to {self.config.encoder_layers}")
        filterbank = self._filterbank(waveform, from_filterbank)
        tokens = self.patch_tokens(filterbank)
        if padding_mask is not None:
            padding_mask = reduce_padding_mask(reduce_padding_mask(padding_mask, filterbank.shape[1]), tokens.shape[1])
            if bool(padding_mask.all(1).any()):
                raise ValueError("a clip of the batch is padding throughout: leave it out")
        outputs = self.encoder(self.encoder_input(tokens, padding_mask), padding_mask)
        return BEATsOutput(
            layers=tuple(outputs[layer - 1] for layer in layers),
            last=outputs[-1],
            logits=self._mean_logits(outputs[-1], padding_mask),
            padding_mask=padding_mask,
        )

    def extract_features(
        self,
        waveform: Tensor | None = None,
        layers: Sequence[int] = AUDIOTOKEN_LAYERS,
        padding_mask: Tensor | None = None,
        from_filterbank: Tensor | None = None,
    ) -> Tensor:
        """Return the outputs of several layers joined along the channels: the features of AudioToken's embedder.

        Source: guyyariv/AudioToken@ab7d280, `BEATs.extract_features(...)[1]`.

        Args:
            waveform: (B, samples) at 16 kHz, in [-1, 1].
            layers: Layers to join, counted from 1.
            padding_mask: As in `forward`.
            from_filterbank: As in `forward`.

        Returns:
            (B, T, len(layers) * D) features.

        Raises:
            ValueError: `layers` is empty, and as `forward`.
        """
        if not layers:
            raise ValueError("no BEATs layer requested: name at least one")
        return torch.cat(self(waveform, padding_mask, from_filterbank, layers).layers, dim=-1)

    def logits(
        self,
        waveform: Tensor | None = None,
        padding_mask: Tensor | None = None,
        from_filterbank: Tensor | None = None,
    ) -> Tensor:
        """Return the class logits (B, classes): the mean over tokens of the head's logits.

        Their sigmoid is the probability; train a tagger with binary cross-entropy on them.

        Args:
            waveform: (B, samples) at 16 kHz, in [-1, 1].
            padding_mask: As in `forward`.
            from_filterbank: As in `forward`.

        Raises:
            ValueError: The model has no classifier head, and as `forward`.
        """
        if self.predictor is None:
            raise ValueError("this BEATs model has no classifier head: its finetuned_model is false")
        return self(waveform, padding_mask, from_filterbank).logits

    def _filterbank(self, waveform: Tensor | None, filterbank: Tensor | None) -> Tensor:
        if waveform is not None and filterbank is None:
            return self.preprocess(waveform)
        if filterbank is not None and waveform is None:
            if filterbank.ndim != 3 or filterbank.shape[2] != BINS:
                raise ValueError(f"BEATs takes filterbanks (batch, frames, {BINS}), not {tuple(filterbank.shape)}")
            return filterbank
        raise ValueError("give BEATs either a waveform or a filterbank")

    def _mean_logits(self, tokens: Tensor, padding_mask: Tensor | None) -> Tensor | None:
        if self.predictor is None:
            return None
        logits = self.predictor(F.dropout(tokens, self.config.predictor_dropout, self.training))
        if padding_mask is None:
            return logits.mean(1)
        kept = ~padding_mask.unsqueeze(-1)
        return (logits * kept).sum(1) / kept.sum(1)


class TransformerEncoder(nn.Module):
    """Positional convolution and post-norm layers; all layers share the table of relative positions.

    Args:
        config: Sizes of the network.
    """

    def __init__(self, config: BEATsConfig) -> None:
        super().__init__()
        self.config = config
        self.pos_conv = nn.Sequential(PositionalConv(config))
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(config.encoder_embed_dim)
        for layer in self._layers()[1:]:
            layer.self_attn.relative_attention_bias = self._layers()[0].self_attn.relative_attention_bias

    def embed(self, tokens: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Zero the padded tokens (B, T, D), add positions and normalise."""
        if padding_mask is not None:
            tokens = tokens.masked_fill(padding_mask.unsqueeze(-1), 0)
        tokens = self.layer_norm(tokens + self.pos_conv(tokens))
        return F.dropout(tokens, self.config.dropout, self.training)

    def forward(self, tokens: Tensor, padding_mask: Tensor | None = None) -> list[Tensor]:
        """Return the outputs (B, T, D) of all layers; a layer dropped in training passes its input on.

        Args:
            tokens: (B, T, D), as from `embed`.
            padding_mask: (B, T) bool, true for padding.
        """
        bias = self._layers()[0].self_attn.position_bias(tokens.shape[1])
        decay = self.config.layer_wise_gradient_decay_ratio
        outputs = []
        for layer in self._layers():
            if decay != 1 and tokens.requires_grad:
                tokens = tokens.view_as(tokens)
                tokens.register_hook(lambda gradient: gradient * decay)
            if not (self.training and torch.rand(()).item() < self.config.encoder_layerdrop):
                tokens = layer(tokens, bias, padding_mask)
            outputs.append(tokens)
        return outputs

    def _layers(self) -> list[TransformerLayer]:
        return cast("list[TransformerLayer]", list(self.layers))


class PositionalConv(nn.Module):
    """Grouped convolution over tokens with weight `g * v / |v|`, normalised separately at each kernel tap.

    Args:
        config: Sizes of the network.
    """

    def __init__(self, config: BEATsConfig) -> None:
        super().__init__()
        width, kernel, groups = config.encoder_embed_dim, config.conv_pos, config.conv_pos_groups
        self.groups = groups
        self.bias = nn.Parameter(torch.zeros(width))
        weight = torch.randn(width, width // groups, kernel) * math.sqrt(4 / (kernel * width))
        self.weight_g = nn.Parameter(_tap_norm(weight))
        self.weight_v = nn.Parameter(weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """Convolve (B, T, D) and apply GELU; of an even kernel the surplus last output is dropped."""
        weight = self.weight_g * self.weight_v / _tap_norm(self.weight_v)
        kernel = weight.shape[-1]
        out = F.conv1d(tokens.transpose(1, 2), weight, self.bias, padding=kernel // 2, groups=self.groups)
        return F.gelu(out[..., : tokens.shape[1]]).transpose(1, 2)


class TransformerLayer(nn.Module):
    """Post-norm transformer layer: `x = LN(alpha x + attention(x))`, `x = LN(alpha x + ffn(x))`.

    `alpha` is `(2 layers)**0.25` under deep norm, and 1 otherwise.

    Args:
        config: Sizes of the network.
    """

    def __init__(self, config: BEATsConfig) -> None:
        super().__init__()
        self.config = config
        width, inner = config.encoder_embed_dim, config.encoder_ffn_embed_dim
        self.alpha = (2 * config.encoder_layers) ** 0.25 if config.deep_norm else 1.0
        self.self_attn = GatedAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = _linear(width, inner, _residual_gain(config))
        self.fc2 = _linear(inner, width, _residual_gain(config))
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, bias: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Apply the layer.

        Args:
            tokens: (B, T, D).
            bias: (1, heads, T, T) position bias before this layer's gate.
            padding_mask: (B, T) bool, true for padding.

        Returns:
            (B, T, D) tokens.
        """
        attention = F.dropout(self.self_attn(tokens, bias, padding_mask), self.config.dropout, self.training)
        tokens = self.self_attn_layer_norm(self.alpha * tokens + attention)
        hidden = F.dropout(F.gelu(self.fc1(tokens)), self.config.activation_dropout, self.training)
        hidden = F.dropout(self.fc2(hidden), self.config.dropout, self.training)
        return self.final_layer_norm(self.alpha * tokens + hidden)


class GatedAttention(nn.Module):
    """Self-attention whose relative position bias is scaled by `a (b * grep_a - 1) + 2` for each query and head.

    Args:
        config: Sizes of the network.
    """

    def __init__(self, config: BEATsConfig) -> None:
        super().__init__()
        self.config = config
        width, heads = config.encoder_embed_dim, config.encoder_attention_heads
        gain = _residual_gain(config)
        plain = None if gain is None else 1.0
        self.grep_a = nn.Parameter(torch.ones(1, heads, 1, 1))
        self.relative_attention_bias = nn.Embedding(config.num_buckets, heads)
        nn.init.normal_(self.relative_attention_bias.weight, std=0.02)
        self.k_proj = _linear(width, width, plain)
        self.v_proj = _linear(width, width, gain)
        self.q_proj = _linear(width, width, plain)
        self.out_proj = _linear(width, width, gain)
        self.grep_linear = _linear(width // heads, 8, None)

    def position_bias(self, length: int) -> Tensor:
        """Return the bias (1, heads, T, T) of each query (row) for each key (column) from the table of positions."""
        position = torch.arange(length, device=self.relative_attention_bias.weight.device)
        buckets = relative_position_bucket(
            position[None, :] - position[:, None], self.config.num_buckets, self.config.max_distance
        )
        return self.relative_attention_bias(buckets).permute(2, 0, 1).unsqueeze(0)

    def forward(self, tokens: Tensor, bias: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Attend to all tokens but the padded ones.

        Args:
            tokens: (B, T, D).
            bias: (1, heads, T, T), as from `position_bias`.
            padding_mask: (B, T) bool, true for keys that are not attended to.

        Returns:
            (B, T, D) tokens.
        """
        query, key, value = (self._heads(project(tokens)) for project in (self.q_proj, self.k_proj, self.v_proj))
        a, b = self.grep_linear(query).unflatten(-1, (2, 4)).sum(-1).sigmoid().split(1, dim=-1)
        mask = (a * (b * self.grep_a - 1) + 2) * bias
        if padding_mask is not None:
            mask = mask.masked_fill(padding_mask[:, None, None, :], -math.inf)
        dropout = self.config.attention_dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.to(query.dtype), dropout_p=dropout)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.config.encoder_attention_heads, -1)).transpose(1, 2)


def relative_position_bucket(relative: Tensor, buckets: int = 320, max_distance: int = 800) -> Tensor:
    """Return the row of the bias table for each relative position.

    The upper half of the table is for keys after the query. Distances below a quarter of the table have a row each;
    beyond, rows are spaced logarithmically up to `max_distance`, and all larger distances share the last one.

    Args:
        relative: Positions of keys minus those of queries, integers of any shape.
        buckets: Rows of the table.
        max_distance: Distance of the last row.

    Returns:
        Integers of the shape of `relative`.
    """
    half = buckets // 2
    exact = half // 2
    distance = relative.abs()
    # float32 in this order of operations: the row of a distance on a boundary depends on the rounding.
    far = torch.log(distance.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (half - exact)
    row = torch.where(distance < exact, distance, (exact + far.long()).clamp(max=half - 1))
    return row + half * (relative > 0)


def reduce_padding_mask(mask: Tensor, length: int) -> Tensor:
    """Reduce a padding mask to `length` entries.

    Each entry covers a run of `n // length` entries, and is padding if all of them are. The last `n % length` entries
    are dropped.

    Args:
        mask: (B, n) bool, true for padding.
        length: Number of entries to reduce to.

    Returns:
        (B, length) bool.

    Raises:
        ValueError: The mask is shorter than `length`.
    """
    if mask.ndim != 2 or mask.shape[1] < length:
        raise ValueError(f"a padding mask of shape {tuple(mask.shape)} cannot cover {length} frames or tokens")
    return mask[:, : mask.shape[1] - mask.shape[1] % length].bool().reshape(len(mask), length, -1).all(-1)


def load_beats(path: str | Path) -> BEATs:
    """Load a published BEATs checkpoint (`{"cfg": ..., "model": ...}`) in eval mode on the CPU.

    The sizes come from its own `cfg`.

    Args:
        path: The checkpoint.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a BEATs checkpoint: other entries, unknown configuration fields, or missing,
            unexpected or wrongly shaped parameters.
    """
    checkpoint = read_tensors(path, "a BEATs checkpoint")
    if not (isinstance(checkpoint, dict) and all(isinstance(checkpoint.get(key), dict) for key in ("cfg", "model"))):
        raise ValueError(f"{path} is not a BEATs checkpoint: it has no 'cfg' and 'model' entries")
    check_finite(checkpoint["model"], path)
    try:
        model = BEATs(BEATsConfig.from_dict(checkpoint["cfg"]))
        model.load_state_dict(checkpoint["model"])
    except (RuntimeError, TypeError) as error:  # TypeError: a text in the place of a number
        raise ValueError(f"{path} does not fit its own configuration: {one_line(error)}") from error
    return model.eval()


def _tap_norm(weight: Tensor) -> Tensor:
    return weight.norm(dim=(0, 1), keepdim=True)


def _residual_gain(config: BEATsConfig) -> float | None:
    """Return the Xavier gain of layers that feed a residual sum; under deep norm it falls with the depth."""
    return (8 * config.encoder_layers) ** -0.25 if config.deep_norm else None


def _linear(inputs: int, outputs: int, gain: float | None) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    if gain is None:
        nn.init.normal_(linear.weight, std=0.02)
    else:
        nn.init.xavier_normal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear
