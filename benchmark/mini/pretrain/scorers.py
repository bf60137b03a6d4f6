"""Pretraining of mini's networks that embed or classify: scorers, and audio encoders of methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.mini import captions, networks
from benchmark.mini.data import WorldClips
from benchmark.mini.pretrain.loop import Logs, Schedule, Task
from benchmark.mini.pretrain.workshop import HELD_OUT, POOL, SOUND_POOL, Workshop
from benchmark.mini.world import LABELS, describe


class CLIPTask(Task):
    """Contrastive training of the image scorer, where a caption matches every frame that it is true of."""

    schedule = Schedule(steps=2_400, batch=64, rate=1e-3, warmup=150, weight_decay=0.05)

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.modules = nn.ModuleDict({"clip": networks.clip(len(shop.tokenizer))})
        self.clips = shop.clips("pretrain", POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.vae = shop.module("vae", "vae", networks.vae())

    @torch.no_grad()
    def _soften(self, picture: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Imitate the flaws of generated images.

        A third of the frames passes through the autoencoder with noisy latents, some are blurred, and all get noise.
        """
        batch = len(picture)
        third = batch // 3
        with self.shop.bf16():
            latent = self.vae.encode(picture[:third]).latent_dist.mean
            spread = latent.float().std() * 0.3 * self.shop.uniform(third, 1, 1, 1, generator=generator)
            rebuilt = self.vae.decode(latent + spread * self.shop.normal(*latent.shape, generator=generator)).sample
        picture = torch.cat([rebuilt.float().clamp(-1, 1), picture[third:]])
        sixth = slice(third, third + batch // 6)
        picture[sixth] = F.interpolate(F.avg_pool2d(picture[sixth], 2), scale_factor=2.0, mode="bilinear")
        level = 0.15 * self.shop.uniform(batch, 1, 1, 1, generator=generator) ** 2
        return (picture + level * self.shop.normal(*picture.shape, generator=generator)).clamp(-1, 1)

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, Logs]:
        """Return the contrastive loss of a batch of captions and frames."""
        chosen = torch.randint(POOL, (self.schedule.batch,), generator=generator).sort().values
        rows = chosen[torch.randperm(len(chosen), generator=generator)].numpy()
        words = np.random.default_rng([step, 2])
        said = [captions.sample_caption(self.clips.label(i), self.clips.facts[i].seen, words) for i in rows]
        picture = self._soften(self.shop.pixels(self.clips.pictures[rows]), generator)
        clip = self.modules["clip"]
        with self.shop.bf16():
            seen = clip.encode_image(picture, normalize=True)
            read = clip.encode_text(self.shop.token_ids([text for text, _ in said]), normalize=True)
        logits = clip.logit_scale.exp().clamp(max=50) * read.float() @ seen.float().T
        return _caption_loss(logits, self.clips, rows, [named for _, named in said]), {}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return zero-shot accuracies on held-out frames, in percent."""
        clip = self.modules["clip"].eval()
        picture = self.shop.pixels(np.asarray(self.held_out.pictures))
        seen = clip.encode_image(picture, normalize=True)
        truth = torch.from_numpy(self.held_out.classes).to(seen.device)
        figures = {}
        for name, template in (("bare", "{}"), ("prompted", "a photo of {}")):
            read = clip.encode_text(self.shop.token_ids([template.format(x) for x in LABELS]), normalize=True)
            figures[f"zero_shot_{name}"] = round(float((100 * ((seen @ read.T).argmax(1) == truth).float()).mean()), 2)
        texts = [captions.statement(self.held_out.label(i), self.held_out.facts[i].seen) for i in range(HELD_OUT)]
        kinds = sorted(set(texts))
        read = clip.encode_text(self.shop.token_ids(kinds), normalize=True)
        right = (seen @ read.T).argmax(1) == torch.tensor([kinds.index(text) for text in texts], device=seen.device)
        figures["zero_shot_with_attributes"] = round(float(100 * right.float().mean()), 2)
        return figures


def _caption_loss(
    logits: torch.Tensor, clips: WorldClips, rows: Sequence[int] | np.ndarray, said: Sequence[dict[str, Any]]
) -> torch.Tensor:
    """Return the contrastive loss of captions (rows of `logits`) and the frames of the clips `rows` (columns).

    A caption is true of every frame that has its label and all the attributes that it names.
    """
    facts = [(clips.label(i), set(_words(clips.facts[i].seen))) for i in rows]
    true = torch.tensor(
        [
            [label == facts[row][0] and set(_words(named)) <= shown for label, shown in facts]
            for row, named in enumerate(said)
        ],
        dtype=torch.float32,
        device=logits.device,
    )  # (caption, frame)
    by_caption = -(true / true.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
    by_picture = -(true.T / true.sum(0)[:, None] * logits.T.log_softmax(1)).sum(1).mean()
    return (by_caption + by_picture) / 2


def _words(attributes: Any) -> list[str]:
    return [f"{name}:{describe(name, value)}" for name, value in attributes.items()]


def _altered(shop: Workshop, sounds: np.ndarray, generator: torch.Generator) -> torch.Tensor:
    """Convert sounds, int16 (B, samples), and augment them: a random level, a random shift in time, a little noise."""
    wave = shop.waves(sounds)
    batch, samples = wave.shape
    shift = torch.randint(samples // 4, (batch,), generator=generator).to(wave.device)
    place = (torch.arange(samples, device=wave.device) - shift[:, None]) % samples
    gain = 10 ** ((shop.uniform(batch, 1, generator=generator) * 12 - 9) / 20)
    hiss = 10 ** ((shop.uniform(batch, 1, generator=generator) * 40 - 80) / 20)
    return gain * wave.gather(1, place) + hiss * shop.normal(batch, samples, generator=generator)


class TagTask(Task):
    """Training of a BEATs on audio tags.

    Args:
        shop: Shared resources.
        model: The network.
        tags: All tags, in the order of the network's outputs; the labels come first.
        manner: Whether a clip's attributes are tags beside its label; otherwise it learns the label alone.
        schedule: Course of the training.
    """

    def __init__(self, shop: Workshop, model: nn.Module, tags: Sequence[str], manner: bool, schedule: Schedule) -> None:
        self.shop = shop
        self.schedule = schedule
        self.modules = nn.ModuleDict({"beats": model})
        self.clips = shop.clips("pretrain", SOUND_POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.tags = list(tags)
        self.manner = manner

    def _targets(self, clips: WorldClips, chosen: Sequence[int]) -> torch.Tensor:
        index = {tag: column for column, tag in enumerate(self.tags)}
        target = torch.zeros(len(chosen), len(self.tags))
        for row, clip in enumerate(chosen):
            names = captions.tags_of(clips.label(clip), clips.facts[clip].heard) if self.manner else [clips.label(clip)]
            for tag in names:
                target[row, index[tag]] = 1
        return target.to(self.shop.device)

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, Logs]:
        """Return the cross-entropy of the tags, or of the label, of a batch."""
        chosen = torch.randint(SOUND_POOL, (self.schedule.batch,), generator=generator).sort().values.numpy()
        wave = _altered(self.shop, self.clips.sounds[chosen], generator)
        with self.shop.bf16():
            logits = self.modules["beats"].logits(wave).float()
        target = self._targets(self.clips, chosen.tolist())
        if not self.manner:
            return F.cross_entropy(logits, target.argmax(1)), {}
        return F.binary_cross_entropy_with_logits(logits, target) * 10, {}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return accuracies on held-out sounds, in percent: of the label, and of each attribute."""
        model = self.modules["beats"].eval()
        parts = range(0, HELD_OUT, 32)
        logits = torch.cat([model.logits(self.shop.waves(self.held_out.sounds[i : i + 32])) for i in parts])
        truth = torch.from_numpy(self.held_out.classes).to(logits.device)
        figures = {
            "label_accuracy": round(float(100 * (logits[:, : len(LABELS)].argmax(1) == truth).float().mean()), 2)
        }
        if self.manner:
            target = self._targets(self.held_out, range(HELD_OUT))
            for name in ("count", "colour", "light", "size", "amount", "cue", "speaker"):
                columns = [i for i, tag in enumerate(self.tags) if tag.startswith(f"{name}: ")]
                rows = target[:, columns].sum(1) > 0
                right = logits[rows][:, columns].argmax(1) == target[rows][:, columns].argmax(1)
                figures[f"{name}_accuracy"] = round(float(100 * right.float().mean()), 2)
        return figures


