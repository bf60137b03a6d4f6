"""Sirens, horns and engines: what they sound like, dry, at any scale."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, rfft
from scipy.signal import lfilter

from benchmark.mini.sounds import blocks
from benchmark.mini.sounds.blocks import TIME, Attributes, Rng, Signal
from benchmark.mini.world import SAMPLE_RATE

# Sirens and horns


def police_siren(attributes: Attributes, rng: Rng) -> Signal:
    """Return an electronic siren: one tone that sweeps slowly (red), faster (yellow) or as a yelp (blue)."""
    centre = blocks.pitch(1500, 510, attributes, rng)
    rate = blocks.near({"red": 0.5, "yellow": 1.3, "blue": 4.5}[str(attributes["colour"])], rng, 0.06)
    turn = blocks.fraction(TIME * rate + rng.uniform())
    rising = rng.uniform(0.75, 0.85) if attributes["colour"] == "blue" else rng.uniform(0.5, 0.65)
    # The sweep comes of a capacitor's charge and discharge: fast at first, then ever slower.
    up = (1 - np.exp(-2 * turn / rising)) / (1 - np.exp(-2))
    down = (np.exp(-2 * (turn - rising) / (1 - rising)) - np.exp(-2)) / (1 - np.exp(-2))
    octaves = rng.uniform(0.7, 0.85) * (np.where(turn < rising, up, down) - 0.5)
    sweep = blocks.cycles(centre * np.exp2(_smooth(octaves, 0.006)))
    tone = _level(blocks.wave(sweep, blocks.saw(1.4 * centre, 1.4, 8)))
    return _in_street(tone * (1 + 0.06 * blocks.wander(rng, 6)), rng) + 0.05 * blocks.noise(rng, 80, 600, 1)


def ambulance_siren(attributes: Attributes, rng: Rng) -> Signal:
    """Return horns that take turns, without a sweep: two of them slowly (red) or fast (yellow), or three (blue)."""
    low = blocks.pitch(1100, 380, attributes, rng)
    step = np.log2(rng.uniform(1.3, 1.5))
    tones, each = [0.0, 1.0], 0.62
    match attributes["colour"]:
        case "yellow":
            each = 0.21
        case "blue":
            tones, each = [0.0, 0.5, 1.0], 0.25
    turn = (TIME / blocks.near(each, rng, 0.06) + rng.uniform(0, len(tones))).astype(int) % len(tones)
    slide = 0.1 * each**0.5
    octaves = _smooth(_smooth(step * np.asarray(tones)[turn], slide), slide)
    # The horns share one valve, so that each needs a moment of breath to speak.
    breath = 1 - 0.3 * np.minimum(1, blocks.fall(np.abs(np.diff(turn, prepend=turn[0])), 0.02))
    pitch = low * np.exp2(octaves) * (1 + 0.002 * blocks.wander(rng, 9))
    horn = _level(blocks.wave(blocks.cycles(pitch), blocks.saw(1.4 * low, 1.5, 10)))
    blown = breath * (horn + 0.1 * blocks.noise(rng, low, 5 * low, 1)) * (1 + 0.06 * blocks.wander(rng, 6))
    return _in_street(blown, rng) + 0.1 * blocks.noise(rng, 80, 600, 1)


def train_horn(attributes: Attributes, rng: Rng) -> Signal:
    """Return a long blast of a locomotive's horns: one note (red), a fifth (yellow) or a dissonant chord (blue)."""
    base = blocks.pitch(580, 195, attributes, rng)
    chord = {"red": [1.0, 1.0], "yellow": [1.0, 1.5], "blue": [1.0, 1.1225, 1.4142, 1.682]}[str(attributes["colour"])]
    blast = blocks.notes(np.array([rng.uniform(0.05, 0.2)]), blocks.near(1.9, rng, 0.08), 0.14, 0.45)
    # The pitch sags until the air has its pressure, and again as it runs out.
    pressure = 0.9 + 0.1 * np.minimum(1, blast * 1.6)
    # The train comes and passes, so that the whole glides down a little.
    passing = np.exp2(np.linspace(0.5, -0.5, len(TIME)) * rng.uniform(0.2, 0.9) / 12)
    course = blocks.cycles(pressure * passing * (1 + 0.003 * blocks.wander(rng, 9)))
    # No two horns are in perfect tune or of one strength.
    notes = base * np.asarray(chord) * rng.uniform(0.997, 1.003, len(chord))
    horns = np.zeros_like(TIME)
    for note in notes:
        tone = blocks.wave(note * course + rng.uniform(), _brassy(note, 0.9, 20, rng))
        horns += rng.uniform(0.7, 1.0) * tone
    air = blocks.noise(rng, base, 6 * base, 1)
    rumble = blocks.noise(rng, 80, 500, 1)
    return blast * (_level(horns) + 0.37 * air) + 0.12 * rumble


