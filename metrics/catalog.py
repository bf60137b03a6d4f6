"""The catalogue of named metrics, and their computation from embeddings.

A metric is data: what it means, its direction, unit, bounds, chance level, version and the inputs that it needs.
`compute` turns inputs into results; what cannot be computed becomes None with a reason, never a number.

Names: `ais`, `iis` and their variants (`ais` is `ais.winrate`), the `aic` family with `aic.r@k` for any k, and the
set metrics with an extractor's name at the end (`fd.clip`, `kid.dino`, `precision.clip`). Without one they use
Inception-v3, and the Fréchet distance of Inception-v3 features is called `fid`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import content, frechet, similarity, statistics
from .similarity import Array

INCEPTION = "inception"
NEIGHBOURS = 5
# Intervals of set distances repeat the distance; above this much arithmetic (about three seconds) there is none.
INTERVAL_FLOPS = 6e10
INTERVAL_GRAM_ROWS = 2000
HALVES = 32


@dataclass(frozen=True)
class MetricDefinition:
    """What a metric is. `version` is raised with any change that can move a value; tables compare only equal versions.

    `needs` names fields of `MetricInputs`; `image_features.clip` is the entry "clip" of the field `image_features`.
    `bounds` are those of the reported value (None: unbounded). `chance` is a number or a function of the number of
    classes; None where no level is known beforehand.
    """

    id: str
    title: str
    definition: str
    direction: Literal["up", "down"]
    unit: str
    bounds: tuple[float | None, float | None]
    needs: tuple[str, ...]
    source: str
    chance: float | Callable[[int], float] | None = None
    version: int = 1

    def chance_level(self, classes: int | None) -> float | None:
        """The value that guessing gets, for a suite of `classes` classes; None where it is not known."""
        if not callable(self.chance):
            return self.chance
        return self.chance(classes) if classes else None


@dataclass(frozen=True, eq=False, kw_only=True)
class MetricInputs:
    """What metrics are computed from, all optional. N images, M clips, C classes; rows of images may come in any order.

    `owner` gives each image's clip; without it there is one image per clip, in the clips' order. A clip that owns no
    image failed. `reasons` says why a field is absent (by the field's name, or `image_features.clip` for one
    extractor), or why a metric does not apply to these images (by the metric's id): the text becomes the result's
    reason. Shapes that do not fit together raise `ValueError`.
    """

    image_audio_space: ArrayLike | None = None
    """(N, a) generated images in the space of `audio` (AIS: CLIP ViT-B/32)."""
    audio: ArrayLike | None = None
    """(M, a) the clips' audio (AIS: Wav2CLIP)."""
    image: ArrayLike | None = None
    """(N, d) generated images in the space of `reference` and the texts (IIS, AIC: CLIP ViT-L/14)."""
    reference: ArrayLike | None = None
    """(M, d) the clips' true frames."""
    text: ArrayLike | None = None
    """(C, d) the bare class labels."""
    text_prompted: ArrayLike | None = None
    """(C, d) the class labels in a prompt, "a photo of {label}"."""
    image_features: Mapping[str, ArrayLike] = field(default_factory=dict)
    """(N, f) generated images, by extractor name; FID's is "inception"."""
    reference_features: Mapping[str, ArrayLike] = field(default_factory=dict)
    """(R, f) true frames, by extractor name. Where R = M, row m is clip m's."""
    owner: ArrayLike | None = None
    """(N,) int, index of each image's clip."""
    classes: ArrayLike | None = None
    """(M,) int, index of each clip's label."""
    audio_label: ArrayLike | None = None
    """(M,) int, the audio classifier's top label of each clip."""
    visible: Sequence[Collection[int]] | None = None
    """M sets of label indices that annotators marked visible."""
    ratings: ArrayLike | None = None
    """(M,) mean human rating of each clip's images, 1 to 5, NaN where nobody rated."""
    clip_ids: Sequence[str] | None = None
    """M names."""
    reasons: Mapping[str, str] = field(default_factory=dict)

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

    @property
    def clips(self) -> int:
        """M; without any per-clip input, the clips are those that own an image."""
        for name in _PER_CLIP:
            if (rows := _sized(getattr(self, name))) is not None:
                return len(rows)
        owner = _sized(self.owner)
        return self.images if owner is None else int(np.max(np.asarray(owner), initial=-1)) + 1

    @property
    def images(self) -> int:
        """N."""
        given = [getattr(self, name) for name in _PER_IMAGE] + list(self.image_features.values())
        return next((len(np.asarray(rows)) for rows in given if rows is not None), 0)

    def owners(self) -> NDArray[np.intp]:
        """(N,) the clip of each image."""
        return np.arange(self.images) if self.owner is None else np.asarray(self.owner).astype(np.intp)

    def missing(self, needs: Iterable[str]) -> str | None:
        """Why one of the fields in `needs` is not there, or None where all are."""
        for need in needs:
            name, _, extractor = need.partition(".")
            value = getattr(self, name)
            if (value if not extractor else value.get(extractor)) is None:
                return self.reasons.get(need) or self.reasons.get(name) or f"no {need.replace('.', ' of ')} given"
        return None


_PER_CLIP = ("clip_ids", "classes", "audio", "reference", "audio_label", "visible", "ratings")
_PER_IMAGE = ("owner", "image_audio_space", "image")


@dataclass(frozen=True, eq=False)
class MetricResult:
    """One metric's value with what is needed to read it, or None with the reason.

    `value`, `low`, `high`, `per_clip`, `per_class` are in `unit` (rates in percent). `n` counts the clips that have a
    score, for distances of sets the generated images. `failed` counts the clips without an image (a ranked row has
    none). A clip without a score (NaN in `per_clip`) did not fail: it had nothing to be compared with.
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


def definitions() -> list[MetricDefinition]:
    """The whole catalogue in table order; open-ended names stand with their parameter (`aic.r@k`, `fd.<extractor>`)."""
    return list(_CATALOGUE.values())


def get(metric: str) -> MetricDefinition:
    """The definition of a metric id; an unknown one raises `ValueError` with the nearest names.

    >>> get("aic.r@5").chance_level(50)
    10.0
    """
    if metric in _CATALOGUE and "<" not in metric and metric != "aic.r@k":
        return _CATALOGUE[metric]
    if match := re.fullmatch(r"aic\.r@([1-9]\d*)", metric):
        return _top_k(match[1])
    name, _, extractor = metric.partition(".")
    if name in _SET_METRICS and re.fullmatch(r"[A-Za-z0-9][\w.-]*", extractor):
        return _set_metric(name, extractor)
    near = difflib.get_close_matches(metric, _CATALOGUE, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(f"unknown metric {metric!r}: {hint}(known: {', '.join(_CATALOGUE)})")


def compute(ids: Iterable[str], inputs: MetricInputs, seed: int = 0, resamples: int = 2000) -> dict[str, MetricResult]:
    """Results by metric id, in the order asked. An unknown id raises; what cannot be computed has a reason.

    Intervals are at 95 %: a bootstrap over clips with `resamples` draws, for distances of sets random halves of the
    clips. None draws where `resamples` is 0. Work that several metrics need is done once.
    """
    job = _Job(inputs, seed, resamples)
    return {metric: job.result(definition) for metric, definition in [(one, get(one)) for one in ids]}


@dataclass(frozen=True, eq=False)
class _Scores:
    """A metric before reporting: a score per clip where it has them, otherwise the value of the whole set."""

    per_clip: Array | None = None
    value: float | None = None
    interval: statistics.Interval | None = None
    chance: float | None = None
    empty: str = "no clip has a score"


T = TypeVar("T")


class _Job:
    """One call of `compute`: the inputs, and what has been worked out from them."""

    def __init__(self, inputs: MetricInputs, seed: int, resamples: int) -> None:
        self.inputs, self.seed, self.resamples = inputs, seed, resamples
        self.owner, self.clips = inputs.owners(), inputs.clips
        texts = inputs.text if inputs.text is not None else inputs.text_prompted
        self.classes = None if texts is None else len(np.asarray(texts))
        self._done: dict[Hashable, Any] = {}
        self._held: dict[str, tuple[Array, Array]] = {}

    def result(self, definition: MetricDefinition) -> MetricResult:
        reason = self.inputs.reasons.get(definition.id) or self.inputs.missing(definition.needs)
        key = _ALIASES.get(definition.id, definition.id)
        if reason is None:
            try:
                return self.once(("result", key), lambda: self._report(definition, self._scores(key)))
            except (ValueError, np.linalg.LinAlgError) as error:
                reason = str(error)
        return self._empty(definition, reason)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._done:
            self._done[key] = make()
        value: T = self._done[key]
        return value

    def _scores(self, metric: str) -> _Scores:
        name, _, variant = metric.partition(".")
        if name in ("ais", "iis"):
            return self._similarity(name, variant)
        if name == "aic":
            return self._content(variant)
        if metric == "human":
            return _Scores(np.asarray(self.inputs.ratings, dtype=np.float64), empty="nobody rated a clip")
        if name == "fd":
            return self._frechet(variant)
        if name == "kid":
            return self._kernel(variant)
        return self._manifold(name, variant)

    def _similarity(self, name: str, variant: str) -> _Scores:
        i = self.inputs
        images, counterparts = (i.image_audio_space, i.audio) if name == "ais" else (i.image, i.reference)
        assert images is not None and counterparts is not None
        scores = self.once(name, lambda: similarity.family(images, counterparts, self.owner, i.classes))
        rate = getattr(scores, variant.replace(".", "_"))
        return self._of_images(rate if variant in ("cosine", "z") else 100.0 * rate, _EMPTY.get(variant))

    def _content(self, variant: str) -> _Scores:
        i = self.inputs
        images, texts = i.image, i.text_prompted if variant == "prompted" else i.text
        assert images is not None and texts is not None
        if variant == "visible":
            return self._visible(images, texts, i.visible or ())
        label = i.audio_label if variant == "audio" else i.classes
        assert label is not None
        k = int(variant.removeprefix("r@")) if variant.startswith("r@") else 1
        if k > len(np.asarray(texts)):
            raise ValueError(f"the best {k} of {len(np.asarray(texts))} classes always hold the right one")
        labels = np.asarray(label)[self.owner]
        key = "rank", variant if variant in ("prompted", "audio") else "bare"
        rank = self.once(key, lambda: content.rank(images, texts, labels))
        return self._of_images(np.where(rank < k, 100.0, 0.0))

    def _visible(self, images: ArrayLike, texts: ArrayLike, visible: Sequence[Collection[int]]) -> _Scores:
        hits = content.aic_visible(images, texts, [visible[clip] for clip in self.owner])
        scores = self._of_images(100.0 * hits, "no clip has a label marked visible")
        sizes = [len(seen) for seen in visible if len(seen)]
        return replace(scores, chance=100.0 * float(np.mean(sizes)) / len(np.asarray(texts)) if sizes else None)

    def _of_images(self, scores: Array, empty: str | None = None) -> _Scores:
        empty = "no image was generated" if not len(scores) else empty or "no clip has a score"
        return _Scores(statistics.per_clip(scores, self.owner, self.clips), empty=empty)

    def _features(self, extractor: str) -> tuple[Array, Array]:
        """Generated and real features as float64, checked once for all metrics of the extractor that follow another.

        Only those of one extractor are held: of 15,446 clips they may take half a gigabyte.
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
        """Interval of a distance over halves of the clips: their images against their frames (or random frames)."""
        frames = np.random.default_rng(self.seed)

        def of_half(half: NDArray[np.intp]) -> float:
            ours = np.flatnonzero(np.isin(self.owner, half))
            paired = references == self.clips
            theirs = half if paired else frames.choice(references, references // 2, replace=False)
            return distance(ours, theirs)

        # Clips that own no image would leave a half short of images, so halves are drawn from those that do.
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
            value, None, low, high, n, self._failed, d.unit, d.direction, chance, d.version, per_clip, per_class
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


_EMPTY = {
    "winrate": "needs at least two clips",
    "winrate.crossclass": "all clips are of one class",
    "winrate.sameclass": "no class has two clips",
    "z": "all generated images are equally similar to each clip",
    "arccos": "needs at least two clips",
}

_SET_METRICS: dict[str, tuple[str, str, Literal["up", "down"], str, tuple[float | None, float | None], str]] = {
    "fd": ("Fréchet distance", "Fréchet distance between Gaussians fitted to generated and true images' features",
           "down", "distance", (0.0, None), "1706.08500"),
    "kid": ("Kernel distance", "unbiased squared MMD of generated and true images' features, cubic polynomial kernel",
            "down", "distance", (None, None), "1801.01401"),
    "precision": ("Precision", "share of generated images inside a true image's 5-nearest-neighbour ball",
                  "up", "%", (0.0, 100.0), "1904.06991"),
    "recall": ("Recall", "share of true images inside a generated image's 5-nearest-neighbour ball",
               "up", "%", (0.0, 100.0), "1904.06991"),
    "density": ("Density", "mean number of true images' 5-nearest-neighbour balls that hold a generated image, over 5",
                "up", "ratio", (0.0, None), "2002.09797"),
    "coverage": ("Coverage", "share of true images whose 5-nearest-neighbour ball holds a generated image",
                 "up", "%", (0.0, 100.0), "2002.09797"),
}  # fmt: skip


# Ids that mean the same thing, so that it is computed once.
_ALIASES = {"ais": "ais.winrate", "iis": "iis.winrate", "fid": f"fd.{INCEPTION}"}
_ALIASES |= {name: f"{name}.{INCEPTION}" for name in _SET_METRICS if name != "fd"}


def _set_metric(name: str, extractor: str | None = None) -> MetricDefinition:
    title, definition, direction, unit, bounds, source = _SET_METRICS[name]
    features = extractor or INCEPTION
    return MetricDefinition(
        id=f"{name}.{extractor}" if extractor else name,
        title=f"{title} ({'Inception-v3' if features == INCEPTION else features})",
        definition=definition,
        direction=direction,
        unit=unit,
        bounds=bounds,
        needs=(f"image_features.{features}", f"reference_features.{features}"),
        source=source,
    )


def _top_k(k: str) -> MetricDefinition:
    return MetricDefinition(
        id=f"aic.r@{k}",
        title=f"Content recall at {k}",
        definition=f"the clip's label is among the {k} bare labels nearest to the generated image",
        direction="up",
        unit="%",
        bounds=(0.0, 100.0),
        needs=("image", "text", "classes"),
        source="Seagle27/GenAIProject@1c42101 evaluation.py (there prompted labels)",
        chance=(lambda classes: 100.0 * int(k) / classes) if k.isdigit() else None,
    )


def _guess(classes: int) -> float:
    return 100.0 / classes


def _similarity_metrics(name: str, title: str, other: str, needs: tuple[str, str]) -> list[MetricDefinition]:
    def one(variant: str, words: str, definition: str, unit: str, low: float | None, high: float | None,
            chance: float | None, source: str, *more: str) -> MetricDefinition:  # fmt: skip
        return MetricDefinition(
            id=name + variant, title=title + words, definition=definition, direction="up", unit=unit,
            bounds=(low, high), needs=needs + more, source=source, chance=chance,
        )  # fmt: skip

    share = f"share of {{}} whose {other} is less similar to the image than its own, ties half"
    pool = share.format("the other clips")
    here, sonic = "this project: own clip excluded, ties half", "BurakCanBiner/SonicDiffusion@36be618 evaluation.py"
    course, macs = "Seagle27/GenAIProject@1c42101 evaluation.py", f"alxzzhou/MACS@433b1ad evaluation/{name}.py"
    figurative = f"AlfredoBaione/Music_to_figurative_art@11583d7 {name.upper()}_complete.py"
    return [
        one("", "", pool, "%", 0.0, 100.0, 50.0, here),
        one(".winrate", ", win rate", pool, "%", 0.0, 100.0, 50.0, here),
        one(".winrate.inclusive", ", strict win rate", f"share of all clips, the own one included, whose {other} is "
            "strictly less similar to the image than its own", "%", 0.0, 100.0, 50.0, sonic),
        one(".winrate.crossclass", ", win rate against other classes", share.format("the clips of other classes"),
            "%", 0.0, 100.0, 50.0, course, "classes"),
        one(".winrate.sameclass", ", win rate within the class", share.format("the other clips of the same class"),
            "%", 0.0, 100.0, 50.0, "this project", "classes"),
        one(".cosine", ", cosine", f"cosine between the image and its {other}", "cosine", -1.0, 1.0, None, macs),
        one(".z", ", z-score",
            f"the pair's cosine in standard deviations among the other clips' images with the same {other}",
            "z", None, None, 0.0, macs),
        one(".arccos", ", arccos",
            f"the pair's cosine minus the mean cosine with the other clips' {other}, through arccos",
            "score", 0.0, 100.0, 50.0, figurative),
    ]  # fmt: skip


def _content_metrics() -> list[MetricDefinition]:
    def one(metric: str, title: str, definition: str, needs: tuple[str, ...], source: str,
            chance: Callable[[int], float] | None = _guess) -> MetricDefinition:  # fmt: skip
        return MetricDefinition(
            id=metric, title=title, definition=definition, direction="up", unit="%", bounds=(0.0, 100.0), needs=needs,
            source=source, chance=chance,
        )  # fmt: skip

    return [
        one("aic", "Audio-image content", "the bare label nearest to the generated image is the clip's",
            ("image", "text", "classes"), "BurakCanBiner/SonicDiffusion@36be618 evaluation.py"),
        one("aic.prompted", "Audio-image content, prompted labels", "the nearest 'a photo of {label}' is the clip's",
            ("image", "text_prompted", "classes"), "Seagle27/GenAIProject@1c42101 evaluation.py"),
        _top_k("k"),
        one("aic.visible", "Content visible in the clip", "the nearest bare label is one that annotators saw",
            ("image", "text", "visible"), "Bizilizi/VGGSounder", None),
        one("aic.audio", "Content heard in the clip", "the nearest bare label is the audio classifier's top label",
            ("image", "text", "audio_label"), "this project"),
    ]  # fmt: skip


_FID = replace(_set_metric("fd"), id="fid", title="Fréchet inception distance")
_CATALOGUE: dict[str, MetricDefinition] = {
    one.id: one
    for one in (
        *_similarity_metrics("ais", "Audio-image similarity", "audio", ("image_audio_space", "audio")),
        *_similarity_metrics("iis", "Image-image similarity", "true frame", ("image", "reference")),
        *_content_metrics(),
        _FID,
        _set_metric("fd", "<extractor>"),
        *(_set_metric(name) for name in _SET_METRICS if name != "fd"),
        *(_set_metric(name, "<extractor>") for name in _SET_METRICS if name != "fd"),
        MetricDefinition(
            id="human", title="Mean opinion score", definition="mean rating of the clip's images by people, 1 to 5",
            direction="up", unit="points", bounds=(1.0, 5.0), needs=("ratings",), source="2305.13050",
        ),
    )
}  # fmt: skip
