"""Goal: what a venue could not say now is asked again, and no answer is taken for another.
Method: the effects of one engine on a virtual clock, before a dry run's account whose reads fail as
a script says.
"""

import asyncio
from collections import deque
from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of
from types import SimpleNamespace

import pytest

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.errors import Limited, Refused, Unreachable
from hedge.model import (
    FundingRate,
    Instrument,
    InstrumentKind,
    Leg,
    Order,
    Quote,
    RateOrigin,
    Side,
    TimeInForce,
)
from hedge.model.numbers import HOUR, MINUTE, SECOND
from hedge.runtime.clock import VirtualClock, VirtualLoop
from hedge.runtime.dry import DryAccount, DryGateway
from hedge.runtime.effects import EQUITY_APART, EQUITY_TIMEOUT, Effects
from hedge.runtime.roles_open import Roles

SYMBOLS = {Leg.SPOT: "BTC/USDT", Leg.FUTURES: "BTC/USDT:USDT"}
START = 10_000 * HOUR + 1


class Moody(DryGateway):
    """Raises what stands in ``script`` before it answers; ``HANG`` never answers."""

    HANG = object()

    def __init__(self, *given):
        super().__init__(*given)
        self.script = deque()

    async def read_balances(self):
        word = self.script.popleft() if self.script else None
        if word is self.HANG:
            await asyncio.get_running_loop().create_future()
        if word is not None:
            raise word
        return await super().read_balances()


class Source:
    async def read_rate(self, symbol):
        return FundingRate(
            symbol=symbol,
            rate=D("0.0001"),
            interval_s=8 * 3_600,
            next_at=START + 8 * HOUR,
            observed_at=START,
            origin=RateOrigin.LIVE,
        )


def instrument(leg, lot="0.001"):
    kind = InstrumentKind.SPOT if leg is Leg.SPOT else InstrumentKind.PERPETUAL
    return Instrument(
        venue="dry", symbol=SYMBOLS[leg], kind=kind, base="BTC", quote="USDT", tick=D("0.1"),
        lot=D(lot),
    )  # fmt: skip


class Shown:
    """Which instrument trades in which lots, and where its price is."""

    def __init__(self):
        self.prices = dict.fromkeys(Leg, D(100))
        self.lot = "0.001"

    async def read_instrument(self, symbol):
        return instrument(next(leg for leg in Leg if SYMBOLS[leg] == symbol), self.lot)

    def mid(self, leg):
        return self.prices[leg]


class Scene:
    """One engine's effects; ``heard`` is what came of them, with the seconds since the start."""

    def __init__(self):
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.clock.begin_at(START)
        account = DryAccount(None, cash=D(1_000), at=START)
        for leg in Leg:
            price = Quote(symbol=SYMBOLS[leg], bid=D(99), ask=D(101))
            account.see(leg, price, START)
        self.spot, futures = (Moody(account, leg, SYMBOLS[leg], self.clock) for leg in Leg)
        self.shown = Shown()
        self.heard = []
        self.stalled = 0
        """How long ago the order in hand was decided, ns."""
        self.effects = self.loop.run_until_complete(self._open(futures))

    async def _open(self, futures):
        return Effects(
            clock=self.clock,
            roles=Roles(
                spot_feed=self.shown,
                spot_gateway=self.spot,
                spot_check=None,
                futures_feed=self.shown,
                futures_gateway=futures,
                futures_check=None,
                funding=Source(),
                shared_wallet=True,
            ),
            terms=SimpleNamespace(
                spot=SimpleNamespace(instrument=instrument(Leg.SPOT)),
                futures=SimpleNamespace(instrument=instrument(Leg.FUTURES)),
            ),
            mids=self.shown,
            decided_at=lambda: self.clock.now() - self.stalled,
            feed=lambda event: self.heard.append(((self.clock.now() - START) / SECOND, event)),
            committer=None,
            end=self.heard.append,
        )

    def run(self, seconds, *commands):
        async def main():
            for command in commands:
                self.effects.perform(command)
            await self.clock.sleep_until(self.clock.now() + int(seconds * SECOND))

        self.loop.run_until_complete(main())
        return self.heard


