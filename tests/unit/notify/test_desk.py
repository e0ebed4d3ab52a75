"""Goal: a person far away can look and pause, and can trade only with a preview and its code.

Method: the desk against the real status server on a real socket, an engine by injection behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from api_port import FakePort, serve

from hedge.errors import SafetyRefusal
from hedge.model.numbers import SECOND
from hedge.runtime.api import StatusApi
from hedge.runtime.clock import RealClock
from hedge.runtime.notify.desk import CONFIRM_S, Desk, EngineDoor
from hedge.runtime.snapshot import AlarmView, HedgeSnapshot, OrderView

ANN, BOB = "telegram 7/1", "telegram 7/2"
ORDER = OrderView(
    client_order_id="H1", leg="spot", side="buy", quantity=Decimal("0.01"),
    limit_price=Decimal(60_000), filled=Decimal("0.004"), status="open", placed_at=0,
)  # fmt: skip
BTC = HedgeSnapshot(
    name="btc", at=0, symbol="BTC/USDT", spot_venue="binance", futures_venue="bybit",
    inventory=Decimal("0.15"), position=Decimal("-0.15"), delta=Decimal(0), delta_bps=Decimal(0),
    spot_mid=Decimal(60_000), futures_mid=Decimal(60_100), basis_bps=Decimal("16.7"),
    funding_received=Decimal("12.5"), orders=(ORDER,), liquidation_distance=Decimal("0.3333"),
    alarms=(AlarmView(key="UNHEDGED", level="alarm", text="delta stands", raised_at=0),),
)  # fmt: skip
ETH = msgspec.structs.replace(BTC, name="eth", symbol="ETH/USDT", orders=(), alarms=())


class Later(RealClock):
    """A clock that a test can put forward."""

    ahead_s = 0

    def now(self) -> int:
        return super().now() + self.ahead_s * SECOND


Scene = Callable[[Desk, FakePort, Later], Awaitable[None]]


def play(
    tmp_path: Path, scene: Scene, *shots: HedgeSnapshot, trade: bool = True, gone: str = ""
) -> FakePort:
    engine = FakePort(*(shots or (BTC,)))
    engine.gone = {gone: "not started: waits for its venues"} if gone else {}
    engine.books |= {"funding": "96.4", "fees": "-31", "unexplained": "-0.02", "status": "ok"}

    async def main(_: StatusApi) -> None:
        clock = Later()
        codes = iter(f"{number:06d}" for number in range(111_111, 999_999, 111_111))
        door = EngineDoor(hedges=tuple(engine.names), index_dirs=(tmp_path,))
        desk = Desk("phone", door, clock, trade=trade, new_code=lambda: next(codes))
        async with asyncio.timeout(20):
            await scene(desk, engine, clock)

    serve(tmp_path, engine, main)
    return engine


async def write(desk: Desk, line: str, by: str = ANN, number: str = "1") -> str:
    return await desk.answer(line, by=by, request_id=number)


def test_status_and_report_say_what_the_engine_shows(tmp_path: Path) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        shown = await write(desk, "/status")
        for words in (
            "btc: HALT", "spot 0.15 BTC on binance", "futures -0.15 BTC on bybit",
            "liquidation is 33.3 % away", "open: spot buy 0.01 at 60000, 0.004 filled",
            "! alarm UNHEDGED: delta stands",
        ):  # fmt: skip
            assert words in shown
        report = await write(desk, "/report@hedge_bot btc")
        assert "funding received +96.4" in report
        assert "fees -31" in report
        assert "unexplained -0.02 (ok)" in report

    assert play(tmp_path, scene).asked == []


def test_a_hedge_that_has_not_begun_hides_none_of_the_others(tmp_path: Path) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        for line in ("/status", "/report"):
            said = await write(desk, line)
            assert "btc:" in said and "eth: not started: waits for its venues" in said, line
        for line in ("/status eth", "/pause eth", "/stop eth"):
            assert await write(desk, line) == "eth: not started: waits for its venues"

    assert play(tmp_path, scene, gone="eth").asked == []


def test_pause_resume_and_ack_go_through_with_who_asked(tmp_path: Path) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        assert await write(desk, "/pause", number="10") == "btc: pause it is"
        assert await write(desk, "/resume btc", number="11") == "btc: resume it is"
        assert await write(desk, "/ack UNHEDGED", number="12") == "btc: ack it is"
        await write(desk, "/pause", number="10")

    asked = play(tmp_path, scene, trade=False).asked
    assert [(one["verb"], one["hedge"]) for one in asked] == [
        ("pause", "btc"), ("resume", "btc"), ("ack", "btc"), ("pause", "btc"),
    ]  # fmt: skip
    ids = [one["request_id"] for one in asked]
    assert ids[0] == ids[3], "the same line, delivered twice, is the same request"
    assert len(set(ids)) == 3
    assert all(one.startswith("phone:telegram-7-1:") for one in ids)
    assert asked[2]["subject"] == "UNHEDGED"


@pytest.mark.parametrize("line", ["/stop", "/liquidate btc", "/confirm 111111"])
def test_trade_commands_are_off_unless_they_are_switched_on(tmp_path: Path, line: str) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        assert "trade = true in [notifiers.phone]" in await write(desk, line)
        assert "/stop" not in await write(desk, "/help")

    assert play(tmp_path, scene, trade=False).asked == []


def test_stop_and_liquidate_show_the_orders_and_wait_for_the_code(tmp_path: Path) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        stop = await write(desk, "/stop")
        assert "cancels spot buy 0.01 at 60000" in stop
        assert "/confirm 111111 within 60 s" in stop
        assert engine.asked == []
        assert await write(desk, "/confirm 111111") == "btc: stop it is"
        shown = await write(desk, "/liquidate btc")
        assert "spot SELL 0.15 BTC on binance, about 9000 at mid 60000" in shown
        assert "futures BUY 0.15 BTC on bybit, about 9015 at mid 60100" in shown
        assert len(engine.asked) == 1
        assert await write(desk, "/confirm 222222") == "btc: liquidate it is"

    asked = play(tmp_path, scene).asked
    assert [one["verb"] for one in asked] == ["stop", "liquidate"]
    assert {one["hedge"] for one in asked} == {"btc"}


def test_a_code_is_good_once_for_one_guess_for_one_minute_for_who_asked(tmp_path: Path) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        await write(desk, "/stop")
        assert "nothing of yours waits" in await write(desk, "/confirm 111111", BOB)
        assert "not the code" in await write(desk, "/confirm 999999")
        assert "nothing of yours waits" in await write(desk, "/confirm 111111")
        await write(desk, "/stop")
        clock.ahead_s += CONFIRM_S + 1
        assert "older than 60 s" in await write(desk, "/confirm 222222")
        await write(desk, "/stop")
        await write(desk, "/liquidate btc")
        assert "not the code" in await write(desk, "/confirm 333333"), "the first preview is void"
        assert engine.asked == []
        await write(desk, "/stop")
        assert await write(desk, "/confirm 555555") == "btc: stop it is"
        assert "nothing of yours waits" in await write(desk, "/confirm 555555")

    assert len(play(tmp_path, scene).asked) == 1


def test_of_several_hedges_one_is_named_and_no_other_engine_is_reached(tmp_path: Path) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        both = await write(desk, "/status")
        assert "btc:" in both
        assert "eth:" in both
        assert await write(desk, "/pause") == "name the hedge, one of: btc, eth"
        assert "did you mean 'eth'" in await write(desk, "/pause ethh")
        assert "needs the NAME" in await write(desk, "/liquidate")

    assert play(tmp_path, scene, BTC, ETH).asked == []


@pytest.mark.parametrize(
    "line",
    ["/scale 99999", "/adopt 5", "/clear LOSS", "/resolve H1", "", "/", "/\0", "/pause\n/stop x",
     "/stat" * 10_000, "{}", "/status ../../etc"],
)  # fmt: skip
def test_nothing_else_is_understood_and_nothing_raises_a_limit(tmp_path: Path, line: str) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        answer = await write(desk, line)
        assert 0 < len(answer) < 1_000

    assert play(tmp_path, scene).asked == []


def test_a_refusal_of_the_engine_is_what_the_person_reads(tmp_path: Path) -> None:
    async def scene(desk: Desk, engine: FakePort, clock: Later) -> None:
        engine.error = SafetyRefusal("NOTIONAL_ABOVE_MAX: notional=5200 max=5000")
        assert await write(desk, "/resume") == "NOTIONAL_ABOVE_MAX: notional=5200 max=5000"

    play(tmp_path, scene)


def test_an_engine_that_is_gone_is_said(tmp_path: Path) -> None:
    async def main() -> str:
        door = EngineDoor(hedges=("btc",), index_dirs=(tmp_path,))
        desk = Desk("phone", door, RealClock(), trade=False)
        return await write(desk, "/status")

    assert "no engine runs 'btc'" in asyncio.run(main())
