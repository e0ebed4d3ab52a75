"""Goal: recordings load, keep their promises and mark their holes; bad ones are named.

Method: the bundled sets, and small directories written here.
"""

import gzip
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from hedge.errors import ConfigError
from hedge.model.numbers import MINUTE, SECOND
from hedge_sim.recording import BUNDLES, REPEATS, Recording, load


def exits(recording: Recording) -> list[int]:
    rates = [s for s in recording.coins[0].funding if recording.start <= s.at <= recording.end]
    return [
        rates[i].at for i in range(2, len(rates)) if all(s.rate < 0 for s in rates[i - 2 : i + 1])
    ]


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_each_bundled_set_loads(name: str):
    recording = load(f"bundled:{name}")
    coin = recording.coins[0]
    assert recording.start < recording.end
    assert coin.funding
    assert coin.symbol.endswith("/USDT")
    assert coin.perp_symbol == coin.symbol + ":USDT"


def test_the_demo_stretch_keeps_its_promise():
    recording = load("bundled:btc-8h")
    days = (recording.end - recording.start) / (86_400 * SECOND)
    assert 14 <= days <= 28
    found = exits(recording)
    assert found[0] == 1_713_484_800 * SECOND  # 2024-04-19 00:00
    assert recording.end - found[0] >= 2 * 86_400 * SECOND
    held = [s for s in recording.coins[0].funding if recording.start <= s.at <= found[0]]
    assert held[0].at == recording.start
    assert held[0].rate > Decimal("0.00005")
    assert len(held) == 67
    assert sum(s.rate for s in held) == Decimal("0.01069300")
    assert sum(s.rate < 0 for s in held) == 4
    assert {s.interval_s for s in held} == {28_800}


