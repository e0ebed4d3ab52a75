"""One market of the venue: its instrument, and what it shows and trades at any moment."""

from decimal import Decimal

import msgspec

from hedge.model import Instrument, InstrumentKind, InstrumentStatus, Quote
from hedge.model.numbers import ONE, SECOND, ZERO
from hedge_sim.config import MarketRules, SimSettings
from hedge_sim.draw import WHOLE, dice, mixed
from hedge_sim.path import UNIT, UNIT_DIGITS, Bar, Waves, price_at, range_between, to_units
from hedge_sim.recording import Coin, Recording, Series

VENUE = "sim"
LEVELS = 20
"""The book ends behind this many levels."""
TOP = 5
_WEIGHTS = (10, 15, 20, 25, 30)
"""Per cent of the top-five depth a level has; the levels behind have the last weight."""
_TWO_WAYS = 20_000
_DEFAULTS: dict[tuple[str, InstrumentKind], tuple[str, str, str, str]] = {
    ("BTC", InstrumentKind.SPOT): ("0.01", "0.000001", "0.000011", "1"),
    ("BTC", InstrumentKind.PERPETUAL): ("0.1", "0.001", "0.001", "5"),
    ("ETH", InstrumentKind.SPOT): ("0.01", "0.00001", "0.00029", "1"),
    ("ETH", InstrumentKind.PERPETUAL): ("0.01", "0.01", "0.01", "5"),
}
"""Tick, lot, smallest quantity and notional, as the recorded venue (Bybit) had them."""
_OTHER = ("0.0001", "0.01", "0.01", "5")


def instrument_of(coin: Coin, kind: InstrumentKind, rules: MarketRules) -> Instrument:
    """Return the instrument with the grid of the recorded venue, unless overridden."""
    tick, lot, least, notional = (Decimal(x) for x in _DEFAULTS.get((coin.base, kind), _OTHER))
    spot = kind is InstrumentKind.SPOT
    return Instrument(
        venue=VENUE,
        symbol=coin.symbol if spot else coin.perp_symbol,
        kind=kind,
        base=coin.base,
        quote=coin.quote,
        settle="" if spot else coin.quote,
        tick=tick if rules.tick is None else rules.tick,
        lot=(lot if rules.lot is None else rules.lot) * rules.contract_size * rules.multiplier,
        quantity_min=least if rules.quantity_min is None else rules.quantity_min,
        quantity_max=ZERO if rules.quantity_max is None else rules.quantity_max,
        notional_min=notional if rules.notional_min is None else rules.notional_min,
        contract_size=rules.contract_size,
        multiplier=rules.multiplier,
    )


def build_markets(recording: Recording, settings: SimSettings) -> "dict[str, Market]":
    """Return every market of a recording by symbol; all of them share one shape and noise."""
    waves = Waves(settings.seed)
    markets: dict[str, Market] = {}
    for coin in recording.coins:
        for kind, series, rules in (
            (InstrumentKind.SPOT, coin.spot, settings.spot),
            (InstrumentKind.PERPETUAL, coin.perp, settings.futures),
        ):
            instrument = instrument_of(coin, kind, rules)
            markets[instrument.symbol] = Market(instrument, series, waves, rules, settings.seed)
    return markets


class Level:
    """One price of the book with what is left there."""

    __slots__ = ("price", "quantity")

    def __init__(self, price: Decimal, quantity: Decimal) -> None:
        self.price = price
        self.quantity = quantity


