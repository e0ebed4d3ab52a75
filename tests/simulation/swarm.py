"""What one seed stands for: the scenario, and every fault's strength.

Each class of fault is off in half the seeds, so that faults do not mask each other, and draws from
its own generator, so that taking one class away leaves the draws of the others as they were.
"""

import hashlib
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from hedge.decide.terms import (
    Action,
    AfterExternal,
    ExecutionTerms,
    FundingTerms,
    HedgeTerms,
    InventoryRule,
    LegTerms,
    LimitTerms,
)
from hedge.model import Instrument, InstrumentKind
from hedge.model.numbers import MINUTE, MS, ONE, SECOND, ZERO, ceil_to, common_step, floor_to
from hedge.roles import VenueLimits

CLASSES = (
    "request_lost",
    "reply_lost",
    "slow_processing",
    "error_delivered",
    "error_undelivered",
    "unreachable",
    "duplicate_message",
    "drop_message",
    "reorder_message",
    "nameless_fill",
    "disconnect_loud",
    "disconnect_silent",
    "resubscribe_fails",
    "stale_read",
    "read_error",
    "read_burst",
    "partial_ioc",
    "reject",
    "ban",
    "clock_offset",
    "clock_jump",
    "mode_flip",
    "deleveraging",
    "liquidation",
    "halt_leg",
    "interval_change",
    "balance_change",
    "manual_trade",
    "unknown_execution",
    "bad_quote",
    "crash_process",
    "crash_machine",
    "torn_write",
    "disk_full",
    "slow_sync",
    "operator",
    "another_action",
    "funding_gone",
)
CRASHES = ("crash_process", "crash_machine", "torn_write")
BEYOND = ("lag_beyond",)
"""Faults that break a declared bound: never on by chance, only when asked for."""

EDITION = 2
"""How a seed is read. A number found under an edition tells the same story under it for ever."""

PRICE = Decimal(100)
TICK = Decimal("0.01")
PREFIX = "HSIM00"


def parse_seed(text: str) -> tuple[int, int]:
    """Read ``1:17``, or ``17`` for the newest edition; return the edition and the number."""
    edition, _, number = text.rpartition(":")
    return int(edition or EDITION), int(number)


def dice(seed: int, name: str) -> Random:
    """Return a generator of its own; never `hash`, which differs between processes."""
    digest = hashlib.blake2b(f"{seed}|{name}".encode(), digest_size=8).digest()
    return Random(int.from_bytes(digest))


