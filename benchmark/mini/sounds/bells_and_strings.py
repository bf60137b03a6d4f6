"""Bells and strings: what they sound like, dry, at any scale."""

from __future__ import annotations

import numpy as np

from benchmark.mini.sounds import blocks
from benchmark.mini.sounds.blocks import NYQUIST, SAMPLES, Attributes, Rng, Signal
from benchmark.mini.world import SAMPLE_RATE

SCALES = (
    (1.0, 9 / 8, 5 / 4, 3 / 2, 5 / 3),
    (1.0, 6 / 5, 4 / 3, 3 / 2, 9 / 5),
)
"""Tubes of `wind_chime`: pentatonic scales, as ratios to the lowest."""

GRIPS = (
    (0, 7, 12, 16, 19, 24),
    (0, 7, 12, 15, 19, 24),
    (0, 5, 12, 17, 21, 24),
    (0, 7, 10, 16, 19, 22),
)
"""Strings of `guitar`, in semitones above its base."""

PICKINGS = (
    (0, 2, 3, 4, 3, 2),
    (0, 3, 2, 4, 3, 5),
    (0, 2, 4, 5, 4, 2),
    (0, 4, 2, 3),
)
"""Which of those is picked, again and again."""

PROGRESSIONS = (
    ((0, 4, 7), (0, 5, 9)),
    ((0, 3, 7), (0, 5, 8)),
    ((0, 4, 9), (2, 5, 9)),
    ((0, 4, 7), (-1, 2, 7)),
)
"""Pairs of chords of `piano`, in semitones above its base."""


def church_bell(attributes: Attributes, rng: Rng) -> Signal:
    """Return strikes of a bell: its size sets the pitch of the prime, `count` the strikes."""
    prime = blocks.pitch(1050, 400, attributes, rng)
    # Hum, prime, tierce, quint and nominal are tuned by the founder, those above fall where the profile puts them.
    ratios = np.array(
        [0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 3.36, 4.17, 5.06, 5.43, 6.1, 6.8, 7.7, 8.3, 9.3, 10.5]
    )
    gains = np.array([0.5, 0.6, 0.6, 0.25, 0.9, 0.9, 1.0, 1.5, 0.6, 1.2, 0.6, 0.75, 0.6, 0.6, 0.45, 0.45, 0.36, 0.3])
    gains = gains * rng.uniform(0.7, 1.3, len(gains)) * rng.choice([-1.0, 1.0], len(gains))
    partials = prime * ratios * (1 + 0.004 * rng.standard_normal(len(ratios)))
    # No casting is quite round: each partial is a pair that beats.
    split = rng.uniform(0.15, 1.5, len(partials))
    # Light bells lose their energy faster, and every bell its high partials first.
    decay = (500 / prime) ** 0.8 / ratios**0.8
    ring = _ring(
        np.concatenate([partials - split, partials + split]),
        np.tile(decay, 2),
        np.concatenate([0.6 * gains, 0.4 * gains]),
    )
    times = blocks.moments(int(attributes["count"]), rng, 0.9)
    strength = rng.uniform(0.85, 1.0, len(times))
    clapper = blocks.decays(times, 0.0005, 0.006, strength) * rng.standard_normal(SAMPLES)
    clank = blocks.modes(clapper, [1800, 3100, 5200], [0.004, 0.003, 0.002], [0.3, 0.3, 0.3])
    # A belfry is open: some wind is always there.
    return _struck(ring, times, strength) + clank + 0.03 * blocks.noise(rng, 200, 1500, 2)


def alarm_clock(attributes: Attributes, rng: Rng) -> Signal:
    """Return the beeps of a clock: its size sets their pitch, its colour how fast they follow."""
    pitch = blocks.pitch(1165, 473, attributes, rng)
    rate = blocks.near({"red": 4.2, "yellow": 2.3, "blue": 1.25}[str(attributes["colour"])], rng)
    # Its speaker gets a square wave for a low beep (odd partials), and short pulses for a high one (all partials).
    even = float(np.clip((pitch - 730) / 60, 0.0, 1.0))
    k = np.arange(1, int(0.97 * NYQUIST / pitch) + 1)
    partials = np.where(k % 2 == 0, even, 1.0) / k ** rng.uniform(0.1, 0.3)
    on = blocks.fraction(blocks.TIME * rate + rng.uniform()) < rng.uniform(0.46, 0.54)
    beeps = blocks.wave(blocks.cycles(pitch), partials) * blocks.fall(on.astype(np.float64), 0.003)
    # A cheap amplifier hisses.
    return beeps / np.abs(beeps).max() + 0.005 * rng.standard_normal(SAMPLES)


