"""A venue with both legs, small enough to hold in the hand, and the terms of a hedge on it."""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import msgspec

from hedge.decide.terms import (
    ExecutionTerms,
    FundingTerms,
    HedgeTerms,
    LegTerms,
    LimitTerms,
)
from hedge.model import (
    Fill,
    FillKind,
    Instrument,
    InstrumentKind,
    Leg,
    OrderReport,
    PositionMode,
    Quote,
    ReportedStatus,
    Side,
)
from hedge.model.numbers import SECOND

SPOT, FUTURES = Leg.SPOT, Leg.FUTURES
T0 = 1_700_000_000 * SECOND


def instrument(kind, **changes):
    """Return a coin at about 100: ticks of a cent, lots of a thousandth, orders from 5 quote."""
    fields = {
        "venue": "toy",
        "symbol": "COIN/USDT" if kind is InstrumentKind.SPOT else "COIN/USDT:USDT",
        "kind": kind,
        "base": "COIN",
        "quote": "USDT",
        "settle": "" if kind is InstrumentKind.SPOT else "USDT",
        "tick": D("0.01"),
        "lot": D("0.001"),
        "notional_min": D(5),
    }
    return Instrument(**(fields | changes))


def terms_of(
    *,
    spot=None,
    futures=None,
    spot_leg=None,
    futures_leg=None,
    limits=None,
    funding=None,
    execution=None,
    **changes,
):
    """Return terms of a hedge of 10 coins in slices of at most 1 coin, changed as asked."""
    fields = {
        "name": "toy",
        "prefix": "H",
        "spot": LegTerms(
            instrument=instrument(InstrumentKind.SPOT, **(spot or {})), **(spot_leg or {})
        ),
        "futures": LegTerms(
            instrument=instrument(InstrumentKind.PERPETUAL, **(futures or {})),
            **(futures_leg or {}),
        ),
        "limits": LimitTerms(**({"exposure_max": D(105)} | (limits or {}))),
        "funding": FundingTerms(**(funding or {})),
        "execution": ExecutionTerms(**(execution or {})),
    }
    if "usd" not in changes:
        fields["quantity"] = D(10)
    return HedgeTerms(**(fields | changes))


class Resting(msgspec.Struct):
    """The venue's own truth of one order."""

    order: object
    venue_id: str
    filled: D = D(0)
    status: ReportedStatus = ReportedStatus.WORKING

    def report(self, at):
        order = self.order
        return OrderReport(
            client_order_id=order.client_order_id,
            venue_order_id=self.venue_id,
            status=self.status,
            filled=self.filled,
            reported_at=at,
            side=order.side,
            quantity=order.quantity,
            limit_price=order.limit_price,
            reduce_only=order.reduce_only,
        )


class Venue:
    """Both accounts: coins, position, orders and fills. It outlives engines."""

    def __init__(self, coins="0", position="0", price="100"):
        self.coins, self.position, self.price = D(coins), D(position), D(price)
        self.futures_price = None
        self.mark_price = None
        self.cash, self.margin = D(1_000_000), D(1_000_000)
        self.margin_ratio, self.liquidation_price, self.adl_rank = None, None, None
        self.orders: dict[Leg, dict[str, Resting]] = {SPOT: {}, FUTURES: {}}
        self.fills: dict[Leg, list[Fill]] = {SPOT: [], FUTURES: []}
        self.depth = D(1_000)
        self.fee = {SPOT: (D(0), "USDT"), FUTURES: (D(0), "USDT")}
        self.tradable = {SPOT: True, FUTURES: True}
        self.changed = {SPOT: "", FUTURES: ""}
        self.position_mode = PositionMode.ONE_WAY
        self.serial = 0
        self.creates = 0

    def quote(self, leg):
        mid = self.price if leg is SPOT else self.futures_price or self.price
        cent = D("0.01")
        symbol = "COIN/USDT" if leg is SPOT else "COIN/USDT:USDT"
        return Quote(
            symbol=symbol,
            bid=mid - cent,
            ask=mid + cent,
            bid_depth=self.depth,
            ask_depth=self.depth,
        )

    def accept(self, order):
        self.creates += 1
        self.serial += 1
        assert order.client_order_id not in self.orders[order.leg], "one wire attempt each"
        resting = Resting(order=order, venue_id=f"v{self.serial}")
        self.orders[order.leg][order.client_order_id] = resting
        return resting

    def fill(self, resting, quantity, at, kind=FillKind.TRADE):
        """Fill ``quantity`` of an order and return the execution."""
        order = resting.order
        quantity = min(D(quantity), order.quantity - resting.filled)
        resting.filled += quantity
        if resting.filled == order.quantity:
            resting.status = ReportedStatus.FILLED
        fill = self.execution(order.leg, order.side, quantity, order.limit_price, at, kind)
        return self.keep(
            msgspec.structs.replace(
                fill, client_order_id=order.client_order_id, venue_order_id=resting.venue_id
            )
        )

    def execution(self, leg, side, quantity, price, at, kind=FillKind.TRADE):  # noqa: PLR0917 - read like the words of an execution
        self.serial += 1
        rate, asset = self.fee[leg]
        in_coin = asset == "COIN"
        fee = quantity * rate if in_coin else quantity * price * rate
        return Fill(
            leg=leg,
            symbol="COIN/USDT" if leg is SPOT else "COIN/USDT:USDT",
            fill_id=f"x{self.serial}",
            side=side,
            quantity=D(quantity),
            price=price,
            fee=fee if side is Side.BUY or not in_coin else D(0),
            fee_asset=asset,
            kind=kind,
            filled_at=at,
        )

    def keep(self, fill):
        self.fills[fill.leg].append(fill)
        if fill.leg is SPOT:
            self.coins += fill.signed_quantity
            if fill.fee_asset == "COIN":
                self.coins -= fill.fee
        else:
            self.position += fill.signed_quantity
        return fill
