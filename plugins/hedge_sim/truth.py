"""The venue's own durable memory: an append log of records and a clock, in one file.

``sim-<account>.truth`` (``sim-main.truth`` for the account without a name) begins with one page:
eight bytes of magic, then two 8-byte integers written through a memory map: the time the venue
will have reached when it next writes (``clock``), and the time up to which it has settled and
matched (``done``). Records follow, each as length, CRC-32 and MessagePack, appended with one
``write(2)``: what the page cache has survives the end of the process. A torn last record is cut.
"""

import fcntl
import mmap
import os
import struct
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import quote as escaped

import msgspec

from hedge.errors import ConfigError, HedgeError, LockHeld, unwritten
from hedge.model import Fill, FundingPayment, PositionMode
from hedge_sim.account import Account, Holding, Placed
from hedge_sim.config import SimSettings
from hedge_sim.market import build_markets
from hedge_sim.recording import load
from hedge_sim.records import Founded, Record

PAGE: Final = 4096
MAGIC: Final = b"HSIMTRU1"
VERSION: Final = 1
RECORD_MAX: Final = 1 << 20
_EMPTY = MAGIC.ljust(PAGE, b"\0")
_FRAME = struct.Struct("<II")
_SLOTS = slice(8, 24)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def path_of(state_dir: str | Path, account: str = "") -> Path:
    return Path(state_dir) / f"sim-{escaped(account, safe='') or 'main'}.truth"


def reset(state_dir: str | Path) -> int:
    """Remove the truth of every account in a directory; return how many there were."""
    found = sorted(Path(state_dir).glob("sim-*.truth"))
    for path in found:
        path.unlink()
    return len(found)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _scan(data: bytes, path: Path) -> tuple[list[Record], int]:
    if not data.startswith(MAGIC):
        raise ConfigError(f"{path} is not the truth of a simulated venue")
    if len(data) < PAGE:
        raise ConfigError(f"{path} is damaged; start over with --sim-reset")
    records: list[Record] = []
    place = PAGE
    while place + _FRAME.size <= len(data):
        size, crc = _FRAME.unpack_from(data, place)
        after = place + _FRAME.size + size
        if after > len(data) or size > RECORD_MAX:
            break
        body = data[place + _FRAME.size : after]
        if zlib.crc32(body) != crc:
            if after < len(data):
                raise ConfigError(f"{path} is damaged at byte {place}; start over with --sim-reset")
            break
        try:
            records.append(_DECODER.decode(body))
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{path}: unknown record at byte {place}: {error}") from error
        place = after
    return records, place


def _slots_of(data: bytes) -> tuple[int, int]:
    clock, done = struct.unpack("=qq", data[_SLOTS])
    return clock, done


class Truth:
    """The open file; without a directory it keeps nothing beyond the process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = -1
        self._map: mmap.mmap | None = None
        self._slots: memoryview | None = None
        self._memory = [0, 0]
        self._broken: HedgeError | None = None
        self.records: list[Record] = []
        """What was found on opening."""

    def open(self) -> None:
        if self._path is None:
            return
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._lock()
            size = os.fstat(self._file).st_size
            data = os.pread(self._file, size, 0)
            if _EMPTY.startswith(data):  # new, or its first page did not find room
                data = _EMPTY
                _write(self._file, data)
            self.records, end = _scan(data, self._path)
            os.ftruncate(self._file, end)
            os.lseek(self._file, end, os.SEEK_SET)
            self._map = mmap.mmap(self._file, PAGE)
        except OSError as error:
            self.close()
            raise self._unwritten(error) from error
        except (ConfigError, LockHeld):
            self.close()
            raise
        self._slots = memoryview(self._map)[_SLOTS].cast("q")

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockHeld(f"another process runs the venue of {self._path}") from error

    def append(self, record: Record) -> None:
        """Write a record, or raise: `JournalError` where the disk is at fault.

        Once that failed nothing more is written, for the file may end in a part of the record.
        """
        if self._file < 0:
            return
        if self._broken is not None:
            raise self._broken
        body = _ENCODER.encode(record)
        data = _FRAME.pack(len(body), zlib.crc32(body)) + body
        try:
            _write(self._file, data)
        except OSError as error:
            self._broken = self._unwritten(error)
            raise self._broken from error

    def _unwritten(self, error: OSError) -> HedgeError:
        return unwritten(f"cannot keep the venue's truth in {self._path}", error)

    @property
    def clock(self) -> int:
        return self._memory[0] if self._slots is None else self._slots[0]

    @property
    def done(self) -> int:
        return self._memory[1] if self._slots is None else self._slots[1]

    def set_clock(self, at: int) -> None:
        if self._slots is None:
            self._memory[0] = at
        else:
            self._slots[0] = at

    def set_done(self, at: int) -> None:
        if self._slots is None:
            self._memory[1] = at
        else:
            self._slots[1] = at

    def close(self) -> None:
        if self._slots is not None:
            self._memory = [self._slots[0], self._slots[1]]
            self._slots.release()
            self._slots = None
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class VenueTruth(msgspec.Struct, kw_only=True):
    """All that a test may ask of a venue's file, folded from its records."""

    founded: Founded
    clock: int
    balances: dict[str, Decimal]
    positions: dict[str, Holding]
    orders: dict[str, Placed]
    fills: list[Fill]
    payments: list[FundingPayment]
    deposits: dict[str, Decimal]
    fees: dict[str, Decimal]
    funding: dict[str, Decimal]
    realised: dict[str, Decimal]
    mode: PositionMode
    account: Account

    def fills_of(self, client_order_id: str) -> list[Fill]:
        return [fill for fill in self.fills if fill.client_order_id == client_order_id]

    def equity(self, quote: str, prices: dict[str, Decimal], marks: dict[str, Decimal]) -> Decimal:
        return self.account.equity(quote, prices, marks)


def fold(records: list[Record]) -> Account:
    account = Account()
    for record in records:
        account.apply(record)
    return account


def read_records(path: str | Path) -> list[Record]:
    """Return the records of a file, which may be in use; a torn last one is left out."""
    return _scan(Path(path).read_bytes(), Path(path))[0]


def read_truth(path: str | Path) -> VenueTruth:
    """Fold a venue's file, without touching it."""
    data = Path(path).read_bytes()
    records, _ = _scan(data, Path(path))
    account = fold(records)
    if account.founded is None:
        raise ConfigError(f"{path} holds no world yet")
    return VenueTruth(
        founded=account.founded,
        clock=max(_slots_of(data)[0], account.last_at),
        balances=account.balances,
        positions=account.holdings,
        orders=account.orders,
        fills=account.fills,
        payments=account.payments,
        deposits=account.deposits,
        fees=account.fees,
        funding=account.funding,
        realised=account.realised,
        mode=account.mode,
        account=account,
    )


def prices_of(settings: SimSettings, at: int) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return what coins (by asset) and perpetuals (by symbol) were worth at the recording's time.

    The same numbers as the running venue's, computed anew: with them `VenueTruth.equity` values a
    file without a venue.
    """
    recording = load(
        settings.data, start=settings.start, end=settings.end, bridge_max_s=settings.bridge_max_s
    )
    markets = build_markets(recording, settings)
    spot = {c.base: markets[c.symbol].last_price(at) for c in recording.coins}
    marks = {c.perp_symbol: markets[c.perp_symbol].last_price(at) for c in recording.coins}
    return {settings.fees.coin: settings.fees.coin_price} | spot, marks