# Engines


def car_engine(attributes: Attributes, rng: Rng) -> Signal:
    """Return an even four-cylinder engine that idles, at high (red), middle (yellow) or low (blue) revolutions."""
    body = blocks.pitch(880, 260, attributes, rng)
    rate = blocks.near({"red": 90.0, "yellow": 58.0, "blue": 37.0}[str(attributes["colour"])], rng)
    times = _firings(rate * (1 + 0.01 * blocks.wander(rng, 8)), rng, 0.02)
    cylinders = np.resize(rng.uniform(0.75, 1.0, 4), len(times)) * rng.uniform(0.85, 1.15, len(times))
    exhaust = _exhaust(blocks.hits(times, cylinders), body, 1.4, 0.6, 0.6)
    # The engine's machinery whirs on between the firings, which only colour it, and its valves tick.
    firing = blocks.decays(times, 0.2 / rate, 0.3 / rate, cylinders)
    whir = blocks.noise(rng, 0.75 * body, 4 * body, 1) * (0.7 + 0.3 * firing / np.mean(firing))
    valves = blocks.hits(times + rng.uniform(0.2, 0.4) / rate, rng.uniform(0.3, 1.0, len(times)))
    ticks = blocks.modes(valves, [2300, 3700, 5200], [0.003, 0.002, 0.001], [1.0, 0.8, 0.5])
    return exhaust + 0.5 * whir + rng.uniform(0.2, 0.3) * _level(ticks)


def motorcycle(attributes: Attributes, rng: Rng) -> Signal:
    """Return an uneven twin with a twisted throttle, at high (red), middle (yellow) or low (blue) revolutions."""
    body = blocks.pitch(950, 250, attributes, rng)
    rate = blocks.near({"red": 96.0, "yellow": 60.0, "blue": 37.0}[str(attributes["colour"])], rng)
    throttle = _throttle(rng)
    times = _firings(rate * np.exp2(0.7 * (throttle - 0.5) + 0.012 * blocks.wander(rng, 15)), rng, 0.05)
    # The two cylinders of a V fire at uneven angles, and the second stroke is the weaker one: what makes it gallop.
    times[1::2] += rng.uniform(0.12, 0.24) / rate
    opened = np.interp(times, TIME, 0.55 + 0.45 * throttle)
    strokes = np.resize([1.0, rng.uniform(0.2, 0.32)], len(times)) * rng.uniform(0.8, 1.2, len(times)) * opened
    exhaust = _exhaust(blocks.hits(times, strokes), body, 2.6, 0.8, 0.5)
    firing = blocks.decays(times, 0.2 / rate, 0.3 / rate, strokes)
    hiss = blocks.noise(rng, 0.4 * body, 3 * body, 1.5)
    return exhaust + 0.18 * hiss * (0.2 + 0.8 * firing / np.mean(firing))


def helicopter(attributes: Attributes, rng: Rng) -> Signal:
    """Return air chopped by a rotor, the thump deep or high, its blades fast (red), middle (yellow) or slow (blue)."""
    depth = blocks.pitch(700, 180, attributes, rng)
    rate = blocks.near({"red": 26.0, "yellow": 17.5, "blue": 12.0}[str(attributes["colour"])], rng)
    times = blocks.regular(rate, rng, 0.02)
    blades = np.resize(rng.uniform(0.75, 1.0, 2), len(times)) * rng.uniform(0.9, 1.1, len(times))
    chop = blocks.decays(times, 0.3 / rate, 0.35 / rate, blades)
    thump = blocks.modes(blocks.hits(times, blades), [0.35 * depth, depth], [0.03, 2 / depth], [1.0, 0.7])
    downwash = blocks.noise(rng, 60, depth, 1.25) * (0.5 + 0.5 * chop / np.mean(chop))
    turbine = blocks.noise(rng, 300, 3500, 1)
    whine = blocks.wave(blocks.cycles(blocks.near(2800, rng, 0.2) * (1 + 0.003 * blocks.wander(rng, 4))), [1.0, 0.3])
    return downwash + 0.4 * _level(thump) + 0.15 * turbine + 0.04 * whine