def test_bars_are_in_utc_and_at_their_open():
    full = load("bundled:btc-8h-binance").coins[0]
    assert {bar.at // (3600 * SECOND) % 8 for bar in full.spot.bars} == {0}
    bybit = load("bundled:btc-8h-full").coins[0]
    assert {bar.at // (3600 * SECOND) % 8 for bar in bybit.spot.bars} == {4}
    # Bybit and Binance agree on the level once the labels are right: four hours apart they do not.
    for bar in bybit.perp.bars[::50]:
        other = full.perp.bar_at(bar.at)
        if other is not None:
            assert other.low <= bar.open * 1.004
            assert other.high >= bar.open * 0.996


def test_the_minutes_have_negative_funding_bridges_and_outages():
    coin = load("bundled:btc-minute").coins[0]
    assert [s.rate for s in coin.funding] == [
        Decimal(x) for x in ("-0.0002016", "-0.00022398", "-0.00038555")
    ]
    bridges = [bar for bar in coin.perp.bars if bar.bridged]
    assert len(bridges) == 118
    assert all(bar.length <= 10 * MINUTE for bar in bridges)
    holes = [
        (a.end, b.at)
        for a, b in zip(coin.perp.bars, coin.perp.bars[1:], strict=False)
        if a.end != b.at
    ]
    assert [(b - a) // MINUTE for a, b in holes] == [16, 11]
    assert coin.perp.bar_at(holes[0][0]) is None
    assert coin.perp.bar_at(holes[0][1]) is not None
    whole = load("bundled:btc-minute", bridge_max_s=3600).coins[0]
    assert all(whole.perp.bar_at(a) is not None for a, _ in holes)


def write(folder: Path, *, spot: str = "", funding: str = "") -> Path:
    head = "ts_ms,open,high,low,close,volume\n"
    rows = "".join(f"{n * 60_000},10,12,9,11,5\n" for n in range(5))
    (folder / "ABC-USDT.spot.csv").write_text(spot or head + rows)
    (folder / "ABC-USDT.perp.csv.gz").write_bytes(gzip.compress((head + rows).encode()))
    (folder / "ABC-USDT.funding.csv").write_text(funding or "ts_ms,rate,interval_h\n0,0.0001,4\n")
    return folder


def test_a_directory_of_csv_is_a_recording(tmp_path: Path):
    recording = load(str(write(tmp_path)))
    assert recording.coins[0].symbol == "ABC/USDT"
    assert recording.coins[0].funding[0].interval_s == 4 * 3600
    assert recording.end == 5 * MINUTE


@pytest.mark.parametrize(
    ("spot", "word"),
    [
        ("ts_ms,open,high,low,close,volume\n0,10,12,9,11,5\n", "fewer than two bars"),
        ("ts_ms,open,high,low,close\n0,10,12,9,13\n60000,1,1,1,1\n", "outside low to high"),
        ("ts_ms,open,high,low,close\n0,x,12,9,13\n60000,1,1,1,1\n", "without time and prices"),
        ("ts_ms,open,high,low\n0,10,12,9\n60000,1,1,1\n", "without time and prices"),
        ("ts_ms,open,high,low,close\n0,nan,12,9,13\n60000,1,1,1,1\n", "without time and prices"),
        ("ts_ms,open,high,low,close\n0,1,1,1,1\n0,1,1,1,1\n", "fewer than two bars"),
        ("ts_ms,open,high,low,close\n0,1,1,1,1\n1000,1,1,1,1\n", "bars of 1 s"),
    ],
)
def test_a_bad_recording_is_named(tmp_path: Path, spot: str, word: str):
    with pytest.raises(ConfigError, match=word):
        load(str(write(tmp_path, spot=spot)))


def test_what_is_not_there_is_named(tmp_path: Path):
    for name in ("bundled:nope", str(tmp_path / "nope"), str(tmp_path)):
        with pytest.raises(ConfigError):
            load(name)
    with pytest.raises(ConfigError, match="nothing between"):
        load("bundled:btc-8h", start="2024-04-10", end="2024-04-09")
    with pytest.raises(ConfigError, match="not an ISO time"):
        load("bundled:btc-8h", start="yesterday")


def test_parquet_works_where_pyarrow_is_and_says_so_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path)
    (tmp_path / "ABC-USDT.funding.csv").unlink()
    path = tmp_path / "ABC-USDT.funding.parquet"
    path.write_bytes(b"")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(ConfigError, match="pip install pyarrow"):
            load(str(tmp_path))
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"ts_ms": [0], "rate": [0.0001], "interval_h": [8]}), path)
    assert load(str(tmp_path)).coins[0].funding[0].rate == Decimal("0.0001")


def test_a_stretch_that_comes_again_is_the_same_each_time_and_ends_late():
    stretch = {"end": "2024-04-20T04:00", "repeat_from": "2024-04-16T04:00"}
    once = load("bundled:btc-8h", end=stretch["end"])
    again = load("bundled:btc-8h", **stretch)
    period = 4 * 86_400 * SECOND
    assert again.end == once.end + REPEATS * period and again.start == once.start
    first, coin = once.coins[0], again.coins[0]
    for at in range(once.end - period, once.end, 3_600 * SECOND):
        for rounds in (1, 7, REPEATS):
            then = at + rounds * period
            for old, new in ((first.spot, coin.spot), (first.perp, coin.perp)):
                before, bar = old.bar_at(at), new.bar_at(then)
                assert before is not None and bar is not None
                assert msgspec.structs.replace(bar, at=before.at) == before
                assert bar.at - before.at == rounds * period
    old = [(s.at, s.rate) for s in first.funding if once.end - period < s.at <= once.end]
    new = [(s.at - 9 * period, s.rate) for s in coin.funding]
    assert len(old) == 12 and new[-12 * (REPEATS - 8) :][:12] == old
    assert sorted(coin.funding, key=lambda s: s.at) == list(coin.funding)


@pytest.mark.parametrize("since", ["2024-04-20T04:00", "2023-01-01"])
def test_what_is_not_there_cannot_come_again(since: str):
    with pytest.raises(ConfigError, match="repeat from"):
        load("bundled:btc-8h", end="2024-04-20T04:00", repeat_from=since)
