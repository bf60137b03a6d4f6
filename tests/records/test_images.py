"""The hashes of a record's images: written, read, published, and left out where a record does not have them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from benchmark.records.images import hash_images, images_path, read_images, reference, write_images
from benchmark.records.record import RunRecord
from benchmark.utils.errors import UserError


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    hashes = hash_images([tmp_path / "b.png", tmp_path / "a.png", tmp_path / "gone.png"])
    assert list(hashes.items()) == [(f"{one}.png", hashlib.sha256(one.encode()).hexdigest()) for one in "ab"]
    write_images(tmp_path / "images.json", hashes)
    assert read_images(tmp_path / "images.json") == hashes


def test_the_reference_is_over_sorted_pairs_of_name_and_hash() -> None:
    pairs = [["a.png", "1" * 64], ["b.png", "2" * 64]]
    expected = hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()
    one = reference({"b.png": "2" * 64, "a.png": "1" * 64})
    assert (one.count, one.sha256) == (2, expected)
    assert reference({"a.png": "2" * 64, "b.png": "1" * 64}).sha256 != expected


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"../a.png": "%s"}' % ("0" * 64), '{"a.png": "0"}', '{"a.png": 1}', '{"a.txt": "%s"}' % ("0" * 64)],
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "images.json").write_text(text)
    with pytest.raises(UserError, match="images.json: "):
        read_images(tmp_path / "images.json")


def test_where_they_lie() -> None:
    assert images_path(Path("runs/x/record.json")) == Path("runs/x/images.json")
    assert images_path(Path("results/mini/a-seed0.json")) == Path("results/mini/a-seed0.images.json")


def test_records_without_them_stay_as_they_are() -> None:
    record = RunRecord.load(Path(__file__).parent / "fixtures" / "version-2.json")
    assert record.images is None and '"images"' not in record.to_json()
    named = record.model_copy(update={"images": reference({"a.png": "1" * 64})})
    assert RunRecord.from_json(named.to_json()) == named
