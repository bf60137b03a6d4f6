"""A clip's metadata in words: what can be heard and seen of it, and the scene around it.

Beside the world and not in it, whose source is part of the clips' identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmark.dataset import raw_words
from benchmark.mini.world import SAMPLE_RATE, describe

DRY, WET = 0.1, 0.35
"""Amplitudes of a room's response: below the first nobody hears a room, above the second it echoes."""
EVEN = 0.5
"""Decibels an octave below which a microphone counts as even."""
OCTAVE_DB = 6.02
"""Decibels by which an amplitude that is proportional to frequency grows in an octave."""


def _named(name: str) -> Callable[[Any], str]:
    return lambda value: f"{name}: {describe(name, value)}"


def _of(name: str) -> Callable[[Any], str]:
    return lambda value: f"{value} {name}"


def _below(level: Any) -> str:
    return f"{abs(level):.0f} dB {'below' if level <= 0 else 'above'}"


def _room(amplitude: Any) -> str:
    return "dry" if amplitude < DRY else "room" if amplitude < WET else "echoing room"


def _microphone(tilt: Any) -> str:
    slope = OCTAVE_DB * tilt
    kind = "even" if abs(slope) < EVEN else "bright" if slope > 0 else "dull"
    return f"{kind} microphone" + ("" if kind == "even" else f", {slope:+.1f} dB an octave".replace("-", "−"))


_ALONE: Mapping[str, Callable[[Any], str]] = {
    **{name: _named(name) for name in ("size", "count", "amount", "colour", "light")},
    "cue": str,
    "speaker": lambda name: f"the voice of {name}" if name else "the voice of a stranger",
    **{name: _of(name) for name in ("hair", "skin", "shirt")},
    "beard": partial(describe, "beard"),
    "glasses": partial(describe, "glasses"),
    "reverberation": _room,
    "tilt": _microphone,
    "level_db": lambda level: f"peak {_below(level)} full scale",
}
"""Metadata that says something by itself."""

_PAIRS: Mapping[str, tuple[str, Callable[[Any, Any], str]]] = {
    "background": ("background_db", lambda what, level: f"second source: {what}, {_below(level)}"),
    "noise": ("noise_db", lambda what, level: f"{what}, {_below(level)}"),
    "starts": ("stops", lambda start, stop: f"sounds from {start:.1f} to {stop:.1f} s"),
    "lowest_hz": ("highest_hz", lambda low, high: f"band-limited: {_band(low, high)}"),
}
"""Metadata that says something together with another one, which follows the arrow: name -> (the other, words)."""


def _band(low: float, high: float) -> str:
    return f"{low:.0f} Hz to {high / 1000:.1f} kHz" if high < SAMPLE_RATE / 2 else f"from {low:.0f} Hz"


def words_of(attributes: Mapping[str, Any]) -> list[str]:
    """Return the metadata of a clip as phrases, in its order; what the world does not know as it is.

    >>> words_of({"size": 0.9, "noise": "wind", "noise_db": -12.3, "tilt": -0.2, "mood": "calm"})
    ['size: huge', 'wind, 12 dB below', 'dull microphone, −1.2 dB an octave', 'mood calm']
    """
    told, seen = [], set()
    for name, value in attributes.items():
        if name in seen:
            continue
        other, together = _PAIRS.get(name, ("", None))
        if together is not None and other in attributes:
            seen.add(other)
            told.append(together(value, attributes[other]))
        else:
            told += [_ALONE[name](value)] if name in _ALONE else raw_words({name: value})
    return told