class Plan:
    """All parameters of one episode; ``without`` names fault classes that are taken away."""

    def __init__(
        self,
        seed: int,
        *,
        without: frozenset[str] = frozenset(),
        calm: bool = False,
        beyond: frozenset[str] = frozenset(),
        edition: int = EDITION,
    ) -> None:
        self.seed = seed
        self.edition = edition
        switch = dice(seed, "switch")
        on = {name for name in CLASSES if switch.random() < 0.5}
        self.on = frozenset(set() if calm else on - without) | beyond
        self._dice: dict[str, Random] = {}
        self._environment(dice(seed, "environment"))
        self._strengths(dice(seed, "strength"))
        if edition > 1:
            self._thicken(dice(seed, "thick"))
        self.terms = self.make_terms()

    def dice(self, name: str) -> Random:
        known = self._dice.get(name)
        if known is None:
            known = self._dice[name] = dice(self.seed, name)
        return known

    def has(self, name: str) -> bool:
        return name in self.on

    def chances(self) -> dict[str, tuple[float, Callable[[], float]]]:
        """Return, for every class that is drawn for, its chance and its generator."""
        drawn = {name: getattr(self, name, 0.0) for name in (*CLASSES, *BEYOND)}
        return {
            name: (chance, self.dice(name).random)
            for name, chance in drawn.items()
            if isinstance(chance, float) and chance
        }

    # -- what is not a fault ---------------------------------------------------------------------

    def _environment(self, r: Random) -> None:
        self.delay_most = int(2 ** r.uniform(0, 9) * MS)
        self.ack_timeout = int(r.choice((0.5, 1, 1.5, 3, 5, 15)) * SECOND)
        self.recv_window_ms = r.choice((1_000, 2_000, 2_000, 5_000))
        self.read_lag_ms = r.choice((200, 500, 1_000, 2_000, 4_000))
        self.second_check = r.random() < 0.5
        self.quote_every = r.choice((1, 1, 1, 2)) * SECOND
        self.chaos = int(r.choice((20, 45, 45, 60, 90, 150)) * SECOND)
        self.fill_chance = r.choice((0.2, 0.5, 0.8))
        self.part_chance = r.choice((0.0, 0.3, 0.7))
        self.slices = max(1, min(60, int(2 ** r.uniform(0, 6))))
        self.walk = r.choice((0, 1, 1, 2, 5))
        self.found_short = r.random() < 0.06
        self.found_coins = r.random() < 0.3
        self.action = r.choice((*([Action.DEFAULT] * 5), *([Action.SINGLE] * 3), Action.SCALE,
                                Action.LIQUIDATION))  # fmt: skip
        self.enter_now = r.random() < 0.9
        self.adopt = r.random() < 0.08
        self.heartbeat = r.choice((3, 5, 10)) * SECOND
        self.settlement_in = int(r.uniform(5, 400)) * SECOND
        self.attentive = r.choice((0, 5, 15)) * SECOND

    # -- faults ----------------------------------------------------------------------------------

    def _strengths(self, r: Random) -> None:
        def chance(name: str, most: float) -> float:
            drawn = r.uniform(0.15, 1) * most
            return drawn if self.has(name) else 0.0

        self.request_lost = chance("request_lost", 0.10)
        self.reply_lost = chance("reply_lost", 0.15)
        self.slow_processing = chance("slow_processing", 0.10)
        self.error_delivered = chance("error_delivered", 0.10)
        self.error_undelivered = chance("error_undelivered", 0.10)
        self.unreachable = chance("unreachable", 0.05)
        self.duplicate_message = chance("duplicate_message", 0.5)
        self.drop_message = chance("drop_message", 0.3)
        self.reorder_message = chance("reorder_message", 0.4)
        self.reorder_most = int(r.uniform(0.1, 10) * SECOND)
        self.stale_read = chance("stale_read", 0.5)
        self.lag_most = self.read_lag_ms * MS
        beyond = int(r.uniform(2, 15) * self.lag_most)
        if "lag_beyond" in self.on:
            self.lag_most = beyond
            self.stale_read = 0.3
        self.read_error = chance("read_error", 0.3)
        self.partial_ioc = chance("partial_ioc", 0.5)
        self.reject = chance("reject", 0.15)
        self.bad_quote = chance("bad_quote", 0.05)
        self.resubscribe_fails = chance("resubscribe_fails", 0.2)
        self.slow_sync = chance("slow_sync", 0.5)
        self.disconnect_every = int(r.choice((10, 20, 45)) * SECOND)

        self.rest_for = 0
        """How long a resting order waits on average for its next fill; 0: until a tick fills it."""
        self.think = 0
        """How long the owner leaves an idle hedge alone; 0: for ever."""
        self.windows = 1
        """How often the happenings of `moments` may begin again while too few orders were sent."""
        self.orders_wanted = 0
        self.calm_every = 0
        """Time between two quotes once the faults are over; 0: as before."""
        self.ways: tuple[int, ...] = (-1, 1)
        """Whether a user takes coins out (-1) or brings them (1).

        Coins that went and came back between two reads were never missed by anybody, and the
        truth would go on counting them as lost to the hedge.
        """
        self.seldom = 0.0
        """In which share of the windows a class of happenings stays away."""
        self.clocks: tuple[float, ...] = (0.2, 0.5, 1, 2)
        """How far the host's clock is off: factors, as likely as each other."""
        self.waits_for_exit = True
        self.unwinds = True
        """Whether a person liquidates at the end, and the hedge must come to its own."""
        self.patient = True
        """Whether the calm waits for all that a person could cut short."""

    def _thicken(self, r: Random) -> None:
        """Let more happen: an owner with wishes, a market that trades, stalls that end."""
        self.slices = int(2 ** r.uniform(2, 5.5))
        self.clocks = (0.1, 0.2, 0.5, 2)
        self.seldom = 0.7
        self.ways = (r.choice((-1, 1)),)
        self.disconnect_every = int(r.choice((15, 30, 60)) * SECOND)
        self.rest_for = int(r.choice((0.1, 0.4, 1.5)) * SECOND)
        self.think = int(r.choice((0.5, 1, 4)) * SECOND)
        self.chaos = int(r.choice((15, 20, 30)) * SECOND)
        self.windows = 4
        self.orders_wanted = r.choice((24, 28, 36))
        self.calm_every = 2 * SECOND
        self.quote_every = r.choice((1, 2, 2)) * SECOND
        self.heartbeat = r.choice((5, 10)) * SECOND
        self.attentive = r.choice((0, *([3, 5, 10] * 2))) * SECOND
        self.waits_for_exit = r.random() < 0.08
        self.patient = r.random() < 0.04
        self.unwinds = self.patient or r.random() < 0.33
        for name in ("request_lost", "reply_lost", "slow_processing", "error_delivered",
                     "error_undelivered", "unreachable", "drop_message", "read_error",
                     "reject", "stale_read", "resubscribe_fails"):  # fmt: skip
            # From a twentieth of the most to the most, the small ones as often as the large.
            drawn = getattr(self, name) * 20 ** -r.random()
            setattr(self, name, drawn)

    # -- the hedge -------------------------------------------------------------------------------

    def make_terms(self) -> HedgeTerms:
        r = dice(self.seed, "terms")
        lots = ("0.001", "0.01", "0.1")
        spot_lot = Decimal(r.choice(lots))
        futures_lot = Decimal(r.choice((*lots, "1")))
        ratio = Decimal(r.choice(("1", "1", "1", "1", "1", "1", "1", "1", "0.5", "0.9")))
        spot = Instrument(
            venue="a",
            symbol="SIM/USD",
            kind=InstrumentKind.SPOT,
            base="SIM",
            quote="USD",
            tick=TICK,
            lot=spot_lot,
            notional_min=Decimal(r.choice((0, 1, 5, 10, 100))),
        )
        futures = Instrument(
            venue="b",
            symbol="SIM/USD:USD",
            kind=InstrumentKind.PERPETUAL,
            base="SIM",
            quote="USD",
            settle="USD",
            tick=TICK,
            lot=futures_lot,
            quantity_min=futures_lot * r.choice((1, 1, 2)),
            notional_min=Decimal(r.choice((0, 5, 20, 100))),
            reduce_only_below_min=r.random() < 0.8,
        )
        fee = Decimal(r.choice(("0", "0.0002", "0.001")))
        times = VenueLimits(
            recv_window_ms=self.recv_window_ms,
            read_lag_ms=self.read_lag_ms,
            ack_timeout_ms=self.ack_timeout // MS,
        )
        common = {
            "recv_window_ms": times.recv_window_ms,
            "fence_ms": times.fence_ms,
            "read_lag_ms": times.read_lag_ms,
        }
        self.processing_most = times.processing_max_ms * MS
        step = common_step(spot_lot, futures_lot) if ratio == ONE else spot_lot
        least = max(spot.smallest_order(PRICE), futures.smallest_order(PRICE) / ratio)
        least = ceil_to(least, step) * Decimal("1.2")
        size = ceil_to(least * r.choice((1, 2, 3, 8)), step)
        quantity = floor_to(size * self.slices + least, step)
        exposure = (size * Decimal("1.3") + least * Decimal("1.2")) * PRICE
        exposure += (2 * spot_lot + futures_lot) * PRICE
        own_exposure = r.random() < 0.7
        by_usd = r.random() < 0.4
        self.size = size
        self.target = quantity
        return HedgeTerms(
            name="sim",
            prefix=PREFIX,
            spot=LegTerms(
                instrument=spot,
                account="s",
                maker_fee=fee,
                taker_fee=fee * r.choice((1, 2)),
                fee_in_base=bool(fee) and r.random() < 0.6,
                **common,
            ),
            futures=LegTerms(
                instrument=futures,
                account="f",
                maker_fee=fee,
                taker_fee=fee,
                **common,
            ),
            usd=quantity * PRICE if by_usd else None,
            quantity=None if by_usd else quantity,
            inventory=InventoryRule.ACCOUNT if r.random() < 0.2 else InventoryRule.MANAGED,
            hedge_ratio=ratio,
            funding=FundingTerms(stale_s=600, settlement_guard_s=r.choice((0, 60, 300))),
            execution=ExecutionTerms(
                requote_s=r.choice((5, 30)),
                requote_bps=Decimal(r.choice((2, 20))),
                patience_s=r.choice((10, 60, 300)),
                settle_s=r.choice((5, 10, 30) if self.edition == 1 else (3, 5, 10)),
                cross_bps_max=Decimal(r.choice((5, 50))),
                entry_basis_bps_min=Decimal(-1000),
                impact=Decimal("0.05"),
            ),
            limits=LimitTerms(
                exposure_max=exposure if own_exposure else None,
                audit_active_ms=r.choice((5_000, 10_000, 10_000)),
                audit_halt_ms=r.choice((10_000, 30_000)),
                after_external=AfterExternal.REHEDGE if r.random() < 0.5 else AfterExternal.ALARM,
                repair_after_s=r.choice((0, 0, 60, 300)),
                retry_ms=r.choice((1_000, 2_000)),
                spot_orders_per_minute=r.choice((30, 300)),
            ),
        )

    # -- what happens when -----------------------------------------------------------------------

    def moments(self, *, again: bool = False) -> list[tuple[int, str, dict[str, Any]]]:
        """Return every scheduled happening of the first phase: (at, what, with what).

        When they begin ``again``, the host dies in few of them: four starts within ten minutes lock
        the hedge, and nothing more would be seen of it.
        """
        found: list[tuple[int, str, dict[str, Any]]] = []

        def at(name: str) -> int:
            return int(self.dice(name).uniform(0.02, 0.95) * self.chaos)

        def some(name: str, least: int, most: int) -> range:
            if not self.has(name):
                return range(0)
            if self.edition > 1 and self.dice(name).random() < self.seldom:
                return range(0)
            return range(self.dice(name).randint(least, most))

        for name in ("disconnect_loud", "disconnect_silent"):
            if self.has(name):
                r, now = self.dice(name), 0
                while True:
                    now += max(int(r.expovariate(1) * self.disconnect_every), SECOND)
                    if now >= self.chaos:
                        break
                    found.append((now, name, {
                        "streams": r.randrange(1, 16),
                        "down": int(10 ** r.uniform(-1, self._rarely(r, 1.6, 0.5)) * SECOND),
                    }))  # fmt: skip
        for _ in some("read_burst", 1, 2):
            r = self.dice("read_burst")
            down = int(min(10 ** r.uniform(0, self._rarely(r, 2.8, 1)), 600) * SECOND)
            found.append((at("read_burst"), "read_burst", {"down": down}))
        for _ in some("ban", 1, 1):
            times = (5, 20, 120, 600) if self.edition == 1 else (*[5] * 6, 20, 20, 120, 600)
            down = int(self.dice("ban").choice(times) * SECOND)
            found.append((at("ban"), "ban", {"down": down}))
        for _ in some("mode_flip", 1, 1):
            down = self._while(self.dice("mode_flip"), 60)
            found.append((at("mode_flip"), "mode_flip", {"down": down}))
        for _ in some("halt_leg", 1, 2):
            r = self.dice("halt_leg")
            found.append((at("halt_leg"), "halt_leg", {
                "spot": r.random() < 0.5, "down": self._while(r, 90),
            }))  # fmt: skip
        for _ in some("deleveraging", 1, 2):
            share = self.dice("deleveraging").uniform(0.05, 1)
            found.append((at("deleveraging"), "deleveraging", {"share": share}))
        for _ in some("liquidation", 1, 1):
            found.append((at("liquidation"), "liquidation", {}))  # noqa: PERF401 - one draw each
        for _ in some("interval_change", 1, 1):
            found.append((at("interval_change"), "interval_change", {}))  # noqa: PERF401 - one draw each
        for _ in some("balance_change", 1, 3):
            r = self.dice("balance_change")
            found.append((at("balance_change"), "balance_change", {
                "lots": r.choice(self.ways) * int(10 ** r.uniform(0, 2)),
            }))  # fmt: skip
        for _ in some("manual_trade", 1, 2):
            r = self.dice("manual_trade")
            found.append((at("manual_trade"), "manual_trade", {
                "lots": r.choice((-1, 1)) * r.randint(1, 20), "named": r.random() < 0.5,
            }))  # fmt: skip
        for _ in some("unknown_execution", 1, 2):
            real = self.dice("unknown_execution").random() < 0.3
            found.append((at("unknown_execution"), "unknown_execution", {"real": real}))
        for name in CRASHES:
            if again and self.dice(name).random() < 0.8:
                continue
            most = 2 if self.edition == 1 else 1
            for _ in some(name, 1, most + (name == "crash_process")):
                r = self.dice(name)
                down = min(10 ** r.uniform(-1, 3.25), 1800)
                if self.edition > 1 and r.random() < 0.92:
                    down = 10 ** r.uniform(-1, 1)  # a supervisor starts it again
                found.append((at(name), name, {
                    "after": r.randrange(40), "down": int(down * SECOND), "kept": r.random(),
                }))  # fmt: skip
        for _ in some("disk_full", 1, 1):
            down = int(self.dice("disk_full").uniform(1, 60) * SECOND)
            found.append((at("disk_full"), "disk_full", {"down": down}))
        for _ in some("operator", 1, 5):
            r = self.dice("operator")
            found.append((at("operator"), "operator", {
                "verb": r.choice(("pause", "resume", "scale", "liquidate", "ack", "clear", "clear",
                                  "freeze", "lock", "adopt", "stop", "resolve")),
                "share": r.choice((0.0, 0.3, 0.5, 0.8, 1.0, 1.3)), "x": r.random(),
            }))  # fmt: skip
        if self.has("funding_gone"):
            found.append((at("funding_gone"), "funding_gone", {}))
        found.sort(key=lambda one: one[:2])
        return found

    def _rarely(self, r: Random, most: float, mostly: float) -> float:
        """Return ``mostly``, and in every eighth case ``most``."""
        return most if self.edition == 1 or r.random() < 0.125 else mostly

    def _while(self, r: Random, most: int) -> int:
        """Return a time between a second and ``most`` seconds; the short ones are as likely."""
        if self.edition == 1:
            return int(r.uniform(1, most) * SECOND)
        return int(most ** r.random() * SECOND)

    @property
    def long(self) -> bool:
        """Whether the second phase waits for a funding exit."""
        return self.has("funding_gone") and self.waits_for_exit


REJECT_CODES = ("POST_ONLY_WOULD_TAKE", "PRICE_COLLAR", "INSUFFICIENT_BALANCE", "HALTED", "-1008",
                "RATE_LIMIT")  # fmt: skip
FAULTS_LONGEST = 30 * MINUTE
NOTHING = ZERO
