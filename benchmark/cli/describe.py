"""What `bench list` and `bench show` tell of suites, methods, metrics and scorers, as plain values."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.utils.errors import UserError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmark.method import Method
    from benchmark.records.record import RunRecord
    from benchmark.records.store import Store
    from benchmark.suite import Suite


def list_suites() -> list[dict[str, Any]]:
    """Every suite: name, version, title, headline metrics."""
    from benchmark.suite import load_suite, suite_names

    return [
        {"name": suite.name, "version": suite.version, "title": suite.title, "headline": list(suite.headline)}
        for suite in map(load_suite, suite_names())
    ]


def list_methods() -> list[dict[str, Any]]:
    """Every method: name, what it sees, summary, where it comes from; of a broken plug-in its fault."""
    from benchmark.registries import METHODS, why_no_method

    rows = []
    for name in METHODS.names():
        origin = METHODS.origin(name)
        try:
            found = METHODS.get(name)
            if why := why_no_method(found):
                raise UserError(f"cannot be used: {origin} {why}")
            if found.card.name != name:
                raise UserError(f"cannot be used: its card says {found.card.name!r}")
            rows.append({"name": name, "sees": list(found.card.sees), "summary": found.card.summary, "origin": origin})
        except UserError as error:
            # Somebody's broken plug-in must not hide the others.
            rows.append({"name": name, "sees": [], "summary": error.problems[0], "origin": origin})
    for name, origin, fault in METHODS.refused():
        rows.append({"name": name, "sees": [], "summary": fault, "origin": origin})
    return sorted(rows, key=lambda row: str(row["name"]))


def list_metrics() -> list[dict[str, Any]]:
    """Every metric: name, direction, unit, definition."""
    from metrics import definitions

    return [
        {"name": d.id, "direction": d.direction, "unit": d.unit, "definition": d.definition}
        for d in definitions.definitions()
    ]


def list_scorers() -> list[dict[str, Any]]:
    """Every scorer, and the suites' roles that it fills."""
    from benchmark.registries import SCORERS
    from benchmark.suite import load_suite, suite_names

    roles: dict[str, list[str]] = {name: [] for name in SCORERS.names()}
    for suite in map(load_suite, suite_names()):
        for role, networks in suite.scorers.model_dump().items():
            for network in [networks] if isinstance(networks, str) else networks or ():
                name = network if network in roles else f"{suite.base}/{network}"
                roles.setdefault(name, []).append(f"{suite.name} {role}")
    return [{"name": name, "used_for": used} for name, used in roles.items()]


def list_variations() -> list[dict[str, Any]]:
    """Every variation of the test clips, what it makes of them, and its value."""
    from benchmark.runs.variations import KINDS

    return [
        {
            "name": kind if one.low is None else f"{kind}=VALUE",
            "heard": one.about.format("VALUE"),
            "value": None if one.low is None else f"{one.unit}, {one.low:g} to {one.high:.10g}",
        }
        for kind, one in KINDS.items()
    ]


def find(name: str, suite: str = "mini") -> RunRecord | dict[str, Any]:
    """The record at a path, or the facts about a suite, a method (with its settings on `suite`), a metric or a run.

    Raises:
        UserError: The name is unknown.
    """
    from benchmark.leaderboard.possible import check
    from benchmark.records.human import with_ratings
    from benchmark.records.record import RunRecord
    from benchmark.records.store import StoredRecord
    from benchmark.registries import METHODS, find_method
    from benchmark.suite import load_suite, suite_names
    from metrics import definitions

    if name in suite_names():
        return _suite_facts(load_suite(name))
    if name in METHODS or ".py:" in name or (name.endswith(".py") and Path(name).is_file()):
        return _method_facts(find_method(name), load_suite(suite))
    with contextlib.suppress(ValueError):
        return _metric_facts(definitions.get(name))
    path = Path(name)
    if path.is_dir() or path.suffix == ".json" or len(path.parts) > 1:
        if path.is_dir() and (path / "plan.json").is_file() and not (path / "record.json").is_file():
            return run_state(path)
        file = path / "record.json" if path.is_dir() else path
        stored = StoredRecord(RunRecord.load(file), file, "runs")
        check(stored)
        try:
            return with_ratings(stored.record, file)
        except UserError as error:  # ratings that cannot be used hide no record
            return stored.record.model_copy(update={"warnings": [*stored.record.warnings, *error.problems]})
    raise unknown("name", name, [*suite_names(), *METHODS.names(), *(d.id for d in definitions.definitions())])


