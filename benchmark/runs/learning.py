"""What scoring learns from true frames of clips that are not scored: how classes look, and how to read an attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.media.images import pixel_digest, resize
from benchmark.registries import DATASETS
from benchmark.suite import ProbeSpec
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import BenchError
from metrics.definitions import get
from metrics.probe import Probe
from metrics.similarity import unit

if TYPE_CHECKING:
    from benchmark.clips import Clip, ClipSet
    from benchmark.dataset import DataSet
    from benchmark.runs.embeddings import Embedded, Embeddings, Job
    from benchmark.runs.score_job import ScoreJob
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

Eyes = Mapping[str | None, "Job"]
"""Who looks at frames, by the name of the extractor; None is the suite's own scorer of images."""

FRAMES_OF_A_CLASS = 50
"""Training frames that show a judge a class, where there are no validation clips."""

STEPS = 3
"""Classes into which a number is cut, each with the same share of the training clips."""


def suite_train(base: Suite, ui: UI) -> ClipSet:
    """Return the training clips of a suite itself, from whose frames probes learn."""
    return DATASETS.get(base.data.source).clips(base, "train", cache_dir(), ui)


def known_clips(data: DataSet, suite: Suite, ui: UI) -> ClipSet | None:
    """Return clips beside the scored ones, whose frames show a judge the classes; None where there are none.

    They are the validation clips or, where there are none, the first training clips of each class.

    Args:
        data: The data set of the scored clips.
        suite: Their suite.
        ui: Progress.
    """
    if suite.data.validation:
        return data.clips(suite, "validation", cache_dir(), ui)
    if not suite.data.train:
        return None
    train = data.clips(suite, "train", cache_dir(), ui)
    return train.limit(FRAMES_OF_A_CLASS * len(train.labels))


def learnt_clips(data: DataSet, suite: Suite, base: Suite, ui: UI) -> ClipSet:
    """Return the clips that methods are fitted on: a manifest's own or, where it has none, those of its base suite.

    Args:
        data: The data set of the scored clips.
        suite: Their suite.
        base: The suite that it is derived from, or itself.
        ui: Progress.
    """
    return data.clips(suite, "train", cache_dir(), ui) if suite.data.train else suite_train(base, ui)


