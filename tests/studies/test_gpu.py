"""The study of a GPU, tiny and on the CPU: every part that needs no GPU, and what happens where one fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.studies import gpu


def test_the_whole_study_in_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{gpu.MARKS[0]}\nold\n{gpu.MARKS[1]}\nafter\n")
    asked = ["--device", "cpu", "--tiny", "--seconds", "1000", "-o", str(tmp_path / "a.json"), "--write", str(page)]
    assert gpu.main(asked) == 0
    report = json.loads((tmp_path / "a.json").read_text())
    needs_cuda = {"busy", "memory", "sampling, compiled", "training, compiled"}
    assert report["failures"].keys() == needs_cuda, report["failures"]
    assert all("CUDA" in why for why in report["failures"].values())
    figures = {(one["part"], one["what"]): one["value"] for one in report["figures"]}
    assert {part for part, _ in figures} == {
        "matrix products",
        "operations",
        "training",
        "sampling",
        "scorers",
        "prepare",
    }
    assert all(value > 0 or "largest move" in what for (_, what), value in figures.items()), figures
    for micro in gpu.SMALL.micro:
        at = f"4 clips, {micro} at once"
        own, theirs = figures["training", f"own step, latents stored, {at}"], f"textual_inversion of diffusers, {at}"
        ratio = figures["training", f"own, latents stored : diffusers, {at}"]
        assert ratio == pytest.approx(own / figures["training", theirs])
    assert figures["scorers", "Wav2CLIP: rows equal to the bit in a second run"] == 100
    assert 0 < figures["sampling", "U-Net's share of a sampling run"] <= 100
    shown = capsys.readouterr().out
    assert "textual_inversion of diffusers" in shown and "- busy: " in shown
    written = page.read_text()
    assert written.startswith(f"before\n{gpu.MARKS[0]}\n") and written.endswith(f"{gpu.MARKS[1]}\nafter\n")
    assert "old" not in written and "own sampler" in written


def test_a_part_that_fails_or_takes_too_long_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Iterator[gpu.Figure]:
        yield gpu.Figure("a", "first", 1.0, "s")
        raise ValueError("no\nsuch thing")

    def hangs() -> Iterator[gpu.Figure]:
        while True:
            pass
        yield

    def works() -> Iterator[gpu.Figure]:
        yield gpu.Figure("c", "third", 3.0, "x")

    parts = [gpu.Part("a", fails, 5), gpu.Part("b", hangs, 0.2), gpu.Part("c", works, 5)]
    monkeypatch.setattr(gpu.Study, "parts", property(lambda self: parts))
    size = gpu.Size()
    saved: list[int] = []
    report = gpu.Study("cpu", size, lambda line: None).run(lambda one: saved.append(len(one.figures)))
    assert report.failures == {"a": "ValueError: no such thing", "b": "TimeoutError: stopped after 0 s"}
    assert [figure.what for figure in report.figures] == ["first", "third"] and saved == [1, 1, 2]
    late = gpu.Study("cpu", size, lambda line: None).run(lambda one: None, seconds=1)
    assert late.failures == dict.fromkeys("abc", "left out: no time was left") and not late.figures


def test_a_compiler_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/no/such/compiler")
    monkeypatch.setattr(gpu.sysconfig, "get_paths", lambda: {"include": "/no/headers"})
    with pytest.raises(RuntimeError, match=r"needs a C compiler .*/no/headers/Python\.h"):
        gpu.check_compiler()


def test_rows_are_compared_by_bits_and_by_length() -> None:
    rows = np.array([[3.0, 4.0], [1.0, 0.0]])
    moved = np.array([[3.0, 4.5], [1.0, 0.0]])
    assert gpu.equal_rows(rows, moved) == 0.5 and gpu.largest_move(rows, moved) == pytest.approx(0.1)


def test_overlapping_work_counts_once() -> None:
    assert gpu.union([(0, 2), (5, 6), (1, 3), (1, 2)]) == 4
    assert gpu.union([]) == 0
