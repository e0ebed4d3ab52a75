"""Goal: each line is what a person gets with pencil and paper, and trouble is said, not hidden.

Method: one short life of a hedge with round numbers, and small journals for each kind of trouble.
"""

from decimal import Decimal

import msgspec
import pytest

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.errors import UsageError
from hedge.model import FillKind, Leg, Side
from hedge.model.numbers import HOUR, SECOND
from hedge.report.attribution import attribute

D = Decimal


def test_the_lines_by_hand(life: list[Row]) -> None:
    made = attribute(life)
    assert made.funding == D("0.10")
    # bought at 99.9 (mid 100): +1; sold at 100.9 (101): -1; sold at 109.8 (110): -2; 112.1: -1
    assert made.slippage == D(-3)
    # BNB 0.01 x 401 + 0.5 + 1 + 0.5
    assert made.fees == D("-6.01")
    # F = -10 while perp - spot went from 0.8 to 2
    assert made.basis == D(-12)
    # waited while spot rose 0.2: +2; nothing moved while one leg stood alone
    assert made.drift == D(2)
    # 3 coins x 10, 5 BNB x 10, less 0.01 BNB x (410 - 401)
    assert made.other == D("79.91")
    assert made.equity_change == made.explained == D("61.00")
    assert made.unexplained == 0
    assert made.status == "ok"


def test_the_details_by_hand(life: list[Row]) -> None:
    seen = attribute(life).details
    assert (seen.payments, seen.payments_negative, seen.fills) == (2, 1, 4)
    # 3 / (1000 + 1010 + 1100 + 1120)
    assert seen.slippage_bps == D("7.0922")
    # 0.8 / 100.2, 2 / 110
    assert (seen.entry_basis_bps, seen.exit_basis_bps) == (D("79.8403"), D("181.8182"))
    assert seen.unhedged_worst_ms == 2000
    assert [(one.asset, one.amount, one.value) for one in seen.fee_coins] == [
        ("BNB", D("0.01"), D("4.01"))
    ]


def test_funding_is_followed_from_prediction_to_cash(life: list[Row]) -> None:
    detail = attribute(life).funding_detail
    assert detail.entry_rate == D("0.0002")
    assert detail.predicted == D("0.436")  # 10 x 0.0002 x (106 + 112)
    assert detail.expected == D("0.100")  # 10 x 0.0002 x 106 - 10 x 0.0001 x 112
    assert detail.received == D("0.10")
    assert [one.predicted_rate for one in detail.payments] == [D("0.0002")] * 2
    assert detail.alerts == ()


def test_days_add_up(life: list[Row]) -> None:
    days = attribute(life).days
    assert [one.day for one in days] == ["2024-03-01", "2024-03-02"]
    assert sum(one.funding for one in days) == D("0.10")
    assert days[0].funding == D("0.21")
    assert sum(one.explained for one in days) == D("61.00")


def test_beyond_the_limit_is_degraded(life: list[Row]) -> None:
    lost = [row for row in life if not isinstance(row.entry, e.FundingPaid)]
    made = attribute(lost, limit=D("0.05"))
    assert (made.unexplained, made.status) == (D("0.10"), "degraded")
    assert "0.05" in made.why
    assert attribute(lost).status == "ok"


def test_without_two_measurements_nothing_is_compared(life: list[Row]) -> None:
    made = attribute(life[:-1])
    assert made.equity_change is None
    assert made.unexplained is None
    assert made.status == "unmeasured"
    assert "1 measurement of both accounts" in made.why
    assert made.fees == D("-6.01")
    assert made.funding == D("0.10")


