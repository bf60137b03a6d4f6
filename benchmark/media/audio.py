"""Audio files in, mono float32 out: the only place where sounds are decoded, mixed down, resampled and cut."""

from __future__ import annotations

import contextlib
import hashlib
import io
import mmap
import re
import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from benchmark.utils.errors import UserError, unknown
from benchmark.utils.files import special_file, write_atomic

if TYPE_CHECKING:
    from soundfile import SoundFile

RATE = 16_000
MIN_RATE = 1_000
"""Lowest sample rate of a file, in Hz: below it, the header is damaged."""
MIN_SECONDS = 0.05
MAX_CHANNELS = 8
MAX_LEVEL = 1e6
"""Largest magnitude of a sample, where full scale is 1: beyond are damaged floats, of which networks make NaN."""
MAX_SAMPLES = 1 << 26
"""Most samples of a sound that is read whole, at its own rate and resampled: 23 minutes at 48 kHz."""
AHEAD_SECONDS = 60.0
"""How much more is read than was asked for: files that are not much longer are read, and checked, to their end."""
CANCELLED = 1e-3
"""Peak of the mix over that of its channels, below which the channels are in opposite phase."""

# Samples decoded at a time: a long recording is mixed down as it is read, so that all its channels are never in memory.
BLOCK = 1 << 18

# A playlist or a list of files to join would make FFmpeg open other files, or addresses on the network, and text would
# be rendered as video. Hence the list of containers that it may open.
CONTAINERS = "mov,matroska,avi,flv,mpeg,mpegts,asf,ogg,wav,w64,mp3,flac,aac,ac3,eac3,aiff,amr,caf,au,ape,wv,tta,dsf"

# Options with which FFmpeg opens a file. A frame of more pixels is a bomb, as an image of that size is.
FFMPEG = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", "max_pixels": "89478485"}

# How a sound of a format begins. Of files that were joined end to end, libsndfile reads the first sound alone.
STARTS = {"FLAC": rb"fLaC[\x00\x80]\x00\x00\x22", "OGG": rb"OggS\x00\x02\x00{8}"}
# What encoders add to a sound and decoders take away again, in samples: the delay and the padding of MP3.
ENCODER_SAMPLES = 4 * 1152


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


class Sound(NamedTuple):
    """A sound that was read."""

    waveform: np.ndarray
    """The waveform, float32, of shape (samples,)."""
    remark: str | None
    """What the owner of the file should know of it, as a predicate; None for an ordinary sound."""


def load_audio(
    source: Path | np.ndarray, rate: int = RATE, *, source_rate: int = RATE, seconds: float | None = None
) -> np.ndarray:
    """Load the mono waveform of a file or an array.

    Channels are averaged, then soxr (HQ) resamples. Full scale is [-1, 1]; nothing is clipped or normalised, and
    silence is allowed (see `is_silent`).

    Args:
        source: A file that libsndfile reads (wav, flac, ogg, mp3, ...) or in which FFmpeg finds an audio stream (mp4,
            webm, mkv, m4a, ...; the first stream counts). The content decides, not the suffix. Or an array of shape
            (samples,) or (samples, channels): floats, or signed integers of full scale.
        rate: Sample rate of the result, in Hz.
        source_rate: Sample rate of an array, in Hz; ignored for files.
        seconds: How much of the sound is needed: a file is read up to a minute further than that, so that hours of
            sound take neither memory nor time. The needed samples are those of the whole sound. None: all of it.

    Returns:
        The waveform, float32, of shape (samples,).

    Raises:
        AudioError: The sound is missing, no ordinary file, not decodable, without an audio stream, of more than 8
            channels or under 1,000 samples per second, empty, shorter than 0.05 s, too long to be read whole, or
            contains samples that are NaN, infinite or beyond 1e6. The message names the file and the fix.
        ValueError: A sample rate is not positive.
    """
    return read_audio(source, rate, source_rate=source_rate, seconds=seconds).waveform


