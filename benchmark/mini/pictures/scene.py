"""Scenes: backdrops, skies, and where on the page things stand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmark.mini.pictures.pen import Colour, Frame, Point, Seen, hsv, mix

HUES = {"red": 0.0, "yellow": 0.135, "blue": 0.605}

_SKIES: dict[str, tuple[Colour, Colour]] = {
    "day": ((104, 184, 246), (206, 236, 252)),
    "sunset": ((224, 84, 84), (255, 190, 84)),
    "night": ((12, 16, 52), (44, 52, 108)),
}


def coat(seen: Seen, rng: np.random.Generator) -> Colour:
    """The colour of the thing itself, saturated, a little off the pure hue."""
    hue = HUES[str(seen["colour"])] + rng.uniform(-0.016, 0.016)
    return hsv(hue, rng.uniform(0.82, 0.95), rng.uniform(0.86, 0.98))


def chance(rng: np.random.Generator) -> bool:
    """Toss a coin."""
    return bool(rng.uniform() < 0.5)


def gradient(page: Frame, top: Colour, bottom: Colour, until: float = 1.0) -> None:
    """Paint the page from its top down to `until` in a gradient of two colours."""
    steps = 48
    for step in range(steps):
        page.pen.rectangle(
            (0, page.pixels * until * step / steps, page.pixels, page.pixels * until * (step + 1) / steps),
            fill=mix(top, bottom, step / (steps - 1)),
        )


def backdrop(page: Frame, rng: np.random.Generator, horizon: float | None = None) -> None:
    """A soft pastel sky, and below `horizon` (share of the page from the top) a band of dull ground."""
    hue = rng.uniform()
    gradient(
        page,
        hsv(hue, rng.uniform(0.08, 0.22), rng.uniform(0.88, 0.97)),
        hsv(hue + rng.uniform(-0.15, 0.15), rng.uniform(0.05, 0.18), rng.uniform(0.88, 0.98)),
    )
    if horizon is not None:
        page.box(0, horizon, 1, 1, hsv(rng.uniform(0.06, 0.4), rng.uniform(0.18, 0.42), rng.uniform(0.55, 0.72)))


def sky(page: Frame, rng: np.random.Generator, light: str, until: float = 1.0) -> None:
    """Paint the sky of a light, slightly tinted."""
    top, bottom = _SKIES[light]
    tint = hsv(rng.uniform(), 0.4, 0.6)
    gradient(page, mix(top, tint, 0.1), mix(bottom, tint, 0.1), until)


def stars(page: Frame, rng: np.random.Generator, number: int, until: float) -> None:
    """Paint stars between the top of the page and `until`."""
    for x, y in rng.uniform((0.03, 0.03), (0.97, until), (number, 2)):
        page.disc(x, y, 0.014, (222, 226, 246))


def width_of(seen: Seen) -> float:
    """Return the width of a thing of the clip's size, as a share of the page."""
    return 0.35 + 0.55 * float(seen["size"])


PLACES: dict[int, tuple[tuple[Point, ...], ...]] = {
    1: (((0.5, 0.5),),),
    2: (((0.26, 0.4), (0.74, 0.6)), ((0.26, 0.6), (0.74, 0.4)), ((0.26, 0.5), (0.74, 0.5))),
    3: (((0.26, 0.27), (0.74, 0.27), (0.5, 0.73)), ((0.5, 0.27), (0.26, 0.73), (0.74, 0.73))),
}
_CROWDED = {1: (0.35, 0.9), 2: (0.25, 0.46), 3: (0.24, 0.43)}
"""Number of things -> the width of each at size 0 and at size 1."""


def scatter(
    page: Frame, rng: np.random.Generator, seen: Seen, height: float = 1.0, swing: float = 0.0, flips: bool = True
) -> list[Frame]:
    """Frames for the `count` things, which are 2 units wide and 2 * `height` units high, far ones first."""
    count = int(seen["count"])
    least, most = _CROWDED[count]
    width = least + (most - least) * float(seen["size"])
    places = PLACES[count][int(rng.integers(len(PLACES[count])))]
    room = max(0.0, (0.94 - width) / 2) if count == 1 else 0.03
    rise = max(0.0, (0.94 - width * height) / 2) if count == 1 else 0.03
    flip = flips and chance(rng)
    frames = []
    for x, y in places:
        dx, dy = rng.uniform(-0.7, 0.7, 2) * (room, rise)
        scale = width / 2 * rng.uniform(0.95, 1.0)
        frames.append(page.at(x + dx, y + dy, scale, flip, rng.uniform(-swing, swing)))
    return frames


def single(page: Frame, rng: np.random.Generator, seen: Seen, top: float, bottom: float, flips: bool = True) -> Frame:
    """A frame for one thing which spans x = -1 ... 1 and y = `top` ... `bottom`, anywhere it is wholly seen."""
    width = width_of(seen)
    scale = width / 2
    x = 0.5 + rng.uniform(-0.35, 0.35) * (0.94 - width)
    high, low = 0.04 - top * scale, 0.96 - bottom * scale
    y = (high + low) / 2 + rng.uniform(-0.35, 0.35) * max(0.0, low - high)
    return page.at(x, y, scale, flips and chance(rng))


def standing(page: Frame, rng: np.random.Generator, seen: Seen, top: float, bottom: float) -> Frame:
    """Like `single`, on a ground whose edge runs a little above the thing's foot."""
    frame = single(page, rng, seen, top, bottom)
    foot = max(frame.y + bottom * frame.scale, 0.62 + 0.2 * rng.uniform())
    backdrop(page, rng, foot - rng.uniform(0.03, 0.09))
    return page.at(frame.x, foot - bottom * frame.scale, frame.scale, frame.flip)


def airy(page: Frame, rng: np.random.Generator) -> None:
    """Paint a backdrop, mostly with some ground."""
    backdrop(page, rng, rng.uniform(0.76, 0.92) if rng.uniform() < 0.75 else None)


def puffs(frame: Frame, puffs: Iterable[tuple[float, float, float]], colour: Colour) -> None:
    """Draw discs of one colour: smoke, cloud."""
    for x, y, radius in puffs:
        frame.disc(x, y, radius, colour)
