"""Goal: an order nobody answered for is neither repeated nor forgotten; reports always add up.
Method: lost, swallowed, late, doubled and reordered answers at each leg, and deaths in between.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import msgspec
import pytest
from toy import FUTURES, SPOT, Resting

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.mode import Mode, Trip
from hedge.decide.orders import OrderStatus
from hedge.decide.terms import AfterExternal, InventoryRule
from hedge.model import (
    Balance,
    FillKind,
    Order,
    OrderReport,
    ReportedStatus,
    Side,
    StreamKind,
    TimeInForce,
)
from hedge.model.numbers import SECOND

FENCE_S = 17


def lose(desk, leg, word="lost"):
    """Lose the next order of a leg on its way; return its record."""
    desk.script[leg].append(word)
    if leg is FUTURES:
        desk.fill()
    else:
        desk.verb("freeze")
        desk.verb("clear", subject="OPERATOR")
    book = desk.books.leg(leg)
    assert book.doubtful
    return next(iter(book.open.values()))


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_doubt_freezes_and_the_fence_buries_not_before(building, leg):
    record = lose(building, leg)
    orders, since = len(building.orders()), building.now
    while building.books.in_doubt:
        assert len(building.orders()) == orders, "nothing new leaves while in doubt"
        building.run(1)
    dead = building.seen(c.DeclareDead)
    assert [(x.leg, x.client_order_id) for x in dead] == [(leg, record.client_order_id)]
    assert FENCE_S * SECOND < building.now - since <= (FENCE_S + 3) * SECOND
    building.work(lambda: building.mode is Mode.HALT)
    assert building.held == (10, -10)


def test_the_other_leg_still_hedges_while_spot_is_in_doubt(building):
    part = D("0.5")
    lose(building, SPOT)
    assert building.books.in_doubt
    building.venue.accept(
        order := next(iter(building.books.spot.open.values())).order,
    )
    building.fill(part)
    assert building.held[1] == -building.held[0], "a fill of an order in doubt is hedged at once"
    assert order.quantity > part


def test_a_failed_read_resolves_nothing(building):
    lose(building, FUTURES)
    building.reads[FUTURES] = "fail"
    building.run(50)
    assert building.books.in_doubt and not building.seen(c.DeclareDead)


def test_a_position_that_disagrees_stops_the_burial(building):
    lose(building, FUTURES)
    building.stale_reads[FUTURES] = building.held[1] - 1
    building.run(40)
    assert building.books.in_doubt and not building.seen(c.DeclareDead)
    building.stale_reads[FUTURES] = None
    building.run(3)
    assert not building.books.in_doubt


def test_a_difference_that_no_doubt_could_have_made_ends_with_it(building):
    record = lose(building, FUTURES)
    position = building.held[1]
    building.venue.position += D("0.2")
    building.run(FENCE_S + 3)
    assert building.books.in_doubt, "one read behind the fence is one witness"
    assert "DIFFERS_FUTURES" in building.alarms
    building.run(FENCE_S)
    assert record.status is OrderStatus.DEAD
    assert [x.quantity for x in building.seen(c.BookExternal)] == [D("0.2")]
    assert building.held[1] == building.venue.position == position + D("0.2")
    assert "EXTERNAL_FUTURES" in building.alarms and "DIFFERS_FUTURES" not in building.alarms
    assert building.books.trips["EXTERNAL"] == Trip.FREEZE_SPOT


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_a_difference_that_the_doubt_could_have_made_waits_for_a_person(building, leg):
    """Coins missing beside a sale, a deeper short beside another: what the order would do."""
    if leg is SPOT:
        building.work(lambda: building.mode is Mode.HALT)
        building.script[SPOT].append("lost")
        building.verb("liquidate")
        building.work(lambda: building.books.in_doubt)
        building.venue.coins -= D("0.2")
    else:
        lose(building, FUTURES)
        building.venue.position -= D("0.2")
    building.run(3 * FENCE_S)
    assert building.books.leg(leg).doubtful
    assert not building.seen(c.DeclareDead) and not building.seen(c.BookExternal)


def test_a_leased_id_of_a_dead_machine_could_have_made_any_difference(building):
    building.start("default", boot="another")
    building.venue.position += D("0.2")
    building.run(3 * FENCE_S)
    assert building.books.futures.doubtful and not building.seen(c.BookExternal)


def test_a_difference_beside_a_doubt_must_stand_all_the_while(building):
    lose(building, FUTURES)
    building.venue.position += D("0.2")
    building.run(FENCE_S + 10)
    building.venue.position += D("0.2")
    building.run(2)
    building.venue.position -= D("0.2")
    building.run(FENCE_S - 1)
    assert building.books.in_doubt, "what changed and came back is seen for the first time"
    building.run(4)
    assert not building.books.in_doubt and building.held[1] == building.venue.position


def test_an_order_that_turns_up_late_is_adopted(building):
    record = lose(building, FUTURES)
    building.run(10)
    resting = building.venue.accept(record.order)
    building.venue.fill(resting, record.quantity, building.now)
    building.run(3)
    assert not building.books.in_doubt and not building.seen(c.DeclareDead)
    assert record.status is OrderStatus.FILLED and building.engine.quantities_equal


def test_a_buried_order_that_comes_back_counts(building):
    record = lose(building, FUTURES)
    building.run(FENCE_S + 3)
    assert record.status is OrderStatus.DEAD and building.engine.quantities_equal
    resting = building.venue.accept(record.order)
    fill = building.venue.fill(resting, record.quantity, building.now)
    building.tell(e.FillSeen, fill=fill)
    assert building.held[1] == building.venue.position
    building.tell(e.OrderReported, leg=FUTURES, report=resting.report(building.now))
    building.run(3)
    assert building.held[1] == building.venue.position == -building.held[0]
    assert building.orders(FUTURES)[-1].reduce_only


def test_doubt_of_a_minute_alarms_and_of_five_locks(building):
    lose(building, FUTURES)
    building.reads[FUTURES] = "fail"
    building.run(59)
    assert "IN_DOUBT" not in building.alarms
    building.run(3)
    assert "IN_DOUBT" in building.alarms and building.books.trip < Trip.LOCKED
    building.run(241)
    assert building.books.trips["IN_DOUBT"] == Trip.LOCKED
    building.reads[FUTURES] = ""
    building.run(30)
    assert not building.books.in_doubt and "IN_DOUBT" not in building.alarms
    assert building.books.trip == Trip.LOCKED, "a lock waits for a person"
    building.verb("clear", subject="*")
    building.run(2)
    assert building.engine.quantities_equal and building.books.trip == Trip.FREEZE_SPOT
    building.verb("clear", subject="*")
    building.work(lambda: building.mode is Mode.HALT)


def test_three_hedges_that_came_to_nothing_lock(building):
    building.script[FUTURES].extend(["lost"] * 9)
    building.fill()
    building.run(200)
    assert building.books.trips["THROTTLE"] == Trip.LOCKED and "THROTTLE" in building.alarms
    assert len(building.seen(c.DeclareDead)) <= 3


def test_a_position_read_that_sticks_at_zero_cannot_run_away(open_desk):
    desk = open_desk(limits={"after_external": AfterExternal.REHEDGE})
    desk.funding()
    desk.work(lambda: desk.held[0] > 4)
    desk.stale_reads[FUTURES] = D(0)
    desk.run(600)
    assert desk.books.trips["THROTTLE"] == Trip.LOCKED
    assert abs(desk.venue.position) < 3 * desk.held[0]


# -- reports and fills ---------------------------------------------------------------------------


def test_a_fill_after_a_cancel_is_booked_and_hedged(building):
    resting = building.resting()
    building.verb("pause")
    assert resting.status is ReportedStatus.CANCELLED
    held = building.held[0]
    fill = building.venue.fill(resting, D("0.3"), building.now)
    building.tell(e.FillSeen, fill=fill)
    assert building.held == (held + D("0.3"), -(held + D("0.3")))


def test_a_cancel_refused_because_it_filled_is_no_statement_about_fills(building):
    resting = building.resting()
    building.fill(told=False)
    building.verb("pause")
    assert [x.client_order_id for x in building.seen(c.CancelOrder)] == [
        resting.order.client_order_id
    ]
    building.run(2)
    assert building.held[0] == building.venue.coins and building.engine.quantities_equal
    assert len(building.orders(SPOT)) == building.venue.creates - len(building.orders(FUTURES))


def test_a_cancel_without_an_answer_is_asked_again(building):
    building.cancelling = "hang"
    building.verb("pause")
    building.run(6)
    assert len(building.seen(c.CancelOrder)) == 2
    building.cancelling = "yes"
    building.run(6)
    assert building.resting() is None and not building.books.spot.open


def test_doubled_and_reordered_reports_count_once(building):
    resting, held = building.resting(), building.held[0]
    fills, reports = [], [resting.report(building.now)]
    for _ in range(3):
        fills.append(building.venue.fill(resting, D("0.2"), building.now))
        reports.append(resting.report(building.now))
    for report in (reports[2], reports[0], reports[3], reports[1], reports[3]):
        building.tell(e.OrderReported, leg=SPOT, report=report)
    for fill in (fills[2], fills[0], fills[2], fills[1], fills[0]):
        building.tell(e.FillSeen, fill=fill)
    assert building.held == (held + D("0.6"), -(held + D("0.6")))


def test_a_status_that_goes_backwards_does_not_reopen(building):
    resting = building.resting()
    working = resting.report(building.now)
    building.fill()
    held = building.held
    building.tell(e.OrderReported, leg=SPOT, report=working)
    record = building.books.spot.orders[resting.order.client_order_id]
    assert record.status is OrderStatus.FILLED and building.held == held


def test_a_nameless_fill_before_the_acknowledgement_is_matched(building):
    building.reads[SPOT] = "hang"  # a read would find it too, and hide whether it was kept
    building.script[SPOT].append("silent")
    building.verb("freeze")
    building.verb("clear", subject="OPERATOR")
    record = next(iter(building.books.spot.open.values()))
    resting = building.venue.accept(record.order)
    acknowledged = resting.report(building.now)
    fill = building.venue.fill(resting, D("0.5"), building.now)
    nameless = msgspec.structs.replace(fill, client_order_id="")
    held = building.held[0]
    building.tell(e.FillSeen, fill=nameless)
    assert building.held[0] == held, "whose it is, is not known yet"
    building.tell(e.OrderReported, leg=SPOT, report=acknowledged)
    assert building.held[0] == held + D("0.5"), "the answer names it; it says nothing of fills"
    building.tell(e.FillSeen, fill=fill)
    assert building.held[0] == held + D("0.5")


def test_a_trade_by_hand_during_a_doubt_is_booked_once(open_desk):
    """Its owner is not known while our order has no venue id; the burial tells whose it is not."""
    desk = open_desk(limits={"after_external": AfterExternal.REHEDGE})
    desk.funding()
    desk.work(lambda: desk.held[0] > 4)
    desk.run(2)
    record = lose(desk, FUTURES)
    desk.reads[FUTURES] = "fail"
    desk.foreign(FUTURES, 1)
    desk.run(120)
    assert desk.books.futures.unmatched
    desk.verb("lock", subject="ME")
    desk.reads[FUTURES] = ""
    desk.run(3)
    assert record.status is OrderStatus.DEAD and not desk.books.futures.unmatched
    assert desk.held[1] == desk.venue.position and "EXTERNAL_FUTURES" in desk.alarms
    desk.run(60)
    for _ in range(40):
        desk.verb("clear", subject="*")
        desk.run(1)
        assert -desk.venue.position <= desk.venue.coins, "one trade was hedged twice"
    assert desk.held == (desk.venue.coins, desk.venue.position)
    assert not desk.seen(c.BookExternal), "a trade has a price; a difference has none"
    hashed = desk.books.state_hash()
    desk.engine = Engine(desk.terms)
    desk.engine.replay(desk.rows)
    assert desk.books.state_hash() == hashed


def test_a_trade_as_young_as_a_read_may_be_old_ends_no_doubt(building):
    """A read of orders from before the trade could not know the order that made it."""
    lose(building, FUTURES)
    building.reads[FUTURES] = "fail"
    building.run(FENCE_S + 10)
    building.reads[FUTURES] = ""
    building.foreign(FUTURES, -1)
    building.run(1)
    assert building.books.in_doubt
    building.run(4)
    assert not building.books.in_doubt and building.held[1] == building.venue.position


def test_a_refusal_is_final_and_an_ioc_is_tried_again_later(building):
    building.script[FUTURES].append("refuse")
    creates = building.venue.creates
    building.fill()
    assert building.venue.creates == creates and not building.engine.quantities_equal
    assert building.engine.reason.startswith("RETRY_LATER")
    building.run(2)
    assert building.engine.quantities_equal


def test_three_refused_hedges_freeze_spot(building):
    building.script[FUTURES].extend(["refuse"] * 3)
    building.fill()
    building.run(20)
    assert building.books.trips["HEDGE_REFUSED"] == Trip.FREEZE_SPOT
    assert building.engine.quantities_equal, "and hedging went on"


def test_an_execution_of_an_unknown_type_moves_no_book_and_no_hedge(building):
    """F26: a funding settlement that parses as a fill of the whole position."""
    held, orders = building.held, len(building.orders(FUTURES))
    fill = building.venue.execution(
        FUTURES, Side.BUY, -held[1], D(100), building.now, FillKind.UNKNOWN
    )
    building.tell(e.FillSeen, fill=fill)
    building.run(30)
    assert building.held == held == (building.venue.coins, building.venue.position)
    assert len(building.orders(FUTURES)) == orders
    assert "UNKNOWN_EXECUTION" in building.alarms and building.books.trip >= Trip.FREEZE_SPOT


def test_an_order_with_an_id_of_ours_that_nobody_knows_is_taken_in_and_cancelled(building):
    stray = Order(
        client_order_id="H0001S00FFFF",
        leg=SPOT,
        symbol="COIN/USDT",
        side=Side.BUY,
        quantity=D(1),
        limit_price=D(90),
        time_in_force=TimeInForce.POST_ONLY,
        signed_at=building.now,
        recv_window_ms=2_000,
    )
    building.venue.orders[SPOT][stray.client_order_id] = Resting(order=stray, venue_id="stray")
    building.fill()
    building.run(20)
    assert building.venue.orders[SPOT]["H0001S00FFFF"].status is ReportedStatus.CANCELLED


def test_somebody_elses_order_is_left_alone(building):
    report = OrderReport(
        client_order_id="web_1", status=ReportedStatus.WORKING, side=Side.BUY, quantity=D(1)
    )
    before = building.books.state_hash()
    building.tell(e.OrderReported, leg=SPOT, report=report)
    assert building.books.state_hash() == before


# -- deaths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_a_process_that_died_between_send_and_answer(building, leg, accepted):
    if leg is SPOT:
        building.verb("pause")
    building.script[leg].append("silent")
    if leg is SPOT:
        building.verb("resume")
    else:
        building.fill()
    (record,) = building.books.leg(leg).open.values()
    if accepted:
        resting = building.venue.accept(record.order)
        building.venue.fill(resting, record.quantity, building.now)
    building.start("default")
    building.work(lambda: building.mode is Mode.HALT)
    assert building.held == (10, -10) == (building.venue.coins, building.venue.position)


def test_another_boot_puts_every_leased_id_in_doubt(building):
    spot = building.books.spot
    unused = spot.lease_wished_to - spot.sequence
    building.start("default", boot="another")
    book = building.books.spot
    ghosts = [record for record in book.open.values() if record.order is None]
    assert len(ghosts) == unused and book.doubtful
    orders = len(building.orders())
    building.run(FENCE_S - 1)
    assert len(building.orders()) == orders and building.books.in_doubt
    building.work(lambda: building.mode is Mode.HALT)
    assert building.held == (10, -10)


@pytest.mark.parametrize("ahead_s", [0, 3_600, -3_600])
def test_no_clock_of_ours_buries_a_leased_id_early(building, ahead_s):
    """The time of its signature is not known: its fence is counted in the venue's time alone."""
    building.clock_offset = dict.fromkeys(building.clock_offset, 3_600 * SECOND)
    building.start("default", boot="another")
    building.run(1)
    building.now += ahead_s * SECOND  # set between two processes, and the venue's is not
    building.clock_offset = dict.fromkeys(building.clock_offset, (3_600 - ahead_s) * SECOND)
    building.start("default", boot="another")
    building.run(FENCE_S - 1)
    assert building.books.in_doubt and not building.seen(c.DeclareDead)
    building.run(3)
    assert not building.books.in_doubt


