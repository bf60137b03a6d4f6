"""One training step of AudioToken against the released code: every stage from the pixels to the updated parameters."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from loading import build, cases, folders, load
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from audiotoken.embedder import Embedder
from audiotoken.losses import Losses, audio_token_loss, ldm_target, scaled_learning_rate
from benchmark.text_encoder import clip_tokenizer, encode_with_token, label_embedding, placeholder_id
from metrics.encoders.beats import AUDIOTOKEN_LAYERS, BEATs, BEATsConfig

each_folder = pytest.mark.parametrize("folder", folders("e_training_loss"))
each_run = pytest.mark.parametrize(("folder", "run"), cases("e_training_loss", "runs"))


def runs_with(array: str) -> pytest.MarkDecorator:
    """The runs that the fixture stores `array` for."""
    found = cases("e_training_loss", "runs")
    stored = [p for p in found if p.values[0] is None or f"{p.values[1]}/{array}" in load(p.values[0])[1]]
    return pytest.mark.parametrize(("folder", "run"), stored)


class Step(NamedTuple):
    embedder: Embedder
    token: Tensor
    conditioning: Tensor
    target: Tensor
    prediction: Tensor
    losses: Losses
    updated: dict[str, Tensor]


def fill(module: nn.Module, table: list[dict[str, Any]], seed: int) -> None:
    weights = {name.removeprefix("text_model."): torch.from_numpy(w) for name, w in build(table, seed).items()}
    expected = set(module.state_dict())
    # A table shared by several layers stands under every layer's name in the fixture.
    tied = {row["name"] for row in table if row["rule"] == "tied"}
    kept = {name: weight for name, weight in weights.items() if name in expected or name not in tied}
    module.load_state_dict(kept)
    module.eval().requires_grad_(False)


@cache
def frozen(folder: Path) -> dict[str, Any]:
    """The frozen networks of the fixture, filled by its recipe."""
    meta, _ = load(folder)
    config, tables = meta["config"], meta["parameters"]
    table_shape = next(r["shape"] for r in tables["text_encoder"] if r["name"].endswith("token_embedding.weight"))
    audio = config["audio_encoder"] | {"finetuned_model": any("predictor" in r["name"] for r in tables["aud_encoder"])}
    modules: dict[str, nn.Module] = {
        "unet": UNet2DConditionModel(**config["unet"]),
        "vae": AutoencoderKL(**config["vae"]),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**config["text"], vocab_size=table_shape[0])),
        "aud_encoder": BEATs(BEATsConfig.from_dict(audio)),
    }
    for name, module in modules.items():
        fill(module, tables[name], meta["seed"])
    return modules


@cache
def encoded(folder: Path) -> dict[str, Tensor]:
    """What does not depend on the run: the posterior, the latents, the audio features."""
    meta, arrays = load(folder)
    modules = frozen(folder)
    audio = meta["config"]["audio_encoder"]
    layers = [layer for layer in AUDIOTOKEN_LAYERS if layer <= audio["encoder_layers"]]
    with torch.no_grad():
        posterior = modules["vae"].encode(torch.from_numpy(arrays["pixel_values"])).latent_dist
        features = modules["aud_encoder"].extract_features(torch.from_numpy(arrays["audio_values"]), layers)
    noise = torch.from_numpy(arrays["posterior_noise"])
    latents = meta["config"]["vae_scale"] * (posterior.mean + posterior.std * noise)
    return {
        "posterior_mean": posterior.mean,
        "posterior_std": posterior.std,
        "latents": latents,
        "features": features,
    }


def scheduler(meta: dict[str, Any], prediction: str) -> DDPMScheduler:
    return DDPMScheduler(**meta["config"]["scheduler"], prediction_type=prediction)


def labels(folder: Path) -> Tensor:
    meta, _ = load(folder)
    return label_embedding(clip_tokenizer(), frozen(folder)["text_encoder"], meta["config"]["labels"])


@cache
def step(folder: Path, run: str) -> Step:
    """One training step as this project takes it, with the fixture's draws in the place of random ones."""
    meta, arrays = load(folder)
    settings, modules = meta["runs"][run]["settings"], frozen(folder)
    embedder = Embedder(**meta["config"]["embedder"], dropout=0.0)
    embedder.load_state_dict(
        {name: torch.from_numpy(w) for name, w in build(meta["parameters"]["embedder"], meta["seed"]).items()}
    )
    embedder.train()
    if settings["mask"]:
        keep = torch.from_numpy(arrays["keep_mask"]).mT
        embedder.fga.un_models[0].dropout.register_forward_hook(lambda module, inputs, relu: relu * keep * 2)

    token = embedder(encoded(folder)["features"])
    token.retain_grad()
    placeholder = placeholder_id(clip_tokenizer())
    ids = torch.from_numpy(arrays["input_ids"]).long()
    conditioning = encode_with_token(modules["text_encoder"], ids, token, placeholder)
    latents, noise = encoded(folder)["latents"], torch.from_numpy(arrays["noise"])
    timesteps, schedule = torch.from_numpy(arrays["timesteps"]), scheduler(meta, settings["prediction"])
    noisy = schedule.add_noise(latents, noise, timesteps)
    prediction = modules["unet"](noisy, timesteps, conditioning).sample
    target = ldm_target(schedule, latents, noise, timesteps)
    losses = audio_token_loss(
        prediction,
        target,
        token,
        labels(folder) if settings["cosine_loss"] else None,
        settings["lambda_a"],
        settings["lambda_b"],
        settings["lambda_c"],
    )
    losses.total.backward()
    options = dict(meta["config"]["optimizer"])
    assert options.pop("kind") == "AdamW"
    torch.optim.AdamW(embedder.parameters(), **options).step()
    updated = {name: value.detach() for name, value in embedder.state_dict().items()}
    return Step(embedder, token, conditioning, target, prediction, losses, updated)


