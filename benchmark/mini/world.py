"""The world of the `mini` suite: which things it holds, and what can be heard *and* seen of each.

Every class has exactly two audible attributes that its picture follows. An attribute is one of

========  ==================  =====================================  ==================================
name      value               seen as                                heard as (``Attribute.heard`` is exact)
========  ==================  =====================================  ==================================
size      float in [0, 1]     0 small ... 1 large                    0 high ... 1 low pitch or resonance
count     int in {1, 2, 3}    how many things                        how fast, or how many, events
amount    float in [0, 1]     0 sparse ... 1 dense                   0 few ... 1 many events a second
colour    one of COLOURS      the colour of the thing                register, timbre or modulation
light     one of LIGHTS       the sky                                brightness of the sound
========  ==================  =====================================  ==================================

A clip is a pure function of (split, index): `sounds.synthesize` and `pictures.draw` get the same
attributes and generators of their own, so a nuisance of the one says nothing about the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

WORLD_VERSION = 1
"""Raised with any change of what a (split, index) looks or sounds like; part of the data's identity."""

SAMPLE_RATE = 16_000
SECONDS = 2.5
PICTURE_SIZE = 64

COLOURS = ("red", "yellow", "blue")
LIGHTS = ("day", "sunset", "night")
COUNT_WORDS = ("one", "two", "three")
SIZE_WORDS = ("tiny", "small", "medium", "large", "huge")
AMOUNT_WORDS = ("few", "some", "many")

SPLITS = {"pretrain": 11, "pretrain-val": 12, "train": 21, "validation": 22, "test": 23}
"""Split name -> the number that enters the seed. Scorers and backbone see `pretrain*` only."""

Kind = Literal["size", "count", "amount", "colour", "light"]
Value = float | int | str


@dataclass(frozen=True)
class Attribute:
    """One audible attribute of a class: `name` says how it is seen, `heard` how it sounds."""

    name: Kind
    heard: str


@dataclass(frozen=True)
class Thing:
    """A class of the world: `label` is its name (most are VGGSound's), `attributes` its two attributes."""

    label: str
    attributes: tuple[Attribute, Attribute]


def _thing(label: str, first: tuple[Kind, str], second: tuple[Kind, str]) -> Thing:
    return Thing(label, (Attribute(*first), Attribute(*second)))


THINGS: tuple[Thing, ...] = (
    _thing("church bell ringing", ("size", "pitch of the bell"), ("count", "strikes in the clip")),
    _thing("police car (siren)", ("size", "pitch of the siren"), ("colour", "red slow wail, yellow two-tone, blue fast yelp")),
    _thing("raining", ("amount", "drops a second"), ("light", "day bright patter ... night dull rumble")),
    _thing("car engine idling", ("size", "resonance of the body"), ("colour", "red high, yellow middle, blue low revolutions")),
    _thing("bird chirping", ("size", "pitch of the chirp"), ("count", "how fast the chirps follow")),
    _thing("sea waves", ("size", "length and depth of the surge"), ("light", "day bright foam ... night dull rumble")),
    _thing("alarm clock ringing", ("size", "pitch of the gong"), ("colour", "red fast, yellow middle, blue slow hammer")),
    _thing("thunder", ("count", "claps in the clip"), ("colour", "red dull rumble, yellow middle, blue sharp crack")),
    _thing("telephone bell ringing", ("size", "pitch of the bell"), ("colour", "red one long, yellow two, blue three short rings")),
    _thing("helicopter", ("size", "depth of the rotor's thump"), ("colour", "red fast, yellow middle, blue slow blades")),
    _thing("frog croaking", ("size", "pitch of the croak"), ("count", "how fast the croaks follow")),
    _thing("bee buzzing", ("size", "pitch of the buzz"), ("count", "fly-bys in the clip")),
    _thing("train horning", ("size", "register of the horn"), ("colour", "red single note, yellow fifth, blue dissonant chord")),
    _thing("wind chime", ("size", "pitch of the tubes"), ("amount", "how often the tubes are struck")),
    _thing("dog barking", ("size", "pitch of the bark"), ("count", "barks in the clip")),
    _thing("owl hooting", ("size", "pitch of the hoot"), ("count", "hoots in the clip")),
    _thing("fireworks banging", ("count", "bangs in the clip"), ("colour", "red deep boom, yellow crackle, blue whistle")),
    _thing("playing acoustic guitar", ("size", "register of the strings"), ("colour", "red fast, yellow middle, blue slow picking")),
)

LABELS: tuple[str, ...] = tuple(thing.label for thing in THINGS)
THING_OF = {thing.label: thing for thing in THINGS}

_CHOICES: dict[str, tuple[Value, ...]] = {"count": (1, 2, 3), "colour": COLOURS, "light": LIGHTS}


def sample_attributes(label: str, rng: np.random.Generator) -> dict[str, Value]:
    """Draw the two attributes of `label`, each uniform over its values."""
    values: dict[str, Value] = {}
    for attribute in THING_OF[label].attributes:
        choices = _CHOICES.get(attribute.name)
        if choices is None:
            values[attribute.name] = round(float(rng.uniform()), 4)
        else:
            values[attribute.name] = choices[int(rng.integers(len(choices)))]
    return values


def describe(name: str, value: Value) -> str:
    """The word for an attribute's value: size 0.9 -> "huge", count 2 -> "two", colour "red" -> "red"."""
    if name == "size":
        return SIZE_WORDS[min(len(SIZE_WORDS) - 1, int(float(value) * len(SIZE_WORDS)))]
    if name == "amount":
        return AMOUNT_WORDS[min(len(AMOUNT_WORDS) - 1, int(float(value) * len(AMOUNT_WORDS)))]
    if name == "count":
        return COUNT_WORDS[int(value) - 1]
    return str(value)


def seeds_of(split: str, index: int) -> tuple[np.random.Generator, np.random.Generator, np.random.Generator]:
    """Generators for the attributes, the sound and the picture of clip `index` of `split`."""
    children = np.random.SeedSequence([WORLD_VERSION, SPLITS[split], index]).spawn(3)
    attributes, sound, picture = (np.random.Generator(np.random.PCG64(child)) for child in children)
    return attributes, sound, picture


def label_of(index: int) -> str:
    """Clip `index` of any split shows this class: round robin, so that every prefix is balanced."""
    return LABELS[index % len(LABELS)]