def test_another_boot_finds_an_order_that_the_lost_pages_held(building):
    book = building.books.spot
    lost = building.resting()
    building.verb("pause")
    ghost_id = book.next_id("H")
    order = msgspec.structs.replace(lost.order, client_order_id=ghost_id)
    resting = building.venue.accept(order)
    building.venue.fill(resting, D("0.7"), building.now)
    building.start("default", boot="another")
    building.run(FENCE_S + 10)
    assert building.held[0] == building.venue.coins and not building.books.in_doubt
    building.verb("resume")
    building.work(lambda: building.mode is Mode.HALT)
    assert building.held == (10, -10) == (building.venue.coins, building.venue.position)


def test_the_same_boot_trusts_the_log(building):
    building.start("default")
    assert all(record.order is not None for record in building.books.spot.open.values())
    building.work(lambda: building.mode is Mode.HALT, 120)


def test_a_stream_that_was_down_at_the_death_is_not_down_for_ever(building):
    building.tell(e.StreamChanged, leg=SPOT, kind=StreamKind.ACCOUNT, up=False, why="lost")
    assert building.resting() is None
    building.start("default")
    building.work(lambda: building.mode is Mode.HALT)


def test_ids_are_never_used_twice_over_restarts(building):
    for _ in range(4):
        building.start("default")
        building.work(lambda: building.resting() is not None, 60)
        building.fill()
    ids = [order.client_order_id for order in building.orders()]
    assert len(set(ids)) == len(ids) and {i[1:5] for i in ids} == {f"{n:04X}" for n in range(1, 6)}


