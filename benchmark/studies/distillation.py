"""What is `wav2clip` worth when its encoder was distilled on other sounds than those that it then hears?

    python -m benchmark.studies.distillation --of half
    python -m benchmark.studies.distillation --of clean

`mini`'s Wav2CLIP was distilled on the world that it is judged on; a released encoder meets somebody else's data. Here
it is trained anew by its own recipe (`bench mini pretrain wav2clip-encoder`) on less:

=====  ===========================================================================================
half   sounds of every second class; it has never heard the others
clean  sounds of all classes without their scenes: another version of the world, without any noise
=====  ===========================================================================================

Then it takes the place of the encoder in a run of `wav2clip`, whose adapter is fitted on frames alone and so remains
the same to the bit. Images are kept in `DIR/wav2clip-OF`, and their record beside those of methods, under that name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from benchmark.leaderboard.compare import compare_rows
from benchmark.leaderboard.dots import Dot
from benchmark.mini import networks
from benchmark.mini.pretrain.loop import train
from benchmark.mini.pretrain.scorers import Wav2CLIPEncoderTask
from benchmark.mini.pretrain.stages import STAGES
from benchmark.mini.pretrain.workshop import Workshop
from benchmark.mini.wiring import WEIGHTS
from benchmark.mini.world import GROUPS, LABELS
from benchmark.runs import steps
from benchmark.runs.external import run_of_images, take_in
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.studies import figures
from benchmark.studies.boards import board_of
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import BenchError
from benchmark.utils.files import read_json, sha256_of, write_atomic
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_table

if TYPE_CHECKING:
    from benchmark.records.record import RunRecord

Of = Literal["half", "clean"]

COLUMNS = ("ais", "iis", "ais.winrate.sameclass", "iis.winrate.sameclass", "aic", "fd.clip")
_ALIKE = [label for group in GROUPS.values() for label in group]
HEARD = tuple([*_ALIKE, *(label for label in LABELS if label not in _ALIKE)][::2])
"""The classes of `half`: every second one, in an order in which those that sound alike follow each other."""


class Distillation(Wav2CLIPEncoderTask):
    """Training of the Wav2CLIP of methods, by its own schedule and draws, on a part of what there is to hear."""

    ships = False

    def __init__(self, shop: Workshop, of: Of) -> None:
        super().__init__(shop)
        if of == "clean":
            self.sounds = self.clips.clean
        else:
            self.pool = torch.tensor([i for i in range(len(self.clips)) if self.clips.label(i) in HEARD])


def distil(of: Of, folder: Path, ui: UI, only: int | None = None) -> tuple[Path, dict[str, float]]:
    """Train the encoder, unless `folder` holds it, and return its file and its figures on held-out clips with scenes.

    Args:
        of: What it hears.
        folder: Folder of the encoder and of the training's state, from which an interrupted training goes on.
        ui: Progress.
        only: Number of steps, for trying it out.
    """
    path, report = folder / "encoder.safetensors", folder / "encoder.json"
    steps_of = Distillation.schedule.steps if only is None else only
    if not _finished(path, report, steps_of):
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(STAGES["wav2clip-encoder"])
        task = Distillation(Workshop(WEIGHTS, folder, cache_dir(), ui.say), of)
        task.schedule = replace(task.schedule, steps=steps_of, warmup=min(task.schedule.warmup, steps_of))
        checkpoint = folder / f"training-{steps_of}.pt"
        trained = train(task, checkpoint, ui.say)
        assert trained is not None
        networks.export(trained[0], path)
        networks.load_into(task.modules["wav2clip"], path, "wav2clip")
        made = {"steps": steps_of, "sha256": sha256_of(path), "held_out": task.evaluate()}
        write_atomic(report, json.dumps(made, indent=2) + "\n")
        checkpoint.unlink()
    figures: dict[str, float] = read_json(report)["held_out"]
    return path, figures


def _finished(path: Path, report: Path, steps_of: int) -> bool:
    """Whether the encoder is the one that this many steps ended with, whole."""
    if not (report.is_file() and path.is_file()):
        return False
    made = read_json(report)
    return isinstance(made, dict) and (made.get("steps"), made.get("sha256")) == (steps_of, sha256_of(path))


def measure(of: Of, run: Run, folder: Path, encoder: Path) -> tuple[RunRecord, Path]:
    """Draw the run's test clips as `encoder` hears them, score the images, and return their record and its folder."""
    steps.fit(run)
    method: Any = run.make(run.test)  # `wav2clip`, which has a listener
    method.load()
    networks.load_into(method.listener.encoder.wav2clip, encoder, "wav2clip")
    out = folder / f"wav2clip-{of}"
    steps.draw(run, partial(steps.make_images, method), out)
    request = replace(run.plan.request, settings={})
    job, found = run_of_images(out, request, run.ui, name=out.name, sees=["audio"])
    take_in(job, found)
    return steps.score(job), job.plan.folder.path


