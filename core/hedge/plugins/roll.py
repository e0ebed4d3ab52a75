"""Every plugin that is installed or allowed: what it may do here, and if nothing, why."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hedge.errors import PluginError
from hedge.plugins.found import Found, absent, canonical, install_line, parse_allow
from hedge.plugins.host import PluginHost
from hedge.plugins.installed import digest_of
from hedge.plugins.lock import Lock


class State(StrEnum):
    """What a plugin may do; the last five are kept out, and everything else goes on."""

    BUNDLED = "bundled"
    """It comes with hedge and needs no line."""
    ALLOWED = "allowed"
    """By name and version, and its files are those of the lock."""
    UNLOCKED = "allowed, not locked"
    """By a line written by hand: it is locked as it is found when it loads first."""
    UNPINNED = "allowed, unpinned"
    """An editable install: its code can change at any time, so it is refused with ``--live``."""
    LACKING = "needs a package"
    """It comes with hedge, and the extra that it needs is not installed."""
    NOT_INSTALLED = "not installed"
    """There is a line for it in ``[plugins] allow`` and no such package."""
    NOT_ALLOWED = "not allowed"
    """No line names it at this version; not a line of it runs."""
    CHANGED = "changed"
    """Its files are not those that were allowed; not a line of it runs."""
    DUPLICATE = "duplicate"
    """Another plugin that may load has the same name; neither of them does."""
    BROKEN = "broken"
    """It failed to load."""


LOADS = (State.BUNDLED, State.ALLOWED, State.UNLOCKED, State.UNPINNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One row of the roll."""

    name: str
    distribution: str
    version: str
    state: State
    why: str = ""
    """What is wrong with it, and the mend."""
    found: Found | None = None


def call_roll(
    found: Sequence[Found],
    allow: Sequence[str],
    lock: Lock,
    *,
    load: Callable[[Found], bool],
) -> tuple[list[Standing], PluginHost]:
    """Return where every plugin stands, and the host that has loaded those that ``load`` picks.

    Only what may load is ever loaded; nothing is written.
    """
    host = PluginHost(found, allow)
    rows = [_standing(one, host, allow, lock) for one in found]
    rows = [
        _loaded(row, host) if row.state in LOADS and row.found and load(row.found) else row
        for row in rows
    ]
    return [*rows, *_not_installed(found, allow)], host


def _standing(one: Found, host: PluginHost, allow: Sequence[str], lock: Lock) -> Standing:
    state, why = _state(one, host, allow, lock)
    return Standing(
        name=one.name,
        distribution=one.distribution,
        version=one.version,
        state=state,
        why=why,
        found=one,
    )


def _state(one: Found, host: PluginHost, allow: Sequence[str], lock: Lock) -> tuple[State, str]:
    if not one.allowed(allow):
        return State.NOT_ALLOWED, f"to trust it: hedge plugins allow {one.name}"
    if one.name in host.broken:
        return State.DUPLICATE, host.broken[one.name]
    if one.bundled:
        package = absent(one)
        why = f"{package} is not installed; {install_line(one.name)}" if package else ""
        return State.LACKING if package else State.BUNDLED, why
    if one.editable:
        return State.UNPINNED, one.editable
    kept = lock.kept(one)
    if kept is None:
        return State.UNLOCKED, f"to lock it: hedge plugins allow {one.name}"
    if kept.digest != digest_of(one):
        mend = f"if that is meant: hedge plugins allow {one.name}"
        return State.CHANGED, f"its files are not those that were allowed; {mend}"
    return State.ALLOWED, ""


def _loaded(row: Standing, host: PluginHost) -> Standing:
    try:
        host.load(row.name)
    except PluginError as error:
        return replace(row, state=State.BROKEN, why=str(error))
    return row


def _not_installed(found: Iterable[Found], allow: Sequence[str]) -> list[Standing]:
    known = {canonical(one.distribution) for one in found}
    lines = [parse_allow(line) for line in allow]
    return [
        Standing(name="", distribution=name, version=version, state=State.NOT_INSTALLED)
        for name, version, _ in lines
        if name not in known
    ]
