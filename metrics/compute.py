"""Evaluate named metrics from embeddings; a metric that cannot be computed is None with a reason, never a number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics import content, diversity, frechet, novelty, similarity, statistics
from metrics.definitions import MetricDefinition, get
from metrics.probe import Probe
from metrics.similarity import Array

NEIGHBOURS = 5
# The interval of a set distance repeats the distance; above this much arithmetic (about three seconds) it is omitted.
INTERVAL_FLOPS = 6e10
INTERVAL_GRAM_ROWS = 2000
HALVES = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class MetricInputs:
    """Inputs of metrics, all optional: N generated images, M clips and C classes.

    Rows of images may come in any order; `owner` assigns each image to its clip. Without `owner` there is one image per
    clip, in the order of the clips. A clip that owns no image counts as failed.

    `reasons` says why a field is missing (keyed by the field's name, or by `image_features.clip` for one extractor), or
    why a metric does not apply to these images (keyed by the metric's id). The text becomes the result's reason.

    Raises:
        ValueError: Shapes do not fit together, or `owner` is missing or points outside the clips.
    """

    image_audio_space: ArrayLike | None = None
    """(N, a) embeddings of the generated images in the space of `audio` (AIS: CLIP ViT-B/32)."""
    audio: ArrayLike | None = None
    """(M, a) embeddings of the clips' audio (AIS: Wav2CLIP)."""
    image: ArrayLike | None = None
    """(N, d) embeddings of the generated images in the space of `reference` and the texts (IIS, AIC: CLIP ViT-L/14)."""
    reference: ArrayLike | None = None
    """(M, d) embeddings of the clips' true frames."""
    text: ArrayLike | None = None
    """(C, d) embeddings of the bare class labels."""
    text_prompted: ArrayLike | None = None
    """(C, d) embeddings of the class labels in a prompt, "a photo of {label}"."""
    image_features: Mapping[str, ArrayLike] = field(default_factory=dict)
    """(N, f) features of the generated images, by extractor name; that of FID is "inception"."""
    reference_features: Mapping[str, ArrayLike] = field(default_factory=dict)
    """(R, f) features of true frames, by extractor name. Where R = M, row m is that of clip m."""
    training_features: Mapping[str, ArrayLike] = field(default_factory=dict)
    """(T, f) features of the training frames, by extractor name."""
    audio_features: Mapping[str, ArrayLike] = field(default_factory=dict)
    """(M, f) features of the clips' audio in the space of `image_features`, by extractor name."""
    class_means: Mapping[str, ArrayLike] = field(default_factory=dict)
    """(C, f) mean features of true frames of each class, of no test clip, by extractor name."""
    owner: ArrayLike | None = None
    """(N,) int, index of each image's clip."""
    classes: ArrayLike | None = None
    """(M,) int, index of each clip's label."""
    audio_label: ArrayLike | None = None
    """(M,) int, index of the audio classifier's top label for each clip."""
    audio_labels: Mapping[str, ArrayLike] = field(default_factory=dict)
    """(M,) int, index of the label that a judge finds nearest to each clip's sound, by judge."""
    visible: Sequence[Collection[int]] | None = None
    """M sets of indices of the labels that annotators marked as visible."""
    ratings: ArrayLike | None = None
    """(M,) mean human rating of each clip's images, 1 to 5; NaN where nobody rated."""
    probes: Mapping[str, Probe] = field(default_factory=dict)
    """Classifiers of the images that learnt from true frames, by metric id."""
    clip_ids: Sequence[str] | None = None
    """M clip ids."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a field or a metric is missing, by name."""

    def __post_init__(self) -> None:
        clips = {name: len(rows) for name in _PER_CLIP if (rows := _sized(getattr(self, name))) is not None}
        images = {name: len(rows) for name in _PER_IMAGE if (rows := _sized(getattr(self, name))) is not None}
        images |= {f"image_features.{name}": len(np.asarray(rows)) for name, rows in self.image_features.items()}
        for kind, counts in (("clips", clips), ("images", images)):
            if len(set(counts.values())) > 1:
                found = ", ".join(f"{name} {count}" for name, count in counts.items())
                raise ValueError(f"inputs disagree on the number of {kind}: {found}")
        if self.owner is None and clips and images and self.clips != self.images:
            raise ValueError(f"{self.images} images of {self.clips} clips: give `owner`, the clip of each image")
        if self.owner is not None:
            similarity.indices(self.owner, "owner", self.images, self.clips)
        for name, probe in self.probes.items():
            if len(np.asarray(probe.wanted)) != self.clips:
                raise ValueError(f"probe {name} is about {len(np.asarray(probe.wanted))} clips of {self.clips}")

    @property
    def clips(self) -> int:
        """Number of clips M; without any per-clip input, the clips are those that own an image."""
        for name in _PER_CLIP:
            if (rows := _sized(getattr(self, name))) is not None:
                return len(rows)
        owner = _sized(self.owner)
        return self.images if owner is None else int(np.max(np.asarray(owner), initial=-1)) + 1

    @property
    def images(self) -> int:
        """Number of generated images N."""
        given = [getattr(self, name) for name in _PER_IMAGE] + list(self.image_features.values())
        return next((len(np.asarray(rows)) for rows in given if rows is not None), 0)

    def owners(self) -> NDArray[np.intp]:
        """Return the clip of each image, (N,) int."""
        return np.arange(self.images) if self.owner is None else np.asarray(self.owner).astype(np.intp)

    def given(self, need: str) -> Any:
        """Return the field, or its entry, with the full name `need`: "image", "image_features.clip"."""
        name, _, entry = need.partition(".")
        value = getattr(self, name)
        return value.get(entry) if entry else value

    def missing(self, needs: Iterable[str]) -> str | None:
        """Return why one of the fields in `needs` is missing, or None if none is.

        Args:
            needs: Names of fields; `image_features.clip` is the entry "clip" of `image_features`.
        """
        for need in needs:
            if self.given(need) is None:
                reason = self.reasons.get(need) or self.reasons.get(need.partition(".")[0])
                return reason or f"no {need.replace('.', ' of ')} given"
        return None


_PER_CLIP = ("clip_ids", "classes", "audio", "reference", "audio_label", "visible", "ratings")
_PER_IMAGE = ("owner", "image_audio_space", "image")


@dataclass(frozen=True, eq=False)
class MetricResult:
    """Value of one metric with what is needed to interpret it, or None with the reason.

    Attributes:
        value: The value in `unit` (rates in percent); None where it cannot be computed.
        reason: Why `value` is None; None where there is a value.
        low: Lower end of the 95 % interval in `unit`; None where there is no interval.
        high: Upper end of the 95 % interval in `unit`; None where there is no interval.
        n: Number of clips with a score; for distances between sets, number of generated images.
        failed: Number of clips without an image; a ranked row has none.
        unit: Unit of the value, "%" for rates.
        direction: Which way is better, "up" or "down".
        chance: Value that guessing gets, in `unit`; None where it is not known.
        version: Version of the metric's definition.
        per_clip: (M,) score of each clip in `unit`, or None for a metric of the whole set. NaN marks a clip that had
            nothing to be compared with; it did not fail.
        per_class: Mean score in `unit` by index of the class, or None.
        details: What else the value has to be read with: of a probe, its value on the true frames ("ceiling"); of
            Inception-v3, how its features were taken.
    """

    value: float | None
    reason: str | None
    low: float | None
    high: float | None
    n: int
    failed: int
    unit: str
    direction: Literal["up", "down"]
    chance: float | None
    version: int
    per_clip: Array | None = None
    per_class: dict[int, float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def compute(ids: Iterable[str], inputs: MetricInputs, seed: int = 0, resamples: int = 2000) -> dict[str, MetricResult]:
    """Compute metrics by id.

    Work that several metrics need is done once. Intervals are at 95 %: a bootstrap over clips with `resamples` draws;
    for distances between sets, the distance over random halves of the clips.

    Args:
        ids: Metric ids, such as "ais" or "fd.clip"; see `metrics.definitions`.
        inputs: Embeddings and labels to compute from.
        seed: Seed of the intervals' draws.
        resamples: Number of draws of an interval; 0 for none.

    Returns:
        Results by metric id, in the order of `ids`. A metric that cannot be computed has no value but a reason.

    Raises:
        ValueError: An id is unknown.

    Example:
        >>> axes = [[1.0, 0.0], [0.0, 1.0]]
        >>> results = compute(["iis", "aic"], MetricInputs(image=axes, reference=axes), resamples=0)
        >>> results["iis"].value
        100.0
        >>> results["aic"].value, results["aic"].reason
        (None, 'no text given')
    """
    job = _Job(inputs, seed, resamples)
    return {metric: job.result(definition) for metric, definition in [(one, get(one)) for one in ids]}


@dataclass(frozen=True, eq=False)
class _Scores:
    """A metric before it is reported: a score per clip where it has them, otherwise the value of the whole set."""

    per_clip: Array | None = None
    value: float | None = None
    interval: statistics.Interval | None = None
    chance: float | None = None
    empty: str = "no clip has a score"
    details: Mapping[str, float] = field(default_factory=dict)


T = TypeVar("T")


class _Job:
    """One call of `compute`: its inputs, and the intermediate results that metrics share."""

    def __init__(self, inputs: MetricInputs, seed: int, resamples: int) -> None:
        self.inputs, self.seed, self.resamples = inputs, seed, resamples
        self.owner, self.clips = inputs.owners(), inputs.clips
        texts = next((one for one in (inputs.text, inputs.text_prompted) if one is not None), None)
        texts = next(iter(inputs.class_means.values()), None) if texts is None else texts
        self.classes = None if texts is None else len(np.asarray(texts))
        self._done: dict[Hashable, Any] = {}
        self._held: dict[str, tuple[Array, Array]] = {}

    def result(self, definition: MetricDefinition) -> MetricResult:
        """Return the result of one metric."""
        reason = self.inputs.reasons.get(definition.id) or self.inputs.missing(definition.needs)
        if reason is None:
            key = definition.same_as or definition.id
            try:
                return self.once(("result", key), lambda: self._report(definition, self._scores(definition)))
            except (ValueError, np.linalg.LinAlgError) as error:
                reason = str(error)
        return self._empty(definition, reason)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returned the first time that it was called for `key`."""
        if key not in self._done:
            self._done[key] = make()
        value: T = self._done[key]
        return value

    def _scores(self, metric: MetricDefinition) -> _Scores:
        match metric.family:
            case "ais" | "iis":
                return self._similarity(metric)
            case "aic":
                return self._content(metric)
            case "voice" | "hears" | "human":
                return self._judged(metric)
        assert metric.extractor is not None
        of_sets = {
            "fd": self._frechet,
            "kid": self._kernel,
            "novelty": self._novelty,
            "vendi": self._vendi,
            "spread": self._spread,
            "between": self._between,
        }
        if metric.family in of_sets:
            return of_sets[metric.family](metric.extractor)
        return self._manifold(metric.family, metric.extractor)

    def _similarity(self, metric: MetricDefinition) -> _Scores:
        i, variant = self.inputs, metric.variant
        images, counterparts = map(i.given, metric.needs[:2])
        key = metric.family, metric.extractor
        scores = self.once(key, lambda: similarity.family(images, counterparts, self.owner, i.classes))
        rate = getattr(scores, variant.replace(".", "_"))
        return self._of_images(rate if variant in ("cosine", "z") else 100.0 * rate, _EMPTY.get(variant))

    def _content(self, metric: MetricDefinition) -> _Scores:
        i = self.inputs
        images, texts, label = map(i.given, metric.needs)
        if metric.variant == "visible":
            return self._visible(images, texts, label or ())
        k = metric.k or 1
        if k > len(np.asarray(texts)):
            raise ValueError(f"the best {k} of {len(np.asarray(texts))} classes always hold the right one")
        labels = np.asarray(label)[self.owner]
        rank = self.once(("rank", *metric.needs), lambda: content.rank(images, texts, labels))
        return self._of_images(np.where(rank < k, 100.0, 0.0))

    def _visible(self, images: ArrayLike, texts: ArrayLike, visible: Sequence[Collection[int]]) -> _Scores:
        hits = content.aic_visible(images, texts, [visible[clip] for clip in self.owner])
        scores = self._of_images(100.0 * hits, "no clip has a label marked visible")
        sizes = [len(seen) for seen in visible if len(seen)]
        return replace(scores, chance=100.0 * float(np.mean(sizes)) / len(np.asarray(texts)) if sizes else None)

    def _judged(self, metric: MetricDefinition) -> _Scores:
        if metric.family == "human":
            return _Scores(np.asarray(self.inputs.ratings, dtype=np.float64), empty="nobody rated a clip")
        probe = self.inputs.probes[metric.id]
        images = self.inputs.given(metric.needs[0])
        scores = self._of_images(probe.score(images, self.owner), "no clip is of the kind that is asked about")
        details = {}
        frames = "reference" if metric.extractor is None else f"reference_features.{metric.extractor}"
        if (reference := self.inputs.given(frames)) is not None:
            true = probe.score(reference, np.arange(self.clips))
            if not np.isnan(true).all():
                details["ceiling"] = statistics.mean(true)
        return replace(scores, chance=probe.chance, details=details)

    def _of_images(self, scores: Array, empty: str | None = None) -> _Scores:
        empty = "no image was generated" if not len(scores) else empty or "no clip has a score"
        return _Scores(statistics.per_clip(scores, self.owner, self.clips), empty=empty)

    def _features(self, extractor: str) -> tuple[Array, Array]:
        """Return generated and real features as float64, checked once for consecutive metrics of one extractor.

        Only those of one extractor are held: for 15,446 clips they may take half a gigabyte.
        """
        if extractor not in self._held:
            self._held.clear()
            i = self.inputs
            generated = similarity.matrix(i.image_features[extractor], f"image_features.{extractor}")
            real = similarity.matrix(i.reference_features[extractor], f"reference_features.{extractor}")
            self._held[extractor] = generated, real
        return self._held[extractor]

    def _frechet(self, extractor: str) -> _Scores:
        generated, real = self._features(extractor)
        value = frechet.frechet_distance(generated, real)
        half, width = max(len(generated), len(real)) // 2, generated.shape[1]
        side, draws = min(half, width), self._draws
        flops = draws * (4.0 * half * side * width + 10.0 * side**3)
        interval = None
        if flops <= INTERVAL_FLOPS and min(len(generated), len(real)) >= 8:
            interval = self._halves(
                lambda ours, theirs: frechet.frechet_distance(generated[ours], real[theirs]), len(real), value
            )
        return _Scores(value=value, interval=interval and (max(0.0, interval[0]), interval[1]))

    def _kernel(self, extractor: str) -> _Scores:
        generated, real = self._features(extractor)
        value = frechet.kernel_distance(generated, real)
        if max(len(generated), len(real)) > INTERVAL_GRAM_ROWS or min(len(generated), len(real)) < 8:
            return _Scores(value=value)
        ours, theirs, cross = frechet.kernel_matrices(generated, real)

        def of_half(a: NDArray[np.intp], b: NDArray[np.intp]) -> float:
            within = ours[np.ix_(a, a)].sum() / (len(a) * (len(a) - 1))
            within += theirs[np.ix_(b, b)].sum() / (len(b) * (len(b) - 1))
            return float(within - 2.0 * cross[np.ix_(a, b)].mean())

        return _Scores(value=value, interval=self._halves(of_half, len(real), value))

    @property
    def _draws(self) -> int:
        return min(self.resamples, HALVES)

    def _halves(
        self, distance: Callable[[NDArray[np.intp], NDArray[np.intp]], float], references: int, value: float
    ) -> statistics.Interval | None:
        """Return the interval of a distance over random halves of the clips.

        A half's images are compared with its own frames or, where the references are not the clips' frames, with a
        random half of the references.
        """
        frames = np.random.default_rng(self.seed)

        def of_half(half: NDArray[np.intp]) -> float:
            ours = np.flatnonzero(np.isin(self.owner, half))
            paired = references == self.clips
            theirs = half if paired else frames.choice(references, references // 2, replace=False)
            return distance(ours, theirs)

        # Clips that own no image would leave a half short of images, so halves are drawn from the others.
        present = np.unique(self.owner)
        return statistics.half_sample_interval(
            lambda half: of_half(present[half]), len(present), value, resamples=self._draws, seed=self.seed
        )

    def _manifold(self, name: str, extractor: str) -> _Scores:
        generated, real = self._features(extractor)
        terms = self.once(("manifold", extractor), lambda: frechet.manifold(real, generated, k=NEIGHBOURS))
        scores: Array = getattr(terms, name) * (1.0 if name == "density" else 100.0)
        if name in ("precision", "density"):
            return self._of_images(scores)
        if len(real) == self.clips:
            return _Scores(scores)
        interval = statistics.bootstrap_interval(scores, resamples=self.resamples, seed=self.seed)
        return _Scores(value=statistics.mean(scores), interval=interval)

    def _novelty(self, extractor: str) -> _Scores:
        generated, real = self._features(extractor)
        found = novelty.novelty(generated, real, self.inputs.training_features[extractor])
        distances = {
            "distance": statistics.mean(found.images),
            "distance_of_true_frames": statistics.mean(found.frames),
        }
        return replace(self._of_images(100.0 * found.share), details=distances)

    def _vendi(self, extractor: str) -> _Scores:
        images = self.inputs.image_features[extractor]
        return _Scores(diversity.vendi_of_clips(images, self.owner, self.clips), empty=_ONE_EACH)

    def _spread(self, extractor: str) -> _Scores:
        images = self.inputs.image_features[extractor]
        return _Scores(diversity.spread_within(images, self.owner, self.clips), empty=_ONE_EACH)

    def _between(self, extractor: str) -> _Scores:
        i, classes = self.inputs, np.asarray(self.inputs.classes)
        scores = diversity.spread_between(i.image_features[extractor], self.owner, classes)
        frames, details = i.reference_features.get(extractor), {}
        if frames is not None and len(np.asarray(frames)) == self.clips:
            true = diversity.spread_between(frames, np.arange(self.clips), classes)
            if not np.isnan(true).all():
                details["of_true_frames"] = statistics.mean(true)
        return _Scores(scores, empty="no class has two clips with an image", details=details)

    def _report(self, definition: MetricDefinition, scores: _Scores) -> MetricResult:
        value, interval, per_clip, per_class = scores.value, scores.interval, scores.per_clip, None
        n = self.inputs.images
        if per_clip is not None:
            n = int(np.count_nonzero(~np.isnan(per_clip)))
            if n == 0:
                raise ValueError(scores.empty)
            value = statistics.mean(per_clip)
            interval = statistics.bootstrap_interval(per_clip, resamples=self.resamples, seed=self.seed)
            per_class = self._per_class(per_clip)
        if value is None or not np.isfinite(value):
            raise ValueError(f"the result is not finite ({value})")
        low, high = interval or (None, None)
        chance = scores.chance if scores.chance is not None else definition.chance_level(self.classes)
        d = definition
        return MetricResult(
            value,
            None,
            low,
            high,
            n,
            self._failed,
            d.unit,
            d.direction,
            chance,
            d.version,
            per_clip,
            per_class,
            scores.details,
        )

    def _per_class(self, per_clip: Array) -> dict[int, float] | None:
        if self.inputs.classes is None:
            return None
        classes = np.asarray(self.inputs.classes)
        scored = ~np.isnan(per_clip)
        return {int(c): statistics.mean(per_clip[scored & (classes == c)]) for c in np.unique(classes[scored])}

    def _empty(self, definition: MetricDefinition, reason: str) -> MetricResult:
        d, chance = definition, definition.chance_level(self.classes)
        return MetricResult(None, reason, None, None, 0, self._failed, d.unit, d.direction, chance, d.version)

    @property
    def _failed(self) -> int:
        return 0 if self.inputs.owner is None else self.clips - len(np.unique(self.owner))


def _sized(value: Any) -> Any:
    return value if value is None or isinstance(value, Sequence) else np.asarray(value)


_ONE_EACH = "no clip has two images: a run or a folder with several images a clip is needed"

_EMPTY = {
    "winrate": "needs at least two clips",
    "winrate.crossclass": "all clips are of one class",
    "winrate.sameclass": "no class has two clips",
    "z": "all generated images are equally similar to each clip",
    "arccos": "needs at least two clips",
}
