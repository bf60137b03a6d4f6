"""The documentation as a site: it builds without a warning, has every page and command, and asks no other host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

for _needed in ("mkdocs", "material", "mkdocstrings"):
    pytest.importorskip(_needed, reason="the extra `docs` is not installed")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": path}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


class Requests(HTMLParser):
    """What a browser fetches to show a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "audio", "iframe"):
            self.found.append(given.get("src") or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.found.append(given.get("href") or "")


def test_every_page_of_the_folder_is_there_and_those_of_the_top(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site) for path in site.rglob("*.html")}
    others = {"index.html", "CONTRIBUTING.html", "CHANGELOG.html", "reference/commands.html", "404.html"}
    assert built == pages | {Path(name) for name in others}
    assert "Quick start" in (site / "index.html").read_text()


def test_links_out_of_the_folder_lead_to_the_file(site: Path) -> None:
    linked = re.findall(r'href="(repository/[^"]+)"', (site / "full-scale.html").read_text())
    assert "repository/benchmark/suites/vggsound.toml" in linked
    for place in linked:
        assert (site / place).read_bytes() == (ROOT / place.removeprefix("repository/")).read_bytes()


def test_the_reference_is_the_codes(site: Path) -> None:
    from benchmark.cli.app import GROUPS, VERBS

    commands = (site / "reference" / "commands.html").read_text()
    headings = set(re.findall(r"<h2[^>]*><code>bench ([^<]+)</code>", commands))
    below = {f"{group} {verb}" for group, (_, verbs) in GROUPS.items() for verb in verbs}
    assert headings == {*VERBS, *GROUPS, *below}
    assert "--allowed-signers" in commands and "Where runs live." in commands
    python = (site / "reference" / "python.html").read_text()
    for name in ("benchmark.api.run", "benchmark.method.Method.generate", "metrics.frechet.frechet_distance"):
        assert f'id="{name}"' in python, name


def test_no_page_asks_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not [one for one in Requests(page).found if "//" in one], page.name
