"""``--add``: one small JSON object, read strictly and never evaluated."""

import difflib
import json
from collections.abc import Sequence
from typing import Any, NoReturn

from hedge.config.settings import HedgeSettings
from hedge.config.values import exact, shown
from hedge.errors import UsageError

BYTES_MAX = 4_096
DEPTH_MAX = 4


def parse_add(text: str) -> dict[str, Any]:
    """Read the object; every kind of doubt is a `UsageError` (exit 2)."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UsageError("--add: not UTF-8") from None
    if size > BYTES_MAX:
        raise UsageError(f"--add: {size} bytes, at most {BYTES_MAX}")
    if _depth(text) > DEPTH_MAX:
        raise UsageError(f"--add: nested deeper than {DEPTH_MAX}")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=exact,
            parse_int=exact,
            parse_constant=_constant,
        )
    except ValueError as error:
        raise UsageError(f"--add: not JSON: {shown(str(error))}") from None
    if not isinstance(value, dict):
        raise UsageError('--add: must be a JSON object, as in \'{"action": "single"}\'')
    return value


def spread_add(value: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return hedge name -> keys: of the one hedge there is, or of the ones that are named."""
    if value and all(key in names for key in value):
        for name, keys in value.items():
            if not isinstance(keys, dict):
                raise UsageError(f"--add: {name} must be an object of keys")
        return value
    if len(names) == 1:
        return {names[0]: value}
    if not names:
        raise UsageError("--add: there is no hedge to add to")
    known = set(HedgeSettings.model_fields)
    for key in value:
        if key not in names and key not in known:
            near = difflib.get_close_matches(key, [*names, *known], 1, 0.5)
            hint = f'; nearest: "{near[0]}"' if near else ""
            raise UsageError(f'--add: unknown hedge "{key}"{hint}')
    form = json.dumps({names[0]: {"action": "single"}})
    raise UsageError(f"--add: {len(names)} hedges, so say which, as in '{form}'")


def _depth(text: str) -> int:
    deepest = depth = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}]":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if not key.isascii() or not key.isprintable():
            near = difflib.get_close_matches(key, HedgeSettings.model_fields, 1, 0.5)
            hint = f'; nearest: "{near[0]}"' if near else ""
            raise UsageError(f"--add: key {shown(key)} is not plain ASCII{hint}")
        if key in result:
            raise UsageError(f'--add: key "{key}" stands twice')
        result[key] = value
    return result


def _constant(word: str) -> NoReturn:
    raise UsageError(f"--add: {word} is no number")
