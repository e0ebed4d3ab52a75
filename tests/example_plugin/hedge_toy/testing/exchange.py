"""The toy exchange: two markets at a constant price, one account, and a word for everything.

Quantities are whole units of a market, prices whole ticks, times microseconds. It is the fake that
the plugin is tested against; `python -m hedge_toy.testing.exchange` serves it for a while.
"""

import argparse
import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Self
from urllib.parse import parse_qsl

from hedge_toy.testing.server import Connection, Lost, Server

D = Decimal
KEY, SECRET = "toy-key-4711", "toy-secret-0815"
SPREAD, DEPTH, PAGE = 2, 10_000_000, 50
PRICE = D(60_000)
PUBLIC = ("/markets", "/rate", "/rates")
MARKETS = {
    "btc": {
        "id": "btc", "kind": "cash", "coin": "BTC", "money": "USDT", "tick": "0.1",
        "unit": "0.0001", "least": 1, "most": 100_000, "worth": "5",
    },
    "btc-perp": {
        "id": "btc-perp", "kind": "perp", "coin": "BTC", "money": "USDT", "tick": "0.5",
        "unit": "0.001", "least": 1, "most": 50_000, "worth": "5",
    },
}  # fmt: skip
FEES = {"btc": D("0.001"), "btc-perp": D("0.0005")}


class No(Exception):
    """A definite no."""

    def __init__(self, word: str, why: str = "", status: int = 400, wait: int = 1) -> None:
        super().__init__(word)
        self.status, self.body = status, {"no": word, "why": why, "wait": wait}


