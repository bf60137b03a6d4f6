"""Files that prove their contents: checked whenever they are read, and made anew where they are damaged.

A sealed file is any file (an array, a training state) with one more line at its end, which its readers do not see:

    sealed <32 hex: hash of what the file is for> <32 hex: checksum of that and of all bytes before this line>

So a flipped bit, a missing part and the file of something else are all found, and no second file can be out of step.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import xxhash

from benchmark.utils.files import digest, open_ordinary, save_atomic

if TYPE_CHECKING:
    import numpy as np

PIECE = 2**20
LENGTH = len("\nsealed \n") + 2 * 32 + 1


class Damaged(Exception):
    """A stored file is not what was written; the message is the predicate of a sentence about it."""


def checksum_of(path: Path) -> str:
    """Return the checksum of a file's bytes: xxh3_128, 32 hex digits. It finds damage, not malice."""
    with open_ordinary(path) as file:
        return _checksum(file)


def checksum(data: bytes) -> str:
    """Return the same checksum of bytes."""
    return xxhash.xxh3_128_hexdigest(data)


def why_damaged(path: Path, expected: str) -> str | None:
    """Return what is wrong with a file, as the predicate of a sentence; None if `expected` is its checksum."""
    try:
        found = checksum_of(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if found == expected:
        return None
    return "is not what was written" if path.stat().st_size else "is empty"


def save(path: Path, key: Any, write: Callable[[Path], Any]) -> None:
    """Write a sealed file, atomically.

    Args:
        path: The file.
        key: What it is for: JSON values.
        write: Writes the contents to the path that it is given.
    """

    def sealed(temporary: Path) -> None:
        write(temporary)
        purpose = digest(key)[:32]
        with open(temporary, "rb+") as file:
            file.write(f"\nsealed {purpose} {_checksum(file, purpose=purpose)}\n".encode())

    save_atomic(path, sealed)


def opened(path: Path, key: Any) -> BinaryIO:
    """Open a sealed file for reading, at its start, after the comparison of key and checksum.

    Raises:
        Damaged: It is not whole, or for something else.
        FileNotFoundError: It is missing.
    """
    try:
        file = open_ordinary(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(f"cannot be read ({error.strerror or error})") from error
    try:
        _check(file, digest(key)[:32])
    except BaseException:
        file.close()
        raise
    return file


def array(path: Path, key: Any, write: Callable[[Path], Any], warn: Callable[[str], None]) -> np.ndarray:
    """Return a stored array as a memory map, after it was checked; it is made where it is missing or damaged.

    What was checked is what is mapped, even if another process replaces the file meanwhile.

    Args:
        path: The file (.npy).
        key: All that the array depends on: JSON values.
        write: Makes the array and writes it, in numpy's format, to the path that it is given.
        warn: Is told of damage, in one line.
    """
    try:
        file = opened(path, key)
    except FileNotFoundError:
        save(path, key, write)
        file = opened(path, key)
    except Damaged as damage:
        warn(f"{path} {damage}: it is made anew")
        save(path, key, write)
        file = opened(path, key)
    with file:
        return _mapped(file)


def _mapped(file: BinaryIO) -> np.ndarray:
    import numpy as np

    np.lib.format.read_magic(file)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def _check(file: BinaryIO, purpose: str) -> None:
    size = file.seek(0, 2)
    if not size:
        raise Damaged("is empty")
    file.seek(max(0, size - LENGTH))
    found = re.fullmatch(rb"\nsealed ([0-9a-f]{32}) ([0-9a-f]{32})\n", file.read())
    if found is None:
        raise Damaged("has no checksum (it is cut short, or an older version wrote it)")
    file.seek(0)
    stated, expected = (part.decode() for part in found.groups())
    if _checksum(file, size - LENGTH, stated) != expected:
        raise Damaged("is not what was written")
    if stated != purpose:
        raise Damaged("is the file of something else")
    file.seek(0)


def _checksum(file: BinaryIO, size: int | None = None, purpose: str = "") -> str:
    """The checksum of a text and of the next `size` bytes (None: of all that follow)."""
    text = xxhash.xxh3_128(purpose.encode())
    while piece := file.read(PIECE if size is None else min(PIECE, size)):
        text.update(piece)
        size = None if size is None else size - len(piece)
    return text.hexdigest()
