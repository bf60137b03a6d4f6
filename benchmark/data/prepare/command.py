"""The command `bench prepare`: its defaults, the frame rule of a suite, and a table of the coverage."""

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

DATASETS = ("vggsound", "vggsound-tiny")
FRAMES = ("middle", "clip-best")

HEADER = ["split", "listed", "found", "prepared", "coverage", "classes", "thinnest class"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Arguments of `bench prepare`."""

    dataset: str
    """Name of the data set."""
    root: Path
    """Folder that holds the videos, at any depth."""
    output: Path | None = None
    """Folder to write to; None for the place where suites look for the data."""
    listed: Path | None
    """The data set's list of clips."""
    vggsounder: Path | None = None
    """VGGSounder's labels."""
    frame: str | None = None
    """Rule for the training frames, one of `FRAMES`; None for the suite's."""
    suite: str | None = None
    """Suite for which the data are prepared; None for that of the data set's name."""
    device: str = "auto"
    """Device of the CLIP that the rule "clip-best" needs."""
    jobs: int | None = None
    """Number of processes; None for one per core."""


def prepare_dataset(asked: Preparation, ui: UI) -> tuple[Path, dict[str, Any]]:
    """Prepare a data set.

    Args:
        asked: The arguments.
        ui: Progress and warnings.

    Returns:
        The folder of the prepared data, and their summary.

    Raises:
        UserError: Arguments are wrong (a line for each problem, before any work), or as
            `benchmark.data.prepare.pipeline.prepare`.
        RunError: No clip could be used.
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
    protocol = load_suite(asked.suite or asked.dataset)
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
    """Return a row for each split, with the columns of `HEADER`: coverage of the list, and the least covered class."""
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
