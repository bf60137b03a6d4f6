"""ImageBind: audio, images and texts in one embedding space, each encoded by a transformer of its own.

Source: facebookresearch/ImageBind@53680b0 (Girdhar et al., 2023), with the clip spacing of the pytorchvideo that it
pins (facebookresearch/pytorchvideo@6cdc929). Parameter names are those of `imagebind_huge.pth`, so it loads without
renaming. Depth, thermal and motion are omitted, and so is stochastic depth, which acts in training only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from metrics.encoders.filterbank import BINS, SAMPLE_RATE, log_mel_filterbank
from metrics.tensor_files import check_finite, one_line, read_tensors

CLIPS = 3
CLIP_SECONDS = 2
FILTERBANK_MEAN = -4.268
FILTERBANK_STD = 9.138
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)

# The published file holds three more modalities, which nothing here uses.
IGNORED_PREFIXES = tuple(
    f"modality_{part}.{modality}."
    for part in ("preprocessors", "trunks", "heads", "postprocessors")
    for modality in ("depth", "thermal", "imu")
)


@dataclass(frozen=True)
class Tower:
    """Size of one transformer.

    Args:
        width: Width of a token, a multiple of `heads`.
        blocks: Number of blocks.
        heads: Number of attention heads.
    """

    width: int
    blocks: int
    heads: int


@dataclass(frozen=True)
class ImageBindConfig:
    """Sizes of an ImageBind; the defaults are those of the published `imagebind_huge`.

    Args:
        embed_dim: Width of the common space.
        vision: Size of the image tower.
        text: Size of the text tower.
        audio: Size of the audio tower.
        image_size: Side of an image in pixels.
        image_patch: Side of an image's patch in pixels, a divisor of `image_size`.
        frames: Number of video frames that an image is repeated over.
        vocabulary: Number of token ids.
        context: Number of ids of a text.
        audio_patch: Side of an audio clip's square patch.
        audio_stride: Distance between audio patches.
        mel_bins: Number of mel bins of an audio clip.
        target_frames: Number of filterbank frames of an audio clip.
        mlp_ratio: Width of the feed-forward layers over the width of a token.

    Raises:
        ValueError: Sizes do not fit together.
    """

    embed_dim: int = 1024
    vision: Tower = field(default=Tower(1280, 32, 16))
    text: Tower = field(default=Tower(1024, 24, 16))
    audio: Tower = field(default=Tower(768, 12, 12))
    image_size: int = 224
    image_patch: int = 14
    frames: int = 2
    vocabulary: int = 49_408
    context: int = 77
    audio_patch: int = 16
    audio_stride: int = 10
    mel_bins: int = BINS
    target_frames: int = 204
    mlp_ratio: int = 4

    def __post_init__(self) -> None:
        for size in fields(self):
            if size.type == "int" and getattr(self, size.name) < 1:
                raise ValueError(f"ImageBind {size.name}={getattr(self, size.name)} must be at least 1")
        for name in ("vision", "text", "audio"):
            tower = getattr(self, name)
            if min(tower.width, tower.blocks, tower.heads) < 1 or tower.width % tower.heads:
                raise ValueError(f"ImageBind {name}={tower}: the width must be a multiple of the heads, all at least 1")
        if self.image_size % self.image_patch:
            raise ValueError(f"ImageBind image_size={self.image_size} must be a multiple of {self.image_patch} pixels")
        if self.audio_patch > min(self.mel_bins, self.target_frames):
            raise ValueError(
                f"ImageBind audio_patch={self.audio_patch} does not fit into {self.mel_bins} bins x "
                f"{self.target_frames} frames"
            )

    @property
    def audio_grid(self) -> tuple[int, int]:
        """Number of patches of an audio clip (along the mel bins, over time): (12, 19) in the published model."""
        mel, time = (
            (length - self.audio_patch) // self.audio_stride + 1 for length in (self.mel_bins, self.target_frames)
        )
        return mel, time


class ImageBind(nn.Module):
    """Image, text and audio towers of ImageBind.

    Image embeddings have unit length; those of texts and audio clips are scaled by a temperature that is part of the
    model (20 for audio). Modalities are compared by cosine.

    Args:
        config: Sizes of the network; by default those of the published one.
    """

    def __init__(self, config: ImageBindConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ImageBindConfig()
        vision, text, audio = config.vision, config.text, config.audio
        see = nn.Sequential(
            Repeat(config.frames),
            nn.Conv3d(
                3,
                vision.width,
                (config.frames, config.image_patch, config.image_patch),
                stride=(config.frames, config.image_patch, config.image_patch),
                bias=False,
            ),
        )
        hear = nn.Conv2d(1, audio.width, config.audio_patch, stride=config.audio_stride, bias=False)
        self.modality_preprocessors = nn.ModuleDict(
            {
                "vision": PatchTokens(Stem(see), (config.image_size // config.image_patch) ** 2, vision.width),
                "text": TextTokens(config.vocabulary, config.context, text.width),
                "audio": PatchTokens(Stem(hear, nn.LayerNorm(audio.width)), math.prod(config.audio_grid), audio.width),
            }
        )
        self.modality_trunks = nn.ModuleDict(
            {
                "vision": Trunk(vision, config.mlp_ratio, norm_first=True),
                "text": Trunk(text, config.mlp_ratio),
                "audio": Trunk(audio, config.mlp_ratio, bias_kv=True),
            }
        )
        self.modality_heads = nn.ModuleDict(
            {
                "vision": _class_head(vision.width, config.embed_dim),
                "text": EndHead(text.width, config.embed_dim),
                "audio": _class_head(audio.width, config.embed_dim),
            }
        )
        self.modality_postprocessors = nn.ModuleDict(
            {
                "vision": UnitLength(),
                "text": nn.Sequential(UnitLength(), Temperature(1 / 0.07, learnable=True)),
                "audio": nn.Sequential(UnitLength(), Temperature(20.0, learnable=False)),
            }
        )

    def preprocess(self, waveform: Tensor) -> Tensor:
        """Return the audio tower's input for waveforms: three clips of 2 s (`clip_ranges`) of each.

        Each clip has its mean removed and becomes log-mel energies with a Hann window, padded with zeros to
        `target_frames` (198 frames become 204) and only then normalised, `(x + 4.268) / 9.138`. As in the reference, a
        clip's mean is removed from the waveform itself, so that a later, overlapping clip is computed from shifted
        samples, which moves some normalised values by 0.1 and more.

        Args:
            waveform: (B, samples) at 16 kHz, in [-1, 1].

        Returns:
            (B, 3, 1, mel, frames) float32, or float64 for a float64 waveform.

        Raises:
            ValueError: The waveform has fewer than 400 samples, or another number of dimensions.
        """
        if waveform.ndim != 2:
            raise ValueError(f"ImageBind takes waveforms of shape (batch, samples), not {tuple(waveform.shape)}")
        heard = waveform.to(torch.float64 if waveform.dtype == torch.float64 else torch.float32, copy=True)
        clips = []
        for start, end in clip_ranges(heard.shape[1]):
            clip = heard[:, start:end]
            clip -= clip.mean(1, keepdim=True)
            energies = log_mel_filterbank(clip, "hann", self.config.mel_bins)[:, : self.config.target_frames]
            padded = F.pad(energies, (0, 0, 0, self.config.target_frames - energies.shape[1]))
            clips.append((padded.mT - FILTERBANK_MEAN) / FILTERBANK_STD)
        return torch.stack(clips, 1).unsqueeze(2)

    def audio_tokens(self, clips: Tensor) -> Tensor:
        """Return the audio trunk's output, before the head.

        Args:
            clips: (N, 1, mel, frames), as from `preprocess`.

        Returns:
            (N, 1 + patches, width): the class token, then the patches with time varying fastest (`config.audio_grid`).

        Raises:
            ValueError: Clips have another size.
        """
        expected = (1, self.config.mel_bins, self.config.target_frames)
        if clips.shape[1:] != expected:
            raise ValueError(f"ImageBind takes audio clips of shape {expected}, not {tuple(clips.shape[1:])}")
        return self._run("audio", clips)

    def encode_clips(self, clips: Tensor) -> Tensor:
        """Return embeddings (N, embed_dim) of length 20 of the clips (N, 1, mel, frames) that `preprocess` returned."""
        return self._finish("audio", self.audio_tokens(clips))

    def encode_audio(self, waveform: Tensor) -> Tensor:
        """Return the embeddings of waveforms: the mean over their three clips.

        A mean of vectors of length 20 is shorter than 20, the more so the more the clips differ.

        Args:
            waveform: (B, samples) at 16 kHz, in [-1, 1].

        Returns:
            (B, embed_dim) embeddings.

        Raises:
            ValueError: The waveform has fewer than 400 samples.
        """
        clips = self.preprocess(waveform)
        return self.encode_clips(clips.flatten(0, 1)).unflatten(0, clips.shape[:2]).mean(1)

    def extract_features(self, waveform: Tensor) -> Tensor:
        """Return the audio trunk's patches averaged over the mel bins, the three clips one after another.

        Args:
            waveform: (B, samples) at 16 kHz, in [-1, 1].

        Returns:
            (B, T, width) features. T is 3 x 19 in the published model, a step every 0.1 s of each clip.

        Raises:
            ValueError: As `encode_audio`.
        """
        clips = self.preprocess(waveform)
        patches = self.audio_tokens(clips.flatten(0, 1))[:, 1:]
        over_time = patches.unflatten(1, self.config.audio_grid).mean(1)
        return over_time.unflatten(0, clips.shape[:2]).flatten(1, 2)

    def encode_images(self, pictures: Tensor) -> Tensor:
        """Return unit embeddings (B, embed_dim) of images.

        Args:
            pictures: (B, 3, image_size, image_size), in [0, 1] minus `IMAGE_MEAN`, divided by `IMAGE_STD`.

        Raises:
            ValueError: Images have another size.
        """
        side = self.config.image_size
        if pictures.shape[1:] != (3, side, side):
            raise ValueError(f"ImageBind takes images of shape {(3, side, side)}, not {tuple(pictures.shape[1:])}")
        return self._finish("vision", self._run("vision", pictures))

    def encode_texts(self, ids: Tensor) -> Tensor:
        """Return embeddings (B, embed_dim) of texts, scaled by the learned temperature.

        Args:
            ids: (B, context) ids from CLIP's tokenizer. The largest id of a row is taken as its end of text, as in
                CLIP.

        Raises:
            ValueError: `ids` have another length than `context`.
        """
        if ids.ndim != 2 or ids.shape[1] != self.config.context:
            raise ValueError(f"ImageBind takes ids of shape (batch, {self.config.context}), not {tuple(ids.shape)}")
        words = self.modality_preprocessors["text"]
        assert isinstance(words, TextTokens)
        tokens = self._run("text", ids, words.mask)
        return self._finish("text", tokens[torch.arange(len(ids)), ids.argmax(1)])

    def _run(self, modality: str, given: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.modality_trunks[modality](self.modality_preprocessors[modality](given), mask)

    def _finish(self, modality: str, tokens: Tensor) -> Tensor:
        return self.modality_postprocessors[modality](self.modality_heads[modality](tokens).float())


class Repeat(nn.Module):
    """Repeat an image (B, 3, H, W) as equal frames of a video, (B, 3, frames, H, W).

    Args:
        frames: Number of frames.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, pictures: Tensor) -> Tensor:
        """Return a view (B, 3, frames, H, W) of images (B, 3, H, W)."""
        return pictures.unsqueeze(2).expand(-1, -1, self.frames, -1, -1)


