"""Goal: what the books remember is bounded, and the newest of it is what they remember.

Method: more fills, payments and orders than there is room for; the oldest is news again, all the
others are not. The room is used up twice, for what is given up must not come back.
"""

from decimal import Decimal

from toy import FUTURES, T0, terms_of

from hedge.decide import commands as c
from hedge.decide.books import PAYMENTS_KEPT, Books
from hedge.decide.leg_book import FILLS_KEPT, ORDERS_KEPT, LegBook
from hedge.decide.market import Market
from hedge.model import (
    Fill,
    FundingPayment,
    Order,
    OrderReport,
    ReportedStatus,
    Side,
    TimeInForce,
)

D = Decimal
PERP = "COIN/USDT:USDT"


def book():
    return LegBook(FUTURES, terms_of().futures)


def fill(number):
    return Fill(
        leg=FUTURES, symbol=PERP, fill_id=f"F{number}", side=Side.SELL,
        quantity=D(1), price=D(10),
    )  # fmt: skip


def payment(number):
    return FundingPayment(
        payment_id=f"P{number}", symbol=PERP, rate=D(0), interval_s=28_800, quantity=D(-1),
        cash=D(1), asset="USDT", settled_at=number,
    )  # fmt: skip


def ordered(leg, number):
    """Place one order; return its id."""
    order = Order(
        client_order_id=f"O{number}", leg=FUTURES, symbol=PERP, side=Side.SELL, quantity=D(1),
        limit_price=D(10), time_in_force=TimeInForce.IOC, signed_at=T0, recv_window_ms=1,
    )  # fmt: skip
    seen = Market().observe(D(0), D(0))
    leg.leased_to += 1
    leg.add(c.PlaceOrder(order=order, purpose=c.Purpose.HEDGE, observation=seen), T0)
    return order.client_order_id


def ended(leg, number):
    report = OrderReport(
        client_order_id=ordered(leg, number), venue_order_id=f"V{number}",
        status=ReportedStatus.CANCELLED, filled=D(0),
    )  # fmt: skip
    assert leg.book_report(report, T0)


def test_fills_beyond_the_room_for_them():
    leg, last = book(), 2 * FILLS_KEPT
    assert all(leg.book_fill(fill(number), T0) for number in range(last + 1))
    assert len(leg.fill_keys) == FILLS_KEPT
    assert not leg.book_fill(fill(last), T0)
    assert not leg.book_fill(fill(last - FILLS_KEPT + 1), T0), "the oldest that there is room for"
    assert leg.book_fill(fill(last - FILLS_KEPT), T0), "forgotten, and the first to be"


def test_fills_of_unknown_owner_take_no_more_room():
    leg = book()
    for number in range(FILLS_KEPT):
        leg.book_fill(fill(number), T0)
    ordered(leg, 1)  # it has no name of the venue's yet: what comes now may be of it
    leg.book_fill(fill(FILLS_KEPT), T0)
    assert leg.unmatched
    leg.spend_unmatched()
    assert len(leg.fill_keys) == FILLS_KEPT
    assert not leg.book_fill(fill(FILLS_KEPT), T0)


def test_payments_beyond_the_room_for_them():
    books, last = Books(terms_of()), 2 * PAYMENTS_KEPT
    assert all(books.book_payment(payment(number)) for number in range(last + 1))
    assert len(books.payments) == PAYMENTS_KEPT
    assert not books.book_payment(payment(last))
    assert not books.book_payment(payment(last - PAYMENTS_KEPT + 1))
    assert books.book_payment(payment(last - PAYMENTS_KEPT))


def test_orders_beyond_the_room_for_them():
    leg, last = book(), 2 * ORDERS_KEPT
    for number in range(last + 1):
        ended(leg, number)
    assert list(leg.orders) == [f"O{number}" for number in range(last - ORDERS_KEPT + 1, last + 1)]
    assert set(leg.by_venue_id.values()) == set(leg.orders)


def test_an_open_order_is_never_forgotten():
    leg = book()
    first = ordered(leg, 0)
    for number in range(1, ORDERS_KEPT + 10):
        ended(leg, number)
    assert first in leg.orders and first in leg.open
