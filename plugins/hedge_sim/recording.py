"""A recording: bars of spot and perpetual and the funding settlements, with their holes marked.

A directory holds, per coin, ``BTC-USDT.spot.csv`` and ``BTC-USDT.perp.csv`` (columns ts_ms = open
UTC, open, high, low, close, volume; optionally spread, bid_depth, ask_depth) and
``BTC-USDT.funding.csv`` (ts_ms, rate, interval_h); ``.csv.gz`` and ``.parquet`` are taken as well.
A hole up to ``bridge_max_s`` becomes a straight bridge and is marked; a longer one stays an outage.
"""

import csv
import functools
import gzip
import importlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec.structs import replace

from hedge.errors import ConfigError
from hedge.model import InstrumentKind
from hedge.model.numbers import MS, SECOND, ZERO
from hedge_sim.path import Bar, to_units

DATA = Path(__file__).parent / "data"
PREFIX = "bundled:"
BAR_MIN = 20 * SECOND
REPEATS = 500
"""How often a stretch comes again; four days of it, hurried 3,000 times, last sixteen hours."""
_SUFFIXES = (".csv", ".csv.gz", ".parquet")

Row = Mapping[str, str]


class Bundle(msgspec.Struct, frozen=True):
    """A bundled data set: which files, and which stretch of them."""

    coins: tuple[str, ...]
    source: str
    start: str = ""
    end: str = ""


BUNDLES = {
    "btc-8h": Bundle(("BTC-USDT",), "bybit", "2024-03-28T00:00", "2024-04-22T00:00"),
    "btc-8h-full": Bundle(("BTC-USDT",), "bybit"),
    "btc-8h-binance": Bundle(("BTC-USDT",), "binance", "2024-04-05T00:00", "2024-05-06T00:00"),
    "eth-8h": Bundle(("ETH-USDT",), "bybit", "2023-08-01T00:00", "2023-08-22T08:00"),
    "eth-8h-full": Bundle(("ETH-USDT",), "bybit"),
    "btc-minute": Bundle(("BTC-USDT",), "lean"),
}


class Settlement(msgspec.Struct, frozen=True):
    at: int
    rate: Decimal
    interval_s: int


class Series(msgspec.Struct):
    """The bars of one market, in order; a moment without a bar is an outage."""

    kind: InstrumentKind
    bars: tuple[Bar, ...]
    starts: list[int] = []
    place: int = 0

    def __post_init__(self) -> None:
        self.starts = [bar.at for bar in self.bars]

    @property
    def start(self) -> int:
        return self.bars[0].at

    @property
    def end(self) -> int:
        return self.bars[-1].end

    def index_at(self, at: int) -> int:
        """Return the index of the last bar that begins at or before ``at``, or -1."""
        place, starts = self.place, self.starts
        if not (starts[place] <= at and (place + 1 == len(starts) or at < starts[place + 1])):
            place = bisect_right(starts, at) - 1
            self.place = max(place, 0)
        return place

    def bar_at(self, at: int) -> Bar | None:
        place = self.index_at(at)
        if place < 0:
            return None
        bar = self.bars[place]
        return bar if at < bar.end else None

    def bars_between(self, after: int, until: int) -> Iterable[Bar]:
        """Yield the bars that have a part of (after, until]."""
        place = max(self.index_at(after), 0)
        while place < len(self.bars) and self.bars[place].at <= until:
            yield self.bars[place]
            place += 1


class Coin(msgspec.Struct):
    """One coin of a recording: both markets and the funding."""

    base: str
    quote: str
    spot: Series
    perp: Series
    funding: tuple[Settlement, ...]

    @property
    def symbol(self) -> str:
        return f"{self.base}/{self.quote}"

    @property
    def perp_symbol(self) -> str:
        return f"{self.base}/{self.quote}:{self.quote}"


class Recording(msgspec.Struct):
    name: str
    coins: tuple[Coin, ...]
    start: int
    end: int


def load(
    name: str, *, start: str = "", end: str = "", repeat_from: str = "", bridge_max_s: int = 600
) -> Recording:
    """Read a bundled set or a directory; raise ConfigError with what is wrong with it.

    With ``repeat_from`` (ISO time) the stretch from there to the end comes again and again.
    """
    if name.startswith(PREFIX):
        bundle = BUNDLES.get(name.removeprefix(PREFIX))
        if bundle is None:
            known = ", ".join(PREFIX + word for word in sorted(BUNDLES))
            raise ConfigError(f"no data set {name!r}: known are {known}, or a directory")
        names, source, folder = bundle.coins, f".{bundle.source}", DATA
        start, end = start or bundle.start, end or bundle.end
    else:
        folder, source = Path(name), ""
        if not folder.is_dir():
            raise ConfigError(f"sim data {name!r} is not a directory")
        names = tuple(sorted({p.name.split(".")[0] for p in folder.glob("*.spot.*")}))
    read = _bundled if folder is DATA else _coin
    coins = tuple(read(folder, word, source, bridge_max_s) for word in names)
    if not coins:
        raise ConfigError(f"no recording (BASE-QUOTE.spot.csv) in {name!r}")
    first = max(max(coin.spot.start, coin.perp.start) for coin in coins)
    last = min(min(coin.spot.end, coin.perp.end) for coin in coins)
    begin = max(first, moment(start)) if start else first
    finish = min(last, moment(end)) if end else last
    if begin >= finish:
        raise ConfigError(f"sim data {name!r} has nothing between {start or 'its start'} and {end}")
    found = Recording(name, coins, begin, finish)
    return _repeated(found, moment(repeat_from)) if repeat_from else found


