"""What the modality gap costs a method that learnt from frames: its pictures when it is fed frames, as in fitting.

    python -m baselines.studies.modality_gap --method imagebind --limit 180 -o imagebind-frames
    bench score imagebind-frames --sees frame --limit 180
    bench run --method imagebind --limit 180

The first line fits the method, unless that is done, and draws the test clips from the embeddings of their true frames
instead of their sounds; all else is the run's. So the two rows differ by the gap, and by nothing else.
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
    """Write `<clip id>.png` of the run's test clips to `out`, fitting first if need be.

    Raises UserError for a method that does not learn from frames alone.
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
    """The command line; the exit code."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m baselines.studies.modality_gap", description=about)
    parser.add_argument("--method", required=True, help="wav2clip or imagebind")
    parser.add_argument("--suite", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="the first so many test clips")
    parser.add_argument("--runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the pictures")
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
