"""Pretraining of mini's autoencoder, text encoder and U-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.mini import captions, networks
from benchmark.mini.data import WorldClips
from benchmark.mini.pretrain.loop import Schedule, Task
from benchmark.mini.pretrain.workshop import HELD_OUT, POOL, Workshop, bf16, pixels
from benchmark.mini.world import Value
from benchmark.text_encoder import encode_with_token
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


def fuse(tokenizer: Any, text_encoder: Any, said: Sequence[Any]) -> torch.Tensor:
    """Return one vector a caption, (B, TEXT_WIDTH).

    It is the mean input embedding of the label's tokens plus, for each thing that is named, the mean input embedding of
    its word's tokens; a size between two words is a mixture of both.

    Args:
        tokenizer: A CLIPTokenizer.
        text_encoder: A CLIPTextModel.
        said: Labels, each with what is named beside it.
    """
    table = text_encoder.get_input_embeddings().weight
    weights = torch.zeros(len(said), len(table))
    for row, (label, named) in enumerate(said):
        words = [(label, 1.0), *(pair for name, value in named.items() for pair in captions.blend(name, value))]
        for word, share in words:
            ids = _tokens(tokenizer, word)
            for token in ids:
                weights[row, token] += share / len(ids)
    return weights @ table


@cache
def _tokens(tokenizer: Any, word: str) -> tuple[int, ...]:
    return tuple(tokenizer(word, add_special_tokens=False).input_ids)


class VAEDraftTask(Task):
    """First course of training the autoencoder: L1, L2 and gradient L1 of the reconstruction, and KL."""

    ships = False
    schedule = Schedule(steps=1_800, batch=16, rate=2e-3, weight_decay=0.0)
    draw = 0
    """Part of the seed of every step, which decides its clips and the noise of their latents."""

    def __init__(self, shop: Workshop) -> None:
        self.modules = nn.ModuleDict({"vae": networks.vae().to(memory_format=torch.channels_last)})
        self.pool = shop.clips("pretrain", POOL).pictures
        self.held_out = shop.clips("pretrain-val", HELD_OUT).pictures

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the reconstruction loss and KL of a batch."""
        generator.manual_seed(self.draw + step)
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
        """Return the PSNR of held-out frames, in dB, and the standard deviation of their latents."""
        vae = self.modules["vae"].eval()
        latents, errors = [], []
        for start in range(0, HELD_OUT, 64):
            picture = pixels(self.held_out[start : start + 64])
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
    schedule = Schedule(steps=1_800, batch=16, rate=1.5e-3, weight_decay=0.0)
    draw = VAEDraftTask.schedule.steps

    def __init__(self, shop: Workshop) -> None:
        super().__init__(shop)
        shop.continue_from("vae-draft", self.modules)


class BackboneDraftTask(Task):
    """First course of training the CLIP text encoder and the U-Net together: velocity prediction (v-loss).

    A caption is given in words or fused: "a photo of <*>" with one vector in the place of the word, the sum of the mean
    input embeddings of the label and of each thing that the caption names. So the frozen backbone can be spoken to by
    one new word that says a thing and its manner at once, as a text encoder trained on millions of captions can.
    """

    ships = False
    schedule = Schedule(steps=4_500, batch=32, rate=1e-3, warmup=300, ema=0.9995, weight_decay=0.01)
    draw = 0
    """Part of the seed of every step, which decides its clips, their captions and their noise levels."""
    unconditional = 0.1
    """Share of empty captions."""
    fused = 0.5
    """Share of the other captions that are given as one vector."""
    jitter = 0.3
    """Largest deviation of the noise on a fused vector, relative to the vector's own, so that its surroundings mean the
    same."""

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
        self.one_word = fused_prompt(shop.tokenizer)

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
            self.shop.say(f"latents of {len(clips)} frames of {clips.split} made")
        mean, deviation = torch.load(stored, weights_only=True)
        return mean, deviation

    def _loss(
        self, latents: torch.Tensor, hidden: torch.Tensor, times: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        noisy = self.noise.add_noise(latents, noise, times).contiguous(memory_format=torch.channels_last)
        with bf16():
            predicted = self.modules["unet"](noisy, times, hidden).sample
        return F.mse_loss(predicted.float(), self.noise.get_velocity(latents, noise, times))

    def _said(self, clips: WorldClips, chosen: Sequence[int], words: np.random.Generator) -> list[str | Fused]:
        said: list[str | Fused] = []
        for index in chosen:
            label, seen = clips.label(index), clips.facts[index].seen
            kind = words.uniform()
            if kind < self.unconditional:
                said.append("")
            elif kind < self.unconditional + self.fused * (1 - self.unconditional):
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
        text_encoder = self.modules["text_encoder"]
        worded = [row for row, caption in enumerate(said) if isinstance(caption, str)]
        fused = [row for row, caption in enumerate(said) if not isinstance(caption, str)]
        states = []
        if worded:
            ids = self.shop.token_ids([str(said[row]) for row in worded])
            states.append(text_encoder(input_ids=ids).last_hidden_state)
        if fused:
            vectors = fuse(self.shop.tokenizer, text_encoder, [said[row] for row in fused])
            if generator is not None:
                level = self.jitter * torch.rand(len(fused), 1, generator=generator)
                spread = vectors.detach().std(dim=1, keepdim=True)
                vectors = vectors + level * spread * torch.randn(vectors.shape, generator=generator)
            prompts = self.one_word.expand(len(fused), -1)
            states.append(encode_with_token(text_encoder, prompts, vectors, PLACEHOLDER_ID))
        return torch.cat(states)[torch.tensor(worded + fused).argsort()]

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the velocity-prediction loss of a batch with captions."""
        batch = self.schedule.batch
        generator.manual_seed(self.draw + step)
        chosen = torch.randint(POOL, (batch,), generator=generator)
        said = self._said(self.clips, chosen.tolist(), np.random.default_rng([self.draw + step, 1]))
        mean, deviation = self.mean[chosen].float(), self.deviation[chosen].float()
        latents = self.scale * (mean + deviation * torch.randn(mean.shape, generator=generator))
        noise = torch.randn(latents.shape, generator=generator)
        # One timestep from each of `batch` equal slices gives less variance than independent draws.
        times = ((torch.arange(batch) + torch.rand(batch, generator=generator)) * (1000 / batch)).long()
        with bf16():
            hidden = self.encode(said, generator)
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
                times = torch.randint(1000, (len(latents),), generator=generator)
                noise = torch.randn(latents.shape, generator=generator)
                losses.append(float(self._loss(latents, self.encode(said[start : start + 48]), times, noise)))
            figures[f"held_out_loss_{kind}"] = round(float(np.mean(losses)), 5)
        return figures


class BackboneTask(BackboneDraftTask):
    """Second course, with the learning rate's course repeated and other draws, from the draft's averaged weights."""

    ships = True
    schedule = Schedule(steps=4_500, batch=32, rate=8e-4, warmup=300, ema=0.9995, weight_decay=0.01)
    draw = BackboneDraftTask.schedule.steps

    def __init__(self, shop: Workshop) -> None:
        super().__init__(shop)
        shop.continue_from("backbone-draft", self.modules)