def _repeated(once: Recording, since: int) -> Recording:
    """Append the stretch from ``since`` to the end `REPEATS` times; prices jump at the seams."""
    period = once.end - since
    if since < once.start or period <= 0:
        raise ConfigError(f"sim data {once.name!r} does not have the time it is to repeat from")
    shifts = range(period, (REPEATS + 1) * period, period)

    def bars_of(series: Series) -> Series:
        first = [bar for bar in series.bars if bar.end <= once.end]
        again = [bar for bar in first if bar.at >= since]
        shifted = (replace(bar, at=bar.at + by) for by in shifts for bar in again)
        return Series(series.kind, (*first, *shifted))

    def settled(rows: tuple[Settlement, ...]) -> tuple[Settlement, ...]:
        first = [row for row in rows if row.at <= once.end]
        again = [row for row in first if row.at > since]
        return (*first, *(replace(row, at=row.at + by) for by in shifts for row in again))

    coins = tuple(
        replace(
            coin, spot=bars_of(coin.spot), perp=bars_of(coin.perp), funding=settled(coin.funding)
        )
        for coin in once.coins
    )
    return Recording(once.name, coins, once.start, once.end + REPEATS * period)


@functools.lru_cache(maxsize=8)
def _bundled(folder: Path, word: str, source: str, bridge_max_s: int) -> Coin:
    """Read a set of ours once in a process; a folder of the user's may change between two reads."""
    return _coin(folder, word, source, bridge_max_s)


def moment(text: str) -> int:
    """Return an ISO date or time, UTC unless it says otherwise, in ns; raise ConfigError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"not an ISO time: {text!r}") from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return int(at.timestamp()) * SECOND


def _coin(folder: Path, word: str, source: str, bridge_max_s: int) -> Coin:
    base, _, quote = word.partition("-")
    spot = _series(_rows(folder, f"{word}.spot{source}"), InstrumentKind.SPOT, word, bridge_max_s)
    perp = _series(
        _rows(folder, f"{word}.perp{source}"), InstrumentKind.PERPETUAL, word, bridge_max_s
    )
    rates = []
    for row in _rows(folder, f"{word}.funding{source}"):
        try:
            interval_s = int(Decimal(row["interval_h"]) * 3600)
            rates.append(Settlement(_stamp(row), _number(row, "rate"), interval_s))
        except (KeyError, InvalidOperation) as error:
            raise ConfigError(f"{word}.funding: bad row {dict(row)}") from error
    rates.sort(key=lambda settlement: settlement.at)
    return Coin(base, quote, spot, perp, tuple(rates))


def _stamp(row: Row) -> int:
    return int(Decimal(row["ts_ms"])) * MS


def _number(row: Row, name: str) -> Decimal:
    value = Decimal(row[name])
    if not value.is_finite():
        raise InvalidOperation
    return value


def _rows(folder: Path, stem: str) -> list[Row]:
    for suffix in _SUFFIXES:
        path = folder / (stem + suffix)
        if path.is_file():
            break
    else:
        raise ConfigError(f"no {stem}{{{','.join(_SUFFIXES)}}} in {folder}")
    if path.suffix == ".parquet":
        return _parquet(path)
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", newline="") as lines:
                return list(csv.DictReader(lines))
        with path.open(newline="") as lines:
            return list(csv.DictReader(lines))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def _parquet(path: Path) -> list[Row]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(f"{path} is Parquet: pip install pyarrow, or use CSV") from error
    rows: list[dict[str, object]] = parquet.read_table(path).to_pylist()
    return [{key: str(value) for key, value in row.items() if value is not None} for row in rows]


def _bar(row: Row, length: int) -> Bar:
    spread = row.get("spread")
    return Bar(
        at=_stamp(row),
        length=length,
        open=to_units(_number(row, "open")),
        high=to_units(_number(row, "high")),
        low=to_units(_number(row, "low")),
        close=to_units(_number(row, "close")),
        volume=_number(row, "volume") if row.get("volume") else ZERO,
        half_spread=to_units(Decimal(spread)) // 2 if spread else None,
        bid_depth=_number(row, "bid_depth") if row.get("bid_depth") else None,
        ask_depth=_number(row, "ask_depth") if row.get("ask_depth") else None,
    )


def _series(rows: list[Row], kind: InstrumentKind, word: str, bridge_max_s: int) -> Series:
    try:
        stamps = sorted(_stamp(row) for row in rows)
        gaps = sorted(b - a for a, b in pairwise(stamps))
        if not gaps or gaps[0] <= 0:
            raise ConfigError(f"{word} {kind}: fewer than two bars, or two bars of one time")
        length = gaps[len(gaps) // 2]
        bars = sorted((_bar(row, length) for row in rows), key=lambda bar: bar.at)
    except (KeyError, TypeError, InvalidOperation) as error:
        raise ConfigError(f"{word} {kind}: a row without time and prices: {error!r}") from error
    if length < BAR_MIN or gaps[0] < length:
        raise ConfigError(f"{word} {kind}: bars of {length // SECOND} s, or they overlap")
    for bar in bars:
        if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
            raise ConfigError(f"{word} {kind}: open or close outside low to high at {bar.at // MS}")
    return Series(kind, tuple(_bridged(bars, bridge_max_s * SECOND)))


def _bridged(bars: list[Bar], bridge_max: int) -> Iterable[Bar]:
    before: Bar | None = None
    for bar in bars:
        if before is not None and BAR_MIN <= bar.at - before.end <= bridge_max:
            left, right = before.close, bar.open
            yield Bar(
                at=before.end,
                length=bar.at - before.end,
                open=left,
                high=max(left, right),
                low=min(left, right),
                close=right,
                volume=ZERO,
                half_spread=before.half_spread,
                bid_depth=before.bid_depth,
                ask_depth=before.ask_depth,
                bridged=True,
            )
        yield bar
        before = bar
