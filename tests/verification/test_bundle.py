"""Bundles: written whole, checked by rules with names, hostile ones refused, and boards that are merged of them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from worlds import bench

from benchmark.records.human import HumanRatings
from benchmark.records.record import RunRecord, identity_of
from benchmark.utils.files import sha256_of
from benchmark.verification import bundle as room
from benchmark.verification.rules import CONTAINER, RULES


def rules(path: Path, *more: object) -> tuple[int, str | None, list[str]]:
    """The exit code of `bench check`, the first broken rule and its lines."""
    result = bench("check", path, "--json", *more)
    broken = [one for one in result.json["rules"] if one["problems"]]
    return (result.code, broken[0]["rule"], broken[0]["problems"]) if broken else (result.code, None, [])


def run_of(bundle: Path) -> Path:
    (run,) = (bundle / "runs").iterdir()
    return run


def relist(bundle: Path) -> None:
    """Write the manifest anew, as a forger would."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    files = [path for path in (bundle / "runs").rglob("*") if path.is_file()]
    manifest["files"] = {path.relative_to(bundle).as_posix(): sha256_of(path) for path in files}
    manifest["runs"] = [path.name for path in (bundle / "runs").iterdir()]
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def edit(path: Path, **changes: Any) -> None:
    """Change values of a JSON file, named by dotted keys with __ for the dot."""
    data = json.loads(path.read_text())
    for key, value in changes.items():
        *outer, last = key.split("__")
        place = data
        for part in outer:
            place = place[int(part) if isinstance(place, list) else part]
        place[last] = value
    path.write_text(json.dumps(data))


def pack(bundle: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(bundle).as_posix())
    return target


def test_a_bundle_keeps_all_rules_and_holds(bundle: Path, clean: Path, clips: Path, tmp_path: Path) -> None:
    assert rules(bundle) == (0, None, [])
    everything = bench("check", bundle, "--all")
    assert everything.code == 0 and all(name in everything.out for name in [CONTAINER[0], *RULES])
    source = json.loads((run_of(bundle) / "method.json").read_text())
    assert source["kind"] == "file" and (run_of(bundle) / "method" / source["file"]).is_file()
    packed = tmp_path / "bundle.zip"
    assert bench("submit", clean, "-o", packed, "--by", "Lab A", "--images").code == 0
    assert rules(packed) == (0, None, [])
    for one in (bundle, packed):
        assert bench("verify", one, "--data", clips).code == 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_ratings_travel_with_the_run(clean: Path, tmp_path: Path) -> None:
    record = RunRecord.load(clean / "record.json")
    assert record.images is not None
    ratings = HumanRatings(
        version=1,
        study="5" * 64,
        identity=identity_of(record),
        images=record.images.sha256,
        clips={"one": 4.0, "two": 3.0},
        low=None,
        high=None,
        ratings=2,
        raters=1,
        deviation=None,
        alpha=None,
    )
    ratings.save(clean / "record.json")
    sent = tmp_path / "rated.zip"
    assert bench("submit", clean, "-o", sent, "--by", "Lab A").code == 0
    assert rules(sent) == (0, None, [])
    _, text = board(sent, runs=tmp_path / "none")
    assert "human ↑" in text and "human of plain" in text and "2 ratings of 2 clips by 1 people" in text
    folder = tmp_path / "rated"
    assert bench("submit", clean, "-o", folder, "--by", "Lab A").code == 0
    edit(run_of(folder) / "human.json", images="0" * 64)
    relist(folder)
    code, rule, (line,) = rules(folder)
    assert (code, rule) == (1, "consistent") and "human.json: is about other images" in line


def test_what_submit_would_refuse(sent: Path, clean: Path, bundle: Path, tmp_path: Path) -> None:
    again = bench("submit", clean, "-o", bundle, "--by", "Lab A")
    assert again.code == 2 and "exists" in again.err
    assert "--by" in bench("submit", clean, "-o", tmp_path / "x", "--by", "\x1b[2J").err
    edit(sent / "record.json", provenance__score__0__dirty=True)
    dirty = bench("submit", sent, "-o", tmp_path / "x", "--by", "Lab A")
    assert dirty.code == 2 and "rule provenance" in dirty.err and not (tmp_path / "x").exists()
    (sent / "images.json").unlink()
    assert "images.json" in bench("submit", sent, "-o", tmp_path / "x", "--by", "Lab A").err


