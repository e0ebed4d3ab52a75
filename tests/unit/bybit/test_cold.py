"""Goal: what the SDK is asked is asked once, and whatever comes back has one honest meaning.
Method: the plugin's roles against a venue of canned answers on loopback.
"""

import asyncio
import contextlib
import time

import pytest
from answering import NOW_MS, TIME, Raw, Refusal, answering

from hedge.errors import (
    ConfigError,
    Limited,
    Malformed,
    Missing,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from hedge.model import ReportedStatus
from hedge.roles import VenueContext
from hedge.runtime.clock import RealClock
from hedge_bybit import plugin
from hedge_bybit.config import BybitSettings

MS = 1_000_000
SECOND = 1_000 * MS
PERP = "BTC/USDT:USDT"
LINEAR_ROW = {
    "symbol": "BTCUSDT", "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT",
    "settleCoin": "USDT", "contractType": "LinearPerpetual", "fundingInterval": 480,
    "priceFilter": {"tickSize": "0.1"},
    "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "100"},
}  # fmt: skip
PEPE_ROW = LINEAR_ROW | {
    "symbol": "1000PEPEUSDT", "baseCoin": "1000PEPE", "priceFilter": {"tickSize": "0.0000001"},
}  # fmt: skip
INSTRUMENTS = "/v5/market/instruments-info"
TICKERS = "/v5/market/tickers"
WALLET = "/v5/account/wallet-balance"
POSITIONS = "/v5/position/list"
INFO = "/v5/account/info"
UNIFIED = {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 5}


def by_symbol(*rows):
    """Answer as the venue does: the row that is asked for, or 10001."""

    def answer(query):
        found = [row for row in rows if row["symbol"] == query.get("symbol", row["symbol"])]
        return {"list": found} if found else Refusal(10001, "params error: symbol invalid")

    return answer


def position_row(**changes):
    found = {
        "symbol": "BTCUSDT", "positionIdx": 0, "side": "", "size": "0", "avgPrice": "0",
        "liqPrice": "", "leverage": "10", "adlRankIndicator": 0, "updatedTime": str(NOW_MS),
    }  # fmt: skip
    return found | changes


class Hasty(RealClock):
    """Whoever waits for his turn has it at once."""

    async def sleep_until(self, at):
        await asyncio.sleep(0.001)


def play(scenario, clock=None, **settings):
    async def main():
        with answering() as (answers, url):
            answers.says[INSTRUMENTS] = by_symbol(LINEAR_ROW, PEPE_ROW)
            context = VenueContext(
                settings=BybitSettings(
                    environment="local", rest_url=url, stream_url="ws://127.0.0.1:1", **settings
                ),
                clock=clock or RealClock(),
                account="main",
                secrets={"api_key": "the-key", "api_secret": "the-secret"},
                shared={},
            )
            async with contextlib.AsyncExitStack() as stack:
                futures = await stack.enter_async_context(
                    plugin.hedge_futures_gateway("bybit", context)
                )
                feed = await stack.enter_async_context(plugin.hedge_futures_feed("bybit", context))
                await scenario(answers, futures, feed)

    asyncio.run(main())


class Shifted(RealClock):
    """Time that a test lets pass at once."""

    shift = 0

    def now(self):
        return super().now() + self.shift


@pytest.mark.parametrize("answer", [Raw(200, "<html>maintenance</html>"), Raw(502, "")])
def test_an_answer_without_the_time_does_not_end_the_looking_at_the_clock(answer):
    async def scenario(answers, futures, _):
        answers.says[TIME] = answer
        before = answers.count(TIME)
        async with asyncio.timeout(10):
            while answers.count(TIME) < before + 3:  # noqa: ASYNC110 - it is counted in a thread
                await asyncio.sleep(0.001)

    play(scenario, Hasty())


def test_a_rate_limit_is_said_at_once_and_nothing_is_asked_twice():
    async def scenario(answers, futures, _):
        answers.says[WALLET] = Refusal(10006, "Too many visits.")
        begun = time.monotonic()
        with pytest.raises(Limited, match="10006"):
            await futures.read_balances()
        answers.says[WALLET] = Refusal(10002, "time exceeds the window")
        with pytest.raises(Unreachable, match=r"10002.*clock"):  # a later question may be answered
            await futures.read_balances()
        assert time.monotonic() - begun < 1, "the SDK would sleep for three seconds"
        assert answers.count(WALLET) == 2

    play(scenario)


LIMITED = '{"retCode": %d, "retMsg": "Too many visits."}'


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Raw(403, "access too frequent"), 600),
        (Raw(403, "access too frequent", Retry_After="900"), 900),
        (Raw(403, "access too frequent", Retry_After="90"), 90),
        (Raw(429, "slow down", Retry_After="30"), 30),
        (Raw(200, LIMITED % 10018), 5),
        (Raw(200, LIMITED % 10018, Retry_After="45"), 45),
        (Raw(200, LIMITED % 10006, X_Bapi_Limit_Reset_Timestamp=str(NOW_MS + 20_000)), 20),
        (Raw(200, LIMITED % 10006, X_Bapi_Limit_Reset_Timestamp=str(NOW_MS * 2)), 60),
    ],
)
def test_nothing_is_asked_before_a_limit_is_over(answer, seconds):
    clock = Shifted()

    async def scenario(answers, futures, _):
        answers.says[WALLET] = answer
        with pytest.raises(Limited) as told:
            await futures.read_balances()
        assert seconds - 2 <= told.value.retry_after_s <= seconds
        asked = len(answers.asked)
        clock.shift += (seconds - 8) * SECOND if seconds > 8 else 0
        if seconds > 8:  # else it would be waited for, as any room is
            for ask in (futures.read_balances, futures.read_clock):
                with pytest.raises(Limited) as later:
                    await ask()
                assert later.value.retry_after_s <= 10
        assert len(answers.asked) == asked
        clock.shift += 10 * SECOND
        answers.says[WALLET] = {"list": [{"coin": []}]}
        assert await futures.read_balances() == ()

    play(scenario, clock)


