"""Goal: a dry run's account is as strict as a venue's, exact to the last digit, and remembered.
Method: quotes and orders at random against sums kept by hand; the file is read back.
"""

import asyncio
from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.errors import ConfigError, JournalError, Missing, Refused
from hedge.model import (
    FundingRate,
    Leg,
    Order,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
    TimeInForce,
)
from hedge.runtime.clock import VirtualClock, VirtualLoop
from hedge.runtime.dry import FILE_NAME, DryAccount, DryFunding, DryGateway

SYMBOL = {Leg.SPOT: "BTC/USDT", Leg.FUTURES: "BTC/USDT:USDT"}
CASH = D(100_000)


def quote(leg, bid, ask, depth="0"):
    return Quote(symbol=SYMBOL[leg], bid=D(bid), ask=D(ask), bid_depth=D(depth), ask_depth=D(depth))


def order(
    number, side, quantity, price, *, leg=Leg.SPOT, tif=TimeInForce.IOC, reduce_only=False
):  # fmt: skip
    return Order(
        client_order_id=f"H{number}",
        leg=leg,
        symbol=SYMBOL[leg],
        side=side,
        quantity=D(quantity),
        limit_price=D(price),
        time_in_force=tif,
        reduce_only=reduce_only,
        signed_at=0,
        recv_window_ms=2_000,
    )


@pytest.fixture
def account():
    made = DryAccount(None, cash=CASH, at=0)
    for leg in Leg:
        made.see(leg, quote(leg, "99", "101", "2"), 1)
    return made


def test_without_a_quote_and_twice_under_one_id_is_refused(account):
    with pytest.raises(Refused, match="no quote"):
        DryAccount(None, cash=CASH, at=0).place(order(1, Side.BUY, 1, 101), 2)
    account.place(order(1, Side.BUY, 1, 101), 2)
    with pytest.raises(Refused, match="used before"):
        account.place(order(1, Side.BUY, 1, 101), 2)
    with pytest.raises(Missing):
        account.find("H2")


def test_a_taking_order_gets_what_the_quote_shows_at_the_touch(account):
    report = account.place(order(1, Side.BUY, 3, 105), 2)
    assert (report.status, report.filled) == (ReportedStatus.CANCELLED, 2)
    assert account.fills[0].price == 101 and not account.fills[0].maker
    assert account.place(order(2, Side.BUY, 1, 100), 2).filled == 0


def test_a_resting_order_waits_until_the_other_side_reaches_it(account):
    post = TimeInForce.POST_ONLY
    with pytest.raises(Refused, match="would take"):
        account.place(order(1, Side.BUY, 1, 101, tif=post), 2)
    account.place(order(2, Side.BUY, 1, 99, tif=post), 2)
    account.see(Leg.SPOT, quote(Leg.SPOT, "98", "99.01"), 3)
    assert account.find("H2").status is ReportedStatus.WORKING
    account.see(Leg.FUTURES, quote(Leg.FUTURES, "90", "91"), 3)
    assert account.find("H2").status is ReportedStatus.WORKING, "another leg's price is not its own"
    account.see(Leg.SPOT, quote(Leg.SPOT, "98", "99"), 3)
    assert account.find("H2").status is ReportedStatus.FILLED
    assert account.fills[-1].maker and account.fills[-1].price == 99
    with pytest.raises(Refused, match="not open"):
        account.cancel("H2", 4)


def test_a_reducing_order_stops_at_zero(account):
    account.place(order(1, Side.SELL, 1, 99, leg=Leg.FUTURES), 2)
    more = order(2, Side.BUY, 2, 101, leg=Leg.FUTURES, reduce_only=True)
    assert account.place(more, 2).filled == 1 and account.held[Leg.FUTURES] == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Leg)),
            st.sampled_from(list(Side)),
            st.integers(1, 50),
            st.integers(80, 120),
        ),
        max_size=40,
    )
)
def test_cash_and_profit_are_the_sum_of_the_fills(steps):
    account = DryAccount(None, cash=CASH, at=0)
    for number, (leg, side, lots, price) in enumerate(steps):
        account.see(leg, quote(leg, price, price + 1), number)
        account.place(
            order(number, side, D(lots) / 10, 1 if side is Side.SELL else 999, leg=leg), 1
        )
    for leg in Leg:
        mine = [fill for fill in account.fills if fill.leg is leg]
        held = sum((fill.signed_quantity for fill in mine), D(0))
        spent = sum((fill.signed_quantity * fill.price + fill.fee for fill in mine), D(0))
        assert account.held[leg] == held
        mark = D(97)
        worth = account.cash[leg] + held * mark
        if leg is Leg.FUTURES:
            worth -= account.entry_notional
        assert abs(worth - (CASH - spent + held * mark)) < D("1e-18")