def test_a_difference_that_a_doubt_hides_is_said_and_buys_nothing(building):
    building.script[SPOT].append("lost")
    building.work(lambda: building.books.in_doubt, 60)
    building.venue.coins -= D("0.5")
    building.run(20)
    assert "DIFFERS_SPOT" in building.alarms and building.books.in_doubt
    building.verb("resolve", subject=next(iter(building.books.spot.open)))
    before = len(building.orders(SPOT))
    building.run(1)
    assert len(building.orders(SPOT)) == before
    building.run(10)
    assert "EXTERNAL_SPOT" in building.alarms and "DIFFERS_SPOT" not in building.alarms


def test_resolving_one_of_many_doubts_does_not_page_for_the_others_again(building):
    building.reads = {SPOT: "fail", FUTURES: "fail"}
    building.boot("another boot: each leased id may be an order")
    building.skip(330)
    assert "IN_DOUBT" in building.alarms and "IN_DOUBT" in building.books.trips
    building.verb("resolve", subject=list(building.books.spot.open)[-1])
    raised = [row.entry for row in building.rows if isinstance(row.entry, c.RaiseAlarm)]
    assert "IN_DOUBT" in building.alarms
    assert sum(alarm.key == "IN_DOUBT" for alarm in raised) == 1


def test_a_build_does_not_end_while_a_push_contradicts_what_was_read(open_desk):
    desk = open_desk(inventory=InventoryRule.ACCOUNT, execution={"settle_s": 5})
    desk.funding()
    desk.work(lambda: desk.engine.reason.startswith("SETTLING"))
    desk.reads[FUTURES] = "fail"
    desk.run(8)
    desk.reads[SPOT], desk.reads[FUTURES] = "fail", ""
    desk.venue.coins += 1
    desk.tell(e.BalanceSeen, balance=Balance(asset="COIN", free=desk.venue.coins))
    desk.run(8)
    assert desk.mode is Mode.INVENTORY, "in HALT nobody hedges what the next read finds"
    desk.reads[SPOT] = ""
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held[0] == desk.venue.coins == -desk.held[1]
