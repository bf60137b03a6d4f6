"""How the process `bench` ends: at once, but not before everything that others rely on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading, time
from benchmark.cli import app, process

class Kept:
    def __del__(self):
        print("taken apart")

def later():
    time.sleep(0.2)
    print("thread")

def main():
    atexit.register(print, "exit function")
    threading.Thread(target=later).start()
    print("main")
    return 3

app.main, kept = main, Kept()
sys.exit(process.main())
"""


def test_threads_exit_functions_and_output_are_waited_for_and_nothing_is_taken_apart():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "main\nthread\nexit function\n", "")


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_none_that_a_result_goes_to(closed: int) -> None:
    program = "import os; from benchmark.cli import app, process; app.main = lambda: os.open(os.devnull, 0)"
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}; process.main()"],
        capture_output=True,
        preexec_fn=lambda: os.close(closed),
        timeout=60,
        check=False,
    )
    assert ended.returncode > 2, "the exit code is the number of the first file that is opened"
    assert not ended.stderr
