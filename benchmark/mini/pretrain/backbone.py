"""Pretraining of mini's autoencoder, text encoder and U-Net."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.mini import captions, networks
from benchmark.mini.data import WorldClips
from benchmark.mini.pretrain.loop import Logs, Schedule, Task
from benchmark.mini.pretrain.workshop import HELD_OUT, POOL, Workshop
from benchmark.mini.world import Value
from benchmark.text_encoder import encode_at, tokenize
from benchmark.utils.files import save_atomic, sha256_of

Fused = tuple[str, Mapping[str, Value]]
"""A caption that is given as one vector: a label, and what is named beside it."""

PLACEHOLDER_ID = -1
"""Id of the placeholder, which is in no vocabulary."""


def fused_prompt(tokenizer: Any) -> torch.Tensor:
    """Return the ids of "a photo of <*>", padded: (CONTEXT,), with PLACEHOLDER_ID in the place of the word."""
    before = tokenizer("a photo of", add_special_tokens=False).input_ids
    ids = tokenizer("a photo of", padding="max_length", return_tensors="pt").input_ids[0]
    place = 1 + len(before)
    return torch.cat([ids[:place], torch.tensor([PLACEHOLDER_ID]), ids[place:-1]])


def fuse(tokenizer: Any, text_encoder: Any, said: Sequence[Fused]) -> torch.Tensor:
    """Return one vector a caption, (B, TEXT_WIDTH).

    It is the mean input embedding of the label's tokens plus, for each thing that is named, the mean input embedding of
    its word's tokens; a size between two words is a mixture of both.

    Args:
        tokenizer: A CLIPTokenizer.
        text_encoder: A CLIPTextModel.
        said: Labels, each with what is named beside it.
    """
    table = text_encoder.get_input_embeddings().weight
    return torch.from_numpy(_shares(tokenizer, said, len(table))).to(table) @ table


def _shares(tokenizer: Any, said: Sequence[str | Fused], vocabulary: int) -> np.ndarray:
    """Return the share of each token in the vector of a caption, (B, vocabulary); 0 for one in words."""
    shares = np.zeros((len(said), vocabulary), dtype=np.float32)
    for row, caption in enumerate(said):
        if isinstance(caption, str):
            continue
        label, named = caption
        words = [(label, 1.0), *(pair for name, value in named.items() for pair in captions.blend(name, value))]
        for word, share in words:
            ids = _tokens(tokenizer, word)
            for token in ids:
                shares[row, token] += share / len(ids)
    return shares


@cache
def _tokens(tokenizer: Any, word: str) -> tuple[int, ...]:
    return tuple(tokenizer(word, add_special_tokens=False).input_ids)


class _Rebuilding(nn.Module):
    """An autoencoder's way from frames over drawn latents to frames, as one function of tensors."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, picture: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the rebuilt frames, and mean and logarithmic variance of the latents."""
        posterior = self.vae.encode(picture).latent_dist
        return self.vae.decode(posterior.mean + posterior.std * noise).sample, posterior.mean, posterior.logvar


class _Speaking(nn.Module):
    """A text encoder that is told captions in words or as one vector, as a function of tensors."""

    def __init__(self, text_encoder: Any) -> None:
        super().__init__()
        self.text_encoder = text_encoder

    def forward(
        self, ids: torch.Tensor, place: torch.Tensor, shares: torch.Tensor, jitter: torch.Tensor
    ) -> torch.Tensor:
        """Return the hidden states, (B, CONTEXT, TEXT_WIDTH).

        Args:
            ids: Token ids, (B, CONTEXT).
            place: Where a caption's vector goes, bool (B, CONTEXT); nowhere in a row that is told in words.
            shares: Share of each token in the caption's vector, (B, vocabulary).
            jitter: Noise on the vectors, in units of their own deviation, (B, TEXT_WIDTH).
        """
        vectors = shares @ self.text_encoder.get_input_embeddings().weight
        vectors = vectors + jitter * vectors.detach().std(dim=1, keepdim=True)
        return encode_at(self.text_encoder, ids, place, vectors)


class _Predicting(nn.Module):
    """A U-Net as a function of tensors."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the predicted velocity."""
        predicted: torch.Tensor = self.unet(noisy, times, hidden).sample
        return predicted


