"""What `bench prepare` does: defaults, the frame rule of a suite, and coverage as a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data.prepare.pipeline import prepare
from benchmark.utils.device import check_device, find_device
from benchmark.utils.errors import UserError, unknown
from benchmark.weights import locate

if TYPE_CHECKING:
    from benchmark.data.prepare.frames import Chooser
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

DATASETS = ("vggsound",)
FRAMES = ("middle", "clip-best")

HEADER = ["split", "listed", "found", "prepared", "coverage", "classes", "thinnest class"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What `bench prepare` was asked for."""

    dataset: str
    """Name of the data set."""
    root: Path
    """Folder that holds the videos, at any depth."""
    output: Path | None = None
    """Where it is written; None for the place where suites look for it."""
    listed: Path | None
    """The data set's list of clips."""
    vggsounder: Path | None = None
    """VGGSounder's labels."""
    frame: str | None = None
    """Rule of the training frames; None for the suite's."""
    suite: str = "vggsound"
    """The suite that it is prepared for."""
    device: str = "auto"
    """Where CLIP runs, which "clip-best" needs."""
    jobs: int | None = None
    """Processes; None for all cores."""


def prepare_dataset(asked: Preparation, ui: UI) -> tuple[Path, dict[str, Any]]:
    """Prepare a data set; return its folder and summary.

    Raises:
        UserError: A line for each problem, before any work; or as `benchmark.data.prepare.pipeline.prepare`.
    """
    from benchmark.data.vggsound import data_dir
    from benchmark.suite import load_suite

    if asked.dataset not in DATASETS:
        raise unknown("data set", asked.dataset, DATASETS)
    problems = []
    try:
        check_device(asked.device)
    except UserError as error:
        problems += error.problems
    if asked.frame is not None and asked.frame not in FRAMES:
        problems.append(f"--frame {asked.frame!r} is unknown: use {' or '.join(FRAMES)}")
    if asked.listed is None:
        problems.append("--list is missing: give VGGSound's vggsound.csv (video id, start in seconds, label, split)")
    if problems:
        raise UserError(problems)
    assert asked.listed is not None
    protocol = load_suite(asked.suite)
    choose = None
    if (asked.frame or protocol.data.train_frame) == "clip-best":
        choose = partial(_clip_best, locate.resolve(protocol), asked.device)
    folder = asked.output or data_dir() / asked.dataset
    summary = prepare(
        asked.root,
        folder,
        asked.listed,
        vggsounder=asked.vggsounder,
        choose=choose,
        workers=asked.jobs,
        ui=ui,
    )
    return folder, summary


def coverage(summary: dict[str, Any]) -> list[list[str]]:
    """A row a split, under `HEADER`: how much of the list is there, and which class has least of it."""
    rows = []
    for split, one in summary["splits"].items():
        classes = one["classes"]
        thinnest = min(classes, key=lambda label: classes[label][0] / classes[label][1])
        there, of = classes[thinnest]
        rows.append(
            [
                split,
                f"{one['listed']:,}",
                f"{one['found']:,}",
                f"{one['prepared']:,}",
                f"{100 * one['prepared'] / one['listed']:.1f} %",
                f"{sum(there > 0 for there, _ in classes.values())} of {len(classes)}",
                f"{thinnest}: {there} of {of}",
            ]
        )
    return rows


def _clip_best(suite: Suite, device: str) -> Chooser:
    from benchmark.data.prepare.frames import clip_best

    return clip_best(suite, find_device(device))
