"""From what a plugin pushes to what the core understands: looked at, with a leg and a time added.

What is not sound is not passed on. It is an alarm, and on an account a gap: the leg is read whole,
and whatever happened comes in by the other door.
"""

from collections.abc import Callable

from hedge.decide import events as e
from hedge.errors import redacted
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    Leg,
    Mark,
    OrderReport,
    Position,
    Quote,
    StreamAlive,
    StreamDown,
    StreamKind,
    StreamUp,
)
from hedge.model.numbers import SECOND
from hedge.roles import AccountNews, AccountSink, Clock, MarketNews, MarketSink
from hedge.runtime.customs import fault, quote_fault

DATA_ENDED = "DATA_ENDED"
"""What a replaying venue says when it goes down for good."""


FAULTY_APART = SECOND
"""A plugin that says nonsense by the thousand is one alarm a second."""


class Refusals:
    """Says what is not sound: at once, and then at most once each `FAULTY_APART`."""

    def __init__(
        self, leg: Leg, kind: StreamKind, clock: Clock, feed: Callable[[e.AnyEvent], None]
    ) -> None:
        self._leg = leg
        self._kind = kind
        self._clock = clock
        self._feed = feed
        self._next_at = 0
        self._waiting = ""

    def take(self, wrong: str) -> None:
        now = self._clock.now()
        if now >= self._next_at:
            self._say(wrong)
        elif not self._waiting:
            self._clock.call_at(self._next_at, lambda: self._say(self._waiting))
            self._waiting = wrong

    def _say(self, wrong: str) -> None:
        at, leg, kind = self._clock.now(), self._leg, self._kind
        self._waiting, self._next_at = "", at + FAULTY_APART
        text = redacted(f"{leg.value} {kind.value} news that are not sound: {wrong}")
        self._alarm("FAULTY_NEWS", "alarm", text)
        if kind is StreamKind.ACCOUNT:
            gap = e.StreamChanged(at=at, leg=leg, kind=kind, up=False, why="news not sound")
            self._feed(gap)
            self._feed(e.StreamChanged(at=at, leg=leg, kind=kind, up=True))

    def _alarm(self, key: str, level: str, text: str) -> None:
        self._feed(e.ShellAlarmed(at=self._clock.now(), key=key, level=level, text=text))


def market_sink(
    leg: Leg, symbol: str, clock: Clock, feed: Callable[[e.AnyEvent], None]
) -> MarketSink:
    """Return the sink of one market feed, or of the funding source."""
    refusals = Refusals(leg, StreamKind.MARKET, clock, feed)

    def sink(news: MarketNews) -> None:
        wrong = quote_fault(news) if type(news) is Quote else fault(news)
        if not wrong and getattr(news, "symbol", symbol) != symbol:
            wrong = f"{type(news).__name__} of another symbol"
        if wrong:
            refusals.take(wrong)
            return
        at = clock.now()
        match news:
            case Quote():
                feed(e.QuoteSeen(at=at, leg=leg, quote=news))
            case Mark():
                feed(e.MarkSeen(at=at, mark=news))
            case FundingRate():
                feed(e.FundingSeen(at=at, rate=news))
            case StreamAlive(kind=kind):
                feed(e.StreamHeard(at=at, leg=leg, kind=kind))
            case StreamUp(kind=kind):
                feed(e.StreamChanged(at=at, leg=leg, kind=kind, up=True))
            case StreamDown(why=why) if why == DATA_ENDED:
                feed(e.RecordingEnded(at=at))
            case StreamDown(kind=kind, why=why):
                feed(e.StreamChanged(at=at, leg=leg, kind=kind, up=False, why=redacted(why)))

    return sink


def account_sink(
    leg: Leg, symbol: str, clock: Clock, feed: Callable[[e.AnyEvent], None]
) -> AccountSink:
    """Return the sink of one gateway's user stream."""
    refusals = Refusals(leg, StreamKind.ACCOUNT, clock, feed)

    def sink(news: AccountNews) -> None:
        wrong = fault(news)
        if not wrong and getattr(news, "symbol", symbol) != symbol:
            wrong = f"{type(news).__name__} of another symbol"
        if not wrong and type(news) is Fill and news.leg is not leg:
            wrong = "a fill of the other leg"
        if wrong:
            refusals.take(wrong)
            return
        at = clock.now()
        match news:
            case Fill():
                feed(e.FillSeen(at=at, fill=news))
            case OrderReport():
                feed(e.OrderReported(at=at, leg=leg, report=news))
            case Balance():
                if leg is Leg.SPOT:
                    feed(e.BalanceSeen(at=at, balance=news))
            case Position():
                feed(e.PositionSeen(at=at, position=news))
            case FundingPayment():
                feed(e.FundingPaid(at=at, payment=news))
            case StreamAlive(kind=kind):
                feed(e.StreamHeard(at=at, leg=leg, kind=kind))
            case StreamUp(kind=kind):
                feed(e.StreamChanged(at=at, leg=leg, kind=kind, up=True))
            case StreamDown(kind=kind, why=why):
                feed(e.StreamChanged(at=at, leg=leg, kind=kind, up=False, why=redacted(why)))

    return sink
