"""The report card: metrics of which it is known what they see, on embeddings of which it is known what they hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmark.clips import Clip, ClipSet
from benchmark.mini.world import LABELS, SLOTS, facts_of
from benchmark.records.provenance import collect
from benchmark.records.record import SuiteRef
from benchmark.studies import report_card, true_frames
from benchmark.studies.keep import Kept
from benchmark.studies.report_card import AGAIN, COPY, GUESSED, MOVED, RIGHT, Card, Frames
from benchmark.suite import Suite, load_suite
from benchmark.utils.progress import Silent
from metrics.compute import MetricInputs

WITHIN, AIC = "iis.winrate.sameclass", "aic"
METRICS = (WITHIN, AIC, "fd.clip", "fid")
EACH = 8
KINDS = ("church bell ringing", "alarm clock ringing", "dog barking", "cat meowing")


def clips() -> ClipSet:
    made = [
        Clip(f"{label[:3]}-{number}", np.zeros(8, np.float32), None, (label,), "test")
        for number in range(EACH)
        for label in KINDS
    ]
    return ClipSet("four things", tuple(made), KINDS, "four things")


def frames() -> Frames:
    """Three parts side by side: the class, one attribute as a direction, and a little that no sound tells."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(len(KINDS)), EACH)
    angle = rng.uniform(0, np.pi, len(labels))

    def embedded(kind: np.ndarray, turn: np.ndarray, nuisance: float = 0.02) -> np.ndarray:
        parts = [3 * np.eye(len(KINDS))[kind], np.stack([np.cos(turn), np.sin(turn)], axis=1)]
        return np.hstack([*parts, nuisance * rng.normal(size=(len(kind), 6))])

    kinds = {
        RIGHT: embedded(labels, angle),
        AGAIN: embedded(labels, angle),
        f"{MOVED}size": embedded(labels, angle + 1.0),
        "noise": embedded(labels, angle, nuisance=2.0),
        GUESSED: embedded(labels, rng.uniform(0, np.pi, len(labels))),
        COPY: embedded(labels, angle),
    }
    table = np.concatenate(list(kinds.values()))
    place = np.arange(len(labels))
    rows = {kind: {int(i): int(i) + at * len(labels) for i in place} for at, kind in enumerate(kinds)}
    reference = embedded(labels, angle)
    inputs = MetricInputs(
        image=table,
        image_audio_space=table,
        reference=reference,
        text=embedded(np.arange(4), np.zeros(4)),
        image_features={"clip": table},
        reference_features={"clip": reference},
        classes=labels,
        owner=np.tile(place, len(kinds)),
        reasons={"image_features": "there is no Inception"},
    )
    return Frames(inputs, rows)


@pytest.fixture(scope="module")
def card() -> Card:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_card, "look", lambda *arguments: frames())
        return report_card.make(load_suite("mini"), clips(), METRICS, "cpu", Silent())


def value(card: Card, metric: str, kind: str, of: str = "ordered") -> float:
    return next(one.value for one in getattr(card, of) if (one.metric, one.kind) == (metric, kind))


def test_pairs_show_who_sees_what(card: Card) -> None:
    assert value(card, WITHIN, "size") > 90
    assert value(card, AIC, "size") == 50.0, "the class alone"
    for kind in ("class", "near class"):
        assert value(card, AIC, kind) == 100.0
    assert {one.kind for one in card.ordered} == {"class", "near class", "size"}
    share = next(one for one in card.ordered if one.kind == "size" and one.metric == WITHIN)
    assert share.n == 32 and share.low is not None and share.low <= share.value <= (share.high or 0.0)


def test_nuisances_move_as_far_as_they_do(card: Card) -> None:
    assert value(card, WITHIN, AGAIN, "moved") < 10 < value(card, WITHIN, "noise", "moved")
    assert value(card, AIC, AGAIN, "moved") == 0.0


