"""What a key may do, judged before anything is sent: it must trade, and should do nothing else."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

from hedge.config.settings import AccountSettings
from hedge.config.values import VenueRef
from hedge.errors import Limited, Refused, redacted
from hedge.model.numbers import DAY, HOUR
from hedge.roles import AccountCheck, Clock, KeyRights
from hedge.runtime.supervise import ended
from hedge.runtime.words import utc

log = logging.getLogger(__name__)
NO_ACCOUNT = AccountSettings()
SOON = 14 * DAY
"""How long before its end a key is spoken of (safety F47)."""
EVERY, AFTER_FAILURE = DAY, HOUR
LOOK_S = 60
"""How long a daily look may take."""
Read = Callable[[Callable[[], Coroutine[Any, Any, KeyRights]]], Coroutine[Any, Any, KeyRights]]


class Findings(NamedTuple):
    """What is wrong with the keys of a hedge, a sentence each with its mend."""

    objections: tuple[str, ...] = ()
    """Why it must not begin."""
    endings: tuple[str, ...] = ()
    """Which keys end soon."""


class _Key(NamedTuple):
    ref: VenueRef
    check: AccountCheck
    account: AccountSettings | None
    environment: str


class Keys:
    """The keys that one hedge trades with: judged at its start, and every day again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[tuple[str, str], _Key] = {}

    def add(
        self,
        ref: VenueRef,
        check: AccountCheck,
        account: AccountSettings | None,
        environment: str,
    ) -> None:
        """Have a leg's key judged, too; one key of both legs is judged once."""
        self._keys[ref.venue, ref.account_name] = _Key(ref, check, account, environment)

    async def judge(self, read: Read) -> Findings:
        """Read the rights of all keys with ``read``; raise what their venues answer instead."""
        objected: list[str] = []
        ending: list[str] = []
        for ref, check, account, environment in self._keys.values():
            with whose(ref):
                rights = await read(check.read_key_rights)
            objected += objections(ref, rights, account, environment)
            ends_at = rights.expires_at
            if ends_at is not None and ends_at - self._clock.now() < SOON:
                ending.append(
                    f"{ref}: the key ends on {utc(ends_at)[:10]}; renew it at the venue, or put"
                    f" another in its place (accounts.{ref.account_name}) and start again"
                )
        return Findings(tuple(objected), tuple(ending))

    async def watch(self, tell: Callable[[Findings], None]) -> None:
        """Judge them each day, and ``tell``; a venue that refuses a key objects to it."""
        pause = EVERY
        while True:
            await self._clock.sleep_until(self._clock.now() + pause)
            look = ended("a look at the keys", self.judge(_once), within_s=LOOK_S)
            (found,) = await asyncio.gather(look, return_exceptions=True)
            if isinstance(found, Refused) and not isinstance(found, Limited):
                found = Findings(objections=(redacted(str(found)),))
            pause = EVERY if isinstance(found, Findings) else AFTER_FAILURE
            if isinstance(found, Findings):
                tell(found)
            else:
                what = redacted(f"{type(found).__name__}: {found}")
                log.warning("the keys were not looked at, again in an hour: %s", what)


async def _once(read: Callable[[], Coroutine[Any, Any, KeyRights]]) -> KeyRights:
    return await read()


def objections(
    ref: VenueRef, rights: KeyRights, account: AccountSettings | None, environment: str
) -> tuple[str, ...]:
    """Return why a hedge must not begin with this key, a sentence each with its mend.

    Safety part 6, point 1: a key that can withdraw or transfer, or that works from any address on
    a live venue, is a key that can be robbed; both can be allowed, by account and by name.
    """
    account = account or NO_ACCOUNT
    name = f"accounts.{ref.account_name}"
    found = []
    if not rights.trade:
        found.append(
            f"{ref}: KEY_NO_TRADE: the key may not trade what this hedge trades with it;"
            " give it the right to at the venue"
        )
    if rights.withdraw and not account.allow_withdraw:
        found.append(
            f"{ref}: KEY_WITHDRAWS: the key can withdraw or transfer; take that right away at the"
            f" venue, or set {name}.allow_withdraw"
        )
    if environment == "live" and rights.ip_bound is False and not account.allow_any_ip:
        found.append(
            f"{ref}: KEY_ANY_IP: the key works from any address; bind it to this server's at the"
            f" venue, or set {name}.allow_any_ip"
        )
    return tuple(found)


@contextlib.contextmanager
def whose(ref: VenueRef) -> Iterator[None]:
    """Name the account in what its venue refuses: there may be several at one venue."""
    try:
        yield
    except Refused as error:
        if ref.account:
            error.args = (f"{error} (account {ref.account})",)
        raise
