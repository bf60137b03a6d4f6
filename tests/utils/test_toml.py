"""Whatever is wrong with a TOML file is a line with the file, its line and the value."""

from __future__ import annotations

from decimal import Decimal

import pytest

from benchmark import suite
from benchmark.leaderboard.literature import load_literature, load_published
from benchmark.leaderboard.paper_claims import Claims, build_paper, load_claims
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.models import FrozenModel
from benchmark.utils.toml import read_toml, validated


class Inner(FrozenModel):
    size: int
    name: str = "x"


class Outer(FrozenModel):
    title: str
    one: Inner
    many: tuple[Inner, ...] = ()


GOOD = """title = "t"

[one]
size = 3

[[many]]
size = 1

[[many]]
size = 2
name = "b"
"""


def problems(tmp_path, text: str | bytes) -> list[str]:
    path = tmp_path / "file.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        validated(Outer, read_toml(path), path)
    return [line.removeprefix(f"{tmp_path}/") for line in caught.value.problems]


def test_a_good_file_is_read(tmp_path):
    path = tmp_path / "file.toml"
    path.write_text(GOOD)
    assert validated(Outer, read_toml(path), path).many[1].name == "b"
    path.write_text("x = 1.50")
    assert read_toml(path, parse_float=Decimal) == {"x": Decimal("1.50")}


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("size = 3", "size = 'three'", 4, ["one.size", "'three'"]),
        ("size = 2", "size = 2.5", 10, ["many.1.size", "2.5"]),
        ('name = "b"', "nam = 1", 11, ["many.1.nam", "not permitted", "1"]),
        ("size = 1\n", "", 6, ["many.0.size", "required"]),
        ("[one]\nsize = 3\n", "", None, ["one", "required"]),
    ],
)
def test_a_bad_value_is_named_with_its_line(tmp_path, old, new, line, words):
    (found,) = problems(tmp_path, GOOD.replace(old, new, 1))
    assert found.startswith("file.toml" + (f":{line}: " if line else ": "))
    for word in words:
        assert word in found


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a = 1\nb = = 2\n", 2, ["not TOML", "b = = 2"]),
        ("a = 1\n[one\n", 2, ["not TOML", "[one"]),
        ("a = 1\na = 2\n", 2, ["not TOML", "a = 2"]),
        ('a = "never closed', 1, ["not TOML"]),
        ("a = 1\n# \0\x1b[2J\n", 2, ["not TOML", r"\u0000", r"\u001b[2J"]),
        (b"a = 1\nb = '\xff'\n", 2, ["not UTF-8", "0xff"]),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(tmp_path, text, line, words):
    (found,) = problems(tmp_path, text)
    assert found.startswith(f"file.toml:{line}: ")
    for word in words:
        assert word in found


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"none\.toml: cannot be read: No such file"):
        read_toml(tmp_path / "none.toml")


@pytest.mark.parametrize("damage", [b"[data\n", b"\xff\n", b'[data]\nrate = "fast"\n'])
def test_a_broken_suite_is_one_line(tmp_path, monkeypatch, damage):
    text = (suite.FOLDER / "mini.toml").read_bytes()
    (tmp_path / "mini.toml").write_bytes(text.replace(b"[data]\n", damage, 1))
    monkeypatch.setattr(suite, "FOLDER", tmp_path)
    with pytest.raises(UserError) as caught:
        load_suite("mini")
    assert all(line.startswith(f"{tmp_path}/mini.toml:") for line in caught.value.problems)


def test_broken_claims_and_literature_are_named(tmp_path):
    path = tmp_path / "claims.toml"
    for text in (b"paper = 1\n", b"\xfe", b"[[claims]\n"):
        path.write_bytes(text)
        with pytest.raises(UserError, match=r"claims\.toml"):
            load_published(Claims, "claims.toml", path)
        with pytest.raises(UserError, match=r"claims\.toml"):
            load_literature(path)


def test_claims_about_a_table_that_nobody_published():
    claims = load_claims().model_copy(update={"table": "audiotokn"})
    with pytest.raises(UserError, match="unknown published table 'audiotokn'"):
        build_paper([], load_suite("mini"), claims=claims)
