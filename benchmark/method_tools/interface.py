"""The interface that authors of methods use, as Markdown made from the code: signatures, types, defaults, docstrings.

Run `python -m benchmark.method_tools.interface` to print it, and with `--write docs/add-a-method.md` to put it between
the marks of that page. A test keeps the two equal.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from benchmark.backbone import Backbone
from benchmark.clips import Clip, ClipSet
from benchmark.dataset import DataSet, Sample, StreamPlace
from benchmark.method import (
    Conditioning,
    ConditioningMethod,
    FitReport,
    Method,
    MethodCard,
    MethodSettings,
    RunContext,
)
from benchmark.suite import BackboneSpec, Budget, Data, Generation, Suite
from benchmark.text_encoder import encode_prompts, encode_with_token, label_embedding
from benchmark.utils.files import write_atomic
from benchmark.utils.progress import UI

START, END = "<!-- generated:interface -->", "<!-- /generated -->"

WIDTH = 120
"""Longest line of a page, tables left out."""

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example", "Examples", "Note")
"""Headings of a docstring in Google's convention."""


@dataclass(frozen=True)
class Topic:
    """A class on the page."""

    what: type
    """The class, which the front door exports unless it is an attribute of one that it exports."""
    title: str | None = None
    """How an author reaches it; None for the name of the class."""
    members: tuple[str, ...] | None = None
    """Names to show; None for all public ones."""
    whole: bool = True
    """Whether to show the whole docstring of the class, or its first paragraph alone."""


TOPICS: dict[str, tuple[Topic, ...]] = {
    "What you get": (
        Topic(Clip, whole=False),
        Topic(ClipSet, whole=False),
        Topic(RunContext, whole=False),
        Topic(
            Suite,
            members=(
                "name",
                "data",
                "backbone",
                "generation",
                "encoders",
                "budget",
                "base",
                "samples",
                "sound",
                "fit_sound",
            ),
        ),
        Topic(Data, "suite.data", ("train", "validation", "test", "rate", "seconds", "length", "train_seconds")),
        Topic(BackboneSpec, "suite.backbone"),
        Topic(Generation, "suite.generation"),
        Topic(Budget, "suite.budget"),
        Topic(Backbone),
        Topic(UI),
        Topic(DataSet, members=("stream",), whole=False),
        Topic(StreamPlace),
        Topic(Sample),
    ),
    "What you write": (
        Topic(MethodCard),
        Topic(MethodSettings),
        Topic(Method),
        Topic(ConditioningMethod),
        Topic(FitReport, whole=False),
        Topic(Conditioning, whole=False),
    ),
}
"""The classes by part of the page."""

FUNCTIONS: tuple[Callable[..., Any], ...] = (label_embedding, encode_prompts, encode_with_token)
"""Functions of the front door that help to write a method."""

NOTES: dict[str, str] = {
    "Backbone.tokenizer": "transformers' `CLIPTokenizer`; it also knows the placeholder `<*>`.",
    "Backbone.text_encoder": "transformers' `CLIPTextModel`, float32, frozen.",
    "Backbone.unet": "diffusers' `UNet2DConditionModel`, float32, frozen; gradients flow through it.",
    "Backbone.vae": "diffusers' `AutoencoderKL`, float32, frozen.",
}
"""Meanings of members that have no docstring of their own in the code."""

ADDED: dict[str, str] = {
    "Clip.audio": "Read it with `suite.sound(clip)` or `waveform`.",
    "Clip.image": "Read it with `picture`.",
    "ClipSet.clips": "`len(clips)`, `for clip in clips`, `clips[3]` and `clips[3:8]` work too.",
    "ClipSet.labels": "It is the suite's, whichever labels occur among the clips.",
    "RunContext.test": "**In the instance that is fitted these are the training clips**, the set that `fit` gets, so "
    "that no fit can look at the test clips.",
    "RunContext.seed": "0 to 2**32 - 1; seed your own generators of `fit` with it.",
    "RunContext.folder": "`load` finds there what `fit` wrote.",
    "RunContext.cache": "All runs share it: put the identity of the clips, and the sha256 of the network, into the "
    "file's name. It may not exist yet.",
    "RunContext.device": 'For example `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`.',
    "FitReport.steps": "1 for a closed form, 0 if nothing was trained.",
    "Conditioning.prompt_embeds": "float32 and finite. L and D are those of `backbone.encode_prompts`: (77, 768) for "
    "Stable Diffusion 1, (32, 128) on `mini`.",
    "Method.settings": "Where the suite's budget has a value for a setting that is None, it holds that value.",
    "Method.encoders": "A network that is no encoder of the suite is added as "
    '`{"my-network": hashlib.sha256(path.read_bytes()).hexdigest()}`.',
    "Method.generate": "Images may be PIL images of any mode and size, or arrays (height, width) or (height, width, "
    "1, 3 or 4): uint8, uint16, bool, or floats in [0, 1]. Seeds are integers from 0 to 2**63 - 1. A call gets "
    "at most `suite.generation.batch_size` clips.",
    "Backbone.encode_pictures": "Latents have 4 channels, and a side of H/8 with Stable Diffusion, H/4 on `mini`.",
    "UI.task": 'For example `with run.ui.task("training", steps, "steps") as advance:`, and `advance(1)` after a step.',
}
"""What authors need beyond a docstring: it follows the docstring."""


