"""Bundles: the runs of a group in one folder or zip, to be sent. They are written whole, and read as from a stranger.

<bundle>/
    manifest.json                 who, when, which runs, and the sha256 of every file below `runs`
    runs/<run>/record.json  scores.parquet  images.json  method.json  human.json  images/*.png  method/<file>.py
    attestations/<who>-<what>.json      who rescored or reproduced it (`attestations.py`)
    *.sig                               signatures of the JSON files beside them
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from benchmark.utils.errors import UserError, listed
from benchmark.utils.files import absent
from benchmark.utils.models import FrozenModel
from benchmark.verification.findings import plain, shown

FORMAT = 1
MANIFEST = "manifest.json"
MAX_FILES = 100_000
MAX_FILE = 1 << 28
MAX_TOTAL = 1 << 35
MAX_RATIO = 200
"""Bytes that a packed file may unpack to, by packed byte, where it is over a mebibyte."""
MAX_DEPTH = 5

NAME = r"[\w][\w .@+-]{0,63}"
"""Who submits or vouches: letters, digits, spaces and . @ + - _."""

Model = TypeVar("Model", bound=FrozenModel)
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class BundleError(UserError):
    """A bundle that is not opened: a line for each thing that is dangerous or broken about it."""


class BundleManifest(FrozenModel):
    """The contents of `manifest.json`."""

    bundle: Literal[1] = 1
    """Version of the format."""
    by: Name
    """Who submits it."""
    made: str
    """When it was made: UTC, ISO 8601."""
    program: str | None
    """Version of this package that wrote it."""
    runs: list[str]
    """Names of the folders below `runs`."""
    files: dict[str, Sha256]
    """sha256 of every file below `runs`, by path."""


class MethodSource(FrozenModel):
    """The contents of `method.json`: where the method's code is."""

    name: str
    """The method's name."""
    kind: Literal["package", "file", "elsewhere"]
    """An installed package, a file in the bundle, or pictures made elsewhere."""
    package: str | None = None
    """Distribution that announces it."""
    version: str | None = None
    """Version of that distribution."""
    target: str | None = None
    """`module:Class`, or the class in the file."""
    file: str | None = None
    """Name of the file in the folder `method`."""
    sha256: Sha256 | None = None
    """sha256 of that file."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are safe to read."""

    source: Path
    """The folder or zip."""
    root: Path
    """The folder that its files are in."""
    files: frozenset[str]
    """Paths of all of its files, those that were not unpacked included."""

    def manifest(self) -> BundleManifest:
        """Read `manifest.json`. Raises UserError if it is missing or wrong."""
        return read_model(BundleManifest, self.root / MANIFEST, MANIFEST)

    def run(self, name: str) -> Path:
        """Return the folder of a run."""
        return self.root / "runs" / name


