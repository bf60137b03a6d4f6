"""Checkpoints of embedders, LoRAs and training states.

Files are written atomically, and reading never unpickles objects.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from audiotoken.embedder import Embedder
from benchmark.utils import sealed
from benchmark.utils.errors import UserError
from benchmark.utils.files import canonical_json, refuse_special, save_atomic

if TYPE_CHECKING:
    from benchmark.utils.progress import UI

# One key for all metadata: safetensors writes several in random order, but equal embedders must be equal files.
_METADATA = "audiotoken"
# Where diffusers' `save_lora_adapter` and `load_lora_weights` keep the configuration.
_LORA_METADATA = "lora_adapter_metadata"
_LARGEST_ALPHA = 1e9
_UNSUPPORTED = ("alpha_pattern", "rank_pattern", "use_dora", "lora_bias")


def save_embedder(path: Path, embedder: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write an embedder's parameters in safetensors format; equal contents give equal bytes.

    Args:
        path: File to write.
        embedder: The embedder.
        metadata: Texts stored beside the parameters; see `read_metadata`.

    Raises:
        TypeError: A value of `metadata` is not a string.
    """
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise TypeError(f"metadata {key!r} is a {type(value).__name__}: safetensors holds text only")
    tensors = {name: value.detach().cpu().contiguous() for name, value in embedder.state_dict().items()}
    header = {_METADATA: canonical_json(dict(metadata))}
    save_atomic(path, lambda temporary: safetensors.torch.save_file(tensors, temporary, header))


def load_embedder(path: Path, *, dropout: float = 0.5, official_dropout: bool = False) -> Embedder:
    """Load an embedder in float32, on the CPU, in eval mode.

    Reads files of `save_embedder` and the released `embedder_learned_embeds.bin`, a PyTorch file of which only the
    tensors are read. The embedder's sizes and its number of tokens follow from the tensors. The global
    random state is not changed.

    Args:
        path: File to read.
        dropout: As in `Embedder`.
        official_dropout: As in `Embedder`.

    Raises:
        UserError: The file cannot be read, or parameters are missing, unexpected, wrongly shaped or not finite; the
            error lists them all.
    """
    state = read_tensors(path)
    problems = _problems(state)
    if problems:
        raise UserError([f"{path} is not an embedder checkpoint: {problem}" for problem in problems])
    sizes = _sizes(state)
    assert sizes is not None
    with torch.device("meta"):
        embedder = Embedder(
            sizes.input,
            sizes.output,
            hidden_size=sizes.hidden,
            dropout=dropout,
            official_dropout=official_dropout,
            tokens=sizes.tokens,
        )
    embedder.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    return embedder.eval()


