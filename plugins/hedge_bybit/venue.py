"""What all roles of one Bybit account share in this process: connections, names and the clock."""

import logging

import msgspec

from hedge.errors import ConfigError, Malformed, Missing, Unreachable, VenueError
from hedge.model import Leg, OrderReport, same_coin
from hedge.model.numbers import MS, SECOND, ZERO
from hedge.roles import VenueContext
from hedge.transport import ClockOffset, Rest, Session, SessionRole, Trouble
from hedge_bybit import parse
from hedge_bybit.access import Access
from hedge_bybit.allowance import Allowance
from hedge_bybit.cold import Cold
from hedge_bybit.config import BybitSettings
from hedge_bybit.errors import HTTP_OK, OK, read_error, status_error
from hedge_bybit.frames import REST_REPLY
from hedge_bybit.listing import Listing, listing_of, number
from hedge_bybit.multipliers import MULTIPLES
from hedge_bybit.order_entry import OrderEntry
from hedge_bybit.own_orders import OwnOrders
from hedge_bybit.public import PublicStream
from hedge_bybit.reads import Reads
from hedge_bybit.user import UserStream

VENUE = "bybit"
"""Also the name of the account where none is named."""
TIME_PATH = "/v5/market/time"
CLOCK_EVERY = 20 * SECOND
"""How often the venue's clock is read; it keeps the connection for orders by REST open, too."""

log = logging.getLogger("hedge_bybit")


