"""The figure of a study: every answer stands on its line, and bad names of files are one line."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmark.leaderboard.dots import Dot
from benchmark.studies import figures

PANELS = {"size": [Dot("a", 60.0, 50.0, 70.0), Dot("b\x1b[31m", 40.0)], "count": [Dot("c", 1.0), Dot("a", None)]}


def test_titles_and_names_stand_in_the_figure(tmp_path: Path) -> None:
    figures.write(tmp_path / "one.svg", PANELS, line=50)
    text = (tmp_path / "one.svg").read_text()
    assert all(f">{word}<" in text for word in ("size", "count", "a", "c")) and "\x1b" not in text
    figures.write(tmp_path / "two.svg", PANELS, line=50)
    assert (tmp_path / "two.svg").read_text() == text
    for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        figures.write(tmp_path / f"one.{kind}", PANELS)
        assert (tmp_path / f"one.{kind}").read_bytes().startswith(start)


def test_without_a_file_or_a_value_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures.write(None, {})
    figures.write(tmp_path / "one.png", {"size": [Dot("a", None)]})
    assert "one.png: no value was found to draw" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_option_is_a_path_and_another_ending_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    figures.add_option(parser)
    assert parser.parse_args([]).plot is None and parser.parse_args(["--plot", "x.png"]).plot == Path("x.png")
    with pytest.raises(SystemExit):
        parser.parse_args(["--plot", "one.gif"])
    assert "one.gif: a figure is a .png, .svg or .pdf file: give --plot one of these endings" in capsys.readouterr().err
