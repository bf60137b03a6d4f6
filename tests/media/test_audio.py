from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from benchmark.media.audio import AudioError, audio_digest, fit_length, is_silent, load_audio, write_wav
from benchmark.utils.errors import UserError


def tone(frequency: float, seconds: float, rate: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def peak_frequency(waveform: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size)))
    return float(np.argmax(spectrum) * rate / waveform.size)


def write_video(path: Path, rate: int, sound: np.ndarray | None, video: bool = True, codec: str = "aac") -> Path:
    """Two seconds of grey frames, with `sound` (samples, channels)."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=5) if video else None
        layout = "stereo" if sound is not None and sound.shape[1] == 2 else "mono"
        stream = container.add_stream(codec, rate=rate, layout=layout) if sound is not None else None
        if pictures is not None:
            assert isinstance(pictures, av.VideoStream)
            pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
            for _ in range(10):
                grey = np.full((32, 32, 3), 128, np.uint8)
                container.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(pictures.encode())
        if stream is not None and sound is not None:
            assert isinstance(stream, av.AudioStream)
            for start in range(0, len(sound), 1024):
                block = np.ascontiguousarray(sound[start : start + 1024].T)
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
                frame.sample_rate, frame.pts = rate, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_formats_and_rates_keep_pitch_length_and_level(tmp_path: Path, suffix: str, rate: int) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.stack([tone(440, 1.5, rate)] * 2, axis=1), rate)
    waveform = load_audio(path)
    assert waveform.dtype == np.float32 and waveform.ndim == 1
    # mp3 encoders add up to two frames of delay and padding
    assert waveform.size / 16000 == pytest.approx(1.5, abs=0.3 if suffix == "mp3" else 0.001)
    assert peak_frequency(waveform, 16000) == pytest.approx(440, abs=2)
    assert waveform[4000:-8000].std() == pytest.approx(0.5 / 2**0.5, rel=0.03)


def test_low_rate_and_wanted_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(300, 1, 5000), 5000)
    assert load_audio(path).size == 16000
    assert load_audio(path, 44100).size == 44100
    assert load_audio(path, 5000) == pytest.approx(tone(300, 1, 5000), abs=2**-15)


def test_resampling_removes_what_the_new_rate_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(12000, 1, 48000), 48000)
    assert np.abs(load_audio(path)[1000:-1000]).max() < 1e-3


def test_channels_are_averaged(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (16000, 8)).astype(np.float32)
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, 16000, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(path), sound.mean(axis=1), atol=1e-6)
    np.testing.assert_array_equal(load_audio(sound), load_audio(path))
    soundfile.write(path, np.zeros((16000, 9)), 16000)
    with pytest.raises(AudioError, match=r"a\.wav' has 9 channels"):
        load_audio(path)


def test_long_files_are_read_in_blocks_without_seams(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (1 << 18) + 12345).astype(np.float32)
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(path), sound)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "aac"), ("m4a", "aac"), ("webm", "libopus")])
def test_sound_of_videos(tmp_path: Path, suffix: str, codec: str) -> None:
    rate = 48000 if codec == "libopus" else 44100
    sound = np.stack([tone(500, 2, rate), np.zeros(2 * rate, np.float32)], axis=1)
    path = write_video(tmp_path / f"a: b.{suffix}", rate, sound, video=suffix in ("mp4", "mkv"), codec=codec)
    waveform = load_audio(path)
    assert waveform.size / 16000 == pytest.approx(2, abs=0.1)
    assert peak_frequency(waveform, 16000) == pytest.approx(500, abs=2)
    assert np.abs(waveform[8000:24000]).max() == pytest.approx(0.25, abs=0.03)


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 16000, tone(500, 2, 16000)[:, None])
    disguised = video.rename(tmp_path / "a.wav")
    assert peak_frequency(load_audio(disguised), 16000) == pytest.approx(500, abs=2)


def test_video_without_sound(tmp_path: Path) -> None:
    path = write_video(tmp_path / "mute.mp4", 16000, None)
    with pytest.raises(AudioError, match=r"mute\.mp4' has no audio stream: "):
        load_audio(path)


def bad_float(value: float) -> np.ndarray:
    sound = tone(440, 1, 16000)
    sound[500] = value
    return sound


def test_every_error_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "noise.ogg").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "text.wav").write_text("this is not a sound\n" * 50)
    (tmp_path / "headerless.raw").write_bytes(bytes(32000))
    soundfile.write(tmp_path / "short.wav", np.zeros(799), 16000)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    for name, value in {"nan": np.nan, "inf": -np.inf}.items():
        soundfile.write(tmp_path / f"{name}.wav", bad_float(value), 16000, subtype="FLOAT")
    expected = {
        "gone.wav": "does not exist: correct the path",
        "folder.wav": "is a folder",
        "empty.wav": "is an empty file",
        "noise.ogg": "cannot be decoded",
        "text.wav": "cannot be decoded",
        "headerless.raw": "cannot be decoded",
        "short.wav": "is too short (0.050 s, at least 0.05 s are needed)",
        "none.wav": "holds no samples",
        "nan.wav": "holds NaN or infinite samples",
        "inf.wav": "holds NaN or infinite samples",
        "nul\0.wav": "cannot be opened",
    }
    for name, reason in expected.items():
        with pytest.raises(AudioError) as caught:
            load_audio(tmp_path / name)
        assert isinstance(caught.value, UserError)
        assert str(caught.value).startswith(f"audio {str(tmp_path / name)!r} {reason}")
        assert len(str(caught.value).splitlines()) == 1
    soundfile.write(tmp_path / "just.wav", np.zeros(800), 16000)
    assert load_audio(tmp_path / "just.wav").size == 800


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "secret.wav", tone(440, 1, 16000), 16000)
    playlist = tmp_path / "a.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n")
    joined = tmp_path / "a.ffconcat"
    joined.write_text("ffconcat version 1.0\nfile secret.wav\n")
    for path in (playlist, joined):
        with pytest.raises(AudioError, match="cannot be decoded"):
            load_audio(path)


def test_silence_is_legal(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.zeros((44100, 2)), 44100)
    assert is_silent(load_audio(path))
    assert not is_silent(np.array([0, 1e-30], np.float32))


def test_arrays() -> None:
    sound = tone(440, 1, 16000)
    np.testing.assert_array_equal(load_audio(sound), sound)
    np.testing.assert_array_equal(load_audio(np.array([-(2**15), 2**14] * 800, np.int16))[:2], [-1, 0.5])
    assert load_audio(tone(440, 1, 48000), source_rate=48000).size == 16000
    assert load_audio(sound, 8000).size == 8000
    for wrong in (sound[None], np.zeros((2, 2, 2)), np.zeros(1600, np.uint8), bad_float(np.nan)):
        with pytest.raises(AudioError, match="^audio 'array' "):
            load_audio(wrong)
    with pytest.raises(ValueError, match="rates must be positive, not 0"):
        load_audio(sound, 0)


def test_fit_length() -> None:
    sound = np.arange(1, 6, dtype=np.float32)
    np.testing.assert_array_equal(fit_length(sound, 12), [1, 2, 3, 4, 5] * 2 + [1, 2])
    np.testing.assert_array_equal(fit_length(sound, 3, "repeat", start=4), [5, 1, 2])
    np.testing.assert_array_equal(fit_length(sound, 3, start=1), [2, 3, 4])
    np.testing.assert_array_equal(fit_length(sound, 7, "pad"), [1, 2, 3, 4, 5, 0, 0])
    np.testing.assert_array_equal(fit_length(sound, 3, "pad", start=4), [5, 0, 0])
    np.testing.assert_array_equal(fit_length(sound, 2, "pad", start=9), [0, 0])
    window = fit_length(sound, 5)
    window[0] = 9
    assert sound[0] == 1 and window.dtype == np.float32
    with pytest.raises(UserError, match="unknown length mode 'repeta': did you mean 'repeat'"):
        fit_length(sound, 3, "repeta")
    for arguments in ((sound[:0], 3), (sound[None], 3), (sound, 0)):
        with pytest.raises(ValueError):
            fit_length(*arguments)
    with pytest.raises(ValueError):
        fit_length(sound, 3, start=-1)


def test_write_wav(tmp_path: Path) -> None:
    sound = np.array([0, 0.5, -1, 1, 2, -2] * 300, np.float32)
    write_wav(tmp_path / "new" / "a.wav", sound, 8000)
    values, rate = soundfile.read(tmp_path / "new" / "a.wav")
    assert rate == 8000
    np.testing.assert_array_equal(values[:6], [0, 0.5, -1, 1 - 2**-15, 1 - 2**-15, -1])
    write_wav(tmp_path / "b.wav", values.astype(np.float32), 8000)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "new" / "a.wav").read_bytes()
    with pytest.raises(ValueError, match="must be finite"):
        write_wav(tmp_path / "c.wav", bad_float(np.nan))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.wav", "new"]


def test_audio_digest() -> None:
    sound = tone(440, 1, 16000)
    assert audio_digest(sound) == audio_digest(sound.astype(np.float64)) == audio_digest(np.repeat(sound, 2)[::2])
    assert len({audio_digest(sound), audio_digest(sound[:-1]), audio_digest(-sound), audio_digest(sound[None])}) == 4


def test_import_is_light() -> None:
    heavy = "('soundfile', 'av', 'soxr', 'torch')"
    code = f"import sys, benchmark.media.audio; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
