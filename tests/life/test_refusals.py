"""Bad input and bad luck: one clear line on stderr, the exit code of the table, nothing lost."""

import contextlib
import fcntl
import json
import os
import resource
import shlex
import signal
import subprocess
import termios
from decimal import Decimal

import pytest

from hedge.decide.events import OperatorAsked
from hedge.journal import read_rows
from hedge.model import ReportedStatus
from hedge_sim.truth import PAGE, path_of, read_truth

DAY = {"HEDGE__VENUES__SIM__END": "2024-03-28T12:00:00Z"}
"""A recording that is over after half a day, in the middle of the hedge."""
LEG_AND_NUMBER = len("S000001")
"""The end of an order's id; what stands before it is the hedge's and the process's."""


def one_line(done, code):
    """Return what was refused; before it stands at most whose plugins the hedge runs."""
    assert done.returncode == code, (done.returncode, done.stdout[-300:], done.stderr)
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line and "(hedge-engine " not in line]
    assert len(said) == 1, said
    return said[0]


@pytest.mark.parametrize(
    ("add", "code", "word"),
    [
        ({"acton": "single"}, 2, '"action"'),
        ({"usd": "-1"}, 2, "usd"),
        ({"limits": {"leverage": 50}}, 2, "leverage"),
        ({"action": "liquidate"}, 2, "action"),
    ],
)
def test_add_is_checked(program, add, code, word):
    assert word in one_line(program.run(program.line(add=add)), code)
    assert not program.journal.exists()


def test_nan_is_no_number(program):
    line = program.line()
    line[line.index("--add") + 1] = '{"usd": NaN}'
    one_line(program.run(line), 2)


def test_an_unknown_venue_names_the_nearest(program):
    line = program.line()
    line[line.index("--futures") + 1] = "simm"
    assert "sim" in one_line(program.run(line), 9)


def test_a_live_venue_without_live_is_not_traded_on(program):
    line = program.line()
    line[line.index("--futures") + 1] = "bybit"
    program.environ["HEDGE__RUN__SPEED"] = "real"
    done = program.run(line)
    shown, refusal = done.stderr.splitlines()
    assert done.returncode == 5 and "10000 USD" in shown and "--live" in refusal


def test_a_symbol_the_venue_does_not_have(program):
    line = program.line()
    line[line.index("--symbol") + 1] = "DOGE/USDT"
    assert "DOGE/USDT" in one_line(program.run(line), 3)


def test_a_target_below_the_minimums(program):
    line = program.line()
    line[line.index("--usd") + 1] = "3"
    assert "minimum" in one_line(program.run(line), 5)
    assert program.seen('"PlaceOrder"') == 0


def test_a_malformed_file(program, tmp_path):
    (tmp_path / "hedge.toml").write_text("[hedges\n")
    (tmp_path / "hedge.toml").chmod(0o600)
    one_line(program.run([*program.line(), "--config", str(tmp_path / "hedge.toml")]), 3)


def test_a_state_directory_that_is_a_file(program, tmp_path):
    (tmp_path / "s").write_text("")
    one_line(program.run(program.line()), 12)


def test_a_corrupt_journal_is_refused_and_kept(program):
    program.environ.update(DAY)
    assert program.run(program.line()).returncode == 5
    text = program.journal.read_bytes()
    middle = len(text) // 2
    program.journal.write_bytes(text[:middle] + b"~" + text[middle + 1 :])
    before = program.journal.read_bytes()
    assert "journal" in one_line(program.run(program.line()), 12)
    assert program.journal.read_bytes() == before


def test_the_recording_ends_and_that_is_no_success(program):
    program.environ.update(DAY)
    done = program.run(program.line("--log", "json"))
    assert done.returncode == 5
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[-1]["event"] == "end_run" or "DATA_ENDED" in json.dumps(rows[-1])
    assert "DATA_ENDED" in done.stderr
    assert Decimal(program.report()["unexplained"]) == 0


@pytest.mark.parametrize("streams", [">&- 2>&-", "2>/dev/full | true"])
def test_no_stream_changes_how_a_run_ends(program, streams):
    """It is looked after to its end, and the code is its own, whoever still reads."""
    program.environ["HEDGE__VENUES__SIM__END"] = "2024-03-28T01:00:00Z"
    line = f"{shlex.join(program.line())} {streams}; exit ${{PIPESTATUS[0]}}"
    done = program.run(["bash", "-c", line])
    assert (done.returncode, done.stdout, done.stderr) == (5, "", "")
    assert list(read_rows(program.journal))[-1].entry.reason == "DATA_ENDED"
    assert not (program.state / ".crashes").exists()


