"""One process of the engine: its hedges, its socket, its signals, and the exit code they end in."""

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Any

from hedge.config.dirs import prepare_dir
from hedge.config.plan import RunPlan
from hedge.config.settings import NotifierSettings
from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.errors import (
    ConfigError,
    HedgeError,
    InvariantBroken,
    JournalError,
    NotRunning,
    UsageError,
    redact_with,
)
from hedge.journal.lock import LOCK_NAME, held_elsewhere
from hedge.model.numbers import MS
from hedge.plugins.host import PluginHost, load_plugins
from hedge.roles import Alert, Can, Clock
from hedge.runtime import client
from hedge.runtime.api import Feed, StatusApi
from hedge.runtime.clock import MAX, RealClock, VirtualClock, VirtualLoop, new_loop
from hedge.runtime.logs import Redactor, RowLog, set_up
from hedge.runtime.notify.desk import Desk, EngineDoor
from hedge.runtime.notify.notifications import Notifications, notifier_secrets, open_notifiers
from hedge.runtime.openings import Openings
from hedge.runtime.quiet import quiet_interpreter
from hedge.runtime.roles_open import served_by
from hedge.runtime.sdnotify import SdNotify
from hedge.runtime.session import Session
from hedge.runtime.signals import Signals
from hedge.runtime.snapshot import HedgeSnapshot
from hedge.runtime.supervise import Supervisor, run_out
from hedge.runtime.tick import Ticker
from hedge.runtime.words import render_row

log = logging.getLogger(__name__)
INTERRUPTED_TWICE = 130
LATE_S = 60
"""How long a start may ask its venues before somebody is told."""
UNSHOWN_MAX = 256
"""Rows that may wait to be shown; with more of them each new one has the oldest shown first."""


def run(plan: RunPlan) -> int:
    """Run every hedge of the plan to its end; return the exit code of product.md."""
    settings = plan.resolved.settings
    wanted = {
        ref.venue
        for name in plan.names
        for ref in (plan.hedge(name).spot_ref, plan.hedge(name).futures_ref)
    }
    host = load_plugins(
        sorted(wanted),
        allow=settings.plugins.allow,
        venues=settings.venues,
        live=plan.live,
        lock=plan.resolved.place,
    )
    virtual = all(Can.VIRTUAL_TIME in host.spec(venue).can for venue in wanted)
    if plan.speed != "real" and not virtual:
        raise ConfigError(f"run.speed = {plan.speed!r} needs venues that run on virtual time")
    prepare_dir(plan.state_dir)
    loop = new_loop(virtual=virtual, factor=speed_factor(plan.speed))
    clock: Clock = VirtualClock(loop) if isinstance(loop, VirtualLoop) else RealClock()
    redactor = Redactor(
        secret for account in settings.accounts.values() for secret in account.secrets().values()
    )
    for secret in notifier_secrets(settings):
        redactor.add(secret)
    redact_with(redactor.text)
    set_up(as_json=plan.log_json, redactor=redactor)
    return run_out(loop, App(plan, host, clock, redactor).run())


def speed_factor(speed: str) -> int:
    """Return how many times as fast as life; `MAX` never waits."""
    if speed == "max":
        return MAX
    return 1 if speed == "real" else max(1, int(Decimal(speed)))


