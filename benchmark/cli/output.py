"""How the command line shows tables, records and facts on stdout."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.utils.progress import Console, clock, rate
from benchmark.utils.terminal import WIDE, print_line, print_table, rendered, wide
from benchmark.utils.text import json_text, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from benchmark.cli.options import BoardOptions
    from benchmark.records.record import RunRecord


def print_record(record: RunRecord) -> None:
    """A record as a compact table: each metric's value, interval, chance level and n, and what it cost."""
    name = record.method.name + ("" if record.seed is None else f", seed {record.seed}")
    name += "" if record.limit is None else f", limit {record.limit}"
    suite = f"{record.suite.name} {record.suite.version} ({record.suite.fingerprint[:8]})"
    rows = []
    for metric in in_suite_order(record):
        value = record.metrics[metric]
        arrow = "↑" if value.direction == "up" else "↓"
        if value.value is None:
            rows.append([f"{metric} {arrow}", "–", "", "", str(value.n), value.reason or ""])
            continue
        interval = (
            ""
            if value.low is None or value.high is None
            else f"[{_number(value.low, value.unit)}, {_number(value.high, value.unit)}]"
        )
        chance = "" if value.chance is None else _number(value.chance, value.unit)
        failed = f"{value.failed} failed" if value.failed else ""
        rows.append([f"{metric} {arrow}", _number(value.value, value.unit), interval, chance, str(value.n), failed])
    header = ["metric", "value", "95 % interval", "chance", "n", ""]
    print_table(header, rows, title=f"{name} on {suite}: {record.status}", right=range(1, 5))
    clips, cost = record.clips, record.cost
    facts = [f"{clips.total} clips"]
    facts += [f"{clips.silent} silent"] if clips.silent else []
    facts += [f"{clips.failed} failed"] if clips.failed else []
    facts += [f"{len(clips.skipped)} skipped"] if clips.skipped else []
    facts += [f"fit in {clock(cost.fit_seconds)}"] if cost.fit_seconds else []
    facts += [f"{rate(cost.images_per_second)} images/s"] if cost.images_per_second else []
    facts += [f"{cost.peak_memory_bytes / 1e9:.1f} GB at most"] if cost.peak_memory_bytes else []
    print_line("\n" + ", ".join(facts))
    for warning in record.warnings:
        print_line(f"warning: {warning}")


def in_suite_order(record: RunRecord) -> list[str]:
    """Return the ids of a record's metrics as their suite lists them, others behind."""
    from benchmark.suite import load_suite, suite_names

    base = record.suite.name.partition("+")[0]
    known = load_suite(base).metrics if base in suite_names() else ()
    return sorted(record.metrics, key=lambda metric: known.index(metric) if metric in known else len(known))


def _number(value: float, unit: str) -> str:
    """A rate with one digit after the point, anything else with three figures."""
    return f"{value:.1f}" if unit == "%" or abs(value) >= 100 else f"{value:.3g}"


def print_facts(facts: Mapping[str, Any]) -> None:
    """What `benchmark.cli.describe` knows of one thing, a line a fact; settings as a table below."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for key, value in facts.items():
        if key != "settings":
            name = visible(key.replace("_", " "))
            table.add_row(Text(name, style="bold", no_wrap=True), Text(visible(shown(value), lines=True)))
    sys.stdout.write(rendered(table))
    if settings := facts.get("settings"):
        described = [[key, shown(s["default"]), s["description"] or ""] for key, s in settings.items()]
        print()
        print_table(["setting", "default", ""], described)


def shown(value: Any) -> str:
    """A plain JSON value for people: lists by commas, one `key: value` a line for objects."""
    if value is None or value in ({}, [], ""):
        return "–"
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {shown(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(shown, value))
    return value if isinstance(value, str) else json.dumps(value)


def print_json(value: Any) -> None:
    """`value` as JSON on stdout. Raises ValueError for a number that is not finite."""
    sys.stdout.write(json_text(value))


def write(text: str, path: Path | None) -> None:
    """Write `text` to stdout, or to the file `path`."""
    if path is None:
        sys.stdout.write(text)
        return
    from benchmark.utils.files import write_atomic

    write_atomic(path, text)
    Console().say(f"written to {path}")


def write_folded(shown: Callable[[int | None], RenderableType], options: BoardOptions) -> None:
    """Write what `shown` makes for a width: the one that was asked for, else the terminal's; a file has no edge."""
    width = options.width or (WIDE if options.output else wide())
    write(rendered(shown(width), plain=options.output is not None, width=width), options.output)


@contextlib.contextmanager
def stdout_is_for_results() -> Iterator[None]:
    """Send to stderr what a library or a method prints while work goes on."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
