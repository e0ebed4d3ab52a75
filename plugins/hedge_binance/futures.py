"""The futures leg: orders on one connection, the account's news on another, reads over REST."""

import contextlib
from collections import OrderedDict
from decimal import Decimal

import msgspec

from hedge.errors import Limited, Malformed, Missing, Refused, VenueError
from hedge.model import (
    Balance,
    Fill,
    Leg,
    OrderReport,
    Position,
    PositionMode,
    ReportedStatus,
    StreamKind,
)
from hedge.model.numbers import MS, SECOND, ZERO
from hedge.roles import Margin
from hedge.transport import Line, Socket
from hedge_binance import codes, parse, wire
from hedge_binance.audience import Audience
from hedge_binance.cold import Cold
from hedge_binance.funding import read_payments
from hedge_binance.gateway import AccountStream, Gateway, all_trades, client_ids
from hedge_binance.instruments import Listing
from hedge_binance.link import Link
from hedge_binance.order_entry import OrderEntry, frame_of

TRADES_WINDOW_MS = 7 * 86_400_000
"""``userTrades`` takes at most 7 days between its two times."""
PAYMENT_TRIES = (2 * SECOND, 8 * SECOND, 30 * SECOND)
"""When the books of a settlement are asked after its event: they may lag behind it."""
PAYMENT_BACK = 60 * SECOND
LITE_KEPT = 256
_FUNDING_FEE = "FUNDING_FEE"


class LiteFills:
    """Sums up ``TRADE_LITE``: what an order has filled at least, before its full news comes.

    The two come in any order. An execution counts once, by its id, whichever told of it first; the
    cumulative quantity of the full news is never added to, for nobody knows what it holds.
    """

    def __init__(self) -> None:
        self._orders: OrderedDict[int, Filled] = OrderedDict()

    def add(self, order_id: int, trade_id: int, quantity: Decimal) -> Decimal | None:
        """Return what is known to be filled; None where that is nothing new."""
        found = self._of(order_id)
        before = found.least
        found.take(trade_id, quantity)
        return found.least if found.least > before else None

    def know(self, order_id: int, trade_id: int, quantity: Decimal, filled: Decimal) -> None:
        """Take the full news: one execution (id 0: none), and the order's cumulative quantity."""
        found = self._of(order_id)
        if trade_id:
            found.take(trade_id, quantity)
        found.stated = max(found.stated, filled)

    def _of(self, order_id: int) -> "Filled":
        found = self._orders.get(order_id)
        if found is None:
            found = self._orders[order_id] = Filled()
            if len(self._orders) > LITE_KEPT:
                self._orders.popitem(last=False)
        return found


class Filled(msgspec.Struct):
    """What is known of one order's executions."""

    trades: set[int] = set()
    summed: Decimal = ZERO
    stated: Decimal = ZERO

    @property
    def least(self) -> Decimal:
        return max(self.summed, self.stated)

    def take(self, trade_id: int, quantity: Decimal) -> None:
        if trade_id not in self.trades:
            self.trades.add(trade_id)
            self.summed += quantity


