"""The stated path of a price inside a recorded bar: a pure function of seed, bar and time.

A bar from open to close turns twice. The turning points lie at seeded whole seconds, the first in
10 % to 45 % of the bar and the second in 55 % to 90 %; a seeded coin says whether the high or the
low comes first. Between the four points the price moves in a straight line, and around the line
goes a noise of three waves (0.5, 2.5 and 8 bp of the price, knots each 11, 61 and 601 s), never
larger than the room to the bar's low or high, and zero at the open and at the close. So the path
goes exactly through open, high, low and close and never leaves the range of low to high. Shape and
noise depend on seed and time alone: spot and perpetual of one venue turn together.

Prices are integers of 10^-10 quote (`UNIT`), times nanoseconds.
"""

from decimal import Decimal

import msgspec

from hedge.model.numbers import SECOND
from hedge_sim.draw import WHOLE, WHOLE_BITS, dice, mixed

UNIT_DIGITS = 10
UNIT = 10**UNIT_DIGITS
_WAVES = ((11, 1), (61, 5), (601, 16))
_PARTS = 22
"""Periods in s with their parts of the noise."""
_NOISE_BPS = 11
_TEN_THOUSAND = 10_000
_RAMP = 20 * SECOND
_NEVER = -(1 << 62)


def to_units(price: Decimal) -> int:
    return int(price.scaleb(UNIT_DIGITS))


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded bar; ``half_spread`` in units where quotes were recorded."""

    at: int
    length: int
    open: int
    high: int
    low: int
    close: int
    volume: Decimal
    half_spread: int | None = None
    bid_depth: Decimal | None = None
    ask_depth: Decimal | None = None
    bridged: bool = False

    @property
    def end(self) -> int:
        return self.at + self.length


class Shape(msgspec.Struct, frozen=True):
    """Where a bar turns: two offsets, the last moment, and what comes first."""

    first: int
    second: int
    last: int
    high_first: bool


class Waves:
    """Shape and noise of one seed; keeps only what the present moment needs."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys = [dice(seed, "noise", period).getrandbits(64) for period, _ in _WAVES]
        self._knots: list[tuple[int, int, int]] = [(_NEVER, 0, 0)] * len(_WAVES)
        self._shapes: dict[tuple[int, int], Shape] = {}
        self._noise = (_NEVER, 0)

    def shape(self, bar: Bar) -> Shape:
        key = (bar.at, bar.length)
        known = self._shapes.get(key)
        if known is None:
            seconds = max(bar.length // SECOND, 1)
            random = dice(self._seed, "shape", bar.at, bar.length)
            first = seconds * random.randint(10, 45) // 100
            second = seconds * random.randint(55, 90) // 100
            last = bar.length - SECOND if second < seconds - 1 else bar.length
            known = Shape(first * SECOND, second * SECOND, last, random.random() < 1 / 2)
            if len(self._shapes) > 64:  # noqa: PLR2004 - a bound, so that a long life keeps little
                self._shapes.clear()
            self._shapes[key] = known
        return known

    def noise(self, at: int) -> int:
        """Return the noise of a moment in -WHOLE..WHOLE."""
        if self._noise[0] == at:
            return self._noise[1]
        total = 0
        for number, (period, weight) in enumerate(_WAVES):
            span = period * SECOND
            index, offset = divmod(at, span)
            knot = self._knots[number]
            if knot[0] != index:
                key = self._keys[number]
                right = mixed(key, index + 1)
                left = knot[2] if knot[0] == index - 1 else mixed(key, index)
                knot = self._knots[number] = (index, left, right)
            total += weight * (knot[1] + (knot[2] - knot[1]) * offset // span)
        total //= _PARTS
        self._noise = (at, total)
        return total


def points(bar: Bar, shape: Shape) -> tuple[tuple[int, int], ...]:
    """Return the four points (offset, price) that the path goes through."""
    one, two = (bar.high, bar.low) if shape.high_first else (bar.low, bar.high)
    return ((0, bar.open), (shape.first, one), (shape.second, two), (shape.last, bar.close))


def price_at(bar: Bar, at: int, waves: Waves) -> int:
    """Return the price in units at ``at``, which lies in the bar (or at its end: the close)."""
    offset = at - bar.at
    shape = waves.shape(bar)
    if offset >= shape.last:
        return bar.close
    one, two = (bar.high, bar.low) if shape.high_first else (bar.low, bar.high)
    if offset < shape.first:
        base = bar.open + (one - bar.open) * offset // shape.first
    elif offset < shape.second:
        base = one + (two - one) * (offset - shape.first) // (shape.second - shape.first)
    else:
        past = offset - shape.second
        base = two + (bar.close - two) * past // (shape.last - shape.second)
    room = min(base * _NOISE_BPS // _TEN_THOUSAND, base - bar.low, bar.high - base)
    edge = min(offset, shape.last - offset)
    if edge < _RAMP:
        room = room * edge // _RAMP
    if room <= 0 or bar.bridged:
        return base
    moved = room * waves.noise(at)
    return base + (moved >> WHOLE_BITS if moved >= 0 else -(-moved >> WHOLE_BITS))


def range_between(bar: Bar, after: int, until: int, waves: Waves) -> tuple[int, int]:
    """Return lowest and highest price in (after, until] as far as it lies in the bar.

    Looks at the end and at the points between; what the noise does in a long interval is left out,
    so whoever wants every trade asks second by second.
    """
    shape = waves.shape(bar)
    low = high = price_at(bar, min(until, bar.end), waves)
    for offset, price in points(bar, shape):
        if after < bar.at + offset <= until:
            low, high = min(low, price), max(high, price)
    return low, high


assert WHOLE == 1 << WHOLE_BITS
