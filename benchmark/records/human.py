"""What people thought of a run's images: a file beside the record, which stays as it was sealed.

`human.json` lies in a run's folder, `<name>.human.json` in results. It says which run and which images it is about, so
that ratings of other images are never taken for those of this record.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from benchmark.records.record import LARGEST_RECORD, Count, MetricValue, RunRecord, identity_of
from benchmark.utils.errors import UserError
from benchmark.utils.files import read_file, write_atomic
from benchmark.utils.models import FrozenModel

METRIC = "human"
SUFFIX = ".human.json"
Points = Annotated[float, Field(ge=1, le=5)]


class WithScores(FrozenModel):
    """The same mean with the help of an automatic score of clips that nobody rated."""

    metric: str
    """Id of the score."""
    value: float
    """The mean."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""
    narrowed: float | None
    """Share by which the interval is shorter than without the score; below 0 where it is longer."""
    others: Count
    """Clips that have a score and no rating."""


class HumanRatings(FrozenModel):
    """The ratings of one run's images in one study."""

    format: Literal["bench human ratings 1"] = "bench human ratings 1"
    """What this file is."""
    version: int
    """Version of the metric's definition."""
    study: str
    """sha256 of the study; only ratings of one study are compared."""
    identity: str
    """`run_identity` of the run."""
    images: str | None
    """`ImagesRef.sha256` of the images that were shown; None where the record does not say."""
    clips: dict[str, Points]
    """Mean rating of each clip, 1 to 5."""
    low: float | None
    """Lower end of the 95 % interval for other raters and other clips; null for fewer than two of either."""
    high: float | None
    """Upper end."""
    ratings: Annotated[int, Field(ge=1)]
    """Number of ratings."""
    raters: Annotated[int, Field(ge=1)]
    """Number of people."""
    deviation: float | None
    """Sample standard deviation of the single ratings."""
    alpha: float | None
    """Krippendorff's alpha (ordinal) over all images of the study."""
    with_scores: WithScores | None = None
    """The mean with the help of an automatic score, where there are enough clips."""

    @model_validator(mode="after")
    def _check(self) -> HumanRatings:
        if not self.clips:
            raise ValueError("it rates no clip")
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high come together")
        return self

    @property
    def value(self) -> float:
        """Mean over clips of the clips' means."""
        return math.fsum(self.clips.values()) / len(self.clips)

    def metric(self) -> MetricValue:
        """Return them as a record's metric. An interval does not reach beyond the scale."""
        details = self.model_dump(mode="json", include={"ratings", "raters", "deviation", "alpha", "with_scores"})
        return MetricValue(
            value=self.value,
            low=None if self.low is None else max(self.low, 1.0),
            high=None if self.high is None else min(self.high, 5.0),
            n=len(self.clips),
            unit="points",
            direction="up",
            version=self.version,
            scorers={"raters": self.study},
            details=details,
        )

    def save(self, record: Path) -> Path:
        """Write them beside the file of a record, atomically, and return where."""
        path = human_path(record)
        write_atomic(path, self.model_dump_json(indent=1) + "\n")
        return path


def human_path(record: Path) -> Path:
    """Return where ratings lie: `human.json` in a run's folder, `<name>.human.json` in results."""
    return record.with_name("human.json") if record.name == "record.json" else record.with_suffix(SUFFIX)


def ratings_of(record: RunRecord, path: Path) -> HumanRatings | None:
    """Return the ratings that lie beside the record at `path`; None if there are none.

    Raises:
        UserError: The file cannot be read, or is about another run or other images.
    """
    file = human_path(path)
    if not os.path.lexists(file):  # also for a name that cannot be a file's
        return None
    try:
        found = HumanRatings.model_validate_json(read_file(file, LARGEST_RECORD))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise UserError(
            f"{file}: no ratings of people: {place}: {first['msg'].removeprefix('Value error, ')}; import them again"
        ) from error
    if found.identity != identity_of(record):
        raise UserError(f"{file}: is about another run: import the ratings again, or remove it")
    if found.images is not None and record.images is not None and found.images != record.images.sha256:
        raise UserError(f"{file}: is about other images than the record's: the run was made again after it was rated")
    return found


def with_ratings(record: RunRecord, path: Path) -> RunRecord:
    """Return the record with what people thought of it as its metric `human`; the same one if nobody was asked.

    Raises:
        UserError: As `ratings_of`.
    """
    found = ratings_of(record, path)
    if found is None:
        return record
    return record.model_copy(update={"metrics": {**record.metrics, METRIC: found.metric()}})
