"""Orders as the bytes that leave.

Goal: type, time in force, grid units, id rule, stamp and signature are what the venue wants, and
exactly what python-binance would sign. Method: frames read back; the SDK's own signer beside ours.
"""

import hashlib
import hmac
import json
from decimal import Decimal

import pytest
from binance_cases import futures, pepe, spot

from hedge.errors import Refused
from hedge.model import Leg, Order, Side, TimeInForce
from hedge.model.numbers import MS
from hedge_binance.orders import OrderFrames, text
from hedge_binance.sign import key_of

KEY = key_of({"api_key": "the-key", "api_secret": "the-secret"}, "mine")
AT = 1_790_000_000_123 * MS + 456_789


def order(**changes):
    found = {
        "client_order_id": "HA1B2C0001S000001",
        "leg": Leg.SPOT,
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "quantity": Decimal("0.50000"),
        "limit_price": Decimal("60000.10"),
        "time_in_force": TimeInForce.IOC,
        "signed_at": AT,
        "recv_window_ms": 2_000,
    }
    return Order(**(found | changes))


def sent(one, listing, *, futures=False):
    raw = OrderFrames(KEY, futures=futures).place(7, one, listing)
    frame = json.loads(raw)
    assert (frame["id"], frame["method"]) == (7, "order.place")
    return frame["params"]


def test_an_order_of_spot():
    params = sent(order(), spot())
    signature = params.pop("signature")
    assert params == {
        "apiKey": "the-key",
        "newClientOrderId": "HA1B2C0001S000001",
        "newOrderRespType": "RESULT",
        "price": "60000.1",
        "quantity": "0.5",
        "recvWindow": 2000,
        "side": "BUY",
        "symbol": "BTCUSDT",
        "timeInForce": "IOC",
        "timestamp": 1_790_000_000_123,
        "type": "LIMIT",
    }
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    assert signature == hmac.new(b"the-secret", payload.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("futures_too", [False, True])
def test_what_is_not_signed_lacks_key_and_signature_alone(futures_too):
    frames = OrderFrames(KEY, futures=futures_too)
    listing = futures() if futures_too else spot()
    one = order(reduce_only=futures_too)

    def cancel(**how):
        return frames.cancel(7, "BTCUSDT", "A1", at_ms=5, window_ms=2_000, **how)

    for signed, bare in (
        (frames.place(7, one, listing), frames.place(7, one, listing, signed=False)),
        (cancel(), cancel(signed=False)),
    ):
        whole = json.loads(signed)
        assert whole["params"].pop("apiKey") and whole["params"].pop("signature")
        assert json.loads(bare) == whole


@pytest.mark.parametrize("futures_too", [False, True])
def test_the_sdk_signs_the_same(futures_too):
    sdk = pytest.importorskip("binance.base_client", reason="python-binance is not installed")
    listing = futures() if futures_too else spot()
    params = sent(order(reduce_only=futures_too), listing, futures=futures_too)
    signature = params.pop("signature")
    client = sdk.BaseClient.__new__(sdk.BaseClient)
    client.API_SECRET, client.PRIVATE_KEY = "the-secret", None
    assert client._generate_ws_api_signature(dict(sorted(params.items()))) == signature


@pytest.mark.parametrize(
    ("force", "on_spot", "on_futures"),
    [
        (TimeInForce.POST_ONLY, ("LIMIT_MAKER", None), ("LIMIT", "GTX")),
        (TimeInForce.GTC, ("LIMIT", "GTC"), ("LIMIT", "GTC")),
        (TimeInForce.IOC, ("LIMIT", "IOC"), ("LIMIT", "IOC")),
    ],
)
def test_how_long_it_stands(force, on_spot, on_futures):
    one = order(time_in_force=force)
    for params, (kind, word) in (
        (sent(one, spot()), on_spot),
        (sent(one, futures(), futures=True), on_futures),
    ):
        assert (params["type"], params.get("timeInForce")) == (kind, word)


def test_reduce_only_is_said_on_futures_alone():
    one = order(reduce_only=True)
    assert sent(one, futures(), futures=True)["reduceOnly"] == "true"
    assert "reduceOnly" not in sent(one, spot())
    assert "reduceOnly" not in sent(order(), futures(), futures=True)


def test_bundles_leave_in_the_venue_s_units():
    one = order(quantity=Decimal(250_000), limit_price=Decimal("0.0000123"))
    params = sent(one, pepe(), futures=True)
    assert (params["symbol"], params["quantity"], params["price"]) == (
        "1000PEPEUSDT",
        "250",
        "0.0123",
    )


@pytest.mark.parametrize("bad", ["", "A" * 37, 'a"b', "a b", "é"])
def test_an_id_the_venue_would_not_take_is_refused_here(bad):
    frames = OrderFrames(KEY, futures=False)
    with pytest.raises(Refused) as caught:
        frames.place(1, order(client_order_id=bad), spot())
    assert caught.value.code == "CLIENT_ID"
    with pytest.raises(Refused):
        frames.cancel(1, "BTCUSDT", bad, at_ms=1, window_ms=2_000)


def test_a_cancel_names_the_order():
    raw = OrderFrames(KEY, futures=True).cancel(3, "BTCUSDT", "A1", at_ms=5, window_ms=2_000)
    params = json.loads(raw)["params"]
    assert (params["origClientOrderId"], params["timestamp"]) == ("A1", 5)
    payload = "apiKey=the-key&origClientOrderId=A1&recvWindow=2000&symbol=BTCUSDT&timestamp=5"
    assert params["signature"] == KEY.signer.sign(payload.encode())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("1E-7", "0.0000001"),
        ("1500", "1500"),
        ("1500.00", "1500"),
        ("0.10", "0.1"),
        ("1E+3", "1000"),
    ],
)
def test_numbers_are_written_out(value, written):
    assert text(Decimal(value)) == written
