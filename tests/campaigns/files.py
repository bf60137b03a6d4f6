"""Damaged files given to the readers of the product: a value, or a refusal of one printable line."""

from __future__ import annotations

import io
import json
import random
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from campaigns.mutations import damaged, odd_json
from campaigns.report import Report

from benchmark.data.prepare.workers import in_order
from benchmark.utils.errors import BenchError
from benchmark.utils.text import visible

LIMIT_SECONDS = 120.0
"""Far more than a reader may take: what is not done then on a busy machine, hangs."""
LARGEST = 1e9
"""Bytes by which reading one file may raise the process's memory."""
WORKERS = 1

Job = tuple[str, int, int]
"""(file, seed, case)."""
Read = tuple[str, str, str]
"""(name of the file, outcome, what to know of a fault)."""
ReadAll = Callable[..., Iterator[Any]]


class Kind(NamedTuple):
    """A kind of file: how often it is taken, its reader, and what the reader may raise beside a `BenchError`."""

    weight: int
    read: Callable[[Path], object]
    others: tuple[type[Exception], ...] = ()


def run(place: Path, report: Report, workers: int = WORKERS) -> None:
    """Read `count` damaged files in processes that a time limit ends."""
    count, seed = report.asked, report.seed
    write_seeds(place)
    names = sorted(path.name for path in place.iterdir() if path.is_file())
    weights = [KINDS[name.partition(".")[0]].weight for name in names]

    def jobs() -> Iterator[Job]:
        for case in range(count):
            yield str(place / random.Random(f"files {seed} {case}").choices(names, weights)[0]), seed, case

    for name, outcome, detail in patiently(jobs(), workers):
        report.add(name, outcome, detail)


def patiently(jobs: Iterable[Job], workers: int, read_all: ReadAll = in_order) -> Iterator[Read]:
    """Read damaged files, and those that pass the time limit once more, alone and for much longer, at the end.

    Whatever reads the first file of its kind imports libraries, which may take minutes where others compute.
    """
    slow: list[Job] = []

    def ended(job: Job, how: str) -> Read:
        return Path(job[0]).name, how, f"case {job[2]}"

    def later(job: Job, how: str) -> Read | None:
        if how == "hang":
            slow.append(job)
            return None
        return ended(job, how)

    yield from filter(None, read_all(read_one, jobs, workers, later, LIMIT_SECONDS))
    yield from read_all(read_one, slow, min(1, workers), ended, 5 * LIMIT_SECONDS)


def read_one(job: Job) -> Read:
    """Damage a file and read it."""
    source, (seed, case) = Path(job[0]), job[1:]
    kind = KINDS[source.name.partition(".")[0]]
    data = _damaged(source, random.Random(f"bytes {seed} {case}"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / source.name
        path.write_bytes(data)
        before = _peak()
        try:
            kind.read(path)
            outcome, detail = "read", ""
        except kind.others as error:
            outcome, detail = _one_line([str(error)])
        except BenchError as error:
            outcome, detail = _one_line(getattr(error, "problems", None) or [str(error)])
        except Exception:
            outcome, detail = "traceback", traceback.format_exc(limit=-4)
        if _peak() - before > LARGEST:
            outcome, detail = "crash", f"{(_peak() - before) / 1e9:.1f} GB of memory for {len(data)} bytes"
    return source.name, outcome, f"case {case}: {detail}"


def _damaged(source: Path, rng: random.Random) -> bytes:
    """Damage to the bytes; half of the time to the values, where the format is known to be JSON."""
    data = source.read_bytes()
    if source.suffix == ".json" and rng.random() < 0.5:
        return odd_json(json.loads(data), rng).encode()
    if source.suffix == ".safetensors" and rng.random() < 0.5:
        end = 8 + struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:end])
        inner = {key: json.loads(text) for key, text in header["__metadata__"].items()}
        if rng.random() < 0.7:
            header["__metadata__"] = {key: odd_json(value, rng) for key, value in inner.items()}
            text = json.dumps(header).encode()
        else:
            text = odd_json(header, rng).encode()
        return struct.pack("<Q", len(text)) + text + data[end:]
    return damaged(data, rng)


