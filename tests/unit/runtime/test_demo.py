"""Goal: the demo's story ends for nobody's pipe: it goes on untold, and its report decides.

Method: a standard output that nobody reads any longer.
"""

import io
import sys

from hedge.runtime.demo import teller


class Closed(io.StringIO):
    def write(self, _text):
        raise BrokenPipeError


def test_a_story_that_nobody_reads_is_not_told(monkeypatch, capsys):
    tell = teller(silent=False)
    tell("first")
    assert capsys.readouterr().out == "first\n"
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Closed())
        tell("second")
    tell("third")
    assert not capsys.readouterr().out
