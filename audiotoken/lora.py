"""LoRA of the U-Net's attention, as AudioToken's repository offers it beside the embedder.

Each of the projections to_q, to_k, to_v and to_out of every attention, self and cross, becomes W + up @ down of a low
rank (Hu et al., 2106.09685); `down` starts at N(0, 1 / rank^2), `up` at zero, so that training starts at the U-Net as
it was. These are the layers, rank, start and scale of diffusers' LoRAAttnProcessor at its defaults, which
guyyariv/AudioToken@b42a374 uses (modules/AudioToken/AudioToken.py); here they are PEFT's.
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
"""The name that diffusers' `load_lora_weights` looks for in a folder."""


def with_own_unet(backbone: Backbone) -> Backbone:
    """`backbone` around a U-Net of other modules over the same tensors: what is added to it stays in it.

    It takes no memory, and what was frozen stays so.
    """
    own = copy.copy(backbone)
    own.pipeline = copy.copy(backbone.pipeline)
    own.pipeline.unet = own.unet = sharing_copy(backbone.unet)
    return own


def sharing_copy(unet: Any) -> Any:
    """Other modules over the same tensors."""
    return copy.deepcopy(unet, {id(tensor): tensor for tensor in (*unet.parameters(), *unet.buffers())})


def add_lora(unet: Any, rank: int, seed: int) -> None:
    """Add a LoRA of `rank` to `unet`, in the place of one that is there; only it requires gradients.

    Its start depends on `seed` alone, and the global random state is left as it is.
    """
    from peft import LoraConfig

    remove_lora(unet)
    unet.requires_grad_(False)
    # alpha = rank: a scale of 1
    config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(PROJECTIONS))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        unet.add_adapter(config, ADAPTER)
    # new modules come in training mode
    unet.train(unet.training)


def remove_lora(unet: Any) -> None:
    """Make `unet` the plain U-Net again, without any adapter."""
    if getattr(unet, "peft_config", None):
        unet.unload_lora()


def lora_layers(unet: Any) -> dict[str, tuple[Parameter, Parameter]]:
    """down (rank, inputs) and up (outputs, rank) by the projection's name; empty where there is no LoRA of ours."""
    if ADAPTER not in getattr(unet, "peft_config", {}):
        return {}
    from peft.tuners.lora import LoraLayer

    return {
        name: (module.lora_A[ADAPTER].get_parameter("weight"), module.lora_B[ADAPTER].get_parameter("weight"))
        for name, module in unet.named_modules()
        if isinstance(module, LoraLayer) and ADAPTER in module.lora_A
    }


def save_lora(path: Path, unet: Any) -> None:
    """Write the LoRA of `unet` to `path` (safetensors), in the layout that diffusers' `load_lora_weights` reads.

    Names are "unet.<projection>.lora_A.weight" (down) and "...lora_B.weight" (up). Equal ones give equal bytes.
    Raises ValueError where `unet` has none.
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
    """Give `unet` the LoRA stored at `path`, frozen, in the place of one that is there.

    Reads what `save_lora` wrote, and the released `lora_layers_learned_embeds.bin` (a PyTorch file; only its tensors
    are read). Raises UserError listing every missing, unexpected, wrongly shaped or not finite parameter, or if the
    file cannot be read.
    """
    remove_lora(unet)
    stored = load_lora(path, unet)
    ranks = sorted({len(down) for down, _ in stored.values()})
    if len(ranks) != 1:
        raise UserError(f"{path} holds layers of ranks {', '.join(map(str, ranks)) or 'none'}: one rank is read")
    add_lora(unet, ranks[0], seed=0)
    with torch.no_grad():
        for name, layer in lora_layers(unet).items():
            for parameter, value in zip(layer, stored[name], strict=True):
                parameter.requires_grad_(False).copy_(value)
