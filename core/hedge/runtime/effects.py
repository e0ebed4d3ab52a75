"""Doing what the core wished, and turning every outcome into a fact; the one place of doubt.

A refusal is a refusal only by `hedge.errors.Refused` (a venue's allow-listed code) or when nothing
left this process. Every other end of a placed order (a timeout, a reset, a 5xx, an error nobody
foresaw) is `OrderUnanswered`. Nothing in here sends an order twice.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.terms import HedgeTerms
from hedge.errors import Limited, Refused, Unreachable, redacted
from hedge.journal.committer import Committer
from hedge.model import Leg, Order, OrderReport
from hedge.model.numbers import MS, SECOND
from hedge.roles import Clock, OrderGateway, TimerHandle
from hedge.runtime.at_once import AtOnce
from hedge.runtime.customs import fault
from hedge.runtime.recover import Auditor
from hedge.runtime.roles_open import Roles
from hedge.runtime.supervise import put_down

READ_TIMEOUT = 20 * SECOND
EQUITY_TIMEOUT = 10 * SECOND
EQUITY_APART = 2 * SECOND
QUOTES_APART = SECOND // 4
CANCELS_S = 5
"""How long the end of a failed journal waits for its cancels."""
TASKS_MAX = 64
"""More than this many requests under way at once is a bug: two legs make at most a handful."""


class Mids(Protocol):
    """Where the mids of the moment are read."""

    def mid(self, leg: Leg) -> Decimal | None: ...


class Effects:
    """Performs the commands of one engine; answers come back through ``feed``."""

    def __init__(
        self,
        *,
        clock: Clock,
        roles: Roles,
        terms: HedgeTerms,
        mids: Mids,
        decided_at: Callable[[], int],
        feed: Callable[[e.AnyEvent], None],
        committer: Committer,
        end: Callable[[c.EndRun], None],
    ) -> None:
        self._clock = clock
        self._roles = roles
        self._terms = terms
        self._mids = mids
        self._decided_at = decided_at
        self._feed = feed
        self._committer = committer
        self._end = end
        self._auditor = Auditor(roles, terms, clock)
        self._ack = {
            Leg.SPOT: roles.spot_gateway.limits.ack_timeout_ms * MS,
            Leg.FUTURES: roles.futures_gateway.limits.ack_timeout_ms * MS,
        }
        self._at_once = AtOnce()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._cancels: dict[str, asyncio.Task[OrderReport]] = {}
        """By id, those of an end without a journal."""
        self._timer: TimerHandle | None = None
        self._equity_asked = ""
        self._closed = False

    def perform(self, command: c.AnyCommand) -> None:
        """Begin one deed; never blocks, never raises for what a venue does."""
        match command:
            case c.PlaceOrder(order=order):
                self._place(order)
            case c.CancelOrder():
                self._cancel(command)
            case c.WakeAt(wake_at=wake_at):
                self._wake(wake_at)
            case c.AuditLeg():
                self._audit(command)
            case c.LeaseIds():
                self._lease(command)
            case c.ReadEquity(label=label):
                self._equity_asked = label
                self._read_equity(label)
            case c.EndRun():
                self._end(command)
            case _:
                pass  # only for the books

    def cancel_spot(self, order_ids: Iterable[str]) -> None:
        """Begin to cancel spot orders, each once and without a row; `close` waits for the answers.

        A cancel only takes risk away, and the next start reads what came of it at the venue.
        """
        cancel = self._roles.spot_gateway.cancel_order
        symbol = self._terms.spot.instrument.symbol
        for one in order_ids:
            if one not in self._cancels:
                work = cancel(symbol, one)
                name = f"the cancel of {one}"
                self._cancels[one] = asyncio.get_running_loop().create_task(work, name=name)

    async def close(self) -> None:
        """Stop the timer and give up what is under way; its outcome is for the next start."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._at_once.close()
        if self._cancels:
            await asyncio.wait(self._cancels.values(), timeout=CANCELS_S)
        for task in self._tasks:
            task.set_name(f"a request of {self._terms.name}")
        await put_down([*self._tasks, *self._cancels.values()])

    # -- orders ----------------------------------------------------------------------------------

    def _gateway(self, leg: Leg) -> OrderGateway:
        return self._roles.spot_gateway if leg is Leg.SPOT else self._roles.futures_gateway

    def _place(self, order: Order) -> None:
        gateway = self._gateway(order.leg)
        too_late = self._decided_at() + order.recv_window_ms * MS + SECOND

        async def send() -> OrderReport:
            # A process that stalled since it was decided must not send it any more.
            if self._clock.now() > too_late:
                raise Refused("stalled before the send", code="STALLED_BEFORE_SEND")
            return await gateway.place_order(order)

        def settle(task: asyncio.Task[OrderReport]) -> None:
            at, leg, client_order_id = self._clock.now(), order.leg, order.client_order_id
            error = None if task.cancelled() else task.exception()
            if task.cancelled():
                self._feed(
                    e.OrderUnanswered(
                        at=at, leg=leg, client_order_id=client_order_id, why="no answer in time"
                    )
                )
            elif error is None:
                self._answered(leg, client_order_id, task.result())
            elif isinstance(error, Refused | Unreachable):
                code = error.code if isinstance(error, Refused) else "UNREACHABLE"
                self._feed(
                    e.OrderRefused(
                        at=at,
                        leg=leg,
                        client_order_id=client_order_id,
                        code=redacted(code) or type(error).__name__,
                        text=redacted(str(error)),
                    )
                )
            else:
                self._feed(
                    e.OrderUnanswered(
                        at=at, leg=leg, client_order_id=client_order_id, why=_name(error)
                    )
                )

        self._begin(send(), settle, self._ack[order.leg], at_once=True)

    def _answered(self, leg: Leg, client_order_id: str, report: OrderReport) -> None:
        """Pass on an answer that is sound and this order's; any other says nothing of it (R5)."""
        at, wrong = self._clock.now(), _unlike(report, client_order_id)
        if wrong:
            self._feed(
                e.OrderUnanswered(at=at, leg=leg, client_order_id=client_order_id, why=wrong)
            )
            return
        self._feed(e.OrderReported(at=at, leg=leg, report=report))

    def _cancel(self, command: c.CancelOrder) -> None:
        gateway = self._gateway(command.leg)
        symbol = self._symbol(command.leg)

        def settle(task: asyncio.Task[OrderReport]) -> None:
            at = self._clock.now()
            error = None if task.cancelled() else task.exception()
            why = "no answer in time" if error is None else _name(error)
            if error is None and not task.cancelled():
                why = _unlike(task.result(), command.client_order_id)
                if not why:
                    self._feed(e.OrderReported(at=at, leg=command.leg, report=task.result()))
                    return
            self._feed(
                e.CancelUnsettled(
                    at=at, leg=command.leg, client_order_id=command.client_order_id, why=why
                )
            )

        self._begin(
            gateway.cancel_order(symbol, command.client_order_id),
            settle,
            gateway.limits.ack_timeout_ms * MS,
        )

    def _symbol(self, leg: Leg) -> str:
        terms = self._terms.spot if leg is Leg.SPOT else self._terms.futures
        return terms.instrument.symbol

    # -- reads -----------------------------------------------------------------------------------

    def _audit(self, command: c.AuditLeg) -> None:
        def settle(task: asyncio.Task[e.LegAudited]) -> None:
            at = self._clock.now()
            error = None if task.cancelled() else task.exception()
            if error is None and not task.cancelled():
                self._feed(msgspec.structs.replace(task.result(), at=at))
                return
            self._feed(
                e.LegUnread(
                    at=at,
                    leg=command.leg,
                    audit_id=command.audit_id,
                    why="no answer in time"
                    if error is None
                    else redacted(f"{_name(error)}: {error}"),
                    # What is over a limit was no answer: it is asked again.
                    refused=isinstance(error, Refused) and not isinstance(error, Limited),
                )
            )

        self._begin(self._auditor.audit(command), settle, READ_TIMEOUT)

    def _read_equity(self, label: str) -> None:
        # Again until it succeeds, or until another measurement is asked for.
        spot_mid = self._mids.mid(Leg.SPOT)
        futures_mid = self._mids.mid(Leg.FUTURES)

        def settle(task: asyncio.Task[e.EquitySeen]) -> None:
            if not task.cancelled() and task.exception() is None:
                if label == self._equity_asked:
                    self._feed(msgspec.structs.replace(task.result(), at=self._clock.now()))
                return
            self._clock.call_at(self._clock.now() + EQUITY_APART, read_again)

        def read_again() -> None:
            if not self._closed and label == self._equity_asked:
                self._read_equity(label)

        if spot_mid is None or futures_mid is None:  # no account is worth anything at price zero
            self._clock.call_at(self._clock.now() + QUOTES_APART, read_again)
            return
        self._begin(self._auditor.equity(label, spot_mid, futures_mid), settle, EQUITY_TIMEOUT)

    # -- ids and time ----------------------------------------------------------------------------

    def _lease(self, command: c.LeaseIds) -> None:
        """Have the lease synced behind; its ids may be used when that is done (R3)."""

        def leased() -> None:
            if not self._closed:
                self._feed(
                    e.IdsLeased(
                        at=self._clock.now(),
                        leg=command.leg,
                        epoch=command.epoch,
                        first=command.first,
                        last=command.last,
                    )
                )

        self._committer.sync_then(leased)

    def _wake(self, wake_at: int) -> None:
        if self._timer is not None:
            self._timer.cancel()

        def fire() -> None:
            self._timer = None
            if not self._closed:
                self._feed(e.TimerFired(at=self._clock.now()))

        self._timer = self._clock.call_at(wake_at, fire)

    # -- tasks -----------------------------------------------------------------------------------

    def _begin(
        self,
        work: Coroutine[Any, Any, Any],
        settle: Callable[[asyncio.Task[Any]], None],
        timeout: int,
        *,
        at_once: bool = False,
    ) -> None:
        """Run one request with its deadline; a cancelled task is one that had no answer in time."""
        assert len(self._tasks) < TASKS_MAX, "requests pile up"
        begin = self._at_once.begin if at_once else asyncio.get_running_loop().create_task
        task: asyncio.Task[Any] = begin(work)
        self._tasks.add(task)
        deadline = self._clock.call_at(self._clock.now() + timeout, lambda: _cancel(task))

        def done(ended: asyncio.Task[Any]) -> None:
            deadline.cancel()
            self._tasks.discard(ended)
            if not self._closed:
                settle(ended)
            elif not ended.cancelled():
                ended.exception()

        task.add_done_callback(done)


def _unlike(report: OrderReport, client_order_id: str) -> str:
    wrong = fault(report, OrderReport)
    if not wrong and report.client_order_id != client_order_id:
        wrong = "of another order"
    return f"the answer is not sound: {wrong}" if wrong else ""


def _name(error: BaseException) -> str:
    return type(error).__name__


def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
