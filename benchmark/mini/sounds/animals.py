"""Animals: what they sound like, dry, at any scale.

A voice is a source, breath through vocal folds or a rattling throat, and a mouth that resonates. Living sources are
never quite periodic: pitch and loudness waver from cycle to cycle, and air hisses along.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, rfft

from benchmark.mini.sounds import blocks
from benchmark.mini.sounds.blocks import SAMPLES, TIME, Attributes, Numbers, Rng, Signal
from benchmark.mini.world import SAMPLE_RATE, SECONDS

_HOP = 128
_FFT = 4 * _HOP
_WINDOW: Signal = np.sin(np.pi * np.arange(0.0, 2 * _HOP) / (2 * _HOP)) ** 2
_BINS: Signal = np.arange(0.0, _FFT // 2 + 1) * (SAMPLE_RATE / _FFT)


def bird(attributes: Attributes, rng: Rng) -> Signal:
    """Return chirps that glide down, the pitch by size and the pace by count."""
    pitch = blocks.pitch(5600, 1900, attributes, rng)
    rate = blocks.near({1: 1.7, 2: 4.0, 3: 9.0}[int(attributes["count"])], rng)
    starts = blocks.regular(rate, rng, 0.04, 0.05, SECONDS - 0.5 / rate)
    length = min(0.22, 0.55 / rate)
    within = np.clip(blocks.since(starts) / length, 0, 1)
    sweep = 1.14 - 0.3 * within + 0.12 * np.sin(2 * np.pi * 1.5 * within)
    envelope = blocks.notes(starts, length, 0.15 * length, 0.5 * length)
    return np.sin(2 * np.pi * blocks.cycles(pitch * sweep)) * envelope


def cricket(attributes: Attributes, rng: Rng) -> Signal:
    """Return chirps of a few short pulses each, the pitch by size and the chirps' pace by count."""
    pitch = blocks.pitch(7000, 2830, attributes, rng)
    count = int(attributes["count"])
    rate = blocks.near({1: 1.7, 2: 3.5, 3: 7.0}[count], rng)
    # A pulse is one closing stroke of the wings; a fast singer has time for fewer strokes a chirp.
    strokes, gap = {1: 5, 2: 4, 3: 3}[count], blocks.near(0.0215, rng, 0.1)
    length = 0.6 * gap
    chirps = blocks.regular(rate, rng, 0.03, 0.03, SECONDS - strokes * gap - 0.05)
    pulses = (chirps[:, None] + gap * np.arange(strokes)).ravel()
    swell = _course(chirps, strokes * gap, [0, 0.5, 1], [0.5, 1.0, 0.9])
    # The wing rings at its own frequency and falls a little within a stroke; the scraped teeth make it rough.
    sweep = 1.015 - 0.03 * np.clip(blocks.since(pulses) / length, 0, 1) + 0.004 * blocks.wander(rng, 60)
    teeth = 1 + 0.14 * blocks.wander(rng, 1500)
    song = blocks.wave(blocks.cycles(pitch * sweep), [1.0, 0.011])
    # Others of its kind, far off in the meadow: so many that only a narrow hiss is left of them.
    meadow = blocks.noise(rng, 0.97 * pitch, 1.03 * pitch, 60) * (1 + 0.3 * blocks.wander(rng, 40))
    return song * teeth * blocks.notes(pulses, length, 0.005, 0.007) * swell + 0.03 * meadow


def bee(attributes: Attributes, rng: Rng) -> Signal:
    """Return the hum of wings that come near and go away, the pitch by size and the number of fly-bys by count."""
    pitch = blocks.pitch(450, 180, attributes, rng)
    nearest = blocks.moments(int(attributes["count"]), rng, 0.6) + 0.25
    away = TIME - nearest[np.searchsorted((nearest[1:] + nearest[:-1]) / 2, TIME)]
    # Faint between the fly-bys, not silent: a bee does not stop its wings.
    envelope = 0.115 + 1 / (1 + (away / 0.23) ** 2)
    # Doppler's fall as it passes, turns of the flight, and wing beats never alike: air tosses a light insect most.
    unlike = 0.021 - 0.012 * float(attributes["size"])
    flight = 1 - 0.025 * np.tanh(away / 0.12) + unlike * blocks.wander(rng, 44) + 0.0063 * blocks.wander(rng, 9.5)
    beats = blocks.cycles(pitch * flight)
    # A wing beat is a sharp push of air, hence the many partials, and a gust of noise in time with it.
    gusts = blocks.noise(rng, 300, 5000, 2) * (0.5 + 0.5 * np.sin(2 * np.pi * beats))
    wings = blocks.wave(beats, blocks.saw(1.1 * pitch, 0.28, 30)) + 0.22 * gusts
    return wings * envelope * (1 + 0.07 * blocks.wander(rng, 68))


def dog(attributes: Attributes, rng: Rng) -> Signal:
    """Return barks, the pitch by size and their number by count."""
    pitch = blocks.pitch(900, 360, attributes, rng)
    starts = blocks.moments(int(attributes["count"]), rng, 0.35)
    length = blocks.near(0.225, rng, 0.15)
    envelope = _course(starts, length, [0, 0.08, 0.35, 0.7, 1], [0, 0.9, 1, 0.35, 0])
    # A bark is forced: the folds jump about and beat at half their rate, and much air escapes between them.
    sweep = _course(starts, length, [0, 0.3, 1], [0.75, 1.1, 0.8]) * (1 + 0.05 * blocks.wander(rng, 250))
    folds = blocks.cycles(pitch * sweep)
    voice = blocks.wave(folds, blocks.saw(1.2 * pitch, 0.5, 24)) * (1 + 0.34 * np.sin(np.pi * folds))
    breath = (voice + 0.6 * rng.standard_normal(SAMPLES)) * envelope
    # The jaw snaps open and shut; a large dog has a long throat.
    size = 2 ** (0.5 - float(attributes["size"]))
    jaw = size * _course(starts, length, [0, 0.35, 1], [0.7, 1.15, 0.7])
    return _mouth(breath, [775 * jaw, 1700 * jaw, 2650 * size], [420, 590, 850])


