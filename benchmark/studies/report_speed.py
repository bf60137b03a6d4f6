"""Seconds and frames of a large report: making it, making it again, its first paint, and scrolling through its gallery.

    python -m benchmark.studies.report_speed --clips 2000 --methods 10

Clips, scores and images are synthetic. The site is opened from its folder in headless chromium, by playwright (the
extra `browser`), with a window of 1440 x 900.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.clips import Clip, ClipSet
from benchmark.records.record import RunRecord, run_identity, write_scores
from benchmark.records.store import Store, StoredRecord, packaged_records
from benchmark.report.make import make
from benchmark.report.sources import Sources, gather
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import Silent

SUITE = "mini"
LABELS = tuple(f"thing number {k}" for k in range(25))
SIDE = 128
SCREENS = 40
"""Screens that are scrolled through."""


def synthetic(root: Path, clips: int, methods: int) -> Sources:
    """Write runs of `methods` methods on `clips` clips below `root`; return what their report is made from.

    Raises:
        UserError: No record is packaged that they could be made from.
    """
    import pandas as pd

    packaged = packaged_records(SUITE).records
    if not packaged:
        raise UserError(f"no record of {SUITE} is packaged: start it from a checkout")
    like = packaged[0].record
    rng = np.random.default_rng(0)
    ids = [f"clip-{k:05d}" for k in range(clips)]
    store, records = Store(root), []
    for number in range(methods):
        run = store.run(SUITE, f"method-{number}", 0)
        run.images.mkdir(parents=True)
        scores = {"ais": rng.uniform(0, 100, clips), "iis": rng.uniform(0, 100, clips)}
        scores["aic"] = np.where(rng.random(clips) < 0.8, 100.0, 0.0)
        table = pd.DataFrame({"clip": ids, "label": [LABELS[k % len(LABELS)] for k in range(clips)], **scores})
        metrics = {
            name: like.metrics[name].model_copy(update={"value": float(np.mean(column)), "low": None, "high": None})
            for name, column in scores.items()
        }
        who = like.method.model_copy(update={"name": f"method-{number}"})
        identity = run_identity(like.suite.fingerprint, who.name, who.settings, 0, None)
        changes = {"method": who, "seed": 0, "metrics": metrics, "per_class": {}, "identity": identity}
        record = RunRecord.model_validate({**dict(like), **changes})
        record.save(run.record_path)
        write_scores(run.scores_path, table)
        for clip in ids:
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((SIDE, SIDE)).save(run.images / f"{clip}.png", compress_level=1)
        records.append(StoredRecord(record, run.record_path, "runs"))
    time_axis = np.arange(40000) / 16000
    tones = [(0.3 * np.sin(2 * np.pi * (200 + 30 * k) * time_axis)).astype(np.float32) for k in range(16)]
    frame = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    made = tuple(Clip(clip, tones[k % 16], frame, (LABELS[k % len(LABELS)],), "test") for k, clip in enumerate(ids))
    own = ClipSet("synthetic", made, LABELS, f"synthetic {clips}")
    return gather(SUITE, like.suite.fingerprint, records, store, Silent(), clips=own)


def made_twice(sources: Sources, site: Path) -> dict[str, float]:
    """Return the seconds of making a site, and of making it again with nothing changed."""
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        make(sources, site, Silent())
        seconds.append(time.perf_counter() - began)
    return {"make, s": seconds[0], "make again, s": seconds[1]}


PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
FRAMES = """screens => new Promise(resolve => {
  const times = []; let last = performance.now(), screen = 0;
  const step = now => {
    times.push(now - last); last = now;
    scrollBy(0, innerHeight / 6); screen += 1 / 6;
    if (screen < screens) requestAnimationFrame(step);
    else resolve([times.slice(1), document.querySelectorAll('.clip').length, scrollY]);
  };
  requestAnimationFrame(step);
})"""


def looked_at(site: Path, browser: Any) -> dict[str, float]:
    """Return milliseconds to the first paint of the pages, and of frames while the gallery is scrolled."""
    figures = {}
    for name in ("index", "gallery"):
        paints = []
        for _ in range(3):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{site.as_uri()}/{name}.html")
            while (paint := page.evaluate(PAINT)) is None:
                page.wait_for_timeout(20)
            paints.append(paint)
            page.close()
        figures[f"first paint of {name}, ms"] = statistics.median(paints)
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{site.as_uri()}/gallery.html")
    page.wait_for_selector(".clip .pic img", timeout=60_000)
    figures["first images of the gallery, ms"] = page.evaluate("performance.now()")
    frames, cards, _ = page.evaluate(FRAMES, SCREENS)
    page.goto("about:blank")
    idle = page.evaluate(FRAMES, SCREENS)[0]
    figures |= {
        "frame while scrolling, median ms": statistics.median(frames),
        "frame while scrolling, 95 % below, ms": float(np.quantile(frames, 0.95)),
        "frame of an empty page, median ms": statistics.median(idle),
        "clips in the page at a time": float(cards),
    }
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of figures; the exit code."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.report_speed", description=about)
    parser.add_argument("--clips", type=int, default=2000, help="clips (default: %(default)s)")
    parser.add_argument("--methods", type=int, default=10, help="methods (default: %(default)s)")
    given = parser.parse_args(arguments)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("playwright is not installed: pip install 'audio2image-bench[browser]'", file=sys.stderr)
        return 2
    if chromium is None:
        print("no chromium here: apt-get install chromium", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
            site = Path(folder) / "site"
            figures = made_twice(synthetic(Path(folder) / "runs", given.clips, given.methods), site)
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            figures |= looked_at(site, browser)
            browser.close()
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"| {given.clips:,} clips, {given.methods} methods | |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.3g} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
