"""All hooks of one venue at once, for a plugin whose roles are classes of one module."""

import importlib
from typing import TYPE_CHECKING, Any

from hedge.hookspecs import hookimpl

if TYPE_CHECKING:
    from hedge.roles import Can, LegKind, VenueContext, VenueSpec


class VenueHooks:
    """Answers for one name; the module of the roles is imported when one is asked for.

    The classes are called as their roles are: SpotFeed, SpotGateway, FuturesFeed, FuturesGateway,
    FundingSource, AccountCheck; each takes the context, and one that is not there is not offered.
    """

    def __init__(
        self,
        venue: str,
        *,
        roles: str,
        settings: str,
        legs: "LegKind",
        can: "Can",
        summary: str = "",
        secrets: tuple[str, ...] = ("api_key", "api_secret"),
    ) -> None:
        """Take the module of the roles, and ``module:Name`` of the settings."""
        self._venue = venue
        self._roles = roles
        self._settings = settings
        self._legs = legs
        self._can = can
        self._summary = summary
        self._secrets = secrets

    @hookimpl
    def hedge_venues(self) -> "list[VenueSpec]":
        """Say what the venue can do."""
        from hedge.roles import VenueSpec  # noqa: PLC0415 - light until asked for

        module, _, name = self._settings.partition(":")
        settings = getattr(importlib.import_module(module), name)
        return [
            VenueSpec(
                name=self._venue,
                legs=self._legs,
                can=self._can,
                settings=settings,
                summary=self._summary,
                secrets=self._secrets,
            )
        ]

    @hookimpl
    def hedge_spot_feed(self, venue: str, context: "VenueContext") -> Any:
        """Return its feed of spot instruments."""
        return self._role(venue, "SpotFeed", context)

    @hookimpl
    def hedge_spot_gateway(self, venue: str, context: "VenueContext") -> Any:
        """Return its gateway to a spot account."""
        return self._role(venue, "SpotGateway", context)

    @hookimpl
    def hedge_futures_feed(self, venue: str, context: "VenueContext") -> Any:
        """Return its feed of perpetuals."""
        return self._role(venue, "FuturesFeed", context)

    @hookimpl
    def hedge_futures_gateway(self, venue: str, context: "VenueContext") -> Any:
        """Return its gateway to a futures account."""
        return self._role(venue, "FuturesGateway", context)

    @hookimpl
    def hedge_funding_source(self, venue: str, context: "VenueContext") -> Any:
        """Return the funding of its perpetuals."""
        return self._role(venue, "FundingSource", context)

    @hookimpl
    def hedge_account_check(self, venue: str, context: "VenueContext") -> Any:
        """Return what the doctor asks."""
        return self._role(venue, "AccountCheck", context)

    def _role(self, venue: str, name: str, context: "VenueContext") -> Any:
        if venue != self._venue:
            return None
        role = getattr(importlib.import_module(self._roles), name, None)
        return None if role is None else role(context)
