"""Lets the tests of this folder share the starters of servers, and the stock clients be imported.

python-binance imports a deprecated part of websockets; that is its own affair.
"""

import contextlib
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

with warnings.catch_warnings(), contextlib.suppress(ImportError):
    warnings.simplefilter("ignore")
    import binance  # noqa: F401 - only so that a test's own import finds it done
