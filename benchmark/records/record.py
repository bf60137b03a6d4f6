"""The record of one run: what was asked, what came out, what it was made with."""

from __future__ import annotations

import contextlib
import html
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import from_json

from benchmark.records.provenance import RunProvenance
from benchmark.utils.errors import UserError, listed
from benchmark.utils.files import canonical_json, digest, read_file, save_atomic, write_atomic
from benchmark.utils.models import FrozenModel
from benchmark.utils.text import visible

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, unused-ignore]  # no stubs

SCHEMA_VERSION = 2


def _steps_apart(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew only what a run was scored with."""
    return {**data, "provenance": {"score": [data["provenance"]]}} if "provenance" in data else data


# Schema version -> the function that turns a record of that version into one of the next.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _steps_apart}

IDENTITY_VERSION = 1

LARGEST_RECORD, LARGEST_SCORES = 64_000_000, 1_000_000_000
"""Bytes of the files that are read; those of 15,446 clips and 30 metrics take a tenth of it and less."""
MOST_SCORES = 100_000_000
"""Rows times columns of the per-clip scores that are read."""


def run_identity(
    fingerprint: str,
    method: str,
    settings: Mapping[str, Any],
    seed: int | None,
    limit: int | None,
    source: str | None = None,
) -> str:
    """sha256 (hex) that is equal for two runs exactly if they ask for the same thing.

    The same from a plan and from a stored record. A setting of None is as good as one that does not exist. It leaves
    out what may not change a result: the list of metrics, device, batch size, dates, package versions, folders.
    `source` is the hash of the method's code where its name does not say which code that is (`MethodRef.source`).
    """
    return digest(
        {
            "identity": IDENTITY_VERSION,
            "suite": fingerprint,
            "method": method,
            "settings": {key: value for key, value in settings.items() if value is not None},
            "seed": seed,
            "limit": limit,
            **({} if source is None else {"source": source}),
        }
    )


def _strict_json(value: dict[str, Any]) -> dict[str, Any]:
    # Through JSON and back, so that a record equals itself after it was stored (a tuple becomes a list).
    plain: dict[str, Any] = json.loads(canonical_json(value))
    return plain


LARGEST = 10**12
"""What no metric, and no number of seconds, steps or bytes, reaches; sums and squares of such numbers are finite."""
UNITS: dict[str, tuple[float, float]] = {
    "%": (0.0, 100.0),
    "score": (0.0, 100.0),
    "cosine": (-1.0, 1.0),
    "points": (1.0, 5.0),
    "ratio": (0.0, LARGEST),
    "distance": (-LARGEST, LARGEST),
    "z": (-LARGEST, LARGEST),
    "images": (1.0, LARGEST),
}
"""Unit of a metric -> its smallest and largest possible value."""

# Rounding may carry a cosine of 1 a little beyond it.
_ROUNDING = 1e-9


def out_of_bounds(unit: str, values: Iterable[float | None]) -> float | None:
    """Return the first value that is impossible in a known `unit`; None if there is none."""
    low, high = UNITS[unit]
    low, high = low - _ROUNDING, high + _ROUNDING
    return next((value for value in values if value is not None and not low <= value <= high), None)


Plain = Annotated[dict[str, Any], AfterValidator(_strict_json)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Amount = Annotated[float, Field(ge=0, le=LARGEST)]


class SuiteRef(FrozenModel):
    """The protocol a run followed."""

    name: str
    """Name of the suite."""
    version: int | str
    """Version of the suite."""
    fingerprint: str
    """sha256 of the resolved protocol; only equal ones are compared."""


class MethodRef(FrozenModel):
    """The method that was run."""

    name: str
    """Name it is found by."""
    card: Plain
    """Its card: paper, licence, weights, training data, what it may see."""
    settings: Plain
    """Every setting with the value it had, defaults included."""
    source: str | None = None
    """sha256 of the code of a method from a file or a notebook, with the modules beside it that it imports. Absent for
    the methods of packages, whose name says which they are."""


class MetricValue(FrozenModel):
    """One metric of one run: a number, or the reason why there is none."""

    value: float | None
    """The number, in `unit`; rates are percents."""
    reason: str | None = None
    """Why there is no number; set exactly if `value` is null."""
    low: float | None = None
    """Lower end of the 95 % interval over clips."""
    high: float | None = None
    """Upper end of the 95 % interval over clips."""
    n: Count
    """Images or pairs that entered the number."""
    failed: Count = 0
    """Those that should have entered and could not."""
    unit: str
    """Unit of value, low, high and chance; "%" for rates."""
    direction: Literal["up", "down"]
    """Which way is better."""
    chance: Annotated[float, Field(ge=-LARGEST, le=LARGEST)] | None = None
    """What guessing gives; null if that is not defined."""
    version: int
    """Version of the metric's definition; only equal ones are compared."""
    scorers: dict[str, str] = Field(default_factory=dict)
    """sha256 of each scorer's weights, by its role (image, audio, ...); of "labels" that have versions theirs."""
    details: Plain = Field(default_factory=dict)
    """What else the number depends on and may differ between programs: for FID the extractor's resizing and batch."""

    @model_validator(mode="after")
    def _check(self) -> MetricValue:
        if (self.value is None) == (not self.reason):
            raise ValueError("a metric has either a value or a reason why it has none")
        if (self.low is None) != (self.high is None) or (self.value is None and self.low is not None):
            raise ValueError("low and high come together, and only beside a value")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        if self.unit not in UNITS:
            raise ValueError(f"unit {self.unit!r} is unknown: {', '.join(UNITS)}")
        if self.value is not None:
            numbers = {"value": self.value, "low": self.low, "high": self.high, "chance": self.chance}
            if (bad := out_of_bounds(self.unit, numbers.values())) is not None:
                name = next(name for name, number in numbers.items() if number == bad)
                low, high = UNITS[self.unit]
                raise ValueError(f"{name} {bad:g} is impossible: {self.unit!r} lies between {low:g} and {high:g}")
            if self.n == 0:
                raise ValueError(f"value {self.value:g} of no image (n is 0)")
        return self


class ClipCounts(FrozenModel):
    """The clips that a run was about."""

    total: Count
    """Clips asked for."""
    failed: Count = 0
    """Clips whose image could not be made or scored."""
    failures: dict[str, str] = {}
    """Why each of them failed, by clip id; in the file only where there are some."""
    silent: Count = 0
    """Clips whose audio holds only zeros; they are scored."""
    skipped: list[str] = []
    """Ids of clips that the data set lists but could not deliver."""

    @model_validator(mode="after")
    def _check(self) -> ClipCounts:
        for name in ("failed", "silent"):
            if (count := getattr(self, name)) > self.total:
                raise ValueError(f"{name} ({count}) is more than all clips ({self.total})")
        return self


class ImagesRef(FrozenModel):
    """The image files that were scored; `images.json` beside the record has the hash of each."""

    count: Count
    """Number of files."""
    sha256: str
    """`benchmark.records.images.reference` of their names and hashes."""


class Cost(FrozenModel):
    """What the run cost on the machine of its provenance; null where it was not measured."""

    fit_seconds: Amount | None = None
    """Wall-clock seconds of fitting."""
    fit_steps: Count | None = None
    """Optimiser steps of fitting."""
    generate_seconds: Amount | None = None
    """Wall-clock seconds of generating all images."""
    images_per_second: Amount | None = None
    """Images a second while generating."""
    trainable_parameters: Count | None = None
    """Numbers that fitting changed."""
    peak_memory_bytes: Count | None = None
    """Highest memory use: of the accelerator if there was one, else of the process."""


class RunRecord(FrozenModel):
    """The result of one run (suite x method x settings x seed), with everything needed to judge and repeat it."""

    schema_version: int = SCHEMA_VERSION
    """Version of this layout; older ones are migrated on reading, newer ones refused."""
    status: Literal["complete", "incomplete", "failed"]
    """complete: every step was done; incomplete: some clips or metrics are missing; failed: nothing to score."""
    suite: SuiteRef
    """The protocol."""
    method: MethodRef
    """The method and its settings."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None
    """Seed of the run; null for a method without randomness."""
    limit: Annotated[int, Field(ge=1, le=LARGEST)] | None
    """Only this many test clips were used; null for all. A limited run is never ranked."""
    metrics: dict[str, MetricValue]
    """Value by metric id."""
    per_class: dict[str, dict[str, float | None]] = {}
    """Mean by metric id and label, in the metric's unit; null where a class has no clip."""
    clips: ClipCounts
    """How many clips were asked for, failed, were silent, were missing."""
    images: ImagesRef | None = None
    """The images that were scored; in the file only where it is known."""
    cost: Cost = Cost()
    """Time, memory, parameters."""
    provenance: RunProvenance
    """Code, packages and machine of each step."""
    weights: dict[str, str] = {}
    """sha256 by name, of every weights file that was used."""
    identity: str
    """`run_identity` of this run."""
    warnings: list[str] = []
    """What the reader of the numbers should know, one line each."""

    @model_validator(mode="after")
    def _check(self) -> RunRecord:
        for metric, means in self.per_class.items():
            if metric not in self.metrics:
                raise ValueError(f"per_class has {metric!r}, which is not among the metrics")
            if (bad := out_of_bounds(self.metrics[metric].unit, means.values())) is not None:
                label = next(label for label, mean in means.items() if mean == bad)
                unit = self.metrics[metric].unit
                raise ValueError(f"per_class: {metric} of class {label!r} is {bad:g}, impossible in {unit!r}")
        return self

    def to_json(self) -> str:
        """The record as strict JSON: two spaces of indent, metrics sorted by id, a newline at the end."""
        data = self.model_dump(mode="json")
        for key in ("metrics", "per_class"):
            data[key] = dict(sorted(data[key].items()))
        for value in data["metrics"].values():
            if not value["details"]:
                del value["details"]
        if not data["clips"]["failures"]:
            del data["clips"]["failures"]
        if data["method"]["source"] is None:
            del data["method"]["source"]
        if data["images"] is None:
            del data["images"]
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "record") -> RunRecord:
        """Read a record of this or an older schema version.

        Raises:
            UserError: It is no record, or one that no run can have given; the lines begin with `source`.
        """
        try:
            data = _parsed(text)
        except (ValueError, TypeError) as error:
            raise UserError(f"{source}: not strict JSON: {_one_line(error)}") from error
        if not isinstance(data, dict):
            raise UserError(f"{source}: a record is a JSON object, this is a {type(data).__name__}")
        version = data.get("schema_version")
        if not isinstance(version, int) or isinstance(version, bool):
            raise UserError(f"{source}: not a run record: it has no whole number as schema_version")
        if version > SCHEMA_VERSION:
            raise UserError(
                f"{source}: schema_version {_one_line(version)} is newer than this program's {SCHEMA_VERSION}: "
                "update audio2image-bench to read it"
            )
        while version < SCHEMA_VERSION:
            if version not in MIGRATIONS:
                raise UserError(f"{source}: schema_version {_one_line(version)} was never written by any release")
            try:
                data = MIGRATIONS[version](data)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise UserError(f"{source}: not a record of schema_version {version}: {_one_line(error)}") from error
            version += 1
            data["schema_version"] = version
            text = json.dumps(data)
        try:
            # Strict: `true` and "5" are no numbers. From text again, as only a list of JSON may become a tuple of ours.
            record = cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise UserError(listed([f"{source}: {_fault(one)}" for one in error.errors()])) from error
        if record.identity != (own := identity_of(record)):
            raise UserError(
                f"{source}: identity {record.identity[:8]!r} is not that of its contents, {own[:8]!r}: suite, method, "
                "settings, seed or limit was edited? run it again"
            )
        return record

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read a record's file. Raises UserError naming the file if it is missing, unreadable or not a record."""
        return cls.from_json(_read_bytes(path, LARGEST_RECORD), str(path))

    def save(self, path: Path) -> None:
        """Write the record to `path` atomically."""
        write_atomic(path, self.to_json())

    _path: Path | None = PrivateAttr(None)

    def at(self, path: Path) -> RunRecord:
        """Return the same record, which knows the file that it was read from."""
        placed = self.model_copy()
        placed._path = Path(path)
        return placed

    def clip_scores(self) -> DataFrame:
        """Return the scores of each clip: columns clip, label, and one a metric that has a score a clip.

        Raises:
            UserError: The record does not lie in a file, or no scores lie beside it.
        """
        if self._path is None:
            raise UserError("this record was not read from a file, so no scores lie beside it: bench.load_records(...)")
        return read_scores(scores_path(self._path))

    def class_scores(self) -> DataFrame:
        """Return the mean scores of each class: a row a label, a column a metric, in the metric's unit."""
        import pandas

        return pandas.DataFrame(self.per_class).rename_axis("label")

    def _repr_html_(self) -> str:
        """Show the record in a notebook: each metric with its interval, chance level and n."""
        who = self.method.name + ("" if self.seed is None else f", seed {self.seed}")
        who += "" if self.limit is None else f", limit {self.limit}"
        rows = []
        for name, value in self.metrics.items():
            arrow = "↑" if value.direction == "up" else "↓"
            shown = "–" if value.value is None else f"{value.value:.4g} {value.unit}"
            interval = "" if value.low is None or value.high is None else f"[{value.low:.4g}, {value.high:.4g}]"
            chance = "" if value.chance is None else f"{value.chance:.4g}"
            cells = [f"{name} {arrow}", shown, interval, chance, str(value.n), value.reason or ""]
            rows.append("<tr>" + "".join(f"<td>{html.escape(visible(cell))}</td>" for cell in cells) + "</tr>")
        head = "".join(f"<th>{text}</th>" for text in ("metric", "value", "95 % interval", "chance", "n", ""))
        title = f"{who} on {self.suite.name} {self.suite.version} ({self.suite.fingerprint[:8]}): {self.status}"
        return f"<table><caption>{html.escape(visible(title))}</caption><tr>{head}</tr>{''.join(rows)}</table>"


