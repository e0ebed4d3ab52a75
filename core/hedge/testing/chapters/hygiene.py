"""Manners of a guest: quick to import, quiet, never blocking, and gone when it is closed."""

import asyncio
import contextlib
import importlib
import io
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from hedge.errors import ConfigError
from hedge.model import Leg
from hedge.plugins import Found, discover
from hedge.roles import Can, VenueContext
from hedge.testing.cards import Failed, Group, card, expect
from hedge.testing.desk import Desk

IMPORT_CPU_MS = 400
"""Of the CPU, beyond what `hedge` itself takes: hooks import what is heavy when it is asked for."""
BLOCK_MS = 200
"""The longest that one step on the loop may take; orders wait behind it."""
TRIES = 3
"""A slow machine may be slow once; a slow plugin is slow each time."""
DEPTH = 4
SECRET_MIN = 4
"""Letters of a key worth looking for."""
SERVERS = ("websockets.server", "uvicorn.error", "uvicorn.access")
"""They log for the testbed."""
hygiene = partial(card, Group.HYGIENE)
quiet = partial(hygiene, trades=False)
PROBE = """
import sys, threading, time
import hedge.hookspecs, hedge.roles, hedge.errors, hedge.model
seen = []
def audit(event, args):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system"):
        seen.append(event)
sys.addaudithook(audit)
began = time.process_time()
__import__(sys.argv[1])
took = (time.process_time() - began) * 1000
sys.stderr.write(f"\\n{took:.0f}|{threading.active_count()}|{','.join(seen)}")
"""


def entry_of(desk: Desk) -> Found:
    """Return the entry point that serves the venue."""
    base = desk.venue.partition(":")[0]
    return next(one for one in discover() if one.name == base)


def plugin_of(desk: Desk) -> Any:
    """Return the plugin object itself: its module, or what its entry point names."""
    module, _, attribute = entry_of(desk).value.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        found = getattr(found, part)
    return found


def imported(desk: Desk) -> tuple[str, int, int, str]:
    """Import the plugin in a process of its own: (output, CPU ms, threads, what it connected)."""
    module = entry_of(desk).value.partition(":")[0]
    path = os.pathsep.join([*filter(None, sys.path)])
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", PROBE, module],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    expect(done.returncode == 0, f"import {module} fails: {done.stderr.strip()[-200:]}")
    said, _, last = done.stderr.rpartition("\n")
    took, threads, seen = last.split("|")
    return done.stdout + said.strip(), int(took), int(threads), seen


@quiet(
    given="an interpreter that has `hedge`",
    when="the plugin's module is imported",
    then=f"within {IMPORT_CPU_MS} ms of CPU: SDKs are imported when a role is opened",
)
async def import_time(desk: Desk) -> None:
    took = min(imported(desk)[1] for _ in range(2))
    expect(
        took <= IMPORT_CPU_MS,
        f"importing the plugin takes {took} ms of CPU, allowed {IMPORT_CPU_MS}; import SDKs in the"
        " hooks, not above them",
    )


@quiet(
    given="a fresh interpreter",
    when="the plugin's module is imported",
    then="it prints nothing, starts no thread and connects to nothing",
)
async def import_quiet(desk: Desk) -> None:
    said, _, threads, seen = imported(desk)
    expect(not said, f"importing the plugin prints: {said[:100]!a}")
    expect(threads == 1, f"importing the plugin starts {threads - 1} threads")
    expect(not seen, f"importing the plugin does {seen}")


def hooks(desk: Desk) -> Iterator[tuple[str, Any]]:
    """Yield the plugin's own role hooks."""
    plugin = plugin_of(desk)
    for leg in ("spot", "futures"):
        for word in ("feed", "gateway"):
            name = f"hedge_{leg}_{word}"
            if hasattr(plugin, name):
                yield name, getattr(plugin, name)
    for name in ("hedge_funding_source", "hedge_account_check"):
        if hasattr(plugin, name):
            yield name, getattr(plugin, name)


def other_context(desk: Desk) -> VenueContext:
    """Return the desk's context with nothing shared yet."""
    old = desk.context
    return VenueContext(
        settings=old.settings, clock=old.clock, environment=old.environment, account="other",
        secrets=old.secrets, shared={},
    )  # fmt: skip


@quiet(
    given="another venue's name",
    when="each hook is asked",
    then="None: not mine",
)
async def not_mine(desk: Desk) -> None:
    for name, hook in hooks(desk):
        answer = hook(venue="nobody", context=other_context(desk))
        expect(answer is None, f"{name} answers for the venue 'nobody': return None")


@quiet(
    given="a loop",
    when="each hook is asked",
    then="unopened objects: no task, no socket, no file before __aenter__",
)
async def unopened(desk: Desk) -> None:
    tasks, files = len(asyncio.all_tasks()), open_files()
    context = other_context(desk)
    kept = [hook(venue=desk.venue, context=context) for _, hook in hooks(desk)]
    expect(all(kept), "a hook returned nothing for its own venue")
    more = len(asyncio.all_tasks()) - tasks
    expect(more <= 0, f"asking the hooks starts {more} tasks; start them in __aenter__")
    opened = open_files() - files
    expect(opened <= 0, f"asking the hooks opens {opened} files or sockets")


