"""One instance of every entry there is, and small helpers to write and read a journal."""

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trigger
from hedge.decide.rows import AnyEntry
from hedge.decide.terms import Action, HedgeTerms, LegTerms
from hedge.journal import JournalLog, MemoryDisk
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    Instrument,
    InstrumentKind,
    Leg,
    Mark,
    Order,
    OrderReport,
    Position,
    PositionMode,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
    StreamKind,
    TimeInForce,
)

D = Decimal
AT = 1_767_225_600_123_456_789  # 2026-01-01T00:00:00.123Z
HERE = Path("/state/btc")


def instrument(kind: InstrumentKind, symbol: str) -> Instrument:
    return Instrument(
        venue="sim",
        symbol=symbol,
        kind=kind,
        base="BTC",
        quote="USDT",
        tick=D("0.1"),
        lot=D("0.00001"),
    )


TERMS = HedgeTerms(
    name="btc",
    prefix="HX",
    spot=LegTerms(instrument=instrument(InstrumentKind.SPOT, "BTC/USDT"), taker_fee=D("0.001")),
    futures=LegTerms(instrument=instrument(InstrumentKind.PERPETUAL, "BTC/USDT:USDT")),
    usd=D(10_000),
)
QUOTE = Quote(symbol="BTC/USDT", bid=D("65432.1"), ask=D("65432.2"), seen_at=AT)
MARK = Mark(symbol="BTC/USDT:USDT", mark=D("65440"), index=D("65439.99"), seen_at=AT)
RATE = FundingRate(
    symbol="BTC/USDT:USDT",
    rate=D("-0.0001"),
    interval_s=28_800,
    next_at=AT,
    observed_at=AT,
    origin=RateOrigin.LIVE,
)
POSITION = Position(symbol="BTC/USDT:USDT", quantity=D("-0.0123"), adl_rank=2)
BALANCE = Balance(asset="BTC", free=D("1E-8"), locked=D("0.0"))
PAYMENT = FundingPayment(
    payment_id="p1",
    symbol="BTC/USDT:USDT",
    rate=D("0.0001"),
    interval_s=28_800,
    quantity=D("-0.0123"),
    cash=D("0.08"),
    asset="USDT",
    settled_at=AT,
)


def fill(fill_id: str, client_order_id: str = "HX-1-S-1", quantity: str = "0.005") -> Fill:
    return Fill(
        leg=Leg.SPOT,
        symbol="BTC/USDT",
        fill_id=fill_id,
        client_order_id=client_order_id,
        side=Side.BUY,
        quantity=D(quantity),
        price=D("65432.1"),
        fee=D("0.1"),
        fee_asset="BNB",
        fee_rate_quote=D("612.3"),
        filled_at=AT,
    )


def report(status: ReportedStatus, filled: str = "0", order_id: str = "HX-1-S-1") -> OrderReport:
    return OrderReport(
        client_order_id=order_id, venue_order_id="77", status=status, filled=D(filled)
    )


def place(order_id: str = "HX-1-S-1") -> c.PlaceOrder:
    order = Order(
        client_order_id=order_id,
        leg=Leg.SPOT,
        symbol="BTC/USDT",
        side=Side.BUY,
        quantity=D("0.0123"),
        limit_price=D("65432.1"),
        time_in_force=TimeInForce.POST_ONLY,
        signed_at=AT,
        recv_window_ms=2000,
    )
    observation = c.Observation(
        spot_bid=D("65432.1"),
        spot_ask=D("65432.2"),
        spot_seen_at=AT,
        futures_bid=D("65442.1"),
        futures_ask=D("65442.2"),
        futures_mark=D("65441.17"),
        futures_seen_at=AT,
        inventory=D("0.1234"),
        position=D("-0.1111"),
    )
    return c.PlaceOrder(order=order, purpose=c.Purpose.BUILD, observation=observation)


def started(epoch: int = 1) -> e.EngineStarted:
    return e.EngineStarted(at=AT, boot_id="b", epoch=epoch, terms=TERMS, roles=("spot=sim 1",))


def lease(leg: Leg, epoch: int, last: int) -> c.LeaseIds:
    return c.LeaseIds(leg=leg, epoch=epoch, first=max(1, last - 15), last=last)


WORKING, FILLED = ReportedStatus.WORKING, ReportedStatus.FILLED
S = Leg.SPOT

