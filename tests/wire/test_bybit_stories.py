"""What the Bybit streams tell of a random life is what the venue knows at its end.

Goal: no order, fill, fee or balance is told wrongly or not at all, whatever the mix of orders,
amendments, cancels, moving markets and settlements. Method: a seeded random client on the trade
socket; every frame of the private stream folded up and compared with REST and with the truth.
"""

import asyncio
import os
import random
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from bybit_raw import SYMBOL, Channel, Raw, raw

from hedge.model import Leg
from hedge.model.numbers import MINUTE

STEPS = 100
TOPICS = ("order", "execution", "execution.fast", "position", "wallet")
CATEGORIES = {"spot": Leg.SPOT, "linear": Leg.FUTURES}
Row = dict[str, Any]


class Story:
    """Acts at random and remembers what it was told."""

    def __init__(self, client: Raw, trade: Channel, dice: random.Random) -> None:
        self.client = client
        self.trade = trade
        self.dice = dice
        self.placed: list[Row] = []

    async def step(self) -> None:
        deed = self.dice.choice([self.create, self.create, self.amend, self.cancel, self.pass_time])
        await deed()

    async def create(self) -> None:
        dice = self.dice
        category, side = dice.choice(["spot", "linear"]), dice.choice(["Buy", "Sell"])
        factor = str(1 + dice.choice([-3, -1, 1, 3]) / 1_000)
        order = self.client.order(category, side, f"0.0{dice.randint(1, 30):02d}", factor)
        order["timeInForce"] = dice.choice(["GTC", "IOC", "FOK", "PostOnly"])
        if category == "linear":
            order["reduceOnly"] = dice.random() < 0.2
        answer = await self.trade.order("order.create", order)
        if answer["retCode"] == 0:
            self.placed.append(order)
        else:
            assert answer["retCode"] in {110017, 110007, 170131}, answer

    async def amend(self) -> None:
        if self.placed:
            order = self.dice.choice(self.placed)
            change = {"qty": f"0.0{self.dice.randint(1, 40):02d}"}
            answer = await self.trade.order("order.amend", _which(order) | change)
            assert answer["retCode"] in {0, 10001, 110001, 110064, 170213, 110017, 170131}, answer

    async def cancel(self) -> None:
        if self.placed:
            answer = await self.trade.order("order.cancel", _which(self.dice.choice(self.placed)))
            assert answer["retCode"] in {0, 110001, 170213}, answer

    async def pass_time(self) -> None:
        self.client.house.skip(self.dice.randint(1, 30) * MINUTE)
        await asyncio.sleep(0.01)  # the jump takes effect a moment later


def _which(order: Row) -> Row:
    return {name: order[name] for name in ("category", "symbol", "orderLinkId")}


class Told:
    """The frames of the private stream, folded up."""

    def __init__(self, frames: list[Row]) -> None:
        self.orders: dict[str, Row] = {}
        self.executions: dict[str, Row] = {}
        self.fast: set[str] = set()
        self.coins: dict[str, str] = {}
        self.position = "0"
        for frame in frames:
            for row in frame.get("data", ()):
                self._take(frame["topic"], row)

    def _take(self, topic: str, row: Row) -> None:
        match topic:
            case "order":
                self.orders[row["orderId"]] = row
            case "execution":
                assert row["execId"] not in self.executions
                self.executions[row["execId"]] = row
            case "execution.fast":
                self.fast.add(row["execId"])
            case "position":
                self.position = row["size"] if row["side"] == "Buy" else f"-{row['size']}"
            case _:
                self.coins |= {coin["coin"]: coin["walletBalance"] for coin in row["coin"]}


async def all_rows(client: Raw, path: str, **params: Any) -> list[Row]:
    found: list[Row] = []
    cursor = ""
    for _ in range(100):
        page = (await client.get(path, **params, limit=50, cursor=cursor))["result"]
        found += page["list"]
        cursor = page["nextPageCursor"]
        if not cursor:
            break
    return found


async def compare(client: Raw, told: Told) -> None:
    for category, leg in CATEGORIES.items():
        scope = {"category": category} | ({"settleCoin": "USDT"} if category == "linear" else {})
        rows = await all_rows(client, "/v5/order/realtime", **scope, openOnly=0)
        rows += await all_rows(client, "/v5/order/history", category=category)
        mine = {i: row for i, row in told.orders.items() if row["category"] == category}
        assert {row["orderId"] for row in rows} == set(mine)
        for row in rows:
            for name in ("orderStatus", "qty", "price", "cumExecQty", "cumExecFee", "avgPrice"):
                assert mine[row["orderId"]][name] == row[name], (name, row)
        fills = await all_rows(client, "/v5/execution/list", category=category)
        heard = {i: row for i, row in told.executions.items() if row["category"] == category}
        assert {row["execId"] for row in fills} == set(heard)
        truth = client.house.fills(leg)
        traded = [row for row in heard.values() if row["execType"] == "Trade"]
        assert sum(Decimal(row["execQty"]) for row in traded) == sum(f.quantity for f in truth)
        assert sum(Decimal(row["execFee"]) for row in traded) == sum(f.fee for f in truth)
        for row in traded:
            order = mine[row["orderId"]]
            assert order["orderLinkId"] == row["orderLinkId"]
        done = {row["execId"] for row in traded}
        assert done <= told.fast


