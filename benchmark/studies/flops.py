"""Count of the operations in a full-scale run of AudioToken: `python -m benchmark.studies.flops [--rate TFLOPS]`.

Networks of the released shapes are called on PyTorch's "meta" device, which only works out shapes, so this takes
seconds on any machine. The operations of matrix products and convolutions are counted; an addition and a multiplication
are two operations. Divided by the rate that a device reaches (not its peak) they give the duration of the run.
`bench run --dry-run` measures that rate, and the memory that the run needs, on the device itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from benchmark.suite import Suite

Module = TypeVar("Module", bound=nn.Module)

FRAMES_A_SECOND = 100
"""Frames of BEATs' filterbank per second of sound."""


@dataclass(frozen=True)
class Call:
    """Pass of a network that the run repeats."""

    part: str
    """Part of the run: training, sampling or scoring."""
    network: str
    """Name of the network, and direction of the pass."""
    operations: int
    """Operations of one pass."""
    count: int
    """Number of passes in the run."""

    @property
    def total(self) -> int:
        """Operations in the whole run."""
        return self.operations * self.count


def shapes_of(build: Callable[[], Module]) -> Module:
    """Build a network on the meta device, with shapes and without values, frozen and in eval mode."""
    with torch.device("meta"):
        return build().eval().requires_grad_(False)


def operations(call: Callable[[], Any]) -> tuple[int, Any]:
    """Count the operations of a call.

    Attention is computed as separate matrix products, which the counter sees.

    Returns:
        The number of operations, and the result of the call.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        made = call()
    return counter.get_total_flops(), made


def count(suite: Suite) -> list[Call]:
    """Return the calls of `audiotoken` on a suite with Stable Diffusion 1.4: training, sampling, scoring of images."""
    import diffusers
    import open_clip
    import transformers

    from benchmark.fullscale import random_networks as released
    from metrics.encoders.beats import BEATs, BEATsConfig
    from metrics.encoders.filterbank import BINS

    side = suite.backbone.resolution
    unet = shapes_of(lambda: diffusers.UNet2DConditionModel(**released.UNET))
    vae = shapes_of(lambda: diffusers.AutoencoderKL(**released.VAE))
    text = shapes_of(lambda: transformers.CLIPTextModel(transformers.CLIPTextConfig(**released.TEXT_ENCODER)))
    beats = shapes_of(lambda: BEATs(BEATsConfig()))
    clips = {
        name: shapes_of(partial(open_clip.CLIP, **open_clip.get_model_config(name)))
        for name in ("ViT-B-32", "ViT-L-14")
    }

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(shape, device="meta", dtype=dtype)

    latent, time = zeros(1, unet.config.in_channels, side // 8, side // 8), zeros(1, dtype=torch.long)
    hidden = zeros(1, text.config.max_position_embeddings, unet.config.cross_attention_dim).requires_grad_()
    forward, predicted = operations(lambda: unet(latent, time, hidden).sample)
    backward, _ = operations(lambda: torch.autograd.grad(predicted.sum(), hidden))
    with torch.no_grad():
        encoding, _ = operations(lambda: vae.encode(zeros(1, 3, side, side)))
        decoding, _ = operations(lambda: vae.decode(latent))
        ids = zeros(1, text.config.max_position_embeddings, dtype=torch.long)
        reading, _ = operations(lambda: text(input_ids=ids))
        seconds = (suite.data.train_seconds or suite.data.seconds, suite.data.seconds)
        filterbanks = [zeros(1, round(length * FRAMES_A_SECOND), BINS) for length in seconds]
        hearing = [operations(partial(beats.extract_features, from_filterbank=bank))[0] for bank in filterbanks]
        picture = zeros(1, 3, 224, 224)
        seeing = {name: operations(partial(clip.encode_image, picture))[0] for name, clip in clips.items()}
    assert suite.budget.steps is not None and suite.budget.batch_size is not None
    trained, pictures = suite.budget.steps * suite.budget.batch_size, suite.data.test
    training, sampling, scoring = "training", "pictures", "scores"
    evaluations = suite.generation.steps + 1  # PNDM evaluates the U-Net once more than it has steps
    return [
        Call(training, "U-Net, forward", forward, trained),
        Call(training, "U-Net, backward to its conditioning", backward, trained),
        Call(training, "autoencoder's encoder", encoding, trained),
        # The backward pass reaches the token only, which costs as much as a forward pass.
        Call(training, "text encoder, forward and backward", 2 * reading, trained),
        Call(training, "BEATs", hearing[0], trained),
        Call(sampling, "U-Net, with guidance", 2 * evaluations * forward, pictures),
        Call(sampling, "autoencoder's decoder", decoding, pictures),
        Call(sampling, "text encoder", reading, pictures),
        Call(sampling, "BEATs", hearing[1], pictures),
        Call(scoring, "CLIP ViT-B/32, pictures", seeing["ViT-B-32"], pictures),
        Call(scoring, "CLIP ViT-L/14, pictures and true frames", seeing["ViT-L-14"], 2 * pictures),
    ]


def table(calls: list[Call], rate: float | None = None) -> str:
    """Return a Markdown table of calls.

    Args:
        calls: The calls.
        rate: Rate of a device in TFLOP/s; adds a column of hours.
    """
    head = ["part", "network", "one pass, GFLOP", "passes", "in all, PFLOP"] + (["hours"] if rate else [])
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]

    def line(part: str, network: str, one: str, passes: str, total: int) -> str:
        hours = [f"{total / (rate * 1e12) / 3600:.2f}"] if rate else []
        return f"| {' | '.join([part, network, one, passes, f'{total / 1e15:,.1f}', *hours])} |"

    lines += [line(c.part, c.network, f"{c.operations / 1e9:,.1f}", f"{c.count:,}", c.total) for c in calls]
    for part in dict.fromkeys(call.part for call in calls):
        lines.append(line(f"**{part}**", "", "", "", sum(call.total for call in calls if call.part == part)))
    return "\n".join([*lines, line("**all**", "", "", "", sum(call.total for call in calls))])


def main() -> None:
    """Print the table for the suite `vggsound`."""
    from benchmark.suite import load_suite

    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.flops")
    parser.add_argument("--rate", type=float, help="TFLOP/s that the device reaches; adds a column of hours")
    rate = parser.parse_args().rate
    if rate is not None and not rate > 0:
        parser.error(f"--rate {rate}: give the TFLOP/s that the device reaches, above 0")
    print(table(count(load_suite("vggsound")), rate))


if __name__ == "__main__":
    main()
