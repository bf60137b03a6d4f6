from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from metrics import similarity
from metrics.similarity import Family, family

VARIANTS = tuple(Family.__dataclass_fields__)
RATES = tuple(name for name in VARIANTS if name.startswith("winrate"))


def world(clips: int = 60, images: int = 3, classes: int = 5, width: int = 24, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, clips)
    owner = rng.permutation(np.repeat(np.arange(clips), images))
    counterparts = rng.normal(size=(classes, width))[labels] + rng.normal(size=(clips, width))
    x = counterparts[owner] + 2 * rng.normal(size=(len(owner), width))
    return x.astype(np.float32), counterparts.astype(np.float32), owner, labels


def brute(x, c, owner, labels, pool_of):
    """Win rates one comparison at a time, as the definition reads."""
    x = x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True)
    c = c.astype(float) / np.linalg.norm(c.astype(float), axis=1, keepdims=True)
    out = []
    for i, own in enumerate(owner):
        points = []
        for j in range(len(c)):
            if j != own and pool_of(labels[own], labels[j]):
                difference = x[i] @ c[own] - x[i] @ c[j]
                points.append(0.5 if abs(difference) < 1e-12 else float(difference > 0))
        out.append(np.mean(points) if points else np.nan)
    return np.array(out)


@pytest.mark.parametrize(
    ("variant", "pool_of"),
    [
        ("winrate", lambda own, other: True),
        ("winrate_crossclass", lambda own, other: own != other),
        ("winrate_sameclass", lambda own, other: own == other),
    ],
)
def test_winrates_equal_the_definition(variant, pool_of):
    x, c, owner, labels = world()
    c[7] = c[3]
    np.testing.assert_allclose(
        getattr(family(x, c, owner, labels), variant), brute(x, c, owner, labels, pool_of), rtol=1e-12
    )


def test_z_and_arccos_equal_the_definition():
    x, c, owner, _ = world()
    cosines = similarity.unit(x, "x") @ similarity.unit(c, "c").T
    for i in (0, 17, len(x) - 1):
        rivals = cosines[owner != owner[i], owner[i]]
        z = (cosines[i, owner[i]] - rivals.mean()) / rivals.std()
        assert similarity.zscore(x, c, owner)[i] == pytest.approx(z, rel=1e-9)
        margin = cosines[i, owner[i]] - np.delete(cosines[i], owner[i]).mean()
        assert similarity.arccos(x, c, owner)[i] == pytest.approx(1 - np.arccos(margin) / np.pi, rel=1e-12)


@pytest.mark.parametrize("block_bytes", [1, 8 * 60 * 7, 1 << 30])
def test_blocks_do_not_matter(block_bytes):
    x, c, owner, labels = world()
    whole, cut = family(x, c, owner, labels), family(x, c, owner, labels, block_bytes=block_bytes)
    for name in RATES:
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))
    for name in ("cosine", "z", "arccos"):
        np.testing.assert_allclose(getattr(cut, name), getattr(whole, name), rtol=0, atol=1e-11)


def test_order_of_images_and_clips_does_not_matter():
    x, c, owner, labels = world()
    # Copies of clips and images make ties, the place where rounding could show.
    c[20:30], labels[20:30] = c[:10], labels[:10]
    x[5:9] = x[0]
    whole = family(x, c, owner, labels)
    rng = np.random.default_rng(1)
    images, clips = rng.permutation(len(x)), rng.permutation(len(c))
    where = np.argsort(clips)
    shuffled = family(x[images], c[clips], where[owner[images]], labels[clips], block_bytes=8 * 60 * 11)
    for name in RATES:
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(whole, name)[images])
    for name in ("cosine", "z", "arccos"):
        np.testing.assert_allclose(getattr(shuffled, name), getattr(whole, name)[images], rtol=0, atol=1e-11)


@pytest.mark.parametrize("width", [3, 17, 512])
@pytest.mark.parametrize("block_bytes", [1, 8 * 41 * 13, 1 << 30])
def test_one_image_for_all_is_at_chance(width, block_bytes):
    rng = np.random.default_rng(width)
    clips = 41
    labels = np.append(np.arange(40) % 4, 9)
    c = rng.normal(size=(clips, width))
    c[11] = c[2]
    x = np.repeat(rng.normal(size=(1, width)), clips, axis=0)
    scores = family(x, c, np.arange(clips), labels, block_bytes=block_bytes)
    assert scores.winrate.mean() == pytest.approx(0.5, abs=1e-15)
    assert np.nanmean(scores.winrate_sameclass) == pytest.approx(0.5, abs=1e-15)
    assert np.isnan(scores.z).all()


def test_collapsed_to_a_few_images_stays_at_chance_within_the_class():
    """Drawing one image a class says nothing beyond the class."""
    x, c, owner, labels = world(clips=50, images=2)
    x = np.random.default_rng(5).normal(size=(5, x.shape[1]))[labels[owner]]
    scores = family(x, c, owner, labels)
    assert scores.winrate_sameclass.mean() == pytest.approx(0.5, abs=1e-15)


def test_perfect_images_beat_everything():
    rng = np.random.default_rng(0)
    c = rng.normal(size=(30, 16))
    scores = family(c * 3.5, c, np.arange(30), np.arange(30) % 3)
    for name in ("winrate", "winrate_crossclass", "winrate_sameclass"):
        np.testing.assert_array_equal(getattr(scores, name), 1.0)
    np.testing.assert_array_equal(scores.winrate_inclusive, 29 / 30)
    np.testing.assert_allclose(scores.cosine, 1.0, atol=1e-14)


