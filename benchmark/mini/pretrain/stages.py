"""Pretraining of all networks of the suite `mini` from scratch: `bench mini pretrain [STAGE...]`.

Each stage trains on the world's `pretrain` split, reports on `pretrain-val`, and writes one half-precision safetensors
file and one report. No stage ever sees a training, validation or test clip of the suite. Autoencoder and backbone are
trained in courses, each with a learning rate that falls to nothing; the result of any but the last is not part of the
suite and stays beside the checkpoints. The weights of the package were made on one GPU in fourteen minutes of training
(their reports name it); on two slow cores all of it takes about a day. Stages:

================  =====================================================================  ======================
stage             network and training                                                   needs
================  =====================================================================  ======================
vae-draft         AutoencoderKL: L1, gradient L1 and KL
vae               the draft trained further, with a second course of the rate            vae-draft
backbone-draft    CLIP text encoder and U-Net together: velocity prediction (v-loss)     vae
backbone-second   the draft trained further, with a second course of the rate            vae, backbone-draft
backbone-third    the same once more, longer                                             vae, backbone-second
backbone-fourth   the same with fused words that are noisy, longer, shorter, mixed       vae, backbone-third
backbone-fifth    that once more                                                         vae, backbone-fourth
backbone          that once more, longer                                                 vae, backbone-fifth
beats             AudioToken's audio encoder: audio tags (label and manner)
clip              the image scorer: contrastive, captions that are true of a frame       vae (as augmentation)
wav2clip          the sound scorer: contrastive against the frozen clip                  clip
classifier        the audio classifier: labels
wav2clip-encoder  the Wav2CLIP of methods: another training, other draws                 clip
imagebind         ImageBind: captions to frames, and sounds to frames (InfoNCE)
================  =====================================================================  ======================
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmark.mini import captions, networks
from benchmark.mini.data import world_digest
from benchmark.mini.pretrain.backbone import COURSES, BackboneTask, VAEDraftTask, VAETask
from benchmark.mini.pretrain.loop import Schedule, Task, train
from benchmark.mini.pretrain.scorers import CLIPTask, ImageBindTask, TagTask, Wav2CLIPEncoderTask, Wav2CLIPTask
from benchmark.mini.pretrain.workshop import Workshop
from benchmark.mini.world import LABELS
from benchmark.utils.errors import unknown
from benchmark.utils.files import sha256_of, write_atomic

STAGES = {
    "vae-draft": 0,
    "vae": 0,
    **dict.fromkeys(COURSES, 1),
    "beats": 2,
    "clip": 3,
    "wav2clip": 4,
    "classifier": 5,
    "wav2clip-encoder": 6,
    "imagebind": 7,
}
"""The stages in order, each with its seed."""


def _task(stage: str, shop: Workshop) -> Task:
    if stage in COURSES:
        return BackboneTask(shop, COURSES[stage])
    if stage == "beats":
        tags = captions.all_tags()
        schedule = Schedule(steps=4_000, batch=64, rate=1.2e-3, warmup=200)
        return TagTask(shop, networks.beats(len(tags)), tags, True, schedule)
    if stage == "classifier":
        schedule = Schedule(steps=1_500, batch=32, rate=1.5e-3, warmup=100)
        return TagTask(shop, networks.classifier(len(LABELS)), LABELS, False, schedule)
    tasks: dict[str, Callable[[Workshop], Task]] = {
        "vae-draft": VAEDraftTask,
        "vae": VAETask,
        "clip": CLIPTask,
        "wav2clip": Wav2CLIPTask,
        "wav2clip-encoder": Wav2CLIPEncoderTask,
        "imagebind": ImageBindTask,
    }
    return tasks[stage](shop)


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _prefixed(say: Callable[[str], None], stage: str) -> Callable[[str], None]:
    return lambda line: say(f"{stage}: {line}")


def pretrain(
    stages: Sequence[str],
    weights: Path,
    work: Path,
    cache: Path,
    say: Callable[[str], None] = print,
    *,
    steps: int | None = None,
    device: str = "cpu",
) -> dict[str, dict[str, Any]]:
    """Train stages and export each of them as `<stage>.safetensors` and `<stage>.json`.

    An interrupted stage continues from its checkpoint; an exported one is trained again only if its checkpoint was
    removed.

    Args:
        stages: The stages, trained in the order of `STAGES`; all if empty.
        weights: Folder for the exported networks and reports.
        work: Folder for the checkpoints and for the drafts.
        cache: Folder of the cached world.
        say: Receives lines on the progress.
        steps: Number of steps of every schedule instead of its own, for trying the recipe out.
        device: Where the networks are trained: "cpu" or "cuda".

    Returns:
        The report of each stage.

    Raises:
        UserError: A stage is unknown, or the result of an earlier stage is missing.
    """
    for stage in stages:
        if stage not in STAGES:
            raise unknown("stage", stage, STAGES)
    work.mkdir(parents=True, exist_ok=True)
    shop = Workshop(weights, work, cache, say, device)
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
        result = train(task, work / f"{stage}.pt", _prefixed(say, stage), device=shop.device)
        assert result is not None
        modules, progress = result
        path = (weights if task.ships else work) / f"{stage}.safetensors"
        networks.export(modules, path)
        # The exported half-precision weights are evaluated, not those in memory.
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
            "device": _name_of(shop.device),
            "threads": torch.get_num_threads(),
            "held_out": task.evaluate(),
            "losses": [[step, round(loss, 5)] for step, loss in progress.losses[:: max(1, len(progress.losses) // 40)]],
            "world": {kind: world_digest(kind) for kind in ("sounds", "pictures")},
            "torch": torch.__version__,
        }
        write_atomic(weights / f"{stage}.json", json.dumps(reports[stage], indent=2) + "\n")
        say(f"{stage}: exported {path.name}, {path.stat().st_size / 1e6:.2f} MB, {reports[stage]['held_out']}")
    return reports
