"""The sounds of the mini world: their form, and that the attributes can be measured in them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from benchmark.mini.sounds import SAMPLES, synthesize
from benchmark.mini.world import LABELS, SAMPLE_RATE, THING_OF, Value

EXTREMES: dict[str, tuple[Value, ...]] = {
    "size": (0.0, 1.0),
    "amount": (0.0, 1.0),
    "count": (1, 2, 3),
    "colour": ("red", "yellow", "blue"),
    "light": ("day", "sunset", "night"),
}


def sound(label: str, seed: int = 0, **attributes: Value) -> np.ndarray:
    return synthesize(label, attributes, np.random.default_rng(seed)).astype(np.float64)


def spectrum(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE), np.abs(np.fft.rfft(x)) ** 2


def centroid(x: np.ndarray) -> float:
    """Power-weighted geometric mean frequency in Hz, above 30 Hz."""
    f, power = spectrum(x)
    power = power * (f > 30)
    return float(np.exp(np.sum(power * np.log(np.maximum(f, 1))) / np.sum(power)))


def fundamental(x: np.ndarray) -> float:
    """The pitch in Hz around the loudest moment, by the first high peak of the autocorrelation."""
    loudest = int(np.argmax(np.convolve(x**2, np.ones(1600), "same")))
    window = x[max(0, loudest - 2048) : loudest + 2048]
    autocorrelation = np.fft.irfft(spectrum(np.pad(window * np.hanning(len(window)), (0, 8192)))[1])
    lags = np.arange(SAMPLE_RATE // 2000, SAMPLE_RATE // 80)
    heights = autocorrelation[lags]
    inner = (heights[1:-1] >= heights[:-2]) & (heights[1:-1] >= heights[2:]) & (heights[1:-1] > 0.8 * heights.max())
    return SAMPLE_RATE / float(lags[1:-1][inner][0])


def loudness(x: np.ndarray, seconds: float) -> np.ndarray:
    """RMS in a sliding window, 200 values a second."""
    window = np.hanning(round(SAMPLE_RATE * seconds))
    return np.sqrt(np.convolve(x**2, window / window.sum(), "same")[::80])


def bumps(x: np.ndarray) -> int:
    """How many times the clip becomes loud."""
    loud = loudness(x, 0.08) > 0.3 * loudness(x, 0.08).max()
    return int(np.sum(np.diff(loud.astype(int), prepend=0) == 1))


def strikes(x: np.ndarray) -> int:
    """How many sudden rises the clip has, at most one in 0.4 s."""
    level = loudness(x, 0.012)
    rises = np.flatnonzero(level[6:] - level[:-6] > 0.35 * np.max(level[6:] - level[:-6]))
    count, last = 0, -1000
    for rise in rises:
        if rise - last > 80:
            count, last = count + 1, int(rise)
    return count


@pytest.mark.parametrize("label", LABELS)
def test_form_at_every_extreme(label: str) -> None:
    names = [attribute.name for attribute in THING_OF[label].attributes]
    for seed, values in enumerate(product(*(EXTREMES[name] for name in names))):
        x = synthesize(label, dict(zip(names, values, strict=True)), np.random.default_rng(seed))
        assert x.dtype == np.float32 and x.shape == (SAMPLES,) == (40_000,)
        assert np.all(np.isfinite(x))
        assert 10 ** (-18.1 / 20) < np.max(np.abs(x)) < 10 ** (-2.9 / 20)
        assert np.all(x * 32768 == np.round(x * 32768))
        assert abs(float(np.mean(x, dtype=np.float64))) < 1e-4
        assert np.std(x) > 3e-3
        assert abs(x[0]) < 1e-3 and abs(x[-1]) < 1e-3


@pytest.mark.parametrize("label", LABELS)
def test_pure_function_of_the_generator(label: str) -> None:
    attributes: dict[str, Value] = {a.name: EXTREMES[a.name][-1] for a in THING_OF[label].attributes}
    first, again, other = (synthesize(label, attributes, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unknown_label_is_named() -> None:
    with pytest.raises(ValueError, match="'kazoo'"):
        synthesize("kazoo", {"size": 0.5}, np.random.default_rng(0))


@pytest.mark.parametrize("label", ["owl hooting", "dog barking", "bee buzzing"])
def test_fundamental_falls_with_size(label: str) -> None:
    pitches = [fundamental(sound(label, seed, size=size, count=1)) for seed, size in enumerate(np.linspace(0, 1, 6))]
    assert np.all(np.diff(pitches) < 0)
    assert np.log2(pitches[0] / pitches[-1]) > 1.3


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("church bell ringing", "count"),
        ("bird chirping", "count"),
        ("frog croaking", "count"),
        ("police car (siren)", "colour"),
        ("car engine idling", "colour"),
        ("helicopter", "colour"),
        ("train horning", "colour"),
        ("playing acoustic guitar", "colour"),
    ],
)
def test_spectrum_sinks_with_size(label: str, name: str) -> None:
    for value in EXTREMES[name]:
        clips = [sound(label, seed, size=size, **{name: value}) for seed, size in enumerate((0.0, 0.33, 0.67, 1.0))]
        heights = [centroid(clip) for clip in clips]
        assert np.all(np.diff(heights) < 0)
        assert np.log2(heights[0] / heights[-1]) > 1


@pytest.mark.parametrize("label", ["owl hooting", "dog barking", "bee buzzing"])
def test_as_many_calls_as_count(label: str) -> None:
    for count, seed in product((1, 2, 3), range(5)):
        assert bumps(sound(label, seed, size=0.2 * seed, count=count)) == count


def test_as_many_strikes_as_count() -> None:
    for count, seed in product((1, 2, 3), range(5)):
        assert strikes(sound("church bell ringing", seed, size=0.2 * seed, count=count)) == count


def test_telephone_rings_as_its_colour_says() -> None:
    for (colour, rings), seed in product((("red", 1), ("yellow", 2), ("blue", 3)), range(4)):
        assert bumps(sound("telephone bell ringing", seed, size=0.25 * seed, colour=colour)) == rings


@pytest.mark.parametrize(("label", "other"), [("raining", "amount"), ("sea waves", "size")])
def test_light_is_brightness(label: str, other: str) -> None:
    for value, seed in product((0.0, 1.0), range(3)):
        clips = [sound(label, seed, light=light, **{other: value}) for light in EXTREMES["light"]]
        day, sunset, night = (centroid(clip) for clip in clips)
        assert day > 1.5 * sunset > 3 * night


@pytest.mark.parametrize(("label", "other"), [("raining", {"light": "day"}), ("wind chime", {"size": 0.5})])
def test_amount_fills_the_gaps(label: str, other: dict[str, Value]) -> None:
    def unevenness(amount: float) -> float:
        level = loudness(sound(label, 3, amount=amount, **other), 0.02)
        return float(np.std(level) / np.mean(level))

    few, some, many = (unevenness(amount) for amount in (0.0, 0.5, 1.0))
    assert few > some > many
