"""Where the microseconds go: `hedge run` with a stamp at each door between a fill and its hedge.

``python stages.py OUT COUNT run ...`` is `hedge run ...`; after COUNT hedges it writes the medians
of the stages to OUT as JSON, and goes on. A stamp costs about half a microsecond.
"""

import json
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

DOORS = ("read", "told", "decided", "written", "asked", "encoded", "sending", "sent")
STAGES = ("parse", "decide", "journal", "begin", "budget, sign, encode", "hand over", "send")
"""Between two doors each."""
SKIPPED = 100
"""The first hedges are not counted: nothing is warm yet."""


class Stamps:
    """The doors that the frame in hand has passed, and what was found of those before it."""

    def __init__(self, out: Path, count: int) -> None:
        self.out = out
        self.count = count
        self.at: dict[str, int] = {}
        self.took: dict[str, list[int]] = defaultdict(list)
        self.hedges = 0

    def wrap(self, owner: Any, name: str, *, before: str = "", after: str = "") -> None:
        """Stamp a call of ``owner.name``; only the first time a frame passes a door counts."""
        inner, now, stamps = getattr(owner, name), time.perf_counter_ns, self

        def stamped(*args: Any, **named: Any) -> Any:
            if before:
                stamps.at.setdefault(before, now())
            result = inner(*args, **named)
            if after:
                stamps.at.setdefault(after, now())
            return result

        setattr(owner, name, stamped)

    def frame(self, owner: Any, name: str) -> None:
        """Begin anew with each frame, and take what it led to."""
        inner, now, stamps = getattr(owner, name), time.perf_counter_ns, self

        def framed(*args: Any) -> None:
            stamps.at = {"read": now()}
            inner(*args)
            if all(door in stamps.at for door in DOORS):
                stamps.take()

        setattr(owner, name, framed)

    def take(self) -> None:
        self.hedges += 1
        if self.hedges <= SKIPPED:
            return
        for stage, begin, end in zip(STAGES, DOORS, DOORS[1:], strict=False):
            self.took[stage].append(self.at[end] - self.at[begin])
        self.took["all"].append(self.at["sent"] - self.at["read"])
        if self.hedges == SKIPPED + self.count:
            medians = {name: statistics.median(one) / 1_000 for name, one in self.took.items()}
            self.out.write_text(json.dumps(medians))


def install(stamps: Stamps) -> None:
    from hedge.decide.engine import Engine  # noqa: PLC0415 - `hedge` is imported as its command does
    from hedge.journal.log import JournalLog  # noqa: PLC0415 - as said
    from hedge.runtime.pump import Pump  # noqa: PLC0415 - as said
    from hedge.transport.line import Line, _Listener  # noqa: PLC0415 - as said
    from hedge_binance.order_entry import OrderEntry as BinanceEntry  # noqa: PLC0415 - as said
    from hedge_binance.orders import OrderFrames  # noqa: PLC0415 - as said
    from hedge_bybit import order_entry as bybit  # noqa: PLC0415 - as said

    stamps.frame(_Listener, "_hand_over")
    stamps.wrap(Pump, "feed", before="told")
    stamps.wrap(Engine, "handle", after="decided")
    stamps.wrap(JournalLog, "append", after="written")
    for entry in (BinanceEntry, bybit.OrderEntry):
        stamps.wrap(entry, "place", before="asked")
    stamps.wrap(OrderFrames, "place", after="encoded")
    stamps.wrap(bybit, "create_message", after="encoded")
    stamps.wrap(Line, "send", before="sending", after="sent")


def main() -> None:
    from hedge.cli import main as cli  # noqa: PLC0415 - the paths are the starter's
    from hedge.runtime import app  # noqa: PLC0415 - as said

    stamps = Stamps(Path(sys.argv[1]), int(sys.argv[2]))
    del sys.argv[1:3]
    plain = app.run

    def run(plan: Any) -> int:
        install(stamps)  # now that the command has imported what it needs
        return plain(plan)

    app.run = run
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
