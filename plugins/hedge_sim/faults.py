"""The seeded faults, pure: what happens to each request and message, and what is scheduled when.

Every class of fault draws from its own generator, so that switching one on leaves the draws of the
others as they were. A restart is a new session and draws anew.
"""

from decimal import Decimal
from random import Random

import msgspec

from hedge.model.numbers import MS, SECOND
from hedge_sim.config import (
    BalanceChange,
    Deleveraging,
    Disconnect,
    Liquidation,
    ModeFlip,
    SimSettings,
)
from hedge_sim.draw import dice

Event = Disconnect | Deleveraging | Liquidation | ModeFlip | BalanceChange


class RequestFate(msgspec.Struct, frozen=True, kw_only=True):
    """What one request meets; times in ns."""

    out: int
    back: int
    lost: bool = False
    reply_lost: bool = False
    slow: int = 0
    error_accepted: bool = False
    error_refused: bool = False
    rate_limit: bool = False
    reject_code: str = ""
    read_error: bool = False
    stale: int = 0
    ioc_share: Decimal | None = None


class Planned(msgspec.Struct, frozen=True):
    """A scheduled fault with the name it is remembered by."""

    cause: str
    event: Event
    at: int | None
    after_fills: int | None


class FaultPlan:
    """All draws of one session; ``start`` and every ``at`` are the recording's time."""

    def __init__(self, settings: SimSettings, account: str, session: int, start: int) -> None:
        self.faults = settings.faults
        self._settings = settings
        self._start = start
        self._from = start + _ns(self.faults.from_s)
        until = self.faults.until_s
        self._until = None if until is None else start + _ns(until)
        self._seed = (settings.seed, "fault", account, session)
        self._dice: dict[str, Random] = {}
        self._read_errors_until = 0
        self._limited_until = 0

    def dice(self, name: str) -> Random:
        known = self._dice.get(name)
        if known is None:
            known = self._dice[name] = dice(*self._seed, name)
        return known

    def hit(self, name: str, at: int) -> bool:
        """Draw for the class ``name``, which is also the name of its chance in the settings."""
        chance: Decimal = getattr(self.faults, name)
        if not chance or not self.rages(at):
            return False
        return self.dice(name).random() < chance

    def rages(self, at: int) -> bool:
        return at >= self._from and (self._until is None or at < self._until)

    def _upto(self, name: str, most_ms: int) -> int:
        return self.dice(f"{name}:length").randint(0, most_ms) * MS

    def one_way(self) -> int:
        """Return one latency."""
        least, most = self._settings.latency_ms, self._settings.latency_max_ms
        if most <= least:
            return least * MS
        return self.dice("latency").randint(least, most) * MS

    def order_fate(self, at: int) -> RequestFate:
        """Draw what an order or a cancel meets."""
        faults = self.faults
        slow = self.hit("slow_processing", at)
        rejected = self.hit("reject", at) and faults.reject_codes
        partial = self.hit("partial_ioc", at)
        return RequestFate(
            out=self.one_way(),
            back=self.one_way(),
            lost=self.hit("request_lost", at),
            reply_lost=self.hit("reply_lost", at),
            slow=self._upto("slow_processing", faults.slow_processing_max_ms) if slow else 0,
            error_accepted=self.hit("error_accepted", at),
            error_refused=self.hit("error_refused", at),
            rate_limit=self.hit("rate_limit", at),
            reject_code=self.dice("reject:code").choice(faults.reject_codes) if rejected else "",
            ioc_share=Decimal(self.dice("partial_ioc:share").randint(5, 95)) / 100
            if partial
            else None,
        )

    def read_fate(self, at: int) -> RequestFate:
        """Draw what a read meets."""
        faults = self.faults
        error = at < self._read_errors_until
        if not error and self.hit("read_error", at):
            error = True
            self._read_errors_until = at + self._upto("read_error", faults.read_error_burst_ms)
        stale = self.hit("stale_read", at)
        return RequestFate(
            out=self.one_way(),
            back=self.one_way(),
            read_error=error,
            rate_limit=self.hit("rate_limit", at),
            stale=self._upto("stale_read", faults.stale_read_max_ms) if stale else 0,
        )

    def limited_for(self, at: int, *, struck: bool) -> int:
        """Return the seconds a rate limit still holds, and let a new one begin when ``struck``."""
        if struck and at >= self._limited_until:
            self._limited_until = at + self.faults.rate_limit_retry_s * SECOND
        left = self._limited_until - at
        return -(-left // SECOND) if left > 0 else 0

    def deliveries(self, at: int) -> tuple[tuple[int, bool], ...]:
        """Return (delay, in order?) of each copy of one account message; none: it is dropped."""
        if self.hit("drop_message", at):
            return ()
        first = self.one_way()
        if self.hit("reorder_message", at):
            late = first + self._upto("reorder_message", self.faults.reorder_max_ms)
            copies = [(late, False)]
        else:
            copies = [(first, True)]
        if self.hit("duplicate_message", at):
            again = first + self._upto("duplicate_message", self.faults.reorder_max_ms)
            copies.append((again, False))
        return tuple(copies)

    def push_jitter(self) -> int:
        """Return what a push loses or wins against the answer to the request that caused it."""
        most = max(self._settings.latency_ms, 1)
        return self.dice("race").randint(-most, most) * MS

    def planned(self) -> tuple[Planned, ...]:
        """Return every scheduled fault in the order of the settings."""
        faults = self.faults
        kinds: tuple[tuple[str, tuple[Event, ...]], ...] = (
            ("disconnect", faults.disconnects),
            ("adl", faults.deleveragings),
            ("liquidation", faults.liquidations),
            ("mode", faults.mode_flips),
            ("balance", faults.balance_changes),
        )
        found = []
        for word, events in kinds:
            for number, event in enumerate(events):
                at = None if event.at_s is None else self._start + _ns(event.at_s)
                found.append(Planned(f"{word}#{number}", event, at, event.after_fills))
        return tuple(found)

    def next_disconnect(self, after: int) -> tuple[int, Disconnect] | None:
        """Draw the next seeded disconnect."""
        every = self.faults.disconnect_every_s
        if every is None:
            return None
        random = self.dice("disconnect")
        at = max(after, self._from) + max(int(random.expovariate(1) * _ns(every)), SECOND)
        if not self.rages(at):
            return None
        event = Disconnect(
            at_s=Decimal(at - self._start) / SECOND,
            stream=("market", "account", "both")[random.randrange(3)],
            down_ms=random.randint(100, max(self.faults.disconnect_down_max_ms, 100)),
            silent=random.random() < self.faults.disconnect_silent,
        )
        return at, event

    def clock_offset(self, at: int) -> int:
        """Return how far the venue's clock is ahead of the host's, ns."""
        offset_ms = self.faults.clock_offset_ms
        for jump in self.faults.clock_jumps:
            if at >= self._start + _ns(jump.at_s):
                offset_ms = jump.offset_ms
        return offset_ms * MS

    def halted(self, market: str, at: int) -> bool:
        return bool(self.faults.halts) and any(
            halt.market == market and self._within(halt.at_s, halt.for_s, at)
            for halt in self.faults.halts
        )

    def muted(self, market: str, at: int) -> bool:
        """Return True while a halt also stops the quotes."""
        return bool(self.faults.halts) and any(
            halt.market == market and not halt.quotes and self._within(halt.at_s, halt.for_s, at)
            for halt in self.faults.halts
        )

    def _within(self, at_s: Decimal, for_s: Decimal, at: int) -> bool:
        begin = self._start + _ns(at_s)
        return begin <= at < begin + _ns(for_s)


def _ns(seconds: Decimal) -> int:
    return int(seconds * SECOND)
