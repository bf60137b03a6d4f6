"""Processor time and peak memory of the metrics of a large suite, each family in a fresh process.

    python -m benchmark.studies.metric_cost

Embeddings are random, as neither figure depends on their values. The processor time is that of all threads together, so
that other work on the machine does not count. The peak is that of the whole process, including the interpreter, numpy
and the embeddings themselves (float32, as they are cached).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

CLIPS, CLASSES = 15_446, 309
"""Numbers of clips and classes of VGGSound's test split."""

_SIMILARITY = ("", ".winrate.inclusive", ".winrate.crossclass", ".winrate.sameclass", ".cosine", ".z", ".arccos")
_CONTENT = ("aic", "aic.prompted", "aic.r@5", "aic.audio")
_MANIFOLD = ("precision", "recall", "density", "coverage")

WIDTHS = {
    "image_audio_space": 512,
    "audio": 512,
    "image": 768,
    "reference": 768,
    "text": 768,
    "text_prompted": 768,
    "clip-vit-b-32": 512,
    "clip-vit-l-14": 768,
    "inception": 2048,
}
"""Width of the embeddings, by field of `MetricInputs` or by extractor."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "`ais` and its variants": tuple(f"ais{variant}" for variant in _SIMILARITY),
    "`iis` and its variants": tuple(f"iis{variant}" for variant in _SIMILARITY),
    "`aic` and its variants": _CONTENT,
    **{f"`fd.{name}`": (f"fd.{name}",) for name in ("clip-vit-b-32", "clip-vit-l-14")},
    "`fid`": ("fid",),
    **{f"`kid.{name}`": (f"kid.{name}",) for name in ("clip-vit-b-32", "clip-vit-l-14")},
    "`kid`": ("kid",),
    **{
        f"precision, recall, density, coverage `.{name}`": tuple(f"{metric}.{name}" for metric in _MANIFOLD)
        for name in ("clip-vit-b-32", "clip-vit-l-14")
    },
    "precision, recall, density, coverage": _MANIFOLD,
}
FAMILIES["all of these together"] = tuple(metric for family in FAMILIES.values() for metric in family)


def measure(family: str, clips: int) -> dict[str, float]:
    """Compute a family of metrics in this process.

    Args:
        family: Name of the family, a key of `FAMILIES`.
        clips: Number of clips.

    Returns:
        Processor time in "seconds", and "peak" memory in bytes.
    """
    import numpy as np

    from metrics import compute, definitions

    rng = np.random.default_rng(0)

    def embeddings(name: str, rows: int) -> Any:
        return rng.standard_normal((rows, WIDTHS[name]), dtype=np.float32)

    classes = np.arange(clips) % CLASSES
    given: dict[str, Any] = {"image_features": {}, "reference_features": {}}
    for need in sorted({need for metric in FAMILIES[family] for need in definitions.get(metric).needs}):
        name, _, extractor = need.partition(".")
        if extractor:
            given[name][extractor] = embeddings(extractor, clips)
        elif name in WIDTHS:
            given[name] = embeddings(name, CLASSES if name.startswith("text") else clips)
        else:
            given[name] = classes
    inputs = compute.MetricInputs(**given)
    began = time.process_time()
    results = compute.compute(FAMILIES[family], inputs)
    seconds = time.process_time() - began
    for metric, result in results.items():
        if result.value is None:
            raise RuntimeError(f"{metric}: {result.reason}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def main() -> None:
    """Print a Markdown table of all families."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.metric_cost", description=about)
    parser.add_argument("--clips", type=int, default=CLIPS, help="images and true frames (default: %(default)s)")
    parser.add_argument("--family", choices=FAMILIES, help="measure this family in this process, and print JSON")
    asked = parser.parse_args()
    if asked.family:
        print(json.dumps(measure(asked.family, asked.clips)))
        return
    print("| metrics | processor seconds | peak memory |\n|---|---|---|")
    for family in FAMILIES:
        command = [
            sys.executable,
            "-m",
            "benchmark.studies.metric_cost",
            "--family",
            family,
            "--clips",
            str(asked.clips),
        ]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(f"| {family} | {found['seconds']:.1f} | {found['peak'] / 1e6:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
