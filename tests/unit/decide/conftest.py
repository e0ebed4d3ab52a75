"""Hands each test a desk, and closes the day's books of all of them when the test has ended."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desk import Desk
from toy import Venue, terms_of


@pytest.fixture
def open_desk():
    """Return a maker of desks; each one's journal is replayed and re-judged after the test."""
    desks = []

    def opened(venue=None, *, terms=None, start=True, action="default", **changes):
        desk = Desk(venue or Venue(), terms or terms_of(**changes))
        desks.append(desk)
        if start:
            desk.start(action)
        return desk

    yield opened
    for desk in desks:
        desk.close_the_day()


@pytest.fixture
def desk(open_desk):
    """Return a flat, unstarted desk of one coin per hedge at a price near 100."""
    return open_desk(start=False)


@pytest.fixture
def building(open_desk):
    """Return a desk that has bought and hedged some coins, with a slice of spot resting."""
    desk = open_desk()
    desk.funding()
    desk.work(lambda: desk.held[0] > 2)
    desk.run(2)
    assert desk.resting() is not None
    return desk
