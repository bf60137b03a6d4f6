"""docs/add-a-method.md holds the interface as the code has it, whole and with a meaning for everything."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmark
from benchmark.method_tools import interface
from benchmark.method_tools.interface import ADDED, END, FUNCTIONS, NOTES, START, TOPICS, Topic, members

PAGE = Path("docs", "add-a-method.md")
ALL = [topic for topics in TOPICS.values() for topic in topics]


def test_the_page_is_what_the_code_says(root: Path) -> None:
    page = (root / PAGE).read_text(encoding="utf-8")
    assert page == interface.written(page), f"run: python -m benchmark.method_tools.interface --write {PAGE}"


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.what.__name__)
def test_every_member_has_a_type_and_a_meaning(topic: Topic) -> None:
    rows = members(topic)
    assert rows
    assert [row.name for row in rows if not row.meaning] == []
    assert [row.name for row in rows if not row.type and row.name != "placeholder"] == []


def test_a_note_is_on_something_that_exists_and_does_not_hide_a_docstring() -> None:
    rows = {f"{topic.what.__name__}.{row.name.partition('(')[0]}": row for topic in ALL for row in members(topic)}
    assert rows.keys() >= ADDED.keys()
    assert {name: rows[name].meaning for name in NOTES} == NOTES, "the code says it now: take the note out"


def test_all_of_it_comes_in_by_the_front_door() -> None:
    for topic in ALL:
        if topic.title is None:
            assert getattr(benchmark, topic.what.__name__) is topic.what
    for function in FUNCTIONS:
        assert getattr(benchmark, function.__name__) is function


def test_what_is_said_is_what_the_code_says() -> None:
    rows = {(topic.what.__name__, row.name): row for topic in ALL for row in members(topic)}
    assert rows["Clip", "waveform(rate: int = 16000, seconds: float | None = None)"].type == "ndarray"
    assert rows["RunContext", "samples_every"].type == "int | None = None"
    assert rows["FitReport", "figures"].type == "dict[str, Any] = {}"
    assert rows["Method", "fits"].type == "bool = False"
    assert rows["Backbone", "pipeline"].type == "StableDiffusionPipeline"
    text = interface.render()
    assert '`Sight` is one of `"audio"`, `"label"`' in text
    assert "tuple[str, ...] \\| None" in text, "a bar within a table is escaped"


def test_docstrings_are_read_in_googles_convention() -> None:
    class Kept:
        """Something.

        It goes on
        over lines.

        Attributes:
            one (int): The first,
                in two lines.
            other: The second.
        """

        one: int
        other: str = "x"

        def move(self, far: float = 1.0) -> bool:
            """Move it.

            Args:
                far: How far.

            Returns:
                Whether it moved.

            Raises:
                ValueError: It cannot.

            Example:
                >>> Kept().move()
            """
            raise NotImplementedError

    one, other, move = members(Topic(Kept))
    assert (one.meaning, other.meaning, other.type) == ("The first, in two lines.", "The second.", 'str = "x"')
    assert move.name == "move(far: float = 1.0)" and move.type == "bool"
    assert move.meaning == "Move it. `far`: How far. Returns: Whether it moved. Raises ValueError: It cannot."
    with pytest.raises(KeyError):
        members(Topic(Kept, members=("gone",)))


def test_a_page_is_written_between_its_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{START}\nstale text\n{END}\n\nafter\n")
    interface.main(["--write", str(page)])
    text = page.read_text()
    assert text.startswith("# Before") and text.endswith(f"{END}\n\nafter\n") and "stale" not in text
    assert "was changed" in capsys.readouterr().out
    interface.main(["--write", str(page)])
    assert capsys.readouterr().out == "" and page.read_text() == text
    interface.main([])
    assert capsys.readouterr().out.strip() in text
    with pytest.raises(ValueError, match="once each"):
        interface.written("no marks")