class FuturesStream(AccountStream):
    """``ws-fapi/v1`` for orders, ``/private`` with a listen key for news."""

    def __init__(self, link: Link, cold: Cold) -> None:
        self.link = link
        self.cold = cold
        self.audience = Audience(link.clock, link.settings.heartbeat_ms)
        self.entry = OrderEntry(link, cold, futures=True)
        self.entry.on_late = self.tell_order
        self.private: Socket | None = None
        self._ids = link.ids[Leg.FUTURES]
        self._lite = LiteFills()
        self._key = ""
        self._timeout_ms = link.settings.read_timeout_ms

    async def start(self) -> None:
        """Dial both, once."""
        if self.private is not None:
            return
        link = self.link
        self.private = Socket(
            self._private_url,
            name="binance futures account",
            clock=link.clock,
            on_frame=self._on_frame,
            on_trouble=link.trouble,
            on_state=self.audience.state,
            kind=StreamKind.ACCOUNT,
            fill_gap=self.fill_gap,
            probe=self._renew_for_probe,
            limits=link.socket_limits,
        )
        self.entry.socket = Socket(
            link.settings.hosts.futures_ws_url,
            name="binance futures orders",
            clock=link.clock,
            on_frame=self._on_answer,
            on_trouble=link.trouble,
            kind=StreamKind.ACCOUNT,
            resubscribe=self.entry.log_on,
            probe=self._probe,
            limits=link.socket_limits,
        )
        await link.stack.enter_async_context(self.private)
        await link.stack.enter_async_context(self.entry.socket)
        link.start(link.every(link.settings.listen_key_renew_s * SECOND, self._renew))

    # -- the listen key --------------------------------------------------------------------------

    async def _private_url(self) -> str:
        found = await self.cold.command(
            wire.ListenKey,
            lambda c: c._request_futures_api("post", "listenKey", signed=False, data={}),  # noqa: SLF001 - the public call wants a dict
            weight=1,
        )
        assert found is not None  # no code is fine here
        self._key = found.listen_key
        return f"{self.link.settings.hosts.futures_stream_url}/private/ws?listenKey={self._key}"

    async def _renew(self) -> None:
        """Keep the key for another hour; a key that is gone is a gap."""
        if not self._key:
            return
        try:
            await self.cold.read(
                dict[str, str],
                lambda c: c.futures_stream_keepalive(self._key),
                1,
                signed=False,
                urgent=True,
            )
        except Missing:
            if self.private is not None:
                self.private.drop("the listen key is gone")
            raise

    async def _renew_for_probe(self, _: Line) -> None:
        """Prove that the venue still serves our key; that the line carries, its pong proves.

        Over a limit nothing is proven, and nothing against it either: to drop the stream would
        be to lose it, for no new key is given out then.
        """
        with contextlib.suppress(Limited):
            await self._renew()

    async def _probe(self, line: Line) -> None:
        await self.entry.ask(line, "session.status", None, timeout_ms=self._timeout_ms)

    async def read_fills(self, listing: Listing, since: int) -> tuple[Fill, ...]:
        return await read_fills(self.link, self.cold, listing, since)

    async def read_open_orders(self, listing: Listing) -> list[wire.OrderRow]:
        return await read_open_orders(self.cold, listing)

    async def tell_held(self, since: int) -> None:
        for listing in list(self.audience.listings.values()):
            for payment in await read_payments(self.cold, listing, since):
                self.audience.tell(listing.native, payment)
            self.audience.tell(listing.native, await read_position(self.cold, listing))

    # -- frames ----------------------------------------------------------------------------------

    def _on_answer(self, line: Line, view: memoryview) -> None:
        frame = frame_of(view)
        if not bytes(frame.event):
            self.entry.answered(line, frame)
        elif isinstance(parse.futures_event(frame.event), wire.ServerShutdown):
            assert self.entry.socket is not None  # it has just spoken
            self.entry.socket.rotate("serverShutdown", line)

    def _on_frame(self, line: Line, view: memoryview) -> None:
        try:
            self._on_event(line, parse.futures_event(bytes(view)))
        except Malformed:
            self.audience.unsure()
            raise
        self.audience.heard()

    def _on_event(self, line: Line, event: wire.FuturesEvent | None) -> None:
        match event:
            case wire.TradeLite():
                self._on_lite(event)
            case wire.OrderTradeUpdate(order=order):
                self._on_order(order)
            case wire.AccountUpdate():
                self._on_account(event)
            case wire.ListenKeyExpired():
                line.drop("listenKeyExpired")
            case wire.ServerShutdown() if self.private is not None:
                self.private.rotate("serverShutdown", line)

    def _on_lite(self, event: wire.TradeLite) -> None:
        """Tell early how far the order is; the fill with its fee comes with the full news."""
        listing = self.audience.listings.get(event.native)
        if listing is None:
            return
        parse.sound(event.last_quantity, event.quantity)
        self._ids.note(event.order_id, event.client_id)
        filled = self._lite.add(event.order_id, event.trade_id, event.last_quantity)
        if filled is None:
            return
        whole = filled >= event.quantity
        report = OrderReport(
            client_order_id=event.client_id,
            venue_order_id=str(event.order_id),
            status=ReportedStatus.FILLED if whole else ReportedStatus.WORKING,
            filled=listing.coins(filled),
            reported_at=event.at * MS,
            side=parse.side_of(event.side),
            quantity=listing.coins(event.quantity),
        )
        self.audience.tell(event.native, report)

    def _on_order(self, order: wire.OrderNews) -> None:
        listing = self.audience.listings.get(order.native)
        if listing is None:
            return
        parse.sound(order.last_quantity, order.filled)
        self._ids.note(order.order_id, order.client_id)
        self._lite.know(order.order_id, order.trade_id, order.last_quantity, order.filled)
        fill = parse.fill_of(
            order, listing, self.link.rates, leg=Leg.FUTURES, client_id=order.client_id
        )
        if fill is not None:
            self.audience.tell(order.native, fill)
        self.audience.tell(order.native, parse.order_news(order, listing))

    def _on_account(self, event: wire.AccountUpdate) -> None:
        for row in event.account.positions:
            listing = self.audience.listings.get(row.native)
            position = None if listing is None else parse.position_row(row, listing, event.at)
            if position is not None:
                self.audience.tell(row.native, position)
        if event.account.reason == _FUNDING_FEE:
            # A crossed position's event names no symbol: the books are asked what was paid.
            self.link.start(self._tell_payments(event.at * MS - PAYMENT_BACK))

    async def _tell_payments(self, since: int) -> None:
        """Tell the settlement's cash as soon as the books show it."""
        waiting = dict(self.audience.listings)
        for pause in PAYMENT_TRIES:
            await self.link.clock.sleep_until(self.link.clock.now() + pause)
            for native, listing in list(waiting.items()):
                try:
                    payments = await read_payments(self.cold, listing, since)
                except (VenueError, Malformed):
                    continue
                for payment in payments:
                    self.audience.tell(native, payment)
                if payments:
                    del waiting[native]


