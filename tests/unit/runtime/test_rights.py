"""Goal: a key that may too little or too much is refused, with the mend in the sentence.
Method: every combination of rights, account settings and environment; days of virtual time.
"""

from itertools import product

import pytest

from hedge.config.settings import AccountSettings
from hedge.config.values import VenueRef
from hedge.errors import Limited, Refused, Unreachable
from hedge.model.numbers import DAY, HOUR, SECOND
from hedge.roles import KeyRights
from hedge.runtime.clock import VirtualClock, VirtualLoop
from hedge.runtime.rights import Findings, Keys, objections

REF = VenueRef.parse("bybit@carry")
SOUND = KeyRights(trade=True, withdraw=False, ip_bound=True)
T0 = 1_700_000_000 * SECOND


class Check:
    """A venue that says in turn what it was given, and then that all is well."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def read_key_rights(self):
        answer = self.answers.pop(0) if self.answers else SOUND
        if isinstance(answer, Exception):
            raise answer
        return answer


def on_virtual_time(main):
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    clock.begin_at(T0)
    try:
        return loop.run_until_complete(main(clock))
    finally:
        loop.close()


def told_within(days, check):
    """Return what a watch of ``check`` tells, and on which day and hour."""

    async def main(clock):
        keys = Keys(clock)
        keys.add(REF, check, None, "live")
        told = []
        watch = clock._loop.create_task(keys.watch(lambda found: told.append((clock.now(), found))))
        await clock.sleep_until(T0 + days * DAY + HOUR // 2)
        watch.cancel()
        return [(divmod((at - T0) // HOUR, 24), found) for at, found in told]

    return on_virtual_time(main)


@pytest.mark.parametrize(("days", "said"), [(-1, True), (1, True), (13, True), (15, False)])
def test_a_key_that_ends_soon_is_told_and_refused_by_nobody(days, said):
    async def main(clock):
        keys = Keys(clock)
        ends = KeyRights(trade=True, withdraw=False, ip_bound=True, expires_at=T0 + days * DAY)
        check = Check(ends)
        for _ in range(2):
            keys.add(REF, check, None, "live")
        return await keys.judge(lambda read: read())

    found = on_virtual_time(main)
    assert not found.objections and bool(found.endings) is said
    if said:
        (line,) = found.endings
        assert line.startswith("bybit@carry: the key ends on 2023-11-") and "renew it" in line


def test_a_key_is_looked_at_each_day_and_an_hour_after_a_look_that_failed():
    robbed = KeyRights(trade=True, withdraw=True, ip_bound=True)
    check = Check(
        SOUND, robbed, Unreachable("no answer"), Limited("too fast"), RuntimeError("a bug"), SOUND,
        Refused("bybit 10003: no such key", code="10003"),
    )  # fmt: skip
    told = told_within(6, check)
    assert [when for when, _ in told] == [(1, 0), (2, 0), (3, 3), (4, 3), (5, 3)]
    clean = Findings()
    assert [found for _, found in told[::2]] == [clean, clean, clean]
    (stolen,) = told[1][1].objections
    assert "can withdraw" in stolen
    assert told[3][1].objections == ("bybit 10003: no such key (account carry)",)


def test_keys_that_nobody_can_read_are_said_after_two_days():
    check = Check(SOUND, *[Unreachable("no answer")] * 30, SOUND)
    told = told_within(4, check)
    unread = [when for when, found in told if found.unread]
    assert [when for when, found in told if not found.unread] == [(1, 0), (3, 6)]
    assert unread == [(3, 0)], "and once a day from then on"
    assert "Unreachable" in told[1][1].unread


def test_every_combination():
    yes_no = (False, True)
    for trade, withdraw, bound, allow, anywhere, where in product(
        yes_no, yes_no, (None, False, True), yes_no, yes_no, ("live", "testnet", "local")
    ):
        rights = KeyRights(trade=trade, withdraw=withdraw, ip_bound=bound)
        account = AccountSettings(allow_withdraw=allow, allow_any_ip=anywhere)
        said = "\n".join(objections(REF, rights, account, where))
        assert ("may not trade" in said) is (not trade)
        assert ("accounts.carry.allow_withdraw" in said) is (withdraw and not allow)
        unbound = bound is False and where == "live" and not anywhere
        assert ("accounts.carry.allow_any_ip" in said) is unbound


def test_without_an_account_nothing_is_allowed():
    rights = KeyRights(trade=True, withdraw=True, ip_bound=False)
    assert len(objections(REF, rights, None, "live")) == 2


def test_a_leg_without_an_account_trades_with_the_one_called_like_its_venue():
    names = {text: VenueRef.parse(text).account_name for text in ("binance", "ccxt:okx", "a@b")}
    assert names == {"binance": "binance", "ccxt:okx": "okx", "a@b": "b"}
