"""`bench new-method`: write a small installable package with a method that works, its card and a test."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
from pathlib import Path

from benchmark.registries import METHODS
from benchmark.utils.errors import UserError
from benchmark.utils.files import write_atomic

TEMPLATES = Path(__file__).parent / "templates"


def new_method(name: str, output: Path | None = None, generator: bool = False) -> list[Path]:
    """Write the package of a new method.

    Args:
        name: Words of lower-case letters and digits joined by "-".
        output: A new folder; None for one of that name in the current folder.
        generator: Whether the method draws images itself instead of conditioning the suite's backbone.

    Returns:
        The files written, the module first.

    Raises:
        UserError: The name cannot be that of a package or is taken, or the folder exists.
    """
    folder = output or Path(name)
    problems = _problems(name)
    if folder.exists():
        problems.append(f"{folder} exists already: name another folder with -o")
    if problems:
        raise UserError(problems)
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    module = _module(name)
    words = {"name": name, "module": module, "cls": "".join(part.capitalize() for part in name.split("-"))}
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Python and TOML, no HTML
    )
    sources = {
        f"{module}.py": "generator.py.j2" if generator else "conditioning.py.j2",
        f"test_{module}.py": "test.py.j2",
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": "README.md.j2",
    }
    written = []
    for file, template in sources.items():
        write_atomic(folder / file, environment.get_template(template).render(words, generator=generator))
        written.append(folder / file)
    return written


def _module(name: str) -> str:
    return name.replace("-", "_")


def _problems(name: str) -> list[str]:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 60:
        return [f"method name {name!r}: give lower-case letters and digits in words joined by '-', such as my-method"]
    problems = []
    if name in METHODS:
        problems.append(f"method name {name!r} is taken by {METHODS.origin(name)}: choose another")
    module = _module(name)
    if keyword.iskeyword(module) or importlib.util.find_spec(module) is not None:
        problems.append(f"method name {name!r}: Python has something called {module!r} already: choose another")
    elif any(re.sub("[-_.]+", "-", found).lower() == name for found in _distributions()):
        problems.append(f"method name {name!r}: a package of that name is installed already: choose another")
    return problems


def _distributions() -> list[str]:
    return [found.name for found in importlib.metadata.distributions() if found.name]
