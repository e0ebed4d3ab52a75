"""Lets the tests of this folder share the fake engine behind a real API."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))
