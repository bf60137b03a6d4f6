"""Images are written beside the work: in order, all of them at the end, and no failure is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmark.media.images import load_image
from benchmark.runs.picture_writer import PictureWriter


def picture(level: int) -> np.ndarray:
    return np.full((4, 4, 3), level, np.uint8)


def test_all_is_written_and_noted_in_order(tmp_path: Path) -> None:
    noted: list[list[str]] = []

    def note(paths: Sequence[Path]) -> None:
        assert all(path.exists() for path in paths)
        noted.append([path.name for path in paths])

    old = tmp_path / "old.png"
    old.write_bytes(b"")
    with PictureWriter(note) as writer:
        for number in range(6):
            writer.put({tmp_path / f"{number}.png": picture(number)}, [old] if number == 2 else [])
    assert noted == [["0.png"], ["1.png"], ["old.png", "2.png"], ["3.png"], ["4.png"], ["5.png"]]
    assert [np.asarray(load_image(tmp_path / f"{number}.png")).max() for number in range(6)] == list(range(6))


@pytest.mark.parametrize("last", [1, 5])
def test_a_failure_reaches_the_caller(tmp_path: Path, last: int) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), PictureWriter(lambda paths: None) as writer:
        writer.put({tmp_path / "file" / "a.png": picture(1)})
        for number in range(last):
            writer.put({tmp_path / f"{number}.png": picture(1)})


def test_an_interruption_is_not_hidden_by_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyboardInterrupt), PictureWriter(lambda paths: None) as writer:
        writer.put({tmp_path / "file" / "a.png": picture(1)})
        raise KeyboardInterrupt