def _one_line(problems: list[str]) -> tuple[str, str]:
    if all(line.strip() and visible(line) == line for line in problems):
        return "refused", ""
    return "traceback", f"not one printable line each: {problems!r}"


def _peak() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


# ------------------------------------------------------------------------------------------------------------- readers


def _sound(path: Path) -> None:
    from benchmark.media.audio import load_audio

    wave = load_audio(path, seconds=10.0)
    assert wave.dtype == np.float32 and wave.ndim == 1 and wave.size and np.isfinite(wave).all()


def _picture(path: Path) -> None:
    from benchmark.media.images import load_image, to_uint8

    image = load_image(path)
    assert image.mode == "RGB" and to_uint8(image).shape == (image.height, image.width, 3)


def _manifest(path: Path) -> None:
    from benchmark.data.manifest import load_manifest

    for name in ("a.wav", "b.png"):  # beside the manifest, and whole
        (path.parent / name).write_bytes(_whole()[name])
    found = load_manifest(path)
    assert len(found.test) and all(label for label in found.test.labels)


def _clip_list(path: Path) -> None:
    from benchmark.data.prepare.clip_lists import read_list

    read_list(path)


def _suite(path: Path) -> None:
    from benchmark.suite import Suite
    from benchmark.utils.toml import read_toml, validated

    validated(Suite, read_toml(path), path)


def _record(path: Path) -> None:
    from benchmark.records.record import RunRecord

    RunRecord.load(path).to_json()


def _images(path: Path) -> None:
    from benchmark.records.images import read_images, reference

    reference(read_images(path))


def _embedder(path: Path) -> None:
    import torch

    from audiotoken.checkpoint import load_embedder, read_metadata

    read_metadata(path)
    with torch.no_grad():
        assert all(bool(one.isfinite().all()) for one in load_embedder(path).parameters())


def _lora(path: Path) -> None:
    from audiotoken.checkpoint import load_lora

    load_lora(path, _unet())


def _state(path: Path) -> None:
    """A training state: the very one that was written, or damaged."""
    import torch

    from audiotoken import checkpoint

    # sealed for the name of its folder
    place = path.parent / "fit"
    place.mkdir()
    path.rename(place / "state.pt")
    assert torch.equal(checkpoint.load_state(place / "state.pt")["rows"], torch.arange(12.0)), "another state"


def _pickle(path: Path) -> None:
    from metrics.tensor_files import check_finite, read_tensors

    found = read_tensors(path, "a checkpoint")
    if isinstance(found, dict):
        check_finite(found, path)


def _beats(path: Path) -> None:
    from metrics.encoders.beats import load_beats

    load_beats(path)


def _sealed_errors() -> tuple[type[Exception], ...]:
    from benchmark.utils.sealed import Damaged

    return (Damaged,)


KINDS = {
    "sound": Kind(6, _sound),
    "picture": Kind(5, _picture),
    "manifest": Kind(8, _manifest),
    "clips": Kind(4, _clip_list),
    "suite": Kind(4, _suite),
    "record": Kind(4, _record),
    "images": Kind(2, _images),
    "embedder": Kind(5, _embedder),
    "lora": Kind(4, _lora),
    "state": Kind(3, _state, _sealed_errors()),
    "tensors": Kind(4, _pickle, (ValueError,)),
    "beats": Kind(2, _beats, (ValueError,)),
}


# --------------------------------------------------------------------------------------------------------------- seeds


@cache
def _unet() -> Any:
    from torch import nn

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.to_q, self.to_k, self.to_v = (nn.Linear(6, 6, bias=False) for _ in range(3))
            self.to_out = nn.ModuleList([nn.Linear(6, 6)])

    return nn.ModuleDict({"attn1": Attention()})


