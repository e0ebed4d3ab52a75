"""Lets the tests of this folder share the bench and the testbeds of the bundled venues."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
