"""Behaviour of the audio encoders that no fixture shows: batches, silence, masks, gradients, training, loading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metrics.encoders.beats import BEATs, BEATsConfig, load_beats, reduce_padding_mask
from metrics.encoders.filterbank import analysis_window, log_mel_filterbank
from metrics.encoders.wav2clip import Wav2CLIP, load_wav2clip

SMALL = BEATsConfig(
    encoder_layers=4,
    encoder_embed_dim=32,
    encoder_ffn_embed_dim=64,
    encoder_attention_heads=4,
    embed_dim=24,
    predictor_class=4,
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def noise(clips: int = 3, samples: int = 16_000) -> Tensor:
    return 0.1 * torch.randn(clips, samples)


def tones() -> tuple[Tensor, Tensor]:
    """Twelve noisy clips of four pitches, and their one-hot classes."""
    classes = torch.arange(12) % 4
    phase = 2 * torch.pi * 250 * 2.0 ** classes[:, None] * torch.arange(8000) / 16_000
    return 0.3 * phase.sin() + 0.02 * torch.randn(12, 8000), F.one_hot(classes, 4).float()


def test_filterbank_of_a_batch_is_that_of_its_clips() -> None:
    clips = noise()
    assert torch.equal(log_mel_filterbank(clips)[1], log_mel_filterbank(clips[1]))


def test_filterbank_scale_is_a_shift_of_the_logarithm() -> None:
    clips = noise(1) * 2**15
    loud, quiet = log_mel_filterbank(clips), log_mel_filterbank(clips / 2)
    filled = torch.arange(128) != 3
    torch.testing.assert_close(
        (loud - quiet)[..., filled], torch.full_like(loud[..., filled], 4.0).log(), atol=1e-3, rtol=0
    )


def test_filterbank_keeps_its_precision_under_autocast() -> None:
    clips = noise()
    plain = log_mel_filterbank(clips)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(log_mel_filterbank(clips), plain)
    assert log_mel_filterbank(clips.double()).dtype == torch.float64


def test_filterbank_windows() -> None:
    hann = analysis_window("hann")
    torch.testing.assert_close(hann, hann.flip(0))
    torch.testing.assert_close(analysis_window("povey"), hann**0.85)
    with pytest.raises(ValueError, match="'hamming'"):
        analysis_window("hamming")  # type: ignore[arg-type]


def test_beats_clips_do_not_influence_each_other() -> None:
    model, clips = BEATs(SMALL).eval(), noise()
    together = model.extract_features(clips, (1, 4))
    alone = torch.cat([model.extract_features(clip[None], (1, 4)) for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_beats_features_join_the_layers_in_the_order_asked_for() -> None:
    model, clips = BEATs(SMALL).eval(), noise(2)
    output = model(clips, layers=(4, 2))
    assert torch.equal(output.layers[0], output.last)
    assert torch.equal(model.extract_features(clips, (4, 2)), torch.cat(output.layers, -1))
    assert model.extract_features(clips, (4, 2)).shape == (2, 48, 64)


def test_beats_mask_hides_the_padding() -> None:
    model, clips = BEATs(SMALL).eval(), noise(2, 40_000)
    mask = torch.zeros(clips.shape, dtype=torch.bool)
    mask[1, 20_000:] = True
    output = model(clips, mask)
    changed = model(torch.where(mask, noise(2, 40_000), clips), mask)
    assert output.padding_mask is not None and 0 < int(output.padding_mask[1].sum()) < output.last.shape[1]
    # The reference's reduced mask is not aligned with time, so only a clip without padding is exactly unmoved.
    torch.testing.assert_close(output.last[0], model(clips[:1]).last[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(output.last[0], changed.last[0], atol=1e-6, rtol=0)
    kept = ~output.padding_mask[1]
    assert model.predictor is not None and output.logits is not None
    torch.testing.assert_close(output.logits[1], model.predictor(output.last[1][kept]).mean(0))


def test_beats_padded_tokens_reach_no_other() -> None:
    model = BEATs(SMALL).eval()
    tokens, mask = torch.randn(1, 40, 24), torch.zeros(1, 40, dtype=torch.bool)
    mask[0, 25:] = True
    other = torch.where(mask[..., None], torch.randn(1, 40, 24), tokens)
    ours, theirs = (model.encoder(model.encoder_input(x, mask), mask)[-1][~mask] for x in (tokens, other))
    assert torch.equal(ours, theirs)


def test_beats_mask_reduction_drops_the_remainder() -> None:
    mask = torch.tensor([[0, 0, 1, 1, 0, 1, 1, 0]], dtype=torch.bool)
    assert reduce_padding_mask(mask, 3).tolist() == [[False, True, False]]
    with pytest.raises(ValueError, match="cannot cover 9"):
        reduce_padding_mask(mask, 9)


def test_beats_refuses_what_it_cannot_encode() -> None:
    model = BEATs(SMALL).eval()
    with pytest.raises(ValueError, match="2800 samples"):
        model(noise(1, 2799))
    assert model(noise(1, 2800)).last.shape == (1, 8, 32)
    with pytest.raises(ValueError, match="padding throughout"):
        model(noise(2), torch.tensor([[False], [True]]).expand(2, 16_000))
    with pytest.raises(ValueError, match="either a waveform or a filterbank"):
        model()
    with pytest.raises(ValueError, match="batch, samples"):
        model(noise()[0])
    with pytest.raises(ValueError, match=r"no layers \[8, 12\]"):
        model.extract_features(noise())


def test_beats_silence_is_finite() -> None:
    assert BEATs(SMALL).eval()(torch.zeros(1, 8000)).last.isfinite().all()


def test_beats_from_filterbank_is_the_same() -> None:
    model, clips = BEATs(SMALL).eval(), noise()
    assert torch.equal(model.logits(clips), model.logits(from_filterbank=model.preprocess(clips)))


def test_beats_without_head() -> None:
    model = BEATs(replace(SMALL, finetuned_model=False)).eval()
    assert model(noise(1)).probabilities is None
    with pytest.raises(ValueError, match="no classifier head"):
        model.logits(noise(1))


def test_beats_gradient_reaches_every_parameter_and_decays() -> None:
    clips, target = tones()
    model = BEATs(SMALL).train()
    decayed = BEATs(replace(SMALL, layer_wise_gradient_decay_ratio=0.5)).train()
    decayed.load_state_dict(model.state_dict())
    for each in (model, decayed):
        F.binary_cross_entropy_with_logits(each.logits(clips), target).backward()
    halved = dict(decayed.named_parameters())
    for name, value in model.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all(), name
        if name.endswith("fc1.weight"):
            above = SMALL.encoder_layers - 1 - int(name.split(".")[2])
            torch.testing.assert_close(halved[name].grad, value.grad * 0.5**above, rtol=1e-4, atol=1e-8)


def test_beats_layerdrop_acts_in_training_only() -> None:
    model = BEATs(replace(SMALL, encoder_layerdrop=1.0)).train()
    embedded = torch.randn(1, 16, 32)
    assert torch.equal(model.encoder(embedded)[-1], embedded)
    assert not torch.equal(model.eval().encoder(embedded)[-1], embedded)


def test_beats_learns_from_nothing() -> None:
    clips, target = tones()
    model = BEATs(SMALL).train()
    filterbank = model.preprocess(clips)
    losses = _overfit(
        model, lambda: F.binary_cross_entropy_with_logits(model.logits(from_filterbank=filterbank), target)
    )
    assert losses[0] > 0.5 and losses[-1] < 0.2 * losses[0]


def test_wav2clip_learns_from_nothing() -> None:
    clips, classes = tones()
    model, towards = Wav2CLIP(width=8, embed_dim=32).train(), classes @ torch.randn(4, 32)
    losses = _overfit(model, lambda: 1 - F.cosine_similarity(model(clips), towards).mean())
    assert losses[0] > 0.5 and losses[-1] < 0.2 * losses[0]


def test_filterbank_cached_in_inference_mode_serves_training() -> None:
    analysis_window.cache_clear()
    with torch.inference_mode():
        log_mel_filterbank(noise(1))
    clips = noise(1).requires_grad_()
    log_mel_filterbank(clips).sum().backward()
    assert clips.grad is not None and clips.grad.isfinite().all()


def _overfit(model: nn.Module, loss: Callable[[], Tensor]) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_fn": "relu"}, "activation_fn='relu'"),
        ({"layer_norm_first": True}, "layer_norm_first=True"),
        ({"encoder_layers": 0}, "encoder_layers=0"),
        ({"encoder_attention_heads": 5}, "multiple of encoder_attention_heads=5"),
        ({"input_patch_size": 24}, "input_patch_size=24"),
    ],
)
def test_beats_config_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_beats_config_lists_unknown_and_absent_fields() -> None:
    values = asdict(SMALL)
    assert BEATsConfig.from_dict(values) == SMALL
    with pytest.raises(ValueError, match="unknown: colour, flavour"):
        BEATsConfig.from_dict(values | {"flavour": 1, "colour": 2})
    del values["max_distance"], values["dropout"]
    with pytest.raises(ValueError, match="absent: max_distance$"):
        BEATsConfig.from_dict(values)


def test_load_beats(tmp_path: Path) -> None:
    model, path = BEATs(SMALL).eval(), tmp_path / "beats.pt"
    torch.save({"cfg": asdict(SMALL), "model": model.state_dict()}, path)
    loaded, clips = load_beats(path), noise()
    assert not loaded.training
    assert torch.equal(loaded(clips).last, model(clips).last)


def test_load_beats_lists_what_does_not_fit(tmp_path: Path) -> None:
    state, path = BEATs(SMALL).state_dict(), tmp_path / "beats.pt"
    del state["layer_norm.bias"]
    state["surplus"] = torch.zeros(1)
    state["predictor.bias"] = torch.zeros(9)
    torch.save({"cfg": asdict(SMALL), "model": state}, path)
    with pytest.raises(ValueError, match="layer_norm.bias.*surplus.*predictor.bias"):
        load_beats(path)


@pytest.mark.parametrize("load", [load_beats, load_wav2clip])
def test_load_refuses_other_files(load: Callable[[Path], nn.Module], tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    with pytest.raises(FileNotFoundError):
        load(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="is not a"):
        load(path)
    torch.save([1], path)
    with pytest.raises(ValueError, match="is not a"):
        load(path)
    torch.save({"cfg": Path("run/me"), "model": {}}, path)
    with pytest.raises(ValueError, match="is not a"):
        load(path)


def test_wav2clip_clips_do_not_influence_each_other() -> None:
    model = Wav2CLIP(width=4, embed_dim=16).eval()
    clips = noise() * torch.tensor([[1.0], [0.01], [0.3]])
    alone = torch.cat([model(clip[None]) for clip in clips])
    torch.testing.assert_close(model(clips), alone, atol=1e-5, rtol=0)
    model.standardise = "batch"
    assert (model(clips) - alone).abs().max() > 1e-3
    torch.testing.assert_close(model(clips[:1]), alone[:1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("standardise", ["clip", "batch"])
def test_wav2clip_silence_is_all_zeros(standardise: Any) -> None:
    model = Wav2CLIP(width=4, embed_dim=16, standardise=standardise).eval()
    silence = torch.zeros(2, 8000)
    assert not model.network_input(silence).any()
    embedding = model(silence)
    assert embedding.isfinite().all() and torch.equal(embedding[0], embedding[1])


def test_wav2clip_silence_beside_sound() -> None:
    model = Wav2CLIP(width=4, embed_dim=16).eval()
    clips = noise(2)
    clips[0] = 0
    torch.testing.assert_close(model(clips)[:1], model(clips[:1]), atol=1e-6, rtol=0)
    torch.testing.assert_close(model(clips)[1:], model(clips[1:]), atol=1e-5, rtol=0)


def test_wav2clip_frames_are_clips() -> None:
    model, clips = Wav2CLIP(width=4, embed_dim=16).eval(), noise(2, 10_000)
    frames = model.embed_frames(clips, 4000, 2500)
    assert frames.shape == (2, 16, 3)
    torch.testing.assert_close(frames[:, :, 1], model(clips[:, 2500:6500]), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="10001"):
        model.embed_frames(clips, 10_001, 1)


def test_wav2clip_refuses_what_it_cannot_encode() -> None:
    model = Wav2CLIP(width=4, embed_dim=16).eval()
    with pytest.raises(ValueError, match="256 samples"):
        model(noise(1, 256))
    assert model(noise(1, 257)).isfinite().all()
    with pytest.raises(ValueError, match="batch, samples"):
        model(noise()[0])
    with pytest.raises(ValueError, match="'item'"):
        Wav2CLIP(standardise="item")  # type: ignore[arg-type]


def test_load_wav2clip(tmp_path: Path) -> None:
    model, path = Wav2CLIP().eval(), tmp_path / "Wav2CLIP.pt"
    state = dict(model.state_dict())
    torch.save(
        state | {"image_transform.sequential.0.bias": torch.zeros(2), "loss_fn_a.logit_scale": torch.ones(())}, path
    )
    loaded, clips = load_wav2clip(path), noise(1, 4000)
    assert not loaded.training
    assert torch.equal(loaded(clips), model(clips))
    torch.save({"state_dict": state}, path)
    assert torch.equal(load_wav2clip(path)(clips), model(clips))
    torch.save(state | {"audio_encoder.fc.bias": torch.zeros(2), "decoder.bias": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="decoder.bias.*audio_encoder.fc.bias"):
        load_wav2clip(path)
