"""Attacks do what their cards say, and a board shows them without a rank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds
from boards import metric, stored
from PIL import Image

from audiotoken.method import AudioToken
from audiotoken.settings import AudioTokenSettings
from baselines.attacks.ais_ascent import AISAscent, AscentSettings
from baselines.attacks.copycat import Copycat
from baselines.attacks.label_painter import LabelPainter, write_below
from baselines.attacks.mfcc import mfcc_statistics
from benchmark.leaderboard.build import build_board
from benchmark.registries import SCORERS
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.suite import load_suite
from benchmark.utils.progress import Silent


def job(method: Any, runs: Path, **settings: Any) -> Run:
    data = worlds.things(runs.parent)
    return Run.of(RunRequest(method=method, data=data, limit=3, runs=runs / "runs", settings=settings), Silent())


def test_the_statistics_tell_sounds_apart_and_not_their_level() -> None:
    time = np.arange(40_000) / 16_000
    hiss = np.random.default_rng(0).normal(0, 0.02, len(time))
    low, high = ((0.3 * np.sin(2 * np.pi * pitch * time) + hiss).astype(np.float32) for pitch in (200, 3000))
    found = [mfcc_statistics(wave) for wave in (low, low * 0.5, high)]
    assert found[0].shape == (80,) and np.isfinite(found).all()
    level, pitch = np.abs(found[0] - found[1]), np.abs(found[0] - found[2])
    assert level[1:].max() < 0.2 < pitch[1:].max(), "the first coefficient alone holds the level"


def test_copycat_gives_the_frame_of_the_nearest_training_clip(tmp_path: Path) -> None:
    run = job(Copycat, tmp_path, memory=15)
    steps.generate(run)
    train = run.train[:15]
    known = np.stack([mfcc_statistics(run.plan.suite.sound(clip)) for clip in train])
    scaled = (known - known.mean(0)) / known.std(0)
    for clip in run.test:
        heard = (mfcc_statistics(run.plan.suite.sound(clip)) - known.mean(0)) / known.std(0)
        nearest = train[int(((scaled - heard) ** 2).sum(1).argmin())]
        image = np.asarray(Image.open(run.plan.folder.images / f"{clip.id}.png"))
        assert np.array_equal(image, np.asarray(nearest.picture()))
    method = run.make(run.test)
    method.load()
    own = [method.nearest(clip) for clip in train[:5]]  # type: ignore[attr-defined]
    assert own == list(range(5)), "a training sound is its own nearest"


def test_the_painter_writes_below_and_nowhere_else() -> None:
    image = Image.new("RGB", (64, 64), (10, 200, 30))
    for text in ("owl", "police car (siren)", "a label that is far too long for so small a picture, whatever the size"):
        made = np.asarray(write_below(image, text))
        assert (made[:44] == (10, 200, 30)).all() and (made[-16:] < 100).all(axis=2).any(), "black letters"
    assert (np.asarray(image) == (10, 200, 30)).all()


def test_the_painter_writes_the_label_that_was_heard(tmp_path: Path) -> None:
    painted, plain = job(LabelPainter, tmp_path), job("tagger-text", tmp_path)
    steps.generate(painted)
    steps.generate(plain)
    labels = painted.make(painted.test).choose(painted.test[:])  # type: ignore[attr-defined]
    for clip, label in zip(painted.test, labels, strict=True):
        image = Image.open(plain.plan.folder.images / f"{clip.id}.png")
        found = np.asarray(Image.open(painted.plan.folder.images / f"{clip.id}.png"))
        assert np.array_equal(found, np.asarray(write_below(image, label)))


def test_the_ascent_climbs_the_scorer_and_shares_the_fit(tmp_path: Path) -> None:
    small = {"steps": 2, "batch_size": 2}
    climbing = job(AISAscent, tmp_path, ascent_steps=3, **small)
    plain = job("audiotoken", tmp_path, **small)
    made = (AISAscent(AscentSettings(**small)), AudioToken(AudioTokenSettings(**small)))
    assert made[0].fit_identity() == made[1].fit_identity()
    for run in (climbing, plain):
        steps.generate(run)
    suite = load_suite("mini")
    judge, ear = (SCORERS.get(f"mini/{name}")(suite, "cpu") for name in ("clip", "wav2clip"))

    def similarity(run: Run) -> float:
        images = [Image.open(run.plan.folder.images / f"{clip.id}.png").convert("RGB") for clip in run.test]
        seen, heard = judge.embed_images(images), ear.embed_audio([suite.sound(clip) for clip in run.test])
        seen, heard = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (seen, heard))
        return float((seen * heard).sum(1).mean())

    assert similarity(climbing) > similarity(plain)
    still = job(AISAscent, tmp_path, ascent_steps=0, **small)
    alone = still.make(still.test)
    alone.load()
    clip, seed = still.test[0], 7
    for method, more in ((alone, plain.make(plain.test)), (climbing.make(climbing.test), None)):
        method.load()
        (image,) = method.generate([clip], [seed])
        if more is not None:  # without a step it is AudioToken
            more.load()
            assert np.array_equal(np.asarray(image), np.asarray(more.generate([clip], [seed])[0]))
        beside = method.generate([still.test[1], clip], [3, seed])[1]
        assert np.abs(np.asarray(image, float) - np.asarray(beside, float)).mean() < 1, "a clip climbs for itself"


def test_an_attack_is_marked_and_has_no_rank() -> None:
    card = {"sees": ["audio"], "attack": "copies"}
    attack = stored("copycat", 99.0)
    method = attack.record.method.model_copy(update={"card": card})
    attack = replace(attack, record=attack.record.model_copy(update={"method": method}))
    board = build_board([attack, stored("honest", 60.0, sees=["audio"])], ["ais"], suite="mini")
    assert [(row.label, row.rank) for row in board.rows] == [("copycat (attack)", None), ("honest", 1)]


def test_copies_stand_out_by_their_novelty(tmp_path: Path) -> None:
    values = {}
    for method in ("copycat", "reference"):
        run = job(method, tmp_path)
        steps.generate(run)
        values[method] = steps.score(run, ["novelty.clip"]).metrics["novelty.clip"]
    assert values["copycat"].value == 0.0 and values["copycat"].details["distance"] == pytest.approx(0.0, abs=1e-6)
    assert values["reference"].value == 50.0, "true frames are as novel as true frames"
    assert values["reference"].details["distance"] == values["copycat"].details["distance_of_true_frames"]


def test_a_board_names_rows_of_copies_and_no_best_of_novelty() -> None:
    def record(method: str, **novelty: Any) -> Any:
        more = {"ais": metric(60.0), "novelty.clip": metric(**{"chance": None, **novelty})}
        return stored(method, 60.0, metrics=more, sees=["audio"])

    rows = [
        record("copier", value=0.4, low=0.1, high=1.0),
        record("unsure", value=3.0, low=0.0, high=9.0),
        record("honest", value=61.0, low=58.0, high=64.0),
        record("noise", value=100.0, low=100.0, high=100.0),
    ]
    for columns in (["ais"], ["ais", "novelty.clip"]):
        board = build_board(rows, columns, suite="mini")
        assert [row.label for row in board.rows if row.copies] == ["copier"]
        note = "Copies of training frames, or nearly: copier (novelty below 5 %; true frames have 50)."
        assert note in board.legend
    assert not any(row.cells["novelty.clip"].best for row in board.rows), "noise has the most"
    assert any(row.cells["ais"].best for row in board.rows)
    assert not any("Copies" in line for line in build_board(rows[1:], ["ais"], suite="mini").legend)
