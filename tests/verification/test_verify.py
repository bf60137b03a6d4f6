"""`bench verify`: whatever is changed in a finished run is found and named, and what is untouched holds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image
from worlds import bench, method_file

from benchmark.records.images import images_path, read_images, reference, write_images
from benchmark.records.record import RunRecord
from benchmark.runs import scoring
from benchmark.utils.files import sha256_of
from benchmark.utils.progress import Silent
from benchmark.verification import consistency, protocol
from benchmark.verification import verify as room
from benchmark.verification.findings import Report
from benchmark.verification.verify import Means, verify


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same images, metrics and scorers are scored once: hundreds of damaged records share one scoring."""
    score, load, facts = scoring.score, protocol.load_manifest, room.collect
    known: dict[Any, Any] = {}

    def once(key: Any, make: Callable[[], Any]) -> Any:
        if key not in known:
            known[key] = make()
        return known[key]

    def scored(job: scoring.ScoreJob, wanted: Any, bound: Any) -> Any:
        images = tuple((key, sha256_of(path)) for key, path in job.images.items())
        key = (images, tuple(wanted), tuple(sorted(bound.items())), job.suite.fingerprint(), job.clips.ids, job.draws)
        return once(key, lambda: score(job, wanted, bound))

    monkeypatch.setattr(scoring, "score", scored)
    monkeypatch.setattr(
        protocol, "load_manifest", lambda path, skip_bad: once(path, lambda: load(path, skip_bad=skip_bad))
    )
    draws = consistency.bootstrap_intervals
    monkeypatch.setattr(
        consistency,
        "bootstrap_intervals",
        lambda values, seed: once((values.tobytes(), values.shape, seed), lambda: draws(values, seed=seed)),
    )
    monkeypatch.setattr(room, "collect", lambda device: once("facts", lambda: facts(device=device)))


def check(path: Path, clips: Path | None = None) -> Report:
    return verify(path, Silent(), Means(data=clips))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from leaves(one, (*path, key))
    elif isinstance(value, list) and value:
        for key, one in enumerate(value):
            yield from leaves(one, (*path, key))
    else:
        yield path


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value + 0.01
    if isinstance(value, str):
        return {"up": "down", "complete": "incomplete"}.get(value, value[:-1] + ("0" if value[-1:] != "0" else "1"))
    return 1.5 if value is None else ["other"] if isinstance(value, list) else {"other": "1"}


def place_in(value: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    for key in path[:-1]:
        value = value[key]
    return value, path[-1]


def damaged(record: dict[str, Any], path: tuple[Any, ...], remove: bool = False) -> str:
    copy = json.loads(json.dumps(record))
    holder, key = place_in(copy, path)
    if remove:
        del holder[key]
    else:
        holder[key] = other(holder[key])
    return json.dumps(copy, indent=2)


def names(report: Report, path: tuple[Any, ...]) -> bool:
    """Whether a finding names the field, or refuses the record with its name."""
    dotted = ".".join(map(str, path))
    own = [one for one in report.findings if one.file == "record.json"]
    refused = any(not one.where and str(path[0]) in one.message for one in own)
    return refused or any(f"{one.where}.".startswith(f"{dotted}.") for one in own)


def test_a_run_that_was_sent_alone_holds(sent: Path, clips: Path) -> None:
    result = bench("verify", sent, "--data", clips, "--json")
    assert result.code == 0, result.out
    (report,) = result.json
    assert report["holds"] and report["rescored"] and report["exact"] and report["findings"] == []
    assert report["unchecked"] == []
    assert (sent / "images.json").is_file() and len(read_images(sent / "images.json")) == 6


def test_every_field_of_the_record_is_found_and_named(sent: Path, clips: Path, quick: None) -> None:
    record = json.loads((sent / "record.json").read_text())
    paths = list(leaves(record))
    assert len(paths) > 300
    missed, unnamed = [], []
    for path in paths:
        (sent / "record.json").write_text(damaged(record, path))
        report = check(sent, clips)
        if report.holds:
            missed.append(path)
        elif not names(report, path):
            unnamed.append((path, [one.line for one in report.findings][:3]))
    assert missed == []
    assert not unnamed, "\n".join(map(str, unnamed))


def test_every_field_that_is_taken_away_is_found(sent: Path, clips: Path, quick: None) -> None:
    record = json.loads((sent / "record.json").read_text())
    defaults = {"schema_version"}  # written or not, it is this version's
    missed = []
    for path in dict.fromkeys(one[:depth] for one in leaves(record) for depth in range(1, len(one) + 1)):
        if isinstance(path[-1], int) or path[-1] in defaults:
            continue
        (sent / "record.json").write_text(damaged(record, path, remove=True))
        report = check(sent, clips)
        if report.holds:
            missed.append(path)
    # a field of which null or nothing is the default says the same when it is left out
    same = [path for path in missed if place(record, path) in (None, [], {}, 0)]
    assert missed == same


def place(record: Any, path: tuple[Any, ...]) -> Any:
    holder, key = place_in(record, path)
    return holder[key]


BEYOND_A_BARE_RECORD = ("provenance", "cost", "warnings", "status")


def test_a_record_without_marker_images_or_plan_still_contradicts_edited_numbers(
    sent: Path, clips: Path, quick: None, tmp_path: Path
) -> None:
    """What is published: a record, its scores and its list of images."""
    bare = tmp_path / "plain-seed0.json"
    shutil.copy(sent / "record.json", bare)
    shutil.copy(sent / "scores.parquet", bare.with_suffix(".parquet"))
    shutil.copy(sent / "images.json", images_path(bare))
    report = check(bare, clips)
    assert report.holds and not report.rescored
    assert [line.partition(":")[0] for line in report.unchecked] == [
        "provenance, cost, card, warnings and silent clips",
        "images",
    ]
    record = json.loads(bare.read_text())
    rest = [*BEYOND_A_BARE_RECORD, "card", "silent", "reason", "scorers", "details", "skipped", "schema_version"]
    missed = []
    for path in leaves(record):
        of_the_set = path[0] == "metrics" and path[1] not in record["per_class"]
        if {*path} & {*rest} or of_the_set:
            continue  # it says so above; and a metric of the whole set can only be rescored
        bare.write_text(damaged(record, path))
        if check(bare, clips).holds:
            missed.append(path)
    assert missed == []


def repaint(path: Path) -> None:
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)


