"""A small journal writer for the tests of the report; every amount is given, none computed."""

from decimal import Decimal

import pytest

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trigger
from hedge.decide.rows import AnyEntry, Row
from hedge.decide.terms import HedgeTerms, LegTerms
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    Instrument,
    InstrumentKind,
    Leg,
    Order,
    Position,
    RateOrigin,
    Side,
    TimeInForce,
)
from hedge.model.numbers import SECOND

D = Decimal
START = 1_709_280_000 * SECOND
"""2024-03-01 08:00 UTC"""
SYMBOLS = {Leg.SPOT: "BTC/USDT", Leg.FUTURES: "BTC/USDT:USDT"}


def leg_terms(leg: Leg) -> LegTerms:
    return LegTerms(
        instrument=Instrument(
            venue="sim",
            symbol=SYMBOLS[leg],
            kind=InstrumentKind.SPOT if leg is Leg.SPOT else InstrumentKind.PERPETUAL,
            base="BTC",
            quote="USDT",
            settle="USDT",
            tick=D("0.1"),
            lot=D("0.001"),
        )
    )


class Writer:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.at = START
        self.spot: Decimal | None = D(100)
        self.futures: Decimal | None = D(101)
        self.serial = 0

    def put(self, entry: AnyEntry) -> None:
        self.rows.append(
            Row(
                seq=len(self.rows) + 1,
                at=self.at,
                entry=entry,
                spot_mid=self.spot,
                futures_mid=self.futures,
            )
        )

    def go(self, seconds: int, spot: str = "", futures: str = "") -> "Writer":
        self.at += seconds * SECOND
        self.spot = D(spot) if spot else self.spot
        self.futures = D(futures) if futures else self.futures
        return self

    def start(self) -> None:
        terms = HedgeTerms(
            name="btc",
            prefix="HB",
            spot=leg_terms(Leg.SPOT),
            futures=leg_terms(Leg.FUTURES),
            usd=D(10_000),
        )
        self.put(e.EngineStarted(at=self.at, boot_id="b", epoch=1, terms=terms))

    def mode(self, mode: Mode) -> None:
        self.put(c.ChangeMode(mode=mode, trigger=Trigger.BUILD))

    def order(self, leg: Leg, side: Side, quantity: str, price: str) -> str:
        """Place at a book that is one quote wide around the present mids."""
        self.serial += 1
        name = f"HB0001{leg.value[0].upper()}{self.serial:06X}"
        spot, futures, half = self.spot or D(0), self.futures or D(0), D("0.5")
        self.put(
            c.PlaceOrder(
                order=Order(
                    client_order_id=name,
                    leg=leg,
                    symbol=SYMBOLS[leg],
                    side=side,
                    quantity=D(quantity),
                    limit_price=D(price),
                    time_in_force=TimeInForce.IOC,
                    signed_at=self.at,
                    recv_window_ms=2000,
                ),
                purpose=c.Purpose.BUILD,
                observation=c.Observation(
                    spot_bid=spot - half,
                    spot_ask=spot + half,
                    spot_seen_at=self.at - 120_000_000,
                    futures_bid=futures - half,
                    futures_ask=futures + half,
                    futures_seen_at=self.at,
                ),
            )
        )
        return name

    def fill(
        self, leg: Leg, side: Side, quantity: str, price: str, name: str = "", **more: object
    ) -> Fill:
        self.serial += 1
        made = Fill(
            leg=leg,
            symbol=SYMBOLS[leg],
            fill_id=str(self.serial),
            client_order_id=name,
            side=side,
            quantity=D(quantity),
            price=D(price),
            filled_at=self.at,
            **{"fee_asset": "USDT", **more},
        )
        self.put(e.FillSeen(at=self.at, fill=made))
        return made

    def settle(self, rate: str, cash: str | None, quantity: str, hours: int = 8) -> None:
        """A settlement now; its payment too unless ``cash`` is None."""
        self.serial += 1
        seen = FundingRate(
            symbol=SYMBOLS[Leg.FUTURES],
            rate=D(rate),
            interval_s=hours * 3600,
            next_at=self.at + hours * 3600 * SECOND,
            observed_at=self.at,
            origin=RateOrigin.SETTLED,
        )
        self.put(e.FundingSeen(at=self.at, rate=seen))
        if cash is not None:
            self.pay(cash, quantity, rate=rate, hours=hours)

    def estimate(self, rate: str, next_in: int, hours: int = 8) -> None:
        """The venue's running estimate for the settlement ``next_in`` seconds from now."""
        seen = FundingRate(
            symbol=SYMBOLS[Leg.FUTURES],
            rate=D(rate),
            interval_s=hours * 3600,
            next_at=self.at + next_in * SECOND,
            observed_at=self.at,
            origin=RateOrigin.LIVE,
        )
        self.put(e.FundingSeen(at=self.at, rate=seen))

    def pay(
        self, cash: str, quantity: str, *, rate: str = "0.0001", hours: int = 8, ago: int = 0
    ) -> None:
        self.serial += 1
        paid = FundingPayment(
            payment_id=str(self.serial),
            symbol=SYMBOLS[Leg.FUTURES],
            rate=D(rate),
            interval_s=hours * 3600,
            quantity=D(quantity),
            cash=D(cash),
            asset="USDT",
            settled_at=self.at - ago * SECOND,
        )
        self.put(e.FundingPaid(at=self.at, payment=paid))

    def measure(
        self,
        cash: str,
        coins: str,
        wallet: str,
        position: str = "0",
        entry: str = "0",
        *,
        bnb: tuple[str, str] | None = None,
        label: str = "x",
    ) -> None:
        spot = [Balance(asset="USDT", free=D(cash)), Balance(asset="BTC", free=D(coins))]
        if bnb is not None:
            spot.append(Balance(asset="BNB", free=D(bnb[0]), rate_quote=D(bnb[1])))
        assert self.spot is not None
        assert self.futures is not None
        self.put(
            e.EquitySeen(
                at=self.at,
                label=label,
                spot=tuple(spot),
                futures=(Balance(asset="USDT", free=D(wallet)),),
                shared=False,
                position=Position(
                    symbol=SYMBOLS[Leg.FUTURES], quantity=D(position), entry_notional=D(entry)
                ),
                spot_mid=self.spot,
                futures_mid=self.futures,
                spot_at=self.at,
                futures_at=self.at,
            )
        )


