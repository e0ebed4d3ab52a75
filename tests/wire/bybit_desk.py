"""The driver of the Bybit plugin: its roles over a wire simulator on the running loop."""

import asyncio

from desks import PERP, WAIT_S, ListeningDesk
from servers import in_process

from hedge_bybit import plugin
from hedge_bybit.config import BybitSettings
from hedge_sim.dialects.faults import Fault


class BybitDesk(ListeningDesk):
    """All roles of one account, opened, and what they were told."""

    def __init__(self, server, *, secrets=None, **settings):
        self.server = server
        found = {"environment": "local", "rest_url": server.url, "stream_url": server.ws_url}
        super().__init__(
            "bybit", plugin, BybitSettings(**found | settings), secrets=secrets, account="main"
        )

    async def listen(self):
        await self.funding_source.listen(PERP, self.sink("funding"))
        await super().listen()
        trade = self.spot_gateway.session.open_entry.socket
        if trade is not None:
            await trade.wait_ready(timeout_ms=WAIT_S * 1_000)

    def strike(self, name, **fields):
        self.server.faults.set(Fault(name=name, **{"times": 1} | fields))

    def struck(self, name):
        return self.server.faults.struck.get(name, 0)


def run(scenario, *, faults=(), desk=None, **server):
    """Serve, open the roles, and play one scenario."""

    async def main():
        async with (
            in_process("bybit", faults=faults, **server) as serving,
            BybitDesk(serving, **(desk or {})) as opened,
        ):
            await scenario(opened)

    asyncio.run(main())
