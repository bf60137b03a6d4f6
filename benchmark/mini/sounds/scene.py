"""The scene around a sound: another source, a bed of noise, a room, a microphone and a level.

What real clips carry, a clip may carry here: each of it is drawn for itself, and `Scene` says what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from benchmark.mini.sounds import blocks
from benchmark.mini.sounds.blocks import SAMPLES, TIME, Rng, Signal
from benchmark.mini.world import SAMPLE_RATE, SECONDS, Value

BEDS = ("wind", "hum", "crowd", "hiss")

CONTINUOUS = {
    "police car (siren)",
    "ambulance siren",
    "raining",
    "car engine idling",
    "driving motorcycle",
    "sea waves",
    "stream burbling",
    "alarm clock ringing",
    "helicopter",
    "wind chime",
    "playing acoustic guitar",
    "playing piano",
    "cricket chirping",
    "bird chirping",
    "frog croaking",
}
"""Classes whose sound goes on and says the same in a part of the clip. Of the others every event counts."""

ROOM_SAMPLES = SAMPLES + SAMPLE_RATE // 2
"""Length of the convolution with the room: half a second of tail does not wrap around."""
ROOM_FREQUENCIES: Signal = np.maximum(np.fft.rfftfreq(ROOM_SAMPLES, 1 / SAMPLE_RATE), 1.0)
RUMBLE_FILTER: Signal = 1 / (1 + (20 / ROOM_FREQUENCIES) ** 4)
"""What a microphone passes of the lowest frequencies: half at 20 Hz, nothing of the direct current."""
FADES: Signal = np.interp(TIME, [0.0, 0.004, TIME[-1] - 0.03, TIME[-1]], [0.0, 1.0, 1.0, 0.0])


@dataclass(frozen=True)
class Scene:
    """What surrounds the foreground of a clip. Levels are powers over the whole clip, in dB."""

    second: str
    """Class of a second source, or ""."""
    second_below: float
    """How far the second source lies below the foreground, 0 to 15 dB; infinite without one."""
    bed: str
    """One of BEDS, or ""."""
    bed_below: float
    """How far the bed lies below the foreground, 5 to 25 dB; infinite without one."""
    start: float
    """Second at which the foreground sets in; 0 if it fills the clip."""
    stop: float
    """Second at which it has faded; the clip's length if it fills the clip."""
    reverberation: float
    """Amplitude of the room's response beside the direct sound, 0 to 0.6."""
    lowest: float
    """Frequency in Hz below which the recording loses level, 0 without a limit."""
    highest: float
    """Frequency in Hz above which it loses level; half the sampling rate without a limit."""
    tilt: float
    """Exponent of the microphone's response over frequency, -0.25 to 0.25 (1.5 dB an octave)."""
    level: float
    """Peak in dB of full scale, -24 to -3."""

    def facts(self) -> dict[str, Value]:
        """Return the scene as a clip's metadata; what is absent is left out."""
        told: dict[str, Value] = {}
        if self.second:
            told |= {"background": self.second, "background_db": -self.second_below}
        if self.bed:
            told |= {"noise": self.bed, "noise_db": -self.bed_below}
        if (self.start, self.stop) != (0.0, SECONDS):
            told |= {"starts": self.start, "stops": self.stop}
        if self.lowest or self.highest < SAMPLE_RATE / 2:
            told |= {"lowest_hz": self.lowest, "highest_hz": self.highest}
        return told | {"reverberation": self.reverberation, "tilt": self.tilt, "level_db": self.level}


def sample_scene(label: str, others: tuple[str, ...], rng: Rng) -> Scene:
    """Draw the scene around a sound of the class `label`; `others` are the classes that can sound behind it."""
    second = str(others[int(rng.integers(len(others)))]) if rng.uniform() < 0.4 else ""
    second_below = rng.uniform(0, 15)
    bed = BEDS[int(rng.integers(len(BEDS)))] if rng.uniform() < 0.7 else ""
    bed_below = rng.uniform(5, 25)
    length, place = rng.uniform(1.25, 2.1), rng.uniform()
    partial = rng.uniform() < 0.3 and label in CONTINUOUS
    start = place * (SECONDS - length) if partial else 0.0
    limited = rng.uniform() < 0.3
    lowest, highest = np.exp(rng.uniform(np.log([60, 3000]), np.log([350, 7000])))
    return Scene(
        second,
        round(second_below, 2) if second else float("inf"),
        bed,
        round(bed_below, 2) if bed else float("inf"),
        round(start, 3),
        round(start + length, 3) if partial else SECONDS,
        round(rng.uniform(0, 0.6), 3),
        round(float(lowest), 1) if limited else 0.0,
        round(float(highest), 1) if limited else SAMPLE_RATE / 2,
        round(rng.uniform(-0.25, 0.25), 3),
        round(rng.uniform(-24, -3), 2),
    )


