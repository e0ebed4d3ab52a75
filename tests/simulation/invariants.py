"""Safety part 3 against the truth of the venue, never against what the engine believes."""

from collections import deque
from decimal import Decimal

from shell import Shell
from sizes import Sizes
from world import World

from hedge.decide import commands as c
from hedge.decide import exposure
from hedge.decide.leg_book import OrderRecord
from hedge.decide.mode import Mode, Trigger, Trip
from hedge.decide.orders import OrderStatus
from hedge.journal.frame import NAME
from hedge.model import (
    LEGS,
    Fill,
    FillKind,
    Leg,
    Order,
    OrderReport,
    ReportedStatus,
    Side,
    StreamKind,
)
from hedge.model.numbers import MS, SECOND, ZERO, plain

ALERT_AFTER = 10 * SECOND
DOUBT_ALERT_AFTER = 60 * SECOND
REFUSED_WINDOW = 10 * SECOND
REFUSED_MOST = 12
"""A second is the shortest pause after a refusal; more than this within the window is a loop."""
QUOTES_APART = 6 * SECOND
"""No quote is published later than this after the one before, while its stream is heard."""
TELLS = (
    "EXIT_BLOCKED",
    "EXTERNAL",
    "FORCED_CLOSE",
    "HEDGE_",
    "IN_DOUBT",
    "LOSS_FLATTEN",
    "POSITION_FOUND",
    "REPAIR",
    "STOPPED_UNHEDGED",
    "THROTTLE",
    "DIFFERS_",
    "UNEQUAL",
    "UNHEDGED",
    "UNKNOWN_EXECUTION",
    "UNREADABLE",
    "UNWIND_BLOCKED",
)
"""How the alarms begin that tell a person of an open hedge, or of why it cannot be closed."""
HALT_TELLS = ("UNEQUAL", "EXIT_BLOCKED", "UNREADABLE", "DIFFERS_")
"""And in HALT, where nothing is under way: that it is open, or that this cannot be known."""
NEVER = (-1, -1)
ENDED = (OrderStatus.FILLED, OrderStatus.CANCELLED)


