"""The testbed of ``toy``: its fake exchange, with every switch of the kit."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Self

from hedge.model import Leg
from hedge.testing import AHEAD_MS, KitClock, Switch, TrueOrder, Truth
from hedge_toy.testing.exchange import KEY, MARKETS, PAGE, SECRET, Exchange

LEGS = {"btc": Leg.SPOT, "btc-perp": Leg.FUTURES}


def testbed(venue: str, standing: frozenset[Switch], clock: KitClock) -> "Testbed":
    """Return a fake of the exchange for one card."""
    return Testbed(standing)


class Testbed:
    """`hedge.testing.Testbed`."""

    spot, futures = "BTC/USDT", "BTC/USDT:USDT"
    lacks: Mapping[Switch, str] = MappingProxyType({})
    secrets = MappingProxyType({"api_key": KEY, "api_secret": SECRET})

    def __init__(self, standing: frozenset[Switch]) -> None:
        rights = ["read"]
        rights += [] if Switch.KEY_READS_ONLY in standing else ["trade"]
        rights += ["withdraw"] if Switch.KEY_WITHDRAWS in standing else []
        self.exchange = Exchange(
            ahead_ms=AHEAD_MS if Switch.CLOCK_AHEAD in standing else 0,
            fee_coin=Switch.FEE_COIN in standing,
            split=Switch.HEDGE_MODE in standing,
            rights=rights,
        )
        self.shared: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        await self.exchange.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.exchange.__aexit__()

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "environment": "local", "url": self.exchange.url, "ack_timeout_ms": 1_500,
            "silence_ms": 400,
        }  # fmt: skip

    async def strike(self, switch: Switch) -> None:
        it = self.exchange
        match switch:
            case Switch.GONE:
                await it.server.stop()
            case Switch.CUT:
                for one in it.server.sockets:
                    one.cut()
            case Switch.CLOSE:
                for one in it.server.sockets:
                    one.send(b"\x03\xe8", kind=8)
            case Switch.HALF_OPEN:
                for one in it.server.sockets:
                    one.frozen = True
            case Switch.NONSENSE:
                for one in it.server.sockets:
                    for text in (b"]", b'{"deals": 7}', b'{"deals": [{"seq": "x"}]}'):
                        one.send(text)
            case Switch.FOREIGN_SPOT:
                it.foreign("btc")
            case Switch.FOREIGN_FUTURES:
                it.foreign("btc-perp")
            case Switch.MANY_FILLS:
                for _ in range(2 * PAGE + 1):
                    it.foreign("btc")
            case Switch.VENUE_CANCELS:
                for row in it.orders.values():
                    if row["state"] == "open":
                        it.end(row)
            case Switch.TAKEN:
                it.take_all()
            case Switch.DEPOSIT:
                it.deposit(Decimal(100))
            case Switch.DELEVERAGE:
                it.force(2, "adl")
            case Switch.LIQUIDATE:
                it.force(1, "liq")
            case Switch.SETTLE:
                it.settle()
            case Switch.HALT:
                it.open = False
            case _:
                it.on.add(switch.value)

    async def clear(self) -> None:
        self.exchange.on.clear()

    def truth(self) -> Truth:
        it = self.exchange
        return Truth(
            orders=tuple(
                TrueOrder(
                    client_order_id=row["cid"], leg=LEGS[row["m"]], working=row["state"] == "open",
                    filled=row["done"] * Decimal(MARKETS[row["m"]]["unit"]),
                )
                for row in it.orders.values()
            ),
            position=it.stake * Decimal("0.001"),
            balances={leg: dict(it.coins) for leg in Leg},
            leverage=it.lever,
        )  # fmt: skip
