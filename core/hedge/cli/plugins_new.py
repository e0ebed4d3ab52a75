"""``hedge plugins new``: a package that is found, and whose kit run says what to write.

The roles are written from the Protocols themselves, so that a new package is never out of date.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hedge.errors import UsageError, writing
from hedge.plugins import discover
from hedge.plugins.found import canonical

NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
KINDS = ("venue", "notifier")
ROLES = {
    "Feed": "MarketFeed",
    "SpotSide": "SpotGateway",
    "FuturesSide": "FuturesGateway",
    "Funding": "FundingSource",
    "Check": "AccountCheck",
}
HOOKS = (
    ("spot_feed", "Feed"),
    ("futures_feed", "Feed"),
    ("spot_gateway", "SpotSide"),
    ("futures_gateway", "FuturesSide"),
    ("funding_source", "Funding"),
    ("account_check", "Check"),
)
PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "hedge-{name}"
version = "0.1.0"
description = "{title} for hedge."
requires-python = ">=3.11"
dependencies = ["hedge-engine"]

[project.entry-points.hedge]
{name} = "hedge_{name}.plugin"
{testbeds}
[tool.hatch.build.targets.wheel]
packages = ["hedge_{name}"]
"""
TESTBEDS = """
[project.entry-points."hedge.testbeds"]
{name} = "hedge_{name}.testing:testbed"
"""
PLUGIN = '''\
"""The venue ``{name}``; `pytest --hedge-venue={name}` says what to write next."""

from pydantic import BaseModel, ConfigDict

from hedge.errors import PluginError
from hedge.hookspecs import hookimpl
from hedge.model import {model}
from hedge.roles import {roles}

VENUE = "{name}"


class Settings(BaseModel):
    """``[venues.{name}]``: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    environment: str = "live"
    url: str = ""


@hookimpl
def hedge_venues() -> list[VenueSpec]:
    """Say what this plugin serves; claim in ``can`` what the venue can do beyond the musts."""
    legs = LegKind.SPOT | LegKind.FUTURES
    return [VenueSpec(name=VENUE, legs=legs, settings=Settings)]


{hooks}


def unwritten(what: str) -> PluginError:
    """Return what a method says until it is written."""
    return PluginError(f"{{VENUE}}: {{what}} is not written yet")


class Role:
    """What all roles share; open connections in ``__aenter__``, on `hedge.transport`."""

    def __init__(self, context: VenueContext) -> None:
        self.context = context

    async def __aenter__(self) -> "Role":
        return self

    async def __aexit__(self, *_: object) -> None:
        return
{classes}
'''
HOOK = '''\
@hookimpl
def hedge_{hook}(venue: str, context: VenueContext) -> "{role} | None":
    """Return it for this venue; None: not mine."""
    return {role}(context) if venue == VENUE else None
'''
TESTING = '''\
"""The testbed of ``{name}``: put a fake of the venue here, on a loopback port, with switches."""

from typing import Any, Self

from hedge.errors import PluginError
from hedge.testing import KitClock, Switch, Truth


class Testbed:
    """`hedge.testing.Testbed`: serve from ``__aenter__``, and lead the plugin here by settings."""

    spot, futures = "BTC/USDT", "BTC/USDT:USDT"
    secrets = {{"api_key": "kit-key", "api_secret": "kit-secret"}}
    settings: dict[str, Any] = {{"environment": "local"}}
    lacks: dict[Switch, str] = {{}}

    def __init__(self) -> None:
        self.shared: dict[str, Any] = {{}}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def strike(self, switch: Switch) -> None:
        raise PluginError(f"{name}: the testbed does not know the switch {{switch.value}} yet")

    async def clear(self) -> None:
        return

    def truth(self) -> Truth:
        raise PluginError("{name}: the testbed does not tell the truth yet")


def testbed(venue: str, standing: frozenset[Switch], clock: KitClock) -> Testbed:
    """Return a new fake venue for one card, with the ``standing`` switches on."""
    return Testbed()
'''
NOTIFIER = '''\
"""The notifier ``{name}``: one hook, one role."""

from hedge.errors import PluginError
from hedge.hookspecs import hookimpl
from hedge.roles import Alert, NotifierContext


@hookimpl
def hedge_notifier(name: str, context: NotifierContext) -> "Sender | None":
    """Return it for this name; None: not mine."""
    return Sender(context) if name == "{name}" else None


class Sender:
    """`hedge.roles.Notifier`; keep keys out of every text."""

    def __init__(self, context: NotifierContext) -> None:
        self.context = context  # .secrets["token"] and ["url"], .options(YourStruct)

    async def __aenter__(self) -> "Sender":
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def send(self, alert: Alert) -> None:
        raise PluginError("{name}: send is not written yet: say alert.text")
'''


