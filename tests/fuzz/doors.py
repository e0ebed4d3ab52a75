"""The doors through which bytes come in from outside: each is a function that may only refuse.

A door takes any bytes. It returns what it understood, or raises an error of `hedge.errors` with one
line in it; anything else that leaves it is a find. What it understood is looked at once more: every
number is finite and of a size that arithmetic can bear. `test_doors` and `guided` go through them.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hedge.config import resolve
from hedge.config.add import parse_add
from hedge.config.files import read_dotenv
from hedge.config.layers import Flags
from hedge.decide.events import Verb
from hedge.errors import HedgeError, Malformed
from hedge.journal import JournalLog, MemoryDisk, read_rows
from hedge.journal.frame import NAME
from hedge.model import Instrument, InstrumentKind, Leg
from hedge.runtime import api_body
from hedge_binance import parse as binance
from hedge_binance import wire
from hedge_binance.instruments import Coins, futures_listing, spot_listing
from hedge_binance.instruments import Listing as BinanceListing
from hedge_bybit import parse as bybit
from hedge_bybit.frames import PRIVATE, PUBLIC, ExecutionFrame, FastFrame, OrderFrame, PositionFrame
from hedge_bybit.listing import InstrumentRow
from hedge_bybit.listing import Listing as BybitListing
from hedge_bybit.listing import listing_of as bybit_listing
from hedge_bybit.public import Book
from hedge_ccxt import parse as ccxt
from hedge_ccxt.listing import Listing as CcxtListing
from hedge_ccxt.order_ids import IdStyle
from hedge_ccxt.sdk import FAULTS

DATA = Path(__file__).resolve().parents[1] / "data"
BEARABLE = 100
"""Digits before the point."""


class Door(NamedTuple):
    """A way in, and a few things that are welcome there."""

    enter: Callable[[bytes], Any]
    welcome: tuple[bytes, ...]


def knock(door: Door, data: bytes) -> bool:
    """Enter with any bytes; whether they were understood. An AssertionError is a find."""
    refusal = ""
    try:
        found = door.enter(data)
    except HedgeError as error:
        refusal, found = str(error) or type(error).__name__, None
    assert "Traceback" not in refusal and len(refusal) < LONGEST, refusal[:300]
    for number in numbers(found):
        assert number.is_finite(), f"{number} came in"
        assert not number or number.adjusted() < BEARABLE, f"{number} came in"
    return not refusal


LONGEST = 20_000


def numbers(found: Any) -> Iterable[Decimal]:
    """Yield every exact number in a structure."""
    match found:
        case Decimal():
            yield found
        case msgspec.Struct():
            for name in found.__struct_fields__:
                yield from numbers(getattr(found, name))
        case dict():
            for value in found.values():
                yield from numbers(value)
        case list() | tuple():
            for value in found:
                yield from numbers(value)


# -- what a user writes --------------------------------------------------------------------------


@cache
def desk() -> Path:
    """Return a directory for the files that are read; of this process."""
    folder = tempfile.TemporaryDirectory(prefix="hedge-doors-")
    desk.__dict__["kept"] = folder
    return Path(folder.name)


def written(name: str, data: bytes) -> Path:
    path = desk() / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def config(data: bytes) -> Any:
    found = resolve(environ={}, cwd=desk(), config_path=written("hedge.toml", data))
    return [(one.usd, one.quantity, one.hedge_ratio) for one in found.settings.hedges.values()]


def dotenv(data: bytes) -> Any:
    return read_dotenv(written("env", data))


def environment(data: bytes) -> Any:
    """Take lines ``KEY=value`` as the environment of a process; it has no NUL in it."""
    lines = data.replace(b"\0", b"").decode("utf-8", "surrogateescape").split("\n")
    pairs = (line.partition("=") for line in lines)
    environ = {f"HEDGE__{key}": value for key, _, value in pairs if key}
    found = resolve(environ=environ, cwd=desk(), flags=FLAGS)
    return [(one.usd, one.quantity) for one in found.settings.hedges.values()]


FLAGS = Flags(spot="sim", futures="sim", symbol="BTC/USDT", usd="10000")


def add(data: bytes) -> Any:
    text = data.decode("utf-8", "surrogateescape")
    parse_add(text)
    found = resolve(environ={}, cwd=desk(), flags=FLAGS, add=text)
    return [(one.usd, one.quantity, one.limits.leverage) for one in found.settings.hedges.values()]


def line(data: bytes) -> Any:
    """Take the values of the flags that a line is made of."""
    words = (*data.decode("utf-8", "surrogateescape").split("\n", 4), "", "", "", "", "")[:5]
    spot, futures, symbol, usd, action = words
    flags = Flags(spot=spot, futures=futures, symbol=symbol, usd=usd, action=action)
    found = resolve(environ={}, cwd=desk(), flags=flags)
    return [(one.usd, one.quantity) for one in found.settings.hedges.values()]


def command(data: bytes) -> Any:
    """Take the body of a command of the status API; the first byte says which."""
    verbs = tuple(Verb)
    return api_body.parse(verbs[data[0] % len(verbs)] if data else verbs[0], data[1:])


# -- the journal ---------------------------------------------------------------------------------

HERE = Path("/state/btc")


def journal(data: bytes) -> Any:
    disk = MemoryDisk()
    disk.write_whole(HERE / NAME, data)
    log = JournalLog.open(HERE, hedge="btc", at=0, disk=disk)
    return len(list(read_rows(HERE / NAME, disk))) + log.next_seq


def a_journal() -> bytes:
    disk = MemoryDisk()
    JournalLog.open(HERE, hedge="btc", at=0, disk=disk)
    return disk.read(HERE / NAME)


# -- Binance -------------------------------------------------------------------------------------


@cache
def binance_listings() -> tuple[BinanceListing, BinanceListing]:
    found = []
    for name, make in (("spot", spot_listing), ("usdm", futures_listing)):
        data = (DATA / "binance" / f"exchange_info_{name}.json").read_bytes()
        rows = {
            row.symbol: row for row in msgspec.json.decode(data, type=wire.ExchangeInfo).symbols
        }
        listing = make(rows["BTCUSDT"], Coins())
        assert listing is not None
        found.append(listing)
    spot, futures = found
    return spot, futures


def binance_spot(data: bytes) -> Any:
    listing, _ = binance_listings()
    event = binance.spot_news(data) or binance.spot_event(data)
    if not isinstance(event, wire.ExecutionReport):
        return None
    fill = binance.fill_of(event, listing, {}, leg=Leg.SPOT, client_id=event.client_id)
    return fill, binance.execution_report(event, listing)


def binance_futures(data: bytes) -> Any:
    _, listing = binance_listings()
    event = binance.futures_event(data)
    if not isinstance(event, wire.OrderTradeUpdate):
        return None
    order = event.order
    fill = binance.fill_of(order, listing, {}, leg=Leg.FUTURES, client_id=order.client_id)
    return fill, binance.order_news(order, listing)


def binance_market(data: bytes) -> Any:
    _, listing = binance_listings()
    frame = binance.stream_frame(data)
    for read in (
        binance.book_ticker,
        binance.mark_price,
        binance.futures_depth,
        binance.spot_depth,
    ):
        try:
            found = read(frame.data)
        except Malformed:
            continue
        match found:
            case wire.MarkPrice():
                return binance.mark(found, listing)
            case wire.FuturesDepth():
                return binance.depth(found.bids, listing)
            case _:
                return None
    raise Malformed("none of them")


def binance_api(data: bytes) -> Any:
    """Take an answer, or else a row of the list of symbols."""
    try:
        return binance.api_frame(data).id
    except Malformed:
        return spot_listing(binance.symbol_row(data), Coins())


# -- Bybit ---------------------------------------------------------------------------------------


@cache
def bybit_perpetual() -> BybitListing:
    row = {
        "symbol": "BTCUSDT", "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT",
        "settleCoin": "USDT", "contractType": "LinearPerpetual", "fundingInterval": 480,
        "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": {
            "qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "1190.000",
            "maxMktOrderQty": "500.000", "postOnlyMaxOrderQty": "1190.000",
            "minNotionalValue": "5",
        },
    }  # fmt: skip
    listing = bybit_listing(msgspec.convert(row, InstrumentRow), Leg.FUTURES)
    assert listing is not None
    return listing


def bybit_private(data: bytes) -> Any:
    listing = bybit_perpetual()
    try:
        frame = PRIVATE.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(f"bybit: {error}") from None  # as the socket's owner tells it
    match frame:
        case ExecutionFrame(data=rows) | FastFrame(data=rows):
            return [bybit.fill(row, listing) for row in rows]
        case OrderFrame(data=rows):
            return [bybit.order_report(row, listing) for row in rows]
        case PositionFrame(data=rows):
            return bybit.position(rows, listing)
        case _:
            return [
                (bybit.margin_ratio(wallet), [bybit.balance(coin) for coin in wallet.coin])
                for wallet in frame.data
            ]


def bybit_public(data: bytes) -> Any:
    try:
        frame = PUBLIC.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(f"bybit: {error}") from None
    book = Book()
    book.take_best(frame.data, snapshot=True)
    book.take_depth(frame.data, frame.ts, snapshot=True)
    return None


# -- ccxt ----------------------------------------------------------------------------------------


@cache
def ccxt_listing() -> CcxtListing:
    instrument = Instrument(
        venue="ccxt:okx", symbol="BTC/USDT:USDT", kind=InstrumentKind.PERPETUAL, base="BTC",
        quote="USDT", settle="USDT", tick=Decimal("0.1"), lot=Decimal("0.001"),
    )  # fmt: skip
    return CcxtListing(instrument=instrument, leg=Leg.FUTURES, market="BTC/USDT:USDT")


def ccxt_row(data: bytes) -> Any:
    """Take a row of ccxt's, as each of the things it could be."""
    listing = ccxt_listing()
    try:
        row = ccxt.as_row(json.loads(data, parse_float=Decimal))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {type(error).__name__}") from None
    readers: tuple[Callable[[], Any], ...] = (
        lambda: ccxt.fill(row, listing, "HA0000001F000001"),
        lambda: ccxt.order_report(row, listing, IdStyle.PLAIN),
        lambda: ccxt.answered(row, listing, IdStyle.GATE),
        lambda: ccxt.quote(row, listing, 0),
        lambda: ccxt.book(row, listing, 0),
        lambda: ccxt.mark(row, listing, 0),
        lambda: ccxt.balances(row, 0),
        lambda: ccxt.position([row], listing, 0),
        lambda: ccxt.live_rate(row, listing, 28_800, 0),
        lambda: ccxt.payment(row, listing, None, 1),
    )
    found = []
    for read in readers:
        try:
            found.append(read())
        except (Malformed, *FAULTS):
            continue  # each of its callers is ready for these
    return found