def test_requests_are_stamped_with_the_venues_time():
    async def scenario(answers, futures, _):
        answers.says[WALLET] = {"list": [{"coin": []}]}
        await futures.read_balances()
        stamp = int(answers.headers[-1]["X-BAPI-TIMESTAMP"])
        assert NOW_MS - 1_000 < stamp < NOW_MS + 60_000, "and not with this machine's"

    play(scenario)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Raw(502, "<html>Bad Gateway</html>"), Unreachable),
        (Raw(200, "<html>maintenance</html>"), Unreachable),
        (Raw(200, "[1, 2]"), Malformed),
        (Raw(200, '{"retCode": 0, "retMsg": "OK"}'), Malformed),
        (Raw(200, '{"retCode": 0, "retMsg": "OK", "result": {"list": 7}}'), Malformed),
        (Raw(401, ""), Refused),
        (Raw(403, "forbidden"), Limited),
        (Raw(429, "slow down"), Limited),
        (Refusal(10016, "Internal System Error."), Unreachable),
        (Refusal(10000, "Server Timeout"), Unreachable),
        (Refusal(10003, "API key is invalid."), Refused),
        (Refusal(987654, "something new"), Unreachable),
    ],
)
def test_a_read_never_turns_trouble_into_nothing(answer, error):
    async def scenario(answers, futures, _):
        answers.says[WALLET] = answer
        with pytest.raises(error) as raised:
            await futures.read_balances()
        assert type(raised.value) is error
        assert "the-key" not in str(raised.value)

    play(scenario)


LISTLESS = [{}, {"list": None}, None, {"list": {}}, {"category": "linear", "nextPageCursor": ""}]


@pytest.mark.parametrize("result", LISTLESS)
def test_an_answer_without_its_list_is_never_an_empty_one(result):
    async def scenario(answers, futures, feed):
        await feed.read_instrument(PERP)
        for path, ask in (
            (WALLET, futures.read_balances),
            (POSITIONS, lambda: futures.read_position(PERP)),
            (POSITIONS, futures.read_position_mode),
            ("/v5/order/realtime", lambda: futures.read_open_orders(PERP)),
            ("/v5/order/realtime", lambda: futures.read_order(PERP, "ours")),
            ("/v5/execution/list", lambda: futures.read_fills(PERP, NOW_MS * MS)),
            (INSTRUMENTS, feed.read_instruments),
            (INSTRUMENTS, lambda: feed.read_instrument(PERP)),
        ):
            before = dict(answers.says)
            answers.says |= {WALLET: {"list": [{"coin": []}]}, "/v5/order/history": {"list": []}}
            answers.says[path] = result
            with pytest.raises(Malformed):
                await ask()
            answers.says = before

    play(scenario)


@pytest.mark.parametrize("row", [{}, {"coin": None}])
def test_a_wallet_without_its_coins_is_never_an_empty_one(row):
    async def scenario(answers, futures, _):
        answers.says[WALLET] = {"list": [row]}
        with pytest.raises(Malformed):
            await futures.read_balances()

    play(scenario)


def test_a_wrong_signature_does_not_echo_the_key():
    async def scenario(answers, futures, _):
        answers.says[WALLET] = Refusal(10004, "error sign! origin_string[1700000the-key5000]")
        with pytest.raises(Refused, match=r"10004.*secret") as raised:
            await futures.read_balances()
        assert "the-key" not in str(raised.value)

    play(scenario)


def test_a_venue_that_is_gone_is_unreachable():
    async def scenario(answers, futures, _):
        answers.says[WALLET] = lambda _: Raw(200, "") if time.sleep(0.4) is None else None
        with pytest.raises(Unreachable):
            await futures.read_balances()

    play(scenario, read_timeout_ms=150)


def test_leverage_is_read_back_and_not_believed():
    async def scenario(answers, futures, _):
        answers.says[INFO] = UNIFIED
        answers.says[POSITIONS] = {"list": [position_row()]}
        answers.says["/v5/position/set-leverage"] = {}
        with pytest.raises(Refused, match="leverage 10, mode one_way after setting 3") as raised:
            await futures.prepare(PERP, 3)
        assert raised.value.code == "LEVERAGE"
        answers.says["/v5/position/set-leverage"] = Refusal(110043, "Set leverage not modified.")
        answers.says[POSITIONS] = {"list": [position_row(leverage="3")]}
        await futures.prepare(PERP, 3)
        assert answers.count("/v5/position/set-leverage") == 1, "it was so already"

    play(scenario)


