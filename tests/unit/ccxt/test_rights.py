"""Goal: what a key may do, and until when, is read as each venue says it.
Method: answers as the venues document them, against their profiles.
"""

import pytest

pytest.importorskip("ccxt.pro")

from hedge.errors import Malformed
from hedge.model import Leg
from hedge.model.numbers import SECOND
from hedge_ccxt.check import rights_of
from hedge_ccxt.profiles import PROFILES

LEGS = set(Leg)


def rights(venue, answer):
    return rights_of(PROFILES[venue].rights, answer, LEGS)


@pytest.mark.parametrize(
    ("held", "withdraw"),
    [(["stow", "coow", "wtor"], False), (["stow", "coow", "wtow"], True),
     (["stow", "coow", "wwow"], True)],
    ids=["reads the wallet", "transfers", "withdraws"],
)  # fmt: skip
def test_bitget_says_transfer_and_withdrawal_apart(held, withdraw):
    """https://www.bitget.com/api-doc/spot/account/Get-Account-Info"""
    found = rights("bitget", {"data": {"authorities": held, "ips": "203.0.113.7"}})
    assert found.trade and found.ip_bound
    assert (found.withdraw, found.expires_at) == (withdraw, None)


@pytest.mark.parametrize(
    ("text", "ends_at"),
    [("1970-01-01T00:00:00Z", None), ("", None), ("2030-03-17T17:46:40Z", 1_900_000_000 * SECOND)],
)
def test_a_key_of_bybits_ends_on_a_date_or_in_the_epochs_year_never(text, ends_at):
    assert rights("bybit", {"result": {"expiredAt": text}}).expires_at == ends_at


def test_an_end_that_is_no_date_is_no_answer():
    with pytest.raises(Malformed, match="soon"):
        rights("bybit", {"result": {"expiredAt": "soon"}})
