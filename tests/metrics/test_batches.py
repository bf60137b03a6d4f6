"""Batches of scorers: what a row depends on, and preparation apart from the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from metrics.encoders.wav2clip import Wav2CLIP
from metrics.preprocessing import Preprocessing
from metrics.scorers.audio import TOGETHER, Wav2CLIPScorer
from metrics.scorers.batches import TOLERANCE, rows_of, together

LIKE_CLIP = Preprocessing(32, (0.48, 0.46, 0.41), (0.27, 0.26, 0.28))


def test_inputs_of_equal_shape_share_full_batches_and_rows_keep_their_order() -> None:
    given: list[tuple[int, ...]] = []

    def network(batch: Tensor) -> Tensor:
        given.append(tuple(batch.shape))
        return batch.flatten(1).sum(1, keepdim=True)

    inputs = [torch.full((1 + number % 2, 2), float(number)) for number in range(7)]
    rows = rows_of(network, inputs, 3, "cpu")
    assert rows[:, 0].tolist() == [float(one.sum()) for one in inputs]
    assert given == [(3, 1, 2), (3, 1, 2), (3, 2, 2)]
    assert rows_of(network, [], 3, "cpu").shape == (0, 0)


def test_one_at_a_time_on_a_cpu_and_several_on_cuda() -> None:
    assert [together(device, 8) for device in ("cpu", "mps", "cuda", "cuda:1")] == [1, 1, 8, 8]
    assert Wav2CLIPScorer("w", "", Wav2CLIP(2, 8)).batch_size == 1


def test_sounds_in_batches_move_by_less_than_the_tolerance() -> None:
    torch.manual_seed(0)
    scorer = Wav2CLIPScorer("w", "", Wav2CLIP(4, 16))
    rng = np.random.default_rng(0)
    waves = [rng.normal(0, 0.1, 4000 + 1000 * (number == 2)).astype(np.float32) for number in range(10)]
    alone = scorer.embed_audio(waves)
    scorer.batch_size = TOGETHER
    batched = scorer.embed_audio(waves)
    moved = np.linalg.norm(batched - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert moved.max() < TOLERANCE
    np.testing.assert_array_equal(scorer.embed_audio(waves), batched)
    # A clip does not notice its neighbours.
    np.testing.assert_array_equal(scorer.embed_audio(waves[:1]), batched[:1])


def test_a_network_that_standardises_over_its_call_gets_one_clip() -> None:
    scorer = Wav2CLIPScorer("w", "", Wav2CLIP(2, 8, standardise="batch"), "cpu")
    assert scorer.batch_size == 1


@pytest.mark.parametrize("size", [(32, 32), (33, 32), (45, 91), (127, 64), (200, 77), (16, 20)])
def test_a_crop_without_torch_is_what_the_transform_makes(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    crop = LIKE_CLIP.crop(image)
    assert crop.shape == (32, 32, 3) and crop.dtype == np.uint8
    assert torch.equal(LIKE_CLIP.normalise(crop), LIKE_CLIP.transform()(image))


def test_a_tower_prepares_apart_from_the_network() -> None:
    from metrics.scorers.tower import ImageTower

    torch.manual_seed(0)
    model, look = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), LIKE_CLIP.transform()
    tower = ImageTower("t", "", model, lambda m, x: m(x), look)
    images = [Image.new("RGB", (40, 50), (number, 2 * number, 0)) for number in range(20)]
    apart = tower.embed_prepared([tower.prepare(image) for image in images])
    np.testing.assert_array_equal(apart, tower.embed_images(images))
