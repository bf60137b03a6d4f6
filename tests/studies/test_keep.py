"""Tests of keeping a study's figures with what made them."""

from __future__ import annotations

import pytest

from benchmark.studies.keep import Kept, main
from benchmark.suite import load_suite


def test_what_a_command_prints_is_kept_with_what_made_it(tmp_path):
    file = tmp_path / "new" / "metrics.json"
    assert main([str(file), "benchmark", "list", "metrics"]) == 0
    kept = Kept.model_validate_json(file.read_text(encoding="utf-8"))
    assert kept.command == "bench list metrics"
    assert kept.suite.fingerprint == load_suite("mini").fingerprint()
    assert kept.provenance.packages["torch"] and kept.seconds > 0
    assert "ais.winrate.sameclass" in {row["name"] for row in kept.figures}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["benchmark", "show", "no-such-method"], "`bench show no-such-method` ended with exit code"),
        (["this"], "`python -m this --json` printed no JSON"),
    ],
)
def test_a_command_without_figures_keeps_nothing(tmp_path, capsys, command, words):
    assert main([str(tmp_path / "kept.json"), *command]) != 0
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_suite_is_refused_before_anything_runs(tmp_path, capsys):
    assert main([str(tmp_path / "kept.json"), "--suite", "mimi", "this"]) == 2
    assert "mimi" in capsys.readouterr().err