EVENTS: tuple[AnyEntry, ...] = (
    started(),
    e.ActionAsked(at=AT, action=Action.SINGLE, request_id="r", adopt=D("0.5")),
    e.IdsLeased(at=AT, leg=S, epoch=1, first=1, last=16),
    e.TimerFired(at=AT),
    e.RecordingEnded(at=AT),
    e.ShellAlarmed(at=AT, key="CLOCK_OFFSET", level="warn", text="300 ms", freeze="CLOCK_OFFSET"),
    e.OperatorAsked(at=AT, verb=e.Verb.SCALE, request_id="r2", usd=D(500), by="ann"),
    e.QuoteSeen(at=AT, leg=S, quote=QUOTE),
    e.MarkSeen(at=AT, mark=MARK),
    e.FundingSeen(at=AT, rate=RATE),
    e.OrderReported(at=AT, leg=S, report=report(WORKING)),
    e.OrderRefused(at=AT, leg=S, client_order_id="HX-1-S-1", code="-2010", text='no "money"\n'),
    e.OrderUnanswered(at=AT, leg=S, client_order_id="HX-1-S-1", why="503"),
    e.CancelUnsettled(at=AT, leg=S, client_order_id="HX-1-S-1", why="-2011"),
    e.FillSeen(at=AT, fill=fill("f1")),
    e.FundingPaid(at=AT, payment=PAYMENT),
    e.BalanceSeen(at=AT, balance=BALANCE),
    e.PositionSeen(at=AT, position=POSITION),
    e.StreamChanged(at=AT, leg=S, kind=StreamKind.ACCOUNT, up=False, why="Zürich\u2028→"),
    e.StreamHeard(at=AT, leg=S, kind=StreamKind.MARKET),
    e.LegAudited(
        at=AT,
        leg=S,
        audit_id=3,
        asked_at=AT,
        server_at=AT,
        found=(report(FILLED, "0.0123"),),
        missing=("HX-1-S-9",),
        fills=(fill("f1"), fill("f2")),
        payments=(PAYMENT,),
        balances=(BALANCE,),
        position=POSITION,
        position_mode=PositionMode.ONE_WAY,
        margin_free=D("12.5"),
    ),
    e.LegUnread(at=AT, leg=S, audit_id=4, why="timeout"),
    e.EquitySeen(
        at=AT,
        label="run 1 opened",
        spot=(BALANCE,),
        futures=(),
        shared=True,
        position=POSITION,
        spot_mid=D(1),
        futures_mid=D(2),
        spot_at=AT,
        futures_at=AT,
    ),
)
COMMANDS: tuple[AnyEntry, ...] = (
    place(),
    c.CancelOrder(leg=S, client_order_id="HX-1-S-1", why="requote"),
    c.AuditLeg(leg=S, audit_id=3, ask_ids=("HX-1-S-1",), fills_since=AT),
    c.ReadEquity(label="run 1 opened"),
    lease(S, 1, 16),
    c.WakeAt(wake_at=AT),
    c.EndRun(exit_code=5, reason="DATA_ENDED"),
    c.OpenRun(run_id=1, action=Action.DEFAULT, request_id="r"),
    c.CloseRun(run_id=1, reason="UNWOUND"),
    c.ChangeMode(mode=Mode.INVENTORY, trigger=Trigger.BUILD, why="funding"),
    c.SetTarget(quantity=None),
    c.SetTrip(reason="CLOCK_OFFSET", level=1),
    c.RaiseAlarm(key="a", level="warn", text="t"),
    c.SettleAlarm(key="a"),
    c.BookExternal(leg=S, quantity=D("-0.1"), reason="EXTERNAL"),
    c.DeclareDead(leg=S, client_order_id="HX-1-S-1", evidence="fence"),
    c.SetPaused(paused=True),
    c.SetStopping(stopping=True, at=AT),
    c.Notice(key="n", text="hello"),
    c.Serve(request_id="r"),
)


@pytest.fixture
def samples() -> ModuleType:
    """This module, for its instances: test modules cannot import one another here."""
    return sys.modules[__name__]


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def open_log(disk: MemoryDisk) -> Callable[[], JournalLog]:
    return lambda: JournalLog.open(HERE, hedge="btc", at=AT, disk=disk)
