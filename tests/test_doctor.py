"""`bench doctor` says what a suite needs, what is here, and where the rest is to be had."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import worlds

from benchmark import doctor
from benchmark.suite import load_suite
from benchmark.utils.progress import Silent
from benchmark.weights import catalog, locate
from benchmark.weights.catalog import HUB, HubAddress


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing was fetched."""
    for name in ("BENCH_WEIGHTS", "TORCH_HOME", "BENCH_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_the_embedded_suite_is_complete(empty: Path) -> None:
    result = worlds.bench("doctor")
    assert result.code == 0 and "wav2clip" in result.out and "there" in result.out
    needs = {need["name"]: need for need in worlds.bench("doctor", "--json").json["needs"]}
    assert needs["inception"]["optional"] and needs["inception"]["state"] == "missing"
    assert needs["clip"]["sha256"] == load_suite("mini").weights["clip"]


def test_what_is_missing_is_listed_with_source_size_and_licence(empty: Path) -> None:
    result = worlds.bench("doctor", "--suite", "vggsound", "--json")
    assert result.code == 1 and "bench fetch --suite vggsound" in result.err
    report = result.json
    needs = {need["name"]: need for need in report["needs"]}
    absent = [need["state"] for name, need in needs.items() if name != "effnetlite0"]  # a package may have brought it
    assert not report["complete"] and set(absent) == {"missing"}
    assert needs["imagebind"]["optional"] and "non-commercial" in needs["imagebind"]["licence"]
    assert needs["audiotoken-embedder"]["optional"] and needs["audiotoken-lora"]["optional"]
    assert report["to_fetch"] == sum(need["size"] for need in needs.values() if not need["optional"]) > 6e9
    assert all(need["sources"] and need["licence"] for need in needs.values())
    assert any(note.startswith("wav2clip: nobody published its sha256") for note in report["notes"])
    text = worlds.bench("doctor", "--suite", "vggsound")
    assert text.code == 1
    for word in ("Open RAIL-M", "4.3 GB", "bench fetch beats", "device", "free"):
        assert word in text.out


def test_there_half_and_wrong(empty: Path) -> None:
    root = Path(locate.folder())
    (root / "beats").mkdir(parents=True)
    (root / "beats" / "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt").write_bytes(b"half of it")
    (root / "Wav2CLIP.pt").write_bytes(b"a file beside the others")
    (root / "stable-diffusion-v1-4").mkdir()
    (root / "stable-diffusion-v1-4" / "model_index.json").write_text("{}")
    needs = {need.name: need for need in doctor.examine(load_suite("vggsound"), Silent()).needs}
    assert needs["beats"].state == "wrong" and "delete it" in needs["beats"].detail
    assert needs["wav2clip"].state == "there" and needs["wav2clip"].sha256 == locate.hash_of(root / "Wav2CLIP.pt")
    assert needs["stable-diffusion-v1-4"].state == "missing"
    assert "unet/config.json" in needs["stable-diffusion-v1-4"].detail


def test_inception_is_found_where_torch_fidelity_keeps_it(empty: Path) -> None:
    one = catalog.network("inception")
    assert locate.target(one) == locate.folder() / "inception"
    path = empty / "TORCH_HOME" / "hub" / "checkpoints" / one.files[0].name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not the real one")
    assert locate.located(one) == path.parent and locate.wrong(one, path.parent)


def test_too_little_room_is_said(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "free_space", lambda path: 10**9)
    report = doctor.examine(load_suite("vggsound"), Silent())
    assert any("1.0 GB left, the downloads need 7.1 GB" in note for note in report.notes)


def test_only_what_a_suite_cannot_do_without_is_fetched_unasked() -> None:
    suite = load_suite("vggsound")
    names = {one.name for one in doctor.required(suite)}
    assert names == {"stable-diffusion-v1-4", "clip-vit-b-32", "clip-vit-l-14", "wav2clip", "inception", "beats"}
    assert [one.name for one in doctor.required(suite, ["imagebind", "audiotoken-lora"])] == [
        "imagebind",
        "audiotoken-lora",
    ]


def test_every_entry_says_what_a_user_must_know() -> None:
    for one in catalog.networks().values():
        assert one.size > 0 and one.sources and one.licence and one.home.startswith("https://")
        for file in one.files:
            assert file.sha256 is None or len(file.sha256) == 64
            for source in one.sources:
                address = source.format(file.name)
                assert not address.startswith(HUB) or HubAddress.of(address).path.endswith(file.name)
    with open(catalog.MANIFEST, "rb") as file:  # type: ignore[assignment]
        assert set(tomllib.load(file)) == set(catalog.networks())  # type: ignore[arg-type]


def test_addresses_on_the_hub() -> None:
    assert HubAddress.of("hf://a/b@main/c/d.pt") == ("model", "a/b", "main", "c/d.pt")
    assert HubAddress.of("hf://spaces/a/b@main/c") == ("space", "a/b", "main", "c")
    assert HubAddress.of("hf://datasets/a/b@" + "0" * 40 + "/c").pinned
    with pytest.raises(ValueError, match="not an address on the hub"):
        HubAddress.of("hf://a/b/c")


def test_a_hash_is_remembered_until_the_file_changes(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = empty / "w.pt"
    path.write_bytes(b"one")
    first = locate.hash_of(path)
    with monkeypatch.context() as patch:
        patch.setattr(locate, "sha256_of", lambda path: pytest.fail("hashed again"))
        assert locate.hash_of(path) == first
    path.write_bytes(b"three")
    assert locate.hash_of(path) != first
