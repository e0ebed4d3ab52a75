"""Goal: a quantity that is heard of early, late, twice or nameless counts once, and never too much.
Method: the same executions told in every order; the total is compared with what was executed.
"""

import itertools
from decimal import Decimal

from bybit_rows import order

from hedge.model import Fill, Leg, OrderReport, ReportedStatus, Side
from hedge.transport.once import KEPT
from hedge_bybit.own_orders import EARLY_KEPT, ORDERS_KEPT, Early, OwnOrders

D = Decimal
ID = "HA0000001F000001"
SYMBOL = "BTC/USDT:USDT"


def early(number, quantity="0.2", venue_order_id="venue-1"):
    key = (SYMBOL, f"exec-{number}", "Sell")
    return Early(key, venue_order_id, D(quantity), 1_000 + number)


def told(own, number, quantity="0.2", name=ID):
    return own.executed(
        Fill(
            leg=Leg.FUTURES, symbol=SYMBOL, fill_id=f"exec-{number}", side=Side.SELL,
            client_order_id=name, venue_order_id="venue-1", quantity=D(quantity), price=D(50_000),
        )
    )  # fmt: skip


def reported(filled, status=ReportedStatus.WORKING, quantity="0.5"):
    return OrderReport(
        client_order_id=ID, venue_order_id="venue-1", status=status, filled=D(filled),
        quantity=D(quantity),
    )  # fmt: skip


def test_an_early_makers_execution_waits_for_the_answer():
    own = OwnOrders()
    known = own.placed(order())
    assert own.early(early(1)) is None
    assert known.filled == 0
    own.named(ID, "venue-1")
    assert known.report().filled == D("0.2")
    assert known.report().venue_order_id == "venue-1"


def test_an_early_execution_of_a_known_order_tells_its_total():
    own = OwnOrders()
    own.placed(order())
    own.named(ID, "venue-1")
    first, second = own.early(early(1)), own.early(early(2, "0.3"))
    assert (first.filled, first.status) == (D("0.2"), ReportedStatus.WORKING)
    assert (second.filled, second.status) == (D("0.5"), ReportedStatus.FILLED)
    assert second.client_order_id == ID


def test_a_takers_early_execution_brings_the_name_itself():
    own = OwnOrders()
    own.placed(order())
    assert own.early(early(1), ID).filled == D("0.2")
    assert own.client_order_id("venue-1") == ID


def test_what_comes_twice_counts_once():
    own = OwnOrders()
    own.placed(order())
    own.named(ID, "venue-1")
    assert own.early(early(1)).filled == D("0.2")
    assert own.early(early(1)) is None
    assert told(own, 1)
    assert not told(own, 1)
    assert own.find(ID).filled == D("0.2")


def test_an_early_execution_that_comes_late_is_no_news():
    own = OwnOrders()
    own.placed(order())
    assert told(own, 1)
    assert own.early(early(1)) is None
    assert own.find(ID).filled == D("0.2")


STEPS = ("ack", "early 1", "early 2", "full 1", "full 2", "report")


def take(own, step):
    match step.split():
        case ["ack"]:
            own.named(ID, "venue-1")
        case ["early", number]:
            own.early(early(int(number)))
        case ["full", number]:
            told(own, int(number))
        case ["report"]:
            own.reported(SYMBOL, reported("0.4"))


def test_every_order_of_arrival_ends_with_what_was_executed():
    for steps in itertools.permutations(STEPS):
        own = OwnOrders()
        known = own.placed(order())
        seen = D(0)
        for step in steps:
            take(own, step)
            assert seen <= known.filled <= D("0.4"), (steps, "monotone, and never too much")
            seen = known.filled
        assert known.filled == D("0.4"), steps


def test_a_report_behind_the_executions_is_brought_up_to_them():
    own = OwnOrders()
    own.placed(order())
    own.named(ID, "venue-1")
    own.early(early(1))
    own.early(early(2, "0.3"))
    report = own.reported(SYMBOL, reported("0.2"))
    assert (report.filled, report.status) == (D("0.5"), ReportedStatus.FILLED)


def test_the_end_is_told_to_who_waits_for_it():
    own = OwnOrders()
    known = own.placed(order())
    heard = []
    known.on_end.append(heard.append)
    own.reported(SYMBOL, reported("0.1"))
    assert heard == []
    own.reported(SYMBOL, reported("0.1", ReportedStatus.CANCELLED))
    own.reported(SYMBOL, reported("0.1", ReportedStatus.CANCELLED))
    assert [(one.status, one.filled) for one in heard] == [(ReportedStatus.CANCELLED, D("0.1"))]
    assert own.open_of(SYMBOL) == []


def test_open_orders_are_those_not_known_to_have_ended():
    own = OwnOrders()
    own.placed(order())
    own.placed(order(client_order_id="HA0000001F000002"))
    told(own, 1, "0.5")
    assert [known.client_order_id for known in own.open_of(SYMBOL)] == ["HA0000001F000002"]
    assert own.open_of("ETH/USDT:USDT") == []


def test_a_report_of_somebody_elses_order_is_handed_on_as_it_is():
    own = OwnOrders()
    foreign = OrderReport(client_order_id="", venue_order_id="x", status=ReportedStatus.WORKING)
    assert own.reported(SYMBOL, foreign) is foreign
    assert own.client_order_id("x") == ""


def test_everything_is_bounded():
    own = OwnOrders()
    for number in range(ORDERS_KEPT + 50):
        own.placed(order(client_order_id=f"H{number}"))
        own.named(f"H{number}", f"venue-{number}")
    assert own.find("H0") is None and own.client_order_id("venue-0") == ""
    assert own.find(f"H{ORDERS_KEPT + 49}") is not None
    for number in range(EARLY_KEPT + 10):
        own.early(early(number, venue_order_id=f"nobody-{number}"))
    late = own.placed(order(client_order_id="late"))
    own.named("late", "nobody-0")
    assert late.filled == 0, "the oldest gave way"
    last = own.placed(order(client_order_id="last"))
    own.named("last", f"nobody-{EARLY_KEPT + 9}")
    assert last.filled == D("0.2")
    assert all(told(own, number, name="") for number in range(KEPT + 1))
    assert told(own, 0, name=""), "the oldest execution was forgotten"
    assert not told(own, KEPT, name="")
