"""The sounds alone, without their scenes: their form, and that the attributes can be measured in them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from benchmark.mini.sounds.blocks import SAMPLES
from benchmark.mini.sounds.things import sound_of
from benchmark.mini.sounds.voices import VOICES
from benchmark.mini.world import CUES, LABELS, SAMPLE_RATE, SPEAKERS, SPEECH, THING_OF, Value

EXTREMES: dict[str, tuple[Value, ...]] = {
    "size": (0.0, 1.0),
    "amount": (0.0, 1.0),
    "count": (1, 2, 3),
    "colour": ("red", "yellow", "blue"),
    "light": ("day", "sunset", "night"),
    "cue": CUES,
    "speaker": ("",),
}


def sound(label: str, seed: int = 0, **attributes: Value) -> np.ndarray:
    return sound_of(label, attributes, np.random.default_rng(seed))


def centroid(x: np.ndarray) -> float:
    """Power-weighted geometric mean frequency in Hz, above 30 Hz."""
    f, power = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE), np.abs(np.fft.rfft(x)) ** 2
    power = power * (f > 30)
    return float(np.exp(np.sum(power * np.log(np.maximum(f, 1))) / np.sum(power)))


def loudness(x: np.ndarray, seconds: float) -> np.ndarray:
    """RMS in a sliding window, 200 values a second."""
    window = np.hanning(round(SAMPLE_RATE * seconds))
    return np.sqrt(np.convolve(x**2, window / window.sum(), "same")[::80])


def bumps(x: np.ndarray, window: float = 0.08, share: float = 0.3) -> int:
    """How many times the clip becomes loud."""
    level = loudness(x, window)
    return int(np.sum(np.diff((level > share * level.max()).astype(int), prepend=0) == 1))


def pitch(x: np.ndarray) -> float:
    """The median pitch in Hz of the loud parts, by the autocorrelation of 64 ms frames."""
    frames = np.lib.stride_tricks.sliding_window_view(x, 1024)[::512]
    loud = frames[np.sqrt((frames**2).mean(1)) > 0.4 * np.sqrt((frames**2).mean(1)).max()]
    found = []
    lags = np.arange(SAMPLE_RATE // 450, SAMPLE_RATE // 70)
    for frame in loud:
        power = np.abs(np.fft.rfft(np.pad(frame * np.hanning(1024), (0, 1024)))) ** 2
        found.append(SAMPLE_RATE / lags[int(np.argmax(np.fft.irfft(power)[lags]))])
    return float(np.median(found))


@pytest.mark.parametrize("label", LABELS)
def test_form_at_every_extreme(label: str) -> None:
    names = [attribute.name for attribute in THING_OF[label].attributes]
    for seed, values in enumerate(product(*(EXTREMES[name] for name in names))):
        x = sound(label, seed, **dict(zip(names, values, strict=True)))
        assert x.dtype == np.float64 and x.shape == (SAMPLES,) == (40_000,)
        assert np.all(np.isfinite(x)) and np.std(x) > 0


@pytest.mark.parametrize("label", LABELS)
def test_pure_function_of_the_generator(label: str) -> None:
    attributes: dict[str, Value] = {a.name: EXTREMES[a.name][-1] for a in THING_OF[label].attributes}
    first, again, other = (sound(label, seed, **attributes) for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unknown_label_is_named() -> None:
    with pytest.raises(ValueError, match="'kazoo'"):
        sound("kazoo", size=0.5)


def fundamental(x: np.ndarray) -> float:
    """The pitch in Hz around the loudest moment, by the first high peak of the autocorrelation."""
    loudest = int(np.argmax(np.convolve(x**2, np.ones(1600), "same")))
    window = x[max(0, loudest - 2048) : loudest + 2048]
    power = np.abs(np.fft.rfft(np.pad(window * np.hanning(len(window)), (0, 8192)))) ** 2
    lags = np.arange(SAMPLE_RATE // 2000, SAMPLE_RATE // 80)
    heights = np.fft.irfft(power)[lags]
    inner = (heights[1:-1] >= heights[:-2]) & (heights[1:-1] >= heights[2:]) & (heights[1:-1] > 0.8 * heights.max())
    return SAMPLE_RATE / float(lags[1:-1][inner][0])


VOICED = ("bee buzzing", "cat meowing", "owl hooting", "dog barking")


@pytest.mark.parametrize("label", VOICED)
def test_the_pitch_falls_with_size(label: str) -> None:
    pitches = [fundamental(sound(label, seed, size=size, count=1)) for seed, size in enumerate(np.linspace(0, 1, 6))]
    assert np.all(np.diff(pitches) < 0)
    assert np.log2(pitches[0] / pitches[-1]) > 1.2, "octaves"


SIZED = [
    (label, next(a.name for a in THING_OF[label].attributes if a.name != "size"))
    for label in LABELS
    if any(attribute.name == "size" for attribute in THING_OF[label].attributes)
]


@pytest.mark.parametrize(("label", "other"), [pair for pair in SIZED if pair[0] not in (*VOICED, "sea waves")])
def test_the_spectrum_sinks_with_size(label: str, other: str) -> None:
    for value in EXTREMES[other]:
        small, large = (
            np.mean([np.log2(centroid(sound(label, seed, size=size, **{other: value}))) for seed in range(3)])
            for size in (0.0, 1.0)
        )
        # A horn's and a beeper's own resonances stay where they are: only the pitch moves over more than an octave.
        assert small - large > (0.25 if label in ("alarm clock ringing", "train horning") else 0.6), "octaves"


@pytest.mark.parametrize("label", ["owl hooting", "dog barking", "cat meowing"])
def test_as_many_calls_as_count(label: str) -> None:
    right = [
        bumps(sound(label, seed, size=0.2 * seed, count=count)) == count for count, seed in product((1, 2, 3), range(5))
    ]
    assert np.mean(right) >= 0.8


@pytest.mark.parametrize("label", ["raining", "sea waves", "stream burbling"])
def test_light_is_brightness(label: str) -> None:
    other = next(a.name for a in THING_OF[label].attributes if a.name != "light")
    for value in (0.0, 1.0):
        day, sunset, night = (
            np.mean([np.log2(centroid(sound(label, seed, light=light, **{other: value}))) for seed in range(3)])
            for light in EXTREMES["light"]
        )
        assert day > sunset + 0.4 and sunset > night + 0.4, "octaves"


def test_voices_of_men_women_and_children_differ_in_pitch() -> None:
    heights = {
        cue: [pitch(sound(SPEECH, seed, cue=cue, speaker="")) for seed in range(8)] for cue in ("man", "woman", "child")
    }
    man, woman, child = (np.median(heights[cue]) for cue in ("man", "woman", "child"))
    assert 80 < man < 160 < woman < 265 < child < 410


def test_a_known_speaker_keeps_the_voice_and_changes_the_words() -> None:
    assert set(VOICES) == set(SPEAKERS)
    for name, (cue, _) in SPEAKERS.items():
        heights = [pitch(sound(SPEECH, seed, cue=cue, speaker=name)) for seed in range(6)]
        assert float(np.median(heights)) == pytest.approx(VOICES[name].pitch, rel=0.25)
        words = [sound(SPEECH, seed, cue=cue, speaker=name) for seed in range(2)]
        assert not np.array_equal(*words)