def test_the_streams_of_a_random_life_add_up_to_the_truth() -> None:
    seed = int(os.environ.get("WIRE_SEED") or random.randrange(10**6))
    print(f"seed {seed}: run again with WIRE_SEED={seed}")

    async def main() -> None:
        async with raw(limit_factor=1_000) as client:
            private, trade = await client.private(*TOPICS), await client.trade()
            story = Story(client, trade, random.Random(seed))
            for _ in range(STEPS):
                await story.step()
            client.house.bring_up()
            client.house.flush()
            await private.ask("ping")
            told = Told([frame for frame in private.frames if "topic" in frame])
            assert told.executions and told.orders
            await compare(client, told)
            account = client.house.account
            for coin, balance in told.coins.items():
                assert Decimal(balance) == account.balance(coin), coin
            position = await client.rows("/v5/position/list", category="linear", symbol=SYMBOL)
            held = client.house.position("BTC/USDT:USDT").quantity
            assert Decimal(position[0]["size"]) == abs(held) and Decimal(told.position) == held

    asyncio.run(main())


JUNK: tuple[Any, ...] = (
    "", "0", "-1", "1e30", "1e-30", "1e999999", "NaN", "Infinity", "0.01", "60000", "BTCUSDT",
    "Buy", "Sell", "Limit", "Market", "IOC", "FOK", "PostOnly", "spot", "linear", "inverse",
    "x" * 40, "9" * 40, None, True, 7, 1.5, [], {}, ["order"], [{}], {"a": 1}, "baseCoin",
    "quoteCoin", "before:3", "before:x", "UNIFIED", "USDT", "TickSize", "Percent",
    "orderbook.1.BTCUSDT", "orderbook.x.BTCUSDT", "tickers.", "publicTrade",
)  # fmt: skip
NAMES = (
    "category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "orderLinkId",
    "orderId", "reduceOnly", "positionIdx", "marketUnit", "request", "slippageTolerance",
    "slippageToleranceType", "triggerPrice", "limit", "cursor", "startTime", "endTime",
    "settleCoin", "baseCoin", "coin", "accountType", "mode", "buyLeverage", "sellLeverage",
    "setMarginMode", "interval", "openOnly", "start", "end", "status", "execType", "type",
    "currency", "tradeMode", "orderStatus",
)  # fmt: skip
SENSIBLE = {
    "category": "spot", "symbol": SYMBOL, "side": "Buy", "orderType": "Limit", "qty": "0.01",
    "price": "60000", "accountType": "UNIFIED", "interval": "1", "settleCoin": "USDT",
}  # fmt: skip
GETS = (
    "market/instruments-info", "market/tickers", "market/orderbook", "market/kline",
    "market/funding/history", "market/recent-trade", "market/risk-limit", "market/open-interest",
    "order/realtime", "order/history", "execution/list", "position/list", "account/wallet-balance",
    "account/fee-rate", "account/transaction-log", "asset/coin/query-info", "user/query-api",
    "asset/transfer/query-account-coins-balance", "asset/transfer/query-account-coin-balance",
)  # fmt: skip
POSTS = (
    "order/create", "order/amend", "order/cancel", "order/cancel-all", "order/create-batch",
    "order/amend-batch", "order/cancel-batch", "position/set-leverage", "position/switch-mode",
    "position/switch-isolated", "account/set-margin-mode",
)  # fmt: skip
TRIES = 120


def junk(dice: random.Random) -> Row:
    """Return parameters of which some make sense."""
    found: Row = {k: v for k, v in SENSIBLE.items() if dice.random() < 0.8}
    for name in dice.sample(NAMES, dice.randint(0, 6)):
        found[name] = dice.choice(JUNK)
    if dice.random() < 0.3:
        found["request"] = [dict(found), dice.choice(JUNK)]
    return found


def test_no_request_whatever_it_holds_goes_without_an_answer() -> None:
    seed = int(os.environ.get("WIRE_SEED") or random.randrange(10**6))
    print(f"seed {seed}: run again with WIRE_SEED={seed}")
    dice = random.Random(seed)

    async def main() -> None:
        async with raw(limit_factor=10_000) as client:
            trade, private = await client.trade(), await client.private("wallet")
            public = await client.channel("/v5/public/linear")
            for _ in range(TRIES):
                params = junk(dice)
                query = {k: v for k, v in params.items() if isinstance(v, str | int)}
                answers = (
                    await client.get(f"/v5/{dice.choice(GETS)}", **query),
                    await client.post(f"/v5/{dice.choice(POSTS)}", params),
                    await trade.order(f"order.{dice.choice(POSTS).partition('/')[2]}", params),
                )
                assert all(isinstance(answer["retCode"], int) for answer in answers)
                for channel in (public, private):
                    await channel.send({"op": dice.choice(JUNK), "args": dice.choice(JUNK)})
                    await channel.send({"op": "subscribe", "args": dice.sample(JUNK, 2)})
                    await channel.send({"op": "auth", "args": dice.sample(JUNK, 3)})
                    assert await channel.ask("ping")

    asyncio.run(main())
