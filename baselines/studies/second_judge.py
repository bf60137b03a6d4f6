"""Score finished runs with an encoder of another family, which has no role in the suite.

    python -m baselines.studies.second_judge runs/mini/audiotoken/seed0 runs/mini/wav2clip/seed0

The images of each run are compared with the audio and true frames of its clips in the space of ImageBind (or of
`--encoder`), by the win rates of AIS and IIS. A method that conditions on the space in which the suite scores (see
docs/baselines.md) has no such tie here; a method that uses this encoder has one. The scores are not metrics of a suite
and are stored in no record: they show how much of a lead is due to the scorer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiotoken.features import encoder_of
from baselines.embeddings import FrameEmbedding, SoundEmbedding
from benchmark.media.images import load_image, resize
from benchmark.runs.plan import Plan
from benchmark.runs.run import Run
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_table
from metrics.similarity import family
from metrics.statistics import bootstrap_interval, mean, paired_permutation_test, per_clip

Array = NDArray[np.float64]

SCORES = ("ais", "iis", "ais.winrate.sameclass", "iis.winrate.sameclass")
TOGETHER = 36
"""Number of images per pass of the encoder."""


class Judge:
    """Encoder of a suite, with its embeddings of the audio and true frames of a run's test clips.

    Args:
        run: A finished run.
        encoder: Name of an encoder of its suite.

    Raises:
        UserError: The suite has no encoder of that name.
    """

    def __init__(self, run: Run, encoder: str) -> None:
        plan = run.plan
        self.clips = run.test
        network = encoder_of(plan.suite, encoder, plan.device)
        self.look = FrameEmbedding(network, plan.suite, plan.device)
        listen = SoundEmbedding(network, plan.suite, plan.device)
        spec = plan.suite.backbone
        self.sounds, self.frames = [], []
        with run.ui.task(f"encoding audio and frames with {encoder}", len(self.clips), "clips") as advance:
            for clip in self.clips:
                self.sounds.append(_row(listen([clip])))
                self.frames.append(_row(self.look.see([resize(clip.picture(), spec.resolution, spec.resize)])))
                advance(1)

    def __call__(self, run: Run) -> dict[str, Array]:
        """Return `SCORES` of the run's images, in percent, one value per clip.

        Raises:
            UserError: The run has other clips, or images are missing.
        """
        plan = run.plan
        if run.test.identity != self.clips.identity:
            raise UserError(f"{plan.folder.path} has other clips than the first run: judge it separately")
        if not plan.generated:
            raise UserError(f"{plan.folder.path} is missing images: finish it with `bench run`")
        paths = plan.folder.image_paths(self.clips.ids, plan.images_per_clip)
        files = list(paths.values())
        drawn = []
        with run.ui.task(f"encoding the images of {plan.name}", len(files), "images") as advance:
            for start in range(0, len(files), TOGETHER):
                some = files[start : start + TOGETHER]
                drawn.append(_row(self.look.see([load_image(file) for file in some])))
                advance(len(some))
        owner = np.array([self.clips.index[clip] for clip, _ in paths])
        scores = {}
        for name, counterparts in (("ais", self.sounds), ("iis", self.frames)):
            found = family(np.concatenate(drawn), np.concatenate(counterparts), owner, self.clips.classes)
            scores[name] = per_clip(100 * found.winrate, owner, len(self.clips))
            scores[f"{name}.winrate.sameclass"] = per_clip(100 * found.winrate_sameclass, owner, len(self.clips))
        return scores


def _row(embeddings: Tensor) -> NDArray[np.float32]:
    """Return (B, 1, width) as (B, width)."""
    rows: NDArray[np.float32] = embeddings[:, 0].cpu().numpy()
    return rows


def judge(finished: Sequence[Run], encoder: str) -> dict[str, dict[str, Array]]:
    """Return the scores of each method, averaged per clip over its seeds.

    Args:
        finished: Finished runs over the same clips.
        encoder: Name of an encoder of their suite.

    Returns:
        `SCORES` by name of the method, one value per clip.

    Raises:
        UserError: Runs of one method differ in settings, so they are no seeds to average; and as `Judge`.
    """
    settings = {run.plan.name: run.plan.settings for run in finished}
    for plan in (run.plan for run in finished):
        if plan.settings != settings[plan.name]:
            raise UserError(
                f"{plan.folder.path} has other settings than another run of {plan.name!r}: judge it separately"
            )
    asked = Judge(finished[0], encoder)
    runs: dict[str, list[dict[str, Array]]] = {}
    for run in finished:
        runs.setdefault(run.plan.name, []).append(asked(run))
    return {
        name: {score: np.mean([one[score] for one in some], axis=0) for score in SCORES} for name, some in runs.items()
    }


def rows(judged: dict[str, dict[str, Array]]) -> list[list[str]]:
    """Return a line per method: values with 95 % intervals over clips, and p of the difference to the first method."""
    first = next(iter(judged.values()))
    return [
        [name, *(_cell(scores[score], None if scores is first else first[score]) for score in SCORES)]
        for name, scores in judged.items()
    ]


def _cell(values: Array, first: Array | None) -> str:
    interval = bootstrap_interval(values)
    if interval is None:
        return "–"
    cell = f"{mean(values):.1f} [{interval[0]:.1f}, {interval[1]:.1f}]"
    return cell if first is None else f"{cell}, p {paired_permutation_test(values, first).p_value:.4f}"


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line and return the exit code."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m baselines.studies.second_judge", description=about)
    parser.add_argument("run", nargs="+", type=Path, help="folder of a finished run; seeds of one method are averaged")
    parser.add_argument("--encoder", default="imagebind", help="an encoder of audio and images (default: imagebind)")
    parser.add_argument("--trust-method", action="store_true", help="execute the Python files that the folders name")
    given = parser.parse_args(arguments)
    try:
        shown = ui or Console()
        plans = [Plan.from_folder(folder, shown, trust_method=given.trust_method) for folder in given.run]
        judged = judge([Run(plan, shown) for plan in plans], given.encoder)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print_table(["method", *SCORES], rows(judged), title=f"judged by {given.encoder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
