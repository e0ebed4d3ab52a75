"""What a hurried run changes of the defaults: an idle hedge is read more seldom (ADR 0005)."""

from collections.abc import Mapping

import msgspec

from hedge.decide.terms import FundingTerms, LimitTerms

AUDIT_HALT_MS = 900_000
"""In hurried replays an idle hedge is read each quarter of an hour; live each thirty seconds."""
FUNDING_STALE_S = 2 * AUDIT_HALT_MS // 1_000
"""The rate comes with these reads: it is old when one of them has not brought it."""


def hurried(
    funding: FundingTerms, limits: LimitTerms, sources: Mapping[str, str]
) -> tuple[FundingTerms, LimitTerms]:
    """Return the terms of a hurried run; ``sources`` names where each setting comes from.

    What somebody has set counts at every speed.
    """

    def unset(name: str) -> bool:
        return sources.get(name, "default") == "default"

    if unset("limits.audit_halt_ms"):
        limits = msgspec.structs.replace(limits, audit_halt_ms=AUDIT_HALT_MS)
        if unset("funding.stale_s"):
            funding = msgspec.structs.replace(funding, stale_s=FUNDING_STALE_S)
    return funding, limits
