"""The run of a finished fit on clips that nobody has seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.runs.external_method import ExternalImages
from benchmark.runs.plan import Plan
from benchmark.runs.run import Run
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from benchmark.utils.progress import UI


def fresh_run(folder: Path, seed: int, ui: UI, device: str = "auto", *, trust_method: bool = False) -> Run:
    """Return the run of the same fit and settings on fresh clips; nothing is drawn yet.

    Args:
        folder: The folder of a finished run of a suite whose data set can make other clips.
        seed: Seed of the clips: equal seeds are equal clips, on every machine.
        ui: Progress and warnings.
        device: Where the networks run; the fit is looked for among those of this device.
        trust_method: Whether a Python file that the folder names as its method may be executed.

    Raises:
        UserError: The folder is not that of such a run, or its fit is gone.
    """
    plan = Plan.from_folder(folder, ui, device, trust_method=trust_method)
    if plan.variation is not None:
        raise UserError(f"{folder} is a run of changed clips ({plan.variation.name}): name one of {plan.base.name!r}")
    if issubclass(plan.method, ExternalImages):
        raise UserError(f"{folder}: its images were made elsewhere, and only a method can draw clips that are new")
    fitted, identity = plan.fit_folder, plan.fit_identity
    if fitted is not None and identity is not None and not fitted.step_done("fit", identity):
        raise UserError(
            f"{folder}: its fit is not in {fitted.path}: the same `bench run`, on the same --device, makes it again"
        )
    return Run.of(replace(plan.request, variation=f"fresh={seed}"), ui)
