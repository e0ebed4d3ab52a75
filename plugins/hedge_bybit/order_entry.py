"""Placing and cancelling: over the order socket, or by REST where there is none.

An order is sent once. What the socket certainly did not send goes by REST instead; whatever else
goes wrong is `OutcomeUnknown`, except for the answers in the table of refusals.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from hedge.errors import Limited, OutcomeUnknown, Refused, Unreachable, VenueError
from hedge.model import Leg, Order, OrderReport, TimeInForce
from hedge.model.numbers import MS, SECOND
from hedge.roles import Clock
from hedge.transport import (
    Bucket,
    Calls,
    ClockOffset,
    Line,
    RateBudget,
    Rest,
    Socket,
    SocketLimits,
    TroubleSink,
)
from hedge_bybit.access import Access
from hedge_bybit.allowance import Allowance
from hedge_bybit.config import BybitSettings
from hedge_bybit.errors import HTTP_OK, LIMITED_FOR_S, OK, command_error, status_error, wait_s
from hedge_bybit.frames import REST_REPLY, TRADE_REPLY, TradeReply
from hedge_bybit.listing import CATEGORIES, Listing
from hedge_bybit.order_frames import (
    CANCEL_PATH,
    CREATE_PATH,
    cancel_body,
    create_message,
    order_body,
    trade_message,
)
from hedge_bybit.own_orders import OwnOrders

RESTARTING = 10019
"""The service takes no new requests on this connection; those under way are not affected."""
PACED_OUT = "RATE_BUDGET"
CONFIRM_MS = 500
"""How long the end of a cancelled order may take to arrive before it is asked for."""
AUTH_TIMEOUT_MS = 10_000
WINDOW_MS = 1_100
"""The venue counts by its own second, and by arrival: an order may travel faster than the first."""

CREATES = {leg: f"create {category}" for leg, category in CATEGORIES.items()}
"""The bucket of a new order, by leg."""

ReadOrder = Callable[[Listing, str], Coroutine[Any, Any, OrderReport]]


class OrderEntry:
    """The order entry of one account, both legs."""

    def __init__(
        self,
        *,
        clock: Clock,
        settings: BybitSettings,
        access: Access,
        offset: ClockOffset,
        own: OwnOrders,
        rest: Rest,
        allowance: Allowance,
        read_order: ReadOrder,
        on_trouble: TroubleSink,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._access = access
        self._offset = offset
        self._own = own
        self._rest = rest
        self._allowance = allowance
        self._read_order = read_order
        self._calls: Calls[str, TradeReply] = Calls(
            name="bybit trade", clock=clock, on_trouble=on_trouble
        )
        self._cancels = itertools.count(clock.now() // MS % 10**9)
        self.budget = RateBudget(clock, _buckets(settings))
        url = settings.hosts.trade
        self._left: Line | None = None
        self.socket: Socket | None = None
        if url:
            self.socket = Socket(
                f"{url}/v5/trade",
                name="bybit trade",
                clock=clock,
                on_frame=self._on_frame,
                on_trouble=on_trouble,
                resubscribe=self._authenticate,
                probe=self._ping,
                limits=SocketLimits(
                    silence_max_ms=settings.silence_max_ms,
                    probe_timeout_ms=settings.probe_timeout_ms,
                ),
            )

    async def open(self) -> None:
        if self.socket is not None:
            await self.socket.__aenter__()

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.__aexit__(None, None, None)

    async def place(self, order: Order, listing: Listing) -> OrderReport:
        """Send the order, and return what is known of it when the venue has accepted it.

        By REST goes only what did not leave by the socket.
        """
        name = CREATES[listing.leg]
        known = self._own.placed(order)
        try:
            urgent = order.reduce_only or order.time_in_force is TimeInForce.IOC
            if wait := self.budget.try_take({name: 1}, urgent=urgent):
                await self._pace(name, wait, urgent=urgent)
            try:
                message = create_message(order, listing)
                result = await self._ask(order.client_order_id, message, name)
            except Unreachable:
                result = await self._by_rest(
                    CREATE_PATH,
                    order_body(order, listing),
                    timestamp_ms=order.signed_at // MS,
                    recv_window_ms=order.recv_window_ms,
                )
        except (Refused, Unreachable):  # by REST, too: it is nowhere, and never will be
            known.ended = True
            raise
        self._own.named(order.client_order_id, _order_id(result))
        return known.report(self._clock.now())

    async def cancel(self, listing: Listing, client_order_id: str) -> OrderReport:
        """Ask to cancel; return the order's end, or where it does not come, the venue's view."""
        name = f"cancel {listing.category}"
        if wait := self.budget.try_take({name: 1}, urgent=True):
            await self._pace(name, wait, urgent=True)
        ended: asyncio.Future[OrderReport] = asyncio.get_running_loop().create_future()
        known = self._own.find(client_order_id)
        if known is not None:
            known.on_end.append(lambda report: _settle(ended, report))
        body = cancel_body(listing, client_order_id)
        now_ms, window_ms = self._offset.now_ms(), self._settings.recv_window_ms
        call_id = f"{client_order_id}-{next(self._cancels)}"
        try:
            message = trade_message(
                "order.cancel", call_id, body, timestamp_ms=now_ms, recv_window_ms=window_ms
            )
            await self._ask(call_id, message, name)
        except Unreachable:
            await self._by_rest(CANCEL_PATH, body, timestamp_ms=now_ms, recv_window_ms=window_ms)
        return await self._end_of(listing, client_order_id, ended if known is not None else None)

    async def _end_of(
        self, listing: Listing, client_order_id: str, ended: "asyncio.Future[OrderReport] | None"
    ) -> OrderReport:
        if ended is not None:
            await asyncio.wait({ended}, timeout=CONFIRM_MS / 1_000)
            if ended.done():
                return ended.result()
        try:
            return await self._read_order(listing, client_order_id)
        except VenueError as error:
            raise OutcomeUnknown(f"bybit: cancelled, and its end is not known: {error}") from None

    async def _pace(self, name: str, wait: int, *, urgent: bool) -> None:
        """Wait for room in the venue's second; the core meanwhile adds up what comes."""
        clock = self._clock
        until = clock.now() + self._settings.pace_max_ms * MS
        while wait:
            if clock.now() + wait > until:
                raise Limited(
                    f"bybit: {name}: over the rate limit",
                    code=PACED_OUT,
                    retry_after_s=max(1, wait // SECOND),
                )
            await clock.sleep_until(clock.now() + wait)
            wait = self.budget.try_take({name: 1}, urgent=urgent)

    # -- over the socket -------------------------------------------------------------------------

    async def _ask(self, call_id: str, message: bytes, name: str) -> Any:
        """Return the data of an accepted request; raise `Unreachable` only when it was not sent."""
        if self.socket is None:
            raise Unreachable("bybit: no order socket here")
        line = self.socket.line
        if line is self._left:
            raise Unreachable("bybit: the order service restarts behind this connection")
        sent = self._clock.now()
        reply = await self._calls.ask(
            line, call_id, message, timeout_ms=self._settings.ack_timeout_ms
        )
        self._learn(reply, sent, name)
        if reply.ret_code == OK:
            return reply.data
        if reply.ret_code == RESTARTING:
            self._leave(line)
        raise command_error(reply.ret_code, reply.ret_msg, retry_after_s=self._asked_s(reply))

    def _asked_s(self, reply: TradeReply) -> int:
        header = {name.lower(): str(value) for name, value in reply.header.items()}
        return max(wait_s(header, self._offset.now_ms()), LIMITED_FOR_S)

    def _leave(self, line: Line) -> None:
        """Send nothing more where it would not be taken: REST is there until the next line is."""
        self._left = line
        if self.socket is not None:
            self.socket.rotate("restarting", line)

    def _learn(self, reply: TradeReply, sent: int, name: str) -> None:
        """Take the venue's clock and the state of its limit from an answer's header."""
        header = reply.header
        try:
            self._offset.learn(
                sent=sent, received=self._clock.now(), server_at=int(header["Timenow"]) * MS
            )
            self.budget.observe(
                name,
                remaining=int(header["X-Bapi-Limit-Status"]),
                capacity=int(header["X-Bapi-Limit"]),
            )
        except (KeyError, TypeError, ValueError):
            return  # an answer without them is as good

    def _on_frame(self, line: Line, view: memoryview) -> None:
        reply = TRADE_REPLY.decode(view)
        if reply.op == "auth" or reply.op == "pong":  # noqa: PLR1714 - hot: no set
            self._calls.answer(f"{reply.op} {line.number}", reply)
        elif reply.req_id:
            self._calls.answer(reply.req_id, reply)
        else:
            if reply.ret_code == RESTARTING:
                self._leave(line)
            self._calls.stray(f"{reply.op or 'an answer'} {reply.ret_code} without reqId")

    async def _authenticate(self, line: Line) -> None:
        call_id = f"auth {line.number}"
        message = self._access.auth(self._offset.now_ms(), call_id, id_name="reqId")
        reply = await self._calls.ask(line, call_id, message, timeout_ms=AUTH_TIMEOUT_MS, read=True)
        if reply.ret_code != OK:
            raise Refused(
                f"bybit {reply.ret_code}: order socket: {reply.ret_msg}", code=str(reply.ret_code)
            )

    async def _ping(self, line: Line) -> None:
        await self._calls.ask(
            line, f"pong {line.number}", b'{"op":"ping"}', timeout_ms=AUTH_TIMEOUT_MS, read=True
        )

    # -- by REST ---------------------------------------------------------------------------------

    async def _by_rest(
        self, path: str, body: str, *, timestamp_ms: int, recv_window_ms: int
    ) -> Any:
        """Return the result of an accepted request; raise `Limited`, unsent, in a ban."""
        self._allowance.take_order()
        reply = await self._rest.write(
            "POST",
            path,
            body=body.encode(),
            headers=self._access.headers(timestamp_ms, recv_window_ms, body),
            timeout_ms=self._settings.ack_timeout_ms,
        )
        if reply.status != HTTP_OK:
            self._allowance.heard(reply.headers, status=reply.status)
            raise status_error(reply.status, read=False)
        try:
            answer = REST_REPLY.decode(reply.body)
        except msgspec.MsgspecError:
            raise OutcomeUnknown("bybit: an answer that is not readable") from None
        if answer.time:
            self._offset.learn(sent=reply.sent, received=reply.received, server_at=answer.time * MS)
        if answer.ret_code != OK:
            asked_s = self._allowance.heard(reply.headers, code=answer.ret_code)
            raise command_error(answer.ret_code, answer.ret_msg, retry_after_s=asked_s)
        return answer.result


def _buckets(settings: BybitSettings) -> list[Bucket]:
    """Return the limits of /v5/order/create and /v5/order/cancel, each per category and second."""
    rates = {
        Leg.SPOT: settings.spot_orders_per_second,
        Leg.FUTURES: settings.futures_orders_per_second,
    }
    return [
        Bucket(
            name=f"{verb} {CATEGORIES[leg]}",
            capacity=rate,
            window_ms=WINDOW_MS,
            reserve=settings.orders_reserve,
        )
        for leg, rate in rates.items()
        for verb in ("create", "cancel")
    ]


def _settle(ended: "asyncio.Future[OrderReport]", report: OrderReport) -> None:
    if not ended.done():
        ended.set_result(report)


def _order_id(result: Any) -> str:
    found = result.get("orderId") if isinstance(result, dict) else None
    return found if isinstance(found, str) else ""
