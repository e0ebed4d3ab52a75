"""What a house shows of its markets: instruments, books, prices, candles, funding; wall times."""

from decimal import Decimal

import msgspec

from hedge.model import (
    FundingRate,
    Instrument,
    InstrumentKind,
    InstrumentStatus,
    Leg,
    Mark,
    Quote,
)
from hedge.model.numbers import SECOND, ZERO
from hedge_sim.dialects.clock import World, WorldClock
from hedge_sim.dialects.house_words import Candle
from hedge_sim.market import Level, Market
from hedge_sim.path import UNIT_DIGITS
from hedge_sim.records import leg_of
from hedge_sim.venue import SimVenue


class ShownMarkets:
    """The part of a `House` that needs no account."""

    padding: int
    """So many further instruments a leg are listed; they have filters and never a quote."""
    clock: WorldClock
    world: World
    _floor: SimVenue

    def wall(self) -> int:
        """Return wall time, ns UTC."""
        return self.clock.wall()

    @property
    def recorded_now(self) -> int:
        return self.clock.now()

    @property
    def is_over(self) -> bool:
        """Return True when the recording has ended: nothing trades any more."""
        return self._floor.ended

    def instruments(self, leg: Leg) -> tuple[Instrument, ...]:
        """Return what trades, with its present status, and then the padding."""
        at = self._floor.at()
        found = [
            market.instrument_at(at, halted=self._floor.exchange.halted(symbol, at))
            for symbol, market in self._floor.exchange.markets.items()
            if leg_of(symbol) is leg
        ]
        found += [_pad(found[0], number) for number in range(self.padding)]
        return tuple(found)

    def instrument(self, symbol: str) -> Instrument:
        """Return one that trades; raise `Missing`."""
        return self._market(symbol).instrument

    def status(self, symbol: str) -> InstrumentStatus:
        at = self._floor.at()
        halted = self._floor.exchange.halted(symbol, at)
        return self._market(symbol).instrument_at(at, halted=halted).status

    def _market(self, symbol: str) -> Market:
        return self._floor.exchange.market(symbol)

    def quote(self, symbol: str) -> Quote | None:
        """Return best bid and ask now; None in an outage and after the end."""
        at = self._floor.at()
        if self.is_over or self._floor.plan.muted(leg_of(symbol).value, at):
            return None
        return self._market(symbol).quote(at, self.wall())

    def levels(self, symbol: str, *, asks: bool) -> list[Level]:
        """Return one side of the book, best first, at most 20 levels; empty in an outage."""
        return [] if self.is_over else self._market(symbol).levels(self._floor.at(), asks=asks)

    def last_price(self, symbol: str) -> Decimal:
        """Return the price now, or the last one before an outage."""
        return self._market(symbol).last_price(self._floor.at())

    def mark(self, symbol: str) -> Mark:
        """Return mark and index of a perpetual."""
        coin = self._floor.coins[symbol]
        return Mark(
            symbol=symbol,
            mark=self.last_price(symbol),
            index=self.last_price(coin.symbol),
            seen_at=self.wall(),
        )

    def candle(self, symbol: str, since: int, until: int) -> Candle | None:
        """Return what a market did between two wall times, None where nothing is recorded."""
        market = self._market(symbol)
        first, last = self.world.recorded_at(since), self.world.recorded_at(until)
        last = min(last, self._floor.at())
        if last <= first or first < market.series.start:
            return None
        opened, closed = market.last_price(first), market.last_price(last)
        seen = market.range_between(first, last)
        tick = market.instrument.tick
        low, high = (opened, closed) if seen is None else (_price(seen[0]), _price(seen[1]))
        low, high = (p.quantize(tick) for p in (low, high))
        return Candle(
            open=opened,
            high=max(high, opened, closed),
            low=min(low, opened, closed),
            close=closed,
            volume=market.volume_between(first, last) or ZERO,
        )

    # Funding

    def rate(self, symbol: str) -> FundingRate:
        """Return the rate the next settlement is estimated at: the last one said again.

        ``next_at`` is one interval after the last settlement and stays so until the next: where
        the world hurries, that comes earlier than it was announced.
        """
        at, now = self._floor.at(), self.wall()
        carried = self._floor.funding.carried_at(symbol, at)
        interval = carried.interval_s * SECOND
        next_at = self.clock.wall_of(self._floor.funding.settled_at(symbol, at).observed_at)
        # A settlement that the recording lacks leaves the announced time behind.
        next_at += max(-(-(now - next_at) // interval), 1) * interval
        return msgspec.structs.replace(carried, next_at=next_at, observed_at=now)

    def funding_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        """Return the settlements with since <= ``observed_at`` <= until (wall ns), oldest first."""
        return tuple(rate for rate, _ in self.settlements(symbol, since, until))

    def settlements(
        self, symbol: str, since: int, until: int
    ) -> tuple[tuple[FundingRate, Decimal], ...]:
        """Return `funding_history`, each rate with the mark that its cash was reckoned with."""
        first, now = self.world.recorded_at(since), self._floor.at()
        last = min(self.world.recorded_at(until), now) + 1
        found = self._floor.funding.history(symbol, first - SECOND, last)
        market = self._market(symbol)
        walled = ((self._rate(rate), market.last_price(rate.observed_at)) for rate in found)
        return tuple(pair for pair in walled if since <= pair[0].observed_at <= until)

    def _rate(self, rate: FundingRate) -> FundingRate:
        return msgspec.structs.replace(
            rate,
            next_at=self.clock.wall_of(rate.next_at),
            observed_at=self.clock.wall_of(rate.observed_at),
        )


def _price(units: int) -> Decimal:
    return Decimal(units).scaleb(-UNIT_DIGITS)


def _pad(like: Instrument, number: int) -> Instrument:
    base = f"PAD{number:04d}"
    spot = like.kind is InstrumentKind.SPOT
    symbol = f"{base}/{like.quote}" if spot else f"{base}/{like.quote}:{like.settle}"
    return msgspec.structs.replace(like, base=base, symbol=symbol)