def _suite_facts(suite: Suite) -> dict[str, Any]:
    facts = suite.model_dump(mode="json")
    return {"name": facts.pop("name"), "version": facts.pop("version"), "fingerprint": suite.fingerprint(), **facts}


def _method_facts(method: type[Method], suite: Suite) -> dict[str, Any]:
    budget = suite.budget.model_dump(mode="json")
    settings = {
        name: {
            "default": default
            if (default := field.get_default(call_default_factory=True)) is not None
            else budget.get(name),
            "description": field.description,
        }
        for name, field in method.Settings.model_fields.items()
    }
    facts = {**method.card.model_dump(mode="json"), "settings_on": suite.name}
    return {**facts, "settings": json.loads(json.dumps(settings, default=str))}


def run_state(folder: Path) -> dict[str, Any]:
    """How far an unfinished run is: its request, and the state of each step.

    Raises:
        UserError: The folder is not that of a run.
    """
    from benchmark.records.store import RunFolder
    from benchmark.runs.request import RunRequest

    request, facts = RunRequest.load(folder)
    run = RunFolder(folder)
    images, of = sum(1 for _ in run.images.glob("*.png")), _clip_count(facts)
    failures = run.payload("generate").get("failures", {})
    return {
        "method": request.method,
        "suite": request.suite,
        "data": facts["data"],
        "variation": facts.get("variation"),
        "seed": request.seed,
        "limit": request.limit,
        "settings_given": request.settings,
        "state": "not finished",
        "images": f"{images} of {of}" if of else str(images),
        "generate": run.state("generate"),
        "score": run.state("score"),
        "failed clips": failures,
        "next": "the same `bench run` continues it",
    }


def unfinished_runs(store: Store, suite: str) -> list[str]:
    """A line for each run of a suite folder that has no record yet, with how far it is."""
    lines = []
    for plan in sorted((store.root / suite).glob("*/*/plan.json")):
        folder = plan.parent
        if (folder / "record.json").exists() or ".old-" in folder.name:
            continue
        try:
            state = run_state(folder)
        except UserError:
            continue
        lines.append(f"{folder.parent.name} {folder.name}, {state['images']} images (`bench show {folder}`)")
    return lines


def _clip_count(facts: Mapping[str, Any]) -> int | None:
    """Clips that a run was asked for; None for a manifest's, which nobody has counted."""
    from benchmark.runs.variations import Variation
    from benchmark.suite import load_suite

    clips = facts.get("clips")
    if clips is None and facts["data"] is not None:
        return facts["limit"]
    suite = load_suite(facts["suite"])
    if (variation := facts.get("variation")) is not None:
        suite = Variation.parse(variation).of(suite)
    count = len(clips) if clips is not None else suite.data.test
    return count if facts["limit"] is None else min(count, facts["limit"])


def _metric_facts(definition: Any) -> dict[str, Any]:
    chance = "depends on the number of classes" if callable(definition.chance) else definition.chance
    return {
        "name": definition.id,
        "title": definition.title,
        "definition": definition.definition,
        "direction": definition.direction,
        "unit": definition.unit,
        "bounds": list(definition.bounds),
        "chance": chance,
        "needs": list(definition.needs),
        "version": definition.version,
        "source": definition.source,
    }
