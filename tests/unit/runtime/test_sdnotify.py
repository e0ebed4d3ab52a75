"""Goal: systemd hears what it must, and nothing else happens. Method: real datagram sockets."""

import socket
from pathlib import Path

import pytest

from hedge.runtime.sdnotify import SdNotify


def bound(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(address)
    sock.setblocking(False)
    return sock


def test_says_ready_alive_and_stopping_to_a_path(tmp_path: Path) -> None:
    path = str(tmp_path / "n")
    with bound(path) as heard:
        notify = SdNotify.from_env({"NOTIFY_SOCKET": path})
        notify.ready("two hedges")
        notify.watchdog()
        notify.status("HALT\nwatching")
        notify.stopping()
        notify.starting(120, "still asking")
        said = [heard.recv(200) for _ in range(5)]
    assert said == [
        b"READY=1\nSTATUS=two hedges",
        b"WATCHDOG=1",
        b"STATUS=HALT watching",
        b"STOPPING=1",
        b"EXTEND_TIMEOUT_USEC=120000000\nSTATUS=still asking",
    ]


def test_says_it_to_an_abstract_socket(tmp_path: Path) -> None:
    name = f"hedge-test{tmp_path}"
    with bound("\0" + name) as heard:
        SdNotify.from_env({"NOTIFY_SOCKET": "@" + name}).ready()
        assert heard.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/n"}, {"NOTIFY_SOCKET": "x"}])
def test_is_silent_where_nobody_listens(environ: dict[str, str]) -> None:
    SdNotify.from_env(environ).ready()


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15_000_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15_000_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval_is_half_of_what_systemd_allows(
    extra: dict[str, str], expected: int | None
) -> None:
    assert SdNotify.from_env({"NOTIFY_SOCKET": "/n", **extra}, pid=7).watchdog_ns == expected
