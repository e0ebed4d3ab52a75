"""Build the bundled recordings from their public sources; run once, the results are committed.

``python build.py all_exchanges.csv`` writes the 8 h set, with ``--lean DIRECTORY`` also the half
day of minute quotes. The 8 h source tells the time of Europe/London, and labels the candles of
Bybit and OKX (not their funding) four hours late; here everything is UTC, and a bar's time is its
open.
"""

import argparse
import csv
import gzip
import io
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent
LONDON = ZoneInfo("Europe/London")
BARS = ("ts_ms", "open", "high", "low", "close", "volume")
QUOTES = ("ts_ms", "open", "high", "low", "close", "volume", "spread", "bid_depth", "ask_depth")
FUNDING = ("ts_ms", "rate", "interval_h")
PAIRS = {
    "BTC/USDT": "BTC-USDT",
    "ETH/USDT": "ETH-USDT",
    "BTCUSDT": "BTC-USDT",
    "ETHUSDT": "ETH-USDT",
}
LATE_MS = {"binance": 0, "bybit": 4 * 3_600_000, "okx": 4 * 3_600_000}
"""How late the source labels a candle: against hourly ones they fit to 1 bp so, else to 62 bp."""
LEAN_DAY_MS = 1_670_889_600_000
"""2022-12-13 00:00 UTC."""
LEAN_INTERVAL_H = 8


def write(name: str, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    ordered = sorted(rows, key=lambda row: int(str(row[0])))
    writer.writerows(ordered)
    packed = gzip.compress(text.getvalue().encode(), 9, mtime=0)
    (HERE / name).write_bytes(packed)


def build_bars(source: Path) -> None:
    """Split the one file of the source into a file a series, and correct its times."""
    series: dict[str, list[tuple[object, ...]]] = {}
    rates: dict[str, list[tuple[object, ...]]] = {}
    with source.open(newline="") as lines:
        for row in csv.DictReader(lines):
            pair = PAIRS.get(row["pair"])
            if pair is None:
                continue
            local = datetime.fromisoformat(row["time"]).replace(tzinfo=LONDON)
            at = local.astimezone(UTC)
            if at.hour % 8 or at.minute or at.second:
                raise SystemExit(f"off the 8 h grid: {row}")
            ts_ms = int(at.timestamp()) * 1000
            kind = "spot" if row["contract"] == "spot" else "perp"
            key = f"{pair}.{kind}.{row['exchange']}.csv.gz"
            series.setdefault(key, []).append(
                (ts_ms - LATE_MS[row["exchange"]], *(row[name] for name in BARS[1:]))
            )
            if kind == "perp":
                rate = format(Decimal(row["funding rate"]), "f")
                name = f"{pair}.funding.{row['exchange']}.csv.gz"
                rates.setdefault(name, []).append((ts_ms, rate, 8))
    for name, rows in series.items():
        write(name, BARS, rows)
    for name, rows in rates.items():
        write(name, FUNDING, rows)


def lean_rows(path: Path) -> list[list[str]]:
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    return list(csv.reader(text.splitlines()))


def build_minutes(root: Path) -> None:
    """Make one bar of the mid from each minute of quotes, with its closing spread and sizes."""
    for kind, folder in (("spot", "spot_bybit_minute"), ("perp", "perp_bybit_minute")):
        rows: list[tuple[object, ...]] = []
        for row in lean_rows(root / folder / "btcusdt_20221213_quote.zip"):
            bid = [Decimal(text) for text in row[1:6]]
            ask = [Decimal(text) for text in row[6:11]]
            mid = [(left + right) / 2 for left, right in zip(bid[:4], ask[:4], strict=True)]
            spread = ask[3] - bid[3]
            rows.append((LEAN_DAY_MS + int(row[0]), *mid, 0, spread, bid[4], ask[4]))
        write(f"BTC-USDT.{kind}.lean.csv.gz", QUOTES, rows)
    rates: list[tuple[object, ...]] = []
    source = root / "perp_bybit_minute" / "btcusdt_margin_interest.csv"
    for line in source.read_text().splitlines():
        stamp, rate = line.split(",")
        at = datetime.strptime(stamp, "%Y%m%d %H:%M:%S").replace(tzinfo=UTC)
        rates.append((int(at.timestamp()) * 1000, rate, LEAN_INTERVAL_H))
    write("BTC-USDT.funding.lean.csv.gz", FUNDING, rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="all_exchanges.csv")
    parser.add_argument("--lean", type=Path, help="folder with {spot,perp}_bybit_minute")
    chosen = parser.parse_args()
    build_bars(chosen.source)
    if chosen.lean is not None:
        build_minutes(chosen.lean)


if __name__ == "__main__":
    main()