@cache
def _whole() -> dict[str, bytes]:
    import soundfile
    from PIL import Image

    sound, picture = io.BytesIO(), io.BytesIO()
    soundfile.write(sound, _wave(0.2), 16_000, format="WAV")
    Image.fromarray(_pixels()).save(picture, format="PNG")
    return {"a.wav": sound.getvalue(), "b.png": picture.getvalue()}


def _wave(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * 16_000)).astype(np.float32)


def _pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def write_seeds(place: Path) -> None:
    """Write a good file of each kind; the name's first part is the kind's."""
    _write_media(place)
    _write_texts(place)
    _write_tensors(place)


def _write_media(place: Path) -> None:
    import soundfile
    from PIL import Image

    stereo = np.stack([_wave(1.0), _wave(1.0)[::-1]], axis=1)
    for suffix, subtype in {"wav": "PCM_16", "flac": None, "ogg": None, "mp3": None, "aiff": None}.items():
        soundfile.write(place / f"sound.{suffix}", stereo, 16_000, subtype=subtype)
    soundfile.write(place / "sound.float.wav", _wave(0.5), 8_000, subtype="FLOAT")
    image = Image.fromarray(_pixels())
    for suffix in ("png", "jpg", "webp", "gif", "bmp", "tiff", "ppm", "avif", "jp2"):
        image.save(place / f"picture.{suffix}")
    image.quantize(16).save(place / "picture.palette.png", transparency=3)
    Image.fromarray(_pixels()[:, :, 0].astype(np.uint16) * 257).save(place / "picture.grey16.png")


def _write_texts(place: Path) -> None:
    from boards import metric, stored

    from benchmark.suite import FOLDER

    rows = [f'clip-{k},a.wav,b.png,"a bell, ringing",{split}' for k, split in enumerate(("train", "test", "test"))]
    (place / "manifest.csv").write_text("id,audio,image,label,split\n" + "\n".join(rows) + "\n", encoding="utf-8")
    names = ("--0PQM4-hqg", "-0BIyqJj9ZU", "AbCdEfGhIjK")
    lines = [f'{name},{30 * k},"bell ringing",{"test" if k else "train"}' for k, name in enumerate(names)]
    (place / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("mini", "vggsound"):
        (place / f"suite.{name}.toml").write_bytes((FOLDER / f"{name}.toml").read_bytes())
    values = {"ais": metric(60.0), "fid": metric(80.0, "down")}
    (place / "record.json").write_text(stored("a", None, metrics=values, sees=["audio"]).record.to_json())
    (place / "images.json").write_text(json.dumps({f"c{k}.png": f"{k:064x}" for k in range(5)}, indent=0))


def _write_tensors(place: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from audiotoken import checkpoint
    from audiotoken.embedder import Embedder

    torch.manual_seed(0)
    embedder = Embedder(6, 4, hidden_size=5)
    checkpoint.save_embedder(place / "embedder.safetensors", embedder, {"a": "b"})
    torch.save(embedder.state_dict(), place / "embedder.bin")
    layers = {}
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        layers |= {
            f"unet.attn1.{part}.lora_A.weight": torch.rand(2, 6),
            f"unet.attn1.{part}.lora_B.weight": torch.rand(6, 2),
        }
    header = {"lora_adapter_metadata": json.dumps({"unet.r": 2, "unet.lora_alpha": 4})}
    save_file(layers, place / "lora.safetensors", header)
    (place / "fit").mkdir()
    checkpoint.save_state(place / "fit" / "state.pt", {"rows": torch.arange(12.0), "step": 3, "name": "a"})
    (place / "fit" / "state.pt").rename(place / "state.pt")
    torch.save({"a": torch.rand(3), "cfg": {"layers": 2}}, place / "tensors.pt")
    torch.save({"a": torch.rand(3)}, place / "tensors.old.pt", _use_new_zipfile_serialization=False)
    torch.save({"cfg": {"encoder_layers": 1}, "model": {}}, place / "beats.pt")