class Exchange:
    """All of it: books, account, REST and WebSocket."""

    def __init__(
        self, price: Decimal = PRICE, *, rate: str = "0.0001", every_s: int = 28_800,
        flips_after_s: int = 0, ahead_ms: int = 0, fee_coin: bool = False, split: bool = False,
        rights: Iterable[str] = ("read", "trade"),
    ) -> None:  # fmt: skip
        self.price, self.rate, self.every = price, D(rate), every_s
        self.ahead, self.fee_coin = ahead_ms * 1_000, fee_coin
        self.mode, self.lever, self.rights = "split" if split else "net", 5, list(rights)
        self.coins = {"USDT": D(100_000), "BTC": D(1), "TOY": D(100)}
        self.orders: dict[str, dict[str, Any]] = {}
        self.deals: list[dict[str, Any]] = []
        self.paid: list[dict[str, Any]] = []
        self.past: list[dict[str, Any]] = []
        self.stake, self.cost = 0, D(0)
        self.open = True
        self.on: set[str] = set()
        self.server = Server(self.answer, self.hear)
        self._numbers = itertools.count(1)
        self._flip_at = time.time() + flips_after_s if flips_after_s else None
        self._next = (self.now() // (every_s * 1_000_000) + 1) * every_s * 1_000_000
        begin = self._next - every_s * 1_000_000
        for back in range(3):
            self.past.insert(0, self.rate_row(begin - back * every_s * 1_000_000, live=False))

    async def __aenter__(self) -> Self:
        await self.server.start()
        self._pulse = asyncio.create_task(self.pulse())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pulse.cancel()
        await asyncio.gather(self._pulse, return_exceptions=True)
        await self.server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def now(self) -> int:
        return time.time_ns() // 1_000 + self.ahead

    async def pulse(self) -> None:
        while True:
            if self.now() >= self._next:
                self.settle()
            for one in MARKETS:
                self.tell(f"book:{one}", {"book": self.book(one)})
            await asyncio.sleep(0.1)

    # -- the market ----------------------------------------------------------------------------

    def ticks(self, market: str) -> int:
        return int(self.price / D(MARKETS[market]["tick"]))

    def book(self, market: str) -> dict[str, Any]:
        mid = self.ticks(market)
        row = {"bid": mid - SPREAD, "ask": mid + SPREAD, "bids": DEPTH, "asks": DEPTH}
        more = {"mark": str(self.price), "index": str(self.price)} if market == "btc-perp" else {}
        return row | more

    def rate_row(self, at: int, *, live: bool) -> dict[str, Any]:
        return {
            "rate": str(self.rate), "every": self.every, "at": at, "live": live,
            "next": self._next if live else at + self.every * 1_000_000,
        }  # fmt: skip

    def settle(self) -> None:
        if self._flip_at and time.time() >= self._flip_at:
            self.rate = -abs(self.rate)
        at = max(self.now(), self.past[-1]["at"] + 1) if self.past else self.now()
        self.past.append(self.rate_row(at, live=False))
        self._next = (self.now() // (self.every * 1_000_000) + 1) * self.every * 1_000_000
        if self.stake:
            cash = -self.stake * D("0.001") * self.price * self.rate
            self.coins["USDT"] += cash
            row = {
                "seq": next(self._numbers), "rate": str(self.rate), "every": self.every,
                "n": self.stake, "cash": str(cash), "coin": "USDT", "at": at,
            }  # fmt: skip
            self.paid.append(row)
            self.tell("mine:btc-perp", {"paid": [row], "purse": self.purse()})
        self.tell("rate:btc-perp", {"rates": [self.past[-1]]})

    # -- the account ---------------------------------------------------------------------------

    def held(self, coin: str) -> Decimal:
        total = D(0)
        for one in self.orders.values():
            if one["state"] != "open" or one["m"] != "btc":
                continue
            size = one["n"] * D(MARKETS["btc"]["unit"])
            buys = one["way"] == "B"
            if coin == ("USDT" if buys else "BTC"):
                total += size * (one["p"] * D(MARKETS["btc"]["tick"]) if buys else 1)
        return total

    def purse(self) -> list[dict[str, Any]]:
        return [
            {
                "coin": coin, "free": str(total - self.held(coin)), "held": str(self.held(coin)),
                "worth": "2" if coin == "TOY" else None,
            }
            for coin, total in self.coins.items()
        ]  # fmt: skip

    def margin(self) -> Decimal:
        return abs(self.stake) * D("0.001") * self.price / self.lever

    def account(self) -> dict[str, Any]:
        wallet = self.coins["USDT"]
        ratio = abs(self.stake) * D("0.001") * self.price * D("0.005") / wallet
        return {
            "mode": self.mode, "lever": self.lever, "wallet": str(wallet), "rights": self.rights,
            "free": str(wallet - self.margin() - self.held("USDT")), "ratio": f"{ratio:.8f}",
        }  # fmt: skip

    def stake_row(self) -> dict[str, Any]:
        return {"m": "btc-perp", "n": self.stake, "cost": str(self.cost), "liq": None}

    # -- orders --------------------------------------------------------------------------------

    def place(self, cid: str, body: dict[str, Any]) -> dict[str, Any]:
        market, way = self.market(body["m"]), body["way"]
        n, p = D(body["n"]), D(body["p"])
        if n != int(n) or p != int(p) or n <= 0:
            raise No("STEP", "whole units and ticks")
        n, p = int(n), int(p)
        unit, tick = D(market["unit"]), D(market["tick"])
        if cid in self.orders:
            raise No("AGAIN", "an id is used once")
        if not self.open:
            raise No("CLOSED", "the market is closed")
        sign = 1 if way == "B" else -1
        mid = self.ticks(body["m"])
        takes = p >= mid + SPREAD if way == "B" else p <= mid - SPREAD
        if body["how"] == "rest" and takes:
            raise No("TAKES", "it would take")
        if body["shrink"]:
            if self.stake * sign >= 0:
                raise No("SHRINK", "nothing to shrink")
            n = min(n, abs(self.stake))
        else:
            self.check_size(market, n, n * unit * p * tick, way)
        row = {
            "cid": cid, "no": next(self._numbers), "m": body["m"], "way": way, "n": n, "p": p,
            "done": 0, "state": "open", "shrink": body["shrink"], "at": self.now(),
        }  # fmt: skip
        self.orders[cid] = row
        part = n // 2 if "partial" in self.on else n
        if takes:
            self.deal(row, part, mid + SPREAD * sign, maker=False)
        if row["state"] == "open" and body["how"] == "now":
            row["state"] = "gone"
        self.tell_order(row)
        return row

    def check_size(self, market: dict[str, Any], n: int, worth: Decimal, way: str) -> None:
        if worth < D(market["worth"]) or n < market["least"]:
            raise No("SMALL", f"at least {market['worth']}")
        if n > market["most"]:
            raise No("LARGE", f"at most {market['most']}")
        coin = "USDT" if way == "B" or market["kind"] == "perp" else "BTC"
        need = {"perp": worth / self.lever, "cash": worth if way == "B" else n * D(market["unit"])}
        if need[market["kind"]] > self.coins[coin] - self.held(coin):
            raise No("FUNDS", "not enough money")

    def deal(
        self, row: dict[str, Any], n: int, p: int, *, maker: bool, why: str = "deal"
    ) -> None:  # fmt: skip
        market = MARKETS[row["m"]]
        size, sign = n * D(market["unit"]), 1 if row["way"] == "B" else -1
        worth = size * p * D(market["tick"])
        fee, coin = worth * FEES[row["m"]], "USDT"
        if market["kind"] == "cash":
            if self.fee_coin:
                fee, coin = fee / 2, "TOY"
            elif sign > 0:
                fee, coin = size * FEES[row["m"]], "BTC"
            self.coins["BTC"] += size * sign
            self.coins["USDT"] -= worth * sign
        else:
            self.trade_stake(n * sign, worth * sign)
        self.coins[coin] -= fee
        row["done"] += n
        row["state"] = "done" if row["done"] == row["n"] else row["state"]
        self.deals.append({
            "seq": next(self._numbers), "cid": row["cid"], "no": row["no"], "m": row["m"],
            "way": row["way"], "n": n, "p": p, "fee": str(fee), "coin": coin, "maker": maker,
            "why": why, "at": self.now(), "worth": "2" if coin == "TOY" else None,
        })  # fmt: skip
        self.tell_deal(self.deals[-1])

    def trade_stake(self, n: int, worth: Decimal) -> None:
        if self.stake * n >= 0:
            self.cost += worth
        else:
            closed = min(abs(n), abs(self.stake))
            released = self.cost * closed / abs(self.stake)
            left = worth * (abs(n) - closed) / abs(n)
            self.coins["USDT"] -= released + worth - left
            self.cost += left - released
        self.stake += n

    def end(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["state"] != "open":
            raise No("ENDED", "it is not open")
        row["state"] = "gone"
        self.tell_order(row)
        return row

    # -- deeds ---------------------------------------------------------------------------------

    def foreign(self, market: str, way: str = "S", n: int = 2, why: str = "deal") -> None:
        """Trade without an order of ours."""
        row = {
            "cid": "", "no": next(self._numbers), "m": market, "way": way, "n": n, "done": 0,
            "p": 0, "state": "open", "shrink": False, "at": self.now(),
        }  # fmt: skip
        self.orders[f"foreign-{row['no']}"] = row
        self.deal(row, n, self.ticks(market), maker=False, why=why)

    def force(self, share: int, why: str) -> None:
        self.foreign("btc-perp", "B", abs(self.stake) // share, why)

    def take_all(self) -> None:
        for row in list(self.orders.values()):
            if row["state"] == "open":
                self.deal(row, row["n"] - row["done"], row["p"], maker=True)
                self.tell_order(row)

    def deposit(self, amount: Decimal) -> None:
        self.coins["USDT"] += amount
        for market in MARKETS:
            self.tell(f"mine:{market}", {"purse": self.purse()})

    # -- the stream ----------------------------------------------------------------------------

    def tell(self, topic: str, what: dict[str, Any]) -> None:
        for one in self.server.sockets:
            if topic in one.topics:
                one.tell(what)

    def tell_order(self, row: dict[str, Any]) -> None:
        if row["cid"]:
            self.tell(f"mine:{row['m']}", {"orders": [row]})

    def tell_deal(self, row: dict[str, Any]) -> None:
        topic = f"mine:{row['m']}"
        more = {"purse": self.purse()} | (
            {"stakes": [self.stake_row()]} if row["m"] == "btc-perp" else {}
        )
        if "reorder" in self.on:
            self.tell(topic, more)
            asyncio.get_running_loop().call_later(0.05, self.tell, topic, {"deals": [row]})
            return
        self.tell(topic, {"deals": [row]} | more)
        if "duplicate" in self.on:
            self.tell(topic, {"deals": [row]})

    def hear(self, connection: Connection, text: bytes) -> None:
        asked = json.loads(text)
        if "sub" in asked:
            if asked["sub"].startswith("mine"):
                try:
                    self.check_key(asked["auth"], f"SUB {asked['sub']} ")
                except No as no:
                    connection.tell(no.body)
                    return
            connection.topics.add(asked["sub"])
        connection.tell({"id": asked["id"]})
        if asked.get("sub", "").startswith("rate"):
            connection.tell({"rates": [self.rate_row(self.now(), live=True)]})

    # -- requests ------------------------------------------------------------------------------

    def market(self, name: str) -> dict[str, Any]:
        if name not in MARKETS:
            raise No("WHAT", f"no market {name}", 404)
        return MARKETS[name]

    def check_key(self, said: dict[str, str], text: str) -> None:
        said = {key.lower(): value for key, value in said.items()}
        if said.get("toy-key") != KEY:
            raise No("KEY", "who are you", 401)
        at, valid = said["toy-at"].split()
        mac = hmac.new(SECRET.encode(), f"{text}\n{at}\n{valid}".encode(), hashlib.sha256)
        if not hmac.compare_digest(mac.hexdigest(), said["toy-mac"]):
            raise No("MAC", "not what you signed", 401)
        if self.now() > int(at) + int(valid) * 1_000:
            raise No("LATE", "signed too long ago")
        if int(at) > self.now() + 1_000_000:
            raise No("EARLY", "signed in the future")

    async def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        if path == "/time":
            return 200, str(self.now()).encode()
        text = f"GET {target if query else path + '?'}"
        if method != "GET":
            text = f"{method} {path} {body.decode()}"
        try:
            if path not in PUBLIC:
                self.check_key(headers, text)
            if method == "GET":
                if "reads_fail" in self.on:
                    return 502, b"<html>bad gateway</html>"
                return 200, json.dumps(self.get(path, dict(parse_qsl(query)))).encode()
            return await self.change(method, path, json.loads(body))
        except No as no:
            return no.status, json.dumps(no.body).encode()

    def get(self, path: str, q: dict[str, str]) -> Any:
        if "m" in q:
            self.market(q["m"])
        since = int(q.get("since", 0))
        match path.split("/")[1:]:
            case ["markets"]:
                return [one | {"open": self.open} for one in MARKETS.values()]
            case ["orders"]:
                rows = self.orders.values()
                return [r for r in rows if r["m"] == q["m"] and r["state"] == "open"]
            case ["orders", cid]:
                row = self.orders.get(cid)
                if row is None or row["m"] != q["m"]:
                    raise No("WHAT", f"no order {cid}", 404)
                return row
            case ["deals"]:
                after = int(q["after"])
                return [
                    d for d in self.deals
                    if d["m"] == q["m"] and d["at"] >= since and d["seq"] > after
                ][:PAGE]  # fmt: skip
            case ["purse"]:
                return self.purse()
            case ["account"]:
                return self.account()
            case ["stake"]:
                return self.stake_row()
            case ["rate"]:
                return self.rate_row(self.now(), live=True)
            case ["rates"]:
                return [one for one in self.past if since <= one["at"] < int(q["until"])]
            case ["paid"]:
                return [one for one in self.paid if one["at"] >= since]
            case ["fees"]:
                fee, coin = str(FEES[q["m"]]), "BTC" if q["m"] == "btc" else "USDT"
                coin = "TOY" if self.fee_coin and q["m"] == "btc" else coin
                return {"maker": fee, "taker": fee, "coin": coin}
        raise No("WHAT", path, 404)

    async def change(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        if path == "/account":
            return 200, json.dumps(self.set_account(body)).encode()
        if "trade" not in self.rights:
            raise No("RIGHTS", "this key may not trade", 403)
        if "rate_limit" in self.on:
            raise No("SLOWLY", "too many orders", 429, wait=2)
        placing = method == "PUT"
        if placing and "request_lost" in self.on:
            raise Lost
        unsure = 503, json.dumps({"no": "DUNNO", "why": "overloaded"}).encode()
        if placing and "error_refused" in self.on:
            return unsure
        cid = path.rpartition("/")[2]
        if placing:
            done = self.place(cid, body)
        else:
            if cid not in self.orders:
                raise No("WHAT", f"no order {cid}", 404)
            done = self.end(self.orders[cid])
        if ("reply_lost" if placing else "cancel_reply_lost") in self.on:
            raise Lost
        if placing and "error_performed" in self.on:
            return unsure
        if placing and "reply_garbled" in self.on:
            return 200, b'{"cid": 7, "oops'
        if placing and "reply_late" in self.on:
            await asyncio.sleep(2.5)
        if "event_first" in self.on:
            await asyncio.sleep(0.05)
        return 200, json.dumps(done).encode()

    def set_account(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("mode", self.mode) != self.mode:
            if self.stake:
                raise No("MODE", "there is a position")
            self.mode = body["mode"]
        if not 1 <= body.get("lever", self.lever) <= 100:
            raise No("LEVER", "1 to 100")
        self.lever = body.get("lever", self.lever)
        return self.account()


async def serve(for_s: float, port: int, **options: Any) -> None:
    """Serve for so long."""
    exchange = Exchange(**options)
    async with exchange:
        print(f"listening on {exchange.url}", flush=True)
        await asyncio.sleep(for_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--for-s", type=float, default=60)
    parser.add_argument("--price", type=Decimal, default=D(60_000))
    parser.add_argument("--every-s", type=int, default=28_800)
    parser.add_argument("--rate", default="0.0001")
    parser.add_argument("--flips-after-s", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(
        serve(
            given.for_s, 0, price=given.price, every_s=given.every_s, rate=given.rate,
            flips_after_s=given.flips_after_s,
        )
    )  # fmt: skip
