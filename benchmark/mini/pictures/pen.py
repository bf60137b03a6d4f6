"""Colours, and the frames in which things are drawn.

Shapes are flat, bold polygons, painted at `OVERSAMPLING` times the final size and averaged down. Every thing is drawn
in a frame of its own (x to the right, y down, about -1 ... 1) which the scene places on the page; the page itself is a
frame with (0, 0) in the upper left and (1, 1) in the lower right corner.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from PIL import ImageDraw

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
    """Return `colour` with `share` of a dark blue in it."""
    return mix(colour, (12, 12, 32), share)


def lighter(colour: Colour, share: float = 0.5) -> Colour:
    """Return `colour` with `share` of white in it."""
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
        """Fill a rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse of these radii."""
        self.polygon(_CIRCLE * (rx, ry) + (x, y), colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
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
        """Draw an eye that looks to the right."""
        self.disc(x, y, radius, white)
        self.disc(x + 0.15 * radius, y + 0.05 * radius, 0.6 * radius, pupil)


def mirrored(right_half: Sequence[Point]) -> list[Point]:
    """The closed outline whose right half, from top to bottom, is given."""
    return [*right_half, *((-x, y) for x, y in reversed(right_half))]
