r"""The lines of ``journal.log``: how a row becomes one, and what a damaged one looks like.

::

    <crc32, 8 hex> <chain, 16 hex> <UTC time> <json>\n

The chain is a hash over the line before's chain and this line's time and JSON, the checksum covers
everything behind it. The first line is the header; the row with ``seq`` n is line n + 1. Try
``cut -d' ' -f4- journal.log | jq`` or ``grep T12:34 journal.log``.
"""

import binascii
import re
import time
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from hedge.decide.rows import Row
from hedge.errors import JournalError
from hedge.model.numbers import MS, SECOND

FORMAT = "hedge.journal"
VERSION = 1
NAME = "journal.log"

GENESIS = b"0" * 16
SUM = slice(0, 9)
CHAIN = slice(9, 25)
BODY = 26
"""Where the time begins; the hashed part of a line is ``line[BODY:-1]``."""
STAMP_LENGTH = len("2026-01-01T00:00:00.000Z")
JSON = BODY + STAMP_LENGTH + 1
HOLE = b"\0\0\0\0"
"""JSON text has no NULs; a run of them is a part of a write that a power cut kept from the disk."""

_SEQ = re.compile(rb'\{"seq":([1-9][0-9]*),')


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: what the file is, and whose."""

    format: str
    hedge: str
    created_at: int

    @property
    def version(self) -> int | None:
        """Return the schema version, or None where this is no journal at all."""
        name, _, version = self.format.partition("/")
        return int(version) if name == FORMAT and version.isdecimal() else None


class Frame(NamedTuple):
    """One verified line: its number from 1, where it begins and ends, its chain and its JSON."""

    number: int
    offset: int
    end: int
    chain: bytes
    json: bytes


encode_row = msgspec.json.Encoder().encode
_decode_row = msgspec.json.Decoder(Row).decode
_decode_header = msgspec.json.Decoder(Header, strict=True).decode


class Stamper:
    """The time as text; a second is formatted once and serves until the next."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = b""

    def stamp(self, at: int) -> bytes:
        second, rest = divmod(at, SECOND)
        if second != self._second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._prefix = text.encode()
            self._second = second
        return b"%b.%03dZ" % (self._prefix, rest // MS)


def seal(previous: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Return the line for ``body`` (time, space, JSON), and its chain."""
    chain = blake2b(previous + body, digest_size=8).hexdigest().encode()
    rest = b"%b %b\n" % (chain, body)
    return b"%08x %b" % (binascii.crc32(rest), rest), chain


def whole(line: bytes) -> bool:
    """Return whether a line, with its newline, carries the right checksum."""
    return len(line) > JSON and line[SUM] == b"%08x " % binascii.crc32(line[SUM.stop :])


def flaw(line: bytes, previous: bytes | None) -> str:
    """Return what is wrong with a complete line, "" for nothing; no chain check without one."""
    if not whole(line):
        return "the checksum does not match: the line is damaged"
    if previous is None:
        return ""
    if line[CHAIN] != blake2b(previous + line[BODY:-1], digest_size=8).hexdigest().encode():
        return "the chain is broken: a line before this one was changed, added or removed"
    return ""


def seq_of(json: bytes) -> int:
    """Return the number that a row's JSON begins with; 0 for what is no row."""
    match = _SEQ.match(json)
    return int(match[1]) if match else 0


def header_body(header: Header, stamp: bytes) -> bytes:
    return b"%b %b" % (stamp, encode_row(header))


def header_from(path: object, frame: Frame) -> Header:
    """Read the first line; raise `JournalError` where it is not ours or of a newer version."""
    try:
        header = _decode_header(frame.json)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        header = None
    if header is None or header.version is None:
        raise JournalError(f"{path}: not a journal of a hedge: its first line is no header")
    if not 1 <= header.version <= VERSION:
        raise JournalError(
            f"{path}: written as {header.format}, this program knows {FORMAT}/{VERSION};"
            " install the newer program, the file was not touched"
        )
    return header


def row_from(path: object, frame: Frame) -> Row:
    """Read a row; raise `JournalError` for one that this program does not understand."""
    try:
        return _decode_row(frame.json)
    except (msgspec.MsgspecError, UnicodeDecodeError, ArithmeticError) as error:
        raise damaged(path, frame.number, frame.offset, f"not a row we know: {error}") from None


def damaged(path: object, number: int, offset: int, why: str) -> JournalError:
    """Return the one-line error for a bad line."""
    return JournalError(
        f"{path}: line {number} (offset {offset}): {why}; nothing was changed:"
        " look with `hedge journal check`, mend with `hedge journal restore`"
    )
