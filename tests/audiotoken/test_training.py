"""Training the embedder: which clips, at which rate, and the same bits whatever interrupts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import worlds
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel

from audiotoken import training
from audiotoken.checkpoint import load_state
from audiotoken.embedder import Embedder, Rows
from audiotoken.features import Features, Listener, latents_of
from audiotoken.lora import add_lora, lora_layers, with_own_unet
from audiotoken.method import AudioToken, AudioTokenCL, TokenMethod
from audiotoken.settings import AudioTokenCLSettings, AudioTokenSettings
from audiotoken.training import ForeseenRows, Training, learning_rate, train
from audiotoken.training_data import Stored, batch_positions
from audiotoken.training_settings import CARDS, TrainingSettings, gigabytes, peak_estimate
from benchmark.backbone import Backbone
from benchmark.data.manifest import load_manifest
from benchmark.method import make_settings
from benchmark.mini import networks
from benchmark.mini.wiring import WEIGHTS
from benchmark.registries import ENCODERS
from benchmark.suite import load_suite
from benchmark.text_encoder import label_embedding
from benchmark.utils.errors import RunError, UserError
from benchmark.utils.progress import Silent

CLIPS, WIDTH, FEATURES = 5, 16, 12


# ------------------------------------------------------------------------------------------------- clips, rate


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (7, 7), (5, 8), (1, 3), (18, 1), (6, 20)])
def test_each_epoch_has_every_clip_once(count: int, batch: int) -> None:
    steps = 3 * count
    places = [place for step in range(steps) for place in batch_positions(count, batch, step, seed=4)]
    assert len(places) == steps * batch
    epochs = [places[start : start + count] for start in range(0, len(places), count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    if count >= 7:
        assert len({tuple(epoch) for epoch in epochs}) > 1, "each epoch has an order of its own"


def test_a_step_knows_its_clips_without_those_before_it() -> None:
    forwards = [batch_positions(10, 4, step, 1) for step in range(12)]
    assert [batch_positions(10, 4, step, 1) for step in reversed(range(12))] == forwards[::-1]
    assert [batch_positions(10, 4, step, 2) for step in range(12)] != forwards


def test_learning_rate() -> None:
    def course(**given: Any) -> list[float]:
        settings = AudioTokenSettings(steps=10, batch_size=1, learning_rate=2.0, **given).resolved()
        return [learning_rate(settings, step) for step in range(10)]

    assert course() == [2.0] * 10
    assert course(warmup_steps=4) == [0.5, 1.0, 1.5] + [2.0] * 7
    cosine = course(schedule="cosine")
    assert cosine[0] == 2 and cosine[5] == pytest.approx(1) and 0 < cosine[9] < 0.1
    assert cosine == sorted(cosine, reverse=True)
    both = course(schedule="cosine", warmup_steps=5)
    assert (
        both[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0]) and both[5] == 2 and both[9] == pytest.approx(0.1910, 1e-3)
    )


# ---------------------------------------------------------------------------------------------- a tiny backbone


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    tokenizer = networks.tokenizer(WEIGHTS / "tokenizer")
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=networks.CONTEXT,
            eos_token_id=len(tokenizer) - 1,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=4,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8,),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(block_out_channels=(8,), latent_channels=4, norm_num_groups=4, sample_size=8)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DPMSolverMultistepScheduler(**networks.SCHEDULE, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return Backbone(pipeline, load_suite("mini"), "cpu")


class Kept:
    """Stands for `Features`: random ones."""

    device = "cpu"
    width = FEATURES

    def __init__(self) -> None:
        self.rows = torch.randn(CLIPS, 3, FEATURES, generator=torch.Generator().manual_seed(1))

    def __call__(self, positions: list[int]) -> Tensor:
        return self.rows[positions]


def material(labels: Tensor | None = None, seed: int = 0, kept: Any = None) -> Stored:
    generator = torch.Generator().manual_seed(2)
    mean = torch.randn(CLIPS, 4, 4, 4, generator=generator)
    deviation = 0.1 * torch.rand(mean.shape, generator=generator)
    made = Stored(kept or Kept(), mean, deviation, seed)
    made.label_embeddings = labels
    return made


def embedder() -> Embedder:
    torch.manual_seed(3)
    return Embedder(FEATURES, WIDTH)


def settings(**given: Any) -> TrainingSettings:
    return AudioTokenSettings(**{"steps": 6, "batch_size": 3, "learning_rate": 1e-2, **given}).resolved()


@pytest.mark.parametrize("how", [{"micro_batch": 2}, {"micro_batch": 1}, {"gradient_checkpointing": True}])
def test_what_saves_memory_changes_nothing_but_rounding(
    backbone: Backbone, tmp_path: Path, how: dict[str, Any]
) -> None:
    labels = torch.randn(CLIPS, WIDTH, generator=torch.Generator().manual_seed(4))
    made = []
    for number, given in enumerate(({}, how)):
        asked = settings(timesteps="importance", steps=4, lambda_c=0.1, **given)
        made.append(embedder())
        train(made[-1], backbone, material(labels), asked, 0, tmp_path / f"{number}.pt", Silent())
    for one, other in zip(*(each.parameters() for each in made), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4)
    assert not same(made[0], embedder())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_alike_and_resumes(backbone: Backbone, tmp_path: Path, precision: str) -> None:
    def trained(name: str, **given: Any) -> Embedder:
        one = embedder()
        train(one, backbone, material(), settings(**given), 0, tmp_path / name, Silent())
        return one

    full, half = trained("full.pt"), trained("half.pt", precision=precision)
    assert not same(full, half)
    for one, other in zip(full.parameters(), half.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0.03)
    if precision == "float16":
        assert load_state(tmp_path / "half.pt")["scaler"]["scale"] > 1
    trained("cut.pt", precision=precision, steps=3)
    assert same(trained("cut.pt", precision=precision), half)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_long_gradient_is_scaled_down_and_a_short_one_left_alone(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    taken: list[Tensor] = []
    step = torch.optim.AdamW.step

    def noted(optimizer: torch.optim.AdamW) -> None:
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        taken.append(torch.cat([one.grad.flatten() for one in parameters if one.grad is not None]))
        step(optimizer)

    def trained(name: str, **given: Any) -> tuple[Embedder, Tensor]:
        taken.clear()
        one = embedder()
        train(one, backbone, material(), settings(precision=precision, steps=1, **given), 0, tmp_path / name, Silent())
        return one, taken[0]

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    plain, _ = trained("plain.pt")
    unbounded, full = trained("unbounded.pt", max_grad_norm=1e6)
    assert same(plain, unbounded)
    _, bounded = trained("bounded.pt", max_grad_norm=float(full.norm()) / 10)
    torch.testing.assert_close(bounded, full / 10, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_networks_that_are_cast_once_train_alike_and_resume(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    def trained(name: str, **given: Any) -> Embedder:
        one = embedder()
        train(one, backbone, material(), settings(**given), 0, tmp_path / name, Silent())
        return one

    before = [parameter.clone() for parameter in (*backbone.unet.parameters(), *backbone.text_encoder.parameters())]
    full, autocast = trained("full.pt"), trained("autocast.pt", precision=precision)
    monkeypatch.setattr(training, "casts", lambda device: True)
    seen: set[torch.dtype] = set()
    with backbone.unet.conv_in.register_forward_pre_hook(lambda _, given: seen.add(given[0].dtype)):
        cast = trained("cast.pt", precision=precision, micro_batch=2)
    assert seen == {getattr(torch, precision)}
    for other in (full, autocast):
        for a, b in zip(cast.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0.04)
    trained("cut.pt", precision=precision, micro_batch=2, steps=3)
    assert same(trained("cut.pt", precision=precision, micro_batch=2), cast), "looking ahead changes nothing"
    backbone.inject(torch.zeros(1, WIDTH))
    after = (*backbone.unet.parameters(), *backbone.text_encoder.parameters())
    assert all(a.equal(b) for a, b in zip(after, before, strict=True))


def test_a_lora_is_trained_in_single_precision_in_a_network_that_is_cast(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "casts", lambda device: True)
    own = with_own_unet(backbone)
    add_lora(own.unet, 2, seed=0)
    start = [up.clone() for _, up in lora_layers(own.unet).values()]
    train(embedder(), own, material(), settings(precision="bfloat16"), 0, tmp_path / "a.pt", Silent())
    trained = [up for _, up in lora_layers(own.unet).values()]
    assert all(one.dtype is torch.float32 for one in trained)
    assert any(not one.equal(other) for one, other in zip(trained, start, strict=True))
    assert not lora_layers(backbone.unet)


@pytest.mark.parametrize("asked", [["rand", "randn"], ["randn", "rand"], ["rand", "rand"]])
def test_values_drawn_ahead_are_those_drawn_on_demand(asked: list[str]) -> None:
    def rows() -> ForeseenRows:
        return ForeseenRows(torch.Generator().manual_seed(7), 4, slice(1, None, 2))

    ahead, plain = rows(), Rows(torch.Generator().manual_seed(7), 4, slice(1, None, 2))
    ahead.foresee([(torch.rand, (3,)), (torch.randn, (2,))], "cpu")
    for name in asked:
        shape = (3,) if name == "rand" else (2,)
        values = getattr(torch, name)
        assert ahead.draw(values, shape).equal(plain.draw(values, shape))
    assert [one[0] for one in ahead.asked] == [getattr(torch, name) for name in asked]


def test_a_step_without_memory_names_the_preset_that_fits(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(training.Training, "step", full)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=int(16.9e9)))
    for asked, advice in [
        ({"micro_batch": 16}, "16.9 GB) for 16 clips in bfloat16: --set micro_batch=16GB (8 clips, 10.6 GB)"),
        ({"micro_batch": 6}, "--set micro_batch=12GB (4 clips, 6.8 GB)"),
        ({"micro_batch": 4}, "--set micro_batch=2, below the preset 12GB"),
        ({"micro_batch": 1}, "--set gradient_checkpointing=true, or a larger device: no preset takes less"),
    ]:
        given = settings(batch_size=16, precision="bfloat16", **asked)
        with pytest.raises(RunError) as error:
            train(embedder(), backbone, material(), given, 0, tmp_path / "a.pt", Silent())
        assert str(error.value).startswith("cpu has too little memory (16.9 GB)") and str(error.value).endswith(advice)
        assert "\n" not in str(error.value)


def test_a_card_stands_for_a_number_of_clips() -> None:
    for card, clips in CARDS.items():
        given = AudioTokenSettings(micro_batch=card)  # type: ignore[arg-type]
        assert given.micro_batch == clips and given == AudioTokenSettings(micro_batch=clips)
        asked = TrainingSettings(steps=1, batch_size=16, learning_rate=1.0, micro_batch=clips, precision="bfloat16")
        assert peak_estimate(asked) < 0.8 * gigabytes(card) * 1e9
    with pytest.raises(UserError, match="micro_batch='13GB'"):
        make_settings(AudioToken, {"micro_batch": "13GB"})


@pytest.mark.parametrize(
    ("suite", "device", "given", "expected"),
    [
        ("vggsound", "cuda", {}, "bfloat16"),
        ("vggsound", "cuda:1", {"precision": "float16"}, "float16"),
        ("vggsound", "cuda", {"precision": "float32"}, None),
        ("vggsound", "cuda", {"embedder": None}, "bfloat16"),
        ("vggsound", "cpu", {}, None),
        ("vggsound", "mps", {}, None),
        ("mini", "cuda", {}, None),
    ],
)
def test_the_device_decides_the_precision_where_the_settings_leave_it_open(
    monkeypatch: pytest.MonkeyPatch, suite: str, device: str, given: dict[str, Any], expected: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    asked, protocol = AudioTokenSettings(**given), load_suite(suite)
    chosen = asked.chosen(protocol, device)
    assert chosen == ({"precision": expected, "frozen": "cast"} if expected else {})
    resolved = asked.resolved(protocol.budget, chosen.get("precision"))
    assert resolved.precision == (expected or given.get("precision") or "float32")


@pytest.mark.parametrize("cast", [True, False])
def test_test_clips_are_heard_together_only_where_networks_are_cast(cast: bool) -> None:
    calls: list[int] = []

    def heard(clips: Any) -> Tensor:
        calls.append(len(clips))
        return torch.ones(len(clips), 2)

    method = AudioToken(AudioTokenSettings())
    listener = SimpleNamespace(together=heard)
    method.listener = listener if cast else heard  # type: ignore[assignment]
    method.embedder = torch.nn.Identity()  # type: ignore[assignment]
    method.run = SimpleNamespace(  # type: ignore[assignment]
        backbone=SimpleNamespace(cast_for_sampling=cast, inject=lambda tokens: tokens)
    )
    clips: Any = ["a", "b", "c"]
    assert method.condition(clips).prompt_embeds.shape == (3, 2) and calls == ([3] if cast else [1, 1, 1])


def test_a_dry_run_says_what_fits_which_card() -> None:
    lines = AudioTokenSettings().needs(load_suite("vggsound"), "cpu")
    assert "4 clips at once, 6.8 GB; --set micro_batch=12GB (4 clips at once, 6.8 GB)" in lines[0]
    assert "(12.0 GB)" in lines[1]
    assert AudioTokenSettings().needs(load_suite("mini"), "cpu") == ()


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(a.equal(b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(("killed_at", "timesteps"), [(1, "uniform"), (3, "importance"), (5, "importance")])
def test_an_interrupted_training_ends_in_the_same_bits(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int, timesteps: str
) -> None:
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)
    asked = settings(timesteps=timesteps)
    whole, ui = embedder(), Silent()
    figures = train(whole, backbone, material(seed=5), asked, 5, tmp_path / "whole.pt", ui)
    assert not whole.training and set(figures) == {"loss", "ldm"} and not ui.said

    class Killed(BaseException):
        pass

    class Dying(Kept):
        left = killed_at

        def __call__(self, positions: list[int]) -> Tensor:
            self.left -= 1
            if self.left < 0:
                raise Killed
            return super().__call__(positions)

    given = material(seed=5)
    with pytest.raises(Killed):
        train(embedder(), backbone, material(seed=5, kept=Dying()), asked, 5, tmp_path / "state.pt", ui)
    assert load_state(tmp_path / "state.pt")["step"] == killed_at
    torch.manual_seed(99)
    torch.rand(7)
    resumed = embedder()
    assert train(resumed, backbone, given, asked, 5, tmp_path / "state.pt", ui) == figures
    assert ui.said == [f"continuing at step {killed_at} of 6"] and same(resumed, whole)
    assert not same(whole, embedder())
    # What is finished is not trained further.
    again = embedder()
    assert train(again, backbone, given, asked, 5, tmp_path / "state.pt", ui) == figures and same(again, whole)


def test_seeds_train_differently(backbone: Backbone, tmp_path: Path) -> None:
    made = [embedder(), embedder()]
    for seed, one in enumerate(made):
        train(one, backbone, material(), settings(steps=1), seed, tmp_path / f"{seed}.pt", Silent())
    assert not same(*made)


def test_only_the_embedder_changes_and_the_loss_falls(backbone: Backbone, tmp_path: Path) -> None:
    frozen = [*backbone.unet.parameters(), *backbone.text_encoder.parameters(), *backbone.vae.parameters()]
    before = [parameter.clone() for parameter in frozen]
    one = embedder()
    # A penalty on the token alone: it must shrink.
    start = one.eval()(Kept().rows).abs().mean()
    train(one, backbone, material(), settings(steps=60, lambda_a=10.0), 0, tmp_path / "a.pt", Silent())
    assert one(Kept().rows).abs().mean() < 0.5 * start
    assert all(a.equal(b) for a, b in zip(frozen, before, strict=True))
    assert all(parameter.grad is None for parameter in frozen)


def test_the_classification_loss_draws_the_token_to_its_label(backbone: Backbone, tmp_path: Path) -> None:
    labels = torch.randn(CLIPS, WIDTH, generator=torch.Generator().manual_seed(4))
    cosines = {}
    for weight in (0.0, 30.0):
        one = embedder()
        given = material(labels if weight else None)
        train(
            one,
            backbone,
            given,
            settings(steps=60, lambda_a=0.0, lambda_c=weight),
            0,
            tmp_path / f"{weight}.pt",
            Silent(),
        )
        cosines[weight] = F.cosine_similarity(one(Kept().rows), labels).mean().item()
    assert cosines[30.0] > 0.6 > cosines[0.0]


def test_a_loss_that_is_not_finite_stops_with_advice(backbone: Backbone, tmp_path: Path) -> None:
    given = material()
    given.latent_mean[:] = float("nan")
    with pytest.raises(RunError, match="the loss is nan at step 0: lower --set learning_rate"):
        train(embedder(), backbone, given, settings(), 0, tmp_path / "a.pt", Silent())
    assert not (tmp_path / "a.pt").exists()
    # The loss of a step is that of the parameters before it: the last step has to be looked after.
    wild = replace(settings(steps=1), learning_rate=3e37, weight_decay=10.0)
    broken = embedder()
    with torch.no_grad():
        broken.fc1.weight.mul_(10)
    with pytest.raises(RunError, match="the embedder is not finite after step 1: lower --set learning_rate"):
        train(broken, backbone, material(), wild, 0, tmp_path / "a.pt", Silent())
    assert not (tmp_path / "a.pt").exists()


def test_a_loss_is_read_a_step_later_but_before_anything_is_kept(backbone: Backbone) -> None:
    def begun(given: Stored) -> Training:
        return Training(embedder().train(), backbone, given, settings(), 0)

    read, unread = begun(material()), begun(material())
    means = []
    for step in range(3):
        read.step(step)
        means.append(read.figures(step)["ldm"])
        unread.step(step)
        assert unread.running["ldm"] == (means[step - 1] if step else 0.0), "the device has a step to do meanwhile"
    assert len({*means}) == 3 and min(means) > 0
    assert unread.state_dict(3)["running"] == read.state_dict(3)["running"]
    assert unread.running["ldm"] == means[2]

    broken = begun(material())
    broken.material.latent_mean[:] = float("nan")
    broken.step(0)
    with pytest.raises(RunError, match="the loss is nan at step 0"):
        broken.state_dict(1)


def test_labels_are_looked_at_for_the_classification_loss_alone(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AudioTokenCL.Settings is AudioTokenCLSettings and AudioTokenCLSettings().lambda_c > 0
    monkeypatch.setattr(TokenMethod, "training_data", lambda self, train: material())
    run: Any = SimpleNamespace(backbone=backbone)
    clips: Any = SimpleNamespace(labels=("rain", "church bell"), classes=torch.tensor([1, 0, 0, 1, 1]))
    plain, with_cl = AudioToken(AudioTokenSettings()), AudioTokenCL(AudioTokenCLSettings(cl_reduction="sample"))
    plain.run = with_cl.run = run
    assert plain.training_data(clips).label_embeddings is None
    made = with_cl.training_data(clips)
    table = label_embedding(backbone.tokenizer, backbone.text_encoder, clips.labels)
    assert made.label_embeddings is not None and made.label_embeddings.equal(table[clips.classes])
    resolved = with_cl.settings.resolved(load_suite("mini").budget)
    assert (resolved.lambda_c, resolved.cl_reduction) == (with_cl.settings.lambda_c, "sample")


def test_nothing_is_left_open_in_the_settings_of_a_training() -> None:
    budget = load_suite("mini").budget
    resolved = AudioTokenSettings(steps=7).resolved(budget)
    assert resolved.steps == 7 and resolved.batch_size == resolved.micro_batch == budget.batch_size
    assert None not in vars(resolved).values() and resolved.max_grad_norm == budget.max_grad_norm
    with pytest.raises(UserError, match="neither set nor in a budget: batch_size, learning_rate"):
        AudioTokenSettings(steps=7).resolved()


# ------------------------------------------------------------------------------------------- features and latents


@pytest.fixture(scope="module")
def listener() -> Listener:
    protocol = load_suite("mini")
    return Listener(ENCODERS.get("mini/beats")(protocol, "cpu"), protocol, "cpu")


def test_features_are_stored_once_or_streamed(
    listener: Listener, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = load_manifest(worlds.things(tmp_path_factory.getbasetemp())).test.limit(3)
    stored = Features(listener, clips, "a" * 64, tmp_path, Silent())
    assert stored.stored is not None and stored.stored.dtype == "float16" and stored.width == 3 * 96
    rows = stored([2, 0])
    assert rows.dtype is torch.float32 and rows.shape == (2, *listener([clips[0]]).shape[1:])
    exact = listener([clips[2], clips[0]])
    torch.testing.assert_close(rows, exact, rtol=1e-3, atol=1e-3)
    assert listener([clips[0]])[0].equal(exact[1]), "a neighbour's rounding"

    calls = []
    monkeypatch.setattr(Listener, "__call__", lambda self, some: calls.append(len(some)) or exact[: len(some)])
    again = Features(listener, clips, "a" * 64, tmp_path, Silent())
    assert again([2, 0]).equal(rows) and calls == [1]  # the first clip alone, for its size
    Features(listener, clips, "b" * 64, tmp_path, Silent())
    assert len(list(tmp_path.rglob("*.npy"))) == 2

    monkeypatch.setattr("audiotoken.features.STORED_BYTES", 10)
    ui = Silent()
    streamed = Features(listener, clips, "c" * 64, tmp_path, ui)
    assert streamed.stored is None and "streamed" in ui.said[0]
    assert streamed([2, 0]).equal(exact) and len(list(tmp_path.rglob("*.npy"))) == 2
    Embedder(streamed.width, WIDTH)(streamed([2, 0])).sum().backward()  # as training does


def test_latents_are_those_of_the_frames(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> None:
    clips = load_manifest(worlds.things(tmp_path_factory.getbasetemp())).test.limit(5)
    mean, deviation = latents_of(backbone, clips, Silent(), batch_size=2)
    assert len(mean) == len(deviation) == 5 and (deviation > 0).all()
    whole, _ = latents_of(backbone, clips, Silent(), batch_size=5)
    torch.testing.assert_close(mean, whole, rtol=0, atol=1e-4)
