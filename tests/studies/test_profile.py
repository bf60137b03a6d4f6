"""The profile: that its clock, its counts and its pages are right. How long things take is not tested."""

from __future__ import annotations

import json
import math
import time
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmark.dry_run.trace import Trace, median, total
from benchmark.mini import networks
from benchmark.records.provenance import RunProvenance, collect
from benchmark.records.record import ClipCounts, MethodRef, MetricValue, RunRecord, SuiteRef
from benchmark.records.store import Store
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.studies import profile
from benchmark.suite import load_suite
from benchmark.utils.progress import Silent

PAGE = "before\n<!-- profile -->\nold\n<!-- /profile -->\nafter\n<!-- curve -->\n<!-- /curve -->\n"


def test_a_trace_gives_every_second_to_one_part(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", partial(next, count(0.0, 1.0)))
    trace = Trace()
    trace.lap("rest")
    with trace.watch(nn.Identity(), "never called", "rest"):
        inner = nn.Identity()
        with trace.watch(inner, "network", "rest"):
            inner(torch.zeros(1))
        inner(torch.zeros(1))
    assert trace.lap("rest") == {"rest": 2.0, "network": 1.0}
    assert trace.lap() == {"rest": 1.0}
    assert trace.lap() == {}


def test_medians_are_of_laps_not_of_their_order():
    laps = [{"a": 1.0, "b": 5.0}, {"a": 9.0, "b": 6.0}, {"a": 2.0, "b": 1.0}]
    assert median(laps) == {"a": 2.0, "b": 5.0}
    assert total(laps) == 6.0


def test_the_operations_are_those_of_the_layers_formulas(monkeypatch):
    unet = networks.unet().requires_grad_(False).eval()

    def inject(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, None].expand(-1, networks.CONTEXT, -1)

    backbone = SimpleNamespace(unet=unet, token_width=networks.TEXT_WIDTH, inject=inject)
    attention = nn.functional.scaled_dot_product_attention
    attended, applied = [], []

    def noted(query, key, value, *rest, **named):
        attended.append(4 * query.numel() * key.shape[-2])
        return attention(query, key, value, *rest, **named)

    for layer in unet.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.register_forward_hook(lambda layer, _, out: applied.append(2 * layer.weight[0].numel() * out.numel()))
    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", noted)
    forward, backward = profile.unet_flops(backbone)
    assert len(attended) == 2 * 7  # to itself and to the words, in seven blocks
    assert forward == sum(applied) + sum(attended)
    # to the activations alone, and to none before the first attention: less than once more, not twice
    assert 0.5 * forward < backward < forward


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, object]], str]:
    """A small profile: its figures, and the page that it was written into."""
    folder = tmp_path_factory.mktemp("profile")
    page, figures = folder / "page.md", folder / "figures.json"
    page.write_text(PAGE)
    mini = load_suite("mini")
    small = {
        "budget": mini.budget.model_copy(update={"batch_size": 8}),
        "generation": mini.generation.model_copy(update={"steps": 3}),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile, "load_suite", lambda name: mini.model_copy(update=small))
        patch.setattr(profile, "Size", partial(profile.Size, clips=4, scored=2, steps=2, rounds=1, width=128))
        assert profile.main(["--json", str(figures), "--write", str(page)]) == 0
    return json.loads(figures.read_text()), page.read_text()


def test_a_profile_measures_every_part(report):
    figures, _ = report
    numbers = [figure["value"] for figure in figures if not isinstance(figure["value"], str)]
    assert len(numbers) > 35 and all(value > 0 and math.isfinite(value) for value in numbers)
    training = {figure["what"]: figure["value"] for figure in figures if "Training" in figure["section"]}
    parts = [profile.BATCH, profile.TEXT, profile.FORWARD, profile.LOSS, profile.BACKWARD, profile.REST]
    assert sum(training[part] for part in parts) == pytest.approx(100)
    assert training["U-Net in all"] == pytest.approx(training[profile.FORWARD] + training[profile.BACKWARD])
    assert training["time with BEATs in the loop : with stored features"] > 1
    sampling = {figure["what"]: figure["value"] for figure in figures if "Sampling" in figure["section"]}
    assert sum(sampling[part] for part in (profile.UNET, profile.DECODER, profile.AROUND)) == pytest.approx(100)
    *whole, all_of_it = [figure["value"] for figure in figures if "whole run" in figure["section"]]
    assert all_of_it == pytest.approx(sum(whole))


def test_a_profile_is_written_to_its_place(report):
    figures, page = report
    assert page.startswith("before\n<!-- profile -->\n**The machine**")
    assert page.endswith("<!-- /profile -->\nafter\n<!-- curve -->\n<!-- /curve -->\n")
    assert "old" not in page
    assert page.count("\n| ") == len(figures) + len({figure["section"] for figure in figures})


def record(runs: Path, steps: int, seed: int, ais: float, **changes: object) -> None:
    job = Run.of(RunRequest(suite="mini", method="audiotoken", seed=seed, settings={"steps": str(steps)}), Silent())
    value = MetricValue(value=ais, n=540, unit="%", direction="up", version=1)
    made = RunRecord(
        status="complete",
        suite=SuiteRef(name="mini", version=1, fingerprint=job.plan.suite.fingerprint()),
        method=MethodRef(name="audiotoken", card={}, settings=job.plan.settings.model_dump(mode="json") | changes),
        seed=seed,
        limit=None,
        metrics={"ais": value},
        clips=ClipCounts(total=540),
        provenance=RunProvenance(score=(collect(device="cpu"),)),
        identity=job.plan.identity,
    )
    made.save(Store(runs).run("mini", "audiotoken", seed, changed={"steps": steps, **changes}).record_path)


def test_the_curve_is_over_steps_and_nothing_else(tmp_path, capsys):
    runs, page = tmp_path / "runs", tmp_path / "page.md"
    record(runs, 100, 0, 80.0)
    record(runs, 50, 0, 60.0)
    record(runs, 50, 1, 70.0)
    record(runs, 50, 2, 10.0, lambda_b=1.0)
    page.write_text(PAGE)
    assert profile.main(["--curve", str(runs), "--write", str(page)]) == 0
    _, _, low, high = page.read_text().split("<!-- curve -->\n")[1].split("\n<!-- /curve -->")[0].splitlines()
    assert low.startswith("| 50 | 2 | 65.0 | – |")
    assert high.startswith("| 100 | 1 | 80.0 | – |")


def test_wrong_use_is_one_line(tmp_path, capsys):
    assert profile.main(["--curve", str(tmp_path)]) == 2
    assert "--set steps=100" in capsys.readouterr().err
    record(tmp_path, 50, 0, 60.0)
    page = tmp_path / "page.md"
    page.write_text("no place")
    assert profile.main(["--curve", str(tmp_path), "--write", str(page)]) == 2
    assert "<!-- curve -->" in capsys.readouterr().err
    assert page.read_text() == "no place"