def training_features(
    job: ScoreJob, wanted: Sequence[str], store: Embeddings, eyes: Eyes
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the features of the training frames, (frames, width) by extractor, and why others are missing."""
    asked = {name for metric in wanted if "training_features" in get(metric).inputs and (name := get(metric).extractor)}
    seen = {name: eyes[name] for name in sorted(asked) if name in eyes}
    if not seen:
        return {}, {}
    why = "no training frames are known"
    try:
        known = job.learnt()
    except BenchError as error:
        known, why = None, f"the training frames are not there: {' '.join(str(error).split())}"
    frames = [clip for clip in known or () if clip.image is not None]
    found = _embedded("training frames", frames, job, store, seen) if frames else None
    if found is None or not found.read:
        return {}, dict.fromkeys(map("training_features.{}".format, seen), why)
    return dict(found.rows), {}


def class_means(
    job: ScoreJob, wanted: Sequence[str], store: Embeddings, eyes: Eyes
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the mean features of each class's frames, (classes, width) by extractor, and why others are missing.

    Features are scaled to unit length first, so that every frame counts alike.
    """
    asked = {name for metric in wanted if "class_means" in get(metric).inputs and (name := get(metric).extractor)}
    seen = {name: eyes[name] for name in sorted(asked) if name in eyes}
    if not seen:
        return {}, {}
    known = job.known()
    if known is None:
        return {}, dict.fromkeys(map("class_means.{}".format, seen), "no clips are known but those that are scored")
    frames = [clip for clip in known if clip.label in job.clips.labels]
    found = _embedded("frames of known clips", frames, job, store, {str(name): eye for name, eye in seen.items()})
    labels = np.array([job.clips.labels.index(frames[place].label) for place in found.read], dtype=np.int64)
    unseen = sorted({*range(len(job.clips.labels))} - {*labels.tolist()})
    if unseen:
        why = f"no frame of {job.clips.labels[unseen[0]]!r} is known but those that are scored"
        return {}, dict.fromkeys(map("class_means.{}".format, seen), why)
    classes = range(len(job.clips.labels))
    rows = {name: unit(table, name) for name, table in found.rows.items()}
    return {name: np.stack([table[labels == one].mean(axis=0) for one in classes]) for name, table in rows.items()}, {}


def probes(
    job: ScoreJob, wanted: Sequence[str], kept: Sequence[int], store: Embeddings, eyes: Eyes
) -> tuple[dict[str, Probe], dict[str, str]]:
    """Return the probes of the metrics `wanted`, by metric id, and why others are missing.

    They learn from frames of the training clips, which each extractor embeds once.
    """
    voices = [name for name in wanted if get(name).family == "voice"]
    reasons = dict.fromkeys(map("probes.{}".format, voices), "no clip is known to be of a voice")
    questions = {name: spec for name in wanted if (spec := _question(job.suite, name))}
    asked = {
        name: spec
        for name, spec in questions.items()
        if get(name).extractor in eyes and any(spec.answer(clip.attributes) for clip in job.clips)
    }
    silent = [name for name in questions if name not in asked and name not in voices]
    reasons |= {f"probes.{name}": _why_not(questions[name], job) for name in silent}
    if not asked or job.train is None:
        return {}, reasons
    train = job.train()
    made = {}
    for extractor in dict.fromkeys(get(name).extractor for name in asked):
        own = {name: spec for name, spec in asked.items() if get(name).extractor == extractor}
        frames = [clip for clip in train if any(one.answer(clip.attributes) for one in own.values())]
        found = _embedded("frames of training clips", frames, job, store, {"image": eyes[extractor]})
        learnt = [frames[place] for place in found.read]
        for name, spec in own.items():
            if not any(spec.answer(clip.attributes) for clip in learnt):
                reasons[f"probes.{name}"] = f"no training clip says its {spec.attribute}"
                continue
            probe = _probe(spec, learnt, found.rows["image"], [job.clips[place] for place in kept])
            made[name] = probe if get(name).family == "hears" else replace(probe, guess=None)
    return made, reasons


def _question(suite: Suite, metric: str) -> ProbeSpec | None:
    """The question of a metric: the suite's own, or what the clips say of an attribute; None if it asks no probe."""
    if (suite.probes or {}).get(metric):
        return (suite.probes or {})[metric]
    known = get(metric)
    return ProbeSpec(attribute=known.variant) if known.family == "hears" else None


def _why_not(spec: ProbeSpec, job: ScoreJob) -> str:
    known = sorted({name for clip in job.clips for name in clip.attributes})
    return f"no clip says its {spec.attribute}; attributes of these clips: {', '.join(known) or 'none'}"


def _probe(spec: ProbeSpec, learnt: Sequence[Clip], rows: np.ndarray, test: Sequence[Clip]) -> Probe:
    """The probe of a question, from the training clips `learnt` with features `rows` (clips, width)."""
    limits = _limits([clip.attributes.get(spec.attribute) for clip in learnt if spec.answer(clip.attributes)])
    answers, right = ([_answer(spec, clip.attributes, limits) for clip in clips] for clips in (learnt, test))
    names = sorted({answer for answer in answers if answer})
    index = {answer: place for place, answer in enumerate(names)}
    given = [row for row, answer in enumerate(answers) if answer]
    shares: dict[str, np.ndarray] = {}
    for row in given:
        count = shares.setdefault(learnt[row].label, np.zeros(len(names)))
        count[index[answers[row] or ""]] += 1
    guess = [
        100 * share[index[answer]] / share.sum()
        if (share := shares.get(clip.label)) is not None and answer in index
        else 100 / len(names)
        for clip, answer in zip(test, right, strict=True)
    ]
    return Probe(
        names=names,
        features=rows[given],
        targets=np.array([index[answers[row] or ""] for row in given], dtype=np.int64),
        wanted=np.array([index.get(answer or "", -1) for answer in right], dtype=np.int64),
        guess=np.array(guess),
    )


def _limits(values: Sequence[Any]) -> np.ndarray | None:
    """Where numbers without a natural step are cut into `STEPS` classes; None for words, and for few numbers."""
    if not all(isinstance(value, float) for value in values) or len(set(values)) <= 2 * STEPS:
        return None
    return np.quantile(np.array(values, dtype=np.float64), np.arange(1, STEPS) / STEPS)


def _answer(spec: ProbeSpec, attributes: Mapping[str, Any], limits: np.ndarray | None) -> str | None:
    answer = spec.answer(attributes)
    if answer is None or limits is None:
        return answer
    return f"step {int(np.searchsorted(limits, attributes[spec.attribute], side='right')) + 1} of {STEPS}"


def _embedded(what: str, clips: Sequence[Clip], job: ScoreJob, store: Embeddings, eyes: Mapping[str, Job]) -> Embedded:
    spec = job.suite.backbone
    return store.of(what, clips, lambda clip: resize(clip.picture(), spec.resolution, spec.resize), pixel_digest, eyes)
