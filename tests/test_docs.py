"""The pages for contributors name files, rooms and functions that exist, and all rooms that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmark", "metrics", "audiotoken", "baselines")
PAGES = ("CONTRIBUTING.md", "docs/architecture.md")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"

TOP = [path.name for path in ROOT.iterdir()]
NAMED = re.compile(
    rf"(?<![\w./-])((?:{'|'.join(map(re.escape, sorted(TOP, key=len, reverse=True)))})(?:/[\w./-]*)?)(?![\w-])"
)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def named(text: str) -> set[str]:
    """What looks like a file or a folder of the project, and every name in backticks that ends like one."""
    paths = {path.rstrip("./") for path in NAMED.findall(text)}
    spans = re.findall(r"`([\w.-]+(?:/[\w.-]*)*(?:\.(?:py|toml|md|json|yaml|yml|txt|cff)|/))`", text)
    return paths | {span.rstrip("/") for span in spans}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_folder_on_a_page_exists(page: str) -> None:
    found = named(read(page))
    assert len(found) > 20
    # not files of the project: what a run writes, and what an installation makes
    missing = [path for path in found - {"record.json"} if not path.startswith(".venv") and not (ROOT / path).exists()]
    assert missing == []


def test_the_search_for_names_finds_them() -> None:
    text = "`metrics/gone.py`, benchmark/gone/, `gone.toml`, tests/gone.py. and example.org/metrics/x and `suite.name`"
    assert named(text) == {"metrics/gone.py", "benchmark/gone", "gone.toml", "tests/gone.py"}


def test_the_tree_is_whole() -> None:
    listed = set(re.findall(r"^\| `([^`]+)` \|", ARCHITECTURE, re.MULTILINE))
    rooms = {f"benchmark/{path.name}/" for path in (ROOT / "benchmark").iterdir() if any(path.glob("*.*"))}
    files = {f"benchmark/{path.name}" for path in (ROOT / "benchmark").glob("*.py")} - {"benchmark/__main__.py"}
    assert {room for room in rooms if "__pycache__" not in room} | files | {f"{one}/" for one in PACKAGES} <= listed


@pytest.mark.parametrize("page", PAGES)
def test_what_is_said_to_be_in_a_file_is_defined_there(page: str) -> None:
    found = re.findall(r"`(\w+)` in\s+`([\w/]+\.py)`", read(page))
    assert found or page != "docs/architecture.md"
    for name, file in found:
        tree = ast.parse(read(file))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))} | {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, (ast.Assign, ast.AnnAssign))
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        assert name in defined, f"{page}: {name} in {file}"


def test_the_rule_on_the_page_is_the_one_that_is_tested() -> None:
    (rule,) = re.findall(r"\n\n    (utils <-.*?)\n\n", ARCHITECTURE, re.DOTALL)
    lines = [[room.strip() for room in line.split(",")] for line in rule.split("<-")]
    tree = ast.parse(read("tests/test_architecture.py"))
    (order,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "ORDER"
    ]
    assert lines == order


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_a_page_and_a_heading(page: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", read(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def test_every_module_that_is_called_exists() -> None:
    for page in PAGES:
        for module in re.findall(r"-m (benchmark[\w.]*)", read(page)):
            path = ROOT.joinpath(*module.split("."))
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_every_verb_of_the_contributors_page_exists() -> None:
    import typer

    from benchmark.cli.app import application

    verbs = set(re.findall(r"(?:`|/)bench ([a-z][\w-]*)", read(PAGES[0])))
    assert len(verbs) > 5 and verbs <= set(typer.main.get_command(application()).commands)  # type: ignore[attr-defined]


def test_hosted_ci_calls_the_script_and_nothing_else() -> None:
    (job,) = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


def test_the_hooks_download_nothing() -> None:
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system", "fail"}


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_issue_forms_are_forms(form: Path) -> None:
    read_form = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        return
    assert read_form["name"] and read_form["description"]
    ids = [field.get("id") for field in read_form["body"] if field["type"] != "markdown"]
    assert all(ids) and len(set(ids)) == len(ids)
    assert all(field["attributes"] for field in read_form["body"])


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_announced(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
