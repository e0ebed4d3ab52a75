"""Goal: the worked cases B1 to B15 hold, one test each.
Method: facts go in by the one door, a venue of a few lines answers, and the test moves the clock.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from desk import Desk
from toy import FUTURES, SPOT, Venue, terms_of

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trigger, Trip
from hedge.decide.terms import AfterExternal, InventoryRule
from hedge.model import FillKind, FundingPayment, Side


def halted_with(open_desk, coins, position):
    """Return a desk in HALT that watches this pair; the account is the hedge's own."""
    return open_desk(Venue(coins, position), inventory=InventoryRule.ACCOUNT)


@pytest.mark.parametrize(
    ("coins", "position", "equal"),
    [
        (100, -50, False),
        (100, 0, False),
        (100, 100, False),
        (0, -1, False),
        (100, -100, True),
        (0, 0, True),
    ],
)
def test_b01_what_is_equal(open_desk, coins, position, equal):
    desk = halted_with(open_desk, coins, position)
    desk.run(10)
    assert desk.held == (coins, position)
    assert desk.engine.equal is equal


def test_b02_funding_goes_and_both_legs_reach_zero(open_desk):
    desk = open_desk()
    desk.build()
    assert desk.held == (10, -10) and desk.exit is None
    desk.funding_goes(times=2)
    assert desk.mode is Mode.HALT
    desk.funding_goes(times=1)
    assert desk.mode is Mode.LIQUIDATION
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")
    assert (desk.venue.coins, desk.venue.position) == (0, 0)


def test_b03_unequal_in_halt_sends_nothing_and_says_the_numbers(open_desk):
    desk = halted_with(open_desk, 100, -90)
    desk.run(10)
    desk.funding_goes(times=5)
    assert desk.mode is Mode.HALT and not desk.orders()
    assert {"UNEQUAL", "EXIT_BLOCKED"} <= desk.alarms
    assert "exit armed, but delta is 10 (1000 bp)" in desk.texts(c.RaiseAlarm)


@pytest.mark.parametrize("word", ["fail", "refuse", "hang"])
def test_b04_unreadable_balances_send_nothing_and_exit_4(open_desk, word):
    desk = open_desk(start=False)
    desk.reads[SPOT] = word
    desk.start("default")
    desk.funding()
    desk.run(62)
    assert desk.exit is not None and desk.exit[0] == 4
    assert not desk.orders()


def test_b05_scale_killed_ten_times_sets_the_target_once(open_desk):
    desk = open_desk(action="scale", usd=D(1000), quantity=None)
    for kill in range(10):
        desk.work(lambda: desk.resting() is not None, 60)
        desk.fill()
        desk.venue.price += 7
        desk.start("scale", boot="boot" if kill % 2 else f"boot{kill}")
        desk.run(20)
    desk.work(lambda: desk.mode is Mode.HALT)
    targets = [x.quantity for x in desk.seen(c.SetTarget) if x.why != "built"]
    assert targets == [D(10)]
    assert desk.held == (10, -10)


def test_b06_single_killed_mid_build_finishes_the_build(open_desk):
    desk = open_desk(action="single")
    desk.funding()
    desk.work(lambda: desk.held[0] > 4)
    desk.venue.position, before = desk.venue.position, len(desk.seen(c.SetTarget))
    desk.start("single")
    assert desk.exit is None
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (10, -10) and len(desk.seen(c.SetTarget)) == before + 1
    desk.funding_goes()
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")


@pytest.mark.parametrize("pair", [(10, -5), (5, -10), (10, 0), (0, -10)])
@pytest.mark.parametrize("rule", list(InventoryRule))
def test_b07_liquidation_ends_flat_from_anywhere(open_desk, pair, rule):
    coins, _ = pair
    if rule is InventoryRule.ACCOUNT:
        desk = open_desk(Venue(*pair), inventory=rule, action="liquidation")
    else:
        desk = open_desk(Venue(*pair))
        desk.run(10)
        desk.verb("adopt", quantity=D(coins))
        desk.run(3)
        desk.verb("liquidate")
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")
    assert (desk.venue.coins, desk.venue.position) == (0, 0)
    assert all(order.side is Side.SELL for order in desk.orders(SPOT))
    assert all(order.side is Side.BUY and order.reduce_only for order in desk.orders(FUTURES))
    assert sum(order.quantity for order in desk.orders(SPOT)) == coins


def test_b07_over_hedged_buys_futures_back_before_it_sells_spot(open_desk):
    desk = open_desk(Venue(5, -10), inventory=InventoryRule.ACCOUNT, action="liquidation")
    desk.work(lambda: desk.resting() is not None)
    assert desk.held == (5, -5)


