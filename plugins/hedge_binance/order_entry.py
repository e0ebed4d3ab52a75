"""Orders over one WebSocket API connection, and over REST while there is none.

An order is sent once: over REST only when the socket certainly did not send it.
"""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import msgspec

from hedge.errors import OutcomeUnknown, Unreachable, VenueError, redacted
from hedge.model import Leg, Order, OrderReport
from hedge.model.numbers import MS
from hedge.transport import Calls, Line, Socket, Trouble, TroubleKind
from hedge_binance import parse, wire
from hedge_binance.codes import NOT_LOGGED_ON, REJECTED_KEY, order_error, read_error
from hedge_binance.cold import Cold, stamped
from hedge_binance.instruments import Listing
from hedge_binance.link import Link
from hedge_binance.orders import OrderFrames, checked_id

OK = 200
LOG_ON = "session.logon"
_ids = itertools.count(1)
"""Ids of requests: unique in this process, so that no late answer finds another's question."""


class _RetryAfter(msgspec.Struct, frozen=True, rename="camel"):
    retry_after: int = 0
    server_time: int = 0


_order_row = msgspec.json.Decoder(wire.OrderRow).decode
_retry_after = msgspec.json.Decoder(_RetryAfter).decode


class OrderEntry:
    """Places and cancels on one market; `answered` is to be fed with the socket's responses."""

    def __init__(self, link: Link, cold: Cold, *, futures: bool) -> None:
        self.link = link
        self.cold = cold
        self.leg = Leg.FUTURES if futures else Leg.SPOT
        self.calls: Calls[int, wire.ApiFrame] = Calls(
            name=f"binance {self.leg.value}", clock=link.clock, on_trouble=link.trouble
        )
        self.frames = OrderFrames(link.key, futures=futures)
        self.socket: Socket | None = None
        self._sessions: set[Line] = set()
        """The lines that are logged on."""
        self.on_late: Callable[[wire.OrderRow], None] = lambda _: None
        """Takes an order's answer that came after its time: nobody waits, and it is still true."""
        self._futures = futures
        self._ids = link.ids[self.leg]
        self._ack_ms = link.settings.ack_timeout_ms

    # -- the socket's side -----------------------------------------------------------------------

    async def log_on(self, line: Line) -> None:
        """Log an Ed25519 key on: this line's requests then carry neither key nor signature.

        Source: "Session Authentication" of the official WebSocket API page. No other kind of key
        is taken (-4056). Where the venue says no, or nothing, the line's requests are signed.
        """
        if not self.link.key.pem:
            return
        try:
            frame = await self.ask(line, LOG_ON, {}, timeout_ms=self._ack_ms)
            if frame.status != OK:
                raise self.refusal(frame, read_error)
        except VenueError as error:
            self._say(f"line {line.number} is not logged on, its requests are signed: {error}")
            return
        self._sessions.add(line)
        line.when_down(self._log_off)

    def logged_on(self, line: Line) -> bool:
        return line in self._sessions

    def _say(self, text: str) -> None:
        name = f"binance {self.leg.value}"
        self.link.trouble(Trouble(kind=TroubleKind.CONNECT, name=name, text=redacted(text)))

    def _log_off(self, line: Line) -> None:
        self._sessions.discard(line)

    def answered(self, line: Line, frame: wire.ApiFrame) -> None:
        """Hand a response to who asked; one without an id belongs to nobody."""
        code = frame.error.code if frame.error else 0
        if isinstance(frame.id, int):
            if code in NOT_LOGGED_ON and line in self._sessions:
                self._log_off(line)
                self._say(f"line {line.number} is logged on no more: its requests are signed")
            if not self.calls.answer(frame.id, frame) and frame.status == OK:
                with contextlib.suppress(msgspec.MsgspecError):
                    self.on_late(_order_row(frame.result))
        elif code == REJECTED_KEY and line in self._sessions:
            # Whose request met it is not said: of orders under way nobody can tell. What the
            # session had subscribed to is on the next line.
            line.drop("the session was revoked")
        else:
            self.calls.stray(f"no id, status {frame.status}, code {code}")

    async def ask(
        self, line: Line, method: str, fields: dict[str, str] | None, *, timeout_ms: int
    ) -> wire.ApiFrame:
        """Ask something that changes nothing; it is signed, but for ``fields`` None."""
        call_id = next(_ids)
        if fields is None:
            payload = f'{{"id":{call_id},"method":"{method}"}}'.encode()
        else:
            payload = self.frames.request(
                call_id,
                method,
                fields,
                at_ms=self.cold.offset.now_ms(),
                window_ms=self.link.settings.read_window_ms,
            )
        return await self.calls.ask(line, call_id, payload, timeout_ms=timeout_ms, read=True)

    def refusal(self, frame: wire.ApiFrame, sort: Callable[..., Exception]) -> Exception:
        """Return the error of a response that is none of success."""
        fault = frame.error or wire.Fault()
        after_s = self._wait_s(fault)
        self.cold.limited(frame.status, after_s)
        return sort(
            fault.code,
            fault.msg,
            futures=self._futures,
            status=frame.status,
            retry_after_s=after_s,
        )

    def _wait_s(self, fault: wire.Fault) -> int:
        if not bytes(fault.data):
            return 0
        try:
            found = _retry_after(fault.data)
        except msgspec.MsgspecError:
            return 0
        if not found.retry_after:
            return 0
        now = found.server_time or self.cold.offset.now_ms()
        return max(-(-(found.retry_after - now) // 1_000), 1)

    # -- orders ----------------------------------------------------------------------------------

    async def place(self, order: Order, listing: Listing) -> OrderReport:
        """Send the order at once: over the socket, or over REST where that cannot have sent it."""
        self.cold.take_order(urgent=self._futures or order.reduce_only)
        call_id = next(_ids)
        try:
            line = self._line
            signed = line not in self._sessions
            payload = self.frames.place(call_id, order, listing, signed=signed)
            frame = await self.calls.ask(line, call_id, payload, timeout_ms=self._ack_ms)
        except Unreachable:
            fields = stamped(
                self.frames.fields(order, listing),
                at_ms=order.signed_at // MS,
                window_ms=order.recv_window_ms,
            )
            return await self._rest(
                lambda c: self._create(c, fields), listing, stamped_already=True
            )
        return self._report(frame, listing)

    async def cancel(self, listing: Listing, client_order_id: str) -> OrderReport:
        """Ask to cancel; `Refused` (-2011) says that it is not open, and nothing of its fills."""
        self.cold.check_open()
        call_id = next(_ids)
        try:
            line = self._line
            payload = self.frames.cancel(
                call_id,
                listing.native,
                client_order_id,
                at_ms=self.cold.offset.now_ms(),
                window_ms=self.link.settings.recv_window_ms,
                signed=line not in self._sessions,
            )
            frame = await self.calls.ask(line, call_id, payload, timeout_ms=self._ack_ms)
        except Unreachable:
            fields = {"symbol": listing.native, "origClientOrderId": checked_id(client_order_id)}
            return await self._rest(lambda c: self._delete(c, fields), listing)
        return self._report(frame, listing)

    @property
    def _line(self) -> Line:
        if self.socket is None:
            raise Unreachable("binance: no order socket")
        return self.socket.line

    def _report(self, frame: wire.ApiFrame, listing: Listing) -> OrderReport:
        if frame.status != OK:
            raise self.refusal(frame, order_error)
        try:
            row = _order_row(frame.result)
        except msgspec.MsgspecError as error:
            raise OutcomeUnknown(f"binance: {error}") from None
        return self.noted(row, listing)

    async def _rest(
        self, ask: Callable[[Any], Any], listing: Listing, *, stamped_already: bool = False
    ) -> OrderReport:
        row = await self.cold.command(wire.OrderRow, ask, weight=1, stamped_already=stamped_already)
        assert row is not None  # no code is fine here
        return self.noted(row, listing)

    def _create(self, client: Any, fields: dict[str, Any]) -> Any:
        if self._futures:
            return client.futures_create_order(**fields)
        return client.create_order(**fields)

    def _delete(self, client: Any, fields: dict[str, Any]) -> Any:
        if self._futures:
            return client.futures_cancel_order(**fields)
        return client.cancel_order(**fields)

    def noted(self, row: wire.OrderRow, listing: Listing) -> OrderReport:
        """Return the report of an answer, and remember whose order it is."""
        report = parse.order_row(row, listing)
        self._ids.note(row.order_id, report.client_order_id)
        return report


def frame_of(view: memoryview) -> wire.ApiFrame:
    """Read a frame; its parts may outlive the view."""
    return parse.api_frame(bytes(view))
