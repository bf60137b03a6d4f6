"""Measure the cost of the modality gap to a method fitted on frames, by its images from frames instead of audio.

    python -m baselines.studies.modality_gap --method imagebind --limit 180 -o imagebind-frames
    bench score imagebind-frames --sees frame --limit 180
    bench run --method imagebind --limit 180

The first line fits the method, unless that is done, and generates images of the test clips from the embeddings of their
true frames instead of their audio; everything else is as in the run. So the two rows differ by the gap alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from baselines.joint import FramesOnly
from benchmark.runs import steps
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import UI, Console


def draw_from_frames(run: Run, out: Path) -> None:
    """Write an image `<clip id>.png` of each of the run's test clips, generated from its frame.

    The method is fitted first if it is not yet.

    Args:
        run: Run of a method that is fitted on frames alone.
        out: Folder to write to.

    Raises:
        UserError: The method is not fitted on frames alone.
    """
    if not issubclass(run.plan.method, FramesOnly):
        raise UserError(f"{run.plan.name!r} is not fitted on frames alone: choose wav2clip or imagebind")
    steps.fit(run)
    method = run.make(run.test)
    assert isinstance(method, FramesOnly)
    method.load()
    method.listener = method.studies()
    steps.draw(run, partial(steps.make_images, method), out)


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line and return the exit code."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m baselines.studies.modality_gap", description=about)
    parser.add_argument("--method", required=True, help="wav2clip or imagebind")
    parser.add_argument("--suite", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use only the first LIMIT test clips")
    parser.add_argument("--runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write the images to")
    given = parser.parse_args(arguments)
    try:
        asked = RunRequest(suite=given.suite, method=given.method, seed=given.seed, limit=given.limit, runs=given.runs)
        draw_from_frames(Run.of(asked, ui or Console()), given.out)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
