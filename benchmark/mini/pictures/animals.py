"""Animals."""

from __future__ import annotations

import numpy as np

from benchmark.mini.pictures import scene
from benchmark.mini.pictures.pen import INK, WHITE, Frame, Seen, darker, hsv, lighter, mirrored


def bird(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a bird, or two or three."""
    scene.airy(page, rng)
    hue = rng.uniform(0.5, 0.56)
    coat = hsv(hue, rng.uniform(0.6, 0.75), rng.uniform(0.7, 0.82))
    for bird in scene.scatter(page, rng, seen, swing=0.12):
        for x in (-0.12, 0.16):
            bird.line([(x, 0.5), (x, 0.92)], 0.09, (168, 96, 30))
        bird.polygon([(-0.4, 0.0), (-1.0, -0.42), (-0.98, 0.1), (-0.4, 0.4)], darker(coat))
        bird.polygon([(0.6, -0.62), (1.08, -0.6), (0.66, -0.34)], (245, 140, 20))
        bird.polygon([(0.6, -0.34), (1.0, -0.16), (0.56, -0.1)], (245, 140, 20))
        bird.oval(-0.02, 0.16, 0.62, 0.5, coat)
        bird.disc(0.42, -0.4, 0.4, coat)
        bird.oval(0.26, 0.26, 0.34, 0.36, (240, 150, 90))
        bird.polygon([(-0.72, 0.02), (-0.2, -0.22), (0.2, 0.1), (-0.2, 0.56)], darker(coat), rounds=2)
        bird.eye(0.5, -0.48, 0.17)


def frog(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw frogs on leaves in a pond."""
    scene.backdrop(page, rng)
    water = hsv(rng.uniform(0.5, 0.56), rng.uniform(0.3, 0.42), rng.uniform(0.72, 0.82))
    page.box(0, rng.uniform(0.16, 0.34), 1, 1, water)
    coat = hsv(rng.uniform(0.28, 0.34), rng.uniform(0.65, 0.8), rng.uniform(0.68, 0.8))
    for frog in scene.scatter(page, rng, seen, height=0.9, flips=False):
        frog.oval(0, 0.68, 1.0, 0.26, (28, 104, 66))
        for side in (-1, 1):
            frog.oval(0.58 * side, 0.46, 0.3, 0.32, darker(coat, 0.22))
            frog.disc(0.4 * side, -0.5, 0.3, coat)
        frog.oval(0, 0.3, 0.58, 0.52, coat)
        frog.oval(0, 0.48, 0.36, 0.3, lighter(coat, 0.55))
        frog.oval(0, -0.14, 0.74, 0.44, coat)
        for side in (-1, 1):
            frog.eye(0.4 * side, -0.54, 0.21)
        frog.line([(-0.44, -0.08), (-0.2, 0.08), (0.2, 0.08), (0.44, -0.08)], 0.09, darker(coat, 0.75))


def bee(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw bees."""
    scene.airy(page, rng)
    amber = hsv(rng.uniform(0.125, 0.145), 0.9, rng.uniform(0.92, 1.0))
    for bee in scene.scatter(page, rng, seen, height=0.9, swing=0.2):
        for x, turn in ((-0.3, -0.25), (0.1, 0.25)):
            wing = [(x, 0.0), (x - 0.3 + turn, -0.5), (x + turn - 0.1, -1.1), (x + 0.3 + turn, -0.5)]
            bee.polygon(wing, (112, 132, 164), rounds=2)
            bee.polygon([(0.82 * (a - x) + x, 0.82 * b - 0.06) for a, b in wing], (232, 244, 255), rounds=2)
        bee.polygon([(-0.7, 0.0), (-1.05, 0.2), (-0.7, 0.36)], INK)
        bee.disc(0.6, 0.08, 0.36, INK)
        bee.oval(-0.14, 0.18, 0.7, 0.5, amber)
        for left in (-0.56, -0.14, 0.28):
            xs = np.linspace(left, left + 0.2, 5)
            rise = 0.5 * np.sqrt(1 - ((xs + 0.14) / 0.7) ** 2)
            band = np.stack([np.r_[xs, xs[::-1]], 0.18 + np.r_[-rise, rise[::-1]]], axis=1)
            bee.polygon(band, INK)
        for reach in (0.1, 0.34):
            bee.line([(0.62, -0.2), (0.62 + reach, -0.58)], 0.07, INK)
        bee.disc(0.72, 0.0, 0.13, WHITE)


def dog(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw barking dogs."""
    scene.backdrop(page, rng, rng.uniform(0.3, 0.6))
    coat = hsv(rng.uniform(0.055, 0.085), rng.uniform(0.5, 0.65), rng.uniform(0.62, 0.78))
    dark = darker(coat, 0.5)
    for dog in scene.scatter(page, rng, seen, height=0.95):
        dog.line([(-0.66, 0.1), (-0.86, -0.16), (-0.9, -0.46)], 0.17, coat)
        for x, shade in ((-0.44, dark), (0.36, dark), (-0.62, coat), (0.18, coat)):
            dog.box(x - 0.1, 0.3, x + 0.12, 0.92, shade)
        dog.polygon([(-0.84, -0.1), (0.2, -0.14), (0.5, -0.1), (0.46, 0.56), (-0.84, 0.54)], coat, rounds=2)
        dog.polygon([(0.62, -0.3), (1.06, -0.44), (1.06, -0.2), (0.7, -0.02)], coat)
        dog.polygon([(0.52, 0.14), (0.6, -0.08), (0.98, 0.1), (0.84, 0.24)], coat)
        dog.polygon([(0.62, -0.08), (1.0, -0.22), (0.92, 0.1)], (214, 60, 70))
        dog.oval(0.4, -0.4, 0.42, 0.42, coat)
        dog.disc(1.0, -0.42, 0.14, INK)
        dog.polygon([(0.02, -0.86), (0.36, -0.82), (0.3, -0.1), (0.0, 0.14), (-0.14, -0.3)], dark, rounds=2)
        dog.eye(0.58, -0.5, 0.15)
        dog.line([(0.22, 0.06), (0.5, 0.14)], 0.13, (220, 50, 60))


def owl(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw owls on a branch at night."""
    scene.sky(page, rng, "night")
    scene.stars(page, rng, 6, 0.9)
    moon = (0.84 if scene.chance(rng) else 0.16) + rng.uniform(-0.04, 0.04)
    page.disc(moon, rng.uniform(0.12, 0.18), 0.13, (250, 240, 190))
    coat = hsv(rng.uniform(0.06, 0.09), rng.uniform(0.45, 0.6), rng.uniform(0.58, 0.7))
    for owl in scene.scatter(page, rng, seen, flips=False):
        owl.line([(-1.0, 0.84), (1.0, 0.84)], 0.2, (124, 84, 60))
        owl.polygon(mirrored([(0.2, -0.66), (0.78, -1.02), (0.7, -0.3), (0.74, 0.5), (0.3, 0.86)]), coat, rounds=1)
        for side in (-1, 1):
            owl.oval(0.62 * side, 0.24, 0.18, 0.5, darker(coat))
        owl.oval(0, 0.36, 0.4, 0.42, lighter(coat, 0.5))
        for side in (-1, 1):
            owl.disc(0.34 * side, -0.36, 0.35, (255, 232, 150))
            owl.disc(0.3 * side, -0.36, 0.18, INK)
        owl.polygon([(-0.16, -0.2), (0.16, -0.2), (0, 0.14)], (245, 140, 20))
        for x in (-0.2, 0.2):
            owl.line([(x, 0.78), (x, 0.92)], 0.13, (245, 140, 20))


def cat(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw sitting cats."""
    scene.backdrop(page, rng, rng.uniform(0.3, 0.6))
    coat = hsv(rng.uniform(0.07, 0.1), rng.uniform(0.1, 0.25), rng.uniform(0.55, 0.72))
    dark = darker(coat, 0.45)
    for cat in scene.scatter(page, rng, seen, height=0.98):
        cat.line([(0.5, 0.72), (0.86, 0.62), (0.9, 0.2), (0.72, -0.02)], 0.17, dark)
        cat.polygon([(-0.4, -0.1), (0.4, -0.1), (0.66, 0.9), (-0.66, 0.9)], coat, rounds=2)
        cat.oval(0, 0.52, 0.3, 0.36, lighter(coat, 0.55))
        for x in (-0.26, 0.26):
            cat.oval(x, 0.88, 0.22, 0.12, dark)
        for side in (-1, 1):
            cat.polygon([(0.62 * side, -1.0), (0.66 * side, -0.4), (0.12 * side, -0.66)], coat)
            cat.polygon([(0.54 * side, -0.84), (0.56 * side, -0.52), (0.28 * side, -0.66)], (236, 150, 160))
        cat.oval(0, -0.34, 0.66, 0.52, coat)
        for x in (-0.16, 0.0, 0.16):
            cat.line([(x, -0.82), (x, -0.64)], 0.07, dark)
        for side in (-1, 1):
            cat.oval(0.3 * side, -0.4, 0.17, 0.19, (170, 226, 90))
            cat.oval(0.3 * side, -0.4, 0.07, 0.17, INK)
            cat.line([(0.3 * side, -0.12), (0.92 * side, -0.2)], 0.04, WHITE)
            cat.line([(0.3 * side, -0.06), (0.9 * side, 0.04)], 0.04, WHITE)
        cat.oval(0, -0.02, 0.17, 0.13, (180, 60, 76))
        cat.polygon([(-0.11, -0.24), (0.11, -0.24), (0, -0.12)], (236, 120, 140))


def cricket(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw crickets on blades of grass."""
    scene.backdrop(page, rng)
    ground = rng.uniform(0.66, 0.8)
    grass = hsv(rng.uniform(0.2, 0.25), rng.uniform(0.5, 0.65), rng.uniform(0.66, 0.78))
    page.box(0, ground, 1, 1, grass)
    for x in np.arange(0.04, 1.0, 0.115):
        lean = rng.uniform(-0.05, 0.05)
        page.polygon(
            [(x - 0.03, ground + 0.02), (x + lean, ground - rng.uniform(0.1, 0.2)), (x + 0.03, ground + 0.02)], grass
        )
    shell = hsv(rng.uniform(0.04, 0.07), rng.uniform(0.6, 0.72), rng.uniform(0.36, 0.46))
    for insect in scene.scatter(page, rng, seen, height=0.8):
        insect.line([(-0.3, 0.1), (-0.5, -0.7), (-0.9, 0.66)], 0.14, darker(shell, 0.35))
        for x in (-0.1, 0.3):
            insect.line([(x, 0.2), (x + 0.12, 0.68)], 0.1, darker(shell, 0.35))
        insect.line([(0.74, -0.2), (0.8, -0.66), (0.5, -0.98)], 0.06, INK)
        insect.line([(0.84, -0.2), (1.0, -0.6), (0.94, -1.0)], 0.06, INK)
        insect.oval(-0.14, 0.14, 0.78, 0.28, shell)
        insect.polygon([(0.4, -0.14), (-0.3, -0.22), (-1.02, 0.16), (-0.3, 0.24)], lighter(shell, 0.45), rounds=2)
        insect.disc(0.66, 0.02, 0.34, shell)
        insect.eye(0.76, -0.06, 0.17)
