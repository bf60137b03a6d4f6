"""What can be said to the frozen backbone of `mini` at all: bounds for every method that speaks to it.

    python -m benchmark.studies.ceilings
    python -m benchmark.studies.ceilings --kind inversion --limit 36
    python -m benchmark.studies.ceilings --kind words --clean

Four ways to tell the backbone about a test clip, everything else as in a run (clips, batches, seeds, guidance):

=========  =============================================================================================
label      the label in words, as `sd-text`: the class and nothing of its manner, 50 within the class
words      the label and everything that is seen, in words ("a photo of two huge dog barking")
fused      the same as one vector in the place of a word, as in the backbone's training
inversion  one vector that is optimised on the clip's own frame: textual inversion (Gal et al. 2022, 2208.01618)
=========  =============================================================================================

No audio token can say more than `inversion` and `fused` together show a single word to say; `words` is what the
backbone itself can draw. What AIS can see of it is limited by its own ear: `frames` are the true frames, and with
`--clean` the same images are compared with the sounds without their scenes. Images are kept in `DIR/KIND`, and records
beside those of methods, as `ceiling-KIND`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.media.images import resize
from benchmark.mini.captions import ORDER, statement
from benchmark.mini.data import world_digest
from benchmark.mini.pretrain.backbone import fuse
from benchmark.runs import steps
from benchmark.runs.external import run_of_images, take_in
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.studies.clean import write
from benchmark.text_encoder import label_embedding
from benchmark.utils.errors import BenchError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_table

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmark.backbone import Backbone
    from benchmark.clips import Clip
    from benchmark.records.record import RunRecord

COLUMNS = ("ais.winrate.sameclass", "iis.winrate.sameclass", "ais", "iis", "aic")


@dataclass(frozen=True)
class Inversion:
    """Settings of textual inversion: Adam on one vector a clip, uniform timesteps, gradients as they are."""

    steps: int = 500
    rate: float = 3e-2
    """Learning rate, in units of the text encoder's input embeddings."""


def conditionings(backbone: Backbone, inversion: Inversion) -> Mapping[str, Callable[[Sequence[Clip]], torch.Tensor]]:
    """Return, by kind, the function that encodes clips to hidden states (B, L, D)."""

    def label(clips: Sequence[Clip]) -> torch.Tensor:
        return backbone.encode_prompts([backbone.prompt(clip.label) for clip in clips])

    def words(clips: Sequence[Clip]) -> torch.Tensor:
        return backbone.encode_prompts([backbone.prompt(statement(clip.label, clip.attributes)) for clip in clips])

    @torch.no_grad()
    def fused(clips: Sequence[Clip]) -> torch.Tensor:
        said = [
            (clip.label, {name: clip.attributes[name] for name in ORDER if name in clip.attributes}) for clip in clips
        ]
        return backbone.inject(fuse(backbone.tokenizer, backbone.text_encoder, said))

    def inverted(clips: Sequence[Clip]) -> torch.Tensor:
        with torch.no_grad():
            return backbone.inject(invert(backbone, clips, inversion))

    return {"label": label, "words": words, "fused": fused, "inversion": inverted}


