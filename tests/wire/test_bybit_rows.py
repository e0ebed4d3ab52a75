"""The rows of the Bybit dialect have the fields, and the types, of the venue's own examples.

Goal: no field that the venue documents is missing or of another type. Method: a small life on a
server, every kind of row collected from REST and the streams, and compared by name with the
official examples and recorded metadata, which lie outside of this repository.
"""

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from bybit_raw import SYMBOL, Raw, raw

SHARED = Path(__file__).parents[3] / "shared" / "data"
DOCS = SHARED / "official_docs_payloads" / "docs_payloads.jsonl"
FIXTURES = SHARED / "nautilus_fixtures" / "bybit"
LINEAR = SHARED / "furnace" / "bybit_linear_instruments_info_20250123.repaired.json"
SPOT = SHARED / "ccxt_bybit_markets" / "bybit_spot_BTCUSDT_instruments_info_2026-09_fastmm.json"

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the venue's own examples (../shared/data) are not here"
)
Row = dict[str, Any]


async def collect(client: Raw) -> dict[str, Row]:
    """Return one row of each kind."""
    private = await client.private("order", "execution", "execution.fast", "position", "wallet")
    public = await client.channel("/v5/public/linear")
    await public.ask("subscribe", f"tickers.{SYMBOL}", f"orderbook.50.{SYMBOL}")
    trade = await client.trade()
    sell = client.order("linear", "Sell", "0.01", "0.99", timeInForce="IOC")
    buy = client.order("spot", "Buy", "0.01", "1.01", timeInForce="IOC")
    ack = await trade.order("order.create", sell)
    wallet = await private.topic("wallet")
    frames = {frame["topic"]: frame for frame in private.frames if "topic" in frame}
    await client.create(**buy)
    linear, settled = {"category": "linear", "symbol": SYMBOL}, {"category": "linear"}
    spot = {"category": "spot", "symbol": SYMBOL}
    balance = await client.rows("/v5/account/wallet-balance", accountType="UNIFIED")
    market = "/v5/market"
    return {
        "ack": ack,
        "order frame": frames["order"]["data"][0],
        "execution frame": frames["execution"]["data"][0],
        "fast frame": frames["execution.fast"]["data"][0],
        "position frame": frames["position"]["data"][0],
        "wallet frame": wallet["data"][0],
        "wallet frame coin": wallet["data"][0]["coin"][0],
        "envelope": frames["order"],
        "ticker frame": (await public.topic(f"tickers.{SYMBOL}")),
        "order": (await client.rows("/v5/order/history", **settled))[0],
        "execution": (await client.rows("/v5/execution/list", **settled))[0],
        "position": (await client.rows("/v5/position/list", **linear))[0],
        "wallet": balance[0],
        "wallet coin": balance[0]["coin"][0],
        "log": (await client.rows("/v5/account/transaction-log", **settled))[0],
        "fee rate": (await client.rows("/v5/account/fee-rate", **linear))[0],
        "account": (await client.get("/v5/account/info"))["result"],
        "key": (await client.get("/v5/user/query-api"))["result"],
        "spot instrument": (await client.rows(f"{market}/instruments-info", **spot))[0],
        "linear instrument": (await client.rows(f"{market}/instruments-info", **linear))[0],
        "spot ticker": (await client.rows(f"{market}/tickers", **spot))[0],
        "linear ticker": (await client.rows(f"{market}/tickers", **linear))[0],
        "spot order": (await client.rows("/v5/order/history", category="spot"))[0],
    }


@cache
def ours() -> dict[str, Row]:
    async def main() -> dict[str, Row]:
        async with raw() as client:
            return await collect(client)

    return asyncio.run(main())


@cache
def official() -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for line in DOCS.read_text().splitlines():
        entry = json.loads(line)
        if entry["venue"] == "bybit":
            key = (Path(entry["path"]).parts[-2], Path(entry["path"]).stem)
            payload = next(entry[k] for k in ("payload", "json", "text", "body") if k in entry)
            found.setdefault(key, []).append(payload)
    return found


def example(folder: str, page: str) -> Any:
    """Return the last example of a page that shows rows."""
    return official()[folder, page][-1]


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def listed(answer: Any) -> Row:
    return answer["result"]["list"][0]


def compare(kind: str, theirs: Row, *, beside: frozenset[str] = frozenset()) -> None:
    """Assert that ours has every field of theirs, of the same type where theirs has a value."""
    row = ours()[kind]
    missing = set(theirs) - set(row) - beside
    assert not missing, (kind, sorted(missing))
    for name, value in theirs.items():
        if name in beside or value is None:
            continue
        if isinstance(value, dict) and value and name != "cumFeeDetail":
            assert set(value) <= set(row[name]), (kind, name)
        assert type(row[name]) is type(value), (kind, name, row[name], value)


def test_orders() -> None:
    compare("order", listed(example("order", "open-order")))
    for page in official()["private", "order"][1:]:
        compare("order frame", page["data"][0])
        compare("envelope", page)
    compare("order frame", fixture("ws_account_order_filled")["data"][0])
    spot = fixture("ws_account_order_partially_filled_rejected")["data"][0]
    compare("spot order", spot, beside=frozenset({"tpslMode", "createType"}))
    assert not {"tpslMode", "createType"} & set(ours()["spot order"])


def test_executions() -> None:
    taxed = frozenset({"extraFees"})  # a list only where a tax is charged
    compare("execution", listed(example("order", "execution")), beside=taxed)
    for page in official()["private", "execution"][1:]:
        compare("execution frame", page["data"][0], beside=taxed)
    compare("fast frame", official()["private", "fast-execution"][-1]["data"][0])
    compare("execution", listed(fixture("http_get_executions")), beside=taxed)


def test_positions_and_wallets() -> None:
    compare("position frame", official()["private", "position"][-1]["data"][0])
    compare("position", listed(fixture("http_get_positions")))
    frame = official()["private", "wallet"][-1]["data"][0]
    compare("wallet frame", frame)
    compare("wallet frame coin", frame["coin"][0])
    answer = listed(example("account", "wallet-balance"))
    compare("wallet", answer)
    compare("wallet coin", answer["coin"][0])


def test_the_account() -> None:
    compare("log", listed(example("account", "transaction-log")))
    compare("fee rate", listed(example("account", "fee-rate")))
    compare("account", fixture("http_get_account_info")["result"])
    compare("key", fixture("http_get_user_query_api")["result"], beside=frozenset(
        {"permissions", "userIDInt64", "inviterIDInt64", "affiliateIDInt64"}
    ))  # fmt: skip


def test_markets() -> None:
    spot = json.loads(SPOT.read_text())["result"]["list"][0]
    compare("spot instrument", spot, beside=frozenset({"xstockMultiplier"}))
    rows = json.loads(LINEAR.read_text())["result"]["list"]
    compare("linear instrument", next(row for row in rows if row["symbol"] == SYMBOL))
    for page in official()["market", "tickers"]:
        if page["result"]["category"] in {"spot", "inverse"}:
            kind = "spot ticker" if page["result"]["category"] == "spot" else "linear ticker"
            compare(kind, listed(page))
    frame = fixture("ws_ticker_linear")
    compare("ticker frame", frame)
    assert set(ours()["linear ticker"]) >= set(frame["data"]) - {"tickDirection"}


def test_an_acknowledgement() -> None:
    theirs = fixture("ws_order_response")
    compare("ack", theirs)
    assert set(ours()["ack"]["header"]) == {
        "Timenow", "Traceid", "X-Bapi-Limit", "X-Bapi-Limit-Status",
        "X-Bapi-Limit-Reset-Timestamp",
    }  # fmt: skip
