"""Records here are synthetic: their numbers were made up for the tests."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import boards
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import BaseModel, ValidationError

from benchmark.records import record as module
from benchmark.records.provenance import Provenance, RunProvenance
from benchmark.records.record import MetricValue, RunRecord, read_scores, run_identity, write_scores
from benchmark.utils.errors import UserError

FIXTURES = Path(__file__).parent / "fixtures"
MADE = {**boards.MADE, "commit": "c" * 40, "dirty": False}


def synthetic(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "schema_version": 2,
        "status": "complete",
        "suite": {"name": "mini", "version": 1, "fingerprint": "f" * 64},
        "method": {"name": "audiotoken", "card": {"paper": "x"}, "settings": {"steps": 10, "rate": 0.1}},
        "seed": 0,
        "limit": None,
        "metrics": {
            "fid": {
                "value": None,
                "reason": "no weights",
                "n": 0,
                "unit": "distance",
                "direction": "down",
                "version": 1,
            },
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
    }
    data |= changes
    return {"identity": identity_of(data), **data}


def identity_of(data: dict[str, Any]) -> str:
    asked = data["suite"]["fingerprint"], data["method"]["name"], data["method"]["settings"]
    return run_identity(*asked, data["seed"], data["limit"], data["method"].get("source"))


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
    record = RunRecord.model_validate({**data, "identity": identity_of(data)})
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
        {"value": 1e20},
        {"value": 100.1},
        {"value": -0.1},
        {"value": 1.0, "low": -1.0, "high": 2.0},
        {"value": 1.0, "low": 0.0, "high": 101.0},
        {"value": 1.0, "chance": 120.0},
        {"value": 1.0, "n": 0},
        {"value": 1.5, "unit": "cosine"},
        {"value": 0.5, "unit": "points"},
        {"value": -0.1, "unit": "ratio"},
        {"value": 1e13, "unit": "distance"},
        {"value": -1e300, "unit": "z"},
        {"value": 1.0, "unit": "percent"},
        {"value": 1.0, "unit": ""},
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


# ------------------------------------------------------------------------------------------------------ impossible ones


def changed(place: str, value: Any) -> dict[str, Any]:
    """A record with another value at a place such as "metrics/ais/value"; its identity is that of its contents."""
    data = json.loads(json.dumps(synthetic()))
    *parents, last = place.split("/")
    inner = data
    for key in parents:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[last] = value
    return {**data, "identity": identity_of(data)} if place != "identity" else data


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("metrics/ais/value", 1e20, "metrics.ais: value 1e+20 is impossible: '%' lies between 0 and 100"),
        ("metrics/ais/value", True, "metrics.ais.value: Input should be a valid number, not True"),
        ("metrics/ais/value", "61.5", "metrics.ais.value: Input should be a valid number, not '61.5'"),
        ("metrics/ais/value", 10**400, "metrics.ais.value: Input should be a"),
        ("metrics/ais/low", False, "metrics.ais.low: Input should be a valid number, not False"),
        ("metrics/ais/n", True, "metrics.ais.n: Input should be a valid integer, not True"),
        ("metrics/ais/n", 10.0, "metrics.ais.n: Input should be a valid integer, not 10.0"),
        ("metrics/ais/n", 0, "metrics.ais: value 61.5 of no image (n is 0)"),
        ("metrics/ais/high", 164.0, "metrics.ais: high 164 is impossible"),
        ("metrics/ais/unit", "percents", "metrics.ais: unit 'percents' is unknown"),
        ("metrics/ais/unit", "cosine", "metrics.ais: value 61.5 is impossible: 'cosine' lies between -1 and 1"),
        ("per_class/ais/bell", -3, "ais of class 'bell' is -3, impossible in '%'"),
        ("per_class/ais/bell", True, "per_class.ais.bell: Input should be a valid number, not True"),
        ("per_class/other", {"bell": 1.0}, "per_class has 'other', which is not among the metrics"),
        ("clips/total", -1, "clips.total: Input should be greater than or equal to 0, not -1"),
        ("clips/failed", 101, "clips: failed (101) is more than all clips (100)"),
        ("seed", True, "seed: Input should be a valid integer, not True"),
        ("seed", 2**32, "seed: Input should be less than 4294967296, not 4294967296"),
        ("seed", 10**4000, "seed: Input should be less than"),
        ("limit", 0, "limit: Input should be greater than or equal to 1, not 0"),
        ("cost", {"fit_steps": -5}, "cost.fit_steps: Input should be greater than or equal to 0, not -5"),
        (
            "cost",
            {"fit_seconds": 1e308},
            "cost.fit_seconds: Input should be less than or equal to 1000000000000, not 1e",
        ),
        ("cost", {"trainable_parameters": 10**400}, "cost.trainable_parameters: Input should be less than"),
        ("provenance/score/0/dirty", "false", "provenance.score.0.dirty: Input should be a valid boolean, not 'false'"),
        ("identity", "0" * 64, "identity '00000000' is not that of its contents"),
    ],
)
def test_what_no_run_can_give_is_refused_by_name_and_value(place, value, words):
    with pytest.raises(UserError) as caught:
        RunRecord.from_json(json.dumps(changed(place, value)), "results/mini/x.json")
    line, *_ = caught.value.problems
    assert line.startswith("results/mini/x.json: ") and words in line and len(line) < 300


def test_rounding_is_not_taken_for_a_fault():
    for value in (100.00000000000001, -1e-14):
        assert RunRecord.from_json(json.dumps(changed("metrics/ais", {**AIS, "value": value})))


AIS = {"value": 0.0, "n": 1, "unit": "%", "direction": "up", "version": 1}


@pytest.mark.parametrize("place", ["method/name", "method/settings", "suite/fingerprint", "seed", "limit"])
def test_an_edit_of_what_was_asked_shows_in_the_identity(place):
    data = json.loads(json.dumps(synthetic()))
    other = {"method/name": "b", "method/settings": {}, "suite/fingerprint": "e" * 64, "seed": 5, "limit": 5}[place]
    *parents, last = place.split("/")
    (data[parents[0]] if parents else data)[last] = other
    with pytest.raises(UserError, match="is not that of its contents"):
        RunRecord.from_json(json.dumps(data))


@pytest.mark.parametrize(
    "text",
    [
        '{"metrics": ' + "[" * 50_000 + "]" * 50_000 + "}",
        "[" * 1000,
        '{"schema_version": 1, "warnings": ["\\ud800"]}',
        '{"a": "\ud800"}',
        "1" * 5000,
        '{"schema_version": ' + "9" * 4000 + "}",
        json.dumps(synthetic()).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(synthetic()).encode(),
        b'{"schema_version": 1, "a": 1e999}',
        b"",
        b"\x00" * 1000,
    ],
    ids=[
        "deep",
        "open",
        "escaped surrogate",
        "surrogate",
        "digits",
        "version",
        "utf-16",
        "mark",
        "1e999",
        "empty",
        "0",
    ],
)
def test_what_is_no_json_of_ours_is_one_line(text):
    with pytest.raises(UserError) as caught:
        RunRecord.from_json(text, "x.json")
    assert all(line.startswith("x.json: ") and len(line) < 300 and line.isprintable() for line in caught.value.problems)


PARTS = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8)
VALUES = some.recursive(
    PARTS, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3)
)
PLACES = [
    *("schema_version", "status", "suite", "method", "seed", "limit", "metrics", "per_class", "clips", "cost"),
    *("provenance", "weights", "identity", "warnings", "method/card", "method/settings", "suite/version"),
    *(f"metrics/ais/{name}" for name in MetricValue.model_fields),
    *("per_class/ais/bell", "clips/total", "clips/failures", "provenance/packages", "provenance/date", "new"),
]


def parsed(text: str | bytes) -> None:
    """Read a record: it is one, which survives a round trip, or a UserError of plain lines."""
    problems: list[str] = []
    try:
        record = RunRecord.from_json(text, "x.json")
    except UserError as error:
        problems = error.problems
    if not problems:
        assert RunRecord.from_json(record.to_json()) == record
    assert all(line.startswith("x.json: ") and "\n" not in line for line in problems)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(some.sampled_from(PLACES), VALUES, some.booleans())
def test_no_value_anywhere_raises_anything_but_a_users_mistake(place, value, honest):
    data = json.loads(json.dumps(synthetic()))
    *parents, last = place.split("/")
    inner = data
    for key in parents:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[last] = value
    try:
        text = json.dumps({**data, "identity": identity_of(data)} if honest else data)
    except (TypeError, ValueError, KeyError, AttributeError):
        text = json.dumps(data)
    parsed(text)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(some.binary(max_size=200) | some.text(max_size=200))
def test_no_bytes_raise_anything_but_a_users_mistake(text):
    parsed(text)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(some.data())
def test_no_damage_to_a_record_raises_anything_but_a_users_mistake(data):
    whole = RunRecord.model_validate(synthetic()).to_json().encode()
    at = data.draw(some.integers(0, len(whole)))
    parsed(
        whole[:at] + data.draw(some.binary(max_size=4)) + whole[data.draw(some.integers(at, min(at + 8, len(whole)))) :]
    )
