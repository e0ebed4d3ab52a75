"""The recorded settlements as a schedule, and the last of them as a rate; never the coming one."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from hedge.errors import Missing
from hedge.model import FundingRate, RateOrigin
from hedge.model.numbers import SECOND
from hedge_sim.recording import Coin, Settlement

Sink = Callable[[Any], None]


class FundingBook:
    """Settlements of all coins in the order of time; ``at`` is the recording's."""

    def __init__(self, coins: tuple[Coin, ...], shift: int) -> None:
        self._shift = shift
        self._coins = {coin.perp_symbol: coin.funding for coin in coins}
        self._times = {symbol: [s.at for s in rows] for symbol, rows in self._coins.items()}
        rows = [(s.at, symbol, s) for symbol, found in self._coins.items() for s in found]
        self._all = sorted(rows, key=lambda row: row[:2])
        self._all_times = [row[0] for row in self._all]
        self._sinks: dict[str, list[Sink]] = {}

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._coins)

    def add(self, symbol: str, sink: Sink) -> None:
        self._sinks.setdefault(symbol, []).append(sink)

    def next_after(self, at: int) -> int | None:
        place = bisect_right(self._all_times, at)
        return self._all_times[place] if place < len(self._all_times) else None

    def due(self, after: int, until: int) -> Iterable[tuple[str, Settlement]]:
        """Return the settlements in (after, until]."""
        left, right = bisect_right(self._all_times, after), bisect_right(self._all_times, until)
        return [(symbol, settlement) for _, symbol, settlement in self._all[left:right]]

    def tell(self, symbol: str, settlement: Settlement) -> None:
        rate = self._rate(symbol, settlement, settlement.at, RateOrigin.SETTLED)
        for sink in self._sinks.get(symbol, ()):
            sink(rate)

    def settled_at(self, symbol: str, at: int) -> FundingRate:
        """Return the last settlement as it was observed."""
        settlement = self._last(symbol, at)
        return self._rate(symbol, settlement, settlement.at, RateOrigin.SETTLED)

    def carried_at(self, symbol: str, at: int) -> FundingRate:
        """Return the last settled rate said again."""
        return self._rate(symbol, self._last(symbol, at), at, RateOrigin.CARRIED)

    def history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        """Return the settled rates in since <= at < until, oldest first."""
        times = self._times_of(symbol)
        rows = self._coins[symbol][bisect_left(times, since) : bisect_left(times, until)]
        return tuple(self._rate(symbol, row, row.at, RateOrigin.SETTLED) for row in rows)

    def _times_of(self, symbol: str) -> list[int]:
        times = self._times.get(symbol)
        if times is None:
            raise Missing(f"sim has no funding of {symbol}")
        return times

    def _last(self, symbol: str, at: int) -> Settlement:
        place = bisect_right(self._times_of(symbol), at)
        if not place:
            raise Missing(f"no settlement of {symbol} yet")
        return self._coins[symbol][place - 1]

    def _rate(
        self, symbol: str, settlement: Settlement, observed: int, origin: RateOrigin
    ) -> FundingRate:
        times = self._times_of(symbol)
        place = bisect_right(times, observed)
        if place < len(times):
            next_at = times[place]
        else:
            interval = settlement.interval_s * SECOND
            next_at = observed + interval - (observed - settlement.at) % interval
        return FundingRate(
            symbol=symbol,
            rate=settlement.rate,
            interval_s=settlement.interval_s,
            next_at=next_at + self._shift,
            observed_at=observed + self._shift,
            origin=origin,
        )
