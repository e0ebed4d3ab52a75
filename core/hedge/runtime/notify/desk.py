"""The commands that people write to a notifier: read, judged, shown, confirmed, and put through."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hedge.errors import HedgeError, NotRunning, SafetyRefusal, UsageError, redacted
from hedge.model.numbers import SECOND
from hedge.roles import Clock
from hedge.runtime import client
from hedge.runtime.notify.phone import preview_lines, report_lines, status_lines

CONFIRM_S = 60
WORDS_MAX = 4
LINE_CHARS_MAX = 200
PENDING_MAX = 20
HELP = {
    "status": "/status [NAME]: what is held, hedged and earned now",
    "report": "/report [NAME]: where the profit and loss comes from",
    "pause": "/pause [NAME]: no new spot risk; hedging goes on",
    "resume": "/resume [NAME]: go on after a pause",
    "ack": "/ack [NAME] KEY: an alarm was read (KEY may be *)",
    "stop": "/stop [NAME]: cancel our orders, confirm hedged, end; asks for a code",
    "liquidate": "/liquidate NAME: unwind both legs; asks for a code",
    "confirm": "/confirm CODE: do what was shown a moment ago",
}
TRADE = ("stop", "liquidate", "confirm")


class EngineDoor(msgspec.Struct, frozen=True, kw_only=True):
    """The way to this very engine: its hedges, and where its socket is written down."""

    hedges: tuple[str, ...]
    index_dirs: tuple[Path, ...]

    def client(self, hedge: str) -> client.Client:
        return client.Client(client.find(hedge, self.index_dirs).socket)


class _Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What one person was shown and may confirm."""

    verb: str
    hedge: str
    code: str
    at: int


