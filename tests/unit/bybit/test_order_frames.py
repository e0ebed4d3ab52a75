"""Goal: the bytes of an order say what the order says, in the venue's own terms.
Method: decode what would be sent, and compare with the documented request.
"""

import hashlib
import hmac
import json
from decimal import Decimal

import pytest
from bybit_rows import PEPE, PERPETUAL, SPOT, order

from hedge.errors import ConfigError
from hedge.model import Leg, Side, TimeInForce
from hedge_bybit.access import Access
from hedge_bybit.order_frames import cancel_body, create_message, order_body, trade_message

D = Decimal


def test_a_hedge_is_a_limit_order_that_takes_what_is_there():
    sent = json.loads(create_message(order(), PERPETUAL))
    assert sent == {
        "reqId": "HA0000001F000001",
        "header": {"X-BAPI-TIMESTAMP": "1700000000123", "X-BAPI-RECV-WINDOW": "1500"},
        "op": "order.create",
        "args": [
            {
                "category": "linear",
                "symbol": "BTCUSDT",
                "side": "Sell",
                "orderType": "Limit",
                "qty": "0.5",
                "price": "60000.1",
                "timeInForce": "IOC",
                "orderLinkId": "HA0000001F000001",
                "positionIdx": 0,
                "reduceOnly": False,
            }
        ],
    }


def test_an_unwinding_order_may_only_reduce():
    body = json.loads(order_body(order(reduce_only=True, side=Side.BUY), PERPETUAL))
    assert (body["reduceOnly"], body["side"]) == (True, "Buy")


@pytest.mark.parametrize(
    ("time_in_force", "word"),
    [
        (TimeInForce.POST_ONLY, "PostOnly"),
        (TimeInForce.GTC, "GTC"),
        (TimeInForce.IOC, "IOC"),
    ],
)
def test_a_spot_order_never_borrows(time_in_force, word):
    one = order(leg=Leg.SPOT, symbol="BTC/USDT", time_in_force=time_in_force)
    body = json.loads(order_body(one, SPOT))
    assert (body["category"], body["timeInForce"], body["isLeverage"]) == ("spot", word, 0)
    assert "reduceOnly" not in body and "positionIdx" not in body and "marketUnit" not in body


def test_numbers_have_no_exponent_and_multiples_are_theirs():
    one = order(quantity=D("400000"), limit_price=D("1.25E-8"))
    body = json.loads(order_body(one, PEPE))
    assert (body["qty"], body["price"]) == ("400", "0.0000125")
    tiny = json.loads(order_body(order(quantity=D("1E-6"), limit_price=D("6E+4")), SPOT))
    assert (tiny["qty"], tiny["price"]) == ("0.000001", "60000")


def test_a_cancel_names_the_order_by_our_id():
    sent = trade_message(
        "order.cancel", "c-1", cancel_body(SPOT, "ours"), timestamp_ms=5, recv_window_ms=2_000
    )
    assert json.loads(sent)["args"] == [
        {"category": "spot", "symbol": "BTCUSDT", "orderLinkId": "ours"}
    ]


def test_signatures_are_hmac_sha256_of_the_documented_text():
    access = Access("the-key", "the-secret")

    def expected(text):
        return hmac.new(b"the-secret", text.encode(), hashlib.sha256).hexdigest()

    headers = access.headers(1_700_000_000_123, 5_000, "category=linear&symbol=BTCUSDT")
    assert headers["X-BAPI-SIGN"] == expected(
        "1700000000123the-key5000category=linear&symbol=BTCUSDT"
    )
    auth = json.loads(access.auth(1_700_000_000_000, "a", id_name="reqId"))
    key, expires, signature = auth["args"]
    assert (auth["op"], auth["reqId"], key) == ("auth", "a", "the-key")
    assert expires > 1_700_000_000_000
    assert signature == expected(f"GET/realtime{expires}")


@pytest.mark.parametrize(
    "secrets", [{}, {"api_key": "k"}, {"api_secret": "s"}, {"private_key": "PEM"}]
)
def test_a_missing_key_is_named_before_anything_opens(secrets):
    with pytest.raises(ConfigError, match=r"accounts\.main\.api_(key|secret) is not set"):
        Access.of(secrets, "main")