def read_audio(
    source: Path | np.ndarray, rate: int = RATE, *, source_rate: int = RATE, seconds: float | None = None
) -> Sound:
    """Load a waveform as `load_audio` does, with what should be known of it. Raises as `load_audio`."""
    if rate <= 0 or source_rate <= 0:
        raise ValueError(f"sample rates must be positive, not {min(rate, source_rate)}: give samples per second")
    if isinstance(source, np.ndarray):
        mix = _mix_of_array(source, source_rate)
    else:
        mix = _mix_of_file(Path(source), _limit(rate, seconds))
        if mix.full and seconds is None:
            raise AudioError(mix.source, f"lasts over {mix.size / mix.rate:.0f} s", "cut it")
    mono = mix.samples()
    if not mono.size:
        raise AudioError(mix.source, "holds no samples", "replace it")
    if mono.size < MIN_SECONDS * mix.rate:
        why = f"is too short ({mono.size / mix.rate:.3f} s, at least {MIN_SECONDS} s are needed)"
        raise AudioError(mix.source, why, "replace it")
    remark = None
    if np.abs(mono).max() < CANCELLED * mix.peak:
        remark = "mixes down to silence, as its channels are in opposite phase: replace one by the other"
    if mix.rate == rate:
        return Sound(mono, remark)
    import soxr

    resampled = soxr.resample(mono, mix.rate, rate, quality="HQ")
    return Sound(np.ascontiguousarray(resampled, dtype=np.float32), remark)


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
    found = hashlib.sha256(f"{samples.shape}".encode())
    found.update(samples.ravel().data)
    return found.hexdigest()


class _Mix:
    """Mono samples of a sound, collected block by block.

    Args:
        source: What the sound comes from, for messages.
        rate: Its sample rate in Hz.
        limit: Number of samples after which the sound is not read on.
    """

    def __init__(self, source: Path | str, rate: int, limit: float = float("inf")) -> None:
        self.source, self.rate, self.limit = source, rate, limit
        self.size = 0
        self.peak = 0.0
        """Largest magnitude of a sample of any channel so far."""
        self._blocks: list[np.ndarray] = []

    @property
    def full(self) -> bool:
        """Whether there are more samples than the limit, so that the sound may go on."""
        return self.size > self.limit

    def add(self, block: np.ndarray) -> None:
        """Append samples of shape (samples, channels), averaged in float64: the channels' order does not matter.

        Raises:
            AudioError: A sample is NaN, infinite or immense.
        """
        if not block.size:
            return
        with np.errstate(invalid="ignore", over="ignore"):
            mono = block.mean(axis=1, dtype=np.float64).astype(np.float32)
            peak = float(np.maximum(block.max(), -block.min()))
        if not np.isfinite(peak):
            raise AudioError(self.source, "holds NaN or infinite samples", "replace it")
        if peak > MAX_LEVEL:
            value = float(block.flat[np.abs(block).argmax()])
            raise AudioError(self.source, f"holds a sample of {value:g}, where full scale is 1", "replace it")
        self.peak = max(self.peak, peak)
        self._blocks.append(mono)
        self.size += mono.size

    def samples(self) -> np.ndarray:
        """Return the samples up to the limit: float32, (samples,)."""
        if not self._blocks:
            return np.zeros(0, np.float32)
        joined = self._blocks[0] if len(self._blocks) == 1 else np.concatenate(self._blocks)
        return joined[: int(self.limit)] if self.full else joined


def _mix_of_array(array: np.ndarray, rate: int) -> _Mix:
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= MAX_CHANNELS):
        fix = f"give (samples,) or (samples, channels) with at most {MAX_CHANNELS} channels"
        raise AudioError("array", f"has shape {array.shape}", fix)
    if array.dtype.kind == "i":
        array = array / -float(np.iinfo(array.dtype).min)
    elif array.dtype.kind != "f":
        raise AudioError("array", f"has dtype {array.dtype}", "give floats in [-1, 1] or signed integers")
    mix = _Mix("array", rate)
    mix.add(array if array.ndim == 2 else array[:, None])
    return mix


def _mix_of_file(path: Path, limit: Callable[[int], float]) -> _Mix:
    """Return the samples at the file's own rate, up to `limit(rate)` of them and a block."""
    try:
        if kind := special_file(path):
            raise AudioError(path, f"is {kind}, not a file", "correct the path")
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
        mix, kind = _read_sndfile(path, limit)
    except (soundfile.SoundFileError, TypeError):  # TypeError: headerless .raw
        return _read_ffmpeg(path, limit)
    if not mix.size:
        # A program that writes to a pipe leaves 0 as the length in the header: FFmpeg reads to the end all the same.
        with contextlib.suppress(AudioError):
            return _read_ffmpeg(path, limit)
    elif kind in STARTS:
        _read_joined(path, STARTS[kind], mix)
    elif kind == "MP3" and not mix.full and _goes_on(path, mix):
        return _read_ffmpeg(path, limit)
    return mix


