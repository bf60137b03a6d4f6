"""Sounds that are damaged, endless, immense or put together: refused by name, or read as what they are."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
import worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.media import audio
from benchmark.media.audio import AudioError, is_silent, load_audio, read_audio

RATE = 16_000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE).astype(np.float32)


def tone(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def video(path: Path, sound: np.ndarray, rate: int) -> Path:
    """An mp4 with `sound` (samples, 2) as AAC."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        for start in range(0, len(sound), 1024):
            block = np.ascontiguousarray(sound[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# ------------------------------------------------------------------------------------------------------ ordinary files


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "mp4"])
@pytest.mark.parametrize("seconds", [None, 1.0])
def test_ordinary_files_are_read_bit_by_bit_as_their_decoder_gives_them(
    tmp_path: Path, suffix: str, seconds: float | None
) -> None:
    """Preprocessing is a promise: decode, average in float64, resample, and nothing else."""
    rate, path = 44_100, tmp_path / f"a.{suffix}"
    sound = np.random.default_rng(1).uniform(-0.7, 0.7, (3 * rate, 2)).astype(np.float32)
    if suffix == "mp4":
        video(path, sound, rate)
        with av.open(str(path)) as container:
            decoded = np.concatenate([frame.to_ndarray().T for frame in container.decode(audio=0)])
    else:
        soundfile.write(path, sound, rate)
        decoded, _ = soundfile.read(path, dtype="float32", always_2d=True)
    mono = decoded.mean(axis=1, dtype=np.float64).astype(np.float32)
    expected = soxr.resample(mono, rate, RATE, quality="HQ")
    np.testing.assert_array_equal(load_audio(path, seconds=seconds), expected)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
def test_what_is_needed_of_a_long_file_is_the_same_as_in_the_whole(tmp_path: Path, rate: int) -> None:
    sound = np.random.default_rng(2).uniform(-0.5, 0.5, 70 * rate).astype(np.float32)
    path = tmp_path / "long.wav"
    soundfile.write(path, sound, rate)
    whole, needed = load_audio(path), load_audio(path, seconds=2.5)
    assert whole.size == 70 * RATE and needed.size == pytest.approx(62.5 * RATE, abs=1)
    np.testing.assert_array_equal(needed[: 61 * RATE], whole[: 61 * RATE])


# -------------------------------------------------------------------------------------------------------- corrupt files


@pytest.mark.parametrize("value", [1e20, -3e38, 2e6])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_damaged_float_is_named_with_its_value(tmp_path: Path, value: float, channels: int) -> None:
    sound = np.stack([tone()] * channels, axis=1)
    sound[500] = [value, -value][:channels]  # they must not cancel out either
    path = tmp_path / "loud.wav"
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    with pytest.raises(AudioError) as caught:
        load_audio(path)
    assert str(path) in str(caught.value) and f"holds a sample of {value:g}" in str(caught.value)
    with pytest.raises(AudioError, match="'array' holds a sample of"):
        load_audio(sound)


