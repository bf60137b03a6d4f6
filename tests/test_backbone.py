"""The frozen pipeline: a picture depends on its own conditioning and seed, and on nothing else."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler

from benchmark import backbone as backbones
from benchmark import text_encoder as text
from benchmark.mini.data import make_picture
from benchmark.registries import BACKBONES
from benchmark.suite import load_suite
from benchmark.utils.errors import RunError

# What a neighbour may move a value by, of 255: other batch sizes take other kernels, which round otherwise.
LEVELS = 1


@pytest.fixture(scope="module")
def backbone() -> Any:
    return BACKBONES.get("mini")(load_suite("mini"), "cpu")


@pytest.fixture(scope="module")
def embeds(backbone: Any) -> torch.Tensor:
    return backbone.encode_prompts([backbone.prompt(x) for x in ("frog croaking", "", "ein 鳥")])


def difference(one: Any, other: Any) -> int:
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


def test_a_picture_does_not_depend_on_its_neighbours(backbone: Any, embeds: torch.Tensor) -> None:
    seeds = [11, 12, 13]
    together = backbone.sample(embeds, seeds)
    assert all(picture.mode == "RGB" and picture.size == (64, 64) for picture in together)
    order = [2, 0, 1]
    mixed = backbone.sample(embeds[order], [seeds[k] for k in order])
    alone = backbone.sample(embeds[1:2], seeds[1:2])[0]
    pair = backbone.sample(embeds[1:], seeds[1:])
    found = [difference(mixed[place], together[k]) for place, k in enumerate(order)]
    found += [difference(alone, together[1]), difference(pair[0], together[1]), difference(pair[1], together[2])]
    assert max(found) <= LEVELS, found


def test_a_picture_is_a_function_of_seed_and_conditioning(backbone: Any, embeds: torch.Tensor) -> None:
    torch.manual_seed(0)
    first = backbone.sample(embeds[[0, 0]], [1, 2**63 - 1])
    torch.manual_seed(1)  # the global generator has no part in it
    again = backbone.sample(embeds[[0, 1]], [1, 1])
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], first[1]) and not np.array_equal(again[0], again[1])


def test_what_is_not_finite_is_no_picture(backbone: Any, embeds: torch.Tensor) -> None:
    for bad in (float("nan"), float("inf")):
        with pytest.raises(RunError, match="NaN or infinite"):
            backbone.sample(embeds[:2] * torch.tensor([1.0, bad])[:, None, None], [1, 2])


def test_a_token_stands_where_a_word_would(backbone: Any) -> None:
    prompt = backbone.prompt("the")
    (word,) = backbone.tokenizer("the", add_special_tokens=False).input_ids
    table = backbone.text_encoder.get_input_embeddings().weight
    token = table[word].expand(2, -1).clone().requires_grad_()
    injected = backbone.inject(token)
    torch.testing.assert_close(
        injected.detach(), backbone.encode_prompts([prompt]).expand(2, -1, -1), rtol=0, atol=1e-5
    )
    injected[0].sum().backward()
    assert token.grad is not None and token.grad[0].abs().sum() > 0 and token.grad[1].abs().sum() == 0
    assert backbone.token_width == token.shape[1]


def test_everything_is_frozen(backbone: Any) -> None:
    for module in (backbone.text_encoder, backbone.unet, backbone.vae):
        assert not module.training and not any(parameter.requires_grad for parameter in module.parameters())


def test_the_placeholder_is_no_word(backbone: Any) -> None:
    assert backbone.placeholder == len(backbone.tokenizer) - 1 == backbone.text_encoder.config.vocab_size
    assert backbone.prompt("{x}") == "a photo of {x}"
    assert backbone.tokenizer(text.PLACEHOLDER).input_ids[1] == backbone.placeholder


def test_latents(backbone: Any) -> None:
    pictures = np.stack([make_picture("pretrain-val", k) for k in range(5)])
    mean, deviation = backbone.encode_pictures(pictures)
    assert mean.shape == deviation.shape == (5, 4, 16, 16) and (deviation > 0).all() and mean.isfinite().all()
    alone, _ = backbone.encode_pictures(pictures[2:3])
    torch.testing.assert_close(alone[0], mean[2], rtol=0, atol=2e-5 * float(mean.abs().max()))
    scale = backbone.vae.config.scaling_factor
    pixels = torch.from_numpy(pictures[:1]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = scale * backbone.vae.encode(pixels).latent_dist.mean
    torch.testing.assert_close(mean[:1], expected, rtol=0, atol=2e-5 * float(mean.abs().max()))


def test_the_schedule_is_the_one_it_was_trained_with(backbone: Any) -> None:
    schedule, sampler = backbone.noise_schedule, backbone.pipeline.scheduler
    assert schedule.config.prediction_type == sampler.config.prediction_type == "v_prediction"
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    for one in (schedule, sampler):
        assert one.config.num_train_timesteps == 1000
        np.testing.assert_allclose(one.alphas_cumprod, kept, rtol=1e-4)
    sampler.set_timesteps(15)
    assert sampler.timesteps[0] == 999 and len(sampler.timesteps) == 15
    # Noise for training is that of any timestep, whatever was sampled before.
    times = torch.tensor([0, 1, 333, 998, 999])
    clean, noise = torch.ones(5, 1), torch.full((5, 1), 2.0)
    expected = np.sqrt(kept[times]) + 2 * np.sqrt(1 - kept[times])
    np.testing.assert_allclose(schedule.add_noise(clean, noise, times)[:, 0], expected, rtol=1e-4)


def test_a_lower_precision_is_only_for_sampling() -> None:
    protocol = load_suite("mini")
    spec = protocol.backbone.model_copy(update={"dtype": "bfloat16"})
    low = BACKBONES.get("mini")(protocol.model_copy(update={"backbone": spec}), "cpu")
    embeds = low.encode_prompts([low.prompt("thunder")])
    assert embeds.dtype is torch.float32 and next(low.unet.parameters()).dtype is torch.float32
    (picture,) = low.sample(embeds, [1])
    assert picture.size == (64, 64)


def test_training_noise_is_the_forward_process_whatever_was_sampled_before(backbone: Any, embeds: torch.Tensor) -> None:
    # DPM-Solver's own add_noise snaps to the few timesteps of the last sampling
    backbone.sample(embeds[:1], [1])
    generator = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 3, 4, 2, 2, generator=generator)
    times = torch.tensor([3, 500, 987])
    abar = backbone.pipeline.scheduler.alphas_cumprod[times].reshape(-1, 1, 1, 1)
    noisy = backbone.noise_schedule.add_noise(latents, noise, times)
    torch.testing.assert_close(noisy, abar.sqrt() * latents + (1 - abar).sqrt() * noise)
    assert backbone.noise_schedule.config.prediction_type == "v_prediction"


# ---------------------------------------------------------------------------------- as CUDA devices sample, on a CPU


@pytest.mark.parametrize("sampler", [DPMSolverMultistepScheduler, PNDMScheduler, DDIMScheduler])
def test_the_loop_for_cast_networks_is_that_of_the_pipeline(
    backbone: Any, embeds: torch.Tensor, sampler: type[Any]
) -> None:
    one = copy.copy(backbone)
    one.pipeline = copy.copy(backbone.pipeline)
    given = {"steps_offset": 1, "skip_prk_steps": True} if sampler is PNDMScheduler else {}
    one.pipeline.scheduler = sampler.from_config(backbone.pipeline.scheduler.config, **given)
    few = backbone.suite.generation.model_copy(update={"steps": 4})
    one.suite = backbone.suite.model_copy(update={"generation": few})
    with torch.inference_mode():
        expected = one._draw(embeds[:2], [5, 6], False)
        found = one._draw_cast(embeds[:2], [5, 6], False)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.fixture
def cast(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A backbone of a suite in half precision, whose networks are cast as on a CUDA device."""
    monkeypatch.setattr(backbones, "casts", lambda device: True)
    protocol = load_suite("mini")
    given = {
        "backbone": protocol.backbone.model_copy(update={"dtype": "bfloat16"}),
        "generation": protocol.generation.model_copy(update={"steps": 4}),
    }
    return BACKBONES.get("mini")(protocol.model_copy(update=given), "cpu")


