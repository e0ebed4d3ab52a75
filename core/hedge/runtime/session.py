"""One hedge in one process: its locks, its journal, its roles, its engine, from open to close."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hedge.config.dirs import claims_directory, prepare_dir
from hedge.config.plan import RunPlan
from hedge.config.settings import hedge_terms_parts
from hedge.config.values import VenueRef
from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.rows import Row
from hedge.decide.terms import HedgeTerms, LegTerms
from hedge.errors import (
    ConfigError,
    HedgeError,
    JournalError,
    Limited,
    LockHeld,
    Malformed,
    Missing,
    OutcomeUnknown,
    Refused,
    SafetyRefusal,
    Unreachable,
    redacted,
    writing,
)
from hedge.journal import boot_id
from hedge.journal.committer import Committer, InlineCommitter, ThreadCommitter
from hedge.journal.disk import REAL, Disk
from hedge.journal.frame import NAME as LOG_NAME
from hedge.journal.lock import LOCK_NAME, claim, hold
from hedge.journal.log import JournalLog
from hedge.journal.table import BUSY_S, Projection
from hedge.journal.upkeep import clear_restored_mark, restored_mark
from hedge.model import Instrument, Leg
from hedge.model.numbers import SECOND
from hedge.plugins.host import PluginHost
from hedge.roles import AccountCheck, Can, Clock, MarketFeed, OrderGateway
from hedge.runtime import picture
from hedge.runtime.continuity import (
    epoch_seen,
    holds,
    locked_by_restarts,
    same_accounts,
    same_instruments,
)
from hedge.runtime.effects import Effects
from hedge.runtime.hurried import hurried
from hedge.runtime.kill import KillFiles
from hedge.runtime.pump import Pump
from hedge.runtime.recorder import Recorder
from hedge.runtime.rights import Findings, Keys
from hedge.runtime.roles_open import Roles, open_roles
from hedge.runtime.sinks import account_sink, market_sink
from hedge.runtime.snapshot import HedgeSnapshot
from hedge.runtime.whose import whose

T = TypeVar("T")
READ_PAUSES_S = (1, 2, 4, 8, 15, 30)
"""How long a start waits between its tries to read what it cannot begin without: a minute."""
READ_PATIENCE_S = (30,) * 58
"""What a hedge that has lived before adds to it: half an hour, for it may hold a position."""
SAID_FROM_S = 15
"""A pause this long is worth a line on stderr."""
SYNC_S = 10
"""How long the row of an end may take to be on the disk."""
PROJECT_EVERY = 2_000
"""Rows between two inline projections when time is virtual."""
OWNERS = "hedge.owners"
"""Under what key the hedges of one process keep which of them owns what on an account."""


class Session:
    """One hedge. `open` recovers nothing by itself: the first events do, as at any other time."""

    def __init__(
        self,
        name: str,
        plan: RunPlan,
        host: PluginHost,
        clock: Clock,
        *,
        disk: Disk = REAL,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        """Prepare; ``disk`` keeps the journal, ``boot`` names this boot of the machine."""
        self.name = name
        self.plan = plan
        self.settings = plan.hedge(name)
        self.directory = plan.state_dir / name
        self.engine: Engine
        self.pump: Pump
        self.log: JournalLog
        self.ended: asyncio.Future[c.EndRun] = asyncio.get_running_loop().create_future()
        self.roles: Roles
        self._host = host
        self._clock = clock
        self._disk = disk
        self._boot = boot
        self._stack = contextlib.AsyncExitStack()
        self._locks = contextlib.ExitStack()
        self._committer: Committer
        self._effects: Effects
        self._keys = Keys(clock)
        self._kill_files = KillFiles(self.directory)
        self._began_at = clock.now()
        self.lived = (self.directory / LOG_NAME).exists()
        """Whether this hedge may have traded before; known for sure once it is open."""
        self.say: Callable[[str], None] = lambda _: None
        self.waits: Callable[[str, int], None] = lambda _text, _waited_s: None
        """Is told why a start still asks, and for how many seconds it has."""
        self.owned: Callable[[], None] = lambda: None
        """Is told that this process has the locks of the hedge."""

    # -- opening ---------------------------------------------------------------------------------

    async def open(
        self,
        shared: dict[tuple[str, str], dict[str, Any]],
        watchers: tuple[Callable[[Row], None], ...] = (),
    ) -> None:
        """Take the locks, open the venues and the journal, rebuild the state; send nothing yet."""
        prepare_dir(self.directory)
        self._stack.callback(self._locks.close)
        self._locks.enter_context(hold(self.directory / LOCK_NAME, what=f"hedge {self.name}"))
        self._claim(shared)
        self.owned()
        if self.plan.sim_reset:
            reset_simulation(self.directory)
        self.roles = await open_roles(
            self._stack,
            self._host,
            self.settings,
            settings=self.plan.resolved.settings,
            clock=self._clock,
            directory=self.directory,
            shared=shared,
            dry=self._dry,
        )
        self.log = JournalLog.open(
            self.directory, hedge=self.name, at=self._clock.now(), disk=self._disk
        )
        self._stack.callback(self.log.close)
        if cut := self.log.mended:
            self.say(
                f"{self.name}: the last write of its journal was not whole: {cut.dropped} bytes"
                f" behind {cut.offset} were cut off and are kept in {cut.kept_in}"
            )
        self.lived = self.log.next_seq > 1
        terms = await self._terms()
        self.engine = Engine(terms)
        before, last_at = self._replay()
        if self._clock.virtual:
            self._clock.begin_at(last_at)
        same_instruments(terms, before, self.engine)
        same_accounts(terms, before, self.engine, self._boot())
        self._findings = await self._judge_keys()
        futures = terms.futures.instrument.symbol
        self._unprepared = await self._prepare(futures, terms.limits.leverage)
        committer = self._committer = self._open_committer()
        self.pump = Pump(self.engine, self.log, committer, fail=self.fail)
        self.pump.watchers.extend(watchers)
        if self.plan.record is not None:
            recorder = Recorder(self.plan.record, self.name)
            self._stack.callback(recorder.close)
            self.pump.record = recorder.take
        self._stack.callback(self.pump.close)
        self._effects = Effects(
            clock=self._clock,
            roles=self.roles,
            terms=terms,
            mids=self.engine.market,
            decided_at=lambda: self.engine.now,
            feed=self.pump.feed,
            committer=committer,
            end=self._end,
        )
        self._stack.push_async_callback(self._effects.close)
        self.pump.perform = self._effects.perform

    async def _judge_keys(self) -> Findings:
        """Refuse to begin with a key that may too little or too much (exit 5, nothing sent).

        An open hedge is not left alone for it: there the objections become an alarm.
        """
        roles, hedge = self.roles, self.settings
        accounts = self.plan.resolved.settings.accounts
        for ref, check in (
            (hedge.spot_ref, roles.spot_check),
            (hedge.futures_ref, roles.futures_check),
        ):
            environment = self._host.environment(ref.venue)
            self._keys.add(ref, check, accounts.get(ref.account_name), environment)
        found = await self._keys.judge(self._read)
        if found.objections and not holds(self.engine):
            raise SafetyRefusal("\n".join(found.objections))
        return found

    async def _prepare(self, symbol: str, leverage: int) -> str:
        """Set leverage and mode; where the venue will not, return why (an open hedge goes on)."""
        try:
            with whose(self.settings.futures_ref):
                await self._read(lambda: self.roles.futures_gateway.prepare(symbol, leverage))
        except Limited:
            raise
        except Refused as error:
            if not holds(self.engine):
                raise
            return redacted(str(error))
        return ""

    @property
    def _dry(self) -> bool:
        """Return whether fills are made up here; simulated venues make up theirs themselves."""
        refs = (self.settings.spot_ref, self.settings.futures_ref)
        virtual = all(Can.VIRTUAL_TIME in self._host.spec(ref.venue).can for ref in refs)
        return self.plan.dry_run and not virtual

    def _claim(self, shared: dict[tuple[str, str], dict[str, Any]]) -> None:
        """Own the perpetual, and the coin, on their accounts: for this user, and in this process.

        Of two hedges on one pot of coins neither could see that coins of it were sold: what the
        other one holds would pass for them, and could be adopted.
        """
        if self._dry:
            return
        settings = self.settings
        coin = settings.symbol.partition("/")[0]
        for ref, what in ((settings.futures_ref, settings.perpetual), (settings.spot_ref, coin)):
            owners = shared.setdefault((ref.venue, ref.account), {}).setdefault(OWNERS, {})
            owner = owners.setdefault(what, self.name)
            if owner != self.name:
                raise LockHeld(
                    f"{what} on the account {ref.account_name} of {ref.venue} is the hedge"
                    f" {owner}'s; nothing was sent: give {self.name} an account of its own"
                )
            simulated = Can.VIRTUAL_TIME in self._host.spec(ref.venue).can
            # A simulated account lives in the hedge's directory, and so does the claim on it.
            where = self.directory if simulated else claims_directory()
            account = ref.account if simulated else ref.account_name
            self._locks.enter_context(claim(where, ref.venue, account, what))

    async def _terms(self) -> HedgeTerms:
        settings = self.settings
        funding, execution, limits = hedge_terms_parts(settings, self.plan.resolved.settings.run)
        if self._clock.virtual and self.plan.speed != "real":
            funding, limits = hurried(funding, limits, self.plan.sources(self.name))
        roles = self.roles
        return HedgeTerms(
            name=self.name,
            prefix=id_prefix(self.name, self.log.created_at),
            spot=await self._leg_terms(
                settings.spot_ref,
                settings.symbol,
                (roles.spot_feed, roles.spot_gateway, roles.spot_check),
            ),
            futures=await self._leg_terms(
                settings.futures_ref,
                settings.perpetual,
                (roles.futures_feed, roles.futures_gateway, roles.futures_check),
            ),
            usd=settings.usd,
            quantity=settings.quantity,
            inventory=settings.inventory,
            hedge_ratio=settings.hedge_ratio,
            funding=funding,
            execution=execution,
            limits=limits,
        )

    async def _leg_terms(
        self, ref: VenueRef, symbol: str, roles: tuple[MarketFeed, OrderGateway, AccountCheck]
    ) -> LegTerms:
        feed, gateway, check = roles
        try:
            instrument: Instrument = await self._read(lambda: feed.read_instrument(symbol))
        except Missing as error:
            text = f"SYMBOL_UNKNOWN: {error}: choose a symbol that both venues trade"
            raise ConfigError(text) from None
        with whose(ref):
            fees = await self._read(lambda: check.read_fees(symbol))
        limits = gateway.limits
        return LegTerms(
            instrument=instrument,
            account=f"{ref.account_name} ({self._host.environment(ref.venue)})",
            maker_fee=fees.maker,
            taker_fee=fees.taker,
            fee_in_base=fees.buy_asset == instrument.base,
            recv_window_ms=limits.recv_window_ms,
            fence_ms=limits.fence_ms,
            read_lag_ms=limits.read_lag_ms,
        )

    async def _read(self, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Read once more, a few times, what a start needs; nothing that could be an order."""
        pauses_s = READ_PAUSES_S if not self.lived else READ_PAUSES_S + READ_PATIENCE_S
        for pause_s in pauses_s:
            try:
                return await read()
            except (Unreachable, OutcomeUnknown, Limited, Malformed) as error:
                if pause_s >= SAID_FROM_S:
                    waited_s = (self._clock.now() - self._began_at) // SECOND
                    self.waits(f"still asking after {type(error).__name__}: {error}", waited_s)
                await self._clock.sleep_until(self._clock.now() + pause_s * SECOND)
        return await read()

    def _replay(self) -> tuple[HedgeTerms | None, int]:
        """Rebuild the books; return the terms of the last start and the time of the last row."""
        before: HedgeTerms | None = None
        starts: list[int] = []

        def seen(rows: Any) -> Any:
            nonlocal before
            for row in rows:
                if isinstance(row.entry, e.EngineStarted):
                    before = row.entry.terms
                    starts.append(row.at)
                elif isinstance(row.entry, c.EndRun):
                    starts.clear()
                yield row

        last_at = self.engine.replay(seen(self.log.rows()))
        self._starts = starts
        return before, last_at

    def _open_committer(self) -> Committer:
        if self._clock.virtual:
            inline = InlineCommitter(
                self.log,
                Projection.open(self.directory, disk=self._disk, patience_s=BUSY_S),
                every=PROJECT_EVERY,
                on_error=self.fail,
            )
            self._stack.callback(inline.close)
            return inline
        loop = asyncio.get_running_loop()
        thread = ThreadCommitter(
            self.log,
            lambda: Projection.open(self.directory, disk=self._disk),
            post=loop.call_soon_threadsafe,
            on_error=self.fail,
        )
        self._stack.callback(thread.close)
        return thread

    # -- running ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Say that a process began, listen, and put the start line to the core."""
        clock, feed, roles, terms = self._clock, self.pump.feed, self.roles, self.engine.terms
        epoch = self.engine.books.epoch + 1
        restored = restored_mark(self.directory) is not None
        if restored or self.lived:
            # A log may have been cut without anybody saying so; the venues remember our ids.
            refs = (self.settings.spot_ref, self.settings.futures_ref)
            epoch = max(epoch, await self._read(partial(epoch_seen, roles, refs, self.engine)) + 1)
        feed(
            e.EngineStarted(
                at=clock.now(),
                boot_id=self._boot(),
                epoch=epoch,
                terms=terms,
                roles=roles.providers,
            )
        )
        if restored:
            self.log.sync()
            clear_restored_mark(self.directory)
        if (lock := locked_by_restarts(self._starts, clock.now())) is not None:
            self.ask(lock)
        self.heed_kill_files()  # not first with the first tick: an order may precede it
        self._tell_keys(self._findings)
        if self._unprepared:
            self._alarm("NOT_PREPARED", "page", self._unprepared)
        spot, futures = terms.spot.instrument.symbol, terms.futures.instrument.symbol
        long, short = (Leg.SPOT, spot), (Leg.FUTURES, futures)
        # To begin to listen is to read: a listing, the last settlement.
        at, to = self.settings.spot_ref, self.settings.futures_ref
        for ref, listen in (
            (at, partial(roles.spot_feed.listen, spot, market_sink(*long, clock, feed))),
            (to, partial(roles.futures_feed.listen, futures, market_sink(*short, clock, feed))),
            (at, partial(roles.spot_gateway.listen, spot, account_sink(*long, clock, feed))),
            (to, partial(roles.futures_gateway.listen, futures, account_sink(*short, clock, feed))),
            (to, partial(roles.funding.listen, futures, market_sink(*short, clock, feed))),
        ):
            with whose(ref):
                await self._read(listen)
        self.lived = True
        feed(
            e.ActionAsked(
                at=clock.now(),
                action=self.plan.action(self.name),
                request_id=self.plan.request_id,
                again=self.plan.again,
                enter_now=self.plan.enter_now,
                adopt=self.plan.adopt,
            )
        )

    async def watch_keys(self) -> None:
        """Look each day at what the keys may do, and raise an alarm of what is amiss."""
        await self._keys.watch(self._tell_keys)

    def _alarm(self, key: str, level: str, text: str) -> None:
        self.pump.feed(e.ShellAlarmed(at=self._clock.now(), key=key, level=level, text=text))

    def _tell_keys(self, found: Findings) -> None:
        if found.objections:
            self._alarm("KEY_RIGHTS", "page", "; ".join(found.objections))
        if found.endings:
            self._alarm("KEY_EXPIRES", "alarm", "; ".join(found.endings))
        if found.unread:
            self._alarm("KEY_UNREAD", "warning", found.unread)

    def ask(self, event: e.OperatorAsked) -> None:
        self.pump.feed(event)

    def heed_kill_files(self) -> None:
        """Ask for what the files FREEZE and LOCK in the hedge's directory ask for."""
        held = "OPERATOR" in self.engine.books.trips
        for request in self._kill_files.requests(self._clock.now(), held=held):
            self.ask(request)

    def snapshot(self) -> HedgeSnapshot:
        return picture.snapshot(
            self.engine,
            spot_venue=str(self.settings.spot_ref),
            futures_venue=str(self.settings.futures_ref),
            at=self._clock.now(),
        )

    # -- ending ----------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the run has ended, said or not yet."""
        return bool(self.engine.books.ended) or self.ended.done()

    def _end(self, command: c.EndRun) -> None:
        """Say that it has ended when that is on the disk: an end with 0 is one that is kept."""
        self._committer.sync_then(partial(self._say_end, command))
        if not self.ended.done():
            slow = JournalError(f"{self.log.path}: its end was not on the disk within {SYNC_S} s")
            late = self._clock.call_at(
                self._clock.now() + SYNC_S * SECOND,
                lambda: None if self.ended.done() else self.fail(slow),
            )
            self._stack.callback(late.cancel)

    def _say_end(self, command: c.EndRun) -> None:
        if not self.ended.done():
            self.ended.set_result(command)

    def fail(self, error: BaseException) -> None:
        """The journal, an invariant or a callback of ours broke: no order is sent any more."""
        self.pump.failed = True
        if isinstance(error, JournalError):
            self.cancel_resting()
        if not self.ended.done():
            known = isinstance(error, Exception)
            self.ended.set_exception(error if known else HedgeError(repr(error)))

    def cancel_resting(self) -> None:
        """Leave no spot order at the venue: without a journal nobody hedges its fills."""
        self._effects.cancel_spot(list(self.engine.books.spot.open))

    async def close(self) -> None:
        await self._stack.aclose()
        if self.ended.done() and not self.ended.cancelled():
            self.ended.exception()  # whoever awaited it has it; nobody else is to be told


def id_prefix(name: str, created_at: int) -> str:
    """Return six characters of our ids: one hedge, one journal; never beginning with T."""
    digest = hashlib.blake2b(f"{name}|{created_at}".encode(), digest_size=4).hexdigest().upper()
    return f"H{digest[:5]}"


def reset_simulation(directory: Path) -> None:
    """Begin a simulated venue anew; the journal of the old one is moved aside, never deleted."""
    old = [*directory.glob("sim-*"), *directory.glob("journal.*")]
    if not old:
        return
    aside = directory / f"before-reset-{1 + len(list(directory.glob('before-reset-*')))}"
    with writing(f"cannot move the old simulation to {aside}"):
        aside.mkdir(mode=0o700)
        for path in old:
            path.rename(aside / path.name)
