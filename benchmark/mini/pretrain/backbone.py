"""Pretraining of mini's autoencoder, text encoder and U-Net."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.mini import captions, networks
from benchmark.mini.data import WorldClips
from benchmark.mini.pretrain.loop import Schedule, Task
from benchmark.mini.pretrain.workshop import HELD_OUT, POOL, Workshop, bf16, pixels
from benchmark.utils.errors import UserError
from benchmark.utils.files import save_atomic, sha256_of

DRAFT = "backbone-draft"


class VAETask(Task):
    """Training of the autoencoder: L1, L2 and gradient L1 of the reconstruction, and KL."""

    schedule = Schedule(steps=1_800, batch=16, rate=2e-3, weight_decay=0.0)

    def __init__(self, shop: Workshop) -> None:
        self.modules = nn.ModuleDict({"vae": networks.vae().to(memory_format=torch.channels_last)})
        self.pool = shop.clips("pretrain", POOL).pictures
        self.held_out = shop.clips("pretrain-val", HELD_OUT).pictures

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the reconstruction loss and KL of a batch."""
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


class BackboneDraftTask(Task):
    """First course of training the CLIP text encoder and the U-Net together: velocity prediction (v-loss)."""

    ships = False
    schedule = Schedule(steps=4_500, batch=32, rate=1e-3, warmup=300, ema=0.9995, weight_decay=0.01)
    unconditional = 0.1
    draw = 0
    """Part of the seed of every step, which decides its clips, their captions and their noise levels."""

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
            self.shop.say(f"latents of {len(clips)} frames of {clips.split} made")
        mean, deviation = torch.load(stored, weights_only=True)
        return mean, deviation

    def _loss(self, latents: torch.Tensor, ids: torch.Tensor, times: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        noisy = self.noise.add_noise(latents, noise, times).contiguous(memory_format=torch.channels_last)
        with bf16():
            hidden = self.modules["text_encoder"](input_ids=ids).last_hidden_state
            predicted = self.modules["unet"](noisy, times, hidden).sample
        return F.mse_loss(predicted.float(), self.noise.get_velocity(latents, noise, times))

    def loss(self, step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the velocity-prediction loss of a batch with captions."""
        batch = self.schedule.batch
        generator.manual_seed(self.draw + step)
        chosen = torch.randint(POOL, (batch,), generator=generator)
        words = np.random.default_rng([self.draw + step, 1])
        texts = [
            ""
            if words.uniform() < self.unconditional
            else captions.sample_caption(self.clips.label(i), self.clips.attributes[i], words)[0]
            for i in chosen.tolist()
        ]
        mean, deviation = self.mean[chosen].float(), self.deviation[chosen].float()
        latents = self.scale * (mean + deviation * torch.randn(mean.shape, generator=generator))
        noise = torch.randn(latents.shape, generator=generator)
        # One timestep from each of `batch` equal slices gives less variance than independent draws.
        times = ((torch.arange(batch) + torch.rand(batch, generator=generator)) * (1000 / batch)).long()
        return self._loss(latents, self.shop.token_ids(texts), times, noise), {}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return the loss of held-out clips."""
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
    """Second course of training, with the learning rate's course repeated and other draws.

    It starts from the draft's averaged weights.
    """

    ships = True
    schedule = Schedule(steps=7_000, batch=32, rate=8e-4, warmup=300, ema=0.9995, weight_decay=0.01)
    draw = BackboneDraftTask.schedule.steps

    def __init__(self, shop: Workshop) -> None:
        super().__init__(shop)
        if not (shop.work / f"{DRAFT}.safetensors").is_file():  # written when the draft is finished
            raise UserError(
                f"{shop.work} contains no finished {DRAFT}: make it with `bench mini pretrain {DRAFT}` first"
            )
        # The checkpoint has the weights in single precision, the exported file has not.
        self.modules.load_state_dict(torch.load(shop.work / f"{DRAFT}.pt", weights_only=True)["averaged"])