def _limit(rate: int, seconds: float | None) -> Callable[[int], float]:
    """Return the number of samples to read of a file, as a function of its sample rate."""
    if seconds is not None:
        return lambda own: (seconds + AHEAD_SECONDS) * own
    return lambda own: MAX_SAMPLES * min(1.0, own / rate)


def _read_sndfile(path: Path, limit: Callable[[int], float]) -> tuple[_Mix, str]:
    """Return the samples, and the name of the format."""
    import soundfile

    with soundfile.SoundFile(path) as file:
        _check_form(path, file.channels, file.samplerate)
        mix = _Mix(path, file.samplerate, limit(file.samplerate))
        _read_blocks(file, mix)
        return mix, file.format


def _read_blocks(file: SoundFile, mix: _Mix) -> None:
    # Read until a block is empty: the length in a damaged header can be anything.
    while not mix.full and len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        mix.add(block)


def _read_ffmpeg(path: Path, limit: Callable[[int], float]) -> _Mix:
    import av

    mix = _Mix(path, RATE)
    try:
        with av.open(f"file:{path}", options=FFMPEG) as container:
            if not container.streams.audio:
                raise AudioError(path, "has no audio stream", "give a file with sound")
            planar = av.AudioResampler(format="fltp")
            for frame in container.decode(container.streams.audio[0]):
                _check_form(path, frame.layout.nb_channels, frame.sample_rate)
                mix.rate, mix.limit = frame.sample_rate, limit(frame.sample_rate)
                for part in planar.resample(frame):
                    mix.add(part.to_ndarray().T)
                if mix.full:
                    break
    except (av.FFmpegError, ValueError) as error:  # ValueError: the format changes within the stream
        raise AudioError(path, f"cannot be decoded ({_line(error)})", "replace it") from None
    return mix


def _read_joined(path: Path, start: bytes, mix: _Mix) -> None:
    """Append the sounds that follow the first one in a file, as each is decoded alone.

    Raises:
        AudioError: One of them cannot be decoded, or has another sample rate.
    """
    if mix.full:
        return
    import soundfile

    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = [found.start() for found in re.finditer(start, data)]
        # The streams of one Ogg file (pictures and sound) begin together, page after page.
        starts = [at for at in starts[1:] if not _begins_a_stream(data, data.rfind(b"OggS\0", 0, at))]
        for at, end in pairwise([*starts, len(data)]):
            try:
                with soundfile.SoundFile(io.BytesIO(data[at:end])) as sound:
                    _check_form(path, sound.channels, sound.samplerate)
                    if sound.samplerate != mix.rate:
                        why = f"joins sounds of {mix.rate} and {sound.samplerate} samples per second"
                        raise AudioError(path, why, "separate them")
                    _read_blocks(sound, mix)
            except soundfile.SoundFileError as error:
                why = f"joins several sounds, of which one cannot be decoded ({_line(error)})"
                raise AudioError(path, why, "separate them") from None


def _begins_a_stream(data: mmap.mmap, page: int) -> bool:
    return page >= 0 and bool(data[page + 5] & 2)


def _goes_on(path: Path, mix: _Mix) -> bool:
    """Return whether an MP3 clearly holds more than was decoded. Nothing is decoded for that.

    A header states the length of the first sound of several, and libsndfile believes it.
    """
    import av

    try:
        with av.open(f"file:{path}", options=FFMPEG) as container:
            stream = container.streams.audio[0]
            wanted = (mix.size + ENCODER_SAMPLES) / mix.rate
            there = 0.0
            for packet in container.demux(stream):
                there += float((packet.duration or 0) * packet.time_base)
                if there > wanted:
                    return True
    except (av.FFmpegError, ValueError, IndexError):
        pass  # what FFmpeg cannot read holds nothing that it could add
    return False


def _check_form(path: Path, channels: int, rate: int) -> None:
    if channels > MAX_CHANNELS:
        raise AudioError(path, f"has {channels} channels (at most {MAX_CHANNELS} are mixed down)", "mix it down first")
    if rate < MIN_RATE:
        raise AudioError(path, f"has {rate} samples per second (at least {MIN_RATE} are needed)", "correct its header")


def _line(error: Exception) -> str:
    """Return the operating system's or decoder's message without the path, which our own message names already."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
