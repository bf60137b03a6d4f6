"""Vehicles."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi, sin

import numpy as np

from benchmark.mini.pictures import scene
from benchmark.mini.pictures.pen import GLASS, INK, STEEL, WHITE, Frame, Seen, darker


def _wheels(car: Frame, xs: Iterable[float], y: float, radius: float) -> None:
    for x in xs:
        car.disc(x, y, radius, INK)
        car.disc(x, y, 0.48 * radius, (206, 208, 214))


def police_car(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a police car with its lights on."""
    car = scene.standing(page, rng, seen, -1.14, 0.63)
    colour = scene.coat(seen, rng)
    for ray in range(5):
        c, s = cos((0.07 + 0.215 * ray) * pi), sin((0.07 + 0.215 * ray) * pi)
        car.line([(0.38 * c, -0.42 - 0.38 * s), (0.68 * c, -0.42 - 0.68 * s)], 0.12, colour)
    car.box(-0.26, -0.64, 0.26, -0.36, colour)
    car.polygon([(-0.68, 0.02), (-0.42, -0.42), (0.4, -0.42), (0.66, 0.02)], WHITE)
    car.polygon([(-0.5, 0.02), (-0.34, -0.3), (-0.06, -0.3), (-0.06, 0.02)], (70, 92, 120))
    car.polygon([(0.5, 0.02), (0.33, -0.3), (0.06, -0.3), (0.06, 0.02)], (70, 92, 120))
    car.polygon([(-1.0, -0.02), (1.0, 0.02), (1.06, 0.42), (-1.06, 0.42)], INK, rounds=1)
    car.box(-0.5, 0.0, 0.5, 0.42, WHITE)
    car.box(-0.5, 0.12, 0.5, 0.3, colour)
    _wheels(car, (-0.6, 0.6), 0.4, 0.23)


