"""The spot leg: orders and user events on one WebSocket API connection, reads over REST."""

from hedge.errors import Malformed
from hedge.model import Balance, Fill, Leg, StreamKind
from hedge.model.numbers import SECOND, ZERO
from hedge.transport import Line, Socket
from hedge_binance import parse, wire
from hedge_binance.audience import Audience
from hedge_binance.codes import read_error
from hedge_binance.cold import Cold
from hedge_binance.gateway import AccountStream, Gateway, all_trades, client_ids, rate_of
from hedge_binance.instruments import Listing
from hedge_binance.link import Link
from hedge_binance.order_entry import OK, OrderEntry

SUBSCRIBE = "userDataStream.subscribe"
"""On a connection that has logged on; it takes no parameters."""
SUBSCRIBE_SIGNED = "userDataStream.subscribe.signature"
TRADES_WINDOW_MS = 86_400_000
"""``myTrades`` takes at most 24 h between its two times."""


class SpotStream(AccountStream):
    """``ws-api/v3``: the subscription, the orders, and what both say."""

    def __init__(self, link: Link, cold: Cold) -> None:
        self.link = link
        self.cold = cold
        self.audience = Audience(link.clock, link.settings.heartbeat_ms)
        self.entry = OrderEntry(link, cold, futures=False)
        self.entry.on_late = self.tell_order
        self._ids = link.ids[Leg.SPOT]
        self._timeout_ms = link.settings.read_timeout_ms

    async def start(self) -> None:
        """Dial, once."""
        if self.entry.socket is not None:
            return
        link = self.link
        self.entry.socket = Socket(
            link.settings.hosts.spot_ws_url,
            name="binance spot account",
            clock=link.clock,
            on_frame=self._on_frame,
            on_trouble=link.trouble,
            on_state=self.audience.state,
            kind=StreamKind.ACCOUNT,
            resubscribe=self._subscribe,
            fill_gap=self.fill_gap,
            probe=self._probe,
            limits=link.socket_limits,
        )
        await link.stack.enter_async_context(self.entry.socket)

    async def _subscribe(self, line: Line) -> None:
        entry, wait_ms = self.entry, self._timeout_ms
        await entry.log_on(line)
        frame = None
        if entry.logged_on(line):
            frame = await entry.ask(line, SUBSCRIBE, None, timeout_ms=wait_ms)
        if frame is None or frame.status != OK:
            frame = await entry.ask(line, SUBSCRIBE_SIGNED, {}, timeout_ms=wait_ms)
        if frame.status != OK:
            raise self.entry.refusal(frame, read_error)

    async def _probe(self, line: Line) -> None:
        await self.entry.ask(line, "ping", None, timeout_ms=self._timeout_ms)

    async def read_fills(self, listing: Listing, since: int) -> tuple[Fill, ...]:
        return await read_fills(self.link, self.cold, listing, since)

    async def read_open_orders(self, listing: Listing) -> list[wire.OrderRow]:
        return await read_open_orders(self.cold, listing)

    async def tell_held(self, since: int) -> None:  # noqa: ARG002 - balances have no history
        account = await read_account(self.cold)
        for held in account.balances:
            self._tell_balance(held.asset, held, account.update_time)

    # -- frames ----------------------------------------------------------------------------------

    def _on_frame(self, line: Line, view: memoryview) -> None:
        payload = bytes(view)  # of an answer, parts outlive the view
        try:
            event = parse.spot_news(payload)
            if event is not None:
                self._on_event(line, event)
            else:
                self._on_other(line, parse.api_frame(payload))
        except Malformed:
            self.audience.unsure()
            raise
        self.audience.heard()

    def _on_other(self, line: Line, frame: wire.ApiFrame) -> None:
        """Take an answer, or an event that is unknown or damaged, and say which."""
        if bytes(frame.event):
            self._on_event(line, parse.spot_event(frame.event))
        else:
            self.entry.answered(line, frame)

    def _on_event(self, line: Line, event: wire.SpotEvent | None) -> None:
        match event:
            case wire.ExecutionReport():
                self._on_execution(event)
            case wire.AccountPosition(rows=rows, at=at):
                for row in rows:
                    self._tell_balance(row.asset, row, at)
            case wire.StreamTerminated():
                line.drop("eventStreamTerminated")
            case wire.ServerShutdown() if self.entry.socket is not None:
                self.entry.socket.rotate("serverShutdown", line)

    def _on_execution(self, event: wire.ExecutionReport) -> None:
        listing = self.audience.listings.get(event.native)
        if listing is None:
            return
        client_id = event.original_id or event.client_id
        self._ids.note(event.order_id, client_id)
        fill = parse.fill_of(event, listing, self.link.rates, leg=Leg.SPOT, client_id=client_id)
        if fill is not None:
            self.audience.tell(event.native, fill)
        self.audience.tell(event.native, parse.execution_report(event, listing))

    def _tell_balance(self, asset: str, row: wire.WalletRow | wire.SpotBalance, at: int) -> None:
        coin, _ = self.link.coins.of(asset)

        def make(listing: Listing) -> Balance | None:
            instrument = listing.instrument
            if coin not in (instrument.base, instrument.quote, self.link.settings.fee_coin):
                return None
            rate = rate_of(self.link, listing, asset)
            return parse.balance(asset, row.free, row.locked, self.link.coins, at=at, rate=rate)

        self.audience.tell_balance(make)


