"""The conformance kit for plugin authors; its names are fetched on first use."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hedge.testing.cards import Card, Failed, Group, Level, all_cards
    from hedge.testing.clock import KitClock
    from hedge.testing.desk import Desk
    from hedge.testing.run import Lacking, Stand, play
    from hedge.testing.testbed import AHEAD_MS, Switch, Testbed, TrueOrder, Truth

HOMES = {
    "AHEAD_MS": "testbed",
    "Card": "cards",
    "Desk": "desk",
    "Failed": "cards",
    "Group": "cards",
    "KitClock": "clock",
    "Lacking": "run",
    "Level": "cards",
    "Stand": "run",
    "Switch": "testbed",
    "Testbed": "testbed",
    "TrueOrder": "testbed",
    "Truth": "testbed",
    "all_cards": "cards",
    "play": "run",
}

__all__ = [
    "AHEAD_MS",
    "Card",
    "Desk",
    "Failed",
    "Group",
    "KitClock",
    "Lacking",
    "Level",
    "Stand",
    "Switch",
    "Testbed",
    "TrueOrder",
    "Truth",
    "all_cards",
    "play",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'hedge.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hedge.testing.{HOMES[name]}"), name)
