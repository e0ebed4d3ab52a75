"""Goal: when a venue cannot be reached, the one line that is the reason says what could not be.

Method: the plugins' own roles before a port of loopback at which nobody listens.
"""

import asyncio
import socket

import pytest

from hedge.errors import Unreachable
from hedge.plugins.host import load_plugins
from hedge.roles import VenueContext
from hedge.runtime.clock import RealClock


@pytest.mark.parametrize("venue", ["binance", "bybit", "ccxt:bybit"])
def test_what_could_not_be_reached_is_named(venue):
    if venue.startswith("ccxt:"):
        pytest.importorskip("ccxt.pro")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{nobody.getsockname()[1]}"
        url = f"http://{where}"
        urls = {"rest_url": url} if venue == "bybit" else {"spot_url": url, "futures_url": url}
        if venue == "bybit":
            urls["stream_url"] = f"ws://{where}"
        host = load_plugins([venue], venues={venue: {"environment": "local", **urls}})

        async def ask() -> None:
            context = VenueContext(
                settings=host.settings(venue), clock=RealClock(), environment="local", shared={}
            )
            feed, _ = host.spot_feed(venue, context)
            async with asyncio.timeout(20), feed:
                await feed.read_instrument("BTC/USDT")

        with pytest.raises(Unreachable) as raised:
            asyncio.run(ask())
    said = str(raised.value)
    assert where in said
    assert "?" not in said and "\n" not in said, "no query, and one line"
