"""A report card for every metric: what it orders rightly, what moves it that should not, and which damage it shows.

    python -m benchmark.studies.report_card
    python -m benchmark.studies.report_card --limit 52 --json
    python -m benchmark.studies.report_card --read results/studies/report-card.json --write docs/metrics.md

The world of `mini` knows the truth, so metrics can be tried on frames of which it is known how right they are. For each
test clip the world draws a frame of the same facts with other nuisances: what a perfect method would draw, the *right*
frame. Beside it stand frames with one thing changed (`benchmark.studies.true_frames`).

**Pairs.** A metric with a score a clip orders a pair rightly if the right frame scores better for its clip; a tie is
half, so a metric that cannot see the difference gets 50. `ais.*` compare with the clip's sound and `iis.*` with its
true frame, which is neither frame of the pair. The other frame differs

- in the class: it is the right frame of a clip of another class, or (`near class`) of a class that is easy to confuse,
- in one audible attribute by one step, drawn with the same nuisances.

`aic.*` look at the class alone: 50 for an attribute is what they are made for. `voice.*` are asked about the clips they
have a score of. Sets have no pairs.

**Nuisance.** The right frame once more, with other nuisances (`again`) or with one thing done to it. The share is that
of the clips whose score moves further than it does when one attribute of the same clip is moved by a step: 0 for a
metric that follows the sound alone, near 100 for one that nuisances move further than what can be heard. Equal moves,
as of a metric of two values, are half.

**Damage.** The right frames of all clips, of which 2 to 100 % are swapped across classes or within the class, drawn
with one attribute at random, replaced by one frame of their class for all, or by the training frame of their class
whose attributes are nearest (`benchmark.studies.damage`). There is the value without damage and with all of it, and the
smallest share that the test clips show to be worse.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.clips import Clip, ClipSet
from benchmark.leaderboard.dots import Dot
from benchmark.media.images import save_png
from benchmark.mini import world
from benchmark.mini.data import WorldClips, clip_id, make_picture, metadata_of
from benchmark.registries import DATASETS
from benchmark.runs import learning, scoring
from benchmark.studies import damage, figures, true_frames
from benchmark.studies.damage import Ladder, Order, Rung
from benchmark.studies.keep import Kept
from benchmark.studies.pages import fill
from benchmark.suite import load_suite
from benchmark.utils.device import arithmetic, find_device
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import BenchError, RunError, UserError, one_line_of
from benchmark.utils.progress import UI, Console, quiet_libraries
from benchmark.utils.terminal import print_line, print_table
from benchmark.weights.locate import resolve
from metrics.compute import MetricInputs, MetricResult, compute
from metrics.definitions import INCEPTION, get
from metrics.similarity import Array
from metrics.statistics import bootstrap_interval, mean, sign_flip_p_values

if TYPE_CHECKING:
    from benchmark.suite import Suite

SUITE = "mini"
PAIRED = ("ais", "iis", "aic", "voice", "hears")
"""Families whose score of a clip says how right its image is."""
EQUAL = 1e-9
"""Scores closer than this are equal."""

RIGHT, AGAIN, GUESSED, COPY, MOVED = "right", "again", "guessed", "copy", "moved "
CLASS, NEAR = "class", "near class"
ATTRIBUTES = ("size", "count", "amount", "colour", "light", "cue", "speaker")
NUISANCES = (AGAIN, *true_frames.CHANGES)
DAMAGES = ("swapped across classes", "swapped within the class", "one attribute guessed", "one image a class", "copies")


@dataclass(frozen=True)
class Share:
    """A share of the clips in percent, with its 95 % interval over clips."""

    metric: str
    kind: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Card:
    """What was found of all metrics."""

    clips: int
    metrics: tuple[str, ...]
    ordered: tuple[Share, ...]
    """Pairs that are ordered rightly, by what the other frame differs in."""
    moved: tuple[Share, ...]
    """Clips that a nuisance moves further than an attribute does."""
    ladders: tuple[Ladder, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why other metrics have no value."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Embeddings of all frames that were drawn."""

    inputs: MetricInputs
    """Of all frames; a clip owns several."""
    rows: Mapping[str, Mapping[int, int]]
    """Kind of frame -> position of the clip -> row of its frame."""

    def given(self, rows: Order) -> MetricInputs:
        """Return the inputs in which the clips own these rows, one each, in order."""
        i = self.inputs
        assert i.image is not None and i.image_audio_space is not None
        return replace(
            i,
            image=np.asarray(i.image)[rows],
            image_audio_space=np.asarray(i.image_audio_space)[rows],
            image_features={name: np.asarray(table)[rows] for name, table in i.image_features.items()},
            owner=np.arange(len(rows)),
        )

    def of(self, kind: str) -> Order:
        """Return the row of each clip's frame of a kind; of its right frame where it has none of the kind."""
        rows = {**self.rows[RIGHT], **self.rows[kind]}
        return np.array([rows[place] for place in range(self.inputs.clips)], dtype=np.intp)


