"""The driver of the Binance plugin: its roles over both wire simulators on the running loop."""

import asyncio
import base64
import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from desks import SYMBOLS, D, Desk
from servers import in_process

from hedge.model import Leg, Side, StreamUp, TimeInForce
from hedge_binance import plugin
from hedge_binance.config import BinanceSettings
from hedge_sim.dialects.server import SIM_KEY, Keys

LIMIT_S = 15
TAKING = D("0.005")
"""How far beyond the touch an order is put that is to be filled."""


class BinanceDesk(Desk):
    """All roles of one account, what they were told, and the two servers behind them."""

    def __init__(self, spot, futures, *, secrets=None, **settings):
        self.spot, self.futures = spot, futures
        found = {
            "environment": "local",
            "spot_url": spot.url if spot else "",
            "futures_url": futures.url if futures else "",
            "heartbeat_ms": 250,
            "silence_ms": 1_000,
            "ack_timeout_ms": 300,
        }
        super().__init__("binance", plugin, BinanceSettings(**(found | settings)), secrets=secrets)
        self.quotes, self.account = [], {Leg.SPOT: [], Leg.FUTURES: []}
        self.market = []

    @property
    def link(self):
        return self.account_check.session

    def server(self, leg):
        return self.spot if leg is Leg.SPOT else self.futures

    async def listen(self, leg):
        """Listen to the account, and wait until its stream and its order socket stand."""
        await self.gateway(leg).listen(SYMBOLS[leg], self.account[leg].append)
        await self.until(lambda: self.told(leg, StreamUp))
        stream = await self.gateway(leg).stream()
        await self.until(lambda: stream.entry.socket.ready)
        return stream

    def told(self, leg, kind):
        return [news for news in self.account[leg] if isinstance(news, kind)]

    async def until(self, condition):
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110 - what is awaited happens in a server
                await asyncio.sleep(0.005)

    async def touch(self, leg):
        listing = await self.link.listing(leg, SYMBOLS[leg])
        return listing.per_coin(await self.link.read_mid(leg, listing.native))

    async def order(self, leg, side=Side.BUY, quantity="0.01", *, away="0", **changes):
        """Return an order that takes, or one that is ``away`` from the middle and rests."""
        instrument = (await self.link.listing(leg, SYMBOLS[leg])).instrument
        mid = await self.touch(leg)
        shift = -D(away) if D(away) else TAKING
        price = instrument.round_price_down(mid * (1 + side.sign * shift))
        rests = {"time_in_force": TimeInForce.POST_ONLY} if D(away) else {}
        return self.new_order(leg, side, quantity, price, **rests | changes)


def ed25519():
    """Return the server's and the account's end of a new Ed25519 key, as options of `desk`."""
    private = Ed25519PrivateKey.generate()
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "server": {"keys": Keys(public_key=public.decode())},
        "secrets": {"api_key": SIM_KEY, "private_key": base64.b64encode(der).decode()},
    }


@contextlib.asynccontextmanager
async def desk(leg=None, *, server=None, faults=(), secrets=None, **settings):
    """Open both servers, or that of one leg, and the roles over them."""
    spot, futures = leg is not Leg.FUTURES, leg is not Leg.SPOT
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for wanted, dialect in ((spot, "binance-spot"), (futures, "binance-usdm")):
            one = in_process(dialect, faults=faults, **(server or {})) if wanted else None
            found.append(None if one is None else await stack.enter_async_context(one))
        yield await stack.enter_async_context(BinanceDesk(*found, secrets=secrets, **settings))


def run(work):
    async def limited():
        async with asyncio.timeout(LIMIT_S):
            await work()

    asyncio.run(limited())


def legs():
    return pytest.mark.parametrize("leg", list(Leg), ids=lambda leg: leg.value)
