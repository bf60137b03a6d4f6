"""From pictures and clips to metric values: embeddings by role, cached, then `metrics.catalog.compute`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from benchmark import parallel
from benchmark.audio import audio_digest
from benchmark.errors import UserError
from benchmark.files import digest, save_atomic, write_atomic
from benchmark.images import load_image, pixel_digest, resize
from benchmark.record import MetricValue
from benchmark.store import cache_dir
from benchmark.suite import SCORERS, Suite
from metrics import catalog

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.runner import Plan
    from metrics.scorers.base import Scorer

T = TypeVar("T")

BLOCK = 64
"""Items that are decoded, and whose embeddings are kept, together."""

Bound = dict[str, str]
"""Role -> sha256 of the scorer that fills it."""

NO_INCEPTION = "torch-fidelity's Inception-v3 weights are not on this machine"
SAME_FRAMES = "the pictures are the reference frames themselves"


def bind(suite: Suite, device: str) -> Bound:
    """The hashes of the scorers that fill the suite's roles, without loading any network."""
    roles = suite.scorers
    bound = {role: suite.weights[name] for role, name in roles.model_dump().items() if isinstance(name, str)}
    bound |= {f"features.{name}": suite.weights[name] for name in roles.features}
    inception = _inception()
    if inception is not None:
        bound["features.inception"] = inception[1]
    return bound


def identity(wanted: Sequence[str], bound: Bound) -> str:
    """What a set of scores depends on besides the pictures: metrics with their versions, scorers' hashes."""
    return digest([[(name, definition(name).version) for name in wanted], bound])


def definition(name: str) -> catalog.MetricDefinition:
    """A metric's definition. Raises UserError with the nearest names."""
    try:
        return catalog.get(name)
    except ValueError as error:
        raise UserError(str(error)) from error


def _inception() -> tuple[Path, str] | None:
    from metrics.scorers.inception import find_weights

    path = find_weights()
    if path is None:
        return None
    from benchmark.files import sha256_of

    return path, sha256_of(path)


class _Job(NamedTuple):
    """What one scorer makes of each item."""

    scorer: str
    sha256: str
    embed: Callable[[Any, list[Any]], np.ndarray]
    """(scorer, items) -> rows."""
    batch: int
    """Items that the scorer gets at once."""