# -- all of them ---------------------------------------------------------------------------------

CONFIG = b"""[run]
tick_ms = 1000
[venues.sim]
seed = 7
[hedges.btc]
spot = "sim"
futures = "sim@b"
symbol = "BTC/USDT"
usd = "10000"
[hedges.btc.funding]
exit_below = "0"
[accounts.b]
venue = "sim"
[plugins]
allow = ["hedge-acme==1.2.0"]
"""
ROW = {
    "id": "1", "symbol": "BTC/USDT:USDT", "side": "buy", "amount": "0.1", "price": "60000",
    "filled": "0.05", "status": "open", "timestamp": 1_700_000_000_000, "fee": {"cost": "0.1"},
    "bid": 1, "ask": 2, "bids": [[1, 2]], "asks": [[2, 3]], "markPrice": 2, "indexPrice": 2,
    "total": {"BTC": 1}, "free": {"BTC": 1}, "used": {"BTC": 0}, "contracts": "1",
    "fundingRate": "0.0001", "fundingTimestamp": 1_700_000_000_000, "code": "USDT",
    "info": {"clientOid": "x"}, "interval": "8h",
}  # fmt: skip
EXECUTION = {
    "topic": "execution",
    "data": [{
        "symbol": "BTCUSDT", "category": "linear", "orderId": "v", "orderLinkId": "H",
        "side": "Buy", "execId": "e", "execPrice": "60000.5", "execQty": "0.25",
        "execTime": "1700000000123", "execFee": "8.2", "feeRate": "0.00055",
    }],
}  # fmt: skip
ORDER = {
    "topic": "order",
    "data": [{
        "symbol": "BTCUSDT", "category": "linear", "orderId": "v", "orderLinkId": "H",
        "side": "Buy", "orderStatus": "New", "qty": "0.5", "price": "60000", "cumExecQty": "0",
        "reduceOnly": False, "updatedTime": "1700000000456",
    }],
}  # fmt: skip
POSITION = {
    "topic": "position",
    "data": [{
        "symbol": "BTCUSDT", "category": "linear", "side": "Sell", "size": "0.5", "positionIdx": 0,
        "entryPrice": "60000", "liqPrice": "70000", "adlRankIndicator": 2,
        "updatedTime": "1700000000456",
    }],
}  # fmt: skip
WALLET = {
    "topic": "wallet",
    "data": [{
        "accountType": "UNIFIED", "accountMMRate": "0.01",
        "coin": [{"coin": "USDT", "walletBalance": "10", "locked": "1", "totalOrderIM": "0"}],
    }],
}  # fmt: skip
BOOK = {
    "topic": "orderbook.1.BTCUSDT", "type": "snapshot", "ts": 1_700_000_000_000,
    "data": {"s": "BTCUSDT", "b": [["1", "2"]], "a": [["2", "3"]], "u": 1, "seq": 2},
}  # fmt: skip


