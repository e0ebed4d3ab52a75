"""Who is told what of an account.

Goal: each listener hears of its own instrument, of life at most each heartbeat, and of the state
as soon as it joins. Method: sinks that remember, and a clock that is set by hand.
"""

from decimal import Decimal

from binance_cases import futures, spot

from hedge.model import Balance, Position, StreamAlive, StreamDown, StreamKind, StreamUp
from hedge.model.numbers import MS
from hedge_binance.audience import Audience

UP = StreamUp(kind=StreamKind.ACCOUNT)
ALIVE = StreamAlive(kind=StreamKind.ACCOUNT)


class HandClock:
    virtual = True

    def __init__(self):
        self.at = 1_000_000 * MS

    def now(self):
        return self.at


def audience():
    clock = HandClock()
    return Audience(clock, 1_000), clock


def test_who_joins_is_told_how_the_stream_stands():
    one, _ = audience()
    early, late, never = [], [], []
    one.add(spot(), early.append)
    one.state(UP)
    one.add(spot(), late.append)
    assert early == late == [UP]
    down = StreamDown(kind=StreamKind.ACCOUNT, why="X")
    one.state(down)
    one.add(spot("ETHUSDT"), never.append)
    assert never == [down]


def test_life_is_told_at_most_each_heartbeat_and_only_while_up():
    one, clock = audience()
    heard = []
    one.add(spot(), heard.append)
    for _ in range(5):
        clock.at += 2_000 * MS
        one.heard()
    assert heard == []
    one.state(UP)
    for _ in range(10):
        clock.at += 300 * MS
        one.heard()
    assert heard == [UP, ALIVE, ALIVE]


def test_news_go_to_their_instrument_and_balances_to_whom_they_concern():
    one, _ = audience()
    btc, eth = [], []
    one.add(futures("BTCUSDT"), btc.append)
    one.add(futures("ETHUSDT"), eth.append)
    position = Position(symbol="BTC/USDT:USDT", quantity=Decimal(1))
    one.tell("BTCUSDT", position)
    one.tell("XRPUSDT", position)
    assert (btc, eth) == ([position], [])
    balance = Balance(asset="ETH", free=Decimal(1))
    one.tell_balance(lambda listing: balance if listing.instrument.base == "ETH" else None)
    assert (btc, eth) == ([position], [balance])
