"""What all roles have in common: they open and close the one shared venue."""

from types import TracebackType
from typing import Self

from hedge.model import Leg
from hedge.roles import VenueContext
from hedge_ccxt.venue import CcxtVenue

SHARED = "ccxt"


class Role:
    """One role over the shared `CcxtVenue`."""

    def __init__(self, name: str, context: VenueContext, leg: Leg) -> None:
        known = context.shared.get(SHARED)
        if known is None:
            known = context.shared[SHARED] = CcxtVenue(name, context)
        assert isinstance(known, CcxtVenue)
        self.venue = known
        self.leg = leg

    async def __aenter__(self) -> Self:
        await self.venue.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self.venue.close()