class App:
    """The thin router above the hedges; also what the status API may reach of them."""

    def __init__(self, plan: RunPlan, host: PluginHost, clock: Clock, redactor: Redactor) -> None:
        self.plan = plan
        self.sessions: dict[str, Session] = {}
        self.news = Feed()
        self._host = host
        self._clock = clock
        self._redactor = redactor
        self._rows = RowLog(redactor, as_json=plan.log_json)
        self._supervisor = Supervisor()
        self._notify = SdNotify.from_env()
        self._told = self._notifiers()
        self._interrupted: asyncio.Future[int] | None = None
        self._panel: Any = None
        self._unshown: deque[tuple[str, Row]] = deque()
        self._shared: dict[tuple[str, str], dict[str, Any]] = {}
        self._openings: Openings
        self._api: StatusApi
        self._running = False
        self._late: set[str] = set()
        self._reports: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._one_report = asyncio.Lock()

    async def run(self) -> int:
        """Open, recover, run; close whatever happened."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._loop_failed)
        self._interrupted = loop.create_future()
        async with contextlib.AsyncExitStack() as stack:
            self._show(stack)
            stack.callback(self._show_rest)
            stack.callback(self._told.close)
            stack.push(self._tell_of_a_broken_end)
            self._told.start()
            self._openings = Openings(
                self.plan.names,
                virtual=self._clock.virtual,
                make=self._session,
                open_it=self._open,
                up=self._begun,
                down=self._not_begun,
            )
            stack.push_async_callback(self._openings.close)
            api = self._api = self._bound_api(stack)
            Signals(self._stop, self._end_at_once).catch(stack)
            if not self._clock.virtual:  # who waits for a venue can be asked why
                await api.start()
            beginning = loop.create_task(self._openings.begin())
            either: set[asyncio.Future[Any]] = {beginning, self._interrupted}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not beginning.done():
                return INTERRUPTED_TWICE
            beginning.result()
            stack.enter_context(quiet_interpreter())
            return await self._until_ended(api)

    # -- one hedge's start -----------------------------------------------------------------------

    def _session(self, name: str) -> Session:
        session = Session(name, self.plan, self._host, self._clock)
        session.owned = lambda: self._own(name)
        session.waits = lambda text, waited_s: self._waits(session, text, waited_s)
        session.say = self._say
        return session

    def _own(self, name: str) -> None:
        try:
            self._api.add(name)
        except HedgeError as error:  # it cannot be asked then; it trades all the same
            self._say(f"{name}: `hedge status` will not find it: {error}")

    def _waits(self, session: Session, text: str, waited_s: int) -> None:
        """Say that a start still asks; after a minute tell of a hedge that may be alone so long."""
        name = session.name
        self._say(f"{name}: {text}")
        if not self._running:  # or systemd would end what asks, and begin it anew
            self._notify.starting(2 * LATE_S, f"{name}: {text}")
        if waited_s >= LATE_S and session.lived and name not in self._late:
            self._late.add(name)
            self._tell_alarm("NOT_STARTED", name, f"not started after {waited_s} s: {text}")

    async def _open(self, session: Session) -> None:
        name = session.name
        await session.open(self._shared, (self._watch(name), self._told.watcher(name)))
        self._told.found(name, session.snapshot().alarms)

    def _begun(self, session: Session) -> None:
        self.sessions[session.name] = session
        self._late.discard(session.name)
        if not self._clock.virtual:  # a simulated key never changes
            self._supervisor.start(f"keys of {session.name}", session.watch_keys())
        # Not before: a start that is refused says the one line of why.
        for line in served_by(session.roles.providers):
            self._say(f"{session.name}: {line}")
        if self._running:
            self._notify.status(self._how_many())

    def _not_begun(self, name: str, error: HedgeError) -> None:
        """Say of one hedge among several that it is not there; a single one ends the process."""
        if len(self.plan.names) == 1:
            return
        text = f"not started: {_said(error)}"
        self._say(f"{name}: {text}")
        self._tell_alarm("NOT_STARTED", name, text)

    def _tell_of_a_broken_end(
        self, _kind: object, error: BaseException | None, _trace: object
    ) -> None:
        """Say what no row can: the journal that would hold it may be what is broken (F56).

        Only of a hedge that may have traded, and that no other engine runs.
        """
        if not isinstance(error, Exception):
            return
        known = isinstance(error, HedgeError)
        why = _said(error) if known else type(error).__name__
        code = error.exit_code if isinstance(error, HedgeError) else HedgeError.exit_code
        text = f"the engine has stopped (exit {code}), and nobody looks after it: {why}"
        for name in self.plan.names:
            session = self.sessions.get(name)
            if session is not None and session.engine.books.ended:
                continue  # its own row has said how
            elsewhere = held_elsewhere(self.plan.state_dir / name / LOCK_NAME)
            if self._openings.lived(name) and not elsewhere:
                self._tell_alarm("STOPPED", name, text)

    def _tell_alarm(self, key: str, hedge: str, text: str) -> None:
        """Tell every target what stands in no journal; of each hedge by itself."""
        alert = Alert(
            key=f"{hedge}:{key}",
            level="alarm",
            hedge=hedge,
            text=self._redactor.text(text),
            at=self._clock.now(),
        )
        self._told.tell(alert)

    def _how_many(self) -> str:
        waiting = self._openings.waiting
        return f"{len(self.sessions)} hedge(s)" + (
            f"; still waiting for venues: {', '.join(waiting)}" if waiting else ""
        )

    def _bound_api(self, stack: contextlib.AsyncExitStack) -> StatusApi:
        """Take the places to listen at before a hedge begins: none ends because one is taken."""
        api = StatusApi(
            self,
            hedges=(),
            runtime_dir=self.plan.runtime_dir,
            index_dirs=client.index_directories(self.plan.state_dir),
            metrics_listen=self.plan.resolved.settings.metrics.listen,
        )
        stack.push_async_callback(api.close)
        api.bind()
        return api

    async def _until_ended(self, api: StatusApi) -> int:
        supervisor = self._supervisor
        self._running = True
        await api.start()
        supervisor.start("status api", api.serve())
        unpaced = self.plan.speed == "max"
        ticker = Ticker(
            self.sessions.values(), self._clock, self._notify, self._say, unpaced=unpaced
        )
        tick_ms = self.plan.resolved.settings.run.tick_ms
        supervisor.start("tick", ticker.run(tick_ms * MS))
        supervisor.start("hedges", self._hedges())
        assert self._interrupted is not None
        supervisor.start("signals", _wait(self._interrupted))
        # A hedge runs: one that waits for its venue must not have systemd end the others.
        self._notify.ready(self._how_many())
        ended = await supervisor.run()
        self._notify.stopping()
        if isinstance(ended.error, JournalError):
            for session in self.sessions.values():  # none of them is looked after any more
                session.fail(ended.error)
        if ended.error is not None and not isinstance(ended.error, SystemExit):
            raise InvariantBroken(ended.text) if ended.broken else ended.error
        return ended.exit_code

    async def _hedges(self) -> int:
        """Wait for every hedge's end; the first code that is not 0 is the process's.

        All at once: one that breaks must not wait to be seen until those before it have ended.
        """
        codes = await asyncio.gather(*(self._end(name) for name in self.plan.names))
        return next((code for code in codes if code), 0)

    async def _end(self, name: str) -> int:
        await self._openings.through(name)
        if name in self._openings.failed:
            return self._openings.failed[name].exit_code
        session = self.sessions.get(name)
        if session is None:
            return 0  # told to stop before it had begun, and it had never lived
        end = await asyncio.shield(session.ended)  # it is the session's, whatever becomes of us
        if end.exit_code:
            self._say(f"{name}: {end.reason}: {end.text}")
        return end.exit_code

    def _loop_failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback or a task of ours raised: nobody is left to catch it, the process ends (F27).

        Not so an answer that nobody waits for: a library fails its futures with their connection.
        """
        error = context.get("exception") or HedgeError(str(context.get("message")))
        future = context.get("future")
        if future is not None and not isinstance(future, asyncio.Task):
            log.info("an answer that nobody waited for: %s", type(error).__name__)
            return
        for session in self.sessions.values():
            session.fail(error)

    def _say(self, text: str) -> None:
        print(f"hedge: {self._redactor.text(text)}", file=sys.stderr, flush=True)  # noqa: T201 - for who started it, or the unit's own log

    # -- views -----------------------------------------------------------------------------------

    def _show(self, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> None:
        plan = self.plan
        if plan.log_json or plan.no_view or not sys.stdout.isatty():
            return
        from hedge.runtime.panel import Panel  # noqa: PLC0415 - rich only where it is looked at

        self._panel = stack.enter_context(Panel())

    def _notifiers(self) -> Notifications:
        door = EngineDoor(
            hedges=tuple(self.plan.names), index_dirs=client.index_directories(self.plan.state_dir)
        )
        clock = RealClock()  # people live in real time, however fast a simulation runs

        def desk_of(name: str, one: NotifierSettings) -> Desk | None:
            return Desk(name, door, clock, trade=one.trade) if one.commands else None

        return open_notifiers(
            self._host,
            self.plan.resolved.settings,
            clock,
            say=self._say,
            strike=self._redactor.text,
            desk_of=desk_of,
        )

    def _watch(self, name: str) -> Any:
        def watch(row: Row) -> None:
            # A turn of the loop later, and one row a turn: no order waits for a line to be shown.
            if not self._unshown:
                asyncio.get_running_loop().call_soon(self._show_next)
            elif len(self._unshown) >= UNSHOWN_MAX:
                self._show_one()
            self._unshown.append((name, row))

        return watch

    def _show_next(self) -> None:
        self._show_one()
        if self._unshown:
            asyncio.get_running_loop().call_soon(self._show_next)

    def _show_one(self) -> None:
        name, row = self._unshown.popleft()
        self._api.meters.take(name, row)
        if self._panel is not None:
            self._panel.update(self.snapshots())
        else:
            self._rows.write(name, row)
        self.news.publish({"hedge": name, **render_row(row)})

    def _show_rest(self) -> None:
        while self._unshown:
            self._show_one()

    # -- what the status API asks ----------------------------------------------------------------

    def snapshots(self) -> Sequence[HedgeSnapshot]:
        sessions = self.sessions
        return [sessions[name].snapshot() for name in self.plan.names if name in sessions]

    def absent(self) -> dict[str, str]:
        waits = dict.fromkeys(self._openings.waiting, "not started: waits for its venues")
        failed = {
            name: self._redactor.text(f"not started: {_said(error)}")
            for name, error in self._openings.failed.items()
        }
        return waits | failed

    def ask(
        self,
        hedge: str,
        *,
        verb: e.Verb,
        request_id: str,
        subject: str,
        usd: Decimal | None,
        quantity: Decimal | None,
        by: str,
    ) -> dict[str, object]:
        """Put a person's command to one hedge; what came of it is in its rows."""
        session = self.sessions[hedge]
        if session.over and (verb is not e.Verb.ACK or session.pump.failed):
            # It would be written down, and done by surprise at the next start.
            raise NotRunning(f"{hedge} has ended here; start it with `hedge run {hedge}`")
        books = session.engine.books
        standing: dict[e.Verb, list[str]] = {
            e.Verb.ACK: list(books.alarms),
            e.Verb.CLEAR: list(books.trips),
        }
        known = standing.get(verb)
        if known is not None and subject not in ("", "*") and subject not in known:
            there = ", ".join(known) or "none"
            raise UsageError(f"{hedge} has no {subject!a} to {verb.value}; there is {there}")
        said: list[str] = []
        listener = _notices(said)
        session.pump.watchers.append(listener)
        session.ask(
            e.OperatorAsked(
                at=self._clock.now(),
                verb=verb,
                request_id=request_id,
                subject=subject,
                usd=usd,
                quantity=quantity,
                by=by,
            )
        )
        session.pump.watchers.remove(listener)
        if said:
            return {"accepted": False, "text": "; ".join(said)}
        trip = books.trips and f" (tripped: {', '.join(books.trips)})"
        return {"accepted": True, "text": f"{verb.value} asked of {hedge}{trip or ''}"}

    def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        return self.news.subscribe()

    async def report(self, hedge: str) -> dict[str, Any]:
        """Attribute the whole journal; who asks while it is done is told what comes of it.

        One at a time, however many ask: each takes its share of the interpreter, and of the
        threads in which a name is looked up when a venue has to be reached again.
        """
        if hedge not in self.sessions:
            raise UsageError(f"no hedge {hedge!a} runs here")
        if hedge not in self._reports:
            making = asyncio.get_running_loop().create_task(self._made_report(hedge))
            making.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._reports[hedge] = making
        return await asyncio.shield(self._reports[hedge])

    async def _made_report(self, hedge: str) -> dict[str, Any]:
        """Do so in a thread: a year of it would hold up a hedge for long."""
        from hedge.report import attribution, render  # noqa: PLC0415 - not before it is asked for

        try:
            async with self._one_report:
                rows = self.sessions[hedge].log.rows()
                return await asyncio.to_thread(lambda: render.as_data(attribution.attribute(rows)))
        finally:
            del self._reports[hedge]

    def now(self) -> int:
        return self._clock.now()

    # -- signals ---------------------------------------------------------------------------------

    def _end_at_once(self) -> None:
        if self._interrupted is not None and not self._interrupted.done():
            self._interrupted.set_result(INTERRUPTED_TWICE)

    def _stop(self, by: str) -> None:
        self._openings.stop()
        for name, session in self.sessions.items():
            if session.over:
                continue
            self.ask(
                name,
                verb=e.Verb.STOP,
                request_id=f"{by}:{self._clock.now()}",
                subject="",
                usd=None,
                quantity=None,
                by=by,
            )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


REFUSALS = ("NOT_ADOPTED", "NOTHING_TO_ADOPT", "BELOW_MINIMUM", "NOTIONAL_ABOVE_MAX", "STOPPING")


def _notices(said: list[str]) -> Callable[[Row], None]:
    """Return a watcher that keeps why a person's command was not done."""

    def watch(row: Row) -> None:
        if isinstance(row.entry, c.Notice) and row.entry.key in REFUSALS:
            said.append(row.entry.text)

    return watch


async def _wait(future: "asyncio.Future[int]") -> int:
    return await future
