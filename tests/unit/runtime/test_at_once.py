"""Goal: an order leaves at once, its end is told as ever, and its row is written before it leaves.
Method: coroutines that end in every way; a real journal read back by the gateway that is asked.
"""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.commands import Observation, Purpose
from hedge.errors import Refused
from hedge.journal import JournalLog
from hedge.journal.committer import InlineCommitter
from hedge.model import Leg, Order, OrderReport, ReportedStatus, Side, TimeInForce
from hedge.runtime.at_once import begin_at_once
from hedge.runtime.clock import RealClock
from hedge.runtime.effects import Effects
from hedge.runtime.pump import Pump


def in_a_callback(begin: Any) -> Any:
    """Return what ``begin()`` gives when it is called as sinks are: by the loop, in no task."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Any] = loop.create_future()

        def call() -> None:
            try:
                found.set_result(begin())
            except Exception as error:  # noqa: BLE001 - handed on to who waits
                found.set_exception(error)

        loop.call_soon(call)
        task = await found
        return await asyncio.wait_for(task, 5)

    return asyncio.run(main())


def test_it_runs_up_to_its_first_wait_before_the_call_returns() -> None:
    seen: list[str] = []

    async def work() -> int:
        seen.append("sent")
        await asyncio.sleep(0)
        seen.append("answered")
        await asyncio.sleep(0)
        return 7

    def begin() -> Any:
        task = begin_at_once(work())
        seen.append("returned")
        return task

    assert in_a_callback(begin) == 7
    assert seen == ["sent", "returned", "answered"]


async def ends_at_once() -> str:
    return "done"


async def fails_at_once() -> None:
    raise Refused("stalled", code="STALLED")


async def fails_later() -> None:
    await asyncio.sleep(0)
    raise Refused("no", code="NO")


def test_an_end_before_the_first_wait_is_for_who_awaits_it() -> None:
    assert in_a_callback(lambda: begin_at_once(ends_at_once())) == "done"


@pytest.mark.parametrize("work", [fails_at_once, fails_later])
def test_what_it_raises_is_for_who_awaits_it(work: Any) -> None:
    with pytest.raises(Refused):
        in_a_callback(lambda: begin_at_once(work()))


def test_a_deadline_of_its_own_cancels_it_and_not_somebody_else() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):  # asks which task it is in
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "never"

    assert in_a_callback(lambda: begin_at_once(work())) == "late"


def test_a_cancelled_task_cancels_the_work_where_it_waits() -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("yes")

    def begin() -> Any:
        task = begin_at_once(work())
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        return asyncio.wait({task})

    in_a_callback(begin)
    assert cleaned == ["yes"]


def test_a_task_that_is_cancelled_in_the_same_turn_leaves_nothing_behind() -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("yes")

    def begin() -> Any:
        task = begin_at_once(work())
        task.cancel()
        return asyncio.wait({task})

    in_a_callback(begin)
    assert cleaned == ["yes"]


def test_within_another_task_it_is_a_task_like_any() -> None:
    async def main() -> str:
        return await begin_at_once(ends_at_once())

    assert asyncio.run(main()) == "done"


# -- through the pump ----------------------------------------------------------------------------


@pytest.fixture
def order() -> c.PlaceOrder:
    return c.PlaceOrder(
        order=Order(
            client_order_id="HTEST0001F000001", leg=Leg.FUTURES, symbol="BTC/USDT:USDT",
            side=Side.SELL, quantity=Decimal(1), limit_price=Decimal(100),
            time_in_force=TimeInForce.IOC, signed_at=1, recv_window_ms=1_000,
        ),
        purpose=Purpose.HEDGE,
        observation=Observation(),
    )  # fmt: skip


class Engine:
    """Wishes one order for the first fact; the books are not what is tested here."""

    touched = False
    now = 1

    def __init__(self, order: c.PlaceOrder) -> None:
        self.wishes: list[tuple[c.PlaceOrder, ...]] = [(order,)]
        self.heard: list[e.AnyEvent] = []
        self.answered = asyncio.Event()
        self.market = SimpleNamespace(mid=lambda _: None)

    def handle(self, event: e.AnyEvent) -> tuple[c.PlaceOrder, ...]:
        self.heard.append(event)
        if isinstance(event, e.OrderReported):
            self.answered.set()
        return self.wishes.pop() if self.wishes else ()


class Gateway:
    """Reads, at the moment it is asked to send, what the journal has on the disk's side."""

    limits = SimpleNamespace(ack_timeout_ms=1_000)

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = b""

    def place_order(self, order: Any) -> Coroutine[Any, Any, OrderReport]:
        self.written = self.path.read_bytes()
        return self._answer(order.client_order_id)

    async def _answer(self, client_order_id: str) -> OrderReport:
        return OrderReport(client_order_id=client_order_id, status=ReportedStatus.WORKING)


def test_the_row_of_an_order_is_written_before_it_is_sent(
    tmp_path: Path, order: c.PlaceOrder
) -> None:
    clock = RealClock()
    log = JournalLog.open(tmp_path / "j", hedge="h", at=clock.now())
    gateway = Gateway(log.path)
    engine: Any = Engine(order)
    roles: Any = SimpleNamespace(spot_gateway=gateway, futures_gateway=gateway)
    terms: Any = SimpleNamespace()

    def failed(error: BaseException) -> None:
        raise error

    async def main() -> None:
        loop = asyncio.get_running_loop()
        committer = InlineCommitter(log, on_error=failed)
        pump = Pump(engine, log, committer, fail=failed)
        effects = Effects(
            clock=clock, roles=roles, terms=terms, mids=engine.market,
            decided_at=clock.now, feed=pump.feed, committer=committer, end=lambda _: None,
        )  # fmt: skip
        pump.perform = effects.perform
        fact = e.TimerFired(at=clock.now())
        sent_at_once: list[bool] = []

        def tell() -> None:
            pump.feed(fact)
            sent_at_once.append(bool(gateway.written))

        loop.call_soon(tell)
        await asyncio.wait_for(engine.answered.wait(), 5)
        assert sent_at_once == [True]
        assert isinstance(engine.heard[1], e.OrderReported)
        await effects.close()

    asyncio.run(main())
    log.close()
    assert order.order.client_order_id.encode() in gateway.written