def test_the_mode_is_read_back_and_not_believed():
    async def scenario(answers, futures, _):
        answers.says[INFO] = UNIFIED
        both = [position_row(positionIdx=1), position_row(positionIdx=2)]
        answers.says[POSITIONS] = {"list": both}
        answers.says["/v5/position/switch-mode"] = {}
        with pytest.raises(Refused, match="mode hedge") as raised:
            await futures.prepare(PERP, 10)
        assert raised.value.code == "POSITION_MODE"
        answers.says["/v5/position/switch-mode"] = Refusal(110028, "You have existing open orders")
        with pytest.raises(Refused, match=r"110028.*cancel its open orders"):
            await futures.prepare(PERP, 10)
        answers.says["/v5/position/switch-mode"] = Refusal(10016, "Internal System Error.")
        with pytest.raises(OutcomeUnknown):
            await futures.prepare(PERP, 10)

    play(scenario)


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 1}, "ACCOUNT_TYPE"),
        ({"marginMode": "PORTFOLIO_MARGIN", "unifiedMarginStatus": 6}, "MARGIN_MODE"),
    ],
)
def test_an_account_of_the_wrong_kind_is_refused(info, code):
    async def scenario(answers, futures, _):
        answers.says[INFO] = info
        with pytest.raises(Refused) as raised:
            await futures.prepare(PERP, 3)
        assert raised.value.code == code
        assert answers.count("/v5/position/set-leverage") == 0

    play(scenario)


def test_an_order_that_a_restart_forgot_is_found_in_the_history():
    async def scenario(answers, futures, _):
        row = {
            "symbol": "BTCUSDT", "orderId": "v-1", "orderLinkId": "ours", "side": "Sell",
            "orderStatus": "Cancelled", "qty": "0.5", "price": "60000", "cumExecQty": "0.2",
            "updatedTime": str(NOW_MS),
        }  # fmt: skip
        answers.says["/v5/order/realtime"] = {"list": []}
        answers.says["/v5/order/history"] = {"list": [row]}
        report = await futures.read_order(PERP, "ours")
        assert report.status is ReportedStatus.CANCELLED and str(report.filled) == "0.2"
        answers.says["/v5/order/history"] = {"list": []}
        with pytest.raises(Missing):
            await futures.read_order(PERP, "ours")
        answers.says["/v5/order/history"] = Refusal(10016, "Internal System Error.")
        with pytest.raises(Unreachable):
            await futures.read_order(PERP, "ours")

    play(scenario)


def test_pages_end_where_the_cursor_stands_still():
    async def scenario(answers, futures, _):
        pages = {
            None: {"list": [execution(1), execution(2)], "nextPageCursor": "a"},
            "a": {"list": [execution(2), execution(3)], "nextPageCursor": "b"},
            "b": {"list": [], "nextPageCursor": "b"},
        }
        answers.says["/v5/execution/list"] = lambda query: pages[query.get("cursor")]
        fills = await futures.read_fills(PERP, NOW_MS * MS)
        assert [fill.fill_id for fill in fills] == ["e1", "e2", "e3"]

    play(scenario)


def execution(number):
    return {
        "symbol": "BTCUSDT", "orderId": "v-1", "orderLinkId": "ours", "side": "Sell",
        "execId": f"e{number}", "execPrice": "60000", "execQty": "0.1", "execType": "Trade",
        "execTime": str(NOW_MS + number), "execFee": "3", "feeRate": "0.0005",
    }  # fmt: skip


def prices(perpetual, spot):
    def answer(query):
        if query["category"] == "linear":
            return {"list": [{"symbol": query["symbol"], "markPrice": perpetual}]}
        if not spot:
            return Refusal(10001, "params error: symbol invalid")
        return {"list": [{"symbol": query["symbol"], "lastPrice": spot}]}

    return answer


@pytest.mark.parametrize("spot", ["0.00001250", ""])
def test_a_multiple_that_prices_confirm_or_cannot_deny_is_traded(spot):
    async def scenario(answers, _, feed):
        answers.says[TICKERS] = prices("0.0125", spot)
        found = await feed.read_instrument("PEPE/USDT:USDT")
        assert (found.base, int(found.multiplier), str(found.lot)) == ("PEPE", 1_000, "1.000")

    play(scenario)


def test_a_multiple_that_prices_deny_is_not_traded():
    async def scenario(answers, _, feed):
        answers.says[TICKERS] = prices("0.0000125", "0.0000125")
        with pytest.raises(ConfigError, match="1000PEPEUSDT"):
            await feed.read_instrument("PEPE/USDT:USDT")
        answers.says[TICKERS] = prices("", "0.0000125")
        with pytest.raises(Unreachable):
            await feed.read_instrument("PEPE/USDT:USDT")

    play(scenario)
