"""Goal: every bound of the engine trips at its number, alarms, and clears only as it may.
Method: one bound at a time is pushed over its edge on a working desk; orders are counted.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from toy import FUTURES, SPOT, Venue

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trip
from hedge.decide.terms import InventoryRule
from hedge.model import Position, PositionMode, StreamKind
from hedge.model.numbers import MS, SECOND


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_old_prices_freeze_cancel_and_clear_by_themselves(building, leg):
    building.quoting[leg] = False
    building.run(4)
    assert building.books.trip == Trip.OK
    building.run(4)
    assert building.books.trips["DATA_AGE"] == Trip.FREEZE_SPOT and building.resting() is None
    building.run(30)
    assert building.books.trips["DATA_AGE"] == Trip.HEDGE_ONLY, "reads still answer"
    building.quoting[leg] = True
    building.run(55)
    assert "DATA_AGE" in building.books.trips
    building.run(10)
    assert building.books.trip == Trip.OK and "DATA_AGE" not in building.alarms
    building.work(lambda: building.mode is Mode.HALT)


def test_old_prices_without_reads_lock(building):
    building.quoting = {SPOT: False, FUTURES: False}
    building.reads = {SPOT: "fail", FUTURES: "fail"}
    building.run(70)
    assert building.books.trips["DATA_AGE"] == Trip.LOCKED


def test_an_unwinding_that_never_saw_a_price_says_why_and_pages(open_desk):
    desk = open_desk()
    desk.build()
    desk.quoting = {SPOT: False, FUTURES: False}
    desk.start("liquidation", request="unwind")
    desk.run(3)
    assert desk.engine.reason.startswith("FEED_STALE")
    desk.run(60)
    assert desk.engine.reason.startswith("TRIPPED: DATA_AGE") and "UNWIND_BLOCKED" in desk.alarms


def test_a_crossed_or_broken_quote_is_no_quote(building):
    good = building.venue.quote(SPOT)
    bad = type(good)(symbol=good.symbol, bid=good.ask, ask=good.bid)
    nan = type(good)(symbol=good.symbol, bid=D("NaN"), ask=good.ask)
    for quote in (bad, nan):
        building.tell(e.QuoteSeen, leg=SPOT, quote=quote)
    assert building.engine.market.quotes[SPOT] == good


def test_a_silent_account_stream_is_polled_then_freezes_then_clears(building):
    building.heartbeats = False
    building.reads = {SPOT: "fail", FUTURES: "fail"}
    building.run(75)
    assert building.books.trips["ACCOUNT_STREAM"] == Trip.FREEZE_SPOT
    building.heartbeats = True
    building.reads = {SPOT: "", FUTURES: ""}
    building.run(10)
    assert "ACCOUNT_STREAM" not in building.books.trips


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_an_account_that_cannot_be_read_freezes_pages_and_clears(building, leg):
    building.reads[leg] = "fail"
    building.run(50)
    assert building.books.trip == Trip.OK
    building.run(20)
    assert building.books.trips["UNREADABLE"] == Trip.FREEZE_SPOT and building.resting() is None
    assert "UNREADABLE" in building.alarms
    bought = len(building.orders(SPOT))
    building.run(300)
    assert len(building.orders(SPOT)) == bought
    building.reads[leg] = ""
    building.work(lambda: building.mode is Mode.HALT)
    assert building.books.trip == Trip.OK and "UNREADABLE" not in building.alarms


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_a_new_action_is_no_answer_of_an_account_that_cannot_be_read(building, leg):
    building.reads[leg] = "fail"
    building.run(40)
    building.verb("liquidate")
    building.run(30)
    assert "UNREADABLE" in building.alarms


def test_a_new_action_gives_an_unreadable_account_a_minute_and_not_more(open_desk):
    """HALT reads less often: what it has not promised is counted from the action on."""
    desk = open_desk()
    desk.build()
    desk.reads = {SPOT: "fail", FUTURES: "fail"}
    desk.run(20)
    scaled_at = desk.now
    desk.verb("scale", usd=D(1_500))
    while "UNREADABLE" not in desk.alarms:
        assert desk.wake_at > desk.now
        desk.now = desk.wake_at  # and not a moment sooner
        desk.market()
        desk.timer()
    assert 60 * SECOND < desk.now - scaled_at < 60.1 * SECOND


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_an_account_that_cannot_be_read_in_halt_is_said_while_its_streams_live(open_desk, leg):
    desk = open_desk()
    desk.build()
    desk.reads[leg] = "fail"
    desk.skip(120, step=5)
    assert "UNREADABLE" in desk.alarms
    desk.reads[leg] = ""
    desk.skip(60, step=5)
    assert not desk.alarms & {"UNREADABLE"} and desk.books.trip == Trip.OK


@pytest.mark.parametrize(
    ("silent", "reason", "after"),
    [("quoting", "DATA_AGE", 5), ("heartbeats", "ACCOUNT_STREAM", 60)],
)
def test_a_silence_freezes_when_its_time_is_over_and_not_a_look_later(
    building, silent, reason, after
):
    building.reads = {SPOT: "fail", FUTURES: "fail"}
    building.blink(130)
    setattr(building, silent, {SPOT: False, FUTURES: False} if silent == "quoting" else False)
    since = building.now
    building.sleep(after + 10)
    (trip,) = (row for row in building.rows if getattr(row.entry, "reason", "") == reason)
    assert 0 < trip.at - since - after * SECOND < SECOND // 10


def test_a_stream_that_is_down_cancels_and_alarms_after_half_a_minute(building):
    building.tell(e.StreamChanged, leg=FUTURES, kind=StreamKind.ACCOUNT, up=False, why="lost")
    assert building.resting() is None
    building.run(20)
    assert "STREAM_DOWN_FUTURES" not in building.alarms and building.resting() is None
    building.run(15)
    assert "STREAM_DOWN_FUTURES" in building.alarms
    asked = len(building.seen(c.AuditLeg))
    building.tell(e.StreamChanged, leg=FUTURES, kind=StreamKind.ACCOUNT, up=True)
    building.run(2)
    assert len(building.seen(c.AuditLeg)) > asked, "what came meanwhile may be lost: read it all"
    assert "STREAM_DOWN_FUTURES" not in building.alarms
    building.work(lambda: building.mode is Mode.HALT)


def test_collar_widens_with_misses_up_to_the_cap_and_alarms(building):
    building.script[FUTURES].extend(["miss"] * 12)
    before = len(building.orders(FUTURES))
    building.fill()
    building.run(60)
    assert building.engine.quantities_equal and "HEDGE_MISSED" not in building.alarms
    missed = [x for x in building.seen(c.RaiseAlarm) if x.key == "HEDGE_MISSED"]
    assert missed
    sells = building.orders(FUTURES)[before : before + 12]
    limits = [order.limit_price for order in sells]
    assert limits == sorted(limits, reverse=True) and limits[0] > limits[3]
    assert min(limits) >= D(100) * (1 - building.terms.limits.collar_max)


def test_mark_and_mid_apart_send_no_hedge(building):
    building.venue.mark_price = D(103)
    building.run(1)
    orders = len(building.orders(FUTURES))
    building.fill()
    building.run(3)
    assert len(building.orders(FUTURES)) == orders
    assert building.engine.reason.startswith("REFERENCES_APART")
    building.venue.mark_price = None
    building.run(2)
    assert building.engine.quantities_equal


def test_the_basis_guard_holds_and_pulls_back(building):
    building.venue.futures_price = D("99.7")
    building.run(2)
    assert building.resting() is None and building.engine.reason.startswith("BASIS_GUARD")
    building.venue.futures_price = None
    building.run(2)
    assert building.resting() is not None


def test_prices_of_two_coins_stop_the_buying(building):
    building.venue.futures_price = D(107)
    building.run(1)
    building.verb("freeze")
    building.verb("clear", subject="OPERATOR")
    building.run(3)
    assert building.resting() is None and building.engine.reason.startswith("PRICE_RATIO")


def test_post_only_refusals_back_off_and_are_forgotten_once_one_rests(building):
    for _ in range(3):
        building.script[SPOT].append("refuse")
        building.verb("freeze")
        building.verb("clear", subject="OPERATOR")
        assert building.resting() is None
        assert building.engine.reason == "RETRY_LATER: NO"
        building.run(2)
        assert building.resting() is not None


def test_requote_follows_the_touch(building):
    first = building.resting().order
    building.venue.price = D("100.05")
    building.run(1)
    assert building.resting().order.limit_price == D("100.04") > first.limit_price
    assert [x.why for x in building.seen(c.CancelOrder)][-1] == "touch moved"
    building.venue.price = D("100.06")
    building.run(20)
    assert building.resting().order.limit_price == D("100.04"), "within requote_bps it rests"
    building.run(15)
    assert building.resting().order.limit_price == D("100.05")


def test_patience_crosses_the_spread(building):
    building.run(310)
    crossing = building.orders(SPOT)[-2:]
    assert any(order.time_in_force == "ioc" for order in crossing)
    ioc = next(order for order in crossing if order.time_in_force == "ioc")
    assert D(100) < ioc.limit_price <= D(100) * (1 + D("0.0005"))


def test_spot_orders_are_paced(open_desk):
    desk = open_desk(limits={"spot_orders_per_minute": 5})
    desk.funding()
    for _ in range(6):
        if desk.resting() is not None:
            desk.fill()
    assert len(desk.orders(SPOT)) == 5 and desk.engine.reason.startswith("SPOT_RATE")
    desk.run(58)
    assert len(desk.orders(SPOT)) == 5
    desk.run(4)
    assert len(desk.orders(SPOT)) > 5


@pytest.mark.parametrize("budget", [60, 105, 250])
def test_no_slice_is_above_the_exposure_budget(open_desk, budget):
    desk = open_desk(limits={"exposure_max": D(budget)})
    worst = 0
    desk.funding()
    for _ in range(300):
        resting = desk.resting()
        if resting is not None:
            desk.script[FUTURES].append("miss")
            desk.fill(max(resting.order.quantity / 3, D("0.1")).quantize(D("0.001")))
        open_spot = desk.resting()
        rest = open_spot.order.quantity - open_spot.filled if open_spot else 0
        worst = max(worst, (desk.engine.delta + rest) * desk.venue.price)
        desk.run(1)
        if desk.mode is Mode.HALT:
            break
    assert desk.mode is Mode.HALT and worst <= budget


def test_margin_short_skips_the_slice(building):
    building.venue.margin = D(10)
    building.next_slice()
    assert building.resting() is None and "MARGIN_SHORT" in building.alarms
    building.venue.margin = D(10_000)
    building.work(lambda: building.resting() is not None, 30)
    assert "MARGIN_SHORT" not in building.alarms


def test_balance_short_skips_the_slice(building):
    building.venue.cash = D(10)
    building.next_slice()
    assert building.resting() is None and "BALANCE_SHORT" in building.alarms


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_a_venue_that_does_not_trade_stops_new_spot(building, leg):
    building.venue.tradable[leg] = False
    building.next_slice(3)
    assert building.engine.reason == f"VENUE_NOT_TRADABLE: leg={leg.value}"


def test_hedge_mode_of_the_account_stops_new_spot(building):
    building.venue.position_mode = PositionMode.HEDGE
    building.next_slice(3)
    assert building.engine.reason.startswith("POSITION_MODE") and "POSITION_MODE" in building.alarms


def test_an_account_deposit_is_followed_up_to_the_cap_only(open_desk):
    desk = open_desk(
        Venue(),
        inventory=InventoryRule.ACCOUNT,
        usd=D(1_000),
        quantity=None,
        limits={"exposure_max": D(3_000)},
    )
    desk.funding()
    desk.run(3)
    desk.venue.coins += 40
    desk.run(60)
    assert desk.held[0] >= 40
    short = -desk.held[1] * desk.venue.price
    assert 900 < short <= D("1050.2"), "the account's coins are hedged, up to the notional cap"
    assert "UNHEDGED" in desk.alarms or "HEDGE_GATED" in desk.alarms


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_an_instrument_that_changes_its_units_locks_the_hedge(building, leg):
    building.venue.changed[leg] = "sim/COIN/1 -> sim/COIN/1000"
    building.run(40)
    assert building.books.trips["INSTRUMENT"] == Trip.LOCKED
    assert "INSTRUMENT_CHANGED" in building.alarms and building.resting() is None
    sent = len(building.orders())
    building.verb("clear", subject="INSTRUMENT")
    building.run(40)
    assert building.books.trips["INSTRUMENT"] == Trip.LOCKED, "it is still another instrument"
    assert len(building.orders()) == sent


def test_a_pushed_position_is_read_again_until_no_lag_can_explain_the_read(open_desk):
    desk = open_desk()
    desk.build()
    desk.run(5)
    desk.stale_reads[FUTURES] = D(-10)
    desk.foreign(FUTURES, D("0.5"), told=False)
    desk.venue.fills[FUTURES].pop()
    desk.tell(e.PositionSeen, position=Position(symbol="COIN/USDT:USDT", quantity=D("-9.5")))
    desk.run(1)
    desk.stale_reads[FUTURES] = None
    desk.run(12)
    assert "EXTERNAL_FUTURES" in desk.alarms, "an old read has not made the push forgotten"


def test_a_clock_that_is_off_is_corrected_warned_of_then_freezes_and_clears(building):
    building.clock_offset[FUTURES] = -300 * MS
    building.run(15)
    assert "CLOCK_OFFSET" in building.alarms and building.books.trip == Trip.OK
    building.fill()
    building.run(1)
    assert building.orders(FUTURES)[-1].signed_at % SECOND == 700 * MS, "signed in its time"
    assert building.orders(SPOT)[-1].signed_at % SECOND == 0, "the other venue's clock agrees"
    building.clock_offset[FUTURES] = 600 * MS
    building.run(15)
    assert building.books.trips["CLOCK_OFFSET"] == Trip.FREEZE_SPOT and building.resting() is None
    building.clock_offset[FUTURES] = 20 * MS
    building.run(15)
    assert building.books.trip == Trip.OK and "CLOCK_OFFSET" not in building.alarms


def test_a_slice_is_no_larger_than_the_spot_venue_takes(open_desk):
    desk = open_desk(spot={"quantity_max": D("0.4")})
    desk.build()
    assert max(order.quantity for order in desk.orders(SPOT)) == D("0.4")


def test_a_budget_without_room_for_a_slice_is_refused_at_the_start(open_desk):
    desk = open_desk(limits={"exposure_max": D(4)})
    desk.funding()
    desk.run(1)
    assert desk.exit == (5, "EXPOSURE_BELOW_MINIMUM") and not desk.orders()


def test_a_shell_alarm_may_freeze(building):
    building.tell(
        e.ShellAlarmed, key="CLOCK", level="alarm", text="600 ms off", freeze="CLOCK_OFFSET"
    )
    assert building.books.trips["CLOCK_OFFSET"] == Trip.FREEZE_SPOT and "CLOCK" in building.alarms


def test_a_build_that_takes_too_long_alarms(open_desk):
    desk = open_desk(execution={"build_timeout_s": 600})
    desk.funding()
    desk.skip(660, step=4)
    assert "BUILD_SLOW" in desk.alarms


@pytest.mark.parametrize("ratio", ["0.5", "0.3"])
def test_a_hedge_ratio_below_one(open_desk, ratio):
    desk = open_desk(hedge_ratio=D(ratio))
    desk.build()
    assert desk.held == (10, -10 * D(ratio)) and desk.engine.equal
    desk.funding_goes()
    desk.unwind()
    assert (desk.venue.coins, desk.venue.position) == (0, 0)


def test_the_recording_ends_with_5(building):
    building.tell(e.RecordingEnded)
    building.run(40)
    assert building.exit == (5, "DATA_ENDED") and building.resting() is None
    assert [x.label for x in building.seen(c.ReadEquity)][-1] == "data_ended"


def test_nothing_is_decided_after_the_end(open_desk):
    desk = open_desk(action="liquidation")
    desk.run(3)
    assert desk.exit == (0, "UNWOUND")
    assert desk.funding() == [] and desk.engine.handle(e.TimerFired(at=desk.now)) == ()


def test_signs_of_life_after_a_gap_do_not_renew_a_price_from_before_it(building):
    for up in (False, True):
        building.tell(e.StreamChanged, leg=SPOT, kind=StreamKind.MARKET, up=up)
    building.quoting[SPOT] = False
    for _ in range(8):
        building.run(1)
        building.tell(e.StreamHeard, leg=SPOT, kind=StreamKind.MARKET)
    assert building.engine.market.age(SPOT, building.now) >= 8 * SECOND
    assert "DATA_AGE" in building.books.trips


def test_a_venue_that_cancels_what_would_take_is_not_stormed(open_desk):
    """Some venues accept a post-only order and end it at once, where others refuse it."""
    desk = open_desk()
    desk.script[SPOT].extend(["miss"] * 50)
    desk.funding()
    placed = len(desk.orders(SPOT))
    for _ in range(100):
        desk.blink(100)
    assert desk.mode is Mode.INVENTORY and len(desk.orders(SPOT)) - placed <= 10
    assert desk.engine.reason.startswith("RETRY_LATER")
    desk.script[SPOT].clear()
    desk.run(3)
    assert desk.resting() is not None, "it goes on when the venue lets it rest"


def test_an_order_that_we_cancel_ourselves_is_no_reason_to_wait(open_desk):
    desk = open_desk()
    desk.funding()
    assert desk.resting() is not None
    desk.venue.price = D(104)  # the touch leaves it
    desk.run(1)
    assert desk.resting() is not None and len(desk.orders(SPOT)) == 2
