# ruff: noqa: INP001 - beside the script it belongs to
"""The page of the configuration: every table and key, from the settings and what stands below."""

import ast
import importlib
import re
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from parts import CORE, ROOT, Words, classes, fields, one_class, page, table

TABLES = (
    ("run", "RunSettings"),
    ("metrics", "MetricsSettings"),
    ("plugins", "PluginSettings"),
    ("hedges.NAME", "HedgeSettings"),
    ("hedges.NAME.funding", "FundingSettings"),
    ("hedges.NAME.execution", "ExecutionSettings"),
    ("hedges.NAME.limits", "LimitSettings"),
    ("accounts.NAME", "AccountSettings"),
    ("notifiers.NAME", "NotifierSettings"),
)
BOUNDED = ("Count", "Duration", "Positive", "NotNegative")
ENDLESS = 1_000_000_000
"""A bound from here on only keeps arithmetic safe, and is not worth a reader's time."""
SIM_TABLES = (
    ("venues.sim", "SimSettings"),
    ("venues.sim.fees", "Fees"),
    ("venues.sim.spot, venues.sim.futures", "MarketRules"),
    ("venues.sim.faults", "Faults"),
    ("[venues.sim.faults.disconnects]", "Disconnect"),
    ("[venues.sim.faults.deleveragings]", "Deleveraging"),
    ("[venues.sim.faults.liquidations]", "Liquidation"),
    ("[venues.sim.faults.mode_flips]", "ModeFlip"),
    ("[venues.sim.faults.balance_changes]", "BalanceChange"),
    ("[venues.sim.faults.clock_jumps]", "ClockJump"),
    ("[venues.sim.faults.halts]", "Halt"),
)


def config(words: Words) -> str:
    parts = []
    settings = importlib.import_module("hedge.config.settings")
    for name, kind in TABLES:
        parts += [f"## `[{name}]`", _keys(words, settings, kind, CORE / "config" / "settings.py")]
        if name == "plugins":
            parts += ["## `[venues.NAME]`", words.of("page", "venues")]
    plugin = importlib.import_module("hedge_sim.config")
    path = ROOT / "plugins" / "hedge_sim" / "config.py"
    for name, kind in SIM_TABLES:
        parts += [f"## `[{name}]`", _keys(words, plugin, kind, path)]
    return page("Configuration", words.of("page", "config"), *parts)


def _keys(words: Words, module: Any, kind: str, path: Path) -> str:
    model = getattr(module, kind)
    rows = []
    for owner, (name, annotation, _, said) in _own_and_inherited(path, kind):
        if name not in model.model_fields:
            continue
        info = model.model_fields[name]
        if _is_table(module, annotation):
            continue  # it has a heading of its own
        what = _kind(words, annotation)
        tops = [one.le for one in info.metadata if getattr(one, "le", None) is not None]
        if annotation in BOUNDED and tops and min(tops) < ENDLESS:
            what += f", at most {min(tops)}"
        meaning = said or words.of(owner, name)
        default = "required" if info.is_required() else f"`{_default(info.default)}`"
        rows.append([f"`{name}`", what, default, meaning])
    return table(["key", "type", "default", "meaning"], rows)


def _own_and_inherited(path: Path, kind: str) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    node = one_class(path, kind)
    known = {one.name for one in classes(path)}
    for base in map(ast.unparse, node.bases):
        if base in known:
            yield from _own_and_inherited(path, base)
    yield from ((kind, one) for one in fields(node))


def _is_table(module: Any, annotation: str) -> bool:
    kind = getattr(module, annotation.removeprefix("tuple[").removesuffix(", ...]"), None)
    return hasattr(kind, "model_fields")


def _kind(words: Words, annotation: str) -> str:
    if annotation.startswith("Literal["):
        return ", ".join(ast.literal_eval(f"[{annotation[8:-1]}]"))
    if annotation.endswith(" | None") and annotation != "SecretStr | None":
        return _kind(words, annotation.removesuffix(" | None")) + ", or absent"
    if annotation.startswith("Annotated[int"):
        limits = dict(re.findall(r"([gl]e)=([0-9]+)", annotation))
        upper = f" to {limits['le']}" if "le" in limits else ""
        return f"whole number from {limits['ge']}{upper}"
    return words.of("kind", annotation)


def _default(value: Any) -> str:
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case Enum():
            return f'"{value.value}"'
        case str():
            return f'"{value}"'
        case Decimal():
            return f'"{value:f}"'
        case tuple():
            return "[" + ", ".join(f'"{one}"' for one in value) + "]"
        case dict():
            held = ", ".join(f'{key} = "{one}"' for key, one in value.items())
            return f"{{ {held} }}" if held else "{}"
        case int():
            return str(value)
        case _:
            return "its own table"
