"""The record of one run: what was asked, what came out, what it was made with."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import from_json

from benchmark.records.provenance import Provenance
from benchmark.utils.errors import UserError
from benchmark.utils.files import canonical_json, digest, save_atomic, write_atomic
from benchmark.utils.models import FrozenModel

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, unused-ignore]  # no stubs

SCHEMA_VERSION = 1

# Schema version -> the function that turns a record of that version into one of the next.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

IDENTITY_VERSION = 1


def run_identity(
    fingerprint: str, method: str, settings: Mapping[str, Any], seed: int | None, limit: int | None
) -> str:
    """sha256 (hex) that is equal for two runs exactly if they ask for the same thing.

    The same from a plan and from a stored record. A setting of None is as good as one that does not exist. It leaves
    out what may not change a result: the list of metrics, device, batch size, dates, package versions, folders.
    """
    return digest(
        {
            "identity": IDENTITY_VERSION,
            "suite": fingerprint,
            "method": method,
            "settings": {key: value for key, value in settings.items() if value is not None},
            "seed": seed,
            "limit": limit,
        }
    )


def _strict_json(value: dict[str, Any]) -> dict[str, Any]:
    # Through JSON and back, so that a record equals itself after it was stored (a tuple becomes a list).
    plain: dict[str, Any] = json.loads(canonical_json(value))
    return plain


Plain = Annotated[dict[str, Any], AfterValidator(_strict_json)]
Count = Annotated[int, Field(ge=0)]


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
    chance: float | None = None
    """What guessing gives; null if that is not defined."""
    version: int
    """Version of the metric's definition; only equal ones are compared."""
    scorers: dict[str, str] = Field(default_factory=dict)
    """sha256 of each scorer's weights, by its role (image, audio, ...)."""
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


class ImagesRef(FrozenModel):
    """The image files that were scored; `images.json` beside the record has the hash of each."""

    count: Count
    """Number of files."""
    sha256: str
    """`benchmark.records.images.reference` of their names and hashes."""


class Cost(FrozenModel):
    """What the run cost on the machine of its provenance; null where it was not measured."""

    fit_seconds: float | None = None
    """Wall-clock seconds of fitting."""
    fit_steps: int | None = None
    """Optimiser steps of fitting."""
    generate_seconds: float | None = None
    """Wall-clock seconds of generating all images."""
    images_per_second: float | None = None
    """Images a second while generating."""
    trainable_parameters: int | None = None
    """Numbers that fitting changed."""
    peak_memory_bytes: int | None = None
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
    seed: int | None
    """Seed of the run; null for a method without randomness."""
    limit: int | None
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
    provenance: Provenance
    """Code, packages and machine."""
    weights: dict[str, str] = {}
    """sha256 by name, of every weights file that was used."""
    identity: str
    """`run_identity` of this run."""
    warnings: list[str] = []
    """What the reader of the numbers should know, one line each."""

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
        if data["images"] is None:
            del data["images"]
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "record") -> RunRecord:
        """Read a record of this or an older schema version. Raises UserError, whose lines begin with `source`."""
        try:
            data = _parsed(text)
        except ValueError as error:
            raise UserError(f"{source}: not strict JSON: {error}") from error
        if not isinstance(data, dict):
            raise UserError(f"{source}: a record is a JSON object, this is a {type(data).__name__}")
        version = data.get("schema_version")
        if not isinstance(version, int) or isinstance(version, bool):
            raise UserError(f"{source}: not a run record: it has no whole number as schema_version")
        if version > SCHEMA_VERSION:
            raise UserError(
                f"{source}: schema_version {version} is newer than this program's {SCHEMA_VERSION}: "
                "update audio2image-bench to read it"
            )
        while version < SCHEMA_VERSION:
            if version not in MIGRATIONS:
                raise UserError(f"{source}: schema_version {version} was never written by any release")
            data = MIGRATIONS[version](data)
            version += 1
            data["schema_version"] = version
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(
                [f"{source}: {'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors()]
            ) from error

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read a record's file. Raises UserError naming the file if it is missing, unreadable or not a record."""
        return cls.from_json(_read_bytes(path), str(path))

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
            rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
        head = "".join(f"<th>{text}</th>" for text in ("metric", "value", "95 % interval", "chance", "n", ""))
        title = f"{who} on {self.suite.name} {self.suite.version} ({self.suite.fingerprint[:8]}): {self.status}"
        return f"<table><caption>{html.escape(title)}</caption><tr>{head}</tr>{''.join(rows)}</table>"


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

    data = _read_bytes(path)
    try:
        scores = pandas.read_parquet(io.BytesIO(data), engine="pyarrow")
    except Exception as error:
        raise UserError(f"{path}: not a readable Parquet file: {error}") from error
    missing = [name for name in SCORE_COLUMNS if name not in scores.columns]
    if missing:
        raise UserError(f"{path}: not a file of per-clip scores: it lacks the column {missing[0]!r}")
    return scores


def _read_bytes(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def _parsed(text: str | bytes) -> Any:
    """The value of a strict JSON text. Raises ValueError in the words of the standard library."""
    try:
        return from_json(text, allow_inf_nan=False)  # three times as fast, where there is nothing to complain of
    except ValueError:
        return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number; a missing value is null")
