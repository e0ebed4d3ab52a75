"""What all roles of one Binance account share: keys, REST, instruments, streams and tasks."""

import contextlib
from collections import OrderedDict, deque
from decimal import Decimal
from typing import TYPE_CHECKING

from hedge.errors import ConfigError, Malformed, Refused, Unreachable, VenueError
from hedge.model import Leg
from hedge.model.numbers import SECOND
from hedge.roles import VenueContext, VenueLimits
from hedge.transport import Session, SessionRole, SocketLimits, Trouble
from hedge_binance import parse, wire
from hedge_binance.cold import CLOCK_EVERY, Cold
from hedge_binance.config import BinanceSettings
from hedge_binance.instruments import (
    Coins,
    Listing,
    confirm_units,
    find,
    futures_listing,
    listings,
    spot_listing,
)
from hedge_binance.sign import Key, key_of

if TYPE_CHECKING:
    from hedge_binance.futures import FuturesStream
    from hedge_binance.market import Market
    from hedge_binance.spot import SpotStream

VENUE = "binance"
"""Also the name of the account where none is named."""
BAD_SYMBOL = "-1121"
IDS_KEPT = 4_096
TROUBLES_KEPT = 100
RATE_EVERY = 30 * SECOND
"""How old the price of the fee coin may get."""


class Unpriced(Unreachable):
    """A side of the book is empty."""