class BinanceSpotGateway(Gateway):
    """`hedge.roles.SpotGateway`."""

    leg = Leg.SPOT

    async def stream(self) -> SpotStream:
        found = self.session.spot
        if found is None:
            cold = await self.cold()
            found = self.session.spot = self.session.spot or SpotStream(self.session, cold)
        return found

    async def read_balances(self) -> tuple[Balance, ...]:
        """Return every asset that is held; what is not named is zero."""
        link = self.session
        account = await read_account(await self.cold())
        listings = list((await self.stream()).audience.listings.values())
        found = []
        for row in account.balances:
            rates = [rate_of(link, listing, row.asset) for listing in listings]
            rate = next((one for one in rates if one is not None), None)
            if row.free + row.locked != ZERO:
                found.append(
                    parse.balance(
                        row.asset, row.free, row.locked, link.coins,
                        at=account.update_time, rate=rate,
                    )
                )  # fmt: skip
        return tuple(found)

    async def _order(self, listing: Listing, **by: str | int) -> wire.OrderRow:
        cold = await self.cold()
        return await cold.read(wire.OrderRow, lambda c: c.get_order(symbol=listing.native, **by), 4)

    async def _open_orders(self, listing: Listing) -> list[wire.OrderRow]:
        return await read_open_orders(await self.cold(), listing)

    async def fills_of(self, listing: Listing, since: int) -> tuple[Fill, ...]:
        return await read_fills(self.session, await self.cold(), listing, since)


async def read_account(cold: Cold) -> wire.SpotAccount:
    return await cold.read(wire.SpotAccount, lambda c: c.get_account(omitZeroBalances="true"), 20)


async def read_open_orders(cold: Cold, listing: Listing) -> list[wire.OrderRow]:
    return await cold.read(
        list[wire.OrderRow], lambda c: c.get_open_orders(symbol=listing.native), 6
    )


async def read_fills(link: Link, cold: Cold, listing: Listing, since: int) -> tuple[Fill, ...]:
    """Return the fills of one instrument at or after ``since`` (ns of the venue), oldest first."""

    async def page(start: int, end: int) -> list[wire.SpotTrade]:
        return await cold.read(
            list[wire.SpotTrade],
            lambda c: c.get_my_trades(
                symbol=listing.native, startTime=start, endTime=end, limit=1_000
            ),
            20,
        )

    async def order(order_id: int) -> wire.OrderRow:
        return await cold.read(
            wire.OrderRow, lambda c: c.get_order(symbol=listing.native, orderId=order_id), 4
        )

    rows = await all_trades(page, since, cold.offset.now() + SECOND, TRADES_WINDOW_MS)
    ids = await client_ids(link, Leg.SPOT, rows, order)
    return tuple(parse.spot_trade(row, listing, link.rates, ids[row.order_id]) for row in rows)
