"""Whatever a stored thing depends on is in its key: each ingredient is changed in turn, and the key must move."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from worlds import GREY, bench, method_file, things

from audiotoken import features
from audiotoken.features import Listener, features_key
from benchmark import registries
from benchmark.clips import clips_identity
from benchmark.method import Method, MethodCard
from benchmark.mini import data, wiring
from benchmark.runs import embeddings, plan, scoring
from benchmark.runs.embeddings import Embeddings, Job
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.suite import Suite, load_suite
from benchmark.utils import sources
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.progress import Silent
from benchmark.utils.registry import Registry
from benchmark.weights import locate

MINI = load_suite("mini")
OTHER_FILES = MINI.model_copy(update={"files": {**MINI.files, "vae.json": "0" * 64}})

Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    for remembered in (embeddings.code_version, data.world_digest):
        remembered.cache_clear()
    yield
    for remembered in (embeddings.code_version, data.world_digest):
        remembered.cache_clear()


def copies(tmp_path: Path) -> list[Path]:
    """Copies of the networks' source files, to change."""
    found = []
    for number, path in enumerate(embeddings.network_sources()):
        found.append(tmp_path / str(number) / path.name)
        found[-1].parent.mkdir()
        shutil.copyfile(path, found[-1])
    return found


def package(tmp_path: Path, patch: Patch, name: str) -> Path:
    """A package that sets up a network; its other module is changed by the caller."""
    folder = tmp_path / name
    folder.mkdir()
    for module in ("__init__", "setup", "architecture"):
        (folder / f"{module}.py").write_text("heads = 4\n")
    patch.syspath_prepend(str(tmp_path))
    return folder / "architecture.py"


def other_library(patch: Patch, name: str) -> None:
    version = importlib.metadata.version
    patch.setattr(importlib.metadata, "version", lambda asked: "0.0" if asked == name else version(asked))


# --------------------------------------------------------------------------------------------------------- embeddings


def embedding_key(suite: Suite = MINI, device: str = "cpu", hashes: tuple[str, ...] = ("a", "b"), **job: Any) -> str:
    embeddings.code_version.cache_clear()
    given = {"scorer": "clip", "sha256": "f" * 64, "embed": lambda network, items: np.zeros(1), "batch": 64, **job}
    return Embeddings(suite, device, Silent()).key(Job(**given), hashes)


