"""Shards in the WebDataset format: tar files in which the files of a clip stand together, named `<clip>.<suffix>`."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.utils.files import replacing

BLOCK = 512


class ShardWriter:
    """Adds clips to a tar file. Equal contents give equal bytes."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, key: str, files: Mapping[str, bytes]) -> dict[str, int]:
        """Add the clip's files by suffix; returns where in the shard each one's bytes begin."""
        places = {}
        for suffix, data in files.items():
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size = len(data)
            places[suffix] = self._tar.offset + BLOCK
            self._tar.addfile(member, io.BytesIO(data))
        return places


@contextlib.contextmanager
def writing(path: Path) -> Iterator[ShardWriter]:
    """A writer of the shard `path`, which appears whole when the block ends well and not at all otherwise."""
    with replacing(path) as temporary:
        # USTAR: exactly one header block before each file, so that its place is known.
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            yield ShardWriter(tar)