class Stem(nn.Module):
    """Patch projection to tokens (B, patches, width), optionally normalised.

    Args:
        proj: Convolution from the input to a grid of patches.
        norm_layer: Norm of the tokens, or None.
    """

    def __init__(self, proj: nn.Module, norm_layer: nn.Module | None = None) -> None:
        super().__init__()
        self.proj = proj
        self.norm_layer = norm_layer

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens (B, patches, width) of an image, video or spectrogram."""
        tokens = self.proj(x).flatten(2).transpose(1, 2)
        return tokens if self.norm_layer is None else self.norm_layer(tokens)


class PatchTokens(nn.Module):
    """Class token and patches of an image or spectrogram with learned positions, (B, 1 + patches, width).

    Args:
        stem: Patch projection.
        patches: Number of patches.
        width: Width of a token.
    """

    def __init__(self, stem: Stem, patches: int, width: int) -> None:
        super().__init__()
        self.rgbt_stem = stem
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.pos_embedding_helper = nn.ParameterDict(
            {"pos_embed": nn.Parameter(torch.randn(1, 1 + patches, width) * width**-0.5)}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the class token and the patches of `x` with positions added."""
        tokens = self.rgbt_stem(x)
        return torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1) + self.pos_embedding_helper["pos_embed"]


