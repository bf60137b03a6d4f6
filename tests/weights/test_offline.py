"""Weights for a machine without network: listed, packed elsewhere, recognised by their hash; wrong folders."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mirror
import pytest
import worlds

from benchmark.weights import catalog, locate, remarks

COMMIT = "c" * 40
BEATS, MODEL = b"beats" * 1000, b"model" * 2000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A server with a network at a plain link and one on the hub; a machine that has neither."""
    files = {
        "plain/beats.pt": BEATS,
        "owner/sd/unet/model.safetensors": MODEL,
        "owner/sd/model_index.json": b"{}",
    }
    for name, data in files.items():
        path = tmp_path / "server" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in ("BENCH_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty" / name))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("BENCH_WEIGHTS", raising=False)
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "empty" / "hub"))
    with mirror.serving(tmp_path / "server") as (address, asked):
        monkeypatch.setattr(f"{constants}.ENDPOINT", address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
        manifest = tmp_path / "weights.toml"
        manifest.write_text(
            '[beats]\ntitle = "BEATs"\nuse = "tests"\nlicence = "MIT"\nhome = "https://example.org"\n'
            f'sources = ["{address}/plain/{{}}"]\n'
            f'files = [{{ name = "beats.pt", size = {len(BEATS)}, sha256 = "{sha256(BEATS)}" }}]\n'
            '[sd]\ntitle = "SD"\nuse = "tests"\nlicence = "RAIL"\nhome = "https://example.org"\nabout = 10_000\n'
            f'sources = ["hf://owner/sd@{COMMIT}/{{}}"]\n'
            'files = [{ name = "model_index.json" }, { name = "unet/model.safetensors" }]\n'
        )
        monkeypatch.setattr(catalog, "MANIFEST", manifest)
        yield address, asked


def test_a_folder_is_filled_that_another_machine_takes(
    served: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, asked = served
    packed = tmp_path / "packed"
    result = worlds.bench("fetch", "beats", "sd", "--to", packed, "--json")
    assert result.code == 0, result.err
    assert [(row["name"], row["state"], row["path"]) for row in result.json] == [
        ("beats", "fetched", str(packed / "beats")),
        ("sd", "fetched", str(packed / "sd")),
    ]
    there = {str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file()}
    wanted = {"SHA256SUMS", "beats/beats.pt", "sd/model_index.json", "sd/unet/model.safetensors"}
    assert {name for name in there if not name.endswith(".lock")} == wanted
    assert not (tmp_path / "empty" / "BENCH_CACHE" / "weights").exists(), "nothing goes where this machine looks"
    sums = dict(reversed(line.split("  ")) for line in (packed / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: sha256((packed / name).read_bytes()) for name in wanted - {"SHA256SUMS"}}

    # again: nothing is asked for
    before = len(asked)
    assert {row["state"] for row in worlds.bench("fetch", "beats", "sd", "--to", packed, "--json").json} == {"there"}
    assert len(asked) == before

    # the other machine
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "other"))
    assert worlds.bench("fetch", "beats", "sd").code == 1
    monkeypatch.setenv("BENCH_WEIGHTS", str(packed))
    rows = worlds.bench("fetch", "beats", "sd", "--json").json
    assert [row["state"] for row in rows] == ["there", "there"] and len(asked) == before
    assert remarks.on_folder(list(catalog.networks().values())) == []


def test_what_is_on_this_machine_is_copied(served: tuple[str, list[str]], tmp_path: Path) -> None:
    _, asked = served
    assert worlds.bench("fetch", "beats").code == 0
    before = len(asked)
    (row,) = worlds.bench("fetch", "beats", "--to", tmp_path / "packed", "--json").json
    assert row["state"] == "copied" and row["sha256"] == sha256(BEATS) and len(asked) == before
    assert (tmp_path / "packed" / "beats" / "beats.pt").read_bytes() == BEATS
    (tmp_path / "packed" / "beats" / "beats.pt").write_bytes(b"half")
    (row,) = worlds.bench("fetch", "beats", "--to", tmp_path / "packed", "--json").json
    assert row["state"] == "copied" and (tmp_path / "packed" / "beats" / "beats.pt").read_bytes() == BEATS


def test_a_mirror_is_asked_first(
    served: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = served
    assert worlds.bench("fetch", "beats", "sd", "--to", tmp_path / "server" / "lab").code == 0
    asked.clear()
    monkeypatch.setenv("BENCH_MIRROR", f"{address}/lab/")
    (row, other) = worlds.bench("fetch", "beats", "sd", "--json").json
    assert row["state"] == other["state"] == "fetched" and all(path.startswith("/lab/") for path in asked)
    assert Path(other["path"]) == locate.folder() / "sd"
    monkeypatch.setenv("BENCH_MIRROR", "/somewhere")
    wrong = worlds.bench("fetch", "beats", "--to", tmp_path / "new")
    assert wrong.code == 0, "what is here needs no mirror"
    wrong = worlds.bench("fetch", "beats", "--list")
    assert wrong.code == 2 and "BENCH_MIRROR='/somewhere' is not an address" in wrong.err


def test_every_file_is_listed(served: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = served
    rows = worlds.bench("fetch", "beats", "sd", "--list", "--json").json
    assert [row["file"] for row in rows] == ["beats.pt", "model_index.json", "unet/model.safetensors"]
    assert rows[0]["sha256"] == sha256(BEATS) and rows[0]["size"] == len(BEATS) and rows[0]["state"] == "missing"
    assert rows[0]["goes_to"] == str(locate.folder() / "beats" / "beats.pt")
    assert rows[2]["addresses"] == [f"{address}/owner/sd/resolve/{COMMIT}/unet/model.safetensors"]
    assert rows[2]["sha256"] is None and rows[2]["about"] == 10_000 and not asked
    lines = worlds.bench("fetch", "beats", "sd", "--list", "--to", tmp_path / "packed").out.splitlines()
    assert lines[0] == "beats: BEATs; MIT" and lines[1] == f"  beats.pt, {len(BEATS):,} bytes"
    assert f"    goes to {tmp_path / 'packed' / 'sd' / 'unet' / 'model.safetensors'}" in lines
    # done by hand with these lines alone
    for row in rows:
        Path(row["goes_to"]).parent.mkdir(parents=True, exist_ok=True)
        urllib.request.urlretrieve(row["addresses"][0], row["goes_to"])
    states = [row["state"] for row in worlds.bench("fetch", "beats", "sd", "--list", "--json").json]
    assert states == ["there"] * 3


def test_a_file_of_another_name_is_recognised_by_its_hash(
    served: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    (folder / "audio").mkdir(parents=True)
    (folder / "audio" / "BEATs (1).pt").write_bytes(BEATS)
    (folder / "of the same size").write_bytes(bytes(len(BEATS)))
    one = catalog.network("beats")
    assert locate.located(one) is None
    monkeypatch.setenv("BENCH_WEIGHTS", str(folder))
    root = locate.located(one)
    assert root is not None and (root / "beats.pt").read_bytes() == BEATS and not locate.wrong(one, root)
    assert locate.linked(one, root) == str(folder / "audio" / "BEATs (1).pt")
    assert remarks.on_folder([one]) == []
    with monkeypatch.context() as patch:
        patch.setattr(locate, "_sized", lambda file, one: pytest.fail("looked for again"))
        assert locate.located(one) == root
    (folder / "audio" / "BEATs (1).pt").write_bytes(BEATS[::-1])
    assert locate.wrong(one, root), "another content is not taken for it"
    (folder / "audio" / "BEATs (1).pt").unlink()
    assert locate.located(one) is None


def laid(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"{}")
    return folder


SD = ("model_index.json", "unet/model.safetensors")


@pytest.mark.parametrize(
    ("make", "named", "words"),
    [
        (lambda folder: folder, "gone", "which does not exist"),
        (lambda folder: laid(folder, "w"), "w", "which is a file: name the folder that contains beats/beats.pt"),
        (lambda folder: laid(folder, "x/other.bin"), "x", "contains none of the networks"),
        (lambda folder: laid(folder, *(f"x/{name}" for name in SD)), "x", "is the folder of sd itself"),
        (lambda folder: laid(folder, "beats/beats.pt"), "beats", "is the folder of beats itself"),
        (lambda folder: laid(folder, "x/weights/beats/beats.pt"), "x", "the networks lie in"),
        (lambda folder: laid(folder, *(f"x/sd14/{name}" for name in SD)), "x", "files of sd under another name"),
    ],
)
def test_a_wrong_folder_is_remarked_on(
    served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, named: str, words: str
) -> None:
    monkeypatch.setenv("BENCH_WEIGHTS", str(make(tmp_path) / named))
    (remark,) = remarks.on_folder(list(catalog.networks().values()))
    assert words in remark and str(tmp_path / named) in remark


def test_the_remark_is_said_where_a_network_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "wieghts"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    report = worlds.bench("doctor", "--suite", "vggsound", "--json").json
    assert any("wieghts, which does not exist" in note for note in report["notes"])
    beats = next(need for need in report["needs"] if need["name"] == "beats")
    assert [file["size"] for file in beats["files"]] == [363_145_291]
    shown = worlds.bench("doctor", "--suite", "vggsound", "--files").out
    assert f"    sha256  {beats['published']}" in shown.splitlines()
    rows = worlds.write_manifest(tmp_path / "one.csv", [worlds.row(tmp_path, "test", 0)])
    run = ("run", "--suite", "vggsound", "--method", "sd-text", "--data", rows)
    assert "wieghts, which does not exist" in worlds.bench(*run, runs=tmp_path / "runs").err


def test_a_suite_whose_networks_ship_has_nothing_to_list() -> None:
    result = worlds.bench("fetch", "--list")
    assert result.code == 2 and "nothing to fetch" in result.err and "--suite vggsound" in result.err
