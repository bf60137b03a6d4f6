"""The project as a thing that people clone, install, cite and read."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from benchmark.mini.pretrain.stages import STAGES
from benchmark.records.record import RunRecord
from benchmark.studies import tables
from benchmark.studies.keep import Kept
from benchmark.suite import load_suite
from benchmark.utils.files import sha256_of

DISTRIBUTION = "audio2image-bench"
ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted(path for path in (ROOT / "results" / "mini").glob("*.json") if ".images." not in path.name)
WEIGHTS = sorted((ROOT / "benchmark" / "mini" / "weights").glob("*.safetensors"))


def python(*arguments: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def between(text: str, start: str, end: str) -> str:
    """What stands between two marks, each of which occurs once."""
    assert text.count(start) == 1, f"{start} occurs {text.count(start)} times"
    return text.split(start)[1].split(end)[0].strip()


def line(name: str) -> str:
    """The README's line to paste."""
    lines = between(readme(), f"<!-- line:{name} -->", "<!-- /line -->").splitlines()
    assert (lines[0], lines[-1]) == ("```bash", "```") and len(lines) == 3, f"line:{name} is not a single line"
    return lines[1]


def tracked() -> list[Path]:
    """Every file of the project: tracked, or new and not ignored."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files belong to the project is not known")
    return [path for name in listed if name and (path := ROOT / name).is_file()]


# ------------------------------------------------------------------------------------------------------- what installs

METHODS = [
    "reference",
    "shuffled",
    "sd-text",
    "tagger-text",
    "audiotoken",
    "audiotoken-cl",
    "audiotoken-lora",
    "wav2clip",
    "wav2clip-retrieval",
    "wav2clip-trained",
    "imagebind",
    "imagebind-retrieval",
    "imagebind-trained",
    "imagebind-unclip",
    "sonicdiffusion",
    "gluegen",
    "copycat",
    "label-painter",
    "ais-ascent",
]


def test_the_methods_are_announced_as_the_project_file_says():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["bench.methods"]
    assert set(declared) == set(METHODS)
    installed = importlib.metadata.distribution(DISTRIBUTION).entry_points.select(group="bench.methods")
    assert {point.name: point.value for point in installed} == declared, "install the package again: pip install -e ."


@pytest.mark.parametrize("name", METHODS)
def test_each_announced_method_is_a_class_of_its_module(name):
    (point,) = importlib.metadata.entry_points(group="bench.methods", name=name)
    spec = importlib.util.find_spec(point.module)
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    assert point.attr in [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


@pytest.mark.parametrize(
    "action",
    [
        "import benchmark; benchmark.__version__",
        "from benchmark.registries import METHODS; assert 'audiotoken' in METHODS.names()",
        "from benchmark.cli.app import main; assert main(['--help']) == 0",
        "from benchmark.cli.app import main; assert main(['run', '--help']) == 0",
        "from benchmark.cli.app import main; assert main(['table', '--runs', 'none']) == 0",
    ],
    ids=["package", "registry", "help", "help of a verb", "table"],
)
def test_nothing_heavy_is_loaded_before_there_is_work(tmp_path, action):
    heavy = "torch", "transformers", "diffusers", "open_clip", "pandas", "scipy"
    loaded = python("-c", f"{action}\nimport sys; print([m for m in {heavy} if m in sys.modules])", cwd=tmp_path)
    assert loaded.splitlines()[-1] == "[]"


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert importlib.metadata.version(DISTRIBUTION) == version, "install the package again: pip install -e ."
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == version
    assert citation["license"] == "Apache-2.0" and citation["title"] == DISTRIBUTION
    for field in ("cff-version", "message", "authors"):
        assert citation[field]


def test_every_dependency_has_a_lower_bound_and_a_tested_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {}
    for text in (ROOT / "constraints.txt").read_text().splitlines():
        if text and not text.startswith("#"):
            name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)", text).groups()
            pins[_canonical(name)] = version
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        name, bound = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement).groups()
        assert _numbers(pins[_canonical(name)]) >= _numbers(bound), requirement


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


# ---------------------------------------------------------------------------------------------------- what is committed


# Written in pieces, so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(rb"(?<![\w.~$}-])/(wor" rb"k|roo" rb"t|tm" rb"p/w)/")
REGISTRY = re.compile(
    rb"py"
    rb"pi\.org|pythonho"
    rb"sted\.org|download\.pyto"
    rb"rch\.org|conda\.ana"
    rb"conda\.org|"
    rb"--(extra-)?ind"
    rb"ex-url|https?://\S+\.(whl|tar\.gz|tgz|deb)\b"
)


@pytest.mark.parametrize(
    ("pattern", "found", "left"),
    [
        (MACHINE_PATH, b'open("/ro' + b'ot/x")', b"~/work/x and $HOME/work/x and docs/work/x"),
        (MACHINE_PATH, b"cd /wor" + b"k/main", b"https://example.org/work/main"),
        (REGISTRY, b"https://py" + b"pi.org/simple", b"a list of indices"),
    ],
)
def test_the_search_for_traces_finds_them(pattern, found, left):
    assert pattern.search(found) and not pattern.search(left)


def test_no_file_knows_the_machine_it_was_written_on():
    files = tracked()
    assert ROOT / "README.md" in files
    traces = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in files
        for pattern in (MACHINE_PATH, REGISTRY)
        if (match := pattern.search(path.read_bytes()))
    ]
    assert not traces


@pytest.mark.skipif(not WEIGHTS, reason="benchmark/mini/weights holds no networks yet")
def test_the_shipped_weights_are_those_of_their_reports_and_of_the_suite():
    # of the draft, which is no part of the suite, there is the report alone
    reports = {path.stem for path in WEIGHTS[0].parent.glob("*.json")}
    assert reports == {*STAGES, *(path.stem for path in WEIGHTS)}
    assert {path.stem for path in WEIGHTS} < set(STAGES)
    for path in WEIGHTS:
        report = json.loads(path.with_suffix(".json").read_text())
        assert report["sha256"] == sha256_of(path), path.name
        assert report["bytes"] == path.stat().st_size, path.name
    suite = tomllib.loads((ROOT / "benchmark" / "suites" / "mini.toml").read_text())
    bound = suite["weights"] | suite["encoders"]
    assert bound == {path.stem: sha256_of(path) for path in WEIGHTS}
    folder = WEIGHTS[0].parent
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 35e6


@pytest.mark.skipif(not RECORDS, reason="results/mini is empty")
class TestCommittedRecords:
    @pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
    def test_each_is_complete_and_made_from_a_clean_tree(self, path):
        record = RunRecord.load(path)
        assert record.status == "complete" and record.limit is None and not record.clips.failed
        assert record.provenance.commit is not None and record.provenance.dirty is False

    @pytest.mark.parametrize("page", tables.PAGES)
    def test_the_pages_show_the_tables_made_from_them(self, tmp_path, page):
        text = (ROOT / page).read_text(encoding="utf-8")
        options = tables.PAGES[page]
        assert f"bench table {options}".strip() in text
        shown = between(text, "<!-- table:mini -->", "<!-- /table -->")
        asked = ["table", *options.split(), "--format", "md", "--runs", str(tmp_path / "none")]
        made = python("-m", "benchmark", *asked, cwd=ROOT)
        assert shown == made.strip(), "`python -m benchmark.studies.tables` puts it there"

    @pytest.mark.parametrize("path", sorted((ROOT / "results" / "studies").glob("*.json")), ids=lambda path: path.stem)
    def test_figures_of_studies_were_made_from_a_clean_tree(self, path):
        text = path.read_text(encoding="utf-8")
        kept = Kept.model_validate_json(text)
        assert kept.provenance.commit is not None and kept.provenance.dirty is False
        assert kept.suite.fingerprint == load_suite(kept.suite.name).fingerprint(), "of the suite as it is"
        assert not re.search(r'"/\w+/', text), "a folder of the machine that made them"

    def test_the_table_of_the_first_page_fits_a_screen(self):
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        lines = between(text, "<!-- table:mini -->", "<!-- /table -->").splitlines()
        assert max(len(line) for line in lines if line.startswith("|")) <= 130
        assert "](docs/leaderboard.md)" in text, "with intervals"


def imported() -> set[str]:
    """Top-level names of everything that the packages import, wherever in a file."""
    found = set()
    for package in ("audiotoken", "baselines", "benchmark", "metrics"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"audiotoken", "baselines", "benchmark", "metrics"}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    def plain(name: str) -> str:
        return re.sub("[-_.]+", "-", name).lower()

    def names_of(lines: list[str]) -> set[str]:
        return {plain(re.split("[<>=!~ \\[]", line)[0]) for line in lines}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = names_of(project["dependencies"])
    optional = names_of(
        [line for extra, lines in project["optional-dependencies"].items() if extra != "test" for line in lines]
    )
    homes = importlib.metadata.packages_distributions()
    # what an extra brings may not be installed, and is then called as its module
    used = {plain(homes.get(module, [module])[0]) for module in imported()}
    assert used - optional == names
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {plain(line.partition("==")[0]) for line in pins.splitlines() if "==" in line}
    assert names <= pinned and used <= pinned


# --------------------------------------------------------------------------------------------------------- what is read


def test_ci_runs_the_readme_line_for_the_tests():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    place = script.index(line("test"))
    # In brackets of its own: `set -e` passes over a failure in the middle of a chain of &&.
    assert (script[place - 1], script[place + 1]) == ("(", ")")
    assert "set -euo pipefail" in script[:place]


def test_both_lines_make_the_same_environment():
    set_up = "python3 -m venv .venv && .venv/bin/python -m pip install -q -c constraints.txt -e "
    assert line("run") == f"{set_up}. && .venv/bin/bench run --method audiotoken"
    assert line("test").startswith(f'{set_up}".[test]" && ')
    assert line("test").endswith(" -m pytest -q -n 2 --dist worksteal")


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_command_on_a_page_exists(page):
    import typer

    from benchmark.cli.app import application

    known = typer.main.get_command(application()).commands
    text = (ROOT / page).read_text(encoding="utf-8")
    code = re.findall(r"```bash\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    for command in re.findall(r"(?:^|/|\s)bench (.+)", "\n".join(fence or span for fence, span in code)):
        words = command.split()
        verb = known.get(words[0])
        assert verb is not None, f"{page}: bench {command}"
        if hasattr(verb, "commands"):
            verb = verb.commands[words[1]]
        options = {name for parameter in verb.params for name in parameter.opts} | {"--help"}
        for word in re.findall(r"(?<=\s)--?[a-z][\w-]*", command.split("&&")[0].split("#")[0]):
            assert word in options, f"{page}: bench {command}"


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_link_on_a_page_leads_to_a_file(page):
    here = ROOT / page
    for target in re.findall(r"\]\(([^)#\s]+)", here.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (here.parent / target).exists(), f"{page}: {target}"
