"""Water, weather and bangs: what they sound like, dry, at any scale."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmark.mini.sounds import blocks
from benchmark.mini.sounds.blocks import SAMPLES, TIME, Attributes, Rng, Signal
from benchmark.mini.world import SAMPLE_RATE, SECONDS


class _Band(NamedTuple):
    """Noise that fills a band and falls off beyond it (see `blocks.noise`)."""

    low: float
    high: float
    slope: float = 2.0

    def noise(self, rng: Rng) -> Signal:
        # Water and air never leave quite the same spectrum twice.
        return blocks.noise(rng, blocks.near(self.low, rng, 0.06), blocks.near(self.high, rng, 0.06), self.slope)


class _Drops(NamedTuple):
    """Single drops or bubbles over the wash of all those too far away to be told apart."""

    lowest: float
    """Pitch of the largest in Hz."""
    highest: float
    cycles: float
    """Cycles in which one dies away to 1/e."""
    spread: float
    """Of their loudness, in nepers: how unlike they are."""
    wash: _Band
    level: float
    """Of the wash, at `_USUAL_RATE`."""
    growth: float
    """The wash grows as rate^growth: far drops are as many more as the near ones are."""


_USUAL_RATE = 30.0


def rain(attributes: Attributes, rng: Rng) -> Signal:
    """Return rain: drops that hit hard ground one by one, over the hiss of the rest.

    A drop on a hard surface is a click with hardly any ring (a resonance makes it a xylophone); what it falls on
    decides how bright: leaves and panes by day, a felt roof by night.
    """
    light = {
        "day": _Drops(1310, 7600, 2.1, 0.6, _Band(2860, 9000, 2.1), 0.08, 0.28),
        "sunset": _Drops(370, 6000, 0.3, 0.9, _Band(1000, 3800, 2.9), 0.085, 0.54),
        "night": _Drops(106, 5480, 0.32, 0.88, _Band(58, 3470, 2.33), 0.062, 0.39),
    }[str(attributes["light"])]
    return _drops(light, blocks.between(6, 120, attributes["amount"]), rng, 0.0, 0.02)


def stream(attributes: Attributes, rng: Rng) -> Signal:
    """Return a stream: bubbles that ring at their own pitch as they close, over the rush of the water.

    A bubble rings as a damped sine whose frequency goes as 1 / radius (Minnaert) and creeps up as the bubble nears
    the surface; small ones make a splashing brook, large ones a gurgle.
    """
    light = {
        "day": _Drops(826, 6710, 12.0, 0.4, _Band(419, 2900, 1.95), 0.3, 0.44),
        "sunset": _Drops(411, 3060, 6.0, 0.77, _Band(308, 1130, 2.2), 0.28, 0.57),
        "night": _Drops(183, 663, 5.0, 0.9, _Band(135, 756, 0.9), 0.41, 0.28),
    }[str(attributes["light"])]
    return _drops(light, blocks.between(5, 140, attributes["amount"]), rng, 0.18, 0.06)


def _drops(drops: _Drops, rate: float, rng: Rng, rise: float, length: float) -> Signal:
    """Sines of `length` s at random times, `rate` a second, each rising by `rise` over its decay; and their wash."""
    count = round(rate * SECONDS)
    times = rng.uniform(0, SECONDS - length, count)
    pitches = drops.lowest * (drops.highest / drops.lowest) ** rng.uniform(size=count)
    # Loud and soft, near and far; a click may start up or down, so that many do not add to a hum.
    gains = rng.lognormal(0, drops.spread, count) * rng.choice([-1.0, 1.0], count)
    decay = drops.cycles / pitches + 0.0003
    within = np.arange(round(length * SAMPLE_RATE)) / SAMPLE_RATE
    phase = pitches[:, None] * within * (1 + 0.5 * rise * within / decay[:, None])
    rings = gains[:, None] * np.sin(2 * np.pi * phase) * np.exp(-within / decay[:, None])
    places = np.round(times * SAMPLE_RATE).astype(int)[:, None] + np.arange(len(within))
    near = np.bincount(places.ravel(), rings.ravel(), SAMPLES)[:SAMPLES]
    level = blocks.near(drops.level, rng, 0.15) * (rate / _USUAL_RATE) ** drops.growth
    return near + level * drops.wash.noise(rng)


def sea(attributes: Attributes, rng: Rng) -> Signal:
    """Return waves on a beach: the roar swells as a wave rises, and its foam hisses a moment later.

    The roar never stops: waves break all along the beach. A large sea has longer waves and deeper lulls between them.
    """
    roar, foam, level = {
        "day": (_Band(320, 1930, 2.4), _Band(2900, 3500, 2.8), 0.09),
        "sunset": (_Band(180, 720, 2.4), _Band(630, 660, 1.9), 0.35),
        "night": (_Band(55, 160, 2.7), _Band(225, 250, 1.14), 0.23),
    }[str(attributes["light"])]
    size = float(attributes["size"])
    phase = TIME / blocks.near(blocks.between(0.8, 2.6, size), rng) + rng.uniform()
    # No two waves are alike; a wave that is late stays so.
    phase += 0.03 * blocks.wander(rng, 1.0)
    lull = blocks.between(0.54, 0.14, size)
    swell, behind = (lull + (1 - lull) * _surge(blocks.fraction(phase - late)) for late in (0.0, 0.08))
    return swell * roar.noise(rng) + blocks.near(level, rng, 0.2) * behind * foam.noise(rng)


def _surge(phase: Signal) -> Signal:
    """A wave's loudness over its period, 0 ... 1: it rises faster than it runs out."""
    line = np.minimum(phase / 0.4, (1 - phase) / 0.6)
    return line**2 * (3 - 2 * line)


