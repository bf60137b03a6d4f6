"""The hashes of the image files that a record scored: `images.json`, an object of sha256 by file name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmark.records.record import ImagesRef
from benchmark.utils.errors import UserError
from benchmark.utils.files import digest, read_ordinary, sha256_of, write_atomic

MAX_BYTES = 1 << 26
SUFFIX = ".images.json"


def images_path(record: Path) -> Path:
    """Return where the hashes lie: `images.json` in a run's folder, `<name>.images.json` in results."""
    return record.with_name("images.json") if record.name == "record.json" else record.with_suffix(SUFFIX)


def hash_images(paths: Iterable[Path]) -> dict[str, str]:
    """Return the sha256 of the bytes of each image file by its name, sorted; what is no file is left out."""
    return {path.name: sha256_of(path) for path in sorted(paths) if path.is_file()}


def reference(hashes: Mapping[str, str]) -> ImagesRef:
    """Return what a record says of images: their number, and one sha256 over the sorted (name, sha256) pairs."""
    return ImagesRef(count=len(hashes), sha256=digest([list(pair) for pair in sorted(hashes.items())]))


def write_images(path: Path, hashes: Mapping[str, str]) -> None:
    """Write the hashes atomically, a line an image."""
    write_atomic(path, json.dumps(dict(sorted(hashes.items())), indent=0, ensure_ascii=False) + "\n")


def read_images(path: Path) -> dict[str, str]:
    """Read the hashes.

    Raises:
        UserError: The file cannot be read, is over 64 MiB, or is not an object of sha256 by plain file name.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: has over {MAX_BYTES >> 20} MiB, more than any list of images")
        found = json.loads(read_ordinary(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: not an object of sha256 by file name")
    for name, sha256 in found.items():
        if "/" in name or "\\" in name or name.startswith(".") or not name.endswith(".png"):
            raise UserError(f"{path}: {name!r} is not the name of an image file")
        if not (isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)):
            raise UserError(f"{path}: the sha256 of {name!r} is not 64 hexadecimal digits")
    return found
