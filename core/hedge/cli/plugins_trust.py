"""What ``hedge plugins allow`` and ``block`` change: a line of the configuration, and the lock."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from hedge.config.edit import allowed_in, change_allowed
from hedge.errors import PluginError, UsageError
from hedge.plugins.found import Found, canonical, parse_allow
from hedge.plugins.lock import Lock


def of_third_party(name: str, found: Sequence[Found]) -> tuple[Found, ...]:
    """Return what the one distribution offers that ``name`` means, or that offers ``name``."""
    named = [
        one for one in found if name == one.name or canonical(name) == canonical(one.distribution)
    ]
    third = {canonical(one.distribution) for one in named if not one.bundled}
    if not third and named:
        raise UsageError(
            f"{name} comes with hedge: it needs no line, and loads only when it is named"
        )
    if not third:
        known = sorted({one.name for one in found if not one.bundled})
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"nearest: {near[0]}" if near else "see hedge plugins list"
        raise PluginError(f"no installed package offers a plugin {name!a}; {hint}")
    if len(third) > 1:
        raise UsageError(f"{name} is offered by {', '.join(sorted(third))}: name the package")
    return tuple(one for one in found if canonical(one.distribution) in third)


def allow(config: Path, offered: Sequence[Found], found: Sequence[Found]) -> str:
    """Allow a distribution as it is installed now, and lock it; return the hash, "" if editable.

    A line for another version of it is taken out. Raise `PluginError` where it would stand in
    another plugin's way.
    """
    first, lines = offered[0], allowed_in(config)
    taken = {one.name: one for one in found if one.allowed(lines) and one not in offered}
    for one in offered:
        if one.name in taken:
            other = taken[one.name].provider
            raise PluginError(
                f"{one.provider} and {other} both offer {one.name!a}: neither would load"
            )
    lock = Lock.of(config)
    if first.editable:
        lock.drop(first.distribution)
    digest = "" if first.editable else lock.keep(first)
    change_allowed(config, drop=_lines_of(first.distribution, lines), add=[first.allow_line])
    return digest


def block(config: Path, distribution: str) -> bool:
    """Take a distribution's lines and its lock away; return whether there was a line."""
    lines = _lines_of(distribution, allowed_in(config))
    if lines:
        change_allowed(config, drop=lines, add=[])
    Lock.of(config).drop(distribution)
    return bool(lines)


def _lines_of(distribution: str, lines: Sequence[str]) -> list[str]:
    return [line for line in lines if parse_allow(line)[0] == canonical(distribution)]
