"""Voices: speech of syllables with formants, of eight known speakers and of strangers."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.signal import lfilter

from benchmark.mini.sounds import blocks
from benchmark.mini.sounds.blocks import SAMPLES, TIME, Attributes, Rng, Signal
from benchmark.mini.world import SAMPLE_RATE, SECONDS


@dataclass(frozen=True)
class Voice:
    """What is a speaker's own, whatever is said."""

    pitch: float
    """Middle of the voice in Hz."""
    span: float
    """How far the melody of a phrase goes up and down, in semitones."""
    tract: float
    """Formants relative to those of an average man: 1 / length of the vocal tract."""
    spread: float
    """Third and higher formants relative to the lower two: throat against mouth."""
    tilt: float
    """Hz above which the glottal source falls twice as steeply: a dull voice has a low one."""
    rate: float
    """Syllables a second."""
    breath: float
    """Noise of air in the voice."""
    creak: float
    """How much every other glottal pulse fails where the pitch is low, 0 to 1."""
    front: float
    """Vowel colour: second formant relative to the usual."""
    wide: float
    """Vowel colour: first formant relative to the usual."""


#               pitch span tract spread tilt  rate breath creak front  wide
VOICES: dict[str, Voice] = {
    "bo": Voice(90, 3.3, 0.94, 0.97, 1300, 4.1, 0.02, 0.80, 0.93, 0.96),
    "gil": Voice(114, 4.0, 1.01, 1.05, 3200, 4.7, 0.12, 0.30, 0.92, 1.10),
    "dan": Voice(144, 5.0, 1.07, 0.98, 2000, 5.5, 0.03, 0.05, 1.08, 0.98),
    "ada": Voice(171, 2.6, 1.10, 0.97, 3200, 4.0, 0.02, 0.70, 0.94, 1.06),
    "hana": Voice(206, 3.8, 1.16, 1.04, 1200, 4.6, 0.14, 0.10, 1.08, 0.94),
    "eve": Voice(250, 5.4, 1.24, 0.99, 2600, 5.6, 0.04, 0.00, 0.98, 1.08),
    "finn": Voice(285, 4.0, 1.50, 1.04, 1800, 4.0, 0.12, 0.20, 0.94, 0.96),
    "cleo": Voice(375, 6.2, 1.63, 0.98, 4200, 5.2, 0.03, 0.00, 1.06, 1.07),
}
"""The known speakers of `world.SPEAKERS`."""

RANGES: dict[str, tuple[Voice, Voice]] = {
    "man": (
        Voice(86, 3.0, 0.92, 0.95, 1000, 3.6, 0.02, 0.01, 0.92, 0.94),
        Voice(150, 5.4, 1.09, 1.06, 3400, 5.6, 0.15, 1.00, 1.09, 1.10),
    ),
    "woman": (
        Voice(166, 2.4, 1.09, 0.95, 1000, 3.8, 0.02, 0.01, 0.92, 0.94),
        Voice(255, 5.6, 1.25, 1.06, 3400, 5.8, 0.15, 0.80, 1.09, 1.10),
    ),
    "child": (
        Voice(272, 3.4, 1.46, 0.95, 1400, 3.8, 0.02, 0.01, 0.92, 0.94),
        Voice(395, 7.0, 1.66, 1.06, 4600, 5.4, 0.15, 0.30, 1.09, 1.10),
    ),
}
"""Lowest and highest of what strangers have."""

LOOKALIKE = 0.18
"""How near a stranger's pitch and tract may not come to a known speaker's, in shares of their ranges."""


@dataclass(frozen=True)
class Phone:
    """A stretch of speech in which the mouth aims at one position."""

    seconds: float
    voice: float = 0.0
    """Loudness of the glottal pulses."""
    air: float = 0.0
    """Loudness of the noise at the glottis, which sounds through the whole tract."""
    hiss: float = 0.0
    """Loudness of the noise at a constriction, which sounds through what little is in front of it."""
    centre: float = 4000.0
    """Hz of the hiss."""
    width: float = 1000.0
    formants: tuple[float, float, float] | None = None
    """First three formants in Hz of an average man; None: already those of what comes next."""
    damping: float = 1.0
    """Bandwidth of the formants relative to the usual; the nose adds losses."""


