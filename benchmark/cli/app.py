"""The command `bench`: every verb by name, and what happens around all of them.

Results go to stdout, everything else to stderr. Whatever takes time to import is imported by the verb that needs it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from benchmark.cli import (
    board,
    cite,
    compare,
    data,
    demo,
    fresh,
    human,
    method,
    mini,
    plan,
    plot,
    recipe,
    report,
    run,
    runs,
    share,
    show,
    stress,
    tiny,
    verify,
)
from benchmark.cli.exit_codes import explain
from benchmark.cli.options import Debug, as_command
from benchmark.utils import distributed
from benchmark.utils.progress import quiet_libraries
from benchmark.utils.text import visible

VERBS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "fit": run.fit,
    "generate": run.generate,
    "score": run.score,
    "table": board.table,
    "paper": board.paper,
    "plot": plot.plot,
    "compare": compare.compare,
    "plan": plan.plan,
    "stress": stress.stress,
    "fresh": fresh.fresh,
    "report": report.report,
    "cite": cite.cite,
    "imagine": run.imagine,
    "demo": demo.demo,
    "list": show.list_,
    "show": show.show,
    "runs": runs.runs,
    "publish": board.publish,
    "verify": verify.verify,
    "reproduce": verify.reproduce,
    "submit": verify.submit,
    "push": share.push,
    "check": verify.check,
    "doctor": show.doctor,
    "fetch": data.fetch,
    "prepare": data.prepare,
    "recipe": recipe.recipe,
    "export": data.export,
    "tiny": tiny.tiny,
    "new-method": method.new_method,
    "validate": method.validate,
}
"""The verbs, as the help lists them."""

GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "human": ("Studies in which people judge images.", {"build": human.build, "import": human.import_}),
    "mini": ("The workshop of the embedded suite.", {"pretrain": mini.pretrain}),
}
"""Groups of verbs below a name of their own, each with what the help says of it."""

WITHOUT = {"fit": {"limit", "variation"}}
"""Options that a verb does not take of those that it shares with others."""


def application(verb: str | None = None) -> typer.Typer:
    """Return the command line.

    Args:
        verb: The one verb that is going to be used: the others are listed by name, and take no options. To lay out the
            options of all of them takes longer than to print the help. None: all can be used.
    """
    app = typer.Typer(
        name="bench",
        help="A benchmark of audio-to-image generation. Try: bench run --method audiotoken",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    for name, function in VERBS.items():
        wanted = verb in (None, name)
        app.command(name)(as_command(function, WITHOUT.get(name, ())) if wanted else _listed(function))
    for group, (said, verbs) in GROUPS.items():
        below = typer.Typer(help=said)
        below.callback(invoke_without_command=True)(_help_alone)
        for name, function in verbs.items():
            below.command(name)(as_command(function) if verb in (None, group) else _listed(function))
        app.add_typer(below, name=group)
    return app


def _listed(verb: Callable[..., None]) -> Callable[[], None]:
    """Return a function without parameters that has the verb's help."""

    def nothing() -> None:
        raise AssertionError("a verb that is only listed was called")

    nothing.__doc__ = verb.__doc__
    return nothing


def _root(
    context: typer.Context,
    debug: Debug = False,
    version: Annotated[bool, typer.Option("--version", metavar="", help="Print the version.")] = False,
) -> None:
    if version:
        import benchmark

        print(benchmark.__version__)
        raise typer.Exit()
    _help_alone(context)


def _help_alone(context: typer.Context) -> None:
    # Without a verb: the help, as wrong use.
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 1 failed or incomplete, 2 wrong use, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # An arrow that an old terminal cannot show is no reason to fail.
            stream.reconfigure(errors="replace")
    if not debug:
        quiet_libraries()
    try:
        if not distributed.is_first():
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
        verb = next((argument for argument in arguments if not argument.startswith("-")), "")
        code = typer.main.get_command(application(verb)).main(arguments, prog_name="bench", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        if debug and not isinstance(error, SystemExit):
            sys.stderr.write(visible(traceback.format_exc(), lines=True))
        return explain(error)
    if code == 130:
        return explain(KeyboardInterrupt())
    return code if isinstance(code, int) else 0
