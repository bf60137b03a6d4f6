"""What tests of parity share; the functions themselves are in `loading.py` (import them from there)."""

from __future__ import annotations

import sys
from pathlib import Path

# `tests` is no package: with any import mode of pytest, `from loading import folders, load` must work in this folder.
sys.path.insert(0, str(Path(__file__).parent))
