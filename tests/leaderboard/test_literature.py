from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from boards import stored
from worlds import bench

from benchmark.leaderboard import literature
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.formats import RENDERERS
from benchmark.leaderboard.literature import as_objects, beside, load_literature, to_csv
from benchmark.records import store
from benchmark.utils.errors import UserError

GOOD = """
[[tables]]
id = "one"
title = "One"
data = "VGGSound"
protocol = "E"
source = "a paper"
hand = "first"
columns = [{ id = "ais.winrate.inclusive", published = "AIS", direction = "up", variant = "strict" }]
rows = [{ method = "A & B", values = { "ais.winrate.inclusive" = 24.270 } }]
"""


@pytest.fixture(scope="module")
def published() -> literature.Literature:
    return load_literature()


def load(tmp_path: Path, text: str) -> literature.Literature:
    path = tmp_path / "literature.toml"
    path.write_text(text)
    return load_literature(path)


def values(published: literature.Literature, table: str, method: str) -> dict[str, float]:
    return {n["metric"]: n["value"] for n in as_objects(published) if (n["table"], n["method"]) == (table, method)}


def test_the_papers_table_is_there_and_its_definitions_are_unknown(published):
    assert values(published, "audiotoken", "AudioToken") == {"aic?": 45.48, "fid?": 56.65, "ais?": 68.23, "iis?": 76.66}
    assert values(published, "audiotoken", "Reference") == {"aic?": 54.66}
    table = published.table("audiotoken")
    assert len(table.rows) == 6 and all(column.id.endswith("?") for column in table.columns)
    for unknown in ("comparison set", "tie rule", "CLIP variant", "real set", "raters", "which generator"):
        assert unknown in " ".join(table.notes)


def test_published_variants_have_this_projects_names(published):
    assert values(published, "munite-vggsound", "FlowBind") == {"fid": 24.27, "ais.winrate.inclusive": 92.445}
    assert values(published, "macs-llp", "MACS")["ais.cosine"] == 0.0754
    assert values(published, "macs-llp", "MACS")["ais.z"] == 1.3038
    assert values(published, "macs-landscape", "MACS")["iis.z"] == 1.4805
    assert values(published, "sonicdiffusion-ravdess", "SonicDiffusion") == {"fid?": 89.6}
    assert len(as_objects(published)) > 100


def test_every_number_says_where_it_was_read(published):
    for number in as_objects(published):
        assert number["source"] and number["data"] and number["variant"] and number["hand"] in ("first", "second")
    copied = [n for n in as_objects(published) if (n["table"], n["method"]) == ("munite-vggsound", "CoDi")]
    assert all(number["hand"] == "second" and "2606.16408" in number["notes"][-1] for number in copied)


def test_printed_digits_are_kept(tmp_path):
    (table,) = load(tmp_path, GOOD).tables
    assert table.rows[0].values == {"ais.winrate.inclusive": Decimal("24.270")}
    assert table.sheet().rows == (("A & B", "24.270"),)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'values = { "ais.winrate.inclusive" = 24',
            'values = { "ais.cosine" = 24',
            ["mixes metrics", "A & B", "ais.cosine"],
        ),
        ('{ method = "A & B",', '{ method = "A & B", data = "Landscape",', ["mixes data", "Landscape", "VGGSound"]),
        ('{ method = "A & B",', '{ method = "A & B", protocol = "C",', ["mixes protocol", "'C'"]),
        ("}]\nrows", '}, { id = "ais.cosine", published = "AIS", direction = "up", variant = "" }]\nrows', ["'AIS'"]),
        ('id = "ais.winrate.inclusive"', 'id = "ais.winrte"', ["'ais.winrte'", "did you mean"]),
        ('hand = "first"', 'hand = "third"', ["hand", "first"]),
        ("[[tables]]", "[[tables", ["not TOML"]),
    ],
)
def test_what_does_not_belong_together_is_refused_in_a_line(tmp_path, old, new, words):
    assert GOOD.count(old) == 1
    with pytest.raises(UserError) as error:
        load(tmp_path, GOOD.replace(old, new))
    (line,) = error.value.problems
    assert "\n" not in line and all(word in line for word in words) and "literature.toml" in line


def test_only_the_very_metric_that_was_asked_for_is_shown(published):
    sheets = published.sheets(["ais.winrate.inclusive"])
    assert [len(sheet.header) for sheet in sheets] == [2, 2]
    assert all("ais.winrate.inclusive" in sheet.header[1] for sheet in sheets)
    (nothing,) = published.sheets(["ais"])
    assert not nothing.rows and "No published number is of ais; there are ais?," in nothing.notes[0]
    assert "iis" not in nothing.notes[0]
    assert {n["metric"] for n in as_objects(published, ["ais.z"])} == {"ais.z"}


def test_measured_rows_are_left_as_they_are(published):
    board = build_board([stored("a", 60.0), stored("b", 50.0)], ["ais"], suite="mini")
    for name in ("md", "csv", "latex"):
        assert beside(board, published, None, name).startswith(RENDERERS[name](board))
    both = json.loads(beside(board, published, None, "json"))
    assert both["measured"] == json.loads(RENDERERS["json"](board))
    assert both["literature"] == as_objects(published)
    text = beside(board, published, None, "html")
    assert text.count("<table") == 1 + len([sheet for sheet in published.sheets() if sheet.rows])
    assert text.index("Published, not measured here") > text.index("</table>")
    rows = list(csv.DictReader(io.StringIO(to_csv(published))))
    assert beside(board, published, None, "csv").endswith("\n\n" + to_csv(published))
    assert rows[0]["method"] == "Reference" and rows[0]["value"] == "54.66"


def test_the_command_shows_both_in_every_format(tmp_path):
    for name in ("text", "md", "csv", "latex", "html", "json"):
        result = bench("table", "--literature", "--format", name, runs=tmp_path)
        assert result.code == 0 and "MUNITE" in result.out, result.err
    only = bench("table", "--literature", "--metric", "ais.cosine", runs=tmp_path)
    assert "0.0754" in only.out and "92.445" not in only.out


def test_a_wheel_has_it_too(tmp_path, monkeypatch, root):
    """Inside the wheel the folder of results is `benchmark/_results`."""
    packed = tmp_path / "benchmark" / "_results"
    packed.mkdir(parents=True)
    shutil.copy(root / "results" / "literature.toml", packed)
    monkeypatch.setattr(store, "PACKAGE", tmp_path / "benchmark")
    assert len(load_literature().tables) > 5
    shutil.rmtree(packed)
    with pytest.raises(UserError, match=r"results/literature.toml is not in this installation"):
        load_literature()
    packed.mkdir()
    with pytest.raises(UserError, match=r"literature.toml: cannot be read"):
        load_literature()


def test_nothing_heavy_is_imported(root):
    code = (
        "import sys, benchmark.cli.app as c\n"
        "codes = [c.main(a) for a in (['table', '--literature'], ['paper'])]\n"
        "print([m for m in ('torch', 'diffusers', 'scipy.stats') if m in sys.modules], codes)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] [0, 0]", done.stderr
