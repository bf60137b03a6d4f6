"""Losses over the steps of a training, as the fits behind the runs noted them."""

from __future__ import annotations

from typing import Any

from benchmark.records.store import Folder
from benchmark.report.sources import Sources, run_folder
from benchmark.runs.tracking import read_curve

POINTS = 500
"""Points of a curve at most; a longer one is thinned evenly."""


def curves(sources: Sources) -> list[dict[str, Any]]:
    """Return the curves of the runs that were made here: `steps`, and `values` by name, each with None for a gap.

    Runs that share a fit share its curve: it is shown once, under the first row.
    """
    found, seen = [], set()
    for one in sources.rows:
        for run in one.runs:
            folder = run_folder(run)
            name = folder.payload("generate").get("fit") if folder else None
            place = sources.store.root / name if isinstance(name, str) else None
            if place is None or place in seen or not place.resolve().is_relative_to(sources.store.root.resolve()):
                continue
            seen.add(place)
            points = read_curve(Folder(place).path)
            points = points[:: max(1, -(-len(points) // POINTS))]
            if len(points) < 2:
                continue
            names = sorted({key for _, figures in points for key in figures})
            found.append(
                {
                    "run": run.key,
                    "row": one.key,
                    "label": f"{one.row.label}, {run.name}",
                    "name": "one run" if run.stored.record.seed is None else f"seed {run.stored.record.seed}",
                    "steps": [step for step, _ in points],
                    "values": {key: [figures.get(key) for _, figures in points] for key in names},
                }
            )
    return found
