"""What a journal says of its hedge when no engine does: books, mode, trips, alarms."""

from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.mode import Mode, Trip
from hedge.decide.orders import OPEN
from hedge.decide.rows import Row
from hedge.errors import JournalError
from hedge.journal.table import Projection
from hedge.runtime.words import builtins_of, plain, utc

LAST_ROWS = 5


class _Story:
    """The rows of one hedge, told once through."""

    def __init__(self) -> None:
        self.at = 0
        self.mode = Mode.HALT
        self.action = ""
        self.started: e.EngineStarted | None = None
        self.ended: c.EndRun | None = None
        self.trips: dict[str, tuple[int, str]] = {}
        self.paused = False
        self.target: Decimal | None = None
        self.last: deque[str] = deque(maxlen=LAST_ROWS)

    def tell(self, row: Row) -> None:
        self.at = row.at
        match row.entry:
            case e.EngineStarted() as started:
                self.started, self.ended = started, None
            case c.OpenRun(action=action):
                self.action = action.value
            case c.ChangeMode(mode=mode):
                self.mode = mode
            case c.SetTrip(reason=reason, level=0):
                self.trips.pop(reason, None)
            case c.SetTrip(reason=reason, level=level, text=text):
                self.trips[reason] = (level, text)
            case c.SetPaused(paused=paused):
                self.paused = paused
            case c.SetTarget(quantity=quantity):
                self.target = quantity
            case c.EndRun() as ended:
                self.ended = ended
            case _:
                pass
        if (line := plain(row)) is not None:
            self.last.append(f"{utc(row.at)[:19]}Z {line}")


def picture(directory: Path) -> dict[str, Any]:
    """Return the journal's picture in the shape of a snapshot; raise `JournalError`."""
    story = _Story()
    with Projection.view(directory) as tables:
        for row in tables.rows():
            story.tell(row)
        inventory, position = _held(tables, story)
        payments = tables.payments()
        orders = [order for order in tables.orders() if order.status in OPEN]
        alarms = tables.alarms(open_only=True)
    terms = story.started.terms if story.started else None
    ended = story.ended
    worst = max((level for level, _ in story.trips.values()), default=0)
    found = {
        "at": story.at,
        "symbol": terms.spot.instrument.symbol if terms else "",
        "spot_venue": terms.spot.instrument.venue if terms else "",
        "futures_venue": terms.futures.instrument.venue if terms else "",
        "action": story.action,
        "mode": story.mode,
        "phase": f"ended: {ended.reason} (exit {ended.exit_code})" if ended else "not running",
        "trip": Trip(worst).name,
        "trip_reasons": {reason: text for reason, (_, text) in story.trips.items()},
        "paused": story.paused,
        "spot_target": story.target,
        "inventory": inventory,
        "position": position,
        "funding_received": sum((payment.cash for payment in payments), Decimal(0)),
        "orders": [{name: getattr(order, name) for name in _ORDER_FIELDS} for order in orders],
        "alarms": [
            {
                "key": alarm.key,
                "level": alarm.level,
                "text": alarm.text,
                "raised_at": alarm.raised_at,
                "settled": alarm.settled_at is not None,
                "acknowledged": False,
            }
            for alarm in alarms
        ],
        "last_rows": list(story.last),
    }
    shown: dict[str, Any] = builtins_of(found)
    return shown


_ORDER_FIELDS = (
    "client_order_id", "leg", "side", "quantity", "limit_price", "filled", "status", "placed_at",
)  # fmt: skip


def _held(tables: Projection, story: _Story) -> tuple[Decimal, Decimal]:
    """Return both legs by the books that the next start would begin with: what is ours, no more."""
    if story.started is None:
        return Decimal(0), Decimal(0)
    engine = Engine(story.started.terms)
    try:
        engine.replay(tables.rows())
    except AssertionError as error:
        raise JournalError(f"{tables.path}: its rows contradict each other: {error}") from None
    return engine.inventory, engine.position