def test_ladders_show_what_damage_does(card: Card) -> None:
    by = {(one.metric, one.damage): one for one in card.ladders}
    across = by[AIC, "swapped across classes"]
    assert (across.undamaged, across.rungs[-1].value, across.monotone) == (100.0, 0.0, True)
    assert across.smallest is not None and across.smallest < 1
    within = by[WITHIN, "swapped within the class"]
    assert within.smallest is not None and within.rungs[-1].value < within.undamaged
    assert by[AIC, "swapped within the class"].blind
    assert all(by["fd.clip", name].blind for name in ("swapped across classes", "swapped within the class"))
    assert by["fd.clip", "one image a class"].smallest is not None
    assert by[WITHIN, "copies"].smallest is None, "a copy with the right attribute is right"


def test_what_has_no_value_has_its_reason(card: Card) -> None:
    assert card.metrics == (WITHIN, AIC, "fd.clip")
    assert card.missing == {"fid": "there is no Inception"}


def test_a_class_of_one_clip_has_no_ladder_within() -> None:
    every = frames()
    classes = np.arange(len(SLOTS) + 6)
    few = Frames(MetricInputs(image=every.inputs.image, owner=every.inputs.owner, classes=classes), every.rows)
    assert report_card._damaged(few, "swapped within the class", [2]) == []
    assert len(report_card._damaged(few, "swapped across classes", [2, 5])) == 2


def test_the_command_prints_and_writes(
    card: Card, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(suite: Suite, some: ClipSet, metrics: Sequence[str], *rest: object) -> Card:
        assert len(some) == 32 and list(metrics) == list(METRICS[:3])
        return card

    monkeypatch.setattr(report_card, "make", make)

    class Data:
        def clips(self, *arguments: object) -> ClipSet:
            return clips()

    monkeypatch.setattr(report_card.DATASETS, "get", lambda name: Data())
    asked = [part for metric in METRICS[:3] for part in ("--metric", metric)]
    assert report_card.main([*asked, "--json"], Silent()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clips"] == 32 and found["metrics"] == list(METRICS[:3])
    assert {one["damage"] for one in found["ladders"]} == {*report_card.DAMAGES}
    page = tmp_path / "page.md"
    assert report_card.main([*asked, "--write", str(page)], Silent()) == 2
    assert "has no lines <!-- report-card -->" in capsys.readouterr().err
    page.write_text("before\n<!-- report-card -->\n<!-- /report-card -->\nafter\n")
    assert report_card.main([*asked, "--write", str(page)], Silent()) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "\n| aic | " in text
    kept = Kept(
        command="python -m benchmark.studies.report_card",
        suite=SuiteRef(name="mini", version=3, fingerprint="0" * 64),
        seconds=1.0,
        provenance=collect(),
        figures=found,
    )
    file, other = tmp_path / "card.json", tmp_path / "other.md"
    file.write_text(kept.model_dump_json(indent=1))
    other.write_text("before\n<!-- report-card -->\n<!-- /report-card -->\nafter\n")
    plot = tmp_path / "card.svg"
    assert report_card.main(["--read", str(file), "--write", str(other), "--plot", str(plot)], Silent()) == 0
    assert ">near class<" in plot.read_text()
    assert other.read_text() == text, "a card that was kept is the card"
    file.write_text(kept.model_copy(update={"figures": {"clips": 32}}).model_dump_json())
    assert report_card.main(["--read", str(file)], Silent()) == 2
    assert "card.json holds no report card" in capsys.readouterr().err
    assert report_card.main(["--metric", "nonsense"], Silent()) == 2
    assert "unknown metric 'nonsense'" in capsys.readouterr().err


def test_every_kind_of_frame_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    training = {number: facts_of("train", number) for number in range(len(SLOTS))}
    for index in (0, LABELS.index("raining")):
        kinds = [kind for kind, _ in report_card.drawn(index, training)]
        names = true_frames.heard(facts_of("test", index))
        assert len(kinds) == len({*kinds})
        assert {kind for kind in kinds if kind.startswith(MOVED)} == {f"{MOVED}{name}" for name in names}
        assert ("background" in kinds) == (index == 0)
        assert {RIGHT, AGAIN, GUESSED, COPY} <= {*kinds}
