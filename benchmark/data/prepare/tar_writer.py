"""Shards in the WebDataset format: tar files in which a clip's files are adjacent and named `<clip>.<suffix>`."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.utils.files import replacing

BLOCK = 512


class ShardWriter:
    """Writer that adds clips to a tar file. Equal contents give equal bytes.

    Args:
        tar: Tar file in USTAR format, opened for writing.
    """

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, key: str, files: Mapping[str, bytes]) -> dict[str, int]:
        """Add a clip.

        Args:
            key: Name of the clip.
            files: Contents of its files by suffix.

        Returns:
            Offset of each file's contents in the shard, in bytes, by suffix.
        """
        places = {}
        for suffix, data in files.items():
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size = len(data)
            places[suffix] = self._tar.offset + BLOCK
            self._tar.addfile(member, io.BytesIO(data))
        return places


@contextlib.contextmanager
def writing(path: Path) -> Iterator[ShardWriter]:
    """Yield a writer of the shard `path`, which appears whole if the block succeeds and not at all otherwise."""
    # USTAR has exactly one header block before each file, which makes offsets predictable.
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        yield ShardWriter(tar)
