"""From images and clips to metric values: embeddings by role, then `metrics.compute.compute`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.fullscale import judges
from benchmark.media.audio import audio_digest, is_silent
from benchmark.media.images import load_image, pixel_digest, resize
from benchmark.records.record import MetricValue
from benchmark.registries import DATASETS, JUDGES
from benchmark.runs import learning
from benchmark.runs.embeddings import Embedded, Embeddings, Job, find_inception
from benchmark.runs.score_job import ScoreJob as ScoreJob
from benchmark.utils import distributed
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.files import digest
from metrics import compute, content, definitions
from metrics.definitions import INCEPTION

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.clips import Clip, ClipSet
    from benchmark.suite import Suite
    from metrics.compute import MetricInputs, MetricResult

Bound = dict[str, str]
"""Role -> sha256 of the scorer that fills it."""

NO_INCEPTION = "torch-fidelity's Inception-v3 weights are not on this machine"
SAME_FRAMES = "the pictures are the reference frames themselves"


@dataclass(frozen=True, eq=False)
class Scores:
    """What came out of a `ScoreJob`."""

    results: dict[str, MetricResult]
    """By metric id."""
    scorers: dict[str, Bound]
    """The scorers that each metric used, by metric id."""
    per_clip: pd.DataFrame
    """A row a clip: id, label, and its value of every metric that has one a clip; null for a clip that failed."""
    silent: tuple[str, ...]
    """Ids of the clips whose sound is all zero; they are scored."""
    failures: dict[str, str]
    """Clips whose image, frame or sound could not be read, with the reason; they are left out of every metric."""

    def per_class(self, labels: Sequence[str]) -> dict[str, dict[str, float | None]]:
        """Return the mean by metric and label as a record has it: None for a label without a score."""
        return {
            name: {label: result.per_class.get(index) for index, label in enumerate(labels)}
            for name, result in self.results.items()
            if result.per_class
        }


def judges_of(suite: Suite, wanted: Iterable[str]) -> list[str]:
    """Return the judges that the metrics `wanted` name: extractors that the suite does not score with."""
    named = dict.fromkeys(definition(name).extractor for name in wanted)
    return [one for one in named if one is not None and one in JUDGES and one not in suite.scorers.features]


def check_judges(suite: Suite, wanted: Iterable[str]) -> None:
    """Raise UserError, a line for each judge of the metrics `wanted` that is unknown or not on this machine."""
    known = {None, INCEPTION, *suite.scorers.features}
    problems = []
    for name in wanted:
        judge = definition(name).extractor
        if judge not in known and judge not in JUDGES:
            problems.append(f"{name}: {judge!r} is no judge (known: {', '.join(JUDGES.names())})")
    absent = [judge for judge in judges_of(suite, wanted) if judges.sha256_of(suite, judge) is None]
    problems += [judges.why_missing(suite, judge) for judge in absent]
    if problems:
        raise UserError(problems)


def bind(suite: Suite, wanted: Iterable[str] = ()) -> Bound:
    """Return the hashes of the scorers that fill the suite's roles, without loading any network.

    The judges that the metrics `wanted` name are among them, as far as they are on this machine, and labels that have
    versions, as "labels": values by other labels are as little comparable as those by other networks.
    """
    roles = suite.scorers
    bound = {role: suite.weights[name] for role, name in roles.model_dump().items() if isinstance(name, str)}
    bound |= {f"features.{name}": suite.weights[name] for name in roles.features}
    if (inception := find_inception(suite)) is not None:
        bound[f"features.{INCEPTION}"] = inception[1]
    for judge in judges_of(suite, wanted):
        if (sha256 := judges.sha256_of(suite, judge)) is not None:
            bound[f"features.{judge}"] = sha256
    asked = (_ROLES.get(one) for name in wanted for one in definition(name).inputs)
    if suite.data.manifest is None and "labels" in asked:
        labels = DATASETS.get(suite.data.source).labels_identity(suite)
        bound |= {} if labels is None else {"labels": labels}
    return bound


def identity(wanted: Sequence[str], bound: Bound) -> str:
    """Return what a set of scores depends on besides the images: metrics with their versions, scorers' hashes."""
    return digest([[(name, definition(name).version) for name in wanted], bound])


