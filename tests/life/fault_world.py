"""The whole asyncio program under seeded faults and crashes: one seed, one life, one verdict.

The real session, pump, effects, recovery, journal and report run on virtual time against the
simulated venue; the judge reads only the venue's durable record and the journal. A crash abandons
the process where it stands: the loop is dropped, files stay as they were written.
"""

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedge.config.layers import Flags
from hedge.config.plan import RunPlan
from hedge.config.resolver import resolve
from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.errors import LockHeld, VenueError
from hedge.journal import read_rows
from hedge.model import Leg, Side
from hedge.model.numbers import MINUTE, SECOND
from hedge.plugins.host import load_plugins
from hedge.report.attribution import attribute
from hedge.runtime.clock import VirtualClock, VirtualLoop
from hedge.runtime.session import Session
from hedge_sim.truth import read_truth

FAULTS_S = 1_500
LIVES_MAX = 20
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where the files lie: only processes die here, and a disk's syncs would be waited for in vain."""
CHANCES = {
    "request_lost": 0.1,
    "reply_lost": 0.15,
    "slow_processing": 0.1,
    "error_accepted": 0.1,
    "error_refused": 0.1,
    "rate_limit": 0.05,
    "reject": 0.1,
    "partial_ioc": 0.5,
    "read_error": 0.3,
    "stale_read": 0.5,
    "duplicate_message": 0.5,
    "drop_message": 0.3,
    "reorder_message": 0.5,
    "snapshot_replay": 0.5,
    "resubscribe_failure": 0.2,
}


class Crash(SystemExit):
    """The end of a process, in the middle of whatever it was doing."""


@dataclass
class Life:
    """What one seed came to."""

    seed: int
    drawn: dict[str, Any]
    lives: int = 0
    reason: str = ""
    rows: int = 0
    orders: int = 0
    wrong: list[str] = field(default_factory=list)


def draw(seed: int) -> dict[str, Any]:
    """Return the settings of one seed; each class of fault is off in half the seeds."""
    rng = random.Random(f"life-{seed}")
    faults: dict[str, Any] = {"until_s": FAULTS_S}
    for name, most in CHANCES.items():
        if rng.random() < 0.5:
            faults[name] = round(rng.uniform(0.01, most), 3)
    if rng.random() < 0.5:
        faults["disconnect_every_s"] = rng.choice((30, 120, 400))
    if rng.random() < 0.2:
        faults["deleveragings"] = [{"after_fills": rng.randint(3, 12), "share": 0.4}]
    mode = rng.choice(("received", "quote", "coin"))
    return {
        "faults": faults,
        "fee_mode": mode,
        "latency": rng.choice((1, 20, 150, 400)),
        "lot": rng.choice(("0.001", "0.002", "0.0001")),
        "notional_min": rng.choice(("5", "100")),
        "crashes": rng.randint(0, 3) if rng.random() < 0.5 else 0,
        "usd": rng.choice((900, 1500, 2500)),
        "shared": rng.random() < 0.5,
        "crash_rows": [rng.randint(1, 60) for _ in range(3)],
        "rehedge": rng.random() < 0.5,
    }


def config(seed: int, drawn: dict[str, Any]) -> str:
    """Return the life as a configuration file, as a user would write it."""
    faults = "\n".join(
        f"{name} = {value}" for name, value in drawn["faults"].items() if name != "deleveragings"
    )
    for one in drawn["faults"].get("deleveragings", []):
        faults += (
            "\n[[venues.sim.faults.deleveragings]]\n"
            f'after_fills = {one["after_fills"]}\nshare = "{one["share"]}"'
        )
    futures = "sim" if drawn["shared"] else "sim@other"
    after = "rehedge" if drawn["rehedge"] else "alarm"
    return f"""
[run]
speed = "max"
[venues.sim]
data = "bundled:btc-8h"
seed = {seed}
start = "2024-04-18T20:00:00Z"
latency_ms = {drawn["latency"]}
[venues.sim.balances]
USDT = "20000"
BNB = "3"
[venues.sim.fees]
fee_mode = "{drawn["fee_mode"]}"
[venues.sim.futures]
lot = "{drawn["lot"]}"
notional_min = "{drawn["notional_min"]}"
[venues.sim.faults]
{faults}
[hedges.life]
spot = "sim"
futures = "{futures}"
symbol = "BTC/USDT"
usd = "{drawn["usd"]}"
action = "single"
[hedges.life.funding]
exit_confirmations = 2
[hedges.life.limits]
audit_halt_ms = 600000
after_external = "{after}"
"""


def live(seed: int) -> Life:
    """Run one seed to its end and judge it."""
    drawn = draw(seed)
    life = Life(seed, drawn)
    folder = Path(tempfile.mkdtemp(prefix=f"life-{seed}-", dir=MEMORY))
    try:
        path = folder / "hedge.toml"
        path.write_text(config(seed, drawn))
        path.chmod(0o600)
        resolved = resolve(environ={}, cwd=folder, config_path=path, flags=Flags(names=("life",)))
        plan = RunPlan(
            resolved=resolved, names=("life",), request_id="life", speed="max", enter_now=True,
            state_dir=folder, runtime_dir=folder, environments={"sim": "local"},
        )  # fmt: skip
        crashes = drawn["crash_rows"][: drawn["crashes"]]
        while not life.reason and life.lives < LIVES_MAX:
            one_process(plan, life, crashes)
            life.lives += 1
        judge(folder / "life", life)
    finally:
        shutil.rmtree(folder)
    return life


