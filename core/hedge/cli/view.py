"""How a reading command prints hedges: plain lines that fit, red only where something is wrong."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from hedge.runtime.panel_facts import lines

RED, PLAIN = "\x1b[1;31m", "\x1b[0m"


def show(hedges: Sequence[Mapping[str, Any]], out: TextIO | None = None) -> None:
    """Print each hedge; a terminal's width drops what matters least, a pipe gets everything."""
    stream = out or sys.stdout
    terminal = stream.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    coloured = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for hedge in hedges:
        for line in lines(hedge, width):
            red = coloured and line.alarming
            print(f"{RED}{line.text}{PLAIN}" if red else line.text, file=stream)
