"""Making all networks of the `mini` suite from nothing: `bench mini pretrain [STAGE...]`.

Each stage trains on the world's `pretrain` split, reports on `pretrain-val`, and writes one half-precision safetensors
file and one report. No stage ever sees a training, validation or test clip of the suite. On two cores none takes more
than 100 minutes; what `backbone-draft` makes is no part of the suite and stays where checkpoints are. Stages:

================  =====================================================================  ======================
stage             what                                                                   needs
================  =====================================================================  ======================
vae               AutoencoderKL: L1, gradient L1 and KL
backbone-draft    CLIP text encoder and U-Net together: velocity prediction (v-loss)     vae
backbone          the draft trained on, with a second course of the rate                 vae, backbone-draft
beats             the encoder AudioToken listens with: audio tags (label and manner)
clip              the picture scorer: contrastive, captions that are true of a picture   vae (as augmentation)
wav2clip          the sound scorer: contrastive against the frozen clip                  clip
classifier        the audio classifier: labels
wav2clip-encoder  the Wav2CLIP that methods listen with: another training, other draws   clip
imagebind         ImageBind: captions to pictures, and sounds to pictures (InfoNCE)
================  =====================================================================  ======================
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.errors import UserError, unknown
from benchmark.files import save_atomic, sha256_of, write_atomic
from benchmark.mini import captions, networks
from benchmark.mini.data import WorldClips, world_digest
from benchmark.mini.training import Schedule, Task, train
from benchmark.mini.world import LABELS

POOL = 24_576
SOUND_POOL = 12_288
HELD_OUT = 576

STAGES = {
    "vae": 0, "backbone-draft": 1, "backbone": 1, "beats": 2, "clip": 3, "wav2clip": 4, "classifier": 5,
    "wav2clip-encoder": 6, "imagebind": 7,
}  # fmt: skip
"""The stages in their order, each with its seed."""
DRAFT = "backbone-draft"


def pixels(batch: np.ndarray) -> torch.Tensor:
    """uint8 (B, H, W, 3) -> float (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(batch)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def waves(batch: np.ndarray) -> torch.Tensor:
    """int16 (B, samples) -> float in [-1, 1)."""
    return torch.from_numpy(np.asarray(batch, dtype=np.float32)) / 32768.0


def bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


class Workshop:
    """Where pretraining happens: the weights made so far, the checkpoints of what is under way, the cached world."""

    def __init__(self, weights: Path, work: Path, cache: Path, say: Callable[[str], None]) -> None:
        self.weights, self.work, self.cache, self.say = weights, work, cache, say
        if not (weights / "tokenizer" / "vocab.json").exists():
            networks.write_tokenizer(weights / "tokenizer")
        self.tokenizer = networks.tokenizer(weights / "tokenizer")

    def clips(self, split: str, count: int) -> WorldClips:
        def tell(kind: str, done: int, total: int) -> None:
            if done % 2048 == 0:
                self.say(f"world: {done} of {total} {kind} of {split}")

        return WorldClips(split, count, self.cache, tell)

    def token_ids(self, texts: Sequence[str]) -> torch.Tensor:
        encoded = self.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
        return encoded.input_ids

    def module(self, stage: str, name: str, module: nn.Module) -> nn.Module:
        """Fill `module` with what `stage` exported under `name`; frozen, in eval mode."""
        path = self.weights / f"{stage}.safetensors"
        if not path.is_file():
            raise UserError(f"{path} is needed and not there: make it with `bench mini pretrain {stage}` first")
        return networks.load_into(module, path, name)


class VAETask(Task):
    schedule = Schedule(steps=1_800, batch=16, rate=2e-3, weight_decay=0.0)

    def __init__(self, shop: Workshop) -> None:
        self.modules = nn.ModuleDict({"vae": networks.vae().to(memory_format=torch.channels_last)})
        self.pool = shop.clips("pretrain", POOL).pictures
        self.held_out = shop.clips("pretrain-val", HELD_OUT).pictures

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = torch.randint(POOL, (self.schedule.batch,), generator=generator).sort().values.numpy()
        picture = pixels(self.pool[chosen]).contiguous(memory_format=torch.channels_last)
        vae = self.modules["vae"]
        with bf16():
            posterior = vae.encode(picture).latent_dist
            rebuilt = vae.decode(posterior.sample(generator)).sample.float()
        difference = rebuilt - picture
        edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        loss = difference.abs().mean() + 2 * (difference**2).mean() + 0.5 * edges + 1e-4 * kl
        return loss, {"mse": float((difference.detach() ** 2).mean()), "kl": float(kl.detach())}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        vae = self.modules["vae"].eval()
        latents, errors = [], []
        for start in range(0, HELD_OUT, 64):
            picture = pixels(self.held_out[start : start + 64])
            latent = vae.encode(picture).latent_dist.mean
            latents.append(latent)
            errors.append(((vae.decode(latent).sample.clamp(-1, 1) - picture) ** 2).flatten(1).mean(1))
        psnr = 10 * torch.log10(4 / torch.cat(errors))
        return {
            "psnr_db": round(float(psnr.mean()), 3), "psnr_db_worst": round(float(psnr.min()), 3),
            "latent_std": float(torch.cat(latents).std()),
        }  # fmt: skip


class BackboneDraftTask(Task):
    ships = False
    schedule = Schedule(steps=4_500, batch=32, rate=1e-3, warmup=300, ema=0.9995, weight_decay=0.01)
    unconditional = 0.1
    draw = 0
    """Enters the seed of every step: which clips are met, what is said of them, and how noisy they are."""

    def __init__(self, shop: Workshop) -> None:
        from diffusers import DDPMScheduler

        unet = networks.unet().to(memory_format=torch.channels_last)
        text = networks.text_encoder(len(shop.tokenizer))
        self.modules = nn.ModuleDict({"unet": unet, "text_encoder": text})
        self.shop = shop
        self.clips = shop.clips("pretrain", POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.vae = shop.module("vae", "vae", networks.vae())
        self.scale = networks.scaling_factor(shop.weights)
        self.noise = DDPMScheduler(**networks.SCHEDULE)
        self.mean, self.deviation = self._latents(self.clips)
        self.held_latents = self._latents(self.held_out)[0]

    @torch.inference_mode()
    def _latents(self, clips: WorldClips) -> tuple[torch.Tensor, torch.Tensor]:
        stored = self.shop.work / f"latents-{clips.split}-{sha256_of(self.shop.weights / 'vae.safetensors')[:12]}.pt"
        if not stored.exists():
            means, deviations = [], []
            for start in range(0, len(clips), 128):
                with bf16():
                    posterior = self.vae.encode(pixels(clips.pictures[start : start + 128])).latent_dist
                means.append(posterior.mean.half())
                deviations.append(posterior.std.half())
            save_atomic(stored, lambda path: torch.save([torch.cat(means), torch.cat(deviations)], path))
            self.shop.say(f"latents of {len(clips)} pictures of {clips.split} made")
        mean, deviation = torch.load(stored, weights_only=True)
        return mean, deviation

    def _loss(self, latents: torch.Tensor, ids: torch.Tensor, times: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        noisy = self.noise.add_noise(latents, noise, times).contiguous(memory_format=torch.channels_last)
        with bf16():
            hidden = self.modules["text_encoder"](input_ids=ids).last_hidden_state
            predicted = self.modules["unet"](noisy, times, hidden).sample
        return F.mse_loss(predicted.float(), self.noise.get_velocity(latents, noise, times))

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        batch = self.schedule.batch
        generator.manual_seed(self.draw + step)
        chosen = torch.randint(POOL, (batch,), generator=generator)
        words = np.random.default_rng([self.draw + step, 1])
        texts = [
            "" if words.uniform() < self.unconditional
            else captions.sample_caption(self.clips.label(i), self.clips.attributes[i], words)[0]
            for i in chosen.tolist()
        ]  # fmt: skip
        mean, deviation = self.mean[chosen].float(), self.deviation[chosen].float()
        latents = self.scale * (mean + deviation * torch.randn(mean.shape, generator=generator))
        noise = torch.randn(latents.shape, generator=generator)
        # one timestep from each of `batch` equal slices: less variance than independent draws
        times = ((torch.arange(batch) + torch.rand(batch, generator=generator)) * (1000 / batch)).long()
        return self._loss(latents, self.shop.token_ids(texts), times, noise), {}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        self.modules.eval()
        generator = torch.Generator().manual_seed(0)
        words = np.random.default_rng(0)
        losses = []
        for start in range(0, HELD_OUT, 64):
            chosen = range(start, start + 64)
            texts = [
                captions.sample_caption(self.held_out.label(i), self.held_out.attributes[i], words)[0] for i in chosen
            ]
            latents = self.scale * self.held_latents[start : start + 64].float()
            times = torch.randint(1000, (64,), generator=generator)
            noise = torch.randn(latents.shape, generator=generator)
            losses.append(float(self._loss(latents, self.shop.token_ids(texts), times, noise)))
        return {"held_out_loss": float(np.mean(losses))}


class BackboneTask(BackboneDraftTask):
    """The draft trained on: a second course of the rate, from the draft's averaged weights, over other draws."""

    ships = True
    schedule = Schedule(steps=7_000, batch=32, rate=8e-4, warmup=300, ema=0.9995, weight_decay=0.01)
    draw = BackboneDraftTask.schedule.steps

    def __init__(self, shop: Workshop) -> None:
        super().__init__(shop)
        if not (shop.work / f"{DRAFT}.safetensors").is_file():  # written when it is done
            raise UserError(f"{shop.work} holds no finished {DRAFT}: make it with `bench mini pretrain {DRAFT}` first")
        # in single precision, from the checkpoint
        self.modules.load_state_dict(torch.load(shop.work / f"{DRAFT}.pt", weights_only=True)["averaged"])


class CLIPTask(Task):
    schedule = Schedule(steps=1_400, batch=64, rate=1e-3, warmup=150, weight_decay=0.05)

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.modules = nn.ModuleDict({"clip": networks.clip(len(shop.tokenizer))})
        self.clips = shop.clips("pretrain", POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.vae = shop.module("vae", "vae", networks.vae())

    @torch.no_grad()
    def _soften(self, picture: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """What a generator does to a picture: a third passes the autoencoder with noisy latents, some are blurred."""
        batch = len(picture)
        third = batch // 3
        with bf16():
            latent = self.vae.encode(picture[:third]).latent_dist.mean
            spread = latent.float().std() * 0.3 * torch.rand(third, 1, 1, 1, generator=generator)
            rebuilt = self.vae.decode(latent + spread * torch.randn(latent.shape, generator=generator)).sample
        picture = torch.cat([rebuilt.float().clamp(-1, 1), picture[third:]])
        sixth = slice(third, third + batch // 6)
        picture[sixth] = F.interpolate(F.avg_pool2d(picture[sixth], 2), scale_factor=2.0, mode="bilinear")
        level = 0.15 * torch.rand(batch, 1, 1, 1, generator=generator) ** 2
        return (picture + level * torch.randn(picture.shape, generator=generator)).clamp(-1, 1)

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = torch.randint(POOL, (self.schedule.batch,), generator=generator).sort().values
        rows = chosen[torch.randperm(len(chosen), generator=generator)].numpy()
        words = np.random.default_rng([step, 2])
        said = [captions.sample_caption(self.clips.label(i), self.clips.attributes[i], words) for i in rows]
        picture = self._soften(pixels(self.clips.pictures[rows]), generator)
        clip = self.modules["clip"]
        with bf16():
            seen = clip.encode_image(picture, normalize=True)
            read = clip.encode_text(self.shop.token_ids([text for text, _ in said]), normalize=True)
        logits = clip.logit_scale.exp().clamp(max=50) * read.float() @ seen.float().T
        return _caption_loss(logits, self.clips, rows, [named for _, named in said]), {}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        clip = self.modules["clip"].eval()
        picture = pixels(np.asarray(self.held_out.pictures))
        seen = clip.encode_image(picture, normalize=True)
        truth = torch.from_numpy(self.held_out.classes)
        figures = {}
        for name, template in (("bare", "{}"), ("prompted", "a photo of {}")):
            read = clip.encode_text(self.shop.token_ids([template.format(x) for x in LABELS]), normalize=True)
            figures[f"zero_shot_{name}"] = round(float((100 * ((seen @ read.T).argmax(1) == truth).float()).mean()), 2)
        texts = [captions.statement(self.held_out.label(i), self.held_out.attributes[i]) for i in range(HELD_OUT)]
        kinds = sorted(set(texts))
        read = clip.encode_text(self.shop.token_ids(kinds), normalize=True)
        right = (seen @ read.T).argmax(1) == torch.tensor([kinds.index(text) for text in texts])
        figures["zero_shot_with_attributes"] = round(float(100 * right.float().mean()), 2)
        return figures


def _caption_loss(
    logits: torch.Tensor, clips: WorldClips, rows: Sequence[int] | np.ndarray, said: Sequence[dict[str, Any]]
) -> torch.Tensor:
    """Contrast of captions (rows of `logits`) and the pictures of the clips `rows` (columns).

    A caption is true of every picture that has its label and all that it says of it.
    """
    facts = [(clips.label(i), set(_words(clips.attributes[i]))) for i in rows]
    true = torch.tensor(
        [
            [label == facts[row][0] and set(_words(named)) <= shown for label, shown in facts]
            for row, named in enumerate(said)
        ],
        dtype=torch.float32,
    )  # (caption, picture)
    by_caption = -(true / true.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
    by_picture = -(true.T / true.sum(0)[:, None] * logits.T.log_softmax(1)).sum(1).mean()
    return (by_caption + by_picture) / 2


def _words(attributes: Any) -> list[str]:
    from benchmark.mini.world import describe

    return [f"{name}:{describe(name, value)}" for name, value in attributes.items()]


def _altered(wave: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Another level, another moment, a little noise: (B, samples) -> (B, samples)."""
    batch, samples = wave.shape
    shift = torch.randint(samples // 4, (batch,), generator=generator)
    wave = torch.stack([row.roll(int(by)) for row, by in zip(wave, shift, strict=True)])
    gain = 10 ** ((torch.rand(batch, 1, generator=generator) * 12 - 9) / 20)
    hiss = 10 ** ((torch.rand(batch, 1, generator=generator) * 40 - 80) / 20)
    return gain * wave + hiss * torch.randn(wave.shape, generator=generator)


class TagTask(Task):
    """A BEATs that learns audio tags: `tags` of each clip, or its label alone."""

    def __init__(self, shop: Workshop, model: nn.Module, tags: Sequence[str], manner: bool, schedule: Schedule) -> None:
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
            names = captions.tags_of(clips.label(clip), clips.attributes[clip]) if self.manner else [clips.label(clip)]
            for tag in names:
                target[row, index[tag]] = 1
        return target

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = torch.randint(SOUND_POOL, (self.schedule.batch,), generator=generator).sort().values.numpy()
        wave = _altered(waves(self.clips.sounds[chosen]), generator)
        with bf16():
            logits = self.modules["beats"].logits(wave).float()
        target = self._targets(self.clips, chosen.tolist())
        if not self.manner:
            return F.cross_entropy(logits, target.argmax(1)), {}
        return F.binary_cross_entropy_with_logits(logits, target) * 10, {}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        model = self.modules["beats"].eval()
        logits = torch.cat([model.logits(waves(self.held_out.sounds[i : i + 32])) for i in range(0, HELD_OUT, 32)])
        truth = torch.from_numpy(self.held_out.classes)
        figures = {
            "label_accuracy": round(float(100 * (logits[:, : len(LABELS)].argmax(1) == truth).float().mean()), 2)
        }
        if self.manner:
            target = self._targets(self.held_out, range(HELD_OUT))
            for name in captions.ORDER:
                columns = [i for i, tag in enumerate(self.tags) if tag.startswith(f"{name}: ")]
                rows = target[:, columns].sum(1) > 0
                right = logits[rows][:, columns].argmax(1) == target[rows][:, columns].argmax(1)
                figures[f"{name}_accuracy"] = round(float(100 * right.float().mean()), 2)
        return figures


class Wav2CLIPTask(Task):
    schedule = Schedule(steps=1_200, batch=48, rate=2e-3, warmup=100, weight_decay=0.02)
    temperature = 0.05
    draw = 0
    """Enters the seed of every step: which clips are met together, and how they are altered."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.modules = nn.ModuleDict({"wav2clip": networks.wav2clip()})
        self.clips = shop.clips("pretrain", SOUND_POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.clip = clip = shop.module("clip", "clip", networks.clip(len(shop.tokenizer)))
        with torch.inference_mode():
            self.targets, self.held_targets = (
                torch.cat(
                    [
                        clip.encode_image(pixels(clips.pictures[i : i + 128]), normalize=True)
                        for i in range(0, len(clips), 128)
                    ]
                ).clone()
                for clips in (self.clips, self.held_out)
            )

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        generator.manual_seed(self.draw + step)
        chosen = torch.randint(SOUND_POOL, (self.schedule.batch,), generator=generator).sort().values
        wave = _altered(waves(self.clips.sounds[chosen.numpy()]), generator)
        with bf16():
            heard = self.modules["wav2clip"](wave).float()
        heard, target = F.normalize(heard, dim=1), self.targets[chosen].clone()
        logits = heard @ target.T / self.temperature
        truth = torch.arange(len(chosen))
        contrast = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        cosine = (1 - (heard * target).sum(1)).mean()
        return contrast + 2 * cosine, {"cosine": float(1 - cosine.detach())}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        model = self.modules["wav2clip"].eval()
        heard = torch.cat([model(waves(self.held_out.sounds[i : i + 32])) for i in range(0, HELD_OUT, 32)])
        similarity = (F.normalize(heard, dim=1) @ self.held_targets.T).double()
        own = similarity.diagonal()[None, :]  # of each picture, the similarity to its own sound
        others = ~torch.eye(HELD_OUT, dtype=torch.bool)
        classes = torch.from_numpy(self.held_out.classes)
        same = (classes[:, None] == classes[None, :]) & others
        below = (similarity < own).double()
        return {
            "ais_of_true_pictures": round(float(100 * (below * others).sum() / others.sum()), 2),
            "ais_sameclass_of_true_pictures": round(float(100 * (below * same).sum() / same.sum()), 2),
            "cosine": round(float(own.mean()), 4),
        }


class Wav2CLIPEncoderTask(Wav2CLIPTask):
    """The Wav2CLIP that is a method: distilled like the scorer's, from other first weights and other draws."""

    draw = 10_000_000

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        model = self.modules["wav2clip"].eval()
        heard = torch.cat([model(waves(self.held_out.sounds[i : i + 32])) for i in range(0, HELD_OUT, 32)])
        read = self.clip.encode_text(self.shop.token_ids(_prompts()))
        return _joint_figures(heard, self.held_targets, read, self.held_out.classes)


class ImageBindTask(Task):
    """All three towers at once: pictures and captions bind each other, sounds follow the pictures.

    As in ImageBind, nothing that a sound says moves the vision tower: its embeddings are constants to the sounds.
    """

    schedule = Schedule(steps=1_300, batch=48, rate=1e-3, warmup=150, weight_decay=0.05)

    def __init__(self, shop: Workshop) -> None:
        from metrics.encoders.imagebind import IMAGE_MEAN, IMAGE_STD

        self.shop = shop
        self.modules = nn.ModuleDict({"imagebind": networks.imagebind(len(shop.tokenizer))})
        self.clips = shop.clips("pretrain", SOUND_POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.mean, self.deviation = (torch.tensor(row)[:, None, None] for row in (IMAGE_MEAN, IMAGE_STD))

    def _picture(self, batch: np.ndarray) -> torch.Tensor:
        return ((pixels(batch) + 1) / 2 - self.mean) / self.deviation

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        model = self.modules["imagebind"]
        batch = self.schedule.batch
        rows = torch.randint(SOUND_POOL, (batch,), generator=generator).sort().values.numpy()
        words = np.random.default_rng([step, 3])
        said = [captions.sample_caption(self.clips.label(i), self.clips.attributes[i], words) for i in rows]
        clips = model.preprocess(_altered(waves(self.clips.sounds[rows]), generator))
        one = torch.randint(clips.shape[1], (batch,), generator=generator)
        with bf16():
            seen = model.encode_images(self._picture(self.clips.pictures[rows]))
            read = model.encode_texts(self.shop.token_ids([text for text, _ in said]))
            heard = model.encode_clips(clips[torch.arange(batch), one])
        caption = _caption_loss(read @ seen.T, self.clips, rows, [named for _, named in said])
        # the temperatures are part of the embeddings
        logits, truth = heard @ seen.detach().T, torch.arange(batch)
        sound = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        return caption + sound, {"caption": float(caption.detach()), "sound": float(sound.detach())}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        model = self.modules["imagebind"].eval()
        parts = range(0, HELD_OUT, 32)
        heard = torch.cat([model.encode_audio(waves(self.held_out.sounds[i : i + 32])) for i in parts])
        seen = torch.cat([model.encode_images(self._picture(self.held_out.pictures[i : i + 32])) for i in parts])
        read = model.encode_texts(self.shop.token_ids(_prompts()))
        return _joint_figures(heard, seen, read, self.held_out.classes)


def _prompts() -> list[str]:
    return [f"a photo of {label}" for label in LABELS]


def _joint_figures(
    heard: torch.Tensor, seen: torch.Tensor, read: torch.Tensor, classes: np.ndarray
) -> dict[str, float]:
    """What sounds, pictures and label prompts of one space know of each other, in percent.

    `heard`, `seen`: (n, d), row by row of one clip; `read`: (labels, d). Retrieval is among all n pictures.
    """
    heard, seen, read = (F.normalize(x, dim=1) for x in (heard, seen, read))
    truth = torch.from_numpy(classes)
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


def _task(stage: str, shop: Workshop) -> Task:
    if stage == "beats":
        tags = captions.all_tags()
        schedule = Schedule(steps=1_000, batch=32, rate=1e-3, warmup=200)
        return TagTask(shop, networks.beats(len(tags)), tags, True, schedule)
    if stage == "classifier":
        schedule = Schedule(steps=500, batch=32, rate=1.5e-3, warmup=100)
        return TagTask(shop, networks.classifier(len(LABELS)), LABELS, False, schedule)
    tasks: dict[str, Callable[[Workshop], Task]] = {
        "vae": VAETask, DRAFT: BackboneDraftTask, "backbone": BackboneTask, "clip": CLIPTask, "wav2clip": Wav2CLIPTask,
        "wav2clip-encoder": Wav2CLIPEncoderTask, "imagebind": ImageBindTask,
    }  # fmt: skip
    return tasks[stage](shop)


def _prefixed(say: Callable[[str], None], stage: str) -> Callable[[str], None]:
    return lambda line: say(f"{stage}: {line}")


def pretrain(
    stages: Sequence[str], weights: Path, work: Path, cache: Path, say: Callable[[str], None] = print,
    *, steps: int | None = None,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Train `stages` (all, in order, when empty) and export each to `weights` as `<stage>.safetensors` and `.json`.

    The draft of the backbone stays in `work`.

    An interrupted stage continues from `work`; an exported one is trained anew only if its checkpoint was removed.
    `steps` shortens every schedule (for trying the recipe out). Returns the reports. Unknown stage: UserError.
    """
    for stage in stages:
        if stage not in STAGES:
            raise unknown("stage", stage, STAGES)
    work.mkdir(parents=True, exist_ok=True)
    shop = Workshop(weights, work, cache, say)
    reports = {}
    for stage in STAGES:
        if stages and stage not in stages:
            continue
        began = time.perf_counter()
        torch.manual_seed(STAGES[stage])
        task = _task(stage, shop)
        if steps is not None:
            task.schedule = Schedule(**{**task.schedule.__dict__, "steps": steps, "warmup": min(10, steps)})
        say(f"{stage}: ready to train after {time.perf_counter() - began:.0f} s")
        result = train(task, work / f"{stage}.pt", _prefixed(say, stage))
        assert result is not None
        modules, progress = result
        path = (weights if task.ships else work) / f"{stage}.safetensors"
        networks.export(modules, path)
        # the figures are those of the half-precision weights that ship, not of the ones in memory
        for name, module in task.modules.items():
            networks.load_into(module, path, name)
        reports[stage] = {
            "stage": stage,
            "sha256": sha256_of(path),
            "bytes": path.stat().st_size,
            "parameters": sum(p.numel() for p in modules.parameters()),
            "steps": progress.step,
            "batch": task.schedule.batch,
            "seconds": round(progress.seconds),
            "threads": torch.get_num_threads(),
            "held_out": task.evaluate(),
            "losses": [[step, round(loss, 5)] for step, loss in progress.losses[:: max(1, len(progress.losses) // 40)]],
            "world": {kind: world_digest(kind) for kind in ("sounds", "pictures")},
            "torch": torch.__version__,
        }
        write_atomic(weights / f"{stage}.json", json.dumps(reports[stage], indent=2) + "\n")
        say(f"{stage}: exported {path.name}, {path.stat().st_size / 1e6:.2f} MB, {reports[stage]['held_out']}")
    return reports
