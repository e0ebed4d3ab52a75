"""Goal: what the report explains is exactly what the venues' own figures changed by.

Method: a reference account, kept here by other means (cash, coins and FIFO lots of the position),
lives through random orders, partial fills, fees in quote, base and a third coin, funding of either
sign, strangers' fills, externals, adoption, restarts and late or double rows. Its snapshots are the
only thing the report is told about its wealth. ``unexplained`` must be 0, and leaving one fact out
must show as exactly that fact.
"""

import random
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.decide.terms import HedgeTerms, InventoryRule, LegTerms
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    FundingPayment,
    FundingRate,
    Instrument,
    InstrumentKind,
    Leg,
    Order,
    OrderReport,
    Position,
    RateOrigin,
    ReportedStatus,
    Side,
    TimeInForce,
)
from hedge.model.numbers import HOUR, SECOND
from hedge.report.attribution import attribute
from hedge.report.ledger import exact, fold
from hedge.report.render import as_data, csv_text, text

D = Decimal
START = 1_709_251_200 * SECOND
SYMBOLS = {Leg.SPOT: "BTC/USDT", Leg.FUTURES: "BTC/USDT:USDT"}


def terms(rule: InventoryRule = InventoryRule.MANAGED) -> HedgeTerms:
    def leg(kind: InstrumentKind, which: Leg) -> LegTerms:
        return LegTerms(
            instrument=Instrument(
                venue="sim",
                symbol=SYMBOLS[which],
                kind=kind,
                base="BTC",
                quote="USDT",
                settle="USDT" if which is Leg.FUTURES else "",
                tick=D("0.1"),
                lot=D("0.001"),
            )
        )

    return HedgeTerms(
        name="btc",
        prefix="HB",
        spot=leg(InstrumentKind.SPOT, Leg.SPOT),
        futures=leg(InstrumentKind.PERPETUAL, Leg.FUTURES),
        usd=D(10_000),
        inventory=rule,
    )