class BinanceFuturesGateway(Gateway):
    """`hedge.roles.FuturesGateway`."""

    leg = Leg.FUTURES

    async def stream(self) -> FuturesStream:
        found = self.session.futures
        if found is None:
            cold = await self.cold()
            found = self.session.futures = self.session.futures or FuturesStream(self.session, cold)
        return found

    async def prepare(self, symbol: str, leverage: int) -> None:
        """Set one-way mode, margin type and leverage, and believe only what is read back."""
        listing = await self.session.listing(self.leg, symbol)
        cold = await self.cold()
        if await self.read_position_mode() is not PositionMode.ONE_WAY:
            await cold.command(
                dict[str, object],
                lambda c: c.futures_change_position_mode(dualSidePosition="false"),
                weight=1,
                fine=(codes.MODE_UNCHANGED,),
            )
        config = await self._config(listing)
        wanted = self.session.settings.margin_type
        if wanted != "keep" and not _same_margin(config.margin_type, wanted):
            await cold.command(
                dict[str, object],
                lambda c: c.futures_change_margin_type(
                    symbol=listing.native, marginType=wanted.upper()
                ),
                weight=1,
                fine=(codes.MARGIN_TYPE_UNCHANGED,),
            )
        if config.leverage != leverage:
            await cold.command(
                wire.Leverage,
                lambda c: c.futures_change_leverage(symbol=listing.native, leverage=leverage),
                weight=1,
            )
        await self._check_prepared(listing, leverage, wanted)

    async def _check_prepared(self, listing: Listing, leverage: int, wanted: str) -> None:
        config = await self._config(listing)
        mode = await self.read_position_mode()
        found = f"leverage {config.leverage}, {config.margin_type.lower()}, {mode.value}"
        if config.leverage != leverage or mode is not PositionMode.ONE_WAY:
            raise Refused(
                f"binance LEVERAGE: {listing.native}: {found} after setting {leverage}, one_way:"
                " set them at the venue",
                code="LEVERAGE",
            )
        if wanted != "keep" and not _same_margin(config.margin_type, wanted):
            raise Refused(
                f"binance MARGIN_TYPE: {listing.native}: {found} after setting {wanted}:"
                " set it at the venue, or venues.binance.margin_type to keep",
                code="MARGIN_TYPE",
            )

    async def _config(self, listing: Listing) -> wire.SymbolConfig:
        cold = await self.cold()
        rows = await cold.read(
            list[wire.SymbolConfig], lambda c: c.futures_symbol_config(symbol=listing.native), 5
        )
        for row in rows:
            if row.symbol == listing.native:
                return row
        raise Missing(f"binance: no configuration of {listing.native}")

    async def read_position(self, symbol: str) -> Position:
        return await read_position(await self.cold(), await self.session.listing(self.leg, symbol))

    async def read_position_mode(self) -> PositionMode:
        cold = await self.cold()
        found = await cold.read(wire.DualSide, lambda c: c.futures_get_position_mode(), 30)
        return PositionMode.HEDGE if found.dual_side_position else PositionMode.ONE_WAY

    async def read_margin(self, symbol: str) -> Margin:
        """Return the settle asset's row of the account, and the symbol's leverage."""
        listing = await self.session.listing(self.leg, symbol)
        cold = await self.cold()
        account = await cold.read(wire.FuturesAccount, lambda c: c.futures_account(version=3), 5)
        config = await self._config(listing)
        settle = listing.instrument.settle
        row = next((one for one in account.assets if one.asset == settle), None)
        if row is None:
            return Margin(free=ZERO, wallet=ZERO, leverage=Decimal(config.leverage))
        parse.finite(row.maint_margin, row.margin_balance)
        parse.finite(row.available_balance, row.wallet_balance)
        ratio = row.maint_margin / row.margin_balance if row.margin_balance > 0 else None
        if ratio is None:
            ratio = Decimal(1) if row.maint_margin else ZERO
        return Margin(
            free=row.available_balance,
            wallet=row.wallet_balance,
            ratio=ratio,
            leverage=Decimal(config.leverage),
        )

    async def read_balances(self) -> tuple[Balance, ...]:
        """Return the wallet of each asset, without unrealised profit."""
        cold = await self.cold()
        rows = await cold.read(list[wire.FuturesBalance], lambda c: c.futures_account_balance(), 5)
        parse.finite(*(row.balance for row in rows))
        return tuple(
            Balance(asset=row.asset, free=row.balance, updated_at=row.update_time * MS)
            for row in rows
            if row.balance
        )

    async def _order(self, listing: Listing, **by: str | int) -> wire.OrderRow:
        cold = await self.cold()
        return await cold.read(
            wire.OrderRow, lambda c: c.futures_get_order(symbol=listing.native, **by), 1
        )

    async def _open_orders(self, listing: Listing) -> list[wire.OrderRow]:
        return await read_open_orders(await self.cold(), listing)

    async def fills_of(self, listing: Listing, since: int) -> tuple[Fill, ...]:
        return await read_fills(self.session, await self.cold(), listing, since)