def definition(name: str) -> definitions.MetricDefinition:
    """Return a metric's definition. Raises UserError with the nearest names for an unknown one."""
    try:
        return definitions.get(name)
    except ValueError as error:
        raise UserError(str(error)) from error


class Embedding(NamedTuple):
    """What the metrics of a `ScoreJob` are computed from."""

    inputs: MetricInputs
    kept: list[int]
    """Positions of the clips whose frame and sound could be read."""
    silent: tuple[str, ...]
    failures: dict[str, str]


def score(job: ScoreJob, wanted: Sequence[str], bound: Bound) -> Scores:
    """Compute the metrics `wanted`. Raises RunError if not one clip could be read."""
    return compute_metrics(job, wanted, bound, embed(job, wanted, bound))


def compute_metrics(job: ScoreJob, wanted: Sequence[str], bound: Bound, embedding: Embedding) -> Scores:
    """Compute the metrics `wanted` from what `embed` returned."""
    inputs, kept, silent, failures = embedding
    results = {
        name: replace(result, details={**_details(used(name, bound), job.device), **result.details})
        for name, result in compute.compute(wanted, inputs, seed=job.suite.generation.seed).items()
    }
    lost = len(job.clips) - len(kept)
    if lost:
        results = {
            name: replace(result, failed=result.failed + lost, per_clip=_spread(result.per_clip, kept, len(job.clips)))
            for name, result in results.items()
        }
    return Scores(
        results=results,
        scorers={name: used(name, bound) for name in results},
        per_clip=_per_clip_table(job.clips, results),
        silent=silent,
        failures=failures,
    )


def embed(job: ScoreJob, wanted: Sequence[str], bound: Bound) -> Embedding:
    """Embed the images and the clips with all of the suite's scorers; several processes share the work.

    Raises:
        RunError: Not one clip could be read.
    """
    suite, clips, roles, spec = job.suite, job.clips, job.suite.scorers, job.suite.backbone
    labels = list(clips.labels)
    store = Embeddings(suite, job.device, job.ui)
    reasons = {
        "visible": "nobody has marked what is visible in these clips",
        "ratings": "nobody has rated these pictures",
    }
    known = [key.removeprefix("features.") for key in bound if key.startswith("features.")]
    extractors = [name for name in known if name not in definitions.EARS]
    if INCEPTION not in extractors:
        reasons |= dict.fromkeys((f"image_features.{INCEPTION}", f"reference_features.{INCEPTION}"), NO_INCEPTION)
    if not job.draws:
        reasons |= {name: SAME_FRAMES for name in wanted if definition(name).is_distance}
    asked = judges_of(suite, wanted)
    for judge in asked:
        if judge not in known:
            why = judges.why_missing(suite, judge)
            needed = ("image_features", "reference_features", "audio_labels")
            reasons |= dict.fromkeys((f"{name}.{judge}" for name in needed), why)
    features = {f"features.{name}": _images(name, bound[f"features.{name}"]) for name in extractors}
    heard = {"audio": _sounds(roles.audio, bound["audio"])} | _hearing(wanted, asked, bound, reasons)
    if roles.audio_label is not None:
        if store.labels(roles.audio_label, bound["audio_label"]) == labels:
            heard["label"] = _sounds(roles.audio_label, bound["audio_label"])
        else:
            reasons["audio_label"] = "the audio classifier knows other labels than this data set's"

    drawn = store.of(
        "pictures",
        list(job.images.values()),
        load_image,
        pixel_digest,
        {
            "audio space": _images(roles.image_audio_space, bound["image_audio_space"]),
            "image": _images(roles.image, bound["image"]),
            **features,
        },
    )
    true = store.of(
        "true frames",
        clips.clips,
        lambda clip: resize(clip.picture(), spec.resolution, spec.resize),
        pixel_digest,
        {"image": _images(roles.image, bound["image"]), **features},
    )
    silent: list[str] = []

    def sound(clip: Clip) -> np.ndarray:
        wave = clip.waveform(suite.data.rate, suite.data.seconds)
        if is_silent(wave):
            silent.append(clip.id)
        return suite.fit_sound(wave)

    sounds = store.of("sounds", clips.clips, sound, audio_digest, heard)
    failures = _failures(job, drawn, true, sounds)
    kept = sorted(set(true.read) & set(sounds.read))
    if not kept or not drawn.read:
        raise RunError(f"no clip could be scored: {next(iter(failures.values()), 'there is no image')}")

    def texts(of: Sequence[str], scorer: str = roles.image, sha256: str = bound["image"]) -> np.ndarray:
        return store.of("texts", of, str, str, {"text": _texts(scorer, sha256)}).rows["text"]

    eyes: dict[str | None, Job] = {name: features[f"features.{name}"] for name in extractors}
    eyes[None] = _images(roles.image, bound["image"])
    means, why_no_means = learning.class_means(job, wanted, store, eyes)
    probes, why_no_probe = learning.probes(job, wanted, kept, store, eyes)
    learnt, why_not_learnt = learning.training_features(job, wanted, store, eyes)
    reasons |= why_no_means | why_no_probe | why_not_learnt
    seen, true_rows, sound_rows = _rows(job, drawn, kept), _kept(true, kept), _kept(sounds, kept)
    owner = seen.pop("owner")
    inputs = compute.MetricInputs(
        image_audio_space=seen["audio space"],
        audio=sound_rows["audio"],
        image=seen["image"],
        reference=true_rows["image"],
        text=texts(labels),
        text_prompted=texts([f"a photo of {label}" for label in labels]),
        image_features={name: seen[f"features.{name}"] for name in extractors},
        reference_features={name: true_rows[f"features.{name}"] for name in extractors},
        audio_features={
            judge: sound_rows[f"audio of {judge}"] for judge in extractors if f"audio of {judge}" in sound_rows
        },
        audio_labels={
            judge: content.top(
                sound_rows[f"audio of {judge}"],
                texts([judges.HEARD.format(label) for label in labels], judge, bound[f"features.{judge}"]),
                1,
            )[:, 0]
            for judge in asked
            if judge in definitions.EARS and judge in known
        },
        training_features=learnt,
        class_means=means,
        owner=owner,
        classes=clips.classes[kept],
        audio_label=sound_rows["label"].argmax(1) if "label" in sound_rows else None,
        visible=None if clips.visible is None else tuple(clips.visible[place] for place in kept),
        probes=probes,
        clip_ids=tuple(clips.ids[place] for place in kept),
        reasons=reasons,
    )
    all_silent = {clip for part in distributed.collect(silent) for clip in part}
    return Embedding(inputs, kept, tuple(clip for clip in clips.ids if clip in all_silent), failures)


