"""What docs/add-a-method.md tells authors to write works as it stands there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.media.audio import write_wav
from benchmark.media.images import load_image
from benchmark.method_tools.import_cost import ImportCost
from benchmark.method_tools.validate import CHECKS, validate
from benchmark.registries import find_method

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "add-a-method.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file:(\S+) -->\n```python\n(.*?)```\n<!-- /file -->", PAGE, re.DOTALL))
METHODS = {
    name: re.findall(r"^class (\w+)\((?:Conditioning)?Method\)", text, re.MULTILINE) for name, text in FILES.items()
}


class Backbone:
    """A stand-in that costs nothing: texts and conditionings are told apart, and images show which they are of."""

    def prompt(self, name: str) -> str:
        return f"a photo of {name}"

    def encode_prompts(self, prompts: Sequence[str]) -> torch.Tensor:
        return torch.stack([torch.full((5, 3), float(len(prompt))) for prompt in prompts])

    @property
    def negative(self) -> torch.Tensor:
        return self.encode_prompts([""])

    def sample(self, embeds: torch.Tensor, seeds: Sequence[int]) -> list[np.ndarray]:
        grain = [np.random.default_rng(seed).integers(0, 56, (6, 6, 3)) for seed in seeds]
        levels = [100 + 90 * np.sin(float(row.mean())) for row in embeds]
        return [(noise + level).astype(np.uint8) for noise, level in zip(grain, levels, strict=True)]


@pytest.fixture(autouse=True)
def path_put_back() -> Iterator[None]:
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.mark.parametrize("name", [name for name, found in METHODS.items() if found])
def test_the_methods_keep_the_contract(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.method_tools.validate.import_cost", lambda module: ImportCost(0.1, ()))
    (tmp_path / name).write_text(FILES[name])
    checks = validate(find_method(f"{tmp_path / name}:{METHODS[name][0]}"), None, Backbone())  # type: ignore[arg-type]
    assert [check for check in checks if check.result == "fail"] == []


def test_the_images_made_elsewhere_are_images(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_wav(
            tmp_path / "sounds" / f"{name}.wav", np.random.default_rng(0).uniform(-1, 1, 40_000).astype(np.float32)
        )
    (tmp_path / "elsewhere.py").write_text(FILES["elsewhere.py"])
    subprocess.run([sys.executable, "elsewhere.py"], cwd=tmp_path, check=True)
    assert {path.name for path in (tmp_path / "dots").iterdir()} == {"one.png", "two.png"}
    assert load_image(tmp_path / "dots" / "one.png").size == (64, 64)


def test_all_code_is_python_that_uses_the_front_door_alone() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) > len(FILES) > 2
    for block in blocks:
        for node in ast.walk(ast.parse(textwrap.dedent(block))):
            if isinstance(node, ast.ImportFrom):
                assert not str(node.module).startswith("benchmark."), node.module


def test_the_contract_on_the_page_is_the_one_that_is_checked() -> None:
    (table,) = re.findall(r"\| check \| what is promised \|\n\|---\|---\|\n(.*?)\n\n", PAGE, re.DOTALL)
    listed: list[Any] = [name for row in table.splitlines() for name in row.split("|")[1].split(",")]
    assert [name.strip() for name in listed] == [name for name, _, _ in CHECKS]


def test_links_within_the_page_lead_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
