"""Goal: a spot fill is hedged in the very fact that tells of it, and what says nothing new is free.
Method: one desk in the middle of a build; what each single fact leads to.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from toy import FUTURES, SPOT

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.model import Balance, Position


@pytest.fixture
def building(open_desk):
    """Return a desk in INVENTORY with a slice of spot resting, and nothing unhedged."""
    desk = open_desk()
    desk.funding()
    desk.run(3)
    assert desk.resting() is not None and not desk.engine.delta
    return desk


def placed(commands):
    return [one.order for one in commands if type(one) is c.PlaceOrder]


def test_an_early_report_is_hedged_and_its_fill_is_not_hedged_again(building):
    fill = building.fill("0.5", told=False)
    report = building.resting().report(building.now)
    (hedge,) = placed(building.tell(e.OrderReported, leg=SPOT, report=report))
    assert (hedge.leg, hedge.quantity) == (FUTURES, D("0.5"))
    assert not placed(building.tell(e.FillSeen, fill=fill))
    assert not placed(building.tell(e.OrderReported, leg=SPOT, report=report))
    building.run(2)
    assert not building.engine.delta


def test_what_comes_while_a_hedge_is_out_adds_up_to_one_more(building):
    before = len(building.orders(FUTURES))
    building.script[FUTURES].append("rest")
    for _ in range(6):
        building.fill("0.1")
    (first,) = building.orders(FUTURES)[before:]
    assert first.quantity == D("0.1")
    hedge = building.resting(FUTURES)
    building.fill(leg=FUTURES)
    first, second = building.orders(FUTURES)[before:]
    assert hedge.order is first and second.quantity == D("0.5")
    assert not building.engine.delta


def test_the_rest_is_looked_at_a_moment_after_a_hedge(building):
    before = len(building.commands)
    building.fill("0.1")
    asked = [one for one in building.commands[before:] if type(one) is c.WakeAt]
    assert asked and asked[0].wake_at - building.now <= 10_000_000


@pytest.mark.parametrize("told", ["balance", "position"])
def test_a_push_that_agrees_with_the_books_is_free_and_one_that_does_not_is_looked_into(
    building, told
):
    building.fill("0.5")
    building.verb("freeze")  # no order that could explain a difference
    building.run(2)

    def push(off):
        if told == "balance":
            coins = building.engine.inventory - D(off)
            return building.tell(e.BalanceSeen, balance=Balance(asset="COIN", free=coins))
        quantity = building.engine.position + D(off)
        position = Position(symbol="COIN/USDT:USDT", quantity=quantity)
        return building.tell(e.PositionSeen, position=position)

    leg = SPOT if told == "balance" else FUTURES
    asked = len([one for one in building.seen(c.AuditLeg) if one.leg is leg])
    assert push(0) == []
    push("0.2")
    building.blink(3_000)
    assert len([one for one in building.seen(c.AuditLeg) if one.leg is leg]) > asked
