"""Atomic writing of files (each appears whole or not at all), and hashes that identify them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`.

    When the block succeeds, the temporary file is synced and replaces `path`; otherwise it is removed. What killed
    processes left in the same folder is removed, too, when this process first writes there. Without `sync` a power cut
    may leave a file empty: for thousands of small files that can be made again.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent.resolve())
    handle, temporary = _part(path)
    try:
        yield temporary
        if sync:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        if fcntl is None:
            os.close(handle)  # Windows renames no open file
            handle = -1
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if handle >= 0:
            os.close(handle)


def _part(path: Path) -> tuple[int, Path]:
    """Make a temporary file beside `path`; as long as the handle is open, it is seen to be in use."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        if fcntl is None:
            return handle, Path(name)
        with contextlib.suppress(OSError):  # some network file systems know no locks: there nothing is swept
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # swept by another process before it was locked


@cache
def _sweep(folder: Path) -> None:
    """Remove the temporary files in `folder` whose process has ended: the system frees a file's lock with it."""
    if fcntl is None:
        return
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError), open(part, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str, *, sync: bool = True) -> None:
    """Write `data` (text as UTF-8) to `path` atomically; its folder is created if necessary. `sync` as `replacing`."""
    with replacing(path, sync=sync) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def save_atomic(path: Path, save: Callable[[Path], Any]) -> None:
    """Call `save(temporary path)`, and atomically move the file that it wrote to `path`."""
    with replacing(path) as temporary:
        save(temporary)


def write_rows(path: Path, shape: tuple[int, ...], dtype: Any, blocks: Iterable[Any]) -> None:
    """Write an array to `path` (.npy) from consecutive blocks of its rows.

    The file is written, not memory-mapped: on a full disk a mapped file ends the process (SIGBUS) instead of raising
    OSError.

    Args:
        path: The .npy file.
        shape: Shape of the whole array.
        dtype: Type of its elements, to which every block is converted.
        blocks: Arrays whose concatenated rows are the whole array.
    """
    import numpy as np

    wanted = np.dtype(dtype)
    with open(path, "wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(wanted), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.writelines(np.ascontiguousarray(block, dtype=wanted).data for block in blocks)


class SpecialFile(OSError):
    """A pipe, a device or a socket where a file is wanted: to read it may never end."""


def absent(path: Path) -> str:
    """Say of a path where neither a file nor a folder is: "does not exist", or that a pipe or device stands there."""
    return "is a pipe, a device or a socket" if path.exists() else "does not exist"


def open_ordinary(path: Path) -> io.BufferedReader:
    """Open a regular file for reading: whatever somebody has put in a file's place, this returns and reading ends.

    Raises:
        OSError: It cannot be opened.
        SpecialFile: It is no regular file.
    """
    # Not waiting: to open a pipe that nobody writes to takes for ever. The caller closes the file.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))  # noqa: SIM115
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise SpecialFile(errno.EINVAL, "not a regular file", str(path))


def copy_ordinary(source: Path, copy: Path) -> None:
    """Copy the bytes of a file. Raises OSError as `open_ordinary`."""
    with open_ordinary(source) as file, open(copy, "wb") as made:
        shutil.copyfileobj(file, made)


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file of at most `most` bytes.

    Raises:
        OSError: It cannot be read, is larger, or is no regular file.
    """
    with open_ordinary(path) as file:
        data = file.read(most + 1) if os.fstat(file.fileno()).st_size <= most else None
    if data is None or len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most / 1e6:,.0f} MB", str(path))
    return data


def read_json(path: Path, most: int = 64_000_000) -> Any:
    """Return the value of a JSON file.

    Raises:
        OSError: As `read_file`.
        ValueError: It is not JSON, or nested too deep.
    """
    try:
        return json.loads(read_file(path, most))
    except RecursionError:
        raise ValueError("nested too deep") from None


def special_file(path: Path) -> str | None:
    """Return "a pipe", "a device" or "a socket" for a path that is one, as reading it may never end; else None."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def read_ordinary(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        OSError: The file cannot be read, or is no regular file.
    """
    with open_ordinary(path) as file:
        return file.read()


def refuse_special(path: Path) -> None:
    """Raise OSError for a pipe, a device or a socket."""
    if kind := special_file(path):
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """Return `value` as JSON with sorted keys and no spaces, the text that identities are hashed from.

    Raises:
        ValueError: `value` contains NaN or an infinite number.
    """
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """Return the sha256 (hex) of `value`'s canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes. Raises OSError as `read_ordinary`."""
    with open_ordinary(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
