"""The wire faults: named switches, seeded, drawn at each opportunity, on and off while it runs."""

from decimal import Decimal, InvalidOperation

import msgspec

from hedge.errors import UsageError
from hedge_sim.draw import dice

SWITCHES: dict[str, str] = {
    # Drawn when a request arrives
    "unknown_performed": "an order is performed and answered with 503 (Binance) or 10016 (Bybit)",
    "unknown_refused": "the same answer, and nothing was done",
    "drop_in_flight": "the connection is cut after an order was performed, before its answer",
    "drop_before": "the connection is cut before an order is performed",
    "late_answer": "an order is performed and its answer comes ``ms`` later",
    "late_error": "an order is not performed, and its error comes ``ms`` later",
    "null_error": "a WebSocket request is not performed; the error names no request (id null)",
    "bad_timestamp": "a signed request is refused: -1021 (Binance) or 10002 (Bybit)",
    "rate_limit": "429 (Binance) or 10006 (Bybit), with the seconds to wait (``ms`` / 1000)",
    "ban": "418 (Binance) or 403 (Bybit), with the seconds to wait (``ms`` / 1000)",
    "partial_then_reject": "a taking order gets a part, and the rest is refused",
    "busy_server": "a read is answered with 502 and a page of HTML",
    # Drawn when something is said
    "event_first": "the events of an order are sent before its acknowledgement",
    "subscribe_race": "the first event is sent before the acknowledgement of its subscription",
    "duplicate": "an execution is told twice",
    "reorder": "an execution is told after what follows it (``ms`` later)",
    "drop_event": "an event of the account is never told",
    "delta_only": "a ticker subscription gets no snapshot, only changes",
    # Done at once, or with a rate: drawn each second
    "listen_key_expired": "every listenKey expires and its stream says so",
    "server_shutdown": "serverShutdown is said, and all sockets close ``ms`` later",
    "day_close": "all sockets close as after 24 hours",
    "half_open": "all sockets go silent: nothing is read or sent, and no FIN",
    "cut": "all sockets are reset",
    # Standing
    "clock_offset": "the venue's clock is ``ms`` ahead (negative: behind)",
}
"""Every fault by name."""

ACTIONS = frozenset({"listen_key_expired", "server_shutdown", "day_close", "half_open", "cut"})
"""Those that are done to all connections, rather than met by one request or event."""

DEFAULT_MS = {
    "late_answer": 12_000,
    "late_error": 12_000,
    "rate_limit": 2_000,
    "ban": 120_000,
    "reorder": 50,
    "server_shutdown": 1_000,
    "clock_offset": 0,
}


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One switch: strikes with ``rate`` at each opportunity, from the ``after``-th on.

    ``times`` limits how often it strikes (0: without limit); ``match`` restricts it to operations
    whose name contains it (a REST path such as ``/api/v3/order`` or a method such as
    ``order.place``); ``ms`` is the duration it needs, if any (0: `DEFAULT_MS`).
    """

    name: str
    rate: Decimal = Decimal(1)
    after: int = 1
    times: int = 0
    match: str = ""
    ms: int = 0

    @property
    def duration_ms(self) -> int:
        return self.ms or DEFAULT_MS.get(self.name, 0)


class Faults:
    """The switches of one server; a name has one switch, the last one set."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._on: dict[str, Fault] = {}
        self._seen: dict[str, int] = {}
        self.struck: dict[str, int] = {}
        """How often each fault has struck."""

    def set(self, fault: Fault) -> None:
        """Switch on, or off with a rate of zero; raise UsageError for an unknown name."""
        if fault.name not in SWITCHES:
            raise UsageError(f"no fault {fault.name!r}: known are {', '.join(sorted(SWITCHES))}")
        if not 0 <= fault.rate <= 1:
            raise UsageError(f"fault {fault.name}: a rate is between 0 and 1, not {fault.rate}")
        self._seen[fault.name] = 0
        if fault.rate:
            self._on[fault.name] = fault
        else:
            self._on.pop(fault.name, None)

    def clear(self) -> None:
        self._on.clear()

    def on(self, name: str) -> Fault | None:
        """Return a standing switch without drawing."""
        return self._on.get(name)

    @property
    def all_on(self) -> tuple[Fault, ...]:
        return tuple(self._on.values())

    def hit(self, name: str, operation: str = "") -> Fault | None:
        """Draw: return the switch where it strikes now, None where it does not."""
        fault = self._on.get(name)
        if fault is None or fault.match not in operation:
            return None
        seen = self._seen[name] = self._seen[name] + 1
        if seen < fault.after:
            return None
        draw = dice(self._seed, "wire", name, self.struck.get(name, 0), seen).random()
        if draw >= fault.rate:
            return None
        self.struck[name] = self.struck.get(name, 0) + 1
        if fault.times == 1:
            del self._on[name]
        elif fault.times:
            self._on[name] = msgspec.structs.replace(fault, times=fault.times - 1)
        return fault


def parse_fault(text: str) -> Fault:
    """Read ``NAME``, ``NAME=0.2`` (a rate), ``NAME=#5`` (the fifth chance, once).

    More follows after commas: ``drop_in_flight=#3,match=order.place``, ``late_answer=0.1,ms=500``.
    """
    head, *rest = text.split(",")
    name, _, value = head.partition("=")
    fields: dict[str, str] = {"name": name}
    if value.startswith("#"):
        fields |= {"after": value[1:], "times": "1"}
    elif value:
        fields["rate"] = value
    for word in rest:
        key, _, found = word.partition("=")
        fields[key] = found
    try:
        fault = msgspec.convert(fields, Fault, strict=False)
    except (msgspec.ValidationError, InvalidOperation) as error:
        raise UsageError(f"not a fault: {text!r}: {error}") from error
    Faults(0).set(fault)
    return fault
