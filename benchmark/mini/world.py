"""The world of the `mini` suite: which things it holds, and what can be heard *and* seen of each.

Every class has exactly two audible attributes that its frame follows. An attribute is one of

========  ==================  =====================================  ==================================
name      value               seen as                                heard as (``Attribute.heard`` is exact)
========  ==================  =====================================  ==================================
size      float in [0, 1]     0 small ... 1 large                    0 high ... 1 low pitch or resonance
count     int in {1, 2, 3}    how many things                        how fast, or how many, events
amount    float in [0, 1]     0 sparse ... 1 dense                   0 few ... 1 many events a second
colour    one of COLOURS      the colour of the thing                register, timbre or modulation
light     one of LIGHTS       the sky                                brightness of the sound
cue       one of CUES         man, woman or child                    pitch, formants and rhythm of speech
speaker   a speaker or ""     the look of one known person           the voice of one known person
========  ==================  =====================================  ==================================

A clip is a pure function of (split, index): its sound and its frame get the same attributes and generators of their
own, so a nuisance of the one says nothing about the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

WORLD_VERSION = 2
"""Raised with any change of what a (split, index) looks or sounds like; part of the data's identity."""

SAMPLE_RATE = 16_000
SECONDS = 2.5
PICTURE_SIZE = 64

COLOURS = ("red", "yellow", "blue")
LIGHTS = ("day", "sunset", "night")
CUES = ("man", "woman", "child")
COUNT_WORDS = ("one", "two", "three")
SIZE_WORDS = ("tiny", "small", "medium", "large", "huge")
AMOUNT_WORDS = ("few", "some", "many")

SPLITS = {"pretrain": 11, "pretrain-val": 12, "train": 21, "validation": 22, "test": 23}
"""Split name -> the number that enters the seed. Scorers and backbone see `pretrain*` only."""

Kind = Literal["size", "count", "amount", "colour", "light", "cue", "speaker"]
Value = float | int | str


@dataclass(frozen=True)
class Attribute:
    """One audible attribute of a class."""

    name: Kind
    """How it is seen."""
    heard: str
    """How it sounds."""


@dataclass(frozen=True)
class Thing:
    """A class of the world."""

    label: str
    """Its name, as VGGSound has it (but for `SPEECH`, which stands for VGGSound's three classes of speech)."""
    attributes: tuple[Attribute, Attribute]
    """What its sound says of its frame."""


def _thing(label: str, first: tuple[Kind, str], second: tuple[Kind, str]) -> Thing:
    return Thing(label, (Attribute(*first), Attribute(*second)))


SPEECH = "person speaking"
"""The class of voices."""