class Wav2CLIPTask(Task):
    """Training of the sound scorer: contrastive against the frozen CLIP's embeddings of the frames."""

    schedule = Schedule(steps=4_000, batch=96, rate=2e-3, warmup=200, weight_decay=0.02)
    temperature = 0.05
    draw = 0
    """Part of the seed of every step, which decides its clips and their augmentation."""
    sounds: np.ndarray
    """The sounds that are heard, by the clip's position."""
    pool: torch.Tensor
    """Positions of the clips that steps draw from: all of them."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.modules = nn.ModuleDict({"wav2clip": networks.wav2clip()})
        self.clips = shop.clips("pretrain", SOUND_POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.sounds = self.clips.sounds
        self.pool = torch.arange(SOUND_POOL)
        self.clip = clip = shop.module("clip", "clip", networks.clip(len(shop.tokenizer)))
        with torch.inference_mode():
            self.targets, self.held_targets = (
                torch.cat(
                    [
                        clip.encode_image(self.shop.pixels(clips.pictures[i : i + 128]), normalize=True)
                        for i in range(0, len(clips), 128)
                    ]
                ).clone()
                for clips in (self.clips, self.held_out)
            )

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, Logs]:
        """Return the contrastive loss of a batch of sounds and frames, plus their cosine distance."""
        generator.manual_seed(self.draw + step)
        drawn = torch.randint(len(self.pool), (self.schedule.batch,), generator=generator).sort().values
        chosen = self.pool[drawn]
        wave = _altered(self.shop, self.sounds[chosen.numpy()], generator)
        with self.shop.bf16():
            heard = self.modules["wav2clip"](wave).float()
        heard, target = F.normalize(heard, dim=1), self.targets[chosen.to(self.shop.device)].clone()
        logits = heard @ target.T / self.temperature
        truth = torch.arange(len(chosen), device=logits.device)
        contrast = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        cosine = (1 - (heard * target).sum(1)).mean()
        return contrast + 2 * cosine, {"cosine": 1 - cosine.detach()}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return AIS of held-out sounds and frames, in percent, and their mean cosine similarity."""
        model = self.modules["wav2clip"].eval()
        heard = torch.cat([model(self.shop.waves(self.held_out.sounds[i : i + 32])) for i in range(0, HELD_OUT, 32)])
        similarity = (F.normalize(heard, dim=1) @ self.held_targets.T).double()
        own = similarity.diagonal()[None, :]  # each frame's similarity to its own sound
        others = ~torch.eye(HELD_OUT, dtype=torch.bool, device=own.device)
        classes = torch.from_numpy(self.held_out.classes).to(own.device)
        same = (classes[:, None] == classes[None, :]) & others
        below = (similarity < own).double()
        return {
            "ais_of_true_pictures": round(float(100 * (below * others).sum() / others.sum()), 2),
            "ais_sameclass_of_true_pictures": round(float(100 * (below * same).sum() / same.sum()), 2),
            "cosine": round(float(own.mean()), 4),
        }


