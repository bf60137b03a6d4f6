"""Tables that a study writes into a page: between marks on lines of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.studies.pages import fill
from benchmark.utils.errors import UserError


def test_text_goes_between_lines_and_not_into_a_sentence_about_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    said = "Tables stand between `<!-- one -->` and `<!-- /one -->` of a page.\n"
    page.write_text(f"{said}\n<!-- one -->\nold\n<!-- /one -->\nafter\n")
    fill(page, "one", "new\n")
    assert page.read_text() == f"{said}\n<!-- one -->\nnew\n<!-- /one -->\nafter\n"
    page.write_text(said)
    with pytest.raises(UserError, match="put them where the text should be"):
        fill(page, "one", "new")
    assert page.read_text() == said


def test_a_name_with_a_colon_is_closed_by_its_first_part(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- table:mini -->\n<!-- /table -->")
    fill(page, "table:mini", "| a |")
    assert page.read_text() == "<!-- table:mini -->\n| a |\n<!-- /table -->"
