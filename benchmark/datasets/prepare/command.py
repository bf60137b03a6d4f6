"""What `bench prepare` does: defaults, the frame rule of a suite, and coverage as a table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.datasets.prepare import prepare
from benchmark.errors import UserError, unknown

if TYPE_CHECKING:
    from benchmark.datasets.prepare.choose import Chooser
    from benchmark.suite import Suite
    from benchmark.ui import UI

DATASETS = ("vggsound",)
FRAMES = ("middle", "clip-best")

HEADER = ["split", "listed", "found", "prepared", "coverage", "classes", "thinnest class"]


def prepare_dataset(
    dataset: str, root: Path, out: Path | None, list_path: Path | None, *, vggsounder: Path | None, frame: str | None,
    suite: str, device: str, jobs: int | None, ui: UI,
) -> tuple[Path, dict[str, Any]]:  # fmt: skip
    """Prepare `dataset` from the files below `root`; returns the folder and its summary.

    `out` defaults to the place where suites look for it, `frame` to the rule of the suite's training frames. Raises as
    `benchmark.datasets.prepare.prepare`.
    """
    from benchmark.datasets.vggsound import data_dir
    from benchmark.runner import DEVICES
    from benchmark.suite import load_suite

    if dataset not in DATASETS:
        raise unknown("data set", dataset, DATASETS)
    problems = []
    if device not in DEVICES and not device.startswith("cuda:"):
        problems.append(f"--device {device!r}: choose one of {', '.join(DEVICES)}, cuda:N")
    if frame is not None and frame not in FRAMES:
        problems.append(f"--frame {frame!r} is unknown: use {' or '.join(FRAMES)}")
    if list_path is None:
        problems.append("--list is missing: give VGGSound's vggsound.csv (video id, start in seconds, label, split)")
    if problems:
        raise UserError(problems)
    assert list_path is not None
    protocol = load_suite(suite)
    choose = None
    if (frame or protocol.data.train_frame) == "clip-best":
        choose = partial(_clip_best, protocol, device)
    folder = out or data_dir() / dataset
    return folder, prepare(root, folder, list_path, vggsounder=vggsounder, choose=choose, workers=jobs, ui=ui)


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
    from benchmark.datasets.prepare.choose import clip_best

    return clip_best(suite, _device(device))


def _device(name: str) -> str:
    """The device that "auto" stands for. Raises UserError for one that is not there."""
    import torch

    there = [name for name, module in (("cuda", torch.cuda), ("mps", torch.backends.mps)) if module.is_available()]
    if name == "auto":
        return [*there, "cpu"][0]
    if name.partition(":")[0] not in [*there, "cpu"]:
        raise UserError(f"--device {name}: there is none on this machine; leave it out, or give cpu")
    return name