def _json(*values: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() for value in values)


@cache
def doors() -> dict[str, Door]:
    """Return every door by its name."""
    events = json.loads((DATA / "binance" / "events.json").read_text())
    return {
        "config": Door(config, (CONFIG,)),
        "dotenv": Door(dotenv, (b"HEDGE__RUN__TICK_MS=5\n# x\nA='b'\n",)),
        "environment": Door(environment, (b"RUN__TICK_MS=200\nVENUES__SIM__SEED=1\n",)),
        "add": Door(add, _json({"action": "single", "funding": {"exit_below": "0"}})),
        "line": Door(line, (b"sim\nsim@b\nBTC/USDT\n1000\nsingle",)),
        "command": Door(command, (bytes([tuple(Verb).index(Verb.SCALE)]) + b'{"usd": "5"}',)),
        "journal": Door(journal, (a_journal(),)),
        "binance spot": Door(binance_spot, _json(*events["spot"].values())),
        "binance futures": Door(binance_futures, _json(*events["futures"].values())),
        "binance market": Door(binance_market, _json(*events["market"].values())),
        "binance api": Door(binance_api, _json({"id": "1", "status": 200, "result": {}})),
        "bybit private": Door(bybit_private, _json(EXECUTION, ORDER, POSITION, WALLET)),
        "bybit public": Door(bybit_public, _json(BOOK)),
        "ccxt": Door(ccxt_row, _json(ROW)),
    }


def main() -> None:
    """Knock once with the bytes of a file: ``doors.py NAME FILE``."""
    name, path = sys.argv[1:]
    print(knock(doors()[name], Path(path).read_bytes()))


if __name__ == "__main__":
    main()