def _hearing(wanted: Sequence[str], asked: Sequence[str], bound: Bound, reasons: dict[str, str]) -> dict[str, Job]:
    """Return what the judges `asked` make of sounds, "audio of <judge>"; `reasons` takes why others hear none."""
    needs = {need for name in wanted for need in definition(name).needs}
    heard = {}
    for judge in asked:
        here = f"features.{judge}" in bound
        listens = f"audio_features.{judge}" in needs and judge in judges.LISTENERS
        if here and (listens or judge in definitions.EARS):
            heard[f"audio of {judge}"] = _sounds(judge, bound[f"features.{judge}"])
        else:
            reasons[f"audio_features.{judge}"] = f"{judge} hears no sounds"
    return heard


def _images(scorer: str, sha256: str) -> Job:
    return Job(
        scorer,
        sha256,
        lambda network, some: network.embed_prepared(some),
        64,
        lambda network, image: network.prepare(image),
    )


def _texts(scorer: str, sha256: str) -> Job:
    return Job(scorer, sha256, lambda network, some: network.embed_texts(some), 64)


def _sounds(scorer: str, sha256: str) -> Job:
    return Job(scorer, sha256, lambda network, some: network.embed_audio(some), 8)


def _failures(job: ScoreJob, drawn: Embedded, true: Embedded, sounds: Embedded) -> dict[str, str]:
    """Why each clip failed of which something could not be read, by its id."""
    owners = [clip for clip, _ in job.images]
    found = {owners[place]: f"its image: {why}" for place, why in drawn.failures.items()}
    for what, part in (("true frame", true), ("sound", sounds)):
        found |= {job.clips.ids[place]: f"its {what}: {why}" for place, why in part.failures.items()}
    return {clip: found[clip] for clip in job.clips.ids if clip in found}


