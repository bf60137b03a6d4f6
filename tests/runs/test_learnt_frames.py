"""Which frames an image may be a copy of, and what is said where they are not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.clips import Clip, ClipSet
from benchmark.runs import learning
from benchmark.runs.embeddings import Embedded, Job
from benchmark.runs.score_job import ScoreJob
from benchmark.suite import Suite, load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent

EYES: dict[str | None, Job] = {"clip": Job("clip", "0" * 64, lambda scorer, some: np.empty((0, 0)), 64)}
SOUND = np.zeros(8, np.float32)


def with_training(count: int) -> Suite:
    suite = load_suite("mini")
    return suite.model_copy(update={"data": suite.data.model_copy(update={"train": count})})


def clips(*images: np.ndarray | None) -> ClipSet:
    listed = tuple(Clip(f"t{k}", SOUND, image, ("bell",), "train") for k, image in enumerate(images))
    return ClipSet("some", listed, ("bell",), "some")


@pytest.mark.parametrize(("rows", "expected"), [(12, "the manifest's"), (0, "the base suite's")])
def test_they_are_those_that_methods_are_fitted_on(rows: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Manifest:
        def clips(self, suite: Suite, split: str, *rest: object) -> str:
            assert (suite.data.train, split) == (rows, "train")
            return "the manifest's"

    base = with_training(1820)
    monkeypatch.setattr(learning, "suite_train", lambda suite, ui: "the base suite's" if suite is base else "another's")
    data: Any = Manifest()
    assert learning.learnt_clips(data, with_training(rows), base, Silent()) == expected


class Store:
    """Takes down what it should embed."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def of(self, what: str, items: list[Clip], load: Any, content: Any, jobs: dict[str, Job]) -> Embedded:
        self.asked += [clip.id for clip in items]
        return Embedded({name: np.ones((len(items), 3)) for name in jobs}, list(range(len(items))), {})


def found(learnt: Any, wanted: list[str]) -> tuple[dict[str, np.ndarray], dict[str, str], list[str]]:
    store: Any = Store()
    job = ScoreJob(load_suite("mini"), clips(), {}, "cpu", Silent(), learnt=learnt)
    rows, reasons = learning.training_features(job, wanted, store, EYES)
    return rows, reasons, store.asked


def test_frames_are_embedded_only_where_novelty_is_asked_for() -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    rows, reasons, asked = found(lambda: clips(frame, None, frame), ["ais", "novelty.clip"])
    assert rows["clip"].shape == (2, 3) and not reasons and asked == ["t0", "t2"]

    def never() -> ClipSet:
        raise AssertionError("nobody asked for them")

    assert found(never, ["ais", "fd.clip", "novelty"]) == ({}, {}, []), "Inception is not among the eyes"


def test_what_is_not_there_is_a_reason_and_no_failure() -> None:
    def missing() -> ClipSet:
        raise UserError("vggsound: no training clips: `bench prepare` makes them")

    key = "training_features.clip"
    assert found(missing, ["novelty.clip"])[1][key].startswith("the training frames are not there: vggsound")
    assert found(lambda: None, ["novelty.clip"])[1] == {key: "no training frames are known"}
    assert found(lambda: clips(None), ["novelty.clip"])[1] == {key: "no training frames are known"}
