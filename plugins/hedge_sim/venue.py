"""The simulated venue as an asynchronous thing: time, requests, streams and faults.

All roles of one account share one `SimVenue`. It lives on the host's clock and on nothing else. In
virtual time the recording's time is the host's; in real time it begins at the first opening, and
``shift`` is the difference. Between two calls it does nothing; a timer wakes it each ``step_ms``
while an order works or shortly after, and each ``heartbeat_s``, at settlements and at scheduled
faults otherwise. Any request brings it up to the present first and pushes fresh quotes.
"""

from collections import deque
from collections.abc import Callable

from hedge.errors import ConfigError
from hedge.model import (
    Balance,
    FillKind,
    Leg,
    Mark,
    Position,
    PositionMode,
    StreamDown,
    StreamKind,
    StreamUp,
    TimeInForce,
)
from hedge.model.numbers import MS, SECOND
from hedge.roles import TimerHandle, VenueContext, VenueLimits
from hedge_sim.config import (
    BalanceChange,
    Deleveraging,
    Disconnect,
    Liquidation,
    ModeFlip,
    SimSettings,
)
from hedge_sim.exchange import Exchange
from hedge_sim.faults import FaultPlan, Planned
from hedge_sim.funding import FundingBook
from hedge_sim.market import build_markets
from hedge_sim.path import to_units
from hedge_sim.recording import Coin, Recording, load
from hedge_sim.records import Deposited, Ended, Founded, Happened, Opened, leg_of
from hedge_sim.streams import Stream
from hedge_sim.truth import VERSION, Truth, path_of

DATA_ENDED = "DATA_ENDED"
OUTAGE = "OUTAGE"
SNAPSHOTS_MAX = 4_096
SHOWN_APART = 200 * MS
"""Several requests within a moment are shown one fresh quote, not one each."""
MARGIN_APART = 1_000 * MS
"""How often a venue looks whether an account still carries its margin."""


Snapshot = tuple[int, tuple[Balance, ...], dict[str, Position]]