def test_float_files_louder_than_full_scale_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    soundfile.write(path, tone() * 60_000, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(path), tone() * 60_000)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_streamed_wav_is_read_to_its_end(tmp_path: Path, length: int, subtype: str) -> None:
    """A program that writes to a pipe cannot go back to put the length into the header."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE, subtype=subtype)
    expected = load_audio(path)
    data = path.read_bytes()
    at = data.index(b"data") + 4
    path.write_bytes(data[:at] + struct.pack("<I", length) + data[at + 4 :])
    np.testing.assert_array_equal(load_audio(path), expected)


def test_a_header_with_an_impossible_rate(tmp_path: Path) -> None:
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.tile(tone(), 6), RATE)
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", 1)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"slow\.wav' has 1 samples per second \(at least 1000 are needed\)"):
        load_audio(path)


def test_channels_in_opposite_phase_are_remarked_on(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.wav" for name in ("opposite", "nearly", "alike", "silent", "mono")}
    soundfile.write(paths["opposite"], np.stack([tone(), -tone()], axis=1), RATE, subtype="FLOAT")
    soundfile.write(paths["nearly"], np.stack([tone(), -0.999 * tone()], axis=1), RATE)
    soundfile.write(paths["alike"], np.stack([tone(), 0.5 * tone()], axis=1), RATE)
    soundfile.write(paths["silent"], np.zeros((RATE, 2)), RATE)
    soundfile.write(paths["mono"], tone(), RATE)
    remarks = {name: read_audio(path).remark for name, path in paths.items()}
    assert is_silent(load_audio(paths["opposite"]))
    assert "opposite phase" in (remarks["opposite"] or "") and "opposite phase" in (remarks["nearly"] or "")
    assert remarks["alike"] is remarks["silent"] is remarks["mono"] is None


def joined(folder: Path, suffix: str, rates: tuple[int, ...] = (RATE, RATE, RATE), seconds: float = 1.0) -> list[Path]:
    """The parts, of noise, and last the file that they were joined to."""
    parts = [folder / f"{k}.{suffix}" for k in range(len(rates))]
    for k, (path, rate) in enumerate(zip(parts, rates, strict=True)):
        soundfile.write(path, np.random.default_rng(k).uniform(-0.5, 0.5, round(seconds * rate)), rate)
    whole = folder / f"joined.{suffix}"
    whole.write_bytes(b"".join(path.read_bytes() for path in parts))
    return [*parts, whole]


@pytest.mark.parametrize("suffix", ["ogg", "flac"])
@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_joined_files_are_their_parts_one_after_the_other(tmp_path: Path, suffix: str, seconds: float) -> None:
    *parts, whole = joined(tmp_path, suffix, seconds=seconds)
    np.testing.assert_array_equal(load_audio(whole), np.concatenate([load_audio(path) for path in parts]))
    *_, whole = joined(tmp_path, suffix, (RATE, 8_000))
    with pytest.raises(AudioError, match="joins sounds of 16000 and 8000 samples per second"):
        load_audio(whole)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_joined_mp3_files_are_read_whole(tmp_path: Path, rate: int) -> None:
    *parts, whole = joined(tmp_path, "mp3", (rate, rate, rate))
    sound = load_audio(whole)
    assert sound.size == pytest.approx(sum(load_audio(path).size for path in parts), abs=0.3 * RATE)
    assert sound[-RATE // 2 : -RATE // 4].std() > 0.1


# ------------------------------------------------------------------------------------------------------ no files at all


def test_pipes_devices_and_sockets_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        for path, kind in {
            "pipe.wav": "a pipe",
            "link.wav": "a pipe",
            "s": "a socket",
            "/dev/zero": "a device",
        }.items():
            with pytest.raises(AudioError, match=f"is {kind}, not a file"):
                load_audio(tmp_path / path)


# ------------------------------------------------------------------------------------------------------- immense files


def spent(path: Path, arguments: str = "seconds=10") -> tuple[float, str]:
    """Peak memory in MB of a process that loads the sound, and what came of it."""
    code = (
        "import sys; from pathlib import Path; from benchmark.media.audio import AudioError, load_audio\n"
        f"try: print(load_audio(Path(sys.argv[1]), {arguments}).size)\n"
        "except AudioError as error: print(error)\n" + worlds.PRINT_PEAK
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    result, memory = done.stdout.strip().splitlines()
    return float(memory), result


def long_silence(path: Path, rate: int, hours: int) -> Path:
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for _ in range(hours * 6):
            file.write(np.zeros(600 * rate, np.int16))
    return path


def test_hours_of_sound_take_no_memory(tmp_path: Path) -> None:
    hour = long_silence(tmp_path / "hour.flac", RATE, 1)
    assert hour.stat().st_size < 2e6
    memory, result = spent(hour)
    assert result == str(70 * RATE) and memory < 500
    hours = long_silence(tmp_path / "hours.flac", 2_000, 10)
    memory, result = spent(hours)
    assert result == str(70 * RATE) and memory < 500
    memory, result = spent(hours, "seconds=None")
    assert "hours.flac' lasts over" in result and "cut it" in result and memory < 1000


def test_a_whole_sound_has_a_limit_after_resampling_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_SAMPLES", 3 * RATE)
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(3, 8_000), 8_000)
    assert load_audio(path).size == 3 * RATE
    soundfile.write(path, tone(3.1, 8_000), 8_000)
    with pytest.raises(AudioError, match=r"a\.wav' lasts over 3 s: cut it"):
        load_audio(path)
    assert load_audio(path, 8_000).size == 3.1 * 8_000


# ---------------------------------------------------------------------------------------------------------------- fuzz


def encoded(format_: str) -> bytes:
    import io

    buffer = io.BytesIO()
    soundfile.write(buffer, NOISE[:8_000], RATE, format=format_)
    return buffer.getvalue()


FILES = {format_: encoded(format_) for format_ in ("WAV", "FLAC", "OGG", "MP3", "AIFF")}


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    format_=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=8),
    length=st.integers(1, 40_000),
)
def test_damaged_bytes_give_a_sound_or_one_line(
    tmp_path: Path, format_: str, changes: list[tuple[int, int]], length: int
) -> None:
    """Headers with any byte changed, files cut anywhere."""
    data = bytearray(FILES[format_][:length])
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path / "damaged"
    path.write_bytes(data)
    problem: AudioError | None = None
    try:
        sound = load_audio(path, seconds=1)
    except AudioError as error:
        problem = error
    if problem is None:
        assert sound.dtype == np.float32 and sound.ndim == 1 and np.isfinite(sound).all()
    else:
        assert len(str(problem).splitlines()) == 1 and str(path) in str(problem)
