"""Audio files in, mono float32 out: the only place where sounds are decoded, mixed down, resampled and cut."""

from __future__ import annotations

import hashlib
import io
import wave
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark.utils.errors import UserError, unknown
from benchmark.utils.files import write_atomic

RATE = 16_000
MIN_SECONDS = 0.05
MAX_CHANNELS = 8

# Samples decoded at a time: a long recording is mixed down as it is read, so that all its channels are never in memory.
BLOCK = 1 << 18

# A playlist or a list of files to join would make FFmpeg open other files, or addresses on the network, and text would
# be rendered as video. Hence the list of containers that it may open.
CONTAINERS = "mov,matroska,avi,flv,mpeg,mpegts,asf,ogg,wav,w64,mp3,flac,aac,ac3,eac3,aiff,amr,caf,au,ape,wv,tta,dsf"


class AudioError(UserError):
    """Sound that cannot be used; the message is one line, "audio <source> <reason>: <fix>".

    Args:
        source: The file, or the word "array".
        reason: What is wrong with the sound, as a predicate.
        fix: What to do about it, as an imperative.
    """

    def __init__(self, source: Path | str, reason: str, fix: str) -> None:
        self.reason = reason
        self.fix = fix
        super().__init__(f"audio {str(source)!r} {reason}: {fix}")


def load_audio(source: Path | np.ndarray, rate: int = RATE, *, source_rate: int = RATE) -> np.ndarray:
    """Load the mono waveform of a file or an array.

    Channels are averaged, then soxr (HQ) resamples. Full scale is [-1, 1]; nothing is clipped or normalised, and
    silence is allowed (see `is_silent`).

    Args:
        source: A file that libsndfile reads (wav, flac, ogg, mp3, ...) or in which FFmpeg finds an audio stream (mp4,
            webm, mkv, m4a, ...; the first stream counts). The content decides, not the suffix. Or an array of shape
            (samples,) or (samples, channels): floats, or signed integers of full scale.
        rate: Sample rate of the result, in Hz.
        source_rate: Sample rate of an array, in Hz; ignored for files.

    Returns:
        The waveform, float32, of shape (samples,).

    Raises:
        AudioError: The sound is missing, not decodable, without an audio stream, of more than 8 channels, empty,
            shorter than 0.05 s, or contains NaN or infinite samples. The message names the file and the fix.
        ValueError: A sample rate is not positive.
    """
    if rate <= 0 or source_rate <= 0:
        raise ValueError(f"sample rates must be positive, not {min(rate, source_rate)}: give samples per second")
    if isinstance(source, np.ndarray):
        name: Path | str = "array"
        mono = _mono_from_array(source)
    else:
        name = Path(source)
        mono, source_rate = _mono_from_file(name)
    if not mono.size:
        raise AudioError(name, "holds no samples", "replace it")
    if not np.isfinite(mono).all():
        raise AudioError(name, "holds NaN or infinite samples", "replace it")
    if mono.size < MIN_SECONDS * source_rate:
        seconds = mono.size / source_rate
        raise AudioError(name, f"is too short ({seconds:.3f} s, at least {MIN_SECONDS} s are needed)", "replace it")
    if source_rate == rate:
        return mono
    import soxr

    return np.ascontiguousarray(soxr.resample(mono, source_rate, rate, quality="HQ"), dtype=np.float32)


def is_silent(waveform: np.ndarray) -> bool:
    """Return whether every sample is exactly zero."""
    return not np.any(waveform)


def fit_length(
    waveform: np.ndarray, samples: int, mode: Literal["repeat", "pad"] | str = "repeat", start: int = 0
) -> np.ndarray:
    """Return the window [start, start + samples) of a waveform that is extended as far as necessary.

    Args:
        waveform: Samples, of shape (n,).
        samples: Length of the window.
        mode: "repeat" tiles the sound end to end, as AudioToken does (guyyariv/AudioToken@b42a374 data/dataloader.py,
            which stops after ten copies; here there are as many as the window needs). "pad" appends zeros.
        start: First sample of the window.

    Returns:
        A copy, float32, of shape (samples,).

    Raises:
        ValueError: The waveform is empty, `start` is negative, or `samples` is less than 1.
        UserError: The mode is unknown.
    """
    if waveform.ndim != 1 or not waveform.size:
        raise ValueError(f"a waveform of shape {waveform.shape} cannot be cut: give one of shape (samples,)")
    if samples < 1 or start < 0:
        raise ValueError(f"no window has {samples} samples from {start}: give samples >= 1 and start >= 0")
    if mode == "repeat":
        return np.take(waveform, np.arange(start, start + samples), mode="wrap").astype(np.float32)
    if mode == "pad":
        window = waveform[start : start + samples]
        return np.pad(window, (0, samples - window.size)).astype(np.float32)
    raise unknown("length mode", mode, ["repeat", "pad"])


