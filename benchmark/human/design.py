"""Who rates what: sheets of (clip, condition) pairs, balanced and in random order.

A condition is a method, or a pair of methods of which one is to be preferred. Every pair of clip and condition stands
on the same number of sheets, but for one more or less; a sheet has every clip at most once, so that nobody hears a
sound twice and is reminded of another picture; and it has about as many clips of each condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmark.utils.errors import UserError

CHECKS = range(1, 6)
"""Answers that an attention check may ask for."""


@dataclass(frozen=True)
class Place:
    """One trial of a sheet. An attention check shows its pair, too, but asks for the answer `expects`."""

    clip: int
    condition: int
    swapped: bool = False
    """Whether the second method of a pair stands at the left."""
    expects: int | None = None


Sheet = list[Place]


def assign(
    clips: int, conditions: int, sheets: int, trials: int, rng: np.random.Generator, checks: int = 0
) -> list[Sheet]:
    """Return the sheets of a study.

    Args:
        clips: Number of clips.
        conditions: Number of methods, or of pairs of methods.
        sheets: Number of raters.
        trials: Ratings on each sheet, at most `clips`.
        rng: Where all chance comes from.
        checks: Attention checks on each sheet, beside the ratings.

    Raises:
        UserError: Somebody would hear a sound twice, or a pair would be rated by nobody.
    """
    problems = []
    if trials > clips:
        problems.append(
            f"--trials {trials} is more than the {clips} clips, and nobody hears a sound twice: give at most {clips}"
        )
    if sheets * trials < clips * conditions:
        needed = -(-clips * conditions // max(trials, 1))
        problems.append(
            f"{sheets} raters of {trials} ratings leave some of the {clips * conditions} images unrated: give --raters "
            f"{needed} or more, or fewer --clips"
        )
    if problems:
        raise UserError(problems)
    made: list[Sheet] = [[] for _ in range(sheets)]
    stream = _pairs(clips, conditions, trials, rng)
    for sheet in made:
        pairs = [next(stream) for _ in range(trials)]
        swapped = rng.permutation(np.arange(trials) % 2 == 0)
        ordered = [Place(*pair, swapped=bool(side)) for pair, side in zip(_shuffled(pairs, rng), swapped, strict=True)]
        sheet += _with_checks(ordered, checks, rng)
    return made


def _pairs(clips: int, conditions: int, trials: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Pass after pass over all pairs, each pass a Latin square: among `trials` that begin a sheet no clip recurs."""
    order, given = [int(clip) for clip in rng.permutation(clips)], 0
    while True:
        for turn in range(conditions):
            for place, clip in enumerate(order):
                yield clip, (place + turn) % conditions
                given += 1
        # The sheet that is being filled has had the last few clips: in the next pass they come last.
        had = set(order[clips - given % trials :]) if given % trials else set()
        drawn = [int(clip) for clip in rng.permutation(clips)]
        order = sorted(drawn, key=lambda clip: clip in had)


def _shuffled(pairs: list[tuple[int, int]], rng: np.random.Generator) -> list[tuple[int, int]]:
    return [pairs[place] for place in rng.permutation(len(pairs))]


def _with_checks(sheet: Sheet, checks: int, rng: np.random.Generator) -> Sheet:
    """Put a check somewhere in each of `checks` equal parts, never first."""
    made = list(sheet)
    edges = np.linspace(1, len(sheet) + 1, checks + 1).astype(int)
    for first, behind in reversed(list(pairwise(edges))):
        shown = sheet[int(rng.integers(len(sheet)))]
        check = Place(shown.clip, shown.condition, shown.swapped, int(rng.choice(CHECKS)))
        made.insert(int(rng.integers(first, max(behind, first + 1))), check)
    return made