class VAEDraftTask(Task):
    """First course of training the autoencoder: L1, L2 and gradient L1 of the reconstruction, and KL."""

    ships = False
    schedule = Schedule(steps=5_000, batch=16, rate=2e-3, weight_decay=0.0)
    draw = 0
    """Part of the seed of every step, which decides its clips and the noise of their latents."""

    def __init__(self, shop: Workshop) -> None:
        self.modules = nn.ModuleDict({"vae": networks.vae().to(memory_format=torch.channels_last)})
        self.shop = shop
        self.rebuild: Callable[..., Any] | None = None
        self.pool = shop.clips("pretrain", POOL).pictures
        self.held_out = shop.clips("pretrain-val", HELD_OUT).pictures

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, Logs]:
        """Return the reconstruction loss and KL of a batch."""
        generator.manual_seed(self.draw + step)
        chosen = torch.randint(POOL, (self.schedule.batch,), generator=generator).sort().values.numpy()
        picture = self.shop.pixels(self.pool[chosen]).contiguous(memory_format=torch.channels_last)
        latents = (len(picture), networks.LATENT_CHANNELS, networks.LATENT_SIZE, networks.LATENT_SIZE)
        noise = self.shop.normal(*latents, generator=generator)
        if self.rebuild is None:
            self.rebuild = self.shop.graphed(_Rebuilding(self.modules["vae"]), picture, noise)
        with self.shop.bf16():
            rebuilt, mean, logvar = self.rebuild(picture, noise)
        mean, logvar, difference = mean.float(), logvar.float(), rebuilt.float() - picture
        edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        loss = difference.abs().mean() + 2 * (difference**2).mean() + 0.5 * edges + 1e-4 * kl
        return loss, {"mse": (difference.detach() ** 2).mean(), "kl": kl.detach()}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return the PSNR of held-out frames, in dB, and the standard deviation of their latents."""
        vae = self.modules["vae"].eval()
        latents, errors = [], []
        for start in range(0, HELD_OUT, 64):
            picture = self.shop.pixels(self.held_out[start : start + 64])
            latent = vae.encode(picture).latent_dist.mean
            latents.append(latent)
            errors.append(((vae.decode(latent).sample.clamp(-1, 1) - picture) ** 2).flatten(1).mean(1))
        psnr = 10 * torch.log10(4 / torch.cat(errors))
        return {
            "psnr_db": round(float(psnr.mean()), 3),
            "psnr_db_worst": round(float(psnr.min()), 3),
            "latent_std": float(torch.cat(latents).std()),
        }


class VAETask(VAEDraftTask):
    """Second course, with the learning rate's course repeated and other draws, from the draft's averaged weights."""

    ships = True
    schedule = Schedule(steps=5_000, batch=16, rate=1.5e-3, weight_decay=0.0)
    draw = VAEDraftTask.schedule.steps

    def __init__(self, shop: Workshop) -> None:
        super().__init__(shop)
        shop.continue_from("vae-draft", self.modules)


@dataclass(frozen=True)
class Course:
    """Course of the backbone's training: a learning rate that rises and falls, draws of its own, and its captions."""

    schedule: Schedule
    """Steps and rate."""
    draw: int
    """Part of the seed of every step, which decides its clips, their captions and their noise levels."""
    before: str | None = None
    """Stage whose averaged weights are trained on; None: from nothing."""
    ships: bool = False
    """Whether the result is part of the suite."""
    fused: float = 0.5
    """Share of captions, of those that are not empty, that are given as one vector."""
    jitter: float = 0.3
    """Largest deviation of the noise on a fused vector, relative to the vector's own."""
    tail: int = 1
    """Power of a uniform draw that the noise's level follows: the higher, the rarer is strong noise."""
    length: float = 1.0
    """Largest factor, up and down, of a fused vector's length."""
    mixed: float = 0.0
    """Share of fused vectors that are mixed with up to as much of another clip's."""


