from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.records.provenance import (
    Provenance,
    checkout_of,
    collect,
    cpu_of,
    same_surroundings,
    without_credentials,
)


@pytest.fixture
def repository(tmp_path):
    """A small git repository of a made-up project, with one package at its top."""
    top = tmp_path / "project"
    (top / "package").mkdir(parents=True)
    (top / "package" / "__init__.py").write_text("")
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "first")
    return top


def git(top: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=top, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_clean_checkout_has_a_full_commit(repository):
    state = checkout_of(repository / "package")
    assert state == (git(repository, "rev-parse", "HEAD"), False, None)
    assert re.fullmatch("[0-9a-f]{40}", state.commit)


@pytest.mark.parametrize(
    ("name", "dirty"), [("package/new.py", True), ("package/__init__.py", True), ("results/x.json", False)]
)
def test_changes_and_new_files_are_dirty_but_published_results_are_not(repository, name, dirty):
    git(repository, "config", "status.showUntrackedFiles", "no")
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("x = 1\n")
    assert checkout_of(repository / "package").dirty is dirty


def test_the_origin_is_kept_without_its_token(repository):
    git(repository, "remote", "add", "origin", "https://user:token@example.org/a/b.git")
    assert checkout_of(repository / "package").origin == "https://example.org/a/b.git"


def test_a_package_installed_inside_another_repository_is_no_checkout(repository):
    site = repository / "venv" / "site-packages" / "package"
    site.mkdir(parents=True)
    (site / "__init__.py").write_text("")
    assert checkout_of(site) is None
    untracked = repository / "untracked"
    untracked.mkdir()
    (untracked / "__init__.py").write_text("")
    assert checkout_of(untracked) is None
    git(repository, "add", ".")
    assert checkout_of(site) is None


def test_outside_any_repository_there_is_no_checkout(tmp_path):
    (tmp_path / "package").mkdir()
    assert checkout_of(tmp_path / "package") is None


def test_a_hooks_environment_does_not_redirect_git(repository, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(repository / "nowhere"))
    assert checkout_of(repository / "package") is not None


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://me:secret@example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://token@example.org:8443/a", "https://example.org:8443/a"),
        ("https://example.org/a?access_token=secret", "https://example.org/a"),
        ("ssh://git@example.org/a.git", "ssh://example.org/a.git"),
        ("git@example.org:a/b.git", "example.org:a/b.git"),
        ("user:secret@example.org:a/b.git", "example.org:a/b.git"),
        ("/home/me/a.git", None),
        ("file:///home/me/a.git", None),
        ("C:\\me\\a.git", None),
        ("../a.git", None),
        ("", None),
        (None, None),
    ],
)
def test_without_credentials(url, clean):
    assert without_credentials(url) == clean


def test_collect_lists_installed_packages_and_round_trips():
    facts = collect(["pydantic", "no-such-distribution"], device="cpu")
    assert list(facts.packages) == ["pydantic"]
    assert facts.device == "cpu" and facts.device_name is None
    assert facts.cpu and facts.platform and facts.python == sys.version.split()[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", facts.date)
    assert (facts.commit is None) == (facts.dirty is None)
    assert Provenance.model_validate_json(facts.model_dump_json()) == facts


FIRST = """processor : 0
vendor_id : AuthenticAMD
cpu family : 26
model : 2
model name : AMD EPYC
flags : fpu avx2 avx512f avx512_bf16

processor : 1
model name : AMD EPYC
flags : fpu
"""


def test_processors_of_one_name_are_told_apart_by_what_they_compute_with():
    older = FIRST.replace("26", "23").replace(" avx512f avx512_bf16", "")
    assert cpu_of(FIRST, "x86_64") == "AMD EPYC, family 26 model 2, avx512f"
    assert cpu_of(older, "x86_64") == "AMD EPYC, family 23 model 2, avx2"
    assert cpu_of("processor : 0\nFeatures : fp asimd sve\nCPU part : 0xd40\n", "aarch64") == "aarch64, part 0xd40, sve"
    assert cpu_of("", "arm") == "arm"
    made = collect()
    one, other = (made.model_copy(update={"cpu": cpu_of(text, "")}) for text in (FIRST, older))
    assert same_surroundings(one, one) and not same_surroundings(one, other)
