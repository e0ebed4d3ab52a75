"""When funding is worth entering for, and when it has gone: fresh, per 8 h, and confirmed."""

from decimal import Decimal

import msgspec

from hedge.decide.terms import FundingTerms, seconds
from hedge.model import FundingRate, RateOrigin
from hedge.model.numbers import MINUTE, ZERO

POLL_APART = MINUTE
"""Two live polls closer than this are one observation."""
GAP_INTERVALS = 2
"""Observations further apart than so many intervals are not consecutive."""


class FundingTally(msgspec.Struct, kw_only=True):
    """What has been observed, in the books: it survives a restart.

    ``below`` counts consecutive observations under ``exit_below``; ``last_at`` is the time of the
    newest observation that counted.
    """

    below: int = 0
    last_at: int = 0
    last_rate_8h: Decimal = ZERO
    interval_s: int = 0
    observations: int = 0


def observe(tally: FundingTally, rate: FundingRate, terms: FundingTerms, at: int) -> bool:
    """Count ``rate`` if it is an observation; return whether it was one.

    A carried rate is the last settlement said again and proves nothing new; a live poll counts at
    least a minute after the one before, and while it is fresh; NaN, a rate without its interval or
    one from the future never counts. Behind a gap of more than two intervals the count starts over.
    """
    if not rate.usable or rate.origin is RateOrigin.CARRIED:
        return False
    age = at - rate.observed_at
    old = rate.origin is RateOrigin.LIVE and age > seconds(terms.stale_s)
    if old or -age > seconds(terms.stale_s):
        return False
    apart = POLL_APART if rate.origin is RateOrigin.LIVE else 1
    if rate.observed_at < tally.last_at + apart:
        return False
    if rate.observed_at - tally.last_at > GAP_INTERVALS * seconds(rate.interval_s):
        tally.below = 0  # what was seen before a long silence is not consecutive
    tally.last_at = rate.observed_at
    tally.last_rate_8h = rate.per_8h
    tally.interval_s = rate.interval_s
    tally.observations += 1
    tally.below = tally.below + 1 if rate.per_8h < terms.exit_below else 0
    return True


def fresh(heard_at: int, at: int, terms: FundingTerms) -> bool:
    return heard_at > 0 and at - heard_at <= seconds(terms.stale_s)


def enter(tally: FundingTally, terms: FundingTerms) -> bool:
    return tally.observations > 0 and tally.last_rate_8h > terms.enter_above


def exit_confirmed(tally: FundingTally, terms: FundingTerms) -> bool:
    return tally.below >= terms.exit_confirmations


def pays_soon(rate: FundingRate | None, at: int, terms: FundingTerms) -> bool:
    """Return whether a settlement that would pay a short is less than the guard away."""
    if rate is None or not rate.usable or rate.rate <= 0:
        return False
    return 0 < rate.next_at - at < seconds(terms.settlement_guard_s)