# What they are made of


def _level(x: Signal) -> Signal:
    """`x` at unit power, so that it can be mixed with noise."""
    return x / np.sqrt(np.mean(x**2))


def _smooth(x: Signal, seconds: float) -> Signal:
    """`x` without its jumps."""
    pole = np.exp(-1 / (seconds * SAMPLE_RATE))
    return lfilter([1 - pole], [1, -pole], x, zi=[pole * x[0]])[0]


def _in_street(x: Signal, rng: Rng) -> Signal:
    """`x` with what comes back from house fronts, by which one tells that it is loud and out of doors."""
    length, padded = round(0.5 * SAMPLE_RATE), 48_600  # the sum of both lengths is less, and such lengths are fast
    # Fronts return neither the lowest tones, being too small for them, nor the highest, being too rough.
    diffuse = lfilter([1.0, -1.0], [1.0, -1.22, 0.276], rng.standard_normal(length))
    echoes = diffuse * np.exp(-TIME[:length] / 0.15)
    tail = irfft(rfft(x, padded) * rfft(echoes, padded), padded)[: len(x)]
    return x + tail * 0.5 / np.sqrt(np.sum(echoes**2))


def _brassy(note: float, slope: float, most: int, rng: Rng) -> Signal:
    """Partials of a blown metal horn: no bell radiates low notes well, and none radiates all partials alike."""
    partials = blocks.saw(1.2 * note, slope, most)
    frequencies = note * np.arange(1, len(partials) + 1)
    bell = (1 + 1.5 / (1 + (np.log2(frequencies / 1800) / 0.6) ** 2)) / (1 + (300 / frequencies) ** 2)
    return partials * bell * rng.uniform(0.85, 1.0, len(partials))


def _firings(rate: Signal, rng: Rng, jitter: float) -> Signal:
    """Times in s of an engine's firings, `rate` a second, each late or early by up to `jitter` periods."""
    turns = blocks.cycles(rate) + rng.uniform()
    times = np.interp(np.arange(1, int(turns[-1]) + 1), turns, TIME)
    return times + rng.uniform(-jitter, jitter, len(times)) / np.interp(times, TIME, rate)


def _exhaust(firings: Signal, body: float, ring: float, dull: float, low: float) -> Signal:
    """Clicks of combustion, dulled as the gas expands, through the resonances of pipe and body, at unit power.

    Args:
        firings: The clicks.
        body: The main resonance in Hz.
        ring: For how many of its periods it rings.
        dull: Pole of the gas's low-pass filter.
        low: Gain of the resonance below the main one.
    """
    pulses = lfilter([1 - dull], [1, -dull], firings)
    frequencies = body * np.array([0.35, 1.0, 2.2, 3.9])
    times = ring / body * np.array([1.0, 1.0, 0.5, 0.25])
    return _level(blocks.modes(pulses, frequencies, times, [low, 1.0, 0.5, 0.3]))


def _throttle(rng: Rng) -> Signal:
    """Two twists of the throttle, 0 shut to 1 open; revolutions follow with the inertia of the flywheel."""
    opening, closing = rng.uniform(0.15, 0.35), rng.uniform(0.4, 0.7)
    throttle = np.zeros_like(TIME)
    for start in (rng.uniform(0.05, 0.5), rng.uniform(0.95, 1.35)):
        corners = start + np.cumsum([0, opening, 0.1, closing])
        throttle = np.maximum(throttle, np.interp(TIME, corners, [0.0, 1.0, 1.0, 0.0]))
    return _smooth(throttle, 0.03)
