"""What a key may do, judged before anything is sent: it must trade, and should do nothing else."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from hedge.config.settings import AccountSettings
from hedge.config.values import VenueRef
from hedge.errors import Limited, Refused, redacted
from hedge.model.numbers import DAY, HOUR
from hedge.roles import AccountCheck, Clock, KeyRights
from hedge.runtime.supervise import ended
from hedge.runtime.whose import whose
from hedge.runtime.words import utc

log = logging.getLogger(__name__)
NO_ACCOUNT = AccountSettings()
ENDS_SOON = 14 * DAY
"""How long before its end a key is spoken of (safety F47)."""
LOOK_EVERY, LOOK_AGAIN = DAY, HOUR
"""How long after a look the next one comes, and after one that failed."""
UNREAD_MAX = 2 * DAY
LOOK_TIMEOUT_S = 60
Read = Callable[[Callable[[], Coroutine[Any, Any, KeyRights]]], Coroutine[Any, Any, KeyRights]]


class Findings(NamedTuple):
    """What is wrong with the keys of a hedge, a sentence each with its mend."""

    objections: tuple[str, ...] = ()
    """Why it must not begin."""
    endings: tuple[str, ...] = ()
    """Which keys end soon."""
    unread: str = ""
    """Why nothing could be found."""


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
            if ends_at is not None and ends_at - self._clock.now() < ENDS_SOON:
                ending.append(
                    f"{ref}: the key ends on {utc(ends_at)[:10]}; renew it at the venue, or put"
                    f" another in its place (accounts.{ref.account_name}) and start again"
                )
        return Findings(tuple(objected), tuple(ending))

    async def watch(self, tell: Callable[[Findings], None]) -> None:
        """Judge them each day, and ``tell``; a venue that refuses a key objects to it."""
        pause, looked_at = LOOK_EVERY, self._clock.now()
        while True:
            await self._clock.sleep_until(self._clock.now() + pause)
            found = await self._look()
            pause = LOOK_AGAIN if found.unread else LOOK_EVERY
            if not found.unread:
                looked_at = self._clock.now()
            elif self._clock.now() - looked_at < UNREAD_MAX:
                continue
            else:
                looked_at += DAY  # and once a day from then on
            tell(found)

    async def _look(self) -> Findings:
        look = ended("a look at the keys", self.judge(_once), within_s=LOOK_TIMEOUT_S)
        # Whatever a plugin makes of it: a hedge that runs does not end for a key's rights.
        (found,) = await asyncio.gather(look, return_exceptions=True)
        if isinstance(found, Findings):
            return found
        if isinstance(found, Refused) and not isinstance(found, Limited):
            return Findings(objections=(redacted(str(found)),))
        why = redacted(f"{type(found).__name__}: {found}")
        log.warning("the keys were not looked at, again in an hour: %s", why)
        return Findings(unread=f"for two days nobody could say what the keys may do: {why}")


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
