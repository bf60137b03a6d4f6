from __future__ import annotations

import numpy as np
import pytest

from metrics import content


def world(images: int = 50, classes: int = 7, width: int = 16, seed: int = 0):
    rng = np.random.default_rng(seed)
    texts = rng.normal(size=(classes, width))
    labels = rng.integers(0, classes, images)
    return (texts[labels] + 1.5 * rng.normal(size=(images, width))), texts, labels


def test_images_of_the_text_are_all_right():
    _, texts, labels = world()
    np.testing.assert_array_equal(content.aic(texts[labels] * 4, texts, labels), 1.0)
    np.testing.assert_array_equal(content.rank(texts[labels], texts, labels), 0)


def test_top1_and_rank_equal_a_sort():
    x, texts, labels = world()
    cosine = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (texts / np.linalg.norm(texts, axis=1, keepdims=True)).T
    order = np.argsort(-cosine, axis=1, kind="stable")
    np.testing.assert_array_equal(content.top1(x, texts), order[:, 0])
    np.testing.assert_array_equal(content.rank(x, texts, labels), (order == labels[:, None]).argmax(axis=1))


def test_first_of_equals_wins():
    texts = np.array([[0.0, 1.0], [3.0, 0.0], [1.0, 0.0]])
    x = np.array([[1.0, 0.1]] * 2)
    np.testing.assert_array_equal(content.top1(x, texts), [1, 1])
    np.testing.assert_array_equal(content.rank(x, texts, np.array([1, 2])), [0, 1])
    np.testing.assert_array_equal(content.aic(x, texts, np.array([1, 2])), [1.0, 0.0])


def test_one_image_for_all_gets_one_class():
    _, texts, _ = world()
    labels = np.arange(7).repeat(3)
    x = np.repeat(texts[:1] + 0.1, len(labels), axis=0)
    assert content.aic(x, texts, labels).mean() == pytest.approx(1 / 7)


def test_top_k_grows_to_one():
    x, texts, labels = world()
    shares = [content.aic_top_k(x, texts, labels, k).mean() for k in range(1, 8)]
    assert shares == sorted(shares) and shares[-1] == 1.0 and shares[0] == content.aic(x, texts, labels).mean() < 1.0


@pytest.mark.parametrize("k", [0, 8])
def test_k_outside_the_classes_is_an_error(k):
    x, texts, labels = world()
    with pytest.raises(ValueError, match=f"k is {k}, but there are 7 classes"):
        content.aic_top_k(x, texts, labels, k)


def test_visible_accepts_any_of_the_set_and_skips_empty_ones():
    x, texts, labels = world()
    one = content.aic_visible(x, texts, [{int(label)} for label in labels])
    np.testing.assert_array_equal(one, content.aic(x, texts, labels))
    np.testing.assert_array_equal(content.aic_visible(x, texts, [range(7)] * 50), 1.0)
    assert np.isnan(content.aic_visible(x, texts, [set()] * 50)).all()
    with pytest.raises(ValueError, match="expected 50 sets"):
        content.aic_visible(x, texts, [{0}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, t, y: (x[:, 1:], t, y), "width 15, texts 16"),
        (lambda x, t, y: (x, t[:0], y), "no class to choose from"),
        (lambda x, t, y: (x, t, y + 5), r"labels: entry \d+ is \d+, expected 0 to 6"),
        (lambda x, t, y: (x * np.inf, t, y), "images: row 0 is not finite"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        content.aic(*change(*world()))


def test_the_documented_example():
    """The numbers of docs/metrics.md: a picture like a bell, of a clip called rain."""
    x, bell, rain = np.array([[0.8, 0.6]]), 0, np.array([1])
    texts = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, -0.6]])
    np.testing.assert_allclose(x @ texts.T, [[0.8, 0.6, 0.28]])
    assert content.top1(x, texts) == [bell]
    assert content.aic(x, texts, rain) == [0.0] and content.aic_top_k(x, texts, rain, 2) == [1.0]
    photos = np.array([[1.0, 0.0], [0.6, 0.8], [0.8, -0.6]])
    assert content.aic(x, photos, rain) == [1.0]
    assert content.aic_visible(x, texts, [{bell}]) == [1.0]


def test_the_nearest_classes_equal_a_sort():
    x, texts, _ = world()
    cosine = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (texts / np.linalg.norm(texts, axis=1, keepdims=True)).T
    order = np.argsort(-cosine, axis=1, kind="stable")
    np.testing.assert_array_equal(content.top(x, texts, 3), order[:, :3])
    np.testing.assert_array_equal(content.top(x, texts, 7), order)
    np.testing.assert_array_equal(content.top([[1.0, 0.1]], [[0.0, 1.0], [3.0, 0.0], [1.0, 0.0]], 3), [[1, 2, 0]])
    with pytest.raises(ValueError, match="k is 8, but there are 7 classes"):
        content.top(x, texts, 8)
