"""A table of texts, written as Markdown, LaTeX, HTML or for a terminal. What it is about does not matter here."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmark.utils.text import visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from rich.console import RenderableType

DASH = "–"
# Where a heading may be broken: after a dot within an id; where a cell: before an interval, after a comma outside one.
_HEADING, _CELL = re.compile(r"(?<=\.)(?=[a-z])"), re.compile(r" (?=\[)|(?<=,) (?![^\[]*\])")
_INTERVAL = re.compile(r" (?=\[)")


@dataclass(frozen=True)
class Sheet:
    """A table and what stands around it. Rows are as long as the header; places are (row, column), from 0.

    `left` are the columns of short texts, which are set to the left and not folded; `prose` those of sentences, which
    are folded anywhere. The first `names` columns tell the rows apart. `rules` are the rows that a line is drawn above,
    `dim` those that stand back. `notes` stand below the table, `name` is what it is about; LaTeX refers to it by
    `label`, or by the name. Without rows only title and notes are written.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: frozenset[int] = frozenset({0})
    prose: frozenset[int] = frozenset()
    bold: frozenset[tuple[int, int]] = frozenset()
    dim: frozenset[int] = frozenset()
    rules: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    names: int = 1
    name: str = "table"
    label: str | None = None

    def __post_init__(self) -> None:
        # Every format writes the texts that stand here, so here is where they become harmless.
        plain: dict[str, Any] = {
            "title": visible(self.title),
            "header": tuple(map(visible, self.header)),
            "rows": tuple(tuple(map(visible, row)) for row in self.rows),
            "notes": tuple(map(visible, self.notes)),
        }
        self.__dict__.update(plain)


# --------------------------------------------------------------------------------------------------------- markdown


def markdown(sheet: Sheet, titled: bool = True) -> str:
    """A GitHub table with aligned pipes, then the notes as a list; `titled` puts the title above as a heading."""
    from rich.cells import cell_len

    title = f"### {escape_markdown(sheet.title)}\n\n" if titled else ""
    if not sheet.rows:
        return title + markdown_notes(sheet.notes)
    rows = [[escape_markdown(text) for text in row] for row in sheet.rows]
    for i, j in sheet.bold:
        rows[i][j] = f"**{rows[i][j]}**"
    grid = [[escape_markdown(text) for text in sheet.header], *rows]
    widths = [max(3, *(cell_len(line[j]) for line in grid)) for j in range(len(sheet.header))]
    left = sheet.left | sheet.prose

    def line(texts: Sequence[str]) -> str:
        padded = []
        for j, text in enumerate(texts):
            space = " " * (widths[j] - cell_len(text))
            padded.append(text + space if j in left else space + text)
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join(f":{'-' * (w + 1)}" if j in left else f"{'-' * (w + 1)}:" for j, w in enumerate(widths)) + "|"
    notes = markdown_notes(sheet.notes)
    return title + "\n".join([line(grid[0]), rule, *map(line, grid[1:])]) + "\n" + (f"\n{notes}" if notes else "")


def markdown_notes(notes: Sequence[str]) -> str:
    """Notes as a list; empty for none."""
    return "".join(f"- {escape_markdown(note)}\n" for note in notes)


def escape_markdown(text: str) -> str:
    """Return `text` with what Markdown would take for markup escaped."""
    return re.sub(r"([\\`*<>|]|(?<!\w)_|_(?!\w)|\](?=\())", r"\\\1", text)


# ------------------------------------------------------------------------------------------------------------ latex

PROSE_WIDTH = r"p{0.34\linewidth}"
LONG_HEADING = 14


def latex(sheet: Sheet) -> str:
    """A `table` float for the packages booktabs and adjustbox, with the notes below in small type.

    Every cell is plain text between two `&`, to be edited by hand: where a value has an interval, that stands in a line
    of the table of its own, as do the later parts of a long heading. What is still wider than the line is made to fit.
    """
    notes = "\\\\\n".join(map(escape_latex, sheet.notes))
    if not sheet.rows:
        return rf"\par\noindent\textbf{{{escape_latex(sheet.title)}}}\\ {notes}\par" + "\n"
    places = range(len(sheet.header))
    numbers = set(places) - sheet.left - sheet.prose
    long = {j for j in numbers if len(sheet.header[j]) > LONG_HEADING}
    head = [_HEADING.split(text) if j in long else [text] for j, text in enumerate(sheet.header)]
    lines = [*_lines([[escape_latex(part) for part in parts] for parts in head], above=True), r"\midrule"]
    for i, row in enumerate(sheet.rows):
        cells = []
        for j, text in enumerate(row):
            first, *below = map(escape_latex, _INTERVAL.split(text) if j in numbers else [text])
            first = rf"\textbf{{{first}}}" if (i, j) in sheet.bold else first
            cells.append([first, *(rf"{{\scriptsize {part}}}" for part in below)])
        lines += [r"\midrule"] if i in sheet.rules else []
        lines += _lines(cells)
    columns = "".join(PROSE_WIDTH if j in sheet.prose else "l" if j in sheet.left else "r" for j in places)
    page = [
        r"\begin{table}[t] % \usepackage{booktabs,adjustbox}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escape_latex(sheet.title)}}}",
        rf"\label{{{sheet.label or 'tab:' + re.sub(r'[^A-Za-z0-9-]', '-', sheet.name)}}}",
        r"\begin{adjustbox}{max width=\linewidth}",
        rf"\begin{{tabular}}{{{columns}}}",
        *[r"\toprule", *lines, r"\bottomrule"],
        r"\end{tabular}",
        r"\end{adjustbox}",
    ]
    if sheet.notes:
        page.append(rf"\par\smallskip{{\footnotesize\raggedright {notes}\par}}")
    return "\n".join([*page, r"\end{table}"]) + "\n"


