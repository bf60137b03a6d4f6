"""Named metrics: what each one means, its direction, unit, bounds, chance level and inputs.

Names are `ais`, `iis` and their variants (`ais` is `ais.winrate`), the `aic` family with `aic.r@k` for any k, and the
set metrics with the name of an extractor at the end (`fd.clip`, `kid.dino`, `precision.clip`). Without one they use
Inception-v3, and the Fréchet distance of Inception-v3 features is called `fid`.

A judge is an extractor that a suite does not score with. `<metric>@<judge>` is a metric of the first three families as
the judge sees it: `iis.winrate.sameclass@effnetlite0`, `aic@dinov2`. A judge that hears and sees nothing (`EARS`) has
one metric, `aic.audio@clap`: the suite's scorer names the image, the judge names the sound.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

INCEPTION = "inception"
"""Name of the extractor of `fid`, and of every set metric without an extractor in its name."""

EARS = ("clap",)
"""Judges that hear sounds and read texts, and see no images."""

Family = Literal[
    "ais",
    "iis",
    "aic",
    "fd",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "novelty",
    "vendi",
    "spread",
    "between",
    "voice",
    "hears",
    "human",
]
Direction = Literal["up", "down"]
Bounds = tuple[float | None, float | None]

PERCENT: Bounds = (0.0, 100.0)

_BY_EXTRACTOR = {
    "image_audio_space": "image_features",
    "image": "image_features",
    "reference": "reference_features",
    "audio": "audio_features",
    "text": "class_means",
    "training": "training_features",
}
"""The inputs of the suite's own scorers, and the fields that hold the same of a named extractor."""


