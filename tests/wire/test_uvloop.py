"""Goal: servers and plugins work on uvloop, which the engine takes where it is installed.

Method: an account of each venue on one such loop: listened to, traded on, its sockets cut.
"""

import pytest
from binance_desk import BinanceDesk
from bybit_desk import BybitDesk
from desks import PERP
from servers import in_process

from hedge.model import Leg, ReportedStatus, Side, StreamDown, StreamUp
from hedge_sim.dialects.faults import Fault

uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")


def test_bybit_on_uvloop():
    async def main():
        async with in_process("bybit") as server, BybitDesk(server) as desk:
            await desk.listen()
            end, fills = await desk.trade(Leg.FUTURES, Side.SELL, "0.01")
            assert end.status is ReportedStatus.FILLED and fills
            desk.news.clear()
            server.act(Fault(name="cut"))
            for kind in (StreamDown, StreamUp):
                await desk.until("futures", kind)

    uvloop.run(main())


def test_binance_on_uvloop():
    async def main():
        async with (
            in_process("binance-spot") as spot,
            in_process("binance-usdm") as futures,
            BinanceDesk(spot, futures) as desk,
        ):
            await desk.futures_gateway.prepare(PERP, 2)
            for leg in Leg:
                await desk.listen(leg)
                order = await desk.order(leg, Side.BUY)
                report = await desk.gateway(leg).place_order(order)
                assert report.status is ReportedStatus.FILLED
                desk.server(leg).act(Fault(name="half_open"))
                await desk.until(lambda leg=leg: len(desk.told(leg, StreamUp)) == 2)

    uvloop.run(main())