class Market:
    """Prices, book and traded range of one instrument; pure, a function of the time."""

    def __init__(
        self, instrument: Instrument, series: Series, waves: Waves, rules: MarketRules, seed: int
    ) -> None:
        self.instrument = instrument
        self.series = series
        self.rules = rules
        self._waves = waves
        self._tick = to_units(instrument.tick)
        self._spread = int(rules.spread_bps * 10_000)
        self._keys = [dice(seed, "depth", instrument.symbol, n).getrandbits(64) for n in (0, 1)]
        self._depth_lots = int(rules.depth_quote / instrument.lot)
        self._last: tuple[int, int | None] = (-1, None)
        """The price last asked for, and when: a quote, a mark and a margin are of one moment."""
        lot = instrument.lot
        self._recorded_lots = {
            id(bar): (_lots(bar.bid_depth, lot), _lots(bar.ask_depth, lot))
            for bar in series.bars
            if bar.bid_depth is not None
        }

    def instrument_at(self, at: int, *, halted: bool) -> Instrument:
        """Return the instrument with its status at that time: halted also in an outage."""
        if halted or self.series.bar_at(at) is None:
            return msgspec.structs.replace(self.instrument, status=InstrumentStatus.HALTED)
        return self.instrument

    def units_at(self, at: int) -> int | None:
        if at != self._last[0]:
            bar = self.series.bar_at(at)
            self._last = (at, None if bar is None else price_at(bar, at, self._waves))
        return self._last[1]

    def price_at(self, at: int) -> Decimal | None:
        """Return the price on the tick grid (to the nearest tick), or None in an outage."""
        units = self.units_at(at)
        if units is None:
            return None
        return (units + self._tick // 2) // self._tick * self.instrument.tick

    def last_price(self, at: int) -> Decimal:
        """Return the price now, or the last one before the outage."""
        price = self.price_at(at)
        if price is not None:
            return price
        bar = self.series.bars[max(self.series.index_at(at), 0)]
        units = bar.close if at >= bar.end else bar.open
        return (units + self._tick // 2) // self._tick * self.instrument.tick

    def touch(self, at: int) -> tuple[int, int, Bar] | None:
        """Return best bid and ask in ticks."""
        bar = self.series.bar_at(at)
        if bar is None:
            return None
        price = self.units_at(at)
        assert price is not None
        half = bar.half_spread
        if half is None:
            half = price * self._spread // (_TWO_WAYS * 10_000)
        bid = max((price - half) // self._tick, 1)
        ask = max(-(-(price + half) // self._tick), bid + 1)
        return bid, ask, bar

    def quote(self, at: int, seen_at: int | None = None) -> Quote | None:
        seen = self.touch(at)
        if seen is None:
            return None
        bid, ask, bar = seen
        tick, lot = self.instrument.tick, self.instrument.lot
        bid_lots, ask_lots = self._depths(at, bid, bar)
        return Quote(
            symbol=self.instrument.symbol,
            bid=bid * tick,
            ask=ask * tick,
            bid_depth=sum([bid_lots * weight // 100 for weight in _WEIGHTS]) * lot,
            ask_depth=sum([ask_lots * weight // 100 for weight in _WEIGHTS]) * lot,
            bridged=bar.bridged,
            seen_at=at if seen_at is None else seen_at,
        )

    def levels(self, at: int, *, asks: bool) -> list[Level]:
        """Return the finite book of one side, best first."""
        seen = self.touch(at)
        if seen is None:
            return []
        bid, ask, bar = seen
        lots = self._depths(at, bid, bar)[1 if asks else 0]
        tick, lot = self.instrument.tick, self.instrument.lot
        gap = max(int(self.rules.level_bps * bid) // 10_000, 1)
        found = []
        for number in range(LEVELS):
            ticks = ask + number * gap if asks else bid - number * gap
            quantity = lots * _WEIGHTS[min(number, TOP - 1)] // 100
            if ticks > 0 and quantity > 0:
                found.append(Level(ticks * tick, quantity * lot))
        return found

    def range_between(self, after: int, until: int) -> tuple[int, int] | None:
        """Return lowest and highest recorded trade in (after, until], in units."""
        low = high = None
        for bar in self.series.bars_between(after, until):
            if bar.bridged or bar.end < after:
                continue
            left, right = range_between(bar, after, until, self._waves)
            low = left if low is None else min(low, left)
            high = right if high is None else max(high, right)
        return None if low is None or high is None else (low, high)

    def volume_between(self, after: int, until: int) -> Decimal | None:
        """Return what the market traded in (after, until], None where volume is not recorded."""
        total = ZERO
        for bar in self.series.bars_between(after, until):
            if bar.bridged:
                continue
            if not bar.volume:
                return None
            overlap = min(until, bar.end) - max(after, bar.at)
            if overlap > 0:
                total += bar.volume * overlap / bar.length
        return total

    def _depths(self, at: int, bid: int, bar: Bar) -> tuple[int, int]:
        recorded = self._recorded_lots.get(id(bar))
        if recorded is not None:
            return recorded
        second = at // SECOND
        base = self._depth_lots * UNIT // (bid * self._tick)
        left, right = (base * (2 * WHOLE + mixed(key, second)) for key in self._keys)
        return left // (2 * WHOLE), right // (2 * WHOLE)


def _lots(quantity: Decimal | None, lot: Decimal) -> int:
    return 0 if quantity is None else max(int(quantity / lot), 1) * 10


assert ONE.scaleb(UNIT_DIGITS) == UNIT
