"""From pictures and clips to metric values: embeddings by role, cached, then `metrics.catalog.compute`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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


class _Embeddings:
    """Embeddings of ordered sets of pictures, sounds or texts, kept by the hashes of content and scorer."""

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

    def get(
        self, name: str, sha256: str, what: str, hashes: Sequence[str],
        embed: Callable[[Any, Sequence[int]], np.ndarray], chunk: int,
    ) -> np.ndarray:  # fmt: skip
        """`embed(scorer, positions)` of all positions, or what the cache has for the same content and scorer."""
        device = self.plan.on.partition(":")[0]
        path = cache_dir() / "embeddings" / f"{digest([sha256, device, list(hashes)])[:40]}.npy"
        if not path.exists():
            rows = []
            with self.plan.ui.task(f"scoring: {what} with {name}", len(hashes), what) as advance:
                for start in range(0, len(hashes), chunk):
                    positions = range(start, min(start + chunk, len(hashes)))
                    rows.append(embed(self.scorer(name), positions))
                    advance(len(positions))
            array = np.concatenate(rows)

            def save(temporary: Path) -> None:
                with open(temporary, "wb") as file:
                    np.save(file, array)

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


def score(plan: Plan, bound: Bound, wanted: Sequence[str]) -> tuple[dict[str, catalog.MetricResult], dict[str, Bound]]:
    """Results by metric id, and of each metric the scorers that it used."""
    suite, test = plan.suite, plan.test
    roles = suite.scorers
    paths = plan.folder.image_paths(test.ids, plan.images_per_clip)
    owner = np.array([test.index[clip] for clip, _ in paths])
    pictures = [load_image(path) for path in paths.values()]  # one decode serves all scorers
    spec = suite.backbone
    frames = [resize(clip.picture(), spec.resolution, spec.resize) for clip in test]
    sounds = [suite.sound(clip) for clip in test]
    picture_hashes = [pixel_digest(picture) for picture in pictures]
    frame_hashes = [pixel_digest(frame) for frame in frames]
    sound_hashes = [audio_digest(sound) for sound in sounds]
    labels = list(test.labels)
    prompted = [f"a photo of {label}" for label in labels]
    store = _Embeddings(plan)

    def images(name: str, sha: str, of: Sequence[Any], hashes: Sequence[str]) -> np.ndarray:
        what = "true frames" if of is frames else "pictures"
        return store.get(name, sha, what, hashes, lambda s, at: s.embed_images([of[i] for i in at]), 64)

    def audio(name: str, sha: str) -> np.ndarray:
        return store.get(name, sha, "sounds", sound_hashes, lambda s, at: s.embed_audio([sounds[i] for i in at]), 8)

    def texts(name: str, sha: str, of: Sequence[str]) -> np.ndarray:
        return store.get(name, sha, "texts", of, lambda s, at: s.embed_texts([of[i] for i in at]), 64)

    extractors = {key.partition(".")[2]: sha for key, sha in bound.items() if key.startswith("features.")}
    reasons = {
        "visible": "nobody has marked what is visible in these clips",
        "ratings": "nobody has rated these pictures",
    }
    if "inception" not in extractors:
        reasons |= {"image_features.inception": NO_INCEPTION, "reference_features.inception": NO_INCEPTION}
    if not plan.method.draws:
        reasons |= {name: SAME_FRAMES for name in wanted if name.partition(".")[0] in ("fid", "fd", "kid")}
    audio_label = None
    if roles.audio_label is not None:
        if store.labels(roles.audio_label, bound["audio_label"]) == labels:
            audio_label = audio(roles.audio_label, bound["audio_label"]).argmax(1)
        else:
            reasons["audio_label"] = "the audio classifier knows other labels than this data set's"
    inputs = catalog.MetricInputs(
        image_audio_space=images(roles.image_audio_space, bound["image_audio_space"], pictures, picture_hashes),
        audio=audio(roles.audio, bound["audio"]),
        image=images(roles.image, bound["image"], pictures, picture_hashes),
        reference=images(roles.image, bound["image"], frames, frame_hashes),
        text=texts(roles.image, bound["image"], labels),
        text_prompted=texts(roles.image, bound["image"], prompted),
        image_features={name: images(name, sha, pictures, picture_hashes) for name, sha in extractors.items()},
        reference_features={name: images(name, sha, frames, frame_hashes) for name, sha in extractors.items()},
        owner=owner,
        classes=test.classes,
        audio_label=audio_label,
        visible=test.visible,
        clip_ids=test.ids,
        reasons=reasons,
    )
    results = catalog.compute(wanted, inputs, seed=suite.generation.seed)
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
