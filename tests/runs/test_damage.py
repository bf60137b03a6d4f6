"""Whatever is stored of a run can be damaged: the same command says so in one line, and ends with the same record."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
import worlds
from PIL import Image
from worlds import NOISE, Result, bench, method_file, things

from benchmark.records.store import Folder

FEW = ["--set", "steps=2", "--set", "batch_size=4"]


def flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emptied(data: bytes) -> bytes:
    return b""


def zeroed(data: bytes) -> bytes:
    return bytes(len(data))


DAMAGES: tuple[Callable[[bytes], bytes], ...] = (flipped, cut, emptied, zeroed)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


class Finished:
    """A finished run in folders of its own, and what it was when it was finished."""

    def __init__(self, place: Path, method: str, *more: str, data: Path) -> None:
        self.place, self.runs = place, place / "runs"
        self.command = ["run", "--method", method, "--data", str(data), *more, "--json"]
        self.cache = place / "cache"
        done = self.again()
        assert done.code == 0, done.err
        (plan,) = self.runs.glob("*/*/seed*/plan.json")
        self.folder, self.record = plan.parent, done.json
        self.files = self.everything()

    def again(self) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BENCH_CACHE", str(self.cache))
            return bench(*self.command, runs=self.runs)

    def everything(self) -> dict[str, bytes]:
        found = (path for path in self.place.rglob("*") if path.is_file() and path.name != ".lock")
        return {path.relative_to(self.place).as_posix(): path.read_bytes() for path in found}

    def one_line(self, *names: str) -> Result:
        """The same command again: it says one line about each of `names`, and gives the same record."""
        result = self.again()
        assert result.code == 0, result.err
        lines = [line for line in result.err.splitlines() if line.startswith(("warning:", "bench:"))]
        assert len(lines) == len(names) and all(sum(name in line for line in lines) == 1 for name in names), lines
        assert self.same(result)
        return result

    def same(self, result: Result) -> bool:
        """Whether a result is the first one, but for the times that were measured."""
        parts = [{key: one[key] for key in one.keys() - {"provenance", "cost"}} for one in (result.json, self.record)]
        scores = self.folder / "scores.parquet"
        first = io.BytesIO(self.files[scores.relative_to(self.place).as_posix()])
        pandas.testing.assert_frame_equal(pandas.read_parquet(scores), pandas.read_parquet(first))
        return parts[0] == parts[1] and json.loads((self.folder / "record.json").read_text()) == result.json

    def restore(self) -> None:
        """Put back all files as they were, for the next case."""
        for path in self.place.rglob("*"):
            if path.is_file() and path.name != ".lock" and path.relative_to(self.place).as_posix() not in self.files:
                path.unlink()
        for name, data in self.files.items():
            path = self.place / name
            if path.exists() and not path.is_file():
                path.unlink()  # a pipe or a device
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


@pytest.fixture(scope="module")
def cheap(base: Path) -> Finished:
    """A run of a method that costs nothing."""
    place = base / "damage-cheap"
    return Finished(place, method_file(place, NOISE), data=things(base))


@pytest.fixture(scope="module")
def fitted(base: Path) -> Finished:
    return Finished(base / "damage-fitted", "audiotoken", *FEW, data=things(base))


@pytest.fixture(autouse=True)
def restored(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"cheap", "fitted"} & {*request.fixturenames}:
        request.getfixturevalue(name).restore()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["images/test-03.png", "images.json", "record.json", "scores.parquet", "plan.json", "steps/plan.json"]
)
def test_a_damaged_file_of_a_finished_run(cheap: Finished, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = cheap.folder / name
    path.write_bytes(damage(path.read_bytes()))
    cheap.one_line(name)
    assert worlds.pictures(cheap.folder) == {
        Path(one).name: data for one, data in cheap.files.items() if one.endswith(".png")
    }
    if name not in ("record.json", "scores.parquet", "steps/plan.json"):
        assert path.read_bytes() == cheap.files[path.relative_to(cheap.place).as_posix()]
    quiet = cheap.again()
    assert "warning" not in quiet.err and cheap.same(quiet)


@pytest.mark.parametrize("step", ["generate", "score"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_marker(cheap: Finished, step: str, damage: Callable[[bytes], bytes]) -> None:
    path = cheap.folder / "steps" / f"{step}.json"
    path.write_bytes(damage(path.read_bytes()))
    result = cheap.again()
    assert result.code == 0 and cheap.same(result)
    assert result.err.count(f"{step}.json is not what was written") == 1
    assert set(worlds.pictures(cheap.folder).values()) == {
        data for one, data in cheap.files.items() if one.endswith(".png")
    }
    assert "not what was written" not in cheap.again().err


@pytest.mark.parametrize(
    "name", ["images/test-03.png", "images.json", "record.json", "scores.parquet", "plan.json"]
    + [f"steps/{step}.json" for step in ("plan", "generate", "score")]
)  # fmt: skip
def test_what_is_gone_of_a_finished_run_is_named_and_there_again(cheap: Finished, name: str) -> None:
    (cheap.folder / name).unlink()
    kept = ["images were kept as images.old-"] if name == "steps/generate.json" else []
    cheap.one_line(f"{Path(name).name} is missing", *kept)
    assert (cheap.folder / name).is_file()
    assert "warning" not in cheap.again().err


@pytest.mark.parametrize(
    "name", ["images/test-03.png", "images.json", "record.json", "scores.parquet", "plan.json"]
    + [f"steps/{step}.json" for step in ("plan", "generate", "score")]
)  # fmt: skip
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["a pipe", "endless"])
def test_what_never_ends_is_replaced_by_the_file_that_was_there(
    cheap: Finished, name: str, put: Callable[[Path], None]
) -> None:
    path = cheap.folder / name
    path.unlink()
    put(path)
    result = cheap.again()
    assert result.code == 0 and cheap.same(result), result.err
    assert path.is_file() and not path.is_symlink()
    assert sum(path.name in line for line in result.err.splitlines() if line.startswith("warning:")) == 1, result.err
    assert "warning" not in cheap.again().err


def test_an_embedding_that_never_ends_is_made_anew(cheap: Finished) -> None:
    for path in sorted((cheap.cache / "embeddings").glob("*.npy")):
        path.unlink()
        os.mkfifo(path)
    (cheap.folder / "steps" / "score.json").unlink()
    result = cheap.again()
    assert result.code == 0 and cheap.same(result), result.err
    assert all(path.is_file() for path in (cheap.cache / "embeddings").glob("*.npy"))


def test_the_marker_of_another_step_vouches_for_nothing(cheap: Finished) -> None:
    one, other = (cheap.folder / "steps" / f"{step}.json" for step in ("score", "plan"))
    one.write_bytes(other.read_bytes())
    cheap.one_line("score.json is not what was written")


def test_an_emptied_cache_is_filled_without_a_word(cheap: Finished) -> None:
    shutil.rmtree(cheap.cache)
    (cheap.folder / "record.json").unlink()
    cheap.one_line("record.json is missing")
    kept = {name: data for name, data in cheap.files.items() if name.startswith("cache/")}
    assert kept and {name: data for name, data in cheap.everything().items() if name.startswith("cache/")} == kept


def test_images_that_changed_places(cheap: Finished) -> None:
    one, other = (cheap.folder / "images" / f"test-0{k}.png" for k in (1, 2))
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    result = cheap.one_line("test-01.png")
    assert "and 1 more" in result.err and one.read_bytes() == first


def test_an_image_of_ones_own_is_no_result(cheap: Finished) -> None:
    Image.new("RGB", (64, 64)).save(cheap.folder / "images" / "test-00.png")
    cheap.one_line("test-00.png")
    Image.new("RGB", (64, 64)).save(cheap.folder / "images" / "test-00.png")
    alone = bench("score", cheap.folder, "--trust-method")
    assert alone.code == 1 and "no finished images" in alone.err


def test_damaged_embeddings(cheap: Finished) -> None:
    files = sorted(cheap.cache.rglob("*.npy"))
    assert len(files) == 7  # pictures in two spaces, frames, training frames, sounds, two lists of texts
    for number, path in enumerate(files):
        path.write_bytes(DAMAGES[number % len(DAMAGES)](path.read_bytes()))
        (cheap.folder / "steps" / "score.json").unlink()
        cheap.one_line(path.name, "score.json is missing")
        assert path.read_bytes() == cheap.files[path.relative_to(cheap.place).as_posix()]


@pytest.mark.parametrize("damage", [flipped, emptied, zeroed, None])
def test_a_damaged_embedder(fitted: Finished, damage: Callable[[bytes], bytes] | None) -> None:
    (path,) = fitted.runs.rglob("embedder.safetensors")
    path.unlink() if damage is None else path.write_bytes(damage(path.read_bytes()))
    fitted.one_line("embedder.safetensors")
    assert path.read_bytes() == fitted.files[path.relative_to(fitted.place).as_posix()]


@pytest.mark.parametrize(("damage", "why"), [(flipped, "is not what was written"), (None, "is missing")])
def test_a_damaged_marker_of_the_fit(fitted: Finished, damage: Callable[[bytes], bytes] | None, why: str) -> None:
    (path,) = fitted.runs.glob("*/audiotoken-*/steps/fit.json")
    path.unlink() if damage is None else path.write_bytes(damage(path.read_bytes()))
    fitted.one_line(f"fit.json {why}")
    assert path.is_file() and "warning" not in fitted.again().err


def test_damaged_features_and_a_damaged_training_state(
    fitted: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (marker,) = fitted.runs.glob("*/audiotoken-*/steps/fit.json")
    (embedder,) = fitted.runs.rglob("embedder.safetensors")
    (features,) = (fitted.cache / "features").iterdir()
    written = embedder.read_bytes(), features.read_bytes()
    again = [*fitted.command[:-1]]
    again[0] = "fit"
    monkeypatch.setenv("BENCH_CACHE", str(fitted.cache))
    for damage in (flipped, emptied):
        shutil.rmtree(marker.parents[1])
        features.write_bytes(damage(features.read_bytes()))
        result = bench(*again, runs=fitted.runs)
        assert result.code == 0 and result.err.count("warning:") == 1 and features.name in result.err
        assert (embedder.read_bytes(), features.read_bytes()) == written
    state = embedder.with_name("training.pt")
    kept = state.read_bytes()
    for damage in DAMAGES:
        state.write_bytes(damage(kept))
        marker.unlink()
        result = bench(*again, runs=fitted.runs)
        assert result.code == 0 and result.err.count("warning:") == 2 and "training.pt" in result.err
        assert "fit.json is missing" in result.err
        assert embedder.read_bytes() == written[0] and state.read_bytes() == kept


def test_a_run_of_a_former_version_stays_finished_and_is_checked_from_then_on(cheap: Finished) -> None:
    for path in (cheap.folder / "steps").iterdir():
        state = json.loads(path.read_text())
        path.write_text(json.dumps({key: state[key] for key in ("step", "state", "identity", "outputs", "payload")}))
    (cheap.folder / "steps" / "score.json").write_text(
        json.dumps(json.loads((cheap.folder / "steps" / "score.json").read_text()) | {"payload": {}})
    )
    first = cheap.again()
    assert first.code == 0 and first.json == cheap.record and first.err.count("of a former version") == 2
    assert "former" not in cheap.again().err
    path = cheap.folder / "images" / "test-03.png"
    path.write_bytes(flipped(path.read_bytes()))
    cheap.one_line("test-03.png")


def test_an_image_of_a_former_version_that_cannot_be_decoded(cheap: Finished) -> None:
    for path in (cheap.folder / "steps").iterdir():
        state = json.loads(path.read_text())
        path.write_text(json.dumps({key: state[key] for key in ("step", "state", "identity", "outputs", "payload")}))
    path = cheap.folder / "images" / "test-03.png"
    path.write_bytes(cut(path.read_bytes()))
    cheap.one_line("test-03.png")
    assert path.read_bytes() == cheap.files[path.relative_to(cheap.place).as_posix()]


# ---------------------------------------------------------------------------------------------------------- read-only


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder one in which this user may not write, also where the user is root."""
    import filelock

    def lock(place: Path) -> None:
        acquire, access, open_ = filelock.FileLock.acquire, os.access, os.open

        def accessible(path: Any, mode: int, **more: Any) -> bool:
            return access(path, mode, **more) and not (mode & os.W_OK and str(path).startswith(str(place)))

        def refuse(path: Any) -> None:
            if str(path).startswith(f"{place}{os.sep}"):
                raise PermissionError(13, "Permission denied", str(path))

        def acquired(self: Any, *given: Any, **more: Any) -> Any:
            refuse(self.lock_file)
            return acquire(self, *given, **more)

        def opened(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                refuse(path)
            return open_(path, flags, *more, **named)

        monkeypatch.setattr(filelock.FileLock, "acquire", acquired)
        monkeypatch.setattr(os, "open", opened)
        monkeypatch.setattr(os, "access", accessible)

    return lock


def test_a_read_only_finished_run_is_used(cheap: Finished, locked: Callable[[Path], None]) -> None:
    locked(cheap.runs)
    result = cheap.again()
    assert result.code == 0 and result.json == cheap.record and cheap.everything() == cheap.files
    assert bench("score", cheap.folder, "--trust-method", "--json").json == cheap.record


def test_a_colleagues_read_only_fit_is_used(fitted: Finished, locked: Callable[[Path], None], base: Path) -> None:
    (fit,) = (path for path in fitted.runs.glob("*/audiotoken-*"))
    shutil.rmtree(fitted.folder)
    locked(fit)
    result = fitted.again()
    assert result.code == 0 and fitted.same(result), result.err
    embedder = fit / "embedder.safetensors"
    assert embedder.read_bytes() == fitted.files[embedder.relative_to(fitted.place).as_posix()]
    embedder.write_bytes(zeroed(embedder.read_bytes()))
    shutil.rmtree(fitted.folder)
    refused = fitted.again()
    (line,) = [line for line in refused.err.splitlines() if line.startswith("bench:")]
    assert refused.code == 2 and "embedder.safetensors is not what was written" in line and "--runs" in line


def test_the_marks_of_a_killed_process_go(cheap: Finished) -> None:
    left = cheap.folder / "images" / ".test-03.png.x.part"
    left.write_bytes(b"half")
    path = cheap.folder / "images" / "test-03.png"
    path.unlink()
    sys.modules["benchmark.utils.files"]._sweep.cache_clear()
    cheap.one_line("test-03.png")
    assert not list(cheap.runs.rglob("*.part")) and Folder(cheap.folder).damaged("generate") == {}
