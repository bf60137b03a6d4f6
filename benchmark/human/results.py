"""What a study's answers say of each method, and the file beside each record that tells the boards."""

from __future__ import annotations

import math
import statistics as numbers
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.human import statistics
from benchmark.human.ratings import Collected
from benchmark.human.statistics import Crossed, Estimate, Powered
from benchmark.human.study import Study, StudyRun
from benchmark.leaderboard.clip_scores import ClipScores, clip_scores
from benchmark.leaderboard.literature import load_literature
from benchmark.records.human import METRIC, HumanRatings, WithScores, human_path
from benchmark.records.record import RunRecord, identity_of
from benchmark.records.store import Store, StoredRecord
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.files import read_ordinary
from metrics import definitions


@dataclass(frozen=True)
class Opinion:
    """What people thought of one run's images."""

    name: str
    """The run's name in the study."""
    estimate: Estimate
    deviation: float | None
    """Sample standard deviation of the single ratings."""
    clips: Mapping[str, float]
    """Mean rating by clip."""
    ratings: int
    raters: int
    published: str | None
    """What the paper reports for the method, as printed."""
    score: str | None = None
    """Id of the automatic score that `powered` uses."""
    powered: Powered | None = None


@dataclass(frozen=True)
class Preference:
    """How often the first of two runs was preferred to the second, in percent; a tie is half of each."""

    runs: tuple[str, str]
    share: Estimate
    judgements: int


@dataclass(frozen=True)
class Results:
    """The outcome of a study."""

    study: Study
    opinions: tuple[Opinion, ...]
    """Of a study of relevance."""
    preferences: tuple[Preference, ...]
    """Of a study of pairs."""
    strengths: Mapping[str, float]
    """Bradley-Terry strength by run; empty where not all were compared."""
    alpha: float | None
    raters: int
    excluded: Mapping[str, str]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""

        def interval(found: Estimate) -> dict[str, float | None]:
            return {"value": found.value, "low": found.low, "high": found.high}

        return {
            "study": self.study.id,
            "question": self.study.question,
            "suite": self.study.suite,
            "raters": self.raters,
            "excluded": dict(self.excluded),
            "alpha": self.alpha,
            "runs": {
                one.name: {
                    **interval(one.estimate),
                    "deviation": one.deviation,
                    "ratings": one.ratings,
                    "raters": one.raters,
                    "clips": len(one.clips),
                    "published": one.published,
                    "with_scores": None
                    if one.powered is None
                    else {
                        "metric": one.score,
                        **interval(one.powered.estimate),
                        "narrowed": one.powered.narrowed,
                        "others": one.powered.others,
                    },
                }
                for one in self.opinions
            },
            "preferences": [
                {"runs": list(one.runs), **interval(one.share), "judgements": one.judgements}
                for one in self.preferences
            ],
            "strengths": dict(self.strengths),
            "remarks": list(self.remarks),
        }


def locate(study: Study, store: Store) -> tuple[dict[str, StoredRecord], list[str]]:
    """Find the records of a study's runs: where they were, or in `store`.

    Returns:
        The records by the run's name, and a line for each run that is gone or was made again with other images.
    """
    stored = {identity_of(one.record): one for one in store.records(study.suite).records}
    found, problems = {}, []
    for name, run in study.runs.items():
        here = _at(Path(run.path) / "record.json", run) or stored.get(run.identity)
        if here is None:
            problems.append(f"{name}: its run is neither at {run.path} nor in {store.root}: name its place with --runs")
        elif run.images and here.record.images and run.images != here.record.images.sha256:
            problems.append(f"{name}: {here.path.parent} holds other images than those that were rated")
        else:
            found[name] = here
    return found, problems


def _at(path: Path, run: StudyRun) -> StoredRecord | None:
    try:
        record = RunRecord.load(path)
    except UserError:
        return None
    return StoredRecord(record, path, "runs") if record.identity == run.identity else None


def evaluate(
    study: Study, collected: Collected, records: Mapping[str, StoredRecord], metric: str | None = None
) -> Results:
    """Compute a study's outcome.

    Args:
        study: The study.
        collected: Its answers.
        records: The records by the run's name, for their automatic scores.
        metric: Id of the score for prediction-powered inference; None for the suite's first headline metric that has a
            score for every clip that was rated.

    Raises:
        UserError: `metric` has no score per clip.
    """
    judged = {(one.rater, one.item): float(_straight(one.value, one.swapped)) for one in collected.judgements}
    alpha = statistics.alpha(judged, "ordinal")
    opinions = _opinions(study, collected, records, metric) if study.question == "relevance" else ()
    preferences = _preferences(study, collected) if study.question == "pair" else ()
    return Results(
        study=study,
        opinions=tuple(opinions),
        preferences=tuple(preferences),
        strengths=_strengths(study, collected) if study.question == "pair" else {},
        alpha=alpha,
        raters=len(collected.raters),
        excluded=collected.excluded,
        remarks=tuple(collected.remarks),
    )


def _straight(value: int, swapped: bool) -> int:
    """An answer about a pair as if the first run had stood at the left; points are as they are."""
    return 4 - value if swapped else value


