"""Lets the tests of this folder share what starts and watches, and the stock clients be imported.

python-binance imports a deprecated part of websockets; that is its own affair.
"""

import contextlib
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "crash")]

with warnings.catch_warnings(), contextlib.suppress(ImportError):
    warnings.simplefilter("ignore")
    import binance  # noqa: F401 - only so that a test's own import finds it done
