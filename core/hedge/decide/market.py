"""The last prices of both legs and how old they are: a cache, never part of the books."""

from collections import deque
from decimal import Decimal

from hedge.decide.commands import Observation
from hedge.model import FundingRate, Leg, Mark, Quote, RateOrigin, StreamKind, same_coin
from hedge.model.numbers import BPS, ZERO

DEPTH_SAMPLES = 10
REFERENCES_APART_MAX = Decimal("0.01")
"""Mark and mid must agree within this before either is believed."""


class Market:
    """Quotes, mark, funding and signs of life; rebuilt from the streams after every start."""

    __slots__ = (
        "_mids",
        "account_heard_at",
        "ask_depths",
        "bid_depths",
        "broken_off",
        "funding",
        "funding_heard_at",
        "mark",
        "mark_seen_at",
        "market_heard_at",
        "quotes",
        "up",
    )  # fmt: skip

    def __init__(self) -> None:
        self.quotes: dict[Leg, Quote | None] = {Leg.SPOT: None, Leg.FUTURES: None}
        self._mids: dict[Leg, Decimal | None] = {Leg.SPOT: None, Leg.FUTURES: None}
        """The middle of each quote, which is asked for more often than a quote comes."""
        self.market_heard_at: dict[Leg, int] = {Leg.SPOT: 0, Leg.FUTURES: 0}
        self.account_heard_at: dict[Leg, int] = {Leg.SPOT: 0, Leg.FUTURES: 0}
        self.broken_off: set[Leg] = set()
        """Legs whose market stream was interrupted since their last quote: it may stand no more."""
        self.up: dict[tuple[Leg, StreamKind], bool] = {}
        self.mark: Mark | None = None
        self.mark_seen_at = 0
        self.funding: FundingRate | None = None
        self.funding_heard_at = 0
        self.bid_depths: deque[Decimal] = deque(maxlen=DEPTH_SAMPLES)
        self.ask_depths: deque[Decimal] = deque(maxlen=DEPTH_SAMPLES)

    def begin(self) -> None:
        """Forget what streams of an earlier process were: those of this one say how they are."""
        self.up.clear()
        self.account_heard_at = dict.fromkeys(Leg, 0)

    def see_quote(self, leg: Leg, quote: Quote, at: int) -> None:
        """Keep a usable quote; a crossed or broken one is dropped and the age goes on growing."""
        if not quote.usable:
            return
        self.quotes[leg] = quote
        self._mids[leg] = quote.mid
        self.market_heard_at[leg] = at
        self.broken_off.discard(leg)
        if leg is Leg.SPOT:
            self.bid_depths.append(quote.bid_depth)
            self.ask_depths.append(quote.ask_depth)

    def see_mark(self, mark: Mark, at: int) -> None:
        if mark.mark.is_finite() and mark.mark > 0:
            self.mark = mark
            self.mark_seen_at = at

    def see_funding(self, rate: FundingRate, at: int) -> None:
        if rate.usable:
            self.funding = rate
            live = rate.origin is RateOrigin.LIVE
            self.funding_heard_at = min(at, rate.observed_at) if live else at

    def age(self, leg: Leg, at: int) -> int:
        """Return ns since the leg's last usable quote; a very large number before the first."""
        return at - self.market_heard_at[leg]

    def mid(self, leg: Leg) -> Decimal | None:
        return self._mids[leg]

    def depth(self, *, selling: bool) -> Decimal:
        """Return the mean top-five depth a spot slice would be compared with; zero if unknown."""
        samples = self.ask_depths if selling else self.bid_depths
        return sum(samples, ZERO) / len(samples) if samples else ZERO

    def reference(self) -> Decimal | None:
        """Return the futures price to build a collar around; None where mark and mid disagree."""
        mid = self.mid(Leg.FUTURES)
        if mid is None or self.mark is None:
            return None
        if abs(self.mark.mark - mid) > mid * REFERENCES_APART_MAX:
            return None
        return mid

    def price_ratio(self) -> Decimal | None:
        """Return futures mid / spot mid, per base coin; None before both are known."""
        spot, futures = self.mid(Leg.SPOT), self.mid(Leg.FUTURES)
        return None if spot is None or futures is None else futures / spot

    def same_coin(self) -> bool:
        """Return whether both legs can be prices of one coin (B14)."""
        spot, futures = self.mid(Leg.SPOT), self.mid(Leg.FUTURES)
        return spot is not None and futures is not None and same_coin(futures, spot)

    def basis_bps(self) -> Decimal | None:
        """Return (perpetual bid - spot ask) / spot ask in bps: what an entry would lock in."""
        spot, futures = self.quotes[Leg.SPOT], self.quotes[Leg.FUTURES]
        if spot is None or futures is None:
            return None
        return (futures.bid - spot.ask) / spot.ask / BPS

    def connected(self, leg: Leg) -> bool:
        """Return False while one of the leg's streams is known to be down."""
        if not self.up or all(self.up.values()):
            return True
        return self.up.get((leg, StreamKind.MARKET), True) and self.up.get(
            (leg, StreamKind.ACCOUNT), True
        )

    def observe(self, inventory: Decimal, position: Decimal) -> Observation:
        """Return what a decision is looking at, for its journal row."""
        spot, futures = self.quotes[Leg.SPOT], self.quotes[Leg.FUTURES]
        return Observation(
            spot_bid=spot.bid if spot else ZERO,
            spot_ask=spot.ask if spot else ZERO,
            spot_seen_at=self.market_heard_at[Leg.SPOT],
            futures_bid=futures.bid if futures else ZERO,
            futures_ask=futures.ask if futures else ZERO,
            futures_mark=self.mark.mark if self.mark else ZERO,
            futures_seen_at=self.market_heard_at[Leg.FUTURES],
            inventory=inventory,
            position=position,
        )