def _same_margin(found: str, wanted: str) -> bool:
    """Compare margin types: the venue says CROSSED, CROSS or cross for the same."""
    return found.lower()[:5] == wanted.lower()[:5]


async def read_open_orders(cold: Cold, listing: Listing) -> list[wire.OrderRow]:
    return await cold.read(
        list[wire.OrderRow], lambda c: c.futures_get_open_orders(symbol=listing.native), 1
    )


async def read_position(cold: Cold, listing: Listing) -> Position:
    """Return the whole position; an answer without the symbol is flat."""
    rows = await cold.read(
        list[wire.PositionRisk],
        lambda c: c.futures_position_information(symbol=listing.native),
        5,
    )
    return parse.position_risk(rows, listing, cold.offset.now())


async def read_fills(link: Link, cold: Cold, listing: Listing, since: int) -> tuple[Fill, ...]:
    """Return the fills of one instrument at or after ``since`` (ns of the venue), oldest first."""

    async def page(start: int, end: int) -> list[wire.FuturesTrade]:
        return await cold.read(
            list[wire.FuturesTrade],
            lambda c: c.futures_account_trades(
                symbol=listing.native, startTime=start, endTime=end, limit=1_000
            ),
            5,
        )

    async def order(order_id: int) -> wire.OrderRow:
        return await cold.read(
            wire.OrderRow,
            lambda c: c.futures_get_order(symbol=listing.native, orderId=order_id),
            1,
        )

    rows = await all_trades(page, since, cold.offset.now() + SECOND, TRADES_WINDOW_MS)
    ids = await client_ids(link, Leg.FUTURES, rows, order)
    return tuple(parse.futures_trade(row, listing, link.rates, ids[row.order_id]) for row in rows)