def cat(attributes: Attributes, rng: Rng) -> Signal:
    """Return meows, the pitch by size and their number by count."""
    pitch = blocks.pitch(1250, 500, attributes, rng)
    starts = blocks.moments(int(attributes["count"]), rng, 0.6)
    length = blocks.near(0.52, rng, 0.08)
    envelope = _course(starts, length, [0, 0.08, 0.3, 0.6, 1], [0, 0.6, 1, 0.7, 0])
    sweep = _course(starts, length, [0, 0.15, 0.36, 0.7, 1], [0.88, 1.0, 1.08, 0.98, 0.88])
    sweep = sweep * (1 + 0.0015 * blocks.wander(rng, 40) + 0.01 * blocks.wander(rng, 8))
    voice = blocks.wave(blocks.cycles(pitch * sweep), blocks.saw(1.1 * pitch, 0.42, 24))
    breath = (voice + 0.03 * rng.standard_normal(SAMPLES)) * envelope * (1 + 0.1 * blocks.wander(rng, 40))
    # From "mi" by "a" to "ow": the mouth opens wide and closes slowly.
    tract = blocks.near(2 ** (0.04 - 0.08 * float(attributes["size"])), rng, 0.05)
    vowels = [0, 0.35, 0.6, 1]
    first = tract * _course(starts, length, vowels, [785, 1800, 1800, 640])
    second = tract * _course(starts, length, vowels, [2900, 2470, 2470, 1110])
    return _mouth(breath, [first, second, tract * 2895], [155, 235, 390])


def owl(attributes: Attributes, rng: Rng) -> Signal:
    """Return hoots, the pitch by size and their number by count."""
    pitch = blocks.pitch(640, 250, attributes, rng)
    starts = blocks.moments(int(attributes["count"]), rng, 0.5)
    length = blocks.near(0.42, rng, 0.1)
    envelope = _course(starts, length, [0, 0.19, 0.6, 1], [0, 0.8, 1, 0])
    # The closed beak leaves little but the fundamental; a hoot starts from below and wavers with the breath.
    sweep = _course(starts, length, [0, 0.19, 0.6, 1], [0.74, 1.0, 1.01, 0.91]) + 0.02 * blocks.wander(rng, 20)
    hoot = blocks.wave(blocks.cycles(pitch * sweep), [1.0, 0.116, 0.03]) * (1 + 0.04 * blocks.wander(rng, 60))
    return envelope * (hoot + 0.022 * blocks.noise(rng, 0.57 * pitch, 2.5 * pitch, 3))


def frog(attributes: Attributes, rng: Rng) -> Signal:
    """Return croaks of rattling pulses, the pitch by size and the croaks' pace by count."""
    pitch = blocks.pitch(1600, 540, attributes, rng)
    rate = blocks.near({1: 0.95, 2: 1.9, 3: 3.8}[int(attributes["count"])], rng)
    length = min(0.34, 0.7 / rate)
    starts = blocks.regular(rate, rng, 0.05, 0.05, SECONDS - length - 0.03)
    envelope = _course(starts, length, [0, 0.15, 0.7, 1], [0, 0.6, 1, 0])
    # Each opening of the throat lets out a click and a puff of turbulent air; the puffs keep it from sounding plucked.
    times = blocks.regular(blocks.near(45, rng, 0.15), rng, 0.03)
    puffs = blocks.decays(times, 0.001, 0.0057, rng.uniform(0.7, 1.3, len(times))) * rng.standard_normal(SAMPLES)
    throat = 1.12 * puffs + 3 * blocks.hits(times, rng.uniform(0.7, 1.3, len(times)))
    return blocks.modes(throat * envelope, [pitch, 1.8 * pitch, 3 * pitch], [0.004, 0.0024, 0.0016], [1.0, 0.5, 0.3])


def _course(starts: Signal, length: float, parts: Numbers, values: Numbers) -> Signal:
    """`values` at these parts of each event of `length` s, straight between, and the last one until the next event."""
    return np.interp(blocks.since(starts) / length, parts, values)


def _mouth(source: Signal, centres: list[Signal | float], widths: list[float]) -> Signal:
    """`source` through resonances in a row whose centres in Hz may move: short frames, each with a filter of its own.

    The mouth radiates the better the higher the frequency, hence the factor f.
    """
    padded = np.concatenate([np.zeros(_HOP), source, np.zeros(3 * _HOP)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * _HOP)[::_HOP]
    sounding = np.flatnonzero(np.abs(frames).max(axis=1))
    middles = np.minimum(sounding * _HOP, SAMPLES - 1)
    spectrum = rfft(frames[sounding] * _WINDOW, _FFT, axis=1) * (1j * _BINS)
    for centre, width in zip(centres, widths, strict=True):
        squares = np.square(np.broadcast_to(centre, source.shape)[middles])[:, None]
        spectrum /= 1 + (1j * width * _BINS - _BINS**2) / squares
    filtered = irfft(spectrum, _FFT, axis=1).reshape(len(sounding), -1, _HOP)
    total = np.zeros((len(frames) + filtered.shape[1], _HOP))
    for block in range(filtered.shape[1]):
        total[sounding + block] += filtered[:, block]
    return total.ravel()[_HOP : _HOP + SAMPLES]