class Desk:
    """A `hedge.roles.CommandDesk` of one notifier; everything goes through the engine's socket.

    The code of a trade command is good once, for a minute, for one guess, and only for the person
    who asked for it. Nothing here can raise a limit: there is no word for it.
    """

    def __init__(
        self,
        name: str,
        door: EngineDoor,
        clock: Clock,
        *,
        trade: bool,
        new_code: Callable[[], str] = lambda: f"{secrets.randbelow(10**6):06d}",
    ) -> None:
        self._name = name
        self._door = door
        self._clock = clock
        self._trade = trade
        self._new_code = new_code
        self._pending: OrderedDict[str, _Pending] = OrderedDict()

    async def answer(self, line: str, *, by: str, request_id: str) -> str:
        """Perform one line and say what came of it; see `hedge.roles.CommandDesk`."""
        try:
            return await self._answer(line, by, request_id)
        except HedgeError as error:
            return redacted(str(error)) or type(error).__name__

    async def _answer(self, line: str, by: str, request_id: str) -> str:
        words = line[:LINE_CHARS_MAX].split()[:WORDS_MAX]
        verb = words[0].removeprefix("/").partition("@")[0].lower() if words else "help"
        rest = words[1:]
        if verb in ("help", "start", ""):
            known = [text for word, text in HELP.items() if self._trade or word not in TRADE]
            return "\n".join(known)
        if verb not in HELP:
            near = client.nearest(verb, list(HELP))
            raise UsageError(f"no command {verb!a}" + (f"; nearest: /{near}" if near else ""))
        if verb in TRADE and not self._trade:
            raise SafetyRefusal(
                f"/{verb} is off: set trade = true in [notifiers.{self._name}] and restart"
            )
        if verb == "confirm":
            return await self._confirm(rest, by, request_id)
        if verb == "ack":
            *name, key = rest or [""]
            return await self._post("ack", self._hedge(name), by, request_id, subject=key or "*")
        if verb == "liquidate" and not rest:
            raise UsageError("/liquidate needs the NAME of the hedge")
        if verb in ("status", "report"):
            return await self._read(verb, rest)
        hedge = self._hedge(rest)
        if verb in TRADE:
            return await self._preview(verb, hedge, by)
        return await self._post(verb, hedge, by, request_id)

    # -- reading ---------------------------------------------------------------------------------

    async def _read(self, verb: str, rest: Sequence[str]) -> str:
        names = (self._hedge(rest),) if rest else self._door.hedges
        texts = []
        for name in names:
            try:
                texts.append("\n".join(await self._lines(verb, name)))
            except HedgeError as error:  # of one among several: the others have something to say
                texts.append(str(error) if name in str(error) else f"{name}: {error}")
        return redacted("\n\n".join(texts))

    async def _lines(self, verb: str, hedge: str) -> Sequence[str]:
        if verb == "status":
            return tuple(status_lines(await self._status(hedge)))
        return (f"{hedge}:", *report_lines((await self._get("/v1/report", hedge))["data"]))

    async def _status(self, hedge: str) -> Mapping[str, Any]:
        data = (await self._get("/v1/status", hedge))["data"]
        if data["absent"]:
            raise NotRunning(f"{hedge}: {data['absent'][hedge]}")
        shown: Mapping[str, Any] = data["hedges"][0]
        return shown

    async def _get(self, route: str, hedge: str) -> dict[str, Any]:
        return await asyncio.to_thread(lambda: self._door.client(hedge).get(route, hedge=hedge))

    # -- doing -----------------------------------------------------------------------------------

    async def _post(self, verb: str, hedge: str, by: str, request_id: str, **more: str) -> str:
        body = {"hedge": hedge, "request_id": self._identity(by, request_id), **more}
        said = await asyncio.to_thread(lambda: self._door.client(hedge).post(verb, body))
        return f"{hedge}: {said.get('text') or 'accepted'}"

    async def _preview(self, verb: str, hedge: str, by: str) -> str:
        lines = preview_lines(verb, await self._status(hedge))
        code = self._new_code()
        self._pending.pop(by, None)
        if len(self._pending) >= PENDING_MAX:
            self._pending.popitem(last=False)
        self._pending[by] = _Pending(verb=verb, hedge=hedge, code=code, at=self._clock.now())
        ask = f"To do it, write /confirm {code} within {CONFIRM_S} s."
        return "\n".join((f"{hedge}: {verb}", *lines, ask))

    async def _confirm(self, rest: Sequence[str], by: str, request_id: str) -> str:
        pending = self._pending.pop(by, None)
        if pending is None:
            raise SafetyRefusal("nothing of yours waits for a confirmation; ask for it first")
        if self._clock.now() - pending.at > CONFIRM_S * SECOND:
            raise SafetyRefusal(f"the code is older than {CONFIRM_S} s; ask again")
        given = rest[0] if rest else ""
        if not secrets.compare_digest(given.encode(), pending.code.encode()):
            raise SafetyRefusal("that is not the code; nothing was done, ask again")
        if pending.verb == "liquidate":
            body = {"hedge": pending.hedge, "request_id": self._identity(by, request_id)}
            said = await asyncio.to_thread(lambda: self._liquidate(pending.hedge, body))
            return f"{pending.hedge}: {said.get('text') or 'accepted'}"
        return await self._post(pending.verb, pending.hedge, by, request_id)

    def _liquidate(self, hedge: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        """Send the engine's own code back to it: the person has seen the numbers and said yes."""
        engine = self._door.client(hedge)
        try:
            return engine.post("liquidate", body)
        except client.ConfirmationNeeded as needed:
            return engine.post("liquidate", {**body, "confirm": needed.code})

    def _hedge(self, words: Sequence[str]) -> str:
        if not words:
            if len(self._door.hedges) == 1:
                return self._door.hedges[0]
            raise UsageError(f"name the hedge, one of: {', '.join(self._door.hedges)}")
        if words[0] not in self._door.hedges:
            near = client.nearest(words[0], self._door.hedges)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UsageError(f"this engine does not run {words[0]!a}{hint}")
        return words[0]

    def _identity(self, by: str, request_id: str) -> str:
        """Return an id that says who asked, and is the same when the same line comes again."""
        who = "".join(char if char.isalnum() else "-" for char in by if char.isascii())[:64]
        digest = hashlib.sha256(f"{by}|{request_id}".encode()).hexdigest()[:16]
        return f"{self._name}:{who}:{digest}"