class SimVenue:
    """One account at the simulated venue; see the module."""

    def __init__(self, context: VenueContext) -> None:
        assert isinstance(context.settings, SimSettings)
        self.settings: SimSettings = context.settings
        self.clock = context.clock
        self.account_name = context.account
        self._state_dir = context.state_dir
        self._users = 0
        self._timer: TimerHandle | None = None
        self._timer_at = 0
        self._timers: dict[int, TimerHandle] = {}
        self._busy_until = 0
        self._pushed_at = -SHOWN_APART
        self._margin_at = 0
        self._dark: set[str] = set()
        self._snapshots: deque[Snapshot] = deque(maxlen=SNAPSHOTS_MAX)
        self.unreachable_until = 0
        self.ended = False
        faults = self.settings.faults
        self.limits = VenueLimits(
            recv_window_ms=self.settings.recv_window_ms,
            processing_max_ms=max(VenueLimits().processing_max_ms, faults.slow_processing_max_ms),
            read_lag_ms=self.settings.read_lag_ms,
            ack_timeout_ms=self.settings.ack_timeout_ms,
        )

    # Opening and closing

    async def open(self) -> None:
        """Load the recording and the truth; idempotent, counted."""
        self._users += 1
        if self._users == 1:
            try:
                self._found()
            except BaseException:
                self._users = 0
                raise

    def _found(self) -> None:
        settings = self.settings
        self.recording: Recording = load(
            settings.data,
            start=settings.start,
            end=settings.end,
            repeat_from=settings.repeat_from,
            bridge_max_s=settings.bridge_max_s,
        )
        path = path_of(self._state_dir, self.account_name) if self._state_dir else None
        self.truth = Truth(path)
        self.truth.open()
        try:
            self._enter_world()
        except BaseException:
            self.truth.close()
            raise

    def _enter_world(self) -> None:
        founded = next((r for r in self.truth.records if isinstance(r, Founded)), None)
        recording = self.recording
        if founded is None:
            shift = 0 if self.clock.virtual else self.clock.now() - recording.start
            world = Founded(
                at=recording.start + shift,
                version=VERSION,
                data=recording.name,
                seed=self.settings.seed,
                account=self.account_name,
                shift=shift,
                start=recording.start,
                end=recording.end,
            )
        else:
            self._check_world(founded)
            world = founded
        self.shift = world.shift
        markets = build_markets(recording, self.settings)
        self.coins: dict[str, Coin] = {coin.perp_symbol: coin for coin in recording.coins}
        self.exchange = Exchange(
            self.settings, recording.coins, markets, self.truth.append, self.shift
        )
        self.funding = FundingBook(recording.coins, self.shift)
        self._remember(world, is_new=founded is None)
        self._begin()

    def _check_world(self, founded: Founded) -> None:
        ours = (VERSION, self.recording.name, self.settings.seed, self.account_name)
        theirs = (founded.version, founded.data, founded.seed, founded.account)
        span = (self.recording.start, self.recording.end)
        if ours != theirs or span != (founded.start, founded.end):
            raise ConfigError(
                f"the simulated venue's truth is of data={founded.data} seed={founded.seed}, not "
                f"of data={self.recording.name} seed={self.settings.seed} (or of another stretch); "
                "start over with --sim-reset"
            )

    def _remember(self, world: Founded, *, is_new: bool) -> None:
        account = self.exchange.account
        for record in self.truth.records:
            account.apply(record)
        self.truth.records.clear()
        cut = [one for one in account.open.values() if one.order.time_in_force is TimeInForce.IOC]
        for placed in cut:  # the process died between accepting and matching; an IOC never rests
            order_id = placed.order.client_order_id
            self.exchange.record(Ended(at=account.last_at, client_order_id=order_id, why="ioc"))
        for placed in account.open.values():
            placed.limit_units = to_units(placed.order.limit_price)
            placed.at -= self.shift
        if is_new:
            self.exchange.record(world)
        for asset, quantity in self.settings.balances.items():
            if not account.sessions and asset not in account.deposits:
                self.exchange.record(
                    Deposited(at=world.at, asset=asset, quantity=quantity, why="initial")
                )
        session = account.sessions + 1
        self.exchange.record(Opened(at=max(account.last_at, world.at), session=session))

    def _begin(self) -> None:
        account = self.exchange.account
        recording = self.recording
        begin = max(self.truth.clock, account.last_at, recording.start + self.shift)
        if self.clock.virtual and begin > self.clock.now():
            self.clock.begin_at(begin)
        self._done = max(self.truth.done, recording.start)
        session = account.sessions
        self.ended = False
        self._dark.clear()
        self.plan = FaultPlan(self.settings, self.account_name, session, recording.start)
        self._planned = [p for p in self.plan.planned() if p.cause not in account.causes]
        self._next_disconnect = self.plan.next_disconnect(self._done)
        self.exchange.halted = self._halted
        self.market_stream = Stream(StreamKind.MARKET, self.clock, self.plan, self.shift)
        self.account_stream = Stream(StreamKind.ACCOUNT, self.clock, self.plan, self.shift)
        self.market_stream.on_up = self._market_up
        self.account_stream.on_up = self._account_up
        self.advance(self.clock.now())
        self.arm()

    async def close(self) -> None:
        self._users -= 1
        if self._users:
            return
        for timer in (self._timer, *self._timers.values()):
            if timer is not None:
                timer.cancel()
        self._timer = None
        self._timers.clear()
        self.truth.set_clock(max(self.truth.done + self.shift, self.clock.now()))
        self.truth.close()

    # Time

    def at(self) -> int:
        """Return the recording's time."""
        return self.clock.now() - self.shift

    def _halted(self, symbol: str, at: int) -> bool:
        return at >= self.recording.end or self.plan.halted(leg_of(symbol).value, at)

    def _call_at(self, at: int, callback: Callable[[], None]) -> None:
        key = len(self._timers)
        while key in self._timers:
            key += 1

        def run() -> None:
            self._timers.pop(key, None)
            callback()

        self._timers[key] = self.clock.call_at(at, run)

    def arm(self) -> None:
        """Set the one timer of the venue, and promise its time to the truth."""
        if self.ended:
            self.truth.set_clock(self.clock.now())
            return
        now = self.clock.now()
        if self.exchange.account.open or now < self._busy_until:
            step = self.settings.step_ms * MS
            at = (now // step + 1) * step
        else:
            beat = self.settings.heartbeat_s * SECOND
            at = (now // beat + 1) * beat
        due = self._next_due(self._done)
        if due is not None:
            at = min(at, max(due + self.shift, now + 1))
        at = min(at, max(self.recording.end + self.shift, now + 1))
        self.truth.set_clock(at)
        if self._timer is not None:
            if self._timer_at == at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.clock.call_at(at, self._tick)

    def _next_due(self, after: int) -> int | None:
        """Return when the next settlement or scheduled fault is due."""
        due = self.funding.next_after(after)
        if self._next_disconnect is not None and (due is None or self._next_disconnect[0] < due):
            due = self._next_disconnect[0]
        for planned in self._planned:
            if planned.at is not None and (due is None or planned.at < due):
                due = planned.at
        return due

    def _tick(self) -> None:
        self._timer = None
        self.advance(self.clock.now())
        self.show()
        self.arm()

    def advance(self, now: int) -> None:
        """Bring the venue to ``now``: matching, settlements and faults in their order."""
        until = min(now - self.shift, self.recording.end)
        self.exchange.clock_offset = self.plan.clock_offset(until)
        while True:
            due = self._next_due(self._done)
            if due is None or due > until:
                break
            self._match(due)
            self._fire_due(due)
            self._settle(due)
            self._reach(due)
        self._match(until)
        self._reach(until)
        if until >= self.recording.end and not self.ended:
            self.ended = True
            self.drain()
            self.market_stream.tell_all(StreamDown(kind=StreamKind.MARKET, why=DATA_ENDED))
        self.drain()

    def _match(self, until: int) -> None:
        if until > self._done:
            if self.exchange.account.open:
                self.exchange.match(self._done, until)
            if self.exchange.account.holdings and until - self._margin_at >= MARGIN_APART:
                self._margin_at = until
                self.exchange.check_liquidation(until)

    def _reach(self, at: int) -> None:
        if at > self._done:
            self._done = at
            self.truth.set_done(at)

    def _settle(self, at: int) -> None:
        for symbol, settlement in self.funding.due(self._done, at):
            self.exchange.settle(symbol, settlement)
            self.funding.tell(symbol, settlement)

    # Scheduled faults

    def _fire_due(self, at: int) -> None:
        for planned in [p for p in self._planned if p.at is not None and p.at <= at]:
            self._fire(planned, at)
        if self._next_disconnect is not None and self._next_disconnect[0] <= at:
            event = self._next_disconnect[1]
            self._next_disconnect = self.plan.next_disconnect(at)
            self.disconnect(event)

    def _fire(self, planned: Planned, at: int) -> None:
        self._planned.remove(planned)
        event = planned.event
        self.exchange.record(Happened(at=at + self.shift, cause=planned.cause))
        match event:
            case Disconnect():
                self.disconnect(event)
            case Deleveraging():
                for symbol in self.coins:
                    held = abs(self.exchange.account.holding(symbol).quantity)
                    quantity = event.quantity if event.share is None else held * event.share
                    self.exchange.force_adl(symbol, quantity, at)
            case Liquidation():
                for symbol in self.coins:
                    self.exchange.force_liquidation(symbol, at)
            case ModeFlip():
                self.exchange.set_mode(PositionMode(event.mode), at)
            case BalanceChange():
                self.exchange.deposit(event.asset, event.quantity, "external", at)

    def disconnect(self, event: Disconnect) -> None:
        """Break the streams that the event names, and the requests where it says so, now."""
        now = self.clock.now()
        if event.requests_too:
            self.unreachable_until = now + event.down_ms * MS
        for stream in (self.market_stream, self.account_stream):
            if event.stream in (stream.kind.value, "both") and stream.live:
                self._reconnect_later(stream, stream.disconnect(event, now))

    def _reconnect_later(self, stream: Stream, at: int) -> None:
        def again() -> None:
            retry = stream.reconnect(self.clock.now())
            if retry is not None:
                self._reconnect_later(stream, retry)

        self._call_at(at, again)

    def _market_up(self) -> None:
        self.show(again=True)

    def _account_up(self) -> None:
        if self.plan.hit("snapshot_replay", self.at()):
            self.account_stream.replay(self.exchange.account.fills)

    # News

    def stay_awake(self) -> None:
        """Keep the quotes coming for ``quote_linger_s``."""
        self._busy_until = self.clock.now() + self.settings.quote_linger_s * SECOND

    def _own_fills(self) -> int:
        return sum(1 for fill in self.exchange.account.fills if fill.kind is FillKind.TRADE)

    def drain(self) -> None:
        """Hand on what the exchange did, and let faults that count fills see it."""
        news = self.exchange.news
        if not news:
            return
        self.exchange.news = []
        self.stay_awake()
        if self.settings.faults.stale_read:
            self._keep_snapshot()
        race = self.plan.push_jitter()
        for leg, symbol, item in news:
            self.account_stream.post(leg, symbol, item, race)
        if any(planned.after_fills is not None for planned in self._planned):
            count = self._own_fills()
            for planned in list(self._planned):
                if planned.after_fills is not None and planned.after_fills <= count:
                    self._fire(planned, self.at())
            self.drain()

    def _keep_snapshot(self) -> None:
        at = self.at()
        exchange = self.exchange
        positions = {symbol: exchange.position(symbol, at) for symbol in self.coins}
        self._snapshots.append((at, exchange.balances(at), positions))

    def snapshot(self, as_of: int) -> Snapshot | None:
        """Return balances and positions as they were, None where nothing older is known."""
        return next((s for s in reversed(self._snapshots) if s[0] <= as_of), None)

    @property
    def is_closed(self) -> bool:
        return not self._users

    def show(self, *, again: bool = False) -> None:
        """Push fresh quotes, marks and signs of life; not twice within `SHOWN_APART`."""
        now = self.clock.now()
        if (now - self._pushed_at < SHOWN_APART and not again) or self.ended:
            return
        self._pushed_at = now
        at = now - self.shift
        for leg, symbol in self.market_stream.listened():
            self._show_market(leg, symbol, at, now)
        self.market_stream.alive()
        self.account_stream.alive()

    def _show_market(self, leg: Leg, symbol: str, at: int, now: int) -> None:
        stream = self.market_stream
        quote = None
        if not self.plan.muted(leg.value, at):
            quote = self.exchange.markets[symbol].quote(at, now)
        if quote is None:
            if symbol not in self._dark:
                self._dark.add(symbol)
                stream.push(leg, symbol, StreamDown(kind=StreamKind.MARKET, why=OUTAGE))
            return
        if symbol in self._dark:
            self._dark.discard(symbol)
            stream.push(leg, symbol, StreamUp(kind=StreamKind.MARKET))
        stream.push(leg, symbol, quote)
        if leg is Leg.FUTURES:
            coin = self.coins[symbol]
            mark = self.exchange.markets[symbol].last_price(at)
            index = self.exchange.markets[coin.symbol].last_price(at)
            stream.push(leg, symbol, Mark(symbol=symbol, mark=mark, index=index, seen_at=now))
