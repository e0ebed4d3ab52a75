"""Goal: no byte that a run leaves anywhere holds a key, whatever venue and plugin do with it.

Method: keys that occur nowhere else, in secret files or in the environment. The venue refuses them
and echoes them in its answer, at the start, in a read, at an order; the plugin raises an error that
nobody foresaw with both of them in its text; the process is killed and comes back. What the run
printed (plain and as JSON), its journal and database, crash files, and the answers of status,
report, explain, metrics and the socket are kept, and every byte of them is searched for the keys as
they are, quoted, escaped and encoded.
"""

import json
import socket
import subprocess
import time
import urllib.request
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from lab import NAME, Lab, Story, told_by
from markers import (
    BYTES_MIN,
    FILES_MIN,
    KEY,
    KEYS_MIN,
    OTHERS,
    PLANTED,
    SECRET,
    files,
    forms,
    is_meant,
    leaks_in,
    sweep,
)
from running import wait_until

from hedge.runtime import client

REFUSED = 4
MARKER_IDS = [f"marker {number}" for number in range(2 + len(OTHERS))]
"""A name of a test is told, too."""


def nothing_leaked(lab: Lab) -> None:
    found = [
        leak
        for path in files(lab.folder)
        if not is_meant(path, lab.folder)
        for leak in leaks_in(path)
    ]
    assert not found, "\n".join(found)


def keep(lab: Lab, name: str, *data: str | bytes) -> None:
    """Keep an answer, to be searched with the rest."""
    folder = lab.folder / "answers"
    folder.mkdir(exist_ok=True)
    text = b"\n".join(one if isinstance(one, bytes) else one.encode() for one in data)
    (folder / name).write_bytes(text)


def ask_everything(lab: Lab, when: str) -> None:
    """Ask each reader of a run for what it knows."""
    for words in (
        ("status", "--json"), ("status",), ("report", "--json"), ("report", NAME),
        ("explain", NAME, "1h", "--within", "3600"),
        ("explain", NAME, "1h", "--within", "3600", "--json"), ("journal", "check"),
    ):  # fmt: skip
        done = lab.command(*words)
        assert "Traceback" not in done.stderr, done.stderr
        keep(lab, f"{when}-{'-'.join(words)}.txt".replace("/", ""), done.stdout, done.stderr)
    for entry in client.entries(client.index_directories(lab.state)):
        engine = client.Client(entry.socket)
        for path in ("/v1/status", "/v1/report"):
            answer = engine.get(path, hedge=NAME)
            keep(lab, f"{when}-{path[4:]}-socket.json", json.dumps(answer))


def ended(lab: Lab, process: subprocess.Popen[bytes]) -> int:
    wait_until(lambda: process.poll() is not None, f"an end ({lab.where})")
    return int(process.returncode)


def refused_key(lab: Lab, log: str) -> None:
    """A life with a crash, whose key is refused for a while: its orders, then everything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lab.more = f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
    venue = lab.venue
    process = lab.start("--log", log)
    lab.alive_until(process, lambda: len(venue.seen()) >= 4, "four orders")
    venue.ask("POST", "/test/key?path=/orders")  # orders are refused, with the key in the text
    refused = '"BAD_KEY"'
    lab.alive_until(process, lambda: lab.tail.count(refused) > 0, "a refused order")
    ask_everything(lab, "refused")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        keep(lab, "metrics.txt", answer.read())
    venue.ask("POST", "/test/key?path=/")  # and then everything, the streams too
    reads = time.monotonic() + 2
    lab.alive_until(process, lambda: time.monotonic() > reads, "reads that are refused")
    lab.kill(process, "with a key that is refused")
    refused_start = lab.start("--log", log)
    assert ended(lab, refused_start) == REFUSED, lab.said()
    venue.ask("POST", "/test/key?path=")
    process = lab.start("--log", log)
    lab.finish(process)
    ask_everything(lab, "ended")
    nothing_leaked(lab)


def refused_from_the_environment(lab: Lab) -> None:
    """Refused at the start, and in the first reads: what ends the run names no key."""
    lab.configure()
    for file in (lab.folder / "secrets").iterdir():
        file.unlink()
    (lab.folder / "secrets").rmdir()
    name = lab.account.upper().replace("-", "_")
    lab.environ = {
        f"HEDGE__ACCOUNTS__{name}__API_KEY": KEY,
        f"HEDGE__ACCOUNTS__{name}__API_SECRET": SECRET,
    }
    for path in ("/instrument", "/prepare", "/clock", "/balances"):
        lab.venue.ask("POST", f"/test/key?path={path}")
        process = lab.start("--log", "json")
        assert ended(lab, process) == REFUSED, (path, lab.said())
        assert "BAD_KEY" in lab.said() or "not valid" in lab.said(), lab.said()
    assert not lab.venue.seen()
    nothing_leaked(lab)


def surprised(lab: Lab, debug: str) -> None:
    """The plugin raises what it likes: at the start it is a bug's one line, later a failed read."""
    lab.environ = {"HEDGE_DEBUG": debug}
    for path in ("/instrument", "/fees"):
        lab.venue.ask("POST", f"/test/surprise?path={path}")
        process = lab.start()
        assert ended(lab, process) not in (0, None), lab.said()
    lab.venue.ask("POST", "/test/surprise?path=")
    process = lab.start("--log", "json")
    lab.alive_until(process, lambda: len(lab.venue.seen()) >= 2, "two orders")
    for path in ("/orders", "/balances"):
        lab.venue.ask("POST", f"/test/surprise?path={path}")
        reads = time.monotonic() + 1.5
        lab.alive_until(process, lambda at=reads: time.monotonic() > at, "a surprise")
    ask_everything(lab, "surprised")
    lab.venue.ask("POST", "/test/surprise?path=")
    lab.finish(process)
    nothing_leaked(lab)