def telephone(attributes: Attributes, rng: Rng) -> Signal:
    """Return the rings of a telephone: its size sets the pitch of its two gongs, its colour how many rings."""
    gong = blocks.pitch(1750, 650, attributes, rng)
    rings = {"red": 1, "yellow": 2, "blue": 3}[str(attributes["colour"])]
    length = {1: 1.75, 2: 0.62, 3: 0.3}[rings]
    gap = {1: 0.0, 2: 0.5, 3: 0.42}[rings]
    first = rng.uniform(0.05, 0.3)
    times = np.concatenate(
        [blocks.regular(24, rng, 0.02, s, s + length) for s in first + (length + gap) * np.arange(rings)]
    )
    times += rng.uniform(-0.002, 0.002, len(times))
    ratios = np.array([1.0, 2.0, 2.98, 4.1])
    left, right = blocks.hits(times[::2]), blocks.hits(times[1::2])
    decays, gains = 0.085 / ratios**0.5, [1.0, 0.5, 0.55, 0.3]
    return blocks.modes(left, ratios * gong, decays, gains) + blocks.modes(right, 1.26 * ratios * gong, decays, gains)


def wind_chime(attributes: Attributes, rng: Rng) -> Signal:
    """Return tubes struck by their clapper in a wind: size sets their pitch, `amount` how often they are struck."""
    lowest = blocks.pitch(3400, 980, attributes, rng)
    times = blocks.regular(blocks.between(1.4, 16, attributes["amount"]), rng, 0.3, 0.03)
    tube = rng.integers(5, size=len(times))
    gains = np.exp(0.3 * rng.standard_normal(len(times)))
    length = rng.uniform(0.12, 0.22)
    total = np.zeros(SAMPLES)
    for number, ratio in enumerate(SCALES[int(rng.integers(len(SCALES)))]):
        mine = tube == number
        if mine.any():
            # A free tube bends at these ratios; its walls are uneven, so that its lowest tone beats.
            modes = lowest * ratio * (1 + 0.006 * rng.standard_normal()) * np.array([1.0, 2.756, 5.404])
            twin = modes[0] * rng.uniform(1.0005, 1.003)
            decay = length / np.sqrt(ratio) * np.array([1.0, 0.2, 0.065, 1.0])
            ring = _ring(np.append(modes, twin), decay, np.array([1.0, 0.8, 0.4, 0.6]))
            total += _struck(ring, times[mine], gains[mine])
    total += 0.1 * blocks.decays(times, 0.0003, 0.003, gains) * rng.standard_normal(SAMPLES)
    # No chime without a wind, which rumbles at any microphone.
    wind = blocks.noise(rng, 80, 500, 2) * (1 + 0.3 * blocks.wander(rng, 2))
    return total / np.abs(total).max() + rng.uniform(0.045, 0.065) * wind


def guitar(attributes: Attributes, rng: Rng) -> Signal:
    """Return a picked guitar: size sets the register of its strings, colour how fast it is picked."""
    base = blocks.pitch(315, 75, attributes, rng)
    rate = blocks.near({"red": 7.0, "yellow": 3.6, "blue": 1.8}[str(attributes["colour"])], rng)
    times = blocks.regular(rate, rng, 0.04, 0.03)
    strength = rng.uniform(0.6, 1.0, len(times))
    strength[::4] *= 1.4
    chord = GRIPS[int(rng.integers(len(GRIPS)))]
    order = PICKINGS[int(rng.integers(len(PICKINGS)))]
    picked = np.resize(order, len(times))
    total = np.zeros(SAMPLES)
    for string in sorted(set(order)):
        ring = _guitar_string(base * 2 ** (chord[string] / 12), rng)
        mine = picked == string
        total += _struck(ring, times[mine], strength[mine])
        # The thumb brushes all strings, one after the other, at the first beat of four.
        brushed = times[::4] + 0.012 * string
        total += _struck(ring, brushed, np.full(len(brushed), 0.5))
    pick = blocks.decays(times, 0.001, 0.012, strength) * rng.standard_normal(SAMPLES)
    box = blocks.modes(pick, [110, 210, 420, 2500], [0.02, 0.012, 0.006, 0.001], [0.05, 0.05, 0.05, 0.2])
    return total / np.abs(total).max() + 0.1 * box


