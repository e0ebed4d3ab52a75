"""Binance's account streams: spot subscriptions on the WebSocket API, USD-M listenKey sockets."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import assert_never

import msgspec

from hedge.model import FillKind
from hedge.model.numbers import MS, ZERO
from hedge_sim.dialects import binance_errors as says
from hedge_sim.dialects import binance_shapes as shapes
from hedge_sim.dialects.binance_listing import Listings, fixed
from hedge_sim.dialects.binance_orders import Orders
from hedge_sim.dialects.binance_params import Params
from hedge_sim.dialects.binance_shapes import Row
from hedge_sim.dialects.faults import Faults
from hedge_sim.dialects.house import (
    FundingPaid,
    FundsChanged,
    House,
    HouseEvent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
)
from hedge_sim.dialects.sockets import Socket
from hedge_sim.draw import dice

LISTEN_KEY_MS = 3_600_000
MARGIN_CALL_RATIO = Decimal("0.8")
"""A MARGIN_CALL is sent when the margin ratio rises above this."""
REASONS = {"order": "ORDER", "funding": "FUNDING_FEE", "deposit": "DEPOSIT"}


class Teller:
    """Sends account events to whoever listens, through the faults."""

    def __init__(self, house: House, faults: Faults, send: Callable[[Row], None]) -> None:
        self._house = house
        self._faults = faults
        self._send = send

    def tell(self, row: Row, *, is_execution: bool = False) -> None:
        name = row["e"]
        if self._faults.hit("drop_event", name) is not None:
            return
        late = self._faults.hit("reorder", name) if is_execution else None
        copies = 1
        if is_execution and self._faults.hit("duplicate", name) is not None:
            copies = 2
        for _ in range(copies):
            if late is None:
                self._send(row)
            else:
                loop = asyncio.get_running_loop()
                loop.call_later(late.duration_ms / 1_000, self._send, row)


class SpotUser:
    """Events of the spot account; each goes to every subscription of every connection."""

    def __init__(self, house: House, listings: Listings, orders: Orders, faults: Faults) -> None:
        self._house = house
        self._listings = listings
        self._orders = orders
        self._subscriptions: dict[Socket, list[int]] = {}
        self._next_id: dict[Socket, int] = {}
        self._teller = Teller(house, faults, self._send)

    def subscribe(self, socket: Socket) -> int:
        """Return the id of a new subscription; ids count per connection, from 0."""
        number = self._next_id.get(socket, 0)
        self._next_id[socket] = number + 1
        self._subscriptions.setdefault(socket, []).append(number)
        return number

    def unsubscribe(self, socket: Socket, number: int | None) -> None:
        """End one subscription of a connection, or all of them."""
        left = [n for n in self._subscriptions.get(socket, []) if number not in (None, n)]
        self._subscriptions[socket] = left

    def subscriptions(self, socket: Socket) -> list[int]:
        return self._subscriptions.get(socket, [])

    def leave(self, socket: Socket) -> None:
        self._subscriptions.pop(socket, None)
        self._next_id.pop(socket, None)

    def _send(self, row: Row) -> None:
        for socket, numbers in self._subscriptions.items():
            for number in numbers:
                socket.send({"subscriptionId": number, "event": row})

    def account_position(self) -> Row:
        """Return the whole account as one ``outboundAccountPosition``."""
        now = self._house.wall() // MS
        rows = [
            {"a": b.asset, "f": fixed(b.free), "l": fixed(b.locked)} for b in self._house.balances()
        ]
        return {"e": "outboundAccountPosition", "E": now, "u": now, "B": rows}

    def heard(self, event: HouseEvent) -> None:
        """Take an event of the house."""
        now = self._house.wall() // MS
        match event:
            case OrderAccepted():
                self._report(event, now, "NEW")
            case OrderFilled():
                self._report(event, now, "TRADE")
            case OrderEnded():
                kind = "CANCELED" if event.view.why == "cancel" else "EXPIRED"
                self._report(event, now, kind)
            case FundsChanged():
                self._tell_funds(event, now)
            case FundingPaid():
                pass  # an event of the futures account
            case _:
                assert_never(event)

    def _report(self, event: OrderAccepted | OrderFilled | OrderEnded, now: int, kind: str) -> None:
        view = event.view
        listing = self._listings.of_symbol(view.order.symbol)
        cancel_id = self._orders.cancel_ids.get(view.venue_order_id, "")
        row = shapes.execution_report(
            listing, view, self._orders.note(view), now, kind=kind,
            fill=event.fill if isinstance(event, OrderFilled) else None,
            cancel_id=cancel_id if kind == "CANCELED" else "",
        )  # fmt: skip
        self._teller.tell(row, is_execution=kind == "TRADE")

    def _tell_funds(self, event: FundsChanged, now: int) -> None:
        if event.cause == "deposit":
            for asset, delta in event.deltas.items():
                row = {"e": "balanceUpdate", "E": now, "a": asset, "d": fixed(delta), "T": now}
                self._teller.tell(row)
        rows = [{"a": b.asset, "f": fixed(b.free), "l": fixed(b.locked)} for b in event.balances]
        if rows:
            self._teller.tell({"e": "outboundAccountPosition", "E": now, "u": now, "B": rows})


class _Listener(msgspec.Struct, eq=False):
    """One socket of the private stream."""

    key: str
    events: frozenset[str]
    """Those it asked for; empty: all."""
    combined: bool


class UsdmUser:
    """Events of the futures account; each goes to every socket with the living listenKey."""

    def __init__(
        self, house: House, listings: Listings, orders: Orders, faults: Faults, seed: int
    ) -> None:
        self._house = house
        self._listings = listings
        self._orders = orders
        self._dice = dice(seed, "listen key")
        self._key = ""
        self._key_until = 0
        self._listeners: dict[Socket, _Listener] = {}
        self._called = False
        self._teller = Teller(house, faults, self._send)

    # The key

    def start(self, _: Params) -> Row:
        """Return the living key, made new if there is none; it lives an hour from now."""
        if not self._key:
            self._key = f"{self._dice.getrandbits(256):064x}"
        self._key_until = self._house.wall() // MS + LISTEN_KEY_MS
        return {"listenKey": self._key}

    def keep(self, params: Params) -> Row:
        if not self._key:
            raise says.BinanceError(-1125, "This listenKey does not exist.")
        return self.start(params)

    def end(self, _: Params) -> Row:
        self._key = ""
        return {}

    def expire(self) -> None:
        """Say that the key is no more, and forget it."""
        key, self._key = self._key, ""
        if key:
            row = {"e": "listenKeyExpired", "E": self._house.wall() // MS, "listenKey": key}
            for socket, listener in self._listeners.items():
                if listener.key == key:
                    socket.send(self._framed(listener, row))

    # Who listens

    def join(self, socket: Socket, key: str, events: str, *, combined: bool) -> None:
        """Take a socket; one with a key that is none hears nothing, as at the venue."""
        chosen = frozenset(word for word in events.split("/") if word)
        self._listeners[socket] = _Listener(key, chosen, combined)

    def leave(self, socket: Socket) -> None:
        self._listeners.pop(socket, None)

    def _send(self, row: Row) -> None:
        for socket, listener in self._listeners.items():
            wanted = not listener.events or row["e"] in listener.events
            if wanted and self._key and listener.key == self._key:
                socket.send(self._framed(listener, row))

    @staticmethod
    def _framed(listener: _Listener, row: Row) -> Row:
        return {"stream": listener.key, "data": row} if listener.combined else row

    # What happens

    def pulse(self) -> None:
        """Let an old key expire, and call for margin."""
        if self._key and self._house.wall() // MS >= self._key_until:
            self.expire()
        ratio = self._house.margin().ratio
        calls = ratio is not None and ratio >= MARGIN_CALL_RATIO
        if calls and not self._called:
            self._call_for_margin()
        self._called = calls

    def _call_for_margin(self) -> None:
        margin = self._house.margin()
        rows = []
        for listing in self._listings.trading:
            position = self._house.position(listing.symbol)
            if position.quantity:
                mark = self._house.mark(listing.symbol).mark
                maintenance = abs(position.quantity) * mark
                maintenance *= self._house.settings.maintenance_margin
                rows.append(
                    {
                        "s": listing.wire,
                        "ps": "BOTH",
                        "pa": listing.quantity_text(position.quantity),
                        "mt": "CROSSED",
                        "iw": "0",
                        "mp": fixed(mark * listing.scale),
                        "up": fixed(position.quantity * mark - position.entry_notional),
                        "mm": fixed(maintenance),
                    }
                )
        now = self._house.wall() // MS
        self._teller.tell({"e": "MARGIN_CALL", "E": now, "cw": fixed(margin.wallet), "p": rows})

    def tell_leverage(self, symbol: str, leverage: int) -> None:
        now = self._house.wall() // MS
        change = {"s": symbol, "l": leverage}
        self._teller.tell({"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": now, "ac": change})

    def heard(self, event: HouseEvent) -> None:
        """Take an event of the house."""
        now = self._house.wall() // MS
        match event:
            case OrderAccepted():
                self._update(event, now, "NEW")
            case OrderFilled():
                self._filled(event, now)
            case OrderEnded():
                kind = "CANCELED" if event.view.why == "cancel" else "EXPIRED"
                self._update(event, now, kind)
            case FundsChanged():
                self._tell_funds(event, now)
            case FundingPaid():
                pass  # the change of funds that follows says it
            case _:
                assert_never(event)

    def _update(self, event: OrderAccepted | OrderEnded, now: int, kind: str) -> None:
        view = event.view
        listing = self._listings.of_symbol(view.order.symbol)
        note = self._orders.note(view)
        self._teller.tell(shapes.order_trade_update(listing, view, note, now, kind=kind))

    def _filled(self, event: OrderFilled, now: int) -> None:
        view, fill = event.view, event.fill
        listing = self._listings.of_symbol(fill.symbol)
        note = self._orders.note(view)
        forced = fill.kind is not FillKind.TRADE
        if not forced:
            lite = shapes.trade_lite(listing, view, note, fill, now)
            self._teller.tell(lite, is_execution=True)
        row = shapes.order_trade_update(
            listing, view, note, now,
            kind="CALCULATED" if forced else "TRADE", fill=fill, realised=event.realised,
        )  # fmt: skip
        self._teller.tell(row, is_execution=True)

    def _tell_funds(self, event: FundsChanged, now: int) -> None:
        realised = self._house.account.realised
        cash = [
            {
                "a": b.asset,
                "wb": fixed(b.total),
                "cw": fixed(b.total),
                "bc": "0" if event.cause == "order" else fixed(event.deltas[b.asset]),
            }
            for b in event.balances
            if b.asset == "USDT" and (event.cause != "order" or event.deltas[b.asset])
        ]
        positions = [
            shapes.position_update(
                self._listings.of_symbol(p.symbol), p,
                self._house.mark(p.symbol).mark, realised.get("USDT", ZERO),
            )
            for p in event.positions
            if event.cause == "order"
        ]  # fmt: skip
        reason = REASONS[event.cause]
        if reason == "DEPOSIT" and event.deltas.get("USDT", ZERO) < 0:
            reason = "WITHDRAW"
        if cash or positions:
            update = {"m": reason, "B": cash, "P": positions}
            self._teller.tell({"e": "ACCOUNT_UPDATE", "E": now, "T": now, "a": update})
