"""Judges one finished story from two texts alone: the venues' truth and the journal's lines.

It knows nothing of the program that wrote them: no import of it, its own reading of the format, its
own arithmetic. ``check`` returns what does not fit together, one sentence each; nothing is good.
The form of the truth is told in `truth`; ``python history.py TRUTH JOURNAL`` judges two files.
"""

import json
import sys
import zlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

Line = Mapping[str, Any]
NONE = Decimal(0)
FORCED = ("liquidation", "auto_deleveraging", "settlement")
GUESSES_MOST = 12
"""Of more fills of strangers than this the sums are not tried one by one."""


class Row(NamedTuple):
    """One line of the journal: where it ends, in bytes, and what it holds."""

    end: int
    seq: int
    kind: str
    entry: dict[str, Any]


class Journal:
    """The rows of one file as it was at some time."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.ends = [row.end for row in rows]

    def before(self, size: int) -> int:
        """Return how many rows stood in the first ``size`` bytes."""
        return bisect_right(self.ends, size)


def parse(text: str, complaints: list[str]) -> Iterator[Row]:
    """Yield the rows behind the header; complain of a checksum, a chain or a number that is off."""
    chain, seq, end = "0" * 16, -1, 0
    for line in text.encode().split(b"\n")[:-1]:
        end += len(line) + 1
        rest = line[9:] + b"\n"
        if line[:9] != b"%08x " % zlib.crc32(rest):
            complaints.append(f"journal: the checksum of the line that ends at {end} is wrong")
            return
        linked = blake2b(chain.encode() + line[26:], digest_size=8).hexdigest()
        if line[9:25].decode() != linked:
            complaints.append(f"journal: the chain is broken in the line that ends at {end}")
            return
        chain = linked
        row = json.loads(line[26:].split(b" ", 1)[1])
        seq += 1
        if not seq:
            continue
        if row["seq"] != seq:
            complaints.append(f"journal: row {row['seq']} stands where row {seq} belongs")
            return
        yield Row(end, seq, row["entry"]["type"], row["entry"])


def versions(truth: Sequence[Line], journal: str, complaints: list[str]) -> list[Journal]:
    """Return the journal before each death of the machine, and as it is at the end."""
    texts = [journal]
    for line in reversed(truth):
        if line["what"] == "power":
            raw = texts[-1].encode()
            texts.append(raw[: line["kept"]].decode() + line["lost"])
    return [Journal(list(parse(text, complaints))) for text in reversed(texts)]


class Books:
    """What a journal says, row by row."""

    def __init__(self, prefix: str, owner: Mapping[tuple[str, str], str]) -> None:
        self.prefix = prefix
        self.owner = owner
        """Whose order an execution belongs to, by leg and number: the truth's word."""
        self.intents: dict[str, int] = {}
        self.leased: dict[tuple[int, str], int] = defaultdict(int)
        self.filled: dict[str, Decimal] = defaultdict(Decimal)
        self.booked = {"spot": NONE, "futures": NONE}
        self.guesses: list[Decimal] = []
        """Executions of strangers on the futures leg that may or may not have been booked."""
        self.buried: dict[str, str] = {}
        self.served: set[str] = set()
        self.asked: set[str] = set()
        self.epoch = 0
        self._seen: set[tuple[str, str]] = set()
        self._items: dict[str, Decimal] = defaultdict(Decimal)
        self._read: set[str] = set()

    def take(self, row: Row, complaints: list[str]) -> None:
        entry = row.entry
        match row.kind:
            case "PlaceOrder":
                oid = entry["order"]["client_order_id"]
                if oid in self.intents:
                    complaints.append(f"{oid}: a second intent in row {row.seq}")
                self.intents[oid] = row.end
            case "LeaseIds":
                key = (entry["epoch"], entry["leg"])
                self.leased[key] = max(self.leased[key], entry["last"])
            case "EngineStarted":
                if entry["epoch"] <= self.epoch:
                    complaints.append(f"row {row.seq}: epoch {entry['epoch']} is used again")
                self.epoch = entry["epoch"]
            case "OrderReported":
                self._report(entry["report"])
            case "FillSeen":
                self._fill(entry["fill"])
            case "LegAudited":
                for report in (*entry["found"], *entry["open_orders"]):
                    self._report(report)
                for fill in entry["fills"]:
                    self._fill(fill, before=entry["leg"] not in self._read)
                self._read.add(entry["leg"])
            case "BookExternal":
                self.booked[entry["leg"]] += Decimal(entry["quantity"])
            case "DeclareDead":
                self.buried[entry["client_order_id"]] = entry["evidence"]
            case "OperatorAsked":
                self.asked.add(entry["request_id"])
            case "Serve":
                self._serve(row, complaints)

    def _serve(self, row: Row, complaints: list[str]) -> None:
        request = row.entry["request_id"]
        if request in self.served:
            complaints.append(f"row {row.seq}: request {request} takes effect a second time")
        if request not in self.asked:
            complaints.append(f"row {row.seq}: nobody asked for request {request}")
        self.served.add(request)

    def _report(self, report: Mapping[str, Any]) -> None:
        oid = report["client_order_id"]
        self.filled[oid] = max(self.filled[oid], Decimal(report["filled"]))

    def _fill(self, fill: Mapping[str, Any], *, before: bool = False) -> None:
        """Count an execution once; what others did ``before`` the first read, that read found."""
        key = (fill["leg"], fill["fill_id"])
        if key in self._seen:
            return
        self._seen.add(key)
        quantity = Decimal(fill["quantity"])
        oid = self.owner.get(key, "")
        if oid:
            self._items[oid] += quantity
            self.filled[oid] = max(self.filled[oid], self._items[oid])
        elif fill["leg"] == "futures" and not before:
            signed = quantity if fill["side"] == "buy" else -quantity
            if fill["kind"] in FORCED:
                self.booked["futures"] += signed
            elif fill["kind"] == "trade":
                self.guesses.append(signed)


