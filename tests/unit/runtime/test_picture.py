"""Goal: what is shown of a hedge is true of it now, not of what it was when it was last read.

Method: a session on the simulated venue builds a hedge, and is looked at each 100 ms of its time.
"""

from collections import defaultdict
from pathlib import Path

from planning import SIMULATED, planned

from hedge.model.numbers import MS
from hedge.plugins.host import load_plugins
from hedge.runtime.clock import VirtualClock, VirtualLoop
from hedge.runtime.session import Session
from hedge.runtime.snapshot import HedgeSnapshot

CONFIG = (
    SIMULATED
    + """\
[hedges.one]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "1500"
action = "single"
"""
)
LOOKS_MAX = 10_000
AFTER = 150
"""Looks behind the end of the build: the account is read again within 10 s."""


def looked_at(folder: Path) -> list[HedgeSnapshot]:
    """Return what was seen from the first moment until a while after the build."""
    plan = planned(folder, CONFIG)
    loop = VirtualLoop()

    async def main() -> list[HedgeSnapshot]:
        clock = VirtualClock(loop)
        session = Session(
            "one", plan, load_plugins(["sim"], venues=plan.resolved.settings.venues), clock
        )
        seen: list[HedgeSnapshot] = []
        try:
            await session.open({})
            await session.start()
            while len(seen) < LOOKS_MAX and [one.phase for one in seen[-AFTER:]] != (
                ["watching"] * AFTER
            ):
                await clock.sleep_until(clock.now() + 100 * MS)
                seen.append(session.snapshot())
        finally:
            await session.close()
        return seen

    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


def test_a_liquidation_price_is_of_the_position_that_is_held(tmp_path):
    """Each fill of the short brings it nearer: the price of one size is the price of no other."""
    seen = looked_at(tmp_path)
    sizes, ratios = defaultdict(set), defaultdict(set)
    for one in seen:
        if one.liquidation_price:
            sizes[one.liquidation_price].add(one.position)
            ratios[one.margin_ratio].add(one.position)
        assert (one.liquidation_price is None) == (one.liquidation_distance is None)
    assert len(sizes) > 1, "it was read once at most while the hedge was built"
    assert all(len(found) == 1 for found in sizes.values()), sizes
    assert all(len(found) == 1 for found in ratios.values()), ratios
    assert seen[-1].phase == "watching", seen[-1]
    assert seen[-1].liquidation_price and seen[-1].margin_ratio, "a read shows it again"
