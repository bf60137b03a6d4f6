"""Building blocks of the world's sounds: attributes as numbers, when things happen, and what vibrates.

Everything is numpy and linear filters, in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft
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
FREQUENCIES: Signal = np.maximum(np.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE), 1.0)

JITTER = 0.03
"""Largest relative mistuning of a pitch, and of a rate."""


# Attributes to numbers


def between(high: float, low: float, at: Value) -> float:
    """`high` at 0, `low` at 1, evenly in octaves between."""
    return high * (low / high) ** float(at)


def near(value: float, rng: Rng, spread: float = JITTER) -> float:
    """Return `value`, off by at most the share `spread`."""
    return value * (1 + rng.uniform(-spread, spread))


def pitch(high: float, low: float, attributes: Attributes, rng: Rng) -> float:
    """Frequency in Hz for the clip's size: `high` for the smallest thing, `low` for the largest."""
    return near(between(high, low, attributes["size"]), rng)


# When things happen


def moments(count: int, rng: Rng, length: float = 0.5) -> Signal:
    """Starts in s of `count` (1..3) separate events of at most `length` s: always well apart, all within the clip."""
    gap = {1: 0.0, 2: 0.95, 3: 0.72}[count] * rng.uniform(0.92, 1.08)
    starts = gap * np.arange(count) + rng.uniform(-0.03, 0.03, count)
    return starts - starts[0] + rng.uniform(0.06, max(0.12, 0.7 * (SECONDS - length - gap * (count - 1))))


def regular(rate: float, rng: Rng, jitter: float, start: float = 0.0, stop: float = SECONDS) -> Signal:
    """Times in s from `start` to `stop`, `rate` a second, each late or early by up to `jitter` periods."""
    slots = np.arange(start + rng.uniform(0, 0.5) / rate, stop, 1 / rate)
    return slots + rng.uniform(-jitter, jitter, len(slots)) / rate


def hits(times: Signal, gains: Signal | float = 1.0) -> Signal:
    """A click of gain `gains` at each of `times` that lies within the clip."""
    places = np.round(times * SAMPLE_RATE).astype(int)
    inside = (places >= 0) & (places < SAMPLES)
    weights = np.broadcast_to(np.asarray(gains, dtype=np.float64), places.shape)[inside]
    return np.bincount(places[inside], weights, SAMPLES).astype(np.float64)  # of no hits at all it counts integers


def decays(times: Signal, attack: float, tau: float, gains: Signal | float = 1.0) -> Signal:
    """At each time an envelope that rises in about `attack` s and falls with time constant `tau` s."""
    rise, fall = (np.exp(-1 / (seconds * SAMPLE_RATE)) for seconds in (attack / 3, tau))
    return lfilter([1 - rise], [1.0, -(rise + fall), rise * fall], hits(times, gains))


def fall(x: Signal, tau: float) -> Signal:
    """Return `x` with every sample followed by an exponential fall of time constant `tau` s."""
    return lfilter([1.0], [1.0, -np.exp(-1 / (tau * SAMPLE_RATE))], x)


def notes(starts: Signal, lengths: Signal | float, rise: float = 0.02, fall: float = 0.05) -> Signal:
    """Envelope of notes that do not overlap: up in `rise` s, held, and down over `fall` s."""
    stops = starts + lengths
    corners = np.stack([starts, starts + rise, np.maximum(stops - fall, starts + rise), stops], axis=1).ravel()
    return np.interp(TIME, corners, np.tile([0.0, 1.0, 1.0, 0.0], len(starts)))


def since(starts: Signal) -> Signal:
    """Seconds since the latest of `starts`; negative before the first."""
    latest = np.searchsorted(starts, TIME, side="right") - 1
    return TIME - starts[np.maximum(latest, 0)]


# What vibrates


def modes(x: Signal, frequencies: Numbers, decays: Numbers, gains: Numbers) -> Signal:
    """`x` through parallel resonators: frequencies in Hz, time constants in s; a click gives `gains` sin(2 pi f t)."""
    total = np.zeros_like(x)
    for frequency, decay, gain in zip(frequencies, decays, gains, strict=True):
        if frequency < 0.96 * NYQUIST:
            angle, radius = 2 * np.pi * frequency / SAMPLE_RATE, np.exp(-1 / (decay * SAMPLE_RATE))
            total += lfilter([0.0, gain * radius * np.sin(angle)], [1.0, -2 * radius * np.cos(angle), radius**2], x)
    return total


def noise(rng: Rng, low: float, high: float, slope: float = 4.0) -> Signal:
    """Gaussian noise of unit power between `low` and `high` Hz, falling off as f^slope and f^-slope beyond."""
    magnitude = 1 / (1 + (low / FREQUENCIES) ** slope + (FREQUENCIES / high) ** slope)
    noise = irfft(rng.standard_normal(2 * len(magnitude)).view(np.complex128) * magnitude, SAMPLES)
    return noise / np.sqrt(np.mean(noise**2))


def cycles(frequency: Signal | float) -> Signal:
    """Phase in cycles of an oscillator whose frequency in Hz moves over the clip."""
    return np.cumsum(np.broadcast_to(np.asarray(frequency, dtype=np.float64), TIME.shape)) / SAMPLE_RATE


def wave(cycles: Signal, partials: Numbers) -> Signal:
    """A periodic wave at the phase `cycles`, with these amplitudes of the first, second, ... sine."""
    steps = 1024
    spectrum = np.zeros(steps // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(partials) + 1] = -0.5j * steps * np.asarray(partials)
    table = irfft(spectrum, steps)
    place = fraction(cycles) * steps
    index = place.astype(int)
    left = table[index & (steps - 1)]
    return left + (place - index) * (table[(index + 1) & (steps - 1)] - left)


def fraction(x: Signal) -> Signal:
    """X modulo 1, several times as fast as `%` and as exact."""
    return x - np.floor(x)


def saw(highest: float, slope: float = 1.0, most: int = 40) -> Signal:
    """Amplitudes k^-slope of as many partials as stay below the Nyquist frequency for a pitch up to `highest` Hz."""
    return np.arange(1.0, max(2, min(most, int(0.9 * NYQUIST / highest)) + 1)) ** -slope


def wander(rng: Rng, rate: float) -> Signal:
    """A slow random curve of unit spread that turns about `rate` times a second."""
    knots = rng.standard_normal(int(SECONDS * rate) + 3)
    return np.interp(TIME * rate, np.arange(len(knots)), knots)
