"""The private socket ``/v5/private``: order, execution, execution.fast, position, wallet.

A topic is all-in-one (``order``) or categorised (``order.spot``, ``order.linear``); the two kinds
may not stand in one request. Frames carry the all-in-one name in either case. The executions of
one match go out as one frame, then the order as it is after them, then positions and wallet;
``execution.fast`` precedes them, fill by fill, with trades only.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

from hedge.model import Fill, FillKind, FundingPayment, TimeInForce
from hedge.model.numbers import MS, ZERO
from hedge_sim.dialects.bybit_account import Ledger
from hedge_sim.dialects.bybit_auth import Key, check_auth
from hedge_sim.dialects.bybit_books import Books
from hedge_sim.dialects.bybit_desk import Known, OrderDesk
from hedge_sim.dialects.bybit_entries import Entry
from hedge_sim.dialects.bybit_errors import INVERSE, LINEAR, OPTION, SPOT, Rejection
from hedge_sim.dialects.bybit_gate import Gate
from hedge_sim.dialects.bybit_listing import Listing
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_shapes import Row, WireOrder, execution_row, fast_row, order_row
from hedge_sim.dialects.bybit_ws import (
    INVALID_OP,
    SUBSCRIBED_AFTER_S,
    Line,
    answer,
    args_of,
    refused,
)
from hedge_sim.dialects.faults import Faults
from hedge_sim.dialects.house import (
    FundingPaid,
    FundsChanged,
    House,
    HouseEvent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderView,
)

CATEGORISED: Final = ("order", "execution", "execution.fast", "position")
_CATEGORIES: Final = (SPOT, LINEAR, INVERSE, OPTION)
ALL_IN_ONE: Final = frozenset({*CATEGORISED, "wallet", "greeks"})
SPLIT: Final = frozenset(f"{topic}.{category}" for topic in CATEGORISED for category in _CATEGORIES)
DCP: Final = frozenset({"dcp.future", "dcp.spot", "dcp.option"})
HOLD_ACK_S: Final = 1.0
"""How long a held acknowledgement waits for an event to go before it."""


class PrivateSession:
    """One connection of the account."""

    def __init__(self, line: Line, key: Key, gate: Gate, faults: Faults, house: House) -> None:
        self.line = line
        self._key = key
        self._gate = gate
        self._faults = faults
        self._house = house
        self._topics: set[str] = set()
        self._is_authed = False
        self._held: list[Row] = []

    def heard(self, message: Row) -> None:
        now = self._house.wall()
        self.line.alive_at = now
        match message.get("op"):
            case "ping":
                self._pong(message, now)
            case "auth":
                self._auth(message, now)
            case "subscribe":
                self._subscribe(message, now)
            case "unsubscribe":
                self._topics -= {str(arg) for arg in args_of(message)}
                self.line.send(answer(self.line, message, "unsubscribe", success=True), now)
            case _:
                self.line.send(answer(self.line, message, "", success=False, words=INVALID_OP), now)

    def _pong(self, message: Row, now: int) -> None:
        frame: Row = {"req_id": str(message["req_id"])} if "req_id" in message else {}
        frame |= {"op": "pong", "args": [str(now // MS)], "conn_id": self.line.conn_id}
        self.line.send(frame, now)

    def _auth(self, message: Row, now: int) -> None:
        try:
            check_auth(self._key, message.get("args"), self._gate.now_ms())
        except Rejection as rejection:
            self.line.send(refused(self.line, message, "auth", rejection), now)
            return
        self._is_authed = True
        self.line.send(answer(self.line, message, "auth", success=True), now)

    def _subscribe(self, message: Row, now: int) -> None:
        topics = {str(arg) for arg in args_of(message)}
        words = self._objection(topics)
        ack = answer(self.line, message, "subscribe", success=not words, words=words)
        if words:
            self.line.send(ack, now)
            return
        races = self._faults.hit("subscribe_race", "subscribe") is not None
        loop = asyncio.get_running_loop()
        if races:
            self._topics |= topics
            loop.call_later(HOLD_ACK_S, self._let_go)
            self._held.append(ack)
        else:
            loop.call_later(SUBSCRIBED_AFTER_S, self._begin, topics, ack)

    def _begin(self, topics: set[str], ack: Row) -> None:
        self._topics |= topics
        self.line.send(ack, self._house.wall())

    def _objection(self, topics: set[str]) -> str:
        if not self._is_authed:
            return "Request not authorized"
        unknown = topics - ALL_IN_ONE - SPLIT - DCP
        if unknown or not topics:
            return f"error:handler not found,topic:{','.join(sorted(unknown))}"
        if topics & ALL_IN_ONE & frozenset(CATEGORISED) and topics & SPLIT:
            return "error:all-in-one and categorised topics cannot be in the same request"
        again = topics & self._topics
        return f"error:already subscribed,topic:{','.join(sorted(again))}" if again else ""

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for ack in held:
            self.line.send(ack, self._house.wall())

    def wants(self, topic: str, category: str) -> bool:
        return topic in self._topics or f"{topic}.{category}" in self._topics

    def told(self, frame: Row) -> None:
        self.line.send(frame, self._house.wall())
        self._let_go()

    def pulse(self) -> None:
        if self.line.is_idle(self._house.wall()):
            self.line.socket.close(1000, "no ping")


class PrivateHub:
    """Turns what happens in the house into frames for every private connection."""

    def __init__(
        self, house: House, markets: Markets,
        *, desk: OrderDesk, books: Books, ledger: Ledger, faults: Faults,
    ) -> None:  # fmt: skip
        self._house = house
        self._markets = markets
        self._desk = desk
        self._books = books
        self._ledger = ledger
        self._faults = faults
        self._frames = itertools.count(1)
        self._waiting: list[tuple[Entry, WireOrder | None]] = []
        self.sessions: set[PrivateSession] = set()
        self.on_fill: Callable[[Fill], None] = lambda _fill: None
        desk.on_ghost = self._tell_ghost

    def hear(self, event: HouseEvent) -> None:
        """Take one event of the house."""
        match event:
            case OrderAccepted():
                self._release()
                self._accepted(event.view)
            case OrderFilled():
                self._filled(event)
            case OrderEnded():
                self._ended(event.view)
            case FundsChanged():
                self._release()
                self._funds(event)
            case FundingPaid():
                self._release()
                self._paid(event.payment)

    def pulse(self) -> None:
        for session in list(self.sessions):
            session.pulse()

    # Events

    def _accepted(self, view: OrderView) -> None:
        """Tell an order that may rest; one that cannot is told with its end."""
        known = self._desk.by_view(view)
        if known is not None and view.order.time_in_force is not TimeInForce.IOC:
            self._tell_order(self._desk.wire_at(known, view))

    def _filled(self, event: OrderFilled) -> None:
        fill, view = event.fill, event.view
        known = self._desk.by_view(view)
        entry = self._books.of_fill(fill)
        if self._waiting and self._waiting[-1][0].known is not known:
            self._release()
        wire = None
        if known is not None:
            known.realised += event.realised
            fees = known.told_fees
            fees[fill.fee_asset] = fees.get(fill.fee_asset, ZERO) + fill.fee
            wire = self._desk.wire_at(known, view)
        self.on_fill(fill)
        if fill.kind is FillKind.TRADE:
            self._tell("execution.fast", entry.listing.category, [fast_row(entry.execution(wire))])
        self._waiting.append((entry, wire))

    def _ended(self, view: OrderView) -> None:
        known = self._desk.by_view(view)
        if known is None:
            self._release()
            return
        is_amended = view.venue_order_id != known.numbers[-1]
        waiting = self._waiting and self._waiting[-1][0].known is known
        wire = self._desk.wire_at(known, view)
        if waiting and not is_amended:
            last = self._waiting[-1]
            self._waiting[-1] = (last[0], wire)
            self._release()
            return
        self._release()
        if not is_amended:
            self._tell_order(wire)

    def _release(self) -> None:
        """Send the executions of one match and the order as it is after them."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        category, wire = waiting[-1][0].listing.category, waiting[-1][1]
        rows = [execution_row(entry.execution(order)) for entry, order in waiting]
        self._tell("execution", category, rows)
        if wire is not None:
            self._tell_order(wire)

    def _funds(self, event: FundsChanged) -> None:
        for position in event.positions:
            listing = self._markets.by_model(position.symbol)
            rows = [row | {"category": LINEAR} for row in self._ledger.positions(listing, position)]
            self._tell("position", LINEAR, rows)
        if event.balances:
            coins = frozenset(balance.asset for balance in event.balances)
            self._tell("wallet", "", [self._ledger.wallet(coins)])

    def _paid(self, payment: FundingPayment) -> None:
        entry = self._books.of_payment(payment)
        self._tell("execution", LINEAR, [self._books.row(entry)])

    def _tell_ghost(self, known: Known) -> None:
        self._tell_order(self._desk.wire(known))

    def levered(self, listing: Listing) -> None:
        """Tell a position whose leverage has changed."""
        rows = [row | {"category": LINEAR} for row in self._ledger.positions(listing)]
        self._tell("position", LINEAR, rows)

    # Frames

    def _tell_order(self, wire: WireOrder) -> None:
        self._tell("order", wire.ticket.category, [order_row(wire)])

    def _tell(self, topic: str, category: str, rows: list[Row]) -> None:
        """Send a frame to whoever subscribed to it; faults are drawn where anybody did."""
        hearers = [one for one in self.sessions if one.wants(topic, category)]
        if not hearers or self._faults.hit("drop_event", topic):
            return
        now = self._house.wall()
        frame: Row = {"topic": topic, "creationTime": now // MS, "data": rows}
        if topic != "execution.fast":
            frame = {"id": f"sim_{topic}_{now // MS}_{next(self._frames)}"} | frame
        executes = topic.startswith("execution")
        late = self._faults.hit("reorder", topic) if executes else None
        if late is not None:
            delay = late.duration_ms / 1_000
            asyncio.get_running_loop().call_later(delay, _deliver, hearers, frame)
        else:
            _deliver(hearers, frame)
        if executes and self._faults.hit("duplicate", topic):
            _deliver(hearers, frame)


def _deliver(hearers: list[PrivateSession], frame: Row) -> None:
    for session in hearers:
        session.told(frame)
