"""Atomic writing of files (each appears whole or not at all), and hashes that identify them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`.

    When the block succeeds, the temporary file is synced and replaces `path`; otherwise it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` (text as UTF-8) to `path` atomically; its folder is created if necessary."""
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def save_atomic(path: Path, save: Callable[[Path], Any]) -> None:
    """Call `save(temporary path)`, and atomically move the file that it wrote to `path`."""
    with replacing(path) as temporary:
        save(temporary)


def save_rows(path: Path, shape: tuple[int, ...], dtype: Any, blocks: Iterable[Any]) -> None:
    """Write an array to `path` (.npy) from consecutive blocks of its rows, atomically.

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

    def save(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(wanted), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.writelines(np.ascontiguousarray(block, dtype=wanted).data for block in blocks)

    save_atomic(path, save)


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
        OSError: The file cannot be read, or is a pipe, a device or a socket.
    """
    refuse_special(path)
    return Path(path).read_bytes()


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
    refuse_special(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
