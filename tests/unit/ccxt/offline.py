"""Markets of five venues as ccxt itself parses them, from rows written by hand after each API.

The rows have the fields of the venues' own documentation; ccxt's ``parse_market`` makes markets of
them, so that names, units and precision are ccxt's and not ours. No connection is made: what would
leave is kept, and a canned answer comes back.
"""

import asyncio
import json
from collections import Counter
from types import SimpleNamespace

from hedge.model import Leg
from hedge.roles import VenueContext
from hedge.runtime.clock import RealClock
from hedge_ccxt.config import CcxtSettings
from hedge_ccxt.futures import FuturesGateway
from hedge_ccxt.spot import SpotGateway

KEY = "0x" + "11" * 32
WALLET = "0x" + "22" * 20
SECRETS = {"api_key": "key", "api_secret": "c2VjcmV0", "passphrase": "pass", "private_key": KEY}

OKX_SWAP = {
    "instType": "SWAP", "instId": "BTC-USDT-SWAP", "uly": "BTC-USDT", "instFamily": "BTC-USDT",
    "baseCcy": "", "quoteCcy": "", "settleCcy": "USDT", "ctVal": "0.01", "ctMult": "1",
    "ctValCcy": "BTC", "ctType": "linear", "lever": "100", "tickSz": "0.1", "lotSz": "0.01",
    "minSz": "0.01", "maxLmtSz": "100000000", "state": "live", "listTime": "1606468572000",
    "expTime": "", "alias": "",
}  # fmt: skip
GATE_SWAP = {
    "name": "BTC_USDT", "type": "direct", "quanto_multiplier": "0.0001", "order_size_min": 1,
    "order_size_max": 1_000_000, "order_price_round": "0.1", "mark_price_round": "0.01",
    "leverage_max": "100", "leverage_min": "1", "maker_fee_rate": "-0.0001",
    "taker_fee_rate": "0.0005", "in_delisting": False, "funding_interval": 28800,
    "create_time": 1609800048, "order_price_deviate": "0.5", "mark_price": "68000",
}  # fmt: skip
BITGET_SWAP = {
    "symbol": "BTCUSDT", "category": "USDT-FUTURES", "type": "perpetual", "baseCoin": "BTC",
    "quoteCoin": "USDT", "minOrderQty": "0.001", "maxOrderQty": "220", "pricePrecision": "1",
    "quantityPrecision": "3", "minOrderAmount": "5", "status": "online", "fundInterval": "8",
    "priceMultiplier": "0.1", "quantityMultiplier": "0.001", "maxLeverage": "125",
}  # fmt: skip
KUCOIN_SWAP = {
    "symbol": "XBTUSDTM", "type": "FFWCSX", "baseCurrency": "XBT", "quoteCurrency": "USDT",
    "settleCurrency": "USDT", "maxOrderQty": 1_000_000, "lotSize": 1, "tickSize": 0.1,
    "multiplier": 0.001, "status": "Open", "isInverse": False, "nextFundingRateTime": 1,
    "fundingRateGranularity": 28_800_000, "maxLeverage": 125, "maxPrice": 1_000_000,
}  # fmt: skip
HYPERLIQUID_SWAPS = [
    {"universe": [{"szDecimals": 5, "name": "BTC", "maxLeverage": 40},
                  {"szDecimals": 0, "name": "kPEPE", "maxLeverage": 10}]},
    [{"funding": "0.0000125", "markPx": "68123.0", "midPx": "68122.5", "oraclePx": "68100.0"},
     {"funding": "0.0000125", "markPx": "0.01234", "midPx": "0.012341", "oraclePx": "0.01233"}],
]  # fmt: skip
OKX_SPOT = {
    "instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT",
    "settleCcy": "", "ctVal": "", "ctMult": "", "tickSz": "0.1", "lotSz": "0.00001",
    "minSz": "0.00001", "maxLmtSz": "9999", "state": "live", "listTime": "1606468572000",
    "expTime": "", "alias": "", "lever": "10",
}  # fmt: skip
GATE_SPOT = {
    "id": "BTC_USDT", "base": "BTC", "quote": "USDT", "fee": "0.2", "min_base_amount": "0.00001",
    "min_quote_amount": "3", "amount_precision": 5, "precision": 1, "trade_status": "tradable",
}  # fmt: skip
BITGET_SPOT = BITGET_SWAP | {"category": "SPOT", "type": "", "quantityPrecision": "5"}
KUCOIN_SPOT = {
    "symbol": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT", "baseMinSize": "0.00001",
    "quoteMinSize": "0.1", "baseMaxSize": "10000", "quoteMaxSize": "99999999",
    "baseIncrement": "0.00000001", "quoteIncrement": "0.000001", "priceIncrement": "0.1",
    "enableTrading": True, "minFunds": "0.1",
}  # fmt: skip

MARKETS = {
    "instruments?instType=SPOT": {"code": "0", "data": [OKX_SPOT]},
    "instruments?instType=SWAP": {"code": "0", "data": [OKX_SWAP]},
    "futures/usdt/contracts": [GATE_SWAP],
    "futures/btc/contracts": [],
    "spot/currency_pairs": [GATE_SPOT],
    "margin/currency_pairs": [],
    "instruments?category=USDT-FUTURES": {"code": "00000", "data": [BITGET_SWAP]},
    "instruments?category=SPOT": {"code": "00000", "data": [BITGET_SPOT]},
    "instruments?category=": {"code": "00000", "data": []},
    "contracts/active": {"code": "200000", "data": [KUCOIN_SWAP]},
    "api/v1/symbols": {"code": "200000", "data": [KUCOIN_SPOT]},
    "api/v2/symbols": {"code": "200000", "data": [KUCOIN_SPOT]},
    "metaAndAssetCtxs": HYPERLIQUID_SWAPS,
}
"""A part of a question about markets -> its answer."""


def context(**settings):
    return VenueContext(
        settings=CcxtSettings(wallet_address=WALLET, **settings),
        clock=RealClock(),
        account="main",
        secrets=SECRETS,
        shared={},
    )


def opened(kind, name, leg=Leg.FUTURES, answers=None, **settings):
    """Return a role, and the wire that its requests go to.

    ``answers`` (a part of the address or the body -> answer, or what is raised) come before the
    markets'; what is to change something is kept in ``sent``, and gets ``answer``.
    """
    role = kind(name, context(**settings))
    wire = SimpleNamespace(sent=[], answer={}, answers=answers or {}, deaf=None, asked=Counter())
    wire.heard = asyncio.Event()

    async def fetch(url, method="GET", headers=None, body=None):
        for part, answer in (*wire.answers.items(), *MARKETS.items()):
            if part in url or part in (body or ""):
                wire.asked[part] += 1
                if isinstance(answer, Exception):
                    raise answer
                return answer
        if wire.deaf is not None:
            wire.heard.set()
            await wire.deaf.wait()
        if method != "GET" and "/info" not in url:
            wire.sent.append(SimpleNamespace(url=url, headers=headers, body=json.loads(body)))
            return wire.answer
        return {"code": "200000", "data": {}}

    role.session.line(leg).exchange.fetch = wire.fetch = fetch
    return role, wire


def gateway(name, leg, **settings):
    """Return a gateway of one leg, and its wire."""
    return opened(FuturesGateway if leg is Leg.FUTURES else SpotGateway, name, leg, **settings)
