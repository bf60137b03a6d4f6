"""Wav2CLIP: an audio encoder into the space of CLIP ViT-B/32 image embeddings.

Source: descriptinc/lyrebird-wav2clip@1864b39 (Wu et al., 2022). Parameter names are those of the published checkpoint,
so it loads without renaming.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metrics.tensor_files import check_finite, one_line, read_tensors

Standardise = Literal["clip", "batch"]

FFT = 512
HOP = 353
LOG_OFFSET = 1e-7
# A checkpoint of the published pre-training may also hold the image side and the temperatures of the losses.
IGNORED_PREFIXES = ("image_transform.", "loss_fn.", "loss_fn_i.", "loss_fn_a.")


class Wav2CLIP(nn.Module):
    """Spectrogram, one-channel ResNet-18 and two-layer head: waveforms to embeddings, not normalised.

    No sampling rate is enforced; the published model was trained at 16 kHz.

    Args:
        width: Channels of the first stage, 64 in the published model; the pooled vector has eight times as many.
        embed_dim: Width of the embedding.
        standardise: "clip" standardises every clip by its own mean and standard deviation, so that an embedding does
            not depend on its neighbours; "batch" by those of the whole call, as the published code does. Both agree for
            one clip at a time.

    Raises:
        ValueError: `standardise` is unknown.
    """

    def __init__(self, width: int = 64, embed_dim: int = 512, standardise: Standardise = "clip") -> None:
        super().__init__()
        if standardise not in ("clip", "batch"):
            raise ValueError(f"unknown Wav2CLIP standardisation {standardise!r}: use 'clip' or 'batch'")
        self.standardise = standardise
        self.audio_encoder = SpectrogramResNet(width)
        self.audio_transform = Head(8 * width, embed_dim)

    def network_input(self, waveform: Tensor) -> Tensor:
        """Return the input of the first convolution: the standardised log spectrogram.

        The natural logarithm of (power spectrogram + 1e-7), minus the mean, divided by the standard deviation (with n -
        1) of the clip or of the call. A clip (or call) whose log spectrogram is constant, such as a silent one, has no
        standard deviation; its input is defined as all zeros.

        Args:
            waveform: (B, samples).

        Returns:
            (B, 1, 257, 1 + samples // 353) float32.

        Raises:
            ValueError: The waveform has 256 samples or fewer, which cannot be reflect-padded.
        """
        if waveform.ndim != 2:
            raise ValueError(f"Wav2CLIP takes waveforms of shape (batch, samples), not {tuple(waveform.shape)}")
        if waveform.shape[1] <= FFT // 2:
            raise ValueError(
                f"the waveform has {waveform.shape[1]} samples, but Wav2CLIP needs more than {FFT // 2}: "
                "pad or repeat it first"
            )
        with torch.autocast(waveform.device.type, enabled=False):
            x = self.audio_encoder.spectrogram(waveform.float()).add(LOG_OFFSET).log()
            over = (1, 2) if self.standardise == "clip" else (0, 1, 2)
            # Not `std == 0`: rounding of the mean leaves a constant spectrogram with a tiny deviation.
            constant = x.amax(over, keepdim=True) == x.amin(over, keepdim=True)
            x = (x - x.mean(over, keepdim=True)) / (x.std(over, keepdim=True) + 1e-9)
            return x.masked_fill(constant, 0.0).unsqueeze(1)

    def pooled(self, waveform: Tensor) -> Tensor:
        """Return the ResNet's output before the head, averaged over bins and frames: (B, 8 * width), non-negative."""
        return self.audio_encoder(self.network_input(waveform))

    def extract_features(self, waveform: Tensor) -> Tensor:
        """Return the last convolution's output averaged over bins: (B, T, 8 * width), a step every 0.7 s at 16 kHz.

        Args:
            waveform: (B, samples) in [-1, 1].

        Raises:
            ValueError: As `network_input`.
        """
        return self.audio_encoder.maps(self.network_input(waveform)).mean(2).mT

    def forward(self, waveform: Tensor) -> Tensor:
        """Return embeddings (B, embed_dim) of waveforms.

        Args:
            waveform: (B, samples) in [-1, 1].

        Raises:
            ValueError: As `network_input`.
        """
        return self.audio_transform(self.pooled(waveform))

    def embed_frames(self, waveform: Tensor, frame_length: int, hop_length: int) -> Tensor:
        """Return embeddings of the frames of waveforms.

        Every frame is a clip of one call: under "clip" it is standardised by itself, under "batch" with all others.

        Args:
            waveform: (B, samples) in [-1, 1].
            frame_length: Samples of a frame.
            hop_length: Samples between the starts of frames.

        Returns:
            (B, embed_dim, frames) for the `1 + (samples - frame_length) // hop_length` unpadded frames.

        Raises:
            ValueError: The waveform is shorter than one frame.
        """
        if waveform.shape[-1] < frame_length:
            raise ValueError(f"the waveform has {waveform.shape[-1]} samples, fewer than one frame of {frame_length}")
        frames = waveform.unfold(-1, frame_length, hop_length)
        return self(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).transpose(1, 2)


class SpectrogramResNet(nn.Module):
    """ResNet-18 on one channel, together with the spectrogram whose window the checkpoint stores.

    Args:
        width: Channels of the first stage.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spectrogram = PowerSpectrogram()
        self.conv1 = nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def maps(self, x: Tensor) -> Tensor:
        """Return the output of the last stage.

        Args:
            x: (B, 1, bins, frames).

        Returns:
            (B, 8 * width, bins', frames'), both sides reduced by 32 and rounded up.
        """
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled output: (B, 1, bins, frames) -> (B, 8 * width)."""
        return self.maps(x).mean((2, 3))


class PowerSpectrogram(nn.Module):
    """Squared magnitudes of a centred, reflect-padded 512-point STFT every 353 samples, with a periodic Hann window."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FFT))

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the spectrogram: (B, samples) -> (B, 257, 1 + samples // 353)."""
        window = self.window.float()
        return torch.stft(waveform, FFT, HOP, window=window, return_complex=True).abs().square()


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, which is a 1 x 1 convolution where the shape changes.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        stride: Stride of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
            if stride != 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output: (B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Head(nn.Module):
    """Linear, ReLU, dropout, linear.

    Args:
        inputs: Width of the input.
        outputs: Width of the hidden layer and of the output.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.sequential = nn.Sequential(
            nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(0.1), nn.Linear(outputs, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the output: (B, inputs) -> (B, outputs)."""
        return self.sequential(x)


def load_wav2clip(path: str | Path, standardise: Standardise = "clip") -> Wav2CLIP:
    """Load the published Wav2CLIP.pt in eval mode on the CPU.

    Its parameters may be at the top of the file or under `state_dict`; releases of the package read one or the other.
    Parameters that only pre-training uses (image side, losses) are ignored.

    Args:
        path: The checkpoint.
        standardise: As in `Wav2CLIP`.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not the published Wav2CLIP; the message lists missing, unexpected and wrongly shaped
            parameters.
    """
    checkpoint = read_tensors(path, "a Wav2CLIP checkpoint")
    parameters = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(parameters, dict):
        raise ValueError(f"{path} is not a Wav2CLIP checkpoint: it holds a {type(parameters).__name__}, not parameters")
    state = {name: value for name, value in parameters.items() if not str(name).startswith(IGNORED_PREFIXES)}
    check_finite(state, path)
    model = Wav2CLIP(standardise=standardise)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} is not the published Wav2CLIP: {one_line(error)}") from error
    return model.eval()


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1))
