"""What a key may do, judged before anything is sent: it must trade, and should do nothing else."""

import contextlib
from collections.abc import Iterator

from hedge.config.settings import AccountSettings
from hedge.config.values import VenueRef
from hedge.errors import Refused
from hedge.roles import KeyRights

NO_ACCOUNT = AccountSettings()


def objections(
    ref: VenueRef, rights: KeyRights, account: AccountSettings | None, environment: str
) -> tuple[str, ...]:
    """Return why a hedge must not begin with this key, a sentence each with its mend.

    Safety part 6, point 1: a key that can withdraw, or that works from any address on a live
    venue, is a key that can be robbed; both can be allowed, by account and by name.
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
            f"{ref}: KEY_WITHDRAWS: the key can withdraw; take that right away at the venue,"
            f" or set {name}.allow_withdraw"
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
