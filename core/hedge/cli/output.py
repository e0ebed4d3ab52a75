"""What every command prints by: the JSON envelope, tables, errors, and questions to a person."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from hedge.errors import SafetyRefusal, redacted
from hedge.model.numbers import plain


def envelope(schema: str, data: Any, at: datetime | None = None) -> dict[str, Any]:
    """Return ``{"schema", "at", "data"}``; ``schema`` as in ``hedge.status/1``."""
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"schema": schema, "at": text, "data": jsonable(data)}


def jsonable(value: Any) -> Any:
    """Convert for JSON: money and quantities are strings, and a float is a bug."""
    match value:
        case None | bool() | int():
            return value
        case Enum():
            return jsonable(value.value)
        case str():
            return value
        case Decimal():
            return plain(value)
        case Path():
            return str(value)
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case list() | tuple():
            return [jsonable(item) for item in value]
        case _ if hasattr(value, "__struct_fields__"):
            return {name: jsonable(getattr(value, name)) for name in value.__struct_fields__}
        case _:
            raise TypeError(f"not for JSON: {type(value).__name__}")


def print_json(schema: str, data: Any, *, at: datetime | None = None, lines: bool = False) -> None:
    """Print one document, or with ``lines`` one line of NDJSON."""
    indent = None if lines else 2
    print(json.dumps(envelope(schema, data, at), indent=indent, ensure_ascii=False), flush=lines)


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return plain lines with aligned columns; nothing is ever cut."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def say(text: str) -> None:
    """Print a message for a person: on stderr, so that stdout stays data."""
    for line in text.splitlines() or [""]:
        print(f"hedge: {line}", file=sys.stderr)


def say_error(text: str) -> None:
    """Print an error, one line a problem, with nothing in it that could steer a terminal."""
    for line in redacted(text).splitlines():
        clean = "".join(char if char.isprintable() else "?" for char in line)
        print(f"hedge: {clean}", file=sys.stderr)


def is_tty(stream: TextIO) -> bool:
    return not stream.closed and stream.isatty()


def coloured(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether to use colour: on a terminal, and not where NO_COLOR is set."""
    return is_tty(stream) and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def confirm(question: str, *, flag: str, refusal: str) -> None:
    """Ask a person for a yes; without one, or without a terminal, exit 5 naming the flag."""
    if not (is_tty(sys.stdin) and is_tty(sys.stderr)):
        raise SafetyRefusal(f"{refusal}; {flag} says so without a terminal")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SafetyRefusal(f"{refusal}: not confirmed ({flag})")
