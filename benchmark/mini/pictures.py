"""The pictures of the `mini` suite: `draw` paints one clip of `world` from its label and attributes.

Shapes are flat, bold polygons, painted at `OVERSAMPLING` times the final size and averaged down. Every thing is
drawn in a frame of its own (x to the right, y down, about -1 ... 1) which the scene places on the page; the page
itself is a frame with (0, 0) in the upper left and (1, 1) in the lower right corner.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from benchmark.mini.world import PICTURE_SIZE, Value

OVERSAMPLING = 4
THINNEST = 1.5 / PICTURE_SIZE
"""Least width of a stroke, as a share of the page: what is thinner is lost in a small autoencoder."""

Colour = tuple[int, int, int]
Point = tuple[float, float]
Seen = Mapping[str, Value]

INK: Colour = (34, 34, 44)
WHITE: Colour = (250, 250, 250)
GLASS: Colour = (196, 230, 246)
STEEL: Colour = (120, 126, 140)

_HUES = {"red": 0.0, "yellow": 0.135, "blue": 0.605}
_TURN = np.linspace(0.0, 2.0 * pi, 36, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB in 0 ... 255 of a hue, saturation and value in [0, 1]; the hue wraps round."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with `share` of `other` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.35) -> Colour:
    return mix(colour, (12, 12, 32), share)


def lighter(colour: Colour, share: float = 0.5) -> Colour:
    return mix(colour, (255, 255, 255), share)


@dataclass(frozen=True)
class Frame:
    """Where coordinates land on the canvas: turned by `turn` radians, scaled and moved; all in shares of the page."""

    pen: ImageDraw.ImageDraw
    pixels: int
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    flip: bool = False
    turn: float = 0.0

    def at(self, x: float, y: float, scale: float, flip: bool = False, turn: float = 0.0) -> Frame:
        """A frame on the same page with its origin at (x, y) of the page and a unit of `scale` page widths."""
        return Frame(self.pen, self.pixels, x, y, scale, flip, turn)

    def _land(self, points: Sequence[Point] | np.ndarray) -> list[float]:
        placed = np.array(points, dtype=np.float64)
        if self.turn:
            c, s = cos(self.turn), sin(self.turn)
            placed = placed @ np.array([[c, s], [-s, c]])
        placed *= [-self.scale if self.flip else self.scale, self.scale]
        placed += [self.x, self.y]
        placed *= self.pixels
        return placed.ravel().tolist()

    def polygon(self, points: Sequence[Point] | np.ndarray, colour: Colour, rounds: int = 0) -> None:
        """A filled polygon; each of `rounds` cuts every corner at a quarter of its edges, three make a smooth blob."""
        corners = np.array(points, dtype=np.float64)
        for _ in range(rounds):
            following = np.roll(corners, -1, axis=0)
            cut = np.stack([0.75 * corners + 0.25 * following, 0.25 * corners + 0.75 * following], axis=1)
            corners = cut.reshape(-1, 2)
        self.pen.polygon(self._land(corners), fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        self.polygon(_CIRCLE * (rx, ry) + (x, y), colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self.oval(x, y, radius, radius, colour)

    def arch(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """The upper half of an oval."""
        self.polygon(_CIRCLE[18:] * (rx, ry) + (x, y), colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """A stroke with round ends, `width` units wide but never thinner than `THINNEST`."""
        pixels = max(width * self.scale, THINNEST) * self.pixels
        flat = self._land(points)
        self.pen.line(flat, fill=colour, width=round(pixels), joint="curve")
        half = pixels / 2
        for x, y in (flat[:2], flat[-2:]):
            self.pen.ellipse((x - half, y - half, x + half, y + half), fill=colour)

    def eye(self, x: float, y: float, radius: float, pupil: Colour = INK, white: Colour = WHITE) -> None:
        self.disc(x, y, radius, white)
        self.disc(x + 0.15 * radius, y + 0.05 * radius, 0.6 * radius, pupil)


def mirrored(right_half: Sequence[Point]) -> list[Point]:
    """The closed outline whose right half, from top to bottom, is given."""
    return [*right_half, *((-x, y) for x, y in reversed(right_half))]


# --- what the attributes and the nuisances become ---------------------------------------------------------------------


def _coat(seen: Seen, rng: np.random.Generator) -> Colour:
    """The colour of the thing itself, saturated, a little off the pure hue."""
    hue = _HUES[str(seen["colour"])] + rng.uniform(-0.016, 0.016)
    return hsv(hue, rng.uniform(0.82, 0.95), rng.uniform(0.86, 0.98))


def _chance(rng: np.random.Generator) -> bool:
    return bool(rng.uniform() < 0.5)


def _gradient(page: Frame, top: Colour, bottom: Colour, until: float = 1.0) -> None:
    steps = 48
    for step in range(steps):
        page.pen.rectangle(
            (0, page.pixels * until * step / steps, page.pixels, page.pixels * until * (step + 1) / steps),
            fill=mix(top, bottom, step / (steps - 1)),
        )


def backdrop(page: Frame, rng: np.random.Generator, horizon: float | None = None) -> None:
    """A soft pastel sky, and below `horizon` (share of the page from the top) a band of dull ground."""
    hue = rng.uniform()
    _gradient(
        page,
        hsv(hue, rng.uniform(0.08, 0.22), rng.uniform(0.88, 0.97)),
        hsv(hue + rng.uniform(-0.15, 0.15), rng.uniform(0.05, 0.18), rng.uniform(0.88, 0.98)),
    )
    if horizon is not None:
        page.box(0, horizon, 1, 1, hsv(rng.uniform(0.06, 0.4), rng.uniform(0.18, 0.42), rng.uniform(0.55, 0.72)))


_SKIES: dict[str, tuple[Colour, Colour]] = {
    "day": ((104, 184, 246), (206, 236, 252)),
    "sunset": ((224, 84, 84), (255, 190, 84)),
    "night": ((12, 16, 52), (44, 52, 108)),
}


def _sky(page: Frame, rng: np.random.Generator, light: str, until: float = 1.0) -> None:
    top, bottom = _SKIES[light]
    tint = hsv(rng.uniform(), 0.4, 0.6)
    _gradient(page, mix(top, tint, 0.1), mix(bottom, tint, 0.1), until)


def _stars(page: Frame, rng: np.random.Generator, number: int, until: float) -> None:
    for x, y in rng.uniform((0.03, 0.03), (0.97, until), (number, 2)):
        page.disc(x, y, 0.014, (222, 226, 246))


def _width(seen: Seen) -> float:
    return 0.35 + 0.55 * float(seen["size"])


_PLACES: dict[int, tuple[tuple[Point, ...], ...]] = {
    1: (((0.5, 0.5),),),
    2: (((0.26, 0.4), (0.74, 0.6)), ((0.26, 0.6), (0.74, 0.4)), ((0.26, 0.5), (0.74, 0.5))),
    3: (((0.26, 0.27), (0.74, 0.27), (0.5, 0.73)), ((0.5, 0.27), (0.26, 0.73), (0.74, 0.73))),
}
_CROWDED = {1: (0.35, 0.9), 2: (0.25, 0.46), 3: (0.24, 0.43)}
"""Number of things -> the width of each at size 0 and at size 1."""


def _scatter(
    page: Frame, rng: np.random.Generator, seen: Seen, height: float = 1.0, swing: float = 0.0, flips: bool = True
) -> list[Frame]:
    """Frames for the `count` things, which are 2 units wide and 2 * `height` units high, far ones first."""
    count = int(seen["count"])
    least, most = _CROWDED[count]
    width = least + (most - least) * float(seen["size"])
    places = _PLACES[count][int(rng.integers(len(_PLACES[count])))]
    room = max(0.0, (0.94 - width) / 2) if count == 1 else 0.03
    rise = max(0.0, (0.94 - width * height) / 2) if count == 1 else 0.03
    flip = flips and _chance(rng)
    frames = []
    for x, y in places:
        dx, dy = rng.uniform(-0.7, 0.7, 2) * (room, rise)
        scale = width / 2 * rng.uniform(0.95, 1.0)
        frames.append(page.at(x + dx, y + dy, scale, flip, rng.uniform(-swing, swing)))
    return frames


def _single(page: Frame, rng: np.random.Generator, seen: Seen, top: float, bottom: float, flips: bool = True) -> Frame:
    """A frame for one thing which spans x = -1 ... 1 and y = `top` ... `bottom`, anywhere it is wholly seen."""
    width = _width(seen)
    scale = width / 2
    x = 0.5 + rng.uniform(-0.35, 0.35) * (0.94 - width)
    high, low = 0.04 - top * scale, 0.96 - bottom * scale
    y = (high + low) / 2 + rng.uniform(-0.35, 0.35) * max(0.0, low - high)
    return page.at(x, y, scale, flips and _chance(rng))


def _standing(page: Frame, rng: np.random.Generator, seen: Seen, top: float, bottom: float) -> Frame:
    """Like `_single`, on a ground whose edge runs a little above the thing's foot."""
    frame = _single(page, rng, seen, top, bottom)
    foot = max(frame.y + bottom * frame.scale, 0.62 + 0.2 * rng.uniform())
    backdrop(page, rng, foot - rng.uniform(0.03, 0.09))
    return page.at(frame.x, foot - bottom * frame.scale, frame.scale, frame.flip)


