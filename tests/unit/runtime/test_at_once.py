"""Goal: an order leaves at once, its end is told as ever, and its row is written before it leaves.
Method: coroutines that end in every way; a real journal read back by the gateway that is asked.
"""

import asyncio
import contextvars
import decimal
from collections.abc import Callable, Coroutine
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
from hedge.runtime.at_once import AtOnce, Work
from hedge.runtime.clock import RealClock
from hedge.runtime.effects import Effects
from hedge.runtime.pump import Pump

Begin = Callable[[Work], asyncio.Task[Any]]


def in_a_callback(use: Callable[[Begin], Any]) -> Any:
    """Return what awaiting ``use(begin)`` gives; it is called as sinks are: in no task."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Any] = loop.create_future()
        at_once = AtOnce()

        def call() -> None:
            try:
                found.set_result(use(at_once.begin))
            except Exception as error:  # noqa: BLE001 - handed on to who waits
                found.set_exception(error)

        loop.call_soon(call)
        waits_for = await found
        try:
            return await asyncio.wait_for(waits_for, 5)
        finally:
            at_once.close()

    return asyncio.run(main())


ASKED: contextvars.ContextVar[str] = contextvars.ContextVar("asked", default="by nobody")


def test_what_its_first_step_sets_is_its_own_and_a_later_step_takes_it_back() -> None:
    """As an SDK does around a request: a variable of the context, and a context of decimals."""

    async def work() -> tuple[str, int]:
        token = ASKED.set("by us")
        with decimal.localcontext() as ours:
            ours.prec = 5
            await asyncio.sleep(0)
            seen = ASKED.get(), decimal.getcontext().prec
        ASKED.reset(token)
        return seen

    outside: list[tuple[str, int]] = []

    def use(begin: Begin) -> asyncio.Task[tuple[str, int]]:
        outside.append((ASKED.get(), decimal.getcontext().prec))
        task = begin(work())
        outside.append((ASKED.get(), decimal.getcontext().prec))
        return task

    assert in_a_callback(use) == ("by us", 5)
    assert outside[0] == outside[1], "the first step left something with who began it"


def test_it_runs_up_to_its_first_wait_before_the_call_returns() -> None:
    seen: list[str] = []

    async def work() -> int:
        seen.append("sent")
        await asyncio.sleep(0)
        seen.append("answered")
        await asyncio.sleep(0)
        return 7

    def use(begin: Begin) -> Any:
        task = begin(work())
        seen.append("returned")
        return task

    assert in_a_callback(use) == 7
    assert seen == ["sent", "returned", "answered"]


async def ends_at_once() -> str:
    return "done"


async def fails_at_once() -> None:
    raise Refused("stalled", code="STALLED")


async def fails_later() -> None:
    await asyncio.sleep(0)
    raise Refused("no", code="NO")


def test_an_end_before_the_first_wait_is_for_who_awaits_it() -> None:
    assert in_a_callback(lambda begin: begin(ends_at_once())) == "done"


@pytest.mark.parametrize("work", [fails_at_once, fails_later])
def test_what_it_raises_is_for_who_awaits_it(work: Any) -> None:
    with pytest.raises(Refused):
        in_a_callback(lambda begin: begin(work()))


def test_a_deadline_of_its_own_cancels_it_and_not_somebody_else() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):  # asks which task it is in
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "never"

    assert in_a_callback(lambda begin: begin(work())) == "late"


def test_a_cancelled_task_cancels_the_work_where_it_waits() -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("yes")

    def use(begin: Begin) -> Any:
        task = begin(work())
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        return asyncio.wait({task})

    in_a_callback(use)
    assert cleaned == ["yes"]


def test_a_task_that_is_cancelled_in_the_same_turn_leaves_nothing_behind() -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("yes")

    def use(begin: Begin) -> Any:
        task = begin(work())
        task.cancel()
        return asyncio.wait({task})

    in_a_callback(use)
    assert cleaned == ["yes"]


def test_within_another_task_it_is_a_task_like_any() -> None:
    async def main() -> str:
        at_once = AtOnce()
        found: str = await at_once.begin(ends_at_once())
        at_once.close()
        return found

    assert asyncio.run(main()) == "done"


def test_two_of_one_turn_and_those_of_the_next_are_all_at_once() -> None:
    seen: list[str] = []

    async def work(name: str) -> None:
        seen.append(name)
        await asyncio.sleep(0)
        seen.append(name.upper())

    def use(begin: Begin) -> Any:
        first, second = begin(work("a")), begin(work("b"))
        assert first is not second and seen == ["a", "b"]

        async def then() -> None:
            await asyncio.wait({first, second})
            later = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(lambda: later.set_result(begin(work("c"))))
            await (await later)

        return then()

    in_a_callback(use)
    assert seen == ["a", "b", "A", "B", "c", "C"]


def test_what_ended_at_once_cannot_be_cancelled_any_more() -> None:
    def use(begin: Begin) -> Any:
        task = begin(ends_at_once())
        task.cancel()
        return task

    assert in_a_callback(use) == "done"


def test_nothing_is_left_behind_when_it_is_closed() -> None:
    async def main() -> int:
        at_once = AtOnce()
        await asyncio.sleep(0)
        at_once.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1


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