def test_every_image_is_found_and_named(sent: Path, clips: Path) -> None:
    kept = {path: path.read_bytes() for path in sorted((sent / "images").glob("*.png"))}
    assert len(kept) == 6
    for path, data in kept.items():
        repaint(path)
        assert f"images/{path.name}" in {one.file for one in check(sent, clips).findings}
        path.unlink()
        assert f"images/{path.name}" in {one.file for one in check(sent, clips).findings}
        path.write_bytes(b"\x89PNG no picture")
        assert f"images/{path.name}" in {one.file for one in check(sent, clips).findings}
        path.write_bytes(data)
    first, second = list(kept)[:2]
    first.write_bytes(kept[second])
    second.write_bytes(kept[first])
    found = {one.file for one in check(sent, clips).findings}
    assert {f"images/{first.name}", f"images/{second.name}", "scores.parquet"} <= found
    first.write_bytes(kept[first])
    second.write_bytes(kept[second])
    (sent / "images" / "stranger.png").write_bytes(kept[first])
    assert [one.file for one in check(sent, clips).findings] == ["images/stranger.png"]


def test_images_that_were_exchanged_with_their_list_are_found_by_scoring_them(sent: Path, clips: Path) -> None:
    """Whoever changes the images, their list and the record's hash still has the wrong scores."""
    first = min((sent / "images").glob("*.png"))
    Image.new("RGB", (64, 64), (250, 10, 10)).save(first)
    hashes = {path.name: sha256_of(path) for path in (sent / "images").glob("*.png")}
    write_images(sent / "images.json", hashes)
    record = RunRecord.load(sent / "record.json").model_copy(update={"images": reference(hashes)})
    record.save(sent / "record.json")
    shutil.rmtree(sent / "steps")
    found = [one for one in check(sent, clips).findings if one.file == "scores.parquet"]
    assert any(first.stem in one.where for one in found)


def test_every_entry_of_the_list_of_images_is_found(sent: Path, clips: Path, quick: None) -> None:
    hashes = read_images(sent / "images.json")
    for name in hashes:
        (sent / "images.json").write_text(json.dumps({**hashes, name: "0" * 64}))
        assert f"images/{name}" in {one.file for one in check(sent, clips).findings}
        (sent / "images.json").write_text(json.dumps({key: one for key, one in hashes.items() if key != name}))
        assert ("images.json", name) in {(one.file, one.where) for one in check(sent, clips).findings}
    (sent / "images.json").write_text(json.dumps({**hashes, "more.png": "0" * 64}))
    assert "images/more.png" in {one.file for one in check(sent, clips).findings}
    (sent / "images.json").unlink()
    assert "images.json" in {one.file for one in check(sent, clips).findings}


