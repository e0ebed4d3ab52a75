"""Goal: the pages for plugin authors say what the code does.

Method: what the guide quotes stands in the example, and what a card needs a testbed can be told.
"""

import re
from pathlib import Path

from bench import EXAMPLE

from hedge.testing import Switch, all_cards

DOCS = Path(__file__).parents[2] / "docs"


def test_every_switch_is_needed_by_a_card():
    needed = {switch for card in all_cards() for switch in card.needs}
    assert needed == set(Switch)


def test_the_guide_quotes_the_example():
    text = (DOCS / "writing-plugins.md").read_text()
    sources = "\n".join(path.read_text() for path in EXAMPLE.rglob("*.py"))
    sources += (EXAMPLE / "pyproject.toml").read_text()
    quotes = re.findall(r"^```(?:python|ini)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(quotes) > 3
    for quote in quotes:
        for line in filter(None, map(str.strip, quote.splitlines())):
            assert line in sources, f"the example has no line {line!r}"