def one_process(plan: RunPlan, life: Life, crashes: list[int]) -> None:
    """Run one process of the engine until it ends or is crashed at a row."""
    loop = VirtualLoop()
    limit = crashes.pop(0) if crashes else None
    session: list[Session] = []

    async def main() -> None:
        clock = VirtualClock(loop)
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        one = Session("life", plan, host, clock)
        session.append(one)
        left = itertools.count()

        def watch(_row: Any) -> None:
            if limit is not None and next(left) >= limit:
                raise Crash

        try:
            await one.open({}, (watch,))
            await one.start()
            person(one, clock)
            life.reason = (await one.ended).reason
        except VenueError as error:
            del error  # the supervisor starts it again
            await clock.sleep_until(clock.now() + 10 * SECOND)
        await one.close()

    try:
        loop.run_until_complete(main())
    except Crash:
        abandon(session[0])
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            task._log_destroy_pending = False
        loop.set_exception_handler(lambda *_: None)
        loop.close()


def abandon(session: Session) -> None:
    """What the kernel does for a dead process: descriptors close, locks go; nothing is flushed."""
    session._locks.close()
    session.log.close()
    for shared in (session.roles.spot_gateway, session.roles.futures_gateway):
        truth = shared.venue.truth
        with contextlib.suppress(LockHeld, ValueError):
            truth.close()


def person(session: Session, clock: VirtualClock) -> None:
    """Someone who comes by when the faults are over, looks, and clears what tripped."""
    numbers = itertools.count()

    def visit() -> None:
        if session.ended.done():
            return
        at = clock.now()
        for verb, subject in ((e.Verb.CLEAR, "*"), (e.Verb.ACK, "*")):
            session.ask(
                e.OperatorAsked(
                    at=at, verb=verb, subject=subject, request_id=f"{at}-{next(numbers)}"
                )
            )
        clock.call_at(at + 30 * MINUTE, visit)

    clock.call_at(clock.now() + (FAULTS_S + 300) * SECOND, visit)


def judge(folder: Path, life: Life) -> None:
    """Compare the venue's record with the journal: every rule that must hold for every life."""
    wrong = life.wrong
    if not (folder / "journal.log").exists():
        return  # no process ever got as far as an order
    rows = list(read_rows(folder / "journal.log"))
    life.rows = len(rows)
    placed = [row.entry.order for row in rows if isinstance(row.entry, c.PlaceOrder)]
    life.orders = len(placed)
    ids = {order.client_order_id for order in placed}
    if len(ids) != len(placed):
        wrong.append("I5: an id was used twice")
    truths = [read_truth(path) for path in sorted(folder.glob("sim-*.truth"))]
    seen = [one for truth in truths for one in truth.orders.values()]
    ours = [one for one in seen if one.order.client_order_id[:1] == "H"]
    if not {one.order.client_order_id for one in ours} <= ids:
        wrong.append("I5: the venue saw an order that the journal does not know")
    if any(getattr(row.entry, "code", "") == "DUPLICATE_ID" for row in rows):
        wrong.append("I5: an order was sent twice")
    if not placed:
        return
    if life.reason != "UNWOUND":
        wrong.append(f"I20: ended {life.reason or 'never'}")
    never_over_hedged(truths, life)
    coins = sum(truth.balances.get("BTC", Decimal(0)) for truth in truths)
    if coins > Decimal("0.0002") or coins < 0:
        wrong.append(f"I1: {coins} BTC were left")
    if any(one.quantity for truth in truths for one in truth.positions.values()):
        wrong.append("I1: a position was left")
    report = attribute(rows)
    forced = bool(life.drawn["faults"].get("deleveragings"))
    if report.unexplained is None or abs(report.unexplained) > (Decimal("0.5") if forced else 0):
        wrong.append(f"report: unexplained {report.unexplained}")


def never_over_hedged(truths: list[Any], life: Life) -> None:
    """I3 and I8 on the venue's own sequence of orders and fills."""
    lot = Decimal(life.drawn["lot"])
    happened = sorted(
        ((fill.filled_at, 0, fill) for truth in truths for fill in truth.fills),
        key=lambda one: one[0],
    )
    spot = position = Decimal(0)
    for _, _, fill in happened:
        if fill.leg is Leg.SPOT:
            spot += fill.signed_quantity
            if fill.fee_asset == "BTC":
                spot -= fill.fee
            if spot < 0:
                life.wrong.append(f"I8: spot went to {spot}")
            continue
        position += fill.signed_quantity
        if position > 0:
            life.wrong.append(f"I8: the position went to {position}")
        grown = fill.side is Side.SELL
        if grown and -position > spot + lot:
            life.wrong.append(f"I3: short {-position} against {spot}")


def main() -> None:
    first, last = int(sys.argv[1]), int(sys.argv[2])
    bad = 0
    for seed in range(first, last):
        life = live(seed)
        if life.wrong:
            bad += 1
            print(seed, life.lives, life.reason, life.rows, life.wrong, life.drawn, flush=True)
    print(f"{last - first} lives, {bad} wrong")


if __name__ == "__main__":
    main()
