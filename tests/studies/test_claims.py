"""The paper's claims on more clips: which runs they need, and that they are judged by those runs alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.leaderboard.paper_claims import load_claims
from benchmark.studies import claims
from benchmark.utils.progress import Silent

CLIPS = 6


def of_two(clips, seeds, runs, device, every=claims.requests_of):
    return [one for one in every(clips, seeds, runs, device) if one.method in ("sd-text", "reference")]


def test_every_method_of_a_claim_is_asked_for_with_every_seed() -> None:
    asked = claims.requests_of(936, [0, 4], None, "cpu")
    named = {one for claim in load_claims().claims for one in (claim.better, claim.worse) if one}
    assert {"audiotoken", "wav2clip", "imagebind", "reference"} < named
    assert {(one.method, one.seed) for one in asked} == {(method, seed) for method in named for seed in (0, 4)}
    assert {one.variation for one in asked} == {"clips=936"}


def test_claims_are_judged_by_the_runs_on_these_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claims, "requests_of", of_two)
    plot, asked = tmp_path / "claims.svg", ["--clips", str(CLIPS), "--seeds", "0", "1", "--runs", str(tmp_path)]
    assert claims.main([*asked, "--plot", str(plot), "--json"], Silent()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["suite"] == f"mini+clips={CLIPS}"
    by_id = {one["id"]: one for one in found["claims"]}
    judged = by_id["label-beats-frames-aic"]
    assert (judged["n"], judged["from"]) == (CLIPS, "clips") and judged["verdict"] != "not measured"
    assert "no complete record of audiotoken" in by_id["audiotoken-wav2clip-ais"]["reason"]
    assert len(list(tmp_path.glob("*/reference/*/record.json"))) == 1, "what has no seeds is run once"
    assert "sd-text - reference" in plot.read_text()

    assert claims.main(asked, Silent()) == 0
    assert f"measured on mini+clips={CLIPS}" in capsys.readouterr().out


def test_a_number_that_is_none_is_refused_before_any_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main(["--clips", "0", "--runs", str(tmp_path)], Silent()) == 2
    assert "clips=VALUE" in capsys.readouterr().err and not list(tmp_path.iterdir())
