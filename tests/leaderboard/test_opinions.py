"""What a board says of its judges: Kendall's tau by column, ranks by judge, and the columns on which they disagree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from boards import scored

from benchmark.leaderboard import opinions
from benchmark.leaderboard.build import build_board
from benchmark.records.store import StoredRecord

RNG = np.random.default_rng(0)
CLIPS = 60


def scores(mean: float) -> np.ndarray:
    return RNG.normal(mean, 4, CLIPS).clip(0, 100)


@pytest.fixture
def records(tmp_path: Path) -> list[StoredRecord]:
    """Three methods; one judge agrees with the suite, another one has the first two the other way round."""
    means = {"a": (80, 70, 40), "b": (60, 60, 60), "c": (20, 30, 20)}
    return [
        scored(tmp_path, name, {"iis": scores(own), "iis@calm": scores(calm), "iis@wild": scores(wild)})
        for name, (own, calm, wild) in means.items()
    ]


def notes(records: list[StoredRecord], columns: list[str]) -> list[str]:
    by = opinions.judged(records, columns)
    metrics = [metric for some in by.values() for metric in some.values()]
    return opinions.notes(build_board(records, metrics, suite="mini"), by)


def test_the_judges_of_a_column_are_found_in_the_records(records: list[StoredRecord]) -> None:
    expected = {"suite": "iis", "calm": "iis@calm", "wild": "iis@wild"}
    assert opinions.judged(records, ["ais", "iis", "iis.winrate"]) == {"iis": expected}


def test_a_board_names_what_its_judges_disagree_on(records: list[StoredRecord]) -> None:
    found = notes(records, ["ais", "iis"])
    assert found[0] == (
        "iis: Kendall's tau between judges over 3 rows (suite, calm: 1.00, suite, wild: 0.33, calm, wild: 0.33)."
    )
    assert found[1] == "iis: ranks by suite with their 95 % intervals: a 1 [1, 1], b 2 [2, 2], c 3 [3, 3]."
    assert found[3] == "iis: ranks by wild with their 95 % intervals: a 2 [2, 2], b 1 [1, 1], c 3 [3, 3]."
    assert found[-1] == (
        "Judges disagree beyond chance on: iis (suite has a before b, judge wild the reverse; judge calm has a before "
        "b, judge wild the reverse)."
    )


def test_a_method_that_changes_places_with_many_is_named_once(tmp_path: Path) -> None:
    means = {"a": (80, 50), "b": (70, 40), "c": (60, 30), "own": (20, 90)}
    records = [
        scored(tmp_path, name, {"iis": scores(mean), "iis@kin": scores(other)}) for name, (mean, other) in means.items()
    ]
    expected = "Judges disagree beyond chance on: iis (suite has own behind a, b, c, judge kin the reverse)."
    assert notes(records, ["iis"])[-1] == expected


def test_agreement_is_said_too(tmp_path: Path) -> None:
    same = [
        scored(tmp_path, name, {"iis": scores(mean), "iis@calm": scores(mean)}) for name, mean in (("a", 70), ("b", 30))
    ]
    assert notes(same, ["iis"])[-1] == "Judges disagree beyond chance on: no column."


def test_without_judges_there_is_the_command(records: list[StoredRecord]) -> None:
    assert notes(records, ["ais"]) == [
        "No judge has scored these rows: `bench score RUN --metric iis@JUDGE` for each run."
    ]
    assert notes(records[:1], ["iis"]) == ["No agreement of judges on iis: fewer than two rows have a value by all."]