def load_lora(path: Path, unet: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Load the LoRA of each attention projection of a U-Net.

    Reads files of `lora.save_lora` and the released `lora_layers_learned_embeds.bin`, the state of diffusers' LoRA
    attention processors (guyyariv/AudioToken@b42a374 train.py).

    Args:
        path: File to read.
        unet: U-Net that the LoRA must fit.

    Returns:
        Matrices down (rank, inputs) and up (outputs, rank) by the name of a module of `unet`
        ("down_blocks.0....attn1.to_q", "....to_out.0"). The LoRA adds `up @ down` to the module's weight: where the
        file's header states an alpha, `up` is multiplied by alpha / rank, as in diffusers.

    Raises:
        UserError: The file cannot be read, or parameters are missing, unexpected, wrongly shaped or not finite; the
            error lists them all.
    """
    state = read_tensors(path)
    ours = any(".lora_A." in key for key in state)
    layers, problems = {}, []
    for name, module in unet.named_modules():
        if not hasattr(module, "to_q") or not hasattr(module, "to_out"):
            continue
        for part, linear in {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out": "to_out.0"}.items():
            layer = unet.get_submodule(f"{name}.{linear}")
            assert isinstance(layer, nn.Linear)
            outputs, inputs = layer.weight.shape
            if ours:
                keys = [f"unet.{name}.{linear}.lora_{side}.weight" for side in "AB"]
            else:
                keys = [f"{name}.processor.{part}_lora.{side}.weight" for side in ("down", "up")]
            down, up = (state.pop(key, None) for key in keys)
            if down is None or up is None:
                problems += [f"{key} is missing" for key, value in zip(keys, (down, up), strict=True) if value is None]
            elif down.shape != (up.shape[-1], inputs) or up.shape != (outputs, len(down)):
                problems.append(
                    f"{keys[0]} and its up have shapes {tuple(down.shape)} and {tuple(up.shape)}, "
                    f"expected (rank, {inputs}) and ({outputs}, rank) for this U-Net"
                )
            elif not (down.isfinite().all() and up.isfinite().all()):
                problems.append(f"{keys[0]} or its up holds values that are not finite")
            else:
                layers[f"{name}.{linear}"] = down.float(), up.float()
    problems += [f"{key} is unexpected" for key in state]
    stated = _stated_config(path)
    problems += [f"its header sets {key}, which is not supported" for key in _UNSUPPORTED if stated.get(key)]
    alpha = stated.get("lora_alpha", 1)
    if not (isinstance(alpha, int | float) and abs(alpha) < _LARGEST_ALPHA):
        problems.append(f"its header states lora_alpha {alpha!r}, which is no number")
    ranks = {len(down) for down, _ in layers.values()}
    if stated and [*ranks] != [stated.get("r")]:
        problems.append(f"its header states rank {stated.get('r')}, and its layers have {sorted(ranks)}")
    if problems:
        raise UserError([f"{path} is not a LoRA of this U-Net: {problem}" for problem in problems])
    return {name: (down, up * _scale(stated, len(down))) for name, (down, up) in layers.items()}


def _stated_config(path: Path) -> dict[str, Any]:
    """Return what a header says of the U-Net's LoRA, in the fields of PEFT's LoraConfig; empty if it says nothing."""
    if not _is_safetensors(path):
        return {}
    with _reading(path), safe_open(path, framework="pt") as file:
        stated = json.loads((file.metadata() or {}).get(_LORA_METADATA, "{}"))
        return {key.removeprefix("unet."): value for key, value in stated.items() if key.startswith("unet.")}


def _scale(stated: Mapping[str, Any], rank: int) -> float:
    """Return the factor of `up @ down` that PEFT takes for this configuration; 1 for none."""
    if not stated:
        return 1.0
    from peft import LoraConfig

    alpha = stated.get("lora_alpha", LoraConfig().lora_alpha)
    return float(alpha) / (rank**0.5 if stated.get("use_rslora") else rank)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata that `save_embedder` stored; empty for a file without.

    Raises:
        UserError: The file cannot be read.
    """
    if not _is_safetensors(path):
        return {}
    with _reading(path), safe_open(path, framework="pt") as file:
        found = json.loads((file.metadata() or {}).get(_METADATA, "{}"))
        if not (isinstance(found, dict) and all(isinstance(value, str) for value in found.values())):
            raise ValueError("texts by name were written")
    return found


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state: of the optimiser, the step, the random generators.

    The file is sealed for the folder that it lies in, whose name holds the identity of the fit.

    Args:
        path: File to write.
        state: Mappings, lists and tuples of tensors, numbers, strings, bytes, booleans and None, nested to any depth:
            what `load_state` can read without unpickling objects.

    Raises:
        TypeError: `state` holds a value of another type; the message names its place.
    """
    plain = _plain(state, "state")

    def write(temporary: Path) -> None:
        # A file object: PyTorch writes a file's own name into the file, but equal states should be equal files.
        with open(temporary, "wb") as file:
            torch.save(plain, file)

    sealed.save(path, _purpose(path), write)


def load_state(path: Path) -> dict[str, Any]:
    """Load a training state written by `save_state`, with tensors on the CPU.

    Raises:
        FileNotFoundError: The file is missing.
        Damaged: It is not what was written, or was written for another fit.
        UserError: This PyTorch cannot read it.
    """
    with sealed.opened(path, _purpose(path)) as file, _reading(path):
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def resume(path: Path, load: Callable[[dict[str, Any]], int], steps: int, ui: UI) -> int:
    """Continue a training from its state where there is one, and return the step that it goes on with.

    A damaged state is said, and the training starts again.

    Args:
        path: File of the training state.
        load: Takes the state, and returns the step that follows it.
        steps: Number of steps of the training.
        ui: Messages.

    Raises:
        UserError: This PyTorch cannot read the state.
    """
    try:
        first = load(load_state(path))
    except FileNotFoundError:
        return 0
    except sealed.Damaged as damage:
        ui.warn(f"{path} {damage}: the training starts again")
        return 0
    ui.say(f"continuing at step {first} of {steps}")
    return first


def _purpose(path: Path) -> list[str]:
    return ["training state", path.resolve().parent.name]


class _Sizes(NamedTuple):
    input: int
    output: int
    hidden: int
    tokens: int


def _sizes(state: Mapping[str, Tensor]) -> _Sizes | None:
    """Return the sizes of an embedder's `state`; None where it cannot be one."""
    first, second = state.get("fc1.weight"), state.get("fc2.weight")
    if second is None or second.ndim != 2:
        return None
    rows, hidden_size = second.shape
    input_size = first.shape[1] if first is not None and first.ndim == 2 else hidden_size
    # fc2 gives all tokens, and the pooling is as wide as one of them.
    pooling = state.get("fga.un_models.0.embed.bias")
    width = len(pooling) if pooling is not None and pooling.ndim == 1 else rows
    tokens = rows // width if width and rows and rows % width == 0 else 1
    return _Sizes(input_size, rows // tokens, hidden_size, tokens)


def _problems(state: Mapping[str, Tensor]) -> list[str]:
    """Return one line for every parameter that prevents `state` from being an embedder's."""
    sizes = _sizes(state)
    input_size, output_size, hidden_size, tokens = sizes or (1, 1, 1, 1)
    with torch.device("meta"):
        expected = Embedder(input_size, output_size, hidden_size=hidden_size, tokens=tokens).state_dict()
    problems = [f"{name} is missing" for name in expected if name not in state]
    problems += [f"{name} is unexpected" for name in state if name not in expected]
    for name, parameter in expected.items():
        value = state.get(name)
        if value is None:
            continue
        if sizes is None:
            if name == "fc2.weight":
                problems.append(f"{name} has shape {tuple(value.shape)}, expected (output size, hidden size)")
        elif value.shape != parameter.shape:
            problems.append(
                f"{name} has shape {tuple(value.shape)}, expected {tuple(parameter.shape)} to fit the others"
            )
        elif not value.isfinite().all():
            problems.append(f"{name} holds values that are not finite")
    return problems


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors by name of a file in safetensors format, or of one that PyTorch wrote.

    Raises:
        UserError: The file cannot be read, or holds anything else.
    """
    with _reading(path):
        if _is_safetensors(path):
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} is not a checkpoint: it does not hold named tensors")
    return state


def _is_safetensors(path: Path) -> bool:
    """Return whether the file begins as safetensors do, regardless of its suffix: eight bytes of length, then JSON."""
    with _reading(path), open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn errors of reading a file into a `UserError` of one line."""
    try:
        refuse_special(path)
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # on damaged data PyTorch raises nearly anything: IndexError, TypeError, ...
        # Without the library's message: PyTorch's recommends unpickling the file.
        raise UserError(f"{path} cannot be read: it is damaged, or not a file of named tensors") from error


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {_plain(key, f"{place} key"): _plain(item, f"{place}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    raise TypeError(f"{place} is a {type(value).__name__}: a training state holds tensors and plain values only")