STORIES = [
    Story(name, 8_000 + number, tell)
    for number, (name, tell) in enumerate(
        (
            ("a refused key and a log of lines", lambda lab: refused_key(lab, "plain")),
            ("a refused key and a log of JSON", lambda lab: refused_key(lab, "json")),
            ("a refused key of the environment", refused_from_the_environment),
            ("an error nobody foresaw", lambda lab: surprised(lab, "")),
            ("an error nobody foresaw and HEDGE_DEBUG", lambda lab: surprised(lab, "1")),
        )
    )
]


@told_by(STORIES)
def test_no_key_is_anywhere(told: dict[Story, Future[Any]], story: Story) -> None:
    told[story].result()


# -- the last step of a whole run ----------------------------------------------------------------


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    folder = tmp_path / PLANTED
    folder.mkdir()
    return folder


def a_run(folder: Path) -> Path:
    """Make what a run leaves: files, and keys where they are meant to be."""
    for number in range(FILES_MIN):
        (folder / f"out-{number}.txt").write_bytes(b"x" * (BYTES_MIN // FILES_MIN + 1))
    for number in range(KEYS_MIN):
        place = folder / f"life-{number}" / "secrets"
        place.mkdir(parents=True)
        (place / "key").write_text(KEY)
    return folder


def test_a_run_without_a_leak_passes(planted: Path) -> None:
    assert not sweep(a_run(planted))


@pytest.mark.parametrize("marker", [KEY, SECRET, *OTHERS], ids=MARKER_IDS)
def test_a_leak_of_any_form_is_found(planted: Path, marker: str) -> None:
    for number, form in enumerate(forms(marker)):
        path = planted / f"leak-{number}"
        path.write_bytes(b"\0" * 5 + form + b"tail")
        assert list(leaks_in(path, markers=(marker,))), form


@pytest.mark.parametrize("marker", OTHERS, ids=MARKER_IDS[2:])
def test_a_key_of_another_suite_is_found_where_no_test_wrote_it(planted: Path, marker: str) -> None:
    a_run(planted)
    (planted / "hedge.toml").write_text(f'api_key = "{marker}"')
    assert not sweep(planted)
    (planted / "run.log").write_text(f"signed with {marker}")
    assert sweep(planted)


def test_a_leak_across_two_reads_is_found(planted: Path) -> None:
    path = planted / "leak"
    path.write_bytes(b"\0" * 9 + SECRET.encode())
    assert list(leaks_in(path, chunk_bytes=16))


@pytest.mark.parametrize("lack", ["files", "keys"])
def test_an_empty_run_is_no_proof(planted: Path, lack: str) -> None:
    a_run(planted)
    pattern = "out-*" if lack == "files" else "life-*/secrets/*"
    for path in planted.glob(pattern):
        path.unlink()
    with pytest.raises(AssertionError):
        sweep(planted)
