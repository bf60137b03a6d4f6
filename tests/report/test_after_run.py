"""A real run on a manifest of the user's own clips, the report at its end, and what a lost sound does to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import worlds


def read(site: Path, name: str) -> Any:
    text = (site / f"data/{name}.js").read_text(encoding="utf-8")
    return json.loads(re.sub(r"^put\(\"[^\"]*\",", "", text).removesuffix(")\n"))


def test_a_run_ends_with_its_report_which_outlives_a_lost_sound(tmp_path, monkeypatch):
    runs, manifest = tmp_path / "runs", worlds.things(tmp_path)
    ran = worlds.bench("run", "--report", "--method", "reference", "--data", manifest, runs=runs)
    assert ran.code == 0, ran.err
    (page,) = re.findall(r"report +(\S+index\.html)", "".join(ran.out.split("\n")[-3:]))
    site = Path(page).parent
    assert site.parent == runs / "reports"
    board = read(site, "board")
    (row,) = board["rows"]
    chosen = read(site, "chosen")[row["shown"]]["classes"]
    clips = read(site, "clips")
    for key, label, found in zip(clips["keys"], clips["labels"], chosen, strict=True):
        clip = read(site, f"clips/{key}")
        (run,) = clip["rows"][row["key"]]["runs"]
        assert run["class"] == found and (run["scores"]["aic"] == 100) == (found == label)
        assert all((site / clip[file]).is_file() for file in ("sound", "spectrogram", "frame"))

    written = (site / "report.json").stat().st_mtime_ns
    again = worlds.bench("run", "--report", "--method", "reference", "--data", manifest, runs=runs)
    assert again.code == 0 and page in again.out
    assert (site / "report.json").stat().st_mtime_ns == written, "nothing has changed"

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "emptied"))
    for given, count in (((), 0), (("--embed",), 1), ((), 1)):
        made = worlds.bench("report", "--suite", board["suite"], "-o", tmp_path / "bare", "--json", *given, runs=runs)
        assert made.code == 0, made.err
        kept = read(tmp_path / "bare", "chosen")
        assert [one["classes"] for one in kept.values()] == [chosen] * count, "what a site knows it keeps"
        unknown = "The class that aic found is not known for reference: `bench report --embed` finds it."
        assert (unknown in made.json["remarks"] + read(tmp_path / "bare", "board")["missing"]) == (not count)

    lost = tmp_path / "things" / "audio" / "test-01.wav"
    lost.unlink()
    made = worlds.bench("report", "--suite", board["suite"], "-o", tmp_path / "site", "--json", runs=runs)
    assert made.code == 0, made.err
    (remark,) = [line for line in made.json["remarks"] if "is not what the runs were scored on any more" in line]
    assert "test-01" in remark
    clip = read(tmp_path / "site", "clips/test-01")
    assert clip["gone"] and "sound" not in clip and clip["rows"][row["key"]]["runs"][0]["images"]
    assert len(read(tmp_path / "site", "clips")["keys"]) == len(clips["keys"])
