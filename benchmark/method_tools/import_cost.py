"""How long a method's module takes to import in a fresh process, which `bench list methods` waits for."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

LIMIT = 120
"""Seconds after which the measurement is given up."""

# The harness itself is imported before the clock starts. Imports are timed that stand in the module's own code, with
# all that they import in turn. What a module prints goes to stderr, so that stdout holds the result alone.
_PROBE = """
import builtins, importlib, importlib.util, json, sys, time

name, file, path = json.loads(sys.argv[1])
sys.path[:] = path
out, sys.stdout = sys.stdout, sys.stderr
import benchmark.method

plain, spent = builtins.__import__, {}

def timed(target, globals=None, locals=None, fromlist=(), level=0):
    began = time.perf_counter()
    try:
        return plain(target, globals, locals, fromlist, level)
    finally:
        if globals is not None and globals.get("__name__") == name and not level:
            package = target.partition(".")[0]
            spent[package] = spent.get(package, 0.0) + time.perf_counter() - began

try:
    spec = importlib.util.find_spec(name)
except ImportError:
    spec = None
builtins.__import__ = timed
began = time.perf_counter()
if spec is not None and spec.origin == file:
    importlib.import_module(name)
else:
    spec = importlib.util.spec_from_file_location(name, file)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
json.dump([time.perf_counter() - began, spent], out)
"""


@dataclass(frozen=True)
class ImportCost:
    """What importing a module took."""

    seconds: float
    """Wall-clock seconds, without those of the harness itself."""
    packages: tuple[tuple[str, float], ...]
    """Packages that the module imports, with the seconds of each, the slowest first."""


@cache
def import_cost(module: str) -> ImportCost | None:
    """Measure the import of a module that this process has imported already, in another process.

    Args:
        module: Its name in `sys.modules`; it may have been loaded from a file that is on no path.

    Returns:
        None for a program, a module without a file, and one that another process cannot import within `LIMIT`
        seconds.
    """
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or module == "__main__":  # which would do its work once more
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, json.dumps([module, file, sys.path])],
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT,
            stdin=subprocess.DEVNULL,
        )
        seconds, packages = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return ImportCost(seconds, tuple(sorted(packages.items(), key=lambda one: -one[1])))
