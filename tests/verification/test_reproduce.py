"""`bench reproduce`: a run that is made again from nothing, equal to the bit, within tolerances, or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worlds import NOISE, bench, method_file

from benchmark.records.record import RunRecord
from benchmark.records.tolerances import tolerances
from benchmark.verification.findings import Report
from benchmark.verification.reproduce import Reproduction


@pytest.fixture
def method(tmp_path: Path) -> str:
    return method_file(tmp_path / "given", NOISE)


def test_the_same_machine_gives_the_same_bits(sent: Path, clips: Path, method: str, tmp_path: Path) -> None:
    result = bench("reproduce", sent, "--data", clips, "--method", method, "-o", tmp_path / "again", "--json")
    assert result.code == 0, result.out + result.err
    (found,) = result.json
    assert found["to_the_bit"] and found["exact"] and found["findings"] == [] and found["surroundings"] == []
    assert found["verdict"] == "reproduced to the bit (6 of 6 images equal)"
    assert list((tmp_path / "again").rglob("record.json"))
    full = bench("reproduce", sent, "--data", clips, "--method", method, "-o", tmp_path / "again")
    assert full.code == 2 and "not empty" in full.err


def test_what_cannot_be_made_again_is_named(sent: Path, clips: Path, method: str, tmp_path: Path) -> None:
    result = bench("reproduce", sent, "--data", clips)
    assert result.code == 2 and "--method path/to/file.py:Class" in result.err
    other = method_file(tmp_path / "other", "return [Image.new('RGB', (64, 64)) for clip in clips]")
    result = bench("reproduce", sent, "--data", clips, "--method", other)
    assert result.code == 2 and "is other code than the record's" in result.err


def test_in_other_surroundings_the_tolerances_count(sent: Path, clips: Path, method: str) -> None:
    hashes = json.loads((sent / "images.json").read_text())
    near = RunRecord.load(sent / "record.json")
    made = near.provenance.score[-1].model_copy(update={"threads": 64, "packages": {"torch": "0.1"}})
    near = near.model_copy(update={"provenance": near.provenance.model_copy(update={"score": (made,)})})
    allowed = tolerances().of("reproduced", "ais").value
    shifted = near.metrics["ais"].model_copy(update={"value": near.metrics["ais"].value + allowed / 2})
    near.model_copy(update={"metrics": {**near.metrics, "ais": shifted}}).save(sent / "record.json")
    result = bench("reproduce", sent, "--data", clips, "--method", method, "--json")
    (found,) = result.json
    assert result.code == 0 and found["reproduced"] and not found["to_the_bit"] and not found["exact"]
    assert f"reproduced within {allowed / 2:.3g} (ais" in found["verdict"] and found["images"] == len(hashes)
    lines = " ".join(found["surroundings"])
    assert "threads was 64" in lines and "packages.torch was 0.1" in lines
    far = shifted.model_copy(update={"value": near.metrics["ais"].value - 3 * allowed})
    near.model_copy(update={"metrics": {**near.metrics, "ais": far}}).save(sent / "record.json")
    result = bench("reproduce", sent, "--data", clips, "--method", method)
    assert result.code == 1 and "metrics.ais" in result.out and "are allowed" in result.out


def test_a_bundle_says_that_it_was_reproduced(bundle: Path, clips: Path, method: str, tmp_path: Path) -> None:
    result = bench("reproduce", bundle, "--data", clips, "--method", method, "--attest", "Maintainer B")
    assert result.code == 0, result.out + result.err
    board = bench("table", "--suite", "mini+six", "--from", bundle, "--json", runs=tmp_path / "none").json
    assert [row["where"] for row in board] == ["reproduced by Maintainer B"]


def test_verdicts() -> None:
    found = Reproduction(Report("x"), images=3, equal_images=3)
    assert found.verdict == "reproduced to the bit (3 of 3 images equal)"
    found.equal_images = 2
    assert found.verdict == "reproduced: all values equal (2 of 3 images equal)"
    found.farthest = {"ais": 0.25, "iis": 0.5}
    assert found.verdict == "reproduced within 0.5 (iis; 2 of 3 images equal)"
    found.report.add("record.json", "metrics.iis", "differs")
    assert found.verdict == "not reproduced (2 of 3 images equal)"


def test_tolerances_say_what_they_were_measured_on() -> None:
    assert "threads" in tolerances().measured["what"] and "GPUs" in tolerances().measured["not_measured"]
    assert tolerances().of("reproduced", "ais.cosine").value < tolerances().of("reproduced", "ais").value
    assert tolerances().of("rescored", "ais.winrate.sameclass").value > 0