@dataclass(frozen=True, kw_only=True)
class MetricDefinition:
    """Definition of a metric.

    Args:
        id: Name by which it is requested and stored.
        title: Heading for people.
        definition: What is computed for an image or a set of images, in one line.
        family: Computation that it belongs to.
        variant: Member of the family: "winrate.sameclass", "prompted", "r@5"; empty for the plain one.
        direction: Which way is better.
        unit: Unit of the value; "%" for rates.
        bounds: Smallest and largest possible value; None where unbounded.
        inputs: Fields of `MetricInputs` that it is computed from.
        source: Paper, or repository and commit, that is followed.
        extractor: For set metrics and those of a judge, the entry of `image_features` and its kin to use.
        k: For `aic.r@k`, how many of the nearest labels count.
        same_as: Id of the metric that it is another name for; both are computed once.
        chance: Value that guessing gets: a number, a function of the number of classes, or None where it is not known.
        version: Raised with any change that can move a value. Tables compare only equal versions.
        warns: Whether it warns of low values only: a higher one is no better, and none is the best of a table.
    """

    id: str
    title: str
    definition: str
    family: Family
    variant: str = ""
    direction: Direction
    unit: str
    bounds: Bounds
    inputs: tuple[str, ...]
    source: str
    extractor: str | None = None
    k: int | None = None
    same_as: str | None = None
    chance: float | Callable[[int], float] | None = None
    version: int = 1
    warns: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Full names of the inputs: `image_features.clip` is the entry "clip" of the field `image_features`."""
        named = (*_BY_EXTRACTOR.values(), "audio_labels") if self.extractor else ()
        return tuple(f"{name}.{self.extractor}" if name in named else name for name in self.inputs)

    @property
    def is_distance(self) -> bool:
        """Whether it is a distance between the set of generated images and the set of true frames."""
        return self.family in ("fd", "kid")

    def chance_level(self, classes: int | None) -> float | None:
        """Return the value that guessing gets with `classes` classes; None where it is not known."""
        if not callable(self.chance):
            return self.chance
        return self.chance(classes) if classes else None


def definitions() -> list[MetricDefinition]:
    """Return all definitions in table order; open-ended names keep their parameter (`aic.r@k`, `fd.<extractor>`)."""
    return list(_CATALOGUE.values())


def get(metric: str) -> MetricDefinition:
    """Return the definition of a metric id.

    Raises:
        ValueError: The id is unknown; the message lists the nearest names.

    Example:
        >>> get("aic.r@5").chance_level(50)
        10.0
    """
    if metric in _CATALOGUE and "<" not in metric and metric != "aic.r@k":
        return _CATALOGUE[metric]
    if match := re.fullmatch(r"aic\.r@([1-9]\d*)", metric):
        return _top_k(match[1])
    if match := re.fullmatch(r"hears\.([A-Za-z][\w-]*)(?:@([A-Za-z][\w.-]*))?", metric):
        return _heard(match[1], match[2])
    name, _, judge = metric.rpartition("@")
    if name and re.fullmatch(r"[A-Za-z][\w.-]*", judge):
        return _by_ear(get(name), judge) if judge in EARS else _by_judge(get(name), judge)
    name, _, extractor = metric.partition(".")
    if name in _SET_METRICS and extractor not in EARS and re.fullmatch(r"[A-Za-z0-9][\w.-]*", extractor):
        return _set_metric(_SET_METRICS[name], extractor)
    near = difflib.get_close_matches(metric, _CATALOGUE, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(f"unknown metric {metric!r}: {hint}(known: {', '.join(_CATALOGUE)})")


HERE = "this project"
SONIC = "BurakCanBiner/SonicDiffusion@36be618 evaluation.py"
COURSE = "Seagle27/GenAIProject@1c42101 evaluation.py"


def _similarity_metrics(
    family: Literal["ais", "iis"], title: str, other: str, inputs: tuple[str, str]
) -> list[MetricDefinition]:
    """Return the win rates and cosines between each image and its clip's `other` ("audio" or "true frame")."""
    share = f"share of {{}} whose {other} is less similar to the image than its own, ties half"
    macs = f"alxzzhou/MACS@433b1ad evaluation/{family}.py"
    figurative = f"AlfredoBaione/Music_to_figurative_art@11583d7 {family.upper()}_complete.py"
    winrate = MetricDefinition(
        id=f"{family}.winrate",
        title=f"{title}, win rate",
        definition=share.format("the other clips"),
        family=family,
        variant="winrate",
        direction="up",
        unit="%",
        bounds=PERCENT,
        inputs=inputs,
        source=f"{HERE}: own clip excluded, ties half",
        chance=50.0,
    )
    with_classes = (*inputs, "classes")
    return [
        replace(winrate, id=family, title=title, same_as=winrate.id),
        winrate,
        replace(
            winrate,
            id=f"{family}.winrate.inclusive",
            title=f"{title}, strict win rate",
            definition=f"share of all clips, the own one included, whose {other} is strictly less similar to the image "
            "than its own",
            variant="winrate.inclusive",
            source=SONIC,
        ),
        replace(
            winrate,
            id=f"{family}.winrate.crossclass",
            title=f"{title}, win rate against other classes",
            definition=share.format("the clips of other classes"),
            variant="winrate.crossclass",
            inputs=with_classes,
            source=COURSE,
        ),
        replace(
            winrate,
            id=f"{family}.winrate.sameclass",
            title=f"{title}, win rate within the class",
            definition=share.format("the other clips of the same class"),
            variant="winrate.sameclass",
            inputs=with_classes,
            source=HERE,
        ),
        replace(
            winrate,
            id=f"{family}.cosine",
            title=f"{title}, cosine",
            definition=f"cosine between the image and its {other}",
            variant="cosine",
            unit="cosine",
            bounds=(-1.0, 1.0),
            source=macs,
            chance=None,
        ),
        replace(
            winrate,
            id=f"{family}.z",
            title=f"{title}, z-score",
            definition=f"the pair's cosine in standard deviations among the other clips' images with the same {other}",
            variant="z",
            unit="z",
            bounds=(None, None),
            source=macs,
            chance=0.0,
        ),
        replace(
            winrate,
            id=f"{family}.arccos",
            title=f"{title}, arccos",
            definition=f"the pair's cosine minus the mean cosine with the other clips' {other}, through arccos",
            variant="arccos",
            unit="score",
            source=figurative,
        ),
    ]


def _one_in(classes: int) -> float:
    return 100.0 / classes


def _content_metrics() -> list[MetricDefinition]:
    aic = MetricDefinition(
        id="aic",
        title="Audio-image content",
        definition="the bare label nearest to the generated image is the clip's",
        family="aic",
        direction="up",
        unit="%",
        bounds=PERCENT,
        inputs=("image", "text", "classes"),
        source=SONIC,
        k=1,
        chance=_one_in,
    )
    return [
        aic,
        replace(
            aic,
            id="aic.prompted",
            title="Audio-image content, prompted labels",
            definition="the nearest 'a photo of {label}' is the clip's",
            variant="prompted",
            inputs=("image", "text_prompted", "classes"),
            source=COURSE,
        ),
        _top_k("k"),
        replace(
            aic,
            id="aic.visible",
            title="Content visible in the clip",
            definition="the nearest bare label is one that annotators saw",
            variant="visible",
            inputs=("image", "text", "visible"),
            source="Bizilizi/VGGSounder",
            chance=None,
        ),
        replace(
            aic,
            id="aic.audio",
            title="Content heard in the clip",
            definition="the nearest bare label is the audio classifier's top label",
            variant="audio",
            inputs=("image", "text", "audio_label"),
            source=HERE,
        ),
    ]


