"""Goal: the quotes that the engine does not look at are those that would have changed nothing.

Method: two desks in lock-step through one seeded market; one engine looks at every quote. Orders,
cancels, modes and books must be the same to the last digit; a failure prints its seed.
"""

import random
from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from desk import Desk
from toy import FUTURES, SPOT, Venue, terms_of

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.mode import Mode
from hedge.decide.rows import belongs


class Watchful(Engine):
    """Looks again at every quote while a price may matter."""

    looked = 0

    def _quote_matters(self):
        self.volatile.calm = None
        matters = super()._quote_matters()
        self.looked += matters
        return matters


class Counting(Engine):
    looked = 0

    def _quote_matters(self):
        matters = super()._quote_matters()
        self.looked += matters
        return matters


def live(kind, seed, terms):
    """Live through a build and an exit in a market that drifts, jumps and gaps its basis."""
    rng = random.Random(seed)
    desk = Desk(Venue(), terms)
    desk.engine = kind(terms)
    desk.tell(e.EngineStarted, boot_id="boot", epoch=1, terms=terms)
    desk.market()
    desk.ask("default", now=True)
    for step in range(900):
        roll = rng.random()
        if roll < 0.15:
            desk.venue.price += D(rng.randint(-1, 1)) / 100
        elif roll < 0.17:
            desk.venue.price += D(rng.randint(-40, 40)) / 100
        gap = rng.random()
        desk.venue.futures_price = desk.venue.price + (
            D(rng.randint(-30, 30)) / 100 if gap < 0.02 else D(0)
        )
        share = rng.random()
        if desk.resting(SPOT) is not None and rng.random() < 0.02:
            order = desk.resting(SPOT).order
            part = (order.quantity * D(str(round(share, 2)))).quantize(D("0.001"))
            desk.fill(part or order.quantity)
        if rng.random() < 0.05:
            desk.script[FUTURES].append(rng.choice(["miss", "half"]))
        if step == 600:
            desk.verb("liquidate", request="out")
        desk.blink(200)
        if desk.ended:
            break
    return desk


def deeds(desk):
    kinds = (c.PlaceOrder, c.CancelOrder, c.ChangeMode, c.SetTarget, c.SetTrip, c.EndRun)
    return [x for x in desk.commands if isinstance(x, kinds) and belongs(x)]


PLAIN = {"limits": {"exposure_max": D(150)}}
OFFSET = PLAIN | {"execution": {"offset_ticks": 2}}
AGEING = PLAIN | {"execution": {"requote_s": 2, "requote_bps": D(8)}}
TIGHT = {
    # Fine lots and a wide window: what rests outgrows its budget before the touch leaves it.
    "spot": {"lot": D("0.00001")},
    "futures": {"lot": D("0.00001")},
    "limits": {"exposure_max": D(90)},
    "execution": {"requote_bps": D(60), "requote_s": 600},
}


@pytest.mark.parametrize("case", [PLAIN, OFFSET, AGEING, TIGHT])
@pytest.mark.parametrize("seed", range(5))
def test_skipped_quotes_change_no_deed(seed, case):
    terms = terms_of(**case)
    calm, watchful = live(Counting, seed, terms), live(Watchful, seed, terms)
    mine, theirs = deeds(calm), deeds(watchful)
    for at, (one, other) in enumerate(zip(mine, theirs, strict=False)):
        assert one == other, f"seed {seed}: deed {at}: {one} != {other}"
    assert len(mine) == len(theirs), f"seed {seed}"
    assert calm.books.state_hash() == watchful.books.state_hash(), f"seed {seed}"
    assert len(calm.orders()) > 5 and calm.engine.looked < watchful.engine.looked, f"seed {seed}"
    assert calm.mode in (Mode.HALT, Mode.LIQUIDATION)
