"""One row of the journal: an event or a command, in the order in which it counted."""

from decimal import Decimal

import msgspec

from hedge.decide import commands, events
from hedge.decide.commands import AnyCommand
from hedge.decide.events import AnyEvent

AnyEntry = AnyEvent | AnyCommand
PASSING = frozenset(events.PASSING + commands.PASSING)
"""The entries that are never written down."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """``seq`` counts from 1 without holes. The mids are those of the moment (None: not known yet).

    A command's row follows the row of the event that led to it, if that event is a row at all.
    """

    seq: int
    at: int
    entry: AnyEntry
    spot_mid: Decimal | None = None
    futures_mid: Decimal | None = None


def belongs(entry: AnyEntry) -> bool:
    """Return whether an entry is ever written down."""
    return type(entry) not in PASSING
