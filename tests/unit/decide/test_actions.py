"""Goal: each action does its own thing in each situation, exactly once, and says so in its exit.
Method: the table of actions x situations by the one door; every desk's journal is replayed after.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from desk import BAD, GOOD
from toy import FUTURES, SPOT, Venue

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trigger
from hedge.decide.terms import Action, InventoryRule
from hedge.model import FillKind, RateOrigin, Side
from hedge.model.numbers import SECOND

ACTIONS = [action.value for action in Action]


@pytest.mark.parametrize("action", ["default", "single"])
def test_flat_waits_for_funding_and_builds(open_desk, action):
    desk = open_desk(action=action)
    desk.run(30)
    assert desk.mode is Mode.HALT and desk.engine.reason.startswith("ENTRY_WAIT")
    assert [x.key for x in desk.seen(c.Notice)] == ["ENTRY_WAIT"]
    desk.funding("0.00005")
    assert desk.mode is Mode.HALT, "the threshold itself is not above it"
    desk.skip(61)
    desk.funding(GOOD)
    assert desk.mode is Mode.INVENTORY and desk.books.target == 10
    desk.build()
    assert desk.books.run.open is (action == "single")


def test_flat_scale_asks_no_funding(open_desk):
    desk = open_desk(action="scale", usd=D(1005), quantity=None)
    desk.run(1)
    assert desk.mode is Mode.INVENTORY and desk.books.target == D("10.05")


def test_flat_liquidation_ends_at_once(open_desk):
    desk = open_desk(action="liquidation")
    desk.run(3)
    assert desk.exit == (0, "UNWOUND") and not desk.orders()


@pytest.mark.parametrize("action", ["default", "single"])
def test_enter_now_overrides_bad_funding(open_desk, action):
    desk = open_desk(start=False)
    desk.boot()
    desk.funding(BAD)
    desk.ask(action, now=True)
    desk.run(1)
    assert desk.mode is Mode.INVENTORY


def test_a_stale_rate_does_not_enter(open_desk):
    desk = open_desk(start=False)
    desk.boot()
    desk.funding(GOOD)
    desk.skip(700)
    desk.ask("default")
    desk.run(1)
    assert desk.engine.reason == "ENTRY_WAIT: funding=unknown min=0.00005"
    desk.funding(GOOD, seen=desk.now - 1_000 * SECOND)
    assert desk.mode is Mode.HALT, "an old poll that comes in now is still old"


def test_a_first_quote_after_the_funding_starts_the_build_at_once(open_desk):
    desk = open_desk(start=False)
    desk.quoting = {SPOT: False, FUTURES: False}
    desk.start("default")
    desk.funding(GOOD)
    assert desk.engine.reason.startswith("NO_PRICE")
    desk.quoting = {SPOT: True, FUTURES: True}
    desk.market()
    assert desk.mode is Mode.INVENTORY


def test_a_usd_target_is_rounded_down_to_the_coarser_lot(open_desk):
    desk = open_desk(usd=D(1000), quantity=None, futures={"lot": D("0.1")}, spot={"lot": D("0.01")})
    desk.venue.price = D(93)
    desk.market()
    desk.funding()
    assert desk.books.target == D("10.7")


# -- a position that no run of ours explains -----------------------------------------------------


def test_unexplained_default_watches_and_says_so(open_desk):
    desk = open_desk(Venue(0, -10))
    desk.run(10)
    assert desk.mode is Mode.HALT and not desk.orders() and desk.exit is None
    assert {"POSITION_FOUND", "UNEQUAL"} <= desk.alarms and desk.books.unexplained
    desk.funding_goes()
    desk.run(120)
    assert not desk.orders()


def test_unexplained_default_then_adopted_is_armed(open_desk):
    desk = open_desk(Venue(10, -10))
    desk.run(10)
    desk.verb("adopt", quantity=D(10))
    desk.run(3)
    assert not desk.books.unexplained and desk.engine.equal and not desk.orders()
    desk.funding_goes()
    desk.unwind()
    assert desk.exit == (0, "UNWOUND") and (desk.venue.coins, desk.venue.position) == (0, 0)


@pytest.mark.parametrize("told", [True, False])
def test_a_found_position_that_was_closed_by_hand_leaves_nothing_to_adopt(open_desk, told):
    desk = open_desk(Venue(0, -3))
    desk.run(10)
    desk.foreign(FUTURES, 3, told=told)
    desk.skip(90)
    desk.verb("clear", subject="*")
    desk.start("default", request="afresh")
    desk.run(3)
    desk.build()
    assert desk.held == (10, -10)
    desk.verb("liquidate")
    assert desk.mode is Mode.LIQUIDATION, desk.texts(c.Notice)
    desk.unwind()


def test_adopt_on_the_start_line_happens_once(open_desk):
    desk = open_desk(Venue(10, -10), start=False)
    desk.start("default", adopt=10)
    desk.run(10)
    desk.start("default", adopt=10)
    desk.run(10)
    assert desk.held == (10, -10) and desk.engine.equal


def test_adopt_on_the_start_line_is_remembered_behind_any_number_of_commands(open_desk):
    desk = open_desk(Venue(30, -10), start=False)
    desk.start("default", adopt=10)
    desk.run(10)
    for _ in range(300):
        desk.verb("ack", subject="*")
    desk.start("default", adopt=10)
    desk.run(10)
    assert desk.held == (10, -10) and len(desk.books.requests) <= 257


@pytest.mark.parametrize("by", ["line", "verb"])
def test_coins_that_a_late_read_does_not_show_yet_are_not_refused(open_desk, by):
    desk = open_desk(Venue(10, -10), start=False)
    if by == "verb":
        desk.start("default")
        desk.run(10)
    desk.stale_reads[SPOT] = 0
    if by == "verb":
        desk.run(desk.terms.limits.audit_halt_ms // 1_000)
        desk.verb("adopt", quantity=D(10))
    else:
        desk.start("default", adopt=10)
    desk.run(1)
    assert "NOT_ADOPTED" not in desk.alarms
    desk.stale_reads[SPOT] = None
    desk.run(5)
    assert desk.held == (10, -10) and "NOT_ADOPTED" not in desk.alarms


def test_coins_that_are_not_there_are_refused_when_no_read_can_be_late(open_desk):
    desk = open_desk(Venue(9, -10), start=False)
    desk.start("default", adopt=10)
    desk.run(5)
    assert desk.held == (0, -10) and "NOT_ADOPTED" in desk.alarms and desk.books.run.open is False


@pytest.mark.parametrize("rule", list(InventoryRule))
def test_unexplained_single_exits_6_with_nothing_sent(open_desk, rule):
    desk = open_desk(Venue(0, -10), action="single", inventory=rule)
    desk.funding()
    desk.run(10)
    assert desk.exit == (6, "POSITION_FOUND") and not desk.orders()


@pytest.mark.parametrize("action", ["scale", "liquidation"])
def test_unexplained_scale_and_liquidation_refuse_with_5(open_desk, action):
    desk = open_desk(Venue(10, -10), action=action)
    desk.run(10)
    assert desk.exit == (5, "NOT_ADOPTED") and not desk.orders()


def test_account_scale_acts_on_what_is_there(open_desk):
    desk = open_desk(Venue(4, -2), action="scale", inventory=InventoryRule.ACCOUNT)
    desk.work(lambda: desk.mode is Mode.INVENTORY, 20)
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (10, -10)


# -- a position of ours --------------------------------------------------------------------------


@pytest.mark.parametrize("request_id", ["r1", "r2"])
def test_held_default_watches(open_desk, request_id):
    desk = open_desk()
    desk.build()
    orders = len(desk.orders())
    desk.start("default", request=request_id)
    desk.funding(GOOD)
    desk.run(60)
    assert desk.mode is Mode.HALT and desk.exit is None and len(desk.orders()) == orders
    assert not desk.alarms


def test_held_single_by_another_line_exits_6(open_desk):
    desk = open_desk()
    desk.build()
    desk.start("single", request="other")
    desk.run(5)
    assert desk.exit == (6, "POSITION_FOUND")


@pytest.mark.parametrize(("usd", "left"), [(500, 5), (1500, 15)])
def test_held_scale_goes_to_the_new_target_both_ways(open_desk, usd, left):
    desk = open_desk()
    desk.build()
    desk.verb("scale", usd=D(usd))
    assert desk.mode is Mode.INVENTORY
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (left, -left)


def test_held_liquidation_unwinds(open_desk):
    desk = open_desk()
    desk.build()
    desk.start("liquidation", request="r2")
    desk.unwind()
    assert desk.exit == (0, "UNWOUND") and desk.held == (0, 0)


# -- an open run ---------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["default", "single", "scale", "liquidation"])
def test_the_same_line_resumes_its_open_run(open_desk, action):
    desk = open_desk()
    if action == "liquidation":
        desk.build()
    desk.start(action, request="mine")
    desk.funding()
    want = Mode.LIQUIDATION if action == "liquidation" else Mode.INVENTORY
    desk.work(lambda: desk.mode is want and 2 < desk.held[0] < 8)
    run, target = desk.books.run.run_id, desk.books.target
    desk.venue.price *= 2
    desk.start(action, request="mine")
    desk.run(2)
    assert (desk.books.run.run_id, desk.books.target, desk.mode) == (run, target, want)
    assert [x.key for x in desk.seen(c.Notice)][-1] == "RESUMED"


def test_another_action_supersedes_the_open_run(open_desk):
    desk = open_desk()
    desk.funding()
    desk.work(lambda: desk.held[0] > 3)
    desk.run(1)
    assert desk.resting() is not None
    desk.ask("liquidation", request="r2")
    assert desk.mode is Mode.LIQUIDATION and desk.resting(SPOT).order.side is Side.SELL
    assert [x.why for x in desk.seen(c.CancelOrder)] == ["superseded"]
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")


def test_another_build_line_supersedes_and_watches_first(open_desk):
    desk = open_desk()
    desk.funding()
    desk.work(lambda: desk.held[0] > 3)
    desk.run(1)
    desk.ask("default", request="r2")
    assert desk.mode is Mode.HALT and Trigger.FOUND in [x.trigger for x in desk.seen(c.ChangeMode)]
    desk.run(5)
    assert desk.resting() is None


# -- an ended run --------------------------------------------------------------------------------


def test_a_superseded_unwinding_leaves_no_target_in_the_way_of_a_repair(open_desk):
    desk = open_desk(limits={"repair_after_s": 60})
    desk.build()
    desk.verb("liquidate")
    desk.work(lambda: desk.held[0] < 8)
    desk.start("default", request="watch it instead")
    desk.run(30)
    assert desk.mode is Mode.HALT and desk.books.target is None
    desk.foreign(FUTURES, 2, FillKind.AUTO_DELEVERAGING)
    covered = -desk.held[1]
    desk.work(lambda: desk.held[0] == covered, 200)
    assert "REPAIR" in desk.alarms


@pytest.mark.parametrize("action", ["default", "single"])
def test_an_ended_build_line_starts_afresh(open_desk, action):
    desk = open_desk(action=action)
    desk.build()
    desk.funding_goes()
    desk.unwind()
    desk.start(action)
    desk.run(3)
    assert desk.engine.reason.startswith("ENTRY_WAIT"), "nothing is bought back at a bad rate"
    desk.skip(25 * 3600)  # the desk's wide books cost 1 % a round: a second one on the same day
    desk.build()  # would meet the limit of a day's loss
    assert desk.held == (10, -10)


@pytest.mark.parametrize("action", ["scale", "liquidation"])
def test_an_ended_scale_or_liquidation_wants_again(open_desk, action):
    desk = open_desk()
    desk.build()
    desk.start(action, request="once")
    desk.work(lambda: desk.ended or (action == "scale" and desk.mode is Mode.HALT))
    orders = len(desk.orders())
    desk.start(action, request="once")
    desk.run(5)
    assert len(desk.orders()) == orders
    if action == "liquidation":
        assert desk.exit == (0, "ALREADY_DONE")
    else:
        assert desk.exit is None and "ALREADY_DONE" in [x.key for x in desk.seen(c.Notice)]
    desk.venue.price = D(50)
    run = desk.books.run.run_id
    desk.start(action, request="once", again=True)
    desk.run(1)
    assert desk.books.run.run_id == run + 1


def test_a_target_below_the_minimums_is_refused(open_desk):
    desk = open_desk(quantity=D("0.04"))
    desk.funding()
    desk.run(1)
    assert desk.exit == (5, "BELOW_MINIMUM") and not desk.orders()


# -- starts that cannot ask ----------------------------------------------------------------------


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_nothing_is_created_before_recovery_has_finished(open_desk, leg):
    desk = open_desk(start=False)
    desk.reads[leg] = "hang"
    desk.start("default", now=True)
    desk.funding()
    desk.run(40)
    assert desk.engine.reason == "RECOVERING" and not desk.orders()
    desk.reads[leg] = ""
    desk.skip(62)
    assert desk.exit == (4, "UNREADABLE"), "after a minute without both reads a start gives up"


def test_a_start_with_an_open_hedge_keeps_asking_and_alarms(open_desk):
    desk = open_desk()
    desk.build()
    desk.reads[FUTURES] = "fail"
    desk.start("default")
    desk.run(120)
    assert desk.exit is None and "UNREADABLE" in desk.alarms
    desk.reads[FUTURES] = ""
    desk.run(5)
    assert desk.engine.volatile.recovered


def test_a_read_without_an_answer_is_asked_again_though_nothing_happens(open_desk):
    desk = open_desk()
    desk.build()
    desk.reads = {SPOT: "hang", FUTURES: "hang"}
    desk.boot()
    desk.sleep(70)
    desk.reads = {SPOT: "", FUTURES: ""}
    desk.sleep(61)
    assert desk.engine.legs_known


def test_the_unused_lease_makes_an_order_wait(open_desk):
    desk = open_desk(start=False)
    desk.leasing = False
    desk.start("default", now=True)
    desk.run(3)
    assert desk.engine.reason.startswith("IDS_LEASING") and not desk.orders()
    lease = next(x for x in desk.seen(c.LeaseIds) if x.leg is SPOT)
    desk.leasing = True
    desk.tell(e.IdsLeased, leg=SPOT, epoch=lease.epoch, first=lease.first, last=lease.last)
    assert desk.orders(SPOT)


def test_a_mode_is_on_disk_before_its_first_spot_order(open_desk):
    """What a dead machine forgets of its journal is nothing that an order was sent for."""
    desk = open_desk(action="single")
    desk.build()
    desk.leasing, orders, leases = False, len(desk.orders()), len(desk.seen(c.LeaseIds))
    desk.funding_goes()
    desk.run(3)
    assert desk.mode is Mode.LIQUIDATION and len(desk.orders()) == orders
    assert desk.engine.reason.startswith("IDS_LEASING")
    (lease,) = desk.seen(c.LeaseIds)[leases:]
    rows = [type(one) for one in desk.commands]
    changed = len(rows) - rows[::-1].index(c.ChangeMode)
    assert rows.index(c.LeaseIds, changed) and lease.leg is SPOT and lease.first == lease.last
    desk.leasing = True
    desk.tell(e.IdsLeased, leg=SPOT, epoch=lease.epoch, first=lease.first, last=lease.last)
    assert len(desk.orders(SPOT)) and len(desk.orders()) == orders + 1
    desk.unwind()
    assert desk.held == (0, 0)


def test_a_hedge_waits_for_no_mode_to_reach_the_disk(open_desk):
    desk = open_desk(action="single")
    desk.build()
    desk.leasing = False
    desk.funding_goes()
    desk.foreign(SPOT, D(-2))
    desk.run(30)
    assert desk.mode is Mode.LIQUIDATION and not desk.orders(SPOT)[-1].reduce_only
    assert desk.held == (8, -8)


@pytest.mark.parametrize("liquidated", [False, True])
@pytest.mark.parametrize("mode", [Mode.INVENTORY, Mode.LIQUIDATION])
def test_what_the_last_run_left_open_is_hedged_before_another_begins(open_desk, mode, liquidated):
    """Or the new action finds a position, watches it in HALT, and nothing ever closes the gap."""
    desk = open_desk()
    if mode is Mode.LIQUIDATION:
        desk.build()
        desk.funding_goes()
        desk.run(3)
    else:
        desk.funding(GOOD)
        desk.work(lambda: desk.held[0] >= 2)
    assert desk.mode is mode and desk.resting() is not None
    desk.script[FUTURES].append("lost")
    desk.fill(D("0.5"))
    gap = sum(desk.held)
    assert gap and desk.books.in_doubt
    if liquidated:
        desk.verb("liquidate")
    desk.start("default", request="r2")
    desk.work(lambda: desk.mode is Mode.HALT and not desk.books.run.open)
    assert not sum(desk.held)
    assert desk.held == (desk.venue.coins, desk.venue.position)
    assert "UNEQUAL" not in {one.key for one in desk.seen(c.RaiseAlarm)} and not desk.resting()


def test_a_single_on_an_open_run_hedges_what_that_left_and_watches_it(open_desk):
    """An open run explains the position; to end beside its gap would leave it to nobody."""
    desk = open_desk()
    desk.funding(GOOD)
    desk.work(lambda: desk.held[0] >= 2)
    desk.script[FUTURES].append("lost")
    desk.fill()
    assert sum(desk.held)
    desk.start("single", request="r2")
    desk.work(lambda: desk.mode is Mode.HALT and not sum(desk.held))
    assert desk.exit is None and desk.held == (desk.venue.coins, desk.venue.position)
    desk.funding_goes()
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")


@pytest.mark.parametrize("built", [True, False])
def test_a_single_that_was_scaled_is_one_still(open_desk, built):
    """Its line resumes it, in the middle and behind the end of it, and it ends by itself."""
    desk = open_desk(action="single")
    desk.build()
    desk.verb("scale", usd=D(1500))
    desk.work(lambda: desk.held[0] > 11)
    if built:
        desk.work(lambda: desk.mode is Mode.HALT)
    desk.start("single")
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.exit is None and desk.held == (15, -15)
    desk.funding_goes()
    desk.unwind()
    assert desk.exit == (0, "UNWOUND") and desk.held == (0, 0)


def test_a_single_whose_liquidation_gave_way_to_a_scale_is_one_still(open_desk):
    desk = open_desk(action="single")
    desk.build()
    desk.verb("liquidate")
    desk.work(lambda: desk.held[0] < 9)
    desk.verb("scale", usd=D(1500))
    desk.work(lambda: desk.mode is Mode.HALT)
    desk.start("single")
    desk.run(20)
    assert desk.exit is None and desk.held == (15, -15)


def test_what_rests_when_a_process_begins_is_no_silence_of_a_stream(open_desk):
    """The last that was heard of an account may be weeks old; this process has just begun."""
    desk = open_desk()
    desk.build()
    desk.skip(600)
    desk.heartbeats = False
    desk.start("default")
    desk.run(20)
    assert "ACCOUNT_STREAM" not in {one.key for one in desk.seen(c.RaiseAlarm)}


def test_carried_rates_may_enter(open_desk):
    desk = open_desk()
    desk.funding(GOOD, origin=RateOrigin.CARRIED)
    assert desk.mode is Mode.INVENTORY


@pytest.mark.parametrize("inventory", [InventoryRule.MANAGED, InventoryRule.ACCOUNT])
def test_what_was_traded_just_before_the_first_start_is_not_booked_again(open_desk, inventory):
    """Another hedge of the account, or a person, has just gone flat."""
    desk = open_desk(start=False, inventory=inventory)
    for leg, first in ((SPOT, 2), (FUTURES, -2)):
        desk.foreign(leg, first, told=False)
        desk.foreign(leg, -first, told=False)
    desk.blink(900)
    desk.start("single")
    desk.build()
    assert desk.held == (desk.venue.coins, desk.venue.position) == (10, -10)
    raised = {one.key for one in desk.seen(c.RaiseAlarm)}
    assert not raised & {"POSITION_FOUND", "EXTERNAL_FUTURES", "EXTERNAL_SPOT"}
    assert not desk.books.trips
    desk.start("single")  # and the next process knows it as well
    desk.run(40)
    assert desk.held == (desk.venue.coins, desk.venue.position)
    assert not desk.books.trips


def test_what_was_traded_before_a_later_start_is_booked(open_desk):
    desk = open_desk(action="single")
    desk.build()
    desk.foreign(FUTURES, 1, told=False)
    desk.start("single")
    desk.run(40)
    assert desk.held[1] == desk.venue.position and desk.books.external_at
