"""Fits that ship with the package, so that the first image of one's own sound needs no training.

Each is the folder of a fit as `bench run` leaves it, cut down to its network and its marker, and stands for the fit
that the same seed and settings would make: it is found by everything that a fit depends on, and compared with the
marker's checksums before it is used. `bench run`, `bench fit` and `bench generate` never use it, since a record is of
what was done on its own machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.records.store import Folder
from benchmark.runs import damage
from benchmark.runs.steps import fit

if TYPE_CHECKING:
    from benchmark.runs.plan import Plan
    from benchmark.runs.run import Run

FITS = Path(__file__).parents[1] / "mini" / "fits"


def shipped_fit(plan: Plan) -> Folder | None:
    """Return the shipped fit of the same method, settings, suite and seed; None if there is none.

    It was made on a CPU, and serves every device.
    """
    identity, own = plan.fit_identity_on("cpu"), plan.fit_folder_on("cpu")
    if identity is None or own is None:
        return None
    found = Folder(FITS / own.path.name)
    return found if found.step_done("fit", identity) else None


def fit_at_hand(run: Run) -> Path | None:
    """Return the folder of the run's fit: its own if that is finished, else the shipped one, else its own, made now."""
    plan = run.plan
    if plan.fit_folder is None or plan.fit_identity is None or plan.fit_folder.step_done("fit", plan.fit_identity):
        return fit(run)
    found = shipped_fit(plan)
    if found is None:
        there = Folder(FITS / plan.fit_folder.path.name)
        for name, why in [*damage.of_step(there, "fit", there.path.glob("*.safetensors")).items()][:1]:
            run.ui.warn(f"{there.path / name} {why}: reinstall the package; the fit is made here instead")
        return fit(run)
    run.ui.say(
        f"{plan.name}: the fit that ships with the package (seed {plan.seed}, {found.payload('fit')['steps']} steps); "
        f"`bench run --method {plan.name}` trains your own, which is used from then on"
    )
    return found.path
