"""Judges: networks from outside, which no suite scores with, for metrics such as `iis@effnetlite0`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmark.registries import ENCODERS
from benchmark.utils.errors import RunError
from benchmark.weights import catalog, locate

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from metrics.scorers.clap import CLAPScorer
    from metrics.scorers.joint import JointScorer
    from metrics.scorers.pe_av import PEAVScorer
    from metrics.scorers.tower import ImageTower

T = TypeVar("T")

LISTENERS = ("imagebind", "pe-av")
"""The judges that hear, too: their `embed_audio` is in the space of their images."""

HEARD = "This is a sound of {}."
"""What a judge that reads is told of a label: the prompt of CLAP's own zero-shot evaluation."""


def sha256_of(suite: Suite, name: str) -> str | None:
    """Return the hash that identifies a judge's weights, without loading it; None if they are not on this machine.

    A judge that the suite offers to methods as an encoder has the weights of that encoder.
    """
    if name in suite.encoders:
        return None if "://" in suite.encoders[name] else suite.encoders[name]
    one = catalog.network(name)
    root = locate.located(one)
    return None if root is None else locate.hash_at(one, root)


def why_missing(suite: Suite, name: str) -> str:
    """Return why a judge without a hash is missing, and how to get it, in one line."""
    return locate.missing(catalog.network(name), suite)


def effnetlite0(suite: Suite, device: str) -> ImageTower:
    """Load EfficientNet-Lite0, which was trained on ImageNet."""
    from metrics.scorers.effnetlite import load_effnetlite0

    name = catalog.network("effnetlite0").files[0].name
    return _loaded(suite, "effnetlite0", lambda root, sha256: load_effnetlite0(root / name, sha256, device))


def dinov2(suite: Suite, device: str) -> ImageTower:
    """Load DINOv2."""
    from metrics.scorers.dinov2 import load_dinov2

    return _loaded(suite, "dinov2", lambda root, sha256: load_dinov2(root, sha256, device))


def clap(suite: Suite, device: str) -> CLAPScorer:
    """Load CLAP, which hears and reads and sees no images."""
    from metrics.scorers.clap import load_clap

    return _loaded(suite, "clap", lambda root, sha256: load_clap(root, sha256, device))


def pe_av(suite: Suite, device: str) -> PEAVScorer:
    """Load PE-AV, which sees an image as a video of one frame."""
    from metrics.scorers.pe_av import load_pe_av

    return _loaded(suite, "pe-av", lambda root, sha256: load_pe_av(root, sha256, device))


def imagebind(suite: Suite, device: str) -> JointScorer:
    """Load the suite's ImageBind, which is an encoder of methods and no scorer of a suite."""
    from metrics.scorers.joint import JointScorer

    encoder = ENCODERS.get(f"{suite.base}/imagebind")(suite, device)
    return JointScorer("imagebind", suite.encoders["imagebind"], encoder)


def _loaded(suite: Suite, name: str, load: Callable[[Path, str], T]) -> T:
    """Return what `load` makes of a network's folder and hash; RunError where the files are another network's."""
    root, one = locate.checked(suite, name), catalog.network(name)
    try:
        return load(root, locate.hash_at(one, root))
    except ValueError as error:
        raise RunError(str(error)) from error
