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
    ("text", "ends_at"),
    [("1970-01-01T00:00:00Z", None), ("", None), ("2030-03-17T17:46:40Z", 1_900_000_000 * SECOND)],
)
def test_a_key_of_bybits_ends_on_a_date_or_in_the_epochs_year_never(text, ends_at):
    assert rights("bybit", {"result": {"expiredAt": text}}).expires_at == ends_at


def test_an_end_that_is_no_date_is_no_answer():
    with pytest.raises(Malformed, match="soon"):
        rights("bybit", {"result": {"expiredAt": "soon"}})
