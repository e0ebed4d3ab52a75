"""Goal: whatever is shuffled, doubled or dropped on the way, the ledger ends at the venue's truth.

Method: a Hypothesis state machine plays a venue and a bad wire against one leg's books; cumulative
quantity and status never go back (I15), each execution counts once (I4), and after a whole read of
the leg nothing differs. A failure prints its seed.
"""

import random
from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.orders import OPEN, OrderStatus
from hedge.decide.rows import belongs
from hedge.decide.terms import HedgeTerms, LegTerms
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    Instrument,
    InstrumentKind,
    Leg,
    Order,
    OrderReport,
    Position,
    ReportedStatus,
    Side,
    TimeInForce,
)

FEE = D("0.001")
LOTS = st.integers(1, 40)


def terms_of(*, fee_in_base):
    def leg(kind, *, in_base):
        return LegTerms(
            instrument=Instrument(
                venue="v",
                symbol="C/Q" if kind is InstrumentKind.SPOT else "C/Q:Q",
                kind=kind,
                base="C",
                quote="Q",
                tick=D("0.01"),
                lot=D("0.001"),
            ),
            maker_fee=FEE,
            taker_fee=FEE,
            fee_in_base=in_base,
        )

    return HedgeTerms(
        name="h",
        prefix="H",
        spot=leg(InstrumentKind.SPOT, in_base=fee_in_base),
        futures=leg(InstrumentKind.PERPETUAL, in_base=False),
        quantity=D(1),
    )


