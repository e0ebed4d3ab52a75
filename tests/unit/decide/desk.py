"""One engine, a toy venue, and a clock that only the test moves.

Every fact goes through `Engine.handle`; every command is answered at once unless the test said
otherwise. Rows are collected as the pump collects them.
"""

from collections import deque
from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of
from itertools import pairwise

from toy import FUTURES, SPOT, T0

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide import exposure, risk
from hedge.decide.engine import Engine
from hedge.decide.events import Verb
from hedge.decide.mode import Mode
from hedge.decide.rows import Row, belongs
from hedge.decide.terms import (
    Action,
    InventoryRule,
)
from hedge.model import (
    Balance,
    FillKind,
    FundingRate,
    Leg,
    Mark,
    Position,
    RateOrigin,
    ReportedStatus,
    Side,
    StreamKind,
    TimeInForce,
)
from hedge.model.numbers import HOUR, MS, SECOND

GOOD, BAD = D("0.0003"), D("-0.0001")
STEPS_MAX = 20_000


class Desk:
    """The driver. ``script[leg]`` holds how the next orders of a leg are answered.

    Words: ``fill``, ``rest``, ``miss`` (ends unfilled), ``half``, ``lost`` (never arrives, no
    answer), ``swallowed`` (accepted, no answer), ``swallowed fill``, ``silent`` (nothing at all),
    ``refuse``. When the script is empty: spot rests (IOC fills), futures fill.
    """

    def __init__(self, venue, terms):
        self.venue, self.terms = venue, terms
        self.engine = Engine(terms)
        self.now = T0
        self.rows: list[Row] = []
        self.commands: list[c.AnyCommand] = []
        self.wake_at = None
        self.script = {SPOT: deque(), FUTURES: deque()}
        self.reads = {SPOT: "", FUTURES: ""}
        """What an audit of a leg meets: "" (an answer), ``fail``, ``refuse`` or ``hang``."""
        self.stale_reads = {SPOT: None, FUTURES: None}
        """A holding that reads keep answering with, whatever is true."""
        self.clock_offset = {SPOT: None, FUTURES: None}
        """What an audit measures: the venue's clock less ours, ns."""
        self.leasing = True
        self.measuring = True
        self.cancelling = "yes"
        self.quoting = {SPOT: True, FUTURES: True}
        self.heartbeats = True
        self.rate = None
        self.asked = 0
        self.next_settlement = T0 + 8 * HOUR
        self._queue: deque = deque()
        self._busy = False

    # -- the door --------------------------------------------------------------------------------

    @property
    def books(self):
        return self.engine.books

    @property
    def mode(self):
        return self.engine.books.mode

    @property
    def held(self):
        return self.engine.inventory, self.engine.position

    def tell(self, event, /, **fields):
        """Tell the engine one fact now; return the commands that this led to, answers included."""
        before = len(self.commands)
        self._queue.append((event, fields))
        if not self._busy:
            self._busy = True
            try:
                self._drain()
            finally:
                self._busy = False
        return self.commands[before:]

    def _drain(self):
        for _ in range(STEPS_MAX):
            if not self._queue:
                return
            kind, fields = self._queue.popleft()
            self._one(kind(at=self.now, **fields))
        raise AssertionError("facts and wishes chase one another")

    def _one(self, event):
        engine = self.engine
        commands = engine.handle(event)
        entries = [command for command in commands if belongs(command)]
        if engine.touched and belongs(event):
            entries.insert(0, event)
        for entry in entries:
            self.rows.append(
                Row(
                    seq=len(self.rows) + 1,
                    at=engine.now,
                    entry=entry,
                    spot_mid=engine.market.mid(SPOT),
                    futures_mid=engine.market.mid(FUTURES),
                )
            )
        self.commands.extend(commands)
        for command in commands:
            self._perform(command)

    # -- answers ---------------------------------------------------------------------------------

    def _perform(self, command):
        match command:
            case c.LeaseIds(leg=leg, epoch=epoch, first=first, last=last):
                if self.leasing:
                    self.tell(e.IdsLeased, leg=leg, epoch=epoch, first=first, last=last)
            case c.AuditLeg():
                self._audit(command)
            case c.ReadEquity(label=label) if self.measuring:
                self.measure(label)
            case c.PlaceOrder(order=order):
                self._place(order)
            case c.CancelOrder():
                self._cancel(command)
            case c.WakeAt(wake_at=wake_at):
                assert wake_at > self.now, "a wake in the past"
                self.wake_at = wake_at

    def _place(self, order):
        script = self.script[order.leg]
        taking = order.time_in_force is TimeInForce.IOC
        word = script.popleft() if script else ("fill" if taking else "rest")
        leg, order_id = order.leg, order.client_order_id
        if word == "refuse":
            self.tell(e.OrderRefused, leg=leg, client_order_id=order_id, code="NO")
            return
        if word not in {"lost", "silent"}:
            resting = self.venue.accept(order)
            if word.endswith("fill"):
                fill = self.venue.fill(resting, order.quantity, self.now)
            elif word == "half":
                lot = self.terms.futures.instrument.lot
                part = exposure.floor_to(order.quantity / 2, lot)
                fill = self.venue.fill(resting, part, self.now)
                resting.status = ReportedStatus.CANCELLED
            elif word == "miss":
                resting.status = ReportedStatus.CANCELLED
        if word in ("lost", "swallowed", "swallowed fill"):
            self.tell(e.OrderUnanswered, leg=leg, client_order_id=order_id, why="timeout")
        elif word != "silent":
            self.tell(e.OrderReported, leg=leg, report=resting.report(self.now))
            if word in ("fill", "half"):
                self.tell(e.FillSeen, fill=fill)

    def _cancel(self, command):
        resting = self.venue.orders[command.leg].get(command.client_order_id)
        if self.cancelling == "hang":
            return
        if resting is None or resting.status is not ReportedStatus.WORKING:
            self.tell(
                e.CancelUnsettled,
                leg=command.leg,
                client_order_id=command.client_order_id,
                why="unknown order",
            )
            return
        resting.status = ReportedStatus.CANCELLED
        self.tell(e.OrderReported, leg=command.leg, report=resting.report(self.now))

    def _balances(self):
        held = self.stale_reads[SPOT]
        coins = self.venue.coins if held is None else held
        return (Balance(asset="COIN", free=coins), Balance(asset="USDT", free=self.venue.cash))

    def _position(self):
        held = self.stale_reads[FUTURES]
        quantity = self.venue.position if held is None else held
        near = self.venue.liquidation_price if quantity else None
        return Position(
            symbol="COIN/USDT:USDT",
            quantity=quantity,
            liquidation_price=near,
            adl_rank=self.venue.adl_rank,
        )

    def _audit(self, command):
        leg, venue = command.leg, self.venue
        word = self.reads[leg]
        if word == "hang":
            return
        if word:
            refused = word == "refuse"
            why = "key refused" if refused else "timeout"
            self.tell(e.LegUnread, leg=leg, audit_id=command.audit_id, why=why, refused=refused)
            return
        orders = venue.orders[leg]
        spot = leg is SPOT
        self.tell(
            e.LegAudited,
            leg=leg,
            audit_id=command.audit_id,
            asked_at=self.now,
            server_at=self.now + (self.clock_offset[leg] or 0),
            clock_offset=self.clock_offset[leg],
            found=tuple(orders[i].report(self.now) for i in command.ask_ids if i in orders),
            missing=tuple(i for i in command.ask_ids if i not in orders),
            open_orders=tuple(
                o.report(self.now) for o in orders.values() if o.status is ReportedStatus.WORKING
            ),
            fills=tuple(f for f in venue.fills[leg] if f.filled_at >= command.fills_since),
            balances=self._balances() if spot else (),
            position=None if spot else self._position(),
            position_mode=None if spot else venue.position_mode,
            margin_free=None if spot else venue.margin,
            margin_ratio=None if spot or not self._position().quantity else venue.margin_ratio,
            tradable=venue.tradable[leg],
            changed=venue.changed[leg],
        )

    # -- what a test does ------------------------------------------------------------------------

    def measure(self, label):
        """Let the answer to a measurement of equity arrive."""
        self.tell(
            e.EquitySeen,
            label=label,
            spot=self._balances(),
            futures=(),
            shared=True,
            position=self._position(),
            spot_mid=self.venue.price,
            futures_mid=self.venue.price,
            spot_at=self.now,
            futures_at=self.now,
        )

    def start(
        self, action="default", *, request="r1", again=False, now=False, adopt=None, boot="boot"
    ):
        """Begin a process on what the journal says; ask for the action."""
        self.boot(boot)
        self.ask(action, request=request, again=again, now=now, adopt=adopt)
        return self

    def boot(self, boot="boot"):
        """Let a new process rebuild the books from the rows, as a start does."""
        self.engine = Engine(self.terms)
        self.engine.replay(self.rows)
        self.wake_at = None
        self._queue.clear()
        epoch = self.engine.books.epoch + 1
        self.tell(e.EngineStarted, boot_id=boot, epoch=epoch, terms=self.terms)
        self.market()

    def ask(self, action, *, request="r1", again=False, now=False, adopt=None):
        return self.tell(
            e.ActionAsked,
            action=Action(action),
            request_id=request,
            again=again,
            enter_now=now,
            adopt=None if adopt is None else D(adopt),
        )

    def market(self):
        """Show the market of this moment."""
        for leg in Leg:
            if self.quoting[leg]:
                self.tell(e.QuoteSeen, leg=leg, quote=self.venue.quote(leg))
        mark = self.venue.mark_price or self.venue.futures_price or self.venue.price
        self.tell(e.MarkSeen, mark=Mark(symbol="COIN/USDT:USDT", mark=mark, index=mark))
        if self.heartbeats:
            for leg in Leg:
                self.tell(e.StreamHeard, leg=leg, kind=StreamKind.ACCOUNT)

    def run(self, seconds):
        """Let whole seconds pass, each with its market and, where wished, its timer."""
        for _ in range(int(seconds)):
            self.now += SECOND
            self.market()
            self.timer()

    def blink(self, millis):
        """Let less than a second pass: quotes come faster than any rule wants to be woken."""
        self.now += millis * MS
        self.market()
        self.timer()

    def timer(self):
        if self.wake_at is not None and self.wake_at <= self.now:
            self.wake_at = None
            self.tell(e.TimerFired)

    def sleep(self, seconds):
        """Let a time pass in which the engine is woken when it asked for it, and not a moment else.

        Prices stand: what proves that they do comes together with the timer.
        """
        until = self.now + int(seconds * SECOND)
        while self.wake_at is not None and self.wake_at <= until:
            self.now = max(self.now, self.wake_at)
            self.market()
            self.timer()
        self.now = until

    def skip(self, seconds, step=30):
        """Let a quiet time pass in larger steps."""
        until = self.now + int(seconds * SECOND)
        while self.now < until:
            self.now = min(self.now + step * SECOND, until)
            for leg in Leg:
                if self.quoting[leg]:
                    self.tell(e.StreamHeard, leg=leg, kind=StreamKind.MARKET)
            self.market()
            self.timer()

    def funding(self, rate=GOOD, *, origin=RateOrigin.LIVE, interval_s=28_800, seen=None):
        """Let one funding observation arrive."""
        self.rate = FundingRate(
            symbol="COIN/USDT:USDT",
            rate=D(rate),
            interval_s=interval_s,
            next_at=self.next_settlement,
            observed_at=self.now if seen is None else seen,
            origin=origin,
        )
        return self.tell(e.FundingSeen, rate=self.rate)

    def funding_goes(self, rate=BAD, times=3, apart=61):
        for _ in range(times):
            self.skip(apart)
            self.funding(rate)

    def verb(self, verb, *, request=None, **fields):
        self.asked += 1
        request = request or f"{verb}-{self.asked}"
        return self.tell(e.OperatorAsked, verb=Verb(verb), request_id=request, **fields)

    def resting(self, leg=SPOT):
        """Return the order that works at the venue, or None."""
        working = (r for r in self.venue.orders[leg].values() if r.status is ReportedStatus.WORKING)
        return next(working, None)

    def fill(self, quantity=None, leg=SPOT, *, told=True):
        """Let the market trade to the resting order."""
        resting = self.resting(leg)
        assert resting is not None, f"nothing rests: {self.engine.reason}"
        fill = self.venue.fill(resting, quantity or resting.order.quantity, self.now)
        if told:
            self.tell(e.FillSeen, fill=fill)
            self.tell(e.OrderReported, leg=leg, report=resting.report(self.now))
        return fill

    def next_slice(self, seconds=20):
        """Let the next read show the account as it is now; fill what rests, and go on from it."""
        self.run(12)
        self.fill()
        self.run(seconds)

    def foreign(self, leg, quantity, kind=FillKind.TRADE, *, told=True):
        """Let something happen on the account that is no order of ours."""
        quantity = D(quantity)
        side = Side.BUY if quantity > 0 else Side.SELL
        fill = self.venue.execution(leg, side, abs(quantity), self.venue.price, self.now, kind)
        self.venue.keep(fill)
        if told:
            self.tell(e.FillSeen, fill=fill)
        return fill

    def work(self, until, seconds=900):
        """Fill whatever rests, second by second, until ``until()``."""
        for _ in range(seconds):
            if until():
                return self
            if self.resting() is not None:
                self.fill()
            self.run(1)
        raise AssertionError(
            f"{seconds} s were not enough: {self.engine.reason}; {self.mode} {self.held}"
            f" trips {self.books.trips} alarms {list(self.books.alarms)}"
        )

    def build(self):
        """Build the whole target and wait for HALT."""
        if self.mode is Mode.HALT and self.books.run.waiting:
            self.funding()
        self.work(lambda: self.mode is Mode.INVENTORY, 10)
        return self.work(lambda: self.mode is Mode.HALT)

    def unwind(self):
        return self.work(lambda: self.ended)

    # -- what a test looks at --------------------------------------------------------------------

    def seen(self, kind):
        return [command for command in self.commands if type(command) is kind]

    def orders(self, leg=None):
        placed = [command.order for command in self.seen(c.PlaceOrder)]
        return [order for order in placed if leg is None or order.leg is leg]

    @property
    def ended(self):
        ends = self.seen(c.EndRun)
        return bool(ends) and self.engine.books.ended != ""

    @property
    def exit(self):
        ends = self.seen(c.EndRun)
        return (ends[-1].exit_code, ends[-1].reason) if ends else None

    @property
    def alarms(self):
        return {key for key, alarm in self.books.alarms.items() if not alarm.settled}

    def texts(self, kind):
        return [command.text for command in self.seen(kind)]

    # -- the end of the day ----------------------------------------------------------------------

    def close_the_day(self):
        """Replay the journal: the same state, and every order passes the same gate again."""
        again = Engine(self.terms)
        for row in self.rows:
            entry = row.entry
            if isinstance(entry, c.PlaceOrder):
                judged = risk.check(entry.order, entry.observation, again.books, row.at)
                assert isinstance(judged, risk.Approved), f"row {row.seq}: {judged}"
                assert again.books.mode is not Mode.HALT
                if again.books.mode is Mode.LIQUIDATION:
                    liquid = entry.order.reduce_only == (entry.order.leg is FUTURES)
                    assert liquid and (entry.order.side is Side.BUY) == (entry.order.leg is FUTURES)
            again.apply(entry, row.at)
        assert again.books.state_hash() == self.books.state_hash(), "replay gives another state"
        ids = [order.client_order_id for order in self.orders()]
        assert len(ids) == len(set(ids)), "an id was used twice"
        for a, b in pairwise(self.rows):
            assert a.seq + 1 == b.seq
            assert a.at <= b.at or isinstance(b.entry, e.EngineStarted), "a clock ran backwards"
        labels = [x.label for x in self.seen(c.ReadEquity)]
        assert all(labels)
        if self.terms.inventory is InventoryRule.MANAGED:
            assert self.books.spot.held >= 0
