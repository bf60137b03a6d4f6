"""What docs/metrics.md says of a metric, as HTML: the page is the one place where formulas are explained."""

from __future__ import annotations

import re
from functools import cache

from benchmark.utils.env import PACKAGE


@cache
def _sections() -> list[tuple[str, str, str]]:
    """Heading, markdown, and the introduction of the chapter that it stands in, of each section of the page."""
    places = (PACKAGE / "_docs" / "metrics.md", PACKAGE.parent / "docs" / "metrics.md")
    text = next((path.read_text(encoding="utf-8") for path in places if path.is_file()), "")
    sections, introduction = [], ""
    for part in re.split(r"^(?=##+ )", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        if heading.startswith("## "):
            introduction = body
        sections.append((heading.lstrip("# "), body, "" if heading.startswith("## ") else introduction))
    return sections


def explanation(metric: str) -> str:
    """Return the page's section on a metric as HTML; empty where it has none. Raw HTML in it is shown, not obeyed."""
    from markdown_it import MarkdownIt

    family, _, variant = metric.partition(".")
    # The page explains iis with ais, as the formulas are the same, and a distance once for all extractors.
    twin = f"ais.{variant}" if family == "iis" and variant else "ais" if family == "iis" else ""
    top = f"{family}.r@k" if variant.startswith("r@") else ""
    names = [metric, twin, f"{family}.<extractor>", f"{family}.<attribute>", top, family]
    render = MarkdownIt("commonmark", {"html": False}).enable("table").render
    for name in filter(None, names):
        for heading, body, introduction in _sections():
            if f"`{name}`" in heading or re.search(rf"^\| `{re.escape(name)}` \|", body, re.MULTILINE):
                return str(render(_local(f"{introduction}\n\n{body}")))
    return ""


def _local(text: str) -> str:
    """Without links into the repository and comments that only its tests read."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