class Mind(Sizes):
    """Watches one world. A broken invariant is noted and ends the episode."""

    def __init__(self, world: World, *, thorough: bool = False) -> None:
        super().__init__(world, thorough=thorough)
        self.unresolved: dict[Leg, dict[str, Order]] = {Leg.SPOT: {}, Leg.FUTURES: {}}
        """Orders whose end the host has not been told."""
        self.unresolved_since: dict[str, int] = {}
        self.recorded: set[str] = set()
        self.sent_ids: set[str] = set()
        self.read_in_life: set[Leg] = set()
        self.told_at = 0
        """When an alarm last stood that told of the gap."""
        self.resumes = ""
        """The request whose run was open when the process began."""
        self.refused: dict[Leg, deque[int]] = {Leg.SPOT: deque(), Leg.FUTURES: deque()}
        """When the host was told a definite no, lately."""
        self.priced_at = dict.fromkeys(Leg, 0)
        """When a price of each leg could last be heard."""
        self._looked = NEVER
        self._not_adopted = False
        self._seen: dict[str, tuple[OrderStatus, Decimal]] = {}
        """How each order stood in the books when it was last held against the truth."""
        self.heard: dict[str, dict[str, Decimal]] = {}
        self.filled_before: dict[str, Decimal] = {}
        self.over: set[str] = set()
        """Orders that the books of this life have called filled or cancelled."""
        world.mind = self
        world.venue.after_fill = self.filled

    # -- every create ----------------------------------------------------------------------------

    def sent(self, order: Order, shell: Shell) -> None:
        """Judge one create at the moment it leaves the host."""
        engine, world = shell.engine, self.world
        leg, oid = order.leg, order.client_order_id
        self.look_outside()
        self._monotone(shell)
        if oid in self.sent_ids:
            self.broken("I5", f"{oid} is sent twice")
        self.sent_ids.add(oid)
        self._recorded(order, shell)
        if self.mode is Mode.HALT:
            self.broken("I10", f"{oid} in mode HALT")
        if not engine.volatile.recovered or not self.read_in_life >= {Leg.SPOT, Leg.FUTURES}:
            self.broken("I13", f"{oid} before the recovery was over")
        if self.unresolved[leg]:
            self.broken("I6", f"{oid} while {next(iter(self.unresolved[leg]))} is open or in doubt")
        locked = [reason for reason, level in self.trips.items() if level >= Trip.LOCKED]
        if locked:
            self.broken("I21", f"{oid} while LOCKED by {', '.join(locked)}")
        self._patient(leg, oid)
        if not order.quantity > 0 or not order.quantity.is_finite() or not order.limit_price > 0:
            self.broken("I16", f"{oid}: {order.quantity} @ {order.limit_price}")
        limits = self.terms.limits
        oldest = limits.feed_stale_ms if leg is Leg.SPOT else limits.feed_dead_ms
        age = world.now - self.priced_at[leg]
        if age > oldest * MS + QUOTES_APART:
            self.broken("I16", f"{oid} on a price that is {age // SECOND} s old")
        self._sized(order, engine)
        if leg is Leg.FUTURES:
            self._futures(order, engine)
        else:
            self._spot(order, engine)
        self.unresolved[leg][oid] = order
        self.unresolved_since[oid] = world.now

    def _patient(self, leg: Leg, oid: str) -> None:
        """I18: what a venue refuses is not sent again and again."""
        refused = self.refused[leg]
        while refused and self.world.now - refused[0] > REFUSED_WINDOW:
            refused.popleft()
        if len(refused) > REFUSED_MOST:
            window = REFUSED_WINDOW // SECOND
            self.broken("I18", f"{oid} after {len(refused)} refusals within {window} s")

    def _recorded(self, order: Order, shell: Shell) -> None:
        """I5: an id out of a synced lease, and a row that was written before."""
        oid = order.client_order_id
        prefix = len(self.terms.prefix)
        epoch, number = int(oid[prefix : prefix + 4], 16), int(oid[prefix + 5 :], 16)
        leased = self.world.synced_leases.get((epoch, order.leg.value), 0)
        if number > leased:
            self.broken("I5", f"{oid} is outside the synced lease (..{leased})")
        data = self.world.disk.files[shell.log.path].data
        if data.rfind(oid.encode()) < 0:
            self.broken("I5", f"{oid} has no row in the log")

    def at_venue(self, order: Order) -> None:
        """An order reaches the engine room: nobody may have buried it."""
        if self.world.now - order.signed_at > 60 * SECOND and not self.world.host_offset:
            self.broken("I5", f"{order.client_order_id} arrives a minute after its signature")

    def filled(self, leg: Leg, fill: Fill) -> None:
        """After every execution: no long futures, no sold coins that were not ours, no excess."""
        venue = self.world.venue
        self._measure()
        self.look_outside()
        ours = bool(fill.client_order_id) and fill.client_order_id in venue.orders
        if not ours and leg is Leg.FUTURES and fill.side is Side.SELL:
            self.sold_by_others += fill.quantity
        if not ours or fill.kind is not FillKind.TRADE:
            return
        if leg is Leg.FUTURES:
            if venue.position > 0 and fill.side is Side.BUY:
                self.broken("I8", f"our order made the position long: {plain(venue.position)}")
            allowed = self.short_allowed(fill.client_order_id)
            if fill.side is Side.SELL and -venue.position > allowed:
                short = plain(-venue.position)
                self.broken("I3", f"filled: short {short} of {plain(allowed)} allowed")
        elif not venue.is_account and venue.bought + venue.adopted < 0:
            self.broken("I8", f"coins were sold that were not ours: {plain(venue.bought)}")

    # -- every command ---------------------------------------------------------------------------

    def command(self, command: c.AnyCommand, shell: Shell) -> None:
        match command:
            case c.DeclareDead(leg=leg, client_order_id=oid, evidence=evidence):
                self._buried(leg, oid, evidence)
            case c.ChangeMode():
                self._moded(command, shell)
            case c.BookExternal():
                self.world.counts["externals"] += 1
                alarms = shell.engine.books.alarms
                if command.reason == "EXTERNAL" and not any(
                    key.startswith("EXTERNAL") for key in alarms
                ):
                    self.broken("I19", "an EXTERNAL row without an alarm")
            case c.OpenRun(request_id=request_id) if request_id != "r0":
                # Another start line took the place of the one that asked to adopt.
                waits = "adopt:r0" in self.world.venue.adoptions
                if waits and "adopt:r0" not in shell.engine.books.requests:
                    self.world.venue.never_adopted("adopt:r0")
            case c.Notice(key="NOT_ADOPTED"):
                self._not_adopted = True
            case c.Serve(request_id=request_id):
                if self._not_adopted and request_id in self.world.venue.adoptions:
                    self.world.venue.never_adopted(request_id)
                self._not_adopted = False
            case c.SetTrip(reason=reason, level=0):
                self.trips.pop(reason, None)
            case c.SetTrip(level=level, reason=reason):
                self.trips[reason] = level
                self.world.counts[f"trip {reason}"] += 1
                self.world.counts["trips"] += 1
            case _:
                pass

    def _buried(self, leg: Leg, oid: str, evidence: str) -> None:
        world = self.world
        if oid in world.in_flight:
            self.broken("I6", f"{oid} is buried alive: it is on its way ({evidence})")
        placed = world.venue.orders.get(oid)
        if placed is not None and "resolved" not in evidence:
            self.broken("I6", f"{oid} is buried alive: {placed.status.value} at the venue")
        self.unresolved[leg].pop(oid, None)
        world.counts["buried"] += 1

    def _moded(self, command: c.ChangeMode, shell: Shell) -> None:
        trigger = command.trigger
        world = self.world
        before, self.mode = self.mode, command.mode
        world.counts[f"to {command.mode.value} by {trigger.value}"] += 1
        if trigger is Trigger.FUNDING_EXIT:
            tally = shell.engine.books.tally
            if tally.below < self.terms.funding.exit_confirmations:
                self.broken("I12", f"a funding exit after {tally.below} observations")
            if world.venue.rate >= 0:
                self.broken("I12", "a funding exit at a rate that pays")
            if before is not Mode.HALT:
                self.broken("I11", f"a funding exit in {before.value}")
        resumed = world.start_line["request_id"] == self.resumes
        if trigger is Trigger.FOUND and resumed and before is not Mode.HALT:
            self.broken("I13", f"{before.value} is left for HALT by the line that was to resume it")
        if trigger is Trigger.BUILT:
            gap = self.inventory * self.ratio + world.venue.position
            gap -= self.unnoticed(Leg.SPOT) * self.ratio + self.unnoticed(Leg.FUTURES)
            if abs(gap) >= max(self.dust(), self.lot):
                self.broken("I1", f"built, with {plain(gap)} unhedged")
        if trigger is Trigger.UNWOUND:
            self._unwound()
        if command.mode is Mode.HALT:
            ours = [oid for oid in world.venue.open if oid in self.sent_ids]
            flying = list(world.in_flight)
            if ours or flying:
                self.broken("I10", f"HALT with {(ours + flying)[0]} open")

    # -- every tick ------------------------------------------------------------------------------

    def told(self, report: OrderReport) -> None:
        """The host hears how an order stands; an ended one is settled."""
        if report.status is not ReportedStatus.WORKING:
            self.settle(report.client_order_id)

    def told_fill(self, fill: Fill) -> None:
        """The host hears of an execution; with the last one the order is settled."""
        placed = self.world.venue.by_venue_id.get(fill.venue_order_id)
        if placed is None:
            return
        oid = placed.order.client_order_id
        heard = self.heard.setdefault(oid, {})
        heard[fill.fill_id] = fill.quantity
        if sum(heard.values()) >= placed.order.quantity:
            self.settle(oid)

    def settle(self, oid: str) -> None:
        for leg, orders in self.unresolved.items():
            if orders.pop(oid, None) is not None and oid not in self.world.venue.orders:
                self.refused[leg].append(self.world.now)

    def tick(self) -> None:
        world = self.world
        shell = world.shell
        for leg in Leg:
            stream = world.streams[leg, StreamKind.MARKET]
            if stream.up and world.now >= stream.deaf_until:
                self.priced_at[leg] = world.now
        self._measure()
        self.look_outside()
        if shell is None or not shell.alive:
            self.gap_since = 0
            return
        self._monotone(shell)
        self._noticed(shell)

    def _noticed(self, shell: Shell) -> None:
        """I19: a gap, a doubt or a trip that lasts has an alarm row."""
        world, books = self.world, shell.engine.books
        if not self.read_in_life >= {Leg.SPOT, Leg.FUTURES}:
            self.gap_since = 0
        late = ALERT_AFTER + 50 * SECOND
        long = self.gap_since and world.now - self.gap_since > late
        if self.gap_since and self._tells(shell):
            self.told_at = world.now
        # What was said until a read found it has the ladder's own time from there.
        silent = world.now - self.told_at > ALERT_AFTER + 5 * SECOND
        if long and silent and world.now - self._gap_known_since() > late:
            text = f"{plain(self.gap())} unhedged for {late // SECOND} s without an alarm"
            self.broken("I19", text)
        for orders in self.unresolved.values():
            for oid in orders:
                record = books.spot.orders.get(oid) or books.futures.orders.get(oid)
                if record is None:
                    self.broken("I14", f"{oid} was sent and is not in the books")
                    return
                waited = world.now - max(record.doubt_at, world.now - 3600 * SECOND)
                if (
                    record.doubt_at
                    and not world.host_offset
                    and (waited > DOUBT_ALERT_AFTER + 5 * SECOND and "IN_DOUBT" not in books.alarms)
                ):
                    self.broken("I19", f"{oid} in doubt for {waited // SECOND} s without an alarm")

    def _tells(self, shell: Shell) -> bool:
        """Return whether an alarm stands that tells of a gap, or of why it cannot be known."""
        books = shell.engine.books
        halted = books.mode is Mode.HALT and not books.in_doubt
        tells = HALT_TELLS if halted and shell.engine.volatile.recovered else TELLS
        return any(
            key.startswith(tells) and not alarm.settled for key, alarm in books.alarms.items()
        )

    def _gap_known_since(self) -> int:
        """Return since when the gap could be told: news from outside that is left of it is young.

        A hedge closes what the books know; coins that came a moment before are a gap of their own.
        """
        gap = self.inventory * self.ratio + self.world.venue.position
        unnoticed = self.unnoticed(Leg.SPOT) * self.ratio + self.unnoticed(Leg.FUTURES)
        known = abs(gap - unnoticed) >= self.dust()
        return self.gap_since if known else max(self.gap_since, self.moved_at)

    def _monotone(self, shell: Shell) -> None:
        """I15: what was filled never goes back, and what has ended stays ended.

        What was looked at and is the same object still needs no second look: the truth of an order
        only grows. A thorough mind looks at everything each time.
        """
        placed = self.world.venue.orders
        looked = (shell.changes, len(placed))
        if looked == self._looked and not self.thorough:
            return
        self._looked = looked
        seen = self._seen
        for leg in LEGS:
            self._remember(leg, shell.engine.books.leg(leg).orders)
            for oid, record in shell.engine.books.leg(leg).orders.items():
                status, filled = record.status, record.filled
                last = seen.get(oid)
                if last is not None and last[0] is status and last[1] is filled:
                    continue
                self._moved_on(oid, record)
                if not self.thorough and (oid in placed or not filled):
                    seen[oid] = status, filled

    def _moved_on(self, oid: str, record: OrderRecord) -> None:
        if record.status in ENDED:
            self.over.add(oid)
        elif oid in self.over:
            self.broken("I15", f"{oid} had ended, and is {record.status.value} again")
        before = self.filled_before.get(oid, ZERO)
        if record.filled < before:
            self.broken("I15", f"{oid}: {plain(before)} filled, now {plain(record.filled)}")
        self.filled_before[oid] = record.filled
        placed = self.world.venue.orders.get(oid)
        if placed is not None and record.filled > placed.filled:
            told = f"books {plain(record.filled)} filled, truth {plain(placed.filled)}"
            self.broken("I4", f"{oid}: {told}")

    # -- lives -----------------------------------------------------------------------------------

    def read(self, leg: Leg, asked_at: int) -> None:
        self.read_in_life.add(leg)

    def crashed(self, shell: Shell) -> None:
        """A process dies: the next one's books begin anew."""
        self.gap_since = 0
        self.read_in_life.clear()
        self.filled_before.clear()
        self.over.clear()
        for leg, forgotten in self.forgotten.items():
            for oid in shell.engine.books.leg(leg).orders:
                forgotten.pop(oid, None)  # the journal says whether it is still there

    def replayed(self, shell: Shell) -> None:
        """I14: whatever was sent is in the log, or its id was leased and will be asked for."""
        self.read_in_life.clear()
        self._looked = NEVER
        self._seen.clear()
        self.gap_since = 0
        self.engine = shell.engine
        books = shell.engine.books
        self.mode, self.trips = books.mode, dict(books.trips)
        self.resumes = books.run.request_id if books.run.open else ""
        venue = self.world.venue
        for request_id in list(venue.adoptions):
            if request_id[0] == "o" and request_id not in books.requests:
                venue.never_adopted(request_id)
                self.world.counts["adoptions lost in a power cut"] += 1
        for leg, orders in self.unresolved.items():
            for oid in list(orders):
                record = books.leg(leg).orders.get(oid)
                if record is None or record.open:
                    continue
                if record.status is OrderStatus.DEAD:
                    self._buried(leg, oid, "replayed")
                elif oid not in self.world.in_flight and oid not in venue.open:
                    orders.pop(oid)

    def ended(self, command: c.EndRun, shell: Shell) -> None:
        """A run says that it is over: the truth must agree (I9, I13)."""
        world, venue = self.world, self.world.venue
        world.counts[f"exit {command.exit_code} {command.reason}"] += 1
        ours = [oid for oid in venue.open if oid in self.sent_ids]
        if ours or world.in_flight:
            if command.exit_code != 7:
                self.broken("I9", f"exit {command.exit_code} with {(ours or ['?'])[0]} open")
            return
        gap = self.inventory * self.ratio + venue.position
        gap -= self.unnoticed(Leg.SPOT) * self.ratio + self.unnoticed(Leg.FUTURES)
        if command.reason == "UNWOUND":
            self._unwound()
        limits = self.terms.limits
        allowed = exposure.tolerance(self.inventory, self.lot, limits.tolerance_bps)
        if command.reason == "STOPPED" and abs(gap) >= allowed:
            self.broken("I13", f"STOPPED as hedged with {plain(gap)} unhedged")

    def _unwound(self) -> None:
        """I9: it is over when both legs are gone (H3), when it says so and at its exit."""
        venue = self.world.venue
        left = abs(venue.position - self.unnoticed(Leg.FUTURES))
        least = self.lot
        if not self.terms.futures.instrument.reduce_only_below_min:
            least = exposure.hedge_min(self.terms, venue.price()) * Decimal("1.05")
        if left >= least:
            self.broken("I9", f"UNWOUND with a position of {plain(left)}")
        coins = self.inventory - self.unnoticed(Leg.SPOT)
        smallest = self.terms.spot.instrument.smallest_order(venue.price())
        if coins >= smallest * Decimal("1.05") and not venue.is_account:
            self.broken("I9", f"UNWOUND with {plain(coins)} coins left")

    def at_end(self, shell: Shell | None) -> None:
        """I4 and I14, when all is quiet: fills add up, every order has its row."""
        venue = self.world.venue
        if venue.ours + venue.external != venue.position:
            self.broken("I4", "the venue's own books do not add up: a bug of the world")
        if venue.duplicates:
            self.broken("I5", f"the venue saw {venue.duplicates[0]} twice")
        data = self.world.disk.files.get(self._path())
        if data is None:
            return
        if shell is None:
            return
        books = shell.engine.books
        if not books.spot.open and not books.futures.open and self._agreed(shell):
            if books.futures.held != venue.position:
                self.broken("I4", f"books F={plain(books.futures.held)} after all is quiet")
            ledger = venue.base if venue.is_account else venue.ledger
            if books.spot.held != ledger and venue.is_account:
                self.broken("I4", f"books S={plain(books.spot.held)} after all is quiet")
            owned = min(venue.bought + venue.adopted, venue.base)
            if not venue.is_account and books.spot.held > owned:
                self.broken("I4", f"books S={plain(books.spot.held)} after all is quiet")

    def _path(self):
        return self.world.disk and next(
            (path for path in self.world.disk.files if path.name == NAME), None
        )

    @staticmethod
    def _agreed(shell: Shell) -> bool:
        return all(note.agreed for note in shell.engine.volatile.legs.values())


__all__ = ["Mind"]
