"""Judges: networks from outside, which no suite scores with, for metrics such as `iis@effnetlite0`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.registries import ENCODERS
from benchmark.utils.errors import RunError
from benchmark.weights import catalog, locate

if TYPE_CHECKING:
    from benchmark.suite import Suite
    from metrics.scorers.joint import JointScorer
    from metrics.scorers.tower import ImageTower


LISTENERS = ("imagebind",)
"""The judges that hear, too: their `embed_audio` is in the space of their images."""


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

    root, one = locate.checked(suite, "effnetlite0"), catalog.network("effnetlite0")
    try:
        return load_effnetlite0(root / one.files[0].name, locate.hash_at(one, root), device)
    except ValueError as error:
        raise RunError(str(error)) from error


def dinov2(suite: Suite, device: str) -> ImageTower:
    """Load DINOv2."""
    from metrics.scorers.dinov2 import load_dinov2

    root, one = locate.checked(suite, "dinov2"), catalog.network("dinov2")
    try:
        return load_dinov2(root, locate.hash_at(one, root), device)
    except ValueError as error:
        raise RunError(str(error)) from error


def imagebind(suite: Suite, device: str) -> JointScorer:
    """Load the suite's ImageBind, which is an encoder of methods and no scorer of a suite."""
    from metrics.scorers.joint import JointScorer

    encoder = ENCODERS.get(f"{suite.base}/imagebind")(suite, device)
    return JointScorer("imagebind", suite.encoders["imagebind"], encoder)
