"""Operations of a full-scale run: the counter against what is known of the networks, and the sums."""

from __future__ import annotations

import pytest
import torch

from benchmark.studies.flops import Call, count, operations, shapes_of, table
from benchmark.suite import load_suite


def test_a_product_is_counted_with_its_additions() -> None:
    layer = shapes_of(lambda: torch.nn.Linear(30, 50))
    assert layer.weight.is_meta
    made, out = operations(lambda: layer(torch.zeros(7, 30, device="meta")))
    assert made == 2 * 7 * 30 * 50 and out.shape == (7, 50)


def test_stable_diffusions_count_is_the_published_one() -> None:
    suite = load_suite("vggsound")
    calls = {(call.part, call.network): call for call in count(suite)}
    unet = calls["training", "U-Net, forward"]
    # BK-SDM (arXiv 2305.15798), table 1: 338.7 G multiply-adds, in which attention's own products are not counted:
    # those of queries with keys and of their weights with values, at each side and width of the latent
    places = {64: (320, 5), 32: (640, 5), 16: (1280, 5), 8: (1280, 1)}
    products = sum(blocks * 4 * width * side**2 * (side**2 + 77) for side, (width, blocks) in places.items())
    assert unet.operations == pytest.approx(2 * 338.7e9 + products, rel=0.01)
    assert unet.count == 30_000 * 16
    pictures = calls["pictures", "U-Net, with guidance"]
    assert pictures.operations == 51 * 2 * unet.operations and pictures.count == 15_446


def test_hours_are_operations_over_the_rate() -> None:
    lines = table([Call("a", "one", 10**12, 3600), Call("b", "two", 10**12, 7200)], rate=0.5).splitlines()
    assert lines[0].endswith("| in all, PFLOP | hours |")
    assert lines[2] == "| a | one | 1,000.0 | 3,600 | 3.6 | 2.00 |" and lines[-1].endswith("| 10.8 | 6.00 |")
    assert "hours" not in table([Call("a", "one", 1, 1)])