def by_half(record: RunRecord, metric: str) -> dict[str, float | None]:
    """Return the mean over the classes that `half` hears, and over those that it does not, of a metric of a record."""
    values = record.per_class.get(metric, {})

    def mean(labels: Sequence[str]) -> float | None:
        found = [value for label in labels if (value := values.get(label)) is not None]
        return float(np.mean(found)) if found else None

    return {"heard": mean(HEARD), "unheard": mean([label for label in LABELS if label not in HEARD])}


def figures_of(of: Of, run: Run, folder: Path, only: int | None) -> dict[str, Any]:
    """Return the values of `wav2clip` with both encoders, their differences, and the means over both halves."""
    usual = steps.run(run)
    encoder, held_out = distil(of, folder / of, run.ui, only)
    record, where = measure(of, run, folder, encoder)
    board = board_of([run.plan.folder.path, where], run.plan.suite.name, COLUMNS, run.ui)
    a, b = (next(row for row in board.rows if row.method == name) for name in (record.method.name, "wav2clip"))
    halves = ("aic", "ais.winrate.sameclass", "iis.winrate.sameclass")
    return {
        "of": of,
        "clips": len(run.test),
        "seed": run.plan.request.seed,
        "held_out": held_out,
        "against_wav2clip": compare_rows(board, a, b).to_dicts(),
        "halves": {
            metric: {"wav2clip": by_half(usual, metric), record.method.name: by_half(record, metric)}
            for metric in halves
        },
    }


def panels(found: dict[str, Any]) -> dict[str, list[Dot]]:
    """Return the dots of a figure: by how much the encoder moves each metric."""
    return {
        one["metric"]: [Dot(f"wav2clip-{found['of']} - wav2clip", one["difference"], one["low"], one["high"])]
        for one in found["against_wav2clip"]
    }


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.distillation", description=about)
    parser.add_argument("--of", choices=("half", "clean"), required=True, help="what the encoder is distilled on")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="number of test clips")
    parser.add_argument("--steps", type=int, help="of the encoder's training, for trying it out (default: all)")
    parser.add_argument("--runs", type=Path, help="where runs live (default: ./runs)")
    parser.add_argument("-o", "--out", type=Path, default=Path("distillation"), help="folder of encoders and images")
    figures.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    request = RunRequest(method="wav2clip", seed=given.seed, limit=given.limit, runs=given.runs, device="cpu")
    try:
        found = figures_of(given.of, Run.of(request, ui or Console()), given.out, given.steps)
        figures.write(given.plot, panels(found), line=0)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    rows = []
    for one in found["against_wav2clip"]:
        difference = f"{one['difference']:.1f}" + (
            "" if one["low"] is None else f" [{one['low']:.1f}, {one['high']:.1f}]"
        )
        rows.append([one["metric"], f"{one['a']:.1f}", f"{one['b']:.1f}", difference])
    print_table(["metric", f"wav2clip-{given.of}", "wav2clip", "difference"], rows, right=range(1, 4))
    if given.of == "half":
        for metric, pair in found["halves"].items():
            said = "; ".join(
                f"{name} {_shown(row['heard'])} and {_shown(row['unheard'])}" for name, row in pair.items()
            )
            print(f"{metric} over the classes that it heard and those that it did not: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
