"""Goal: the account conserves to the last digit, whatever happens to it.

Method: Hypothesis draws fills, fees in three ways, funding, deposits, liquidations and
deleveragings; the same world is counted a second time with integers and fractions.
"""

from decimal import Context, Decimal, Inexact, localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hedge.model import Fill, FillKind, FundingPayment, Side
from hedge_sim.account import Account, Holding
from hedge_sim.checks import fee_of
from hedge_sim.config import Fees
from hedge_sim.records import Deposited, Filled, Paid, leg_of

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
lots = st.integers(1, 5_000_000)
prices = st.integers(1, 20_000_000)
trades = st.tuples(
    st.just("trade"), st.sampled_from([SPOT, PERP]), st.sampled_from(Side), lots, prices,
    st.booleans(), st.sampled_from(["received", "quote", "coin"]),
)  # fmt: skip
fundings = st.tuples(st.just("funding"), st.integers(-30_000, 30_000), prices)
deposits = st.tuples(
    st.just("deposit"), st.sampled_from(["USDT", "BTC", "BNB"]), st.integers(-(10**12), 10**12)
)


def fill_of(account: Account, number: int, action: tuple) -> Fill:
    _, symbol, side, lot, tick, maker, mode = action
    quantity, price = Decimal(lot) / 10**6, Decimal(tick) / 100
    fees = Fees(fee_mode=mode, coin_price=Decimal(617))
    fee = fee_of(fees, account, symbol, side=side, quantity=quantity, price=price, maker=maker)
    return Fill(
        leg=leg_of(symbol), symbol=symbol, fill_id=str(number), side=side, quantity=quantity,
        price=price, fee=fee.quantity, fee_asset=fee.asset, kind=FillKind.TRADE,
    )  # fmt: skip


@given(st.lists(st.one_of(trades, fundings, deposits), max_size=60), prices)
def test_cash_coins_positions_fees_and_funding_conserve_exactly(actions: list, tick: int):
    account = Account()
    coins: dict[str, Fraction] = {"USDT": Fraction(0), "BTC": Fraction(0), "BNB": Fraction(0)}
    perp_cash = perp_size = fees = Fraction(0)
    with localcontext(Context(prec=60)):
        for number, action in enumerate(actions):
            if action[0] == "deposit":
                quantity = Decimal(action[2]) / 10**8
                account.apply(Deposited(at=0, asset=action[1], quantity=quantity, why="test"))
                coins[action[1]] += Fraction(action[2], 10**8)
            elif action[0] == "funding":
                held = account.holding(PERP).quantity
                rate, mark = Decimal(action[1]) / 10**8, Decimal(action[2]) / 100
                payment = FundingPayment(
                    payment_id=str(number), symbol=PERP, rate=rate, interval_s=28_800,
                    quantity=held, cash=-held * mark * rate, asset="USDT", settled_at=number,
                )  # fmt: skip
                account.apply(Paid(at=0, payment=payment))
                coins["USDT"] -= perp_size * Fraction(action[1], 10**8) * Fraction(action[2], 100)
            else:
                fill = fill_of(account, number, action)
                account.apply(Filled(at=0, fill=fill))
                signed = Fraction(fill.signed_quantity)
                cost = signed * Fraction(fill.price)
                if fill.symbol == SPOT:
                    coins["BTC"] += signed
                    coins["USDT"] -= cost
                else:
                    perp_size += signed
                    perp_cash -= cost
                coins[fill.fee_asset] -= Fraction(fill.fee)
                fees += Fraction(fill.fee) if fill.fee_asset == "USDT" else 0
        mark = Decimal(tick) / 100
        equity = account.equity("USDT", {"BTC": mark, "BNB": Decimal(617)}, {PERP: mark})
    price = Fraction(tick, 100)
    expected = coins["USDT"] + coins["BTC"] * price + coins["BNB"] * 617
    expected += perp_cash + perp_size * price
    assert Fraction(equity) == expected
    assert Fraction(account.balance("BTC")) == coins["BTC"]
    assert Fraction(account.balance("BNB")) == coins["BNB"]
    assert Fraction(account.holding(PERP).quantity) == perp_size
    assert Fraction(account.fees.get("USDT", Decimal(0))) == fees
    cash = Fraction(account.balance("USDT") - account.realised.get("USDT", Decimal(0)))
    assert cash == coins["USDT"]


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(1, 10**7)), max_size=40))
def test_a_flat_position_costs_nothing_and_has_told_all_its_profit(trades: list):
    holding = Holding()
    cash = realised = Decimal(0)
    for lot, tick in [t for t in trades if t[0]]:
        signed, price = Decimal(lot) / 1000, Decimal(tick) / 100
        realised += holding.trade(signed, price)
        cash -= signed * price
        assert realised - holding.entry_notional == cash
        assert holding.quantity * holding.entry_notional >= 0 or abs(
            holding.entry_notional
        ) < Decimal("0.001")
    if not holding.quantity:
        assert holding.entry_notional == 0
        assert realised == cash


@given(lots, prices, st.integers(-300_000, 300_000))
def test_no_amount_of_a_real_trade_needs_rounding(lot: int, tick: int, rate: int):
    with localcontext(Context(prec=28, traps=[Inexact])):
        holding = Holding()
        quantity, price = Decimal(lot).scaleb(-6), Decimal(tick).scaleb(-2)
        holding.trade(-quantity, price)
        cash = quantity * price * Decimal(rate).scaleb(-8)
        assert Decimal(50_000) + cash - quantity * price * Decimal("0.0005") is not None
