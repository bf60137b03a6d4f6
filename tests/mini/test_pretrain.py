"""Making the networks of `mini`: each stage learns, goes on where it was stopped, and exports what it reports."""

from __future__ import annotations

import json
import math
import random
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import nn

from benchmark.mini import networks
from benchmark.mini.captions import statement
from benchmark.mini.pretrain import backbone, loop, scorers, stages, workshop
from benchmark.mini.pretrain.loop import Schedule, Task, train
from benchmark.mini.wiring import WEIGHTS
from benchmark.mini.world import LABELS, SLOTS, SPEECH, facts_of
from benchmark.utils.errors import UserError
from benchmark.utils.files import sha256_of

STEPS, STOP = 2, 1
BATCH = 6
KINDS = ("vae-draft", "vae", "backbone-draft", "backbone-second", "beats", "clip", "wav2clip", "imagebind")
"""A stage of each kind: one that begins, one that trains on, and one of each network."""


@pytest.fixture(scope="module", autouse=True)
def small() -> Any:
    """Tiny pools and batches; a checkpoint after each step."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("POOL", "SOUND_POOL", "HELD_OUT"):
            for module in (workshop, backbone, scorers):
                patch.setattr(module, name, 64, raising=False)
        patch.setattr(loop, "SAVE_SECONDS", -1)
        real = loop.Schedule

        def schedule(**given: Any) -> Schedule:
            return real(**{**given, "batch": BATCH})

        patch.setattr(stages, "Schedule", schedule)
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, dict[str, Any], list[str]]:
    """All stages, never interrupted: the folder of the weights, the reports, what was said."""
    folder = tmp_path_factory.mktemp("whole")
    said: list[str] = []
    reports = stages.pretrain([], folder / "weights", folder / "work", cache, said.append, steps=STEPS)
    return folder / "weights", reports, said


def test_every_stage_exports_what_it_reports(made: tuple[Path, dict[str, Any], list[str]]) -> None:
    weights, reports, said = made
    assert tuple(reports) == tuple(stages.STAGES)
    drafts = {"vae-draft", *(name for name, course in backbone.COURSES.items() if not course.ships)}
    assert len(drafts) == len(backbone.COURSES), "one course of the backbone ships"
    assert not any((weights / f"{draft}.safetensors").exists() for draft in drafts), "they are no part of the suite"
    for stage, report in reports.items():
        path = (weights.parent / "work" if stage in drafts else weights) / f"{stage}.safetensors"
        assert report["sha256"] == sha256_of(path) and report["bytes"] == path.stat().st_size
        assert report["steps"] == STEPS and report["batch"] == BATCH and report["parameters"] > 1e5
        assert report["bytes"] == pytest.approx(2 * report["parameters"], rel=0.1), "half precision"
        assert report["losses"][-1][0] == STEPS and math.isfinite(report["losses"][-1][1])
        assert report["held_out"] and all(math.isfinite(value) for value in report["held_out"].values())
        assert json.loads((weights / f"{stage}.json").read_text()) == json.loads(json.dumps(report))
        assert any(line.startswith(f"{stage}: exported") for line in said)
    for name in ("label", "size", "count", "colour", "light", "amount", "cue", "speaker"):
        assert 0 <= reports["beats"]["held_out"][f"{name}_accuracy"] <= 100
    assert set(reports["classifier"]["held_out"]) == {"label_accuracy"}
    for stage in ("wav2clip-encoder", "imagebind"):
        assert {"label_by_sound", "label_by_picture", "picture_by_sound_r1"} < set(reports[stage]["held_out"])
    assert networks.scaling_factor(weights) == pytest.approx(1 / reports["vae"]["held_out"]["latent_std"], rel=1e-3)


def test_what_is_exported_loads_whole(made: tuple[Path, dict[str, Any], list[str]]) -> None:
    weights, _, _ = made
    size = len(networks.tokenizer(weights / "tokenizer"))
    parts: list[tuple[str, str, Any]] = [
        ("vae", "vae", networks.vae()),
        ("backbone", "unet", networks.unet()),
        ("backbone", "text_encoder", networks.text_encoder(size)),
        ("clip", "clip", networks.clip(size)),
        ("wav2clip", "wav2clip", networks.wav2clip()),
        ("classifier", "beats", networks.classifier(len(LABELS))),
        ("wav2clip-encoder", "wav2clip", networks.wav2clip()),
        ("imagebind", "imagebind", networks.imagebind(size)),
    ]
    for stage, name, module in parts:
        loaded = networks.load_into(module, weights / f"{stage}.safetensors", name)
        assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
        assert all(tensor.dtype is not torch.float16 for tensor in loaded.state_dict().values())
    with pytest.raises(RuntimeError, match="Missing key"):
        networks.load_into(networks.unet(), weights / "vae.safetensors", "unet")


def test_the_wav2clip_that_methods_hear_with_is_not_the_one_that_scores(
    made: tuple[Path, dict[str, Any], list[str]],
) -> None:
    scorer, encoder = (made[1][stage] for stage in ("wav2clip", "wav2clip-encoder"))
    assert scorer["parameters"] == encoder["parameters"] and scorer["sha256"] != encoder["sha256"]
    drawn = {task.draw + step for task in (scorers.Wav2CLIPTask, scorers.Wav2CLIPEncoderTask) for step in range(9)}
    assert len(drawn) == 18, "the same clips in the same order"


def test_figures_of_a_joint_space() -> None:
    classes = np.array([0, 1, 2, 0, 1, 2])
    space = torch.eye(6)
    labels = space[:3] + space[3:]
    perfect = scorers._joint_figures(space, space, labels, classes)
    assert set(perfect.values()) == {100.0}
    swapped = scorers._joint_figures(space.roll(3, 0), space, labels, classes)
    assert swapped["picture_by_sound_r1"] == 0 and swapped["picture_by_sound_r10"] == 100
    assert swapped["label_by_sound"] == swapped["class_of_picture_by_sound"] == 100
    wrong = scorers._joint_figures(space.roll(1, 0), 5 * space, labels, classes)
    assert wrong["label_by_sound"] == wrong["class_of_picture_by_sound"] == 0 and wrong["label_by_picture"] == 100


def test_a_sound_does_not_move_the_vision_tower(cache: Path, made: tuple[Path, dict[str, Any], list[str]]) -> None:
    """Gradients of the vision tower are those of the captions alone, whatever is heard."""
    gradients = []
    for gain in (1.0, 0.0):
        torch.manual_seed(0)
        task = scorers.ImageBindTask(workshop.Workshop(made[0], made[0].parent / "work", cache, lambda line: None))
        task.clips.__dict__["sounds"] = (np.asarray(task.clips.sounds) * gain).astype(np.int16)
        task.loss(0, torch.Generator().manual_seed(0))[0].backward()
        gradients.append(
            {name: value.grad for name, value in task.modules.named_parameters() if value.grad is not None}
        )
    heard, silent = gradients
    moved = {name.split(".")[2] for name in heard if not torch.equal(heard[name], silent[name])}
    assert moved == {"audio"} and {name.split(".")[2] for name in heard} == {"audio", "vision", "text"}


def test_a_stage_that_was_killed_ends_in_the_same_bits(
    made: tuple[Path, dict[str, Any], list[str]], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    loss = {kind: kind.loss for kind in Task.__subclasses__()}  # those that the others inherit theirs from

    def dying(kind: type[Task]) -> Callable[..., Any]:
        def call(self: Task, step: int, generator: torch.Generator) -> Any:
            if step == STOP:
                raise Killed
            return loss[kind](self, step, generator)

        return call

    said: list[str] = []
    for stage in KINDS:
        arguments = ([stage], tmp_path / "weights", tmp_path / "work", cache, said.append)
        with monkeypatch.context() as patch:
            for kind in loss:
                patch.setattr(kind, "loss", dying(kind))
            with pytest.raises(Killed):
                stages.pretrain(*arguments, steps=STEPS)
        assert not (tmp_path / "weights" / f"{stage}.safetensors").exists()
        torch.rand(5)
        report = stages.pretrain(*arguments, steps=STEPS)[stage]
        assert f"{stage}: resuming at step {STOP} of {STEPS}" in said
        assert report["sha256"] == made[1][stage]["sha256"], stage
        assert report["held_out"] == made[1][stage]["held_out"]


def test_a_finished_stage_is_not_trained_again(
    made: tuple[Path, dict[str, Any], list[str]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, reports, _ = made

    def fail(*_: object) -> None:
        raise AssertionError("a step was made")

    monkeypatch.setattr(scorers.TagTask, "loss", fail)
    again = stages.pretrain(["classifier"], weights, weights.parent / "work", cache, lambda line: None, steps=STEPS)
    assert again["classifier"]["sha256"] == reports["classifier"]["sha256"] and tuple(again) == ("classifier",)


def test_an_unknown_stage_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown stage 'clup': did you mean 'clip'"):
        stages.pretrain(["vae", "clup"], tmp_path / "w", tmp_path / "k", tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_what_a_stage_needs_and_is_not_there_is_named(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(UserError, match="vae.safetensors"):
        stages.pretrain(["backbone"], tmp_path / "w", tmp_path / "k", cache, steps=1)
    with pytest.raises(UserError, match="contains no finished vae-draft: make it with `bench mini pretrain vae-draft`"):
        stages.pretrain(["vae"], tmp_path / "w", tmp_path / "k", cache, steps=1)


def test_a_fused_caption_is_one_vector_in_the_place_of_a_word(
    made: tuple[Path, dict[str, Any], list[str]], cache: Path
) -> None:
    from benchmark.text_encoder import encode_with_token

    torch.manual_seed(0)
    task = stages._task("backbone", workshop.Workshop(made[0], made[0].parent / "work", cache, lambda line: None))
    task.modules.eval()
    tokenizer, encoder = task.shop.tokenizer, task.modules["text_encoder"]
    table = encoder.get_input_embeddings().weight

    def mean(word: str) -> torch.Tensor:
        return table[tokenizer(word, add_special_tokens=False).input_ids].mean(0)

    said = [("dog barking", {"size": 0.25, "count": 2}), ("thunder", {})]
    vectors = backbone.fuse(tokenizer, encoder, said)
    expected = mean("dog barking") + 0.25 * mean("tiny") + 0.75 * mean("small") + mean("two")
    torch.testing.assert_close(vectors, torch.stack([expected, mean("thunder")]))

    # The backbone's own way of putting a token into a prompt gives the same states.
    prompt = task.one_word.clone()
    assert int((prompt == backbone.PLACEHOLDER_ID).sum()) == 1
    ids = prompt.masked_fill(prompt == backbone.PLACEHOLDER_ID, 99_999)[None].expand(2, -1)
    with torch.no_grad():
        ours = task.encode([said[0], "a photo of thunder", said[1]])
        theirs = encode_with_token(encoder, ids, vectors, 99_999)
        words = encoder(input_ids=task.shop.token_ids(["a photo of thunder"])).last_hidden_state
    torch.testing.assert_close(ours[[0, 2]], theirs)
    torch.testing.assert_close(ours[1:2], words)
    assert tokenizer.decode(prompt[1:4]) == "a photo of"

    noisy = [task.encode([said[0]], torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert noisy[0].equal(noisy[1]) and not noisy[0].equal(noisy[2])
    task.encode([said[0]]).square().sum().backward()
    rows = {*tokenizer("dog barking", add_special_tokens=False).input_ids}
    moved = set(table.grad.abs().sum(1).nonzero().flatten().tolist())
    assert rows < moved, "the gradient reaches the words' own embeddings"


def test_captions_are_empty_fused_or_in_words(made: tuple[Path, dict[str, Any], list[str]], cache: Path) -> None:
    task: Any = stages._task("backbone", workshop.Workshop(made[0], made[0].parent / "work", cache, lambda line: None))
    said = task._said(task.clips, list(range(60)) * 20, np.random.default_rng(0))
    empty = sum(caption == "" for caption in said)
    fused = sum(not isinstance(caption, str) for caption in said)
    assert empty / len(said) == pytest.approx(0.1, abs=0.03)
    assert fused / len(said) == pytest.approx(0.9 * task.course.fused, abs=0.05)
    for caption, index in zip(said, list(range(60)) * 20, strict=True):
        if isinstance(caption, str):
            assert not caption or task.clips.label(index) in caption
        else:
            assert caption[0] == task.clips.label(index)
            assert caption[1].items() <= task.clips.facts[index].seen.items()


# ----------------------------------------------------------------------------------------------------- the loop


class Line(Task):
    """Fits a line."""

    def __init__(self, **given: Any) -> None:
        torch.manual_seed(0)
        self.modules = nn.ModuleDict({"line": nn.Linear(2, 1)})
        self.schedule = Schedule(**{"steps": 40, "batch": 8, "rate": 0.1, "warmup": 4, **given})

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        x = torch.randn(self.schedule.batch, 2, generator=generator)
        return (self.modules["line"](x) - x.sum(1, keepdim=True)).square().mean(), {}

    def evaluate(self) -> dict[str, float]:
        return {}


def test_schedule() -> None:
    schedule = Schedule(steps=110, batch=1, rate=1.0, warmup=10)
    factors = [schedule.factor(step) for step in range(110)]
    assert factors[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert factors[10] == 1 and factors[60] == pytest.approx(0.505) and factors[109] == pytest.approx(0.01, abs=1e-3)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert all(0 < Schedule(steps=1, batch=1, rate=1.0, warmup=1).factor(step) <= 1 for step in range(3))


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_stopping_changes_nothing(tmp_path: Path, ema: float) -> None:
    whole = train(Line(ema=ema), tmp_path / "whole.pt", lambda line: None)
    assert whole is not None
    for _ in range(3):
        assert train(Line(ema=ema), tmp_path / "parts.pt", lambda line: None, stop_after=11) is None
    task = Line(ema=ema)
    parts = train(task, tmp_path / "parts.pt", lambda line: None)
    assert parts is not None and parts[1].step == 40
    for one, other, own in zip(whole[0].parameters(), parts[0].parameters(), task.modules.parameters(), strict=True):
        assert one.equal(other) and one.equal(own)
    torch.testing.assert_close(whole[0]["line"].weight, torch.ones(1, 2), rtol=0, atol=0.3)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(tmp_path: Path) -> None:
    class Bad(Line):
        def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
            value, logs = super().loss(step, generator)
            return (value * float("nan") if step == 5 else value), logs

    with pytest.raises(FloatingPointError, match="nan at step 5"):
        train(Bad(), tmp_path / "state.pt", lambda line: None)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 5


# --------------------------------------------------------------------------------------------------- the tokenizer

FOLDER = WEIGHTS / "tokenizer"


def test_the_merges_are_the_first_of_clips() -> None:
    merges = (FOLDER / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    ours = [tuple(merge.split()) for merge in merges]
    theirs = sorted(SimpleTokenizer().bpe_ranks.items(), key=lambda item: item[1])
    assert len(ours) == networks.MERGES and ours == [pair for pair, _ in theirs[: networks.MERGES]]
    vocabulary = json.loads((FOLDER / "vocab.json").read_text(encoding="utf-8"))
    assert sorted(vocabulary.values()) == list(range(512 + networks.MERGES + 2))
    clip = SimpleTokenizer().encoder
    assert all(clip[token] == index for token, index in vocabulary.items() if index < 512)


def test_writing_it_again_gives_the_same_files(tmp_path: Path) -> None:
    networks.write_tokenizer(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_any_prompt_becomes_ids() -> None:
    tokenizer = networks.tokenizer(FOLDER)
    rng = random.Random(0)
    usable = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) != "Cs"]
    prompts = ["".join(rng.choices(usable, k=rng.randint(1, 40))) for _ in range(300)]
    prompts += [
        "",
        " ",
        "\0",
        "\u200b",
        "🦜" * 50,
        "a photo of 鳥",
        "naïve café",
        "word " * 100,
        "<|endoftext|>",
        "<*>",
    ]
    encoded = tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert encoded.shape == (len(prompts), networks.CONTEXT)
    assert int(encoded.max()) < len(tokenizer) == 4014 and int(encoded.min()) >= 0
    assert (encoded[:, 0] == 4012).all() and (encoded == 4013).any(1).all()


def test_every_label_fits_and_is_told_apart() -> None:
    tokenizer = networks.tokenizer(FOLDER)
    ids = [tuple(tokenizer(f"a photo of three huge {label}").input_ids) for label in LABELS]
    assert len(set(ids)) == len(LABELS) and max(map(len, ids)) <= networks.CONTEXT
    for index in range(SLOTS.index(SPEECH), 1300, len(SLOTS)):
        facts = facts_of("pretrain", index)
        said = tokenizer(f"a picture of {statement(facts.label, facts.seen)}").input_ids
        assert len(said) <= networks.CONTEXT, "a whole face fits"
    for label in LABELS:
        assert tokenizer.decode(tokenizer(label, add_special_tokens=False).input_ids).replace(" ", "") == label.replace(
            " ", ""
        )
