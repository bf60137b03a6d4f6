"""The frame of a clip: `draw` paints what its facts say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from benchmark.mini.pictures import animals, faces, objects, skies, vehicles
from benchmark.mini.pictures.pen import OVERSAMPLING, Frame, Seen
from benchmark.mini.world import PICTURE_SIZE, SPEECH

_DRAWERS: dict[str, Callable[[Frame, Seen, np.random.Generator], None]] = {
    "church bell ringing": objects.bell,
    "police car (siren)": vehicles.police_car,
    "raining": skies.rain,
    "car engine idling": vehicles.car,
    "bird chirping": animals.bird,
    "sea waves": skies.waves,
    "alarm clock ringing": objects.alarm_clock,
    "thunder": skies.thunder,
    "telephone bell ringing": objects.telephone,
    "helicopter": vehicles.helicopter,
    "frog croaking": animals.frog,
    "bee buzzing": animals.bee,
    SPEECH: faces.face,
    "train horning": vehicles.train,
    "wind chime": objects.wind_chime,
    "dog barking": animals.dog,
    "owl hooting": animals.owl,
    "fireworks banging": skies.fireworks,
    "playing acoustic guitar": objects.guitar,
    "ambulance siren": vehicles.ambulance,
    "driving motorcycle": vehicles.motorcycle,
    "stream burbling": skies.stream,
    "cat meowing": animals.cat,
    "cricket chirping": animals.cricket,
    "playing piano": objects.piano,
}


def draw(label: str, seen: Seen, rng: np.random.Generator, size: int = PICTURE_SIZE) -> np.ndarray:
    """Paint a thing.

    Args:
        label: Its class.
        seen: What the frame shows (`world.Facts.seen`).
        rng: Draws what the sound knows nothing of: backdrop, place, hue jitter, pose, brightness.
        size: Edge in pixels.

    Returns:
        uint8 (size, size, 3), RGB; a pure function of the arguments and the state of `rng`.

    Raises:
        ValueError: No thing of the world has this label.
    """
    drawer = _DRAWERS.get(label)
    if drawer is None:
        raise ValueError(f"no thing of the mini world is called {label!r}; there are: {', '.join(_DRAWERS)}")
    canvas = Image.new("RGB", (size * OVERSAMPLING, size * OVERSAMPLING))
    drawer(Frame(ImageDraw.Draw(canvas), size * OVERSAMPLING), seen, rng)
    pixels = np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32)
    return np.clip(np.rint(pixels * rng.uniform(0.93, 1.03)), 0, 255).astype(np.uint8)
