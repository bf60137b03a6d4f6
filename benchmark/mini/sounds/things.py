"""The sound of each class alone: dry, clean and at any scale."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.mini.sounds import animals, bells_and_strings, elements, machines, voices
from benchmark.mini.sounds.blocks import Attributes, Rng, Signal
from benchmark.mini.world import SPEECH

_MODELS: dict[str, Callable[[Attributes, Rng], Signal]] = {
    "church bell ringing": bells_and_strings.church_bell,
    "police car (siren)": machines.police_siren,
    "raining": elements.rain,
    "car engine idling": machines.car_engine,
    "bird chirping": animals.bird,
    "sea waves": elements.sea,
    "alarm clock ringing": bells_and_strings.alarm_clock,
    "thunder": elements.thunder,
    "telephone bell ringing": bells_and_strings.telephone,
    "helicopter": machines.helicopter,
    "frog croaking": animals.frog,
    "bee buzzing": animals.bee,
    SPEECH: voices.speech,
    "train horning": machines.train_horn,
    "wind chime": bells_and_strings.wind_chime,
    "dog barking": animals.dog,
    "owl hooting": animals.owl,
    "fireworks banging": elements.fireworks,
    "playing acoustic guitar": bells_and_strings.guitar,
    "ambulance siren": machines.ambulance_siren,
    "driving motorcycle": machines.motorcycle,
    "stream burbling": elements.stream,
    "cat meowing": animals.cat,
    "cricket chirping": animals.cricket,
    "playing piano": bells_and_strings.piano,
}


def sound_of(label: str, heard: Attributes, rng: Rng) -> Signal:
    """Return the dry sound of a thing: (SAMPLES,) at any scale.

    Args:
        label: Its class.
        heard: The class's two audible attributes.
        rng: Draws everything else: timing, mistuning up to 3 %, the course of a noise.

    Raises:
        ValueError: No thing of the world has this label.
    """
    if label not in _MODELS:
        raise ValueError(f"unknown label {label!r}: the mini world has {', '.join(_MODELS)}")
    return _MODELS[label](heard, rng)