VOWELS: dict[str, tuple[float, float, float]] = {
    "i": (280, 2250, 3000), "I": (400, 1950, 2560), "e": (520, 1830, 2480), "ae": (680, 1700, 2410),
    "a": (740, 1150, 2440), "o": (560, 860, 2410), "U": (440, 1040, 2240), "u": (310, 880, 2240),
    "uh": (630, 1200, 2400), "schwa": (500, 1450, 2450),
}  # fmt: skip
"""After Peterson and Barney's men."""

DIPHTHONGS = (("a", "I"), ("a", "U"), ("e", "i"), ("o", "u"), ("o", "I"))

LIPS, RIDGE, PALATE = (220.0, 850.0, 2150.0), (220.0, 1750.0, 2650.0), (220.0, 2050.0, 2350.0)

CONSONANTS: dict[str, tuple[Phone, ...]] = {
    "p": (
        Phone(0.07, formants=LIPS),
        Phone(0.008, hiss=0.25, centre=1200, width=1500, formants=LIPS),
        Phone(0.04, air=0.5),
    ),
    "t": (
        Phone(0.06, formants=RIDGE),
        Phone(0.012, hiss=0.7, centre=4800, width=1700, formants=RIDGE),
        Phone(0.04, air=0.5),
    ),
    "k": (
        Phone(0.06, formants=PALATE),
        Phone(0.018, hiss=0.6, centre=2100, width=700, formants=PALATE),
        Phone(0.045, air=0.5),
    ),
    "b": (Phone(0.055, 0.25, formants=LIPS), Phone(0.006, 0.3, hiss=0.15, centre=1000, width=1200, formants=LIPS)),
    "d": (Phone(0.05, 0.25, formants=RIDGE), Phone(0.008, 0.3, hiss=0.35, centre=4200, width=1700, formants=RIDGE)),
    "g": (Phone(0.05, 0.25, formants=PALATE), Phone(0.012, 0.3, hiss=0.35, centre=1900, width=600, formants=PALATE)),
    "s": (Phone(0.1, hiss=0.4, centre=6000, width=1200, formants=RIDGE),),
    "sh": (Phone(0.1, hiss=0.45, centre=3400, width=1000, formants=(300, 1800, 2500)),),
    "f": (Phone(0.09, hiss=0.1, centre=5000, width=4000, formants=LIPS),),
    "z": (Phone(0.075, 0.3, hiss=0.2, centre=5800, width=1200, formants=RIDGE),),
    "v": (Phone(0.06, 0.4, hiss=0.05, centre=4500, width=3500, formants=LIPS),),
    "h": (Phone(0.06, 0.1, air=0.6),),
    "m": (Phone(0.07, 0.6, formants=(260, 1050, 2200), damping=2.2),),
    "n": (Phone(0.06, 0.6, formants=(260, 1500, 2550), damping=2.2),),
    "l": (Phone(0.06, 0.7, formants=(370, 1100, 2750), damping=1.2),),
    "r": (Phone(0.065, 0.7, formants=(370, 1180, 1650)),),
    "w": (Phone(0.06, 0.7, formants=(310, 680, 2200)),),
    "j": (Phone(0.055, 0.7, formants=(290, 2200, 2950)),),
}
ONSETS = (
    "p", "t", "t", "k", "k", "b", "d", "d", "g", "s", "s", "sh",
    "f", "z", "v", "h", "h", "m", "n", "n", "l", "r", "w", "j",
)  # fmt: skip
CODAS = ("t", "k", "s", "s", "z", "d", "n", "n", "m", "l", "r", "f")

