"""What every Bybit v5 socket does: op and args in, ping and pong, the shape of an answer."""

import uuid
from typing import Any, Final

import msgspec

from hedge.model.numbers import SECOND
from hedge_sim.dialects.bybit_errors import Rejection
from hedge_sim.dialects.bybit_shapes import Row
from hedge_sim.dialects.sockets import Socket

ACTIVE_S: Final = 600
ACTIVE_LEAST_S: Final = 30
"""A private or trade connection without ping and data ends after so long; ``max_active_time``."""
SUBSCRIBED_AFTER_S: Final = 0.005
"""A subscription takes a moment, as over any network; clients that note down what they asked for
after they have sent it would lose a race that they win against the venue."""
INVALID_OP: Final = "error:invalid op"


class Line:
    """A connection with its id on the wire, and when it last showed life."""

    def __init__(self, socket: Socket, now: int) -> None:
        self.socket = socket
        self.conn_id = f"sim{uuid.uuid4().hex[:16]}-{uuid.uuid4().hex[:3]}"
        self.alive_at = now
        self.active_s = active_s_of(socket.query)

    def send(self, frame: Row, now: int) -> None:
        self.alive_at = now
        self.socket.send(frame)

    def is_idle(self, now: int) -> bool:
        return now - self.alive_at > self.active_s * SECOND


def active_s_of(query: dict[str, str]) -> int:
    """Return ``max_active_time`` of a URL in seconds, within what the venue allows (30 s, 10 min).

    Older connections call it ``max_alive_time``; ``1m`` is a minute.
    """
    text = query.get("max_active_time") or query.get("max_alive_time") or ""
    unit = 60 if text.endswith("m") else 1
    number = text.rstrip("sm")
    if not number.isdigit():
        return ACTIVE_S
    return max(ACTIVE_LEAST_S, min(int(number) * unit, ACTIVE_S))


def message_of(data: bytes) -> Row | None:
    """Return a message, None for what is no JSON object."""
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def args_of(message: Row) -> list[Any]:
    args = message.get("args")
    return args if isinstance(args, list) else []


def answer(line: Line, message: Row, op: str, *, success: bool, words: str = "") -> Row:
    """Return the answer of a stream socket; ``req_id`` is there when it was given."""
    frame: Row = {"success": success, "ret_msg": words, "conn_id": line.conn_id}
    if "req_id" in message:
        frame["req_id"] = str(message["req_id"])
    return frame | {"op": op}


def refused(line: Line, message: Row, op: str, rejection: Rejection) -> Row:
    """Return the answer to an ``auth`` that failed."""
    frame = answer(line, message, op, success=False, words=str(rejection))
    return frame | {"ret_code": rejection.ret_code}
