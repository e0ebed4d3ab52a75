"""The page of all cards, as the documentation shows it."""

from collections.abc import Iterator

from hedge.testing.cards import Group, Level, all_cards
from hedge.testing.testbed import Switch

HEAD = """\
<!-- Written by docs/generate.py; edit the cards instead. -->
# The conformance kit

`pytest --hedge-venue=NAME` plays these cards on a venue's plugin; no test file is needed. A card
that a capability or a testbed excuses is skipped, and listed with its reason at the end; whatever
else is missing fails, and what is missing is listed once. `--hedge-venue` may stand several times;
where no path is given, no other test is collected. `--hedge-card=TEXT` plays only the cards whose
title contains the text. `--hedge-level` says against what:

{levels}
"""
LEVELS = {
    Level.OFFLINE: "the plugin's testbed, every card",
    Level.PUBLIC: "the real venue without a key",
    Level.TESTNET: "its testnet, with a key in HEDGE_KIT_API_KEY and so on",
}


def page() -> str:
    """Return the page as Markdown: each card with prerequisite, action, sequence and skip."""
    levels = "\n".join(f"* `{level.value}`: {words}" for level, words in LEVELS.items())
    return "\n".join([HEAD.format(levels=levels), *_chapters(), *_switches()]) + "\n"


def _chapters() -> Iterator[str]:
    cards = all_cards()
    yield f"There are {len(cards)} cards in {len(Group)} groups."
    for group in Group:
        yield f"\n## {group.value.capitalize()}\n"
        yield "| card | given | when | expected | skipped when |"
        yield "|---|---|---|---|---|"
        for card in cards:
            if card.group is group:
                cells = (card.prerequisite, card.action, card.expected, card.skipped_when)
                yield f"| `{card.title}` | " + " | ".join(cells) + " |"


def _switches() -> Iterator[str]:
    yield "\n## Switches of a testbed\n"
    yield "Those that a testbed has not it names in `lacks`, each with its reason.\n"
    yield "| switch | cards that need it |"
    yield "|---|---|"
    for switch in Switch:
        titles = [f"`{card.title}`" for card in all_cards() if switch in card.needs]
        yield f"| `{switch.value}` | {', '.join(titles)} |"
