"""Sound in, mono float32 out: the only place where audio files are opened, mixed down, resampled and cut."""

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

# Frames decoded at a time: a long recording is mixed down as it is read, so its channels are never in memory whole.
BLOCK = 1 << 18

# A playlist or a list of files to join would make FFmpeg open other files, or addresses on the network; text would
# be rendered as video. So it is told which containers it may see.
CONTAINERS = "mov,matroska,avi,flv,mpeg,mpegts,asf,ogg,wav,w64,mp3,flac,aac,ac3,eac3,aiff,amr,caf,au,ape,wv,tta,dsf"


class AudioError(UserError):
    """A sound that cannot be used: one line, "audio <source> <reason>: <fix>"."""

    def __init__(self, source: Path | str, reason: str, fix: str) -> None:
        self.reason = reason
        self.fix = fix
        super().__init__(f"audio {str(source)!r} {reason}: {fix}")


def load_audio(source: Path | np.ndarray, rate: int = RATE, *, source_rate: int = RATE) -> np.ndarray:
    """The waveform of a file or array: float32, shape (samples,), mono, at `rate` samples a second.

    Files may be anything that libsndfile reads (wav, flac, ogg, mp3, ...) or that FFmpeg finds an audio stream in (mp4,
    webm, mkv, m4a, ...; the first stream counts); the content decides, not the suffix. Arrays are (samples,) or
    (samples, channels) at `source_rate`, which concerns arrays only: floats, or signed integers of full scale.
    Channels are averaged, then soxr (HQ) resamples. Full scale is [-1, 1]; nothing is clipped or normalised, and
    silence is legal (see `is_silent`).

    Raises AudioError, naming the file and the way out, for a sound that is missing, not decodable, without an audio
    stream, of more than 8 channels, empty, shorter than 0.05 s, or that holds NaN or infinite samples.
    """
    if rate <= 0 or source_rate <= 0:
        raise ValueError(f"sample rates must be positive, not {min(rate, source_rate)}: give samples a second")
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
    """Whether every sample is exactly zero."""
    return not np.any(waveform)


def fit_length(
    waveform: np.ndarray, samples: int, mode: Literal["repeat", "pad"] | str = "repeat", start: int = 0
) -> np.ndarray:
    """The window [start, start + samples) of `waveform` (samples,) once it was made long enough: float32, (samples,).

    "repeat" tiles the sound end to end, as AudioToken does (guyyariv/AudioToken@b42a374 data/dataloader.py, which stops
    after ten copies; here there are as many as the window needs); "pad" puts zeros after its end. A copy is returned.
    Raises ValueError for an empty waveform, a negative start or no samples, UserError for an unknown mode.
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
    """Write `waveform` (samples,) as 16-bit PCM wav, atomically; equal samples give equal bytes.

    Samples outside [-1, 1) are clipped, the others rounded to steps of 2**-15. Raises ValueError for NaN or infinity.
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
    """sha256 (hex) of the shape and the float32 samples."""
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
    """(samples,) at the file's own rate, and that rate."""
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
        # Read until nothing comes: the length in a damaged header can be anything.
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
    """(samples, channels) -> (samples,), the mean in float64 so that no order of the channels matters."""
    with np.errstate(invalid="ignore", over="ignore"):
        return block.mean(axis=1, dtype=np.float64).astype(np.float32)


def _join(blocks: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _check_channels(path: Path, channels: int) -> None:
    if channels > MAX_CHANNELS:
        raise AudioError(path, f"has {channels} channels (at most {MAX_CHANNELS} are mixed down)", "mix it down first")


def _line(error: Exception) -> str:
    """What the operating system or the decoder said, without the path that our own message already names."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