def test_the_file_gives_the_same_account_and_forgets_only_a_torn_line(tmp_path):
    path = tmp_path / FILE_NAME
    first = DryAccount(path, cash=CASH, at=0)
    first.see(Leg.SPOT, quote(Leg.SPOT, "99", "101"), 1)
    first.place(order(1, Side.BUY, 1, 101), 2)
    first.place(order(2, Side.BUY, 1, 99, tif=TimeInForce.POST_ONLY), 2)
    first.close()
    with path.open("ab") as file:
        file.write(b'{"type":"Fil')
    again = DryAccount(path, cash=D(1), at=9)
    assert (again.cash, again.held) == (first.cash, first.held)
    assert [one.order.client_order_id for one in again.open(Leg.SPOT)] == ["H2"]
    again.close()
    path.write_bytes(b"nonsense\n")
    with pytest.raises(ConfigError, match="damaged"):
        DryAccount(path, cash=CASH, at=0)


class Rates:
    """A funding source with one settlement each hour, and a count of what it was asked."""

    def __init__(self, clock):
        self.clock, self.asked = clock, 0

    def rate(self, at):
        hour = 3_600 * 10**9
        return FundingRate(
            symbol=SYMBOL[Leg.FUTURES],
            rate=D("0.001"),
            interval_s=3_600,
            next_at=(at // hour + 1) * hour,
            observed_at=at // hour * hour,
            origin=RateOrigin.SETTLED,
        )

    async def read_rate(self, symbol):
        assert symbol == SYMBOL[Leg.FUTURES]
        return self.rate(self.clock.now())

    async def read_history(self, symbol, since, until):
        self.asked += 1
        hour = 3_600 * 10**9
        first = -(-since // hour)
        return tuple(self.rate(n * hour) for n in range(first, -(-until // hour)))


def test_a_full_disk_is_said_and_leaves_the_account_as_the_file_has_it(tmp_path, room):
    path = tmp_path / FILE_NAME
    with room(10), pytest.raises(JournalError, match=FILE_NAME):
        DryAccount(path, cash=CASH, at=0)
    account = DryAccount(path, cash=CASH, at=0)
    account.see(Leg.SPOT, quote(Leg.SPOT, "99", "101", "2"), 1)
    with room(path.stat().st_size + 20), pytest.raises(JournalError, match="cannot keep"):
        account.place(order(1, Side.BUY, 1, 101), 2)
    with pytest.raises(JournalError):  # there is room again, behind a part of a line
        account.place(order(2, Side.BUY, 1, 101), 3)
    account.close()
    assert not DryAccount(path, cash=CASH, at=0).orders
    with pytest.raises(ConfigError, match="Is a directory"):
        DryAccount(tmp_path, cash=CASH, at=0)


def test_each_settlement_is_paid_once_on_what_was_held_then(account):
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    clock.begin_at(10_000 * 3_600 * 10**9 + 1)
    gateway = DryGateway(account, Leg.FUTURES, SYMBOL[Leg.FUTURES], clock)
    rates = Rates(clock)
    heard = []

    async def main():
        funding = DryFunding(rates, account, clock)
        await gateway.listen(SYMBOL[Leg.FUTURES], heard.append)
        await gateway.place_order(order(1, Side.SELL, 1, 99, leg=Leg.FUTURES))
        assert await funding.read_payments(SYMBOL[Leg.FUTURES], 0) == ()
        await clock.sleep_until(clock.now() + 2 * 3_600 * 10**9)
        paid = await funding.read_payments(SYMBOL[Leg.FUTURES], 0)
        again = await funding.read_payments(SYMBOL[Leg.FUTURES], 0)
        assert [one.cash for one in paid] == [D("0.1"), D("0.1")] and again == paid
        assert rates.asked == 2, "it asks for the history when there is a settlement in it"
        await gateway.__aexit__(None, None, None)

    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert len([x for x in heard if type(x).__name__ == "FundingPayment"]) == 2
