"""Captions of the world's frames, from which the backbone and the CLIP scorer learn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmark.mini.world import AMOUNT_WORDS, COLOURS, CUES, LABELS, LIGHTS, SIZE_WORDS, SPEAKERS, Value, describe

ORDER = ("count", "amount", "size", "colour", "light", "cue", "hair", "beard", "glasses", "skin", "shirt")
TEMPLATES = ("a photo of {}", "{}", "a picture of {}")

_SCALES = {"size": SIZE_WORDS, "amount": AMOUNT_WORDS}


def statement(label: str, seen: Mapping[str, Value]) -> str:
    """Return the label with what is `seen` spelled out before it.

    Example:
        >>> statement("dog barking", {"size": 0.9, "count": 2})
        'two huge dog barking'
    """
    words = [describe(name, seen[name]) for name in ORDER if name in seen]
    return " ".join([*words, label])


def sample_named(seen: Mapping[str, Value], rng: np.random.Generator) -> dict[str, Value]:
    """Draw the part of `seen` that a caption names: nothing, a part (one of two), or everything."""
    names = list(seen)
    kind = rng.uniform()
    if kind < 0.35:
        return {}
    if kind < 0.6:
        chosen = set(rng.permutation(len(names))[: rng.integers(1, len(names))])
        names = [name for place, name in enumerate(names) if place in chosen]
    return {name: seen[name] for name in names}


def sample_caption(label: str, seen: Mapping[str, Value], rng: np.random.Generator) -> tuple[str, dict[str, Value]]:
    """Draw a caption that names the label and none, some or all of what is seen.

    Returns:
        The caption, and what it names beside the label.
    """
    said = sample_named(seen, rng)
    template = TEMPLATES[int(rng.choice(len(TEMPLATES), p=(0.7, 0.15, 0.15)))]
    return template.format(statement(label, said)), said


def blend(name: str, value: Value) -> list[tuple[str, float]]:
    """Return the words for a value with their weights, which add up to 1.

    A size or an amount between the middles of two words is a mixture of both, so that the scale has no steps.

    Example:
        >>> blend("size", 0.25)
        [('tiny', 0.25), ('small', 0.75)]
    """
    if name not in _SCALES:
        return [(describe(name, value), 1.0)]
    words = _SCALES[name]
    place = min(max(float(value) * len(words) - 0.5, 0.0), len(words) - 1.0)
    low = min(int(place), len(words) - 2)
    share = round(place - low, 6)
    return [(word, weight) for word, weight in ((words[low], 1 - share), (words[low + 1], share)) if weight > 0]


def tags_of(label: str, heard: Mapping[str, Value]) -> list[str]:
    """Return the audio tags of a clip: its label, and one per attribute (as AudioSet tags both source and manner)."""
    return [label, *(f"{name}: {describe(name, value)}" for name, value in heard.items() if value != "")]


def all_tags() -> list[str]:
    """Return every tag that `tags_of` can return, labels first."""
    values: dict[str, tuple[Value, ...]] = {
        "size": (0.1, 0.3, 0.5, 0.7, 0.9),
        "count": (1, 2, 3),
        "amount": (0.1, 0.5, 0.9),
        "colour": COLOURS,
        "light": LIGHTS,
        "cue": CUES,
        "speaker": tuple(SPEAKERS),
    }
    return [*LABELS, *(f"{name}: {describe(name, v)}" for name, options in values.items() for v in options)]
