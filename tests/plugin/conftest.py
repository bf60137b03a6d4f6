"""The package's test also runs where the package is not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
