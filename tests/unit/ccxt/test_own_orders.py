"""Goal: a quantity counts once, whoever tells it first, and what is owed is known.
Method: reports and fills of one order in every order of arrival.
"""

import itertools
from decimal import Decimal

import msgspec

from hedge.model import Fill, Leg, Order, OrderReport, ReportedStatus, Side, TimeInForce
from hedge.transport.once import KEPT
from hedge_ccxt.own_orders import ORDERS_KEPT, OwnOrders

D = Decimal
SYMBOL = "BTC/USDT"
ORDER = Order(
    client_order_id="HA1",
    leg=Leg.SPOT,
    symbol=SYMBOL,
    side=Side.BUY,
    quantity=D(3),
    limit_price=D(10),
    time_in_force=TimeInForce.GTC,
    signed_at=0,
    recv_window_ms=1,
)


def fill(number):
    return Fill(
        leg=Leg.SPOT, symbol=SYMBOL, fill_id=f"F{number}", client_order_id="HA1",
        venue_order_id="V1", side=Side.BUY, quantity=D(1), price=D(10),
    )  # fmt: skip


def report(filled, status=ReportedStatus.WORKING):
    return OrderReport(
        client_order_id="HA1", venue_order_id="V1", status=status, filled=D(filled)
    )  # fmt: skip


def test_in_every_order_of_arrival_the_end_is_the_same():
    news = [fill(1), fill(2), report(1), report(2, ReportedStatus.CANCELLED)]
    for order in itertools.permutations([*news, fill(1), report(1)]):
        own = OwnOrders()
        known = own.placed(ORDER)
        filled = D(0)
        for one in order:
            own.executed(one) if isinstance(one, Fill) else own.reported(SYMBOL, one)
            assert known.filled >= filled, "what was filled stays filled"
            filled = known.filled
        assert (known.filled, known.itemised, known.open) == (2, 2, False)
        assert own.reported(SYMBOL, report(0)).status is ReportedStatus.CANCELLED
        assert not own.owed(SYMBOL)


def test_a_report_ahead_of_its_fills_is_owed_them():
    own = OwnOrders()
    own.placed(ORDER)
    merged = own.reported(SYMBOL, report(3))
    assert merged.status is ReportedStatus.FILLED and own.owed(SYMBOL)
    for number in range(3):
        assert own.executed(fill(number)) and not own.executed(fill(number))
    assert not own.owed(SYMBOL)


def test_an_order_of_another_process_owes_nothing():
    own = OwnOrders()
    own.reported(SYMBOL, report(2))
    assert not own.owed(SYMBOL) and own.client_order_id("V1") == "HA1"


def test_everything_is_bounded():
    own = OwnOrders()
    assert all(own.executed(fill(number)) for number in range(KEPT + 1))
    assert own.executed(fill(0)), "the oldest execution was forgotten"
    assert not own.executed(fill(KEPT))
    for number in range(ORDERS_KEPT + 1):
        own.placed(msgspec.structs.replace(ORDER, client_order_id=f"H{number}"))
        own.learn(f"V{number}", f"X{number}")
    assert own.find("H0") is None and own.find("H1") is not None
    assert not own.names("V0") and own.client_order_id(f"V{ORDERS_KEPT}") == f"X{ORDERS_KEPT}"
