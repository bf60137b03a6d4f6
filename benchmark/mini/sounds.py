"""What the things of the `mini` world sound like: 18 small physical models, all numpy and linear filters.

Each model is a function of the class's two attributes and a generator of random numbers, and returns a dry
mono signal of any scale; `synthesize` puts it into a room, adds background noise and sets the level. What
the attributes do is wide and clean (`world.Attribute.heard`); everything else about a clip is a nuisance:
loudness, timing, noise, room, spectral tilt, and a few per cent of mistuning.

Computation is in float64 and the result lies on the 16-bit grid, so that a clip is the same
on machines whose sines differ in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.signal import lfilter

from benchmark.mini.world import SAMPLE_RATE, SECONDS, Value

Signal = NDArray[np.float64]
Numbers = Sequence[float] | Signal
Attributes = Mapping[str, Value]
Rng = np.random.Generator

SAMPLES = round(SAMPLE_RATE * SECONDS)
"""Samples in a clip: 40,000."""

NYQUIST = SAMPLE_RATE / 2
TIME: Signal = np.arange(SAMPLES) / SAMPLE_RATE
FADES: Signal = np.interp(TIME, [0.0, 0.004, TIME[-1] - 0.03, TIME[-1]], [0.0, 1.0, 1.0, 0.0])
FREQUENCIES: Signal = np.maximum(np.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE), 1.0)
ROOM_SAMPLES = SAMPLES + SAMPLE_RATE // 2
"""Length of the convolution with the room: half a second of tail does not wrap around."""
ROOM_FREQUENCIES: Signal = np.maximum(np.fft.rfftfreq(ROOM_SAMPLES, 1 / SAMPLE_RATE), 1.0)
RUMBLE_FILTER: Signal = 1 / (1 + (20 / ROOM_FREQUENCIES) ** 4)
"""What a microphone passes of the lowest frequencies: half at 20 Hz, nothing of the direct current."""

JITTER = 0.03
"""Largest relative mistuning of a pitch, and of a rate."""


# Helpers: attributes to numbers


def _between(high: float, low: float, at: Value) -> float:
    """`high` at 0, `low` at 1, evenly in octaves between."""
    return high * (low / high) ** float(at)


def _near(value: float, rng: Rng, spread: float = JITTER) -> float:
    return value * (1 + rng.uniform(-spread, spread))


def _pitch(high: float, low: float, attributes: Attributes, rng: Rng) -> float:
    """Frequency in Hz for the clip's size: `high` for the smallest thing, `low` for the largest."""
    return _near(_between(high, low, attributes["size"]), rng)


# Helpers: when things happen


def _moments(count: int, rng: Rng, length: float = 0.5) -> Signal:
    """Starts in s of `count` (1..3) separate events of at most `length` s: always well apart, all within the clip."""
    gap = {1: 0.0, 2: 0.95, 3: 0.72}[count] * rng.uniform(0.92, 1.08)
    starts = gap * np.arange(count) + rng.uniform(-0.03, 0.03, count)
    return starts - starts[0] + rng.uniform(0.06, max(0.12, 0.7 * (SECONDS - length - gap * (count - 1))))


def _regular(rate: float, rng: Rng, jitter: float, start: float = 0.0, stop: float = SECONDS) -> Signal:
    """Times in s from `start` to `stop`, `rate` a second, each late or early by up to `jitter` periods."""
    slots = np.arange(start + rng.uniform(0, 0.5) / rate, stop, 1 / rate)
    return slots + rng.uniform(-jitter, jitter, len(slots)) / rate


def _hits(times: Signal, gains: Signal | float = 1.0) -> Signal:
    """A click of gain `gains` at each of `times` that lies within the clip."""
    places = np.round(times * SAMPLE_RATE).astype(int)
    inside = (places >= 0) & (places < SAMPLES)
    weights = np.broadcast_to(np.asarray(gains, dtype=np.float64), places.shape)[inside]
    return np.bincount(places[inside], weights, SAMPLES).astype(np.float64)  # of no hits at all it counts integers


