"""Goal: what five venues without a simulator would be sent is right: units, names, flags, time.
Method: ccxt's own markets of hand-made rows, and ccxt's own requests, caught before they leave.
"""

import asyncio
from decimal import Decimal

import pytest

pytest.importorskip("ccxt.pro")
from offline import gateway  # the skip must come first

from hedge.errors import Missing, OutcomeUnknown, Refused
from hedge.model import Leg, Order, Side, TimeInForce

D = Decimal
OURS = "HA00000001S000001"
HEX = "0x" + f"{int('1' + OURS, 36):032x}"
AT_MS = 1_795_370_000_123
SYMBOLS = {"hyperliquid": "BTC/USDC"}


def order(venue, leg, how, **more):
    base = SYMBOLS.get(venue, "BTC/USDT")
    settle = ":" + base.partition("/")[2] if leg is Leg.FUTURES else ""
    found = {
        "client_order_id": OURS,
        "leg": leg,
        "symbol": base + settle,
        "side": Side.SELL,
        "quantity": D("0.02"),
        "limit_price": D("68000.1"),
        "time_in_force": how,
        "signed_at": AT_MS * 1_000_000,
        "recv_window_ms": 2_000,
    }
    return Order(**found | more)


def sent(venue, leg, how, **more):
    """Return what left when the order was placed: the body's order, and the headers."""

    async def place():
        role, wire = gateway(venue, leg)
        with pytest.raises(OutcomeUnknown):
            await role.place_order(order(venue, leg, how, **more))  # answered with nothing
        (request,) = wire.sent
        return request

    request = asyncio.run(place())
    return (request.body[0] if isinstance(request.body, list) else request.body), request.headers


IOC = {
    "okx": {"sz": "2", "px": "68000.1", "clOrdId": OURS, "ordType": "ioc", "tdMode": "cross",
            "instId": "BTC-USDT-SWAP", "side": "sell", "reduceOnly": True},
    "gate": {"size": -200, "price": "68000.1", "text": f"t-{OURS}", "tif": "ioc",
             "contract": "BTC_USDT", "reduce_only": True},
    "bitget": {"qty": "0.02", "price": "68000.1", "clientOid": OURS, "timeInForce": "ioc",
               "symbol": "BTCUSDT", "side": "sell", "reduceOnly": "yes", "marginMode": "cross"},
    "kucoin": {"size": 20, "price": "68000.1", "clientOid": OURS, "timeInForce": "IOC",
               "symbol": "XBTUSDTM", "side": "sell", "reduceOnly": True, "marginMode": "CROSS"},
}  # fmt: skip
"""0.02 BTC of contracts of 0.01, 0.0001, a coin, and 0.001."""


@pytest.mark.parametrize("venue", IOC)
def test_a_hedge_is_counted_in_the_venues_contracts(venue):
    body, _ = sent(venue, Leg.FUTURES, TimeInForce.IOC, reduce_only=True)
    assert {key: body.get(key) for key in IOC[venue]} == IOC[venue]


POST_ONLY = {
    "okx": {"sz": "0.02", "px": "68000.1", "ordType": "post_only", "tdMode": "cash"},
    "gate": {"amount": "0.02", "price": "68000.1", "time_in_force": "poc", "account": "spot"},
    "bitget": {"qty": "0.02", "price": "68000.1", "timeInForce": "post_only"},
    "kucoin": {"size": "0.02", "price": "68000.1", "postOnly": True},
}


@pytest.mark.parametrize("venue", POST_ONLY)
def test_a_spot_quote_only_rests(venue):
    body, _ = sent(venue, Leg.SPOT, TimeInForce.POST_ONLY)
    assert {key: body.get(key) for key in POST_ONLY[venue]} == POST_ONLY[venue]
    assert not body.get("reduceOnly")


STAMPS = {
    "okx": ("OK-ACCESS-TIMESTAMP", "2026-11-22T17:53:20.123Z"),
    "gate": ("Timestamp", str(AT_MS // 1_000)),
    "bitget": ("ACCESS-TIMESTAMP", str(AT_MS)),
    "kucoin": ("KC-API-TIMESTAMP", str(AT_MS)),
}


@pytest.mark.parametrize("venue", STAMPS)
def test_an_order_is_signed_with_the_time_of_its_decision(venue):
    name, stamp = STAMPS[venue]
    _, headers = sent(venue, Leg.FUTURES, TimeInForce.IOC)
    assert headers[name] == stamp


def test_hyperliquid_gets_five_digits_128_bits_and_no_builder():
    body, _ = sent("hyperliquid", Leg.FUTURES, TimeInForce.IOC, reduce_only=True)
    action = body["action"]
    (row,) = action["orders"]
    assert (row["s"], row["p"], row["c"]) == ("0.02", "68000", HEX)
    assert (row["b"], row["r"], row["t"]) == (False, True, {"limit": {"tif": "Ioc"}})
    assert body["nonce"] == AT_MS
    assert action["type"] == "order" and "builder" not in action


def test_an_instrument_that_is_not_there_is_missing_and_nothing_leaves():
    async def place():
        role, wire = gateway("okx", Leg.FUTURES)
        with pytest.raises(Missing):
            await role.place_order(order("okx", Leg.SPOT, TimeInForce.IOC))
        with pytest.raises(Missing):
            await role.read_position("DOGE/USDT:USDT")
        with pytest.raises(Refused) as refused:
            await role.place_order(order("okx", Leg.FUTURES, TimeInForce.IOC, quantity=D("1E-7")))
        assert refused.value.code == "LOT"
        assert wire.sent == []

    asyncio.run(place())


ANSWERS = {
    "okx": ({"code": "0", "data": [{"ordId": "77", "clOrdId": OURS, "sCode": "0"}]}, "77"),
    "gate": ({"id": 77, "text": f"t-{OURS}", "size": -200, "left": 0, "status": "finished",
              "finish_as": "filled", "contract": "BTC_USDT", "price": "68000.1",
              "fill_price": "68000.1", "create_time": 1795370000.1}, "77"),
    "kucoin": ({"code": "200000", "data": {"orderId": "77"}}, "77"),
}  # fmt: skip


@pytest.mark.parametrize("venue", ANSWERS)
def test_the_answer_names_the_order_and_claims_no_more_than_it_says(venue):
    answer, venue_id = ANSWERS[venue]

    async def place():
        role, wire = gateway(venue, Leg.FUTURES)
        wire.answer = answer
        return await role.place_order(order(venue, Leg.FUTURES, TimeInForce.IOC))

    report = asyncio.run(place())
    assert (report.client_order_id, report.venue_order_id) == (OURS, venue_id)
    assert report.filled == (D("0.02") if venue == "gate" else 0), "gate says it, in contracts"
