"""Goal: an id of ours goes to each venue in its own style and comes back as it was.
Method: random ids of every lawful length, the seed printed; and ids that nobody takes.
"""

import random
import re

import pytest

from hedge.errors import Missing
from hedge_ccxt.order_ids import DIGITS, LENGTH_MAX, IdStyle, from_venue, lawful, to_ask, to_place

SEED = random.SystemRandom().randrange(10**9)
RULES = {
    IdStyle.PLAIN: re.compile(r"[0-9A-Z]{1,32}"),
    IdStyle.GATE: re.compile(r"[0-9A-SU-Z][0-9A-Z]{0,27}"),
    IdStyle.HEX: re.compile(r"0x[0-9a-f]{32}"),
}


@pytest.mark.parametrize("style", IdStyle)
def test_every_id_comes_back(style):
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(300):
        ours = "H" + "".join(rng.choices(DIGITS, k=rng.randrange(LENGTH_MAX)))
        placed = to_place(style, ours)
        assert RULES[style].fullmatch(placed), ours
        assert from_venue(style, placed) == from_venue(style, to_ask(style, ours)) == ours


def test_zeros_in_front_are_kept():
    assert from_venue(IdStyle.HEX, to_place(IdStyle.HEX, "00A")) == "00A"


def test_gates_prefix_is_asked_for_and_not_placed():
    assert to_place(IdStyle.GATE, "HA1") == "HA1"
    assert to_ask(IdStyle.GATE, "HA1") == from_venue(IdStyle.GATE, "t-HA1").join(("t-", ""))


@pytest.mark.parametrize("foreign", ["autoclose-1", "0x" + "f" * 32, "0xzz", "t-web", "x" * 40])
def test_a_foreign_id_stays_what_it_is(foreign):
    assert from_venue(IdStyle.HEX, foreign) == foreign
    assert from_venue(IdStyle.PLAIN, None) == ""


@pytest.mark.parametrize("bad", ["", "T1", "a", "A-1", "A" * 24])
def test_an_id_that_no_venue_would_take_is_not_sent(bad):
    assert not lawful(bad)
    with pytest.raises(Missing):
        to_place(IdStyle.PLAIN, bad)