def _top_k(k: str) -> MetricDefinition:
    return MetricDefinition(
        id=f"aic.r@{k}",
        title=f"Content recall at {k}",
        definition=f"the clip's label is among the {k} bare labels nearest to the generated image",
        family="aic",
        variant=f"r@{k}",
        direction="up",
        unit="%",
        bounds=PERCENT,
        inputs=("image", "text", "classes"),
        source=f"{COURSE} (there prompted labels)",
        k=int(k) if k.isdigit() else None,
        chance=(lambda classes: 100.0 * int(k) / classes) if k.isdigit() else None,
    )


_FEATURES = ("image_features", "reference_features")
_SET_METRICS: dict[str, MetricDefinition] = {
    one.id: one
    for one in (
        MetricDefinition(
            id="fd",
            title="Fréchet distance",
            definition="Fréchet distance between Gaussians fitted to generated and true images' features",
            family="fd",
            direction="down",
            unit="distance",
            bounds=(0.0, None),
            inputs=_FEATURES,
            source="1706.08500",
        ),
        MetricDefinition(
            id="kid",
            title="Kernel distance",
            definition="unbiased squared MMD of generated and true images' features, cubic polynomial kernel",
            family="kid",
            direction="down",
            unit="distance",
            bounds=(None, None),
            inputs=_FEATURES,
            source="1801.01401",
        ),
        MetricDefinition(
            id="precision",
            title="Precision",
            definition="share of generated images inside a true image's 5-nearest-neighbour ball",
            family="precision",
            direction="up",
            unit="%",
            bounds=PERCENT,
            inputs=_FEATURES,
            source="1904.06991",
        ),
        MetricDefinition(
            id="recall",
            title="Recall",
            definition="share of true images inside a generated image's 5-nearest-neighbour ball",
            family="recall",
            direction="up",
            unit="%",
            bounds=PERCENT,
            inputs=_FEATURES,
            source="1904.06991",
        ),
        MetricDefinition(
            id="density",
            title="Density",
            definition="mean number of true images' 5-nearest-neighbour balls that hold a generated image, over 5",
            family="density",
            direction="up",
            unit="ratio",
            bounds=(0.0, None),
            inputs=_FEATURES,
            source="2002.09797",
        ),
        MetricDefinition(
            id="coverage",
            title="Coverage",
            definition="share of true images whose 5-nearest-neighbour ball holds a generated image",
            family="coverage",
            direction="up",
            unit="%",
            bounds=PERCENT,
            inputs=_FEATURES,
            source="2002.09797",
        ),
        MetricDefinition(
            id="novelty",
            title="Novelty",
            definition="share of true frames that lie nearer to a training frame than the image does, ties half; 50 "
            "for true frames, 0 for copies of training frames",
            family="novelty",
            direction="up",
            unit="%",
            bounds=PERCENT,
            inputs=(*_FEATURES, "training_features"),
            source="2004.05675, without its cells",
            warns=True,
        ),
        MetricDefinition(
            id="vendi",
            title="Vendi score within a clip",
            definition="effective number of different images among those of one clip, from 1 to their number; needs "
            "several images a clip",
            family="vendi",
            direction="up",
            unit="images",
            bounds=(1.0, None),
            inputs=("image_features",),
            source="2210.02410",
            warns=True,
        ),
        MetricDefinition(
            id="spread",
            title="Spread within a clip",
            definition="mean of 1 - cosine over the pairs of one clip's images; needs several images a clip",
            family="spread",
            direction="up",
            unit="distance",
            bounds=(0.0, 2.0),
            inputs=("image_features",),
            source=HERE,
            warns=True,
        ),
        MetricDefinition(
            id="between",
            title="Spread between clips of a class",
            definition="mean of 1 - cosine between an image and those of the other clips of its class",
            family="between",
            direction="up",
            unit="distance",
            bounds=(0.0, 2.0),
            inputs=("image_features", "classes"),
            source=HERE,
            warns=True,
        ),
    )
}
"""Set metrics before an extractor is chosen."""


def _set_metric(base: MetricDefinition, extractor: str | None = None) -> MetricDefinition:
    """Return `base` with the features of `extractor` and its name, or of Inception-v3 under the plain name."""
    features = extractor or INCEPTION
    return replace(
        base,
        id=f"{base.id}.{extractor}" if extractor else base.id,
        title=f"{base.title} ({'Inception-v3' if features == INCEPTION else features})",
        extractor=features,
        same_as=None if extractor else f"{base.id}.{INCEPTION}",
    )


