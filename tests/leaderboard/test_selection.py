"""What a reader chooses of a board: rows, columns, names, spread. The numbers are made up."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import metric, scored, stored

from benchmark.leaderboard.board import DIGITS, Board, Column, Layout
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.compare import RENDERERS as COMPARED
from benchmark.leaderboard.compare import compare_rows
from benchmark.leaderboard.formats import to_csv, to_html, to_json, to_latex, to_markdown
from benchmark.leaderboard.tables import Sheet, latex
from benchmark.records.record import UNITS
from benchmark.utils.errors import UserError


@pytest.fixture
def several(tmp_path: Path) -> Any:
    """Three methods that hear, far apart, of two seeds each, and one that is told the answer."""
    rng = np.random.default_rng(0)
    base = 60 + rng.normal(0, 5, 80)
    made = [
        scored(tmp_path, name, {"ais": base + shift + rng.normal(0, 1, 80)}, seed, sees=["audio"])
        for name, shift in (("top", 10.0), ("middle", 0.0), ("low", -10.0))
        for seed in (0, 1)
    ]
    return [*made, scored(tmp_path, "told", {"ais": base + 20}, None, sees=["label"])]


def board(records: Any, **options: Any) -> Board:
    return build_board(records, ["ais"], suite="mini", **options)


def test_rank_best_and_significance_are_of_what_is_shown(several):
    whole, part = board(several), board(several, methods=["middle", "low"])
    assert [(row.label, row.rank) for row in part.rows] == [("middle", 1), ("low", 2)]
    cells = {row.method: row.cells["ais"] for row in part.rows}
    assert cells["middle"].best and cells["low"].p_best is not None and cells["low"].p_best < 0.05
    everywhere = {row.method: row.cells["ais"] for row in whole.rows}
    assert not everywhere["middle"].best
    for name, cell in cells.items():
        assert (cell.value, cell.low, cell.high, cell.std) == (
            everywhere[name].value,
            everywhere[name].low,
            everywhere[name].high,
            everywhere[name].std,
        )
    assert not any("told" in note for note in part.notes) and any("told" in note for note in whole.notes)


def test_notes_about_rows_that_are_not_shown_do_not_stand(several):
    strangers = [stored("top", 9.0, fingerprint="e" * 64), stored("low", 9.0, fingerprint="e" * 64)]
    part = board([*several, *strangers], methods=["top"], fingerprint="f" * 64)
    assert part.remarks == ("Not comparable, made under another protocol of this suite (eeeeeeee): top seed 0 (runs).",)


def test_a_method_of_several_rows_is_chosen_whole_or_by_row():
    records = [stored("a", 60.0, settings={"lr": 0.1}), stored("a", 61.0, settings={"lr": 0.2}), stored("b", 59.0)]
    assert [row.label for row in board(records, methods=["a"]).rows] == ["a (lr=0.2)", "a (lr=0.1)"]
    assert [row.label for row in board(records, methods=["a (lr=0.1)", "b"]).rows] == ["a (lr=0.1)", "b"]
    with pytest.raises(UserError, match=r"unknown row 'aa'.*did you mean 'a'"):
        board(records, methods=["aa"])
    named = board(records, names={"a": "Ours"})
    assert [row.label for row in named.rows] == ["Ours (lr=0.2)", "Ours (lr=0.1)", "b"]
    assert board(records, names={"a (lr=0.2)": "Ours"}).rows[0].label == "Ours"
    with pytest.raises(UserError, match="two rows would be called 'b'"):
        board(records, names={"a (lr=0.2)": "b"})
    assert board([], methods=["a"], names={"a": "b"}).empty


def test_a_name_stands_everywhere_and_the_method_stays_known(several):
    named = board(several, names={"top": "Ours", "told": "Oracle"})
    for text in (to_markdown(named), to_latex(named), to_html(named)):
        assert "Ours" in text and "Oracle" in text and "told" not in text.replace("told the", "")
    rows = list(csv.DictReader(io.StringIO(to_csv(named))))
    assert ("top", "Ours") in {(row["method"], row["name"]) for row in rows}
    assert {row["method"]: row.get("name") for row in json.loads(to_json(named))}["top"] == "Ours"
    assert "name" not in next(csv.reader(io.StringIO(to_csv(board(several)))))


def test_a_layout_takes_away_columns_spread_and_what_explains_them(several):
    whole = board(several)
    plain = replace(whole, layout=Layout(extras=frozenset({"rank"}), intervals=False, deviations=False))
    head, _, first, *_ = to_markdown(plain).splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["#", "Method", "ais ↑"]
    assert "[" not in first and "±" not in first
    assert not any(note.startswith(("±", "[low")) for note in plain.notes)
    bare = replace(whole, layout=Layout(extras=frozenset(), intervals=False))
    assert bare.sheet().header == ("Method", "ais ↑") and "±" in to_markdown(bare) and "[" not in to_markdown(bare)
    assert (0, 1) in replace(board(several, methods=["top", "low"]), layout=bare.layout).sheet().bold
    assert '<th scope="col"><button type="button">#' not in to_html(bare) and "± " in to_html(bare)
    assert to_csv(bare) == to_csv(whole) and to_json(bare) == to_json(whole), "programs get every number"


def test_caption_and_label(several):
    captioned = replace(board(several), layout=Layout(caption="Main 100 % & more", label="tab:main_1"))
    text = to_latex(captioned)
    assert r"\caption{Main 100 \% \& more}" in text and r"\label{tab:main_1}" in text
    assert to_markdown(captioned).startswith("### Main 100 % & more\n")


def test_latex_is_cells_that_a_person_can_edit(several):
    text = to_latex(replace(board(several, methods=["top", "low"]), layout=Layout(extras=frozenset())))
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")].splitlines()
    top = next(line for line in body if line.startswith("top"))
    cell = board(several, methods=["top", "low"]).rows[0].cells["ais"]
    assert top == rf"top & \textbf{{{cell.value:.1f} $\pm$ {cell.std:.1f}}} \\"
    assert body[body.index(top) + 1] == rf" & {{\scriptsize {{[}}{cell.low:.1f}, {cell.high:.1f}{{]}}}} \\"
    for command in ("shortstack", "vcenter", "sbox", "resizebox", "hbox"):
        assert command not in text
    parts = latex(Sheet("t", ("Method", "ais.winrate.sameclass ↑"), (("a", "1.0"),)))
    assert " & ais. \\\\\n & winrate. \\\\\nMethod & sameclass $\\uparrow$ \\\\" in parts


def test_digits_are_the_units_and_not_the_rows():
    assert DIGITS.keys() == UNITS.keys()
    small, large = stored("small", 50.0, metric(0.5, "down")), stored("large", 50.0, metric(250.0, "down"))
    for records in ([small], [large], [small, large]):
        (column,) = build_board(records, ["fid"], suite="mini").columns
        assert column.show(0.5) == "0.50" and column.show(250.0) == "250.00"
    assert Column("x", "x", unit="cosine").show(0.12345) == "0.123"


def test_a_comparison_as_csv_runs_no_formula():
    made = board([stored("=1+1", 90.0), stored("b", 20.0)])
    text = COMPARED["csv"](compare_rows(made, *made.rows))
    assert "'=1+1" in text and ",=1+1" not in text
    steered = board([stored("a\x9b31m", 90.0), stored("b", 20.0)])
    assert "\x9b" not in COMPARED["json"](compare_rows(steered, *steered.rows))
