"""What all roles of Bybit have in common: they open and close the one shared venue."""

from types import TracebackType
from typing import Self

from hedge.roles import VenueContext
from hedge_bybit.venue import BybitVenue

SHARED = "bybit"


class Role:
    """One role over the shared `BybitVenue`."""

    def __init__(self, context: VenueContext) -> None:
        known = context.shared.get(SHARED)
        if known is None:
            known = context.shared[SHARED] = BybitVenue(context)
        assert isinstance(known, BybitVenue)
        self.venue = known

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
