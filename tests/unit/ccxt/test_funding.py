"""Goal: a rate never stands without its interval; cash is cash, and says what it was paid on.
Method: rows of the venues as documented, through ccxt's own parsing; an answer that fails.
"""

import asyncio
from decimal import Decimal

import pytest

pytest.importorskip("ccxt.pro")
import ccxt.pro as ccxt  # the skip must come first
from offline import opened

from hedge.errors import Unreachable
from hedge.model import FundingPayment
from hedge_ccxt import parse
from hedge_ccxt.funding import Funding
from hedge_ccxt.listing import Listing
from hedge_ccxt.profiles import PROFILES
from hedge_ccxt.rates import whole_hours_s

D = Decimal
PERP = "BTC/USDT:USDT"
AT = 1_795_370_400_000
H = 3_600
BINANCE = {
    "exchangeInfo": {"symbols": [{
        "symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "status": "TRADING",
        "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT", "onboardDate": 1,
        "pricePrecision": 1, "quantityPrecision": 3, "deliveryDate": 4133404800000,
        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.10"},
                    {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001"}],
    }]},
    "premiumIndex": {"symbol": "BTCUSDT", "markPrice": "68000", "indexPrice": "68001",
                     "lastFundingRate": "0.0001", "nextFundingTime": AT, "time": AT - 1},
}  # fmt: skip
LISTED = {"symbol": "BTCUSDT", "fundingIntervalHours": 4}
OKX = {"fundingRate": "0.0001", "fundingTime": str(AT), "instId": "BTC-USDT-SWAP",
       "nextFundingTime": str(AT + 4 * H * 1_000)}  # fmt: skip
GATE = {"name": "BTC_USDT", "funding_rate": "0.0001", "funding_next_apply": AT // 1_000,
        "funding_interval": 14_400, "mark_price": "68000"}  # fmt: skip
BITGET = {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateInterval": "4",
          "nextUpdate": str(AT)}  # fmt: skip
KUCOIN = {"symbol": ".XBTUSDTMFPI4H", "granularity": 14_400_000, "timePoint": AT - 14_400_000,
          "value": 0.0001, "fundingTime": AT}  # fmt: skip
CASES = [
    ("binance", BINANCE | {"fundingInfo": [LISTED]}, 4),
    ("binance", BINANCE | {"fundingInfo": [LISTED | {"symbol": "ETHUSDT"}]}, 8),
    ("binance", BINANCE | {"fundingInfo": []}, 8),
    ("okx", {"funding-rate?": {"code": "0", "data": [OKX]}}, 4),
    ("gate", {"contracts/BTC_USDT": GATE}, 4),
    ("bitget", {"current-fund-rate": {"code": "00000", "data": [BITGET]}}, 4),
    ("kucoin", {"current": {"code": "200000", "data": KUCOIN}}, 4),
]


@pytest.mark.parametrize(("venue", "answers", "hours"), CASES)
def test_a_rate_comes_with_the_interval_the_venue_says(venue, answers, hours):
    role, _ = opened(Funding, venue, answers=answers)
    rate = asyncio.run(role.read_rate(PERP))
    assert (rate.rate, rate.interval_s) == (D("0.0001"), hours * H)
    assert rate.next_at == AT * 1_000_000


def test_an_interval_that_cannot_be_asked_for_is_not_guessed():
    down = ccxt.ExchangeNotAvailable("binanceusdm GET fundingInfo")
    role, wire = opened(Funding, "binance", answers=BINANCE | {"fundingInfo": down})
    with pytest.raises(Unreachable):
        asyncio.run(role.read_rate(PERP))
    wire.answers["fundingInfo"] = [LISTED]
    assert asyncio.run(role.read_rate(PERP)).interval_s == 4 * H
    wire.answers["fundingInfo"] = down
    assert asyncio.run(role.read_rate(PERP)).interval_s == 4 * H, "what was learned lately holds"


HISTORY = [{"symbol": "BTCUSDT", "fundingTime": AT + hour * H * 1_000, "fundingRate": "0.0001"}
           for hour in (0, 8, 12, 36)]  # fmt: skip


def test_a_settled_rate_has_the_interval_that_it_ended():
    answers = BINANCE | {"fundingInfo": [LISTED], "v1/fundingRate": HISTORY}
    role, _ = opened(Funding, "binance", answers=answers)
    since, until = (AT + 1) * 1_000_000, (AT + 48 * H * 1_000) * 1_000_000
    found = asyncio.run(role.read_history(PERP, since, until))
    assert [one.interval_s for one in found] == [8 * H, 4 * H, 4 * H], (
        "the last after a gap: today's"
    )


def test_today_s_interval_is_asked_for_once_however_many_rows_have_no_other():
    hurried = [row | {"fundingTime": AT + at * 1_000} for at, row in enumerate(HISTORY)]
    answers = BINANCE | {"fundingInfo": [LISTED], "v1/fundingRate": hurried}
    role, wire = opened(Funding, "binance", answers=answers)
    found = asyncio.run(role.read_history(PERP, AT * 1_000_000, (AT + 9_000) * 1_000_000))
    assert [one.interval_s for one in found] == [4 * H] * 4
    assert wire.asked["premiumIndex"] == wire.asked["fundingInfo"] == 1


@pytest.mark.parametrize(
    ("span_ms", "hours"),
    [(28_800_000, 8), (28_800_017, 8), (3_599_990, 1), (1_440, 0), (0, 0), (86_400_000, 0)],
)
def test_an_interval_is_a_whole_number_of_hours_or_unknown(span_ms, hours):
    assert whole_hours_s(span_ms) == hours * H


PAID = {
    "bybit": ({"execQty": "0.98", "feeRate": "-0.0001"}, D("0.98")),
    "okx": ({"sz": "98", "balChg": "1"}, D("0.98")),
    "kucoin": ({"positionQty": 98, "funding": "1"}, D("0.98")),
    "hyperliquid": ({"delta": {"szi": "-0.98"}}, D("0.98")),
}
UNITS = {"okx": D("0.01"), "kucoin": D("0.01")}


def listing(unit):
    role, _ = opened(Funding, "okx")
    found = asyncio.run(role.session.listing(role.leg, PERP))
    return Listing(instrument=found.instrument, leg=role.leg, market=PERP, unit=unit)


@pytest.mark.parametrize("venue", PAID)
@pytest.mark.parametrize(("cash", "rate", "sign"), [("1", "0.0001", -1), ("-1", "0.0001", 1),
                                                    ("1", "-0.0001", 1)])  # fmt: skip
def test_cash_says_on_what_position_it_was_paid(venue, cash, rate, sign):
    info, size = PAID[venue]
    row = {"info": info, "id": "0x0", "timestamp": AT, "amount": D(cash)}
    ours = listing(UNITS.get(venue, D(1)))
    paid = FundingPayment(
        payment_id="", symbol=PERP, rate=D(rate), interval_s=H, quantity=D(0), cash=D(cash),
        asset="USDT", settled_at=AT,
    )  # fmt: skip
    assert parse.paid_on(row, ours, PROFILES[venue].paid_on, paid, D(0)) == sign * size
    reckoned = parse.paid_on(row | {"info": {}}, ours, "", paid, D(10_000))
    assert reckoned == sign * D(1), "cash = -position x mark x rate"
    assert parse.paid_on(row | {"info": {}}, ours, "", paid, D(0)) == 0


def test_payments_whose_ids_are_all_alike_are_told_apart():
    rows = [{"id": "0x0000", "symbol": PERP, "timestamp": AT + one} for one in (0, 3_600_000)]
    assert len({parse.payment_id(row) for row in rows}) == 2


CASH = {
    "binance": ({"assets": [{"asset": "USDT", "unrealizedProfit": "-12.5"},
                            {"asset": "BNB", "unrealizedProfit": "0"}]}, "USDT"),
    "okx": ({"data": [{"details": [{"ccy": "USDT", "upl": "-12.5"}, {"ccy": "BTC"}]}]}, "USDT"),
    "kucoin": ({"data": {"currency": "USDT", "unrealisedPNL": -12.5}}, "USDT"),
    "hyperliquid": ({"assetPositions": [{"position": {"unrealizedPnl": "-20"}},
                                        {"position": {"unrealizedPnl": "7.5"}}]}, "USDC"),
    "bybit": ({}, ""),
}  # fmt: skip


@pytest.mark.parametrize("venue", CASH)
def test_cash_is_the_total_without_profit_where_the_venue_adds_it(venue):
    info, asset = CASH[venue]
    answer = {
        "info": info,
        "total": {asset or "USDT": D(100), "BNB": D(1)},
        "USDT": {"free": D(60)},
    }
    found = {one.asset: one for one in parse.balances(answer, 0, PROFILES[venue].profits)}
    assert found[asset or "USDT"].total == D("112.5" if asset else "100")
    assert asset == "USDC" or found["BNB"].total == 1
