from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest

from benchmark.utils.progress import Console
from benchmark.utils.terminal import print_line, print_table
from benchmark.utils.text import csv_cell, json_text, visible

HOSTILE = "a\x1b[2Jb\x9b31mc\u202ed\u2066e\x07f\x7fg\rh\u2028i\ud800"


def steers(text: str) -> list[str]:
    """The characters of `text` that are not for reading, line ends aside."""
    kinds = ("Cc", "Cs", "Zl", "Zp")
    return [c for c in text if (unicodedata.category(c) in kinds or unicodedata.bidirectional(c) in BIDI) and c != "\n"]


BIDI = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")


def test_every_character_that_steers_is_shown_and_no_other_is_changed():
    everything = "".join(map(chr, range(0x11000)))
    shown = visible(everything)
    assert steers(everything) and steers(shown) == [] and "\n" not in shown
    changed = [c for c in everything if visible(c) != c]
    assert all(visible(c) == f"\\u{ord(c):04x}" for c in changed)
    assert {unicodedata.category(c) for c in changed} == {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for kept in ("Glöckchen", "Glo\u0308ckchen", "गाय", "👩\u200d🚒", "a b\u00a0c", "αβγ", "鐘"):
        assert visible(kept) == kept


def test_lines_stay_lines_where_they_may():
    assert visible("a\nb\x1b", lines=True) == "a\nb\\u001b" and visible("a\nb") == "a\\u000ab"
    assert visible("a\r\nb", lines=True) == "a\\u000d\nb"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_gets_no_formula(text):
    (cell,) = next(csv.reader(io.StringIO(csv_row(csv_cell(text)))))
    assert cell[0] == "'" and steers(cell) == []


def csv_row(*cells: object) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def test_numbers_stay_numbers_in_a_sheet():
    assert [csv_cell(value) for value in (-1.5, 0, None, True)] == [-1.5, 0, None, True]
    assert csv_row(csv_cell(-1.5)) == "-1.5\r\n"


def test_json_says_the_same_without_what_steers():
    value = {"name": HOSTILE, "list": ["\n", "\u2028"], "number": -1.5}
    text = json_text(value)
    assert json.loads(text) == value and steers(text) == []
    assert json_text({"a": ["é", 1]}) == json.dumps({"a": ["é", 1]}, indent=2, ensure_ascii=False) + "\n"
    with pytest.raises(ValueError):
        json_text(float("nan"))


def test_nothing_that_is_printed_steers_the_terminal(capsys):
    ui = Console()
    ui.say(HOSTILE)
    ui.warn(HOSTILE)
    with ui.task(HOSTILE, 3, "images") as advance:
        advance(3)
    print_line(HOSTILE)
    print_table([HOSTILE, "b"], [[HOSTILE, "x"]], title=HOSTILE)
    out, err = capsys.readouterr()
    assert steers(out) == [] and out.count("\\u001b[2J") >= 4
    assert steers(err) == [] and err.count("\\u001b[2J") == 3
