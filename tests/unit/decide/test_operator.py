"""Goal: every verb of a person does what it says in every mode, once, and nothing else.
Method: the verb by the one door on a desk in each mode; stop is followed to its exit code.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from desk import BAD
from toy import FUTURES, SPOT, Venue

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.events import Verb
from hedge.decide.mode import Mode, Trip
from hedge.decide.terms import InventoryRule
from hedge.model import Position, Side
from hedge.model.numbers import SECOND


def in_mode(open_desk, mode):
    desk = open_desk()
    if mode is Mode.INVENTORY:
        desk.funding()
        desk.work(lambda: desk.held[0] > 3)
        return desk
    desk.build()
    if mode is Mode.LIQUIDATION:
        desk.funding_goes()
        desk.work(lambda: desk.held[0] < 7)
    return desk


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("verb", list(Verb))
def test_every_verb_is_lawful_in_every_mode(open_desk, mode, verb):
    desk = in_mode(open_desk, mode)
    fields = {Verb.ADOPT: {"quantity": D(0)}}.get(verb, {})
    commands = desk.verb(verb, request="one", **fields)
    before = desk.books.state_hash()
    assert desk.verb(verb, request="one", **fields) == [] or verb in (
        Verb.SCALE,
        Verb.LIQUIDATE,
        Verb.ADOPT,
    )
    assert desk.books.state_hash() == before or verb in (Verb.SCALE, Verb.LIQUIDATE, Verb.ADOPT)
    want = {
        Verb.SCALE: Mode.INVENTORY,
        Verb.LIQUIDATE: Mode.LIQUIDATION,
    }.get(verb, mode)
    assert desk.mode is want
    assert not any(isinstance(x, c.EndRun) for x in commands)


def test_pause_cancels_resting_buys_and_goes_on_hedging(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.run(2)
    resting = desk.resting()
    part = desk.venue.fill(resting, D("0.5"), desk.now)
    desk.verb("pause")
    assert desk.resting() is None and desk.books.paused
    assert [x.why for x in desk.seen(c.CancelOrder)][-1] == "paused"
    desk.run(3)
    assert part.fill_id and desk.engine.quantities_equal, "the late fill was hedged"
    held = desk.held
    desk.run(60)
    assert desk.held == held and desk.resting() is None
    desk.verb("resume")
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (10, -10)


def test_pause_does_not_stop_the_unwinding(open_desk):
    desk = in_mode(open_desk, Mode.LIQUIDATION)
    desk.verb("pause")
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")


@pytest.mark.parametrize("mode", list(Mode))
def test_stop_confirms_equal_books_and_exits_0(open_desk, mode):
    desk = in_mode(open_desk, mode)
    desk.verb("stop")
    assert desk.resting() is None
    orders = len(desk.orders(SPOT))
    desk.run(20)
    assert desk.exit == (0, "STOPPED") and len(desk.orders(SPOT)) == orders
    assert [x.label for x in desk.seen(c.ReadEquity)][-1] == "stop"


@pytest.mark.parametrize("verb", ["liquidate", "scale"])
def test_what_a_stop_would_leave_to_the_next_start_is_refused_with_words(open_desk, verb):
    desk = in_mode(open_desk, Mode.HALT)
    held = desk.held
    desk.verb("stop")
    desk.verb(verb)
    assert desk.mode is Mode.HALT and not desk.books.asked
    assert desk.seen(c.Notice)[-1].key == "STOPPING"
    assert desk.seen(c.Notice)[-1].text.startswith(f"not done: {verb}")
    desk.run(20)
    assert desk.exit == (0, "STOPPED")
    desk.start()
    desk.run(60)
    assert desk.mode is Mode.HALT and desk.held == held, "and it is not done by surprise"


def test_a_scale_without_a_price_is_done_with_the_first_one(open_desk):
    desk = open_desk()
    desk.build()
    desk.quoting = {SPOT: False, FUTURES: False}
    desk.start(request="r2")
    desk.run(2)
    desk.verb("scale", quantity=D(12))
    desk.blink(300)
    assert desk.mode is Mode.HALT and desk.books.asked
    desk.quoting = {SPOT: True, FUTURES: True}
    desk.blink(300)
    assert desk.mode is Mode.INVENTORY and desk.books.target == 12


def test_stop_hedges_what_is_open_first(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.run(2)
    desk.script[FUTURES].extend(["miss", "miss"])
    desk.fill()
    desk.verb("stop")
    desk.run(20)
    assert desk.exit == (0, "STOPPED") and desk.engine.quantities_equal


def test_stop_waits_for_the_order_that_left_during_its_last_measurement(open_desk):
    desk = open_desk(limits={"tolerance_bps": D(100)})
    desk.funding()
    desk.work(lambda: desk.held[0] > 2)
    desk.measuring = False
    desk.verb("stop")
    desk.run(2)
    assert desk.seen(c.ReadEquity)[-1].label == "stop"
    desk.script[FUTURES].append("silent")
    desk.foreign(FUTURES, "-0.002")
    assert desk.orders(FUTURES)[-1].quantity == D("0.002") and desk.engine.equal
    desk.measure("stop")
    assert desk.exit is None, "what is on its way belongs to nobody after an exit with 0"
    desk.measuring = True
    desk.venue.accept(desk.orders(FUTURES)[-1])
    desk.fill(leg=FUTURES)
    desk.run(20)
    assert desk.exit == (0, "STOPPED") and not desk.engine.delta


def test_stop_with_unequal_books_exits_7(open_desk):
    desk = open_desk(Venue(10, -4), inventory=InventoryRule.ACCOUNT)
    desk.run(10)
    desk.verb("stop")
    desk.run(70)
    assert desk.exit == (7, "NOT_HEDGED") and "STOPPED_UNHEDGED" in desk.alarms
    assert not desk.orders()


def test_stop_that_cannot_hedge_exits_7_after_its_timeout(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.run(2)
    desk.script[FUTURES].extend(["miss"] * 500)
    desk.fill()
    desk.verb("stop")
    desk.run(58)
    assert desk.exit is None
    desk.run(5)
    assert desk.exit == (7, "NOT_HEDGED")


def test_a_stopped_run_is_resumed_by_its_line(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.verb("stop")
    desk.run(20)
    desk.start("default")
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (10, -10)


def test_lock_stops_everything_and_clear_lifts_it(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.run(2)
    desk.fill()
    desk.verb("lock", subject="MANUAL")
    assert desk.books.trip == Trip.LOCKED and desk.resting() is None
    orders = len(desk.orders())
    desk.run(30)
    assert len(desk.orders()) == orders and desk.engine.reason.startswith("TRIPPED")
    desk.verb("clear", subject="MANUAL")
    assert desk.books.trip == Trip.OK
    desk.work(lambda: desk.mode is Mode.HALT)


@pytest.mark.parametrize("action", ["default", "scale"])
def test_what_is_asked_during_the_recovery_is_done_after_the_start_line(open_desk, action):
    desk = in_mode(open_desk, Mode.HALT)
    desk.reads = {SPOT: "fail", FUTURES: "fail"}
    desk.start(action, request="another line")
    desk.run(3)
    desk.verb("liquidate")
    desk.run(3)
    assert desk.mode is Mode.HALT
    desk.reads = {SPOT: "", FUTURES: ""}
    desk.work(lambda: desk.mode is Mode.LIQUIDATION, 20)
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")


def test_a_stop_names_the_order_that_it_could_not_cancel(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.run(2)
    resting = desk.resting().order.client_order_id
    desk.cancelling = "hang"
    desk.verb("stop")
    desk.run(70)
    assert desk.exit == (7, "NOT_HEDGED") and desk.resting() is not None
    assert resting in desk.books.alarms["STOPPED_UNHEDGED"].text
    assert resting in desk.texts(c.EndRun)[-1]


def test_a_freeze_never_loosens_a_lock(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.verb("lock", by="the file LOCK")
    desk.verb("freeze", by="the file FREEZE")
    assert desk.books.trip == Trip.LOCKED


def test_freeze_cancels_spot_and_hedges_on(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.run(2)
    desk.script[FUTURES].append("miss")
    desk.fill(D("0.5"))
    desk.verb("freeze")
    assert desk.resting() is None
    desk.run(3)
    assert desk.engine.quantities_equal and desk.resting() is None
    desk.verb("clear", subject="*")
    desk.work(lambda: desk.mode is Mode.HALT)


def test_ack_keeps_a_standing_alarm_and_drops_a_settled_one(open_desk):
    desk = open_desk(Venue(10, -9), inventory=InventoryRule.ACCOUNT)
    desk.run(10)
    desk.verb("ack", subject="UNEQUAL")
    assert desk.books.alarms["UNEQUAL"].acknowledged
    desk.foreign(FUTURES, -1)
    desk.run(40)
    assert "UNEQUAL" not in desk.books.alarms


def test_resolve_buries_an_order_in_doubt(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    desk.script[SPOT].append("lost")
    desk.work(lambda: desk.books.in_doubt, 60)
    order_id = next(iter(desk.books.spot.open))
    desk.verb("resolve", subject="nothing like it")
    assert desk.books.in_doubt
    desk.verb("resolve", subject=order_id, by="ann")
    assert not desk.books.in_doubt
    assert desk.seen(c.DeclareDead)[-1].evidence == "resolved by ann"


def test_adopt_asked_under_a_clock_that_ran_ahead_is_done_after_the_restart(open_desk):
    desk = open_desk(Venue(coins="3"))
    desk.now += 3_600 * SECOND
    desk.reads[SPOT] = "hang"
    desk.verb("adopt", quantity=D(2))
    assert desk.held[0] == 0, "what is there has not been read since it was asked"
    desk.now -= 3_500 * SECOND
    desk.reads[SPOT] = ""
    desk.boot()
    desk.ask("default")
    desk.run(2)
    assert desk.held[0] == 2


def test_adopted_coins_that_wait_for_the_entry_are_said_to_be_open(open_desk):
    desk = open_desk(Venue(coins="3"))
    desk.funding(BAD)
    desk.verb("adopt", quantity=D(2))
    desk.run(2)
    assert desk.mode is Mode.HALT and desk.books.alarms["UNEQUAL"].level == "warning"


def test_adopt_in_account_mode_has_nothing_to_do(open_desk):
    desk = open_desk(Venue(3, 0), inventory=InventoryRule.ACCOUNT)
    desk.run(10)
    desk.verb("adopt", quantity=D(3))
    assert desk.held[0] == 3
    assert [x.key for x in desk.seen(c.Notice)][-1] == "NOTHING_TO_ADOPT"


@pytest.mark.parametrize("verb", ["scale", "liquidate"])
def test_unadopted_positions_are_not_touched_by_verbs(open_desk, verb):
    desk = open_desk(Venue(10, -10))
    desk.run(10)
    desk.verb(verb)
    assert desk.mode is Mode.HALT and not desk.orders()
    assert [x.key for x in desk.seen(c.Notice)][-1] == "NOT_ADOPTED"


@pytest.mark.parametrize("verb", ["scale", "liquidate", "adopt"])
def test_verbs_that_move_money_wait_for_recovery(open_desk, verb):
    desk = open_desk()
    desk.build()
    desk.venue.coins += 1
    desk.reads[SPOT] = "hang"
    desk.start("default")
    desk.verb(verb, usd=D(2000) if verb == "scale" else None, quantity=D(1))
    assert desk.mode is Mode.HALT and desk.held == (10, -10)
    desk.reads[SPOT] = ""
    desk.skip(90)
    assert desk.engine.volatile.recovered
    assert desk.mode is not Mode.HALT or desk.held[0] == 11


def test_the_scaling_verb_without_numbers_takes_the_configured_usd(open_desk):
    desk = open_desk(usd=D(1000), quantity=None)
    desk.build()
    desk.venue.price = D(80)
    desk.run(2)
    desk.verb("scale")
    assert desk.books.target == D("12.5")
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (D("12.5"), D("-12.5"))


def test_the_operator_cannot_scale_below_the_minimums(open_desk):
    desk = open_desk()
    desk.build()
    desk.verb("scale", usd=D(1))
    assert desk.mode is Mode.HALT and [x.key for x in desk.seen(c.Notice)][-1] == "BELOW_MINIMUM"


def test_a_started_scale_down_sells_only(open_desk):
    desk = open_desk()
    desk.build()
    before = len(desk.orders(SPOT))
    desk.verb("scale", quantity=D(4))
    desk.work(lambda: desk.mode is Mode.HALT)
    assert all(order.side is Side.SELL for order in desk.orders(SPOT)[before:])
    assert desk.held == (4, -4)


def test_signed_at_is_the_time_of_the_decision(open_desk):
    desk = in_mode(open_desk, Mode.INVENTORY)
    assert all(order.signed_at % SECOND == 0 for order in desk.orders())
    assert {order.recv_window_ms for order in desk.orders()} == {2_000}


@pytest.mark.parametrize("kept", [1, 2])
@pytest.mark.parametrize("verb", ["adopt", "liquidate", "pause"])
def test_a_death_inside_what_was_asked_has_it_done_once_all_the_same(open_desk, verb, kept):
    """Of the rows of one command a torn write keeps the first ones."""
    desk = open_desk(Venue(12, 0))
    desk.build()
    before = len(desk.rows)
    desk.verb(verb, **({"quantity": D(2)} if verb == "adopt" else {}))
    asked = next(i for i, row in enumerate(desk.rows) if isinstance(row.entry, e.OperatorAsked))
    assert asked == before
    desk.run(2)
    del desk.rows[before + kept :]
    desk.venue.orders[SPOT].clear()  # what was not written was not sent
    for one in [x for x in desk.venue.orders[FUTURES].values() if x.order.signed_at >= desk.now]:
        del desk.venue.orders[FUTURES][one.order.client_order_id]
    desk.venue.position = D(-10)
    desk.start()
    desk.run(60)
    if verb == "pause":
        assert desk.books.paused
    elif verb == "liquidate":
        assert desk.mode is Mode.LIQUIDATION
    else:
        adopted = [x for x in desk.rows if isinstance(x.entry, c.BookExternal)]
        assert len(adopted) == 1 and desk.held[0] == 12
    assert not desk.books.asked


def test_a_stop_is_hedged_in_the_end_too_or_says_that_it_is_not(open_desk):
    """What somebody trades while the accounts are measured a last time may be dust to a task."""
    desk = in_mode(open_desk, Mode.LIQUIDATION)
    desk.measuring = False
    desk.verb("stop")
    desk.work(lambda: desk.seen(c.ReadEquity)[-1].label == "stop")
    desk.foreign(FUTURES, D("0.04"))
    desk.measuring = True
    desk.measure("stop")
    desk.run(70)
    code, _ = desk.exit
    text = desk.seen(c.EndRun)[-1].text
    gap = sum(desk.held)
    assert (code == 0) == (abs(gap) < desk.terms.futures.instrument.lot), (desk.held, text)
    assert f"delta is {gap.normalize():f}" in text


@pytest.mark.parametrize("mode", [Mode.INVENTORY, Mode.HALT])
@pytest.mark.parametrize("during", ["its reads", "its measurement"])
def test_a_stop_reads_again_what_a_push_contradicts(open_desk, mode, during):
    """The reads may lag behind the pushes: what they agreed on before is not confirmed yet."""
    desk = in_mode(open_desk, mode)
    desk.run(5)
    half = desk.held[1] / 2
    desk.stale_reads[FUTURES] = desk.held[1]
    desk.venue.position = half
    desk.measuring = during == "its reads"
    if during == "its measurement":
        desk.verb("stop")
        desk.work(lambda: desk.seen(c.ReadEquity)[-1].label == "stop")
    desk.tell(e.PositionSeen, position=Position(symbol="COIN/USDT:USDT", quantity=half))
    if during == "its reads":
        desk.verb("stop")
    desk.blink(1_500)
    desk.measure("stop")
    desk.stale_reads[FUTURES] = None
    desk.measuring = True
    desk.run(70)
    assert desk.exit == (7, "NOT_HEDGED")


@pytest.mark.parametrize("reads", ["hang", "fail"])
def test_a_stop_waits_for_a_read_that_is_out_without_looking_all_the_time(open_desk, reads):
    desk = in_mode(open_desk, Mode.HALT)
    desk.reads = {SPOT: reads, FUTURES: reads}
    desk.skip(30)
    desk.verb("stop")
    before = len(desk.seen(c.WakeAt))
    desk.sleep(10)
    assert len(desk.seen(c.WakeAt)) - before < 40


def test_whose_coins_are_is_on_disk_before_they_are_sold(open_desk):
    """What a dead machine forgets of its journal is no adoption whose coins it has sold."""
    desk = open_desk()
    desk.build()
    desk.venue.coins += 5
    desk.verb("liquidate")
    desk.leasing, leases = False, len(desk.seen(c.LeaseIds))
    desk.verb("adopt", quantity=D(5))
    desk.run(3)
    assert desk.held[0] == 15 and desk.resting() is not None
    (lease,) = desk.seen(c.LeaseIds)[leases:]
    desk.fill()
    desk.run(3)
    assert desk.resting() is None and desk.engine.reason.startswith("IDS_LEASING")
    desk.leasing = True
    desk.tell(e.IdsLeased, leg=SPOT, epoch=lease.epoch, first=lease.first, last=lease.last)
    assert desk.resting() is not None
