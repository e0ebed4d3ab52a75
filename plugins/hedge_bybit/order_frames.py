"""The bytes of an order and of a cancel: for the WebSocket order entry and for REST."""

from hedge.model import Leg, Order, Side, TimeInForce
from hedge.model.numbers import MS, plain
from hedge_bybit.listing import CATEGORIES, Listing

SIDE_WORDS = {Side.BUY: "Buy", Side.SELL: "Sell"}
TIMES_IN_FORCE = {
    TimeInForce.POST_ONLY: "PostOnly",
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
}
CREATE_PATH = "/v5/order/create"
CANCEL_PATH = "/v5/order/cancel"


def order_body(order: Order, listing: Listing) -> str:
    """Return the order as JSON (docs/v5/order/create-order).

    Spot never borrows (``isLeverage`` 0). A perpetual is in one-way mode (``positionIdx`` 0), and
    an order in hedge mode is refused for it. No text here needs escaping: ids and symbols are
    letters and digits, the rest are numbers.
    """
    if listing.leg is Leg.SPOT:
        tail = '"isLeverage":0'
    else:
        tail = f'"positionIdx":0,"reduceOnly":{"true" if order.reduce_only else "false"}'
    return (
        f'{{"category":"{CATEGORIES[listing.leg]}","symbol":"{listing.venue_symbol}",'
        f'"side":"{SIDE_WORDS[order.side]}","orderType":"Limit",'
        f'"qty":"{plain(listing.venue_quantity(order.quantity))}",'
        f'"price":"{plain(listing.venue_price(order.limit_price))}",'
        f'"timeInForce":"{TIMES_IN_FORCE[order.time_in_force]}",'
        f'"orderLinkId":"{order.client_order_id}",{tail}}}'
    )


def cancel_body(listing: Listing, client_order_id: str) -> str:
    """Return the cancel of one order by our id (docs/v5/order/cancel-order)."""
    return (
        f'{{"category":"{CATEGORIES[listing.leg]}","symbol":"{listing.venue_symbol}",'
        f'"orderLinkId":"{client_order_id}"}}'
    )


def trade_message(
    operation: str, call_id: str, body: str, *, timestamp_ms: int, recv_window_ms: int
) -> bytes:
    """Return a request of /v5/trade; the connection is authenticated, so nothing is signed."""
    return (
        f'{{"reqId":"{call_id}","header":{{"X-BAPI-TIMESTAMP":"{timestamp_ms}",'
        f'"X-BAPI-RECV-WINDOW":"{recv_window_ms}"}},"op":"{operation}","args":[{body}]}}'
    ).encode()


def create_message(order: Order, listing: Listing) -> bytes:
    """Return the order for the socket, stamped with ``signed_at``, the venue's time."""
    return (
        f'{{"reqId":"{order.client_order_id}",'
        f'"header":{{"X-BAPI-TIMESTAMP":"{order.signed_at // MS}",'
        f'"X-BAPI-RECV-WINDOW":"{order.recv_window_ms}"}},'
        f'"op":"order.create","args":[{order_body(order, listing)}]}}'
    ).encode()
