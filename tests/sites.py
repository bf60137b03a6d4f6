"""A small suite of made-up clips and methods, hostile names among them, and the site that is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from boards import metric, stored
from PIL import Image

from benchmark.clips import Clip, ClipSet
from benchmark.records.record import write_scores
from benchmark.records.store import Store, StoredRecord, suite_folder
from benchmark.report.sources import Sources, gather
from benchmark.runs.variations import Variation
from benchmark.suite import load_suite
from benchmark.utils.progress import Silent

EVIL = "<img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\u202e"
LABELS = ("church bell", "dog barking", f"{EVIL} rain")
CLIPS = 24
SUITE = load_suite("mini")
FINGERPRINT = SUITE.fingerprint()
CEILING = 91.0
"""What the true frames reach in the attribute that some runs are asked about."""


def clip_set(count: int = CLIPS) -> ClipSet:
    """Clips of three classes; sounds are tones, frames are of one colour a class."""
    time = np.arange(16000) / 16000
    made = [
        Clip(
            f"clip-{k:05d}",
            (0.3 * np.sin(2 * np.pi * (220 + 20 * k) * time)).astype(np.float32),
            np.full((32, 32, 3), 60 * (k % 3) + 40, dtype=np.uint8),
            (LABELS[k % 3],),
            "test",
            {"size": 0.25, "colour": "red"},
        )
        for k in range(count)
    ]
    return ClipSet("made up", tuple(made), LABELS, f"made up {count}")


def a_run(
    store: Store,
    method: str,
    shift: float,
    seed: int = 0,
    *,
    images: bool = True,
    variation: str | None = None,
    hears: float | None = None,
    **changes: Any,
) -> StoredRecord:
    """The folder of a run of all clips: record, scores and, if wanted, images.

    Of a variation of the clips where one is named; `hears` is the value of a metric that a probe answers.
    """
    import pandas as pd

    rng = np.random.default_rng(abs(hash((len(method), seed))) % 2**32)
    ais = np.clip(70 + shift + rng.normal(0, 6, CLIPS), 0, 100)
    aic = np.where(rng.random(CLIPS) < 0.5 + shift / 40, 100.0, 0.0)
    labels = [LABELS[k % 3] for k in range(CLIPS)]
    table = pd.DataFrame({"clip": [f"clip-{k:05d}" for k in range(CLIPS)], "label": labels, "ais": ais, "aic": aic})
    metrics = {name: metric(float(table[name].mean()), n=CLIPS) for name in ("ais", "aic")}
    metrics |= {"fd.clip": metric(9.0 - shift / 10 + seed, "down", n=CLIPS)}
    if hears is not None:
        metrics["hears.size"] = metric(hears, n=CLIPS, chance=100 / 3, details={"ceiling": CEILING})
    per_class = {name: dict(table.groupby("label")[name].mean()) for name in ("ais", "aic")}
    facts = {
        "metrics": metrics,
        "clips": {"total": CLIPS},
        "per_class": per_class,
        **changes,
    }
    suite = SUITE
    if variation is not None:
        suite = SUITE.with_variation(variation, Variation.parse(variation).identity)
        facts["suite"] = {"name": suite.name, "version": 1, "fingerprint": suite.fingerprint()}
    made = stored(method, 0.0, 0.0, seed, fingerprint=suite.fingerprint(), **facts)
    folder = store.run(suite_folder(suite.name, suite.fingerprint()), method, seed, changed=facts.get("settings"))
    made.record.save(folder.record_path)
    write_scores(folder.scores_path, table)
    for k in range(CLIPS if images else 0):
        folder.images.mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (10 * k, 60 + seed, int(2 * shift))).save(folder.images / f"clip-{k:05d}.png")
    return StoredRecord(made.record, folder.record_path, "runs")


def runs_of(root: Path) -> tuple[Store, list[StoredRecord]]:
    """Runs of four methods: one with two seeds, one without images, one with a hostile name and settings."""
    store = Store(root)
    records = [
        a_run(store, "alpha", 12.0, 0, sees=["audio"], cost={"fit_seconds": 60.0, "trainable_parameters": 1000}),
        a_run(store, "alpha", 12.0, 1, sees=["audio"], cost={"fit_seconds": 66.0, "trainable_parameters": 1000}),
        a_run(store, "beta", 4.0, 0, sees=["audio"], cost={"fit_seconds": 600.0}),
        a_run(store, "gamma", 8.0, 0, images=False, sees=["label"]),
        a_run(store, EVIL, 0.0, 0, sees=["audio", "label list"], settings={f"key{EVIL}": EVIL}),
    ]
    return store, records


def stressed_runs_of(root: Path) -> tuple[Store, list[StoredRecord]]:
    """The same runs, two that are asked about an attribute, and runs on changed clips beside them."""
    store, records = runs_of(root)
    records[2:3] = [a_run(store, "beta", 4.0, 0, sees=["audio"], hears=40.0)]
    records.append(a_run(store, "true", 20.0, 0, sees=["frame"], hears=CEILING))
    for name, lost in (("snr=20", 1.0), ("snr=0", 8.0), ("snr=-5", 14.0), ("reversed", 3.0), ("silence", 20.0)):
        a_run(store, "alpha", 12.0 - lost, variation=name, images=False, sees=["audio"])
    for name in ("snr=0", "mix=6"):
        a_run(store, "beta", 0.0, variation=name, images=False, sees=["audio"])
    a_run(store, EVIL, -4.0, variation="silence", images=False, sees=["audio"], settings={f"key{EVIL}": EVIL})
    return store, records


def sources_of(store: Store, records: list[StoredRecord], **changes: Any) -> Sources:
    """What the site of these records is made from."""
    given = {"clips": clip_set(), **changes}
    return gather("mini", FINGERPRINT, records, store, Silent(), **given)