def _decays(times: Signal, attack: float, tau: float, gains: Signal | float = 1.0) -> Signal:
    """At each time an envelope that rises in about `attack` s and falls with time constant `tau` s."""
    rise, fall = (np.exp(-1 / (seconds * SAMPLE_RATE)) for seconds in (attack / 3, tau))
    return lfilter([1 - rise], [1.0, -(rise + fall), rise * fall], _hits(times, gains))


def _fall(x: Signal, tau: float) -> Signal:
    return lfilter([1.0], [1.0, -np.exp(-1 / (tau * SAMPLE_RATE))], x)


def _notes(starts: Signal, lengths: Signal | float, rise: float = 0.02, fall: float = 0.05) -> Signal:
    """Envelope of notes that do not overlap: up in `rise` s, held, and down over `fall` s."""
    stops = starts + lengths
    corners = np.stack([starts, starts + rise, np.maximum(stops - fall, starts + rise), stops], axis=1).ravel()
    return np.interp(TIME, corners, np.tile([0.0, 1.0, 1.0, 0.0], len(starts)))


def _since(starts: Signal) -> Signal:
    """Seconds since the latest of `starts`; negative before the first."""
    latest = np.searchsorted(starts, TIME, side="right") - 1
    return TIME - starts[np.maximum(latest, 0)]


# Helpers: what vibrates


def _modes(x: Signal, frequencies: Numbers, decays: Numbers, gains: Numbers) -> Signal:
    """`x` through parallel resonators: frequencies in Hz, time constants in s; a click gives `gains` sin(2 pi f t)."""
    total = np.zeros_like(x)
    for frequency, decay, gain in zip(frequencies, decays, gains, strict=True):
        if frequency < 0.96 * NYQUIST:
            angle, radius = 2 * np.pi * frequency / SAMPLE_RATE, np.exp(-1 / (decay * SAMPLE_RATE))
            total += lfilter([0.0, gain * radius * np.sin(angle)], [1.0, -2 * radius * np.cos(angle), radius**2], x)
    return total


def _noise(rng: Rng, low: float, high: float, slope: float = 4.0) -> Signal:
    """Gaussian noise of unit power between `low` and `high` Hz, falling off as f^slope and f^-slope beyond."""
    magnitude = 1 / (1 + (low / FREQUENCIES) ** slope + (FREQUENCIES / high) ** slope)
    noise = irfft(rng.standard_normal(2 * len(magnitude)).view(np.complex128) * magnitude, SAMPLES)
    return noise / np.sqrt(np.mean(noise**2))


def _cycles(frequency: Signal | float) -> Signal:
    """Phase in cycles of an oscillator whose frequency in Hz moves over the clip."""
    return np.cumsum(np.broadcast_to(np.asarray(frequency, dtype=np.float64), TIME.shape)) / SAMPLE_RATE


