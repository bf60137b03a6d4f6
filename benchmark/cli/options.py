"""Options that verbs share: each is declared once here, and collected into one object.

A verb is a function of such objects (`RunOptions`, `BoardOptions`, ...) and of options of its own; `as_command` lays
their fields out for typer. `requests` is the one place where a command line becomes a `RunRequest`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from benchmark.runs.request import RunRequest

SuiteName = Annotated[str, typer.Option("--suite", "-s", metavar="NAME", help="A suite. `bench list suites`.")]
Data = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="A manifest of your own clips: columns id, audio, image, label, split."),
]
VariationName = Annotated[
    str | None,
    typer.Option(metavar="KIND=VALUE", help="Change the test clips: snr=0, mix=6, reversed. `bench list variations`."),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N test clips; never ranked.")]
Seed = Annotated[int, typer.Option(min=0, metavar="K", help="Seed of the run.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1, mps; auto takes the best there is.")]
Runs = Annotated[
    Path | None,
    typer.Option(envvar="BENCH_RUNS", metavar="DIR", help="Where runs live. \\[default: ./runs]", show_default=False),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the method; repeatable. `bench show NAME`."),
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON, and nothing else, to stdout.")]
# Read by `main` from the command line; declared where it may stand, so that help shows it.
Debug = Annotated[
    bool, typer.Option("--debug", metavar="", help="On an error show the traceback; let libraries speak.")
]
TrustMethod = Annotated[bool, typer.Option("--trust-method", metavar="", help="Execute the run's own Python file.")]
MethodName = Annotated[
    str,
    typer.Option("--method", "-m", metavar="NAME", help="A method, or path/to/file.py:Class. `bench list methods`."),
]


class Format(StrEnum):
    """How a board is written."""

    text = "text"
    md = "md"
    csv = "csv"
    latex = "latex"
    html = "html"
    json = "json"


SUFFIXES = {
    ".txt": Format.text,
    ".md": Format.md,
    ".csv": Format.csv,
    ".tex": Format.latex,
    ".html": Format.html,
    ".json": Format.json,
}


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Which run."""

    method: MethodName
    suite: SuiteName = "mini"
    data: Data = None
    variation: VariationName = None
    limit: Limit = None
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, metavar="K", help="Seed of the run; several times: one run each. \\[default: 0]"),
    ] = None
    seeds: Annotated[int | None, typer.Option(min=1, metavar="N", help="The seeds 0 to N-1, one run each.")] = None
    device: Device = "auto"
    runs: Runs = None
    set_: Set = None
    skip_bad: Annotated[bool, typer.Option("--skip-bad", metavar="", help="Go on without the manifest's bad rows.")] = (
        False
    )


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What is shown of a training."""

    track: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Show losses in tensorboard or wandb while fitting; repeatable."),
    ] = None
    samples_every: Annotated[
        int | None,
        typer.Option(min=1, metavar="STEPS", help="Draw pictures of the same few training clips every so many steps."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class BoardOptions:
    """Which board, and how it is written."""

    suite: SuiteName = "mini"
    runs: Runs = None
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="text, md, csv, latex, html or json. \\[default: by FILE's suffix, else text]",
        ),
    ] = None
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")] = None
    width: Annotated[
        int | None,
        typer.Option(min=40, metavar="N", help="Fold the text to N columns. \\[default: the terminal's, or $COLUMNS]"),
    ] = None
    as_json: AsJson = False

    @property
    def chosen_format(self) -> Format:
        """The format that was asked for, or that the file's suffix means."""
        if self.as_json and self.format_ not in (None, Format.json):
            raise UserError(f"--json and --format {self.format_} contradict each other: give one of them")
        if self.width is not None and self.format_ not in (None, Format.text):
            raise UserError(f"--width is for --format text, not {self.format_}: leave it out")
        by_suffix = SUFFIXES.get(self.output.suffix, Format.text) if self.output else Format.text
        return Format.json if self.as_json else self.format_ or by_suffix


