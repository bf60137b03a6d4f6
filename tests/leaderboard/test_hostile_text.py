"""Names, labels, settings and reasons that would steer a terminal, a page or a spreadsheet. The numbers are made up."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from pathlib import Path

import pytest
from boards import metric, stored
from worlds import bench

from benchmark.leaderboard import literature
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.formats import RENDERERS, to_csv, to_json
from benchmark.leaderboard.paper_claims import build_paper, render
from benchmark.leaderboard.paper_claims import to_rich as paper_to_rich
from benchmark.leaderboard.tables import Sheet, html_table, latex, markdown, rich_table
from benchmark.records import store as stores
from benchmark.records.store import Store
from benchmark.suite import load_suite
from benchmark.utils.terminal import rendered

EVIL = "\x1b]0;owned\x07\x9b31mred\u202egnp.\u2066x\u2028y\x00"
FORMATS = [*RENDERERS, "text"]


def clean(text: str) -> bool:
    kinds = ("Cc", "Cs", "Zl", "Zp")
    return not [c for c in text if (unicodedata.category(c) in kinds or c in "\u202e\u2066\u200f") and c != "\n"]


@pytest.fixture
def board() -> Board:
    """Rows whose name, settings, reason and suite are hostile."""
    records = [
        stored(EVIL, 60.0, settings={"a" + EVIL: EVIL, "b": 1}, sees=[EVIL]),
        stored(EVIL, 61.0, settings={"b": 2}),
        stored("=cmd|'/c calc'!A1", metric(None, reason=EVIL)),
        stored("-2+3", 55.0),
        stored("old" + EVIL, 1.0, fingerprint="e" * 64),
        stored("line\nbreak", 54.0),
    ]
    return build_board(records, ["ais", "fid"], suite="mini", fingerprint="f" * 64, notes=[EVIL], titles={"ais": EVIL})


def shown(board: Board, format_: str) -> str:
    from benchmark.leaderboard.formats import to_rich

    return rendered(to_rich(board, 200), plain=True) if format_ == "text" else RENDERERS[format_](board)


@pytest.mark.parametrize("format_", FORMATS)
def test_no_format_of_a_board_lets_through_what_steers(board, format_):
    text = shown(board, format_)
    assert clean(text) and "owned" in text and "u202egnp" in text


@pytest.mark.parametrize("format_", FORMATS)
def test_a_board_without_rows_names_its_suite_and_its_notes_harmlessly(format_):
    empty = build_board([], ["ais"], suite="mini+" + EVIL + "\n\\input{x}", notes=[EVIL])
    text = shown(empty, format_)
    assert clean(text)
    if format_ == "latex":
        assert text.startswith("% ") and text.count("\n") == 1


def test_what_a_notebook_shows_is_harmless(board):
    assert clean(board._repr_html_()) and clean(build_board([], ["ais"], suite=EVIL)._repr_html_())
    assert clean(stored(EVIL, metric(None, reason=EVIL)).record._repr_html_())


def test_a_name_stays_in_its_line(board):
    rows = [line for line in shown(board, "md").splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(board.rows) + 1, "header, rule, rows, chance"
    assert len(list(csv.reader(io.StringIO(to_csv(board))))) == 1 + len(board.rows)


def test_a_spreadsheet_runs_nothing_and_numbers_stay_numbers(board):
    names = {row["method"]: row for row in csv.DictReader(io.StringIO(to_csv(board)))}
    assert {"'=cmd|'/c calc'!A1", "'-2+3"} <= names.keys()
    assert float(names["'-2+3"]["ais"]) == 55.0
    assert not any(cell[:1] in ("=", "+", "@", "\t") for row in names.values() for cell in row.values())


def test_json_holds_the_very_names(board):
    assert {row["method"] for row in json.loads(to_json(board))} == {row.method for row in board.rows} >= {EVIL}


def test_a_sheet_is_harmless_in_every_format():
    sheet = Sheet(EVIL, (EVIL, "b"), ((EVIL, "a\nb"),), notes=(EVIL,), bold=frozenset({(0, 0)}))
    for text in (markdown(sheet), latex(sheet), html_table(sheet), rendered(rich_table(sheet, 80), plain=True)):
        assert clean(text) and "u001b" in text


@pytest.mark.parametrize("format_", ["md", "csv", "latex", "html", "json", "text"])
def test_the_papers_pages_are_harmless_too(board, format_):
    suite = load_suite("mini")
    records = [stored("audiotoken", metric(None, reason=EVIL)), stored("sd-text", 50.0, settings={EVIL: EVIL})]
    records += [stored("sd-text", 40.0, settings={EVIL: "b"})]
    paper = build_paper(records, suite, name="mini", fingerprint="f" * 64)
    text = rendered(paper_to_rich(paper, 100), plain=True) if format_ == "text" else render(paper, format_)
    assert clean(text)


@pytest.mark.parametrize("format_", ["md", "csv", "latex", "html", "json"])
def test_published_numbers_beside_a_board_are_harmless(board, format_, tmp_path):
    known = literature.load_literature()
    table = known.tables[0].model_copy(update={"title": EVIL, "source": EVIL, "data": "=1+1"})
    text = literature.beside(board, known.model_copy(update={"tables": (table,)}), None, format_)
    assert clean(text)
    if format_ == "csv":
        assert "'=1+1" in text and ",=1+1" not in text


# ---------------------------------------------------------------------------------------------------------- commands


def put(runs: Path, name: str) -> Path:
    suite = load_suite("mini")
    made = stored(name, metric(None, reason=EVIL), fingerprint=suite.fingerprint(), warnings=[EVIL]).record
    folder = Store(runs).run("mini", name, 0)
    made.save(folder.record_path)
    return folder.path


def test_no_command_lets_through_what_steers(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "packaged_results", lambda: None)
    folder = put(tmp_path, EVIL)
    broken = tmp_path / "mini" / ("b" + EVIL.replace("\x00", "")) / "seed0" / "record.json"
    broken.parent.mkdir(parents=True)
    broken.write_text(json.dumps({"schema_version": 1, EVIL: EVIL, "status": EVIL}))
    for arguments in (
        ["table"],
        ["table", "--format", "md"],
        ["table", "--json"],
        ["show", folder],
        ["show", folder, "--json"],
        ["show", broken.parent],
        ["show", "a/b" + EVIL],
        ["table", "--suite", "mini" + EVIL],
        ["table", "--metric", EVIL],
        ["run", "--method", EVIL],
        ["list", EVIL],
        ["--debug", "show", broken.parent],
    ):
        result = bench(*arguments, runs=tmp_path)
        assert clean(result.out) and clean(result.err), arguments
        assert "owned" in result.out + result.err, arguments
    assert bench("show", folder, "--json").json["method"]["name"] == EVIL
    file = tmp_path / "table.md"
    assert bench("table", "--format", "md", "-o", file, runs=tmp_path).code == 0 and clean(file.read_text())


def test_a_folder_whose_name_is_no_text_can_be_named_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "packaged_results", lambda: None)
    put(tmp_path, "good")
    odd = Path(bytes(tmp_path / "mini").decode() + "/odd\udcff/seed0")
    odd.mkdir(parents=True)
    plan = {"suite": "mini", "method": "a", "data": None, "seed": 0, "limit": None, "settings": {}, "skip_bad": False}
    (odd / "plan.json").write_text(json.dumps(plan))
    for format_ in ("md", "html", "text"):
        result = bench("table", "--format", format_, "-o", tmp_path / "table", runs=tmp_path)
        assert result.code == 0, result.err
        assert "odd" in (tmp_path / "table").read_text(encoding="utf-8")


def test_a_plugins_card_cannot_steer_either(monkeypatch):
    from benchmark.cli import describe

    row = {"name": EVIL, "sees": [EVIL], "summary": EVIL, "origin": EVIL}
    monkeypatch.setattr(describe, "list_methods", lambda: [row])
    monkeypatch.setattr(
        describe, "find", lambda name, suite: {"name": EVIL, "settings_on": "mini", "settings": {EVIL: SETTING}}
    )
    for arguments in (["list", "methods"], ["show", "x"]):
        for form in ([], ["--json"]):
            result = bench(*arguments, *form)
            assert result.code == 0 and clean(result.out) and "owned" in result.out
    assert bench("list", "methods", "--json").json == [row]


SETTING = {"default": EVIL, "description": EVIL}
