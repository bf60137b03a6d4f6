"""What the site shows beside the pages of this folder: README, CONTRIBUTING, CHANGELOG, and the commands' own help.

Pages stay where they are and link to each other as they do in the repository; links are bent here, while it is built.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Pages at the top of the repository -> their place on the site."""
COMMANDS = "reference/commands.md"
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the top folder, the files of the repository that pages link to, and the help of the commands."""
    sources = {f"docs/{file.src_uri}": file.src_uri for file in files.documentation_pages()}
    for name, place in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / name)))
    for page in [*sources, *PAGES]:
        for _, target, _ in LINK.findall(_prose((ROOT / page).read_text(encoding="utf-8"))):
            path = _in_repository(page, target)
            if path is None or path.startswith("docs/") or path in PAGES or not (ROOT / path).is_file():
                continue
            if files.get_file_from_path(place := f"repository/{path}") is None:
                files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, COMMANDS, content=_commands()))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Bend the links of a page to where their targets are on the site."""
    here = page.file.src_uri
    source = next((name for name, place in PAGES.items() if place == here), f"docs/{here}")

    def bend(link: re.Match[str]) -> str:
        path = _in_repository(source, link[2])
        if path is None:
            return link[0]
        place = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}")
        return f"{link[1]}{posixpath.relpath(place, posixpath.dirname(here) or '.')}{link[3]}"

    parts = CODE.split(markdown)
    return "".join(part if number % 2 else LINK.sub(bend, part) for number, part in enumerate(parts))


def _prose(text: str) -> str:
    return CODE.sub("", text)


def _in_repository(page: str, target: str) -> str | None:
    """Return the path of a link's target from the top of the repository; None for another host, or the page itself."""
    if not target or re.match(r"[a-z]+:", target):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def _commands() -> str:
    """Return the help of all commands as a page."""
    import click
    import typer

    from benchmark.cli.app import application

    command = typer.main.get_command(application())
    lines = ["# Commands", "", "Made from the code: what `bench VERB --help` prints.", ""]

    def describe(one: click.Command, name: str) -> None:
        context = click.Context(one, info_name=name, max_content_width=100, terminal_width=100)
        parts = getattr(one, "commands", {})
        lines.extend([f"## `{name}`", "", (one.help or "").strip(), ""])
        if not parts:
            usage = " ".join([name, *one.collect_usage_pieces(context)])
            lines.extend(["```", usage, "```", "", "| option | |", "|---|---|"])
            for parameter in one.get_params(context):
                record = parameter.get_help_record(context)
                if record:
                    lines.append("| " + " | ".join(_cell(text) for text in record) + " |")
            lines.append("")
        for part, below in parts.items():
            describe(below, f"{name} {part}")

    describe(command, "bench")
    return "\n".join(lines)


def _cell(text: str) -> str:
    # "[x>=1]" and "[default: 8]" are no links.
    flat = " ".join(text.replace("\\[", "[").split())
    return flat.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
