"""Orders, trades and account events as Binance writes them: spot and USD-M, REST and streams.

Sources: binance-spot-api-docs ``rest-api.md``, ``user-data-stream.md``; the USD-M documentation of
the same endpoints and events. All are pure: what they need is handed in.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from hedge.model import Fill, FillKind, Position, ReportedStatus, Side, TimeInForce
from hedge.model.numbers import MS, ZERO
from hedge_sim.dialects.binance_listing import Listing, fixed
from hedge_sim.dialects.house import OrderView

Row = dict[str, Any]
ORDER_BASE = 1_000_000_000
"""Added to order numbers, so that ids have the length of the venue's."""
TRADE_BASE = 500_000_000
STP = "EXPIRE_MAKER"
ZERO8 = "0.00000000"
NEW = "NEW"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What the wire said of an order beyond what the exchange keeps."""

    type: str
    time_in_force: str
    market: bool = False
    response: str = ""


def note_of(view: OrderView, *, futures: bool) -> Note:
    """Return what can be told of an order whose request is not remembered."""
    match view.order.time_in_force:
        case TimeInForce.POST_ONLY:
            return Note(type="LIMIT", time_in_force="GTX") if futures else _MAKER
        case TimeInForce.IOC:
            return Note(type="LIMIT", time_in_force="IOC")
        case TimeInForce.GTC:
            return Note(type="LIMIT", time_in_force="GTC")


_MAKER = Note(type="LIMIT_MAKER", time_in_force="GTC")


def order_id(view: OrderView) -> int:
    return ORDER_BASE + view.number


def trade_id(fill: Fill) -> int:
    return TRADE_BASE + int(fill.fill_id)


def fill_order_id(fill: Fill) -> int:
    return ORDER_BASE + int(fill.venue_order_id.partition("-")[2] or 0)


def status_of(view: OrderView) -> str:
    """Return Binance's status word."""
    if view.status is ReportedStatus.FILLED:
        return "FILLED"
    if view.status is ReportedStatus.WORKING:
        return "PARTIALLY_FILLED" if view.filled else NEW
    return "CANCELED" if view.why == "cancel" else "EXPIRED"


def side_of(side: Side) -> str:
    return "BUY" if side is Side.BUY else "SELL"


def ms(at: int) -> int:
    return at // MS


# Spot


def _price(listing: Listing, view: OrderView, note: Note) -> str:
    return ZERO8 if note.market else listing.price_text(view.order.limit_price)


def spot_order(listing: Listing, view: OrderView, note: Note) -> Row:
    """Return an order as ``GET /api/v3/order`` does."""
    return {
        "symbol": listing.wire,
        "orderId": order_id(view),
        "orderListId": -1,
        "clientOrderId": view.client_order_id,
        "price": _price(listing, view, note),
        "origQty": listing.quantity_text(view.order.quantity),
        "executedQty": listing.quantity_text(view.filled),
        "cummulativeQuoteQty": fixed(view.filled_notional),
        "status": status_of(view),
        "timeInForce": note.time_in_force,
        "type": note.type,
        "side": side_of(view.order.side),
        "stopPrice": ZERO8,
        "icebergQty": ZERO8,
        "time": ms(view.placed_at),
        "updateTime": ms(view.updated_at),
        "isWorking": True,
        "workingTime": ms(view.placed_at),
        "origQuoteOrderQty": ZERO8,
        "selfTradePreventionMode": STP,
    }


