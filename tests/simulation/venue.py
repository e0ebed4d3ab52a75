"""The truth: one spot account and one perpetual account, and all that ever happened on them.

Nothing here knows of the engine. Every state is kept with its time, so that a stale read is the
state of a moment ago and not an invention.
"""

import functools
from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from random import Random

from kept import Placed, Series
from swarm import PRICE, TICK, Plan

from hedge.model import (
    Balance,
    Fill,
    FillKind,
    FundingPayment,
    FundingRate,
    Leg,
    Mark,
    Order,
    OrderReport,
    Position,
    PositionMode,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
    TimeInForce,
)
from hedge.model.numbers import HOUR, MINUTE, MS, SECOND, ZERO, floor_to, plain
from hedge.roles import AccountNews

DEPTH = Decimal(1_000_000)
AHEAD_MOST = SECOND
LAG_LONGEST = 2 * MINUTE


@functools.lru_cache(maxsize=4096)
def ticks(count: int) -> Decimal:
    """Return a price, which few are and many ask for."""
    return TICK * count


class Denied(Exception):
    """A definite no, with the venue's code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Venue:
    """Both legs. ``tell`` hands news of the accounts to the network."""

    def __init__(self, plan: Plan, at: int, tell: Callable[[Leg, AccountNews], None]) -> None:
        self.plan = plan
        self.terms = plan.terms
        self.tell = tell
        self.is_account = plan.terms.inventory.value == "account"
        self.mid = int(PRICE / TICK)
        self.basis = 1
        self.began = at
        self.orders: dict[str, Placed] = {}
        self.open: dict[str, Placed] = {}
        self.lately: dict[Leg, dict[str, Placed]] = {Leg.SPOT: {}, Leg.FUTURES: {}}
        """Orders that a late read may still show as open."""
        self.by_venue_id: dict[str, Placed] = {}
        self.fills: dict[Leg, list[Fill]] = {Leg.SPOT: [], Leg.FUTURES: []}
        self.fill_times: dict[Leg, list[int]] = {Leg.SPOT: [], Leg.FUTURES: []}
        self.payments: list[FundingPayment] = []
        self.base = ZERO
        """The whole balance of the coin."""
        self.quote = Decimal(100_000_000)
        self.position = ZERO
        self.bought = ZERO
        """What our own spot orders brought, net of base fees: the ledger of the hedge."""
        self.adopted = ZERO
        self.adoptions: dict[str, tuple[Decimal, Decimal]] = {}
        """What a person handed over, and ``short_of_ledger`` then, by the request; a power cut may
        lose the request."""
        self.short_of_ledger = ZERO
        """By how much the balance ever fell below the ledger (the user sold some)."""
        self.external = ZERO
        """What moved the position without an order of ours, signed."""
        self.ours = ZERO
        """What our own futures orders moved."""
        self.outside: dict[Leg, Decimal] = {Leg.SPOT: ZERO, Leg.FUTURES: ZERO}
        """What came to each leg's books from outside: adoptions, sales by hand, forced closes."""
        self.balances = Series(at, (ZERO, self.quote))
        self.positions = Series(at, (ZERO,))
        self.mode = PositionMode.ONE_WAY
        self.halted: set[Leg] = set()
        self.rate = Decimal("0.0003")
        self.interval_s = 8 * 3600
        self.next_settlement = at + plan.settlement_in
        self.duplicates: list[str] = []
        self.strikes: Callable[[str], bool] = lambda _name: False
        """Whether a fault strikes now; the world counts it."""
        self.after_fill: Callable[[Leg, Fill], None] = lambda _leg, _fill: None
        self.after_end: Callable[[str], None] = lambda _oid: None
        self._walk: Random = plan.dice("walk")
        self._fill: Random = plan.dice("fills")
        self._ioc: Random = plan.dice("partial_ioc")
        self._numbers = 0
        self._quotes: dict[Leg, Quote] = {}

    # -- prices ----------------------------------------------------------------------------------

    def touch(self, leg: Leg) -> tuple[Decimal, Decimal]:
        """Return bid and ask."""
        mid = self.mid + (self.basis if leg is Leg.FUTURES else 0)
        return ticks(mid - 1), ticks(mid + 1)

    def price(self, leg: Leg = Leg.SPOT) -> Decimal:
        return ticks(self.mid + self.basis if leg is Leg.FUTURES else self.mid)

    def quote_of(self, leg: Leg, at: int) -> Quote:
        bid, ask = self.touch(leg)
        return Quote(symbol=self.symbol(leg), bid=bid, ask=ask, bid_depth=DEPTH, ask_depth=DEPTH,
                     seen_at=at)  # fmt: skip

    def mark_of(self, at: int) -> Mark:
        price = self.price(Leg.FUTURES)
        return Mark(symbol=self.symbol(Leg.FUTURES), mark=price, index=price, seen_at=at)

    def symbol(self, leg: Leg) -> str:
        return (self.terms.spot if leg is Leg.SPOT else self.terms.futures).instrument.symbol

    def tick(self, at: int, *, chance: float | None = None) -> None:
        """Let the market move once, and fill what rests."""
        r = self._walk
        most = self.plan.walk
        if most:
            self.mid += r.randint(-most, most)
            self.basis += r.randint(-1, 1)
            self.basis = max(-20, min(20, self.basis))
        for placed in list(self.open.values()):
            self._passive(placed, at, self.plan.fill_chance if chance is None else chance)
        while at >= self.next_settlement:
            self._settle_funding(at)

    def _passive(self, placed: Placed, at: int, chance: float) -> None:
        order = placed.order
        if order.leg in self.halted:
            return
        bid, ask = self.touch(order.leg)
        crossed = order.limit_price >= ask if order.side is Side.BUY else order.limit_price <= bid
        if not crossed and self._fill.random() >= chance:
            return
        quantity = placed.left
        if not crossed and self._fill.random() < self.plan.part_chance:
            quantity = self._part(quantity, order.leg, self._fill)
        if quantity > 0:
            self._execute(placed, quantity, order.limit_price, at, maker=True)
            self._say(placed, at)

    def take(self, placed: Placed, at: int) -> None:
        """Let another trader meet what rests here."""
        self._passive(placed, at, 1.0)

    def _part(self, quantity: Decimal, leg: Leg, r: Random) -> Decimal:
        lot = (self.terms.spot if leg is Leg.SPOT else self.terms.futures).instrument.lot
        return floor_to(quantity * r.randint(0, 95) / 100, lot)

    # -- orders ----------------------------------------------------------------------------------

    def accept(self, order: Order, at: int, venue_at: int) -> OrderReport:
        """Match one order that has reached the engine room; raise `Denied` for a definite no."""
        if order.client_order_id in self.orders:
            self.duplicates.append(order.client_order_id)
            raise Denied("DUPLICATE_ID")
        if venue_at - order.signed_at > order.recv_window_ms * MS:
            raise Denied("STALE_TIMESTAMP")
        if order.signed_at - venue_at > AHEAD_MOST:
            raise Denied("TIMESTAMP_AHEAD")
        leg = order.leg
        if leg in self.halted:
            raise Denied("HALTED")
        self._check(order)
        bid, ask = self.touch(leg)
        crosses = order.limit_price >= ask if order.side is Side.BUY else order.limit_price <= bid
        if crosses and order.time_in_force is TimeInForce.POST_ONLY:
            raise Denied("POST_ONLY_WOULD_TAKE")
        self._numbers += 1
        placed = Placed(order, f"v{self._numbers}", at)
        self.orders[order.client_order_id] = placed
        self.open[order.client_order_id] = placed
        self.lately[leg][order.client_order_id] = placed
        self.by_venue_id[placed.venue_id] = placed
        if crosses:
            quantity = placed.left
            if self.strikes("partial_ioc"):
                quantity = self._part(quantity, leg, self._ioc)
            if order.reduce_only:
                quantity = min(quantity, self._reducible(order))
            price = ask if order.side is Side.BUY else bid
            while quantity > 0:
                part = self._part(quantity, leg, self._ioc) if self._ioc.random() < 0.3 else ZERO
                part = part or quantity
                self._execute(placed, part, price, at, maker=False)
                quantity -= part
        if order.time_in_force is TimeInForce.IOC and placed.status is ReportedStatus.WORKING:
            self._end(placed, at)
        self._say(placed, at)
        report = placed.report()
        assert report is not None
        return report

    def _check(self, order: Order) -> None:
        leg = order.leg
        instrument = (self.terms.spot if leg is Leg.SPOT else self.terms.futures).instrument
        if leg is Leg.FUTURES and self.mode is PositionMode.HEDGE:
            raise Denied("POSITION_MODE")
        if order.quantity <= 0 or floor_to(order.quantity, instrument.lot) != order.quantity:
            raise Denied("LOT_SIZE")
        if order.reduce_only and self._reducible(order) <= 0:
            raise Denied("-2022")
        exempt = order.reduce_only and instrument.reduce_only_below_min
        if not exempt and (
            order.notional < instrument.notional_min or order.quantity < instrument.quantity_min
        ):
            raise Denied("MIN_NOTIONAL")
        if leg is Leg.SPOT and order.side is Side.SELL and order.quantity > self.free:
            raise Denied("INSUFFICIENT_BALANCE")

    def _reducible(self, order: Order) -> Decimal:
        if self.position * order.signed_quantity >= 0:
            return ZERO
        return abs(self.position)

    def cancel(self, client_order_id: str, at: int) -> OrderReport:
        placed = self.open.get(client_order_id)
        if placed is None:
            raise Denied("UNKNOWN_ORDER")
        self._end(placed, at)
        self._say(placed, at)
        report = placed.report()
        assert report is not None
        return report

    def _end(self, placed: Placed, at: int) -> None:
        placed.status = ReportedStatus.CANCELLED
        self.after_end(placed.order.client_order_id)
        placed.note(at)
        self.open.pop(placed.order.client_order_id, None)

    def _execute(
        self, placed: Placed, quantity: Decimal, price: Decimal, at: int, *, maker: bool
    ) -> None:
        order = placed.order
        leg = order.leg
        terms = self.terms.spot if leg is Leg.SPOT else self.terms.futures
        rate = terms.maker_fee if maker else terms.taker_fee
        in_base = leg is Leg.SPOT and terms.fee_in_base and order.side is Side.BUY
        fee = quantity * rate if in_base else quantity * price * rate
        placed.filled += quantity
        if placed.left <= 0:
            placed.status = ReportedStatus.FILLED
            self.open.pop(order.client_order_id, None)
        placed.note(at)
        signed = quantity * order.side.sign
        if leg is Leg.SPOT:
            self.base += signed - (fee if in_base else ZERO)
            self.bought += signed - (fee if in_base else ZERO)
            self.quote -= signed * price
            if not in_base:
                self.quote -= fee
            self._balances(at)
        else:
            self.position += signed
            self.ours += signed
            self.positions.put(at, (self.position,))
        self._record(
            leg, order.side, quantity, price, at, fee=fee, fee_asset="SIM" if in_base else "USD",
            client_order_id=order.client_order_id, venue_order_id=placed.venue_id, maker=maker,
        )  # fmt: skip

    def _record(
        self, leg: Leg, side: Side, quantity: Decimal, price: Decimal, at: int, *,
        fee: Decimal = ZERO, fee_asset: str = "", client_order_id: str = "",
        venue_order_id: str = "", maker: bool = False, kind: FillKind = FillKind.TRADE,
        told: bool = True,
    ) -> Fill:  # fmt: skip
        self._numbers += 1
        fill = Fill(
            leg=leg,
            symbol=self.symbol(leg),
            fill_id=str(self._numbers),
            client_order_id=client_order_id,
            venue_order_id=venue_order_id,
            side=side,
            quantity=quantity,
            price=price,
            fee=fee,
            fee_asset=fee_asset,
            maker=maker,
            kind=kind,
            filled_at=at,
        )
        self.fills[leg].append(fill)
        self.fill_times[leg].append(at)
        self.after_fill(leg, fill)
        if told:
            self.tell(leg, fill)
        return fill

    def _say(self, placed: Placed, at: int) -> None:
        report = placed.report()
        assert report is not None
        self.tell(placed.order.leg, report)
        if placed.filled:
            self._say_holding(placed.order.leg, at)

    def _say_holding(self, leg: Leg, at: int) -> None:
        if leg is Leg.SPOT:
            self.tell(leg, Balance(asset="SIM", free=self.base, updated_at=at))
        else:
            self.tell(leg, self.position_at(at))

    def _balances(self, at: int) -> None:
        """Keep the state, and note when the user's sales ate into the hedge's coins."""
        self.balances.put(at, (self.base, self.quote))
        assert self.base >= self.locked, "coins were taken away that rest in an order"
        ledger = self.ledger
        if self.base < ledger:
            self.short_of_ledger += ledger - self.base

    # -- what nobody of ours did -----------------------------------------------------------------

    @property
    def ledger(self) -> Decimal:
        """Return what the hedge owns: its own orders, what it adopted, less what was sold off."""
        return self.bought + self.adopted - self.short_of_ledger

    @property
    def locked(self) -> Decimal:
        """Return the coins that rest in orders to sell: no venue lets them out before those end."""
        return sum(
            (p.left for p in self.open.values()
             if p.order.leg is Leg.SPOT and p.order.side is Side.SELL), ZERO,
        )  # fmt: skip

    @property
    def free(self) -> Decimal:
        return self.base - self.locked

    def deposit(self, quantity: Decimal, at: int) -> None:
        """Move coins in or out from outside; out only what is free."""
        quantity = max(quantity, -self.free)
        before = self.ledger
        self.base += quantity
        self._balances(at)
        lost = self.ledger - before
        self.outside[Leg.SPOT] += quantity if self.is_account else lost
        self._say_holding(Leg.SPOT, at)

    def adopt(self, quantity: Decimal, request_id: str) -> None:
        self.adoptions[request_id] = (quantity, self.short_of_ledger)
        self.adopted += quantity
        self.outside[Leg.SPOT] += quantity

    def never_adopted(self, request_id: str) -> None:
        """Take an adoption back, and with it what sales have eaten of nothing else since."""
        quantity, short_before = self.adoptions.pop(request_id)
        not_short = max(ZERO, min(quantity, self.short_of_ledger - short_before))
        self.adopted -= quantity
        self.short_of_ledger -= not_short
        self.outside[Leg.SPOT] -= quantity - not_short

    def forced(
        self,
        signed: Decimal,
        at: int,
        kind: FillKind,
        *,
        named: str = "",
        told: bool = True,
        before: int = 0,
    ) -> None:
        """Let the position move without an order of ours."""
        if not signed:
            return
        self.position += signed
        self.external += signed
        self.positions.put(at, (self.position,))
        self.outside[Leg.FUTURES] += signed
        self._record(
            Leg.FUTURES, Side.BUY if signed > 0 else Side.SELL, abs(signed),
            self.price(Leg.FUTURES), at - before, kind=kind, client_order_id=named,
            venue_order_id=f"x{self._numbers}", told=told,
        )  # fmt: skip
        self._say_holding(Leg.FUTURES, at)

    def phantom(self, at: int) -> None:
        """Publish an execution of a type nobody knows that moved nothing (F26)."""
        if not self.position:
            return
        side = Side.BUY if self.position < 0 else Side.SELL
        self._record(Leg.FUTURES, side, abs(self.position), self.price(Leg.FUTURES), at,
                     kind=FillKind.UNKNOWN)  # fmt: skip

    def _settle_funding(self, at: int) -> None:
        settled = self.next_settlement
        self.next_settlement += self.interval_s * SECOND
        if not self.position:
            return
        cash = -self.position * self.price(Leg.FUTURES) * self.rate
        payment = FundingPayment(
            payment_id=f"p{settled}",
            symbol=self.symbol(Leg.FUTURES),
            rate=self.rate,
            interval_s=self.interval_s,
            quantity=self.position,
            cash=cash,
            asset="USD",
            settled_at=settled,
        )
        self.payments.append(payment)
        self.tell(Leg.FUTURES, payment)

    def change_interval(self) -> None:
        self.interval_s = 3600
        self.next_settlement = min(self.next_settlement, self.began + 2 * HOUR)

    def changes(self) -> int:
        """Return a number that grows with all that orders of ours do here."""
        return sum(len(placed.history) for placed in self.orders.values())

    # -- reads -----------------------------------------------------------------------------------

    def order_at(self, client_order_id: str, at: int) -> OrderReport | None:
        placed = self.orders.get(client_order_id)
        return None if placed is None else placed.report(at)

    def open_at(self, leg: Leg, at: int) -> tuple[OrderReport, ...]:
        found = []
        lately = self.lately[leg]
        for oid, placed in list(lately.items()):
            if placed.status is not ReportedStatus.WORKING:
                ended_at = placed.history[-1][0]
                if ended_at <= at:
                    if ended_at < at - LAG_LONGEST:
                        del lately[oid]  # no read looks back as far
                    continue
            report = placed.report(at)
            if report is not None and report.status is ReportedStatus.WORKING:
                found.append(report)
        return tuple(found)

    def fills_at(self, leg: Leg, since: int, at: int) -> tuple[Fill, ...]:
        times = self.fill_times[leg]
        first, last = bisect_right(times, since - 1), bisect_right(times, at)
        return tuple(self.fills[leg][first:last])

    def balances_at(self, at: int) -> tuple[Balance, ...]:
        base, quote = self.balances.at(at)
        return (
            Balance(asset="SIM", free=base, updated_at=at),
            Balance(asset="USD", free=quote, updated_at=at),
        )

    def position_at(self, at: int) -> Position:
        (quantity,) = self.positions.at(at)
        return Position(symbol=self.symbol(Leg.FUTURES), quantity=quantity, updated_at=at)

    def rate_at(self, at: int) -> FundingRate:
        return FundingRate(
            symbol=self.symbol(Leg.FUTURES),
            rate=self.rate,
            interval_s=self.interval_s,
            next_at=self.next_settlement,
            observed_at=at,
            origin=RateOrigin.LIVE,
        )

    # -- for people ------------------------------------------------------------------------------

    def describe(self) -> str:
        return (
            f"S={plain(self.base)} ledger={plain(self.ledger)} F={plain(self.position)}"
            f" open={len(self.open)}"
        )
