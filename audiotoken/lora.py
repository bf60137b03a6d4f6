"""LoRA of the U-Net's attention, which AudioToken's repository offers beside the embedder.

Each of the projections to_q, to_k, to_v and to_out of every attention, self and cross, becomes W + up @ down of a low
rank (Hu et al., 2106.09685). `down` starts at N(0, 1 / rank^2) and `up` at zero, so that training starts from the
unchanged U-Net. Layers, rank, start and scale are those of diffusers' LoRAAttnProcessor at its defaults, which
guyyariv/AudioToken@b42a374 uses (modules/AudioToken/AudioToken.py); the implementation is PEFT's.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch.nn import Parameter

from audiotoken.checkpoint import load_lora
from benchmark.utils.errors import UserError
from benchmark.utils.files import save_atomic

if TYPE_CHECKING:
    from benchmark import Backbone

ADAPTER = "audiotoken"
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
FILE = "pytorch_lora_weights.safetensors"
"""File name that diffusers' `load_lora_weights` expects in a folder."""


def with_own_unet(backbone: Backbone) -> Backbone:
    """Return `backbone` around a U-Net with modules of its own over the same tensors, so that a LoRA stays in it.

    The copy takes no memory, and frozen parameters stay frozen.
    """
    # New layers take the precision of those that they stand beside.
    backbone.single_precision()
    own = copy.copy(backbone)
    own.pipeline = copy.copy(backbone.pipeline)
    own.pipeline.unet = own.unet = sharing_copy(backbone.unet)
    return own


def sharing_copy(unet: Any) -> Any:
    """Return a copy of the U-Net's modules over the same tensors."""
    return copy.deepcopy(unet, {id(tensor): tensor for tensor in (*unet.parameters(), *unet.buffers())})


def add_lora(unet: Any, rank: int, seed: int) -> None:
    """Add a LoRA to a U-Net, replacing any that it has; only the LoRA requires gradients.

    Its start depends on `seed` alone, and the global random state is not changed.

    Args:
        unet: U-Net to change in place.
        rank: Rank of the LoRA.
        seed: Seed of its start.
    """
    from peft import LoraConfig

    remove_lora(unet)
    unet.requires_grad_(False)
    # With alpha = rank the scale is 1.
    config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(PROJECTIONS))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        unet.add_adapter(config, ADAPTER)
    # New modules are created in training mode.
    unet.train(unet.training)


def remove_lora(unet: Any) -> None:
    """Remove all adapters from a U-Net, in place."""
    if getattr(unet, "peft_config", None):
        unet.unload_lora()


def lora_layers(unet: Any) -> dict[str, tuple[Parameter, Parameter]]:
    """Return the parameters of this package's LoRA; empty where the U-Net has none.

    Returns:
        Parameters down (rank, inputs) and up (outputs, rank) by the projection's name.
    """
    if ADAPTER not in getattr(unet, "peft_config", {}):
        return {}
    from peft.tuners.lora import LoraLayer

    return {
        name: (module.lora_A[ADAPTER].get_parameter("weight"), module.lora_B[ADAPTER].get_parameter("weight"))
        for name, module in unet.named_modules()
        if isinstance(module, LoraLayer) and ADAPTER in module.lora_A
    }


def save_lora(path: Path, unet: Any) -> None:
    """Write the LoRA of a U-Net in safetensors format, in the layout that diffusers' `load_lora_weights` reads.

    Names are "unet.<projection>.lora_A.weight" (down) and "unet.<projection>.lora_B.weight" (up). Equal LoRAs give
    equal bytes.

    Args:
        path: File to write.
        unet: U-Net with a LoRA.

    Raises:
        ValueError: `unet` has no LoRA.
    """
    tensors = {
        f"unet.{name}.lora_{side}.weight": value.detach().cpu().contiguous()
        for name, layer in lora_layers(unet).items()
        for side, value in zip("AB", layer, strict=True)
    }
    if not tensors:
        raise ValueError("the U-Net has no LoRA: add_lora makes one")
    save_atomic(path, lambda temporary: safetensors.torch.save_file(tensors, temporary))


def load_lora_into(path: Path, unet: Any) -> None:
    """Load a LoRA into a U-Net, frozen, replacing any that it has.

    Reads files of `save_lora` and the released `lora_layers_learned_embeds.bin`, a PyTorch file of which only the
    tensors are read.

    Args:
        path: File to read.
        unet: U-Net to change in place.

    Raises:
        UserError: The file cannot be read, layers differ in rank, or parameters are missing, unexpected, wrongly shaped
            or not finite; the error lists them all.
    """
    remove_lora(unet)
    stored = load_lora(path, unet)
    ranks = sorted({len(down) for down, _ in stored.values()})
    if len(ranks) != 1:
        raise UserError(f"{path} holds layers of ranks {', '.join(map(str, ranks)) or 'none'}: all must have one rank")
    add_lora(unet, ranks[0], seed=0)
    with torch.no_grad():
        for name, layer in lora_layers(unet).items():
            for parameter, value in zip(layer, stored[name], strict=True):
                parameter.requires_grad_(False).copy_(value)