@pytest.fixture
def scene():
    made = Scene()
    yield made
    made.loop.run_until_complete(made.effects.close())
    made.loop.close()


AUDIT = c.AuditLeg(leg=Leg.SPOT, audit_id=1, ask_ids=(), fills_since=0)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (Refused("no such key", code="-2015"), True),
        (Limited("slow down", code="-1003", retry_after_s=9), False),
        (Unreachable("gone"), False),
    ],
)
def test_only_a_definite_no_makes_a_read_refused(scene, error, refused):
    scene.spot.script.append(error)
    ((_, unread),) = scene.run(1, AUDIT)
    assert isinstance(unread, e.LegUnread) and unread.refused is refused


def test_each_minutes_look_at_the_status_compares_the_units(scene):
    scene.run(1, AUDIT)
    scene.shown.lot = "1000"
    heard = [audit for _, audit in scene.run(61, AUDIT)]
    assert [audit.changed for audit in heard] == ["", ""], "it was read within the minute"
    for _ in range(2):
        scene.run(1, AUDIT)
    for audit in (audit for _, audit in scene.heard[2:]):
        assert audit.tradable
        assert audit.changed == (
            "dry/BTC/USDT/BTC/USDT//0.001/1/1 -> dry/BTC/USDT/BTC/USDT//1000/1/1"
        )
    assert len(scene.heard) == 4


def test_equity_is_read_until_it_succeeds(scene):
    scene.spot.script += [Limited("slow down"), Moody.HANG, Unreachable("gone")]
    ((after_s, seen),) = scene.run(60, c.ReadEquity(label="end"))
    assert isinstance(seen, e.EquitySeen) and seen.label == "end"
    assert after_s == pytest.approx((EQUITY_TIMEOUT + 3 * EQUITY_APART) / SECOND, abs=0.1)


def test_nothing_is_valued_before_both_prices_are_known(scene):
    scene.shown.prices[Leg.FUTURES] = None
    assert scene.run(5, c.ReadEquity(label="start")) == []
    scene.shown.prices[Leg.FUTURES] = D(101)
    ((_, seen),) = scene.run(1)
    assert (seen.spot_mid, seen.futures_mid) == (D(100), D(101))


def test_a_newer_question_silences_the_older_one(scene):
    scene.spot.script += [Unreachable("gone"), Unreachable("gone")]
    scene.run(1, c.ReadEquity(label="settled"))
    heard = scene.run(30, c.ReadEquity(label="end"))
    assert [seen.label for _, seen in heard] == ["end"]


WINDOW_S = 2


def placing(venue_ahead):
    """Return a wish for an order that is stamped in the time of a venue so far ahead of us (ns)."""
    order = Order(
        client_order_id="H00000001S000001",
        leg=Leg.SPOT,
        symbol=SYMBOLS[Leg.SPOT],
        side=Side.BUY,
        quantity=D(1),
        limit_price=D(102),
        time_in_force=TimeInForce.IOC,
        signed_at=START + venue_ahead,
        recv_window_ms=WINDOW_S * 1_000,
    )
    return c.PlaceOrder(order=order, purpose=c.Purpose.BUILD, observation=c.Observation())


@pytest.mark.parametrize("venue_ahead", [0, 10 * MINUTE, -10 * MINUTE])
@pytest.mark.parametrize(("stalled_s", "leaves"), [(0, True), (WINDOW_S, True), (60, False)])
def test_a_stall_is_measured_from_the_decision_whatever_the_venue_s_clock(
    scene, venue_ahead, stalled_s, leaves
):
    """An order that a sleeping process kept is dropped; one for a venue of another time is not."""
    scene.stalled = stalled_s * SECOND
    ((_, said),) = scene.run(1, placing(venue_ahead))
    if leaves:
        assert isinstance(said, e.OrderReported), said
    else:
        assert isinstance(said, e.OrderRefused) and said.code == "STALLED_BEFORE_SEND"