_long = partial(Schedule, batch=64, warmup=300, ema=0.9995)
_late = partial(Course, fused=0.6, jitter=1.5, tail=2, length=2.5, mixed=0.4)
COURSES = {
    "backbone-draft": Course(_long(steps=2_000, rate=1.2e-3), draw=0),
    "backbone-second": Course(_long(steps=2_000, rate=1e-3), draw=8_000, before="backbone-draft"),
    "backbone-third": Course(_long(steps=7_200, rate=1e-3), draw=8_000, before="backbone-second"),
    "backbone-fourth": _late(
        Schedule(steps=900, batch=32, rate=4e-4, warmup=50, ema=0.995), draw=20_000, before="backbone-third"
    ),
    "backbone-fifth": _late(
        Schedule(steps=1_100, batch=32, rate=4e-4, warmup=50, ema=0.998), draw=40_000, before="backbone-fourth"
    ),
    "backbone": _late(_long(steps=6_000, rate=8e-4), draw=60_000, before="backbone-fifth", ships=True),
}
"""The courses by stage, in order.

In the last three, fused vectors are also noisy, longer, shorter and mixed with others. So what lies between the words
means something as well, as in a text encoder that was trained on millions of captions: a token that is half right is
worth half, where the courses before made it worse than no word at all, and a method's training finds its way.
"""


