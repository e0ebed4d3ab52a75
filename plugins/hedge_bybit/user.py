"""The private stream: orders, executions, position and wallet of one account, without gaps."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from hedge.errors import Malformed, Refused
from hedge.model import (
    Leg,
    OrderReport,
    StreamAlive,
    StreamDown,
    StreamKind,
    StreamUp,
)
from hedge.model.numbers import MS, SECOND
from hedge.roles import AccountNews, AccountSink, Clock
from hedge.transport import (
    ClockOffset,
    Line,
    Socket,
    SocketLimits,
    Trouble,
    TroubleKind,
    TroubleSink,
)
from hedge_bybit import parse
from hedge_bybit.access import Access
from hedge_bybit.config import BybitSettings
from hedge_bybit.frames import (
    PRIVATE,
    UNREADABLE,
    ExecutionFrame,
    ExecutionRow,
    FastFrame,
    OrderFrame,
    OrderRow,
    PositionFrame,
    PositionRow,
    WalletFrame,
    WalletRow,
)
from hedge_bybit.listing import LINEAR, SPOT, Listing, number
from hedge_bybit.own_orders import Early, OwnOrders
from hedge_bybit.reads import Reads
from hedge_bybit.replies import Replies

NAME = "bybit private"
TOPICS = ("order", "execution", "position", "wallet")
FAST_TOPIC = "execution.fast"
OVERLAP = 10 * SECOND
"""How far before the gap its filling begins: REST may lag, and what comes twice is dropped."""
UP = StreamUp(kind=StreamKind.ACCOUNT)


class Listener(msgspec.Struct):
    """Who hears of one instrument."""

    listing: Listing
    sinks: tuple[AccountSink, ...] = ()

    def tell(self, news: AccountNews) -> None:
        for sink in self.sinks:
            sink(news)


class UserStream:
    """One socket for both legs; what arrives is handed on in the call that reads it."""

    def __init__(
        self,
        *,
        clock: Clock,
        settings: BybitSettings,
        access: Access,
        offset: ClockOffset,
        own: OwnOrders,
        reads: Reads,
        on_trouble: TroubleSink,
    ) -> None:
        self._clock = clock
        self._access = access
        self._offset = offset
        self._own = own
        self._reads = reads
        self._on_trouble = on_trouble
        self._fast = settings.fast_executions
        self._fence = settings.limits.fence_ms * MS
        self._replies = Replies(NAME, clock, on_trouble, timeout_ms=settings.read_timeout_ms)
        self._listeners: dict[tuple[str, str], Listener] = {}
        self.margin_ratio: Decimal | None = None
        self.socket = Socket(
            f"{settings.hosts.private}/v5/private",
            name=NAME,
            clock=clock,
            on_frame=self._on_frame,
            on_trouble=on_trouble,
            on_state=self._on_state,
            kind=StreamKind.ACCOUNT,
            resubscribe=self._subscribe,
            fill_gap=self._fill_gap,
            probe=self._replies.ping,
            limits=SocketLimits(
                silence_max_ms=settings.silence_max_ms,
                probe_timeout_ms=settings.probe_timeout_ms,
            ),
        )
        self._is_open = False

    async def listen(self, listing: Listing, sink: AccountSink) -> None:
        """Hand ``sink`` the account's news of one instrument, and the state of the stream."""
        listener = self._listeners.setdefault(
            (listing.category, listing.venue_symbol), Listener(listing)
        )
        listener.sinks = (*listener.sinks, sink)
        if not self._is_open:
            self._is_open = True
            await self.socket.__aenter__()
        elif self.socket.ready:
            sink(UP)

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            await self.socket.__aexit__(None, None, None)

    # -- the socket ------------------------------------------------------------------------------

    async def _subscribe(self, line: Line) -> None:
        message = self._access.auth(self._offset.now_ms(), "auth", id_name="req_id")
        await self._replies.ask(line, "auth", message)
        await self._replies.subscribe(line, TOPICS)
        if self._fast:
            try:
                await self._replies.subscribe(line, (FAST_TOPIC,))
            except Refused as error:
                # Only earlier, never more: without it the executions alone tell everything.
                self._fast = False
                self._on_trouble(
                    Trouble(kind=TroubleKind.CONNECT, name=NAME, text=str(error), error=error)
                )

    def _on_state(self, news: StreamUp | StreamDown | StreamAlive) -> None:
        for listener in self._listeners.values():
            listener.tell(news)

    async def _fill_gap(self, _: Line, since: int | None) -> None:
        """Tell what happened while nobody listened; at the first connect the core reads it all."""
        if since is None:
            return
        for listener in tuple(self._listeners.values()):
            listing = listener.listing
            leg, symbol = listing.leg, listing.venue_symbol
            for row in await self._reads.executions(leg, symbol, since - OVERLAP):
                self._execution(row, listener)
            await self._fill_orders(listener)
            if leg is Leg.FUTURES:
                self._position(await self._reads.positions(symbol), listener)
        self._wallet(await self._reads.wallet())

    async def _fill_orders(self, listener: Listener) -> None:
        listing = listener.listing
        leg, symbol = listing.leg, listing.venue_symbol
        rows = await self._reads.open_orders(leg, symbol)
        shown = {row.order_link_id for row in rows}
        for known in self._own.open_of(listing.symbol):
            if known.client_order_id not in shown:
                row = await self._reads.order(leg, symbol, known.client_order_id)
                if row is not None:
                    rows.append(row)
                elif known.signed_at + self._fence < self._offset.now():
                    # Else each gap would ask for it anew, until no filling is over in its time.
                    self._own.forget(known)
        for row in rows:
            self._order(row, listener)

    def _on_frame(self, line: Line, view: memoryview) -> None:
        try:
            frame = PRIVATE.decode(view)
        except UNREADABLE:
            self._other(line, view)
            return
        try:
            # One turn of `match` over these types costs more than the chain.
            if isinstance(frame, FastFrame):
                self._fast_executions(frame.data)
            elif isinstance(frame, ExecutionFrame):
                self._executions(frame.data)
            elif isinstance(frame, OrderFrame):
                self._orders(frame.data)
            elif isinstance(frame, PositionFrame):
                self._positions(frame.data)
            elif isinstance(frame, WalletFrame):
                for wallet in frame.data:
                    self._wallet(wallet)
        except Malformed:
            self._unsure()
            raise

    def _other(self, line: Line, view: memoryview) -> None:
        """Take an answer; a message that is neither news nor answer may have been news."""
        try:
            self._replies.take(line, view)
        except UNREADABLE:
            self._unsure()
            raise

    def _unsure(self) -> None:
        """Say that something may have been missed, so that the core reads the account."""
        for listener in self._listeners.values():
            listener.tell(UP)

    # -- the news --------------------------------------------------------------------------------

    def _fast_executions(self, rows: Sequence[ExecutionRow]) -> None:
        """Tell an order's new total; the fill itself follows, with its fee."""
        for row in rows:
            listener = self._listeners.get((row.category, row.symbol))
            if listener is None:
                continue
            listing = listener.listing
            early = Early(
                (listing.symbol, row.exec_id, row.side),
                row.order_id,
                listing.quantity(number(row.exec_qty)),
                parse.moment(row.exec_time),
            )
            report = self._own.early(early, row.order_link_id)
            if report is not None:
                listener.tell(report)

    def _executions(self, rows: Sequence[ExecutionRow]) -> None:
        for row in rows:
            listener = self._listeners.get((row.category, row.symbol))
            if listener is not None:
                self._execution(row, listener)

    def _execution(self, row: ExecutionRow, listener: Listener) -> None:
        listing = listener.listing
        if row.exec_type == parse.FUNDING:
            if parse.pays_by_execution(listing):
                listener.tell(parse.executed_payment(row, listing))
            return
        fill = parse.fill(row, listing, self._own.client_order_id(row.order_id))
        if self._own.executed(fill):
            listener.tell(fill)

    def _orders(self, rows: Sequence[OrderRow]) -> None:
        for row in rows:
            listener = self._listeners.get((row.category, row.symbol))
            if listener is not None:
                self._order(row, listener)

    def _order(self, row: OrderRow, listener: Listener) -> None:
        listing = listener.listing
        report: OrderReport = parse.order_report(row, listing)
        listener.tell(self._own.reported(listing.symbol, report))

    def _positions(self, rows: Sequence[PositionRow]) -> None:
        for row in rows:
            listener = self._listeners.get((row.category or LINEAR, row.symbol))
            # One side of hedge mode is half the truth; the core reads the mode and stops.
            if listener is not None and not parse.is_hedge_mode((row,)):
                self._position((row,), listener)

    def _position(self, rows: Sequence[PositionRow], listener: Listener) -> None:
        listener.tell(parse.position(rows, listener.listing, self.margin_ratio))

    def _wallet(self, wallet: WalletRow) -> None:
        self.margin_ratio = parse.margin_ratio(wallet)
        at = self._clock.now()
        coins = {row.coin: row for row in wallet.coin}
        for (category, _), listener in self._listeners.items():
            if category != SPOT:
                continue
            instrument = listener.listing.instrument
            for asset in (instrument.base, instrument.quote):
                if asset in coins:
                    listener.tell(parse.balance(coins[asset], at))