def second_run(bundle: Path) -> None:
    shutil.copytree(run_of(bundle), bundle / "runs" / "twin")


BREAKS: list[tuple[str, bool, Callable[[Path], Any]]] = [
    ("container", False, lambda b: (run_of(b) / "more.json").symlink_to("/etc/passwd")),
    ("container", False, lambda b: os.mkfifo(run_of(b) / "images" / "pipe.png")),
    ("container", False, lambda b: (b / "runs").joinpath("..hidden").mkdir()),
    ("manifest", False, lambda b: (b / "manifest.json").unlink()),
    ("manifest", False, lambda b: (b / "manifest.json").write_text("[" * 100_000)),
    ("manifest", False, lambda b: edit(b / "manifest.json", runs=["../.."])),
    ("manifest", False, lambda b: edit(b / "manifest.json", by="\x1b[31m")),
    ("manifest", False, lambda b: edit(b / "manifest.json", bundle=2)),
    ("files", False, lambda b: (run_of(b) / "record.json").write_text("{}")),
    ("files", False, lambda b: (b / "surplus.txt").write_text("x")),
    ("files", False, lambda b: next((run_of(b) / "images").iterdir()).unlink()),
    ("layout", True, lambda b: (run_of(b) / "scores.parquet").unlink()),
    ("layout", True, lambda b: (run_of(b) / "conftest.py").write_text("x")),
    ("record", True, lambda b: (run_of(b) / "record.json").write_text("[" * 100_000)),
    ("record", True, lambda b: (run_of(b) / "scores.parquet").write_text("no parquet")),
    ("record", True, lambda b: (run_of(b) / "images.json").write_text('{"../x.png": "0"}')),
    ("complete", True, lambda b: edit(run_of(b) / "record.json", status="incomplete")),
    ("record", True, lambda b: edit(run_of(b) / "record.json", limit=6)),
    ("suite", True, lambda b: edit(run_of(b) / "record.json", suite__name="nobody-knows")),
    ("consistent", True, lambda b: edit(run_of(b) / "record.json", metrics__ais__value=99.5, metrics__ais__high=100.0)),
    ("record", True, lambda b: edit(run_of(b) / "record.json", identity="0" * 64)),
    ("consistent", True, lambda b: edit(run_of(b) / "record.json", images__sha256="0" * 64)),
    ("images", True, lambda b: next((run_of(b) / "images").iterdir()).write_bytes(b"another")),
    ("images", True, lambda b: next((run_of(b) / "images").iterdir()).unlink()),
    ("method", True, lambda b: next((run_of(b) / "method").iterdir()).write_text("class Other: pass")),
    ("method", True, lambda b: edit(run_of(b) / "method.json", name="sd-text")),
    ("method", True, lambda b: edit(run_of(b) / "method.json", kind="package")),
    ("provenance", True, lambda b: edit(run_of(b) / "record.json", provenance__score__0__dirty=True)),
    ("provenance", True, lambda b: edit(run_of(b) / "record.json", provenance__score__0__date="yesterday")),
    ("once", True, second_run),
]


@pytest.mark.parametrize(("rule", "listed", "damage"), BREAKS, ids=[f"{k}-{one[0]}" for k, one in enumerate(BREAKS)])
def test_the_first_broken_rule_is_named(
    bundle: Path, tmp_path: Path, rule: str, listed: bool, damage: Callable[[Path], Any]
) -> None:
    damage(bundle)
    if listed:
        relist(bundle)
    code, broken, problems = rules(bundle)
    assert (code, broken) == (1, rule), problems
    assert all(line.isprintable() for line in problems)
    assert bench("check", bundle, "--all").code == 1
    if rule != "container":
        assert rules(pack(bundle, tmp_path / "packed.zip"))[:2] == (1, rule)
    board = bench("table", "--suite", "mini+six", "--from", bundle, "--format", "csv", runs=tmp_path / "runs")
    assert (board.code == 0 and "plain" not in board.out) or rule == "images"


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


