"""Exported clips described in Croissant: the format's own library accepts the file and reads the clips by it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds

from benchmark.data.croissant import CONTEXT, Exported, write_croissant
from benchmark.data.export import export
from benchmark.media.audio import load_audio
from benchmark.media.images import load_image
from benchmark.utils.progress import Silent

mlcroissant = pytest.importorskip("mlcroissant")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("croissant")


@pytest.fixture(scope="module")
def manifest(base: Path) -> Path:
    """Three clips, one with a label that CSV and JSON have to quote."""
    rows = [list(worlds.row(base, "test", k)) for k in (0, 1, 2)]
    rows[1][3] = 'police, "siren"; ünnamed\\n'
    return worlds.write_manifest(base / "three.csv", rows)


@pytest.fixture(scope="module")
def exported(base: Path, manifest: Path) -> Path:
    export(base / "out", suite="mini", split="test", data=manifest, labels=True, frames=True, ui=Silent())
    return base / "out"


def dataset(folder: Path) -> Any:
    found = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not found.metadata.ctx.issues.errors
    return found


def warnings(folder: Path) -> list[str]:
    return sorted(dataset(folder).metadata.ctx.issues.warnings)


def test_the_formats_library_reads_the_clips(exported: Path) -> None:
    records = list(dataset(exported).records("clips"))
    assert [one["clips/id"] for one in records] == [b"test-00", b"test-01", b"test-02"]
    assert records[1]["clips/label"].decode() == 'police, "siren"; ünnamed\\n'
    assert {one["clips/split"] for one in records} == {b"test"}
    for one in records:
        name = one["clips/id"].decode()
        frame = load_image(exported / "frames" / f"{name}.png")
        assert np.array_equal(np.asarray(one["clips/image"]), frame), "another clip's frame"
        assert len(load_audio(exported / one["clips/audio"].decode(), 16_000)) == 40_000


def test_the_files_that_are_named_are_those_that_lie_there(exported: Path) -> None:
    described = json.loads((exported / "croissant.json").read_text())
    table, sounds, frames = described["distribution"]
    assert table["sha256"] == hashlib.sha256((exported / "manifest.csv").read_bytes()).hexdigest()
    assert len(list(exported.glob(sounds["includes"]))) == len(list(exported.glob(frames["includes"]))) == 3
    assert described["description"].startswith("3 clips of split test of a user's manifest")


def test_no_label_and_no_frame_is_described_that_was_not_exported(base: Path, manifest: Path) -> None:
    export(base / "plain", suite="mini", split="test", data=manifest, ui=Silent())
    records = list(dataset(base / "plain").records("clips"))
    assert [sorted(one) for one in records] == [["clips/audio", "clips/id", "clips/split"]] * 3
    assert "frame" not in (base / "plain" / "croissant.json").read_text()


def test_a_suites_clips_have_a_licence_and_a_citation_and_a_users_have_none_that_we_invent(
    exported: Path, tmp_path: Path
) -> None:
    own = [line for line in warnings(exported) if "license" in line or "citeAs" in line]
    assert len(own) == 2, "nobody but their owner can say"
    (tmp_path / "manifest.csv").write_bytes((exported / "manifest.csv").read_bytes())
    columns = ("id", "audio", "label", "split")
    write_croissant(tmp_path, columns, Exported("mini", 2, "test", "mini", 3, 16_000, 2.5))
    (only,) = warnings(tmp_path)
    assert "datePublished" in only
    metadata = dataset(tmp_path).metadata
    assert metadata.license == ["https://www.apache.org/licenses/LICENSE-2.0"]
    assert metadata.cite_as == "audio2image-bench: suite mini, version 2"


def test_the_context_is_the_prescribed_one() -> None:
    from mlcroissant._src.core.context import Context, CroissantVersion
    from mlcroissant._src.core.rdf import make_context

    assert make_context(Context(conforms_to=CroissantVersion.V_1_0)) == CONTEXT
