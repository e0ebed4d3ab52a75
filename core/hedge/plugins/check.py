"""What pluggy lets pass and we do not: misspelt or async hooks, and objects that fill no role."""

import difflib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from hedge import hookspecs
from hedge.errors import PluginError

HOOKS = {name: call for name, call in vars(hookspecs).items() if name.startswith("hedge_")}


def check_hooks(plugin: object, name: str) -> None:
    """Refuse what pluggy would pass over in silence: misspelt, async, or with a default."""
    for attribute in dir(plugin):
        call = inspect.getattr_static(plugin, attribute)
        call = call.__func__ if isinstance(call, staticmethod | classmethod) else call
        options = getattr(call, "hedge_impl", None)
        if not inspect.isfunction(call) or not (options or attribute.startswith("hedge_")):
            continue
        hook = (options or {}).get("specname") or attribute
        where = f"plugin {name}: {attribute}"
        if hook not in HOOKS:
            raise PluginError(f"{where} is no hook{_nearest(hook, HOOKS)}")
        if options is None:
            raise PluginError(f"{where} is not marked with @hookimpl")
        if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call):
            raise PluginError(f"{where} is async; hooks are synchronous and do no I/O")
        wrapper = bool(options.get("wrapper") or options.get("hookwrapper"))
        if inspect.isgeneratorfunction(call) != wrapper:
            raise PluginError(f"{where}: yields if and only if it is a wrapper=True")
        _check_arguments(call, hook, where)


def _check_arguments(call: Any, hook: str, where: str) -> None:
    known = list(inspect.signature(HOOKS[hook]).parameters)
    for number, parameter in enumerate(inspect.signature(call).parameters.values()):
        if number == 0 and parameter.name == "self":
            continue
        if parameter.default is not parameter.empty:
            raise PluginError(f"{where}: {parameter.name} has a default; it would never be passed")
        if parameter.name not in known:
            raise PluginError(
                f"{where}: no argument {parameter.name}{_nearest(parameter.name, known)}"
            )


def check_role(answer: object, protocol: Any, where: str) -> None:
    """Refuse an object that lacks a method of its Protocol, or has one that cannot be awaited."""
    if inspect.iscoroutine(answer):
        answer.close()
        raise PluginError(f"{where} returned a coroutine, not a {protocol.__name__}")
    members = dict(_members(protocol))
    lacking = [
        name
        for name in members
        if inspect.getattr_static(type(answer) if name.startswith("_") else answer, name, None)
        is None
    ]
    if lacking:
        raise PluginError(f"{where}: {protocol.__name__} lacks {', '.join(lacking)}")
    for name, wanted in members.items():
        if not inspect.iscoroutinefunction(wanted):
            continue
        given = getattr(answer, name)
        if not inspect.iscoroutinefunction(given):
            raise PluginError(f"{where}: {protocol.__name__}.{name} is not an async def")
        count = len(inspect.signature(wanted).parameters) - 1
        try:
            inspect.signature(given).bind(*(None,) * count)
        except TypeError as error:
            raise PluginError(f"{where}: {protocol.__name__}.{name}: {error}") from None


def _members(protocol: Any) -> Iterator[tuple[str, Any]]:
    for base in protocol.__mro__:
        if getattr(base, "_is_protocol", False):
            for name, value in vars(base).items():
                if name in ("__aenter__", "__aexit__") or not name.startswith("_"):
                    yield name, value


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.4)
    return f"; nearest: {near[0]}" if near else ""
