"""A clip's metadata in words."""

from __future__ import annotations

import pytest

from benchmark.mini.data import metadata_of
from benchmark.mini.sounds.scene import BEDS
from benchmark.mini.words import words_of


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"background": "dog barking", "background_db": -5.6}, ["second source: dog barking, 6 dB below"]),
        ({"noise": "wind", "noise_db": -12.2}, ["wind, 12 dB below"]),
        ({"noise": "wind"}, ["noise wind"]),
        ({"lowest_hz": 120.4, "highest_hz": 4321.0}, ["band-limited: 120 Hz to 4.3 kHz"]),
        ({"starts": 0.4, "stops": 1.93}, ["sounds from 0.4 to 1.9 s"]),
        ({"reverberation": 0.02}, ["dry"]),
        ({"reverberation": 0.2}, ["room"]),
        ({"reverberation": 0.5}, ["echoing room"]),
        ({"tilt": 0.01}, ["even microphone"]),
        ({"tilt": 0.25}, ["bright microphone, +1.5 dB an octave"]),
        ({"tilt": -0.25}, ["dull microphone, \u22121.5 dB an octave"]),
        ({"level_db": -7.0}, ["peak 7 dB below full scale"]),
        ({"size": 0.1, "count": 2, "light": "night"}, ["size: tiny", "count: two", "light: night"]),
        (
            {"cue": "man", "speaker": "bo", "beard": 1, "hair": "blond"},
            ["man", "the voice of bo", "beard", "blond hair"],
        ),
        ({"speaker": ""}, ["the voice of a stranger"]),
        ({"snr": 0.123456, "take": 3}, ["snr 0.123", "take 3"]),
    ],
)
def test_words(attributes, words):
    assert words_of(attributes) == words


def test_every_scene_of_the_world_has_words_of_its_own():
    for index in range(200):
        attributes = metadata_of("test", index)
        told = words_of(attributes)
        assert not [name for name in attributes if any(phrase.startswith(f"{name} ") for phrase in told)], told
        assert sum(phrase.split(",")[0] in BEDS for phrase in told) == ("noise" in attributes)