def _by_judge(own: MetricDefinition, judge: str) -> MetricDefinition:
    """Return the metric `own` with the features of a judge in the place of the suite's scorers.

    The judge reads no labels: the mean of its features of each class's true frames stands for the label.

    Raises:
        ValueError: The metric is of no family that a judge can be asked about.
    """
    if own.family not in ("ais", "iis", "aic") or "text_prompted" in own.inputs or own.extractor is not None:
        raise ValueError(
            f"unknown metric {own.id + '@' + judge!r}: a judge has ais, iis, aic and their kin, and fd.{judge}"
        )
    return replace(
        own,
        id=f"{own.id}@{judge}",
        title=f"{own.title} ({judge})",
        definition=f"{own.definition.replace('bare label', 'class mean')}, as {judge} sees it",
        inputs=tuple(_BY_EXTRACTOR.get(name, name) for name in own.inputs),
        source=f"{HERE}: formula of {own.source}",
        extractor=judge,
        same_as=own.same_as and f"{own.same_as}@{judge}",
    )


def _by_ear(own: MetricDefinition, judge: str) -> MetricDefinition:
    """Return `aic.audio` with the label that a judge hears in the place of the audio classifier's.

    Raises:
        ValueError: The metric is another one, which needs eyes.
    """
    if own.id != "aic.audio":
        raise ValueError(f"unknown metric {own.id + '@' + judge!r}: {judge} sees no images; it has aic.audio@{judge}")
    return replace(
        own,
        id=f"{own.id}@{judge}",
        title=f"{own.title} ({judge})",
        definition=f"the nearest bare label is the one that {judge} finds nearest to the sound",
        inputs=("image", "text", "audio_labels"),
        extractor=judge,
    )


def _voice_metrics() -> list[MetricDefinition]:
    """Return what a probe of true frames reads off the images of speech."""
    identity = MetricDefinition(
        id="voice.identity",
        title="Voice to face, identity",
        definition="share of images of known speakers that show the speaker, as a probe of true frames sees it",
        family="voice",
        variant="identity",
        direction="up",
        unit="%",
        bounds=PERCENT,
        inputs=("image", "probes.voice.identity"),
        source=f"{HERE}: metrics/probe.py",
        chance=12.5,
    )
    return [
        identity,
        replace(
            identity,
            id="voice.cue",
            title="Voice to face, cue",
            definition="share of images of unknown speakers that show a man, woman or child as heard, by such a probe",
            variant="cue",
            inputs=("image", "probes.voice.cue"),
            chance=100 / 3,
        ),
    ]


READER = "effnetlite0"
"""Name of the extractor whose features `hears.*` reads attributes off, unless another one is named."""


def _heard(attribute: str, judge: str | None = None) -> MetricDefinition:
    """Return what a probe of true frames reads off the images of an attribute that can be heard."""
    name = f"hears.{attribute}@{judge}" if judge else f"hears.{attribute}"
    return MetricDefinition(
        id=name,
        title=f"Hears {attribute}" + (f" ({judge})" if judge else ""),
        definition=f"share of images that show the {attribute} of their clip, as a probe of true frames sees it",
        family="hears",
        variant=attribute,
        direction="up",
        unit="%",
        bounds=PERCENT,
        inputs=("image_features", f"probes.{name}"),
        source=f"{HERE}: metrics/probe.py, after the atoms of 2310.11513",
        extractor=judge or READER,
    )


def _catalogue() -> list[MetricDefinition]:
    frechet, *others = _SET_METRICS.values()
    heard = _similarity_metrics("ais", "Audio-image similarity", "audio", ("image_audio_space", "audio"))
    seen = _similarity_metrics("iis", "Image-image similarity", "true frame", ("image", "reference"))
    content = _content_metrics()
    return [
        *heard,
        *seen,
        *content,
        replace(_set_metric(frechet), id="fid", title="Fréchet inception distance"),
        _set_metric(frechet, "<extractor>"),
        *(_set_metric(one) for one in others),
        *(_set_metric(one, "<extractor>") for one in others),
        *_voice_metrics(),
        *(_by_judge(one, "<judge>") for one in (heard[0], seen[0], content[0])),
        _heard("<attribute>"),
        MetricDefinition(
            id="human",
            title="Mean opinion score",
            definition="mean rating of the clip's images by people, 1 to 5",
            family="human",
            direction="up",
            unit="points",
            bounds=(1.0, 5.0),
            inputs=("ratings",),
            source="2305.13050",
        ),
    ]


_CATALOGUE: dict[str, MetricDefinition] = {one.id: one for one in _catalogue()}