def drawn(index: int, training: Mapping[int, world.Facts]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the frames that are drawn for a test clip, by kind.

    Args:
        index: Number of the test clip.
        training: Facts of the training clips by number.
    """
    facts, rng = world.facts_of("test", index), true_frames.nuisances("test", index, 2)
    right = true_frames.frame("test", index)
    yield RIGHT, right
    yield AGAIN, true_frames.frame("test", index, 1)
    names = true_frames.heard(facts)
    for name in names:
        yield f"{MOVED}{name}", true_frames.frame("test", index, seen=true_frames.moved(facts, name, rng))
    for kind in true_frames.CHANGES:
        if (pixels := true_frames.changed(right, kind, facts.label, rng)) is not None:
            yield kind, pixels
    name = names[index // len(world.SLOTS) % len(names)]
    yield GUESSED, true_frames.frame("test", index, seen=true_frames.guessed(facts, name, rng))
    yield COPY, make_picture("train", true_frames.nearest_training_clip(index, training))


def training_frames(suite: Suite) -> ClipSet:
    """Return the training clips with silence in place of their sounds, which take longer to make than the card."""
    made = WorldClips("train", suite.data.train, cache_dir())
    silence = np.zeros(1, np.float32)
    listed = tuple(
        Clip(clip_id("train", i), silence, made.pictures[i], (made.label(i),), "train", metadata_of("train", i))
        for i in range(suite.data.train)
    )
    return ClipSet("mini train, frames", listed, world.LABELS, f"frames of {suite.data.train}")


def look(suite: Suite, clips: ClipSet, metrics: Sequence[str], device: str, ui: UI) -> Frames:
    """Draw all frames of the clips and embed them with the suite's scorers."""
    numbers = {clip_id("test", number): number for number in range(suite.data.test)}
    training = {number: world.facts_of("train", number) for number in range(suite.data.train)}
    images: dict[tuple[str, int], Path] = {}
    rows: dict[str, dict[int, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        with ui.task("drawing frames", len(clips), "clips") as advance:
            for place, clip in enumerate(clips):
                for number, (kind, pixels) in enumerate(drawn(numbers[clip.id], training)):
                    rows.setdefault(kind, {})[place] = len(images)
                    images[clip.id, number] = Path(folder) / f"{clip.id}-{number}.png"
                    save_png(images[clip.id, number], pixels)
                advance(1)
        train = partial(training_frames, suite)
        known = partial(learning.known_clips, DATASETS.get(suite.data.source), suite, ui)
        job = scoring.ScoreJob(suite, clips, images, device, ui, train=train, known=known, learnt=train)
        bound = scoring.bind(suite, metrics)
        if not any(get(metric).extractor == INCEPTION for metric in metrics):
            bound.pop(f"features.{INCEPTION}", None)
        found = scoring.embed(job, metrics, bound)
    if found.failures:
        raise RunError(f"not all frames could be embedded: {next(iter(found.failures.values()))}")
    return Frames(found.inputs, rows)


def make(suite: Suite, clips: ClipSet, metrics: Sequence[str], device: str, ui: UI) -> Card:
    """Return the report card of the metrics, from test clips of the suite `mini`.

    Args:
        suite: The suite, whose scorers look at the frames.
        clips: Some of its test clips.
        metrics: Ids.
        device: Device to embed on.
        ui: Progress.
    """
    frames = look(suite, clips, metrics, device, ui)
    base = compute(metrics, frames.given(frames.of(RIGHT)), resamples=0)
    known = [metric for metric in metrics if base[metric].value is not None]
    asked = [metric for metric in known if get(metric).family in PAIRED]
    with ui.task("pairs", 0, "kinds") as advance:
        others = {kind: _scores(asked, frames.given(rows), there) for kind, rows, there in _others(frames, clips)}
        advance(len(others))
    right = {metric: np.asarray(base[metric].per_clip) for metric in asked}
    return Card(
        clips=len(clips),
        metrics=tuple(known),
        ordered=tuple(_ordered(right, others)),
        moved=tuple(_moved(right, others)),
        ladders=tuple(_ladders(frames, known, base, ui)),
        missing={metric: base[metric].reason or "no reason given" for metric in metrics if metric not in known},
    )


def _others(frames: Frames, clips: ClipSet) -> Iterator[tuple[str, Order, list[int]]]:
    """Yield what stands beside the right frames: its kind, each clip's row, and the clips that it is about.

    Other clips keep their right frames, so that a score that depends on all images compares.
    """
    classes, right = clips.classes, frames.of(RIGHT)
    rng = np.random.default_rng(true_frames.SEED)
    far = damage.swapped(classes, damage.in_turn(classes, rng), within=False)
    near = _confusable(clips, rng)
    for kind, source in ((CLASS, {i: int(j) for i, j in enumerate(far) if classes[i] != classes[j]}), (NEAR, near)):
        if source:
            yield kind, right[[source.get(place, place) for place in range(len(clips))]], list(source)
    for kind in frames.rows:
        if kind not in (RIGHT, GUESSED, COPY):
            yield kind, frames.of(kind), list(frames.rows[kind])


def _confusable(clips: Sequence[Clip] | ClipSet, rng: np.random.Generator) -> dict[int, int]:
    """Return, for each clip of a class that is easy to confuse, a clip of another class of its group."""
    found = {}
    for group in world.GROUPS.values():
        members = [place for place, clip in enumerate(clips) if clip.label in group]
        for place in members:
            others = [one for one in members if clips[one].label != clips[place].label]
            if others:
                found[place] = others[int(rng.integers(len(others)))]
    return found


def _scores(metrics: Sequence[str], inputs: MetricInputs, there: Sequence[int]) -> dict[str, Array]:
    """Return the score of each clip by metric; NaN for a clip that has none, or is not one of those `there`."""
    found = compute(metrics, inputs, resamples=0)
    about = np.isin(np.arange(inputs.clips), there)
    none = np.full(inputs.clips, np.nan)
    return {
        metric: none if (scores := found[metric].per_clip) is None else np.where(about, scores, np.nan)
        for metric in metrics
    }


def _ordered(right: Mapping[str, Array], others: Mapping[str, Mapping[str, Array]]) -> Iterator[Share]:
    for metric, ours in right.items():
        sign = 1.0 if get(metric).direction == "up" else -1.0
        for kind, scores in others.items():
            if kind in (CLASS, NEAR) or kind.startswith(MOVED):
                lead = sign * (ours - scores[metric])
                won = np.where(np.abs(lead) <= EQUAL, 50.0, np.where(lead > 0, 100.0, 0.0))
                yield from _share(metric, kind.removeprefix(MOVED), np.where(np.isnan(lead), np.nan, won))


def _moved(right: Mapping[str, Array], others: Mapping[str, Mapping[str, Array]]) -> Iterator[Share]:
    attributes = [kind for kind in others if kind.startswith(MOVED)]
    for metric, ours in right.items():
        steps = np.stack([np.abs(others[kind][metric] - ours) for kind in attributes])
        for kind in others:
            if kind in NUISANCES:
                shift = np.abs(others[kind][metric] - ours)
                # A step and a nuisance that move a score equally, as they do of a metric of two values, are one half.
                further = (shift > steps + EQUAL) + 0.5 * ((np.abs(shift - steps) <= EQUAL) & (shift > EQUAL))
                known = ~np.isnan(shift) & ~np.isnan(steps)
                count = known.sum(axis=0)
                mean_of = (further * known).sum(axis=0) / np.maximum(count, 1)
                yield from _share(metric, kind, np.where(count > 0, 100.0 * mean_of, np.nan))


def _share(metric: str, kind: str, scores: Array) -> Iterator[Share]:
    if count := int(np.count_nonzero(~np.isnan(scores))):
        low, high = bootstrap_interval(scores) or (None, None)
        yield Share(metric, kind, mean(scores), low, high, count)


def _ladders(frames: Frames, known: Sequence[str], base: Mapping[str, MetricResult], ui: UI) -> Iterator[Ladder]:
    counts = damage.steps(frames.inputs.clips)
    with ui.task("damage", len(DAMAGES) * len(counts), "rungs") as advance:
        for name in DAMAGES:
            rungs = []
            for images in _damaged(frames, name, counts):
                rungs.append((images, compute(known, frames.given(images), resamples=0)))
                advance(1)
            shares = [count / frames.inputs.clips for count in counts]
            for metric in known if rungs else ():
                values = [base[metric].value, *(found[metric].value for _, found in rungs)]
                if all(value is not None for value in values):
                    p_values = _p_values(metric, frames, base[metric], rungs)
                    yield damage.ladder(name, metric, shares, [float(one or 0.0) for one in values], p_values)


def _damaged(frames: Frames, name: str, counts: Sequence[int]) -> list[Order]:
    """Return the row of each clip's image on each rung; none where the damage needs a class with two clips."""
    classes, right = np.asarray(frames.inputs.classes), frames.of(RIGHT)
    within = name == "swapped within the class"
    rng = np.random.default_rng(true_frames.SEED)
    order = damage.in_turn(classes, rng, together=2 if within else 1)
    if (within or name == "one image a class") and np.unique(classes, return_counts=True)[1].max() < 2:
        return []
    if name.startswith("swapped"):
        return [right[damage.swapped(classes, order[:count], within)] for count in counts]
    if name == "one image a class":
        replacement = right[[int(np.flatnonzero(classes == one)[0]) for one in classes]]
    else:
        replacement = frames.of(GUESSED if name == "one attribute guessed" else COPY)
    return [damage.replaced(order[:count], right, replacement) for count in counts]


def _p_values(
    metric: str, frames: Frames, base: MetricResult, rungs: Sequence[tuple[Order, Mapping[str, MetricResult]]]
) -> list[float]:
    """Return the p value of each rung's difference from no damage."""
    if base.per_clip is not None:
        differences = np.stack([np.asarray(found[metric].per_clip) - base.per_clip for _, found in rungs], axis=1)
        return [float(p) for p in sign_flip_p_values(differences)]
    right, done = frames.of(RIGHT), dict[bytes, float]()

    def distance(images: Order, half: Order) -> float:
        key = images[half].tobytes()
        if key not in done:
            given = frames.given(images[half])
            references = {name: np.asarray(table)[half] for name, table in given.reference_features.items()}
            features = MetricInputs(image_features=given.image_features, reference_features=references)
            done[key] = float(compute([metric], features, resamples=0)[metric].value or 0.0)
        return done[key]

    found = []
    for images, results in rungs:
        whole = float(results[metric].value or 0.0) - float(base.value or 0.0)

        def difference(half: Order, images: Order = images) -> float:
            return distance(images, half) - distance(right, half)

        found.append(damage.p_of_halves(difference, len(right), whole))
    return found


def tables(card: Card) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Return the tables of a card by title: header and rows."""
    found = {
        "Pairs that are ordered rightly, %, with the 95 % interval over clips; 50 is blind": _shares(
            card.ordered, (CLASS, NEAR, *ATTRIBUTES)
        ),
        "Clips that a nuisance moves further than a step of an attribute does, %": _shares(card.moved, NUISANCES),
    }
    by = {(one.metric, one.damage): one for one in card.ladders}
    damages = [name for name in DAMAGES if any(one.damage == name for one in card.ladders)]
    rows = [
        [metric, *(_climbed(by[metric, name]) if (metric, name) in by else "–" for name in damages)]
        for metric in card.metrics
    ]
    found["Value without damage and with all of it, and the smallest damage that the clips show"] = (
        ["metric", *damages],
        rows,
    )
    return found


def _shares(shares: Sequence[Share], kinds: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    by = {(one.metric, one.kind): one for one in shares}
    kinds = [kind for kind in kinds if any(one.kind == kind for one in shares)]

    def cell(one: Share | None) -> str:
        if one is None:
            return "–"
        return f"{one.value:.0f}" + ("" if one.low is None else f" [{one.low:.0f}, {one.high:.0f}]")

    metrics = dict.fromkeys(one.metric for one in shares)
    return ["metric", *kinds], [[name, *(cell(by.get((name, kind))) for kind in kinds)] for name in metrics]


def _climbed(one: Ladder) -> str:
    if one.blind:
        return "blind"
    digits = 1 if get(one.metric).unit == "%" else 3
    values = f"{one.undamaged:.{digits}f} → {one.rungs[-1].value:.{digits}f}"
    if one.rewarded:
        return f"{values}, rewarded"
    if one.smallest is None:
        return f"{values}, not shown"
    return f"{values}, from {100 * one.smallest:.0f} %" + ("" if one.monotone else ", not monotone")


def markdown(card: Card) -> str:
    """Return the card as Markdown."""
    lines = [f"{card.clips} test clips of `{SUITE}`."]
    for title, (header, rows) in tables(card).items():
        lines += ["", f"**{title}**", "", f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
        # Names are plain: a row that begins with a name in backticks is where a report looks for its explanation.
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def panels(card: Card) -> dict[str, list[Dot]]:
    """Return the dots of a figure of the pairs that are ordered rightly: a panel for what they differ in."""
    return {
        kind: dots
        for kind in (CLASS, NEAR, *ATTRIBUTES)
        if (dots := [Dot(one.metric, one.value, one.low, one.high) for one in card.ordered if one.kind == kind])
    }


def asked_of(suite: Suite) -> list[str]:
    """Return the metrics that are examined unless others are named: the suite's, but for people's and Inception's."""
    own = [name for name in suite.metrics if get(name).family != "human" and get(name).extractor != INCEPTION]
    return list(dict.fromkeys([*own, "novelty.clip"]))


def _json(card: Card) -> str:
    ladders = [
        asdict(one) | {"blind": one.blind, "monotone": one.monotone, "smallest": one.smallest, "rewarded": one.rewarded}
        for one in card.ladders
    ]
    return json.dumps(asdict(card) | {"ladders": ladders}, indent=2)


def _made(given: argparse.Namespace, ui: UI) -> Card:
    quiet_libraries()
    suite = resolve(load_suite(SUITE))
    metrics = given.metric or asked_of(suite)
    scoring.check_judges(suite, metrics)
    clips = DATASETS.get(suite.data.source).clips(suite, "test", cache_dir(), ui)
    clips = clips if given.limit is None else clips.limit(given.limit)
    with arithmetic(suite.threads):
        return make(suite, clips, metrics, find_device(given.device), ui)


def read(path: Path) -> Card:
    """Return the card that `benchmark.studies.keep` has kept.

    Raises:
        UserError: The file cannot be read, or holds no card.
    """
    try:
        given = Kept.model_validate_json(path.read_text(encoding="utf-8")).figures
        shares = {name: tuple(Share(**one) for one in given[name]) for name in ("ordered", "moved")}
        ladders = [
            Ladder(one["damage"], one["metric"], one["undamaged"], tuple(Rung(**rung) for rung in one["rungs"]))
            for one in given["ladders"]
        ]
        return Card(given["clips"], tuple(given["metrics"]), **shares, ladders=tuple(ladders), missing=given["missing"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no report card: {one_line_of(error)}") from None


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.report_card", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--metric", action="append", help="a metric; repeatable (default: those of the suite)")
    parser.add_argument("--limit", type=int, help="number of test clips (default: all)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto (default: %(default)s)")
    figures.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into a page between its marks")
    parser.add_argument("--read", type=Path, metavar="FILE", help="show the card of a file instead of making one")
    given = parser.parse_args(arguments)
    try:
        card = _made(given, ui or Console()) if given.read is None else read(given.read)
        if given.write is not None:
            fill(given.write, "report-card", markdown(card))
        figures.write(given.plot, panels(card), line=50)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.json:
        print(_json(card))
    elif given.write is None:
        for title, (header, rows) in tables(card).items():
            print_table(header, rows, title=title)
        for metric, reason in card.missing.items():
            print_line(f"no {metric}: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
