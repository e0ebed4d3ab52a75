"""The way between host and venue: streams that break, orders that are lost, reads that lie."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from answers import Answer, CancelAnswer
from attribution import Attribution
from clockwork import BEGIN, Clockwork, Strike
from swarm import REJECT_CODES, Plan
from truth import Truth
from venue import Denied, Venue

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode
from hedge.model import LEGS, Fill, Leg, Order, ReportedStatus, StreamKind
from hedge.model.numbers import MS, SECOND, ZERO, plain
from hedge.roles import AccountNews

if TYPE_CHECKING:
    from shell import Shell

READ_TIMEOUT = 20 * SECOND
EQUITY_APART = 2 * SECOND
STATUS_KEPT = 60 * SECOND
STREAMS = tuple((leg, kind) for leg in Leg for kind in StreamKind)


class Stream:
    """One subscription as the host sees it."""

    __slots__ = ("deaf_until", "last", "up")

    def __init__(self) -> None:
        self.up = False
        self.deaf_until = 0
        self.last = 0


class Network(Clockwork):
    """Carries everything between the process, whichever lives, and the venue."""

    def __init__(self, plan: Plan, *, trace: bool, spared: frozenset[Strike]) -> None:
        super().__init__(plan, trace=trace, spared=spared)
        self.venue = Venue(plan, BEGIN, self.tell)
        self.venue.strikes = self.hit
        self.truth = Truth()
        self._outside = dict(self.venue.outside)
        self.mind: Any = None
        """The invariants; set by the episode."""
        self.unhedged = Attribution(self)
        self.shell: Shell | None = None
        """The process that lives, if one does."""
        self.host_offset = 0
        self.streams = {key: Stream() for key in STREAMS}
        self.read_broken_until = 0
        self.banned_until = 0
        self.told: set[str] = set()
        """Executions that a read has told the host of."""
        self.in_flight: dict[str, Order] = {}
        """Orders that left the host and whose fate at the venue is open."""

    def host(self) -> int:
        """Return what the host's clock shows."""
        return self.now + self.host_offset

    def look_outside(self) -> None:
        """Write down what came to a leg from outside since the last look."""
        for leg, outside in self.venue.outside.items():
            if outside != self._outside[leg]:
                self.truth.moved(leg, outside - self._outside[leg], self.now)
                self._outside[leg] = outside

    # -- streams ---------------------------------------------------------------------------------

    def tell(self, leg: Leg, news: AccountNews) -> None:
        """Send news of an account to the host, as well as the network lets it."""
        shell = self.shell
        stream = self.streams[leg, StreamKind.ACCOUNT]
        if shell is None or not stream.up or self.now < stream.deaf_until:
            return
        if self.hit("drop_message"):
            return
        if isinstance(news, Fill) and news.client_order_id and self.plan.has("nameless_fill"):
            if self.faults:
                self.fire("nameless_fill")
            news = msgspec.structs.replace(news, client_order_id="")
        when = self.now + self.delay()
        if self.hit("reorder_message"):
            when += int(self.plan.dice("reorder_message").random() * self.plan.reorder_most)
        else:
            when = stream.last = max(when, stream.last)
        self.at(when, shell.hear, leg, news, stream)
        if self.hit("duplicate_message"):
            late = int(self.plan.dice("duplicate_message").random() * self.plan.reorder_most)
            self.at(when + late, shell.hear, leg, news, stream)

    def tick(self) -> None:
        """Let the market move, and publish it while somebody listens."""
        venue, shell = self.venue, self.shell
        venue.tick(self.now, chance=None if self.faults else 1.0)
        self.look_outside()
        self.mind.tick()
        self.unhedged.look()
        if shell is None:
            self.after(10 * SECOND, self.tick)
            return
        for leg in LEGS:
            stream = self.streams[leg, StreamKind.MARKET]
            if stream.up and self.now >= stream.deaf_until:
                quote = venue.quote_of(leg, self.now)
                if self.hit("bad_quote"):
                    worse = self.plan.dice("bad_quote").choice(
                        (Decimal("NaN"), ZERO, -quote.bid, quote.ask * 2)
                    )
                    quote = msgspec.structs.replace(quote, bid=worse)
                if leg is Leg.FUTURES:
                    shell.feed(e.MarkSeen(at=self.host(), mark=venue.mark_of(self.now)))
                if shell.alive:
                    shell.feed(e.QuoteSeen(at=self.host(), leg=leg, quote=quote))
                if not shell.alive:
                    break
        slow = shell.alive and not self.faults and shell.engine.books.mode is Mode.HALT
        calm = 0 if self.faults else self.plan.calm_every
        self.after(5 * SECOND if slow else calm or self.plan.quote_every, self.tick)

    def heartbeat(self) -> None:
        shell = self.shell
        if shell is not None:
            for (leg, kind), stream in self.streams.items():
                if stream.up and self.now >= stream.deaf_until and shell.alive:
                    shell.feed(e.StreamHeard(at=self.host(), leg=leg, kind=kind))
        self.after(self.plan.heartbeat, self.heartbeat)

    def disconnect(self, streams: int, down: int, *, silent: bool) -> None:
        shell = self.shell
        if shell is None:
            return
        for number, key in enumerate(STREAMS):
            stream = self.streams[key]
            if not streams & (1 << number) or not stream.up:
                continue
            leg, kind = key
            if silent:
                stream.deaf_until = max(stream.deaf_until, self.now + down)
                self.after(down, self.reconnected, shell, leg, kind)
            else:
                stream.up = False
                self.after(down, self.reconnected, shell, leg, kind)
                if shell.alive:
                    shell.feed(e.StreamChanged(at=self.host(), leg=leg, kind=kind, up=False,
                                               why="reset"))  # fmt: skip

    def reconnected(self, shell: "Shell", leg: Leg, kind: StreamKind) -> None:
        if not shell.alive:
            return
        stream = self.streams[leg, kind]
        if self.now < stream.deaf_until:
            return
        if stream.up:
            shell.feed(e.StreamChanged(at=self.host(), leg=leg, kind=kind, up=False, why="silent"))
        if not shell.alive:
            return
        stream.up = True
        if self.hit("resubscribe_fails"):
            stream.deaf_until = self.now + 20 * SECOND
            self.after(20 * SECOND, self.reconnected, shell, leg, kind)
        shell.feed(e.StreamChanged(at=self.host(), leg=leg, kind=kind, up=True))

    # -- orders on the wire ----------------------------------------------------------------------

    def send(self, shell: "Shell", order: Order) -> None:
        """Carry one order to the venue, or lose it on the way."""
        plan = self.plan
        oid = order.client_order_id
        answer = Answer(shell, order)
        self.after(plan.ack_timeout, answer.timeout)
        if self.hit("unreachable"):
            self.after(self.delay(), answer.refused, "UNREACHABLE")
            self.truth.note("lost", self.now, id=oid)
            return
        out = self.delay()
        if self.hit("request_lost"):
            self.truth.note("lost", self.now, id=oid)
            return
        if self.hit("error_undelivered"):
            self.after(out + self.delay(), answer.unknown, "HTTP 503")
            self.truth.note("lost", self.now, id=oid)
            return
        if self.now < self.banned_until:
            self.after(out + self.delay(), answer.refused, "RATE_LIMIT")
            self.truth.note("denied", self.now, id=oid, why="RATE_LIMIT")
            return
        if self.hit("reject"):
            code = plan.dice("reject_code").choice(REJECT_CODES)
            self.after(out + self.delay(), answer.refused, code)
            self.truth.note("denied", self.now, id=oid, why=code)
            return
        self.in_flight[oid] = order
        self.after(out, self._arrived, answer)

    def _arrived(self, answer: "Answer") -> None:
        order = answer.order
        age = self.now - order.signed_at
        if age > order.recv_window_ms * MS:
            self._deny(answer, "STALE_TIMESTAMP")
            return
        if self.hit("slow_processing"):
            slow = int(self.plan.dice("slow").random() * 12 * SECOND)
            if slow > self.plan.processing_most:
                self.in_flight.pop(order.client_order_id, None)
                self.truth.note("lost", self.now, id=order.client_order_id)
                self.after(slow, answer.unknown, "HTTP 504")
                return
            self.after(slow, self._processed, answer, True)
            return
        self._processed(answer, False)

    def _processed(self, answer: "Answer", slow: bool) -> None:
        order = answer.order
        # A venue that checks the window only on arrival matches a request that was slow inside.
        seen_at = self.now if self.plan.second_check or not slow else order.signed_at
        self.in_flight.pop(order.client_order_id, None)
        try:
            self.mind.at_venue(order)
            self.truth.note("taken", self.now, id=order.client_order_id)
            report = self.venue.accept(order, self.now, seen_at)
        except Denied as denied:
            self._deny(answer, denied.code)
            return
        if self.lines is not None:
            taken = f"{report.status.value} {plain(report.filled)}"
            self.say(f"   venue takes {order.client_order_id}: {taken}")
        if self.plan.rest_for and report.status is ReportedStatus.WORKING:
            self._trade(order.client_order_id)
        if self.hit("reply_lost"):
            return
        if self.hit("error_delivered"):
            self.after(self.delay(), answer.unknown, "HTTP 502")
            return
        self.after(self.delay(), answer.reported, report)

    def _trade(self, oid: str) -> None:
        """Let somebody take what rests, after a while; a part of it, and then the rest."""
        wait = int(self.plan.dice("trades").expovariate(1) * self.plan.rest_for)

        def taken() -> None:
            placed = self.venue.open.get(oid)
            if placed is not None:
                self.venue.take(placed, self.now)
                if oid in self.venue.open:
                    self._trade(oid)

        self.after(wait + MS, taken)

    def _deny(self, answer: "Answer", code: str) -> None:
        self.in_flight.pop(answer.order.client_order_id, None)
        self.truth.note("denied", self.now, id=answer.order.client_order_id, why=code)
        if self.hit("reply_lost"):
            return
        self.after(self.delay(), answer.refused, code)

    def cancel(self, shell: "Shell", command: c.CancelOrder) -> None:
        answer = CancelAnswer(shell, command)
        self.after(self.plan.ack_timeout, answer.unsettled, "no answer in time")
        out = self.delay()
        if self.hit("request_lost"):
            return
        if self.hit("error_undelivered") or self.now < self.banned_until:
            self.after(out + self.delay(), answer.unsettled, "HTTP 503")
            return

        def arrive() -> None:
            try:
                report = self.venue.cancel(command.client_order_id, self.now)
            except Denied as denied:
                if not self.hit("reply_lost"):
                    self.after(self.delay(), answer.unsettled, denied.code)
                return
            if self.hit("reply_lost"):
                return
            if self.hit("error_delivered"):
                self.after(self.delay(), answer.unsettled, "HTTP 502")
                return
            self.after(self.delay(), answer.reported, report)

        self.after(out, arrive)

    # -- reads -----------------------------------------------------------------------------------

    def read(self, reads: int) -> tuple[int, list[int], str]:
        """Walk through ``reads`` requests; return the end, the as-of times and the failure."""
        when = self.now
        if not self.faults:
            step = 40 * MS
            return when + reads * step, [when + step // 2 + n * step for n in range(reads)], ""
        seen: list[int] = []
        delay, hit = self.delay, self.hit
        stale = "stale_read" in self._chances
        broken_until = max(self.read_broken_until, self.banned_until)
        for place in range(reads):
            out = delay()
            back = delay()
            if when + out < broken_until:
                self.fired["read_error_in_burst"] += 1
                return when + out + back, seen, "Unreachable"
            if hit("read_error"):
                return when + out + back, seen, "Unreachable"
            lag = 0
            if stale and place != 0 and hit("stale_read"):
                lag = int(self.plan.dice("lag").random() * self.plan.lag_most)
            seen.append(when + out - lag)
            when += out + back
        return when, seen, ""

    def audit(self, shell: "Shell", command: c.AuditLeg) -> None:
        """Do `Auditor.audit`: one read after the other, each with its own fate."""
        leg = command.leg
        asked_at = self.host()
        status_known = self.now - shell.status_at.get(leg, -STATUS_KEPT) < STATUS_KEPT
        last = 1 if leg is Leg.SPOT else 5
        count = 1 + len(command.ask_ids) + 2 + (0 if status_known else 1) + last
        done, seen, why = self.read(count)
        if done - self.now > READ_TIMEOUT:
            self.at(self.now + READ_TIMEOUT, shell.unread, command, "no answer in time")
            return
        if why:
            self.at(done, shell.unread, command, why)
            return
        self.at(done, self._audited, shell, command, asked_at, seen, status_known)

    def _audited(
        self, shell: "Shell", command: c.AuditLeg, asked_at: int, seen: list[int], known: bool
    ) -> None:
        if not shell.alive:
            return
        venue, leg = self.venue, command.leg
        times = iter(seen)
        server_at = next(times)
        found, missing = [], []
        for client_order_id in command.ask_ids:
            report = venue.order_at(client_order_id, next(times))
            if report is None:
                missing.append(client_order_id)
            else:
                found.append(report)
        open_orders = venue.open_at(leg, next(times))
        fills = venue.fills_at(leg, command.fills_since, next(times))
        if not known:
            shell.tradable[leg] = leg not in venue.halted
            shell.status_at[leg] = self.now
            next(times)
        common: dict[str, Any] = {
            "at": self.host(),
            "leg": leg,
            "audit_id": command.audit_id,
            "asked_at": asked_at,
            "server_at": server_at,
            "found": tuple(found),
            "missing": tuple(missing),
            "open_orders": open_orders,
            "fills": fills,
            "tradable": shell.tradable[leg],
        }
        if leg is Leg.SPOT:
            event = e.LegAudited(**common, balances=venue.balances_at(next(times)))
        else:
            payments = tuple(p for p in venue.payments if p.settled_at >= command.payments_since)
            next(times)
            next(times)
            position = venue.position_at(next(times))
            mode = venue.mode
            next(times)
            event = e.LegAudited(
                **common,
                payments=payments,
                position=position,
                position_mode=mode,
                margin_free=Decimal(10_000_000),
                margin_ratio=Decimal("0.01"),
                leverage=Decimal(2),
                funding=venue.rate_at(self.now),
            )
        self.mind.read(leg, asked_at)
        for report in found:
            self.mind.told(report)
        for fill in fills:
            if fill.fill_id not in self.told:
                self.told.add(fill.fill_id)
                self.mind.told_fill(fill)
        shell.feed(event)

    def read_equity(self, shell: "Shell", label: str) -> None:
        done, _, why = self.read(6)
        if why or done - self.now > READ_TIMEOUT:
            self.at(min(done, self.now + READ_TIMEOUT) + EQUITY_APART, shell.equity_again, label)
            return
        self.at(done, shell.equity, label)