def bed_of(kind: str, rng: Rng) -> Signal:
    """Return a bed of noise of unit power.

    Args:
        kind: One of BEDS: wind comes in gusts, hum is the mains with its overtones, a crowd is many voices that nobody
            can tell apart, hiss is white to pink.
        rng: Draws its course.
    """
    if kind == "wind":
        gusts = np.exp(0.6 * blocks.wander(rng, 1.5))
        bed = blocks.noise(rng, 40, rng.uniform(150, 400), 2) * gusts
    elif kind == "hum":
        mains = (50.0, 60.0)[int(rng.integers(2))] * rng.uniform(0.998, 1.002)
        bed = blocks.wave(blocks.cycles(mains), rng.uniform(0.1, 1.0, 12) / np.arange(1, 13) ** 0.5)
        bed = bed + 0.1 * blocks.noise(rng, 100, 2000, 1)
    elif kind == "crowd":
        syllables = [np.exp(0.9 * blocks.wander(rng, rate)) for rate in (3.2, 4.1, 5.3)]
        formants = [(220, 700), (500, 1400), (1200, 2800)]
        parts = [
            s * blocks.noise(rng, *f, 3) * g for s, f, g in zip(syllables, formants, (1.0, 0.6, 0.25), strict=True)
        ]
        bed = np.sum(parts, axis=0)
    else:
        tilt = rng.uniform(0.0, 0.5)
        spectrum = rng.standard_normal(SAMPLES + 2).view(np.complex128) * np.maximum(blocks.FREQUENCIES, 40.0) ** -tilt
        bed = irfft(spectrum, SAMPLES)
    return bed / np.sqrt(np.mean(bed**2))


def gate(scene: Scene) -> Signal:
    """Return the envelope of the foreground: 1 while it sounds, faded over 60 ms at a start or an end."""
    if (scene.start, scene.stop) == (0.0, SECONDS):
        return np.ones(SAMPLES)
    corners = [scene.start, scene.start + 0.06, scene.stop - 0.06, scene.stop]
    return np.interp(TIME, corners, [0.0, 1.0, 1.0, 0.0])


def room(amount: float, rng: Rng) -> Signal:
    """Return an impulse response: the direct sound, a few early reflections and a decaying diffuse tail."""
    tail = rng.standard_normal(SAMPLE_RATE // 2) * np.exp(-np.arange(SAMPLE_RATE // 2) / rng.uniform(400, 1300))
    response = amount * tail / np.sqrt(np.sum(tail**2))
    response[rng.integers(60, 700, 4)] += amount * rng.uniform(-0.6, 0.6, 4)
    response[0] = 1.0
    return response


def recorded(scene: Scene, foreground: Signal, second: Signal | None, rng: Rng, clean: bool) -> NDArray[np.float32]:
    """Return a foreground in its scene, as it is recorded.

    Args:
        scene: What surrounds it.
        foreground: The dry sound, (SAMPLES,).
        second: The dry sound of the second source, or None.
        rng: Draws the course of the bed and the room.
        clean: Leave out the second source, the bed, the gate, the room and the limits of the band; the microphone's
            tilt and the level remain.

    Returns:
        float32 (SAMPLES,) in (-1, 1), on the 16-bit grid: round(32767 x) / 32768.
    """
    microphone = (ROOM_FREQUENCIES / 1000) ** scene.tilt * RUMBLE_FILTER
    if not clean:
        foreground = foreground * gate(scene)
    total = foreground - foreground.mean()
    power = float(np.sqrt(np.mean(total**2)))
    if not clean:
        if second is not None:
            centred = second - second.mean()
            total = total + centred * (power / np.sqrt(np.mean(centred**2)) * 10 ** (-scene.second_below / 20))
        response = room(scene.reverberation, rng)
        # The bed is the place's own: it needs no room.
        bed = bed_of(scene.bed, rng) if scene.bed else np.zeros(SAMPLES)
        bed *= power * 10 ** (-scene.bed_below / 20) if scene.bed else 0.0
        if scene.lowest:
            microphone = microphone / (1 + (scene.lowest / ROOM_FREQUENCIES) ** 4)
            microphone = microphone / (1 + (ROOM_FREQUENCIES / scene.highest) ** 8)
        spectrum = rfft(total, ROOM_SAMPLES) * rfft(response, ROOM_SAMPLES) + rfft(bed, ROOM_SAMPLES)
    else:
        spectrum = rfft(total, ROOM_SAMPLES)
    sound = irfft(spectrum * microphone, ROOM_SAMPLES)[:SAMPLES]
    # The floor of the recorder: no clip is digital silence between its events.
    sound = sound + rng.standard_normal(SAMPLES) * np.sqrt(np.mean(sound**2)) * 10 ** (-45 / 20)
    sound = sound * FADES
    sound -= np.mean(sound) / np.mean(FADES) * FADES
    sound *= 10 ** (scene.level / 20) / np.max(np.abs(sound))
    return (np.round(sound * 32767) / 32768).astype(np.float32)
