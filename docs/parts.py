# ruff: noqa: INP001 - beside the script it belongs to
"""What the written pages are made of: words, the code as it is read, tables."""

import ast
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core" / "hedge"
NOTE = "<!-- Written by docs/generate.py; edit the code or docs/meanings.toml instead. -->"


class Words:
    """The tables of ``meanings.toml``; remembers what was asked for."""

    def __init__(self, path: Path) -> None:
        self._tables: dict[str, dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))
        self._asked: set[tuple[str, str]] = set()
        self.missing: list[str] = []

    def of(self, table: str, key: str) -> str:
        self._asked.add((table, key))
        found = self._tables.get(table, {}).get(key, "")
        if not found:
            self.missing.append(f'[{table}] "{key}"')
        return found

    def unused(self) -> list[str]:
        given = {(table, key) for table, keys in self._tables.items() for key in keys}
        return [f'[{table}] "{key}"' for table, key in sorted(given - self._asked)]


# -- reading the code ----------------------------------------------------------------------------


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def classes(path: Path) -> Iterator[ast.ClassDef]:
    return (node for node in parsed(path).body if isinstance(node, ast.ClassDef))


def one_class(path: Path, name: str) -> ast.ClassDef:
    return next(node for node in classes(path) if node.name == name)


def one_line(text: str | None) -> str:
    """Return a docstring's text on one line, in Markdown: double backquotes become single ones."""
    return " ".join((text or "").split()).replace("``", "`")


def fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str, str]]:
    """Yield (name, annotation, default, the string below it) of a class's attributes."""
    for here, after in zip(node.body, [*node.body[1:], None], strict=True):
        said = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            said = one_line(str(after.value.value))
        if isinstance(here, ast.AnnAssign):
            default = ast.unparse(here.value) if here.value else ""
            yield ast.unparse(here.target), ast.unparse(here.annotation), default, said
        elif isinstance(here, ast.Assign):
            yield ast.unparse(here.targets[0]), "", ast.unparse(here.value), said


def members(path: Path, name: str) -> dict[str, str]:
    """Return the strings below an enum's members, by the names of the members."""
    return {member: said for member, _, _, said in fields(one_class(path, name))}


def calls(path: Path, names: set[str]) -> Iterator[tuple[ast.Call, dict[str, ast.expr]]]:
    """Yield the calls of some names, each with the plain assignments of its function."""
    for function in ast.walk(parsed(path)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        local = {
            node.targets[0].id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and called(node) in names:
                yield node, local


def called(node: ast.Call) -> str:
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def text_of(node: ast.expr | None, local: dict[str, ast.expr]) -> str:
    """Return a constant text, with ``*`` for what is put into it; "" where it is not constant."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=parts):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts
            )
        case ast.Name(id=name) if name in local:
            return text_of(local[name], {})
        case _:
            return ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell or " " for cell in line) + " |" for line in lines)


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTE, *parts]) + "\n"