def _opinions(
    study: Study, collected: Collected, records: Mapping[str, StoredRecord], metric: str | None
) -> list[Opinion]:
    published = _published()
    by_run = defaultdict(list)
    for one in collected.judgements:
        item = study.items[one.item]
        by_run[item.runs[0]].append((one.rater, item.clip, float(one.value)))
    made = []
    for name in study.runs:
        if not (rows := by_run.get(name)):
            continue
        raters, clips, values = zip(*rows, strict=True)
        crossed = Crossed.of(raters, clips, values)
        rated = sorted(set(clips))
        score, found = _score(study, records.get(name), rated, metric)
        made.append(
            Opinion(
                name=name,
                estimate=statistics.mean(crossed),
                deviation=numbers.stdev(values) if len(values) > 1 else None,
                clips=dict(zip(rated, map(float, crossed.by_clip), strict=True)),
                ratings=len(values),
                raters=crossed.raters,
                published=published.get(study.runs[name].method),
                score=score,
                powered=None if found is None else _powered(crossed, rated, found),
            )
        )
    return made


def _score(
    study: Study, stored: StoredRecord | None, rated: Sequence[str], metric: str | None
) -> tuple[str | None, ClipScores | None]:
    """The automatic score of a run's clips that stands by the ratings."""
    if stored is None:
        return None, None
    suite = load_suite(study.suite.partition("+")[0])
    wanted = [metric] if metric else [one for one in suite.headline if one != METRIC]
    scores = clip_scores(stored, wanted) or {}
    for name in wanted:
        if name in scores and not np.isnan(scores[name].at(tuple(rated))).any():
            return name, scores[name]
    if metric:
        raise UserError(f"--score {metric}: {stored.path.parent} has no score of it for each rated clip; leave it out")
    return None, None


def _powered(crossed: Crossed, rated: Sequence[str], scores: ClipScores) -> Powered | None:
    others = scores.at(tuple(name for name in scores.ids if name not in set(rated)))
    return statistics.powered(crossed, scores.at(tuple(rated)), others[~np.isnan(others)])


def _published() -> dict[str, str]:
    """The ratings that papers report, by the method here that stands for theirs."""
    tables = [table for table in load_literature().tables if any(column.id == METRIC for column in table.columns)]
    return {row.here: row.show(METRIC) for table in tables for row in table.rows if row.here and METRIC in row.values}


def _preferences(study: Study, collected: Collected) -> list[Preference]:
    by_pair = defaultdict(list)
    for one in collected.judgements:
        item = study.items[one.item]
        share = 50.0 * (3 - _straight(one.value, one.swapped))
        by_pair[item.runs].append((one.rater, item.clip, share))
    made = []
    for pair in combinations(study.runs, 2):
        if rows := by_pair.get(pair):
            crossed = Crossed.of(*zip(*rows, strict=True))
            made.append(Preference(pair, _within(statistics.mean(crossed), 0.0, 100.0), len(rows)))
    return made


def _within(estimate: Estimate, low: float, high: float) -> Estimate:
    if estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(estimate.value, max(estimate.low, low), min(estimate.high, high))


def _strengths(study: Study, collected: Collected) -> dict[str, float]:
    names = list(study.runs)
    wins = np.zeros((len(names), len(names)))
    for one in collected.judgements:
        first, second = (names.index(name) for name in study.items[one.item].runs)
        share = (3 - _straight(one.value, one.swapped)) / 2
        wins[first, second] += share
        wins[second, first] += 1 - share
    found = statistics.strengths(wins)
    return {} if found is None else dict(zip(names, map(float, found), strict=True))


def attach(results: Results, records: Mapping[str, StoredRecord], *, replace: bool = False) -> list[Path]:
    """Write the ratings beside the records, which stay as they are; return the files.

    Raises:
        UserError: Ratings of another study lie there, and are not to be replaced. Nothing is written then.
    """
    made: list[tuple[Path, HumanRatings]] = []
    problems = []
    for one in results.opinions:
        if (stored := records.get(one.name)) is None:
            continue
        ratings = _beside(one, results)
        file = human_path(stored.path)
        if file.is_file() and not replace and not _same_study(file, ratings):
            problems.append(f"{file}: holds ratings of another study: give --replace to put these in their place")
        made.append((stored.path, ratings))
    if problems:
        raise UserError(problems)
    return [ratings.save(path) for path, ratings in made]


def _same_study(file: Path, ratings: HumanRatings) -> bool:
    try:
        return HumanRatings.model_validate_json(read_ordinary(file)).study == ratings.study
    except (OSError, ValueError):
        return False


def _beside(one: Opinion, results: Results) -> HumanRatings:
    run, powered = results.study.runs[one.name], None
    if one.powered is not None and one.score is not None:
        low, high = one.powered.estimate.low, one.powered.estimate.high
        assert low is not None and high is not None
        powered = WithScores(
            metric=one.score,
            value=one.powered.estimate.value,
            low=low,
            high=high,
            narrowed=one.powered.narrowed,
            others=one.powered.others,
        )
    return HumanRatings(
        version=definitions.get(METRIC).version,
        study=results.study.id,
        identity=run.identity,
        images=run.images,
        clips=dict(one.clips),
        low=one.estimate.low,
        high=one.estimate.high,
        ratings=one.ratings,
        raters=one.raters,
        deviation=one.deviation,
        alpha=None if results.alpha is None or math.isnan(results.alpha) else results.alpha,
        with_scores=powered,
    )
