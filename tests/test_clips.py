from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from benchmark.clips import Clip, ClipSet, bad_id, id_key
from benchmark.media.audio import write_wav
from benchmark.media.images import save_png
from benchmark.utils.errors import UserError

SOUND = np.linspace(-0.5, 0.5, 1600, dtype=np.float32)
PICTURE = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)


def clip(
    clip_id: str, *labels: str, audio: np.ndarray | Path = SOUND, image: np.ndarray | Path | None = PICTURE
) -> Clip:
    return Clip(clip_id, audio, image, labels or ("dog",), "test")


def clip_set(*clips: Clip, labels: tuple[str, ...] = ("dog", "cat", "owl")) -> ClipSet:
    return ClipSet("pets", clips, labels)


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "../a", "a/b", "a\\b", ".hidden", "a\0", "a\n", "a\x7f", "a\u2028", "a" * 129, "é" * 111]
)
def test_bad_ids(bad: str) -> None:
    assert bad_id(bad)
    with pytest.raises(UserError, match="^clip id ") as caught:
        clip(bad)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("good", ["a", "A b_c-d", "a..b", "é", "a" * 128, "鳥" * 70, "0qBM_000030", "-a"])
def test_good_ids(good: str) -> None:
    assert bad_id(good) is None and clip(good).id == good


def test_id_key() -> None:
    assert id_key("Frog") == id_key("frog") and id_key("e\u0301") == id_key("\u00e9") and id_key("a") != id_key("b")


def test_clip_from_arrays() -> None:
    one = clip("a", "dog", "barking")
    assert one.label == "dog" and one.labels == ("dog", "barking") and one.attributes == {}
    np.testing.assert_array_equal(one.waveform(), SOUND)
    assert one.waveform(8000).size == 800
    np.testing.assert_array_equal(np.asarray(one.picture()), PICTURE)
    assert one == one and one != clip("a", "dog", "barking") and len({one, one}) == 1
    assert "0.5" not in repr(one)


def test_clip_from_files(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SOUND)
    save_png(tmp_path / "a.png", PICTURE)
    one = clip("a", audio=tmp_path / "a.wav", image=tmp_path / "a.png")
    np.testing.assert_allclose(one.waveform(), SOUND, atol=2**-15)
    np.testing.assert_array_equal(np.asarray(one.picture()), PICTURE)
    before = clip_set(one).identity
    assert clip_set(one).identity == before
    save_png(tmp_path / "a.png", PICTURE[::-1])
    assert clip_set(one).identity != before


def test_clip_without_picture_or_label() -> None:
    with pytest.raises(UserError, match="clip 'a' has no reference frame"):
        clip("a", image=None).picture()
    for labels in ((), ("",), ("dog", "")):
        with pytest.raises(UserError, match="give at least one"):
            Clip("a", SOUND, None, labels, "test")


def test_sequence() -> None:
    a, b, c = clip("a", "owl"), clip("b", "dog"), clip("c", "cat")
    clips = clip_set(a, b, c)
    assert len(clips) == 3 and list(clips) == [a, b, c] and clips[1] is b and clips[1:] == (b, c) and clips[-1] is c
    assert clips.ids == ("a", "b", "c") and clips.index["c"] == 2
    assert clips.classes.tolist() == [2, 0, 1] and clips.classes.dtype == np.int64
    assert clip_set().classes.shape == (0,)


def test_identity_covers_ids_labels_and_content() -> None:
    base = clip_set(clip("a"), clip("b"))
    assert clip_set(clip("a"), clip("b")) == base and hash(clip_set(clip("a"), clip("b"))) == hash(base)
    assert ClipSet("other name", base.clips, base.labels) == base
    changed = SOUND.copy()
    changed[0] = 0
    others = [
        clip_set(clip("b"), clip("a")),
        clip_set(clip("a"), clip("c")),
        clip_set(clip("a"), clip("b", "cat")),
        clip_set(clip("a"), clip("b", "dog", "cat")),
        clip_set(clip("a"), clip("b"), labels=("cat", "dog", "owl")),
        clip_set(clip("a"), clip("b", audio=changed)),
        clip_set(clip("a"), clip("b", image=PICTURE[::-1])),
        clip_set(clip("a"), clip("b", image=None)),
    ]
    assert len({base.identity, *(other.identity for other in others)}) == 9
    assert all(other != base for other in others) and base != "pets"
    assert ClipSet("pets", base.clips, base.labels, "given").identity == "given"


def test_identity_survives_pickling() -> None:
    clips = clip_set(clip("a"), clip("b"))
    assert pickle.loads(pickle.dumps(clips)) == clips


def test_problems_of_a_set_are_listed_together() -> None:
    same = clip("frog")
    with pytest.raises(UserError) as caught:
        clip_set(same, clip("b", "fish"), clip("Frog"), same, labels=("dog", "dog"))
    assert len(caught.value.problems) == 4
    assert "'fish'" in caught.value.problems[0] and "'Frog' collides with 'frog'" in caught.value.problems[1]


def test_limit_takes_classes_in_turn() -> None:
    names = {"d1": "dog", "d2": "dog", "o1": "owl", "d3": "dog", "c1": "cat", "o2": "owl"}
    clips = clip_set(*(clip(clip_id, label) for clip_id, label in names.items()))
    whole = clips.limit(99)
    assert whole.ids == ("d1", "o1", "c1", "d2", "o2", "d3") and whole != clips
    for n in range(1, 7):
        part = clips.limit(n)
        assert part.ids == whole.ids[:n] and part.labels == clips.labels and part == clips.limit(n)
    assert len({clips.limit(n).identity for n in range(1, 7)}) == 6
    assert whole.limit(6) is whole
    for n in (0, -1):
        with pytest.raises(UserError, match=f"limit {n} leaves no clip"):
            clips.limit(n)
