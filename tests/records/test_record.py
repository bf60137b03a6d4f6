"""Records here are synthetic: their numbers were made up for the tests."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from benchmark.records import record as module
from benchmark.records.provenance import Provenance, RunProvenance
from benchmark.records.record import MetricValue, RunRecord, read_scores, run_identity, write_scores
from benchmark.utils.errors import UserError

FIXTURES = Path(__file__).parent / "fixtures"
MADE = {
    "package_version": None,
    "commit": "c" * 40,
    "dirty": False,
    "origin": None,
    "python": "3.12.0",
    "platform": "Linux",
    "cpu": "x",
    "packages": {},
    "device": "cpu",
    "device_name": None,
    "threads": 1,
    "date": "2024-01-01T00:00:00Z",
}


def synthetic(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "schema_version": 2,
        "status": "complete",
        "suite": {"name": "mini", "version": 1, "fingerprint": "f" * 64},
        "method": {"name": "audiotoken", "card": {"paper": "x"}, "settings": {"steps": 10, "rate": 0.1}},
        "seed": 0,
        "limit": None,
        "metrics": {
            "fid": {"value": None, "reason": "no weights", "n": 0, "unit": "", "direction": "down", "version": 1},
            "ais": {
                "value": 61.5,
                "low": 58.0,
                "high": 64.0,
                "n": 100,
                "unit": "%",
                "direction": "up",
                "chance": 50.0,
                "version": 1,
                "scorers": {"image": "a" * 64},
            },
        },
        "per_class": {"ais": {"bell": 60.0, "rain": None}},
        "clips": {"total": 100},
        "provenance": {"score": [MADE]},
        "identity": "i" * 64,
    }
    return {**data, **changes}


def test_a_record_survives_a_round_trip_byte_for_byte(tmp_path):
    record = RunRecord.model_validate(synthetic())
    record.save(tmp_path / "deep" / "record.json")
    again = RunRecord.load(tmp_path / "deep" / "record.json")
    assert again == record
    assert again.to_json() == record.to_json()
    data = json.loads(record.to_json())
    assert list(data["metrics"]) == ["ais", "fid"]
    assert data["metrics"]["fid"]["value"] is None
    assert record.to_json().startswith('{\n  "schema_version": 2')


def test_settings_equal_themselves_after_storage():
    data = synthetic()
    data["method"]["settings"] = {"sizes": (1, 2)}
    record = RunRecord.model_validate(data)
    assert RunRecord.from_json(record.to_json()) == record


def test_a_record_cannot_be_changed_and_knows_its_fields():
    record = RunRecord.model_validate(synthetic())
    with pytest.raises(ValidationError):
        record.seed = 3
    with pytest.raises(ValidationError, match="extra"):
        RunRecord.model_validate(synthetic(sead=3))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have_are_refused_everywhere(bad):
    data = synthetic()
    data["metrics"]["ais"]["value"] = bad
    with pytest.raises(ValidationError):
        RunRecord.model_validate(data)
    for key in ("settings", "card"):
        data = synthetic()
        data["method"][key] = {"rate": [bad]}
        with pytest.raises(ValidationError):
            RunRecord.model_validate(data)
    data = synthetic(per_class={"ais": {"bell": bad}})
    with pytest.raises(ValidationError):
        RunRecord.model_validate(data)
    data = synthetic()
    data["metrics"]["ais"]["chance"] = bad
    with pytest.raises(UserError, match="record.json: not strict JSON: .* is no JSON number"):
        RunRecord.from_json(json.dumps(data), "record.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"value": None},
        {"value": None, "reason": ""},
        {"value": 1.0, "reason": "also"},
        {"value": 1.0, "low": 0.0},
        {"value": 1.0, "low": 2.0, "high": 1.0},
        {"value": None, "reason": "r", "low": 0.0, "high": 1.0},
        {"value": 1.0, "n": -1},
        {"value": 1.0, "direction": "sideways"},
    ],
)
def test_a_metric_is_a_number_or_a_reason(changes):
    base = {"n": 1, "unit": "%", "direction": "up", "version": 1}
    MetricValue.model_validate({**base, "value": 1.0})
    with pytest.raises(ValidationError):
        MetricValue.model_validate({**base, **changes})


def test_every_field_is_described():
    def models(model: type[BaseModel]) -> set[type[BaseModel]]:
        found = {model}
        for field in model.model_fields.values():
            for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    found |= models(part)
        return found

    everything = models(RunRecord)
    assert {MetricValue, Provenance} <= everything
    for model in everything:
        assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not strict JSON"),
        ("[]", "a record is a JSON object, this is a list"),
        ("{}", "no whole number as schema_version"),
        ('{"schema_version": true}', "no whole number as schema_version"),
        ('{"schema_version": 99}', "schema_version 99 is newer than this program's 2: update"),
        ('{"schema_version": 0}', "schema_version 0 was never written"),
        ('{"schema_version": 1}', "status: Field required"),
        (b"\xff\xfe\x00", "not strict JSON"),
    ],
)
def test_loading_names_the_file_and_the_fault(tmp_path, text, message):
    path = tmp_path / "bad.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        RunRecord.load(path)
    assert message in str(caught.value)
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in caught.value.problems)


def test_a_missing_file_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="absent.json: cannot be read: No such file"):
        RunRecord.load(tmp_path / "absent.json")


def test_older_versions_are_migrated_step_by_step(monkeypatch):
    old = synthetic(schema_version=-1)
    del old["status"]
    old["state"] = "ok"

    def first(data):
        return {**data, "state": data["state"] + "!"}

    def second(data):
        assert data.pop("state") == "ok!"
        return {**data, "status": "complete"}

    monkeypatch.setattr(module, "MIGRATIONS", {-1: first, 0: second, 1: lambda data: data})
    assert RunRecord.from_json(json.dumps(old)) == RunRecord.model_validate(synthetic())


def test_a_record_of_every_version_loads_for_ever():
    one, two = (RunRecord.load(FIXTURES / f"version-{version}.json") for version in (1, 2))
    for record in (one, two):
        method = record.method
        asked = (record.suite.fingerprint, method.name, method.settings, record.seed, record.limit, method.source)
        assert record.identity == run_identity(*asked)
        assert record.metrics["ais"].value == pytest.approx(97.07, abs=0.01) and record.per_class["ais"]
        assert record.provenance.commit == "f011204d2020f8d5ab3f0d5433b9862e5e404e89"
        assert record.provenance.date == "2026-11-23T19:15:13Z" and record.cost.fit_steps == 2000
        assert RunRecord.from_json(record.to_json()) == record
        assert json.loads(record.to_json())["schema_version"] == module.SCHEMA_VERSION
    # version 1 knew what it was scored with, and nothing of the rest
    assert one.provenance.fit == one.provenance.generate == () and one.provenance.dirty is False
    assert one.method.source is None and "source" not in json.loads(one.to_json())["method"]
    assert two.method.source == "5" * 64 and two.clips.failures
    assert len(two.provenance.fit) == 2 and two.provenance.generate[0].device == "cuda"
    newest = max(path.name for path in FIXTURES.glob("version-*.json"))
    assert newest == f"version-{module.SCHEMA_VERSION}.json", "a new version needs a fixture"


def test_the_worst_of_all_steps_counts():
    clean, dirty, outside = MADE, {**MADE, "dirty": True}, {**MADE, "commit": None, "dirty": None}

    def of(**steps: Any) -> RunProvenance:
        return RunProvenance.model_validate({"generate": [clean], "score": [clean], **steps})

    assert of().dirty is False and of(fit=[dirty]).dirty is True
    assert of(generate=[dirty, clean]).dirty is True and of(score=[clean, dirty]).dirty is True
    assert of(fit=[outside]).dirty is None and of(fit=[outside], score=[dirty]).dirty is True
    moved = of(generate=[{**MADE, "commit": "d" * 40}, outside])
    assert moved.commits == {"fit": [], "generate": ["d" * 40], "score": ["c" * 40]}
    with pytest.raises(ValidationError, match="at least 1 item"):
        of(score=[])


def test_identity_depends_on_what_was_asked_and_on_nothing_else():
    base = ("f" * 64, "audiotoken", {"a": 1, "b": 2.5}, 0, None)
    same = run_identity(*base)
    assert same == run_identity("f" * 64, "audiotoken", {"b": 2.5, "a": 1}, 0, None)
    others = [
        ("e" * 64, *base[1:]),
        (base[0], "other", *base[2:]),
        (*base[:2], {"a": 1}, 0, None),
        (*base[:3], 1, None),
        (*base[:3], None, None),
        (*base[:4], 8),
        (*base, "a" * 64),
        (*base, "b" * 64),
    ]
    assert len({same, *(run_identity(*other) for other in others)}) == 9
    with pytest.raises(ValueError):
        run_identity("f", "m", {"a": math.nan}, 0, None)


def test_identity_is_pinned():
    # Changing this constant orphans every stored run: raise IDENTITY_VERSION knowingly instead.
    assert run_identity("f", "m", {"a": 1}, 0, None).startswith("c91e73a86e883b56")


def test_scores_come_back_as_they_were(tmp_path):
    pandas = pytest.importorskip("pandas")
    scores = pandas.DataFrame({"clip": ["a", "b"], "label": ["bell", "rain"], "seed": [0, 0], "ais": [61.5, math.nan]})
    write_scores(tmp_path / "scores.parquet", scores)
    pandas.testing.assert_frame_equal(read_scores(tmp_path / "scores.parquet"), scores)
    assert os.listdir(tmp_path) == ["scores.parquet"]


def test_scores_are_checked(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "scores.parquet"
    with pytest.raises(ValueError, match="lack the column 'label'"):
        write_scores(path, pandas.DataFrame({"clip": ["a"]}))
    with pytest.raises(ValueError, match="clip 'a' more than once"):
        write_scores(path, pandas.DataFrame({"clip": ["a", "a"], "label": ["x", "x"]}))
    write_scores(path, pandas.DataFrame({"clip": ["a", "a"], "label": ["x", "x"], "seed": [0, 1]}))
    with pytest.raises(UserError, match="cannot be read"):
        read_scores(tmp_path / "absent.parquet")
    path.write_bytes(b"not parquet")
    with pytest.raises(UserError, match="scores.parquet: not a readable Parquet file"):
        read_scores(path)
    pandas.DataFrame({"x": [1]}).to_parquet(path)
    with pytest.raises(UserError, match="lacks the column 'clip'"):
        read_scores(path)