class OrderIds:
    """The newest orders' client ids by the venue's: fills that are read name only the latter."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, str] = OrderedDict()

    def note(self, order_id: int, client_id: str) -> None:
        if order_id in self._ids:
            return
        self._ids[order_id] = client_id
        if len(self._ids) > IDS_KEPT:
            self._ids.popitem(last=False)

    def get(self, order_id: int) -> str | None:
        return self._ids.get(order_id)


class Link(Session):
    """One account."""

    def __init__(self, context: VenueContext) -> None:
        super().__init__(context)
        assert isinstance(context.settings, BinanceSettings)
        self.settings: BinanceSettings = context.settings
        self.coins = Coins(self.settings.multipliers)
        self.ids = {Leg.SPOT: OrderIds(), Leg.FUTURES: OrderIds()}
        self.legs: set[Leg] = set()
        """The legs whose orders this account is used for."""
        self.rates: dict[str, Decimal] = {}
        """What one unit of a third coin is worth, by the native symbol (``BNBUSDT``)."""
        self.intervals: dict[str, tuple[int, int]] = {}
        """Native symbol -> time of the next settlement (ms), and the interval (s) before it."""
        self.troubles: deque[Trouble] = deque(maxlen=TROUBLES_KEPT)
        self.spot: SpotStream | None = None
        self.futures: FuturesStream | None = None
        self.markets: dict[Leg, Market] = {}
        self._secrets = dict(context.secrets)
        self._account = context.account or VENUE
        self._key: Key | None = None
        self._colds: dict[Leg, Cold] = {}
        self._found: dict[Leg, dict[str, Listing]] = {Leg.SPOT: {}, Leg.FUTURES: {}}
        self._whole: set[Leg] = set()
        self._confirmed: set[str] = set()
        self._followed: set[str] = set()

    # -- opening and closing ---------------------------------------------------------------------

    async def begin(self) -> None:
        self.stack.callback(self._forget)

    def _forget(self) -> None:
        self._colds.clear()
        self._followed.clear()
        self.markets.clear()
        self.spot = self.futures = None

    # -- the account -----------------------------------------------------------------------------

    @property
    def key(self) -> Key:
        if self._key is None:
            self._key = key_of(self._secrets, self._account)
        return self._key

    @property
    def limits(self) -> VenueLimits:
        settings = self.settings
        return VenueLimits(
            recv_window_ms=settings.recv_window_ms,
            read_lag_ms=settings.read_lag_ms,
            ack_timeout_ms=settings.ack_timeout_ms,
        )

    @property
    def socket_limits(self) -> SocketLimits:
        settings = self.settings
        return SocketLimits(
            ping_idle_ms=settings.heartbeat_ms,
            pong_timeout_ms=max(settings.silence_ms - settings.heartbeat_ms, 500),
            silence_max_ms=settings.heartbeat_ms,
            probe_timeout_ms=max(settings.silence_ms - settings.heartbeat_ms, 500),
        )

    def trouble(self, trouble: Trouble) -> None:
        self.troubles.append(trouble)

    async def cold(self, leg: Leg) -> Cold:
        """Return the REST client of one market; its clock is followed from the first use."""
        known = self._colds.get(leg)
        if known is not None:
            return known
        hosts = self.settings.hosts
        url = hosts.spot_url if leg is Leg.SPOT else hosts.futures_url
        if not url:
            raise ConfigError(f"venues.binance.{leg.value}_url is needed for the {leg.value} leg")
        key = self.key if self._secrets else None
        cold = self._colds[leg] = Cold(leg, key, self.settings, self.clock)
        await self.stack.enter_async_context(cold)
        self.start(self.every(CLOCK_EVERY, cold.read_clock))
        return cold

    # -- instruments -----------------------------------------------------------------------------

    async def read_listings(self, leg: Leg) -> dict[str, Listing]:
        """Read all instruments of one market anew."""
        cold = await self.cold(leg)
        if leg is Leg.SPOT:
            info = await cold.read(
                wire.ExchangeInfo, lambda c: c.get_exchange_info(), 20, signed=False
            )
        else:
            info = await cold.read(
                wire.ExchangeInfo, lambda c: c.futures_exchange_info(), 1, signed=False
            )
        found = listings(info.symbols, self.coins, futures=leg is Leg.FUTURES)
        self._found[leg] = found
        self._whole.add(leg)
        return found

    async def read_listing(self, leg: Leg, symbol: str) -> Listing:
        """Read one instrument anew, by a short way: the whole list is most of a megabyte.

        To read all of it would keep a hedge waiting for 10 ms, each minute anew.
        """
        known = self._found[leg].get(symbol)
        native = known.native if known else symbol.partition(":")[0].replace("/", "")
        read = self._read_one_spot if leg is Leg.SPOT else self._read_one_perpetual
        listing = await read(native)
        if listing is not None and listing.symbol == symbol:
            self._found[leg][symbol] = listing
            return await self._confirmed_units(leg, listing)
        return await self._confirmed_units(leg, find(await self.read_listings(leg), symbol))

    async def _read_one_perpetual(self, native: str) -> Listing | None:
        """Read one perpetual out of the list, which the venue gives only whole."""
        cold = await self.cold(Leg.FUTURES)
        info = await cold.read(wire.RawInfo, lambda c: c.futures_exchange_info(), 1, signed=False)
        name = f'"symbol":"{native}"'.encode()
        row = next((raw for raw in info.symbols if name in bytes(raw)), None)
        return None if row is None else futures_listing(parse.symbol_row(row), self.coins)

    async def _read_one_spot(self, native: str) -> Listing | None:
        """Read one spot symbol; None where the venue has it not."""
        cold = await self.cold(Leg.SPOT)
        try:
            info = await cold.read(
                wire.ExchangeInfo,
                lambda c: c._get("exchangeInfo", data={"symbol": native}),  # noqa: SLF001 - no public call takes one symbol
                20,
                signed=False,
            )
        except Refused as error:
            if error.code != BAD_SYMBOL:
                raise
            return None
        return next((spot_listing(row, self.coins) for row in info.symbols), None)

    async def listing(self, leg: Leg, symbol: str) -> Listing:
        """Return one instrument, read once."""
        found = self._found[leg].get(symbol)
        return found if found is not None else await self.read_listing(leg, symbol)

    async def _confirmed_units(self, leg: Leg, listing: Listing) -> Listing:
        """Check a bundle's multiplier by prices, where spot trades the coin itself."""
        if listing.units == 1 or listing.native in self._confirmed:
            return listing
        base, quote = listing.instrument.base, listing.instrument.quote
        if not self.settings.hosts.spot_url:
            return listing
        try:
            coin = await self.read_mid(Leg.SPOT, f"{base}{quote}")
        except Refused as error:
            if error.code != BAD_SYMBOL:
                raise
            return listing  # not sold singly: the ratio of the two legs is what remains
        except Unpriced:
            return listing  # not yet, or no more: the same remains
        confirm_units(listing, await self.read_mid(leg, listing.native), coin)
        self._confirmed.add(listing.native)
        return listing

    async def read_mid(self, leg: Leg, native: str) -> Decimal:
        """Return the middle of best bid and ask, in the venue's own units."""
        cold = await self.cold(leg)
        if leg is Leg.SPOT:
            price = await cold.read(
                wire.Price, lambda c: c.get_orderbook_ticker(symbol=native), 2, signed=False
            )
        else:
            price = await cold.read(
                wire.Price, lambda c: c.futures_orderbook_ticker(symbol=native), 2, signed=False
            )
        parse.sound(price.bid_price, price.ask_price)
        if not (price.bid_price and price.ask_price):  # so the venue writes an empty side
            raise Unpriced(f"binance: {native} has no price")
        return (price.bid_price + price.ask_price) / 2

    # -- the fee coin ----------------------------------------------------------------------------

    async def follow_fee_coin(self, quote: str) -> None:
        """Keep what the fee coin is worth in ``quote``, where the venue trades it."""
        coin = self.settings.fee_coin
        native = f"{coin}{quote}"
        if not coin or coin == quote or native in self._followed:
            return
        self._followed.add(native)
        leg = Leg.SPOT if self.settings.hosts.spot_url else Leg.FUTURES

        async def look() -> None:
            self.rates[native] = await self.read_mid(leg, native)

        with contextlib.suppress(VenueError, Malformed):
            await look()
        self.start(self.every(RATE_EVERY, look))


class Role(SessionRole[Link]):
    """What all roles share: the link."""

    session_type = Link
