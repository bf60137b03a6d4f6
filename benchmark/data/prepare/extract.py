"""Extraction of a clip's sound and frames from its files, ready to be stored."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.media.audio import FFMPEG, RATE, AudioError, is_silent, read_audio
from benchmark.utils.files import special_file

if TYPE_CHECKING:
    from PIL.Image import Image

CLIP_SECONDS = 10.0
"""Length of a VGGSound clip; the rest of a file is ignored."""
LONGEST_SECONDS = 30.0
"""Longest file that is accepted: a longer one contains more than the clip, at an unknown place."""
CUT_SECONDS = 1.0
"""Tolerance of a stream's declared length: a stream that ends earlier was not downloaded completely."""
SHORT_SIDE = 512
QUALITY = 92


@dataclass(frozen=True)
class Job:
    """A clip to extract."""

    key: str
    """Name of the clip."""
    video: Path
    """Its video file."""
    sound: Path | None
    """Its separate sound file; None for the sound of the video."""
    frames: int
    """Number of frames to extract."""
    look: Callable[[Image], np.ndarray] | None = None
    """Gives what the chooser is to know of a frame, of which there are several."""


@dataclass(frozen=True)
class Frame:
    """An extracted frame."""

    jpeg: bytes
    """The frame as JPEG."""
    second: float
    """Time in the clip at which it is shown, in seconds."""
    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""


@dataclass(frozen=True)
class Extracted:
    """Sound and frames of a clip, or the reasons why it is unusable."""

    key: str
    """Name of the clip."""
    wav: bytes = b""
    """The sound as wav: 16 bits, mono, 16 kHz."""
    samples: int = 0
    """Number of samples of the sound."""
    frames: tuple[Frame, ...] = ()
    """The frames in order of time."""
    seen: tuple[np.ndarray, ...] = ()
    """What the chooser is to know of each frame, if it is asked."""
    reasons: tuple[str, ...] = ()
    """Why the clip is unusable; empty for a usable one."""


def extract_clip(job: Job) -> Extracted:
    """Extract a clip's sound, and `job.frames` frames in the middles of equal parts of the clip.

    Bad files do not raise: their problems are in `Extracted.reasons`.
    """
    reasons = []
    frames: tuple[Frame, ...] = ()
    sound = np.zeros(0, np.float32)
    declared = 0.0
    try:
        declared, frames = _frames(job.video, job.frames)
    except UnusableVideo as error:
        reasons.append(f"video {job.video.name!r} {error}")
    source = job.sound or job.video
    try:
        sound, remark = read_audio(source, seconds=LONGEST_SECONDS)
        if is_silent(sound):
            reasons.append(f"audio {source.name!r} {remark or 'contains only silence: replace it'}")
        elif why := _bad_length(sound.size / RATE, 0.0 if job.sound else declared):
            reasons.append(f"audio {source.name!r} {why}")
    except AudioError as error:
        reasons.append(f"audio {source.name!r} {error.reason}: {error.fix}")
    if reasons:
        return Extracted(job.key, reasons=tuple(reasons))
    sound = sound[: round(CLIP_SECONDS * RATE)]
    # Here, in one of many processes, and not in the one that feeds the chooser's device.
    seen = tuple(job.look(_half(frame.jpeg)) for frame in frames) if job.look else ()
    return Extracted(job.key, wav_bytes(sound), sound.size, frames, seen)


