"""Goal: a settlement is one payment, whether the stream, the executions or the log tell of it.
Method: a small venue that tells one settlement in all its ways, each by another clock.
"""

import asyncio

import pytest
from aiohttp import web
from between import Raw, serving
from desks import Desk
from servers import until

from hedge.model import Fill, FundingPayment, StreamUp
from hedge.model.numbers import MS
from hedge.runtime.clock import RealClock
from hedge_bybit import plugin
from hedge_bybit.config import BybitSettings

LATE_MS = 37


class Venue:
    """Tells of one perpetual, and of one payment of funding on a long of 2."""

    def __init__(self, symbol, settle):
        self.at_ms = RealClock().now() // MS // 3_600_000 * 3_600_000
        self.symbol, self.settle = symbol, settle
        self.asked = []
        self.sockets = Raw(self.told)

    async def handle(self, request):
        if request.path in ("/v5/private", "/v5/trade"):
            return await self.sockets.handle(request)
        self.asked.append(request.path)
        rows = {
            "/v5/market/instruments-info": [self.instrument()],
            "/v5/execution/list": [self.execution()],
            "/v5/account/transaction-log": [self.line()],
        }.get(request.path, [])
        now_ms = RealClock().now() // MS
        return web.json_response({"retCode": 0, "result": {"list": rows}, "time": now_ms})

    @staticmethod
    async def told(_, line, message):
        numbers = {name: message[name] for name in ("req_id", "reqId") if name in message}
        await line.send_json({"op": message["op"], "success": True, "retCode": 0} | numbers)

    async def stream(self):
        """Tell of the settlement and then of a trade, by which one sees that both were heard."""
        paid = self.execution() | {"execTime": str(self.at_ms - LATE_MS), "category": "linear"}
        trade = paid | {"execId": "t", "execType": "Trade", "execPrice": "60000"}
        for line in self.sockets.lines:
            await line.send_json({"topic": "execution", "data": [paid, trade]})

    def instrument(self):
        return {
            "symbol": self.symbol, "status": "Trading", "baseCoin": "BTC",
            "quoteCoin": self.settle, "settleCoin": self.settle, "fundingInterval": 480,
            "contractType": "LinearPerpetual", "priceFilter": {"tickSize": "0.1"},
            "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "100"},
        }  # fmt: skip

    def execution(self):
        return {
            "symbol": self.symbol, "side": "Buy", "orderId": "o", "execId": "771dfca1",
            "execType": "Funding", "execTime": str(self.at_ms), "execQty": "2",
            "execFee": "12", "feeRate": "0.0001",
        }  # fmt: skip

    def line(self):
        return {
            "symbol": self.symbol, "side": "Buy", "qty": "2", "funding": "-12",
            "feeRate": "0.0001", "currency": self.settle,
            "transactionTime": str(self.at_ms + LATE_MS),
        }  # fmt: skip


class PaidDesk(Desk):
    roles = ("futures_gateway", "funding_source")


@pytest.mark.parametrize(("name", "settle"), [("BTCUSDT", "USDT"), ("BTCPERP", "USDC")])
def test_one_settlement_is_one_payment(name, settle):
    """Told once by each clock it was booked twice."""

    async def main():
        venue, news = Venue(name, settle), []
        symbol = f"BTC/{settle}:{settle}"
        async with serving(venue.handle) as where:
            urls = {"rest_url": f"http://{where}", "stream_url": f"ws://{where}"}
            settings = BybitSettings(environment="local", **urls)
            async with PaidDesk("bybit", plugin, settings, account="main") as desk:
                await desk.futures_gateway.listen(symbol, news.append)
                await until(lambda: StreamUp in map(type, news))
                await venue.stream()
                await until(lambda: Fill in map(type, news))
                read = await desk.funding_source.read_payments(symbol, (venue.at_ms - 1_000) * MS)
        told = [one for one in news if isinstance(one, FundingPayment)]
        assert [one.cash for one in read] == [-12]
        assert len({one.payment_id for one in (*told, *read)}) == 1
        assert len(told) == (settle == "USDT"), "what the log tells later is not told twice"

    asyncio.run(main())