TICK = 16
"""Samples at which the mouth is planned anew: 1 ms."""
TICKS = SAMPLES // TICK
HOP, WINDOW, SPECTRUM = 128, 256, 512
FRAMES = SAMPLES // HOP + 2
HANN: Signal = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
BINS: Signal = np.arange(SPECTRUM // 2 + 1) * SAMPLE_RATE / SPECTRUM


def speech(attributes: Attributes, rng: Rng) -> Signal:
    """Return a person speaking, in words of no language that are new in every clip."""
    name = str(attributes["speaker"])
    voice = VOICES[name] if name else _stranger(str(attributes["cue"]), rng)
    today = replace(voice, pitch=blocks.near(voice.pitch, rng, 0.02), rate=blocks.near(voice.rate, rng, 0.06))
    plan = _plan(today, rng)
    return _tract(today, plan, _glottis(today, plan, rng), rng)


def _stranger(cue: str, rng: Rng) -> Voice:
    """Draw a voice that is no known speaker's."""
    lowest, highest = (np.log(astuple(voice)) for voice in RANGES[cue])
    known = np.log([[voice.pitch, voice.tract] for voice in VOICES.values()])
    ranges = (highest - lowest)[[0, 2]]
    while True:
        drawn = rng.uniform(lowest, highest)
        if np.min(np.hypot(*((known - drawn[[0, 2]]) / ranges).T)) > LOOKALIKE:
            return Voice(*np.exp(drawn).tolist())


# What is said


@dataclass(frozen=True)
class Plan:
    """What glottis and mouth do at each tick of the clip."""

    voice: Signal
    air: Signal
    hiss: Signal
    centre: Signal
    width: Signal
    formants: Signal
    """(3, ticks): of an average man."""
    damping: Signal
    melody: Signal
    """About -1 to 1, in spans of the voice."""


def _plan(voice: Voice, rng: Rng) -> Plan:
    """Plan phrases of words of syllables, with pauses."""
    phones, melody = [Phone(rng.uniform(0.04, 0.22))], [0.0]
    left = SECONDS - 0.08 - phones[0].seconds
    while left > 0.6:
        length = rng.uniform(0.8, 1.9)
        length = left if left - length < 0.75 else length
        phrase, notes = _phrase(voice, length, rng)
        pause = Phone(rng.uniform(0.14, 0.32))
        phones += [*phrase, pause]
        melody += [*notes, notes[-1]]
        left -= sum(phone.seconds for phone in phrase) + pause.seconds
    rows = np.array([_row(phones, i) for i in range(len(phones))])
    ends = np.cumsum([phone.seconds for phone in phones])
    at = np.minimum(np.searchsorted(ends, TIME[::TICK], side="right"), len(phones) - 1)
    mouth = rows[at].T
    # the tongue is slow, lips and glottis are fast, and melody takes about a syllable
    voiced, air, hiss = _smooth(mouth[:3], 14)
    centre, width, *formants, damping = _smooth(mouth[3:], 64)
    tune = _smooth(np.array([melody])[:, at], 140)[0]
    return Plan(voiced, air, hiss, centre, width, np.array(formants), damping, tune)


def _row(phones: list[Phone], index: int) -> tuple[float, ...]:
    phone = phones[index]
    aims = (other.formants for other in (*phones[index:], *phones[index::-1]) if other.formants is not None)
    return (phone.voice, phone.air, phone.hiss, phone.centre, phone.width, *next(aims), phone.damping)


def _smooth(rows: Signal, width: int) -> Signal:
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= kernel.sum()
    padded = np.pad(rows, ((0, 0), (width // 2, width - 1 - width // 2)), mode="edge")
    return np.stack([np.convolve(row, kernel, mode="valid") for row in padded])


def _phrase(voice: Voice, length: float, rng: Rng) -> tuple[list[Phone], list[float]]:
    """Return phones of at most about `length` s, and the melody at each."""
    syllables: list[tuple[list[Phone], float]] = []
    spoken = 0.0
    while True:
        word = int(rng.integers(1, 4))
        stressed = int(rng.integers(word))
        for place in range(word):
            syllable = _syllable(voice, place == stressed, rng)
            spoken += sum(phone.seconds for phone in syllable)
            if spoken > length and syllables:
                return _sing(syllables, rng)
            syllables.append((syllable, rng.uniform(0.5, 1.1) if place == stressed else 0.0))


def _sing(syllables: list[tuple[list[Phone], float]], rng: Rng) -> tuple[list[Phone], list[float]]:
    """Give the syllables of a phrase their melody: it declines, accents stand out, and it ends in a fall or a rise."""
    ending = 1.0 if rng.uniform() < 0.2 else -0.5
    phones: list[Phone] = []
    melody: list[float] = []
    for place, (syllable, accent) in enumerate(syllables):
        phones += syllable
        last = ending if place == len(syllables) - 1 else 0.0
        melody += [0.25 - 0.75 * place / len(syllables) + accent + last] * len(syllable)
    return phones, melody


def _syllable(voice: Voice, stressed: bool, rng: Rng) -> list[Phone]:
    pace = 4.6 / voice.rate
    onset = CONSONANTS[ONSETS[rng.integers(len(ONSETS))]] if rng.uniform() < 0.88 else ()
    coda = CONSONANTS[CODAS[rng.integers(len(CODAS))]] if rng.uniform() < 0.32 else ()
    around = [replace(phone, seconds=phone.seconds * pace**0.7 * rng.uniform(0.8, 1.2)) for phone in (*onset, *coda)]
    left = (1.25 if stressed else 0.75) / voice.rate - sum(phone.seconds for phone in around)
    seconds = max(left, 0.085 * pace if stressed else 0.055 * pace) * rng.uniform(0.85, 1.2)
    return [*around[: len(onset)], *_vowel(seconds, stressed, rng), *around[len(onset) :]]


def _vowel(seconds: float, stressed: bool, rng: Rng) -> list[Phone]:
    loud = rng.uniform(0.85, 1.1) if stressed else rng.uniform(0.5, 0.8)
    if stressed and rng.uniform() < 0.3:
        path: tuple[str, ...] = DIPHTHONGS[rng.integers(len(DIPHTHONGS))]
    elif not stressed and rng.uniform() < 0.4:
        path = ("schwa",)
    else:
        path = (tuple(VOWELS)[rng.integers(len(VOWELS))],)
    return [Phone(seconds / len(path), loud, formants=VOWELS[vowel]) for vowel in path]


# How it sounds


def _over_samples(ticks: Signal) -> Signal:
    steps = np.diff(ticks, append=ticks[-1])
    return (ticks[:, None] + steps[:, None] * (np.arange(TICK) / TICK)).ravel()


def _drift(rng: Rng, rate: float) -> Signal:
    """`blocks.wander`, by ticks."""
    knots = rng.standard_normal(int(SECONDS * rate) + 3)
    return np.interp(TIME[::TICK] * rate, np.arange(len(knots)), knots)


def _glottis(voice: Voice, plan: Plan, rng: Rng) -> Signal:
    """Return pulses and breath as they enter the tract."""
    # no one holds a pitch: within a syllable it glides
    semitones = voice.span * (plan.melody + 0.35 * _drift(rng, 8)) + 0.12 * _drift(rng, 23)
    turns = blocks.cycles(_over_samples(voice.pitch * 2 ** (semitones / 12)))
    count = int(turns[-1])
    places = np.interp(np.arange(1, count + 1), turns, np.arange(SAMPLES))
    low = np.clip(-0.4 - plan.melody, 0.0, 0.8) / 0.8
    creak = voice.creak * (0.2 + 0.8 * low[places.astype(int) // TICK])
    period = SAMPLE_RATE / voice.pitch
    # neighbouring cycles of a throat differ by about 1 % in length and 5 % in strength; more where it creaks
    places += period * rng.standard_normal(count) * (0.006 + 0.03 * creak)
    gains = 1 + rng.standard_normal(count) * (0.05 + 0.12 * creak) - 0.75 * creak * (np.arange(count) % 2)
    pulses = _fractional(places, gains)
    folds, tilt = (float(np.exp(-2 * np.pi * corner / SAMPLE_RATE)) for corner in (1.1 * voice.pitch, voice.tilt))
    flow = lfilter([1.0, -1.0], np.convolve([1.0, -2 * folds, folds**2], [1.0, -tilt]), pulses)
    flow /= np.sqrt(np.mean(flow**2))
    # air hisses while the folds are open
    gate = 1 - 1.8 * np.abs(blocks.fraction(turns) - 0.5)
    loud = _over_samples(plan.voice)
    noise = rng.standard_normal(SAMPLES)
    return loud * flow + noise * (0.6 * voice.breath * loud * gate + 0.1 * _over_samples(plan.air))


def _fractional(places: Signal, gains: Signal) -> Signal:
    """Clicks between samples: else the pitch of a high voice would be rough."""
    first = np.clip(places.astype(int), 0, SAMPLES - 2)
    late = places - first
    both = np.concatenate([first, first + 1])
    return np.bincount(both, np.concatenate([gains * (1 - late), gains * late]), SAMPLES).astype(np.float64)


def _tract(voice: Voice, plan: Plan, glottis: Signal, rng: Rng) -> Signal:
    """Return what leaves lips and teeth: frames of sound, each through the mouth as it stands then, overlapped."""
    ticks = np.minimum(np.arange(FRAMES) * (HOP // TICK), TICKS - 1)
    spectra = _spectra(glottis, np.arange(FRAMES)) / _resonances(voice, plan.formants[:, ticks], plan.damping[ticks])
    spectra *= np.sqrt(np.sum(glottis**2) * SPECTRUM / (2 * np.sum(spectra.real**2 + spectra.imag**2)))
    noise = rng.standard_normal(SAMPLES) * _over_samples(plan.hiss)
    hissing = np.flatnonzero(plan.hiss[ticks] > 0)
    # the front part of the mouth differs less between people than the throat
    size = voice.tract**0.5
    away = ((BINS - size * plan.centre[ticks[hissing], None]) / (size * plan.width[ticks[hissing], None])) ** 2
    spectra[hissing] += _spectra(noise, hissing) / (1 + away + away * away)
    return _overlap(spectra)


def _spectra(x: Signal, frames: NDArray[np.int_]) -> NDArray[np.complex128]:
    windows = sliding_window_view(np.pad(x, (HOP, WINDOW + HOP)), WINDOW)[::HOP]
    return rfft(windows[frames] * HANN, SPECTRUM)


def _overlap(spectra: NDArray[np.complex128]) -> Signal:
    frames = irfft(spectra, SPECTRUM).reshape(len(spectra), SPECTRUM // HOP, HOP)
    total = np.zeros((len(frames) + SPECTRUM // HOP, HOP))
    for part in range(SPECTRUM // HOP):
        total[part : part + len(frames)] += frames[:, part]
    return total.ravel()[HOP : HOP + SAMPLES]


def _resonances(voice: Voice, formants: Signal, damping: Signal) -> NDArray[np.complex128]:
    """Return the spectrum, frame by frame, by which the resonators of a cascade divide."""
    higher = np.repeat(np.array([[3450.0], [4450.0], [5450.0], [6450.0], [7450.0]]), formants.shape[1], axis=1)
    frequencies = voice.tract * np.concatenate([formants, higher])
    frequencies[0] *= voice.wide
    frequencies[1] *= voice.front
    frequencies[2:] *= voice.spread
    frequencies[0] = np.maximum(frequencies[0], 0.9 * voice.pitch)
    widths = damping * (42 + 0.028 * frequencies) * (1 + 2 * voice.breath)
    radius = np.exp(-np.pi * widths / SAMPLE_RATE) * (frequencies < 0.95 * blocks.NYQUIST)
    first, second = -2 * radius * np.cos(2 * np.pi * frequencies / SAMPLE_RATE), radius**2
    cascade = np.zeros((formants.shape[1], 2 * len(frequencies) + 1))
    cascade[:, 0] = 1.0
    for a, b in zip(first, second, strict=True):
        before = cascade.copy()
        cascade[:, 1:] += a[:, None] * before[:, :-1]
        cascade[:, 2:] += b[:, None] * before[:, :-2]
    return rfft(cascade / cascade.sum(axis=1, keepdims=True), SPECTRUM)
