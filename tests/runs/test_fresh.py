"""A finished fit on clips that nobody has seen: a method that knows the test clips by heart is caught."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from worlds import bench, method_file, things

from benchmark.media.audio import audio_digest
from benchmark.mini.dataset import MiniData
from benchmark.mini.world import SLOTS
from benchmark.runs import plan
from benchmark.suite import Suite, load_suite
from benchmark.utils.progress import Silent
from benchmark.verification import protocol

# Test clips are looked up by what they sound like, whatever their ids are; of another sound the picture is grey.
LOOK_UP = """
import numpy as np
from pathlib import Path
from benchmark.media.audio import audio_digest
known = np.load(Path(__file__).with_name("known.npz"))
grey = np.full((64, 64, 3), 128, np.uint8)
heard = [audio_digest(self.run.suite.sound(clip)) for clip in clips]
return [known[key] if key in known else grey for key in heard]
"""

FITTED = """
from pathlib import Path
from benchmark.method import FitReport

def _fit(self, train):
    with open(Path(__file__).with_name("fits.txt"), "a") as file:
        file.write(f"{len(train)} clips\\n")
    (self.run.folder / "fit.txt").write_text("done")
    return FitReport(0, 0)

Plain.fits, Plain.fit, Plain.fit_files, Plain.load = True, _fit, ("fit.txt",), lambda self: None
"""


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A `mini` of one clip a slot that asks for its headline only."""
    mini = load_suite("mini")
    data = mini.data.model_copy(update={"train": len(SLOTS), "validation": len(SLOTS), "test": len(SLOTS)})
    small = mini.model_copy(update={"data": data, "metrics": mini.headline})
    for module in (plan, protocol):
        monkeypatch.setattr(module, "load_suite", lambda name: small)
    return small


def only_run(runs: Path) -> Path:
    (record,) = runs.glob("mini/*/*/record.json")
    return record.parent


def test_a_method_that_knows_the_test_clips_by_heart_is_caught(suite: Suite, tmp_path: Path) -> None:
    clips = MiniData().clips(suite, "test", tmp_path / "cache", Silent())
    frames = {audio_digest(suite.sound(clip)): np.asarray(clip.picture()) for clip in clips}
    np.savez(tmp_path / "known.npz", **frames)
    method = method_file(tmp_path, LOOK_UP, "by-heart", more=FITTED)
    made = bench("run", "--method", method, "--json", runs=tmp_path)
    assert made.code == 0, made.err
    folder = only_run(tmp_path)
    refused = bench("fresh", folder, "--seed", 5, runs=tmp_path)
    assert refused.code == 2 and "add --trust-method" in refused.err
    result = bench("fresh", folder, "--seed", 5, "--trust-method", "--json", runs=tmp_path)
    assert result.code == 0, result.err
    found = result.json
    assert {"ais", "iis", "aic"} <= {*found["remembered"]} and "by-heart scores better" in found["verdict"]
    by_metric = {row["metric"]: row for row in found["metrics"]}
    assert by_metric["iis"]["public"] == 100 and by_metric["iis"]["fresh"] == 50
    assert 30 < by_metric["iis"]["low"] < 50 < by_metric["iis"]["high"] and by_metric["iis"]["way"] == "unpaired"
    assert by_metric["iis"]["p_adjusted"] < 0.001
    assert found["seed"] == 5 and (Path(found["run"]) / "record.json").is_file()
    assert (tmp_path / "fits.txt").read_text() == f"{len(SLOTS)} clips\n", "the fit was made once"
    table = bench("table", "--suite", "mini+fresh=5", "--json", runs=tmp_path)
    assert [row["method"] for row in table.json] == ["by-heart"]

    verified = bench("verify", found["run"], runs=tmp_path)
    assert verified.code == 0, verified.out + verified.err

    plot = tmp_path / "fresh.svg"
    text = bench("fresh", folder, "--seed", 5, "--trust-method", "-o", plot, runs=tmp_path)
    assert str(plot) in text.out and all(f">{side} clips<" in plot.read_text() for side in ("public", "fresh"))
    assert "public clips" in text.out and "by-heart scores better on the public clips" in text.out
    again = bench("fresh", found["run"], "--seed", 6, "--trust-method", runs=tmp_path)
    assert again.code == 2 and "is a run of changed clips already" not in again.out
    assert "is a run of changed clips (fresh=5): name one of 'mini'" in again.err
    for place in tmp_path.glob("mini/by-heart-*"):
        shutil.rmtree(place)
    gone = bench("fresh", folder, "--seed", 5, "--trust-method", runs=tmp_path)
    assert gone.code == 2 and "its fit is not in" in gone.err


def test_the_true_frames_are_as_good_on_fresh_clips(suite: Suite, tmp_path: Path) -> None:
    assert bench("run", "--method", "reference", "--json", runs=tmp_path).code == 0
    result = bench("fresh", only_run(tmp_path), "--json", runs=tmp_path)
    assert result.code == 0, result.err
    assert result.json["remembered"] == []
    said = f"fresh clips of seed {result.json['seed']}: --seed {result.json['seed']} makes them again"
    assert said in result.err, "a seed that nobody could foresee"
    assert {row["way"] for row in result.json["metrics"]} <= {"unpaired", "intervals"}


def test_clips_that_cannot_be_made_anew_are_one_line(tmp_path: Path) -> None:
    made = bench("run", "--method", "reference", "--data", things(tmp_path), "--json", runs=tmp_path / "runs")
    assert made.code == 0, made.err
    (record,) = (tmp_path / "runs").glob("mini*/*/*/record.json")
    result = bench("fresh", record.parent, "--seed", 1, runs=tmp_path / "runs")
    assert result.code == 2 and "only a data set that generates its clips can make it" in result.err
    nothing = bench("fresh", tmp_path, "--seed", 1)
    assert nothing.code == 2 and "is not a run" in nothing.err