def _airy(page: Frame, rng: np.random.Generator) -> None:
    backdrop(page, rng, rng.uniform(0.76, 0.92) if rng.uniform() < 0.75 else None)


def _puffs(frame: Frame, puffs: Iterable[tuple[float, float, float]], colour: Colour) -> None:
    for x, y, radius in puffs:
        frame.disc(x, y, radius, colour)


# --- the things -------------------------------------------------------------------------------------------------------


def _bell(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    _airy(page, rng)
    bronze = hsv(rng.uniform(0.09, 0.125), rng.uniform(0.7, 0.85), rng.uniform(0.78, 0.9))
    for bell in _scatter(page, rng, seen, swing=0.22):
        bell.box(-0.6, -1.0, 0.6, -0.8, (104, 66, 40))
        bell.disc(0, 0.78, 0.22, darker(bronze, 0.6))
        profile = [(0.1, -0.86), (0.42, -0.82), (0.52, -0.5), (0.56, 0.0), (0.66, 0.34), (0.9, 0.56)]
        bell.polygon(mirrored(profile), bronze, rounds=2)
        bell.box(-0.92, 0.5, 0.92, 0.72, darker(bronze, 0.3))
        bell.line([(-0.28, -0.5), (-0.32, 0.1)], 0.14, lighter(bronze, 0.5))


def _wheels(car: Frame, xs: Iterable[float], y: float, radius: float) -> None:
    for x in xs:
        car.disc(x, y, radius, INK)
        car.disc(x, y, 0.48 * radius, (206, 208, 214))


def _police_car(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    car = _standing(page, rng, seen, -1.14, 0.63)
    colour = _coat(seen, rng)
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


def _car(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    car = _standing(page, rng, seen, -0.55, 0.64)
    colour = _coat(seen, rng)
    _puffs(car, [(-1.12, 0.3, 0.13), (-1.28, 0.2, 0.15)], (150, 150, 156))
    car.polygon([(-0.86, 0.05), (-0.62, -0.62), (0.32, -0.62), (0.66, 0.05)], colour, rounds=1)
    car.polygon([(-0.62, 0.0), (-0.48, -0.4), (-0.14, -0.4), (-0.14, 0.0)], GLASS)
    car.polygon([(0.0, 0.0), (0.0, -0.4), (0.24, -0.4), (0.46, 0.0)], GLASS)
    car.polygon([(-1.0, -0.1), (0.9, -0.06), (1.05, 0.1), (1.05, 0.44), (-1.0, 0.44)], colour, rounds=1)
    car.box(-0.98, 0.32, 1.0, 0.44, darker(colour, 0.4))
    car.disc(0.88, 0.12, 0.12, (255, 244, 190))
    _wheels(car, (-0.54, 0.56), 0.4, 0.26)


def _rain(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    light = str(seen["light"])
    _sky(page, rng, light)
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
    _puffs(page, puffs, grey)
    page.box(x - 0.3, 0.18, x + 0.3, 0.32, grey)


def _bird(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    _airy(page, rng)
    hue = rng.uniform(0.5, 0.56)
    coat = hsv(hue, rng.uniform(0.6, 0.75), rng.uniform(0.7, 0.82))
    for bird in _scatter(page, rng, seen, swing=0.12):
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


def _waves(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    light, size = str(seen["light"]), float(seen["size"])
    sea = 0.56 + rng.uniform(-0.02, 0.02)
    _sky(page, rng, light, sea + 0.2)
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


def _alarm_clock(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    clock = _standing(page, rng, seen, -1.05, 1.05)
    colour = _coat(seen, rng)
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


def _thunder(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    hue = rng.uniform(0.6, 0.8)
    _gradient(page, hsv(hue, 0.3, 0.22), hsv(hue, 0.25, 0.38))
    page.box(0, rng.uniform(0.88, 0.94), 1, 1, hsv(rng.uniform(0.1, 0.4), 0.3, 0.18))
    count, colour = int(seen["count"]), lighter(_coat(seen, rng), 0.18)
    flip = _chance(rng)
    for place in range(count):
        x = 0.5 + (place - (count - 1) / 2) * 0.31 + rng.uniform(-0.03, 0.03)
        bolt = page.at(x, 0.57 + rng.uniform(-0.03, 0.03), rng.uniform(0.3, 0.34), flip)
        outline = [(-0.1, -1.0), (0.36, -1.0), (0.12, -0.32), (0.4, -0.32), (-0.26, 1.0), (-0.04, 0.04), (-0.36, 0.04)]
        bolt.polygon(outline, colour)
    cloud = hsv(hue, 0.16, rng.uniform(0.5, 0.6))
    for x in (0.0, 0.25, 0.5, 0.75, 1.0):
        page.disc(x + rng.uniform(-0.03, 0.03), rng.uniform(0.1, 0.16), rng.uniform(0.13, 0.17), cloud)
    page.box(0, 0, 1, 0.14, cloud)
    _puffs(page, [(x, 0.02, 0.15) for x in (0.12, 0.42, 0.7, 0.95)], darker(cloud, 0.25))


def _telephone(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    phone = _standing(page, rng, seen, -0.8, 0.78)
    colour = _coat(seen, rng)
    dark = darker(colour, 0.3)
    for side in (-1, 1):
        phone.box(0.26 * side - 0.1, -0.4, 0.26 * side + 0.1, 0.0, INK)
    phone.polygon(mirrored([(0.4, -0.24), (0.6, 0.1), (0.9, 0.56), (0.9, 0.78)]), colour, rounds=1)
    phone.disc(0, 0.26, 0.36, WHITE)
    phone.disc(0, 0.26, 0.15, INK)
    handset = [(0.5, -0.86), (1.0, -0.62), (1.02, -0.12), (0.62, -0.1), (0.56, -0.46), (0.2, -0.54)]
    phone.polygon(mirrored(handset), dark, rounds=2)


def _helicopter(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    _airy(page, rng)
    craft = _single(page, rng, seen, -0.6, 0.62)
    colour = _coat(seen, rng)
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


def _frog(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    backdrop(page, rng)
    water = hsv(rng.uniform(0.5, 0.56), rng.uniform(0.3, 0.42), rng.uniform(0.72, 0.82))
    page.box(0, rng.uniform(0.16, 0.34), 1, 1, water)
    coat = hsv(rng.uniform(0.28, 0.34), rng.uniform(0.65, 0.8), rng.uniform(0.68, 0.8))
    for frog in _scatter(page, rng, seen, height=0.9, flips=False):
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


def _bee(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    _airy(page, rng)
    amber = hsv(rng.uniform(0.125, 0.145), 0.9, rng.uniform(0.92, 1.0))
    for bee in _scatter(page, rng, seen, height=0.9, swing=0.2):
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


def _train(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    train = _standing(page, rng, seen, -1.12, 0.84)
    colour = _coat(seen, rng)
    drift = rng.uniform(0.05, 0.15)
    _puffs(train, [(0.5, -0.86, 0.14), (0.5 - drift * 2, -0.98, 0.18), (0.5 - drift * 5, -1.04, 0.2)], (176, 176, 184))
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


def _wind_chime(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    _airy(page, rng)
    number = round(3 + 5 * float(seen["amount"]))
    chime = _single(page, rng, seen, -1.0, 1.0, flips=False)
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


def _dog(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    backdrop(page, rng, rng.uniform(0.3, 0.6))
    coat = hsv(rng.uniform(0.055, 0.085), rng.uniform(0.5, 0.65), rng.uniform(0.62, 0.78))
    dark = darker(coat, 0.5)
    for dog in _scatter(page, rng, seen, height=0.95):
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


def _owl(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    _sky(page, rng, "night")
    _stars(page, rng, 6, 0.9)
    moon = (0.84 if _chance(rng) else 0.16) + rng.uniform(-0.04, 0.04)
    page.disc(moon, rng.uniform(0.12, 0.18), 0.13, (250, 240, 190))
    coat = hsv(rng.uniform(0.06, 0.09), rng.uniform(0.45, 0.6), rng.uniform(0.58, 0.7))
    for owl in _scatter(page, rng, seen, flips=False):
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


def _fireworks(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    _sky(page, rng, "night")
    colour, count = lighter(_coat(seen, rng), 0.15), int(seen["count"])
    bright = lighter(colour, 0.25)
    radius = {1: 0.34, 2: 0.22, 3: 0.18}[count]
    for x, y in _PLACES[count][int(rng.integers(len(_PLACES[count])))]:
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


def _guitar(page: Frame, seen: Seen, rng: np.random.Generator) -> None:
    _airy(page, rng)
    width, colour = _width(seen), _coat(seen, rng)
    x, y = 0.5 + rng.uniform(-0.35, 0.35, 2) * (0.94 - width)
    guitar = page.at(x, y, 0.46 * width, _chance(rng), pi / 4 + rng.uniform(-0.1, 0.1))
    wood = hsv(0.07, 0.55, 0.36)
    body = [(0.22, -0.2), (0.5, -0.06), (0.36, 0.28), (0.66, 0.54), (0.66, 1.0), (0.2, 1.14)]
    guitar.polygon(mirrored(body), darker(colour, 0.45), rounds=3)
    guitar.polygon(mirrored([(0.87 * x, 0.05 + 0.9 * y) for x, y in body]), colour, rounds=3)
    guitar.box(-0.1, -1.18, 0.1, 0.28, wood)
    guitar.polygon(mirrored([(0.12, -1.48), (0.2, -1.42), (0.16, -1.1)]), darker(wood, 0.4))
    guitar.disc(0, 0.3, 0.23, INK)
    guitar.box(-0.26, 0.7, 0.26, 0.82, wood)
    guitar.line([(0, -1.07), (0, 0.74)], 0.03, (236, 226, 200))


_DRAWERS: dict[str, Callable[[Frame, Seen, np.random.Generator], None]] = {
    "church bell ringing": _bell,
    "police car (siren)": _police_car,
    "raining": _rain,
    "car engine idling": _car,
    "bird chirping": _bird,
    "sea waves": _waves,
    "alarm clock ringing": _alarm_clock,
    "thunder": _thunder,
    "telephone bell ringing": _telephone,
    "helicopter": _helicopter,
    "frog croaking": _frog,
    "bee buzzing": _bee,
    "train horning": _train,
    "wind chime": _wind_chime,
    "dog barking": _dog,
    "owl hooting": _owl,
    "fireworks banging": _fireworks,
    "playing acoustic guitar": _guitar,
}


def draw(label: str, attributes: Mapping[str, Value], rng: np.random.Generator, size: int = PICTURE_SIZE) -> np.ndarray:
    """Paint the thing `label` with `attributes` (the two of `world.THING_OF[label]`).

    `rng` draws what the sound knows nothing of: backdrop, place, hue jitter, pose, brightness. The picture is a pure
    function of the arguments and the state of `rng`.

    Returns uint8 (size, size, 3), RGB. Raises ValueError for a label that is no thing of the world.
    """
    drawer = _DRAWERS.get(label)
    if drawer is None:
        raise ValueError(f"no thing of the mini world is called {label!r}; there are: {', '.join(_DRAWERS)}")
    canvas = Image.new("RGB", (size * OVERSAMPLING, size * OVERSAMPLING))
    drawer(Frame(ImageDraw.Draw(canvas), size * OVERSAMPLING), attributes, rng)
    pixels = np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32)
    return np.clip(np.rint(pixels * rng.uniform(0.93, 1.03)), 0, 255).astype(np.uint8)