def test_b07_under_hedged_sells_spot_first(open_desk):
    desk = open_desk(Venue(10, -5), inventory=InventoryRule.ACCOUNT, action="liquidation")
    desk.work(lambda: 5 <= desk.held[0] < 6)
    assert desk.held[1] == -5 and not desk.orders(FUTURES)


def test_b08_fast_spot_fills_coalesce_into_one_hedge(open_desk):
    desk = open_desk(limits={"exposure_max": D(201)}, quantity=D(1))
    desk.funding()
    desk.work(lambda: desk.resting() is not None, 10)
    desk.script[FUTURES].append("silent")
    for _ in range(10):
        desk.fill(D("0.1"))
        gap = desk.engine.delta * desk.venue.price
        assert gap <= desk.terms.limits.exposure_max
    assert desk.held == (1, 0) and len(desk.orders(FUTURES)) == 1
    assert desk.orders(FUTURES)[0].quantity == D("0.1")
    first = next(iter(desk.books.futures.open.values()))
    resting = desk.venue.accept(first.order)
    desk.tell(e.FillSeen, fill=desk.venue.fill(resting, first.quantity, desk.now))
    assert [order.quantity for order in desk.orders(FUTURES)] == [D("0.1"), D("0.9")]
    assert desk.held == (1, -1)


def test_b09_a_fee_in_the_coin_is_hedged_net_and_dust_is_named(open_desk):
    fee = {"maker_fee": D("0.001"), "taker_fee": D("0.001"), "fee_in_base": True}
    venue = Venue()
    venue.fee[SPOT] = (D("0.001"), "COIN")
    desk = open_desk(venue, spot_leg=fee, quantity=D(1), limits={"exposure_max": D(201)})
    desk.funding()
    desk.work(lambda: desk.resting() is not None, 10)
    desk.fill(1)
    assert desk.held == (D("0.999"), D("-0.999"))
    desk.fill()
    assert desk.held == (D("1.000998"), D("-0.999")), "the hedge of the rest is below the minimum"
    desk.work(lambda: desk.mode is Mode.HALT)
    spot, futures = desk.held
    assert 0 <= spot + futures < D("0.001")
    desk.funding_goes()
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")
    dust = desk.held[0]
    assert 0 < dust < D("0.05")
    assert desk.seen(c.EndRun)[-1].text == f"left: {dust:f} spot, 0 futures"


def test_b10_auto_deleveraging_is_noticed_in_one_event(open_desk):
    desk = open_desk()
    desk.build()
    desk.foreign(FUTURES, 3, FillKind.AUTO_DELEVERAGING)
    assert desk.held == (10, -7)
    assert {"FORCED_CLOSE", "UNEQUAL"} <= desk.alarms and desk.books.trip == Trip.FREEZE_SPOT
    orders = len(desk.orders())
    desk.run(400)
    assert len(desk.orders()) == orders and desk.mode is Mode.HALT
    assert not desk.books.trips.get("LOSS"), "a forced close at the market's price is no loss"


def test_b10_a_bare_difference_needs_two_witnesses(open_desk):
    desk = open_desk()
    desk.build()
    asked = len(desk.seen(c.AuditLeg))
    desk.venue.position += 3
    while desk.held[1] == -10:
        desk.run(1)
        assert len(desk.seen(c.AuditLeg)) < asked + 12
    externals = desk.seen(c.BookExternal)
    assert [(x.leg, x.quantity, x.reason) for x in externals] == [(FUTURES, 3, "EXTERNAL")]
    assert "EXTERNAL_FUTURES" in desk.alarms and desk.books.trip == Trip.FREEZE_SPOT


@pytest.mark.parametrize("kind", [FillKind.AUTO_DELEVERAGING, None])
def test_b10_spot_is_reduced_to_match_when_authorised(open_desk, kind):
    desk = open_desk(limits={"repair_after_s": 60})
    desk.build()
    if kind:
        desk.foreign(FUTURES, 3, kind)
    else:
        desk.venue.position += 3
    desk.run(55)
    assert desk.mode is Mode.HALT and desk.held[0] == 10
    desk.work(lambda: desk.mode is Mode.INVENTORY, 60)
    assert "REPAIR" in desk.alarms
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (7, -7)
    assert desk.orders()[-1].side is Side.SELL
    desk.run(200)
    assert desk.held == (7, -7) and desk.mode is Mode.HALT


def test_b10_what_was_mended_is_not_mended_again(open_desk):
    desk = open_desk(Venue(), limits={"repair_after_s": 60}, inventory=InventoryRule.ACCOUNT)
    desk.build()
    desk.foreign(FUTURES, 3, FillKind.AUTO_DELEVERAGING)
    desk.work(lambda: desk.mode is Mode.INVENTORY, 90)
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (7, -7)
    orders = len(desk.orders())
    desk.venue.coins += 5
    desk.run(300)
    assert desk.held == (12, -7) and desk.mode is Mode.HALT and "UNEQUAL" in desk.alarms
    assert len(desk.orders()) == orders, "in HALT the user may trade spot: nothing sells it"


