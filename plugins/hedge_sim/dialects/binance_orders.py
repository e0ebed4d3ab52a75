"""Binance's order requests: place, cancel, modify, query; the same for REST and WebSocket API."""

import itertools
import re
from decimal import Decimal

from hedge.errors import Missing, Refused
from hedge.model import Leg, Order, Side, TimeInForce
from hedge.model.numbers import ONE
from hedge_sim.dialects import binance_errors as says
from hedge_sim.dialects import binance_shapes as shapes
from hedge_sim.dialects.binance_listing import Listing, Listings
from hedge_sim.dialects.binance_params import Params
from hedge_sim.dialects.binance_shapes import Note, Row
from hedge_sim.dialects.faults import Faults
from hedge_sim.dialects.house import House, OrderView

SPOT_ID = re.compile(r"[a-zA-Z0-9-_]{1,36}", re.ASCII)
USDM_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)
OPEN_MAX = 200
"""MAX_NUM_ORDERS."""
PARTIAL_SHARE = Decimal("0.5")
"""What the fault partial_then_reject lets a taking order have."""
MARKET_REACH = Decimal("0.5")
"""A MARKET order is a limit so far, of the price filter's way, beyond the touch."""
_TIMES = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC}


class Orders:
    """The order requests of one leg over the house."""

    def __init__(self, house: House, listings: Listings, leg: Leg, faults: Faults) -> None:
        self._house = house
        self._listings = listings
        self._leg = leg
        self._futures = leg is Leg.FUTURES
        self._faults = faults
        self._notes: dict[str, Note] = {}
        self._numbers = itertools.count(1)
        self.cancel_ids: dict[str, str] = {}
        """What the cancel of an order was called, by the order's venue id (spot's field c)."""

    def note(self, view: OrderView) -> Note:
        known = self._notes.get(view.venue_order_id)
        return known or shapes.note_of(view, futures=self._futures)

    # Placing

    def place(self, params: Params) -> Row:
        """Perform ``order.place``."""
        listing, order, note = self._parse(params)
        share = PARTIAL_SHARE if self._strikes_partially(order) else None
        view = self._perform(listing, order, note, share)
        if self._futures:
            return shapes.usdm_placed(listing, view, note)
        return shapes.spot_placed(listing, view, note, self._house.fills_of(view))

    def test(self, params: Params) -> Row:
        """Check an order's parameters and place nothing (``order.test``)."""
        self._parse(params)
        return {}

    def _strikes_partially(self, order: Order) -> bool:
        taking = order.time_in_force is TimeInForce.IOC
        return taking and self._faults.hit("partial_then_reject", "order.place") is not None

    def _perform(
        self, listing: Listing, order: Order, note: Note, share: Decimal | None
    ) -> OrderView:
        if len(self._house.open_orders(self._leg, listing.symbol)) >= OPEN_MAX:
            if self._futures:
                raise says.BinanceError(-2025, "Reach max open order limit.")
            raise says.BinanceError(-1013, "Filter failure: MAX_NUM_ORDERS")
        try:
            view = self._house.place(order, ioc_share=share)
        except Refused as error:
            raise says.from_refused_order(
                error, order, listing.instrument, futures=self._futures
            ) from error
        self._notes[view.venue_order_id] = note
        return view

    def _parse(self, params: Params) -> tuple[Listing, Order, Note]:
        listing = self._listing(params)
        side = _side(params)
        note = self._note_of(params)
        quantity = self._quantity(params, listing, side, note)
        most = listing.market_quantity_max if note.market else listing.quantity_max
        if quantity > most:
            word = "MARKET_LOT_SIZE" if note.market else "LOT_SIZE"
            if self._futures:
                raise says.BinanceError(-4005, "Quantity greater than max quantity.")
            raise says.BinanceError(-1013, f"Filter failure: {word}")
        price = (
            self._market_price(listing, side)
            if note.market
            else listing.price(params.number("price"))
        )
        order = Order(
            client_order_id=self._client_id(params),
            leg=self._leg,
            symbol=listing.symbol,
            side=side,
            quantity=quantity,
            limit_price=price,
            time_in_force=self._time_in_force(note),
            reduce_only=self._futures and params.flag("reduceOnly"),
            signed_at=0,
            recv_window_ms=0,
        )
        return listing, order, note

    def _listing(self, params: Params) -> Listing:
        listing = self._listings.of_wire(params.text("symbol"))
        if not listing.trades:
            raise says.from_refused(Refused("padding", code="HALTED"), futures=self._futures)
        return listing

    def _note_of(self, params: Params) -> Note:
        kind = params.text("type")
        response = params.get("newOrderRespType", "")
        if response not in ("", "ACK", "RESULT", "FULL"):
            raise says.BinanceError(-1138, "Invalid newOrderRespType.")
        if self._futures and params.get("positionSide", "BOTH") != "BOTH":
            text = "Order's position side does not match user's setting."
            raise says.BinanceError(-4061, text)
        if kind == "MARKET":
            response = response or ("ACK" if self._futures else "FULL")
            time_in_force = "IOC" if self._futures else "GTC"
            return Note(type=kind, time_in_force=time_in_force, market=True, response=response)
        if kind == "LIMIT_MAKER" and not self._futures:
            return Note(type=kind, time_in_force="GTC", response=response or "ACK")
        if kind != "LIMIT":
            raise says.BinanceError(-1116, "Invalid orderType.")
        time_in_force = params.text("timeInForce")
        if time_in_force not in ("GTC", "IOC", *(("GTX",) if self._futures else ())):
            # FOK and GTD exist at the venue, and not in the simulator.
            raise says.BinanceError(-1115, "Invalid timeInForce.")
        response = response or ("ACK" if self._futures else "FULL")
        return Note(type=kind, time_in_force=time_in_force, response=response)

    @staticmethod
    def _time_in_force(note: Note) -> TimeInForce:
        if note.market:
            return TimeInForce.IOC
        if note.type == "LIMIT_MAKER" or note.time_in_force == "GTX":
            return TimeInForce.POST_ONLY
        return _TIMES[note.time_in_force]

    def _quantity(self, params: Params, listing: Listing, side: Side, note: Note) -> Decimal:
        if note.market and not self._futures and "quoteOrderQty" in params:
            quote = self._house.quote(listing.symbol)
            if quote is None:
                raise says.from_refused(Refused("", code="HALTED"), futures=False)
            touch = quote.ask if side is Side.BUY else quote.bid
            return listing.instrument.round_quantity(params.number("quoteOrderQty") / touch)
        quantity = params.number("quantity")
        if not quantity:
            if self._futures:
                raise says.BinanceError(-4003, "Quantity less than or equal to zero.")
            raise says.BinanceError(-1013, "Invalid quantity.")
        return listing.quantity(quantity)

    def _market_price(self, listing: Listing, side: Side) -> Decimal:
        quote = self._house.quote(listing.symbol)
        if quote is None:
            raise says.from_refused(Refused("", code="HALTED"), futures=self._futures)
        rules = self._house.settings.futures if self._futures else self._house.settings.spot
        reach = rules.collar * MARKET_REACH
        one = listing.instrument
        if side is Side.BUY:
            return one.round_price_down(quote.mid * (ONE + reach))
        return one.round_price_up(quote.mid * (ONE - reach))

    def _client_id(self, params: Params) -> str:
        given = params.get("newClientOrderId", "")
        if not given:
            return self._own_id()
        legal = USDM_ID if self._futures else SPOT_ID
        if not legal.fullmatch(given):
            raise says.illegal("newClientOrderId", f"^{legal.pattern}$")
        return given

    def _own_id(self) -> str:
        """Return an id for a request that brought none."""
        return f"sim{self._house.wall():x}{next(self._numbers):x}"[:36]

    # Cancelling

    def cancel(self, params: Params) -> Row:
        """Perform ``order.cancel``."""
        listing = self._listings.of_wire(params.text("symbol"))
        try:
            view = self._find(params, listing)
        except says.BinanceError as error:
            raise (says.not_open() if error.code == says.no_such_order().code else error) from error
        return self._cancel(listing, view, params.get("newClientOrderId", ""))

    def _cancel(self, listing: Listing, view: OrderView, cancel_id: str) -> Row:
        self.cancel_ids[view.venue_order_id] = cancel_id = cancel_id or self._own_id()
        try:
            gone = self._house.cancel(listing.symbol, view.client_order_id)
        except Refused as error:
            del self.cancel_ids[view.venue_order_id]
            raise says.from_refused(error, futures=self._futures) from error
        if self._futures:
            return shapes.usdm_order(listing, gone, self.note(gone))
        return shapes.spot_cancelled(listing, gone, self.note(gone), cancel_id)

    def cancel_all(self, params: Params) -> object:
        """Perform ``openOrders.cancelAll`` / ``DELETE allOpenOrders``."""
        listing = self._listings.of_wire(params.text("symbol"))
        found = self._house.open_orders(self._leg, listing.symbol)
        if self._futures:
            for view in found:
                self._cancel(listing, view, "")
            text = "The operation of cancel all open order is done."
            return {"code": 200, "msg": text}
        if not found:
            raise says.not_open()
        return [self._cancel(listing, view, "") for view in found]

    # Changing (USD-M)

    def modify(self, params: Params) -> Row:
        """Perform ``order.modify``: a cancel and a new order under the same ids' client part.

        At the venue the order keeps its id; here it gets a new one, and its place in the queue is
        lost as at the venue when price changes or quantity grows.
        """
        listing = self._listings.of_wire(params.text("symbol"))
        view = self._find(params, listing)
        side = _side(params)
        quantity = listing.quantity(params.number("quantity"))
        price = listing.price(params.number("price"))
        if quantity <= view.filled:
            raise says.BinanceError(-2011, "Unknown order sent.")
        self._cancel(listing, view, "")
        note = self.note(view)
        order = Order(
            client_order_id=view.client_order_id,
            leg=self._leg,
            symbol=listing.symbol,
            side=side,
            quantity=quantity - view.filled,
            limit_price=price,
            time_in_force=view.order.time_in_force,
            reduce_only=view.order.reduce_only,
            signed_at=0,
            recv_window_ms=0,
        )
        fresh = self._perform(listing, order, note, None)
        return shapes.usdm_order(listing, fresh, note)

    # Asking

    def status(self, params: Params) -> Row:
        """Perform ``order.status``."""
        listing = self._listings.of_wire(params.text("symbol"))
        return self.row(listing, self._find(params, listing))

    def open(self, params: Params) -> list[Row]:
        """Perform ``openOrders.status``; without a symbol: of all."""
        wire = params.get("symbol", "")
        symbol = self._listings.of_wire(wire).symbol if wire else ""
        return [self._row(view) for view in self._house.open_orders(self._leg, symbol)]

    def all(self, params: Params) -> list[Row]:
        """Perform ``allOrders``: by orderId, or between startTime and endTime, oldest first."""
        listing = self._listings.of_wire(params.text("symbol"))
        least = params.integer("orderId", 0)
        begin, end = params.integer("startTime", 0), params.integer("endTime", 1 << 62)
        found = [
            view
            for view in self._house.orders(self._leg, listing.symbol)
            if shapes.order_id(view) >= least and begin <= shapes.ms(view.placed_at) <= end
        ]
        limit = params.limit(500, 1_000)
        chosen = found[:limit] if least or begin else found[-limit:]
        return [self.row(listing, view) for view in chosen]

    def open_one(self, params: Params) -> Row:
        """Perform ``GET /fapi/v1/openOrder``."""
        listing = self._listings.of_wire(params.text("symbol"))
        view = self._find(params, listing)
        if view.status.value != "working":
            raise says.no_such_order()
        return self.row(listing, view)

    def row(self, listing: Listing, view: OrderView) -> Row:
        shape = shapes.usdm_order if self._futures else shapes.spot_order
        return shape(listing, view, self.note(view))

    def _row(self, view: OrderView) -> Row:
        return self.row(self._listings.of_symbol(view.order.symbol), view)

    def _find(self, params: Params, listing: Listing) -> OrderView:
        number = params.integer("orderId", 0)
        name = params.get("origClientOrderId", "")
        if not number and not name:
            text = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise says.BinanceError(-1102, text)
        self._house.bring_up()
        try:
            if number:
                found = f"sim-{number - shapes.ORDER_BASE}"
                return self._house.order_by_number(listing.symbol, found)
            return self._house.order(listing.symbol, name)
        except Missing as error:
            raise says.no_such_order() from error


def _side(params: Params) -> Side:
    word = params.text("side")
    if word not in ("BUY", "SELL"):
        raise says.BinanceError(-1117, "Invalid side.")
    return Side.BUY if word == "BUY" else Side.SELL
