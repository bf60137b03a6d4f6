"""What is cited for a metric."""

from __future__ import annotations

import re

import pytest
import worlds

import benchmark
from metrics.citations import PAPERS, cite, papers_of, repository_of
from metrics.definitions import definitions, get


def test_every_source_has_an_entry() -> None:
    for one in definitions():
        for number in papers_of(one):
            assert number in PAPERS, one.id
        if not papers_of(one) and repository_of(one) is None:
            assert one.source.startswith("this project"), one.id
    assert set(PAPERS) == {number for one in definitions() for number in papers_of(one)}


@pytest.mark.parametrize("number", PAPERS)
def test_entries_are_whole(number: str) -> None:
    entry = PAPERS[number]
    assert re.match(r"@\w+\{[a-z0-9-]+,\n", entry) and entry.count("{") == entry.count("}")
    for field in ("title", "author", "(booktitle|journal)", "year", "eprint"):
        assert re.search(rf"^  {field} +=", entry, re.MULTILINE)
    assert f"{{{number}}}" in entry


def test_a_text_for_a_bibliography() -> None:
    text = cite(["ais", "ais.cosine", "fd.clip"], "1.2.3")
    assert text.count("yariv2023audiotoken") == 1 and "heusel2017gans" in text and "1.2.3" in text
    assert "github.com/alxzzhou/MACS}, commit 433b1ad" in text
    for metric in ("ais", "ais.cosine", "fd.clip"):
        assert f"% {metric}, version {get(metric).version}: {get(metric).definition}" in text
    with pytest.raises(ValueError, match="unknown metric"):
        cite(["aiss"], "1")


def test_the_command(tmp_path) -> None:
    done = worlds.bench("cite", "fid", runs=tmp_path)
    assert done.code == 0 and done.out == cite(["fid"], benchmark.__version__)
    wrong = worlds.bench("cite", "fidd", runs=tmp_path)
    assert wrong.code == 2 and "did you mean" in wrong.err
