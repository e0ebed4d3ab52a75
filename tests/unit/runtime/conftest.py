"""Lets the tests of this folder share the fake engine behind their API."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