def render() -> str:
    """Return the reference as Markdown."""
    lines: list[str] = []
    for part, topics in TOPICS.items():
        lines += [f"### {part}", ""]
        for topic in topics:
            lines += [*_topic(topic), ""]
    lines += ["### Functions", "", *_table(_function(function) for function in FUNCTIONS)]
    return "\n".join(lines)


def written(page: str) -> str:
    """Return the text of a page with the reference between its marks.

    Raises:
        ValueError: The page does not hold each mark once.
    """
    if page.count(START) != 1 or page.split(START)[1].count(END) != 1:
        raise ValueError(f"the page needs {START} and {END} once each")
    before, rest = page.split(START)
    return f"{before}{START}\n{render()}\n{END}{rest.split(END)[1]}"


@dataclass(frozen=True)
class Member:
    """A row of a table: how it is written, its type, what it means."""

    name: str
    type: str
    meaning: str


def members(topic: Topic) -> list[Member]:
    """Return the members that a topic shows, in the order of the code.

    Raises:
        KeyError: The topic names a member that the class does not have.
    """
    found = {member.name.partition("(")[0]: member for member in _members(topic.what)}
    return [found[name] for name in topic.members or found]


def _topic(topic: Topic) -> Iterator[str]:
    yield f"#### `{topic.title or topic.what.__name__}`"
    yield ""
    text, _ = _docstring(topic.what)
    paragraphs = text.split("\n\n")
    shown = paragraphs if topic.whole else paragraphs[:1]
    yield "\n\n".join(textwrap.fill(one, WIDTH, break_long_words=False, break_on_hyphens=False) for one in shown)
    yield ""
    rows = members(topic)
    yield from _table(rows)
    for alias, values in _aliases(topic.what, rows).items():
        yield ""
        yield f"`{alias}` is one of {', '.join(f'`{value!r}`' for value in values)}.".replace("'", '"')


def _table(rows: Iterator[Member] | Sequence[Member]) -> Iterator[str]:
    yield "| name | type | meaning |"
    yield "|---|---|---|"
    for row in rows:
        kind = f"`{_cell(row.type)}`" if row.type else ""
        yield f"| `{_cell(row.name)}` | {kind} | {_cell(row.meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# ------------------------------------------------------------------------------------------------- what the code says


def _members(what: type) -> Iterator[Member]:
    """Yield the public members of a class and of its private bases, with attributes set in `__init__` first."""
    for base in reversed(what.__mro__):
        if base is what or (base.__name__.startswith("_") and base.__module__ == what.__module__):
            yield from _own_members(what, base)


def _own_members(what: type, base: type) -> Iterator[Member]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
    assert isinstance(body, ast.ClassDef)
    described = _docstring(base)[1] | _docstring(what)[1]

    def meaning(name: str, own: str = "") -> str:
        key = f"{what.__name__}.{name}"
        said = own or described.get(name) or NOTES.get(key, "")
        return f"{said} {ADDED[key]}" if key in ADDED else said

    for name, annotated, own in _assigned(body):
        yield Member(name, _type(what, name, annotated), meaning(name, own))
    for node in body.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found = inspect.getattr_static(what, node.name)
            if isinstance(found, (property, cached_property)):
                function: Any = found.fget if isinstance(found, property) else found.func
                row = Member(node.name, _short(node.returns), _meaning(function))
            else:
                row = _function(found)
            yield dataclasses.replace(row, meaning=meaning(node.name, row.meaning))


def _assigned(body: ast.ClassDef) -> Iterator[tuple[str, ast.AnnAssign | None, str]]:
    """Yield name, annotated assignment and docstring of a class's public attributes."""
    for node in body.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            yield from _attributes(node.body)
    yield from _attributes(body.body)


def _attributes(statements: list[ast.stmt]) -> Iterator[tuple[str, ast.AnnAssign | None, str]]:
    for place, node in enumerate(statements):
        below = statements[place + 1] if place + 1 < len(statements) else None
        text = ""
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            text = " ".join(below.value.value.split())
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        for target in targets:
            for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                name = _public(one)
                if name is not None:
                    yield name, node if isinstance(node, ast.AnnAssign) else None, text