@pytest.mark.parametrize(
    "changed",
    [
        {"sha256": "e" * 64},
        {"batch": 8},
        {"scorer": "wav2clip-of-another-package"},
        {"device": "cuda"},
        {"hashes": ("b", "a")},
        {"hashes": ("a", "b", "c")},
        {"suite": OTHER_FILES},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_key_of_an_embedding_moves_with_what_is_asked(changed: dict[str, Any]) -> None:
    assert embedding_key(**changed) != embedding_key()
    assert embedding_key(device="cuda:0") == embedding_key(device="cuda:1")


def test_the_key_of_an_embedding_moves_with_every_source_file(tmp_path: Path, monkeypatch: Patch) -> None:
    files = copies(tmp_path)
    names = {path.name for path in files}
    assert {"preprocessing.py", "clip.py", "beats.py", "wav2clip.py"} <= names
    monkeypatch.setattr(embeddings, "network_sources", lambda: files)
    seen = {embedding_key()}
    for path in files:
        path.write_text(path.read_text() + "\n# changed")
        seen.add(embedding_key())
    assert len(seen) == len(files) + 1


@pytest.mark.parametrize("library", ["torch", "numpy", "pillow", "open-clip-torch"])
def test_the_key_of_an_embedding_moves_with_the_libraries(library: str, monkeypatch: Patch) -> None:
    before = embedding_key()
    other_library(monkeypatch, library)
    assert embedding_key() != before


def test_the_key_of_an_embedding_moves_with_what_sets_up_the_scorer(tmp_path: Path, monkeypatch: Patch) -> None:
    known: Registry[Any] = Registry("scorer")
    known.register("mini/clip", "scorers_of_keys.setup:clip")
    monkeypatch.setattr(embeddings, "SCORERS", known)
    path = package(tmp_path, monkeypatch, "scorers_of_keys")
    before = embedding_key()
    path.write_text("heads = 8\n")
    assert embedding_key() != before and "scorers_of_keys.setup" not in sys.modules


def test_the_version_is_in_the_key_of_an_embedding(monkeypatch: Patch) -> None:
    before = embedding_key()
    monkeypatch.setattr(embeddings, "EMBEDDINGS_VERSION", 99)
    assert embedding_key() != before


def test_what_is_embedded_is_told_apart_by_its_decoded_content() -> None:
    assert scoring.pixel_digest(np.zeros((2, 2, 3), np.uint8)) != scoring.pixel_digest(np.zeros((4, 1, 3), np.uint8))
    one = np.zeros(4, np.float32)
    assert scoring.audio_digest(one) != scoring.audio_digest(one + 1e-7)


# ----------------------------------------------------------------------------------------------------------- features


class Encoder(torch.nn.Linear):
    """Stands for a network."""


def sense(suite: Suite = MINI, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Listener:
    return Listener(Encoder(2, 2, dtype=dtype), suite, device)


class OtherListener(Listener):
    """The same code in a class of another file."""


def features_of(given: Listener | None = None, clips: str = "c", weights: str = MINI.encoders["beats"]) -> str:
    return features_key(given or sense(), clips, weights)


def test_the_key_of_features_moves_with_what_is_asked() -> None:
    longer = MINI.model_copy(update={"data": MINI.data.model_copy(update={"seconds": 3.0})})
    padded = MINI.model_copy(update={"data": MINI.data.model_copy(update={"length": "pad"})})
    keys = [
        features_of(),
        features_of(clips="d"),
        features_of(weights=MINI.encoders["imagebind"]),
        features_of(weights="f" * 64),
        features_of(sense(device="cuda")),
        features_of(sense(dtype=torch.float16)),
        features_of(sense(longer)),
        features_of(sense(padded)),
        features_of(sense(OTHER_FILES)),
        features_of(OtherListener(Encoder(2, 2), MINI, "cpu")),
    ]
    assert len(set(keys)) == len(keys)
    assert features_of() == keys[0] and features_of(sense(device="cuda:1")) == features_of(sense(device="cuda"))


def test_the_key_of_features_moves_with_the_code(tmp_path: Path, monkeypatch: Patch) -> None:
    seen = {features_of()}
    for name in ("FEATURES_VERSION", "HEARD_TOGETHER"):
        monkeypatch.setattr(features, name, 99)
        seen.add(features_of())
    for library in ("torch", "soxr", "transformers"):
        with monkeypatch.context() as patch:
            other_library(patch, library)
            seen.add(features_of())
    files = copies(tmp_path)
    monkeypatch.setattr(features, "network_sources", lambda: files)
    assert features_of() in seen, "a copy of the same code"
    files[0].write_text("changed")
    seen.add(features_of())
    known: Registry[Any] = Registry("audio encoder")
    known.register("mini/beats", "encoders_of_keys.setup:beats")
    monkeypatch.setattr(features, "ENCODERS", known)
    for name in MINI.encoders.keys() - {"beats"}:
        known.register(f"mini/{name}", "encoders_of_keys.setup:other")
    path = package(tmp_path, monkeypatch, "encoders_of_keys")
    seen.add(features_of())
    path.write_text("heads = 8\n")
    seen.add(features_of())
    media = tmp_path / "media"
    shutil.copytree(features.benchmark.media.__path__[0], media)
    monkeypatch.setattr(features.benchmark.media, "__path__", [str(media)])
    assert features_of() in seen
    (media / "audio.py").write_text("changed")
    seen.add(features_of())
    assert len(seen) == 1 + 2 + 3 + 1 + 2 + 1


# ---------------------------------------------------------------------------------------------------------- the world


@pytest.mark.parametrize("kind", ["sounds", "pictures"])
def test_the_world_is_its_sources_rendering_and_libraries(kind: str, tmp_path: Path, monkeypatch: Patch) -> None:
    def key() -> str:
        data.world_digest.cache_clear()
        return data.world_digest(kind)

    def other(*_: Any) -> Any:
        return None

    seen = [key()]
    for name in ("_scene", "make_sound", "make_picture", "_make_chunk"):
        with monkeypatch.context() as patch:
            patch.setattr(data, name, other)
            seen.append(key())
    with monkeypatch.context() as patch:
        patch.setattr(data, "version", lambda name: "0.0")
        seen.append(key())
    home = tmp_path / "mini"
    shutil.copytree(Path(data.world.__file__).parent, home, ignore=shutil.ignore_patterns("weights", "fits"))
    with monkeypatch.context() as patch:
        patch.setattr(data.world, "__file__", str(home / "world.py"))
        assert key() == seen[0]
        for changed in (home / "world.py", next((home / kind).glob("[a-z]*.py"))):
            changed.write_text(changed.read_text() + "# changed\n")
            seen.append(key())
    assert len(set(seen)) == len(seen) == 8 and key() == seen[0]


@pytest.mark.parametrize("name", ["vae.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/new.json"])
def test_files_that_networks_are_set_up_with_are_the_published_ones(
    name: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    shutil.copytree(wiring.WEIGHTS, tmp_path / "weights", copy_function=os.symlink)
    monkeypatch.setattr(wiring, "WEIGHTS", tmp_path / "weights")
    path = tmp_path / "weights" / name
    text = path.read_text(encoding="utf-8") if path.exists() else "{}"
    path.unlink(missing_ok=True)
    path.write_text(text.replace("latent_std", "latent_std ", 1) + " ", encoding="utf-8")
    with pytest.raises(RunError, match=f"{path.name} has sha256 .* suite 'mini' requires"):
        wiring.backbone(MINI, "cpu")
    if name.startswith("tokenizer"):
        for load in (wiring.clip, wiring.imagebind):
            with pytest.raises(RunError, match=f"{path.name} has sha256"):
                load(MINI, "cpu")
    path.unlink()
    if "new" not in name:
        with pytest.raises(RunError, match=f"{path.name} is not in the package"):
            wiring.backbone(MINI, "cpu")


def test_they_do_not_move_the_fingerprint() -> None:
    assert OTHER_FILES.fingerprint() == MINI.fingerprint()
    assert MINI.fingerprint().startswith("24d3a6205df34fe5")


# --------------------------------------------------------------------------------------------------------------- runs


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


def job(method: Any, tmp_path: Path, **more: Any) -> Run:
    return Run.of(RunRequest(method=method, runs=tmp_path / "runs", **more), Silent())


def test_the_identities_of_the_steps_move_with_all_that_they_depend_on(tmp_path: Path, monkeypatch: Patch) -> None:
    made = job("audiotoken", tmp_path).plan
    suite = made.suite

    def again(**changes: Any) -> tuple[str, str | None, str]:
        one = replace(made, **changes)
        return one.identity, one.fit_identity, one.generate_identity

    same = again()
    assert same == again() == again(device="cpu") and again(device="cuda:1") == again(device="cuda")
    of_suite: dict[str, Callable[[], Suite]] = {
        "weights": lambda: suite.model_copy(update={"weights": {**suite.weights, "vae": "0" * 64}}),
        "clips": lambda: suite.model_copy(update={"data": suite.data.model_copy(update={"revision": "another"})}),
        "sampling": lambda: suite.model_copy(
            update={"generation": suite.generation.model_copy(update={"batch_size": 1})}
        ),
        "precision": lambda: suite.model_copy(
            update={"backbone": suite.backbone.model_copy(update={"dtype": "bfloat16"})}
        ),
    }
    for name, change in of_suite.items():
        run, fit, images = again(suite=change(), fit_suite=change())
        assert run != same[0] and fit != same[1] and images != same[2], name
    encoder = suite.model_copy(update={"encoders": {**suite.encoders, "beats": "0" * 64}})
    run, fit, images = again(suite=encoder, fit_suite=encoder)
    assert run == same[0] and fit != same[1] and images != same[2], "another encoder of one run is another fit"
    settings = again(settings=made.settings.model_copy(update={"lambda_a": 0.5}))
    seed, device = again(seed=1), again(device="cuda")
    assert settings[0] != same[0] != seed[0] and device[0] == same[0]
    for one in (settings, seed, device):
        assert one[1] != same[1] and one[2] != same[2]
    for name, moves in (("FIT_VERSION", (1, 2)), ("GENERATE_VERSION", (2,))):
        with monkeypatch.context() as patch:
            patch.setattr(plan, name, 99)
            found = again()
            assert {place for place in range(3) if found[place] != same[place]} == set(moves)


def test_a_file_method_is_its_code_with_the_modules_beside_it(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    method = method_file(tmp_path, "import beside_keys\n" + GREY, more="    fits = True\n")
    seen: list[tuple[Any, ...]] = []
    for number in range(3):
        (tmp_path / "beside_keys.py").write_text(f"x = {number}\n")
        (tmp_path / "stranger.py").write_text(f"x = {number}\n")
        one = job(method, tmp_path).plan
        seen.append((one.identity, one.fit_identity, one.generate_identity, one.folder.path))
        assert one.source == sources.source_hash(tmp_path / "plain.py")
    for place in range(4):
        assert len({row[place] for row in seen}) == 3
    (tmp_path / "beside_keys.py").write_text("x = 2\n")
    assert job(method, tmp_path).plan.identity == seen[-1][0]
    assert job("sd-text", tmp_path).plan.source is None


class Passed(Method):
    """A class that is passed as such."""

    card = MethodCard(name="passed", summary="for tests", sees=("audio",), licence="none", training_data="none")

    def generate(self, clips: Any, seeds: Any) -> Any:
        raise AssertionError


def test_a_class_that_is_passed_is_its_code_too(tmp_path: Path) -> None:
    assert job(Passed, tmp_path).plan.source == sources.class_hash(Passed)
    registered = registries.METHODS.get("sd-text")
    one, named = job(registered, tmp_path).plan, job("sd-text", tmp_path).plan
    assert one.source is None and one.identity == named.identity and one.folder.path == named.folder.path


def test_the_name_of_another_method_is_refused(tmp_path: Path) -> None:
    path = method_file(tmp_path, GREY, name="sd-text")

    class Stolen(Passed):
        card = Passed.card.model_copy(update={"name": "audiotoken"})

    for method, words in ((path, [path, "'sd-text'", "baselines.sd_text"]), (Stolen, ["Stolen'", "'audiotoken'"])):
        with pytest.raises(UserError, match="give it another one") as caught:
            job(method, tmp_path)
        assert len(caught.value.problems) == 1 and all(word in str(caught.value) for word in words)
    result = bench("run", "--method", path, "--limit", "2", runs=tmp_path / "runs")
    assert result.code == 2 and len(result.err.splitlines()) == 1 and not (tmp_path / "runs").exists()


def test_other_code_under_one_name_has_a_row_and_a_folder_of_its_own(base: Path, tmp_path: Path) -> None:
    data_file, runs = things(base), tmp_path / "runs"
    command = ["--data", data_file, "--json"]
    found = []
    for colour in ("90", "190"):
        method = method_file(tmp_path, GREY.replace("90", colour))
        for seed in (0, 1):
            result = bench("run", "--method", method, "--seed", seed, *command, runs=runs)
            assert result.code == 0, result.err
            found.append(result.json)
    sha256 = [record["method"]["source"] for record in found]
    assert sha256[0] == sha256[1] != sha256[2] == sha256[3] and len({record["identity"] for record in found}) == 4
    assert len(list(runs.rglob("record.json"))) == 4 and not list(runs.rglob("*.old-*"))
    suite = found[0]["suite"]["name"]
    rows = [row for row in bench("table", "--suite", suite, "--json", runs=runs).json if row["method"] == "plain"]
    assert {row["source"] for row in rows} == set(sha256) and all(row["seeds"] == [0, 1] for row in rows)
    shown = bench("table", "--suite", suite, "--format", "md", runs=runs).out
    assert all(f"plain (code sha256={one[:12]})" in shown for one in sha256)
    (old,) = [path.parent for path in runs.rglob("seed0*/record.json") if sha256[0] in path.read_text()]
    stale = bench("score", old, "--trust-method")
    assert stale.code == 2 and "was made by other code than" in stale.err and str(old) in stale.err


# ----------------------------------------------------------------------------------------------------- hashes of files


def test_a_hash_is_of_the_content_and_not_of_what_any_program_can_set(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "w.safetensors"
    path.write_bytes(bytes(300_000))
    before, state = locate.hash_of(path), path.stat()
    assert locate.hash_of(path) == before
    with open(path, "r+b") as file:
        file.seek(150_001)
        file.write(b"x")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    now = path.stat()
    assert (now.st_ino, now.st_size, now.st_mtime_ns) == (state.st_ino, state.st_size, state.st_mtime_ns)
    after = locate.hash_of(path)
    assert after != before
    true = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **more: state if self == path else true(self, **more))
    for place in (0, 299_999, 300_000 * 7 // 15):  # another file with all the same numbers
        path.write_bytes(bytes(300_000))
        assert locate.hash_of(path) == before
        with open(path, "r+b") as file:
            file.seek(place)
            file.write(b"y")
        assert locate.hash_of(path) not in (before, after)


@pytest.mark.parametrize("damage", [lambda old: b"", lambda old: old[:30], lambda old: bytes([old[0] ^ 1]) + old[1:]])
def test_what_is_remembered_of_a_hash_is_checked(tmp_path: Path, monkeypatch: Patch, damage: Any) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "w").write_bytes(b"weights")
    before = locate.hash_of(tmp_path / "w")
    (memory,) = (tmp_path / "cache" / "hashes").iterdir()
    memory.write_bytes(damage(memory.read_bytes()))
    assert locate.hash_of(tmp_path / "w") == before


def test_a_clip_is_told_apart_by_all_that_it_holds() -> None:
    from benchmark.clips import Clip

    sound, frame = np.zeros(1600, np.float32), np.zeros((2, 2, 3), np.uint8)

    def identity(
        labels: tuple[str, ...] = ("dog",), visible: Any = None, content: Any = ("s", "f"), name: str = "a"
    ) -> str:
        clip = Clip(name, sound, frame, labels, "test", {}, visible)
        return clips_identity([clip], ["dog", "cat"], [content])

    keys = [
        identity(),
        identity(("cat",)),
        identity(("dog", "cat")),
        identity(visible=("dog",)),
        identity(content=("t", "f")),
        identity(content=("s", "g")),
        identity(name="b"),
    ]
    assert len(set(keys)) == len(keys)
