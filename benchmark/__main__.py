"""`python -m benchmark` is the command `bench`."""

from __future__ import annotations

import sys

from benchmark.cli.process import main

if __name__ == "__main__":
    sys.exit(main())
