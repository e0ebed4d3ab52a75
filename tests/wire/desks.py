"""What the drivers of the venues' plugins have in common: all roles of one account, and orders."""

import contextlib
import itertools
from decimal import Decimal

from hedge.model import Leg, Order, TimeInForce
from hedge.roles import VenueContext
from hedge.runtime.clock import RealClock
from hedge_sim.dialects.server import SIM_KEY, SIM_SECRET

D = Decimal
SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
SYMBOLS = {Leg.SPOT: SPOT, Leg.FUTURES: PERP}
ROLES = (
    "spot_feed",
    "futures_feed",
    "spot_gateway",
    "futures_gateway",
    "funding_source",
    "account_check",
)


class Desk:
    """The roles of one account, opened by the plugin's own hooks; closed with the block."""

    def __init__(self, venue, plugin, settings, *, secrets=None, account=""):
        self.clock = RealClock()
        self.context = VenueContext(
            settings=settings,
            clock=self.clock,
            environment="local",
            account=account,
            secrets=secrets or {"api_key": SIM_KEY, "api_secret": SIM_SECRET},
            shared={},
        )
        self._venue, self._plugin = venue, plugin
        self._numbers = itertools.count(1)

    async def __aenter__(self):
        self.stack = contextlib.AsyncExitStack()
        for name in ROLES:
            role = getattr(self._plugin, f"hedge_{name}")(self._venue, self.context)
            setattr(self, name, await self.stack.enter_async_context(role))
        return self

    async def __aexit__(self, *_):
        await self.stack.aclose()

    def gateway(self, leg):
        return self.spot_gateway if leg is Leg.SPOT else self.futures_gateway

    def new_order(self, leg, side, quantity, price, **changes):
        """Return a taking order with the next id, changed as asked."""
        found = {
            "client_order_id": f"HA1B2C0001{leg.value[0].upper()}{next(self._numbers):06X}",
            "leg": leg,
            "symbol": SYMBOLS[leg],
            "side": side,
            "quantity": D(quantity),
            "limit_price": price,
            "time_in_force": TimeInForce.IOC,
            "signed_at": self.clock.now(),
            "recv_window_ms": 2_000,
        }
        return Order(**found | changes)