def _public(target: ast.expr) -> str | None:
    """Return the name of `name` or `self.name`, unless it is private."""
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        name = target.attr
    elif isinstance(target, ast.Name):
        name = target.id
    else:
        return None
    return None if name.startswith("_") or name == "model_config" else name


def _type(what: type, name: str, node: ast.AnnAssign | None) -> str:
    """Return an attribute's type with its default."""
    if node is None:
        parameter = inspect.signature(what).parameters.get(name)
        return "" if parameter is None or parameter.annotation is parameter.empty else str(parameter.annotation)
    annotation = re.sub(r"^ClassVar\[(.*)\]$", r"\1", _short(node.annotation))
    default = _default(what, name, node)
    return annotation if default is None else f"{annotation} = {default}"


def _default(what: type, name: str, node: ast.AnnAssign) -> str | None:
    if dataclasses.is_dataclass(what):
        field = next(field for field in dataclasses.fields(what) if field.name == name)
        if field.default_factory is not dataclasses.MISSING:
            return repr(field.default_factory())
        return None if field.default is dataclasses.MISSING else repr(field.default)
    if node.value is None or not isinstance(node.target, ast.Name):
        return None
    return _short(node.value)


def _short(node: ast.expr | None) -> str:
    """Return the source of a type as it stands, without what goes without saying."""
    return "" if node is None else re.sub(r"\b(np|PIL)\.(?=ndarray|Image)", "", ast.unparse(node)).replace("'", '"')


def _function(function: Any) -> Member:
    signature = inspect.signature(function)
    parameters = [
        str(parameter.replace(annotation=_plain(parameter.annotation)))
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    returns = "" if signature.return_annotation is signature.empty else _plain(signature.return_annotation)
    return Member(f"{function.__name__}({', '.join(parameters)})", str(returns), _meaning(function))


class _Words(str):
    """A type that is shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _plain(annotation: Any) -> Any:
    return _Words(re.sub(r"\bnp\.(?=ndarray)", "", annotation)) if isinstance(annotation, str) else annotation


def _aliases(what: type, rows: Sequence[Member]) -> dict[str, tuple[Any, ...]]:
    """Return the values of the module's own names for a choice, as far as the rows mention them."""
    module = vars(sys.modules[what.__module__])
    words = {word for row in rows for word in re.findall(r"[A-Z]\w+", f"{row.name} {row.type}")}
    return {word: get_args(module[word]) for word in sorted(words) if get_origin(module.get(word)) is Literal}


# ---------------------------------------------------------------------------------------------------------- docstrings


def _docstring(what: Any) -> tuple[str, dict[str, str]]:
    """Return the paragraphs of a docstring before its sections, and what it says of arguments or attributes."""
    text, sections = _sections(inspect.getdoc(what) if not isinstance(what, type) else _own_doc(what))
    return text, _items(sections.get("Args", "")) | _items(sections.get("Attributes", ""))


def _own_doc(what: type) -> str:
    return inspect.cleandoc(what.__dict__.get("__doc__") or "")


def _sections(doc: str | None) -> tuple[str, dict[str, str]]:
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", doc or "", flags=re.MULTILINE)
    paragraphs = [paragraph for paragraph in re.split(r"\n\s*\n", parts[0].strip()) if not paragraph.startswith(">>>")]
    main = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return main, {name: textwrap.dedent(text).strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _items(section: str) -> dict[str, str]:
    """Return the texts of a section's entries `name: text`, whose further lines are indented."""
    found = re.findall(r"^(\w[\w.]*)(?: \([^)]*\))?: (.*(?:\n[ \t]+.*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _meaning(function: Any) -> str:
    """Return a function's docstring in one paragraph, with what it takes, returns and raises."""
    text, sections = _sections(inspect.getdoc(function))
    said = [" ".join(text.split())]
    if arguments := _items(sections.get("Args", "")):
        said.append("; ".join(f"`{name}`: {words.removesuffix('.')}" for name, words in arguments.items()) + ".")
    if returns := sections.get("Returns") or sections.get("Yields"):
        said.append(f"Returns: {' '.join(returns.split())}")
    said += [f"Raises {error}: {words}" for error, words in _items(sections.get("Raises", "")).items()]
    return " ".join(part for part in said if part)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the reference, or write it to a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.method_tools.interface", description=main.__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a page that holds the marks")
    page: Path | None = parser.parse_args(arguments).write
    if page is None:
        print(render())
        return
    text = page.read_text(encoding="utf-8")
    if (new := written(text)) != text:
        write_atomic(page, new)
        print(f"{page} was changed")


if __name__ == "__main__":
    main()