class BackboneTask(Task):
    """Training of the CLIP text encoder and the U-Net together: velocity prediction (v-loss).

    A caption is given in words or fused: "a photo of <*>" with one vector in the place of the word, the sum of the mean
    input embeddings of the label and of each thing that the caption names. So the frozen backbone can be spoken to by
    one new word that says a thing and its manner at once.

    Args:
        shop: Shared resources.
        course: The course to train.
    """

    unconditional = 0.1
    """Share of empty captions."""

    def __init__(self, shop: Workshop, course: Course) -> None:
        from diffusers import DDPMScheduler

        self.course, self.schedule, self.ships = course, course.schedule, course.ships

        unet = networks.unet().to(memory_format=torch.channels_last)
        text = networks.text_encoder(len(shop.tokenizer))
        self.modules = nn.ModuleDict({"unet": unet, "text_encoder": text})
        self.shop = shop
        self.speak: Callable[..., Any] | None = None
        self.predict: Callable[..., Any] | None = None
        self.clips = shop.clips("pretrain", POOL)
        self.held_out = shop.clips("pretrain-val", HELD_OUT)
        self.vae = shop.module("vae", "vae", networks.vae())
        self.scale = networks.scaling_factor(shop.weights)
        self.noise = DDPMScheduler(**networks.SCHEDULE)
        self.mean, self.deviation = self._latents(self.clips)
        self.held_latents = self._latents(self.held_out)[0]
        self.one_word = fused_prompt(shop.tokenizer)
        if course.before is not None:
            shop.continue_from(course.before, self.modules)

    @torch.inference_mode()
    def _latents(self, clips: WorldClips) -> tuple[torch.Tensor, torch.Tensor]:
        stored = self.shop.work / f"latents-{clips.split}-{sha256_of(self.shop.weights / 'vae.safetensors')[:12]}.pt"
        if not stored.exists():
            means, deviations = [], []
            for start in range(0, len(clips), 128):
                with self.shop.bf16():
                    posterior = self.vae.encode(self.shop.pixels(clips.pictures[start : start + 128])).latent_dist
                means.append(posterior.mean.half().cpu())
                deviations.append(posterior.std.half().cpu())
            save_atomic(stored, lambda path: torch.save([torch.cat(means), torch.cat(deviations)], path))
            self.shop.say(f"latents of {len(clips)} frames of {clips.split} made")
        mean, deviation = torch.load(stored, weights_only=True, map_location=self.shop.device)
        return mean, deviation

    def _predicted(self, noisy: torch.Tensor, times: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled():
            evaluated: torch.Tensor = self.modules["unet"](noisy, times, hidden).sample
            return evaluated
        if self.predict is None:
            examples = noisy, times, hidden.detach().requires_grad_()
            self.predict = self.shop.graphed(_Predicting(self.modules["unet"]), *examples)
        predicted: torch.Tensor = self.predict(noisy, times, hidden)
        return predicted

    def _loss(
        self, latents: torch.Tensor, hidden: torch.Tensor, times: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        noisy = self.noise.add_noise(latents, noise, times).contiguous(memory_format=torch.channels_last)
        with self.shop.bf16():
            predicted = self._predicted(noisy, times, hidden)
        return F.mse_loss(predicted.float(), self.noise.get_velocity(latents, noise, times))

    def _said(self, clips: WorldClips, chosen: Sequence[int], words: np.random.Generator) -> list[str | Fused]:
        said: list[str | Fused] = []
        for index in chosen:
            label, seen = clips.label(index), clips.facts[index].seen
            kind = words.uniform()
            if kind < self.unconditional:
                said.append("")
            elif kind < self.unconditional + self.course.fused * (1 - self.unconditional):
                said.append((label, captions.sample_named(seen, words)))
            else:
                said.append(captions.sample_caption(label, seen, words)[0])
        return said

    def encode(self, said: Sequence[str | Fused], generator: torch.Generator | None = None) -> torch.Tensor:
        """Encode captions, in words or fused, to hidden states (B, CONTEXT, TEXT_WIDTH).

        Args:
            said: Texts, or labels with what is named beside them.
            generator: Draws the noise on fused vectors; None: no noise.
        """
        states: torch.Tensor = _Speaking(self.modules["text_encoder"])(*self._told(said, generator))
        return states

    def _told(self, said: Sequence[str | Fused], generator: torch.Generator | None) -> list[torch.Tensor]:
        """Return the arguments of `_Speaking`."""
        ids = tokenize(self.shop.tokenizer, [caption if isinstance(caption, str) else "" for caption in said])
        ids[torch.tensor([not isinstance(caption, str) for caption in said])] = self.one_word
        place = ids == PLACEHOLDER_ID
        shares = torch.from_numpy(_shares(self.shop.tokenizer, said, len(self.shop.tokenizer)))
        jitter = torch.zeros(len(said), networks.TEXT_WIDTH)
        if generator is not None:
            shares = self._varied(shares, generator)
            level = self.course.jitter * torch.rand(len(said), 1, generator=generator) ** self.course.tail
            jitter = level * torch.randn(jitter.shape, generator=generator)
        return [part.to(self.shop.device) for part in (ids.masked_fill(place, 0), place, shares, jitter)]

    def _varied(self, shares: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the shares of vectors of other lengths, of which some are mixed with another of the batch."""
        if self.course.mixed:
            fused = shares.any(1).nonzero().flatten()
            other = fused[torch.randperm(len(fused), generator=generator)]
            part = 0.5 * torch.rand(len(fused), 1, generator=generator)
            part *= torch.rand(len(fused), 1, generator=generator) < self.course.mixed
            shares = shares.index_copy(0, fused, (1 - part) * shares[fused] + part * shares[other])
        if self.course.length > 1:
            power = 2 * torch.rand(len(shares), 1, generator=generator) - 1
            shares = shares * self.course.length**power
        return shares

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, Logs]:
        """Return the velocity-prediction loss of a batch with captions."""
        batch = self.schedule.batch
        generator.manual_seed(self.course.draw + step)
        chosen = torch.randint(POOL, (batch,), generator=generator)
        said = self._said(self.clips, chosen.tolist(), np.random.default_rng([self.course.draw + step, 1]))
        rows = chosen.to(self.shop.device)
        mean, deviation = self.mean[rows].float(), self.deviation[rows].float()
        latents = self.scale * (mean + deviation * self.shop.normal(*mean.shape, generator=generator))
        noise = self.shop.normal(*latents.shape, generator=generator)
        # One timestep from each of `batch` equal slices gives less variance than independent draws.
        times = ((torch.arange(batch) + torch.rand(batch, generator=generator)) * (1000 / batch)).long()
        times = times.to(self.shop.device)
        told = self._told(said, generator)
        if self.speak is None:
            self.speak = self.shop.graphed(_Speaking(self.modules["text_encoder"]), *told)
        with self.shop.bf16():
            hidden = self.speak(*told)
        return self._loss(latents, hidden, times, noise), {}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return the losses of held-out clips whose captions name everything: in words, fused, and the label alone."""
        self.modules.eval()
        everything = [(self.held_out.label(i), self.held_out.facts[i].seen) for i in range(HELD_OUT)]
        kinds: dict[str, list[str | Fused]] = {
            "words": [f"a photo of {captions.statement(*caption)}" for caption in everything],
            "fused": list(everything),
            "label": [f"a photo of {label}" for label, _ in everything],
        }
        figures = {}
        for kind, said in kinds.items():
            generator = torch.Generator().manual_seed(0)
            losses = []
            for start in range(0, HELD_OUT, 48):
                latents = self.scale * self.held_latents[start : start + 48].float()
                times = torch.randint(1000, (len(latents),), generator=generator).to(self.shop.device)
                noise = self.shop.normal(*latents.shape, generator=generator)
                losses.append(float(self._loss(latents, self.encode(said[start : start + 48]), times, noise)))
            figures[f"held_out_loss_{kind}"] = round(float(np.mean(losses)), 5)
        return figures
