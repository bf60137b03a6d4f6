"""What is said of a step whose files or marker are not what was written, or are gone: one line that names one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.runs.request import FILE

if TYPE_CHECKING:
    from benchmark.records.store import Folder
    from benchmark.runs.plan import Plan
    from benchmark.utils.progress import UI


def fit_files(plan: Plan) -> list[Path]:
    """Return the files that a finished fit consists of, as far as they are there."""
    assert plan.fit_folder is not None
    place = plan.fit_folder.path
    if plan.method.fit_files:
        return [path for name in plan.method.fit_files if (path := place / name).is_file()]
    found = (path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [path for path in found if path.parent != place / "steps"]


def say(folder: Folder, found: Mapping[str, str], ui: UI) -> None:
    """Say in one line what is made anew, if anything is.

    Args:
        folder: The folder of the step.
        found: What is wrong with each file, a predicate by its name in the folder.
        ui: Where it is said.
    """
    if found:
        name, why = next(iter(found.items()))
        more = f" (and {len(found) - 1} more files of this step)" if len(found) > 1 else ""
        ui.warn(f"{folder.path / name} {why}{more}: made anew")


def of_step(folder: Folder, step: str, made: Iterable[Path] = ()) -> dict[str, str]:
    """Return what is wrong with the files of a step, or else with its marker; `made` as in `Folder.marker_damage`."""
    return folder.damaged(step) or folder.marker_damage(step, made)


def mend_plan(plan: Plan, ui: UI) -> None:
    """Write plan.json of a finished run anew where it, or its marker, is not what was written, and may be written."""
    bad = of_step(plan.folder, "plan", [plan.folder.path / FILE])
    if bad and not plan.folder.read_only:
        say(plan.folder, bad, ui)
        plan.save()