class TextTokens(nn.Module):
    """Token embeddings with learned positions, (B, context, width), and the causal mask, (context, context).

    Args:
        vocabulary: Number of token ids.
        context: Number of ids of a text.
        width: Width of a token.
    """

    mask: Tensor

    def __init__(self, vocabulary: int, context: int, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.pos_embed = nn.Parameter(torch.randn(1, context, width) * 0.01)
        self.register_buffer("mask", torch.full((context, context), -math.inf).triu(1))
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the embeddings (B, context, width) of ids (B, context), with positions added."""
        return self.token_embedding(ids) + self.pos_embed


class Trunk(nn.Module):
    """Pre-norm transformer blocks.

    Args:
        tower: Size of the transformer.
        mlp_ratio: Width of the feed-forward layers over the width of a token.
        norm_first: Whether to normalise the input of the first block.
        bias_kv: Whether attention has a learned key and value; see `Attention`.
    """

    def __init__(self, tower: Tower, mlp_ratio: int, norm_first: bool = False, bias_kv: bool = False) -> None:
        super().__init__()
        self.pre_transformer_layer = nn.Sequential(nn.LayerNorm(tower.width, eps=1e-6)) if norm_first else None
        self.blocks = nn.ModuleList(Block(tower.width, tower.heads, mlp_ratio, bias_kv) for _ in range(tower.blocks))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply the blocks to (B, T, width); `mask` (T, T) is added to the attention scores."""
        if self.pre_transformer_layer is not None:
            tokens = self.pre_transformer_layer(tokens)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return tokens


class Block(nn.Module):
    """Pre-norm block: `x += attention(LN(x))`, `x += mlp(LN(x))`.

    Args:
        width: Width of a token.
        heads: Number of attention heads.
        mlp_ratio: Width of the feed-forward layer over the width of a token.
        bias_kv: Whether attention has a learned key and value; see `Attention`.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, bias_kv: bool) -> None:
        super().__init__()
        self.attn = Attention(width, heads, bias_kv)
        self.norm_1 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width, mlp_ratio * width)
        self.norm_2 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Apply the block to (B, T, width); `mask` (T, T) is added to the attention scores."""
        tokens = tokens + self.attn(self.norm_1(tokens), mask)
        return tokens + self.mlp(self.norm_2(tokens))


class Attention(nn.Module):
    """Multi-head attention with the parameter names of torch's.

    Args:
        width: Width of a token.
        heads: Number of attention heads.
        bias_kv: Whether every query also attends to a learned key and value.
    """

    bias_k: nn.Parameter | None
    bias_v: nn.Parameter | None

    def __init__(self, width: int, heads: int, bias_kv: bool) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        for name in ("bias_k", "bias_v"):
            extra = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, 1, width))) if bias_kv else None
            self.register_parameter(name, extra)
        self.out_proj = _linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Attend from each token of (B, T, width) to all; `mask` (T, T) is added to the attention scores."""
        query, key, value = F.linear(tokens, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        if self.bias_k is not None and self.bias_v is not None:
            key, value = (
                torch.cat([given, extra.to(given.dtype).expand(len(given), -1, -1)], 1)
                for given, extra in ((key, self.bias_k), (value, self.bias_v))
            )
        query, key, value = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        mask = None if mask is None else mask.to(query.dtype)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out_proj(out.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Linear, GELU, linear.

    Args:
        width: Width of input and output.
        hidden: Width of the hidden layer.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = _linear(width, hidden)
        self.fc2 = _linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply the layers to the last dimension."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class First(nn.Module):
    """First token of a sequence: (B, T, width) -> (B, width)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the first token (B, width)."""
        return tokens[:, 0]


class EndHead(nn.Module):
    """Norm and projection of a text's end token: (B, width) -> (B, embed_dim).

    Args:
        width: Width of a token.
        embed_dim: Width of the embedding.
    """

    def __init__(self, width: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, embed_dim, bias=False))

    def forward(self, token: Tensor) -> Tensor:
        """Return the embedding (B, embed_dim) of the end token (B, width)."""
        return self.proj(token)


class UnitLength(nn.Module):
    """Scaling to unit length: x / |x|."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale the last dimension to unit length."""
        return F.normalize(x, dim=-1)