@torch.enable_grad()
def invert(backbone: Backbone, clips: Sequence[Clip], settings: Inversion) -> torch.Tensor:
    """Optimise one token for each clip's own frame; return them, (B, D).

    A token starts as the mean input embedding of its label. A step sees every clip once, at timesteps that are
    stratified over the batch.
    """
    spec = backbone.suite.backbone
    frames = [np.asarray(resize(clip.picture(), spec.resolution, spec.resize)) for clip in clips]
    mean, deviation = (part.to(backbone.device, copy=True) for part in backbone.encode_pictures(np.stack(frames)))
    start = label_embedding(backbone.tokenizer, backbone.text_encoder, [clip.label for clip in clips])
    tokens = start.clone().to(backbone.device).requires_grad_()
    optimizer = torch.optim.Adam([tokens], lr=settings.rate)
    schedule, count = backbone.noise_schedule, len(clips)
    for step in range(settings.steps):
        generator = torch.Generator().manual_seed(step)
        latents = mean + deviation * torch.randn(mean.shape, generator=generator).to(mean)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        place = torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)
        times = (place * (schedule.config.num_train_timesteps / count)).long().to(mean.device)
        noisy = schedule.add_noise(latents, noise, times).contiguous(memory_format=torch.channels_last)
        target = schedule.get_velocity(latents, noise, times)
        predicted = backbone.unet(noisy, times, backbone.inject(tokens)).sample
        optimizer.zero_grad(set_to_none=True)
        # A sum, so that no clip's gradient depends on how many others there are.
        (predicted - target).square().flatten(1).mean(1).sum().backward()
        optimizer.step()
    return tokens.detach()


def clean_request(run: Run, folder: Path) -> RunRequest:
    """Return the run's request with its test clips' sounds without their scenes, which are written to `folder`."""
    # All of them, as a limit does not take the first ones; of this version of the world.
    path = folder / f"clean-{world_digest('clean')[:8]}" / "manifest.csv"
    if not path.is_file():
        shutil.rmtree(path.parent, ignore_errors=True)  # unfinished: the manifest is written last
        write(path.parent, {"test": run.plan.suite.data.test}, run.ui)
    return replace(run.plan.request, data=path)


def measure(kind: str, run: Run, inversion: Inversion, folder: Path, scored: RunRequest) -> RunRecord:
    """Draw the run's test clips from what `kind` says of them, score them as `scored` asks, and return the record."""
    if kind == "frames":
        return steps.run(Run.of(replace(scored, method="reference"), run.ui))
    encode = conditionings(run.backbone, inversion)[kind]

    def images(clips: Sequence[Clip], seeds: Sequence[int]) -> list[Image]:
        return run.backbone.sample(encode(clips), seeds)

    steps.draw(run, images, folder / kind)
    sees = "label" if kind == "label" else "frame"
    job, found = run_of_images(folder / kind, scored, run.ui, name=f"ceiling-{kind}", sees=[sees])
    take_in(job, found)
    return steps.score(job)


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.ceilings", description=(__doc__ or "").partition("\n")[0]
    )
    kinds = ("frames", "label", "words", "fused", "inversion")
    parser.add_argument("--kind", choices=kinds, action="append", help="one way of telling; repeatable (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the images' noise (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="number of test clips")
    parser.add_argument("--clean", action="store_true", help="compare with the sounds without their scenes")
    parser.add_argument("--steps", type=int, default=Inversion.steps, help="of inversion (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=Inversion.rate, help="of inversion (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto (default: %(default)s)")
    parser.add_argument("--runs", type=Path, help="where runs live (default: ./runs)")
    parser.add_argument("-o", "--out", type=Path, default=Path("ceilings"), help="folder of the images")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    inversion = Inversion(given.steps, given.rate)
    request = RunRequest(method="sd-text", seed=given.seed, limit=given.limit, runs=given.runs, device=given.device)
    try:
        run = Run.of(request, ui or Console())
        scored = clean_request(run, given.out) if given.clean else request
        told = partial(measure, run=run, inversion=inversion, folder=given.out, scored=scored)
        found = {kind: told(kind).metrics for kind in given.kind or kinds}
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    values = {kind: {column: metrics[column].value for column in COLUMNS} for kind, metrics in found.items()}
    if given.json:
        print(
            json.dumps({"clips": len(run.test), "seed": given.seed, "clean": given.clean, "ceilings": values}, indent=2)
        )
        return 0
    rows = [[kind, *("" if v is None else f"{v:.2f}" for v in row.values())] for kind, row in values.items()]
    print_table(["told", *COLUMNS], rows, right=range(1, len(COLUMNS) + 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
