"""Progress, remarks and warnings of running work, all on stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from benchmark.utils import distributed
from benchmark.utils.text import visible

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[int], None]


class UI(Protocol):
    """Interface through which the functions of this package report progress; they never print."""

    def task(self, what: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """Show a piece of work while the block runs. Tasks may be nested.

        Args:
            what: Name of the work.
            total: Number of units; 0 if it is unknown.
            unit: Plural of the unit, such as "images".

        Returns:
            A context manager that yields `advance(units done since the last call)`.
        """
        ...

    def say(self, line: str) -> None:
        """Show a remark on what is going on."""
        ...

    def warn(self, line: str) -> None:
        """Show something that the reader of the results should know."""
        ...


class Silent:
    """UI that shows nothing and keeps the lines.

    Attributes:
        said: The remarks so far.
        warnings: The warnings so far.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warnings: list[str] = []

    @contextlib.contextmanager
    def task(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        """Yield a function that does nothing."""
        yield lambda done: None

    def say(self, line: str) -> None:
        """Append a remark to `said`."""
        self.said.append(line)

    def warn(self, line: str) -> None:
        """Append a warning to `warnings`."""
        self.warnings.append(line)


class Console:
    """UI on stderr: progress bars on a terminal, plain lines elsewhere.

    Args:
        interval: Seconds between the plain lines of a task, which also has one at its start and one at its end.
    """

    def __init__(self, interval: float = 15.0) -> None:
        self.interval = interval
        self._warned: set[str] = set()
        self._bars: Progress | None = None
        self._open = 0

    def say(self, line: str) -> None:
        """Print a remark."""
        self._print(line)

    def warn(self, line: str) -> None:
        """Print a warning; equal ones are printed once."""
        if line not in self._warned:
            self._warned.add(line)
            self._print(f"warning: {line}", style="yellow")

    def task(self, what: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """Show a bar, or lines, while the block runs."""
        what = visible(what)
        return self._bar(what, total, unit) if _is_terminal() else self._lines(what, total, unit)

    @contextlib.contextmanager
    def _bar(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        bars, inner = self._bars, self._open > 0
        bar = bars.add_task(what, total=total or None, unit=unit)
        self._open += 1
        try:
            yield lambda done: bars.advance(bar, done)
        finally:
            self._open -= 1
            if inner:
                bars.remove_task(bar)
            elif not total:
                bars.update(bar, total=bars.tasks[bars.task_ids.index(bar)].completed)
            if self._open == 0:
                bars.stop()
                self._bars = None

    @contextlib.contextmanager
    def _lines(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        began = shown = time.monotonic()
        count, of = 0, f" of {total}" if total else ""

        def advance(done: int) -> None:
            nonlocal count, shown
            count += done
            now = time.monotonic()
            if count and now - shown >= self.interval and count != total:
                shown = now
                speed = count / (now - began)
                left = f", {clock((total - count) / speed)} left" if total > count else ""
                self._print(f"{what}: {count}{of} {unit}, {rate(speed)} {unit}/s{left}")

        self._print(f"{what}: {total} {unit}" if total else what)
        try:
            yield advance
        except BaseException:
            if count:
                self._print(f"{what}: stopped at {count}{of} {unit}")
            raise
        if (seconds := time.monotonic() - began) >= 1:
            speed = f", {rate(count / seconds)} {unit}/s" if count else ""
            self._print(f"{what}: done in {clock(seconds)}{speed}")

    def _print(self, line: str, style: str = "") -> None:
        if not distributed.is_first():
            return
        line = visible(line, lines=True)
        if self._bars is None and not (style and _is_terminal()):
            print(line, file=sys.stderr, flush=True)
            return
        from rich.console import Console as Terminal
        from rich.text import Text

        terminal = self._bars.console if self._bars else Terminal(stderr=True)
        terminal.print(Text(line, style=style), soft_wrap=True)


def rate(speed: float) -> str:
    """Return a speed with three significant digits, or as a whole number from 100 upwards.

    Example:
        >>> rate(1234.5), rate(12.345), rate(0.1234)
        ('1234', '12.3', '0.123')
    """
    return f"{speed:.0f}" if speed >= 100 else f"{speed:.3g}"


def clock(seconds: float) -> str:
    """Return a duration as text.

    Example:
        >>> clock(0.42), clock(75), clock(3725)
        ('0.4 s', '1:15', '1:02:05')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def quiet_libraries() -> None:
    """Keep the progress bars, remarks and warnings of libraries out of the output. Call it before they are imported.

    Environment variables that are set already are left alone; Python's -W and PYTHONWARNINGS keep their effect.
    """
    for name, value in {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "DIFFUSERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }.items():
        os.environ.setdefault(name, value)
    logging.getLogger().setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _is_terminal() -> bool:
    return distributed.is_first() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _bars() -> Progress:
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{rate(speed)} {task.fields['unit']}/s" if speed else "", style="cyan")

    class Left(ProgressColumn):
        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            if task.finished:
                return Text(f"in {clock(task.finished_time or 0.0)}", style="dim")
            left = task.time_remaining
            return Text("" if left is None else f"{clock(left)} left", style="dim")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}", markup=False),
        Speed(),
        Left(),
        console=Terminal(stderr=True),
    )
