"""Encoders into a joint space: what is fitted on frames hears, what is retrieved is near, what is trained listens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import worlds
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from audiotoken.checkpoint import load_embedder
from audiotoken.method import AudioToken, TokenMethod
from audiotoken.settings import AudioTokenSettings, TokenSettings
from baselines.embeddings import SoundEmbedding
from baselines.imagebind import ImageBind
from baselines.imagebind_retrieval import ImageBindRetrieval
from baselines.imagebind_trained import ImageBindTrained
from baselines.joint import Retrieval
from baselines.wav2clip import Wav2CLIP
from baselines.wav2clip_retrieval import Wav2CLIPRetrieval
from baselines.wav2clip_trained import Wav2CLIPTrained
from benchmark.backbone import Backbone
from benchmark.clips import Clip, ClipSet
from benchmark.data.manifest import load_manifest
from benchmark.method import RunContext
from benchmark.registries import BACKBONES, METHODS
from benchmark.suite import Suite, load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent
from benchmark.utils.registry import Registry

WIDTH, FEATURES, STEPS = 10, 14, 5
HIDDEN = 3 * 96  # of AudioToken's embedder on mini
HEX = "0" * 64


class Joint:
    """A joint encoder: fixed random projections of loudness over time, of mean colours, of letters."""

    width, feature_width = WIDTH, FEATURES

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.sound = torch.randn(STEPS, WIDTH, generator=generator)
        self.frame = torch.randn(3, WIDTH, generator=generator)
        self.over_time = torch.randn(1, FEATURES, generator=generator)
        self.calls: list[str] = []

    def _loudness(self, waveforms: Tensor) -> Tensor:
        assert waveforms.dtype is torch.float32 and waveforms.ndim == 2
        return waveforms.unfold(1, waveforms.shape[1] // STEPS, waveforms.shape[1] // STEPS).square().mean(2).sqrt()

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        self.calls.append("audio")
        return F.normalize(self._loudness(waveforms) @ self.sound, dim=-1)

    def embed_images(self, images: Sequence[Image.Image]) -> Tensor:
        self.calls.append("images")
        means = [np.asarray(image, dtype=np.float32).mean((0, 1)) / 255 for image in images]
        return F.normalize(torch.from_numpy(np.stack(means)) @ self.frame, dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        self.calls.append("texts")
        rows = [torch.randn(WIDTH, generator=torch.Generator().manual_seed(len(text))) for text in texts]
        return F.normalize(torch.stack(rows), dim=-1)

    def extract_features(self, waveforms: Tensor) -> Tensor:
        self.calls.append("features")
        return self._loudness(waveforms).unsqueeze(-1) @ self.over_time


@pytest.fixture(scope="module")
def suite() -> Suite:
    mini = load_suite("mini")
    encoders = {"beats": mini.encoders["beats"], "wav2clip-encoder": HEX, "imagebind": HEX}
    return mini.model_copy(update={"name": "faked+things", "encoders": encoders})


@pytest.fixture(scope="module")
def backbone(suite: Suite) -> Backbone:
    return BACKBONES.get("mini")(suite, "cpu")


@pytest.fixture(autouse=True)
def joint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Joint]:
    from benchmark.mini.wiring import beats

    made = Joint()
    known: Registry[Any] = Registry("audio encoder")
    known.register("faked/beats", beats)
    for name in ("wav2clip-encoder", "imagebind"):
        known.register(f"faked/{name}", lambda suite, device: made)
    monkeypatch.setattr("audiotoken.features.ENCODERS", known)
    return made


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipSet, ClipSet]:
    made = load_manifest(worlds.things(tmp_path_factory.getbasetemp()))
    assert made.train is not None
    return made.train.limit(6), made.test.limit(3)


def without(clips: ClipSet, *, sound: bool = False, frame: bool = False, label: bool = False) -> ClipSet:
    """The same clips, of the same identity, with something of them gone."""
    changed = tuple(
        Clip(
            clip.id,
            Path("nowhere.wav") if sound else clip.audio,
            None if frame else clip.image,
            clips.labels[:1] if label else clip.labels,
            clip.split,
        )
        for clip in clips
    )
    return ClipSet(clips.name, changed, clips.labels, clips.identity)


def make(cls: type[Any], suite: Suite, backbone: Backbone, test: ClipSet, folder: Path, **settings: Any) -> Any:
    given = {"steps": 2, "batch_size": 2, "learning_rate": 1e-3} | settings if cls.fits else settings
    method = cls(cls.Settings(**given))
    method.setup(RunContext(suite, backbone, test, 0, folder, folder / "cache", "cpu", Silent()))
    return method


TRAINED: list[type[TokenMethod]] = [Wav2CLIP, ImageBind, Wav2CLIPTrained, ImageBindTrained]
RETRIEVAL: list[type[Retrieval]] = [Wav2CLIPRetrieval, ImageBindRetrieval]


@pytest.mark.parametrize("cls", [*TRAINED, *RETRIEVAL])
def test_each_is_found_by_its_name_and_says_what_it_brings(
    cls: type[Any], suite: Suite, backbone: Backbone, clips: tuple[ClipSet, ClipSet], tmp_path: Path
) -> None:
    assert METHODS.get(cls.card.name) is cls
    assert cls.card.sees == (("audio", "label list") if cls in RETRIEVAL else ("audio",))
    network = "imagebind" if "imagebind" in cls.card.name else "wav2clip-encoder"
    assert make(cls, suite, backbone, clips[1], tmp_path).encoders() == {network: HEX}
    assert ("not for commercial use" in cls.card.licence) == (network == "imagebind")
    bare = suite.model_copy(update={"encoders": {"beats": HEX}})
    with pytest.raises(UserError, match=f"'faked' has no encoder '{network}' .it has: beats.") as caught:
        make(cls, bare, backbone, clips[1], tmp_path)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("cls", TRAINED)
def test_adapters_have_the_size_and_the_budget_of_audiotokens_embedder(
    cls: type[TokenMethod], suite: Suite, backbone: Backbone, clips: tuple[ClipSet, ClipSet], tmp_path: Path
) -> None:
    method = make(cls, suite, backbone, clips[1], tmp_path)
    report = method.fit(clips[0])
    method.load()
    embedder = method.embedder
    given = FEATURES if cls.card.name.endswith("trained") else WIDTH
    token = backbone.token_width
    assert (embedder.input_size, embedder.hidden_size, embedder.output_size) == (given, HIDDEN, token)
    assert report.steps == 2 and report.trainable_parameters == sum(p.numel() for p in embedder.parameters())
    # two layers, and the pooling (three kernel-1 convolutions, one to a number, two weights)
    pooling = 3 * (token + 1) * token + token + 1 + 2
    assert report.trainable_parameters == (given + 1) * HIDDEN + (HIDDEN + 1) * token + pooling
    budget = {"steps", "batch_size", "learning_rate", "schedule", "weight_decay", "warmup_steps", "lambda_a"}
    assert budget <= set(cls.Settings.model_fields) <= set(AudioTokenSettings.model_fields)
    for name in cls.Settings.model_fields:
        assert cls.Settings.model_fields[name].default == AudioTokenSettings.model_fields[name].default


@pytest.mark.parametrize("cls", [Wav2CLIP, ImageBind])
def test_it_is_fitted_on_frames_alone_and_fed_with_sound_alone(
    cls: type[TokenMethod],
    suite: Suite,
    backbone: Backbone,
    clips: tuple[ClipSet, ClipSet],
    tmp_path: Path,
    joint: Joint,
) -> None:
    assert cls.Settings is TokenSettings
    train, test = clips
    blind = without(test, frame=True, label=True)
    files = []
    for name, given in (("whole", train), ("less", without(train, sound=True, label=True))):
        method = make(cls, suite, backbone, blind, tmp_path / name)
        method.fit(given)
        files.append((tmp_path / name / "embedder.safetensors").read_bytes())
    assert files[0] == files[1] and set(joint.calls) == {"images"}

    joint.calls.clear()
    method.load()
    together = method.condition(blind[:]).prompt_embeds
    assert set(joint.calls) == {"audio"} and together.shape == (3, *backbone.encode_prompts(["a"]).shape[1:])
    for row, clip in enumerate(blind):
        assert together[row].equal(method.condition([clip]).prompt_embeds[0]), "a neighbour got in"
    assert not together[0].allclose(together[1])


def test_a_sound_where_its_frame_lies_gives_the_frames_token(
    suite: Suite, backbone: Backbone, clips: tuple[ClipSet, ClipSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = make(ImageBind, suite, backbone, clips[1], tmp_path)
    method.fit(clips[0])
    method.load()
    (clip,) = clips[1][:1]
    seen = method.studies()([clip])
    assert seen.shape == (1, 1, WIDTH) and seen.square().mean().item() == pytest.approx(1)
    with torch.no_grad():
        token = method.embedder(seen)
        assert not token.allclose(method.embedder(method.listener([clip])))
        exact = F.normalize(seen[:, 0], dim=-1)
        monkeypatch.setattr(Joint, "embed_audio", lambda self, waveforms: exact)
        torch.testing.assert_close(method.embedder(method.listener([clip])), token)


@pytest.mark.parametrize("cls", [Wav2CLIPTrained, ImageBindTrained])
def test_the_trained_form_is_audiotoken_with_other_ears(
    cls: type[AudioToken],
    suite: Suite,
    backbone: Backbone,
    clips: tuple[ClipSet, ClipSet],
    tmp_path: Path,
    joint: Joint,
) -> None:
    train, test = clips
    method = make(cls, suite, backbone, test, tmp_path)
    method.fit(without(train, label=True))
    assert set(joint.calls) == {"features"}
    method.load()
    wave = torch.from_numpy(suite.sound(test[0]))[None]
    with torch.no_grad():
        token = load_embedder(tmp_path / "embedder.safetensors")(joint.extract_features(wave))
        assert method.condition(test[:1]).prompt_embeds.equal(backbone.inject(token))


def test_features_of_frames_and_of_sounds_lie_apart(
    suite: Suite, backbone: Backbone, clips: tuple[ClipSet, ClipSet], tmp_path: Path
) -> None:
    """One encoder, one set of clips, one cache: what is seen of them is not taken for what is heard."""
    for name, cls in (("a", Wav2CLIP), ("b", Wav2CLIPTrained), ("c", Wav2CLIP)):
        method = cls(cls.Settings(steps=1, batch_size=2, learning_rate=1e-3))
        method.setup(RunContext(suite, backbone, clips[1], 0, tmp_path / name, tmp_path / "cache", "cpu", Silent()))
        method.fit(clips[0])
    shapes = sorted(np.load(path).shape for path in (tmp_path / "cache" / "features").glob("*.npy"))
    assert shapes == [(6, 1, WIDTH), (6, STEPS, FEATURES)]
    assert (tmp_path / "a/embedder.safetensors").read_bytes() == (tmp_path / "c/embedder.safetensors").read_bytes()
    sense = SoundEmbedding(Joint(), suite, "cpu")
    assert len({str(sense.preparation), str(method.studies().preparation), str(method.listener.preparation)}) == 2


@pytest.mark.parametrize("cls", RETRIEVAL)
def test_the_nearest_prompt_is_drawn(
    cls: type[Retrieval],
    suite: Suite,
    backbone: Backbone,
    clips: tuple[ClipSet, ClipSet],
    tmp_path: Path,
    joint: Joint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    test = clips[1]
    prompts = [f"a photo of {label}" for label in test.labels]
    asked: list[str] = []

    def embed_texts(self: Joint, texts: Sequence[str]) -> Tensor:
        asked.extend(texts)
        return torch.eye(WIDTH)[: len(texts)]

    heard = torch.tensor([[0.1, 0.9, 0, 0, 0, 0], [0, 0, 0, 0, 0.5, 0.4], [0, 0, 0.7, 0.7, 0, 0]])
    answers = iter(F.pad(heard, (0, WIDTH - 6)))
    monkeypatch.setattr(Joint, "embed_texts", embed_texts)
    monkeypatch.setattr(Joint, "embed_audio", lambda self, waveforms: next(answers)[None])
    method = make(cls, suite, backbone, test, tmp_path)
    assert not cls.fits and asked == prompts
    chosen = [prompts[1], prompts[4], prompts[2]]  # the first of two that are equally near
    blind = without(test, frame=True, label=True)
    assert method.condition(blind[:]).prompt_embeds.equal(backbone.encode_prompts(chosen))
    assert "images" not in joint.calls