def test_a_second_engine_is_refused_and_sends_nothing(program):
    program.environ["HEDGE__RUN__SPEED"] = "real"
    first = program.start(program.line())
    begun = program.wait_until(first, lambda: program.seen('"PlaceOrder"'))
    assert begun, first.communicate()
    rows = program.seen('"EngineStarted"')
    second = program.run(program.line())
    one_line(second, 8)
    assert program.seen('"EngineStarted"') == rows
    orders = read_truth(path_of(program.journal.parent)).orders
    assert len({oid[:-LEG_AND_NUMBER] for oid in orders}) == 1, f"ids of two processes: {orders}"
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=60)
    assert first.returncode in (0, 7), said


def test_the_first_signal_stops_and_confirms(program):
    program.environ["HEDGE__RUN__SPEED"] = "20"
    process = program.start(program.line())
    begun = program.wait_until(process, lambda: program.seen('"FillSeen"') >= 4)
    assert begun, process.communicate()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    last = list(read_rows(program.journal))[-1].entry
    assert (process.returncode, last.reason) in ((0, "STOPPED"), (7, "NOT_HEDGED"))
    truth = read_truth(path_of(program.journal.parent))
    assert not [one for one in truth.orders.values() if one.status is ReportedStatus.WORKING]


def no_room(limit):
    """Return what leaves each file so many bytes: a write fails as on a full disk."""

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return small_files


@pytest.mark.parametrize("shown", ["--no-view", ""])
def test_a_terminal_that_goes_away_is_a_stop(program, shown):
    """With its panel and without: no line can be printed from then on, and none is missed."""
    program.environ |= {"HEDGE__RUN__SPEED": "20", "TERM": "xterm"}
    ours, theirs = os.openpty()
    line = [word for word in program.line() if word != "--no-view" or shown]

    def attach():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored, where nohup runs the tests
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        line, env=program.environment(), stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=attach,  # noqa: PLW1509 - no thread of ours holds a lock
    )  # fmt: skip
    program.started.append(process)
    os.close(theirs)
    os.set_blocking(ours, False)
    said = b""

    def begun():
        nonlocal said
        with contextlib.suppress(BlockingIOError, OSError):  # or it waits for room in the terminal
            said += os.read(ours, 65_536)
        return program.seen('"FillSeen"') >= 4

    assert program.wait_until(process, begun), said
    os.close(ours)
    process.wait(timeout=60)
    rows = [row.entry for row in read_rows(program.journal)]
    assert (process.returncode, rows[-1].reason) in ((0, "STOPPED"), (7, "NOT_HEDGED"))
    assert [one.by for one in rows if isinstance(one, OperatorAsked)] == ["hangup"]
    truth = read_truth(path_of(program.journal.parent))
    assert not [one for one in truth.orders.values() if one.status is ReportedStatus.WORKING]
    assert not (program.state / ".crashes").exists()


def test_nohup_asks_to_go_on(program):
    program.environ["HEDGE__RUN__SPEED"] = "20"
    process = program.start(
        program.line(), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    assert program.wait_until(process, lambda: program.seen('"FillSeen"')), process.communicate()
    process.send_signal(signal.SIGHUP)
    before = program.seen('"FillSeen"')
    assert program.wait_until(process, lambda: program.seen('"FillSeen"') > before)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (0, 7), said


@pytest.mark.parametrize("limit", [PAGE - 1, PAGE + 7])
def test_a_disk_without_room_for_the_venue_s_own_record(program, limit):
    """In the page it begins with, and in its first record."""
    done = program.run(program.line(), preexec_fn=no_room(limit))
    said = [line for line in done.stderr.splitlines() if "is not locked" not in line]
    assert (done.returncode, len(said)) == (12, 1), (done.returncode, done.stderr)
    assert "cannot keep the venue's truth" in said[0]


@pytest.mark.parametrize("limit", [60_000, 150_000])
def test_a_full_disk_stops_the_engine_and_nothing_is_sent_unrecorded(program, limit):
    """A file-size limit stands for the full disk: the write fails the same way."""
    done = subprocess.run(
        program.line(), env=program.environment(), capture_output=True, text=True,
        check=False, timeout=60, preexec_fn=no_room(limit),
    )  # fmt: skip
    assert done.returncode == 12, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    truth = read_truth(path_of(program.journal.parent))
    recorded = program.journal.read_text()
    assert all(one in recorded for one in truth.orders)
