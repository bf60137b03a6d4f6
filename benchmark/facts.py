"""What `bench list` and `bench show` tell of suites, methods, metrics and scorers, as plain values."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError, unknown

if TYPE_CHECKING:
    from benchmark.method import Method
    from benchmark.record import RunRecord
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
    from benchmark.method import METHODS

    rows = []
    for name in METHODS.names():
        try:
            card = METHODS.get(name).card
            rows.append(
                {"name": name, "sees": list(card.sees), "summary": card.summary, "origin": METHODS.origin(name)}
            )
        except UserError as error:
            # Somebody's broken plug-in must not hide the others.
            rows.append({"name": name, "sees": [], "summary": error.problems[0], "origin": METHODS.origin(name)})
    return rows


def list_metrics() -> list[dict[str, Any]]:
    """Every metric: name, direction, unit, definition."""
    from metrics import catalog

    return [
        {"name": d.id, "direction": d.direction, "unit": d.unit, "definition": d.definition}
        for d in catalog.definitions()
    ]


def list_scorers() -> list[dict[str, Any]]:
    """Every scorer, and the suites' roles that it fills."""
    from benchmark.suite import SCORERS, load_suite, suite_names

    roles: dict[str, list[str]] = {name: [] for name in SCORERS.names()}
    for suite in map(load_suite, suite_names()):
        for role, networks in suite.scorers.model_dump().items():
            for network in [networks] if isinstance(networks, str) else networks or ():
                name = network if network in roles else f"{suite.base}/{network}"
                roles.setdefault(name, []).append(f"{suite.name} {role}")
    return [{"name": name, "used_for": used} for name, used in roles.items()]


def find(name: str) -> RunRecord | dict[str, Any]:
    """The record at a path, or the facts about a suite, a method or a metric. An unknown name is a UserError."""
    from benchmark.method import METHODS, find_method
    from benchmark.record import RunRecord
    from benchmark.suite import load_suite, suite_names
    from metrics import catalog

    if name in suite_names():
        return _suite_facts(load_suite(name))
    if name in METHODS or ".py:" in name:
        return _method_facts(find_method(name))
    with contextlib.suppress(ValueError):
        return _metric_facts(catalog.get(name))
    path = Path(name)
    if path.is_dir() or path.suffix == ".json" or len(path.parts) > 1:
        return RunRecord.load(path / "record.json" if path.is_dir() else path)
    raise unknown("name", name, [*suite_names(), *METHODS.names(), *(d.id for d in catalog.definitions())])


def _suite_facts(suite: Suite) -> dict[str, Any]:
    facts = suite.model_dump(mode="json")
    return {"name": facts.pop("name"), "version": facts.pop("version"), "fingerprint": suite.fingerprint(), **facts}


def _method_facts(method: type[Method]) -> dict[str, Any]:
    settings = {
        name: {"default": field.get_default(call_default_factory=True), "description": field.description}
        for name, field in method.Settings.model_fields.items()
    }
    return {**method.card.model_dump(mode="json"), "settings": json.loads(json.dumps(settings, default=str))}


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