def _lines(cells: Sequence[Sequence[str]], above: bool = False) -> list[str]:
    """Lines of a LaTeX table for one row, as many as its highest cell has parts; `above` puts the gaps on top."""
    height = max(map(len, cells))
    blank = [[""] * (height - len(parts)) for parts in cells]
    full = [[*gap, *parts] if above else [*parts, *gap] for gap, parts in zip(blank, cells, strict=True)]
    return [" & ".join(parts[k] for parts in full) + r" \\" for k in range(height)]


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "–": "--",
    "[": "{[}",
    "]": "{]}",
    "†": r"\textsuperscript{\dag}",
    "×": r"$\times$",
    "é": r"\'e",
    '"': "''",
}


def escape_latex(text: str) -> str:
    """Return `text` with LaTeX's special characters escaped, and symbols as commands."""
    return "".join(_LATEX.get(character, character) for character in text)


# ------------------------------------------------------------------------------------------------------------- html


def html_table(sheet: Sheet) -> str:
    """Return a table for a notebook: title, header, rows with bold and dim ones, and the notes below."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in sheet.header)
    lines = []
    for i, row in enumerate(sheet.rows):
        texts = [html.escape(text) for text in row]
        cells = "".join(f"<td>{f'<b>{one}</b>' if (i, j) in sheet.bold else one}</td>" for j, one in enumerate(texts))
        lines.append(f'<tr style="opacity: 0.6">{cells}</tr>' if i in sheet.dim else f"<tr>{cells}</tr>")
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in sheet.notes)
    caption = f"<caption>{html.escape(sheet.title)}</caption>"
    return f"<table>{caption}<tr>{head}</tr>{''.join(lines)}</table>" + (f"<ul>{notes}</ul>" if notes else "")


def page(template: str, **values: Any) -> str:
    """A self-contained page (no network) from a template beside this file."""
    return _environment().get_template(template).render(DASH=DASH, **values) + "\n"


@cache
def _environment() -> Environment:
    """The templates, each compiled once."""
    from jinja2 import Environment, FileSystemLoader

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )


# --------------------------------------------------------------------------------------------------------- terminal


PROSE_LEAST = 18


def rich_table(sheet: Sheet, width: int | None = None) -> RenderableType:
    """For a terminal of `width` columns (default: the one it runs in), notes below.

    Where the lines are too long, numbers are folded; where that is not enough, the table is cut into parts that repeat
    the names. No word is broken.
    """
    from rich.console import Group
    from rich.text import Text

    width = width or shutil.get_terminal_size().columns
    columns = [list(column) for column in zip(sheet.header, *sheet.rows, strict=True)]
    parts = _parts(sheet, columns, width)
    if len(parts) > 1:
        for j in set(range(len(columns))) - sheet.left - sheet.prose:
            columns[j] = [_HEADING.sub("\n", columns[j][0]), *(_CELL.sub("\n", text) for text in columns[j][1:])]
        parts = _parts(sheet, columns, width)
    title = [Text(sheet.title, style="italic")] if sheet.title else []
    tables = [_rich_part(sheet, columns, part, width) for part in parts] if sheet.rows else []
    return Group(*title, *tables, *(Text(note, style="dim") for note in sheet.notes))


def _parts(sheet: Sheet, columns: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """The columns of each part; those that tell the rows apart are in all."""
    widths = [_width(column) for column in columns]
    for j in sheet.prose:
        widths[j] = min(widths[j], PROSE_LEAST + 2)
    names = list(range(sheet.names))
    parts = [list(names)]
    for j in range(len(names), len(columns)):
        if len(parts[-1]) > len(names) and sum(widths[k] for k in [*parts[-1], j]) > width:
            parts.append(list(names))
        parts[-1].append(j)
    return parts


def _width(column: Sequence[str]) -> int:
    """Of the longest line of a column and the space around it."""
    from rich.cells import cell_len

    return 2 + max(cell_len(line) for text in column for line in text.split("\n"))


def _rich_part(sheet: Sheet, columns: Sequence[Sequence[str]], places: Sequence[int], width: int) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    # Where nothing has to be folded, rich need not look where it could.
    whole = 2 + sum(_width(columns[j]) for j in places) <= width
    for j in places:
        justify: Literal["left", "right"] = "left" if j in sheet.left | sheet.prose else "right"
        least = PROSE_LEAST if j in sheet.prose else None
        table.add_column(Text(columns[j][0]), justify=justify, min_width=least, overflow="fold", no_wrap=whole)
    for i in range(len(sheet.rows)):
        cells = [Text(columns[j][i + 1], style="bold green" if (i, j) in sheet.bold else "") for j in places]
        table.add_row(*cells, style="dim" if i in sheet.dim else None, end_section=i + 1 in sheet.rules)
    return table
