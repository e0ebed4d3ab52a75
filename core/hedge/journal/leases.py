"""Which ids were leased: what the journal says of the blocks a sync stands behind."""

from collections.abc import Iterable

import msgspec

from hedge.decide.commands import LeaseIds
from hedge.decide.events import EngineStarted
from hedge.decide.rows import Row
from hedge.model import Leg


class Leases(msgspec.Struct, frozen=True, kw_only=True):
    """The newest epoch of a journal, and the highest id leased in it on each leg (0: none)."""

    epoch: int = 0
    last: dict[Leg, int]


def leased(rows: Iterable[Row]) -> Leases:
    """Return the newest epoch's leases; a new epoch begins with none."""
    epoch = 0
    last = dict.fromkeys(Leg, 0)
    for row in rows:
        entry = row.entry
        if not isinstance(entry, (EngineStarted, LeaseIds)):
            continue
        if entry.epoch > epoch:
            epoch = entry.epoch
            last = dict.fromkeys(Leg, 0)
        if isinstance(entry, LeaseIds) and entry.epoch == epoch:
            last[entry.leg] = max(last[entry.leg], entry.last)
    return Leases(epoch=epoch, last=last)