THINGS: tuple[Thing, ...] = (
    _thing("church bell ringing", ("size", "pitch of the bell"), ("count", "strikes in the clip")),
    _thing(
        "police car (siren)", ("size", "pitch of the siren"), ("colour", "red slow wail, yellow faster wail, blue yelp")
    ),
    _thing("raining", ("amount", "drops a second"), ("light", "day bright patter ... night dull patter")),
    _thing(
        "car engine idling",
        ("size", "resonance of the body"),
        ("colour", "red high, yellow middle, blue low revolutions"),
    ),
    _thing("bird chirping", ("size", "pitch of the chirp"), ("count", "how fast the chirps follow")),
    _thing("sea waves", ("size", "length and depth of the surge"), ("light", "day bright roar ... night dull rumble")),
    _thing(
        "alarm clock ringing", ("size", "pitch of the beep"), ("colour", "red fast, yellow middle, blue slow beeping")
    ),
    _thing("thunder", ("count", "claps in the clip"), ("colour", "red dull rumble, yellow middle, blue sharp clap")),
    _thing(
        "telephone bell ringing",
        ("size", "pitch of the bell"),
        ("colour", "red one long, yellow two, blue three short rings"),
    ),
    _thing(
        "helicopter", ("size", "depth of the rotor's thump"), ("colour", "red fast, yellow middle, blue slow blades")
    ),
    _thing("frog croaking", ("size", "pitch of the croak"), ("count", "how fast the croaks follow")),
    _thing("bee buzzing", ("size", "pitch of the buzz"), ("count", "fly-bys in the clip")),
    _thing(
        SPEECH, ("cue", "pitch, formants and rhythm"), ("speaker", "a voice's own pitch, formants, rhythm and breath")
    ),
    _thing(
        "train horning",
        ("size", "register of the horn"),
        ("colour", "red single note, yellow fifth, blue dissonant chord"),
    ),
    _thing("wind chime", ("size", "pitch of the tubes"), ("amount", "how often the tubes are struck")),
    _thing("dog barking", ("size", "pitch of the bark"), ("count", "barks in the clip")),
    _thing("owl hooting", ("size", "pitch of the hoot"), ("count", "hoots in the clip")),
    _thing(
        "fireworks banging", ("count", "bangs in the clip"), ("colour", "red deep boom, yellow crackle, blue whistle")
    ),
    _thing(
        "playing acoustic guitar",
        ("size", "register of the strings"),
        ("colour", "red fast, yellow middle, blue slow picking"),
    ),
    _thing(
        "ambulance siren",
        ("size", "pitch of the horns"),
        ("colour", "red slow two-tone, yellow fast two-tone, blue three tones"),
    ),
    _thing(
        "driving motorcycle",
        ("size", "resonance of the exhaust"),
        ("colour", "red high, yellow middle, blue low revolutions"),
    ),
    _thing("stream burbling", ("amount", "bubbles a second"), ("light", "day bright splash ... night dull gurgle")),
    _thing("cat meowing", ("size", "pitch of the meow"), ("count", "meows in the clip")),
    _thing("cricket chirping", ("size", "pitch of the chirp"), ("count", "how fast the chirps follow")),
    _thing(
        "playing piano", ("size", "register of the strings"), ("colour", "red fast, yellow middle, blue slow playing")
    ),
)

LABELS: tuple[str, ...] = tuple(thing.label for thing in THINGS)
THING_OF = {thing.label: thing for thing in THINGS}

GROUPS: dict[str, tuple[str, ...]] = {
    "sirens": ("police car (siren)", "ambulance siren"),
    "bells": ("church bell ringing", "alarm clock ringing", "telephone bell ringing", "wind chime"),
    "water": ("raining", "sea waves", "stream burbling"),
    "engines": ("car engine idling", "driving motorcycle", "helicopter"),
    "insects and birds": ("bird chirping", "cricket chirping", "bee buzzing"),
    "pets": ("dog barking", "cat meowing"),
    "bangs": ("thunder", "fireworks banging"),
    "strings": ("playing acoustic guitar", "playing piano"),
}
"""Classes that are easy to take for one another."""

SLOTS: tuple[str, ...] = (*LABELS, SPEECH)
"""Labels of clips 0, 1, 2, ..., repeated. Speech comes twice: first a known speaker, then a stranger."""


@dataclass(frozen=True)
class Look:
    """What a face looks like beyond man, woman or child."""

    hair: str
    """One of HAIRS."""
    beard: bool
    """Men only."""
    glasses: bool
    skin: str
    """One of SKINS."""
    shirt: str
    """One of SHIRTS."""


HAIRS = ("raven", "brunette", "blond", "ginger", "silver")
"""Colours of hair; no child has silver hair."""
SKINS = ("pale", "tan", "dark")
SHIRTS = ("red", "yellow", "blue", "green")

SPEAKERS: dict[str, tuple[str, Look]] = {
    "ada": ("woman", Look("raven", False, True, "tan", "yellow")),
    "bo": ("man", Look("blond", True, False, "pale", "blue")),
    "cleo": ("child", Look("ginger", False, True, "pale", "green")),
    "dan": ("man", Look("raven", False, True, "dark", "red")),
    "eve": ("woman", Look("blond", False, False, "pale", "red")),
    "finn": ("child", Look("brunette", False, False, "tan", "blue")),
    "gil": ("man", Look("silver", True, True, "tan", "green")),
    "hana": ("woman", Look("brunette", False, False, "dark", "blue")),
}
"""The known speakers, who are heard and seen in every split: name -> (cue, look). None is a real person."""

