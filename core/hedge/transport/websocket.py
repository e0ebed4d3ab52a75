"""One logical WebSocket connection that lives for ever, over many that do not."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random, SystemRandom
from types import TracebackType
from typing import Self

import msgspec

from hedge.errors import Limited, Refused, Unreachable, redacted
from hedge.model import StreamAlive, StreamDown, StreamKind, StreamUp
from hedge.model.numbers import MS, SECOND
from hedge.roles import Clock, TimerHandle
from hedge.transport.address import verified
from hedge.transport.backoff import Backoff
from hedge.transport.deadline import Within
from hedge.transport.line import FrameSink, Line
from hedge.transport.pulse import Pulse, Step, Watch
from hedge.transport.rate_budget import Bucket, RateBudget
from hedge.transport.refusal import retry_after_ns
from hedge.transport.trouble import TroubleKind, Troubles, TroubleSink, described

StateSink = Callable[[StreamUp | StreamDown | StreamAlive], None]
"""Told of each change, on the event loop, on its own: what it raises harms nothing here."""
GapFiller = Callable[[Line, int | None], Awaitable[None]]
Request = Callable[[Line, Sequence[str]], Awaitable[None]]
"""Asks a line for streams by name, and returns when the venue has taken them."""
CONNECTS = "connects"
"""The bucket of a shared connect budget."""


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    connect_timeout_ms: int = 10_000
    """Name, TCP, TLS and the upgrade together."""
    ready_timeout_ms: int = 30_000
    """``resubscribe`` and ``fill_gap`` together."""
    backoff_first_ms: int = 100
    backoff_max_ms: int = 30_000
    steady_ms: int = 10_000
    """How long a line must have been ready for the backoff to start from its first step again."""
    connects_max: int = 100
    connects_window_ms: int = 300_000
    """Connects of this socket; Binance bans an address at 300 in 5 min, Bybit at 500."""
    ping_idle_ms: int = 10_000
    """Without any frame for this long we ask for a pong."""
    pong_timeout_ms: int = 5_000
    silence_max_ms: int = 5_000
    """Without a data message for this long ``probe`` is run, where there is one."""
    probe_timeout_ms: int = 5_000
    life_ms: int = 82_800_000
    """23 h: a line is replaced before the venue cuts it at 24 h."""
    linger_ms: int = 3_000
    """How long a replaced line is still read, so that its calls get their answers."""
    message_bytes_max: int = 8_388_608
    """Of one message, in one frame or in fragments; a larger one drops the line."""
    send_buffer_bytes_max: int = 65_536


class Socket:
    """Connects, and connects again, without an end; ``async with`` starts and stops it.

    A line becomes *ready* only when ``resubscribe`` and then ``fill_gap`` have returned; then
    `StreamUp` is told. When a ready line is lost, `StreamDown` is told at once. A replaced line
    (`rotate`, or ``life_ms``) is closed only after its successor is ready: neither is told, and
    messages may come twice meanwhile, which is the plugin's to drop.
    """

    def __init__(
        self,
        url: str | Callable[[], Awaitable[str]],
        *,
        name: str,
        clock: Clock,
        on_frame: FrameSink,
        on_trouble: TroubleSink,
        on_state: StateSink | None = None,
        kind: StreamKind = StreamKind.MARKET,
        resubscribe: Step | None = None,
        fill_gap: GapFiller | None = None,
        probe: Step | None = None,
        headers: Mapping[str, str] | None = None,
        limits: SocketLimits | None = None,
        connects: RateBudget | None = None,
        tls: ssl.SSLContext | None = None,
        random: Random | None = None,
    ) -> None:
        """Set up; nothing is opened yet.

        ``url``: fixed, or asked for at each connect (a listenKey in it). ``ws`` only to loopback.
        ``on_frame(line, view)``: each data message; see `FrameSink`.
        ``resubscribe(line)``: send what this connection needs (auth, subscriptions) and await the
        acks; events and acks arrive through ``on_frame`` meanwhile. Whatever it raises ends this
        attempt; another follows.
        ``fill_gap(line, since)``: fetch by REST what may have been missed since ``since`` (ns of
        the clock, the last moment at which the stream was known to be whole; None at first).
        ``probe(line)``: after ``silence_max_ms`` without a message, prove that the venue's end of
        the stream lives (a cheap request); when it raises or takes too long the line is dropped.
        `StreamAlive` is told after each such interval that had a message or an answered probe.
        ``connects``: a budget shared by sockets of one address, with a bucket named "connects".
        """
        self._url = url
        self._name = name
        self._clock = clock
        self._on_frame = on_frame
        self._on_state = on_state
        self._kind = kind
        self._resubscribe = resubscribe
        self._fill_gap = fill_gap
        self._probe = probe
        self._headers = dict(headers or {})
        self._limits = limits = limits or SocketLimits()
        own = Bucket(
            name=CONNECTS, capacity=limits.connects_max, window_ms=limits.connects_window_ms
        )
        self._budget = connects or RateBudget(clock, [own])
        self._tls = None if tls is None else verified(tls)
        self._backoff = Backoff(
            random or SystemRandom(),
            first_ms=limits.backoff_first_ms,
            max_ms=limits.backoff_max_ms,
        )
        self._troubles = Troubles(name, on_trouble)
        self._keeper: asyncio.Task[None] | None = None
        self._lines: dict[Line, Pulse] = {}
        self._line: Line | None = None
        self._watch: Watch | None = None
        self._life: TimerHandle | None = None
        self._is_ready = asyncio.Event()
        self._wanted = asyncio.Event()
        self._whole_at: int | None = None
        self._why = "not connected yet"
        self._connects = 0

    async def __aenter__(self) -> Self:
        assert self._keeper is None, f"{self._name} is opened once"
        self._keeper = asyncio.get_running_loop().create_task(self._keep(), name=self._name)
        self._keeper.add_done_callback(self._kept)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        assert self._keeper is not None
        self._keeper.cancel()
        self._line = None
        self._is_ready.clear()
        self._unwatch()
        lines = tuple(self._lines)
        for line in lines:
            line.close()
        await asyncio.wait({self._keeper})
        for line in lines:
            await line.ended()

    @property
    def ready(self) -> bool:
        """Return whether there is a ready line."""
        return self._line is not None

    @property
    def line(self) -> Line:
        """Return the ready line; raise `Unreachable` when there is none."""
        if self._line is None:
            raise Unreachable(f"{self._name} is not ready: {self._why}")
        return self._line

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return every open line, the one being made ready included."""
        return tuple(line for line in self._lines if line.open)

    @property
    def troubles(self) -> Mapping[TroubleKind, int]:
        """Return how often each kind of trouble was told."""
        return self._troubles.counts

    @property
    def connects(self) -> int:
        """Return how many connects were tried."""
        return self._connects

    async def wait_ready(self, *, timeout_ms: int) -> Line:
        """Return the ready line; raise `Unreachable` with the last reason when there is none."""
        try:
            async with Within(self._clock, timeout_ms):
                while self._line is None:
                    await self._is_ready.wait()
        except TimeoutError:
            text = f"{self._name} was not ready within {timeout_ms} ms: {self._why}"
            raise Unreachable(text) from None
        return self._line

    def send(self, payload: bytes | bytearray | memoryview) -> None:
        """Send on the ready line; raise `Unreachable` when nothing was sent."""
        self.line.send(payload)

    async def ask_each(self, step: Step) -> None:
        """Run ``step(line)`` on every open line: a subscription that is added later.

        Asked of one line only, a rotation under way would lose it. A line on which it ends with
        `Unreachable` is dropped: the next one asks by ``resubscribe`` for all that is wanted. What
        else it raises goes to the caller.
        """
        for line in self.lines:
            try:
                await step(line)
            except Unreachable as error:
                line.drop(f"a subscription failed: {error}")

    async def ask_apart(
        self,
        line: Line,
        parts: Mapping[str, Sequence[str]],
        request: Request,
        *,
        pause_ms: int = 0,
    ) -> dict[str, Refused]:
        """Ask for all parts at once, and each for itself where that is `Refused`: a resubscription.

        A venue refuses a whole request for one instrument that it does not know any more; without
        this no later connection came up for any other. ``parts``: the streams of each instrument;
        ``pause_ms``: so long before each further request. Return the parts that are refused, which
        are told as `TroubleKind.REFUSED`, and are the caller's to want no more. Raise what
        ``request`` raises else, `Limited` too; and the refusal, where no part is taken: whatever
        the venue refuses then, it is not one of them.
        """
        try:
            await request(line, [name for names in parts.values() for name in names])
        except Limited:
            raise
        except Refused:
            if len(parts) <= 1:
                raise
        else:
            return {}
        refused: dict[str, Refused] = {}
        for part, names in parts.items():
            if pause_ms:
                await self._clock.sleep_until(self._clock.now() + pause_ms * MS)
            try:
                await request(line, names)
            except Limited:
                raise
            except Refused as error:
                refused[part] = error
        if len(refused) == len(parts):
            raise next(iter(refused.values()))
        for part, no in refused.items():
            text = f"{part} is asked for no more: {described(no)}"
            self._troubles.tell(TroubleKind.REFUSED, text, no)
        return refused

    def rotate(self, why: str, line: Line | None = None) -> None:
        """Replace the line without a gap: ``serverShutdown``, Bybit's 10019.

        ``line`` is the one that said so: of one that is being replaced already it is no news.
        """
        line = line or self._line
        if line is None:
            return
        line.stale = True
        if line is self._line:
            self._why = why
            self._wanted.set()

    def drop(self, why: str) -> None:
        """Abandon the line now, as broken: a gap (``listenKeyExpired``, a lost sequence)."""
        if self._line is not None:
            self._line.drop(why)

    async def _keep(self) -> None:
        clock, limits = self._clock, self._limits
        while True:
            while wait := self._budget.try_take({CONNECTS: 1}):
                await clock.sleep_until(clock.now() + wait)
            wait = 0
            line, error = await self._raise()
            if line is None:
                wait = retry_after_ns(error)
            else:
                self._adopt(line)
                ready_at = clock.now()
                await self._wanted.wait()
                if clock.now() - ready_at >= limits.steady_ms * MS:
                    self._backoff.reset()
            # Also after a line that was ready: a server that accepts and hangs up must not make
            # us hammer, and what dropped all clients at once must not meet them all at once.
            await clock.sleep_until(clock.now() + max(wait, self._backoff.next_ns()))

    async def _raise(self) -> tuple[Line | None, BaseException | None]:
        """Bring one line up in a task of its own: what the plugin raises ends the attempt only."""
        self._connects += 1
        task = asyncio.get_running_loop().create_task(self._bring_up())
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if task.cancelled():
            error: BaseException | None = Unreachable("cancelled before it was ready")
        else:
            error = task.exception()
        if error is None:
            return task.result(), None
        self._why = redacted(described(error))
        self._troubles.tell(TroubleKind.CONNECT, self._why, error)
        return None, error

    async def _bring_up(self) -> Line:
        clock, limits = self._clock, self._limits
        line = Line(
            number=self._connects,
            troubles=self._troubles,
            on_frame=self._on_frame,
            on_down=self._line_down,
            message_bytes_max=limits.message_bytes_max,
            send_buffer_bytes_max=limits.send_buffer_bytes_max,
        )
        async with Within(clock, limits.connect_timeout_ms):
            await line.connect(
                self._url if isinstance(self._url, str) else await self._url(),
                clock=clock,
                tls=self._tls,
                headers=self._headers,
                upgrade_timeout_s=limits.connect_timeout_ms * MS / SECOND,
            )
        self._lines[line] = Pulse(
            line, clock, idle_ms=limits.ping_idle_ms, pong_timeout_ms=limits.pong_timeout_ms
        )
        try:
            await self._make_ready(line)
        except BaseException:
            line.drop("it never became ready")
            raise
        return line

    async def _make_ready(self, line: Line) -> None:
        task = asyncio.current_task()
        assert task is not None

        def lost(_: Line) -> None:
            task.cancel()

        line.when_down(lost)
        try:
            async with Within(self._clock, self._limits.ready_timeout_ms):
                if self._resubscribe is not None:
                    await self._resubscribe(line)
                if self._fill_gap is not None:
                    await self._fill_gap(line, self._since())
        except asyncio.CancelledError:
            if not line.why:
                raise
            raise Unreachable(f"lost before it was ready: {line.why}") from None
        finally:
            line.forget(lost)
        if line.why:
            raise Unreachable(f"lost before it was ready: {line.why}")

    def _since(self) -> int | None:
        """Return until when the stream was whole: of a line that is ready still, about now."""
        if self._line is not None:
            self._whole_at = self._lines[self._line].whole_at
        return self._whole_at

    def _adopt(self, line: Line) -> None:
        clock, limits = self._clock, self._limits
        self._wanted.clear()
        if line.why or line.stale:  # since it was brought up
            self._wanted.set()
        if line.why:
            self._why = line.why
            return
        old, self._line = self._line, line
        self._unwatch()
        self._watch = Watch(
            line,
            clock,
            silence_max_ms=limits.silence_max_ms,
            probe_timeout_ms=limits.probe_timeout_ms,
            probe=self._probe,
            on_alive=lambda: self._tell(StreamAlive(kind=self._kind)),
        )
        self._life = clock.call_at(
            clock.now() + limits.life_ms * MS, lambda: self.rotate("life_ms", line)
        )
        self._is_ready.set()
        if old is None:
            self._tell(StreamUp(kind=self._kind))
        else:
            clock.call_at(clock.now() + limits.linger_ms * MS, old.close)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        if self._life is not None:
            self._life.cancel()

    def _line_down(self, line: Line) -> None:
        pulse = self._lines.pop(line, None)
        if pulse is not None:
            pulse.stop()
        if line is not self._line:
            return
        if pulse is not None:
            self._whole_at = pulse.whole_at
        self._line = None
        self._why = line.why
        self._is_ready.clear()
        self._unwatch()
        self._wanted.set()
        self._troubles.tell(TroubleKind.DROP, line.why)
        self._tell(StreamDown(kind=self._kind, why=line.why))

    def _tell(self, news: StreamUp | StreamDown | StreamAlive) -> None:
        if self._on_state is not None:
            asyncio.get_running_loop().call_soon(self._on_state, news)

    def _kept(self, keeper: "asyncio.Task[None]") -> None:
        if keeper.cancelled():
            return
        # It never ends by itself: whoever waits must hear of it, and not find a silent socket.
        error = keeper.exception()
        self._why = "the keeper ended"
        self._troubles.tell(TroubleKind.BROKEN, self._why, error)
        for line in tuple(self._lines):
            line.drop(self._why)
