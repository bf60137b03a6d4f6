from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmark.utils import progress


def test_silent_keeps_what_was_said_and_prints_nothing(capfd):
    silent = progress.Silent()
    with silent.task("drawing", 3, "images") as advance:
        advance(3)
    silent.say("reused")
    silent.warn("4 clips are silent")
    assert (silent.said, silent.warnings) == (["reused"], ["4 clips are silent"])
    assert capfd.readouterr() == ("", "")


def test_without_a_terminal_progress_is_plain_lines_on_stderr(capsys, monkeypatch):
    now = iter([0.0, 4.0, 20.0, 40.0, 50.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.Console(interval=15).task("generating", 100, "images") as advance:
        for done in (10, 30, 60):
            advance(done)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "generating: 100 images",
        "generating: 40 of 100 images, 2 images/s, 30 s left",
        "generating: done in 50 s, 2 images/s",
    ]


def test_work_that_stops_says_how_far_it_came(capsys):
    with pytest.raises(KeyboardInterrupt), progress.Console().task("training", 9, "steps") as advance:
        advance(4)
        raise KeyboardInterrupt
    assert capsys.readouterr().err.splitlines()[-1] == "training: stopped at 4 of 9 steps"


def test_work_of_unknown_length_is_counted(capsys, monkeypatch):
    now = iter([0.0, 0.0, 20.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.Console(interval=15).task("checking", 0, "files") as advance:
        advance(0)
        advance(40)
    assert capsys.readouterr().err.splitlines() == [
        "checking",
        "checking: 40 files, 2 files/s",
        "checking: done in 30 s, 1.33 files/s",
    ]


def test_a_warning_is_shown_once_and_no_markup_is_read_in_it(capsys):
    console = progress.Console()
    for _ in range(2):
        console.warn("row [bold]7[/bold] is silent")
    assert capsys.readouterr().err == "warning: row [bold]7[/bold] is silent\n"


def on_terminal(code: str, **environment: str) -> tuple[str, str]:
    """stdout and what a terminal at stderr received, of python code."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environment}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=slave, env=env, text=True)
    os.close(slave)
    seen = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # what Linux says when the other side is closed
            chunk = b""
        if not chunk:
            break
        seen += chunk
    os.close(master)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, seen.decode()
    return out, seen.decode()


CODE = """
import time
from benchmark.utils.progress import Console
ui = Console()
with ui.task("outer [x]", 4, "steps") as outer:
    for _ in range(4):
        with ui.task("inner", 2, "clips") as inner:
            inner(1); time.sleep(0.15); inner(1)
        outer(1)
    ui.say("a remark")
print("result")
"""


def test_on_a_terminal_there_are_bars_with_speed_and_nested_ones_go():
    out, seen = on_terminal(CODE)
    assert out == "result\n"
    assert "\x1b[" in seen and "a remark" in seen
    assert "inner" in seen and "inner" not in seen.rpartition("outer [x]")[2]
    last = seen.rpartition("outer [x]")[2]
    assert "4/4" in last and "steps/s" in last


def test_on_a_terminal_work_of_unknown_length_ends_full():
    code = (
        "from benchmark.utils.progress import Console\n"
        "with Console().task('checking', 0, 'files') as advance: advance(7)"
    )
    assert "7/7" in on_terminal(code)[1]


def test_a_dumb_terminal_gets_plain_lines():
    _, seen = on_terminal(CODE, TERM="dumb")
    assert "\x1b[" not in seen and "outer [x]: 4 steps" in seen


def test_quiet_libraries_leaves_the_users_own_settings(monkeypatch):
    # In a process of its own: it changes filters, logging and the environment.
    code = (
        "from benchmark.utils.progress import quiet_libraries; quiet_libraries()\n"
        "import os, logging, warnings\n"
        "warnings.warn('seen'); logging.warning('seen')\n"
        "print(os.environ['TRANSFORMERS_VERBOSITY'], os.environ['HF_HUB_DISABLE_PROGRESS_BARS'])"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONWARNINGS", "HF_HUB_DISABLE_PROGRESS_BARS")}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**env, "TRANSFORMERS_VERBOSITY": "info"}
    )
    assert (run.stdout, run.stderr) == ("info 1\n", "")
    loud = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        capture_output=True,
        text=True,
        env={**env, "TRANSFORMERS_VERBOSITY": "info"},
    )
    assert "UserWarning: seen" in loud.stderr


def test_short_work_is_one_line(capsys):
    with progress.Console(interval=0).task("reading", 2, "texts") as advance:
        advance(2)
    assert capsys.readouterr().err == "reading: 2 texts\n"


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1:00"), (3599.6, "1:00:00")])
def test_clock_rounds_to_the_next_unit(seconds, text):
    assert progress.clock(seconds) == text
