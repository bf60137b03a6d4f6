"""Frames of the world of `mini` that differ in one thing: an attribute that can be heard, or what no sound tells.

The world draws a frame from its facts and from a generator of nuisances (backdrop, place, pose, hue, brightness). A
frame of the same facts and another generator is a true frame of the sound; one of another fact and the same generator
differs in that fact. Where a fact changes how much is drawn (three birds for two), what is drawn after it changes too.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmark.mini import world
from benchmark.mini.pictures.draw import draw
from benchmark.mini.world import COUNT_WORDS, CUES, LIGHTS, SIZE_WORDS, SPEAKERS, SPEECH, Facts, Look, Value

T = TypeVar("T")

SEED = 41
"""Seed of all nuisances and choices here; no clip of the world has it."""

SCALES = {"size": len(SIZE_WORDS), "amount": len(world.AMOUNT_WORDS)}
"""Attributes that are numbers from 0 to 1, with the number of words for them: a step leads from one word to another."""

SKIES = ("raining", "sea waves", "stream burbling", "thunder", "fireworks banging", "owl hooting")
"""Classes whose sky belongs to the thing, so that another one is more than another background."""

Pixels = np.ndarray
"""uint8 (64, 64, 3), RGB."""


def nuisances(split: str, index: int, number: int = 0) -> np.random.Generator:
    """Return the generator of a clip's nuisances; each `number` gives others, and none those of the true frame."""
    return np.random.default_rng([SEED, world.SPLITS[split], index, number])


def frame(split: str, index: int, number: int = 0, seen: Mapping[str, Value] | None = None) -> Pixels:
    """Draw a frame of a clip with nuisances of its own.

    Args:
        split: Name of the split.
        index: Number of the clip.
        number: Which nuisances.
        seen: What it shows in place of what the clip's own frame shows.
    """
    facts = world.facts_of(split, index)
    return draw(facts.label, facts.seen if seen is None else seen, nuisances(split, index, number))


def heard(facts: Facts) -> list[str]:
    """Return the names of the attributes that a clip's sound tells: a stranger's voice tells no speaker."""
    return [name for name, value in facts.heard.items() if value != ""]


def moved(facts: Facts, name: str, rng: np.random.Generator) -> dict[str, Value]:
    """Return what is seen when one audible attribute is another by a step.

    A step is one word of a size or an amount, one thing more or less, the light before or after, another colour,
    another cue with the same look, and another known speaker of the same cue.
    """
    seen, value = dict(facts.seen), facts.heard[name]
    if facts.label == SPEECH:
        return _other_person(facts, name, rng)
    if name in SCALES:
        step = 1 / SCALES[name]
        seen[name] = _any([float(value) + one for one in (-step, step) if 0 <= float(value) + one <= 1], rng)
    elif name == "count":
        seen[name] = _any([int(value) + one for one in (-1, 1) if 1 <= int(value) + one <= len(COUNT_WORDS)], rng)
    elif name == "light":
        place = LIGHTS.index(str(value))
        seen[name] = _any([LIGHTS[one] for one in (place - 1, place + 1) if 0 <= one < len(LIGHTS)], rng)
    else:
        seen[name] = _any([one for one in world.COLOURS if one != value], rng)
    return seen


def guessed(facts: Facts, name: str, rng: np.random.Generator) -> dict[str, Value]:
    """Return what is seen when one audible attribute is drawn anew, whatever the sound says of it."""
    if facts.label != SPEECH:
        return {**facts.seen, name: world.sample_value(name, rng)}
    values = SPEAKERS if name == "speaker" else CUES
    right = rng.uniform() < 1 / len(values)
    return dict(facts.seen) if right else _other_person(facts, name, rng)


def _other_person(facts: Facts, name: str, rng: np.random.Generator) -> dict[str, Value]:
    seen = dict(facts.seen)
    if name == "speaker":
        own = SPEAKERS[str(facts.heard["speaker"])]
        return _face(*_any([one for one in SPEAKERS.values() if one[0] == own[0] and one != own], rng))
    look = Look(
        *(str(seen["hair"]), bool(seen.get("beard")), bool(seen["glasses"]), str(seen["skin"]), str(seen["shirt"]))
    )
    cues = [cue for cue in CUES if cue != seen["cue"] and not (cue == "child" and look.hair == "silver")]
    return _face(_any(cues, rng), look)


def _face(cue: str, look: Look) -> dict[str, Value]:
    beard = {"beard": int(look.beard)} if cue == "man" else {}
    return {
        "cue": cue,
        "hair": look.hair,
        **beard,
        "glasses": int(look.glasses),
        "skin": look.skin,
        "shirt": look.shirt,
    }


def _any(values: list[T], rng: np.random.Generator) -> T:
    return values[int(rng.integers(len(values)))]


def _place(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    down, right = _any([(y, x) for y in (-4, 0, 4) for x in (-4, 0, 4) if x or y], rng)
    wide = np.pad(pixels, ((4, 4), (4, 4), (0, 0)), mode="edge")
    return wide[4 + down : 4 + down + len(pixels), 4 + right : 4 + right + len(pixels)]


def _light(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _rounded(pixels * _any([0.8, 1.2], rng))


def _blur(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1.0)))


def _jpeg(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file).convert("RGB"))


def _noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _rounded(pixels + rng.normal(0, 12, pixels.shape))


def _background(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Turn the hue of what is connected to the upper corners without an edge."""
    flooded = Image.fromarray(pixels)
    for corner in ((0, 0), (len(pixels) - 1, 0)):
        ImageDraw.floodfill(flooded, corner, (255, 0, 255), thresh=48)
    behind = (np.asarray(flooded) == (255, 0, 255)).all(axis=2)
    turn = _any([1 / 3, 2 / 3], rng)
    changed = pixels.copy()
    for y, x in np.argwhere(behind):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixels[y, x] / 255))
        changed[y, x] = np.rint(255 * np.array(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)))
    return changed


def _rounded(pixels: np.ndarray) -> Pixels:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "background": _background,
    "place": _place,
    "light": _light,
    "blur": _blur,
    "JPEG": _jpeg,
    "noise": _noise,
}
"""What can be done to a frame that its sound says nothing of: another hue of the background, 4 pixels to a side,
brightness x 0.8 or 1.2, a Gaussian blur of 1 pixel, JPEG at quality 30, and noise of standard deviation 12 of 255."""


def changed(pixels: Pixels, kind: str, label: str, rng: np.random.Generator) -> Pixels | None:
    """Return a frame of the class `label` with one nuisance changed; None where that would be more than a nuisance."""
    if kind == "background" and label in SKIES:
        return None
    return CHANGES[kind](pixels, rng)


def nearest_training_clip(index: int, candidates: Mapping[int, Facts]) -> int:
    """Return the training clip that a perfect memory would recall for a test clip: of its class, nearest attributes.

    Args:
        index: Number of the test clip.
        candidates: Facts of the training clips by number; at least one is of the class.
    """
    own = world.facts_of("test", index)

    def apart(facts: Facts) -> float:
        pairs = ((value, facts.heard[name]) for name, value in own.heard.items())
        return sum(abs(a - b) if isinstance(a, float) and isinstance(b, float) else float(a != b) for a, b in pairs)

    same = [number for number, facts in candidates.items() if facts.label == own.label]
    return min(same, key=lambda number: (apart(candidates[number]), number))
