"""Goal: connections of an account are opened once, closed once, and may be opened again.
Method: a session that counts, opened and closed by several roles, side by side, and in failure.
"""

import asyncio
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hand_clock import HandClock, run, turns, until, until_after

from hedge.errors import Malformed, Missing, Unreachable
from hedge.model.numbers import SECOND
from hedge.roles import VenueContext
from hedge.transport import Listings, Once, Session, SessionRole
from hedge.transport.once import KEPT


class Counting(Session):
    def __init__(self, context):
        super().__init__(context)
        self.begun = self.ended = 0
        self.down = False

    async def begin(self):
        self.stack.callback(self.end)
        await asyncio.sleep(0)
        if self.down:
            raise Unreachable("down")
        self.begun += 1

    def end(self):
        self.ended += 1


class Role(SessionRole[Counting]):
    session_type = Counting


def context():
    return VenueContext(settings=None, clock=HandClock(), shared={})


def test_the_first_opens_and_the_last_closes_and_it_opens_again():
    async def main():
        given = context()
        one, other = Role(given), Role(given)
        session = one.session
        assert session is other.session and Role(context()).session is not session
        for times in (1, 2):
            await asyncio.gather(one.__aenter__(), other.__aenter__())
            assert (session.begun, session.ended) == (times, times - 1)
            await one.__aexit__(None, None, None)
            assert session.ended == times - 1
            await other.__aexit__(None, None, None)
            assert session.ended == times

    run(main())


def test_a_beginning_that_fails_leaves_nothing_open_and_counts_nobody():
    async def main():
        role = Role(context())
        role.session.down = True
        with pytest.raises(Unreachable):
            await role.__aenter__()
        assert role.session.ended == 1
        role.session.down = False
        async with role:
            assert role.session.begun == 1
        assert role.session.ended == 2

    run(main())


@pytest.mark.parametrize("fails", [Missing("no such account"), asyncio.CancelledError()])
def test_a_role_that_cannot_be_entered_leaves_nothing_open(fails):
    class Picky(Role):
        async def entered(self):
            raise fails

    async def main():
        given = context()
        role = Picky(given)
        with pytest.raises(type(fails)):
            await role.__aenter__()
        assert (role.session.begun, role.session.ended) == (1, 1)
        async with Role(given) as other:
            with pytest.raises(type(fails)):
                await role.__aenter__()
            assert other.session.ended == 1, "the other still uses it"
        assert role.session.ended == 2

    run(main())


def test_the_one_session_is_made_of_what_the_first_role_gave():
    class Named(Session):
        def __init__(self, context, name):
            super().__init__(context)
            self.name = name

    class NamedRole(SessionRole[Named]):
        session_type = Named

    given = context()
    assert NamedRole(given, "acme").session is NamedRole(given, "acme").session
    assert NamedRole(given, "acme").session.name == "acme"


def test_work_of_the_session_ends_with_it_and_no_answer_of_the_venue_ends_it():
    async def main():
        role, tries = Role(context()), []
        session, clock = role.session, role.session.clock
        answers = [Unreachable("down"), Malformed("nonsense"), None, None]

        async def look():
            tries.append(clock.now())
            if error := answers[len(tries) - 1]:
                raise error

        for times in (2, 4):
            async with role:
                session.start(session.every(SECOND, look))
                await until_after(clock, lambda: len(tries) == times)  # noqa: B023 - awaited here
            clock.advance(5_000)
            await turns()
            assert len(tries) == times, "it ended with the session, and begins again with it"
        assert all(after - before >= SECOND for before, after in pairwise(tries))

    run(main())


def test_work_that_ends_by_surprise_is_told_to_the_loop():
    async def main():
        told, role = [], Role(context())
        asyncio.get_running_loop().set_exception_handler(lambda _, one: told.append(one))

        async def work():
            raise KeyError("surprise")

        async with role:
            role.session.start(work())
            await until(lambda: told)
        assert isinstance(told[0]["exception"], KeyError)
        assert __name__ in told[0]["message"]

    run(main())


def listed(*symbols):
    return [SimpleNamespace(instrument=SimpleNamespace(symbol=symbol)) for symbol in symbols]


def test_an_instrument_is_looked_up_in_what_was_read_last_and_missed_in_what_is_there_now():
    async def main():
        asked = []

        async def read():
            asked.append(1)
            return listed("BTC/USDT", *(["NEW/USDT"] if len(asked) > 1 else []))

        listings = Listings("acme", read)
        assert (await listings.get("BTC/USDT")).instrument.symbol == "BTC/USDT"
        await listings.get("BTC/USDT")
        assert len(asked) == 1
        await listings.get("NEW/USDT")
        assert len(asked) == 2 and len(await listings.all()) == 2
        with pytest.raises(Missing, match="acme has no XYZ/USDT"):
            await listings.get("XYZ/USDT")

    run(main())


def test_what_was_told_is_told_once_and_only_so_much_is_remembered():
    once = Once(kept=2)
    keys = [SimpleNamespace(key=key) for key in "aabca"]
    assert [one.key for one in once.new(keys[:4])] == ["a", "b", "c"]
    assert [one.key for one in once.new([*keys[3:], keys[2]])] == ["a"]


def test_a_full_memory_forgets_the_oldest_and_nothing_else():
    once = Once()
    keys = [SimpleNamespace(key=key) for key in range(2 * KEPT + 1)]
    assert once.new(keys[:KEPT]) == keys[:KEPT]
    assert all(once.new([one]) == [one] for one in keys[KEPT:])
    assert once.new(keys[KEPT + 1 :]) == [], "all that there is room for"
    assert once.new([keys[KEPT]]) == [keys[KEPT]]