class World:
    """The reference account and the journal it leaves behind."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rule = rng.choice(list(InventoryRule))
        self.shared = rng.random() < 0.5
        self.rows: list[Row] = []
        self.late: list[e.Event] = []
        self.now = START
        self.cash = {Leg.SPOT: D(20_000), Leg.FUTURES: D(5_000)}
        own = rng.randint(0, 3000) if self.rule is InventoryRule.MANAGED else 0
        self.base = D(own) / 1000
        self.coin = D(rng.randint(0, 500)) / 100
        self.mids = {Leg.SPOT: D("50000.05"), Leg.FUTURES: D("50012.35")}
        self.coin_rate = D("411.3")
        self.lots: list[tuple[Decimal, Decimal]] = []
        self.serial = 0
        self.epoch = 0
        self.snapshots: list[e.EquitySeen] = []
        self.fills: list[Fill] = []
        self.payments: list[FundingPayment] = []
        self.restart()

    # -- the journal -----------------------------------------------------------------------------

    def put(self, entry: e.Event | c.Command, *, blind: bool = False) -> None:
        self.rows.append(
            Row(
                seq=len(self.rows) + 1,
                at=self.now,
                entry=entry,
                spot_mid=None if blind else self.mids[Leg.SPOT],
                futures_mid=None if blind else self.mids[Leg.FUTURES],
            )
        )

    def tell(self, entry: e.Event) -> None:
        """Journal a fact now, later, or now and later once more."""
        if self.rng.random() < 0.2:
            self.late.append(entry)
        else:
            self.put(entry)
            if self.rng.random() < 0.2:
                self.late.append(entry)

    def catch_up(self) -> None:
        for entry in self.late:
            if self.rng.random() < 0.5:
                self.put(entry)
            elif isinstance(entry, e.FillSeen):
                self.put(self.audit(entry.fill.leg, fills=(entry.fill, entry.fill)))
            elif isinstance(entry, e.FundingPaid):
                self.put(self.audit(Leg.FUTURES, payments=(entry.payment,)))
        self.late.clear()

    def audit(self, leg: Leg, **parts: object) -> e.LegAudited:
        return e.LegAudited(
            at=self.now, leg=leg, audit_id=1, asked_at=self.now, server_at=self.now, **parts
        )

    # -- what happens ----------------------------------------------------------------------------

    def wait(self) -> None:
        self.now += self.rng.choice((SECOND, 60 * SECOND, 5 * HOUR, 30 * HOUR))
        spot = self.mids[Leg.SPOT] + D(self.rng.randint(-300_000, 300_000)) / 100
        self.mids[Leg.SPOT] = max(spot, D(1000))
        self.mids[Leg.FUTURES] = self.mids[Leg.SPOT] + D(self.rng.randint(-5000, 5000)) / 100
        self.coin_rate += D(self.rng.randint(-99, 99)) / 10

    def restart(self) -> None:
        self.epoch += 1
        blind = self.rng.random() < 0.5
        started = e.EngineStarted(
            at=self.now, boot_id="b", epoch=self.epoch, terms=terms(self.rule)
        )
        self.put(started, blind=blind)

    def move_position(self, quantity: Decimal, price: Decimal) -> None:
        """FIFO: close the oldest opposite lots, realise into cash, open the rest."""
        while quantity and self.lots and (self.lots[0][0] > 0) != (quantity > 0):
            held, entry = self.lots[0]
            part = min(abs(held), abs(quantity)) * (1 if held > 0 else -1)
            self.cash[Leg.FUTURES] += part * (price - entry)
            quantity += part
            if held == part:
                self.lots.pop(0)
            else:
                self.lots[0] = (held - part, entry)
        if quantity:
            self.lots.append((quantity, price))

    def execute(self, fill: Fill) -> None:
        quantity = fill.signed_quantity
        if fill.leg is Leg.SPOT:
            self.cash[Leg.SPOT] -= quantity * fill.price
            self.base += quantity
        else:
            self.move_position(quantity, fill.price)
        if fill.fee_asset == "BTC":
            self.base -= fill.fee
        elif fill.fee_asset == "BNB":
            self.coin -= fill.fee
        else:
            self.cash[fill.leg] -= fill.fee
        self.fills.append(fill)

    def fill(self, leg: Leg, side: Side, name: str, kind: FillKind = FillKind.TRADE) -> Fill:
        rng = self.rng
        self.serial += 1
        asset = rng.choice(("USDT", "BNB", "BTC") if leg is Leg.SPOT else ("USDT", "BNB", ""))
        scale = {"BNB": D("0.0001"), "BTC": D("0.0000001")}.get(asset, D("0.001"))
        hidden = bool(name) and rng.random() < 0.3
        made = Fill(
            leg=leg,
            symbol=SYMBOLS[leg],
            fill_id=str(self.serial),
            client_order_id="" if hidden else name,
            venue_order_id=f"v{name}" if name else "",
            side=side,
            quantity=D(rng.randint(1, 400)) / 1000,
            price=self.mids[leg] + D(rng.randint(-3000, 3000)) / 100,
            fee=D(rng.randint(-5, 400)) * scale,
            fee_asset=asset,
            fee_rate_quote=self.coin_rate if asset == "BNB" else None,
            kind=kind,
            filled_at=self.now,
        )
        self.execute(made)
        return made

    def order(self) -> None:
        rng = self.rng
        leg, side = rng.choice(list(Leg)), rng.choice(list(Side))
        self.serial += 1
        name = f"HB{self.epoch:04X}{leg.value[0].upper()}{self.serial:06X}"
        half, seen = D("0.05"), rng.random() < 0.9
        spot, futures = self.mids[Leg.SPOT], self.mids[Leg.FUTURES]
        order = Order(
            client_order_id=name,
            leg=leg,
            symbol=SYMBOLS[leg],
            side=side,
            quantity=D(2),
            limit_price=self.mids[leg],
            time_in_force=TimeInForce.IOC,
            signed_at=self.now,
            recv_window_ms=2000,
        )
        looked = c.Observation(
            spot_bid=spot - half,
            spot_ask=spot + half,
            futures_bid=futures - half,
            futures_ask=futures + half,
        )
        self.put(
            c.PlaceOrder(
                order=order,
                purpose=c.Purpose.HEDGE,
                observation=looked if seen else c.Observation(),
            )
        )
        for _ in range(rng.randint(0, 3)):
            self.wait()
            self.tell(e.FillSeen(at=self.now, fill=self.fill(leg, side, name)))
        report = OrderReport(
            client_order_id=name, venue_order_id=f"v{name}", status=ReportedStatus.CANCELLED
        )
        self.put(e.OrderReported(at=self.now, leg=leg, report=report))

    def stranger(self) -> None:
        """Somebody else's order, or the venue's own."""
        leg = self.rng.choice(list(Leg))
        kinds = list(FillKind) if leg is Leg.FUTURES else [FillKind.TRADE]
        made = self.fill(leg, self.rng.choice(list(Side)), "", self.rng.choice(kinds))
        self.tell(e.FillSeen(at=self.now, fill=made))

    def pay(self) -> None:
        quantity = sum((lot[0] for lot in self.lots), D(0))
        self.serial += 1
        paid = FundingPayment(
            payment_id=f"p{self.serial}",
            symbol=SYMBOLS[Leg.FUTURES],
            rate=D(self.rng.randint(-30, 40)) / 100_000,
            interval_s=self.rng.choice((8, 4, 1)) * 3600,
            quantity=quantity,
            cash=D(self.rng.randint(-9_999, 9_999)) / 1000,
            asset="USDT",
            settled_at=self.now,
        )
        self.cash[Leg.FUTURES] += paid.cash
        self.payments.append(paid)
        rate = FundingRate(
            symbol=paid.symbol,
            rate=paid.rate,
            interval_s=paid.interval_s,
            next_at=self.now + paid.interval_s * SECOND,
            observed_at=self.now,
            origin=RateOrigin.SETTLED,
        )
        self.put(e.FundingSeen(at=self.now, rate=rate))
        self.tell(e.FundingPaid(at=self.now, payment=paid))

    def external(self) -> None:
        self.catch_up()
        quantity = D(self.rng.randint(1, 300)) / 1000
        if self.rng.random() < 0.5:
            signed = quantity * self.rng.choice((1, -1))
            self.move_position(signed, self.mids[Leg.FUTURES])
            self.put(c.BookExternal(leg=Leg.FUTURES, quantity=signed, reason="EXTERNAL"))
        elif self.rule is InventoryRule.ACCOUNT:
            signed = quantity * self.rng.choice((1, -1))
            self.base += signed
            self.put(c.BookExternal(leg=Leg.SPOT, quantity=signed, reason="ACCOUNT"))
        else:
            self.put(c.BookExternal(leg=Leg.SPOT, quantity=quantity, reason="ADOPTED"))

    def measure(self, label: str = "x") -> None:
        def holdings(cash: Decimal, *, coins: bool) -> tuple[Balance, ...]:
            found = [Balance(asset="USDT", free=cash - 7, locked=D(7))]
            if coins:
                found.append(Balance(asset="BTC", free=self.base))
                found.append(Balance(asset="BNB", free=self.coin, rate_quote=self.coin_rate))
            return tuple(found)

        quantity = sum((lot[0] for lot in self.lots), D(0))
        spot, futures = self.cash[Leg.SPOT], self.cash[Leg.FUTURES]
        seen = e.EquitySeen(
            at=self.now,
            label=label,
            spot=holdings(spot + futures if self.shared else spot, coins=True),
            futures=() if self.shared else holdings(futures, coins=False),
            shared=self.shared,
            position=Position(
                symbol=SYMBOLS[Leg.FUTURES],
                quantity=quantity,
                entry_notional=sum((held * price for held, price in self.lots), D(0)),
            ),
            spot_mid=self.mids[Leg.SPOT],
            futures_mid=self.mids[Leg.FUTURES],
            spot_at=self.now,
            futures_at=self.now,
        )
        self.snapshots.append(seen)
        self.put(seen)

    def live(self, *, externals: bool) -> None:
        doings = [self.order, self.order, self.order, self.pay, self.restart, self.catch_up]
        if externals:
            doings += [self.external, self.stranger, self.measure]
        for _ in range(self.rng.randint(0, 6)):
            self.wait()
            self.rng.choice(doings)()
        self.wait()
        if externals:
            self.catch_up()
        self.measure("start")
        for _ in range(self.rng.randint(0, 14)):
            self.wait()
            self.rng.choice(doings)()
        self.wait()
        self.measure("end")
        self.wait()
        self.catch_up()


seeds = st.integers(0, 2**32)


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_what_is_explained_is_exactly_what_changed(seed: int) -> None:
    world = World(rng := random.Random(seed))
    world.live(externals=True)
    made = attribute(world.rows)
    assert made.unexplained == 0
    assert made.status == "ok"
    with exact():
        assert sum((one.explained for one in made.days), D(0)) == made.explained
    pair = sorted(rng.choices(world.snapshots, k=2), key=lambda one: one.at)
    part = attribute(world.rows, pair[0].at, pair[1].at)
    assert part.unexplained in {None, 0}
    assert text(made, by_day=True)
    assert csv_text(made)
    assert as_data(made)["unexplained"] == "0"


def without(rows: list[Row], *, fill: str = "", payment: str = "", fee: str = "") -> list[Row]:
    """Return the rows as if one fill, payment or fee had never been told."""

    def fills(found: tuple[Fill, ...]) -> tuple[Fill, ...]:
        return tuple(
            msgspec.structs.replace(one, fee=D(0)) if one.fill_id == fee else one
            for one in found
            if one.fill_id != fill
        )

    kept = []
    for row in rows:
        entry = row.entry
        if isinstance(entry, e.FillSeen):
            left = fills((entry.fill,))
            if not left:
                continue
            entry = e.FillSeen(at=entry.at, fill=left[0])
        elif isinstance(entry, e.FundingPaid) and entry.payment.payment_id == payment:
            continue
        elif isinstance(entry, e.LegAudited):
            entry = msgspec.structs.replace(
                entry,
                fills=fills(entry.fills),
                payments=tuple(one for one in entry.payments if one.payment_id != payment),
            )
        kept.append(msgspec.structs.replace(row, entry=entry))
    return kept


def fee_at_close(fill: Fill, close: e.EquitySeen, coin_rate: Decimal) -> Decimal:
    rate = {"BTC": close.spot_mid, "BNB": coin_rate}.get(fill.fee_asset, D(1))
    return fill.fee * rate


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_one_fact_left_out_is_exactly_what_stays_unexplained(seed: int) -> None:
    world = World(random.Random(seed))
    world.live(externals=False)
    opened, close = world.snapshots
    rate = next(one.rate_quote for one in close.spot if one.asset == "BNB")
    assert rate is not None
    with exact():
        for fill in [one for one in world.fills if opened.at < one.filled_at <= close.at][:3]:
            mid = close.spot_mid if fill.leg is Leg.SPOT else close.futures_mid
            fee = fee_at_close(fill, close, rate)
            whole = fill.signed_quantity * (mid - fill.price) - fee
            assert attribute(without(world.rows, fee=fill.fill_id)).unexplained == -fee
            assert attribute(without(world.rows, fill=fill.fill_id)).unexplained == whole
        for paid in [one for one in world.payments if opened.at < one.settled_at <= close.at][:3]:
            left = attribute(without(world.rows, payment=paid.payment_id))
            assert left.unexplained == paid.cash


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_double_rows_and_other_splits_change_nothing(seed: int) -> None:
    world = World(random.Random(seed))
    world.live(externals=False)
    facts = (e.FillSeen, e.FundingPaid, e.LegAudited)
    doubled = world.rows + [row for row in world.rows if isinstance(row.entry, facts)]
    first, second = attribute(world.rows), attribute(doubled)
    assert (first.explained, first.details.fills) == (second.explained, second.details.fills)
    books = fold(world.rows)
    assert books.position == sum((lot[0] for lot in world.lots), D(0))
    assert books.fills == len(world.fills)
    with exact():
        assert books.funding == sum((one.cash for one in world.payments), D(0))
