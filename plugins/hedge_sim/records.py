"""What the venue writes down: one frozen record for everything that ever changed its truth."""

import functools
from decimal import Decimal

import msgspec

from hedge.model import (
    Fill,
    FundingPayment,
    Leg,
    Order,
    PositionMode,
)


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """``at`` is the host's time in ns, whatever the venue's clock claims."""

    at: int


class Founded(Fact, frozen=True, kw_only=True):
    """The first record: which world this is the truth of."""

    version: int
    data: str
    seed: int
    account: str
    shift: int
    """Host time minus recording time; zero in virtual time."""
    start: int
    end: int


class Opened(Fact, frozen=True, kw_only=True):
    session: int


class Deposited(Fact, frozen=True, kw_only=True):
    """Money from outside: the first balance, an external change, an insurance payment."""

    asset: str
    quantity: Decimal
    why: str


class Accepted(Fact, frozen=True, kw_only=True):
    order: Order
    venue_order_id: str


class Filled(Fact, frozen=True, kw_only=True):
    fill: Fill


class Ended(Fact, frozen=True, kw_only=True):
    """An order ended with what it has; ``why``: cancel, ioc, reduce_only, liquidation."""

    client_order_id: str
    why: str


class Paid(Fact, frozen=True, kw_only=True):
    payment: FundingPayment


class Levered(Fact, frozen=True, kw_only=True):
    symbol: str
    leverage: int


class ModeChanged(Fact, frozen=True, kw_only=True):
    mode: PositionMode


class Happened(Fact, frozen=True, kw_only=True):
    """A scheduled fault has fired; it does not fire again after a restart."""

    cause: str


Record = (
    Founded
    | Opened
    | Deposited
    | Accepted
    | Filled
    | Ended
    | Paid
    | Levered
    | ModeChanged
    | Happened
)


@functools.lru_cache(maxsize=64)
def assets_of(symbol: str) -> tuple[str, str]:
    """Return base and quote of ``BTC/USDT`` or ``BTC/USDT:USDT``."""
    base, _, rest = symbol.partition("/")
    return base, rest.partition(":")[0]


def leg_of(symbol: str) -> Leg:
    return Leg.FUTURES if ":" in symbol else Leg.SPOT