class Wav2CLIPEncoderTask(Wav2CLIPTask):
    """Training of the Wav2CLIP of methods: as the scorer's, but shorter, from other weights and with other draws."""

    schedule = Schedule(steps=1_600, batch=48, rate=2e-3, warmup=100, weight_decay=0.02)
    draw = 10_000_000

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return accuracies of held-out sounds, frames and label prompts, in percent."""
        model = self.modules["wav2clip"].eval()
        heard = torch.cat([model(self.shop.waves(self.held_out.sounds[i : i + 32])) for i in range(0, HELD_OUT, 32)])
        read = self.clip.encode_text(self.shop.token_ids(_prompts()))
        return _joint_figures(heard, self.held_targets, read, self.held_out.classes)


class ImageBindTask(Task):
    """Joint training of ImageBind's three towers: captions are bound to frames and vice versa, sounds to frames.

    As in ImageBind, sounds do not train the vision tower: its embeddings are constants in their loss.
    """

    schedule = Schedule(steps=2_400, batch=48, rate=1e-3, warmup=150, weight_decay=0.05)

    def __init__(self, shop: Workshop) -> None:
        from metrics.encoders.imagebind import IMAGE_MEAN, IMAGE_STD

        self.shop = shop
        self.modules = nn.ModuleDict({"imagebind": networks.imagebind(len(shop.tokenizer))})
        self.clips = shop.clips("pretrain", SOUND_POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.mean, self.deviation = (
            torch.tensor(row, device=shop.device)[:, None, None] for row in (IMAGE_MEAN, IMAGE_STD)
        )

    def _picture(self, batch: np.ndarray) -> torch.Tensor:
        return ((self.shop.pixels(batch) + 1) / 2 - self.mean) / self.deviation

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, Logs]:
        """Return the contrastive losses of a batch: of captions and frames, and of sounds and frames."""
        model = self.modules["imagebind"]
        batch = self.schedule.batch
        rows = torch.randint(SOUND_POOL, (batch,), generator=generator).sort().values.numpy()
        words = np.random.default_rng([step, 3])
        said = [captions.sample_caption(self.clips.label(i), self.clips.facts[i].seen, words) for i in rows]
        clips = model.preprocess(_altered(self.shop, self.clips.sounds[rows], generator))
        one = torch.randint(clips.shape[1], (batch,), generator=generator).to(clips.device)
        with self.shop.bf16():
            seen = model.encode_images(self._picture(self.clips.pictures[rows]))
            read = model.encode_texts(self.shop.token_ids([text for text, _ in said]))
            heard = model.encode_clips(clips[torch.arange(batch, device=clips.device), one])
        caption = _caption_loss(read @ seen.T, self.clips, rows, [named for _, named in said])
        # The embeddings include the temperatures.
        logits, truth = heard @ seen.detach().T, torch.arange(batch, device=heard.device)
        sound = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        return caption + sound, {"caption": caption.detach(), "sound": sound.detach()}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return accuracies of held-out sounds, frames and label prompts, in percent."""
        model = self.modules["imagebind"].eval()
        parts = range(0, HELD_OUT, 32)
        heard = torch.cat([model.encode_audio(self.shop.waves(self.held_out.sounds[i : i + 32])) for i in parts])
        seen = torch.cat([model.encode_images(self._picture(self.held_out.pictures[i : i + 32])) for i in parts])
        read = model.encode_texts(self.shop.token_ids(_prompts()))
        return _joint_figures(heard, seen, read, self.held_out.classes)


def _prompts() -> list[str]:
    return [f"a photo of {label}" for label in LABELS]


def _joint_figures(
    heard: torch.Tensor, seen: torch.Tensor, read: torch.Tensor, classes: np.ndarray
) -> dict[str, float]:
    """Return accuracies, in percent, of classification and retrieval in a joint space.

    Args:
        heard: Embeddings of the sounds, (n, d).
        seen: Embeddings of the frames of the same clips, (n, d), among which is retrieved.
        read: Embeddings of the label prompts, (labels, d).
        classes: Index of each clip's label, (n,).
    """
    heard, seen, read = (F.normalize(x, dim=1) for x in (heard, seen, read))
    truth = torch.from_numpy(classes).to(heard.device)
    similarity = heard @ seen.T
    rank = (similarity > similarity.diagonal()[:, None]).sum(1)
    figures = {
        "label_by_sound": (heard @ read.T).argmax(1) == truth,
        "label_by_picture": (seen @ read.T).argmax(1) == truth,
        "picture_by_sound_r1": rank < 1,
        "picture_by_sound_r10": rank < 10,
        "class_of_picture_by_sound": truth[similarity.argmax(1)] == truth,
    }
    return {name: round(float(100 * right.float().mean()), 2) for name, right in figures.items()}