def identity_of(record: RunRecord) -> str:
    """Return `run_identity` of what a record says: computed, as an edited one must not pass for another run."""
    who = record.method
    return run_identity(record.suite.fingerprint, who.name, who.settings, record.seed, record.limit, who.source)


SCORE_COLUMNS = ("clip", "label")


def scores_path(record: Path) -> Path:
    """Return where a record's per-clip scores lie: `scores.parquet` in a run's folder, `<name>.parquet` in results."""
    return record.with_name("scores.parquet") if record.name == "record.json" else record.with_suffix(".parquet")


def write_scores(path: Path, scores: DataFrame) -> None:
    """Write per-clip scores as Parquet, atomically.

    Columns: clip, label, optionally seed, then one of float64 a metric id; one row a clip (a clip and seed). A clip
    that could not be scored is null. Raises ValueError if clip or label is missing or a row occurs twice.
    """
    missing = [name for name in SCORE_COLUMNS if name not in scores.columns]
    if missing:
        raise ValueError(f"per-clip scores lack the column {missing[0]!r}; they have {list(scores.columns)}")
    key = [name for name in ("clip", "seed") if name in scores.columns]
    repeated = scores.loc[scores.duplicated(key), "clip"]
    if len(repeated):
        raise ValueError(f"per-clip scores hold clip {repeated.iloc[0]!r} more than once")
    save_atomic(path, lambda temporary: scores.to_parquet(temporary, engine="pyarrow", index=False))