def _half(jpeg: bytes) -> Image:
    """Decode a frame at half its size, in a third of the time; it is still larger than CLIP's input."""
    from PIL import Image as Pillow

    image = Pillow.open(io.BytesIO(jpeg))
    image.draft("RGB", (image.width // 2, image.height // 2))
    return image.convert("RGB")


def ended(job: Job, how: str) -> Extracted:
    """Return the result for a clip whose files end the process that reads them; `how` is the end of a sentence."""
    return Extracted(job.key, reasons=(f"video {job.video.name!r} makes the decoder {how}: replace it",))


def wav_bytes(waveform: np.ndarray) -> bytes:
    """Return a waveform of shape (samples,) as a 16-bit wav file at 16 kHz, which ends with its 2 * samples bytes."""
    import soundfile

    steps = np.clip(np.rint(waveform.astype(np.float64) * 2**15), -(2**15), 2**15 - 1).astype("<i2")
    buffer = io.BytesIO()
    soundfile.write(buffer, steps, RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


class UnusableVideo(Exception):
    """Reason why a video cannot be used, as the end of a sentence."""


def _bad_length(seconds: float, declared: float) -> str | None:
    if seconds > LONGEST_SECONDS:
        return f"lasts over {LONGEST_SECONDS:.0f} s: cut the {CLIP_SECONDS:.0f} s of the clip out of it"
    if seconds < declared - CUT_SECONDS:
        return f"ends after {seconds:.1f} of {declared:.1f} s: download it again"
    return None


def _frames(path: Path, count: int) -> tuple[float, tuple[Frame, ...]]:
    """Return the declared length of the audio stream in seconds (0 if undeclared), and the frames.

    Raises:
        UnusableVideo: The video cannot be decoded, has no video stream, or is too long or incomplete.
    """
    with _opened(path) as (container, stream):
        length = _length(container, stream)
        if length > LONGEST_SECONDS:
            raise UnusableVideo(f"lasts {length:.0f} s: cut the {CLIP_SECONDS:.0f} s of the clip out of it")
        length = min(length, CLIP_SECONDS)
        wanted = [length * (k + 0.5) / count for k in range(count)]
        found = tuple(
            jpeg_frame(frame.to_image(), second) for second, frame in _shown_at(container, stream, wanted, length)
        )
        sounds = container.streams.audio
        return _declared(sounds[0]) if sounds else 0.0, found


def video_seconds(path: Path) -> float:
    """Return the length of a video of any length, in seconds.

    Raises:
        UnusableVideo: It cannot be opened, or has no video stream.
    """
    with _opened(path) as (container, stream):
        return _length(container, stream)


def frames_at(path: Path, seconds: list[float]) -> tuple[Frame, ...]:
    """Return the frames that a video of any length shows at ascending times.

    Raises:
        UnusableVideo: It cannot be decoded, has no video stream, or ends earlier.
    """
    with _opened(path) as (container, stream):
        shown = _shown_at(container, stream, seconds, _length(container, stream))
        return tuple(jpeg_frame(frame.to_image(), second) for second, frame in shown)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    import av

    if kind := special_file(path):
        raise UnusableVideo(f"is {kind}, not a file: remove it")
    try:
        with av.open(f"file:{path}", options=FFMPEG) as container:
            if not container.streams.video:
                raise UnusableVideo("has no video stream: replace it")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # clips are processed in parallel already
            yield container, stream
    except (av.FFmpegError, ValueError) as error:
        why = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UnusableVideo(f"cannot be decoded ({why}): download it again") from None


def _declared(stream: Any) -> float:
    """Return the declared length of a stream in seconds; 0 if it declares none."""
    return float(stream.duration * stream.time_base) if stream.duration else 0.0


def _length(container: Any, stream: Any) -> float:
    if declared := _declared(stream):
        return declared
    return container.duration / 1e6 if container.duration else CLIP_SECONDS


def _shown_at(container: Any, stream: Any, seconds: list[float], length: float) -> Iterator[tuple[float, Any]]:
    """Yield each of the ascending `seconds` with the frame that is on the screen then.

    Raises:
        UnusableVideo: The video ends earlier.
    """
    origin = stream.start_time or 0
    step = 1 / float(stream.average_rate or 25)
    if seconds[0] > 1:
        container.seek(origin + int(seconds[0] / stream.time_base), stream=stream)
    coming = iter(seconds)
    second = next(coming)
    shown, since = None, -step
    for frame in container.decode(stream):
        time = since + step if frame.pts is None else float((frame.pts - origin) * stream.time_base)
        while shown is not None and time > second:
            yield second, shown
            if (following := next(coming, None)) is None:
                return
            second = following
        shown, since = frame, time
    # The last frame stays on the screen for a while, in a slide show for a long time.
    while shown is not None and second - since <= max(CUT_SECONDS, 2 * step):
        yield second, shown
        if (following := next(coming, None)) is None:
            return
        second = following
    raise UnusableVideo(f"ends after {max(since + step, 0):.1f} of {length:.1f} s: download it again")


def jpeg_frame(image: Image, second: float = 0.0) -> Frame:
    """Return an image as a stored frame, with its short side at `SHORT_SIDE`; `second` is its time in the clip."""
    from PIL import Image as Pillow

    # Small frames are enlarged here, once: it takes longer than decoding, and training would repeat it every time.
    width, height = (round(side * SHORT_SIDE / min(image.size)) for side in image.size)
    image = image.resize((width, height), Pillow.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY)
    return Frame(buffer.getvalue(), round(second, 3), *image.size)
