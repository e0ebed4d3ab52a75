"""From what a plugin pushes to what the core understands: a leg and a time are added, no more."""

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
    StreamUp,
)
from hedge.roles import AccountNews, AccountSink, Clock, MarketNews, MarketSink

DATA_ENDED = "DATA_ENDED"
"""What a replaying venue says when it goes down for good."""


def market_sink(leg: Leg, clock: Clock, feed: Callable[[e.AnyEvent], None]) -> MarketSink:
    """Return the sink of one market feed, or of the funding source."""

    def sink(news: MarketNews) -> None:
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


def account_sink(leg: Leg, clock: Clock, feed: Callable[[e.AnyEvent], None]) -> AccountSink:
    """Return the sink of one gateway's user stream."""

    def sink(news: AccountNews) -> None:
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