_context: ContextVar[typer.Context] = ContextVar("context")
"""The invocation of the verb that is running."""


def as_command(verb: Callable[..., None], without: Collection[str] = ()) -> Callable[..., None]:
    """Return a function for typer: the fields of the verb's option objects laid out as parameters, and `--debug`.

    Args:
        verb: Its parameters are option objects (dataclasses) or annotated as typer wants it.
        without: Fields that this verb does not take; they keep their defaults.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        if not dataclasses.is_dataclass(hints[name]):
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[name] = hints[name]
        fields = get_type_hints(hints[name], include_extras=True)
        for field in dataclasses.fields(hints[name]):
            if field.name not in without:
                default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
                parameters.append(_parameter(field.name, fields[field.name], default))
    parameters.append(_parameter("debug", Debug, False))
    parameters.append(_parameter("context", typer.Context, inspect.Parameter.empty))

    @functools.wraps(verb)
    def command(context: typer.Context, debug: bool, **values: Any) -> None:
        _context.set(context)
        objects = {
            name: group(**{f.name: values.pop(f.name) for f in dataclasses.fields(group) if f.name in values})
            for name, group in groups.items()
        }
        verb(**objects, **values)

    # last: a parameter without a default may follow one with a default among keywords
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    del command.__wrapped__  # typer would look at the verb itself
    return command


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def refuse(what: str, *names: str) -> None:
    """Refuse options that do not apply.

    Args:
        what: Why not, as the end of a sentence: "belongs to a run that is there already".
        *names: Names of parameters.

    Raises:
        UserError: A line for each of them that stands on the command line.
    """
    context = _context.get()
    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    sources = {name: context.get_parameter_source(name) for name in names if name in flags}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        raise UserError([f"{flags[name]} {what}: leave it out" for name in given])


def requests(options: RunOptions, training: TrainingOptions | None = None) -> list[RunRequest]:
    """Return the runs that were asked for: one for each seed and each value of a setting that was given several.

    Raises:
        UserError: An option cannot be read, or does not apply.
    """
    settings = settings_of(options.set_)
    if options.skip_bad and options.data is None:
        refuse("is for the rows of a manifest (--data)", "skip_bad")

    if options.seed and options.seeds:
        raise UserError("--seed and --seeds contradict each other: give one of them")

    from benchmark.runs.request import RunRequest
    from benchmark.runs.sweep import grid

    training = training or TrainingOptions()
    return [
        RunRequest(
            method=options.method,
            suite=options.suite,
            data=options.data,
            variation=options.variation,
            seed=seed,
            limit=options.limit,
            settings=chosen,
            device=options.device,
            runs=options.runs,
            skip_bad=options.skip_bad,
            trackers=tuple(training.track or ()),
            samples_every=training.samples_every,
        )
        for chosen in grid(options.method, settings)
        for seed in dict.fromkeys(options.seed or range(options.seeds or 1))
    ]


def settings_of(texts: Sequence[str] | None) -> dict[str, str]:
    """Return `--set key=value` as a mapping. Raises UserError, a line for each text of another form."""
    pairs = [text.partition("=") for text in texts or ()]
    problems = [
        f"--set {key + equals + value!r}: write it as KEY=VALUE" for key, equals, value in pairs if not (key and equals)
    ]
    keys = [key.strip() for key, _, _ in pairs]
    problems += [
        f"--set {key}=... is given more than once: give it once" for key in dict.fromkeys(keys) if keys.count(key) > 1
    ]
    if problems:
        raise UserError(problems)
    return {key.strip(): value.strip() for key, _, value in pairs}


def check_metrics(ids: Sequence[str] | None) -> None:
    """Raise UserError, a line for each metric id that nobody knows."""
    if not ids:
        return
    from metrics import definitions

    problems = []
    for metric in ids:
        try:
            definitions.get(metric)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise UserError(problems)
