"""Goal: whatever a plugin hands over, the books stay sound, nothing is sent for it, and it is said.

Method: sound news of each kind, of which Hypothesis replaces fields by what no plugin should say,
through the sinks of both legs into a real pump with its journal; and the same of answers.
"""

import dataclasses
from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_terms import AT, FUTURES, SPOT, TERMS

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.errors import Malformed
from hedge.journal import JournalLog, MemoryDisk, read_rows
from hedge.journal.frame import NAME
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    FundingPayment,
    FundingRate,
    Leg,
    Mark,
    OrderReport,
    Position,
    PositionMode,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
    StreamAlive,
    StreamDown,
    StreamKind,
    StreamUp,
)
from hedge.model.numbers import SECOND
from hedge.runtime.customs import fault, quote_fault, sound
from hedge.runtime.pump import Pump
from hedge.runtime.sinks import account_sink, market_sink

SYMBOLS = {Leg.SPOT: SPOT, Leg.FUTURES: FUTURES}
ODD = st.sampled_from(
    [
        D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity"), D("1e999"), D(-1), D("1e-999"), 0.1,
        float("nan"), None, "", "x" * 100_000, "BTC/USDC", b"raw", True, -(2**80), 2**80, [], {},
        object(), Side.SELL, Leg.SPOT, Leg.FUTURES, FillKind.LIQUIDATION,
    ]
)  # fmt: skip


def market(symbol):
    return (
        Quote(symbol=symbol, bid=D(100), ask=D("100.1"), bid_depth=D(5), ask_depth=D(5)),
        Mark(symbol=symbol, mark=D(100), index=D(100)),
        FundingRate(
            symbol=symbol, rate=D("0.0001"), interval_s=28_800, next_at=AT + SECOND,
            observed_at=AT, origin=RateOrigin.LIVE,
        ),
        StreamUp(kind=StreamKind.MARKET),
        StreamAlive(kind=StreamKind.MARKET),
        StreamDown(kind=StreamKind.MARKET, why="reset"),
    )  # fmt: skip


def account(side, symbol):
    return (
        Fill(
            leg=side, symbol=symbol, fill_id="1", client_order_id="H", side=Side.BUY,
            quantity=D("0.1"), price=D(100), fee=D("0.01"), fee_asset="USDT", filled_at=AT,
        ),
        OrderReport(client_order_id="H0001S000001", status=ReportedStatus.FILLED, filled=D(1)),
        Balance(asset="BTC", free=D(1)),
        Position(symbol=symbol, quantity=D(-1)),
        FundingPayment(
            payment_id="1", symbol=symbol, rate=D("0.0001"), interval_s=28_800, quantity=D(-1),
            cash=D(1), asset="USDT", settled_at=AT,
        ),
        StreamUp(kind=StreamKind.ACCOUNT),
        StreamAlive(kind=StreamKind.ACCOUNT),
        StreamDown(kind=StreamKind.ACCOUNT, why="reset"),
    )  # fmt: skip