def write_wav(path: Path, waveform: np.ndarray, rate: int = RATE) -> None:
    """Write a waveform of shape (samples,) as 16-bit PCM wav, atomically; equal samples give equal bytes.

    Samples outside [-1, 1) are clipped, the others are rounded to steps of 2**-15.

    Raises:
        ValueError: The waveform has another shape, or contains NaN or infinite samples.
    """
    if waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise ValueError(f"cannot write {str(path)!r}: the waveform must be finite, of shape (samples,)")
    steps = np.clip(np.rint(waveform.astype(np.float64) * 2**15), -(2**15), 2**15 - 1).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(steps.tobytes())
    write_atomic(path, buffer.getvalue())


def audio_digest(waveform: np.ndarray) -> str:
    """Return the sha256 (hex) of the shape and the float32 samples."""
    samples = np.ascontiguousarray(waveform, dtype="<f4")
    return hashlib.sha256(f"{samples.shape}".encode() + samples.tobytes()).hexdigest()


def _mono_from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= MAX_CHANNELS):
        fix = f"give (samples,) or (samples, channels) with at most {MAX_CHANNELS} channels"
        raise AudioError("array", f"has shape {array.shape}", fix)
    if array.dtype.kind == "i":
        array = array / -float(np.iinfo(array.dtype).min)
    elif array.dtype.kind != "f":
        raise AudioError("array", f"has dtype {array.dtype}", "give floats in [-1, 1] or signed integers")
    return _mix(array if array.ndim == 2 else array[:, None])


def _mono_from_file(path: Path) -> tuple[np.ndarray, int]:
    """Return the samples, of shape (samples,), at the file's own rate, and that rate in Hz."""
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                raise AudioError(path, "is an empty file", "replace it")
    except FileNotFoundError:
        raise AudioError(path, "does not exist", "correct the path") from None
    except IsADirectoryError:
        raise AudioError(path, "is a folder", "correct the path") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise AudioError(path, f"cannot be opened ({_line(error)})", "correct the path or its permissions") from None

    import soundfile

    try:
        return _read_sndfile(path)
    except (soundfile.SoundFileError, TypeError):  # TypeError: headerless .raw
        return _read_ffmpeg(path)


def _read_sndfile(path: Path) -> tuple[np.ndarray, int]:
    import soundfile

    with soundfile.SoundFile(path) as file:
        _check_channels(path, file.channels)
        blocks = []
        # Read until a block is empty: the length in a damaged header can be anything.
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
            blocks.append(_mix(block))
        return _join(blocks), file.samplerate


def _read_ffmpeg(path: Path) -> tuple[np.ndarray, int]:
    import av

    blocks: list[np.ndarray] = []
    rate = RATE
    try:
        options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
        with av.open(f"file:{path}", options=options) as container:
            if not container.streams.audio:
                raise AudioError(path, "has no audio stream", "give a file with sound")
            planar = av.AudioResampler(format="fltp")
            for frame in container.decode(container.streams.audio[0]):
                rate = frame.sample_rate
                _check_channels(path, frame.layout.nb_channels)
                blocks += [_mix(part.to_ndarray().T) for part in planar.resample(frame)]
    except (av.FFmpegError, ValueError) as error:  # ValueError: the format changes within the stream
        raise AudioError(path, f"cannot be decoded ({_line(error)})", "replace it") from None
    return _join(blocks), rate


def _mix(block: np.ndarray) -> np.ndarray:
    """Average (samples, channels) to (samples,), in float64 so that the order of the channels does not matter."""
    with np.errstate(invalid="ignore", over="ignore"):
        return block.mean(axis=1, dtype=np.float64).astype(np.float32)


def _join(blocks: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _check_channels(path: Path, channels: int) -> None:
    if channels > MAX_CHANNELS:
        raise AudioError(path, f"has {channels} channels (at most {MAX_CHANNELS} are mixed down)", "mix it down first")


def _line(error: Exception) -> str:
    """Return the operating system's or decoder's message without the path, which our own message names already."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