def car(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a car with its engine running."""
    car = scene.standing(page, rng, seen, -0.55, 0.64)
    colour = scene.coat(seen, rng)
    scene.puffs(car, [(-1.12, 0.3, 0.13), (-1.28, 0.2, 0.15)], (150, 150, 156))
    car.polygon([(-0.86, 0.05), (-0.62, -0.62), (0.32, -0.62), (0.66, 0.05)], colour, rounds=1)
    car.polygon([(-0.62, 0.0), (-0.48, -0.4), (-0.14, -0.4), (-0.14, 0.0)], GLASS)
    car.polygon([(0.0, 0.0), (0.0, -0.4), (0.24, -0.4), (0.46, 0.0)], GLASS)
    car.polygon([(-1.0, -0.1), (0.9, -0.06), (1.05, 0.1), (1.05, 0.44), (-1.0, 0.44)], colour, rounds=1)
    car.box(-0.98, 0.32, 1.0, 0.44, darker(colour, 0.4))
    car.disc(0.88, 0.12, 0.12, (255, 244, 190))
    _wheels(car, (-0.54, 0.56), 0.4, 0.26)


def helicopter(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a helicopter."""
    scene.airy(page, rng)
    craft = scene.single(page, rng, seen, -0.6, 0.62)
    colour = scene.coat(seen, rng)
    craft.line([(0.28, -0.3), (0.28, -0.52)], 0.1, INK)
    reach = rng.uniform(0.7, 0.85)
    craft.line([(0.28 - reach, -0.54), (0.28 + min(reach, 0.72), -0.54)], 0.09, INK)
    craft.polygon([(0.0, -0.24), (-0.84, -0.16), (-0.84, 0.02), (0.1, 0.26)], darker(colour, 0.2))
    craft.polygon([(-0.7, -0.04), (-0.84, -0.4), (-1.0, -0.4), (-0.92, 0.04)], colour)
    for x in (0.08, 0.5):
        craft.line([(x, 0.2), (x, 0.54)], 0.07, INK)
    craft.line([(-0.22, 0.56), (0.8, 0.56)], 0.09, INK)
    craft.oval(0.32, 0.02, 0.58, 0.38, colour)
    craft.polygon([(0.38, -0.28), (0.7, -0.22), (0.88, 0.04), (0.38, 0.06)], GLASS)


def train(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a steam engine."""
    train = scene.standing(page, rng, seen, -1.12, 0.84)
    colour = scene.coat(seen, rng)
    drift = rng.uniform(0.05, 0.15)
    scene.puffs(
        train, [(0.5, -0.86, 0.14), (0.5 - drift * 2, -0.98, 0.18), (0.5 - drift * 5, -1.04, 0.2)], (176, 176, 184)
    )
    train.box(-1.06, 0.72, 1.06, 0.84, (84, 66, 56))
    train.polygon([(0.42, -0.3), (0.34, -0.74), (0.74, -0.74), (0.66, -0.3)], INK)
    train.box(-0.1, -0.44, 0.12, -0.2, (226, 180, 60))
    train.polygon([(-0.3, -0.34), (0.72, -0.34), (0.94, -0.2), (0.94, 0.2), (0.72, 0.36), (-0.3, 0.36)], colour)
    train.box(0.24, -0.34, 0.36, 0.36, darker(colour, 0.4))
    train.box(-0.92, -0.7, -0.26, 0.36, darker(colour, 0.18))
    train.box(-1.02, -0.84, -0.16, -0.66, INK)
    train.box(-0.76, -0.5, -0.42, -0.12, GLASS)
    train.polygon([(0.68, 0.3), (0.8, 0.3), (1.08, 0.72), (0.68, 0.72)], STEEL)
    train.box(-0.94, 0.3, 0.8, 0.46, INK)
    _wheels(train, (-0.62, -0.08, 0.42), 0.5, 0.25)


def ambulance(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw an ambulance with its lights on."""
    van = scene.standing(page, rng, seen, -1.26, 0.74)
    colour = scene.coat(seen, rng)
    for ray in range(3):
        c, s = cos((0.2 + 0.3 * ray) * pi), sin((0.2 + 0.3 * ray) * pi)
        van.line([(0.3 + 0.34 * c, -0.62 - 0.34 * s), (0.3 + 0.56 * c, -0.62 - 0.56 * s)], 0.11, colour)
    van.box(0.1, -0.84, 0.5, -0.6, colour)
    van.polygon([(-1.0, -0.66), (0.5, -0.66), (0.72, -0.1), (1.02, 0.02), (1.02, 0.52), (-1.0, 0.52)], WHITE)
    van.polygon([(0.34, -0.5), (0.46, -0.5), (0.64, -0.06), (0.34, -0.06)], (70, 92, 120))
    van.box(-1.0, 0.2, 1.02, 0.38, colour)
    van.box(-0.48, -0.56, -0.26, 0.1, colour)
    van.box(-0.7, -0.34, -0.04, -0.12, colour)
    van.box(-1.0, 0.46, 1.02, 0.54, STEEL)
    _wheels(van, (-0.58, 0.58), 0.5, 0.24)


def motorcycle(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a motorcycle on the road."""
    bike = scene.standing(page, rng, seen, -0.72, 0.8)
    colour = scene.coat(seen, rng)
    scene.puffs(bike, [(-1.1, 0.52, 0.11), (-1.26, 0.42, 0.13)], (150, 150, 156))
    for x in (-0.62, 0.66):
        bike.disc(x, 0.4, 0.4, INK)
        bike.disc(x, 0.4, 0.24, (206, 208, 214))
        bike.disc(x, 0.4, 0.1, STEEL)
    bike.line([(0.66, 0.4), (0.36, -0.42)], 0.13, STEEL)
    bike.line([(-0.62, 0.4), (0.1, 0.36)], 0.16, STEEL)
    bike.line([(-0.86, 0.5), (0.02, 0.5)], 0.14, (206, 208, 214))
    bike.polygon([(-0.24, 0.0), (0.4, -0.1), (0.26, 0.5), (-0.2, 0.5)], INK)
    bike.polygon([(-0.1, -0.1), (0.02, -0.4), (0.38, -0.36), (0.44, -0.02), (0.1, 0.1)], colour, rounds=1)
    bike.polygon([(-0.86, -0.16), (-0.78, -0.3), (-0.06, -0.18), (-0.06, 0.0), (-0.5, 0.02)], INK, rounds=1)
    bike.polygon([(-1.0, 0.0), (-0.8, -0.14), (-0.4, -0.06), (-0.4, 0.1)], colour)
    bike.polygon([(0.28, 0.02), (0.66, -0.14), (1.04, 0.1), (0.66, 0.04)], colour)
    bike.line([(0.4, -0.38), (0.22, -0.62), (0.02, -0.6)], 0.11, INK)
    bike.disc(0.54, -0.34, 0.14, (255, 244, 190))
