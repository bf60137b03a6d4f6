"""Sealed files: no damage passes, and what is damaged is made again, in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.utils import files, sealed
from benchmark.utils.env import PACKAGE
from benchmark.utils.sealed import Damaged

ROWS = np.arange(24, dtype=np.int16).reshape(4, 6)


def write(path: Path) -> None:
    files.write_rows(path, ROWS.shape, ROWS.dtype, [ROWS[:3], ROWS[3:].astype(np.int64)])


def stored(path: Path, key: Any = "key") -> tuple[np.ndarray, list[str]]:
    said: list[str] = []
    return sealed.array(path, key, write, said.append), said


def test_an_array_is_written_block_by_block(tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", ROWS)
    write(tmp_path / "rows.npy")
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_a_sealed_array_is_made_once_mapped_and_read_by_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, said = stored(tmp_path / "a" / "rows.npy")
    assert isinstance(rows, np.memmap) and not rows.flags.writeable and not said
    assert np.array_equal(rows, ROWS) and rows.dtype == ROWS.dtype
    assert np.array_equal(np.load(tmp_path / "a" / "rows.npy", mmap_mode="r"), ROWS)
    monkeypatch.setattr(sealed, "save", None)
    assert np.array_equal(stored(tmp_path / "a" / "rows.npy")[0], ROWS)


def test_every_flipped_bit_and_every_length_is_found(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    stored(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        with pytest.raises(Damaged):
            sealed.opened(path, "key")
        path.write_bytes(whole[:place])
        with pytest.raises(Damaged):
            sealed.opened(path, "key")
    path.write_bytes(whole)
    sealed.opened(path, "key").close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda whole, other: b"", "is empty"),
        (lambda whole, other: whole[:-9], "has no checksum"),
        (lambda whole, other: whole.replace(b"\x07\0", b"\x08\0"), "is not what was written"),
        (lambda whole, other: other, "is the file of something else"),
    ],
)
def test_what_is_damaged_is_made_anew_and_said_in_one_line(tmp_path: Path, damage: Any, words: str) -> None:
    path, other = tmp_path / "rows.npy", tmp_path / "other.npy"
    stored(path)
    stored(other, "other key")
    whole = path.read_bytes()
    path.write_bytes(damage(whole, other.read_bytes()))
    rows, said = stored(path)
    (line,) = said
    assert line.startswith(f"{path} {words}") and line.endswith(": it is made anew")
    assert np.array_equal(rows, ROWS) and path.read_bytes() == whole
    assert stored(path)[1] == []


def test_an_array_of_a_former_version_is_made_anew(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS + 1)
    rows, (line,) = stored(tmp_path / "rows.npy")
    assert np.array_equal(rows, ROWS) and "an older version wrote it" in line


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def starved(path: Path) -> None:
        path.write_bytes(b"begun")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        sealed.array(tmp_path / "rows.npy", "key", starved, print)
    assert list(tmp_path.iterdir()) == []


WRITE = """
import sys, time
from pathlib import Path
from benchmark.utils.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(files.fcntl is None, reason="nothing is swept where files cannot be locked")
def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    def writer(name: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE, str(tmp_path / name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        )
        assert process.stdout is not None and process.stdout.readline() == b"writing\n"
        return process

    killed, living = writer("killed"), writer("living")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(list(tmp_path.glob(".*.part"))) == 2
    files.write_atomic(tmp_path / "mine", "whole")
    (left,) = tmp_path.glob(".*.part")
    assert left.name.startswith(".living.")
    living.communicate(b"")
    assert living.returncode == 0 and (tmp_path / "living").read_text() == "half"
    assert not list(tmp_path.glob(".*.part"))
