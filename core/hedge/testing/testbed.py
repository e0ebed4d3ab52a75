"""What an author gives the kit: a fake venue on this machine, with switches and the truth.

A distribution names its testbeds by the entry point group ``hedge.testbeds``: the name is the
venue's (``acme``; for ``ccxt:okx`` the part before the colon), the value a function::

    def testbed(venue: str, standing: frozenset[Switch], clock: KitClock) -> Testbed: ...

``standing`` are the switches that are on from the start; a new testbed is made for each card.
"""

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from hedge.model import Leg
from hedge.model.numbers import ZERO
from hedge.roles import Closable


class Switch(enum.StrEnum):
    """What a fake venue can be told to do to whoever trades there."""

    REPLY_LOST = "reply_lost"
    """The next order is performed, and its answer is lost with the connection."""
    REQUEST_LOST = "request_lost"
    """The connection breaks before the next order is performed."""
    ERROR_PERFORMED = "error_performed"
    """The next order is performed, and answered with the venue's "I do not know" (a 5xx)."""
    ERROR_REFUSED = "error_refused"
    """The same answer, and the order is not performed."""
    REPLY_LATE = "reply_late"
    """The next order is performed, and answered only after ``ack_timeout_ms``."""
    REPLY_GARBLED = "reply_garbled"
    """The next order is performed, and answered with something that does not parse."""
    CANCEL_REPLY_LOST = "cancel_reply_lost"
    """The next cancel is performed, and its answer is lost."""
    READS_FAIL = "reads_fail"
    """Every read is answered with a 5xx and a page of HTML, until `Testbed.clear`."""
    RATE_LIMIT = "rate_limit"
    """The next order is refused by the rate limit, with two seconds to wait."""
    GONE = "gone"
    """Nobody listens at the venue's address any more, and every connection is cut."""
    PARTIAL = "partial"
    """The next taking order gets a part only."""
    DUPLICATE = "duplicate"
    """Each execution is told twice on the stream."""
    REORDER = "reorder"
    """An execution is told after what follows it."""
    EVENT_FIRST = "event_first"
    """The events of an order are told before the answer to it."""
    NONSENSE = "nonsense"
    """The account's stream says something that cannot be read, now."""
    CUT = "cut"
    """All streams are reset, now."""
    HALF_OPEN = "half_open"
    """All streams go silent without an end, now; a new connection works."""
    CLOSE = "close"
    """All streams are closed in good order, now."""
    FOREIGN_SPOT = "foreign_spot"
    """Somebody else trades the spot symbol on the account, now."""
    FOREIGN_FUTURES = "foreign_futures"
    """Somebody else trades the perpetual on the account, now."""
    MANY_FILLS = "many_fills"
    """The account gets more fills of the first leg's symbol than one page holds, now."""
    VENUE_CANCELS = "venue_cancels"
    """The venue ends every resting order of the account, now."""
    TAKEN = "taken"
    """The market takes every resting order of the account as a maker, now."""
    DEPOSIT = "deposit"
    """A hundred units of the quote asset come from outside, now."""
    DELEVERAGE = "deleverage"
    """Half of the position is closed by auto-deleveraging, now."""
    LIQUIDATE = "liquidate"
    """The position is liquidated, now."""
    SETTLE = "settle"
    """A funding settlement happens, now."""
    HALT = "halt"
    """The instruments stop trading, now."""
    CLOCK_AHEAD = "clock_ahead"
    """Standing: the venue's clock is 7 s ahead."""
    FEE_COIN = "fee_coin"
    """Standing: spot fees are paid in a third coin."""
    HEDGE_MODE = "hedge_mode"
    """Standing: the futures account is in hedge mode, and flat."""
    KEY_WITHDRAWS = "key_withdraws"
    """Standing: the key may withdraw."""
    KEY_READS_ONLY = "key_reads_only"
    """Standing: the key may not trade."""


AHEAD_MS = 7_000
"""How far `Switch.CLOCK_AHEAD` is ahead."""


class TrueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order that the venue performed; ``filled`` in base coins."""

    client_order_id: str
    leg: Leg
    filled: Decimal
    working: bool


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue itself knows of the account; quantities in base coins."""

    orders: tuple[TrueOrder, ...]
    position: Decimal = ZERO
    balances: Mapping[Leg, Mapping[str, Decimal]] = {}
    """Total of each asset on the account that a leg trades with."""
    leverage: int | None = None

    def ours(self, client_order_id: str) -> tuple[TrueOrder, ...]:
        """Return the orders with this id: one where it was performed, none where it was not."""
        return tuple(one for one in self.orders if one.client_order_id == client_order_id)


class Testbed(Closable, Protocol):
    """A fake venue; opened before the roles, and closed after them."""

    @property
    def spot(self) -> str:
        """The unified spot symbol to trade; "" where the venue has no spot leg."""
        ...

    @property
    def futures(self) -> str:
        """The unified perpetual to trade; "" where the venue has no futures leg."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """``[venues.NAME]`` that leads here: loopback addresses, and short times. Once open."""
        ...

    @property
    def secrets(self) -> Mapping[str, str]: ...

    @property
    def shared(self) -> dict[str, Any]:
        """The dict that becomes `VenueContext.shared`."""
        ...

    @property
    def lacks(self) -> Mapping[Switch, str]:
        """The switches that are not there, each with the reason; read before it is open."""
        ...

    async def strike(self, switch: Switch) -> None:
        """Switch on, or do it now."""
        ...

    async def clear(self) -> None:
        """Switch everything off again that is not standing."""
        ...

    def truth(self) -> Truth: ...
