"""The arithmetic that a suite prescribes: threads and precision, put back afterwards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from benchmark.records.provenance import collect
from benchmark.runs.steps import prescribed
from benchmark.suite import load_suite
from benchmark.utils.device import THREADS, arithmetic
from benchmark.utils.errors import UserError


@pytest.fixture(autouse=True)
def own_threads(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.delenv(THREADS, raising=False)
    return torch.get_num_threads()


def job(threads: int | None) -> object:
    return SimpleNamespace(plan=SimpleNamespace(suite=load_suite("mini").model_copy(update={"threads": threads})))


def test_a_step_computes_with_the_threads_of_its_suite_and_notes_them(own_threads: int) -> None:
    step = prescribed(lambda run, more: (torch.get_num_threads(), collect().threads, more))  # type: ignore[arg-type, var-annotated]
    assert step(job(own_threads + 1), 7) == (own_threads + 1, own_threads + 1, 7)  # type: ignore[arg-type]
    assert torch.get_num_threads() == own_threads
    assert step(job(None), 7) == (own_threads, own_threads, 7)  # type: ignore[arg-type]


def test_the_environment_goes_before_the_suite(own_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, str(own_threads + 2))
    with arithmetic(own_threads + 1):
        assert torch.get_num_threads() == own_threads + 2
    with arithmetic(None):
        assert torch.get_num_threads() == own_threads, "where the suite says nothing, torch chooses"


@pytest.mark.parametrize("value", ["0", "two", "-1", "1.5"])
def test_a_number_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, value)
    with pytest.raises(UserError, match=f"BENCH_THREADS='{value}': give a number of threads"), arithmetic(1):
        pass


def test_threads_are_part_of_the_protocol_where_they_are_prescribed() -> None:
    suite = load_suite("mini").model_copy(update={"threads": None})
    prints = {n: suite.model_copy(update={"threads": n}).fingerprint() for n in (None, 1, 2)}
    assert len(set(prints.values())) == 3