def named(folder: Path, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): a for name, a in load(folder)[1].items() if name.startswith(prefix)}


def assert_array(folder: Path, ours: Tensor, expected: np.ndarray) -> None:
    tolerance = load(folder)[0]["tolerance"]["arrays_max_abs"]
    np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=0, atol=tolerance)


def assert_gradient(ours: Tensor | None, expected: np.ndarray) -> None:
    assert ours is not None
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=2e-3 * np.abs(expected).max())


@each_folder
@pytest.mark.parametrize("quantity", ["posterior_mean", "posterior_std", "latents"])
def test_latents(folder: Path, quantity: str) -> None:
    assert_array(folder, encoded(folder)[quantity], load(folder)[1][quantity])


@each_folder
def test_noisy_latents(folder: Path) -> None:
    meta, arrays = load(folder)
    noise, timesteps = torch.from_numpy(arrays["noise"]), torch.from_numpy(arrays["timesteps"])
    ours = scheduler(meta, "epsilon").add_noise(encoded(folder)["latents"], noise, timesteps)
    assert_array(folder, ours, arrays["noisy_latents"])


@each_run
def test_target(folder: Path, run: str) -> None:
    meta, arrays = load(folder)
    expected = "v_target" if meta["runs"][run]["settings"]["prediction"] == "v_prediction" else "noise"
    assert_array(folder, step(folder, run).target, arrays[expected])


@runs_with("audio_token")
def test_audio_token(folder: Path, run: str) -> None:
    assert_array(folder, step(folder, run).token, load(folder)[1][f"{run}/audio_token"])


@runs_with("encoder_hidden_states_first8")
def test_conditioning(folder: Path, run: str) -> None:
    assert_array(folder, step(folder, run).conditioning[:, :8], load(folder)[1][f"{run}/encoder_hidden_states_first8"])


@each_run
def test_prediction(folder: Path, run: str) -> None:
    assert_array(folder, step(folder, run).prediction, load(folder)[1][f"{run}/model_pred"])


@each_run
@pytest.mark.parametrize("term", ["mse", "regularizer", "class_penalty", "total"])
def test_loss(folder: Path, run: str, term: str) -> None:
    meta, _ = load(folder)
    expected, losses = meta["runs"][run], step(folder, run).losses
    settings = expected["settings"]
    ours: dict[str, Tensor | None] = {
        "mse": losses.ldm,
        "regularizer": settings["lambda_a"] * losses.l1 + settings["lambda_b"] * losses.l2,
        "class_penalty": losses.cl,
        "total": losses.total,
    }
    value = ours[term]
    if term not in expected:
        assert value is None and not settings["cosine_loss"]
        return
    assert value is not None
    assert value.item() == pytest.approx(expected[term], rel=meta["tolerance"]["losses_relative"], abs=0)


@runs_with("label_target")
def test_labels(folder: Path, run: str) -> None:
    meta, arrays = load(folder)
    ids = clip_tokenizer()(meta["config"]["labels"], add_special_tokens=False).input_ids
    assert ids == meta["runs"][run]["label_ids_used"]
    assert_array(folder, labels(folder), arrays[f"{run}/label_target"])


@each_run
def test_gradient_of_the_token(folder: Path, run: str) -> None:
    assert_gradient(step(folder, run).token.grad, load(folder)[1][f"{run}/grad_audio_token"])


@each_run
def test_gradients(folder: Path, run: str) -> None:
    parameters = dict(step(folder, run).embedder.named_parameters())
    expected = named(folder, f"{run}/grad/")
    assert expected
    for name, gradient in expected.items():
        assert_gradient(parameters[name].grad, gradient)


@each_run
def test_norms_of_all_gradients(folder: Path, run: str) -> None:
    meta, _ = load(folder)
    ours = {name: p.grad for name, p in step(folder, run).embedder.named_parameters()}
    without = meta["runs"][run]["parameters_without_gradient"]
    assert sorted(name for name, gradient in ours.items() if gradient is None) == sorted(without)
    expected = meta["runs"][run]["grad_norms"]
    assert set(expected) | set(without) == set(ours)
    for name, norm in expected.items():
        gradient = ours[name]
        assert gradient is not None
        if name.endswith("feature_reduce.bias"):
            assert gradient.abs().max() < 1e-6, "softmax ignores a shift"
        else:
            assert gradient.double().norm().item() == pytest.approx(norm, rel=2e-3), name


@each_run
def test_first_optimizer_step(folder: Path, run: str) -> None:
    meta, _ = load(folder)
    updated, gradients = step(folder, run).updated, named(folder, f"{run}/grad/")
    before = build(meta["parameters"]["embedder"], meta["seed"])
    expected = named(folder, f"{run}/after_step/")
    assert expected
    for name, after in expected.items():
        clear = np.abs(gradients[name]) > 1e-6
        np.testing.assert_allclose(
            updated[name].numpy()[clear], after[clear], rtol=0, atol=meta["tolerance"]["after_step_abs"]
        )
        assert np.abs(after - before[name])[clear].min() > 10 * meta["tolerance"]["after_step_abs"]


@each_folder
def test_only_the_embedder_has_gradients(folder: Path) -> None:
    step(folder, next(iter(load(folder)[0]["runs"])))
    assert all(p.grad is None for module in frozen(folder).values() for p in module.parameters())


@each_folder
def test_learning_rate_scaling(folder: Path) -> None:
    for case in load(folder)[0]["learning_rate_scaling"]:
        ours = scaled_learning_rate(
            case["learning_rate"], case["train_batch_size"], case["gradient_accumulation_steps"], case["processes"]
        )
        assert ours == pytest.approx(case["effective"], rel=1e-12)