def _rows(job: ScoreJob, drawn: Embedded, kept: Sequence[int]) -> dict[str, np.ndarray]:
    """The rows of the images whose clips are kept, and under "owner" the position of each one's clip in `kept`."""
    place_of = {job.clips.ids[place]: number for number, place in enumerate(kept)}
    owners = [clip for clip, _ in job.images]
    lost = {owners[place] for place in drawn.failures}
    chosen = [row for row, place in enumerate(drawn.read) if owners[place] in place_of and owners[place] not in lost]
    rows = {name: table[chosen] for name, table in drawn.rows.items()}
    return rows | {"owner": np.array([place_of[owners[drawn.read[row]]] for row in chosen], dtype=np.int64)}


def _kept(part: Embedded, kept: Sequence[int]) -> dict[str, np.ndarray]:
    row_of = {place: row for row, place in enumerate(part.read)}
    chosen = [row_of[place] for place in kept]
    return {name: table[chosen] for name, table in part.rows.items()}


def _spread(per_clip: np.ndarray | None, kept: Sequence[int], count: int) -> np.ndarray | None:
    """Scores of the clips that were kept, as scores of all `count` clips: NaN for the others."""
    if per_clip is None:
        return None
    spread = np.full(count, np.nan)
    spread[list(kept)] = per_clip
    return spread


_ROLES = {
    "reference": "image",
    "text": "image",
    "text_prompted": "image",
    "classes": "labels",
    "visible": "labels",
}
"""Inputs of metrics that are made by another role's scorer, or of the clips' labels."""


def used(name: str, bound: Mapping[str, str]) -> Bound:
    """Return the scorers that fill the roles which a metric needs, and the labels if it asks for a clip's own."""
    metric = definitions.get(name)
    keys = [_ROLES.get(one, one) for one in metric.inputs]
    if metric.extractor is not None:
        keys.append(f"features.{metric.extractor}")
    return {key: bound[key] for key in keys if key in bound}


def metric_value(result: MetricResult, scorers: Bound) -> MetricValue:
    """Return a result as it stands in a record."""
    return MetricValue(
        value=result.value,
        reason=result.reason,
        low=result.low,
        high=result.high,
        n=result.n,
        failed=result.failed,
        unit=result.unit,
        direction=result.direction,
        chance=result.chance,
        version=result.version,
        scorers=scorers,
        details=dict(result.details),
    )


def _details(scorers: Bound, device: str) -> dict[str, Any]:
    if f"features.{INCEPTION}" not in scorers:
        return {}
    from metrics.scorers.inception import details

    return details(device)


def _per_clip_table(clips: ClipSet, results: Mapping[str, MetricResult]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {"clip": list(clips.ids), "label": [clip.label for clip in clips]}
    columns |= {name: result.per_clip for name, result in results.items() if result.per_clip is not None}
    return pd.DataFrame(columns)


def chosen_classes(job: ScoreJob, bound: Bound, store: Embeddings) -> dict[tuple[str, int], int]:
    """Return the class that `aic` finds in each image: the position of the label that is nearest to it.

    Arguments as of `nearest_classes`.
    """
    return {key: classes[0] for key, classes in nearest_classes(job, bound, store, 1).items()}


def nearest_classes(job: ScoreJob, bound: Bound, store: Embeddings, k: int) -> dict[tuple[str, int], tuple[int, ...]]:
    """Return the classes that `aic` finds nearest to each image, the nearest first, as positions of labels.

    Args:
        job: What was scored; the same images in the same order find their embeddings in the cache.
        bound: The scorers, as from `bind`.
        store: Where the embeddings come from.
        k: Number of classes of an image, at most that of the labels.
    """
    roles = job.suite.scorers
    seen = store.of(
        "pictures", list(job.images.values()), load_image, pixel_digest, {"image": _images(roles.image, bound["image"])}
    )
    if not seen.read:
        return {}
    text = _texts(roles.image, bound["image"])
    texts = store.of("texts", list(job.clips.labels), str, str, {"text": text}).rows["text"]
    keys = list(job.images)
    nearest = content.top(seen.rows["image"], texts, k).tolist()
    return {keys[place]: tuple(classes) for place, classes in zip(seen.read, nearest, strict=True)}