def test_what_came_after_the_last_measurement_is_said_apart(journal, life: list[Row]) -> None:
    journal.go(8 * HOUR // SECOND)
    journal.pay("0.5", "0")
    made = attribute(journal.rows)
    assert made.unexplained == 0
    assert made.later is not None
    assert made.later.funding == D("0.5")


def test_an_end_that_was_measured_is_ok(journal, life: list[Row]) -> None:
    journal.put(c.ReadEquity(label="end"))
    journal.measure("2098", "3", "387.10", bnb=("4.99", "410"), label="end")
    journal.put(c.EndRun(exit_code=0, reason="UNWOUND", text=""))
    made = attribute(journal.rows)
    assert (made.status, made.alerts, made.unexplained) == ("ok", (), 0)


def test_an_end_that_was_not_measured_is_incomplete_and_never_ok(journal, life: list[Row]) -> None:
    journal.put(c.ReadEquity(label="end"))
    journal.go(120)
    running = attribute(journal.rows)
    assert running.status == "ok", "only an engine that has ended is measured no more"
    journal.put(c.EndRun(exit_code=0, reason="UNWOUND", text=""))
    made = attribute(journal.rows)
    assert (made.status, made.unexplained) == ("incomplete", 0)
    assert "could not be measured at the end" in made.why and made.alerts == (made.why,)


def test_what_an_ended_engine_did_after_its_last_measurement_makes_it_incomplete(
    journal, life: list[Row]
) -> None:
    """As at a stop whose books could not be confirmed: nothing was even asked."""
    journal.go(10)
    journal.fill(Leg.SPOT, Side.BUY, "1", "110", "")
    journal.put(c.EndRun(exit_code=7, reason="NOT_HEDGED", text=""))
    made = attribute(journal.rows)
    assert made.status == "incomplete" and "1 change in" in made.why
    journal.start()
    assert attribute(journal.rows).status == "ok", "it lives on, and will be measured"


def test_an_end_beyond_the_limit_that_was_not_measured_says_both(journal, life: list[Row]) -> None:
    lost = [row for row in life if not isinstance(row.entry, e.FundingPaid)]
    journal.rows[:] = lost
    journal.put(c.ReadEquity(label="end"))
    journal.put(c.EndRun(exit_code=0, reason="UNWOUND", text=""))
    made = attribute(journal.rows, limit=D("0.05"))
    assert made.status == "degraded"
    assert "0.05" in made.why and "measured at the end" in made.why


@pytest.mark.parametrize("other", ["account", "symbol"])
def test_a_name_that_was_used_again_for_other_money_has_accounts_of_its_own(
    journal, life: list[Row], other: str
) -> None:
    """The first life is over and flat; the second one's account holds other sums."""
    started = life[0].entry
    assert isinstance(started, e.EngineStarted)
    replace = msgspec.structs.replace
    spot = replace(started.terms.spot, account="a (live)")
    life[0] = replace(life[0], entry=replace(started, terms=replace(started.terms, spot=spot)))
    if other == "account":
        spot = replace(spot, account="b (live)")
    else:
        spot = replace(spot, instrument=replace(spot.instrument, symbol="BTC/FDUSD"))
    begins = journal.go(3600).at
    terms = replace(started.terms, spot=spot)
    journal.put(e.EngineStarted(at=begins, boot_id="b", epoch=2, terms=terms))
    journal.measure("90000", "0", "7000")
    journal.go(60)
    journal.measure("90000", "0", "7000")
    made = attribute(journal.rows)
    assert (made.status, made.equity_start, made.equity_change) == ("ok", D(97_000), 0)
    assert (made.begins_at, made.details.fills, made.funding) == (begins, 0, 0)


def test_a_restart_on_the_same_accounts_is_the_same_hedge(journal, life: list[Row]) -> None:
    journal.go(3600).start()
    made = attribute(journal.rows)
    assert (made.begins_at, made.details.fills) == (life[0].at, 4)


def test_an_empty_journal_is_refused() -> None:
    with pytest.raises(UsageError, match="no start"):
        attribute([])


def test_the_window_is_the_nearest_measurements(journal, life: list[Row]) -> None:
    middle = journal.at
    journal.go(3600, "120", "121")
    journal.measure("2098", "3", "387.10", bnb=("4.99", "410"))
    made = attribute(journal.rows, since=middle)
    assert made.begins_at == middle
    assert made.explained == made.other == D(30)
    assert attribute(journal.rows, until=middle + 5).explained == D(61)


# -- trouble -------------------------------------------------------------------------------------


def held(journal, quantity: str = "-10") -> None:
    """A hedge of 10 coins at 100 and 101 that the opening measurement already holds."""
    journal.start()
    name = journal.order(Leg.SPOT, Side.BUY, "10", "100")
    journal.fill(Leg.SPOT, Side.BUY, "10", "100", name)
    name = journal.order(Leg.FUTURES, Side.SELL, "10", "101")
    journal.fill(Leg.FUTURES, Side.SELL, "10", "101", name)
    journal.go(1)
    journal.measure("1000", "10", "500", "-10", "-1010")


def test_deleveraging_is_an_external_change_of_its_own_line(journal) -> None:
    held(journal)
    journal.go(60, "100", "105")
    kind = FillKind.AUTO_DELEVERAGING
    journal.fill(Leg.FUTURES, Side.BUY, "4", "106", kind=kind, fee=D(1))
    journal.go(60)
    # realised 4 x (101 - 106) - 1
    journal.measure("1000", "10", "479", "-6", "-606")
    made = attribute(journal.rows)
    assert made.unexplained == 0
    assert (made.other, made.fees, made.basis, made.slippage) == (-4, -1, -40, 0)
    assert [(one.reason, one.value) for one in made.details.externals] == [(kind.value, -4)]


def test_coins_of_the_hedge_that_left_are_a_line(journal) -> None:
    held(journal)
    journal.go(60, "110", "111")
    journal.put(c.BookExternal(leg=Leg.SPOT, quantity=D(-2), reason="EXTERNAL"))
    journal.go(1)
    journal.measure("1000", "8", "500", "-10", "-1010")
    made = attribute(journal.rows)
    assert (made.unexplained, made.other) == (0, D(-220))


def test_a_strangers_sale_of_our_coins_is_not_booked_twice(journal) -> None:
    held(journal)
    journal.go(60)
    journal.fill(Leg.SPOT, Side.SELL, "2", "99")
    journal.go(60)
    journal.put(c.BookExternal(leg=Leg.SPOT, quantity=D(-2), reason="EXTERNAL"))
    journal.go(1, "110", "111")
    journal.measure("1198", "8", "500", "-10", "-1010")
    made = attribute(journal.rows)
    assert (made.unexplained, made.other, made.drift) == (0, D(-2), D(-20))


def test_a_position_found_at_the_start_is_not_booked_twice(journal) -> None:
    journal.start()
    journal.measure("1000", "0", "500", "-3", "-300")
    journal.put(c.BookExternal(leg=Leg.FUTURES, quantity=D(-3), reason="FOUND_AT_START"))
    journal.go(60, futures="102")
    journal.measure("1000", "0", "500", "-3", "-300")
    made = attribute(journal.rows)
    assert (made.unexplained, made.details.position, made.basis) == (0, D(-3), D(-3))


def test_a_fill_is_ordered_by_the_venues_time(journal) -> None:
    """The row may come after the balances that contain it."""
    held(journal)
    journal.go(60)
    name = journal.order(Leg.SPOT, Side.SELL, "1", "100")
    sold_at = journal.at
    journal.go(1)
    journal.measure("1100", "9", "500", "-10", "-1010")
    journal.fill(Leg.SPOT, Side.SELL, "1", "100", name)
    late = journal.rows.pop()
    fill = msgspec.structs.replace(late.entry.fill, filled_at=sold_at)
    journal.put(e.FillSeen(at=journal.at, fill=fill))
    assert attribute(journal.rows).unexplained == 0


@pytest.mark.parametrize("offset_s", [-2, 2])
def test_what_was_known_when_it_was_asked_for_is_in_a_measurement(journal, offset_s) -> None:
    """Whatever the clock says that the venue shows: it is not the one that stamps its fills."""
    held(journal)
    journal.go(60)
    name = journal.order(Leg.SPOT, Side.SELL, "1", "100")
    journal.fill(Leg.SPOT, Side.SELL, "1", "100", name)
    journal.put(c.ReadEquity(label="x"))
    journal.go(1)
    journal.measure("1100", "9", "500", "-10", "-1010")
    closing = journal.rows.pop()
    read_at = closing.at + offset_s * SECOND
    journal.put(msgspec.structs.replace(closing.entry, spot_at=read_at, futures_at=read_at))
    assert attribute(journal.rows).unexplained == 0


def test_a_missing_payment_is_an_alert(journal) -> None:
    held(journal)
    journal.go(8 * 3600)
    journal.settle("0.0001", None, "-10")
    assert attribute(journal.rows).alerts == ()
    journal.go(3600)
    journal.measure("1000", "10", "500", "-10", "-1010")
    (alert,) = attribute(journal.rows).alerts
    assert alert == (
        "funding missing: settlement 2024-03-01 16:00:01 at 0.0001"
        " with a position of -10 brought no payment"
    )


def test_a_missing_payment_is_an_alert_where_a_venue_tells_estimates_only(journal) -> None:
    held(journal)
    journal.estimate("0.0002", next_in=7200)
    journal.go(7140)
    journal.estimate("0.0001", next_in=60)
    journal.go(61)
    journal.estimate("0.0001", next_in=-1)  # a moment later the venue still says the old one
    journal.go(59)
    journal.estimate("0.0003", next_in=8 * 3600 - 60)
    journal.measure("1000", "10", "500", "-10", "-1010")
    assert attribute(journal.rows).alerts == ()  # it may still come
    journal.go(3600)
    journal.measure("1000", "10", "500", "-10", "-1010")
    (alert,) = attribute(journal.rows).alerts
    assert alert == (
        "funding missing: settlement 2024-03-01 10:00:01 estimated at 0.0001"
        " with a position of -10 brought no payment"
    )


def test_an_estimated_settlement_that_was_paid_or_moved_is_no_alert(journal) -> None:
    held(journal)
    journal.estimate("0.0002", next_in=7200)
    journal.go(60)
    journal.estimate("0.0002", next_in=3540, hours=4)  # the interval was changed before its end
    journal.go(3541)
    journal.pay("0.1", "-10", ago=1)
    journal.go(3 * 3600)
    journal.measure("1000", "10", "500.1", "-10", "-1010")
    assert attribute(journal.rows).alerts == ()


def test_a_late_payment_is_an_alert(journal) -> None:
    held(journal)
    journal.go(8 * 3600)
    journal.settle("0.0001", None, "-10")
    journal.go(3600)
    journal.pay("0.1", "-10", ago=3600)
    journal.measure("1000", "10", "500.1", "-10", "-1010")
    made = attribute(journal.rows)
    assert made.unexplained == 0
    (alert,) = made.alerts
    assert alert.endswith("was booked 3600 s after it")


def test_another_interval_is_an_alert(journal) -> None:
    held(journal)
    journal.go(8 * 3600)
    journal.settle("0.0001", "0.1", "-10")
    journal.go(3600)
    journal.settle("0.0001", "0.1", "-10", hours=1)
    journal.measure("1000", "10", "500.2", "-10", "-1010")
    (alert,) = attribute(journal.rows).alerts
    assert alert.startswith("funding interval changed from 8 h to 1 h at 2024-03-01 17:00")


def test_a_coin_nobody_values_is_said(journal) -> None:
    held(journal)
    journal.go(60)
    name = journal.order(Leg.SPOT, Side.BUY, "1", "100")
    journal.fill(Leg.SPOT, Side.BUY, "1", "100", name, fee=D("0.1"), fee_asset="XYZ")
    journal.go(60)
    journal.measure("900", "11", "500", "-10", "-1010")
    made = attribute(journal.rows)
    assert (made.unexplained, made.fees) == (0, 0)
    assert made.alerts[0].startswith("XYZ has no rate")