@st.composite
def changed(draw, news):
    """One of the news with up to three fields exchanged, or something else altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ODD)
    one = draw(st.sampled_from(news))
    for name in draw(st.lists(st.sampled_from(one.__struct_fields__), max_size=3)):
        one = msgspec.structs.replace(one, **{name: draw(ODD)})
    return one


@dataclasses.dataclass
class Still:
    """A clock that a test sets, and that fires what was asked for when it is set."""

    at: int = AT
    virtual: bool = True
    asked: list = dataclasses.field(default_factory=list)

    def now(self):
        return self.at

    def call_at(self, at, callback):
        self.asked.append((at, callback))

    def pass_by(self, ns):
        self.at += ns
        due = [one for one in self.asked if one[0] <= self.at]
        self.asked = [one for one in self.asked if one[0] > self.at]
        for _, callback in due:
            callback()


def judged(news):
    return quote_fault(news) if type(news) is Quote else fault(news)


class NoCommitter:
    def wrote(self, rows):
        pass


class Scene:
    def __init__(self):
        self.clock, self.disk, self.failed, self.done = Still(), MemoryDisk(), [], []
        self.log = JournalLog.open(Path("/toy"), hedge="toy", at=AT, disk=self.disk)
        self.engine = Engine(TERMS)
        self.pump = Pump(self.engine, self.log, NoCommitter(), fail=self.failed.append)
        self.pump.perform = self.done.append
        self.pump.feed(e.EngineStarted(at=AT, boot_id="boot", epoch=1, terms=TERMS))

    def sink(self, side, kind):
        make = market_sink if kind is StreamKind.MARKET else account_sink
        return make(side, SYMBOLS[side], self.clock, self.pump.feed)

    def known(self):
        """Return what is believed of the market and of both legs."""
        market, books = self.engine.market, self.engine.books
        pictures = [str(book.picture()) for book in self.engine.leg_books()]
        mids = [market.mid(side) for side in Leg]
        return mids, market.mark, market.funding, str(books.tally), pictures

    def rows(self):
        return list(read_rows(Path("/toy") / NAME, self.disk))


NEWS = {
    (side, kind): market(SYMBOLS[side])
    if kind is StreamKind.MARKET
    else account(side, SYMBOLS[side])
    for side in Leg
    for kind in StreamKind
}


@pytest.mark.parametrize(("side", "kind"), list(NEWS))
def test_what_is_sound_is_passed_on(side, kind):
    for one in NEWS[side, kind]:
        assert not fault(one), one
        scene = Scene()
        scene.sink(side, kind)(one)
        assert not scene.failed and "FAULTY_NEWS" not in scene.engine.books.alarms


@pytest.mark.parametrize(("side", "kind"), list(NEWS))
def test_whatever_a_plugin_says_is_taken_whole_or_said_and_not_taken(side, kind):
    @given(st.lists(changed(NEWS[side, kind]), min_size=1, max_size=6))
    def said(all_news):
        scene = Scene()
        sink = scene.sink(side, kind)
        for news in all_news:
            before = scene.known()
            sink(news)
            scene.clock.pass_by(2 * SECOND)
            wrong = judged(news) or getattr(news, "symbol", SYMBOLS[side]) != SYMBOLS[side]
            if wrong and kind is StreamKind.MARKET:
                assert scene.known() == before, news
        assert not scene.failed, (scene.failed, all_news)
        for book in scene.engine.leg_books():
            assert book.held.is_finite() and book.cash.is_finite(), all_news
        assert not any(isinstance(one, c.PlaceOrder) for one in scene.done)
        again = Engine(TERMS)
        again.replay(scene.rows())
        assert again.books.state_hash() == scene.engine.books.state_hash()

    said()


def test_nonsense_is_an_alarm_and_a_gap_of_the_account_and_a_thousand_are_one_a_second():
    scene = Scene()
    heard = []
    feed, scene.pump.feed = scene.pump.feed, lambda event: (heard.append(event), feed(event))
    sink = scene.sink(Leg.FUTURES, StreamKind.ACCOUNT)
    fill = account(Leg.FUTURES, FUTURES)[0]
    for bad in (
        {"quantity": D("NaN")}, {"quantity": 0.1}, {"leg": Leg.SPOT}, {"symbol": "ETH/USDT:USDT"},
        {"price": D(-1)}, {"fill_id": "x" * 10_000},
    ) * 200:  # fmt: skip
        sink(msgspec.structs.replace(fill, **bad))
    assert scene.engine.books.futures.held == 0
    assert "FAULTY_NEWS" in scene.engine.books.alarms
    kinds = [type(event) for event in heard]
    assert kinds == [e.ShellAlarmed, e.StreamChanged, e.StreamChanged]
    assert [event.up for event in heard[1:]] == [False, True]
    scene.clock.pass_by(SECOND)
    assert [type(event) for event in heard] == kinds * 2
    scene.clock.pass_by(SECOND)
    assert len(heard) == 6, "and then it was quiet"
    sink(fill)
    assert scene.engine.books.futures.held == D("0.1")


READ = e.LegAudited(
    at=AT, leg=Leg.FUTURES, audit_id=1, asked_at=AT, server_at=AT,
    found=(account(Leg.FUTURES, FUTURES)[1],), open_orders=(),
    fills=(account(Leg.FUTURES, FUTURES)[0],),
    position=Position(symbol=FUTURES, quantity=D(0)), position_mode=PositionMode.ONE_WAY,
    margin_free=D(100), margin_ratio=D("0.1"), leverage=D(5), funding=market(FUTURES)[2],
)  # fmt: skip


@given(st.data())
def test_a_read_is_sound_in_every_part_or_no_read(data):
    sound(READ, e.LegAudited)
    name = data.draw(st.sampled_from(["found", "fills", "position", "funding"]))
    part = getattr(READ, name)
    inner = part[0] if isinstance(part, tuple) else part
    odd = msgspec.structs.replace(
        inner, **{data.draw(st.sampled_from(inner.__struct_fields__)): data.draw(ODD)}
    )
    read = msgspec.structs.replace(READ, **{name: (odd,) if isinstance(part, tuple) else odd})
    if fault(odd):
        with pytest.raises(Malformed):
            sound(read, e.LegAudited)
    else:
        sound(read, e.LegAudited)
    whole = msgspec.structs.replace(READ, **{name: data.draw(ODD)})
    wrong = fault(whole, e.LegAudited)
    assert wrong or isinstance(getattr(whole, name), tuple | list | type(None)), whole