def read_model(model: type[Model], path: Path, name: str) -> Model:
    """Read a JSON file as a model. Raises UserError, whose lines begin with `name`."""
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError:
        raise UserError(f"{name} is missing") from None
    except ValidationError as error:
        lines = [f"{name}: {'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()]
        raise UserError(listed([plain(line) for line in lines])) from None


def is_bundle(path: Path) -> bool:
    """Return whether a path looks like a bundle, of whatever quality."""
    return (path.is_file() and path.suffix == ".zip") or (path / MANIFEST).is_file()


@contextlib.contextmanager
def opened(path: Path, images: bool = True) -> Iterator[Bundle]:
    """Check the container, and yield the bundle; a zip is unpacked into a folder that goes afterwards.

    Args:
        path: The folder or zip.
        images: Whether the images of a zip are unpacked.

    Raises:
        BundleError: Paths that lead out of it, links, special files, too many or too large files, a damaged zip.
        UserError: There is nothing at `path`.
    """
    if path.is_dir():
        yield Bundle(path, path, _walk(path))
        return
    if not path.is_file():
        raise UserError(f"{path} {absent(path)}: name a bundle, a folder or a zip")
    with tempfile.TemporaryDirectory(prefix="bench-bundle-") as folder:
        yield Bundle(path, Path(folder), _unpack(path, Path(folder), images))


def _walk(root: Path) -> frozenset[str]:
    names: list[str] = []
    problems: list[str] = []
    total = 0
    for folder, folders, files in os.walk(root):  # links are listed, and not followed
        for entry in (*folders, *files):
            path = Path(folder) / entry
            name = path.relative_to(root).as_posix()
            state = path.lstat()
            if why := _bad_name(name):
                problems.append(f"{shown(name)}: {why}")
            elif stat.S_ISREG(state.st_mode):
                names.append(name)
                total += state.st_size
                if state.st_size > MAX_FILE:
                    problems.append(f"{name}: has {state.st_size:,} bytes; at most {MAX_FILE:,}")
            elif not stat.S_ISDIR(state.st_mode):
                kind = "a link" if stat.S_ISLNK(state.st_mode) else "no regular file"
                problems.append(f"{name}: is {kind}")
        if len(names) > MAX_FILES or len(problems) > MAX_FILES:
            raise BundleError(f"{root.name}: has over {MAX_FILES:,} files")
    if total > MAX_TOTAL:
        problems.append(f"{root.name}: has {total:,} bytes in all; at most {MAX_TOTAL:,}")
    if problems:
        raise BundleError(listed(problems))
    return frozenset(names)


def _unpack(path: Path, into: Path, images: bool) -> frozenset[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if problems := _bad_entries(entries):
                raise BundleError(listed(problems))
            for entry in entries:
                if not images and "/images/" in entry.filename:
                    continue
                target = into / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                # a ZipExtFile gives no more than the size that was checked, and fails where the contents are others
                with archive.open(entry) as source, open(target, "xb") as file:
                    shutil.copyfileobj(source, file)
            return frozenset(entry.filename for entry in entries)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BundleError(f"{path.name}: no usable zip: {plain(str(error))}") from error


def _bad_entries(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    if len(entries) > MAX_FILES:
        return [f"the zip has {len(entries):,} files; at most {MAX_FILES:,}"]
    problems: list[str] = []
    seen: set[str] = set()
    for entry in entries:
        name, mode = entry.filename, entry.external_attr >> 16
        if why := _bad_name(name):
            problems.append(f"{shown(name)}: {why}")
        elif name.casefold() in seen:
            problems.append(f"{name}: is there twice")
        elif mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
            problems.append(f"{name}: is {'a link' if stat.S_ISLNK(mode) else 'no regular file'}")
        elif entry.flag_bits & 1:
            problems.append(f"{name}: is encrypted")
        elif entry.file_size > MAX_FILE:
            problems.append(f"{name}: has {entry.file_size:,} bytes; at most {MAX_FILE:,}")
        elif entry.file_size > max(1 << 20, MAX_RATIO * entry.compress_size):
            problems.append(f"{name}: unpacks to {entry.file_size:,} bytes from {entry.compress_size:,}")
        seen.add(name.casefold())
    if (total := sum(entry.file_size for entry in entries)) > MAX_TOTAL:
        problems.append(f"the zip unpacks to {total:,} bytes; at most {MAX_TOTAL:,}")
    return problems


def _bad_name(name: str) -> str | None:
    """Why a path inside a bundle is refused."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        return "leads out of the bundle"
    if "" in parts or any(part.startswith(".") or part.endswith((" ", ".")) for part in parts):
        return "has a name that begins or ends with a dot, or is empty"
    if len(parts) > MAX_DEPTH or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        return "is too deep or too long"
    return None if name.isprintable() else "has control characters in its name"


def add_to_zip(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a file, without the time and the rights that it has here: equal contents give equal bytes."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith((".png", ".parquet")) else zipfile.ZIP_DEFLATED
    archive.writestr(entry, data)
