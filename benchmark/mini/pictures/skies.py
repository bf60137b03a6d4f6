"""Weather, water and fireworks."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from benchmark.mini.pictures import scene
from benchmark.mini.pictures.pen import WHITE, Frame, Seen, darker, hsv, lighter, mix


def rain(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw rain from a cloud."""
    light = str(seen["light"])
    scene.sky(page, rng, light)
    dull = {"day": (150, 160, 120), "sunset": (128, 84, 72), "night": (24, 30, 44)}[light]
    page.box(0, rng.uniform(0.86, 0.93), 1, 1, dull)
    drop = {"day": (26, 78, 208), "sunset": (46, 60, 168), "night": (150, 200, 255)}[light]
    number = round(4 + 36 * float(seen["amount"]))
    slant = rng.uniform(-0.05, 0.05)
    # Streaks fall on the cells of a lattice in a random order, so that any number of them is evenly spread.
    for cell in rng.permutation(40)[:number]:
        x = 0.07 + (cell % 8 + rng.uniform(0.2, 0.8) - 0.2 * (cell // 8 % 2)) * 0.115
        y = 0.33 + (cell // 8 + rng.uniform(0.1, 0.6)) * 0.125
        page.line([(x, y), (x + slant, y + 0.085)], 0.03, drop)
    grey = {"day": (122, 130, 146), "sunset": (118, 92, 112), "night": (92, 98, 122)}[light]
    x = rng.uniform(0.4, 0.6)
    puffs = [(x - 0.3, 0.2, 0.12), (x - 0.12, 0.15, 0.15), (x + 0.1, 0.14, 0.14), (x + 0.3, 0.2, 0.12)]
    scene.puffs(page, puffs, grey)
    page.box(x - 0.3, 0.18, x + 0.3, 0.32, grey)


def waves(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw waves."""
    light, size = str(seen["light"]), float(seen["size"])
    sea = 0.56 + rng.uniform(-0.02, 0.02)
    scene.sky(page, rng, light, sea + 0.2)
    x = rng.uniform(0.2, 0.8)
    if light == "day":
        page.disc(x, 0.15, 0.09, (255, 226, 70))
    elif light == "sunset":
        page.disc(x, 0.3, 0.15, (255, 236, 130))
    else:
        page.disc(x, 0.15, 0.09, (246, 244, 224))
    dim = {"day": 0.0, "sunset": 0.2, "night": 0.52}[light]
    height, length = 0.035 + 0.3 * size, 0.26 + 0.5 * size
    xs = np.linspace(-0.02, 1.02, 64)
    hue = rng.uniform(0.54, 0.58)
    for row in range(3):
        phase = (xs / length + rng.uniform()) % 1.0
        crest = sea + 0.17 * row + height * (np.abs(np.sin(pi * phase)) ** 0.8 - 0.62)
        colour = darker(hsv(hue, 0.68 + 0.1 * row, 0.88 - 0.17 * row), dim)
        edge = [(float(a), float(b)) for a, b in zip(xs, crest, strict=True)]
        page.polygon([*edge, (1.02, 1.02), (-0.02, 1.02)], colour)
        page.line(edge, 0.034, darker(WHITE, 0.75 * dim))


def thunder(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw lightning."""
    hue = rng.uniform(0.6, 0.8)
    scene.gradient(page, hsv(hue, 0.3, 0.22), hsv(hue, 0.25, 0.38))
    page.box(0, rng.uniform(0.88, 0.94), 1, 1, hsv(rng.uniform(0.1, 0.4), 0.3, 0.18))
    count, colour = int(seen["count"]), lighter(scene.coat(seen, rng), 0.18)
    flip = scene.chance(rng)
    for place in range(count):
        x = 0.5 + (place - (count - 1) / 2) * 0.31 + rng.uniform(-0.03, 0.03)
        bolt = page.at(x, 0.57 + rng.uniform(-0.03, 0.03), rng.uniform(0.3, 0.34), flip)
        outline = [(-0.1, -1.0), (0.36, -1.0), (0.12, -0.32), (0.4, -0.32), (-0.26, 1.0), (-0.04, 0.04), (-0.36, 0.04)]
        bolt.polygon(outline, colour)
    cloud = hsv(hue, 0.16, rng.uniform(0.5, 0.6))
    for x in (0.0, 0.25, 0.5, 0.75, 1.0):
        page.disc(x + rng.uniform(-0.03, 0.03), rng.uniform(0.1, 0.16), rng.uniform(0.13, 0.17), cloud)
    page.box(0, 0, 1, 0.14, cloud)
    scene.puffs(page, [(x, 0.02, 0.15) for x in (0.12, 0.42, 0.7, 0.95)], darker(cloud, 0.25))


def fireworks(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw fireworks over a town."""
    scene.sky(page, rng, "night")
    colour, count = lighter(scene.coat(seen, rng), 0.15), int(seen["count"])
    bright = lighter(colour, 0.25)
    radius = {1: 0.34, 2: 0.22, 3: 0.18}[count]
    for x, y in scene.PLACES[count][int(rng.integers(len(scene.PLACES[count])))]:
        dx, dy = rng.uniform(-0.03, 0.03, 2)
        scale = radius * rng.uniform(0.92, 1.05)
        burst = page.at(x + dx, 0.06 + 0.66 * y + dy, scale, turn=rng.uniform(0, pi))
        for angle in np.arange(10) * pi / 5:
            c, s = cos(angle), sin(angle)
            burst.line([(0.3 * c, 0.3 * s), (0.8 * c, 0.8 * s)], 0.1, colour)
            burst.disc(0.95 * c, 0.95 * s, 0.12, bright)
        burst.disc(0, 0, 0.14, lighter(colour, 0.7))
    left = -rng.uniform(0, 0.1)
    while left < 1:
        width, top = rng.uniform(0.11, 0.2), rng.uniform(0.78, 0.9)
        page.box(left, top, left + width, 1, (8, 10, 24))
        page.disc(left + width / 2, top + 0.07, 0.02, (250, 220, 130))
        left += width + 0.01


def stream(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    """Draw a stream that winds through a meadow, around stones."""
    light = str(seen["light"])
    horizon = 0.3 + rng.uniform(-0.03, 0.03)
    scene.sky(page, rng, light, horizon + 0.08)
    grass = {"day": (112, 176, 84), "sunset": (142, 116, 62), "night": (30, 58, 52)}[light]
    page.box(0, horizon, 1, 1, mix(grass, hsv(rng.uniform(0.2, 0.4), 0.5, 0.5), 0.12))
    for x in (0.14, 0.86):
        top = horizon - rng.uniform(0.14, 0.2)
        page.box(x - 0.02, horizon - 0.06, x + 0.02, horizon + 0.03, (96, 68, 50))
        page.polygon([(x - 0.1, horizon - 0.02), (x, top), (x + 0.1, horizon - 0.02)], darker(grass, 0.4))
    water = {"day": (64, 150, 230), "sunset": (196, 120, 128), "night": (44, 72, 150)}[light]
    bend, sway = rng.uniform(0.08, 0.14), rng.uniform(-0.06, 0.06)
    side = 1 if scene.chance(rng) else -1
    ys = np.linspace(horizon, 1.02, 40)
    along = (ys - horizon) / (1.02 - horizon)
    middle = 0.5 + sway + side * bend * np.sin(1.6 * pi * along)
    half = 0.05 + 0.27 * along
    banks = np.concatenate([np.stack([middle - half, ys], 1), np.stack([middle + half, ys], 1)[::-1]])
    page.polygon(banks, water)
    foam = {"day": WHITE, "sunset": (255, 224, 190), "night": (150, 172, 224)}[light]
    stone = {"day": (120, 122, 134), "sunset": (104, 84, 90), "night": (66, 72, 96)}[light]
    number = round(1 + 11 * float(seen["amount"]))
    # Stones lie on the cells of a lattice along the bed, far ones first, so that any number of them is evenly spread.
    cells = np.sort(rng.permutation(12)[:number])
    for cell in cells:
        row, column = divmod(int(cell), 3)
        depth = 0.24 + 0.21 * row + rng.uniform(-0.03, 0.03)
        y = horizon + depth * (1.02 - horizon)
        centre = float(np.interp(y, ys, middle))
        reach = 0.05 + 0.27 * depth
        x = centre + (column - 1) * 0.62 * reach + rng.uniform(-0.06, 0.06) * reach
        size = 0.2 * reach
        page.oval(x, y + 0.5 * size, 1.7 * size, 0.85 * size, foam)
        page.oval(x, y, 1.3 * size, size, stone)
        page.oval(x - 0.25 * size, y - 0.3 * size, 0.6 * size, 0.35 * size, lighter(stone, 0.4))