def _guitar_string(pitch: float, rng: Rng) -> Signal:
    """A plucked string, which swings in two planes, of which the one drives the body and so falls faster."""
    k = np.arange(1, min(40, int(0.93 * NYQUIST / pitch)) + 1)
    partials = k * pitch * np.sqrt(1 + 1e-4 * k**2)
    # What the place of the pluck leaves, and the resonances of the air and of the top.
    gains = np.abs(np.sin(np.pi * k * rng.uniform(0.12, 0.22))) / np.sqrt(k) * np.exp(-partials / 3000)
    gains *= 1 + np.exp(-(((partials - 105) / 25) ** 2)) + np.exp(-(((partials - 205) / 40) ** 2))
    gains *= rng.choice([-1.0, 1.0], len(k))
    decay = 0.8 * np.sqrt(200 / pitch) / (1 + (partials / 1000) ** 2)
    twin = partials * (1 + rng.uniform(1e-4, 6e-4, len(k)))
    return _ring(
        np.concatenate([partials, twin]),
        np.concatenate([0.5 * decay, 1.3 * decay]),
        np.concatenate([0.6 * gains, 0.4 * gains]),
    )


def piano(attributes: Attributes, rng: Rng) -> Signal:
    """Return chords on a piano: size sets the register, colour how fast they follow."""
    base = blocks.pitch(440, 82, attributes, rng)
    rate = blocks.near({"red": 6.5, "yellow": 3.3, "blue": 1.6}[str(attributes["colour"])], rng)
    times = blocks.regular(rate, rng, 0.03, 0.03)
    strength = rng.uniform(0.7, 1.0, len(times))
    total = np.zeros(SAMPLES)
    for number, chord in enumerate(PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))]):
        ring = sum((_piano_string(base * 2 ** (step / 12), rng) for step in chord), np.zeros(SAMPLES))
        total += _struck(ring, times[number::2], strength[number::2])
    # The keys' and hammers' wood.
    knock = blocks.decays(times, 0.002, 0.012, strength) * rng.standard_normal(SAMPLES)
    return total + 0.04 * blocks.fall(knock, 0.0005)


def _piano_string(pitch: float, rng: Rng) -> Signal:
    """A hammered string: stiff, so that its partials are sharp, and doubled: it falls fast, then slowly."""
    k = np.arange(1, min(24, int(0.93 * NYQUIST / pitch)) + 1)
    partials = k * pitch * np.sqrt(1 + 3e-4 * (pitch / 260) ** 1.5 * k**2)
    # The felt takes what is above some 2 kHz, and the place of the hammer every eighth partial.
    gains = np.abs(np.sin(np.pi * k / 8.2)) / k**0.7 * np.exp(-partials / 2200)
    decay = 1.2 * (260 / pitch) ** 0.4 / (0.75 + 0.25 * k + (partials / 3000) ** 2)
    twin = partials * (1 + rng.uniform(2e-4, 6e-4, len(k)))
    return _ring(
        np.concatenate([partials, twin]),
        np.concatenate([0.35 * decay, 1.6 * decay]),
        np.concatenate([0.75 * gains, 0.35 * gains]),
    )


def _ring(frequencies: Signal, decays: Signal, gains: Signal) -> Signal:
    """Decaying sines of a strike at 0 s: as e^(a (m + n)) = e^(am) e^(an), a product of two small matrices."""
    heard = frequencies < 0.96 * NYQUIST
    turn = (2j * np.pi * frequencies[heard] - 1 / decays[heard]) / SAMPLE_RATE
    block = 250
    coarse = np.exp(np.outer(np.arange(0, SAMPLES, block), turn)) * (-1j * gains[heard])
    fine = np.exp(np.outer(turn, np.arange(block)))
    return (np.hstack([coarse.real, -coarse.imag]) @ np.vstack([fine.real, fine.imag])).ravel()


def _struck(ring: Signal, times: Signal, gains: Signal) -> Signal:
    """`ring` begun at each of `times`."""
    total = np.zeros(SAMPLES)
    for time, gain in zip(times, gains, strict=True):
        first = max(0, round(time * SAMPLE_RATE))
        total[first:] += gain * ring[: max(0, SAMPLES - first)]
    return total
