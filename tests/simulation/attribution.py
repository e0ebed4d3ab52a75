"""Why the truth was unhedged, second by second: every span between two looks has one cause."""

from decimal import Decimal
from typing import Any

from hedge.decide.engine import Engine
from hedge.decide.mode import Mode, Trip
from hedge.decide.orders import OrderStatus
from hedge.decide.terms import AfterExternal
from hedge.model.numbers import SECOND

CAUSES = ("engine down", "fence", "person", "outage", "starting", "answer", "unheard", "other")
"""In the order in which they count, when two are true at once.

``engine down``: no process. ``fence``: an order is in doubt, and nothing may be sent before it is
proven dead or found. ``person``: HEDGE_ONLY, LOCKED, HALT, a stop, or a loss that only a person
clears. ``outage``: a stream is away, a read failed, or a venue refuses. ``starting``: a process
reads both legs, or waits for its first prices. ``answer``: a hedge is on the wire. ``unheard``:
what happened at the venue has not been told to the engine. ``other``: the minimums and the
measurements of ordinary life.
"""

Span = tuple[float, dict[str, float]]
"""How long the truth was unhedged at a stretch, and how much of it each cause explains (s)."""


class Attribution:
    """Watches one world; `look` is to be called whenever something may have changed."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.spans: list[Span] = []
        self.open = False
        self.since = 0
        """Since when it has been unhedged, while it is ``open``."""
        self._seen = 0
        self._cause = ""
        self._parts: dict[str, int] = {}

    def look(self) -> None:
        world, mind = self.world, self.world.mind
        now = world.now
        if self.open:
            self._parts[self._cause] = self._parts.get(self._cause, 0) + now - self._seen
        self._seen = now
        if mind.gap() >= mind.dust():
            if not self.open:
                self.open, self.since, self._parts = True, now, {}
            self._cause = self._why()
        elif self.open:
            self.close()

    def _gap(self) -> Decimal:
        mind = self.world.mind
        return mind.inventory * mind.ratio + self.world.venue.position

    def close(self) -> None:
        """End the span that is open, at the end of a story too."""
        if self.open:
            self.open = False
            parts = {cause: ns / SECOND for cause, ns in self._parts.items() if ns}
            self.spans.append(((self.world.now - self.since) / SECOND, parts))

    def _why(self) -> str:
        world = self.world
        shell = world.shell
        if shell is None:
            return "person" if world.ended else "engine down"
        engine = shell.engine
        books = engine.books
        if books.in_doubt:
            return "fence"
        if engine.volatile.recovered and self._persons(books, world.plan.terms.limits):
            return "person"
        if self._away(engine):
            return "outage"
        if not engine.volatile.recovered or None in engine.market.quotes.values():
            return "starting"
        if any(one.status is OrderStatus.INTENDED for one in books.futures.open.values()):
            return "answer"
        unheard = abs(engine.delta - self._gap()) >= world.mind.lot
        return "unheard" if unheard else "other"

    @staticmethod
    def _persons(books: Any, limits: Any) -> bool:
        if books.trip >= Trip.HEDGE_ONLY or books.mode is Mode.HALT or books.stopping_at:
            return True
        if books.futures.held > 0 and books.mode is Mode.LIQUIDATION:
            return True  # somebody made a long, and an unwinding only buys
        return bool(books.external_at) and limits.after_external is AfterExternal.ALARM

    def _away(self, engine: Engine) -> bool:
        world = self.world
        return bool(
            world.now < max(world.banned_until, world.read_broken_until)
            or world.venue.halted
            or world.venue.mode.value == "hedge"
            or any(not s.up or world.now < s.deaf_until for s in world.streams.values())
            or any(n.failures or engine.now < n.retry_at for n in engine.volatile.legs.values())
        )