def test_cast_networks_sample_alike_and_single_precision_comes_back(cast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cast.cast_for_sampling
    embeds = cast.encode_prompts([cast.prompt("thunder"), cast.prompt("rain")])
    pictures = np.stack([make_picture("pretrain-val", k) for k in range(2)])
    latents = cast.encode_pictures(pictures)
    found = cast.sample(embeds, [1, 2])
    assert {next(part.parameters()).dtype for part in (cast.unet, cast.vae)} == {torch.bfloat16}
    assert cast.encode_prompts([cast.prompt("rain")])[0].equal(embeds[1])
    again = cast.encode_pictures(pictures)
    assert all(one.equal(other) for one, other in zip(latents, again, strict=True))
    monkeypatch.setattr(backbones, "casts", lambda device: False)
    autocast = cast.sample(embeds, [1, 2])
    assert next(cast.unet.parameters()).dtype is torch.float32
    assert (
        max(np.abs(np.asarray(a, float) - np.asarray(b, float)).mean() for a, b in zip(found, autocast, strict=True))
        < 6
    )


def test_latents_in_half_precision_obey_the_number_of_frames_at_once(cast: Any) -> None:
    pictures = np.stack([make_picture("pretrain-val", k) for k in range(5)])
    seen: list[int] = []
    hook = cast.vae.encoder.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    try:
        mean, deviation = cast.encode_pictures(pictures, torch.bfloat16, 2)
    finally:
        hook.remove()
    assert seen == [2, 2, 1] and mean.dtype is deviation.dtype is torch.float32
    exact, _ = cast.encode_pictures(pictures)
    torch.testing.assert_close(mean, exact, rtol=0, atol=0.05 * float(exact.abs().max()))


def test_a_batch_without_memory_is_halved_and_one_image_without_memory_is_an_error(
    cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 2
    tried: list[int] = []

    def draw(embeds: torch.Tensor, seeds: list[int], compiled: bool) -> torch.Tensor:
        tried.append(len(seeds))
        if len(seeds) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.stack([torch.full((3, 2, 2), seed / 255) for seed in seeds])

    monkeypatch.setattr(cast, "_draw", draw)
    with pytest.warns(UserWarning, match="too little memory: 2 images are sampled together"):
        made = cast.sample(torch.zeros(5, 1, 1), [1, 2, 3, 4, 5])
    assert [np.asarray(image).max() for image in made] == [1, 2, 3, 4, 5] and tried == [5, 2, 2, 1]
    tried.clear()
    cast.sample(torch.zeros(4, 1, 1), [1, 2, 3, 4])
    assert tried == [2, 2], "what did not fit once is not tried again"
    most = 0
    with pytest.warns(UserWarning, match="1 images"), pytest.raises(RunError, match="too little memory for one image"):
        cast.sample(torch.zeros(2, 1, 1), [1, 2])
