"""Goal: a client finds the engine that lives, and only that. Method: real files, pids, sockets."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hedge.errors import ConfigError, HedgeError, JournalError, LockHeld, NotRunning, UsageError
from hedge.runtime import client
from hedge.runtime.client import Client, Entry, entries, find, remove_index, worries, write_index


def dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def entry(hedge: str, pid: int, path: str = "/nowhere/s") -> Entry:
    return Entry(hedge, pid, path, 7)


def test_what_is_written_is_found_in_any_of_the_directories(tmp_path: Path) -> None:
    write_index(tmp_path / "b", entry("btc", os.getpid()))
    write_index(tmp_path / "a", entry("eth/usd ", os.getpid()))
    write_index(tmp_path / "a", entry("btc", os.getpid()))
    found = entries([tmp_path / "missing", tmp_path / "a", tmp_path / "b"])
    assert found == [entry("btc", os.getpid()), entry("eth/usd ", os.getpid())]


def test_a_full_disk_is_no_mistake_of_the_line_s(tmp_path: Path, room: Any) -> None:
    with room(10), pytest.raises(JournalError, match=r"cannot write .*/btc\.json: "):
        write_index(tmp_path, entry("btc", os.getpid()))
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot use directory"):
        write_index(tmp_path / "file", entry("btc", os.getpid()))


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    write_index(tmp_path, entry("btc", dead_pid()))
    assert entries([tmp_path]) == []
    assert list((tmp_path / client.INDEX).iterdir()) == []


def test_what_a_killed_engine_left_is_removed_though_its_pid_is_another_program_s(
    tmp_path: Path,
) -> None:
    """After a `kill -9` the socket lies there, and nobody listens; pids come round again."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        write_index(tmp_path, entry("btc", os.getpid(), path))
        assert find("btc", [tmp_path]).hedge == "btc"
    write_index(tmp_path, entry("eth", os.getpid()))
    assert find(None, [tmp_path]).hedge == "eth", "and not: which of the two"
    with pytest.raises(NotRunning, match="hedge run btc"):
        find("btc", [tmp_path])


def test_a_pid_of_another_namespace_is_believed_if_its_socket_answers(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        write_index(tmp_path, entry("btc", dead_pid(), path))
        assert [one.hedge for one in entries([tmp_path])] == ["btc"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"hedge": "x"}', '{"hedge":1,"pid":"","socket":"","started_at":0}', "\xff"]
)
def test_a_damaged_entry_is_no_entry(tmp_path: Path, text: str) -> None:
    folder = tmp_path / client.INDEX
    folder.mkdir()
    (folder / "btc.json").write_text(text, encoding="latin-1")
    assert entries([tmp_path]) == []


@pytest.mark.parametrize("pid", [0, -1, 2**70])
def test_an_impossible_pid_is_dead(tmp_path: Path, pid: int) -> None:
    write_index(tmp_path, entry("btc", pid))
    assert entries([tmp_path]) == []


def test_an_engine_removes_only_its_own_entry(tmp_path: Path) -> None:
    write_index(tmp_path, entry("btc", os.getpid()))
    remove_index(tmp_path, "btc", os.getpid() + 1)
    assert entries([tmp_path])
    remove_index(tmp_path, "btc", os.getpid())
    remove_index(tmp_path, "btc", os.getpid())
    assert entries([tmp_path]) == []


def test_find_names_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="hedge run NAME"):
        find(None, [tmp_path])
    write_index(tmp_path, entry("btc", os.getpid()))
    assert find(None, [tmp_path]).hedge == "btc"
    with pytest.raises(NotRunning, match="did you mean 'btc'"):
        find("btcc", [tmp_path])
    write_index(tmp_path, entry("eth", os.getpid()))
    with pytest.raises(UsageError, match="btc, eth"):
        find(None, [tmp_path])


def test_a_service_and_a_login_session_meet_in_the_state_directory(tmp_path: Path) -> None:
    service = client.index_directories(tmp_path, {"RUNTIME_DIRECTORY": "/run/hedge:/run/x"})
    session = client.index_directories(tmp_path, {"XDG_RUNTIME_DIR": "/run/user/7"})
    assert service == (Path("/run/hedge"), tmp_path)
    assert session == (Path("/run/user/7/hedge"), tmp_path)
    assert client.index_directories(tmp_path, {}) == (tmp_path,)


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot use directory"):
        client.private_directory(tmp_path / "file" / "x")


@contextmanager
def answering(tmp_path: Path, reply: bytes) -> Iterator[Client]:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def answer() -> None:
            sock, _ = listening.accept()
            with sock:
                heard = b""
                while not heard.endswith(b"\r\n\r\n{}"):
                    heard += sock.recv(65536)
                sock.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield Client(path, timeout_s=5)
        finally:
            thread.join(5)


def reply_of(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (reply_of(409, '{"error": "held", "exit_code": 8}'), LockHeld, "held"),
        (reply_of(500, '{"error": "bug", "exit_code": 1}'), HedgeError, "bug"),
        (reply_of(400, '{"error": "odd", "exit_code": 77}'), HedgeError, "odd"),
        (reply_of(200, "hello"), HedgeError, "not a JSON object"),
        (reply_of(200, "[]"), HedgeError, "not a JSON object"),
        (b"nonsense\r\n\r\n", HedgeError, "what it did is not known"),
        (b"", HedgeError, "what it did is not known"),
    ],
)
def test_what_an_engine_answers_becomes_an_error_of_ours(
    tmp_path: Path, reply: bytes, kind: type[HedgeError], text: str
) -> None:
    with answering(tmp_path, reply) as engine, pytest.raises(kind, match=text) as raised:
        engine.post("stop", {})
    assert type(raised.value) is kind


def test_an_engine_that_does_not_answer_in_time_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        with pytest.raises(HedgeError, match=r"did not answer within 0\.05 s"):
            Client(path, timeout_s=0.05).get("/v1/status")


def test_no_socket_is_not_running(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        Client(str(tmp_path / "none")).get("/v1/status")


HEALTHY: dict[str, Any] = {
    "mode": "HALT",
    "phase": "watching",
    "trip": "OK",
    "inventory": "1",
    "position": "-1",
    "delta": "0.001",
    "tolerance": "0.001",
    "spot_stream_age_ms": 5000,
    "alarms": [{"key": "K", "level": "alarm", "text": "t", "acknowledged": True}],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"delta": "-0.0011"}, "beyond the tolerance"),
        ({"delta": "-0.0011", "mode": "INVENTORY"}, ""),
        ({"inventory": None}, "inventory not known"),
        ({"spot_stream_age_ms": 5001}, ""),
        ({"spot_stream_age_ms": 90_001}, "spot stream silent"),
        ({"spot_stream_age_ms": 5001, "phase": "building"}, "spot stream silent"),
        ({"spot_stream_age_ms": 5001, "phase": "ended"}, ""),
        ({"trip": "LOCKED", "trip_reasons": {"X": "why"}}, "trip level LOCKED: X why"),
        ({"alarms": [{"key": "K", "level": "alarm", "text": "t", "settled": True}]}, "alarm K: t"),
    ],
)
def test_worries(change: dict[str, Any], said: str) -> None:
    found = worries({**HEALTHY, **change})
    assert [said in one for one in found] == ([True] if said else [])


def test_the_client_imports_nothing_heavy() -> None:
    code = (
        "import sys, json, hedge.cli.status, hedge.cli.operate;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    heavy = {"pydantic", "rich", "starlette", "uvicorn", "structlog", "msgspec", "sqlite3"}
    assert heavy & set(json.loads(done.stdout)) == set()
