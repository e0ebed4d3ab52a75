"""Goal: no rounding ever adds risk, loses a coin or spins.
Method: Hypothesis draws steps, prices, minimums, fees and multipliers; a failure prints its seed.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hedge.decide import exposure, futures_task, spot_task
from hedge.decide.mode import Mode
from hedge.decide.terms import ExecutionTerms, HedgeTerms, LegTerms, LimitTerms
from hedge.model import Instrument, InstrumentKind, Quote, Side
from hedge.model.numbers import ceil_to, common_step, floor_to, plain, toward_zero

STEPS = st.builds(
    lambda digits, exponent: D(digits).scaleb(exponent),
    st.sampled_from([1, 2, 5, 25]),
    st.integers(-8, 3),
)
VALUES = st.decimals(-(10**9), 10**9, places=8)
SIZES = st.decimals(D("0.00000001"), 10**6, places=8)
PRICES = st.decimals(D("0.01"), 10**5, places=4)
FEES = st.sampled_from([D(0), D("0.00075"), D("0.001"), D("0.004")])
RATIOS = st.sampled_from([D(1), D("0.5"), D("0.37")])


@given(VALUES, STEPS)
def test_floor_and_ceil_enclose_on_the_grid(value, step):
    low, high = floor_to(value, step), ceil_to(value, step)
    assert low <= value <= high and high - low in (0, step)
    assert low % step == 0 and high % step == 0
    assert floor_to(low, step) == low and ceil_to(high, step) == high


@given(VALUES, STEPS)
def test_toward_zero_never_enlarges(value, step):
    rounded = toward_zero(value, step)
    assert abs(rounded) <= abs(value) < abs(rounded) + step
    assert rounded == 0 or (rounded > 0) == (value > 0)
    assert toward_zero(-value, step) == -rounded


@given(VALUES)
def test_no_grid_is_no_rounding(value):
    assert floor_to(value, D(0)) == ceil_to(value, D(0)) == value


@given(STEPS, STEPS)
def test_the_common_step_is_the_least_of_both(one, other):
    step = common_step(one, other)
    assert step % one == 0 and step % other == 0 and common_step(other, one) == step
    larger = max(one, other)
    smaller = larger
    while smaller < step:
        assert smaller % min(one, other) or smaller % larger, "a smaller one would have done"
        smaller += larger


@given(VALUES)
def test_plain_reads_back_the_same(value):
    assert D(plain(value)) == value and "E" not in plain(value)


@given(
    st.integers(1, 10**9),
    st.sampled_from([D(1), D(10), D(100), D("0.001"), D("0.0001")]),
    st.sampled_from([D(1), D(1_000), D(1_000_000)]),
)
def test_contracts_to_coins_and_back(contracts, size, multiplier):
    unit = size * multiplier
    coins = contracts * unit
    assert coins / unit == contracts
    assert floor_to(coins, unit) == coins
    assert floor_to(coins + unit / 2, unit) == coins


def instrument(kind, lot, least, tick=D("0.01")):
    return Instrument(
        venue="v",
        symbol="C/Q",
        kind=kind,
        base="C",
        quote="Q",
        tick=tick,
        lot=lot,
        notional_min=least,
    )


@pytest.mark.parametrize("name", ["tick", "lot", "contract_size", "multiplier"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_an_instrument_without_a_real_unit_is_refused(name, value):
    fields = {"tick": D(1), "lot": D(1), name: D(value)}
    with pytest.raises(ValueError, match=name):
        Instrument(venue="v", symbol="C/Q", kind=InstrumentKind.SPOT, base="C", quote="Q", **fields)


@given(STEPS, st.sampled_from([D(0), D(5), D(100)]), PRICES)
def test_the_smallest_order_is_taken_and_one_lot_less_is_not(lot, least, price):
    made = instrument(InstrumentKind.SPOT, lot, least)
    smallest = made.smallest_order(price)
    assert smallest % lot == 0 and smallest >= lot and smallest * price >= least
    assert smallest == lot or (smallest - lot) * price < least


@st.composite
def hedges(draw):
    """Draw terms whose slices make sense: lots worth little against the target."""
    price = draw(PRICES)
    spot_lot, futures_lot = draw(STEPS), draw(STEPS)
    fee = draw(FEES)
    in_base = draw(st.booleans())
    ratio = draw(RATIOS)
    coarse = common_step(spot_lot, futures_lot)
    spot_least, futures_least = draw(st.sampled_from([(5, 5), (1, 20), (5, 100), (0, 0)]))
    unit = max(coarse * price, D(spot_least), D(futures_least), D("0.01"))
    usd = unit * draw(st.integers(50, 3_000))
    budget = draw(st.none() | st.integers(5, 40).map(lambda n: unit * n))
    terms = HedgeTerms(
        name="h",
        prefix="H",
        spot=LegTerms(
            instrument=instrument(InstrumentKind.SPOT, spot_lot, D(spot_least)),
            maker_fee=fee,
            taker_fee=fee,
            fee_in_base=in_base,
        ),
        futures=LegTerms(
            instrument=instrument(InstrumentKind.PERPETUAL, futures_lot, D(futures_least))
        ),
        usd=usd,
        hedge_ratio=ratio,
        limits=LimitTerms(exposure_max=budget),
    )
    return terms, price


@given(SIZES, FEES, STEPS, st.booleans())
def test_the_gross_up_arrives_and_never_much_too_much(net, fee, lot, in_base):
    terms = HedgeTerms(
        name="h",
        prefix="H",
        spot=LegTerms(
            instrument=instrument(InstrumentKind.SPOT, lot, D(0)),
            maker_fee=fee,
            taker_fee=fee,
            fee_in_base=in_base,
        ),
        futures=LegTerms(instrument=instrument(InstrumentKind.PERPETUAL, lot, D(0))),
        quantity=D(1),
    )
    bought = spot_task.order_quantity(net, Side.BUY, terms, crossing=False)
    assert bought % lot == 0
    arrives = bought * (1 - fee) if in_base else bought
    tiny = D("1e-18") * (1 + net)
    if in_base:
        assert net - tiny <= arrives < net + lot + tiny
    else:
        assert net - lot < arrives <= net
    sold = spot_task.order_quantity(net, Side.SELL, terms, crossing=False)
    assert sold <= net < sold + lot


@settings(max_examples=150, deadline=None)
@given(hedges(), st.booleans())
def test_slices_add_up_to_the_target_and_come_to_an_end(drawn, selling):
    """The loop of `trading`, without a market: slice, receive, hedge, again."""
    terms, price = drawn
    side = Side.SELL if selling else Side.BUY
    target = exposure.target_inventory(terms.usd, price, terms)
    least = exposure.slice_min(terms, price) + 2 * terms.spot.instrument.lot
    assume(target >= 4 * least)
    if terms.limits.exposure_max is not None:
        assume(terms.limits.exposure_max >= 2 * least * price)  # less is a mistake of the user's
    held, goal = (target, D(0)) if selling else (D(0), target)
    fee = terms.spot.maker_fee if terms.spot.fee_in_base and not selling else D(0)
    lot = terms.spot.instrument.lot
    budget = exposure.exposure_max(terms, price) / price / terms.hedge_ratio + lot
    for _ in range(20_000):
        if spot_task.done(goal, held, terms, price):
            break
        left = abs(spot_task.remaining(goal, held))
        net = spot_task.slice_net(left, D(0), D(0), terms, price=price, limit=price)
        assert net > 0, f"a loop that never ends: {left} left"
        assert net <= budget and net <= left + exposure.slice_min(terms, price)
        if selling:
            net = min(net, held)
        ordered = spot_task.order_quantity(net, side, terms, crossing=False)
        assert ordered > 0 and ordered % terms.spot.instrument.lot == 0
        held += -ordered if selling else ordered * (1 - fee)
    else:
        raise AssertionError("20,000 slices and no end")
    if selling:
        assert 0 <= held < exposure.slice_min(terms, price) + terms.spot.instrument.lot
    else:
        overshoot = exposure.slice_min(terms, price) + terms.spot.instrument.lot
        least = max(terms.spot.instrument.lot, terms.spot.instrument.smallest_order(price))
        assert goal - least < held <= goal + overshoot


@settings(max_examples=150, deadline=None)
@given(hedges(), st.integers(1, 400))
def test_hedges_of_an_inventory_add_up_and_never_over_hedge(drawn, lots):
    terms, price = drawn
    lot = terms.futures.instrument.lot
    inventory = exposure.slice_min(terms, price) + lots * terms.spot.instrument.lot
    position = D(0)
    for _ in range(5_000):
        change = futures_task.need(Mode.INVENTORY, inventory, position, terms, price)
        hedge = futures_task.plan(change, position, terms, price) if change else None
        if hedge is None:
            break
        assert hedge.side is Side.SELL and not hedge.reduce_only and hedge.quantity % lot == 0
        assert hedge.quantity * price * (1 - terms.limits.collar_max) >= (
            terms.futures.instrument.notional_min
        ), "below the minimum by its own limit"
        position -= hedge.quantity
        assert -position <= inventory * terms.hedge_ratio
    else:
        raise AssertionError("5,000 hedges and no end")
    left = inventory * terms.hedge_ratio + position
    assert 0 <= left < max(lot, exposure.hedge_min(terms, price))


@given(hedges(), st.integers(0, 400), st.decimals(-3, 3, places=7), st.booleans())
def test_a_position_off_the_grid_is_hedged_as_well_as_whole_lots_can(drawn, lots, off, exempt):
    """What somebody else traded, or a lot that was changed, may lie between two lots."""
    terms, price = drawn
    venue = msgspec.structs.replace(terms.futures.instrument, reduce_only_below_min=exempt)
    futures = msgspec.structs.replace(terms.futures, instrument=venue)
    terms = msgspec.structs.replace(terms, futures=futures)
    lot, ratio = terms.futures.instrument.lot, terms.hedge_ratio
    inventory = lots * terms.spot.instrument.lot
    position = off * lot
    change = futures_task.need(Mode.INVENTORY, inventory, position, terms, price)
    assert change % lot == 0
    gap = inventory * ratio + position + change
    assert gap < lot and (gap >= 0 or position + change > -lot)
    if -change >= exposure.hedge_min(terms, price):
        hedge = futures_task.plan(change, position, terms, price)
        assert hedge is not None, "a hedge that is large enough is never held up"
        assert hedge.quantity % lot == 0 and hedge.quantity > 0


@given(VALUES, VALUES, RATIOS, STEPS)
def test_equal_never_raises_and_needs_both_signs(inventory, position, ratio, lot):
    equal = exposure.equal(inventory, position, ratio=ratio, lot=lot, tolerance_bps=D(1))
    if inventory < 0 or position > 0:
        assert not equal
    elif inventory * ratio + position == 0:
        assert equal
    if equal:
        gap = abs(inventory * ratio + position)
        assert gap < max(lot, inventory / 10_000)


@given(VALUES, VALUES, STEPS)
def test_liquidation_never_asks_for_more_short(inventory, position, lot):
    legs = (
        LegTerms(instrument=instrument(InstrumentKind.SPOT, lot, D(5))),
        LegTerms(instrument=instrument(InstrumentKind.PERPETUAL, lot, D(5))),
    )
    terms = HedgeTerms(name="h", prefix="H", spot=legs[0], futures=legs[1], quantity=D(1))
    assume(position <= 0)
    change = futures_task.need(Mode.LIQUIDATION, inventory, position, terms, D(100))
    assert change >= 0 and position + change <= 0


@given(PRICES, st.decimals(D("0.01"), 50, places=2), st.integers(0, 20), st.sampled_from(Side))
def test_passive_prices_lie_on_the_grid_and_never_cross(bid, gap, offset, side):
    base = instrument(InstrumentKind.SPOT, D("0.001"), D(5))
    terms = HedgeTerms(
        name="h",
        prefix="H",
        spot=LegTerms(instrument=base),
        futures=LegTerms(instrument=base),
        quantity=D(1),
        execution=ExecutionTerms(offset_ticks=offset),
    )
    quote = Quote(symbol="C/Q", bid=bid, ask=bid + gap)
    price = spot_task.passive_price(side, quote, terms)
    assert price % D("0.01") == 0
    assert price <= quote.bid if side is Side.BUY else price >= quote.ask