def _wave(cycles: Signal, partials: Numbers) -> Signal:
    """A periodic wave at the phase `cycles`, with these amplitudes of the first, second, ... sine."""
    steps = 1024
    spectrum = np.zeros(steps // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(partials) + 1] = -0.5j * steps * np.asarray(partials)
    table = irfft(spectrum, steps)
    place = _fraction(cycles) * steps
    index = place.astype(int)
    left = table[index & (steps - 1)]
    return left + (place - index) * (table[(index + 1) & (steps - 1)] - left)


def _fraction(x: Signal) -> Signal:
    """x modulo 1, several times as fast as `%` and as exact."""
    return x - np.floor(x)


def _saw(highest: float, slope: float = 1.0, most: int = 40) -> Signal:
    """Amplitudes k^-slope of as many partials as stay below the Nyquist frequency for a pitch up to `highest` Hz."""
    return np.arange(1.0, max(2, min(most, int(0.9 * NYQUIST / highest)) + 1)) ** -slope


def _wander(rng: Rng, rate: float) -> Signal:
    """A slow random curve of unit spread that turns about `rate` times a second."""
    knots = rng.standard_normal(int(SECONDS * rate) + 3)
    return np.interp(TIME * rate, np.arange(len(knots)), knots)


# The eighteen things


def _church_bell(attributes: Attributes, rng: Rng) -> Signal:
    # Hum, prime, tierce, quint, nominal and above; the prime beats, as no casting is quite round.
    prime = _pitch(900, 230, attributes, rng)
    ratios = np.array([0.5, 1.0, 1.004, 1.19, 1.5, 2.0, 2.51, 3.01, 4.17, 5.43])
    gains = [0.5, 0.6, 0.35, 0.55, 0.25, 0.7, 0.3, 0.3, 0.25, 0.2]
    times = _moments(int(attributes["count"]), rng, 0.9)
    hits = _hits(times, rng.uniform(0.85, 1.0, len(times)))
    return _modes(hits, ratios * prime, 0.55 / ratios**0.6, gains)


def _siren(attributes: Attributes, rng: Rng) -> Signal:
    centre = _pitch(1500, 480, attributes, rng)
    phase = rng.uniform()
    match attributes["colour"]:
        case "red":
            octaves = -0.45 * np.cos(2 * np.pi * (TIME * _near(0.5, rng) + phase))
        case "yellow":
            octaves = 0.24 * np.tanh(18 * np.sin(2 * np.pi * (TIME * _near(1.0, rng) + phase)))
        case _:
            octaves = 0.8 * (_fraction(TIME * _near(4.5, rng) + phase) - 0.5)
            octaves = lfilter([0.01], [1, -0.99], octaves)
    partials = _saw(1.4 * centre, 1.1, 8)
    return _wave(_cycles(centre * 2**octaves), partials) * (1 + 0.05 * _wander(rng, 6))


def _rain(attributes: Attributes, rng: Rng) -> Signal:
    low, high = {"day": (3200, 6500), "sunset": (1000, 2000), "night": (260, 560)}[str(attributes["light"])]
    rate = _between(10, 240, attributes["amount"])
    drops = np.zeros(SAMPLES)
    for pitch in np.geomspace(low, high, 4) * rng.uniform(0.95, 1.05, 4):
        times = rng.uniform(0, SECONDS, rng.poisson(rate / 4 * SECONDS))
        hits = _hits(times, rng.lognormal(0, 0.35, len(times)))
        drops += _modes(hits, [pitch], [16 / pitch + 0.001], [1.0])
    bed = _noise(rng, low, high, 3)
    return drops + bed * _between(0.03, 0.14, attributes["amount"])


def _engine(attributes: Attributes, rng: Rng) -> Signal:
    body = _pitch(800, 190, attributes, rng)
    rate = _near({"red": 84.0, "yellow": 46.0, "blue": 25.0}[str(attributes["colour"])], rng)
    times = _regular(rate, rng, 0.02)
    cylinders = np.resize(rng.uniform(0.7, 1.0, 4), len(times)) * rng.uniform(0.9, 1.1, len(times))
    pulses = lfilter([0.15, 0.15], [1, -0.7], _hits(times, cylinders))
    exhaust = _modes(pulses, [body, 2.35 * body, 4.1 * body], [0.008, 0.004, 0.002], [1.0, 0.45, 0.2])
    hiss = _noise(rng, 1.5 * body, 5000, 2)
    return exhaust + hiss * (0.008 + 0.1 * _fall(pulses, 0.002))


def _bird(attributes: Attributes, rng: Rng) -> Signal:
    pitch = _pitch(5600, 1900, attributes, rng)
    rate = _near({1: 1.7, 2: 4.0, 3: 9.0}[int(attributes["count"])], rng)
    starts = _regular(rate, rng, 0.04, 0.05, SECONDS - 0.5 / rate)
    length = min(0.22, 0.55 / rate)
    within = np.clip(_since(starts) / length, 0, 1)
    sweep = 1.14 - 0.3 * within + 0.12 * np.sin(2 * np.pi * 1.5 * within)
    envelope = _notes(starts, length, 0.15 * length, 0.5 * length)
    return np.sin(2 * np.pi * _cycles(pitch * sweep)) * envelope


def _sea(attributes: Attributes, rng: Rng) -> Signal:
    low, high = {"day": (1800, 6000), "sunset": (500, 1300), "night": (90, 260)}[str(attributes["light"])]
    size = float(attributes["size"])
    period = _near(_between(0.42, 2.2, size), rng)
    rising = 0.35
    phase = _fraction(TIME / period + rng.uniform())
    swell = np.minimum(phase / rising, (1 - phase) / (1 - rising))
    swell *= np.sqrt(swell)
    floor = _between(0.22, 0.05, size)
    surge = lfilter([0.01], [1, -0.99], floor + (1 - floor) * swell * (1 + 0.08 * _wander(rng, 3)))
    undertow = _noise(rng, 0.7 * _between(200, 70, size), _between(200, 70, size))
    return surge * (_noise(rng, low, high, 3) + 0.3 * undertow)


def _alarm_clock(attributes: Attributes, rng: Rng) -> Signal:
    gong = _pitch(2500, 850, attributes, rng)
    rate = _near({"red": 30.0, "yellow": 15.0, "blue": 7.5}[str(attributes["colour"])], rng)
    times = _regular(rate, rng, 0.03, rng.uniform(0.02, 0.15))
    hits = _hits(times, rng.uniform(0.8, 1.0, len(times)))
    ratios = np.array([1.0, 1.48, 2.09, 2.56, 3.37])
    hammer = _decays(times, 0.0003, 0.003) * rng.standard_normal(SAMPLES)
    return _modes(hits, ratios * gong, 0.045 / ratios**0.5, [1.0, 0.7, 0.6, 0.45, 0.3]) + 0.5 * hammer


def _thunder(attributes: Attributes, rng: Rng) -> Signal:
    attack, tau, low, high = {
        "red": (0.04, 0.17, 40.0, 120.0),
        "yellow": (0.012, 0.13, 180.0, 600.0),
        "blue": (0.002, 0.07, 700.0, 5000.0),
    }[str(attributes["colour"])]
    times = _moments(int(attributes["count"]), rng, 0.9)
    gains = rng.uniform(0.8, 1.0, len(times))
    # A bolt is long: its nearer and farther parts arrive one after another, as weaker claps behind the first.
    behind = times[:, None] + np.cumsum(rng.uniform(0.03, 0.08, (len(times), 3)), axis=1)
    echoes = gains[:, None] * rng.uniform(0.15, 0.4, behind.shape)
    bolts = np.concatenate([times, behind.ravel()]), np.concatenate([gains, echoes.ravel()])
    clap = _decays(bolts[0], attack, tau, bolts[1]) * _noise(rng, low, high)
    roll = _decays(times, 0.05, 0.25, gains) * _noise(rng, 30, 90) * (1 + 0.3 * _wander(rng, 12))
    return clap + 0.45 * roll


def _telephone(attributes: Attributes, rng: Rng) -> Signal:
    gong = _pitch(1700, 560, attributes, rng)
    rings = {"red": 1, "yellow": 2, "blue": 3}[str(attributes["colour"])]
    length = {1: 1.75, 2: 0.62, 3: 0.3}[rings]
    gap = {1: 0.0, 2: 0.5, 3: 0.42}[rings]
    first = rng.uniform(0.05, 0.3)
    times = np.concatenate([_regular(24, rng, 0.02, s, s + length) for s in first + (length + gap) * np.arange(rings)])
    times += rng.uniform(-0.002, 0.002, len(times))
    ratios = np.array([1.0, 2.0, 2.98, 4.1])
    left, right = _hits(times[::2]), _hits(times[1::2])
    decays, gains = 0.085 / ratios**0.5, [1.0, 0.5, 0.55, 0.3]
    return _modes(left, ratios * gong, decays, gains) + _modes(right, 1.26 * ratios * gong, decays, gains)


def _helicopter(attributes: Attributes, rng: Rng) -> Signal:
    depth = _pitch(330, 85, attributes, rng)
    rate = _near({"red": 19.0, "yellow": 11.0, "blue": 6.0}[str(attributes["colour"])], rng)
    times = _regular(rate, rng, 0.015)
    blades = np.resize(rng.uniform(0.85, 1.0, 2), len(times))
    thump = _modes(_decays(times, 0.15 / depth, 0.1 / depth, blades), [depth], [2.2 / depth + 0.008], [1.0])
    slap = _decays(times, 0.006, 0.25 / rate, blades) * _noise(rng, 1.5 * depth, 5 * depth, 3)
    whine = _wave(_cycles(_near(3300, rng, 0.1) * (1 + 0.003 * _wander(rng, 4))), [1.0, 0.3])
    return thump / np.max(np.abs(thump)) + 0.1 * slap + 0.02 * whine


def _frog(attributes: Attributes, rng: Rng) -> Signal:
    pitch = _pitch(1500, 420, attributes, rng)
    rate = _near({1: 1.2, 2: 2.6, 3: 5.6}[int(attributes["count"])], rng)
    starts = _regular(rate, rng, 0.05, 0.05, SECONDS - 0.6 / rate)
    envelope = _notes(starts, 0.55 / rate, 0.02, 0.06)
    throat = _hits(_regular(_near(70, rng, 0.1), rng, 0.03))
    return _modes(throat * envelope, [pitch, 1.9 * pitch, 3.1 * pitch], [0.0045, 0.003, 0.002], [1.0, 0.45, 0.2])


def _bee(attributes: Attributes, rng: Rng) -> Signal:
    pitch = _pitch(430, 135, attributes, rng)
    count = int(attributes["count"])
    nearest = _moments(count, rng, 0.6) + 0.25
    away = TIME - nearest[np.argmin(np.abs(TIME[:, None] - nearest), axis=1)]
    envelope = 0.02 + 1 / (1 + (away / 0.11) ** 2) ** 2
    flight = 1 - 0.05 * np.tanh(away / 0.12) + 0.012 * _wander(rng, 9)
    wings = _wave(_cycles(pitch * flight), _saw(1.1 * pitch, 0.8, 24))
    return wings * envelope * (1 + 0.12 * _wander(rng, 30))


def _train_horn(attributes: Attributes, rng: Rng) -> Signal:
    base = _pitch(620, 200, attributes, rng)
    chord = {"red": [1.0], "yellow": [1.0, 1.5], "blue": [1.0, 1.1225, 1.4142]}[str(attributes["colour"])]
    envelope = _notes(np.array([rng.uniform(0.05, 0.3)]), _near(1.8, rng, 0.08), 0.09, 0.18)
    # The pitch sags until the air has its pressure.
    pressure = 0.94 + 0.06 * np.minimum(1, envelope * 1.6)
    partials = _saw(1.5 * base, 0.9, 14)
    horns = [_wave(_cycles(base * r * pressure * _near(1, rng, 0.003)), partials) for r in chord]
    air = 0.03 * _noise(rng, base, 4 * base, 2)
    return envelope * (np.sum(horns, axis=0) / len(chord) + air)


def _wind_chime(attributes: Attributes, rng: Rng) -> Signal:
    lowest = _pitch(2100, 640, attributes, rng)
    rate = _between(1.2, 15, attributes["amount"])
    times = _regular(rate, rng, 0.35, 0.03)
    tube = rng.integers(5, size=len(times))
    gains = rng.uniform(0.5, 1.0, len(times))
    total = np.zeros(SAMPLES)
    for number, ratio in enumerate([1.0, 9 / 8, 5 / 4, 3 / 2, 5 / 3]):
        mine = tube == number
        if mine.any():
            pitch = lowest * ratio
            total += _modes(_hits(times[mine], gains[mine]), [pitch, 2.756 * pitch], [0.28, 0.14], [1.0, 0.5])
    return total


def _dog(attributes: Attributes, rng: Rng) -> Signal:
    pitch = _pitch(720, 230, attributes, rng)
    starts = _moments(int(attributes["count"]), rng, 0.3)
    length = _near(0.17, rng, 0.15)
    within = np.clip(_since(starts) / length, 0, 1)
    opening = np.sin(np.pi * within**0.7)
    envelope = _notes(starts, length, 0.008, 0.11)
    voice = _wave(_cycles(pitch * (0.82 + 0.28 * opening)), _saw(1.2 * pitch, 0.6, 24))
    breath = (voice + 0.5 * rng.standard_normal(SAMPLES)) * envelope
    shut = _modes(breath, [1.6 * pitch, 3.8 * pitch], [0.0012, 0.0008], [1.0, 0.8])
    wide = _modes(breath, [2.4 * pitch, 5.4 * pitch], [0.0012, 0.0008], [1.0, 0.8])
    return 0.15 * breath + 0.1 * (shut * (1 - opening) + wide * opening)


def _owl(attributes: Attributes, rng: Rng) -> Signal:
    pitch = _pitch(950, 300, attributes, rng)
    starts = _moments(int(attributes["count"]), rng, 0.5)
    length = _near(0.42, rng, 0.08)
    within = np.clip(_since(starts) / length, 0, 1)
    envelope = _notes(starts, length, 0.07, 0.16)
    vibrato = 0.012 * np.sin(2 * np.pi * (_near(6.5, rng, 0.15) * TIME + rng.uniform()))
    hoot = _wave(_cycles(pitch * (0.96 + 0.06 * np.sin(np.pi * within) + vibrato)), [1.0, 0.06, 0.02])
    return envelope * (hoot + 0.02 * _noise(rng, pitch, 2 * pitch))


def _fireworks(attributes: Attributes, rng: Rng) -> Signal:
    bangs = _moments(int(attributes["count"]), rng, 0.6)
    colour = attributes["colour"]
    bangs += 0.3 * (colour == "blue") * (len(bangs) < 3) + 0.22 * (colour == "blue")
    since = _since(bangs)
    gains = rng.uniform(0.85, 1.0, len(bangs))
    report = _decays(bangs, 0.0015, 0.035, gains) * _noise(rng, 150, 1500, 2)
    if colour == "red":
        fall = np.maximum(since, 0)
        boom = np.sin(2 * np.pi * (62 * fall + 110 * 0.06 * (1 - np.exp(-fall / 0.06))))
        return 0.4 * report + 1.3 * _decays(bangs, 0.003, 0.13, gains) * boom
    if colour == "yellow":
        sparks = np.concatenate([b + 0.05 + rng.exponential(0.16, 45) for b in bangs])
        crackle = _hits(sparks, rng.lognormal(-0.4, 0.5, len(sparks)))
        return report + 0.9 * _modes(crackle, [3100, 4600, 6300], [0.0012, 0.0008, 0.0006], [1.0, 0.8, 0.6])
    climb = _near(0.34, rng, 0.06)
    within = np.clip(_since(bangs - climb) / climb, 0, 1)
    whistle = _wave(_cycles(1600 + 1900 * within), [1.0, 0.15])
    return report + 0.3 * whistle * _notes(bangs - climb, climb - 0.01, 0.08, 0.03)


def _guitar(attributes: Attributes, rng: Rng) -> Signal:
    base = _pitch(400, 98, attributes, rng)
    rate = _near({"red": 8.0, "yellow": 4.0, "blue": 1.9}[str(attributes["colour"])], rng)
    string = _plucked(rng)
    times = _regular(rate, rng, 0.03, 0.03)
    order = rng.permutation(4)
    total = np.zeros(SAMPLES)
    for number, start in enumerate(times):
        note = base * (1.0, 1.25, 1.5, 2.0)[order[number % 4]]
        first, stop = round(max(0.0, start) * SAMPLE_RATE), min(SAMPLES, round((start + 4 / rate) * SAMPLE_RATE))
        place = np.arange(stop - first) * (note * STRING_STEPS / SAMPLE_RATE)
        total[first:stop] += rng.uniform(0.75, 1.0) * np.interp(place, np.arange(len(string)), string, right=0.0)
    return total + 0.4 * _modes(total, [105, 210], [0.01, 0.008], [0.05, 0.05])


STRING_STEPS = 64
"""Samples a period of the string in `_plucked`."""


def _plucked(rng: Rng) -> Signal:
    """A plucked string, STRING_STEPS samples a period, until it is silent.

    Karplus and Strong's loop in closed form: averaging neighbours once a period multiplies partial k by
    cos(pi k / STRING_STEPS), and a constant loss by 0.994, so period number n is the first one with its
    spectrum multiplied by the n-th power of that.
    """
    k = np.arange(STRING_STEPS // 2 + 1)
    pluck = np.sin(np.pi * k * rng.uniform(0.14, 0.2)) * np.exp(2j * np.pi * rng.uniform(size=len(k)))
    pluck[1:] /= k[1:] ** 0.9
    pluck[[0, -1]] = 0
    loss = 0.994 * np.cos(np.pi * k / STRING_STEPS)
    return irfft(pluck * loss ** np.arange(700)[:, None], STRING_STEPS, axis=1).ravel()


_MODELS: dict[str, Callable[[Attributes, Rng], Signal]] = {
    "church bell ringing": _church_bell,
    "police car (siren)": _siren,
    "raining": _rain,
    "car engine idling": _engine,
    "bird chirping": _bird,
    "sea waves": _sea,
    "alarm clock ringing": _alarm_clock,
    "thunder": _thunder,
    "telephone bell ringing": _telephone,
    "helicopter": _helicopter,
    "frog croaking": _frog,
    "bee buzzing": _bee,
    "train horning": _train_horn,
    "wind chime": _wind_chime,
    "dog barking": _dog,
    "owl hooting": _owl,
    "fireworks banging": _fireworks,
    "playing acoustic guitar": _guitar,
}


# The place and the microphone


def _room(rng: Rng) -> Signal:
    """Impulse response: the direct sound, a few early reflections and a decaying diffuse tail."""
    wet = rng.uniform(0.0, 0.3)
    tail = rng.standard_normal(SAMPLE_RATE // 2) * np.exp(-np.arange(SAMPLE_RATE // 2) / rng.uniform(400, 1300))
    response = wet * tail / np.sqrt(np.sum(tail**2))
    response[rng.integers(60, 700, 4)] += wet * rng.uniform(-0.6, 0.6, 4)
    response[0] = 1.0
    return response


def _recorded(dry: Signal, rng: Rng) -> Signal:
    """`dry` in a room with background noise, through a microphone that tilts the spectrum by up to 1.5 dB an octave."""
    microphone = (ROOM_FREQUENCIES / 1000) ** rng.uniform(-0.25, 0.25) * RUMBLE_FILTER
    sound = rfft(dry, ROOM_SAMPLES) * rfft(_room(rng), ROOM_SAMPLES) * microphone
    # White to pink, and below the sound's power by 20 to 45 dB.
    noise = rng.standard_normal(2 * len(microphone)).view(np.complex128)
    noise *= np.maximum(ROOM_FREQUENCIES, 40.0) ** -rng.uniform(0.0, 0.5) * RUMBLE_FILTER
    below = 10 ** (-rng.uniform(20, 45) / 20) * np.linalg.norm(sound) / np.linalg.norm(noise)
    return irfft(sound + below * noise, ROOM_SAMPLES)[:SAMPLES]


def synthesize(label: str, attributes: Attributes, rng: Rng) -> NDArray[np.float32]:
    """The sound of a thing: 40,000 samples of mono float32 at 16 kHz (2.5 s).

    `attributes` are the class's two (`world.THINGS`); all else is drawn from `rng`: timing, mistuning up to
    3 %, a room, a tilt of the spectrum, white to pink background noise 20 to 45 dB below the clip's power,
    and a peak of -18 to -3 dB of full scale. Values lie in (-1, 1) on the 16-bit grid: round(32767 x) / 32768.
    The result is a pure function of the arguments and the state of `rng`. Raises ValueError for an unknown label.
    """
    if label not in _MODELS:
        raise ValueError(f"unknown label {label!r}: the mini world has {', '.join(_MODELS)}")
    sound = _recorded(_MODELS[label](attributes, rng), rng) * FADES
    sound -= np.mean(sound) / np.mean(FADES) * FADES
    sound *= 10 ** (-rng.uniform(3, 18) / 20) / np.max(np.abs(sound))
    return (np.round(sound * 32767) / 32768).astype(np.float32)
