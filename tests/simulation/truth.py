"""What truly happened in one world, written down as plain lines: the record a checker reads.

Every line is a dictionary of strings and whole numbers, in the order of the true time ``at``
(nanoseconds). ``what`` says which:

- ``begin``: the hedge's ``prefix``, ``ratio``, ``lot``, ``spot_lot``, and whether its inventory is
  the whole ``account``;
- ``start``: process number ``life`` opens the journal, ``journal`` bytes of which are there;
- ``sent``: an order leaves the host, with ``journal`` bytes written before it; ``lost``: it will
  never reach the venue; ``taken`` and ``denied``: the venue's word; ``ended``: it rests no more;
- ``fill``: an execution of an order of ours, and the ``fee`` that was taken in the coin itself;
- ``moved``: a leg's holding changed by ``quantity`` (signed) without an order of ours; an adoption
  that is lost with the machine is taken back by another of these;
- ``power``: the machine died, ``kept`` bytes of the journal stayed, and ``lost`` is the rest;
- ``end``: the last word on both holdings; ``sure`` when the engine had time to learn of all of it.
"""

from decimal import Decimal
from typing import Any

from hedge.model import Fill, Leg, Order

Line = dict[str, Any]


class Truth:
    """Collects the lines of one world."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def note(self, what: str, at: int, **rest: Any) -> None:
        self.lines.append({"what": what, "at": at, **rest})

    def sent(self, order: Order, at: int, journal: int) -> None:
        self.note(
            "sent",
            at,
            id=order.client_order_id,
            leg=order.leg.value,
            side=order.side.value,
            quantity=str(order.quantity),
            journal=journal,
        )

    def fill(self, fill: Fill, at: int, ours: str) -> None:
        self.note(
            "fill",
            at,
            leg=fill.leg.value,
            fill=fill.fill_id,
            id=ours,
            side=fill.side.value,
            quantity=str(fill.quantity),
            fee=str(fill.fee) if fill.fee_asset == "SIM" else "0",
        )

    def moved(self, leg: Leg, quantity: Decimal, at: int) -> None:
        self.note("moved", at, leg=leg.value, quantity=str(quantity))
