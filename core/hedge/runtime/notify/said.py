"""Which journal rows are worth a message, and how loud each of them is."""

import msgspec

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.errors import InvariantBroken, JournalError, NotHedged
from hedge.runtime.words import plain

EVENT, WARNING, ALARM = "event", "warning", "alarm"
LOUD = ("alarm", "page")
"""Levels of alarm rows that are repeated until somebody acknowledges them."""
DIRE = (NotHedged.exit_code, JournalError.exit_code, InvariantBroken.exit_code)
"""Ends of a hedge that somebody has to be woken for."""
TELLING = (
    e.FillSeen,
    e.FundingPaid,
    e.OperatorAsked,
    c.ChangeMode,
    c.EndRun,
    c.RaiseAlarm,
    c.SettleAlarm,
    c.SetTrip,
    c.BookExternal,
)
"""Rows of any other kind are not even handed over."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell: ``kind`` is a word of ``on``, ``about`` names what may come again."""

    kind: str
    level: str
    text: str
    about: str = ""


def said_of(row: Row) -> Said | None:
    """Return what a row means to a person, or None where it means nothing."""
    text = plain(row)
    if text is None:
        return None
    match row.entry:
        case e.FillSeen():
            return Said(kind="fill", level=EVENT, text=text)
        case e.FundingPaid():
            return Said(kind="funding", level=EVENT, text=text)
        case c.ChangeMode():
            return Said(kind="mode", level=EVENT, text=text)
        case e.OperatorAsked(verb=verb):
            kind = "alarm" if verb is e.Verb.ACK else "mode"
            return Said(kind=kind, level=EVENT, text=text)
        case c.RaiseAlarm(key=key, level=level):
            loud = ALARM if level in LOUD else WARNING
            return Said(kind=loud, level=loud, text=text, about=key)
        case c.SettleAlarm(key=key):
            return Said(kind=WARNING, level=EVENT, text=text, about=f"settled {key}")
        case c.SetTrip(reason=reason, level=level):
            loud = WARNING if level else EVENT
            return Said(kind=WARNING, level=loud, text=text, about=f"trip {reason} {level}")
        case c.BookExternal():
            return Said(kind=WARNING, level=WARNING, text=text)
        case c.EndRun(exit_code=code):
            if code in DIRE:
                return Said(kind=ALARM, level=ALARM, text=text)
            kind, level = (WARNING, WARNING) if code else ("mode", EVENT)
            return Said(kind=kind, level=level, text=text)
        case _:
            return None