def test_every_row_and_column_of_the_scores_is_found_and_named(sent: Path, clips: Path, quick: None) -> None:
    path = sent / "scores.parquet"
    scores = pandas.read_parquet(path)

    def found(table: pandas.DataFrame) -> set[str]:
        table.to_parquet(path, index=False)
        return {one.where for one in check(sent, clips).findings if one.file in ("scores.parquet", "record.json")}

    for column in scores.columns.drop(["clip", "label"]):
        assert column in found(scores.drop(columns=[column]))
        for row, clip in enumerate(scores["clip"]):
            changed = scores.copy()
            changed.loc[row, column] = 0.25 if np.isnan(scores.loc[row, column]) else scores.loc[row, column] + 0.25
            assert f"{column} of {clip}" in found(changed), (column, clip)
    for row, clip in enumerate(scores["clip"]):
        assert f"clip {clip}" in found(scores.drop(index=row))
        assert "clip" in found(pandas.concat([scores, scores.iloc[[row]]]))
        assert f"clip {clip}" in found(scores.replace({"clip": {clip: "somebody-else"}}))
        relabelled = scores.copy()
        relabelled.loc[row, "label"] = "whistle"
        assert f"label of {clip}" in found(relabelled)
    assert "clip" in found(scores.iloc[::-1])
    assert "praise" in found(scores.assign(praise=1.0))
    assert "ais" in found(scores.assign(ais="high"))


def test_a_verification_imports_nothing_that_the_folder_names(sent: Path, clips: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.py"
    trap.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'sprung')!r}).touch()\nclass Plain: pass\n")
    plan = json.loads((sent / "plan.json").read_text())
    (sent / "plan.json").write_text(json.dumps({**plan, "method": f"{trap}:Plain"}))
    assert check(sent, clips).holds and not (tmp_path / "sprung").exists()


FAILING = """
from benchmark import RunError
if any(clip.id == "test-01" for clip in clips):
    raise RunError("no picture of this one")
return [Image.new("RGB", (64, 64), (9, 120, len(clip.id))) for clip in clips]
"""


def test_no_false_alarm_for_runs_of_other_kinds(finished: Path, clips: Path, tmp_path: Path) -> None:
    """Frames themselves, a clip that failed, only some clips, pictures made elsewhere with two a clip."""
    runs = tmp_path / "runs"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (finished / "images").glob("*.png"):
        shutil.copy(path, elsewhere / f"{path.stem}_0.png")
        Image.new("RGB", (80, 60), (200, 10, 90)).save(elsewhere / f"{path.stem}_1.png")
    failing = method_file(tmp_path, FAILING, name="failing")
    few = method_file(tmp_path, FAILING, name="few")
    for code, arguments in (
        (0, ("run", "--method", "reference")),
        (1, ("run", "--method", failing)),
        (0, ("run", "--method", few, "--limit", 1)),
        (0, ("score", elsewhere, "--name", "elsewhere")),
    ):
        made = bench(*arguments, "--data", clips, runs=runs)
        assert made.code == code, made.err
    found = sorted(path.parent for path in runs.glob("*/*/*/record.json"))
    assert len(found) == 4
    for folder in found:
        report = check(folder, clips)
        assert report.holds and report.rescored and report.exact, [one.line for one in report.findings]
    (failed,) = (path for path in found if path.parent.name == "failing")
    record = json.loads((failed / "record.json").read_text())
    record["clips"] |= {"failed": 2, "failures": {**record["clips"]["failures"], "test-02": "too hard"}}
    (failed / "record.json").write_text(json.dumps(record))
    assert "clips.failures.test-02" in {one.where for one in check(failed, clips).findings}


def test_special_files_are_not_opened(sent: Path, clips: Path) -> None:
    path = min((sent / "images").glob("*.png"))
    path.unlink()
    os.mkfifo(path)
    assert f"images/{path.name}" in {one.file for one in check(sent, clips).findings}


def test_clips_that_are_not_here_are_said_to_be_unchecked(sent: Path, quick: None) -> None:
    plan = json.loads((sent / "plan.json").read_text())
    (sent / "plan.json").write_text(json.dumps({**plan, "data": "/home/of/the/sender.csv"}))
    report = check(sent)
    assert report.holds and not report.rescored and any("--data" in line for line in report.unchecked)


def test_no_cache_computes_anew(sent: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Embeddings in the cache that are of something else do not decide."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    assert check(sent, clips).holds
    for path in (cache / "embeddings").glob("*.npy"):
        table = np.load(path)
        np.save(path, table[::-1].copy())
    assert bench("verify", sent, "--data", clips, "--no-cache").code == 0


def test_a_record_that_does_not_exist_is_a_wrong_use(tmp_path: Path) -> None:
    result = bench("verify", tmp_path / "none")
    assert result.code == 2 and "does not exist" in result.err
    for verb in ("verify", "check"):
        device = bench(verb, Path("/dev/zero"))
        assert device.code == 2 and "/dev/zero is a pipe, a device or a socket: name a" in device.err


def test_an_old_record_is_checked_as_far_as_it_goes(root: Path, tmp_path: Path) -> None:
    """One of before records named their images."""
    packaged = root / "results" / "mini" / "audiotoken-seed0.json"
    path = tmp_path / packaged.name
    RunRecord.load(packaged).model_copy(update={"images": None}).save(path)
    shutil.copyfile(packaged.with_suffix(".parquet"), path.with_suffix(".parquet"))
    result = bench("verify", path)
    assert result.code == 0, result.out
    assert "not rescored" in result.out and "the record has no hashes of them" in result.out
