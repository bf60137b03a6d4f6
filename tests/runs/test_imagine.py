"""`bench imagine`: sounds of any kind become pictures, or nothing is written at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import worlds
from worlds import bench

from benchmark.media.audio import load_audio, write_wav
from benchmark.media.images import load_image
from benchmark.mini.data import make_sound
from benchmark.runs.imagine import imagine_images
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

# Its picture shows the sound itself: what arrived at the method can be read from it.
ECHO = """
import numpy as np
made = []
for clip, seed in zip(clips, seeds):
    sound = self.run.suite.sound(clip)
    loudness = np.sqrt(np.mean(sound.reshape(40, -1) ** 2, axis=1))
    made.append(Image.fromarray(np.tile((255 * loudness).astype(np.uint8), (40, 1))).convert("RGB"))
    made[-1].putpixel((0, 0), (seed % 256, 0, 0))
return made
"""


@pytest.fixture
def echo(tmp_path: Path) -> str:
    return worlds.method_file(tmp_path, ECHO, name="echo")


@pytest.fixture
def sound() -> np.ndarray:
    return make_sound("validation", 4, clean=True)[:32_000] / np.float32(32768)  # chirps of a bird


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_video(path: Path, sound: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 64
        sounds: Any = container.add_stream("aac", rate=16_000)
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(sounds.encode(frame))
        for stream in (pictures, sounds):
            container.mux(stream.encode(None))


def test_every_kind_of_sound_becomes_a_picture(echo: str, sound: np.ndarray, tmp_path: Path) -> None:
    for name in ("a.wav", "b.flac", "c.ogg", "d.mp3"):
        soundfile.write(name, sound, 16_000)
    write_video(tmp_path / "e.mp4", sound)
    soundfile.write("f.wav", np.repeat(sound[:, None], 6, axis=1), 16_000)
    names = ["a.wav", "b.flac", "c.ogg", "d.mp3", "e.mp4", "f.wav"]
    result = bench("imagine", *names, "-o", "out", "--method", echo)
    assert result.code == 0, result.err
    assert result.out.split() == [f"out/{name[0]}.png" for name in names]
    shown = [np.asarray(load_image(Path(path)), dtype=int)[1:, :, 0] for path in result.out.split()]
    assert shown[0].max() > 20
    for other in shown[1:]:
        # mp3 and aac begin with a moment of silence of their own
        alike = [np.corrcoef(other[0, lag : lag + 28], shown[0][0, :28])[0, 1] for lag in range(5)]
        assert max(alike) > 0.9, alike
    assert (shown[1] == shown[0]).all() and (shown[5] == shown[0]).all()


def test_where_pictures_go(echo: str, sound: np.ndarray, tmp_path: Path) -> None:
    for name in ("one.wav", "two.wav", "two.flac"):
        soundfile.write(name, sound, 16_000)

    def made(*arguments: str) -> list[str]:
        result = bench("imagine", *arguments, "--method", echo, "--json")
        assert result.code == 0, result.err
        paths = [row["image"] for row in result.json]
        assert all(Path(path).is_file() for path in paths)
        return paths

    assert made("one.wav", "-o", "deep/er/bell.PNG") == ["deep/er/bell.PNG"]
    assert made("one.wav", "-o", "folder") == ["folder/one.png"]
    assert made("one.wav", "two.wav", "two.flac", "-o", "all") == ["all/one.png", "all/two.wav.png", "all/two.flac.png"]
    assert made("one.wav", "-o", "many", "-n", "3") == [f"many/one_{k}.png" for k in range(3)]
    (tmp_path / "dir.png").mkdir()
    assert made("one.wav", "-o", "dir.png") == ["dir.png/one.png"]
    seeds = {load_image(Path(f"many/one_{k}.png")).getpixel((0, 0)) for k in range(3)}
    assert len(seeds) == 3 and load_image(Path("folder/one.png")).getpixel((0, 0)) in seeds


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one.wav", "two.wav", "-o", "x.png"], ["x.png", "2 are made", "folder"]),
        (["one.wav", "-n", "2", "-o", "x.png"], ["x.png", "2 are made"]),
        (["one.wav", "-o", "x.jpg"], ["x.jpg", ".png"]),
        (["one.wav", "-o", "two.wav"], ["two.wav", "is a file"]),
        (["one.wav", "sub/one.wav", "-o", "x"], ["'one.wav'", "rename"]),
        (["one.wav", "-o", "x", "--images", "0"], ["0"]),
        (["-o", "x"], ["FILE"]),
        (["one.wav"], ["-o"]),
        (["one.wav", "-o", "x", "--method", "sd-text"], ["'sd-text'", "label", "audiotoken"]),
        (["one.wav", "-o", "x", "--method", "reference"], ["'reference'", "frame"]),
        (["one.wav", "-o", "x", "--method", "shuffled"], ["'shuffled'", "other clips"]),
        (["one.wav", "-o", "x", "--method", "audiotokn"], ["'audiotokn'", "'audiotoken'"]),
    ],
)
def test_wrong_use_writes_nothing(echo: str, sound: np.ndarray, arguments: list[str], words: list[str]) -> None:
    Path("sub").mkdir()
    for name in ("one.wav", "two.wav", "sub/one.wav"):
        write_wav(Path(name), sound)
    before = sorted(Path().rglob("*"))
    method = [] if "--method" in arguments else ["--method", echo]
    result = bench("imagine", *arguments, *method)
    assert result.code == 2 and result.out == "" and len(result.err.splitlines()) == 1
    assert all(word in result.err for word in words), result.err
    assert sorted(Path().rglob("*")) == before


BAD = ["nowhere.wav", "text.mp3", "empty.ogg", "short.wav", "nan.wav", "loud.wav", "pipe.wav", "."]


@pytest.fixture
def bad(sound: np.ndarray) -> list[str]:
    """Files that cannot be used, each for a reason of its own."""
    Path("text.mp3").write_text("no sound")
    Path("empty.ogg").touch()
    soundfile.write("short.wav", sound[:100], 16_000)
    soundfile.write("nan.wav", np.full(8000, np.nan), 16_000, subtype="FLOAT")
    soundfile.write("loud.wav", np.where(np.arange(sound.size) == 9, 1e20, sound), 16_000, subtype="FLOAT")
    os.mkfifo("pipe.wav")
    return BAD


def test_bad_files_alone_are_listed_at_once_before_anything_is_made(
    bad: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    before = sorted(Path().rglob("*"))
    result = bench("imagine", *bad, "-o", "out")
    lines = result.err.splitlines()
    assert result.code == 2 and result.out == "" and len(lines) == len(bad)
    for line, name in zip(lines, bad, strict=True):
        assert line.startswith("bench: ") and f"'{name}'" in line
    assert sorted(Path().rglob("*")) == before


def test_the_pictures_of_the_good_files_are_made_all_the_same(echo: str, bad: list[str], sound: np.ndarray) -> None:
    names = ["one.wav", "two.wav"]
    for name in names:
        write_wav(Path(name), sound)
    alone = bench("imagine", *names, "-o", "alone", "--method", echo)
    assert alone.code == 0, alone.err
    result = bench("imagine", *bad[:4], names[0], *bad[4:], names[1], "-o", "out", "--method", echo)
    assert result.code == 1 and result.out.split() == ["out/one.png", "out/two.png"], result.err
    said = [line for line in result.err.splitlines() if line.startswith("bench: ")]
    assert len(said) == len(bad) and all(f"'{name}'" in line for line, name in zip(said, bad, strict=True))
    assert "holds a sample of 1e+20" in result.err
    for name in ("one.png", "two.png"):
        assert (Path("out") / name).read_bytes() == (Path("alone") / name).read_bytes()
    with pytest.raises(UserError, match="holds a sample of 1e\\+20"):
        imagine_images([Path("one.wav"), Path("loud.wav")], RunRequest(method=echo), Silent())


def test_silence_is_a_warning(echo: str) -> None:
    write_wav(Path("silent.wav"), worlds.SILENCE)
    result = bench("imagine", "silent.wav", "-o", "out", "--method", echo)
    assert result.code == 0 and "warning: silent.wav is silent" in result.err and Path("out/silent.png").exists()


def test_a_method_that_gives_too_few_is_an_error(sound: np.ndarray, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_wav(Path(name), sound)
    bad = worlds.method_file(tmp_path, "return [Image.new('RGB', (4, 4))]", name="few")
    result = bench("imagine", "a.wav", "b.wav", "-o", "out", "--method", bad)
    assert result.code == 1 and "gave 1 images for 2 clips" in result.err and not list(Path().glob("out/*"))


def test_the_default_fit_is_used(sound: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit that is there is not made again, and the picture is the one that the method makes of this sound."""
    import torch

    from audiotoken.checkpoint import save_embedder
    from audiotoken.embedder import Embedder
    from benchmark.runs.seeds import image_seed

    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "runs"))
    job = Run.of(RunRequest(suite="mini", method="audiotoken"), Silent())
    assert job.plan.fit_folder and job.plan.fit_identity
    torch.manual_seed(0)
    embedder = Embedder(3 * 96, 128).eval()
    save_embedder(job.plan.fit_folder.path / "embedder.safetensors", embedder, {})
    job.plan.fit_folder.begin("fit", job.plan.fit_identity)
    job.plan.fit_folder.mark_done("fit", job.plan.fit_identity)

    write_wav(Path("my sound.wav"), sound)
    result = bench("imagine", "my sound.wav", "-o", "out.png")
    assert result.code == 0, result.err
    assert "training" not in result.err
    method: Any = job.make(job.test.limit(1))
    with torch.no_grad():
        wave = job.plan.suite.sound(
            type(job.test[0])("x", load_audio(Path("my sound.wav")), None, job.test.labels, "test")
        )
        features = method.listener.encoder.extract_features(torch.from_numpy(wave)[None])
        embeds = job.backbone.inject(embedder(features.float()))
    (picture,) = job.backbone.sample(embeds, [image_seed(job.plan.suite.generation.seed, 0, "my sound.wav", 0)])
    assert np.array_equal(np.asarray(picture), np.asarray(load_image(Path("out.png"))))
