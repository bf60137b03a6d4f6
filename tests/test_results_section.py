"""The page that leads from records to a results section: every command in it works, and LaTeX takes what they write."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from worlds import Result, bench

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "results-section.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Result]]:
    """The folder in which all commands of the page were run, in order, and what each gave."""
    place = tmp_path_factory.mktemp("section")
    (place / "results").symlink_to(ROOT / "results")
    given = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for command in COMMANDS:
            words, _, file = command.partition(" > ")
            given[command] = bench(*shlex.split(words)[1:], runs=place / "none")
            if file:
                Path(file).write_text(given[command].out, encoding="utf-8")
    return place, given


def test_every_command_works_and_writes_what_it_says(done):
    place, given = done
    assert len(given) >= 9
    for command, result in given.items():
        assert command.startswith("bench ") and result.code == 0, f"{command}: {result.err}"
        written = re.search(r"(?:-o|>) (\S+)$", command)
        assert (place / written[1]).stat().st_size > 200 if written else result.out, command


def test_the_table_is_of_the_chosen_rows_under_their_names(done):
    text = (done[0] / "table.tex").read_text(encoding="utf-8")
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    names = [line.split(" &")[0] for line in body.splitlines() if " & " in line]
    assert sorted(names) == ["AudioToken", "AudioToken + CL", "ImageBind", "Wav2CLIP", "chance"]
    assert body.count(r"\textbf{") == 4 and "[" not in body, "one best a column, no interval"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex on this machine")
def test_latex_takes_the_section(done):
    if subprocess.run(["kpsewhich", "adjustbox.sty"], capture_output=True).returncode:
        pytest.skip("there is no adjustbox on this machine")
    (source,) = re.findall(r"```latex\n(.*?)```", PAGE, re.DOTALL)
    (done[0] / "section.tex").write_text(source, encoding="utf-8")
    for _ in range(2):  # the second time with its references
        made = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "section.tex"],
            cwd=done[0],
            capture_output=True,
            text=True,
            errors="replace",
        )
        assert made.returncode == 0, made.stdout[-2000:]
    assert "undefined" not in made.stdout, "every label that is referred to is there"
    assert not re.search(r"Overfull \\hbox \((\d{2,})", made.stdout), "what is wide is made to fit"