class _Embeddings:
    """Embeddings of ordered sets of pictures, sounds or texts, kept by the hashes of content and scorer.

    Sets are worked through in blocks, so that memory does not grow with what is decoded, and an interrupted scoring
    continues; several processes share the blocks.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.scorers: dict[str, Any] = {}

    def scorer(self, name: str) -> Any:
        if name not in self.scorers:
            self.scorers[name] = self._load(name)
        return self.scorers[name]

    def _load(self, name: str) -> Scorer:
        if name == "inception":
            from metrics.scorers.inception import InceptionScorer

            found = _inception()
            assert found is not None
            return InceptionScorer(*found, device=self.plan.on)
        return SCORERS.get(f"{self.plan.suite.base}/{name}")(self.plan.suite, self.plan.on)

    def of(
        self, what: str, items: Sequence[T], load: Callable[[T], Any], content: Callable[[Any], str],
        jobs: Mapping[str, _Job],
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """The rows of every job by its name. An item is loaded once for all jobs; `content` gives its hash."""
        rows = []
        with self.plan.ui.task(f"scoring: {what}", len(items), what) as advance:
            for start in parallel.mine(range(0, len(items), BLOCK)):
                loaded = [load(item) for item in items[start : start + BLOCK]]
                hashes = [content(one) for one in loaded]
                rows.append([self._block(job, loaded, hashes) for job in jobs.values()])
                advance(len(loaded) * parallel.world())
        blocks = parallel.gather(rows)
        return {name: np.concatenate([block[place] for block in blocks]) for place, name in enumerate(jobs)}

    def _block(self, job: _Job, items: list[Any], hashes: list[str]) -> np.ndarray:
        device = self.plan.on.partition(":")[0]
        path = cache_dir() / "embeddings" / f"{digest([job.sha256, device, hashes])[:40]}.npy"
        if not path.exists():
            scorer = self.scorer(job.scorer)
            rows = [job.embed(scorer, items[at : at + job.batch]) for at in range(0, len(items), job.batch)]

            def save(temporary: Path) -> None:
                with open(temporary, "wb") as file:
                    np.save(file, np.concatenate(rows))

            save_atomic(path, save)
        stored: np.ndarray = np.load(path)
        return stored

    def labels(self, name: str, sha256: str) -> list[str]:
        """The labels that a classifier tells apart."""
        path = cache_dir() / "embeddings" / f"labels-{digest(sha256)[:40]}.json"
        if not path.exists():
            write_atomic(path, json.dumps(self.scorer(name).labels))
        stored: list[str] = json.loads(path.read_text(encoding="utf-8"))
        return stored


def embed(plan: Plan, bound: Bound, wanted: Sequence[str]) -> catalog.MetricInputs:
    """What the metrics are computed from: all that the suite's scorers make of the run's pictures and its clips."""
    suite, test = plan.suite, plan.test
    roles = suite.scorers
    paths = plan.folder.image_paths(test.ids, plan.images_per_clip)
    labels = list(test.labels)
    store = _Embeddings(plan)

    def images(role: str, scorer: str) -> _Job:
        return _Job(scorer, bound[role], lambda network, some: network.embed_images(some), 64)

    def sounds(role: str, scorer: str) -> _Job:
        return _Job(scorer, bound[role], lambda network, some: network.embed_audio(some), 8)

    def texts(of: Sequence[str]) -> np.ndarray:
        job = _Job(roles.image, bound["image"], lambda network, some: network.embed_texts(some), 64)
        return store.of("texts", of, str, str, {"text": job})["text"]

    extractors = [key.partition(".")[2] for key in bound if key.startswith("features.")]
    features = {f"features.{name}": images(f"features.{name}", name) for name in extractors}
    reasons = {
        "visible": "nobody has marked what is visible in these clips",
        "ratings": "nobody has rated these pictures",
    }
    if "inception" not in extractors:
        reasons |= {"image_features.inception": NO_INCEPTION, "reference_features.inception": NO_INCEPTION}
    if not plan.method.draws:
        reasons |= {name: SAME_FRAMES for name in wanted if name.partition(".")[0] in ("fid", "fd", "kid")}
    heard = {"audio": sounds("audio", roles.audio)}
    if roles.audio_label is not None:
        if store.labels(roles.audio_label, bound["audio_label"]) == labels:
            heard["label"] = sounds("audio_label", roles.audio_label)
        else:
            reasons["audio_label"] = "the audio classifier knows other labels than this data set's"

    spec = suite.backbone
    drawn = store.of(
        "pictures", list(paths.values()), load_image, pixel_digest,
        {"audio space": images("image_audio_space", roles.image_audio_space), "image": images("image", roles.image)}
        | features,
    )  # fmt: skip
    true = store.of(
        "true frames", test.clips, lambda clip: resize(clip.picture(), spec.resolution, spec.resize), pixel_digest,
        {"image": images("image", roles.image)} | features,
    )  # fmt: skip
    sound = store.of("sounds", test.clips, suite.sound, audio_digest, heard)
    return catalog.MetricInputs(
        image_audio_space=drawn["audio space"],
        audio=sound["audio"],
        image=drawn["image"],
        reference=true["image"],
        text=texts(labels),
        text_prompted=texts([f"a photo of {label}" for label in labels]),
        image_features={name: drawn[f"features.{name}"] for name in extractors},
        reference_features={name: true[f"features.{name}"] for name in extractors},
        owner=np.array([test.index[clip] for clip, _ in paths]),
        classes=test.classes,
        audio_label=sound["label"].argmax(1) if "label" in sound else None,
        visible=test.visible,
        clip_ids=test.ids,
        reasons=reasons,
    )


def score(
    plan: Plan, bound: Bound, wanted: Sequence[str], inputs: catalog.MetricInputs
) -> tuple[dict[str, catalog.MetricResult], dict[str, Bound]]:
    """Results by metric id, and of each metric the scorers that it used."""
    results = catalog.compute(wanted, inputs, seed=plan.suite.generation.seed)
    return results, {name: _used(name, bound) for name in results}


def _used(name: str, bound: Mapping[str, str]) -> Bound:
    used = {}
    for need in catalog.get(name).needs:
        field, _, extractor = need.partition(".")
        role = {"reference": "image", "text": "image", "text_prompted": "image"}.get(field, field)
        key = f"features.{extractor}" if extractor else role
        if key in bound:
            used[key] = bound[key]
    return used


def metric_value(result: catalog.MetricResult, scorers: Bound) -> MetricValue:
    """A result as it stands in a record."""
    return MetricValue(
        value=result.value, reason=result.reason, low=result.low, high=result.high, n=result.n, failed=result.failed,
        unit=result.unit, direction=result.direction, chance=result.chance, version=result.version, scorers=scorers,
        details=_details(scorers),
    )  # fmt: skip


def _details(scorers: Bound) -> dict[str, Any]:
    if "features.inception" not in scorers:
        return {}
    from metrics.scorers.inception import DETAILS

    return DETAILS


def per_clip_table(plan: Plan, results: Mapping[str, catalog.MetricResult]) -> pd.DataFrame:
    """One row a clip: its id and label, the world's attributes, and its value of every metric that has one a clip."""
    import pandas as pd

    columns: dict[str, Any] = {"clip": list(plan.test.ids), "label": [clip.label for clip in plan.test]}
    columns |= {name: result.per_clip for name, result in results.items() if result.per_clip is not None}
    return pd.DataFrame(columns)