def thunder(attributes: Attributes, rng: Rng) -> Signal:
    """Return claps of thunder, each a broken roar over a deep roll.

    A bolt is kilometres long, so its parts arrive one after another as a train of uneven claps; air swallows the high
    frequencies on the way, so that a near bolt cracks and a far one only rumbles.
    """
    clap, attack, tau, gap, roll, rolling, level = {
        "red": (_Band(54, 100, 2.9), 0.066, 0.117, 0.07, _Band(41, 198, 2.4), 0.238, 1.5),
        "yellow": (_Band(92, 520, 3.0), 0.0175, 0.16, 0.08, _Band(54, 205, 3.3), 0.24, 0.16),
        "blue": (_Band(136, 1100, 3.8), 0.0028, 0.16, 0.057, _Band(97, 350, 4.0), 0.24, 0.45),
    }[str(attributes["colour"])]
    times = blocks.moments(int(attributes["count"]), rng, 0.9)
    gains = rng.uniform(0.8, 1.0, len(times))
    later = times[:, None] + np.cumsum(rng.exponential(gap, (len(times), 6)), axis=1)
    weaker = gains[:, None] * rng.uniform(0.2, 0.8, later.shape)
    times, gains = np.concatenate([times, later.ravel()]), np.concatenate([gains, weaker.ravel()])
    near = _loudest_one(blocks.decays(times, attack, tau, gains) * clap.noise(rng))
    uneven = 1 + 0.3 * blocks.wander(rng, 10)
    far = _loudest_one(blocks.decays(times, 0.08, rolling, gains) * roll.noise(rng) * uneven)
    return near + blocks.near(level, rng, 0.15) * far


def fireworks(attributes: Attributes, rng: Rng) -> Signal:
    """Return fireworks: bangs with an echo and stray pops; deep shells, crackling stars or whistling rockets.

    A shell's bang is one sharp pulse of pressure, far shorter than thunder's train of claps; red shells are large and
    deep, yellow ones break into crackling stars, and blue ones come up with a breathy whistle.
    """
    colour = str(attributes["colour"])
    bang, tau, echo, lasting, level = {
        "red": (_Band(46, 340, 1.3), 0.12, _Band(46, 200), 0.13, 0.14),
        "yellow": (_Band(270, 1200, 2.0), 0.06, _Band(270, 500), 0.18, 0.05),
        "blue": (_Band(200, 450, 1.7), 0.073, _Band(200, 880), 0.17, 0.06),
    }[colour]
    pops, many, spread, brief, loud = {
        "red": (_Band(83, 700), 10, 0.3, 0.01, 0.2),
        "yellow": (_Band(1700, 6500), 42, 0.18, 0.0025, 0.75),
        "blue": (_Band(300, 430), 9, 0.22, 0.006, 0.2),
    }[colour]
    count = int(attributes["count"])
    bangs = blocks.moments(count, rng, 0.6)
    if colour == "blue":
        bangs += 0.22 + 0.3 * (count < 3)  # room for the first rocket's climb
    gains = rng.uniform(0.85, 1.0, count)
    stray = np.concatenate([b + 0.03 + rng.exponential(spread, many) for b in bangs])
    total = _loudest_one(blocks.decays(bangs, 0.0015, tau, gains) * bang.noise(rng))
    total += level * _loudest_one(blocks.decays(bangs, 0.01, lasting, gains) * echo.noise(rng))
    sizes = rng.lognormal(0, 0.5, len(stray))
    total += loud * _loudest_one(blocks.decays(stray, 0.0006, brief, sizes) * pops.noise(rng))
    return total + 0.17 * _rockets(bangs, rng) if colour == "blue" else total


def _rockets(bangs: Signal, rng: Rng) -> Signal:
    """The whistle of each rocket up to its bang: a rising note that flutters, in the hiss of its burning powder."""
    climb = blocks.near(0.34, rng, 0.06)
    within = np.clip(blocks.since(bangs - climb) / climb, 0, 1)
    pitch = blocks.near(1400, rng, 0.08) + blocks.near(1900, rng, 0.1) * within
    whistle = blocks.wave(blocks.cycles(pitch * (1 + 0.02 * blocks.wander(rng, 60))), [1.0])
    return blocks.notes(bangs - climb, climb - 0.01, 0.08, 0.03) * (whistle + 0.7 * blocks.noise(rng, 1500, 5000, 2))


def _loudest_one(x: Signal) -> Signal:
    return x / np.max(np.abs(x))
