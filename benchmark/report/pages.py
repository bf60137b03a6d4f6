"""The pages of a site, from templates: what they say stands in them, scripts only add to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from benchmark.leaderboard.tables import DASH
from benchmark.records.record import identity_of
from benchmark.report import data
from benchmark.report.folder import SiteFolder, cleaned
from benchmark.report.metric_pages import explanation
from benchmark.report.sources import ShownRow, Sources
from benchmark.utils.text import plain

HERE = Path(__file__).parent


def write(sources: Sources, site: SiteFolder, board: Mapping[str, Any]) -> None:
    """Write all pages, and the styles, scripts and libraries that they use."""
    for path in sorted((HERE / "static").rglob("*")):
        if path.is_file():
            site.write(f"static/{path.relative_to(HERE / 'static').as_posix()}", path.read_bytes())
    columns = sources.board.filled
    facts = {column.id: cleaned(data.metric_facts(column)) for column in columns}
    shared = {
        "board": sources.board,
        "suite": sources.suite,
        "rows": sources.rows,
        "columns": columns,
        "facts": facts,
        "headline": [column for column in columns if column.id in sources.suite.headline],
        "sights": sorted({sight for row in board["rows"] for sight in row["sees"]}),
        "seen": {row["key"]: row["sees"] for row in board["rows"]},
        "missing": board["missing"],
        "stress": board["stress"],
        "clips": max((one.row.clips for one in sources.rows), default=0),
        # A run and its packaged copy are one.
        "runs": len({identity_of(run.stored.record) for one in sources.rows for run in one.runs}),
        "differing": [one.row.label for one in sources.rows if one.row.differs],
        "atoms": any(fact["family"] == "hears" for fact in facts.values()),
        "DASH": DASH,
    }
    environment = _environment()

    def page(name: str, template: str, **values: Any) -> None:
        root = "../" * name.count("/")
        here = template.removesuffix(".html")
        site.write(name, environment.get_template(template).render(root=root, here=here, **shared, **values))

    scales = {column.id: _scale([one.row.cells[column.id] for one in sources.rows], column) for column in columns}
    page("index.html", "index.html", scales=scales)
    for name in ("plots", "gallery", "compare"):
        page(f"{name}.html", f"{name}.html")
    for one in sources.rows:
        page(f"methods/{one.key}.html", "method.html", one=one, method=_method(one))
    for column in columns:
        page(
            f"metrics/{facts[column.id]['page']}.html", "metric.html", column=column, explanation=explanation(column.id)
        )


def _environment() -> jinja2.Environment:
    # `finalize` cleans every value that a page prints: whatever a label or a setting holds, it is text in one line.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: plain(value) if type(value) is str else value,
    )


def _scale(cells: Sequence[Any], column: Any) -> Any:
    """A function that places a value of the column between 0 and 100."""
    points = [value for cell in cells for value in (cell.value, cell.low, cell.high) if value is not None]
    points += [] if column.chance is None else [column.chance]
    points += [0.0, 100.0] if column.unit == "%" else []
    low, high = min(points, default=0.0), max(points, default=1.0)
    return partial(_place, low, (high - low) or 1.0)


def _place(low: float, width: float, value: float) -> float:
    return round(100 * (value - low) / width, 2)


def _method(one: ShownRow) -> dict[str, Any]:
    """What the page of a row shows beside its numbers."""
    records = [run.stored.record for run in one.runs]
    card = records[0].method.card if records else {}
    failures = {
        (run.name, clip): why for run in one.runs for clip, why in sorted(run.stored.record.clips.failures.items())
    }
    return {
        "card": {key: _shown(value) for key, value in card.items() if value not in (None, "", [])},
        "settings": {key: _shown(value) for key, value in sorted(one.row.settings.items())},
        "failures": [(run, clip, why) for (run, clip), why in failures.items()],
        "warnings": list(dict.fromkeys(line for record in records for line in record.warnings)),
        "runs": [(run, run.stored.record) for run in one.runs],
        "weights": dict(sorted({name: sha for record in records for name, sha in record.weights.items()}.items())),
        "how": data.how_to_get(one),
        "cost": data.cost(one.row, records),
    }


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)
