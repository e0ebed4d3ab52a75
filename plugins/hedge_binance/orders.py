"""Orders as frames: the WebSocket API request, signed where it must be, put together in one go.

One `OrderFrames` a leg: everything that is the same in each order is prepared once, so that an
order costs the formatting of its own values, one signature (none where the connection has logged
on) and one join. Sources: ``order.place`` of ``web-socket-api.md`` (spot) and "New Order" of the
USD-M WebSocket API.
"""

import re
from decimal import Decimal

from hedge.errors import Refused
from hedge.model import Order, Side, TimeInForce
from hedge.model.numbers import MS
from hedge_binance.instruments import Listing
from hedge_binance.sign import Key

ID_RULE = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
"""What a client order id may be (USD-M "New Order"; spot takes at least that)."""
_SIDE = {Side.BUY: "BUY", Side.SELL: "SELL"}
_SPOT_FORCE = {
    TimeInForce.POST_ONLY: ("LIMIT_MAKER", ""),
    TimeInForce.GTC: ("LIMIT", "GTC"),
    TimeInForce.IOC: ("LIMIT", "IOC"),
}
_FUTURES_FORCE = {
    TimeInForce.POST_ONLY: ("LIMIT", "GTX"),
    TimeInForce.GTC: ("LIMIT", "GTC"),
    TimeInForce.IOC: ("LIMIT", "IOC"),
}
_FORCES = {"": "", **{word: f'"timeInForce":"{word}",' for word in ("GTC", "GTX", "IOC")}}
_REDUCING = '"reduceOnly":"true",'
_NUMBERS = ("recvWindow", "timestamp")


class OrderFrames:
    """Makes the requests of one leg."""

    def __init__(self, key: Key, *, futures: bool) -> None:
        self._sign = key.signer.sign
        self._api_key = key.api_key
        self._force = _FUTURES_FORCE if futures else _SPOT_FORCE
        self._futures = futures

    def fields(self, order: Order, listing: Listing) -> dict[str, str]:
        """Return an order's parameters, sorted by name, without key, times and signature."""
        kind, force = self._force[order.time_in_force]
        found = {
            "newClientOrderId": checked_id(order.client_order_id),
            "newOrderRespType": "RESULT",
            "price": text(listing.native_price(order.limit_price)),
            "quantity": text(listing.native_quantity(order.quantity)),
        }
        if order.reduce_only and self._futures:
            found["reduceOnly"] = "true"
        found["side"] = _SIDE[order.side]
        found["symbol"] = listing.native
        if force:
            found["timeInForce"] = force
        found["type"] = kind
        return found

    def place(self, call_id: int, order: Order, listing: Listing, *, signed: bool = True) -> bytes:
        """Return ``order.place`` of ``order.signed_at``, which counts without a signature as well.

        The parameters stand in the order of the alphabet, as they are signed: written out by hand,
        this costs half of what sorting them would.
        """
        kind, force = self._force[order.time_in_force]
        client_id = checked_id(order.client_order_id)
        price = text(listing.native_price(order.limit_price))
        quantity = text(listing.native_quantity(order.quantity))
        side, native = _SIDE[order.side], listing.native
        window_ms, at_ms = order.recv_window_ms, order.signed_at // MS
        reducing = order.reduce_only and self._futures
        who = seal = ""
        if signed:
            signature = self._sign(
                f"apiKey={self._api_key}&newClientOrderId={client_id}&newOrderRespType=RESULT"
                f"&price={price}&quantity={quantity}&recvWindow={window_ms}"
                f"{'&reduceOnly=true' if reducing else ''}&side={side}&symbol={native}"
                f"{'&timeInForce=' + force if force else ''}&timestamp={at_ms}&type={kind}".encode()
            )
            who, seal = f'"apiKey":"{self._api_key}",', f',"signature":"{signature}"'
        return (
            f'{{"id":{call_id},"method":"order.place","params":{{{who}'
            f'"newClientOrderId":"{client_id}","newOrderRespType":"RESULT","price":"{price}",'
            f'"quantity":"{quantity}","recvWindow":{window_ms},'
            f"{_REDUCING if reducing else ''}"
            f'"side":"{side}","symbol":"{native}",{_FORCES[force]}'
            f'"timestamp":{at_ms},"type":"{kind}"{seal}}}}}'
        ).encode()

    def cancel(
        self,
        call_id: int,
        native: str,
        client_order_id: str,
        *,
        at_ms: int,
        window_ms: int,
        signed: bool = True,
    ) -> bytes:
        """Return ``order.cancel`` by the id of ours."""
        fields = {"origClientOrderId": checked_id(client_order_id), "symbol": native}
        return self.request(
            call_id, "order.cancel", fields, at_ms=at_ms, window_ms=window_ms, signed=signed
        )

    def request(
        self,
        call_id: int,
        method: str,
        fields: dict[str, str],
        *,
        at_ms: int,
        window_ms: int,
        signed: bool = True,
    ) -> bytes:
        """Return a stamped request, signed or not; ``fields`` are sorted and need no escaping.

        The payload that is signed names all parameters in the order of the alphabet: ``apiKey``
        stands before all of ours, ``recvWindow`` and ``timestamp`` find their places.
        """
        found: dict[str, str | int] = {**fields, "recvWindow": window_ms, "timestamp": at_ms}
        if signed:
            found["apiKey"] = self._api_key
        names = sorted(found)
        seal = ""
        if signed:
            signature = self._sign("&".join([f"{name}={found[name]}" for name in names]).encode())
            seal = f',"signature":"{signature}"'
        params = ",".join(
            [
                f'"{name}":{found[name]}' if name in _NUMBERS else f'"{name}":"{found[name]}"'
                for name in names
            ]
        )
        return f'{{"id":{call_id},"method":"{method}","params":{{{params}{seal}}}}}'.encode()


def checked_id(client_order_id: str) -> str:
    """Return the id; raise `Refused` for one that the venue would not take, or JSON would not."""
    if ID_RULE.fullmatch(client_order_id) is None:
        raise Refused(f"no client order id of binance: {client_order_id[:40]!a}", code="CLIENT_ID")
    return client_order_id


def text(value: Decimal) -> str:
    """Return a number as the venue reads it: no exponent, no trailing zeros after the point."""
    written = format(value, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written
