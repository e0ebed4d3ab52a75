"""What all roles of one account over ccxt share in this process: instances, budget, the clock."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from hedge.errors import ConfigError, Malformed, Missing, Unreachable, VenueError
from hedge.model import Leg, same_coin
from hedge.model.numbers import MS, ONE, SECOND
from hedge.roles import VenueContext, VenueLimits
from hedge.transport import ClockOffset, Session, SessionRole
from hedge_ccxt.account import Account
from hedge_ccxt.config import CcxtSettings
from hedge_ccxt.line import Line, budget_of
from hedge_ccxt.listing import Listing, listing_of, number
from hedge_ccxt.market import Market
from hedge_ccxt.multipliers import names_of
from hedge_ccxt.own_orders import OwnOrders
from hedge_ccxt.profiles import profile_of
from hedge_ccxt.rates import Rates
from hedge_ccxt.reads import Reads
from hedge_ccxt.sdk import keep_connections, let_go, make_exchange

CLOCK_EVERY = 30 * SECOND

log = logging.getLogger("hedge_ccxt")


class CcxtVenue(Session):
    """One account; a leg's instance opens at its first use."""

    def __init__(self, context: VenueContext, name: str) -> None:
        super().__init__(context)
        assert isinstance(context.settings, CcxtSettings)
        self.settings: CcxtSettings = context.settings
        self.profile = profile_of(name)
        self.venue = f"ccxt:{name}"
        self.offset = ClockOffset(context.clock)
        self.trades: set[Leg] = set()
        """The legs that roles were opened for."""
        self.has_keys = bool(context.secrets)
        self._account_name = context.account
        self._own = {leg: OwnOrders() for leg in Leg}
        budget = budget_of(self.clock, self.settings)
        self._lines = {
            leg: Line(
                make_exchange(self.profile, leg.value, context, self.offset.now_ms),
                self.profile,
                self.settings,
                self.clock,
                budget,
            )
            for leg in Leg
        }
        self._reads = {
            leg: Reads(self._lines[leg], self._own[leg], self.clock, self.offset) for leg in Leg
        }
        self.rates = Rates(self._lines[Leg.FUTURES], self.clock, self.offset)
        self._listings: dict[tuple[Leg, str], Listing] = {}
        self._markets: dict[tuple[Leg, str], Market] = {}
        self._accounts: dict[tuple[Leg, str], Account] = {}

    # -- opening and closing ---------------------------------------------------------------------

    async def begin(self) -> None:
        """Follow the venue's clock."""
        self.stack.push_async_callback(self._hang_up)
        for line in self._lines.values():
            keep_connections(line.exchange)
        await self._look_at_clock()
        self.start(self.every(CLOCK_EVERY, self._look_at_clock))

    async def ask_first(self, leg: Leg) -> None:
        """Have ccxt ask what it would ask with the first order, signed like that order."""
        line = self._lines[leg]
        for method in self.profile.asks_first:
            try:
                await line.read(method)
            except VenueError as error:
                log.warning("%s: %s cannot be read yet: %s", self.venue, method, error)

    async def _hang_up(self) -> None:
        followers: list[Market | Account] = [*self._markets.values(), *self._accounts.values()]
        for follower in followers:
            await follower.close()
        self._markets.clear()  # who opens the account again is not told by what has ended
        self._accounts.clear()
        await asyncio.gather(*(self._close(line) for line in self._lines.values()))

    async def _close(self, line: Line) -> None:
        try:
            await let_go(line.exchange)
        except line.faults as error:
            log.warning("%s: closing: %s", self.venue, type(error).__name__)

    async def _look_at_clock(self) -> None:
        try:
            await self.read_clock()
        except (VenueError, Malformed) as error:
            log.warning("%s: the clock cannot be read: %s", self.venue, error)

    async def read_clock(self) -> int:
        """Return the venue's time, ns, and learn how far ours is from it."""
        line = self._lines[self.home]
        if not line.has("fetchTime"):
            return self.clock.now()
        sent = self.clock.now()
        server_ms = await line.read("fetch_time")
        if not isinstance(server_ms, int) or server_ms <= 0:
            raise Unreachable(f"{self.venue}: no time in its answer")
        self.offset.learn(sent=sent, received=self.clock.now(), server_at=server_ms * MS)
        return server_ms * MS

    @property
    def home(self) -> Leg:
        """Return the leg whose instance is asked for the clock and the key's rights.

        That is spot's, which knows both everywhere; but a simulator that no leg uses may not run.
        """
        local = self.settings.environment == "local"
        return Leg.FUTURES if local and self.trades == {Leg.FUTURES} else Leg.SPOT

    # -- what the roles use ----------------------------------------------------------------------

    def need_keys(self) -> None:
        """Raise `ConfigError` where no account is configured."""
        if not self.has_keys:
            raise ConfigError(f"{self.venue}: accounts.{self._account_name or 'NAME'} has no keys")

    @property
    def limits(self) -> VenueLimits:
        settings = self.settings
        return VenueLimits(
            recv_window_ms=self.profile.recv_window_ms or settings.recv_window_ms,
            processing_max_ms=settings.processing_max_ms,
            read_lag_ms=settings.read_lag_ms,
            ack_timeout_ms=settings.ack_timeout_ms,
        )

    def line(self, leg: Leg) -> Line:
        return self._lines[leg]

    def own(self, leg: Leg) -> OwnOrders:
        return self._own[leg]

    def reads(self, leg: Leg) -> Reads:
        return self._reads[leg]

    def market(self, listing: Listing) -> Market:
        """Return who follows the instrument's prices."""
        key = (listing.leg, listing.symbol)
        if key not in self._markets:
            self._markets[key] = Market(
                listing, self._lines[listing.leg], clock=self.clock, settings=self.settings
            )
        return self._markets[key]

    def account(self, listing: Listing) -> Account:
        """Return who follows the account's news of the instrument."""
        key = (listing.leg, listing.symbol)
        if key not in self._accounts:
            leg = listing.leg
            self._accounts[key] = Account(
                listing,
                self._lines[leg],
                self._reads[leg],
                self._own[leg],
                clock=self.clock,
                offset=self.offset,
                settings=self.settings,
                rates=self.rates if leg is Leg.FUTURES else None,
            )
        return self._accounts[key]

    # -- instruments -----------------------------------------------------------------------------

    async def markets(self, leg: Leg, *, anew: bool) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self._lines[leg].read("load_markets", anew)
        return found

    async def read_listings(self, leg: Leg) -> tuple[Listing, ...]:
        """Return every instrument of a leg; a market that makes no sense is left out, and said."""
        found = []
        for market in (await self.markets(leg, anew=True)).values():
            try:
                listing = listing_of(market, self.venue, leg, self.settings.own_multiples)
            except Malformed as error:
                log.warning("%s: %s is left out: %s", self.venue, market.get("symbol"), error)
                continue
            if listing is not None:
                found.append(listing)
        return tuple(found)

    async def read_listing(self, leg: Leg, symbol: str) -> Listing:
        """Return one instrument, asked for anew; raise `Missing` when it is not there."""
        markets = await self.markets(leg, anew=True)
        own = self.settings.own_multiples
        base, slash, rest = symbol.partition("/")
        for name in names_of(base, own) if leg is Leg.FUTURES else (base,):
            market = markets.get(f"{name}{slash}{rest}")
            if market is None:
                continue
            listing = listing_of(market, self.venue, leg, own, aliased=name != base)
            if listing is None or listing.symbol != symbol:
                continue
            if listing.multiplier != ONE and (leg, symbol) not in self._listings:
                await self._check_multiplier(listing)
            self._listings[leg, symbol] = listing
            return listing
        raise Missing(f"{self.venue} has no {'spot' if leg is Leg.SPOT else 'perpetual'} {symbol}")

    async def listing(self, leg: Leg, symbol: str) -> Listing:
        """Return one instrument as last seen; its names and units do not change."""
        return self._listings.get((leg, symbol)) or await self.read_listing(leg, symbol)

    async def _check_multiplier(self, listing: Listing) -> None:
        """Compare the perpetual's price with its coin's: a wrong multiple is never traded.

        Where the venue has no spot of the coin there is nothing to compare with here; the core
        compares the two legs' prices in any case.
        """
        instrument = listing.instrument
        coin = f"{instrument.base}/{instrument.quote}"
        try:
            if coin not in await self.markets(Leg.SPOT, anew=False):
                return
            spot = await self._lines[Leg.SPOT].read("fetch_ticker", coin)
        except VenueError as error:
            log.warning("%s: no spot price to check %s with: %s", self.venue, coin, error)
            return
        perpetual = await self._lines[Leg.FUTURES].read("fetch_ticker", listing.market)
        theirs, ours = number(perpetual.get("last")), number(spot.get("last"))
        if not theirs or not ours:
            raise Unreachable(f"{self.venue}: no prices to check {listing.market} with")
        if not same_coin(theirs, ours, listing.multiplier):
            raise ConfigError(
                f"{self.venue}: {listing.market} at {theirs} is not {listing.multiplier} x"
                f" {instrument.base} at {ours}: the table of multiples does not fit"
            )


class Role(SessionRole[CcxtVenue]):
    """One role of a leg over the shared `CcxtVenue`."""

    session_type = CcxtVenue

    def __init__(self, name: str, context: VenueContext, leg: Leg, *, trades: bool = True) -> None:
        super().__init__(context, name)
        self.leg = leg
        if trades:
            self.session.trades.add(leg)
