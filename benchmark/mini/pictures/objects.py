"""Bells, clocks, telephones and instruments."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from benchmark.mini.pictures import scene
from benchmark.mini.pictures.pen import INK, WHITE, Frame, Seen, darker, hsv, lighter, mirrored


def bell(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw church bells."""
    scene.airy(page, rng)
    bronze = hsv(rng.uniform(0.09, 0.125), rng.uniform(0.7, 0.85), rng.uniform(0.78, 0.9))
    for bell in scene.scatter(page, rng, seen, swing=0.22):
        bell.box(-0.6, -1.0, 0.6, -0.8, (104, 66, 40))
        bell.disc(0, 0.78, 0.22, darker(bronze, 0.6))
        profile = [(0.1, -0.86), (0.42, -0.82), (0.52, -0.5), (0.56, 0.0), (0.66, 0.34), (0.9, 0.56)]
        bell.polygon(mirrored(profile), bronze, rounds=2)
        bell.box(-0.92, 0.5, 0.92, 0.72, darker(bronze, 0.3))
        bell.line([(-0.28, -0.5), (-0.32, 0.1)], 0.14, lighter(bronze, 0.5))


def alarm_clock(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw an alarm clock."""
    clock = scene.standing(page, rng, seen, -1.05, 1.05)
    colour = scene.coat(seen, rng)
    for side in (-1, 1):
        clock.line([(0.4 * side, 0.7), (0.62 * side, 1.0)], 0.16, darker(colour, 0.6))
        clock.line([(0.36 * side, -0.5), (0.5 * side, -0.68)], 0.12, INK)
        dome = clock.at(clock.x + 0.58 * side * clock.scale, clock.y - 0.62 * clock.scale, clock.scale, turn=0.6 * side)
        dome.arch(0, 0.06, 0.42, 0.4, darker(colour, 0.15))
    clock.line([(0, -0.6), (0, -0.92)], 0.12, INK)
    clock.box(-0.16, -1.05, 0.16, -0.84, INK)
    clock.disc(0, 0.15, 0.84, colour)
    clock.disc(0, 0.15, 0.62, WHITE)
    for quarter in range(4):
        a = quarter * pi / 2
        clock.disc(0.5 * cos(a), 0.15 + 0.5 * sin(a), 0.06, INK)
    hour, minute = rng.uniform(0, 2 * pi, 2)
    clock.line([(0, 0.15), (0.28 * sin(hour), 0.15 - 0.28 * cos(hour))], 0.12, INK)
    clock.line([(0, 0.15), (0.42 * sin(minute), 0.15 - 0.42 * cos(minute))], 0.08, INK)


def telephone(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a telephone."""
    phone = scene.standing(page, rng, seen, -0.8, 0.78)
    colour = scene.coat(seen, rng)
    dark = darker(colour, 0.3)
    for side in (-1, 1):
        phone.box(0.26 * side - 0.1, -0.4, 0.26 * side + 0.1, 0.0, INK)
    phone.polygon(mirrored([(0.4, -0.24), (0.6, 0.1), (0.9, 0.56), (0.9, 0.78)]), colour, rounds=1)
    phone.disc(0, 0.26, 0.36, WHITE)
    phone.disc(0, 0.26, 0.15, INK)
    handset = [(0.5, -0.86), (1.0, -0.62), (1.02, -0.12), (0.62, -0.1), (0.56, -0.46), (0.2, -0.54)]
    phone.polygon(mirrored(handset), dark, rounds=2)


def wind_chime(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a wind chime."""
    scene.airy(page, rng)
    number = round(3 + 5 * float(seen["amount"]))
    chime = scene.single(page, rng, seen, -1.0, 1.0, flips=False)
    wood = hsv(rng.uniform(0.05, 0.08), 0.6, rng.uniform(0.48, 0.62))
    metal = hsv(rng.uniform(0.55, 0.68), rng.uniform(0.12, 0.24), rng.uniform(0.52, 0.62))
    top = -chime.y / chime.scale
    chime.line([(0, top), (0, -0.8)], 0.06, INK)
    step = 1.84 / number
    leaning = rng.uniform(-0.22, 0.22)
    for place in range(number):
        x = -0.92 + step * (place + 0.5)
        low = 0.72 + 0.26 * (-1) ** place + leaning * x
        chime.line([(x, -0.7), (x, -0.3)], 0.03, INK)
        half = min(0.14, 0.34 * step)
        chime.box(x - half, -0.36, x + half, low, metal)
        chime.box(x - half, -0.36, x - 0.1 * half, low, lighter(metal, 0.45))
    chime.polygon([(-0.86, -0.94), (0.86, -0.94), (1.0, -0.64), (-1.0, -0.64)], wood)


def guitar(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw an acoustic guitar."""
    scene.airy(page, rng)
    width, colour = scene.width_of(seen), scene.coat(seen, rng)
    x, y = 0.5 + rng.uniform(-0.35, 0.35, 2) * (0.94 - width)
    guitar = page.at(x, y, 0.46 * width, scene.chance(rng), pi / 4 + rng.uniform(-0.1, 0.1))
    wood = hsv(0.07, 0.55, 0.36)
    body = [(0.22, -0.2), (0.5, -0.06), (0.36, 0.28), (0.66, 0.54), (0.66, 1.0), (0.2, 1.14)]
    guitar.polygon(mirrored(body), darker(colour, 0.45), rounds=3)
    guitar.polygon(mirrored([(0.87 * x, 0.05 + 0.9 * y) for x, y in body]), colour, rounds=3)
    guitar.box(-0.1, -1.18, 0.1, 0.28, wood)
    guitar.polygon(mirrored([(0.12, -1.48), (0.2, -1.42), (0.16, -1.1)]), darker(wood, 0.4))
    guitar.disc(0, 0.3, 0.23, INK)
    guitar.box(-0.26, 0.7, 0.26, 0.82, wood)
    guitar.line([(0, -1.07), (0, 0.74)], 0.03, (236, 226, 200))


def piano(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a grand piano with its lid up."""
    piano = scene.standing(page, rng, seen, -0.94, 0.86)
    colour = scene.coat(seen, rng)
    dark = darker(colour, 0.5)
    for x, y in ((-0.78, 0.86), (0.0, 0.8), (0.74, 0.86)):
        piano.line([(x, 0.36), (x, y)], 0.15, dark)
    piano.line([(0.1, -0.1), (0.3, -0.62)], 0.07, INK)
    piano.polygon(
        [(-0.86, -0.1), (-0.7, -0.62), (0.0, -0.98), (0.62, -0.86), (0.98, -0.1)], darker(colour, 0.22), rounds=1
    )
    piano.polygon([(-0.66, -0.1), (-0.54, -0.46), (0.04, -0.74), (0.5, -0.62), (0.72, -0.1)], (226, 180, 96), rounds=1)
    piano.box(-1.0, -0.1, 1.0, 0.4, colour)
    piano.box(-0.9, 0.06, 0.9, 0.3, WHITE)
    for place in range(7):
        x = -0.66 + 0.22 * place
        piano.box(x - 0.06, 0.06, x + 0.06, 0.2, INK)
    piano.box(-1.0, 0.3, 1.0, 0.42, dark)