def spot_placed(listing: Listing, view: OrderView, note: Note, fills: Iterable[Fill]) -> Row:
    """Return the answer to a new order: ACK, RESULT or FULL."""
    ack: Row = {
        "symbol": listing.wire,
        "orderId": order_id(view),
        "orderListId": -1,
        "clientOrderId": view.client_order_id,
        "transactTime": ms(view.placed_at),
    }
    if note.response == "ACK":
        return ack
    whole = spot_order(listing, view, note)
    names = (
        "price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status",
        "timeInForce", "type", "side", "workingTime", "selfTradePreventionMode",
    )  # fmt: skip
    result = ack | {name: whole[name] for name in names}
    if note.response == "RESULT":
        return result
    return result | {
        "fills": [
            {
                "price": listing.price_text(fill.price),
                "qty": listing.quantity_text(fill.quantity),
                "commission": fixed(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": trade_id(fill),
            }
            for fill in fills
        ]
    }


def spot_cancelled(listing: Listing, view: OrderView, note: Note, cancel_id: str) -> Row:
    """Return the answer to a cancel; the cancel has an id of its own."""
    whole = spot_order(listing, view, note)
    names = (
        "price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status",
        "timeInForce", "type", "side", "selfTradePreventionMode",
    )  # fmt: skip
    return {
        "symbol": listing.wire,
        "origClientOrderId": view.client_order_id,
        "orderId": order_id(view),
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": ms(view.updated_at),
    } | {name: whole[name] for name in names}


def spot_trade(listing: Listing, fill: Fill) -> Row:
    """Return one row of ``GET /api/v3/myTrades``."""
    return {
        "symbol": listing.wire,
        "id": trade_id(fill),
        "orderId": fill_order_id(fill),
        "orderListId": -1,
        "price": listing.price_text(fill.price),
        "qty": listing.quantity_text(fill.quantity),
        "quoteQty": fixed(fill.quantity * fill.price),
        "commission": fixed(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": ms(fill.filled_at),
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def execution_report(
    listing: Listing, view: OrderView, note: Note, now_ms: int,
    *, kind: str, fill: Fill | None = None, cancel_id: str = "",
) -> Row:  # fmt: skip
    """Return ``executionReport``; ``kind`` is NEW, TRADE, CANCELED or EXPIRED (field x).

    On a cancel ``c`` is the id of the cancel and ``C`` that of the order.
    """
    at = ms(fill.filled_at if fill else view.updated_at)
    found: Row = {
        "e": "executionReport",
        "E": now_ms,
        "s": listing.wire,
        "c": cancel_id or view.client_order_id,
        "S": side_of(view.order.side),
        "o": note.type,
        "f": note.time_in_force,
        "q": listing.quantity_text(view.order.quantity),
        "p": _price(listing, view, note),
        "P": ZERO8,
        "F": ZERO8,
        "g": -1,
        "C": view.client_order_id if cancel_id else "",
        "x": kind,
        "X": status_of(view),
        "r": "NONE",
        "i": order_id(view),
        "l": listing.quantity_text(fill.quantity) if fill else ZERO8,
        "z": listing.quantity_text(view.filled),
        "L": listing.price_text(fill.price) if fill else ZERO8,
        "n": fixed(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": at,
        "t": trade_id(fill) if fill else -1,
        "I": 2 * order_id(view) + (int(fill.fill_id) if fill else 0),
        "w": view.status is ReportedStatus.WORKING,
        "m": fill.maker if fill else False,
        "M": fill is not None,
        "O": ms(view.placed_at),
        "Z": fixed(view.filled_notional),
        "Y": fixed(fill.quantity * fill.price) if fill else ZERO8,
        "Q": ZERO8,
        "W": ms(view.placed_at),
        "V": STP,
    }
    if kind == "EXPIRED":
        found["eR"] = 1
    return found


# USD-M


def usdm_order(listing: Listing, view: OrderView, note: Note) -> Row:
    """Return an order as ``GET /fapi/v1/order`` does."""
    zero = listing.price_text(ZERO)
    return {
        "orderId": order_id(view),
        "symbol": listing.wire,
        "status": status_of(view),
        "clientOrderId": view.client_order_id,
        "price": zero if note.market else listing.price_text(view.order.limit_price),
        "avgPrice": fixed(view.price * listing.scale, 5),
        "origQty": listing.quantity_text(view.order.quantity),
        "executedQty": listing.quantity_text(view.filled),
        "cumQuote": fixed(view.filled_notional, 5),
        "timeInForce": note.time_in_force,
        "type": note.type,
        "reduceOnly": view.order.reduce_only,
        "closePosition": False,
        "side": side_of(view.order.side),
        "positionSide": "BOTH",
        "stopPrice": zero,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": note.type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": STP,
        "goodTillDate": 0,
        "time": ms(view.placed_at),
        "updateTime": ms(view.updated_at),
    }


def usdm_placed(listing: Listing, view: OrderView, note: Note) -> Row:
    """Return the answer to a new order; an ACK shows it as it was accepted."""
    whole = usdm_order(listing, view, note)
    del whole["time"]
    whole["cumQty"] = whole["executedQty"]
    if note.response == "RESULT":
        return whole
    none = listing.quantity_text(ZERO)
    unfilled = {"status": NEW, "executedQty": none, "cumQty": none}
    return whole | unfilled | {"avgPrice": "0.00", "cumQuote": "0.00000"}


def usdm_trade(listing: Listing, fill: Fill, realised: Decimal) -> Row:
    """Return one row of ``GET /fapi/v1/userTrades``."""
    return {
        "buyer": fill.side is Side.BUY,
        "commission": fixed(fill.fee),
        "commissionAsset": fill.fee_asset,
        "id": trade_id(fill),
        "maker": fill.maker,
        "orderId": fill_order_id(fill),
        "price": listing.price_text(fill.price),
        "qty": listing.quantity_text(fill.quantity),
        "quoteQty": fixed(fill.quantity * fill.price),
        "realizedPnl": fixed(realised),
        "side": side_of(fill.side),
        "positionSide": "BOTH",
        "symbol": listing.wire,
        "time": ms(fill.filled_at),
    }


def order_trade_update(
    listing: Listing, view: OrderView, note: Note, now_ms: int,
    *, kind: str, fill: Fill | None = None, realised: Decimal = ZERO,
) -> Row:  # fmt: skip
    """Return ``ORDER_TRADE_UPDATE``; ``kind`` as in `execution_report`, or CALCULATED."""
    at = ms(fill.filled_at if fill else view.updated_at)
    zero = listing.price_text(ZERO)
    order: Row = {
        "s": listing.wire,
        "c": view.client_order_id,
        "S": side_of(view.order.side),
        "o": note.type,
        "f": note.time_in_force,
        "q": listing.quantity_text(view.order.quantity),
        "p": zero if note.market else listing.price_text(view.order.limit_price),
        "ap": fixed(view.price * listing.scale, 2),
        "sp": zero,
        "x": kind,
        "X": "NEW_ADL" if fill and fill.kind is FillKind.AUTO_DELEVERAGING else status_of(view),
        "i": order_id(view),
        "l": listing.quantity_text(fill.quantity if fill else ZERO),
        "z": listing.quantity_text(view.filled),
        "L": listing.price_text(fill.price) if fill else zero,
        "N": fill.fee_asset if fill else "USDT",
        "n": fixed(fill.fee) if fill else "0",
        "T": at,
        "t": trade_id(fill) if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.maker if fill else False,
        "R": view.order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": note.type,
        "ps": "BOTH",
        "cp": False,
        "rp": fixed(realised),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": STP,
        "pm": "NONE",
        "gtd": 0,
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": at, "o": order}


def trade_lite(listing: Listing, view: OrderView, note: Note, fill: Fill, now_ms: int) -> Row:
    """Return ``TRADE_LITE``: earlier than `order_trade_update`, without fee and profit."""
    price = listing.price_text(ZERO if note.market else view.order.limit_price)
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": ms(fill.filled_at),
        "s": listing.wire,
        "q": listing.quantity_text(view.order.quantity),
        "p": price,
        "m": fill.maker,
        "c": view.client_order_id,
        "S": side_of(view.order.side),
        "L": listing.price_text(fill.price),
        "l": listing.quantity_text(fill.quantity),
        "t": trade_id(fill),
        "i": order_id(view),
    }


def position_update(listing: Listing, position: Position, mark: Decimal, realised: Decimal) -> Row:
    """Return one element of ``P`` of ``ACCOUNT_UPDATE``."""
    entry = entry_price(position)
    return {
        "s": listing.wire,
        "pa": listing.quantity_text(position.quantity),
        "ep": fixed(entry * listing.scale, 5),
        "bep": fixed(entry * listing.scale, 5),
        "cr": fixed(realised),
        "up": fixed(position.quantity * mark - position.entry_notional),
        "mt": "cross",
        "iw": ZERO8,
        "ps": "BOTH",
    }


def entry_price(position: Position) -> Decimal:
    """Return the average entry price per coin, 0 when flat, to 8 digits."""
    if not position.quantity:
        return ZERO
    return (position.entry_notional / position.quantity).quantize(Decimal("1e-8"))