class Temperature(nn.Module):
    """Multiplication by `exp(log_logit_scale)`, at most 100.

    Args:
        initial: Initial factor.
        learnable: Whether the logarithm is a parameter rather than a constant of the model.
    """

    log_logit_scale: Tensor

    def __init__(self, initial: float, learnable: bool) -> None:
        super().__init__()
        value = torch.tensor(math.log(initial))
        if learnable:
            self.log_logit_scale = nn.Parameter(value)
        else:
            self.register_buffer("log_logit_scale", value)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` times the factor."""
        return self.log_logit_scale.exp().clamp(max=100) * x


def clip_ranges(samples: int) -> list[tuple[int, int]]:
    """Return the first sample and the end of the three 2 s clips of a waveform; an end may lie past the waveform's.

    For a duration of d seconds, clips start at 0, (d - 2) / 2 and d - 2 seconds, all at 0 when d <= 2. Times are exact
    fractions of the duration *as a binary floating-point number*, truncated to samples, so a clip can start one sample
    early.

    Args:
        samples: Length of the waveform in samples at 16 kHz.
    """
    last = max(Fraction(samples / SAMPLE_RATE) - CLIP_SECONDS, Fraction(0))
    starts = [last * clip / (CLIPS - 1) for clip in range(CLIPS)]
    return [(int(start * SAMPLE_RATE), int((start + CLIP_SECONDS) * SAMPLE_RATE)) for start in starts]


def resample(waveform: Tensor, rate: int) -> Tensor:
    """Resample a waveform to 16 kHz as the published front end does.

    A Hann-windowed sinc of six zero crossings with roll-off 0.99, its kernel computed in float32 (torchaudio's
    default). The benchmark resamples audio with soxr when it reads it; this function reproduces published numbers from
    files of another rate.

    Args:
        waveform: (..., samples) at `rate`.
        rate: Sampling rate in Hz.

    Returns:
        (..., ceil(samples * 16000 / rate)) float32.

    Raises:
        ValueError: `rate` is not positive.
    """
    if rate < 1:
        raise ValueError(f"a sampling rate of {rate} is not positive: give samples per second")
    divisor = math.gcd(rate, SAMPLE_RATE)
    old, new = rate // divisor, SAMPLE_RATE // divisor
    wave = waveform.float()
    if old == new:
        return wave
    crossings, cutoff = 6, 0.99 * min(old, new)
    reach = math.ceil(crossings * old / cutoff)
    phase = -torch.arange(new, device=wave.device).float()[:, None] / new
    time = (phase + torch.arange(-reach, reach + old, device=wave.device).float() / old) * cutoff
    time = time.clamp(-crossings, crossings)
    kernel = (time * (math.pi / crossings / 2)).cos().square() * time.sinc() * (cutoff / old)
    padded = F.pad(wave.reshape(-1, 1, wave.shape[-1]), (reach, reach + old))
    out = F.conv1d(padded, kernel[:, None], stride=old).transpose(1, 2).flatten(1)
    length = -(-wave.shape[-1] * new // old)
    return out[:, :length].reshape(*wave.shape[:-1], length)


def load_imagebind(path: str | Path, config: ImageBindConfig | None = None) -> ImageBind:
    """Load the published `imagebind_huge.pth`, or a safetensors file of the same names, in eval mode on the CPU.

    Parameters of depth, thermal and motion are ignored.

    Args:
        path: The file; the suffix `.safetensors` tells its format.
        config: Sizes of the network; by default those of the published one.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a checkpoint of this network; the message lists missing, unexpected and wrongly
            shaped parameters.
    """
    path = Path(path)
    try:
        stored = load_file(path) if path.suffix == ".safetensors" else read_tensors(path, "an ImageBind checkpoint")
    except SafetensorError as error:
        raise ValueError(f"{path} is not an ImageBind checkpoint: {one_line(error)}") from error
    if not isinstance(stored, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in stored.items()
    ):
        raise ValueError(f"{path} is not an ImageBind checkpoint: it does not hold parameters by name")
    state = {name: value for name, value in stored.items() if not name.startswith(IGNORED_PREFIXES)}
    check_finite(state, path)
    with torch.device("meta"):  # The published model has 1.2 billion parameters, which are not allocated twice.
        model = ImageBind(config)
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ValueError(f"{path} is not the requested ImageBind: {one_line(error)}") from error
    return model.float().eval()


def _class_head(width: int, embed_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width, eps=1e-6), First(), nn.Linear(width, embed_dim, bias=False))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
