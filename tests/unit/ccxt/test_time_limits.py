"""Goal: whatever is asked over ccxt ends within its time, and says no more than is certain.
Method: a venue that gives its markets and then never answers, and each method of both gateways.
"""

import asyncio
from decimal import Decimal

import pytest

pytest.importorskip("ccxt.pro")
from offline import gateway, opened  # the skip must come first

from hedge.errors import OutcomeUnknown, Unreachable
from hedge.model import Leg, Order, Side, TimeInForce
from hedge_ccxt.funding import Funding

LIMITS = {"read_timeout_ms": 100, "ack_timeout_ms": 100}
WITHIN_S = 5
SYMBOLS = {Leg.SPOT: "BTC/USDT", Leg.FUTURES: "BTC/USDT:USDT"}
OURS = "HA00000001S000001"


def order(leg):
    return Order(
        client_order_id=OURS,
        leg=leg,
        symbol=SYMBOLS[leg],
        side=Side.SELL,
        quantity=Decimal("0.02"),
        limit_price=Decimal(68_000),
        time_in_force=TimeInForce.IOC,
        signed_at=1_795_370_000_123_000_000,
        recv_window_ms=2_000,
    )


CHANGES = {
    "place_order": lambda role, leg: role.place_order(order(leg)),
    "cancel_order": lambda role, leg: role.cancel_order(SYMBOLS[leg], OURS),
}
READS = {
    "read_clock": lambda role, _: role.read_clock(),
    "read_order": lambda role, leg: role.read_order(SYMBOLS[leg], OURS),
    "read_open_orders": lambda role, leg: role.read_open_orders(SYMBOLS[leg]),
    "read_fills": lambda role, leg: role.read_fills(SYMBOLS[leg], order(leg).signed_at),
    "read_balances": lambda role, _: role.read_balances(),
}
FUTURES_READS = {
    "read_position": lambda role, leg: role.read_position(SYMBOLS[leg]),
    "read_position_mode": lambda role, _: role.read_position_mode(),
    "read_margin": lambda role, leg: role.read_margin(SYMBOLS[leg]),
    "prepare": lambda role, leg: role.prepare(SYMBOLS[leg], 2),
}
FUNDING_READS = {
    "read_rate": lambda role, leg: role.read_rate(SYMBOLS[leg]),
    "read_rates": lambda role, _: role.read_rates(),
    "read_history": lambda role, leg: role.read_history(SYMBOLS[leg], 1, 2),
    "read_payments": lambda role, leg: role.read_payments(SYMBOLS[leg], order(leg).signed_at),
}


@pytest.fixture
def ends_with(monkeypatch):
    def check(error, role, wire, ask, leg):
        exchange = role.session.line(leg).exchange
        del exchange.fetch
        theirs = type(exchange).__mro__[1]  # below ours, which notes what has left
        monkeypatch.setattr(theirs, "fetch", lambda _, *request: wire.fetch(*request))
        asyncio.run(deaf(error, wire, ask(role, leg)))

    return check


async def deaf(error, wire, asked):
    wire.deaf = asyncio.Event()
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(error):
            await asked


ASKED = [(name, leg) for leg in Leg for name in (*CHANGES, *READS)]
ASKED += [(name, Leg.FUTURES) for name in FUTURES_READS]


@pytest.mark.parametrize(("name", "leg"), ASKED)
def test_a_gateway_never_waits_for_ever(ends_with, name, leg):
    role, wire = gateway("okx", leg, **LIMITS)
    error = OutcomeUnknown if name in CHANGES else Unreachable
    ends_with(error, role, wire, (CHANGES | READS | FUTURES_READS)[name], leg)


@pytest.mark.parametrize("name", FUNDING_READS)
def test_a_funding_source_never_waits_for_ever(ends_with, name):
    role, wire = opened(Funding, "okx", **LIMITS)
    ends_with(Unreachable, role, wire, FUNDING_READS[name], Leg.FUTURES)