@pytest.fixture
def journal() -> Writer:
    return Writer()


def whole_life(writer: Writer) -> list[Row]:
    """Buy 10 at 100, short 10 at 101, two payments, unwind at 110 and 112; 3 coins of one's own."""
    w = writer
    w.start()
    w.measure("2000", "3", "500", bnb=("5", "400"))
    w.mode(Mode.INVENTORY)
    w.go(1)
    w.settle("0.0002", None, "0")
    spot = w.order(Leg.SPOT, Side.BUY, "10", "100.5")
    w.go(1, spot="100.2")
    w.fill(
        Leg.SPOT, Side.BUY, "10", "99.9", spot,
        fee=D("0.01"), fee_asset="BNB", fee_rate_quote=D(401),
    )  # fmt: skip
    hedge = w.order(Leg.FUTURES, Side.SELL, "10", "100")
    w.go(1)
    w.fill(Leg.FUTURES, Side.SELL, "10", "100.9", hedge, fee=D("0.5"))
    w.mode(Mode.HALT)
    w.go(8 * 3600, "105", "106")
    w.settle("0.0002", "0.21", "-10")
    w.go(8 * 3600, "110", "112")
    w.settle("-0.0001", "-0.11", "-10")
    spot = w.order(Leg.SPOT, Side.SELL, "10", "109")
    w.fill(Leg.SPOT, Side.SELL, "10", "109.8", spot, fee=D(1))
    hedge = w.order(Leg.FUTURES, Side.BUY, "10", "113")
    w.go(2)
    w.fill(Leg.FUTURES, Side.BUY, "10", "112.1", hedge, fee=D("0.5"))
    w.go(1)
    # 2000 - 999 + 1098 - 1; 500 + 1009 - 1121 - 1 + 0.21 - 0.11
    w.measure("2098", "3", "387.10", bnb=("4.99", "410"))
    return w.rows


@pytest.fixture
def life(journal: Writer) -> list[Row]:
    return whole_life(journal)
