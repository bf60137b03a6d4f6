from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from audiotoken.embedder import Dropout, Embedder


def make(**options: object) -> Embedder:
    torch.manual_seed(0)
    return Embedder(12, 6, **options).eval()  # type: ignore[arg-type]


def features(batch: int = 3, frames: int = 9) -> torch.Tensor:
    return torch.randn(batch, frames, 12, generator=torch.Generator().manual_seed(1))


def test_self_potential_is_the_mean_of_all_cosines() -> None:
    model, x = make().double(), features().double()
    pair = model.fga.pp_models[0]
    hidden = model.potentials(x).hidden.mT
    cosines = F.cosine_similarity(pair.embed_X(hidden).unsqueeze(3), pair.embed_Y(hidden).unsqueeze(2), dim=1)
    torch.testing.assert_close(model.potentials(x).self_potential, cosines.mean(dim=2))


def test_unary_is_two_convolutions_with_a_relu() -> None:
    model, x = make().double(), features().double()
    one = model.fga.un_models[0]
    expected = one.feature_reduce(one.embed(model.potentials(x).hidden.mT).relu()).squeeze(1)
    torch.testing.assert_close(model.potentials(x).unary, expected)


def test_token_is_the_attended_frame() -> None:
    model, x = make(), features()
    found = model.potentials(x)
    torch.testing.assert_close(found.attention.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(model(x), torch.einsum("bt,btd->bd", found.attention, found.hidden))


def test_time_order_and_repetition_do_not_matter_and_rows_are_independent() -> None:
    model, x = make().double(), features().double()
    token = model(x)
    torch.testing.assert_close(model(x.flip(1)), token)
    torch.testing.assert_close(model(x.repeat(1, 3, 1)), token)
    torch.testing.assert_close(model(x[1:2]), token[1:2])


def test_dropout_acts_in_training_only() -> None:
    model, x = make(), features()
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))
    quiet = make(dropout=0.0).train()
    assert torch.equal(quiet(x), quiet(x))


def test_official_dropout_stays_on_in_eval_mode() -> None:
    model, x = make(official_dropout=True), features()
    assert not torch.equal(model(x), model(x))
    first, second = (model(x, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, model(x, torch.Generator().manual_seed(6)))


def test_one_generator_a_row_makes_rows_independent_of_the_batch() -> None:
    model, x = make(official_dropout=True).double(), features().double()
    together = model(x, [torch.Generator().manual_seed(seed) for seed in (7, 8, 9)])
    torch.testing.assert_close(model(x[2:], [torch.Generator().manual_seed(9)]), together[2:])
    assert not torch.allclose(model(x[2:], [torch.Generator().manual_seed(8)]), together[2:])
    with pytest.raises(ValueError, match="2 generators for a batch of 3"):
        model(x, [torch.Generator(), torch.Generator()])


def test_dropout_zeroes_the_stated_share_and_keeps_the_mean() -> None:
    ones = torch.ones(1, 200_000)
    out = Dropout(0.25, always=True).eval()(ones, torch.Generator().manual_seed(0))
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (out == 0).double().mean().item() == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_dropout_must_be_a_probability(p: float) -> None:
    with pytest.raises(ValueError, match=str(p)):
        Embedder(4, 2, dropout=p)


def test_gradients_are_those_of_the_formula() -> None:
    model = make().double()
    assert torch.autograd.gradcheck(model, features(2, 4).double().requires_grad_())


def test_every_parameter_learns_but_the_shift_that_softmax_ignores() -> None:
    model = make(dropout=0.0).double()
    model(features().double()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        shift = name == "fga.un_models.0.feature_reduce.bias"
        assert (parameter.grad.abs().max().item() < 1e-12) == shift, name


def test_the_token_is_float32_under_autocast_and_close() -> None:
    model, x = make(), features()
    with torch.autocast("cpu", torch.bfloat16):
        token = model(x)
    assert token.dtype == torch.float32
    torch.testing.assert_close(token, model(x), atol=0.02, rtol=0.02)
    assert model.bfloat16()(x.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("shape", [(3, 12), (3, 0, 12), (3, 9, 11)])
def test_wrong_features_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"batch, time of 1 or more, 12"):
        make()(torch.zeros(shape))


def test_size_of_the_released_weights() -> None:
    with torch.device("meta"):
        model = Embedder(2304, 768)
    # The released file has 35.4 MB in float32.
    assert sum(p.numel() for p in model.parameters()) * 4 / 1e6 == pytest.approx(35.4, abs=0.05)


def test_a_hidden_layer_of_another_width() -> None:
    torch.manual_seed(0)
    plain = Embedder(10, 6)
    torch.manual_seed(0)
    same = Embedder(10, 6, hidden_size=10)
    assert plain.hidden_size == 10
    assert all(a.equal(b) for a, b in zip(plain.state_dict().values(), same.state_dict().values(), strict=True))
    wide = Embedder(10, 6, hidden_size=32)
    assert wide.fc1.weight.shape == (32, 10) and wide.fc2.weight.shape == (6, 32)
    assert wide(torch.randn(2, 5, 10)).shape == (2, 6)


def test_one_step_of_time_is_not_pooled() -> None:
    embedder = Embedder(10, 6).eval()
    one = torch.randn(3, 1, 10)
    assert embedder(one).equal(embedder.potentials(one).hidden[:, 0])
