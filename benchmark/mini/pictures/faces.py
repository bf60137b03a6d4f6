"""Faces of people who speak. None is a real person."""

from __future__ import annotations

from math import pi

import numpy as np

from benchmark.mini.pictures import scene
from benchmark.mini.pictures.pen import INK, WHITE, Colour, Frame, Seen, darker, hsv, mix

_HAIR: dict[str, Colour] = {
    "raven": (38, 34, 40),
    "brunette": (124, 78, 42),
    "blond": (236, 200, 96),
    "ginger": (206, 84, 36),
    "silver": (176, 178, 186),
}
_SKIN: dict[str, Colour] = {"pale": (250, 216, 190), "tan": (214, 158, 112), "dark": (128, 82, 56)}
_SHIRT: dict[str, float] = {"red": 0.0, "yellow": 0.135, "blue": 0.605, "green": 0.37}


def face(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a person from the shoulders up: cue, hair, beard, glasses, skin and shirt as `seen` says."""
    scene.backdrop(page, rng)
    cue = str(seen["cue"])
    skin = mix(_SKIN[str(seen["skin"])], hsv(rng.uniform(), 0.5, 0.7), 0.04)
    hair = mix(_HAIR[str(seen["hair"])], hsv(rng.uniform(), 0.5, 0.5), 0.04)
    shirt = hsv(
        _SHIRT[str(seen["shirt"])] + rng.uniform(-0.015, 0.015), rng.uniform(0.7, 0.85), rng.uniform(0.78, 0.92)
    )
    scale = {"man": 0.37, "woman": 0.35, "child": 0.29}[cue] * rng.uniform(0.95, 1.03)
    low = {"man": 0.47, "woman": 0.46, "child": 0.57}[cue]
    person = page.at(0.5 + rng.uniform(-0.07, 0.07), low + rng.uniform(-0.02, 0.02), scale, scene.chance(rng))
    _shoulders(person, cue, skin, shirt)
    {"man": _man, "woman": _woman, "child": _child}[cue](person, skin, hair)
    if seen.get("beard"):
        _beard(person, hair)
    _features(person, cue, skin, darker(hair, 0.3))
    if seen["glasses"]:
        _glasses(person, cue)


def _shoulders(person: Frame, cue: str, skin: Colour, shirt: Colour) -> None:
    wide = {"man": 1.08, "woman": 0.86, "child": 0.84}[cue]
    person.polygon(
        [(-0.5 * wide, 0.66), (0.5 * wide, 0.66), (wide, 0.9), (1.1 * wide, 2.0), (-1.1 * wide, 2.0), (-wide, 0.9)],
        shirt,
    )
    neck = {"man": 0.3, "woman": 0.2, "child": 0.18}[cue]
    person.box(-neck, 0.4, neck, 0.72, darker(skin, 0.15))
    person.polygon([(-neck, 0.66), (neck, 0.66), (0, 0.96)], darker(skin, 0.15))


def _man(person: Frame, skin: Colour, hair: Colour) -> None:
    person.polygon([(-0.66, -0.1), (-0.66, -0.7), (0.66, -0.7), (0.66, -0.1)], hair)
    for side in (-1, 1):
        person.oval(0.62 * side, 0.02, 0.12, 0.18, darker(skin, 0.12))
    person.polygon([(-0.58, -0.62), (0.58, -0.62), (0.6, 0.3), (0.36, 0.64), (-0.36, 0.64), (-0.6, 0.3)], skin)
    person.polygon(
        [
            (-0.68, -0.36),
            (-0.66, -0.86),
            (-0.2, -1.04),
            (0.5, -0.98),
            (0.7, -0.7),
            (0.68, -0.36),
            (0.54, -0.54),
            (-0.4, -0.5),
        ],
        hair,
    )


def _woman(person: Frame, skin: Colour, hair: Colour) -> None:
    person.polygon(
        [(-0.4, -0.98), (0.4, -0.98), (0.86, -0.5), (0.92, 0.9), (0.5, 1.0), (-0.5, 1.0), (-0.92, 0.9), (-0.86, -0.5)],
        hair,
        rounds=1,
    )
    person.box(-0.2, 0.4, 0.2, 0.72, darker(skin, 0.15))
    person.oval(0, -0.02, 0.54, 0.64, skin)
    person.polygon(
        [(-0.6, 0.0), (-0.62, -0.6), (0.0, -0.96), (0.62, -0.6), (0.6, 0.0), (0.42, -0.36), (-0.1, -0.5)], hair
    )
    for side in (-1, 1):
        person.disc(0.58 * side, 0.3, 0.1, (250, 214, 80))


def _child(person: Frame, skin: Colour, hair: Colour) -> None:
    for side in (-1, 1):
        person.disc(0.74 * side, 0.06, 0.17, darker(skin, 0.12))
    person.oval(0, 0.0, 0.76, 0.7, skin)
    person.arch(0, -0.16, 0.78, 0.66, hair)
    person.polygon([(-0.1, -0.76), (0.0, -1.12), (0.26, -1.02), (0.2, -0.76)], hair)
    person.box(-0.66, -0.3, 0.66, -0.14, hair)


def _beard(person: Frame, hair: Colour) -> None:
    person.polygon(
        [(-0.62, 0.1), (-0.42, 0.2), (0.42, 0.2), (0.62, 0.1), (0.6, 0.5), (0.3, 0.9), (-0.3, 0.9), (-0.6, 0.5)], hair
    )


def _features(person: Frame, cue: str, skin: Colour, brow: Colour) -> None:
    apart, size = {"man": (0.26, 0.1), "woman": (0.25, 0.12), "child": (0.32, 0.17)}[cue]
    level = {"man": -0.14, "woman": -0.08, "child": 0.08}[cue]
    for side in (-1, 1):
        person.oval(apart * side, level, 1.25 * size, size, WHITE)
        person.disc(apart * side, level, 0.75 * size, INK)
        if cue == "man":
            person.line([(apart * side - 0.14, level - 0.2), (apart * side + 0.14, level - 0.2)], 0.1, brow)
    person.line([(0.02, level + 0.16), (0.1, level + 0.3)], 0.07, darker(skin, 0.25))
    mouth = {"man": 0.4, "woman": 0.36, "child": 0.42}[cue]
    wide, colour = {"man": (0.24, (150, 70, 70)), "woman": (0.22, (214, 40, 70)), "child": (0.2, (190, 80, 84))}[cue]
    person.oval(0, mouth, wide, 0.11, colour)
    person.oval(0, mouth + 0.01, 0.6 * wide, 0.045, WHITE if cue == "man" else darker(colour, 0.5))
    if cue == "child":
        for side in (-1, 1):
            person.disc(0.46 * side, 0.32, 0.12, mix(skin, (240, 110, 110), 0.4))


def _glasses(person: Frame, cue: str) -> None:
    apart, level, radius = {"man": (0.28, -0.14, 0.23), "woman": (0.27, -0.08, 0.23), "child": (0.34, 0.08, 0.27)}[cue]
    turn = np.linspace(0, 2 * pi, 25)
    for side in (-1, 1):
        ring = [(apart * side + radius * float(np.cos(a)), level + radius * float(np.sin(a))) for a in turn]
        person.line(ring, 0.08, INK)
    person.line([(-apart + radius, level), (apart - radius, level)], 0.08, INK)