def read_scores(path: Path) -> DataFrame:
    """Per-clip scores as `write_scores` wrote them. Raises UserError naming the file if it cannot be read."""
    import io

    import pandas  # type: ignore[import-untyped, unused-ignore]  # no stubs
    from pyarrow.parquet import read_metadata

    data = _read_bytes(path, LARGEST_SCORES)
    try:
        size = read_metadata(io.BytesIO(data))
        # A few bytes can stand for billions of equal rows.
        if size.num_rows * size.num_columns > MOST_SCORES:
            raise ValueError(f"{size.num_rows:,} rows of {size.num_columns:,} columns are more than any run has")
        scores = pandas.read_parquet(io.BytesIO(data), engine="pyarrow")
    except Exception as error:
        raise UserError(f"{path}: not a readable Parquet file: {_one_line(error)}") from error
    missing = [name for name in SCORE_COLUMNS if name not in scores.columns]
    if missing:
        raise UserError(f"{path}: not a file of per-clip scores: it lacks the column {missing[0]!r}")
    return scores


def _read_bytes(path: Path, most: int) -> bytes:
    try:
        return read_file(Path(path), most)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _fault(error: Any) -> str:
    """A validation error in one line: where, what, and the value."""
    place = ".".join(map(str, error["loc"])) or "record"
    what = error["msg"].removeprefix("Value error, ")
    given = error["input"]
    shown = "" if error["type"] in ("missing", "value_error") else f", not {_one_line(repr(given))}"
    return visible(f"{place}: {what}{shown}")


def _one_line(text: object) -> str:
    """`text` without line breaks, and not longer than a line should be."""
    line = " ".join(str(text).split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def _parsed(text: str | bytes) -> Any:
    """The value of a strict JSON text. Raises ValueError in the words of the standard library."""
    try:
        return from_json(text, allow_inf_nan=False)  # three times as fast, where there is nothing to complain of
    except ValueError as error:
        with contextlib.suppress(RecursionError):
            json.loads(text, parse_constant=_refuse_constant)
        # What the standard library lets pass is refused all the same: lone surrogates, a thousand brackets, UTF-16.
        raise ValueError(str(error)) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number; a missing value is null")