HOSTILE: dict[str, list[tuple[zipfile.ZipInfo, bytes]]] = {
    "up": [(entry("../escaped.txt"), b"x")],
    "inside up": [(entry("runs/../../escaped.txt"), b"x")],
    "absolute": [(entry("/tmp/escaped.txt"), b"x")],
    "drive": [(entry("C:escaped.txt"), b"x")],
    "backslash": [(entry("..\\escaped.txt"), b"x")],
    "link": [(entry("runs/link", stat.S_IFLNK | 0o777), b"/etc/passwd")],
    "device": [(entry("runs/device", stat.S_IFCHR | 0o666), b"")],
    "bomb": [(entry("runs/zeros"), bytes(64 << 20))],
    "twice": [(entry("runs/a"), b"x"), (entry("runs/A"), b"y")],
    "control": [(entry("runs/\x1b[2J"), b"x")],
    "deep": [(entry("a/" * 40 + "b"), b"x")],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_is_not_unpacked(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in HOSTILE[kind]:
            archive.writestr(info, data)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    code, broken, problems = rules(path)
    assert (code, broken) == (1, "container") and len(problems) == 1 and problems[0].isprintable()
    assert list(scratch.iterdir()) == [] and not list(tmp_path.rglob("escaped*"))
    assert bench("verify", path).code == 1
    board = bench("table", "--from", path, "--format", "csv", runs=tmp_path / "runs")
    assert board.code == 0


def test_a_damaged_zip_and_bounds(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(bundle, tmp_path / "x.zip")
    data = packed.read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    assert rules(tmp_path / "cut.zip")[1] == "container"
    (tmp_path / "text.zip").write_text("no zip")
    assert rules(tmp_path / "text.zip")[1] == "container"
    flipped = bytearray(data)
    flipped[data.index(b"\x89PNG") + 40] ^= 1
    (tmp_path / "flipped.zip").write_bytes(flipped)
    assert rules(tmp_path / "flipped.zip")[1] == "container"
    for name, most in (("MAX_FILES", 3), ("MAX_FILE", 100), ("MAX_TOTAL", 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(room, name, most)
            assert rules(packed)[1] == rules(bundle)[1] == "container", name


def board(*places: Path, more: tuple[object, ...] = (), runs: Path) -> tuple[list[dict[str, Any]], str]:
    given = [part for place in places for part in ("--from", place)]
    result = bench("table", "--suite", "mini+six", *given, *more, "--json", runs=runs)
    assert result.code == 0, result.err
    text = bench("table", "--suite", "mini+six", *given, *more, "--format", "md", runs=runs)
    return result.json, text.out


def test_a_board_says_who_vouches_for_a_row(bundle: Path, clips: Path, tmp_path: Path) -> None:
    runs = tmp_path / "none"
    (row,), _ = board(bundle, runs=runs)
    assert row["where"] == "self-reported by Lab A"
    own = bench("verify", bundle, "--data", clips, "--attest", "Lab A")
    assert own.code == 0, own.err
    (row,), text = board(bundle, runs=runs)
    assert row["where"] == "self-reported by Lab A" and "does not count" in text
    for verb in ("Maintainer B", "Maintainer C"):
        assert bench("verify", bundle, "--data", clips, "--attest", verb).code == 0
    (row,), _ = board(bundle, runs=runs)
    assert row["where"] == "rescored by Maintainer B, Maintainer C"
    assert rules(bundle) == (0, None, [])
    taken = bench("verify", bundle, "--data", clips, "--attest", "Maintainer B")
    assert taken.code == 2 and "already" in taken.err


def test_an_attestation_is_about_the_record_that_was_checked(bundle: Path, clips: Path, tmp_path: Path) -> None:
    packed = pack(bundle, tmp_path / "x.zip")
    assert bench("verify", packed, "--data", clips, "--attest", "B").code == 0
    (row,), _ = board(packed, runs=tmp_path / "none")
    assert row["where"] == "rescored by B"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "unpacked")
    other = tmp_path / "unpacked"
    edit(run_of(other) / "record.json", cost__generate_seconds=0.001)
    relist(other)
    (row,), text = board(other, runs=tmp_path / "none")
    assert row["where"] == "self-reported by Lab A" and "about another record" in text


def test_nothing_is_attested_that_does_not_hold(bundle: Path, clips: Path) -> None:
    shutil.rmtree(run_of(bundle) / "images")
    relist(bundle)
    result = bench("verify", bundle, "--data", clips, "--attest", "B")
    assert "nothing is attested" in result.err and not (bundle / "attestations").exists()
    assert bench("verify", run_of(bundle), "--attest", "B").code == 2


def saved(record: RunRecord, path: Path) -> None:
    """Save a record as the run that it says it is."""
    record.model_copy(update={"identity": identity_of(record)}).save(path)


def test_other_protocols_and_second_claims_are_refused_with_a_line(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copycat"
    shutil.copytree(bundle, copy)
    edit(copy / "manifest.json", by="Lab Z")
    (row,), text = board(bundle, copy, runs=tmp_path / "none")
    assert row["where"] == "self-reported by Lab A"
    assert "Left out: plain, seed 0 of copycat claims a run that is there already: self-reported by Lab A" in text
    results = tmp_path / "theirs"
    record = RunRecord.load(run_of(bundle) / "record.json")
    suite = record.suite.model_copy(update={"fingerprint": "f" * 64})
    saved(record.model_copy(update={"suite": suite}), results / "mini+six-ffffffff" / "plain-seed0.json")
    (row,), text = board(bundle, results, runs=tmp_path / "none")
    assert "made under another protocol (ffffffff)" in text
    saved(record.model_copy(update={"seed": 7}), results / "mini+six-00000000" / "plain-seed7.json")
    (row,), _ = board(bundle, results, runs=tmp_path / "none")
    assert row["seeds"] == [0, 7] and row["where"] == "self-reported by Lab A + self-reported in theirs"
    (tmp_path / "empty").mkdir()
    _, text = board(bundle, tmp_path / "empty", runs=tmp_path / "none")
    assert "empty holds no record of mini+six: name a bundle, or a folder that" in text
    missing = bench("table", "--from", tmp_path / "nowhere", runs=tmp_path / "none")
    assert missing.code == 2 and "does not exist" in missing.err


needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@needs_ssh
def test_signatures_work_offline(bundle: Path, clean: Path, clips: Path, tmp_path: Path) -> None:
    keys = {}
    for name in ("lab", "maintainer", "stranger"):
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path, "-C", name], check=True)
        keys[name] = path
    allowed = tmp_path / "allowed"
    public = {name: path.with_suffix(".pub").read_text() for name, path in keys.items()}
    allowed.write_text(f'"Lab A" {public["lab"]}"B" {public["maintainer"]}')
    signers = ("--allowed-signers", allowed)
    assert rules(bundle, *signers)[:2] == (1, "signature")
    signed = tmp_path / "signed.zip"
    made = bench("submit", clean, "-o", signed, "--by", "Lab A", "--images", "--sign", keys["lab"])
    assert made.code == 0, made.err
    assert rules(signed, *signers) == (0, None, [])
    runs = tmp_path / "none"
    assert board(signed, more=signers, runs=runs)[0][0]["where"] == "self-reported by Lab A (signed)"
    assert bench("verify", signed, "--data", clips, "--attest", "B", "--sign", keys["stranger"]).code == 0
    (row,), text = board(signed, more=signers, runs=runs)
    assert row["where"] == "self-reported by Lab A (signed)" and "no good signature of B" in text
    assert bench("verify", bundle, "--data", clips, "--attest", "B", "--sign", keys["maintainer"]).code == 0
    assert board(bundle, more=signers, runs=runs)[0][0]["where"] == "rescored by B (signed)"
    (attestation,) = (bundle / "attestations").glob("*.json")
    attestation.write_text(attestation.read_text().replace("rescored", "reproduced", 1))
    assert board(bundle, more=signers, runs=runs)[0][0]["where"] == "self-reported by Lab A (unsigned)"