def test_b10_futures_are_hedged_again_when_configured(open_desk):
    desk = open_desk(limits={"after_external": AfterExternal.REHEDGE})
    desk.build()
    desk.foreign(FUTURES, 3, FillKind.LIQUIDATION)
    desk.work(lambda: desk.held == (10, -10), 10)
    desk.work(lambda: desk.mode is Mode.HALT, 120)
    assert desk.books.trip == Trip.FREEZE_SPOT, "a person still has to look"
    assert Trigger.REPAIR in [x.trigger for x in desk.seen(c.ChangeMode)]


def test_b10_user_sold_coins_of_the_hedge(open_desk):
    desk = open_desk()
    desk.build()
    desk.venue.coins -= 2
    desk.run(40)
    assert desk.held == (8, -10)
    assert {"EXTERNAL_SPOT", "UNEQUAL"} <= desk.alarms and desk.mode is Mode.HALT


@pytest.mark.parametrize("word", ["swallowed", "swallowed fill"])
def test_b11_a_submit_without_an_answer_is_adopted(open_desk, word):
    desk = open_desk()
    desk.funding()
    desk.run(1)
    desk.work(lambda: desk.held[0] > 2)
    creates = desk.venue.creates
    leg = FUTURES if word == "swallowed fill" else SPOT
    desk.script[leg].append(word)
    desk.work(lambda: not desk.script[leg], 60)
    assert len(desk.seen(c.PlaceOrder)) == desk.venue.creates
    desk.run(3)
    assert not desk.books.in_doubt
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (10, -10) == (desk.venue.coins, desk.venue.position)
    assert len(desk.orders()) == desk.venue.creates > creates


def test_b12_coins_of_the_user_are_neither_hedged_nor_sold(open_desk):
    desk = open_desk(Venue(coins=3))
    desk.build()
    assert desk.held == (10, -10) and desk.venue.coins == 13
    desk.funding_goes()
    desk.unwind()
    assert (desk.venue.coins, desk.venue.position) == (3, 0)


def test_b13_the_funding_interval_changes_in_halt(open_desk):
    desk = open_desk(funding={"exit_below": D("0.00005"), "enter_above": D("0.0001")})
    desk.build()
    desk.funding_goes(rate="0.00004", times=2)
    assert desk.books.tally.below == 2
    for _ in range(4):
        desk.skip(61)
        desk.funding(D("0.00004"), interval_s=3_600)
    assert desk.books.tally.below == 0 and desk.books.tally.interval_s == 3_600
    assert desk.books.tally.last_rate_8h == D("0.00032")
    assert desk.rate.apr == D("0.00004") * 24 * 365
    for payment_id, interval_s in (("p1", 28_800), ("p2", 3_600), ("p2", 3_600)):
        payment = FundingPayment(
            payment_id=payment_id,
            symbol="COIN/USDT:USDT",
            rate=D("0.00004"),
            interval_s=interval_s,
            quantity=D(-10),
            cash=D("0.04"),
            asset="USDT",
            settled_at=desk.now,
        )
        desk.tell(e.FundingPaid, payment=payment)
    assert desk.books.funding_cash == D("0.08")
    assert desk.mode is Mode.HALT


def test_b14_another_coin_behind_the_same_name_is_refused(open_desk):
    venue = Venue()
    venue.futures_price = D("0.8")
    desk = open_desk(venue, start=False)
    desk.start("default", now=True)
    desk.run(3)
    assert desk.exit == (5, "PRICE_RATIO") and not desk.orders()


@pytest.mark.parametrize(
    "futures",
    [
        {"multiplier": D(1000), "lot": D(1000)},
        {"contract_size": D(10), "lot": D(10)},
    ],
)
def test_b15_quantities_match_in_coins(open_desk, futures):
    venue = Venue()
    venue.depth = D(1_000_000)
    venue.cash = venue.margin = D(10_000_000)
    desk = open_desk(
        venue,
        spot={"lot": D(1)},
        futures=futures,
        quantity=D(50_000),
        limits={"exposure_max": D(510_000)},
    )
    desk.build()
    assert desk.held == (50_000, -50_000) == (desk.venue.coins, desk.venue.position)
    assert all(order.quantity % futures["lot"] == 0 for order in desk.orders(FUTURES))


def test_a_fresh_desk_is_flat():
    desk = Desk(Venue(), terms_of())
    assert desk.held == (0, 0) and desk.engine.quantities_equal
