from __future__ import annotations

import numpy as np
import pytest

from benchmark.clips import Clip, ClipSet
from benchmark.utils.errors import UserError

SOUND = np.linspace(-0.5, 0.5, 1600, dtype=np.float32)
PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
LABELS = ("dog", "cat", "owl")


def pets(*visible: tuple[str, ...] | None) -> ClipSet:
    first, second = visible
    a = Clip("a", SOUND, PICTURE, ("dog", "owl"), "test", visible=first)
    return ClipSet("pets", (a, Clip("b", SOUND, None, ("cat",), "train", visible=second)), LABELS)


def test_sets_that_nobody_annotated_keep_the_identity_they_always_had() -> None:
    assert pets(None, None).identity == "ce39f3564813710be5c243a8c5d72749ef772209a633bbecd55259308ec949b3"
    assert pets(None, None).visible is None


def test_visible_labels_are_positions_and_part_of_the_identity() -> None:
    assert pets(("owl", "dog"), None).visible == (frozenset({0, 2}), frozenset())
    assert pets((), ("cat",)).visible == (frozenset(), frozenset({1}))
    sets = pets(None, None), pets((), None), pets(("owl",), None), pets(None, ("owl",))
    assert len({one.identity for one in sets}) == 4


def test_a_visible_label_outside_the_label_set_is_refused() -> None:
    with pytest.raises(UserError, match="clip 'b' has label 'cow', which is not in the label set"):
        pets(None, ("cow",))