class Order:
    """One order of ours as the truth tells it."""

    __slots__ = ("filled", "leg", "open", "quantity", "sell", "taken")

    def __init__(self, line: Line) -> None:
        self.leg: str = line["leg"]
        self.sell = line["side"] == "sell"
        self.quantity = Decimal(line["quantity"])
        self.filled = NONE
        self.open = True
        self.taken = False


class Judge:
    """Walks through the truth, with the journal beside it."""

    def __init__(self, truth: Sequence[Line], journal: str) -> None:
        self.complaints: list[str] = []
        self.truth = truth
        begin = truth[0]
        self.prefix: str = begin["prefix"]
        self.ratio, self.lot = Decimal(begin["ratio"]), Decimal(begin["lot"])
        self.owner = {
            (line["leg"], line["fill"]): line["id"] for line in truth if line["what"] == "fill"
        }
        self.versions = versions(truth, journal, self.complaints)
        self.version, self.at_row = 0, 0
        self.books = Books(self.prefix, self.owner)
        self.orders: dict[str, Order] = {}
        self.held = {"spot": NONE, "futures": NONE}
        self.moved = {"spot": NONE, "futures": NONE}
        self.taken_out = {"spot": NONE, "futures": NONE}
        """How much others ever took away from a leg, or sold on it; unsigned."""
        self.orphans: list[str] = []
        """Orders sent on a row that died with the machine."""

    def run(self) -> list[str]:
        for line in self.truth:
            self._line(line)
        return self.complaints

    def _say(self, line: Line, text: str) -> None:
        self.complaints.append(f"at {line['at']}: {text}")

    def _line(self, line: Line) -> None:
        match line["what"]:
            case "sent":
                self._sent(line)
            case "taken":
                order = self.orders.get(line["id"])
                if order is None or order.taken:
                    self._say(line, f"{line['id']} reaches the venue, sent never or twice")
                else:
                    order.taken = True
            case "lost" | "denied" | "ended":
                if line["id"] in self.orders:
                    self.orders[line["id"]].open = False
            case "fill":
                self._filled(line)
            case "moved":
                quantity = Decimal(line["quantity"])
                self.held[line["leg"]] += quantity
                self.moved[line["leg"]] += quantity
                self.taken_out[line["leg"]] += max(-quantity, NONE)
            case "power":
                self._power(line)
            case "end":
                self._end(line)

    # -- the journal beside it -------------------------------------------------------------------

    def _read_to(self, size: int) -> None:
        journal = self.versions[self.version]
        to = journal.before(size)
        for row in journal.rows[self.at_row : to]:
            self.books.take(row, self.complaints)
        self.at_row = max(self.at_row, to)

    def _power(self, line: Line) -> None:
        """Go over to what was left, and remember which orders have lost their row."""
        self._read_to(1 << 62)
        before = self.books
        self.version, self.at_row = self.version + 1, 0
        self.books = Books(self.prefix, self.owner)
        self._read_to(line["kept"])
        for oid in before.intents:
            if oid not in self.books.intents and oid in self.orders:
                self.orphans.append(oid)
        for oid in self.orphans:
            epoch, leg, number = self._parts(oid)
            if number > self.books.leased[epoch, leg]:
                self._say(line, f"{oid} was sent, and neither its row nor its lease is left")

    def _parts(self, oid: str) -> tuple[int, str, int]:
        tail = oid[len(self.prefix) :]
        return int(tail[:4], 16), "spot" if tail[4] == "S" else "futures", int(tail[5:], 16)

    # -- orders ----------------------------------------------------------------------------------

    def _sent(self, line: Line) -> None:
        oid = line["id"]
        self._read_to(line["journal"])
        if oid not in self.books.intents:
            self._say(line, f"{oid} is sent, and no row says so before")
        elif self.books.intents[oid] > line["journal"]:
            self._say(line, f"{oid} is sent before its row is written")
        epoch, leg, number = self._parts(oid)
        if leg != line["leg"] or number > self.books.leased[epoch, leg]:
            self._say(line, f"{oid} is outside every lease")
        if oid in self.orders:
            self._say(line, f"{oid} is sent a second time")
        order = self.orders[oid] = Order(line)
        if leg == "futures" and order.sell:
            self._enlarges(line)

    def _enlarges(self, line: Line) -> None:
        """Never more short than coins: what is there, on its way and resting, and a lot."""
        coming = sum(
            (o.quantity - o.filled for o in self.orders.values()
             if o.open and o.sell and o.leg == "futures"), NONE,
        )  # fmt: skip
        short = coming - self.held["futures"]
        books = self.books
        lost = books.booked["spot"] - self.moved["spot"]
        lost = min(max(lost, NONE), self.taken_out["spot"])
        booked = books.booked["futures"]
        all_booked = booked + sum(books.guesses, NONE)
        sold = max(booked, all_booked, booked + sum((g for g in books.guesses if g > 0), NONE))
        sold = min(max(sold - self.moved["futures"], NONE), self.taken_out["futures"])
        allowed = max(self.held["spot"] + lost, NONE) * self.ratio + sold + self.lot
        if short > allowed:
            self._say(line, f"{line['id']} makes the short {short} where {allowed} is allowed")

    def _filled(self, line: Line) -> None:
        order = self.orders.get(line["id"])
        if order is None:
            self._say(line, f"an execution of {line['id']}, which was never sent")
            return
        quantity = Decimal(line["quantity"])
        order.filled += quantity
        if order.filled > order.quantity:
            self._say(line, f"{line['id']} is filled beyond its quantity")
        order.open = order.open and order.filled < order.quantity
        signed = -quantity if order.sell else quantity
        self.held[order.leg] += signed - Decimal(line["fee"])
        if order.leg == "futures" and not order.sell and self.held["futures"] > 0:
            self._say(line, f"{line['id']} makes the position long")

    # -- the end ---------------------------------------------------------------------------------

    def _end(self, line: Line) -> None:
        self._read_to(1 << 62)
        books = self.books
        for leg in ("spot", "futures"):
            if self.held[leg] != Decimal(line[leg]):
                self._say(line, f"the truth's own {leg} does not add up: {self.held[leg]}")
        for oid, filled in books.filled.items():
            if not oid.startswith(self.prefix):
                continue
            truly = self.orders[oid].filled if oid in self.orders else NONE
            if filled > truly:
                self._say(line, f"{oid}: the journal has {filled} filled, the venue {truly}")
        for oid, evidence in books.buried.items():
            order = self.orders.get(oid)
            if order is not None and order.taken and order.filled and "resolved" not in evidence:
                self._say(line, f"{oid} was declared dead and is filled {order.filled}")
        if line["sure"]:
            self._sure(line)

    def _sure(self, line: Line) -> None:
        """Nothing is open and both legs were read: by now the journal must know all of it."""
        books = self.books
        for oid, order in self.orders.items():
            if books.filled[oid] != order.filled:
                self._say(line, f"{oid}: {order.filled} filled at the venue, the journal has"
                                f" {books.filled[oid]}")  # fmt: skip
        rest = self.moved["futures"] - books.booked["futures"]
        if not _sums_to(books.guesses, rest):
            self._say(line, f"{self.moved['futures']} came to the futures leg from outside, and the"
                            f" journal books {books.booked['futures']}")  # fmt: skip


def _sums_to(parts: Sequence[Decimal], wanted: Decimal) -> bool:
    """Return whether some of the parts add up to what is wanted."""
    if len(parts) > GUESSES_MOST:
        return True
    return any(
        sum(some, NONE) == wanted
        for count in range(len(parts) + 1)
        for some in combinations(parts, count)
    )


def check(truth: Sequence[Line], journal: str) -> list[str]:
    """Return what is wrong with a story; the first line of the truth is its ``begin``."""
    return Judge(truth, journal).run()


def main() -> int:
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    complaints = check(lines, Path(sys.argv[2]).read_text())
    print("\n".join(complaints) or "the story holds")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
