"""Why each order was sent: the event before it, what the decision looked at, and what came of it.

Everything stands in the journal; nothing is decided again. Quotes and timers are not journalled, so
an order whose moment has no event row was led to by one of those, and that is said.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from hedge.decide import commands, events
from hedge.decide.rows import Row
from hedge.model import Fill, Leg
from hedge.model.numbers import MINUTE, ZERO, plain
from hedge.report import render
from hedge.report.say import sentence
from hedge.report.when import parse_when, stamp, when

SCHEMA = "hedge.explain/1"
WITHIN = MINUTE


class State(msgspec.Struct, kw_only=True):
    """What the rows so far have set."""

    mode: str = "HALT"
    target: Decimal | None = None
    paused: bool = False
    trips: dict[str, int] = {}


class Story(msgspec.Struct, kw_only=True):
    """One order, from its reason to its end; a step is a time and a sentence."""

    client_order_id: str
    seq: int
    at: int
    leg: str
    side: str
    quantity: Decimal
    limit_price: Decimal
    time_in_force: str
    reduce_only: bool
    purpose: str
    mode: str
    spot_target: Decimal | None
    paused: bool
    trips: tuple[str, ...]
    inventory: Decimal
    position: Decimal
    spot_bid: Decimal
    spot_ask: Decimal
    futures_bid: Decimal
    futures_ask: Decimal
    spot_age_ms: int | None
    futures_age_ms: int | None
    cause: str
    cause_seq: int | None
    steps: list[tuple[int, str]] = []
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    """Sum of quantity x price over its fills."""

    @property
    def mean_price(self) -> Decimal | None:
        return self.paid / self.filled if self.filled else None


class _Teller:
    """Reads the rows once and keeps the story of every order."""

    def __init__(self) -> None:
        self.state = State()
        self.stories: dict[str, Story] = {}
        self.known_as: dict[tuple[Leg, str], str] = {}
        self.fills: set[tuple[Leg, str]] = set()
        self.event: Row | None = None
        self.last_at = 0

    def row(self, row: Row) -> None:
        self.last_at = row.at
        entry = row.entry
        if isinstance(entry, events.Event):
            self.event = row
            self._event(row, entry)
            return
        match entry:
            case commands.PlaceOrder():
                self.stories[entry.order.client_order_id] = self._begin(row, entry)
            case commands.ChangeMode():
                self.state.mode = entry.mode.value
            case commands.SetTarget():
                self.state.target = entry.quantity
            case commands.SetPaused():
                self.state.paused = entry.paused
            case commands.SetTrip():
                if entry.level:
                    self.state.trips[entry.reason] = entry.level
                else:
                    self.state.trips.pop(entry.reason, None)
            case commands.CancelOrder() | commands.DeclareDead():
                self._tell(entry.client_order_id, row.at, sentence(entry))
            case _:
                pass

    def _begin(self, row: Row, entry: commands.PlaceOrder) -> Story:
        order, seen, state = entry.order, entry.observation, self.state
        event = self.event if self.event is not None and self.event.at == row.at else None
        return Story(
            client_order_id=order.client_order_id,
            seq=row.seq,
            at=row.at,
            leg=order.leg.value,
            side=order.side.value,
            quantity=order.quantity,
            limit_price=order.limit_price,
            time_in_force=order.time_in_force.value,
            reduce_only=order.reduce_only,
            purpose=entry.purpose.value,
            mode=state.mode,
            spot_target=state.target,
            paused=state.paused,
            trips=tuple(sorted(state.trips)),
            inventory=seen.inventory,
            position=seen.position,
            spot_bid=seen.spot_bid,
            spot_ask=seen.spot_ask,
            futures_bid=seen.futures_bid,
            futures_ask=seen.futures_ask,
            spot_age_ms=_age(row.at, seen.spot_seen_at),
            futures_age_ms=_age(row.at, seen.futures_seen_at),
            cause="a price or a timer" if event is None else sentence(event.entry),
            cause_seq=None if event is None else event.seq,
        )

    def _event(self, row: Row, entry: events.Event) -> None:
        match entry:
            case events.OrderReported():
                report = entry.report
                self.known_as[entry.leg, report.venue_order_id] = report.client_order_id
                self._tell(report.client_order_id, row.at, sentence(entry))
            case events.OrderRefused() | events.OrderUnanswered() | events.CancelUnsettled():
                self._tell(entry.client_order_id, row.at, sentence(entry))
            case events.FillSeen():
                self._fill(row.at, entry.fill)
            case events.LegAudited():
                for report in (*entry.found, *entry.open_orders):
                    self.known_as[entry.leg, report.venue_order_id] = report.client_order_id
                for report in entry.found:
                    said = f"asked: {report.status.value}, filled {plain(report.filled)}"
                    self._tell(report.client_order_id, row.at, said)
                for client_order_id in entry.missing:
                    self._tell(client_order_id, row.at, "asked: the venue knows no such order")
                for fill in entry.fills:
                    self._fill(row.at, fill)
            case _:
                pass

    def _fill(self, at: int, fill: Fill) -> None:
        if (fill.leg, fill.key) in self.fills:
            return
        self.fills.add((fill.leg, fill.key))
        name = fill.client_order_id or self.known_as.get((fill.leg, fill.venue_order_id), "")
        story = self.stories.get(name)
        if story is not None:
            story.filled += fill.quantity
            story.paid += fill.quantity * fill.price
            self._tell(name, at, sentence(events.FillSeen(at=at, fill=fill)))

    def _tell(self, client_order_id: str, at: int, said: str) -> None:
        story = self.stories.get(client_order_id)
        if story is not None:
            story.steps.append((at, said))


def explain(rows: Iterable[Row], about: str, within: int = WITHIN) -> list[Story]:
    """Return the orders sent within ``within`` ns of a time, or the one with an id.

    With none so near, the last one before it and the first one after it. Raise `UsageError` for
    what is neither a time nor an id of the journal.
    """
    teller = _Teller()
    for row in rows:
        teller.row(row)
    if about in teller.stories:
        return [teller.stories[about]]
    at = parse_when(about, teller.last_at)
    stories = list(teller.stories.values())
    near = [story for story in stories if abs(story.at - at) <= within]
    if near:
        return near
    earlier = [story for story in stories if story.at <= at]
    later = [story for story in stories if story.at > at]
    return [*earlier[-1:], *later[:1]]


def _age(at: int, seen_at: int) -> int | None:
    return (at - seen_at) // 1_000_000 if seen_at else None


def as_data(story: Story) -> dict[str, Any]:
    """Return plain data for the JSON envelope."""
    data: dict[str, Any] = render.as_data(story)
    data["steps"] = [{"at": stamp(at), "text": said} for at, said in story.steps]
    mean = story.mean_price
    data["mean_price"] = None if mean is None else _price(mean)
    return data


# -- text ----------------------------------------------------------------------------------------


def text(stories: list[Story]) -> str:
    """Return the stories in plain sentences, one paragraph an order."""
    if not stories:
        return "no order has been sent yet\n"
    return "\n".join("\n".join(_paragraph(story)) + "\n" for story in stories)


def _paragraph(story: Story) -> list[str]:
    flag = ", reduce-only" if story.reduce_only else ""
    target = "none" if story.spot_target is None else plain(story.spot_target)
    held = "; ".join(
        [f"mode {story.mode}", f"spot target {target}"]
        + (["paused"] if story.paused else [])
        + ([f"tripped by {', '.join(story.trips)}"] if story.trips else [])
    )
    delta = plain(story.inventory + story.position)
    lines = [
        (
            f"{when(story.at)}  {story.side.upper()} {plain(story.quantity)} on the {story.leg} leg"
            f" at {plain(story.limit_price)} or better, {story.time_in_force}{flag}:"
            f" to {story.purpose} ({story.client_order_id})"
        ),
        f"  because   {story.cause}" + (f" (row {story.cause_seq})" if story.cause_seq else ""),
        f"  in        {held}",
        (
            f"  books     inventory {plain(story.inventory)}, position {plain(story.position)},"
            f" together {delta}"
        ),
        (
            f"  saw       spot {_book(story.spot_bid, story.spot_ask, story.spot_age_ms)};"
            f" futures {_book(story.futures_bid, story.futures_ask, story.futures_age_ms)}"
        ),
    ]
    lines += [f"  {_after(story.at, at):<9} {said}" for at, said in story.steps]
    mean = story.mean_price
    done = f"filled {plain(story.filled)} of {plain(story.quantity)}"
    lines.append(f"  outcome   {done}" + ("" if mean is None else f" at {_price(mean)} on average"))
    return lines


def _price(value: Decimal) -> str:
    return plain(value.quantize(Decimal("0.00000001")))


def _book(bid: Decimal, ask: Decimal, age_ms: int | None) -> str:
    if not bid and not ask:
        return "not seen"
    age = "" if age_ms is None else f", {age_ms} ms old"
    return f"{plain(bid)} / {plain(ask)}{age}"


def _after(begun: int, at: int) -> str:
    return f"+{(Decimal(at - begun) / 1_000_000_000).quantize(Decimal('0.001')):f} s"
