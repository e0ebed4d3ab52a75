"""Goal: the bundled venues and the example pass every card that is for them.

Method: the kit itself, at level offline, over the simulated venue, its dialects and the toy.
"""

import pytest
from bench import AT_ONCE, failed, install, installed, run_kit

from hedge.testing import Stand, all_cards

CARDS_MIN = 60
PATIENCE_S = 15
"""The machine is shared with the other half of the tests."""
SKIPS = {"sim": 9, "bybit": 7, "binance": 7, "ccxt:binance": 8, "ccxt:bybit": 8}


def test_there_are_enough_cards_and_each_says_what_it_wants():
    cards = all_cards()
    assert len(cards) >= CARDS_MIN
    for card in cards:
        assert card.prerequisite and card.action and card.expected and card.skipped_when


def test_the_toy_passes_every_card(tmp_path):
    with installed(install(tmp_path)):
        results = run_kit(Stand(venue="toy"))
    assert {one.word for one in results} == {"ok"}, failed(results)
    assert len(results) == len(all_cards())


@pytest.mark.parametrize("venue", SKIPS)
@pytest.mark.filterwarnings("ignore:websockets")
def test_a_bundled_venue_passes_what_is_for_it(venue):
    heavy = venue.startswith("ccxt:")
    results = run_kit(Stand(venue=venue, patience_s=PATIENCE_S), at_once=6 if heavy else AT_ONCE)
    missed = failed(results)
    assert not missed, missed
    skipped = {one.card: one.why for one in results if one.word == "skipped"}
    assert len(skipped) == SKIPS[venue], skipped
    assert all(skipped.values())
