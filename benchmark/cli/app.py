"""The command `bench`: every verb by name, and what happens around all of them.

Results go to stdout, everything else to stderr. Whatever takes time to import is imported by the verb that needs it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from benchmark.cli import board, cite, compare, data, method, mini, report, run, runs, show, verify
from benchmark.cli.exit_codes import explain
from benchmark.cli.options import Debug, as_command
from benchmark.utils import distributed
from benchmark.utils.progress import quiet_libraries
from benchmark.utils.text import visible

app = typer.Typer(
    name="bench",
    help="A benchmark of audio-to-image generation. Try: bench run --method audiotoken",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(as_command(run.run))
app.command("fit")(as_command(run.fit, without={"limit"}))
app.command("generate")(as_command(run.generate))
app.command("score")(as_command(run.score))
app.command("table")(as_command(board.table))
app.command("paper")(as_command(board.paper))
app.command("compare")(as_command(compare.compare))
app.command("report")(as_command(report.report))
app.command("cite")(as_command(cite.cite))
app.command("imagine")(as_command(run.imagine))
app.command("list")(as_command(show.list_))
app.command("show")(as_command(show.show))
app.command("runs")(as_command(runs.runs))
app.command("publish")(as_command(board.publish))
app.command("verify")(as_command(verify.verify))
app.command("reproduce")(as_command(verify.reproduce))
app.command("submit")(as_command(verify.submit))
app.command("check")(as_command(verify.check))
app.command("doctor")(as_command(show.doctor))
app.command("fetch")(as_command(data.fetch))
app.command("prepare")(as_command(data.prepare))
app.command("export")(as_command(data.export))
app.command("new-method")(as_command(method.new_method))
app.command("validate")(as_command(method.validate))

mini_app = typer.Typer()
mini_app.command("pretrain")(as_command(mini.pretrain))
app.add_typer(mini_app, name="mini")


@app.callback(invoke_without_command=True)
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


@mini_app.callback(invoke_without_command=True)
def _mini(context: typer.Context) -> None:
    """The workshop of the embedded suite."""
    _help_alone(context)


def _help_alone(context: typer.Context) -> None:
    """Without a verb: the help, as wrong use."""
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
        code = typer.main.get_command(app).main(arguments, prog_name="bench", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        if debug and not isinstance(error, SystemExit):
            sys.stderr.write(visible(traceback.format_exc(), lines=True))
        return explain(error)
    if code == 130:
        return explain(KeyboardInterrupt())
    return code if isinstance(code, int) else 0
