"""Lets the tests of this folder import its modules, and the terms that those of the pump use."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "unit" / "runtime")]
