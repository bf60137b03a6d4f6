"""Registries of everything that is found by name: methods, data sets, backbones, scorers, audio encoders.

Targets are texts (`module:object`) and are imported on first use. Other packages register theirs by an entry point in
the registry's group, such as `bench.methods`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.utils.errors import UserError
from benchmark.utils.files import read_ordinary
from benchmark.utils.registry import Registry, load_file

if TYPE_CHECKING:
    from benchmark.backbone import Backbone
    from benchmark.dataset import DataSet
    from benchmark.method import Method
    from benchmark.suite import Suite
    from metrics.scorers.base import Scorer

METHODS: Registry[type[Method]] = Registry("method", "bench.methods")
"""Name -> class. All methods, also this project's own, come from the group of entry points."""


def find_method(name: str) -> type[Method]:
    """Return the method with a name, or the class that `path/to/file.py:Class` names.

    Raises:
        UserError: The name is unknown, or its object is not a method.
    """
    if name.endswith(".py"):
        raise UserError(f"{name!r} names a file, not the class in it: write {name}:{_classes(name)}")
    found = load_file(name) if ".py:" in name else METHODS.get(name)
    if why := why_no_method(found):
        raise UserError(f"{name!r} {why}")
    return found


def name_of_another(asked: str | type[Method], method: type[Method]) -> str | None:
    """Return why a method may not bear the name on its card, as a sentence; None if it may.

    Args:
        asked: What was asked for: a name, `path/to/file.py:Class`, or the class itself.
        method: The class that was found.
    """
    name = method.card.name
    named = isinstance(asked, str) and ".py:" not in asked
    if named and name != asked:
        return f"method {asked!r} cannot be used: its card says {name!r}"
    if named or name not in METHODS or METHODS.get(name) is method:
        return None
    what = repr(asked) if isinstance(asked, str) else f"class {method.__qualname__!r}"
    return (
        f"{what} cannot be used: its card says {name!r}, which is the name of {METHODS.origin(name)}; results are told "
        "apart by the name, so give it another one"
    )


def why_no_method(found: object) -> str | None:
    """Return why an object is not a usable method class, as the end of a sentence; None if it is usable."""
    from benchmark.method import Method, MethodCard

    if not (isinstance(found, type) and issubclass(found, Method)):
        return "is not a subclass of benchmark.Method: name a class that is one"
    if not isinstance(getattr(found, "card", None), MethodCard):
        return "has no card: give the class a `card = MethodCard(...)`"
    if problems := found.card.problems:
        return f"has a bad card: {'; '.join(problems)}"
    return None


def _classes(path: str) -> str:
    """Guess the method classes of a file from its text, for a hint."""
    try:
        text = read_ordinary(Path(path).expanduser()).decode("utf-8")
    except (OSError, ValueError):
        return "Class"
    names = re.findall(r"^class (\w+)\([^)]*(?:Method|Token)\w*[^)]*\)", text, re.MULTILINE) or re.findall(
        r"^class (\w+)", text, re.MULTILINE
    )
    return " or :".join(names) or "Class"


DATASETS: Registry[DataSet] = Registry("data set", "bench.datasets")
"""Name -> data set."""

BACKBONES: Registry[Callable[[Suite, str], Backbone]] = Registry("backbone", "bench.backbones")
"""Name -> function (suite, device) that loads the suite's frozen pipeline."""

SCORERS: Registry[Callable[[Suite, str], Scorer]] = Registry("scorer", "bench.scorers")
"""`<suite>/<network>` -> function (suite, device) that loads the scorer with its weights."""

ENCODERS: Registry[Callable[[Suite, str], Any]] = Registry("audio encoder", "bench.encoders")
"""`<suite>/<network>` -> function (suite, device) that loads a frozen audio encoder for methods."""

JUDGES: Registry[Callable[[Suite, str], Scorer]] = Registry("judge")
"""Name -> function (suite, device) that loads a network which scores besides the suite's own scorers."""

DATASETS.register("mini", "benchmark.mini.wiring:DATA")
DATASETS.register("vggsound", "benchmark.data.vggsound:DATA")
DATASETS.register("vggsound-tiny", "benchmark.data.vggsound:TINY")

BACKBONES.register("mini", "benchmark.mini.wiring:backbone")
BACKBONES.register("stable-diffusion-v1-4", "benchmark.fullscale.backbone:backbone")

for _name in ("clip", "wav2clip", "classifier"):
    SCORERS.register(f"mini/{_name}", f"benchmark.mini.wiring:{_name}")
for _name, _object in (("beats", "beats"), ("wav2clip-encoder", "wav2clip_encoder"), ("imagebind", "imagebind")):
    ENCODERS.register(f"mini/{_name}", f"benchmark.mini.wiring:{_object}")

# suites of the same networks
_ALIKE = ("vggsound-paper", "vggsound-middle", "vggsound-tiny")
for _name, _object in (
    ("clip-vit-b-32", "clip_vit_b_32"),
    ("clip-vit-l-14", "clip_vit_l_14"),
    ("wav2clip", "wav2clip_scorer"),
):
    _target = f"benchmark.fullscale.networks:{_object}"
    SCORERS.register(f"vggsound/{_name}", _target, aliases=[f"{suite}/{_name}" for suite in _ALIKE])
for _name, _object in (("beats", "beats"), ("wav2clip-encoder", "wav2clip_encoder"), ("imagebind", "imagebind")):
    _target = f"benchmark.fullscale.networks:{_object}"
    ENCODERS.register(f"vggsound/{_name}", _target, aliases=[f"{suite}/{_name}" for suite in _ALIKE])

for _name in ("effnetlite0", "imagebind", "dinov2", "clap", "pe-av"):
    JUDGES.register(_name, f"benchmark.fullscale.judges:{_name.replace('-', '_')}")
