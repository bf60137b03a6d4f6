"""Figures of a board: what is drawn, the same bytes each time, and text that stays text. The numbers are made up."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import pytest
from boards import metric, stored
from matplotlib.colors import to_hex
from PIL import Image

from benchmark.leaderboard import plots
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.plots import BRACKETS, COMPETES, _figure, draw


@pytest.fixture
def board() -> Board:
    records = [
        stored("ours", 70.0, metric(5.0, "down", low=4.0, high=6.0), sees=["audio"]),
        stored("$x^2$ & <b>", 60.0, metric(9.0, "down"), sees=["audio"]),
        stored("told", 90.0, None, sees=["label"]),
    ]
    return build_board(records, ["ais", "fid"], suite="mini")


def test_a_mark_a_value_a_bar_an_interval_and_chance(board):
    left, right = _figure(board).axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["$x^2$ & <b>", "ours", "told"], "best on top"
    bars = {tuple(line.get_xdata()) for line in left.lines if len(line.get_xdata()) == 2}
    assert {(68.0, 72.0), (58.0, 62.0), (88.0, 92.0), (50.0, 50.0)} <= {tuple(map(float, bar)) for bar in bars}
    marks = {float(line.get_xdata()[0]): line for line in left.lines if len(line.get_xdata()) == 1}
    assert {x: (line.get_marker(), to_hex(line.get_markeredgecolor()).upper()) for x, line in marks.items()} == {
        70.0: ("o", COMPETES),
        60.0: ("o", COMPETES),
        90.0: ("D", BRACKETS),
    }
    assert left.get_xlabel() == "ais (%)\nhigher is better →" and right.get_xlabel() == "fid\n← lower is better"
    assert len([line for line in right.lines if len(line.get_xdata()) == 1]) == 2, "no value, no mark"
    assert [tuple(line.get_xdata()) for line in right.lines if len(line.get_xdata()) == 2] == [(4.0, 6.0)]


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_board_gives_the_same_bytes(board, kind):
    first, second = draw(board, kind), draw(board, kind)
    assert first == second
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert first.startswith(start)
    if kind == "png":
        assert Image.open(io.BytesIO(first)).width > 1200


def test_text_of_a_vector_figure_stays_text(board):
    root = ElementTree.fromstring(draw(board, "svg"))
    texts = {"".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"ours", "$x^2$ & <b>", "ais (%)", "chance"} <= texts
    assert not re.search(rb"/Type3", draw(board, "pdf")), "fonts that printers refuse"


def test_many_metrics_are_rows_of_panels(board):
    columns = tuple(board.columns[0] for _ in range(plots._ACROSS + 1))
    figure = _figure(Board("mini", 1, None, columns, board.rows, (), ()))
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False] * 2
