"""Networks that are cast once: the same values whatever was asked for before, and trained parameters left alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.utils import precision
from benchmark.utils.device import arithmetic
from benchmark.utils.precision import PRODUCTS, Fetched, fast_precision, hold


def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(4, 2))
    return made.requires_grad_(False)


def values(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def test_single_precision_comes_back_to_the_bit_and_casts_start_from_it() -> None:
    held, single = network(), values(network())
    hold(held, torch.bfloat16)
    assert {one.dtype for one in held.parameters()} == {torch.bfloat16}
    hold(held, torch.float16)
    assert all(one.equal(other.half()) for one, other in zip(values(held), single, strict=True))
    hold(held, torch.float32)
    assert all(one.equal(other) for one, other in zip(values(held), single, strict=True))


def test_values_that_were_changed_in_single_precision_are_those_of_the_next_cast() -> None:
    held = network()
    hold(held, torch.float16)
    hold(held, torch.float32)
    with torch.no_grad():
        held[3].weight.fill_(3.0)
    hold(held, torch.bfloat16)
    hold(held, torch.float32)
    assert bool((held[3].weight == 3).all())


def test_what_is_trained_stays_in_single_precision() -> None:
    held = network()
    held[3].requires_grad_(True)
    hold(held, torch.bfloat16)
    assert held[0].weight.dtype is torch.bfloat16 and held[3].weight.dtype is torch.float32


def test_products_alone_compute_what_autocast_computes() -> None:
    held, plain = network(), network()
    hold(held, torch.bfloat16, PRODUCTS)
    assert held[0].weight.dtype is torch.bfloat16 and held[1].weight.dtype is torch.float32
    images = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        assert held(images).equal(plain(images))


def test_what_was_cast_in_inference_mode_takes_part_in_a_backward_pass() -> None:
    held = network()
    with torch.inference_mode():
        hold(held, torch.bfloat16)
    images = torch.randn(1, 3, 3, 3).bfloat16().requires_grad_()
    held(images).sum().backward()
    assert images.grad is not None and bool(images.grad.abs().sum() > 0)


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_the_precision_is_the_fast_one_of_the_card(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert fast_precision("cuda:1") == expected
    assert fast_precision("cpu") == "float32" and not precision.casts("cpu") and precision.casts("cuda:0")


def test_no_run_uses_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with arithmetic():
        assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


def test_fetched_values_are_those_at_the_time_of_the_call() -> None:
    total = torch.tensor(0.1)
    fetched = Fetched(torch.stack([total + 1, total]))
    total += 5
    assert fetched.read() == [float(torch.tensor(0.1) + 1), float(torch.tensor(0.1))]