def test_a_tie_is_half_a_win_or_none():
    c = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    x, owner = np.array([[1.0, 0.2]]), np.array([0])
    assert similarity.winrate(x, c, owner) == [0.75]
    assert similarity.winrate_inclusive(x, c, owner) == [pytest.approx(1 / 3)]
    assert similarity.winrate_inclusive(x, c, owner, pool=c) == [pytest.approx(1 / 3)]


def test_the_documented_example():
    """The numbers of docs/metrics.md: three clips, one image each, of which the first is looked at."""
    audio = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    images = np.array([[0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])
    scores = family(images, audio, np.arange(3), np.array([0, 1, 0]))
    found = {name: round(float(getattr(scores, name)[0]), 4) for name in VARIANTS}
    assert found == {
        "winrate": 0.5,
        "winrate_inclusive": 0.3333,
        "winrate_crossclass": 1.0,
        "winrate_sameclass": 0.0,
        "cosine": 0.8,
        "z": 1.6667,
        "arccos": 0.5064,
    }


def test_a_tie_survives_scaling():
    """Embeddings that differ only in length have equal cosines, although their scaled rows may differ in a last bit."""
    rng = np.random.default_rng(0)
    c = rng.normal(size=(1, 33)) * rng.uniform(0.1, 30, size=(200, 1))
    x = rng.normal(size=(200, 33))
    np.testing.assert_array_equal(similarity.winrate(x, c, np.arange(200)), 0.5)


def test_the_pool_is_used_as_stored():
    c, x, owner = np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]), np.array([0])
    pool = np.array([[0.5, 0.0], [1.5, 0.0]])
    assert similarity.winrate_inclusive(x, c, owner, pool=pool) == [0.5]
    assert np.isnan(similarity.winrate_inclusive(x, c, owner, pool=np.empty((0, 2)))).all()


def test_an_empty_pool_gives_no_score():
    x, c, _, _ = world(clips=5, images=1)
    owner, labels = np.arange(5), np.array([0, 0, 1, 2, 2])
    same = similarity.winrate_sameclass(x, c, owner, labels)
    np.testing.assert_array_equal(np.isnan(same), [False, False, True, False, False])
    assert np.isnan(similarity.winrate_crossclass(x, c, owner, np.zeros(5, int))).all()
    assert np.isnan(similarity.winrate(x[:1], c[:1], owner[:1])).all()
    assert np.isnan(similarity.arccos(x[:1], c[:1], owner[:1])).all()
    assert np.isnan(similarity.zscore(x[:2], c[:2], owner[:2])).all()


def test_bounds():
    x, c, owner, labels = world(seed=4)
    scores = family(x, c, owner, labels)
    for name in (*RATES, "arccos"):
        assert ((getattr(scores, name) >= 0) & (getattr(scores, name) <= 1)).all(), name
    opposite = family(-c, c, np.arange(len(c)), labels)
    assert (opposite.winrate == 0).all() and np.isfinite(opposite.arccos).all()


def test_functions_are_the_family():
    x, c, owner, labels = world()
    all_at_once = family(x, c, owner, labels)
    np.testing.assert_array_equal(similarity.winrate(x, c, owner), all_at_once.winrate)
    np.testing.assert_array_equal(similarity.winrate_inclusive(x, c, owner), all_at_once.winrate_inclusive)
    np.testing.assert_array_equal(similarity.winrate_crossclass(x, c, owner, labels), all_at_once.winrate_crossclass)
    np.testing.assert_array_equal(similarity.winrate_sameclass(x, c, owner, labels), all_at_once.winrate_sameclass)
    np.testing.assert_allclose(similarity.cosine(x, c, owner), all_at_once.cosine, atol=1e-14)


def test_inputs_are_not_changed():
    x, c, owner, labels = world()
    x, c = x.astype(np.float64), c.astype(np.float64)
    before = x.copy(), c.copy()
    family(x, c, owner, labels)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(c, before[1])


def test_memory_does_not_grow_with_the_number_of_pairs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 4))
    tracemalloc.start()
    family(x, x, np.arange(4000), np.arange(4000) % 50, block_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000 * 4000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, c, o: (np.where(np.arange(len(x))[:, None] == 4, 0, x), c, o), r"images: row 4 has length zero"),
        (lambda x, c, o: (x, np.where(np.arange(len(c))[:, None] == 2, np.nan, c), o), r"counterparts: row 2 is not"),
        (lambda x, c, o: (x[:, :-1], c, o), r"width 23, counterparts 24"),
        (lambda x, c, o: (x, c, o + 1), r"owner: entry \d+ is 60, expected 0 to 59"),
        (lambda x, c, o: (x, c, o[:-1]), r"owner: expected 180 integers"),
        (lambda x, c, o: (x, c, o * 1.0), r"owner: expected 180 integers, got float64"),
        (lambda x, c, o: (x[0], c, o), r"images: expected a matrix"),
    ],
)
def test_bad_input_is_named(change, message):
    x, c, owner, _ = world()
    with pytest.raises(ValueError, match=message):
        family(*change(x, c, owner))


def test_tiny_and_huge_embeddings_are_fine():
    x, c, owner, _ = world()
    plain, scaled = family(x, c, owner), family(x * 1e-30, c.astype(float) * 1e200, owner)
    np.testing.assert_array_equal(plain.winrate, scaled.winrate)