def write_package(kind: str, name: str, folder: Path) -> tuple[Path, ...]:
    """Write ``hedge-NAME`` into ``folder``; return its files, at most four.

    Raise `UsageError` for another kind, a name that is no lower-case word or is an installed
    plugin's (neither of two loads), or a folder that is there already: nothing is ever overwritten.
    """
    if kind not in KINDS:
        raise UsageError(f"kind {kind!a}: one of {', '.join(KINDS)}")
    if not NAME.fullmatch(name):
        raise UsageError(f"name {name!a}: a lower-case word of letters and digits")
    for one in discover():
        if one.name == name or canonical(one.distribution) == f"hedge-{name}":
            raise UsageError(f"name {name!a} is taken by {one.provider}: choose another")
    target = folder / f"hedge-{name}"
    if target.exists():
        raise UsageError(f"{target} is there already")
    texts = dict(_texts(kind, name))
    with writing(f"{target}: cannot be written", otherwise=UsageError):
        (target / f"hedge_{name}").mkdir(parents=True)
        for path, text in texts.items():
            (target / path).write_text(text, encoding="utf-8")
    return tuple(target / path for path in texts)


def next_steps(kind: str, name: str) -> tuple[str, ...]:
    """Return what to do with a package that was just written, a line a step."""
    install = f"next: pip install -e ./hedge-{name}"
    if kind == "venue":
        return (install, f"then: pytest --hedge-venue={name}  (each failure is a thing to write)")
    return (
        install,
        f'then: hedge plugins allow {name}, and [notifiers.NAME] with plugin = "{name}"',
        "last: hedge notify test",
    )


def _texts(kind: str, name: str) -> Iterator[tuple[str, str]]:
    package, title = f"hedge_{name}", name.capitalize()
    testbeds = TESTBEDS.format(name=name) if kind == "venue" else ""
    yield "pyproject.toml", PYPROJECT.format(name=name, title=title, testbeds=testbeds)
    yield f"{package}/__init__.py", f'"""{title} for hedge."""\n'
    if kind == "notifier":
        yield f"{package}/plugin.py", NOTIFIER.format(name=name)
        return
    yield f"{package}/plugin.py", _plugin(name)
    yield f"{package}/testing.py", TESTING.format(name=name)


def _plugin(name: str) -> str:
    source = ast.parse(inspect.getsource(importlib.import_module("hedge.roles")))
    protocols = {node.name: node for node in source.body if isinstance(node, ast.ClassDef)}
    classes = [_role(role, protocols, protocol) for role, protocol in ROLES.items()]
    text = "\n".join(classes)
    model = importlib.import_module("hedge.model")
    roles = importlib.import_module("hedge.roles")
    code = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    words = sorted({*re.findall(r"\b[A-Z]\w+", code), "LegKind", "VenueContext", "VenueSpec"})
    return PLUGIN.format(
        name=name,
        model=_listed(word for word in words if word in model.__all__),
        roles=_listed(word for word in words if word not in model.__all__ and hasattr(roles, word)),
        hooks="\n\n".join(HOOK.format(hook=hook, role=role) for hook, role in HOOKS).rstrip(),
        classes=text,
    )


def _listed(words: Iterable[str]) -> str:
    return "(\n" + "".join(f"    {word},\n" for word in words) + ")"


def _role(role: str, protocols: dict[str, ast.ClassDef], protocol: str) -> str:
    lines = ["", "", f"class {role}(Role):", f'    """`hedge.roles.{protocol}`."""']
    for method in _methods(protocols, protocol):
        lines.append("")
        words = ast.get_docstring(method) or ""
        if not isinstance(method, ast.AsyncFunctionDef):
            assert method.returns is not None
            lines += [
                "    @property",
                f"    def {method.name}(self) -> {ast.unparse(method.returns)}:",
                f"        return {ast.unparse(method.returns)}()",
            ]
            continue
        returns = ast.unparse(method.returns) if method.returns else "None"
        lines.append(f"    async def {method.name}({ast.unparse(method.args)}) -> {returns}:")
        if words:
            lines.append(f'        """{words.splitlines()[0]}"""')
        lines.append(f'        raise unwritten("{role}.{method.name}")')
    return "\n".join(lines)


def _methods(
    protocols: dict[str, ast.ClassDef], name: str
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    node = protocols[name]
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in protocols and base.id != "Closable":
            yield from _methods(protocols, base.id)
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            yield part
