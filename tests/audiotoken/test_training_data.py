"""Training examples from shards: the same clips whoever reads them, from whatever step on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audiotoken.features import Listener
from audiotoken.latents import LatentStore
from audiotoken.training_data import Batch, Passes, Streamed
from benchmark.clips import ClipSet
from benchmark.data.shards import Stream
from benchmark.data.synthetic_videos import prepare_synthetic
from benchmark.data.vggsound import Prepared
from benchmark.registries import BACKBONES, ENCODERS
from benchmark.suite import load_suite

CLIPS, BATCH = 6, 4
Parts = tuple[Listener, Any]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    base = tmp_path_factory.mktemp("shards")
    prepare_synthetic(load_suite("mini"), CLIPS, base / "videos", base / "vggsound")
    prepared = Prepared.read(base / "vggsound")
    return ClipSet("vggsound train", prepared.clips("train"), tuple(prepared.facts["labels"]), "0" * 64)


@pytest.fixture(scope="module")
def parts() -> Parts:
    suite = load_suite("mini")
    return Listener(ENCODERS.get("mini/beats")(suite, "cpu"), suite, "cpu"), BACKBONES.get("mini")(suite, "cpu")


def streamed(parts: Parts, clips: ClipSet) -> Streamed:
    listener, backbone = parts
    made = Streamed(
        listener, backbone, clips, lambda place: iter(Stream(clips, backbone.suite, place, seconds=1.0)), seed=3
    )
    made.label_embeddings = torch.arange(len(clips)).float()[:, None]
    return made


def close(one: Batch, other: Batch) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


def test_a_batch_depends_on_its_step_alone(parts: Parts, clips: ClipSet) -> None:
    one, other = streamed(parts, clips), streamed(parts, clips)
    batches = [one.batch(step, BATCH) for step in range(3)]
    close(other.batch(2, BATCH), batches[2])
    close(other.batch(0, BATCH), batches[0])
    heard = torch.cat([batch.label_embeddings for batch in batches]).flatten().tolist()  # type: ignore[misc]
    assert sorted(heard[:CLIPS]) == sorted(heard[CLIPS:]) == list(range(CLIPS)), "every clip once an epoch"
    assert batches[0].features.shape[::2] == (BATCH, one.width) and batches[0].latent_mean.shape == (BATCH, 4, 16, 16)
    assert not batches[0].features.is_inference(), "training differentiates through what it is given"
    later = heard[:BATCH].index(next(clip for clip in heard[CLIPS : 2 * BATCH] if clip in heard[:BATCH]))
    place = heard[CLIPS : 2 * BATCH].index(heard[later]) + CLIPS - BATCH
    assert not batches[0].features[later].equal(batches[1].features[place]), "another epoch hears another window"


def test_processes_share_the_batch_of_one(parts: Parts, clips: ClipSet, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [streamed(parts, clips).batch(step, BATCH) for step in range(2)]
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        mine = streamed(parts, clips)
        shares.append([mine.batch(step, BATCH) for step in range(2)])
    for step, batch in enumerate(whole):
        for rank, share in enumerate(shares):
            close(share[step], Batch(*(part if part is None else part[rank::2] for part in batch)))  # type: ignore[arg-type]


def test_the_sound_is_a_window_of_the_clip(parts: Parts, clips: ClipSet) -> None:
    listener, _ = parts
    made = streamed(parts, clips)
    seconds = made.batch(0, 1).features.shape[1], listener(clips[:1]).shape[1]
    assert seconds[0] == pytest.approx(seconds[1] / 2.5, abs=8)
    assert np.isfinite(made.batch(1, 1).features.numpy()).all() and isinstance(clips[0].audio, Path)


def test_latents_are_encoded_once_and_kept(parts: Parts, clips: ClipSet, tmp_path: Path) -> None:
    listener, backbone = parts
    seen: list[int] = []

    def made() -> tuple[Streamed, LatentStore]:
        store = LatentStore(tmp_path, len(clips), (4, 16, 16))
        stream = lambda place: iter(Stream(clips, backbone.suite, place, seconds=1.0))  # noqa: E731
        return Streamed(listener, backbone, clips, stream, 3, Passes(2, torch.bfloat16, store)), store

    hook = backbone.vae.encoder.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    try:
        one, store = made()
        first = one.batch(0, BATCH)
        assert max(seen) <= 2 and sum(seen) == BATCH
        one.close()
        store.close()
        seen.clear()
        other, store = made()
        again = other.batch(0, BATCH)
        other.close()
        assert not seen, "a frame is encoded once"
    finally:
        hook.remove()
    exact = streamed(parts, clips).batch(0, BATCH)
    for name in ("latent_mean", "latent_deviation"):
        a, b = getattr(first, name), getattr(again, name)
        assert a.equal(b) and a.dtype is torch.float32
        reference = getattr(exact, name)
        torch.testing.assert_close(a, reference, rtol=0.05, atol=0.05 * float(reference.abs().max()))
    store.close()