class Ledger(RuleBasedStateMachine):
    """The venue: ``truth`` by order. The wire: ``mail`` that comes late, twice, or never."""

    @initialize(spot=st.booleans(), fee_in_base=st.booleans(), chance=st.integers(0, 2**32))
    def begin(self, spot, fee_in_base, chance):
        self.leg = Leg.SPOT if spot else Leg.FUTURES
        self.fee_in_base = spot and fee_in_base
        self.terms = terms_of(fee_in_base=self.fee_in_base)
        self.engine = Engine(self.terms)
        self.entries = []
        self.rng = random.Random(chance)
        self.now = 1_000_000_000
        self.orders, self.states, self.fills, self.mail = {}, {}, [], []
        self.foreign = D(0)
        self.high = {}
        self.tell(e.EngineStarted(at=self.now, boot_id="b", epoch=1, terms=self.terms))
        self.enact(c.LeaseIds(leg=self.leg, epoch=1, first=1, last=5_000))
        self.tell(e.IdsLeased(at=self.now, leg=self.leg, epoch=1, first=1, last=5_000))
        self.read()  # the books begin with what is there, and here that is nothing

    @property
    def book(self):
        return self.engine.books.leg(self.leg)

    def tell(self, event):
        """Absorb and journal as the pump does; what to do about it is not asked here."""
        self.engine.now = event.at
        self.engine.touched = False
        self.engine.absorb(event)
        if self.engine.touched and belongs(event):
            self.entries.append((event.at, event))

    def enact(self, command):
        self.engine.books.enact(command, self.now)
        self.entries.append((self.now, command))

    # -- what the engine and the venue do --------------------------------------------------------

    @rule(side=st.sampled_from(Side), lots=LOTS, lost=st.integers(0, 5))
    def place(self, side, lots, lost):
        book = self.book
        order = Order(
            client_order_id=book.next_id("H"),
            leg=self.leg,
            symbol=book.terms.instrument.symbol,
            side=side,
            quantity=D(lots) / 1_000,
            limit_price=D(100),
            time_in_force=TimeInForce.GTC,
            signed_at=self.now,
            recv_window_ms=2_000,
        )
        place = c.PlaceOrder(order=order, purpose=c.Purpose.BUILD, observation=c.Observation())
        self.enact(place)
        if lost:
            self.orders[order.client_order_id] = order
            self.states[order.client_order_id] = [ReportedStatus.WORKING, D(0)]
            self.post_report(order.client_order_id)
        if lost < 2:
            self.mail.append(
                e.OrderUnanswered(
                    at=0, leg=self.leg, client_order_id=order.client_order_id, why="timeout"
                )
            )

    def working(self):
        return [i for i, (status, _) in self.states.items() if status is ReportedStatus.WORKING]

    @precondition(lambda self: self.working())
    @rule(data=st.data(), lots=LOTS, nameless=st.booleans())
    def trade(self, data, lots, nameless):
        order_id = data.draw(st.sampled_from(self.working()))
        order, state = self.orders[order_id], self.states[order_id]
        quantity = min(D(lots) / 1_000, order.quantity - state[1])
        state[1] += quantity
        if state[1] == order.quantity:
            state[0] = ReportedStatus.FILLED
        in_coin = self.fee_in_base and order.side is Side.BUY
        fill = Fill(
            leg=self.leg,
            symbol=order.symbol,
            fill_id=f"x{len(self.fills)}",
            client_order_id="" if nameless else order_id,
            venue_order_id=f"v{order_id}",
            side=order.side,
            quantity=quantity,
            price=D(100),
            fee=quantity * FEE if in_coin else D(0),
            fee_asset="C" if in_coin else "Q",
            filled_at=self.now,
        )
        self.fills.append(fill)
        self.mail.append(e.FillSeen(at=0, fill=fill))
        self.post_report(order_id)

    @precondition(lambda self: self.working())
    @rule(data=st.data())
    def cancel(self, data):
        order_id = data.draw(st.sampled_from(self.working()))
        self.states[order_id][0] = ReportedStatus.CANCELLED
        self.post_report(order_id)

    @precondition(lambda self: self.leg is Leg.FUTURES)
    @rule(side=st.sampled_from(Side), lots=LOTS, kind=st.sampled_from(FillKind))
    def happen(self, side, lots, kind):
        """Something that is no order of ours: a deleveraging, a hand, a settlement."""
        if kind is FillKind.TRADE and any(not r.venue_order_id for r in self.book.open.values()):
            return
        fill = Fill(
            leg=self.leg,
            symbol="C/Q:Q",
            fill_id=f"y{len(self.fills)}",
            side=side,
            quantity=D(lots) / 1_000,
            price=D(100),
            kind=kind,
            filled_at=self.now,
        )
        self.fills.append(fill)
        if kind is not FillKind.UNKNOWN:  # quarantined: the position tells what it was (F26)
            self.foreign += fill.signed_quantity
        self.mail.append(e.FillSeen(at=0, fill=fill))

    def report(self, order_id):
        order, (status, filled) = self.orders[order_id], self.states[order_id]
        return OrderReport(
            client_order_id=order_id,
            venue_order_id=f"v{order_id}",
            status=status,
            filled=filled,
            side=order.side,
            quantity=order.quantity,
        )

    def post_report(self, order_id):
        self.mail.append(e.OrderReported(at=0, leg=self.leg, report=self.report(order_id)))

    # -- what the wire does ----------------------------------------------------------------------

    @precondition(lambda self: self.mail)
    @rule(keep=st.booleans(), first=st.booleans())
    def deliver(self, keep, first):
        """Hand over any letter, the oldest or one at random; keep it to come again."""
        at = 0 if first else self.rng.randrange(len(self.mail))
        event = self.mail[at]
        if not keep:
            del self.mail[at]
        self.now += 1_000_000
        self.tell(type(event)(**{**fields(event), "at": self.now}))

    @precondition(lambda self: self.mail)
    @rule()
    def drop(self):
        del self.mail[self.rng.randrange(len(self.mail))]

    @rule()
    def die(self):
        """A process ends and another rebuilds the books from the rows."""
        self.now += 1_000_000
        again = Engine(self.terms)
        for at, entry in self.entries:
            again.apply(entry, at)
        assert again.books.state_hash() == self.engine.books.state_hash()
        epoch = again.books.epoch + 1
        again.volatile.replayed_to = self.now
        self.engine = again
        self.tell(e.EngineStarted(at=self.now, boot_id="b", epoch=epoch, terms=self.terms))
        self.enact(c.LeaseIds(leg=self.leg, epoch=epoch, first=1, last=5_000))
        self.tell(e.IdsLeased(at=self.now, leg=self.leg, epoch=epoch, first=1, last=5_000))

    @rule()
    def audit(self):
        """Read the leg whole: from here on the books are the venue's truth."""
        for _ in range(2):  # the first read names nameless fills, as in life
            self.now += 1_000_000
            self.read()
        if not any(not record.venue_order_id for record in self.book.open.values()):
            assert not self.book.unmatched, "every fill has its owner once every order has its id"
        # Whose a nameless trade is, cannot be known while an order of ours has no venue id.
        held_back = sum((f.signed_quantity for f in self.book.unmatched.values()), D(0))
        assert self.book.held + held_back == self.truth(), (self.book.held, self.truth())
        assert not self.book.owed
        for order_id, (status, filled) in self.states.items():
            record = self.book.orders[order_id]
            assert record.filled == filled
            assert (record.status in OPEN) == (status is ReportedStatus.WORKING)

    def read(self):
        ask = tuple(self.book.open)
        self.tell(
            e.LegAudited(
                at=self.now,
                leg=self.leg,
                audit_id=1,
                asked_at=self.now,
                server_at=self.now,
                found=tuple(self.report(i) for i in ask if i in self.orders),
                missing=tuple(i for i in ask if i not in self.orders),
                open_orders=tuple(self.report(i) for i in self.working()),
                fills=tuple(self.fills),
                balances=(Balance(asset="C", free=D(100)),),
                position=Position(symbol="C/Q:Q", quantity=D(0)),
            )
        )

    def truth(self):
        ours = (f for f in self.fills if f.venue_order_id)
        fees = sum((f.fee for f in self.fills if f.fee_asset == "C"), D(0))
        return sum((f.signed_quantity for f in ours), D(0)) - fees + self.foreign

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def nothing_goes_back(self):
        for order_id, record in self.book.orders.items():
            before, ended = self.high.get(order_id, (D(0), False))
            assert record.filled >= before, (order_id, "cumulative quantity went back")
            assert not (ended and record.status in OPEN), (order_id, "an ended order is open")
            closed = record.status in (OrderStatus.FILLED, OrderStatus.CANCELLED)
            self.high[order_id] = (record.filled, closed)
            assert record.filled <= record.quantity or not record.quantity

    @invariant()
    def the_total_is_the_sum_of_its_orders(self):
        ours = sum((r.contribution for r in self.book.orders.values()), D(0))
        known = [f for f in self.fills if f.kind is not FillKind.UNKNOWN and not f.venue_order_id]
        foreign = sum((f.signed_quantity for f in known if f.key in self.book.fill_keys), D(0))
        assert self.book.held == ours + foreign

    @invariant()
    def nothing_is_booked_that_did_not_happen(self):
        for order_id, record in self.book.orders.items():
            assert record.filled <= self.states.get(order_id, [None, D(0)])[1], order_id


def fields(event):
    return {name: getattr(event, name) for name in event.__struct_fields__}


Ledger.TestCase.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, print_blob=True
)
TestLedger = Ledger.TestCase
