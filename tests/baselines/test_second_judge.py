"""Runs judged by an encoder that fills no role in the suite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiotoken.features import encoder_of
from baselines.embeddings import FrameEmbedding, SoundEmbedding
from baselines.studies.second_judge import SCORES, judge, main
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent


def finished(tmp_path: Path, method: str, limit: int = 5, **settings: int) -> Run:
    job = Run.of(RunRequest(suite="mini", method=method, limit=limit, runs=tmp_path / "runs", **settings), Silent())
    steps.run(job)
    return job


def test_the_scores_are_win_rates_in_the_judge_s_space(tmp_path: Path) -> None:
    job = finished(tmp_path, "reference")
    scores = judge([job], "imagebind")["reference"]
    assert tuple(scores) == SCORES and (scores["iis"] == 100).all()

    encoder = encoder_of(job.plan.suite, "imagebind", "cpu")
    senses = FrameEmbedding(encoder, job.plan.suite, "cpu"), SoundEmbedding(encoder, job.plan.suite, "cpu")
    seen, heard = (sense(job.test.clips)[:, 0].numpy() for sense in senses)
    cosine = seen @ heard.T
    beaten = [np.delete(row, own) < row[own] for own, row in enumerate(cosine)]
    np.testing.assert_allclose(scores["ais"], [100 * one.mean() for one in beaten])


def test_seeds_are_averaged_and_methods_stay_apart(tmp_path: Path) -> None:
    plans = [finished(tmp_path, "sd-text", seed=seed) for seed in (0, 1)] + [finished(tmp_path, "reference")]
    together = judge(plans, "wav2clip-encoder")
    alone = [judge([job], "wav2clip-encoder")["sd-text"] for job in plans[:2]]
    assert list(together) == ["sd-text", "reference"]
    for score in SCORES:
        np.testing.assert_allclose(together["sd-text"][score], (alone[0][score] + alone[1][score]) / 2)


def test_runs_with_other_settings_are_not_taken_for_seeds(tmp_path: Path) -> None:
    one, other = (
        Run.of(RunRequest(suite="mini", method="audiotoken", settings={"steps": steps}, runs=tmp_path), Silent())
        for steps in ("1", "2")
    )
    with pytest.raises(UserError, match="has other settings than another run of 'audiotoken'"):
        judge([one, other], "imagebind")


def test_the_command_prints_a_line_a_method_and_refuses_what_cannot_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = finished(tmp_path, "reference"), finished(tmp_path, "reference", limit=4)
    text = finished(tmp_path, "sd-text")
    assert main([str(one.plan.folder.path), str(text.plan.folder.path)], Silent()) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    reference, sd_text = (next(line for line in lines if line.startswith(name)) for name in ("reference", "sd-text"))
    assert "100.0 [100.0, 100.0]" in reference and "p " not in reference
    assert sd_text.count(", p ") == 2 and sd_text.count("–") == 2  # five clips are of five classes

    assert main([str(one.plan.folder.path), str(other.plan.folder.path)], Silent()) == 2
    assert "has other clips than the first run" in capsys.readouterr().err
    assert main([str(one.plan.folder.path), "--encoder", "ears"], Silent()) == 2
    assert "'ears'" in capsys.readouterr().err
    next(text.plan.folder.images.iterdir()).unlink()
    assert main([str(text.plan.folder.path)], Silent()) == 2
    assert "is missing images" in capsys.readouterr().err
