"""Variations of the test clips: the same pictures are asked for, and the method hears something else.

A variation is a name such as `snr=0` (`KINDS` lists them). The fit is that of the suite itself, the images share their
noise with those of the unchanged clips, and scorers keep listening to the sound that was there: what a number loses is
what the method did not hear, and not what a scorer did not. Every change is drawn from the clip's id alone, so that
equal noise stands at different levels, and a limit changes nothing.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.clips import Clip, ClipSet
from benchmark.media.audio import RATE, load_audio
from benchmark.utils.env import cache_dir
from benchmark.utils.errors import UserError, unknown
from benchmark.utils.files import digest

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.dataset import DataSet
    from benchmark.suite import Suite
    from benchmark.utils.progress import UI

VERSION = 1
"""Raised with any change of what a variation sounds like; part of its identity."""

LEVEL = 0.1
"""Root mean square of sounds that replace a clip's: 20 dB below full scale."""
FADE_SECONDS = 0.01
"""Length of the fade where a sound is cut, so that no click says so."""


@dataclass(frozen=True)
class Kind:
    """A family of variations."""

    about: str
    """What is heard, in one line; {} is the value."""
    low: float | None = None
    """Least value; None for a kind without a value."""
    high: float = math.inf
    """Greatest value."""
    unit: str = ""
    """What the value is."""
    whole: bool = False
    """Whether the value is a whole number."""
    silences: bool = False
    """Whether nothing of the clip's own sound is left."""
    own: bool = False
    """Whether only a data set itself can make it."""
    others: bool = False
    """Whether the clips are others, with frames of their own, and not the suite's with other sounds."""


KINDS: Mapping[str, Kind] = {
    "clean": Kind("the clip's main sound alone", own=True),
    "snr": Kind("white noise, {} dB below the sound", -40, 60, "signal-to-noise ratio in dB"),
    "mix": Kind("a clip of another class on top, {} dB below the sound", -40, 60, "dB"),
    "cut": Kind("the first {} of the sound, then silence", 0.01, 0.99, "share of the sound that is left"),
    "reversed": Kind("the sound backwards"),
    "silence": Kind("nothing", silences=True),
    "white": Kind("white noise alone", silences=True),
    "speech": Kind("a person speaking in the clip's place", silences=True),
    "fresh": Kind("other clips of the same world, of seed {}", 0, 2**32 - 1, "seed", whole=True, own=True, others=True),
    "clips": Kind(
        "{} clips of the same world, the suite's own first", 1, 100_000, "number", whole=True, own=True, others=True
    ),
}
"""The variations, by the first part of their names."""


@dataclass(frozen=True)
class Variation:
    """One change of the test clips. `parse` makes it of its name."""

    kind: str
    """One of `KINDS`."""
    value: float | None = None
    """Its value, for a kind that has one."""

    @classmethod
    def parse(cls, text: str) -> Variation:
        """Return the variation with a name: `snr=-5`, `reversed`.

        Raises:
            UserError: There is no such variation, or its value is missing, unreadable or out of range.

        Example:
            >>> Variation.parse("snr=-5.0").name
            'snr=-5'
        """
        kind, equals, given = (part.strip() for part in text.partition("="))
        if kind not in KINDS:
            raise unknown("variation", kind, KINDS)
        what = KINDS[kind]
        if what.low is None:
            if equals:
                raise UserError(f"variation {text!r}: {kind} takes no value: write {kind!r}")
            return cls(kind)
        allowed = f"{'a whole number' if what.whole else 'a number'} from {what.low:g} to {what.high:.10g}"
        pattern = r"[+-]?\d+" if what.whole else r"[+-]?(\d+\.?\d*|\.\d+)"
        if not re.fullmatch(pattern, given) or not what.low <= float(given) <= what.high:
            raise UserError(f"variation {text!r}: write {kind}=VALUE, {what.unit}: {allowed}")
        return cls(kind, float(given))

    @property
    def name(self) -> str:
        """The name, the same for equal values."""
        return self.kind if self.value is None else f"{self.kind}={self.value + 0.0:.10g}"

    @property
    def identity(self) -> str:
        """The name with the version of its rule: what the clips' sounds depend on besides the clips."""
        if self.kind != "speech":
            return f"{self.name}@{VERSION}"
        from benchmark.mini.world import WORLD_VERSION

        return f"{self.name}@{VERSION}.{WORLD_VERSION}"

    @property
    def about(self) -> str:
        """What is heard, in one line."""
        return KINDS[self.kind].about.format("" if self.value is None else f"{self.value:.10g}")

    @property
    def other_clips(self) -> bool:
        """Whether the clips are others, with frames of their own, and not the suite's with other sounds."""
        return KINDS[self.kind].others

    @property
    def silences(self) -> bool:
        """Whether nothing of a clip's own sound is left."""
        return KINDS[self.kind].silences

    def of(self, suite: Suite) -> Suite:
        """Return the derived suite whose test clips have this variation."""
        count = int(self.value) if self.kind == "clips" and self.value is not None else None
        return suite.with_variation(self.name, self.identity, count)

    def check(self, name: str, data: DataSet) -> None:
        """Raise UserError if a data set, which is called `name`, cannot have this variation."""
        if KINDS[self.kind].own and self.kind not in data.own_variations:
            raise UserError(
                f"variation {self.name!r}: only a data set that generates its clips can make it, and {name!r} cannot: "
                "use it with --suite mini and without --data"
            )

    def made_by(self, data: DataSet, suite: Suite, ui: UI) -> ClipSet:
        """Return all test clips of a variation that the data set itself makes."""
        return data.vary(suite, self.kind, self.value, cache_dir(), ui)

    def heard(self, clips: ClipSet, data: DataSet, suite: Suite, ui: UI) -> ClipSet:
        """Return test clips with the sounds that a method hears of them.

        Args:
            clips: All test clips of the suite.
            data: Their data set.
            suite: Their suite; sounds are changed as it gives them to methods.
            ui: Progress and warnings.

        Raises:
            UserError: No two clips have different labels, and two sources were asked for.
        """
        if KINDS[self.kind].own:
            return self.made_by(data, suite, ui)
        others = _partners(clips) if self.kind == "mix" else (None,) * len(clips)
        varied = tuple(_varied(clip, other, self, suite) for clip, other in zip(clips, others, strict=True))
        return ClipSet(f"{clips.name}, {self.name}", varied, clips.labels, digest([clips.identity, self.identity]))


