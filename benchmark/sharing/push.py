"""`bench push`: a finished run's model as a repository in diffusers' layout, ready to be uploaded."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.leaderboard.possible import check
from benchmark.records.provenance import DISTRIBUTION
from benchmark.records.record import RunRecord
from benchmark.records.store import StoredRecord
from benchmark.runs.method_calls import calling
from benchmark.runs.plan import Plan
from benchmark.runs.run import Run
from benchmark.sharing.card import Shared, model_card
from benchmark.utils.errors import UserError
from benchmark.utils.files import write_atomic

if TYPE_CHECKING:
    from benchmark.utils.progress import UI

LORA = "pytorch_lora_weights.safetensors"
"""Name by which diffusers finds a LoRA."""


def push(run: Path, to: Path, ui: UI, *, device: str = "auto", trust_method: bool = False) -> Path:
    """Write a run's fitted model to a folder: diffusers' layout, `README.md` (the card) and `record.json`.

    The folder appears when it is complete. Nothing is uploaded.

    Args:
        run: Folder of a complete run of all its clips.
        to: Folder to write, new or empty; its name is the model's.
        ui: Progress and warnings.
        device: Device that the run was made on; fits of other kinds of device are other fits.
        trust_method: Whether a Python file that the run's folder names as its method may be executed.

    Returns:
        `to`.

    Raises:
        UserError: The run is not complete, is of some clips only, its fit is gone, its method is no pipeline of
            diffusers, or `to` cannot be written.
    """
    _check_target(to)
    record = RunRecord.load(run / "record.json")
    check(StoredRecord(record, run / "record.json", "runs"))
    if problem := _unfit(record):
        raise UserError(f"{run} {problem}")
    job = Run(Plan.from_folder(run, ui, device, trust_method=trust_method), ui)
    plan = job.plan
    if record.identity != plan.identity:
        raise UserError(f"{run}: record.json is not of the run that plan.json asks for: `bench run` makes it again")
    fit = plan.fit_folder
    if fit is not None and not fit.step_done("fit", plan.fit_identity or ""):
        raise UserError(
            f"the fit that {run} was made with is not in {fit.path}, or is damaged: the same `bench run` makes it "
            "again (on another kind of device than this one, name it with --device)"
        )
    method = job.make(job.test)
    with calling(plan.method, "to_pipeline()"):
        if method.fits:
            method.load()
        pipeline = method.to_pipeline()
    if pipeline is None:
        raise UserError(
            f"method {plan.name!r} is no pipeline of diffusers: `bench submit {run}` shares its record and images"
        )
    with _appearing(to) as folder, ui.task(f"writing {to}", 1, "pipelines") as advance:
        pipeline.save_pretrained(folder, safe_serialization=True)
        shared = Shared(
            name=to.resolve().name,
            method=method,
            suite=plan.suite,
            record=record,
            kind=type(pipeline),
            custom=(folder / "pipeline.py").exists(),
            lora=(folder / LORA).exists(),
            version=version(DISTRIBUTION),
        )
        record.save(folder / "record.json")
        write_atomic(folder / "README.md", model_card(shared))
        advance(1)
    return to


def _unfit(record: RunRecord) -> str | None:
    """Why a run cannot be shared, as the end of a sentence; None if it can."""
    if record.status != "complete":
        return f"is {record.status}: the same `bench run` command continues it"
    if record.limit is not None:
        return f"is of the first {record.limit} clips only, which is no result: run it without --limit"
    return None


def _check_target(to: Path) -> None:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"--to {to} exists and is not empty: name another folder, or remove it")
    name = to.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}", name):
        raise UserError(
            f"--to {to}: {name!r} cannot name a model: use letters without accents, digits, '.', '-' and '_'"
        )


@contextlib.contextmanager
def _appearing(to: Path) -> Iterator[Path]:
    """Yield a new folder beside `to`, which takes its place when the block succeeds and is removed otherwise."""
    to = to.resolve()
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{to.name}."))
    except OSError as error:
        raise UserError(f"--to {to} cannot be written: {error.strerror or error}") from error
    try:
        yield folder
        folder.chmod(0o755)
        os.replace(folder, to)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
