"""Downloads are whole or not there: broken, refused, changed and resumed transfers against a server of our own."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import worlds

from benchmark.utils.errors import RunError
from benchmark.utils.progress import Silent
from benchmark.weights import catalog
from benchmark.weights import download as module
from benchmark.weights.catalog import File
from benchmark.weights.download import DiskFull, SourceError, download

DATA = bytes(range(256)) * 4096
SHA = hashlib.sha256(DATA).hexdigest()


class Server:
    """What it offers, how it behaves, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/whole": DATA}
        self.tag = '"1"'
        self.breaks_after: list[int] = []
        """Bytes after which the next answers break off, one a request."""
        self.codes: list[int] = []
        """Codes of the next answers instead of the file."""
        self.ranges = True
        self.web_page = False
        self.asked: list[str | None] = []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, str]]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            state.asked.append(self.headers.get("Range"))
            data = state.files.get(self.path)
            if state.codes or data is None:
                self.send_error(state.codes.pop(0) if state.codes else 404)
                return
            start, partial = 0, False
            asked = self.headers.get("Range")
            if state.ranges and asked and self.headers.get("If-Range", state.tag) == state.tag:
                start, partial = int(asked.removeprefix("bytes=").rstrip("-")), True
                if start >= len(data):
                    self.send_error(416)
                    return
            self.send_response(206 if partial else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.send_header("Content-Type", "text/html" if state.web_page else "application/octet-stream")
            self.send_header("ETag", state.tag)
            if partial:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            body = data[start:]
            if state.breaks_after:
                body = body[: state.breaks_after.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that leaves is part of these tests."""

    monkeypatch.setattr(module, "PAUSE", 0.0)
    with Quiet(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield state, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def left(folder: Path) -> set[str]:
    """Files that a user would see."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_broken_transfer_goes_on_where_it_broke(server: tuple[Server, str], tmp_path: Path) -> None:
    state, url = server
    state.breaks_after = [1000, 2000]
    download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt", sha256=SHA, size=len(DATA)))
    assert (tmp_path / "w.pt").read_bytes() == DATA and left(tmp_path) == {"w.pt"}
    assert state.asked == [None, "bytes=1000-", "bytes=3000-"]


def test_the_next_call_goes_on_too_and_nothing_half_is_taken_for_whole(
    server: tuple[Server, str], tmp_path: Path
) -> None:
    state, url = server
    state.breaks_after = [100] * module.ATTEMPTS
    file = File(name="w.pt")
    with pytest.raises(SourceError, match=f"broke off after 400 of {len(DATA)} bytes; the same command continues"):
        download(f"{url}/whole", tmp_path / "w.pt", file)
    assert left(tmp_path) == {"w.pt.part", "w.pt.part.from"}
    download(f"{url}/whole", tmp_path / "w.pt", file)
    assert state.asked[-1] == "bytes=400-"
    assert (tmp_path / "w.pt").read_bytes() == DATA and left(tmp_path) == {"w.pt"}


def test_the_rest_of_another_version_is_not_put_behind_a_beginning(server: tuple[Server, str], tmp_path: Path) -> None:
    state, url = server
    state.breaks_after = [100] * module.ATTEMPTS
    with pytest.raises(SourceError):
        download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt"))
    state.files["/whole"], state.tag = DATA[::-1], '"2"'
    download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt"))
    assert (tmp_path / "w.pt").read_bytes() == DATA[::-1]


def test_a_server_without_ranges_sends_everything_again(server: tuple[Server, str], tmp_path: Path) -> None:
    state, url = server
    state.ranges, state.breaks_after = False, [5000]
    download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt", sha256=SHA))
    assert (tmp_path / "w.pt").read_bytes() == DATA


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server: tuple[Server, str], tmp_path: Path) -> None:
    _, url = server
    (tmp_path / "w.pt.part").write_bytes(DATA + b"more")
    download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt", sha256=SHA))
    assert (tmp_path / "w.pt").read_bytes() == DATA


def test_other_bytes_than_were_published_are_thrown_away(server: tuple[Server, str], tmp_path: Path) -> None:
    _, url = server
    with pytest.raises(SourceError, match="gave other bytes than were published"):
        download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt", sha256="0" * 64))
    with pytest.raises(SourceError, match=f"offers {len(DATA)} bytes instead of the published 7"):
        download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt", size=7))
    assert not left(tmp_path)


@pytest.mark.parametrize(
    ("codes", "path", "said", "requests"),
    [
        ([], "/none", r"does not have it \(404\)", 1),
        ([403], "/whole", r"refuses it \(403\)", 1),
        ([503] * 9, "/whole", "answers 503", module.ATTEMPTS),
    ],
)
def test_refusals_are_one_clear_line(
    server: tuple[Server, str], tmp_path: Path, codes: list[int], path: str, said: str, requests: int
) -> None:
    state, url = server
    state.codes = codes
    with pytest.raises(SourceError, match=said):
        download(url + path, tmp_path / "w.pt", File(name="w.pt"))
    assert len(state.asked) == requests and not left(tmp_path)


def test_a_web_page_is_no_file(server: tuple[Server, str], tmp_path: Path) -> None:
    state, url = server
    state.web_page = True
    with pytest.raises(SourceError, match="web page"):
        download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt"))


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with pytest.raises(SourceError, match="does not answer: .*refused"):
        download("http://127.0.0.1:9/w.pt", tmp_path / "w.pt", File(name="w.pt"))


def test_a_full_disk_is_said_before_anything_is_written(
    server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = server
    monkeypatch.setattr(module, "free_space", lambda path: 10)
    with pytest.raises(DiskFull, match=r"GB left, w.pt needs .* make room"):
        download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt"))
    assert not left(tmp_path)


def test_a_disk_that_fills_up_keeps_what_was_done(
    server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, url = server

    def full(answer: Any) -> Iterator[bytes]:
        yield answer.read(1000)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(DiskFull, match="the same command continues"):
        patch.setattr(module, "_blocks", full)
        download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt"))
    download(f"{url}/whole", tmp_path / "w.pt", File(name="w.pt"))
    assert state.asked[-1] == "bytes=1000-" and (tmp_path / "w.pt").read_bytes() == DATA


# -------------------------------------------------------------------------------------------------- networks, the verb


def manifest(folder: Path, monkeypatch: pytest.MonkeyPatch, *sources: str, sha256: str | None = SHA) -> Path:
    """A weights.toml of one network, `w`; BENCH_WEIGHTS is `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.toml"
    known = f', sha256 = "{sha256}"' if sha256 else ""
    path.write_text(
        f'[w]\ntitle = "W"\nuse = "tests"\nlicence = "MIT"\nhome = "https://example.org"\n'
        f"sources = {json.dumps(sources)}\n"
        f'files = [{{ name = "w.pt"{known} }}]\n'
    )
    monkeypatch.setattr(catalog, "MANIFEST", path)
    monkeypatch.setenv("BENCH_WEIGHTS", str(folder / "weights"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return folder / "weights" / "w" / "w.pt"


def test_mirrors_are_tried_in_order(
    server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, url = server
    state.files["/wrong/w.pt"], state.files["/other-name"] = b"wrong", DATA
    path = manifest(tmp_path, monkeypatch, f"{url}/none/{{}}", f"{url}/wrong/{{}}", f"{url}/other-name")
    result = worlds.bench("fetch", "w", "--json")
    assert result.code == 0, result.err
    assert result.json == [{"name": "w", "state": "fetched", "path": str(path.parent), "sha256": SHA}]
    assert "does not have it (404)" in result.err and "other bytes" in result.err
    asked = len(state.asked)
    assert worlds.bench("fetch", "w", "--json").json[0]["state"] == "there" and len(state.asked) == asked


def test_all_mirrors_fail(server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, url = server
    path = manifest(tmp_path, monkeypatch, f"{url}/none/{{}}", f"{url}/nothing/{{}}")
    result = worlds.bench("fetch", "w")
    lines = [line for line in result.err.splitlines() if line.startswith("bench: ")]
    assert result.code == 1 and len(lines) == 3 and not path.exists()
    assert "/none" in lines[0] and "/nothing" in lines[1] and "https://example.org" in lines[2]


def test_a_damaged_file_is_fetched_again(
    server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = server
    path = manifest(tmp_path, monkeypatch, f"{url}/whole")
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA[:-1])
    assert worlds.bench("fetch", "w").code == 0 and path.read_bytes() == DATA


def test_offline_nothing_is_asked_for(
    server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, url = server
    path = manifest(tmp_path, monkeypatch, f"{url}/whole", sha256=None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = worlds.bench("fetch", "w")
    assert result.code == 1 and not state.asked
    assert "w is not on this machine" in result.err and "HF_HUB_OFFLINE" in result.err
    # A file put there by hand is used, with or without a published hash.
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    assert worlds.bench("fetch", "w", "--json").json[0]["sha256"] == SHA


def test_an_unknown_network_is_named(tmp_path: Path) -> None:
    result = worlds.bench("fetch", "wav2clap")
    assert result.code == 2 and "did you mean 'wav2clip'" in result.err
    assert "nothing to fetch" in worlds.bench("fetch", "--suite", "mini").err


HUB = "hf://spaces/owner/name@main/models/{}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("RepositoryNotFoundError", "does not have models/w.pt"),
        ("RemoteEntryNotFoundError", "does not have models/w.pt"),
        ("GatedRepoError", "requires that its terms be accepted on https://huggingface.co/owner/name"),
        ("LocalEntryNotFoundError", "does not answer"),
        ("OSError", "no space left"),
        ("ValueError", "does not answer"),
    ],
)
def test_what_the_hub_says_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, said: str) -> None:
    import huggingface_hub
    from huggingface_hub import errors

    def get(*arguments: Any, **options: Any) -> str:
        if error == "OSError":
            raise OSError(28, "No space left on device")
        if error in ("ValueError", "LocalEntryNotFoundError"):
            raise getattr(errors, error, ValueError)("no")
        raise getattr(errors, error)("no", response=SimpleNamespace(status_code=404, headers={}, request=None))

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, timeout: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", get)
    manifest(tmp_path, monkeypatch, HUB)
    with pytest.raises(RunError, match=said):
        module.fetch(catalog.networks().values(), Silent())


def test_files_of_the_hub_stay_in_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    snapshot = cache / "spaces--owner--name" / "snapshots" / "c0ffee"
    asked = []

    def get(repo: str, path: str, *, repo_type: str, revision: str, force_download: bool, local_dir: None) -> str:
        asked.append((repo, path, repo_type, revision, force_download))
        blob = cache / "spaces--owner--name" / "blobs" / SHA
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(DATA if force_download else b"damaged")
        (snapshot / path).parent.mkdir(parents=True, exist_ok=True)
        if not (snapshot / path).exists():
            (snapshot / path).symlink_to(blob)
        (cache / "spaces--owner--name" / "refs").mkdir(exist_ok=True)
        (cache / "spaces--owner--name" / "refs" / revision).write_text("c0ffee")
        return str(snapshot / path)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, timeout: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", get)
    manifest(tmp_path, monkeypatch, HUB, sha256=None)  # the blob's name is its hash
    rows = module.fetch(catalog.networks().values(), Silent())
    assert rows == [{"name": "w", "state": "fetched", "path": str(snapshot / "models"), "sha256": SHA}]
    assert asked == [("owner/name", "models/w.pt", "space", "main", again) for again in (False, True)]
    assert module.fetch(catalog.networks().values(), Silent())[0]["state"] == "there" and len(asked) == 2


def test_a_hub_that_does_not_answer_is_given_up_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a, **k: pytest.fail("would try for minutes"))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub, "hf_hub_url", lambda *a, **k: f"{address}/owner/name/resolve/main/w.pt")
        manifest(tmp_path, monkeypatch, HUB)
        result = worlds.bench("fetch", "w")
    assert result.code == 1
    lines = result.err.splitlines()
    assert len(lines) == 2 and "hf://spaces/owner/name@main/models does not answer" in lines[0]
    assert "put it into" in lines[1]
