"""Goal: whatever bytes come to the status socket, nothing is commanded by them and nothing breaks.

Method: requests that are right, cut, repeated, and with bytes and words of them exchanged by a
seeded dice, sent as they are to a real socket before a fake engine.
"""

import asyncio
import random
import socket
from pathlib import Path
from typing import Any

import pytest
from api_port import FakePort, get, serve

from hedge.runtime.api import StatusApi

GET = b"GET /v1/status HTTP/1.1\r\nHost: hedge\r\n\r\n"
BODY = b'{"hedge": "btc", "request_id": "r1", "by": "me"}'
POST = (
    b"POST /v1/pause HTTP/1.1\r\nHost: hedge\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
WORDS = (
    b"\r\n", b"\x00", b"\xff" * 7, b"Transfer-Encoding: chunked\r\n", b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999\r\n", b"Origin: http://evil\r\n", b"Host: evil\r\n", b"HTTP/9.9",
    b"/v1/../../etc/passwd", b"/v1/liquidate", b"?" + b"a" * 9_000, b"A: " + b"b" * 70_000,
    b"NaN", b"[" * 5_000, b'{"hedge":' * 500, b"\xed\xa0\x80", b"GET ", b"POST ", b"PRI * HTTP/2.0",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"0\r\n\r\n", b"1e999", b'"quantity": 1e400,',
)  # fmt: skip
REQUESTS = 150


def bent(dice: random.Random) -> bytes:
    text = bytearray(dice.choice((GET, POST, POST + GET, GET + POST)))
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(text) + 1)
        match dice.randrange(5):
            case 0:
                text[at:at] = dice.choice(WORDS)
            case 1:
                del text[at : at + dice.randint(1, 30)]
            case 2:
                text[at:at] = dice.randbytes(dice.randint(1, 40))
            case 3:
                text[at : at + 1] = bytes((dice.randrange(256),))
            case 4:
                text = text[:at]
    return bytes(text)


def shout(path: Path, text: bytes) -> list[int]:
    """Send bytes and no more of them; return the statuses of what comes back."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        reply = b""
        try:
            sock.sendall(text)
            sock.shutdown(socket.SHUT_WR)
            while part := sock.recv(65_536):
                reply += part
        except (BrokenPipeError, ConnectionResetError):
            pass  # hung up on: as good an answer as any
    heads = [line for line in reply.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return [int(head.split()[1]) for head in heads]


@pytest.mark.parametrize("seed", range(2))
def test_bent_requests_break_nothing_and_ask_for_nothing_else(tmp_path: Path, seed: int) -> None:
    dice, port, seen = random.Random(seed), FakePort(), []

    async def scenario(api: StatusApi) -> Any:
        assert api.socket_path is not None
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
        for number in range(REQUESTS):
            text = bent(dice)
            before = len(port.asked)
            statuses = await asyncio.to_thread(shout, api.socket_path, text)
            where = f"seed {seed}, request {number}: {text[:300]!r}"
            assert all(status < 500 for status in statuses), (statuses, where)
            for asked in port.asked[before:]:
                assert asked["hedge"] == "btc" and asked["verb"].value in {"pause", "liquidate"}
            assert not seen, (seen, where)
        return await get(api, "/v1/status")

    assert serve(tmp_path, port, scenario)["schema"]