@dataclass(frozen=True, eq=False)
class VariedClip(Clip):
    """Clip with another sound, which is made when it is asked for; `audio` itself is empty."""

    original: Clip | None = None
    """The clip as it was."""
    other: Clip | None = None
    """The second source of a mixture."""
    variation: Variation = Variation("silence")
    suite: Suite | None = None
    """The suite at whose rate and length the change is made."""

    def waveform(self, rate: int = RATE, seconds: float | None = None) -> np.ndarray:
        """Return the changed sound, as long as the suite's sounds are: float32, (samples,), at `rate`."""
        assert self.original is not None and self.suite is not None
        own = self.suite.sound(self.original)
        other = None if self.other is None else self.suite.sound(self.other)
        at = self.suite.data.rate
        draws = np.random.default_rng(_seed(self.variation.kind, self.id))
        changed = _SOUNDS[self.variation.kind](_Given(own, other, self.variation.value or 0.0, at, draws))
        return load_audio(changed.astype(np.float32), rate, source_rate=at)

    def picture(self) -> Image:
        """Load the reference frame, which is the clip's own."""
        assert self.original is not None
        return self.original.picture()


def _varied(clip: Clip, other: Clip | None, variation: Variation, suite: Suite) -> VariedClip:
    told = {} if other is None else {"other": other.label, "other_db": -(variation.value or 0.0)}
    return VariedClip(
        id=clip.id,
        audio=np.empty(0, np.float32),
        image=clip.image,
        labels=clip.labels,
        split=clip.split,
        attributes={**clip.attributes, **told},
        visible=clip.visible,
        original=clip,
        other=other,
        variation=variation,
        suite=suite,
    )


def _partners(clips: ClipSet) -> tuple[Clip, ...]:
    """A clip of another label for each clip, drawn from its id."""
    if len({clip.label for clip in clips}) < 2:
        raise UserError(f"variation 'mix': all clips of {clips.name!r} have one label, so no two sources can be mixed")
    chosen = []
    for clip in clips:
        draws = np.random.default_rng(_seed("partner", clip.id))
        other = clip
        while other.label == clip.label:
            other = clips[int(draws.integers(len(clips)))]
        chosen.append(other)
    return tuple(chosen)


def _seed(what: str, clip_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{what}/{clip_id}".encode()).digest()[:8], "big")


@dataclass(frozen=True, eq=False)
class _Given:
    """What a changed sound is made of."""

    own: np.ndarray
    """The clip's sound, (samples,)."""
    other: np.ndarray | None
    """The second source, (samples,)."""
    value: float
    rate: int
    """Samples per second."""
    draws: np.random.Generator


def _power(wave: np.ndarray) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64)))


def _on_top(own: np.ndarray, second: np.ndarray, below: float) -> np.ndarray:
    """Return the sum of two sounds, the second so many dB below the first; the whole is scaled to fit full scale.

    Where one of them is silent, so is the second.
    """
    power = _power(second)
    gain = math.sqrt(_power(own) / power) * 10 ** (-below / 20) if power else 0.0
    both = own + gain * second
    return both / max(1.0, float(np.abs(both).max()))


def _at_level(wave: np.ndarray) -> np.ndarray:
    wave = wave * (LEVEL / math.sqrt(_power(wave) or 1.0))
    return wave.clip(-1.0, 1.0)


def _noisy(given: _Given) -> np.ndarray:
    return _on_top(given.own, given.draws.standard_normal(len(given.own)), given.value)


def _mixed(given: _Given) -> np.ndarray:
    assert given.other is not None
    return _on_top(given.own, given.other, given.value)


def _cut(given: _Given) -> np.ndarray:
    left = max(1, round(given.value * len(given.own)))
    fade = np.minimum(1.0, (left - np.arange(left)) / (FADE_SECONDS * given.rate))
    return np.pad(given.own[:left] * fade, (0, len(given.own) - left))


def _white(given: _Given) -> np.ndarray:
    return _at_level(given.draws.standard_normal(len(given.own)))


def _speech(given: _Given) -> np.ndarray:
    """Return a stranger of the world of `mini` speaking, repeated to the clip's length."""
    from benchmark.mini.sounds.things import sound_of
    from benchmark.mini.world import CUES, SAMPLE_RATE, SPEECH

    cue = CUES[int(given.draws.integers(len(CUES)))]
    said = _at_level(sound_of(SPEECH, {"cue": cue, "speaker": ""}, given.draws)).astype(np.float32)
    said = load_audio(said, given.rate, source_rate=SAMPLE_RATE)
    return np.resize(said, len(given.own))


_SOUNDS: Mapping[str, Callable[[_Given], np.ndarray]] = {
    "snr": _noisy,
    "mix": _mixed,
    "cut": _cut,
    "reversed": lambda given: given.own[::-1].copy(),
    "silence": lambda given: np.zeros_like(given.own),
    "white": _white,
    "speech": _speech,
}
"""The rule of each kind, but for those that a data set makes."""
