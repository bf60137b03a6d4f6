"""Captions of the world's frames, from which the backbone and the CLIP scorer learn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmark.mini.world import LABELS, Value, describe

ORDER = ("count", "amount", "size", "colour", "light")
TEMPLATES = ("a photo of {}", "{}", "a picture of {}")


def statement(label: str, attributes: Mapping[str, Value]) -> str:
    """Return the label with `attributes` spelled out before it.

    Example:
        >>> statement("dog barking", {"size": 0.9, "count": 2})
        'two huge dog barking'
    """
    words = [describe(name, attributes[name]) for name in ORDER if name in attributes]
    return " ".join([*words, label])


def sample_caption(
    label: str, attributes: Mapping[str, Value], rng: np.random.Generator
) -> tuple[str, dict[str, Value]]:
    """Draw a caption that names the label and none, one or both of the attributes.

    Returns:
        The caption, and the attributes that it names.
    """
    names = list(attributes)
    kind = rng.uniform()
    if kind < 0.35:
        named: list[str] = []
    elif kind < 0.6:
        named = [names[int(rng.integers(len(names)))]]
    else:
        named = names
    template = TEMPLATES[int(rng.choice(len(TEMPLATES), p=(0.7, 0.15, 0.15)))]
    said = {name: attributes[name] for name in named}
    return template.format(statement(label, said)), said


def tags_of(label: str, attributes: Mapping[str, Value]) -> list[str]:
    """Return the audio tags of a clip: its label, and one per attribute (as AudioSet tags both source and manner)."""
    return [label, *(f"{name}: {describe(name, value)}" for name, value in attributes.items())]


def all_tags() -> list[str]:
    """Return every tag that `tags_of` can return, labels first."""
    values: dict[str, list[Value]] = {
        "size": [0.1, 0.3, 0.5, 0.7, 0.9],
        "count": [1, 2, 3],
        "amount": [0.1, 0.5, 0.9],
        "colour": ["red", "yellow", "blue"],
        "light": ["day", "sunset", "night"],
    }
    return [*LABELS, *(f"{name}: {describe(name, v)}" for name, options in values.items() for v in options)]
