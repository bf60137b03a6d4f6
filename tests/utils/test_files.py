from __future__ import annotations

import errno
import os

import pytest

from benchmark.utils import sealed
from benchmark.utils.files import SpecialFile, copy_ordinary, read_file, read_json, read_ordinary, sha256_of


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than") as caught:
        read_file(path, 4)
    assert caught.value.errno == errno.EFBIG
    with open(path, "wb") as file:
        file.truncate(10**13)  # no disk holds it, and nothing of it is read
    with pytest.raises(OSError, match="larger than 64 MB"):
        read_json(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_file(path, 100),
        read_ordinary,
        sha256_of,
        sealed.checksum_of,
        lambda path: copy_ordinary(path, path.with_name("copy")),
    ],
    ids=["read_file", "read_ordinary", "sha256_of", "checksum_of", "copy_ordinary"],
)
def test_what_may_never_end_is_not_read(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        with pytest.raises(SpecialFile, match="not a regular file"):
            read(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    assert not (tmp_path / "copy").exists()


def test_deep_json_is_bad_json(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deep"):
        read_json(tmp_path / "deep.json")
    (tmp_path / "good.json").write_text('{"a": [1, null]}')
    assert read_json(tmp_path / "good.json") == {"a": [1, None]}
