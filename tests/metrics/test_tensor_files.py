"""Released checkpoints: nothing is executed, and nobody is told to."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from metrics.encoders.beats import BEATs, BEATsConfig, load_beats
from metrics.encoders.imagebind import load_imagebind
from metrics.encoders.wav2clip import Wav2CLIP, load_wav2clip
from metrics.scorers.clip import load_openai_clip
from metrics.scorers.inception import InceptionScorer
from metrics.tensor_files import check_finite, one_line, printable, read_tensors


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


LOADERS: list[Callable[[Path], Any]] = [
    load_beats,
    load_wav2clip,
    load_imagebind,
    lambda path: load_openai_clip("clip", "0" * 64, "ViT-B-32-quickgelu", path),
    lambda path: InceptionScorer(path, "0" * 64),
    lambda path: read_tensors(path, "a checkpoint"),
]


@pytest.mark.parametrize("load", LOADERS)
def test_what_would_be_executed_is_refused_in_our_own_words(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    torch.save({"cfg": Evil(), "model": Evil()}, path)
    with pytest.raises(ValueError, match="never executed") as caught:
        load(path)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text
    for advice in ("weights_only", "trust", "pickle", "arbitrary code"):
        assert advice not in text
    path.write_bytes(pickle.dumps({"model": Evil()}))
    with pytest.raises(ValueError, match="weights.pt") as caught:
        load(path)
    assert "weights_only" not in str(caught.value)
    for damaged in (b"", b"\x80\x02e.", b"\x80\x02b."):  # pickles that end their own stack: PyTorch raises IndexError
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="weights.pt"):
            load(path)
    assert not (tmp_path / "executed").exists()


SMALL = BEATsConfig(
    encoder_layers=12,
    encoder_embed_dim=32,
    encoder_ffn_embed_dim=32,
    encoder_attention_heads=4,
    embed_dim=16,
    conv_pos=16,
    conv_pos_groups=4,
)


def test_a_beats_with_nan_is_refused(tmp_path):
    state = BEATs(SMALL).state_dict()
    name = next(name for name, value in state.items() if value.ndim > 1)
    path = tmp_path / "beats.pt"
    torch.save({"cfg": vars(SMALL), "model": state}, path)
    load_beats(path)
    state[name].view(-1)[3] = float("nan")
    torch.save({"cfg": vars(SMALL), "model": state}, path)
    with pytest.raises(ValueError, match=f"NaN or infinite values in {name}: get the file again"):
        load_beats(path)


def test_a_wav2clip_with_an_infinite_value_is_refused(tmp_path):
    state = Wav2CLIP().state_dict()
    state["audio_encoder.conv1.weight"].view(-1)[0] = float("inf")
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"NaN or infinite values in audio_encoder\.conv1\.weight"):
        load_wav2clip(tmp_path / "w.pt")


def test_a_mask_may_be_infinite_and_many_names_are_counted():
    check_finite({"text.mask": torch.full((2, 2), float("-inf")), "n": torch.tensor(3)}, "x")
    bad = {f"p{k}": torch.tensor(float("nan")) for k in range(5)}
    with pytest.raises(ValueError, match="p0, p1, p2 and 2 more"):
        check_finite(bad, "x")


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ({"cfg": {"\x00enc\x1b[2J": 1}, "model": {}}, r"unknown: \x00enc\x1b[2J"),
        ({"cfg": {1: 1, "b": 2}, "model": {}}, "unknown: 1, b"),
        ({"cfg": vars(SMALL) | {"encoder_layers": "many"}, "model": {}}, "does not fit its own configuration"),
        ({"cfg": {}, "model": {"\x07w": torch.tensor([float("nan")])}}, r"infinite values in \x07w"),
        ({"cfg": {}, "model": {3: torch.tensor([float("inf")])}}, "infinite values in 3"),
        ({"cfg": vars(SMALL), "model": {"\x9bw": torch.zeros(1)}}, r"\x9bw"),
    ],
)
def test_what_a_message_quotes_of_a_file_is_one_printable_line(stored: Any, words: str, tmp_path: Path) -> None:
    torch.save(stored, tmp_path / "beats.pt")
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        load_beats(tmp_path / "beats.pt")
    assert str(caught.value).isprintable()


def test_an_error_without_a_file_name_is_of_the_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pt"
    with pytest.raises(FileNotFoundError):
        read_tensors(path, "a checkpoint")

    def seek(*given: Any, **more: Any) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(torch, "load", seek)
    with pytest.raises(ValueError, match="weights.pt is not a checkpoint: .*Invalid argument"):
        read_tensors(path, "a checkpoint")


def test_the_text_of_an_error_is_printable() -> None:
    assert one_line(RuntimeError("two\nlines \x1b]0;title\x07")) == r"two lines \x1b]0;title\x07"
    assert printable("Glöckchen \u202eabc") == r"Glöckchen \u202eabc"
