"""Writing of images beside the work that makes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from benchmark.media.images import save_png

if TYPE_CHECKING:
    import numpy as np

WAITING = 2
"""Batches that may wait to be written: further ones wait themselves, so that memory does not grow."""


class PictureWriter:
    """Writes batches of images as PNG, in order, in a thread of its own: compressing one takes 55 ms at 512 pixels.

    At the end of a `with` block everything is written. A failure is raised by the next `put`, or by the end of the
    block.

    Args:
        note: Receives the paths of each batch once they are written, in the same thread.
    """

    def __init__(self, note: Callable[[Sequence[Path]], object]) -> None:
        self._note = note
        self._thread = ThreadPoolExecutor(1, "pictures")
        self._waiting: deque[Future[None]] = deque()

    def put(self, images: Mapping[Path, np.ndarray], there: Sequence[Path] = ()) -> None:
        """Write a batch, soon.

        Args:
            images: Images, uint8 (height, width, 3), by path.
            there: Paths of the batch that are written already, which are noted with the others.

        Raises:
            OSError: A former batch could not be written.
        """
        while len(self._waiting) >= WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._write, images, there))

    def _write(self, images: Mapping[Path, np.ndarray], there: Sequence[Path]) -> None:
        for path, image in images.items():
            save_png(path, image)
        self._note([*there, *images])

    def __enter__(self) -> PictureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if error is None:
            for one in self._waiting:
                one.result()