def open_files() -> int:
    """Return how many descriptors this process has open; 0 where that cannot be seen."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@quiet(
    given="a settings model",
    when="an unknown key stands in [venues.NAME]",
    then="it is refused by name (extra='forbid'), and every other key has a default or a message",
)
async def settings(desk: Desk) -> None:
    model = desk.spec.settings
    expect(model.model_config.get("extra") == "forbid", "the settings model takes unknown keys")
    expect(model.model_config.get("frozen"), "the settings model can be changed: frozen=True")
    try:
        desk.host.settings(desk.venue)
    except ConfigError as error:
        raise Failed(f"the testbed's own settings are refused: {error}") from None


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[list[int]]:
    """Note how long each turn of the loop took too long, in ms; the longest is at [0]."""
    worst = [0]

    async def beat() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            worst[0] = max(worst[0], round((time.monotonic() - began) * 1_000))

    task = asyncio.create_task(beat())
    try:
        yield worst
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def one_round(desk: Desk) -> None:
    """Read and trade a little on each leg."""
    for leg in desk.legs:
        await desk.trade(leg)
        await desk.gateway(leg).read_open_orders(desk.symbols[leg])
        await desk.gateway(leg).read_balances()


@hygiene(
    given="open roles",
    when="orders and reads",
    then=f"the loop is never held for more than {BLOCK_MS} ms",
)
async def loop_is_free(desk: Desk) -> None:
    found = []
    for _ in range(TRIES):
        async with watched() as worst:
            await one_round(desk)
            await asyncio.sleep(0.05)
        found.append(worst[0])
        if worst[0] <= BLOCK_MS:
            return
    expect(
        met=False,
        text=f"the event loop is held for {min(found)} ms each time: a blocking call"
        " (time.sleep, requests, a synchronous SDK); use a thread or hedge.transport",
    )


@hygiene(
    given="open roles with open streams",
    when="they are closed",
    then="no task, thread or socket of theirs is left",
)
async def nothing_left(desk: Desk) -> None:
    if Can.USER_STREAM in desk.spec.can:
        await desk.hear()
    threads = {one.name for one in threading.enumerate() if not one.daemon}
    await desk.close()

    async def look() -> bool | None:
        left = [task for task in asyncio.all_tasks() if of_plugin(desk, task)]
        return None if left else True

    await desk.eventually(look, "the plugin's tasks to end with __aexit__")
    more = {one.name for one in threading.enumerate() if not one.daemon} - threads
    expect(not more, f"threads are left: {', '.join(more)}")


def package_of(desk: Desk) -> str:
    return entry_of(desk).value.partition(":")[0].partition(".")[0]


def of_plugin(desk: Desk, task: "asyncio.Task[Any]") -> bool:
    """Say whether a task runs code of the plugin, or of the transport that it opened."""
    code = getattr(task.get_coro(), "cr_code", None)
    path = Path(code.co_filename).as_posix() if code else ""
    if "/testing/" in path or path.endswith("/testing.py"):
        return False  # the testbed's
    return f"/{package_of(desk)}/" in path or "/hedge/transport/" in path


@hygiene(
    given="roles that were closed",
    when="they are made and opened again in the same process",
    then="they work: nothing is kept in a module",
)
async def reopened(desk: Desk) -> None:
    leg = desk.legs[0]
    await desk.trade(leg)
    await desk.close()
    role, _ = getattr(desk.host, f"{leg.value}_gateway")(desk.venue, other_context(desk))
    async with role as gateway:
        found = await gateway.read_balances()
    expect(found, "after it was closed and made again, read_balances is empty")


@hygiene(
    given="open roles, and logging at DEBUG",
    when="orders and reads",
    then="no key in the repr of any object of the plugin, in a log line, or on the terminal",
)
async def secrets(desk: Desk) -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.addFilter(lambda record: record.name not in SERVERS)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            await one_round(desk)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    told = {
        secret: name for name, secret in desk.context.secrets.items() if len(secret) >= SECRET_MIN
    }
    for secret, name in told.items():
        expect(secret not in said.getvalue(), f"{name} stands in a log line or on the terminal")
    for thing in reachable(desk):
        shown = f"{thing!r} {thing!s}"
        for secret, name in told.items():
            expect(secret not in shown, f"{name} stands in repr({type(thing).__qualname__})")


def reachable(desk: Desk) -> list[object]:
    """Return the plugin's own objects that hang on its roles."""
    top = package_of(desk)
    found: dict[int, object] = {}
    edge: list[object] = [
        *vars(desk).values(),
        *desk.context.shared.values(),
    ]
    for _ in range(DEPTH):
        news = [
            one
            for one in edge
            if type(one).__module__.partition(".")[0] == top and id(one) not in found
        ]
        found.update((id(one), one) for one in news)
        edge = [part for one in news for part in parts_of(one)]
    return list(found.values())


def parts_of(thing: object) -> list[object]:
    names = [*getattr(thing, "__dict__", {})]
    for kind in type(thing).__mro__:
        slots = getattr(kind, "__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return [getattr(thing, name) for name in names if hasattr(thing, name)]


@hygiene(
    given="open roles",
    when="orders and reads",
    then="nothing is printed: what goes wrong is told to who asked",
)
async def prints_nothing(desk: Desk) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        await one_round(desk)
    expect(not said.getvalue(), f"it prints {said.getvalue()[:80]!a}")


@hygiene(
    given="open roles",
    when="prices and account news are told",
    then="sinks are called on the event loop's own thread",
    can=Can.USER_STREAM,
)
async def on_the_loop(desk: Desk) -> None:
    leg: Leg = desk.legs[0]
    threads: set[int] = set()

    def sink(_: object) -> None:
        threads.add(threading.get_ident())

    await desk.gateway(leg).listen(desk.symbols[leg], sink)
    await desk.hear_market(leg)
    await desk.feed(leg).listen(desk.symbols[leg], sink)
    await desk.trade(leg)
    await desk.settled(lambda: threads, "a sink to be called")
    expect(threads == {threading.get_ident()}, "a sink is called from another thread")