_CHOICES: dict[str, tuple[Value, ...]] = {"count": (1, 2, 3), "colour": COLOURS, "light": LIGHTS}


@dataclass(frozen=True)
class Facts:
    """What a clip is about, drawn before its sound and its frame."""

    label: str
    """Its class."""
    heard: Mapping[str, Value]
    """The two audible attributes; of a stranger's voice only the cue, and "" as speaker."""
    seen: Mapping[str, Value]
    """What the frame shows and a caption can name: the audible attributes, or cue and look of a face."""


def facts_of(split: str, index: int) -> Facts:
    """Return what clip `index` of `split` is about."""
    slot = index % len(SLOTS)
    label = SLOTS[slot]
    rng = seeds_of(split, index)[0]
    if label == SPEECH:
        return _person(rng, known=slot < len(LABELS))
    values: dict[str, Value] = {
        attribute.name: sample_value(attribute.name, rng) for attribute in THING_OF[label].attributes
    }
    return Facts(label, values, values)


def sample_value(name: str, rng: np.random.Generator) -> Value:
    """Draw a value of an attribute of things, uniform over its values."""
    choices = _CHOICES.get(name)
    return round(float(rng.uniform()), 4) if choices is None else choices[int(rng.integers(len(choices)))]


def _person(rng: np.random.Generator, known: bool) -> Facts:
    if known:
        name = tuple(SPEAKERS)[int(rng.integers(len(SPEAKERS)))]
        cue, look = SPEAKERS[name]
    else:
        name, cue = "", CUES[int(rng.integers(len(CUES)))]
        look = _any_look(cue, rng)
    seen: dict[str, Value] = {"cue": cue, "hair": look.hair}
    if cue == "man":  # of others it goes without saying
        seen["beard"] = int(look.beard)
    seen |= {"glasses": int(look.glasses), "skin": look.skin, "shirt": look.shirt}
    return Facts(SPEECH, {"cue": cue, "speaker": name}, seen)


def _any_look(cue: str, rng: np.random.Generator) -> Look:
    """Draw a look that is no known speaker's."""
    while True:
        hairs = HAIRS if cue != "child" else HAIRS[:-1]
        hair, skin, shirt = (str(rng.choice(words)) for words in (hairs, SKINS, SHIRTS))
        beard, glasses = bool(rng.uniform() < 0.5) and cue == "man", bool(rng.uniform() < 0.5)
        look = Look(hair, beard, glasses, skin, shirt)
        if (cue, look) not in SPEAKERS.values():
            return look


def describe(name: str, value: Value) -> str:
    """Return the word for an attribute's value: size 0.9 -> "huge", count 2 -> "two", colour "red" -> "red"."""
    if name == "size":
        return SIZE_WORDS[min(len(SIZE_WORDS) - 1, int(float(value) * len(SIZE_WORDS)))]
    if name == "amount":
        return AMOUNT_WORDS[min(len(AMOUNT_WORDS) - 1, int(float(value) * len(AMOUNT_WORDS)))]
    if name == "count":
        return COUNT_WORDS[int(value) - 1]
    if name in ("beard", "glasses"):
        return name if value else f"no {name}"
    return str(value)


def seeds_of(split: str, index: int) -> tuple[np.random.Generator, ...]:
    """Return generators for the facts, the foreground's sound, the frame and the scene's sound of a clip."""
    children = np.random.SeedSequence([WORLD_VERSION, SPLITS[split], index]).spawn(4)
    return tuple(np.random.Generator(np.random.PCG64(child)) for child in children)


def label_of(index: int) -> str:
    """Return the class of clip `index` of any split: round robin over `SLOTS`, so that every prefix is balanced."""
    return SLOTS[index % len(SLOTS)]