class BybitVenue(Session):
    """One account; its sockets open when somebody listens."""

    def __init__(self, context: VenueContext) -> None:
        super().__init__(context)
        assert isinstance(context.settings, BybitSettings)
        self.settings: BybitSettings = context.settings
        self.offset = ClockOffset(context.clock)
        self.own = OwnOrders()
        self.legs: set[Leg] = set()
        """The legs whose orders this account is used for."""
        self.prepared: set[str] = set()
        """Perpetuals whose mode was read: what a question about the mode is about."""
        hosts = self.settings.hosts
        self._account = context.account or VENUE
        self._access = Access.of(context.secrets, self._account) if context.secrets else None
        self.rest = Rest(hosts.rest, name="bybit rest", clock=self.clock, on_trouble=_tell)
        self.allowance = Allowance(self.clock, self.offset)
        self.cold = Cold(
            hosts.rest,
            self._access,
            self.offset,
            self.allowance,
            timeout_ms=self.settings.read_timeout_ms,
            recv_window_ms=max(self.settings.recv_window_ms, self.settings.read_timeout_ms),
        )
        self.reads = Reads(self.cold, self.offset.now)
        self._public: dict[Leg, PublicStream] = {}
        self._user: UserStream | None = None
        self.open_entry: OrderEntry | None = None
        """The order entry, once there is one: `entry` opens it."""
        self._listings: dict[tuple[Leg, str], Listing] = {}

    # -- opening and closing ---------------------------------------------------------------------

    async def begin(self) -> None:
        """Open what all roles need, and follow the venue's clock."""
        await self.stack.enter_async_context(self.rest)
        self.cold.open()
        self.stack.callback(self.cold.close)
        self.stack.push_async_callback(self._hang_up)
        await self._look_at_clock()
        self.start(self.every(CLOCK_EVERY, self._look_at_clock))

    async def _hang_up(self) -> None:
        for stream in self._public.values():
            await stream.close()
        if self._user is not None:
            await self._user.close()
        if self.open_entry is not None:
            await self.open_entry.close()
        # A socket is opened once: who opens the account again has others.
        self._public.clear()
        self._user = self.open_entry = None

    async def _look_at_clock(self) -> None:
        try:
            await self.read_clock()
        except (VenueError, Malformed) as error:
            log.warning("bybit: the clock cannot be read: %s", error)

    # -- what the roles use ----------------------------------------------------------------------

    @property
    def access(self) -> Access:
        """Return the account's key; raise `ConfigError` where none is configured."""
        if self._access is None:
            raise ConfigError(f"bybit: accounts.{self._account}.api_key is not set")
        return self._access

    def public(self, leg: Leg) -> PublicStream:
        """Return the public stream of one leg; it opens when somebody listens."""
        if leg not in self._public:
            self._public[leg] = PublicStream(
                leg, clock=self.clock, settings=self.settings, on_trouble=_tell
            )
        return self._public[leg]

    async def entry(self) -> OrderEntry:
        """Return the order entry, opened at the first use."""
        if self.open_entry is None:
            self.open_entry = OrderEntry(
                clock=self.clock,
                settings=self.settings,
                access=self.access,
                offset=self.offset,
                own=self.own,
                rest=self.rest,
                allowance=self.allowance,
                read_order=self.read_order,
                on_trouble=_tell,
            )
            await self.open_entry.open()
        return self.open_entry

    def user(self) -> UserStream:
        """Return the private stream; it opens when somebody listens."""
        if self._user is None:
            self._user = UserStream(
                clock=self.clock,
                settings=self.settings,
                access=self.access,
                offset=self.offset,
                own=self.own,
                reads=self.reads,
                on_trouble=_tell,
            )
        return self._user

    async def read_clock(self) -> int:
        """Return the venue's time, ns, and learn how far ours is from it."""
        timeout_ms = self.settings.read_timeout_ms
        await self.allowance.take(timeout_ms=timeout_ms)
        reply = await self.rest.read("GET", TIME_PATH, timeout_ms=timeout_ms)
        if reply.status != HTTP_OK:
            asked_s = self.allowance.heard(reply.headers, status=reply.status)
            raise status_error(reply.status, read=True, retry_after_s=asked_s)
        try:
            answer = REST_REPLY.decode(reply.body)
        except msgspec.MsgspecError as error:
            raise Malformed(f"bybit: {TIME_PATH}: {error}") from None
        if answer.ret_code != OK:
            asked_s = self.allowance.heard(reply.headers, code=answer.ret_code)
            raise read_error(answer.ret_code, answer.ret_msg, retry_after_s=asked_s)
        server_at = answer.time * MS
        if not server_at:
            raise Malformed(f"bybit: {TIME_PATH}: no time")
        self.offset.learn(sent=reply.sent, received=reply.received, server_at=server_at)
        return server_at

    async def read_order(self, listing: Listing, client_order_id: str) -> OrderReport:
        """Return one order by our id; raise `Missing` when no book of the venue has it."""
        row = await self.reads.order(listing.leg, listing.venue_symbol, client_order_id)
        if row is None:
            raise Missing(f"bybit: no order {client_order_id}")
        report = parse.order_report(row, listing)
        return self.own.reported(listing.symbol, report)

    # -- instruments -----------------------------------------------------------------------------

    async def read_listings(self, leg: Leg) -> tuple[Listing, ...]:
        """Return every instrument of a leg; a row that makes no sense is left out, and said."""
        found = []
        for row in await self.reads.instruments(leg):
            try:
                listing = listing_of(row, leg)
            except Malformed as error:
                log.warning("bybit: %s is left out: %s", row.symbol, error)
                continue
            if listing is not None:
                found.append(listing)
                self._listings[leg, listing.symbol] = listing
        return tuple(found)

    async def read_listing(self, leg: Leg, symbol: str) -> Listing:
        """Return one instrument, asked for anew; raise `Missing` when it is not there."""
        known = self._listings.get((leg, symbol))
        for venue_symbol in (known.venue_symbol,) if known else names_of(leg, symbol):
            row = await self.reads.instrument(leg, venue_symbol)
            listing = listing_of(row, leg) if row is not None else None
            if listing is not None and listing.symbol == symbol:
                if known is None:
                    await self._check_multiplier(listing)
                self._listings[leg, symbol] = listing
                return listing
        raise Missing(f"bybit has no {'spot' if leg is Leg.SPOT else 'linear perpetual'} {symbol}")

    async def listing(self, leg: Leg, symbol: str) -> Listing:
        """Return one instrument as last seen; its names and units do not change."""
        return self._listings.get((leg, symbol)) or await self.read_listing(leg, symbol)

    async def _check_multiplier(self, listing: Listing) -> None:
        """Compare the perpetual's price with its coin's: a wrong multiple is never traded.

        Where Bybit has no spot of the coin there is nothing to compare with here; the core
        compares the two legs' prices in any case.
        """
        if listing.multiplier == 1:
            return
        instrument = listing.instrument
        perpetual = await self.reads.ticker(Leg.FUTURES, listing.venue_symbol)
        spot = await self.reads.ticker(Leg.SPOT, f"{instrument.base}{instrument.quote}")
        if spot is None:
            return
        mark = number(perpetual.mark_price) if perpetual is not None else ZERO
        last = number(spot.last_price)
        if not mark or not last:
            raise Unreachable(f"bybit: no prices to check {listing.venue_symbol} with")
        if not same_coin(mark, last, listing.multiplier):
            raise ConfigError(
                f"bybit: {listing.venue_symbol} at {mark} is not {listing.multiplier} x"
                f" {instrument.base} at {last}: the table of multiples does not fit"
            )


class Role(SessionRole[BybitVenue]):
    """One role over the shared `BybitVenue`."""

    session_type = BybitVenue


def names_of(leg: Leg, symbol: str) -> tuple[str, ...]:
    """Return what Bybit may call a unified symbol: ``PEPE/USDT:USDT`` is ``1000PEPEUSDT``.

    Perpetuals settled in USDC end in PERP: ``BTC/USDC:USDC`` is ``BTCPERP``.
    """
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    if leg is Leg.SPOT:
        return (f"{base}{quote}",) if base and quote and not settle else ()
    if not base or not quote or settle != quote:
        return ()
    bases = [*(name for name, (coin, _) in MULTIPLES.items() if coin == base), base]
    return tuple(f"{name}{'PERP' if quote == 'USDC' else quote}" for name in bases)


def _tell(trouble: Trouble) -> None:
    log.warning("%s: %s: %s", trouble.name, trouble.kind.value, trouble.text)
