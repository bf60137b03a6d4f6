"""The rule of imports: rooms stand in an order, imports point to the left only, and no module is in a circle.

Imports for type checking alone and imports within functions count like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("metrics", "benchmark", "audiotoken", "baselines")

ORDER = [
    ["utils"],
    ["media", "records"],
    ["clips"],
    ["suite"],
    ["dataset", "text_encoder", "leaderboard"],
    ["backbone"],
    ["method"],
    ["registries"],
    ["weights"],
    ["data", "mini", "fullscale"],
    ["runs"],
    ["dry_run", "method_tools", "report", "verification", "human", "sharing", "demo", "doctor"],
    ["studies", "api"],
    ["cli"],
]
"""The rooms of `benchmark`: a room imports from earlier lines; rooms of one line know nothing of each other."""

ONLY = {
    "records": {"utils"},
    "leaderboard": {"utils", "records", "suite"},
}
"""Rooms that stand on fewer than all to their left."""

OUTSIDERS = {
    "utils",
    "media",
    "data",
    "dataset",
    "registries",
    "weights",
    "suite",
    "text_encoder",
    "runs.tracking",
    "runs.seeds",
}
"""What `audiotoken` and `baselines` import beside the front door."""


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """The modules of this project that a module imports, wherever in it."""
    path = MODULES[name]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [one if one in MODULES else str(node.module) for one in below]
        else:
            continue
        for target in targets:
            if target.partition(".")[0] in PACKAGES:
                assert target in MODULES, f"{name} imports {target}, which does not exist"
                yield target


GRAPH = {name: set(imports(name)) - {name} for name in MODULES}
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("benchmark.")])
def test_imports_point_to_the_left(name):
    own = room(name)
    if own == "__main__":
        return
    for target in GRAPH[name]:
        package, other = target.partition(".")[0], room(target)
        assert package in ("benchmark", "metrics"), f"{name} knows of {target}"
        if package == "metrics":
            continue
        if other == "":
            assert own == "cli", f"{name} imports the front door, which stands to its right"
            continue
        assert other == own or LEVEL[other] < LEVEL[own], f"{name} imports {target}"
        assert other == own or own not in ONLY or other in ONLY[own], f"{name} imports {target}"


def test_every_room_has_its_place():
    assert {room(name) for name in MODULES if name.startswith("benchmark.")} - {"__main__"} == set(LEVEL)


def test_metrics_stand_alone():
    for name in MODULES:
        if name.startswith("metrics"):
            assert all(target.startswith("metrics") for target in GRAPH[name]), name


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] in ("audiotoken", "baselines")])
def test_methods_come_in_by_the_front_door(name):
    allowed = {"audiotoken", "metrics"} | ({"baselines"} if name.startswith("baselines") else set())
    for target in GRAPH[name]:
        package, _, inside = target.partition(".")
        if package in allowed or target == "benchmark":
            continue
        study = name.startswith("baselines.studies") and room(target) == "runs"
        assert study or inside in OUTSIDERS or room(target) in OUTSIDERS, f"{name} imports {target}"


def test_nobody_imports_the_command_line_or_a_study():
    for name, targets in GRAPH.items():
        for target in targets:
            if target.startswith("benchmark.") and room(target) == "cli":
                assert room(name) in ("cli", "__main__"), f"{name} imports {target}"
            if ".studies" in target:
                assert ".studies" in name, f"{name} imports {target}"


def test_there_is_no_circle():
    """The front door is left out: what it offers it imports when it is asked for."""
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name) == 2 or name == "benchmark":
            return
        assert state.get(name) != 1, " -> ".join([*path[path.index(name) :], name])
        state[name] = 1
        for target in sorted(GRAPH[name]):
            visit(target, (*path, name))
        state[name] = 2

    for name in GRAPH:
        visit(name, ())


def test_files_of_the_command_line_are_short():
    for path in (ROOT / "benchmark" / "cli").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path.name
