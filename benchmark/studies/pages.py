"""Pages whose tables a study writes, between marks."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.utils.errors import UserError
from benchmark.utils.files import write_atomic


def fill(page: Path, name: str, text: str) -> None:
    """Put `text` between the marks `<!-- name -->` and `<!-- /name -->` of a page.

    Of a name with a colon, as "table:mini", the closing mark has the part before it.

    Raises:
        UserError: The page lacks the marks.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name.partition(':')[0]} -->"
    written = page.read_text(encoding="utf-8") if page.is_file() else ""
    # Whole lines alone: a page may speak of the marks.
    found = re.search(rf"^{re.escape(start)}$.*?^{re.escape(end)}$", written, re.DOTALL | re.MULTILINE)
    if found is None:
        raise UserError(f"{page} has no lines {start} and {end}: put them where the text should be")
    before, after = written[: found.start()], written[found.end() :]
    write_atomic(page, f"{before}{start}\n{text.strip()}\n{end}{after}")
