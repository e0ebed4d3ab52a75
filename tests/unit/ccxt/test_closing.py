"""Goal: what an account over ccxt has opened is closed with its last role, whatever goes wrong.
Method: gateways over a canned wire; their sessions are ccxt's and aiohttp's own.
"""

import asyncio

import pytest

pytest.importorskip("ccxt.pro")
from ccxt.base.errors import ExchangeClosedByUser
from offline import gateway  # the skip must come first

from hedge.model import Leg


def opened_sessions(role):
    """Return what aiohttp has open of both legs, while the role is entered."""
    return [role.session.line(leg).exchange.session for leg in Leg]


def a_late_task(exchange):
    """Return what a task of ccxt's does when it wakes up behind the close."""
    return exchange.watch("ws://127.0.0.1:9/ws", "late")


def a_broken_client(exchange):
    """Have ccxt's own close raise half-way, as it can for a client in mid-connect."""
    exchange.clients["half open"] = object()


@pytest.mark.parametrize("breaks", [False, True], ids=["as it should", "failing half-way"])
def test_a_close_leaves_nothing_open_and_what_comes_late_opens_nothing(breaks):
    async def main():
        role, _wire = gateway("binance", Leg.SPOT)
        exchange = role.session.line(Leg.SPOT).exchange
        for _ in range(2):  # it may be opened again
            async with role:
                sessions = opened_sessions(role)
                assert not any(one.closed for one in sessions)
                if breaks:
                    a_broken_client(exchange)
            assert all(one.closed for one in sessions)
            with pytest.raises(ExchangeClosedByUser):
                await a_late_task(exchange)
            assert exchange.session is None

    asyncio.run(main())


def test_a_gateway_cancelled_while_it_is_entered_closes_what_it_opened():
    async def main():
        role, wire = gateway("bybit", Leg.SPOT)
        wire.answers["v5/market/time"] = {
            "retCode": 0, "result": {"timeSecond": "1", "timeNano": "1" + "0" * 18},
        }  # fmt: skip
        wire.deaf = asyncio.Event()  # to what a Bybit account is asked first
        entering = asyncio.ensure_future(role.__aenter__())
        async with asyncio.timeout(5):
            await wire.heard.wait()
        sessions = opened_sessions(role)
        assert not any(one.closed for one in sessions)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert all(one.closed for one in sessions)

    asyncio.run(main())
