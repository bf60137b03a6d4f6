"""Latents of training frames, kept on disk as they are made: each frame is encoded once for all epochs, fits and seeds.

A row is usable once its checksum is there and right, so an interrupted writer leaves nothing that would be mistaken for
a row, and a damaged row is encoded anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import xxhash
from torch import Tensor

FREE = 2.0
"""Free disk space that is needed, in sizes of the store: other files grow, too."""


class LatentStore:
    """Means and standard deviations of latents by the position of their clip, in half precision.

    Several processes may use one store: they write equal rows.

    Args:
        folder: Folder of the store; its name has to stand for all that latents depend on.
        count: Number of clips.
        shape: Shape of one clip's latents, (channels, h, w).
    """

    def __init__(self, folder: Path, count: int, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self._row = 2 * 2 * int(np.prod(shape))
        folder.mkdir(parents=True, exist_ok=True)
        # Files with holes: what is not written takes no space and reads as zeros, which no row's checksum is.
        self._rows = os.open(folder / "latents.f16", os.O_RDWR | os.O_CREAT, 0o666)
        self._checks = os.open(folder / "checksums.u64", os.O_RDWR | os.O_CREAT, 0o666)
        os.truncate(self._rows, count * self._row)
        os.truncate(self._checks, count * 8)

    @staticmethod
    def size(count: int, shape: Sequence[int]) -> int:
        """Return the bytes of a full store."""
        return count * (4 * int(np.prod(tuple(shape))) + 8)

    @classmethod
    def fits(cls, folder: Path, count: int, shape: Sequence[int]) -> bool:
        """Return whether the disk of `folder` has `FREE` times the space that is still needed for a full store."""
        there = next(place for place in (folder, *folder.parents) if place.exists())
        written = sum(file.stat().st_blocks * 512 for file in folder.glob("*")) if folder.is_dir() else 0
        return shutil.disk_usage(there).free >= FREE * (cls.size(count, shape) - written)

    def get(self, position: int) -> Tensor | None:
        """Return mean and standard deviation of a clip, float16 (2, channels, h, w); None if they are not there."""
        found = os.pread(self._checks, 8, 8 * position)
        row = os.pread(self._rows, self._row, self._row * position) if any(found) else b""
        if len(row) != self._row or _check(row) != found:
            return None
        return torch.from_numpy(np.frombuffer(bytearray(row), np.float16).reshape(2, *self.shape))

    def put(self, position: int, latents: Tensor) -> None:
        """Keep mean and standard deviation of a clip, float16 (2, channels, h, w) on the CPU.

        Raises:
            OSError: The disk is full.
        """
        row = latents.numpy().tobytes()
        os.pwrite(self._rows, row, self._row * position)
        os.pwrite(self._checks, _check(row), 8 * position)

    def close(self) -> None:
        """Close the files."""
        os.close(self._rows)
        os.close(self._checks)


def _check(row: bytes) -> bytes:
    return (xxhash.xxh3_64_intdigest(row) or 1).to_bytes(8, "little")
