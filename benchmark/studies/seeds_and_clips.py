"""What does the variance over clips add to a test over three seeds? Simulated, where the truth is known.

    python -m benchmark.studies.seeds_and_clips
    python -m benchmark.studies.seeds_and_clips --write docs/paper.md

Distances between sets have no score per clip, so two methods are compared over runs, with the variance over clips that
the runs' intervals state (`metrics.statistics.Welch`). A run's value is drawn as the sum of what the fit, the clips and
the images' noise make of it; a method's three runs share their clips, and two methods share half of the clips' variance
unless a row says otherwise. A second table draws features of 60 clips, and measures their Fréchet distances.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.studies.pages import fill
from benchmark.utils.errors import BenchError
from benchmark.utils.progress import UI
from benchmark.utils.terminal import print_table
from metrics.frechet import frechet_distance
from metrics.statistics import Welch, half_sample_interval

RUNS = 3
HALVES = 31
"""Degrees of freedom of a variance that 32 halves of the clips state."""
LEVELS = (0.05, 0.005)
Pair = tuple[float, float]


@dataclass(frozen=True)
class Case:
    """Two methods whose runs scatter: standard deviations of a distance by what makes it vary, one of each method."""

    name: str
    difference: float = 0.0
    """By how much the first method's distance is larger in truth."""
    of_seed: Pair = (0.0, 0.0)
    of_clips: Pair = (0.0, 0.0)
    of_images: Pair = (0.0, 0.0)
    alike: float = 0.5
    """Share of the variance over clips that both methods have in common."""


_EQUAL = Case("fits 0.9, clips 0.6, images 0.6", 0.0, (0.9, 0.9), (0.6, 0.6), (0.6, 0.6))
_UNEQUAL = Case("fits 1.2 and 4, clips 0.6 and 1.8, images 0.7 and 1.5", 0.0, (1.2, 4.0), (0.6, 1.8), (0.7, 1.5))
CASES = (
    Case("fits 1 and 1, nothing else", of_seed=(1.0, 1.0)),
    Case("fits 1 and 4, nothing else", of_seed=(1.0, 4.0)),
    Case("images 1 and 1, nothing else", of_images=(1.0, 1.0)),
    Case("fits 0.5, clips 1 (of each method its own), images 0.5", 0.0, (0.5, 0.5), (1.0, 1.0), (0.5, 0.5), alike=0.0),
    *(replace(_EQUAL, difference=one) for one in (0.0, 4.0, 8.0)),
    *(replace(_UNEQUAL, difference=one) for one in (0.0, 8.0, 15.0)),
)


def found_share(case: Case, pairs: int, seed: int = 3) -> dict[float, Pair]:
    """Return, by level, the share of simulated pairs that a test finds different: over seeds, over seeds and clips.

    Args:
        case: The two methods.
        pairs: Number of pairs.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    found = {level: np.zeros(2) for level in LEVELS}
    for _ in range(pairs):
        common = rng.normal()
        runs, stated = [], []
        for k in range(2):
            effect = case.of_clips[k] * (math.sqrt(case.alike) * common + math.sqrt(1 - case.alike) * rng.normal())
            runs.append(effect + rng.normal(0, case.of_seed[k], RUNS) + rng.normal(0, case.of_images[k], RUNS))
            spread = math.hypot(case.of_clips[k], case.of_images[k])
            stated.append(spread * math.sqrt(rng.chisquare(HALVES) / HALVES))
        a, b = runs[0] + case.difference, runs[1]
        _count(found, Welch.of(a, b), Welch.of(a, b, (stated[0], stated[1])))
    return {level: (float(one[0]) / pairs, float(one[1]) / pairs) for level, one in found.items()}


FRECHET = (
    ("fits scatter", (0.0, 0.6, 0.1)),
    ("images scatter", (0.0, 0.0, 0.6)),
    ("each method takes every clip in a way of its own, which its seeds share", (0.6, 0.0, 0.1)),
)
"""Deviations of features by method, by seed and by image."""


def found_share_of_distances(scatter: tuple[float, float, float], pairs: int, seed: int = 7) -> dict[float, Pair]:
    """Return what `found_share` does, of Fréchet distances of simulated features of 60 clips that are equal in truth.

    Args:
        scatter: Deviations of a clip's features by method, by seed and by image.
        pairs: Number of pairs.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    found = {level: np.zeros(2) for level in LEVELS}
    of_method, of_seed, of_image = scatter
    kept = math.sqrt(1 - of_method**2 - of_seed**2)
    for _ in range(pairs):
        frames = rng.normal(size=(60, 4))
        runs, deviations = [], []
        for _ in range(2):
            own = kept * frames + of_method * rng.normal(size=frames.shape)
            values, reach = [], []
            for _ in range(RUNS):
                drawn = own + of_seed * rng.normal(size=frames.shape) + of_image * rng.normal(size=frames.shape)
                value = frechet_distance(drawn, frames)
                ends = half_sample_interval(partial(_distance, drawn, frames), 60, value)
                assert ends is not None
                values.append(value)
                reach.append((ends[1] - value) / 1.96)
            runs.append(values)
            deviations.append(float(np.mean(reach)))
        a, b = runs
        _count(found, Welch.of(a, b), Welch.of(a, b, (deviations[0], deviations[1])))
    return {level: (float(one[0]) / pairs, float(one[1]) / pairs) for level, one in found.items()}


def _distance(images: np.ndarray, frames: np.ndarray, chosen: np.ndarray) -> float:
    return frechet_distance(images[chosen], frames[chosen])


def _count(found: dict[float, np.ndarray], seeds: Welch | None, both: Welch | None) -> None:
    for level, one in found.items():
        one += [test is not None and test.reaches(level) for test in (seeds, both)]


HEADER = ("scatter of the two methods", "difference", "found at 5 %", "found at 0.5 %, as of ten tests")


def rows_of(cases: Sequence[tuple[str, float, dict[float, Pair]]]) -> list[list[str]]:
    """Return a table's rows: by seeds alone, then by seeds and clips."""

    def shares(one: Pair) -> str:
        return ", ".join(f"{100 * share:.1f} %" for share in one)

    return [[name, f"{difference:g}", *(shares(found[level]) for level in LEVELS)] for name, difference, found in cases]


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.seeds_and_clips", description=about)
    parser.add_argument("--pairs", type=int, default=40_000, help="simulated pairs of a row (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into a page, between its marks")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    found = [(case.name, case.difference, found_share(case, given.pairs)) for case in CASES]
    fewer = max(1, given.pairs // 100)
    found += [(f"distances of features: {name}", 0.0, found_share_of_distances(one, fewer)) for name, one in FRECHET]
    rows = rows_of(found)
    if given.json:
        print(json.dumps([{"scatter": a, "difference": b, "found": c} for a, b, c in found], indent=2))
        return 0
    if given.write is None:
        print_table(HEADER, rows, right=(1, 2, 3))
        return 0
    lines = [HEADER, ("---", "---:", "---:", "---:"), *rows]
    try:
        fill(given.write, "seeds and clips", "\n".join(f"| {' | '.join(line)} |" for line in lines))
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
